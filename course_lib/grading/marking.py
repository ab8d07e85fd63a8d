"""From what was asked and what came back to points: the teacher's side, which no submission sees."""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from course_lib.grading import catalogue, source
from course_lib.grading.attempt import Outcome, Work
from course_lib.grading.exercise import Case, Exercise
from course_lib.grading.judge import Verdict, failed, judged
from course_lib.grading.release import VISIBLE_SEED
from course_lib.grading.results import ExerciseResult, Graded, Status
from course_lib.grading.slot import Limits, Reply
from course_lib.grading.source import Item
from course_lib.grading.submission import Answer, Submission, definitions

WAITING = "it waits for its code"
TELLING = re.compile(r" came$|too many| at \[")


@dataclass(frozen=True)
class Paper:
    """An exercise notebook with everything that is needed to mark it.

    Attributes
    ----------
    stem, number : str
    items : dict of Item
    exercises : dict of Exercise
        Both by id.
    setup : str
        Source of the set-up cell.
    digest : str
        Of everything that decides about points.
    """

    stem: str
    number: str
    items: Mapping[str, Item]
    exercises: Mapping[str, Exercise]
    setup: str
    digest: str

    @classmethod
    def load(cls, folder: Path, path: Path) -> Paper:
        """Read a notebook of the teacher's folder and its checks."""
        number = path.name[:2]
        notebook = source.read(path)
        setup = next((cell.source for cell in notebook.cells if cell.id == f"{number}-setup"), "")
        checks = folder / "checks"
        digest = hashlib.sha256(path.read_bytes())
        for file in (
            checks / f"c{number}.py",
            *sorted(checks.glob("_*.py")),
            *sorted(checks.glob(f"{number}*.json")),
        ):
            digest.update(file.read_bytes())
        items = catalogue.items(folder, number)
        return cls(path.stem, number, items, catalogue.exercises(folder, number), setup, digest.hexdigest())

    @property
    def functions(self) -> dict[str, str]:
        """Names of the functions that answer the exercises."""
        return {key: exercise.answer for key, exercise in self.exercises.items()}

    @property
    def imports(self) -> tuple[str, ...]:
        """Libraries that the set-up cell imports, and those that arguments are made with."""
        return imports_of(self.setup, {exercise.tensors for exercise in self.exercises.values()})


