"""The commands of `course` and what happens to their errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from course_lib.cli.quick import without_iri_grammars
from course_lib.errors import CourseError

app = typer.Typer(
    name="course",
    help="Carryover: a hands-on course in transfer learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Names = Annotated[list[str] | None, typer.Argument(help="Numbers (04), names or paths; none means all.")]
Build = Annotated[Path | None, typer.Option(help="Where results go (default: build/ beside notebooks/).")]


@app.callback()
def _everywhere(debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False) -> None:
    """Carryover: a hands-on course in transfer learning."""


@app.command()
def lab(
    options: Annotated[list[str] | None, typer.Argument(help="Passed on to JupyterLab, after --.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Exactly this port; 0: any free one (default: 8888 or the next)."
        ),
    ] = None,
    browser: Annotated[
        bool | None, typer.Option("--browser/--no-browser", help="Open a browser (default: with a screen).")
    ] = None,
    lang: Annotated[str, typer.Option(help="Edition: en, or zh for Chinese.")] = "en",
) -> None:
    """Open the course in JupyterLab."""
    from course_lib.lab.server import open_lab

    raise typer.Exit(open_lab(port, browser, options or [], lang))


@app.command()
def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (04), names or paths; none means all. Or a folder made by `course new`."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Execute everything anew.")] = False,
    commit_outputs: Annotated[
        bool,
        typer.Option("--commit-outputs", help="Write the outputs back into notebooks/, made for committing."),
    ] = False,
    build: Build = None,
    notebooks: Annotated[Path | None, typer.Option(help="Folder of the notebooks.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Several at once: 'threads', or a Dask scheduler whose machines see the folder."),
    ] = None,
) -> None:
    """Execute notebooks in order; write pages, results and a table of minutes to build/."""
    if names:
        from course_lib.cli.new import project_among, run_project

        project = project_among(names)
        if project is not None:
            raise typer.Exit(run_project(project))
    from course_lib.runner import run_course

    code = run_course(
        names or [],
        fresh=fresh,
        commit_outputs=commit_outputs,
        build=build,
        folder=notebooks,
        scheduler=scheduler,
    )
    raise typer.Exit(code)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="The project's folder: new, or empty.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your pictures (a folder per class) or your table (a CSV file). Default: put in later."
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="pictures or sentences (default: by the data).")] = None,
    text: Annotated[str | None, typer.Option(help="The table's column of sentences.")] = None,
    label: Annotated[str | None, typer.Option(help="The table's column of labels.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="For fine-tuning, all runs together (default: 10; 0: none).")
    ] = None,
) -> None:
    """Lay out a project for your own data; `course run FOLDER` takes it to a report."""
    from course_lib.cli.new import lay_out

    raise typer.Exit(lay_out(folder, data, kind, text=text, label=label, minutes=minutes))


@app.command()
def doctor(
    full: Annotated[
        bool, typer.Option("--full", help="Also import the frameworks and look for a GPU.")
    ] = False,
) -> None:
    """Say what this machine has, what is missing and how to get it."""
    from course_lib.cli.doctor import examine

    raise typer.Exit(examine(full))


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="cifar10, cifar100, spoken_digits, all, xnli, pawsx, or a hub network.")
    ],
    source: Annotated[
        str | None, typer.Option("--from", help="A folder, a file or an address to take it from.")
    ] = None,
) -> None:
    """Bring a data set, or a network of the hub, to this machine, verified."""
    from course_lib.cli.fetch import fetch_data

    raise typer.Exit(fetch_data(name, source))


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Comparisons; none means all.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions.")] = False,
    readme: Annotated[bool, typer.Option("--readme", help="Write the table into README.md.")] = False,
) -> None:
    """Time the library against the usual ways, in alternation, on this machine."""
    from course_lib.cli.bench import run_bench

    raise typer.Exit(run_bench(names or [], json, quick, readme))


Solutions = Annotated[
    Path | None, typer.Option(help="The teacher's folder (default: $COURSE_SOLUTIONS, or solutions/ here).")
]


@app.command("make-exercises")
def make_exercises(
    names: Names = None,
    solutions: Solutions = None,
    out: Annotated[Path | None, typer.Option(help="Where they go (default: exercises/ beside it).")] = None,
) -> None:
    """Write the learners' exercises out of the solutions."""
    from course_lib.cli.exercises import make

    raise typer.Exit(make(names or [], solutions, out))


@app.command()
def check(
    names: Names = None,
    exercises: Annotated[Path | None, typer.Option(help="Folder of your exercises.")] = None,
) -> None:
    """Try your exercises on their visible cases, and see how far you are."""
    from course_lib.cli.exercises import check as check_exercises

    raise typer.Exit(check_exercises(names or [], exercises))


@app.command()
def variants(
    roster: Annotated[Path, typer.Argument(help="A CSV file; students in its first column.")],
    out: Annotated[Path, typer.Option(help="Where each student's folder goes.")],
    seed: Annotated[int, typer.Option(help="Of the class; grade with the same.")],
    solutions: Solutions = None,
) -> None:
    """Write every student's own exercises: the same tasks on other numbers."""
    from course_lib.cli.exercises import variants as write_variants

    raise typer.Exit(write_variants(roster, out, seed, solutions))


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="STUDENT/05_name.ipynb, or STUDENT_05_name.ipynb.")],
    out: Annotated[Path, typer.Option(help="Gradebook, feedback and ledger go here.")],
    solutions: Solutions = None,
    roster: Annotated[
        Path | None, typer.Option(help="A CSV file; everybody of the class in its first column.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the hidden cases (default: a secret one, kept in the ledger).")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Answers tried at once (default: cores).")] = None,
    tier: Annotated[str | None, typer.Option(help="Insist on a sandbox: 'sandbox', 'plain'.")] = None,
    allow_unsafe: Annotated[
        bool, typer.Option("--allow-unsafe", help="Hidden cases even without a sandbox.")
    ] = False,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler: many machines try the answers.")
    ] = None,
) -> None:
    """Grade a class: hidden cases, sandboxed, resumable; gradebook and feedback."""
    from course_lib.cli.grade import grade_class

    code = grade_class(
        submissions,
        out,
        solutions=solutions,
        roster=roster,
        seed=seed,
        jobs=jobs,
        tier=tier,
        allow_unsafe=allow_unsafe,
        scheduler=scheduler,
    )
    raise typer.Exit(code)


def main() -> None:
    """Run the command; an error of the course is told in plain words, without a traceback."""
    without_iri_grammars()
    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except CourseError as error:
        if debug:
            raise
        print(f"course: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
