"""`course grade`: a folder of submissions, graded in workers, kept in a ledger, told in reports."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from course_lib.errors import CourseError
from course_lib.grading import catalogue, submission
from course_lib.grading.attempt import Outcome, Work, attempt_all
from course_lib.grading.hostile import named, safe_name
from course_lib.grading.ledger import Ledger
from course_lib.grading.marking import Paper, marked, seed_of, works
from course_lib.grading.results import ClassResult
from course_lib.grading.sandbox import Sandbox, Tier, probe, shown
from course_lib.grading.slot import Slot, Trouble
from course_lib.grading.submission import Submission
from course_lib.runner.plan import DEPENDED_ON
from course_lib.runner.state import only_one
from course_lib.show.progress import Progress

LEDGER: Final = "grades.sqlite"
ATTEMPTS: Final = 3
DECIDE: Final = ("attempt", "compare", "exercise", "judge", "marking", "sandbox", "slot", "submission")
"""Modules that decide about points: when one changes, everything is graded anew."""
NOT_HIDDEN: Final = (
    "Hidden cases are not tried: here a submission could read them. Points come from the visible cases. "
    "Install bubblewrap, or accept the risk with --allow-unsafe."
)
_MAKING: Final = threading.Lock()  # the frameworks that give expected values are imported by one thread


@dataclass(frozen=True)
class Task:
    """One submission on its way: what it is, under which key its result is kept."""

    paper: Paper
    submission: Submission
    key: str
    seed: tuple[int, int]
    hidden: bool

    def works(self) -> list[Work]:
        """Return what is to be tried; made only now, since a class's cases together are large."""
        with _MAKING:
            return works(self.paper, self.submission, self.seed, self.hidden)


def grade(
    submissions: Path,
    out: Path,
    *,
    solutions: Path | None = None,
    roster: Sequence[str] = (),
    seed: int | None = None,
    jobs: int | None = None,
    tier: Tier | None = None,
    allow_unsafe: bool = False,
    scheduler: str | None = None,
    say: Callable[[str], None] = print,
) -> ClassResult:
    """Grade what is new in a folder of submissions; return the whole class.

    Parameters
    ----------
    submissions, out : pathlib.Path
        What was handed in; where the ledger lies.
    solutions : pathlib.Path, optional
        The teacher's folder.
    roster : sequence of str
        Everybody in the class. Folders that `course variants` named are known again, and who handed in
        nothing is told.
    seed : int, optional
        From which every student's hidden cases are made; by default a secret one, drawn once for this ledger.
    jobs : int, optional
        Answers tried at once; by default one for each core.
    tier : str, optional
        Insist on a tier of the sandbox.
    allow_unsafe : bool
        Try hidden cases even where the sandbox is only ``plain``.
    scheduler : str, optional
        Address of a Dask scheduler that hands the work to other machines.
    say : callable
        Is told what is going to be done.

    Returns
    -------
    ClassResult

    Raises
    ------
    BadInput
        When nothing was handed in.
    CourseError
        When another grading writes to `out`, or no worker can be started.
    """
    folder = solutions or catalogue.solutions_folder()
    sandbox = probe(tier)
    _out_of_sight(sandbox, folder, submissions, out)
    hidden = sandbox.tier != "plain" or allow_unsafe
    with only_one(out, "course grade", "--out"), Ledger(out / LEDGER) as ledger:
        class_seed = int(ledger.setting("seed", str(secrets.randbits(63))) if seed is None else seed)
        papers = {path.stem: Paper.load(folder, path) for path in catalogue.notebooks(folder)}
        found = submission.find(submissions, list(papers), {safe_name(name): name for name in roster})
        ledger.keep_only((one.student, one.notebook) for one in found)
        settings = (sandbox.tier, hidden, class_seed, environment_digest())
        todo = list(_todo(found, papers, ledger, settings))
        say(f"{len(found)} submissions, {len(todo)} of them new or changed. Sandbox: {sandbox}.")
        if not hidden:
            say(NOT_HIDDEN)
        _tell_of_roster(roster, {one.student for one in found}, say)
        with Progress("grading", len(todo), "submissions") as bar:
            for task, outcomes in _tried(todo, sandbox, jobs or os.cpu_count() or 1, scheduler, allow_unsafe):
                result = marked(task.paper, task.submission, outcomes, task.seed, hidden, sandbox.tier)
                ledger.keep(task.key, result)
                bar.update()
        return ClassResult(ledger.all(), str(sandbox), roster)


