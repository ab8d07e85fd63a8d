"""`course grade`: a class's submissions to a gradebook."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from course_lib.errors import BadInput
from course_lib.grading import catalogue
from course_lib.grading.grade import grade
from course_lib.grading.gradebook import table
from course_lib.grading.report import known_code, write_reports
from course_lib.grading.sandbox import TIERS
from course_lib.grading.variants import roster as students


def grade_class(
    submissions: Path,
    out: Path,
    *,
    solutions: Path | None,
    roster: Path | None,
    seed: int | None,
    jobs: int | None,
    tier: str | None,
    allow_unsafe: bool,
    scheduler: str | None,
) -> int:
    """Grade, write the reports, print the table.

    Raises
    ------
    BadInput
        When `tier` is none of the three.
    """
    if tier is not None and tier not in TIERS:
        raise BadInput(f"There is no tier {tier!r}.", f"Choose among {', '.join(TIERS)}.")
    console, folder = Console(), solutions or catalogue.solutions_folder()
    try:
        result = grade(
            submissions,
            out,
            solutions=folder,
            roster=students(roster) if roster else (),
            seed=seed,
            jobs=jobs,
            tier=tier,  # type: ignore[arg-type]  # one of TIERS
            allow_unsafe=allow_unsafe,
            scheduler=scheduler,
            say=lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True),
        )
    except KeyboardInterrupt:
        console.print("Interrupted. What is graded is kept; the same command goes on.", highlight=False)
        return 130
    write_reports(result, out, known=known_code(folder))
    console.print(table(result))
    for name, what in (
        ("grades.csv", "the gradebook"),
        ("class.html", "the class: distribution, hardest exercises, common mistakes, similar answers"),
        ("feedback", "a page for each student"),
        ("gradescope", "Gradescope's results.json for each student"),
    ):
        console.print(f"{out / name}: {what}", highlight=False, markup=False, soft_wrap=True)
    return 0
