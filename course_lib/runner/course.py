"""`course run`: the notebooks in order, going on past failures, resumable, reported."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from rich.console import Console
from rich.table import Table

from course_lib.runner.clean import write_committed
from course_lib.runner.execute import Execution, execute
from course_lib.runner.headlines import renew
from course_lib.runner.pages import Entry, title_of, write_pages
from course_lib.runner.plan import all_notebooks, chosen, clocks_here, edition, notebook_folder, source_key
from course_lib.runner.progress import RunProgress
from course_lib.runner.results import facts_of, write_results
from course_lib.runner.state import Record, State, only_one, write_atomically

BUDGETS = ((("00", "01", "04"), 20, 6), ((), 45, 26))
"""Numbers of the notebooks (none: all), minutes cold (with set-up) and warm, on two cores."""


def run_course(
    names: Sequence[str] = (),
    *,
    fresh: bool = False,
    commit_outputs: bool = False,
    build: Path | None = None,
    folder: Path | None = None,
    scheduler: str | None = None,
) -> int:
    """Execute notebooks and write executed notebooks, pages and ``results.json``.

    Parameters
    ----------
    names : sequence of str
        Numbers, names or paths; none means all.
    fresh : bool
        Forget an interrupted run instead of going on with it.
    commit_outputs : bool
        Also write the outputs back into the notebooks, in the form that is committed, and the README's table
        of results.
    build : pathlib.Path, optional
        Where results go; default ``build`` beside the notebooks' folder.
    folder : pathlib.Path, optional
        The notebooks; default ``notebooks`` here or beside the library.
    scheduler : str, optional
        Several notebooks at once: ``"threads"`` on this machine, or the address of a Dask scheduler whose
        machines have this library and see the folder. The results are the same.

    Returns
    -------
    int
        0: all executed; 1: some failed; 130: interrupted.

    Raises
    ------
    BadInput
        When a name fits no notebook, or the scheduler does not answer.
    CourseError
        When another run is writing to the same folder.
    """
    place = notebook_folder(folder)
    paths = chosen(names, place)
    target = (build or place.parent / "build").resolve()
    with only_one(target), _terminate_as_interrupt():
        state = State.load(target / "state.json")
        goes_on = state.begin(fresh)
        try:
            _execute_all(paths, state, target, goes_on, commit_outputs, scheduler)
        except KeyboardInterrupt:
            Console().print("Interrupted. `course run` goes on where this stopped.", highlight=False)
            return 130
        _forget_removed(state, place)
        _report(state, target, paths)
        if commit_outputs and (place.parent / "README.md").is_file():
            renew(place.parent / "README.md", place)
        state.finished = True
        state.save()
    return int(any(state.records[path.stem].status != "ok" for path in paths))


def _execute_all(
    paths: Sequence[Path], state: State, build: Path, goes_on: bool, commit: bool, scheduler: str | None
) -> None:
    """Execute what this run has not yet executed; keep each result before the next begins."""
    keys = {path: source_key(path) for path in paths}
    done = [path for path in paths if goes_on and state.done(path.stem, keys[path], edition(path))]
    if done:
        listing = ", ".join(path.stem for path in done)
        Console().print(f"Going on with the interrupted run; already executed: {listing}.", highlight=False)
    waiting = [path for path in paths if path not in done]
    with RunProgress([(path.stem, _expected_seconds(path, state)) for path in waiting]) as progress:
        if scheduler is not None and waiting:
            from course_lib.runner.spread import executed

            for path, result in executed({path: keys[path] for path in waiting}, scheduler):
                _keep(path, result, keys[path], state, build, commit)
                progress.tell(path.stem, result.seconds, result.problem)
            return
        for path in waiting:
            result = execute(path, progress.start(path.stem))
            _keep(path, result, keys[path], state, build, commit)
            progress.finish(result.seconds, result.problem)


def _keep(path: Path, result: Execution, key: str, state: State, build: Path, commit: bool) -> None:
    """Write the executed notebook, then note it as finished: so a kill loses time and nothing else."""
    text = nbformat.writes(result.notebook)  # type: ignore[no-untyped-call]
    write_atomically(build / "notebooks" / path.name, text + "\n")
    record = Record(
        status="ok" if result.ok else "failed",
        run=state.run,
        key=key,
        edition=edition(path),
        seconds=result.seconds,
        peak_bytes=result.peak_bytes,
        problem=result.problem,
    )
    if commit and result.ok:
        if source_key(path) == key:
            if not write_committed(result.notebook, record, path):
                Console().print(
                    f"{path.name} has outputs of other data than {record.edition}: they stay; "
                    "minutes and memory of this run were noted.",
                    highlight=False,
                )
        else:  # somebody saved it meanwhile: what they wrote is worth more than outputs of the old cells
            Console().print(
                f"{path.name} changed while it ran; its outputs are only in {build}.", highlight=False
            )
    state.records[path.stem] = record
    state.save()


def _expected_seconds(path: Path, state: State) -> float | None:
    """Return how long a notebook took last time, here or where its outputs were committed."""
    if path.stem in state.records:
        return state.records[path.stem].seconds
    about = json.loads(path.read_text(encoding="utf-8")).get("metadata", {}).get("carryover", {})
    minutes = clocks_here(about).get("minutes")
    return float(minutes) * 60 if isinstance(minutes, int | float) else None


def _forget_removed(state: State, folder: Path) -> None:
    """Drop records of notebooks that are no longer there."""
    existing = {path.stem for path in all_notebooks(folder)}
    state.records = {name: record for name, record in state.records.items() if name in existing}


def _report(state: State, build: Path, paths: Sequence[Path]) -> None:
    """Write pages and results; print what was executed, how long it took and against which budget."""
    entries = [_entry(name, record, build) for name, record in sorted(state.records.items())]
    write_pages(build, entries)
    write_results(build, state)
    console = Console()
    table = Table("notebook", "status", box=None, pad_edge=False)
    for column in ("minutes", "peak memory"):
        table.add_column(column, justify="right")
    for path in paths:
        record = state.records[path.stem]
        memory = f"{record.peak_bytes / 2**30:.2f} GiB"
        table.add_row(path.stem, record.status, f"{record.seconds / 60:.1f}", memory)
    minutes = {path.stem: state.records[path.stem].seconds / 60 for path in paths}
    table.add_row("altogether", "", f"{sum(minutes.values()):.1f}", "")
    console.print()
    console.print(table)
    _print_budget(console, minutes, complete=len(paths) == len(all_notebooks(paths[0].parent)))
    console.print(f"Read {build / 'pages' / 'index.html'}", highlight=False, soft_wrap=True)


def _print_budget(console: Console, minutes: dict[str, float], *, complete: bool) -> None:
    """Print the minutes of notebooks that were asked for against the budget of the same ones."""
    setup = _setup_minutes()
    known = f"; set-up took {setup:.1f} min, once" if setup is not None else ""
    for members, cold, warm in BUDGETS:
        spent = {name[:2]: m for name, m in minutes.items() if name[:2] in members} if members else minutes
        asked = len(spent) == len(members) if members else complete
        now = f"{sum(spent.values()):.1f} min now{known}; " if asked else ""
        name = f"notebooks {', '.join(members)}" if members else "the whole course"
        line = f"Budget of {name}: {now}{cold} min with installation, {warm} min without (two cores)."
        console.print(line, highlight=False, soft_wrap=True)


def _setup_minutes() -> float | None:
    """Return how long the set-up of this environment took, when `make` did it."""
    try:
        stamp = json.loads((Path(sys.prefix) / "carryover-set-up.json").read_text(encoding="utf-8"))
        return float(stamp["seconds"]) / 60
    except (OSError, ValueError, KeyError):
        return None


def _entry(name: str, record: Record, build: Path) -> Entry:
    notebook = nbformat.read(build / "notebooks" / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    facts = [_line(fact, notebook) for fact in facts_of(notebook)]
    return Entry(name, title_of(notebook, name), record.status, record.seconds, record.edition, facts)


def _line(fact: dict[str, Any], notebook: Any) -> str:
    """Return a fact as its notebook words it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if fact in data.values() and "text/plain" in data:
                return str(data["text/plain"])
    return f"{fact['name']}: {fact.get('rounded')} {fact.get('unit', '')}".strip()


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Make a polite kill (SIGTERM) end a run as Ctrl-C does: with its kernel gone and its state kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