def imports_of(setup: str, tensors: Iterable[str]) -> tuple[str, ...]:
    r"""Return the libraries that a set-up cell imports, and those that arguments are made with.

    Examples
    --------
    >>> imports_of("import numpy as np\nfrom course_lib import show", {"torch", "numpy"})
    ('numpy', 'torch')
    """
    names = list(tensors)
    for node in ast.walk(ast.parse(definitions(setup, imports_only=True))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return tuple(sorted(set(names)))


def seed_of(class_seed: int, student: str) -> tuple[int, int]:
    """Return the seed of a student's hidden cases: their own, and the same every time."""
    return class_seed, zlib.crc32(student.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=256)
def cases_of(exercise: Exercise, seed: int | tuple[int, int], hidden: bool) -> tuple[Case, ...]:
    """Return the visible cases as learners have them, and the hidden ones of a seed."""
    seen = [case for case in exercise.made(VISIBLE_SEED) if case.visible]
    return (*seen, *(case for case in exercise.made(seed) if not case.visible)) if hidden else tuple(seen)


def works(paper: Paper, submission: Submission, seed: int | tuple[int, int], hidden: bool) -> list[Work]:
    """Return what is to be tried of a submission."""
    made = []
    for key, exercise in paper.exercises.items():
        answer = submission.answers.get(key)
        if answer is None or not answer.cells:
            continue
        arguments = [case.arguments for case in cases_of(exercise, seed, hidden)]
        limits = Limits(seconds=exercise.seconds, memory=exercise.memory)
        made.append(Work(key, answer.cells, exercise.answer, exercise.tensors, arguments, limits))
    return made


def marked(
    paper: Paper,
    submission: Submission,
    outcomes: Sequence[Outcome],
    seed: int | tuple[int, int],
    hidden: bool = True,
    tier: str = "",
) -> Graded:
    """Return a submission's result: every exercise of the paper, with a verdict on each of its cases."""
    tried = {outcome.exercise: outcome for outcome in outcomes}
    results = []
    for key, item in paper.items.items():
        cases = cases_of(paper.exercises[key], seed, hidden)
        answer = submission.answers.get(key, Answer([], "", "the file has no answer to it"))
        results.append(_result(item, cases, answer, tried.get(key), hidden))
    return Graded(
        submission.found.student,
        paper.stem,
        results,
        submission.notes,
        tier,
        hidden,
        {key: answer.source for key, answer in submission.answers.items() if answer.source},
    )


def _result(
    item: Item, cases: Sequence[Case], answer: Answer, outcome: Outcome | None, hidden: bool
) -> ExerciseResult:
    if outcome is None:
        verdicts = [failed(case, "there is no answer") for case in cases]
        return ExerciseResult(item.id, item.title, item.points, 0.0, "missing", answer.note, verdicts)
    verdicts = verdicts_on(cases, outcome)
    counted = [verdict for verdict in verdicts if not verdict.visible or not hidden]
    lost = not any(verdict.ok for verdict in verdicts if verdict.visible)  # what passes then is luck
    share = 0.0 if lost else sum(verdict.ok for verdict in counted) / len(counted)
    notes = [answer.note, outcome.stopped and f"stopped: {outcome.stopped}"]
    said = outcome.said if not outcome.begun.error else f"{outcome.said}\n{_words(outcome.begun)}".strip()
    return ExerciseResult(
        item.id,
        item.title,
        item.points,
        round(item.points * share, 2),
        _status(share, outcome, verdicts),
        "; ".join(note for note in notes if note),
        verdicts,
        said,
    )


def verdicts_on(cases: Sequence[Case], outcome: Outcome) -> list[Verdict]:
    """Return a verdict on each case, whatever became of the attempt."""
    return [_verdict(case, k, outcome) for k, case in enumerate(cases)]


def _status(share: float, outcome: Outcome, verdicts: Sequence[Verdict]) -> Status:
    if share == 1:
        return "full"
    if outcome.stopped:
        return "stopped"
    if verdicts and verdicts[0].problem == WAITING:
        return "waiting"
    return "part" if share else "none"


def _verdict(case: Case, place: int, outcome: Outcome) -> Verdict:
    if outcome.begun.error:
        return failed(case, f"the cell raises {_words(outcome.begun)}")
    if place >= len(outcome.replies):
        waits = bool(outcome.replies) and outcome.replies[-1].error == "NotImplementedError"
        return failed(case, WAITING if waits else f"it was not reached: {outcome.stopped or 'no answer'}")
    reply = outcome.replies[place]
    if reply.error == "NotImplementedError":
        return failed(case, WAITING)
    if reply.error == "NotPlain":
        return failed(
            case, f"the result is {reply.words}" if case.visible else "the result is no plain value"
        )
    if reply.error:
        return failed(case, f"it raised {_words(reply) if case.visible else _named(reply.error)}")
    verdict = judged(case, reply.result, reply.arguments)
    return verdict if case.visible or verdict.ok else failed(case, _kept_back(verdict.problem))


def _named(error: str) -> str:
    """Return the name of an error that a hidden case raised; one of the answer's own could carry numbers."""
    known = isinstance(getattr(builtins, error, None), type) or error in ("LinAlgError", "AxisError")
    return error if known else "an error of its own kind"


def _kept_back(problem: str) -> str:
    """Return what is told of a hidden case: not what came, which could be made to carry its numbers."""
    return "something of another kind was expected" if TELLING.search(problem) else problem


def _words(reply: Reply) -> str:
    where = f" in line {reply.line}" if reply.line else ""
    return f"{reply.error}{where}" + (f": {reply.words}" if reply.words else "")