def _tell_of_roster(roster: Sequence[str], present: set[str], say: Callable[[str], None]) -> None:
    """Tell who of the roster handed in nothing, and whom it does not name."""
    absent, unknown = set(roster) - present, present - set(roster) if roster else set()
    for students, what in ((absent, "handed in nothing"), (unknown, "handed in, but are not on the roster")):
        if students:
            say(f"{len(students)} {what}: {named(sorted(students))}.")


def _out_of_sight(sandbox: Sandbox, *places: Path) -> None:
    """Refuse to grade from where a sandbox lets submissions read."""
    seen = [] if sandbox.tier == "plain" else shown()
    for place in places:
        if any(place.resolve().is_relative_to(folder.resolve()) for folder in seen):
            raise CourseError(
                f"{place} lies in a folder that the sandbox shows to submissions, as it does all of Python.",
                "Move solutions, submissions and gradebook out of it, for instance to your home.",
            )


def _todo(
    found: Sequence[submission.Found], papers: dict[str, Paper], ledger: Ledger, settings: tuple[object, ...]
) -> Iterator[Task]:
    """Yield the submissions that are not graded yet as they are now, notebook by notebook."""
    for one in sorted(found, key=lambda one: (one.notebook, one.student)):
        paper = papers[one.notebook]
        read = submission.read(one, list(paper.items.values()), paper.functions, paper.setup)
        told = json.dumps([read.digest, read.notes, paper.digest, one.student, *settings])
        key = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        if not ledger.has(one.student, one.notebook, key):
            seed, hidden = seed_of(int(str(settings[2])), one.student), bool(settings[1])
            yield Task(paper, read, key, seed, hidden)


def _tried(
    todo: Sequence[Task], sandbox: Sandbox, jobs: int, scheduler: str | None, unsafe: bool
) -> Iterator[tuple[Task, list[Outcome]]]:
    if scheduler:
        from course_lib.grading.cluster import tried_on_cluster

        yield from tried_on_cluster(todo, scheduler, sandbox.tier, unsafe)
    elif todo:
        yield from _tried_here(todo, sandbox, min(jobs, len(todo)))


def _tried_here(todo: Sequence[Task], sandbox: Sandbox, jobs: int) -> Iterator[tuple[Task, list[Outcome]]]:
    """Yield outcomes as they come from workers on this machine, one worker for each job."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in todo:
        waiting.put(task)
    done: queue.Queue[tuple[Task, list[Outcome]] | BaseException] = queue.Queue(maxsize=4 * jobs)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_serve, args=(waiting, done, stop, sandbox), daemon=True) for _ in range(jobs)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in todo:
            came = done.get()
            if isinstance(came, BaseException):
                raise came
            yield came
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):
            try:
                done.get(timeout=0.05)  # make room, so that nobody waits for us
            except queue.Empty:
                continue


def _serve(
    waiting: queue.SimpleQueue[Task],
    done: queue.Queue[tuple[Task, list[Outcome]] | BaseException],
    stop: threading.Event,
    sandbox: Sandbox,
) -> None:
    """Take submissions until none is left; the worker stays warm as long as the notebook stays the same."""
    slot: Slot | None = None
    try:
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            if slot is None or slot.imports != task.paper.imports:
                if slot is not None:
                    slot.close()
                slot = Slot(sandbox, task.paper.imports)
            done.put((task, patiently(slot, task.works())))
    except BaseException as error:
        done.put(error)
    finally:
        if slot is not None:
            slot.close()


def patiently(slot: Slot, todo: Sequence[Work]) -> list[Outcome]:
    """Try the answers of a submission; a worker that is lost on the way is started again.

    Raises
    ------
    CourseError
        When workers keep being lost.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            return attempt_all(slot, todo)
        except Trouble as error:
            slot.close()
            if not left:
                raise CourseError(
                    f"Workers were lost {ATTEMPTS} times in a row: {error}.",
                    "Free memory, or grade with fewer --jobs.",
                ) from None
    return []


def environment_digest() -> str:
    """Return a fingerprint of the versions and of the code that decides about points."""
    from importlib import metadata

    installed = {one.metadata["Name"].lower(): one.version for one in metadata.distributions()}
    digest = hashlib.sha256(json.dumps([installed.get(name, "") for name in DEPENDED_ON]).encode())
    here = Path(__file__).parent
    for path in sorted([*(here / "worker").glob("*.py"), *(here / f"{name}.py" for name in DECIDE)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
