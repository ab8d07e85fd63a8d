"""`check("05.2")`: the learner's own check, at once and offline."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.errors import BadInput
from course_lib.grading import catalogue, tally
from course_lib.grading.card import Status, card
from course_lib.grading.exercise import Case
from course_lib.grading.judge import Verdict, failed, judged
from course_lib.grading.worker import values
from course_lib.grading.worker.call import call


@dataclass(frozen=True)
class Checked:
    """What became of an exercise's cases; true when all passed, and readable when shown.

    Attributes
    ----------
    id, title : str
    verdicts : list of Verdict
        Empty when the exercise still waits for its code.
    points : float
        Share of the exercise's points that these cases earn.
    """

    id: str
    title: str
    verdicts: list[Verdict]
    points: float
    note: str = ""

    def __bool__(self) -> bool:
        return bool(self.verdicts) and all(verdict.ok for verdict in self.verdicts)

    def __repr__(self) -> str:
        if not self.verdicts:
            return f"{self.id} {self.title}: waits for your code."
        passed = sum(verdict.ok for verdict in self.verdicts)
        lines = [f"{self.id} {self.title}: {passed} of {len(self.verdicts)} cases pass."]
        for verdict in self.verdicts:
            lines.append(
                f"  {'✓' if verdict.ok else '✗'} {verdict.case}"
                + (f": {verdict.problem}." if verdict.problem else "")
            )
            if verdict.reason:
                lines.append(f"      {verdict.reason}")
        return "\n".join([*lines, *([self.note] if self.note else [])])

    @property
    def status(self) -> Status:
        """``solved``, ``failing``, or ``waiting`` for code."""
        return "solved" if self else "failing" if self.verdicts else "waiting"

    def _repr_html_(self) -> str:
        return card(self.status, repr(self))


def check(exercise: str, *, hidden: bool = False, answer: Callable[..., Any] | None = None) -> Any:
    """Try your answer on the cases of an exercise.

    Parameters
    ----------
    exercise : str
        Its number: ``"05.2"``.
    hidden : bool
        The teacher's cases, where the teacher's folder is at hand.
    answer : callable, optional
        The function; by default the one of the agreed name where `check` is called.

    Returns
    -------
    Checked
        True when every case passed. Under nbgrader, the points earned, as it expects.

    Raises
    ------
    BadInput
        When there is no such exercise.
    AssertionError
        Under nbgrader alone: when nothing was earned, or when it validates and a case fails.
    """
    known = _known(exercise)
    function = answer or _namespace().get(known["answer"])
    cases = _hidden_cases(exercise) if hidden else [catalogue.case_of(plain) for plain in known["cases"]]
    grading = os.environ.get("NBGRADER_EXECUTION")
    with _unheard() if grading else contextlib.nullcontext():
        verdicts = tried(function, cases, known["tensors"]) if function else _missing(known["answer"], cases)
    points = known["points"] * sum(v.ok for v in verdicts) / len(cases)
    if grading is None and not hidden:
        tally.note(exercise, bool(verdicts) and all(verdict.ok for verdict in verdicts))
    result = Checked(
        exercise, known["title"], verdicts, round(points, 2), "" if grading or hidden else _so_far()
    )
    if grading is None:
        return result
    if not hidden:
        print(result)  # for the feedback page
    if not result.points or (grading != "autograde" and not result):
        raise AssertionError(str(result))
    return result.points


def solved(exercise: str) -> bool:
    """Tell whether the answer in this notebook passes its visible cases; says nothing and keeps nothing."""
    known = _known(exercise)
    function = _namespace().get(known["answer"])
    if function is None:
        return False
    cases = [catalogue.case_of(plain) for plain in known["cases"]]
    verdicts = tried(function, cases, known["tensors"])
    return bool(verdicts) and all(verdict.ok for verdict in verdicts)


def tried(function: Callable[..., Any], cases: Sequence[Case], tensors: str) -> list[Verdict]:
    """Return a verdict for each case; none when the function still waits for its code."""
    verdicts = []
    for case in cases:
        try:
            result, after = call(function, case.arguments, tensors)
        except NotImplementedError:
            return []
        except values.NotPlain as error:
            told = f"the result is {error}" if case.visible else "the result is no plain value"
            verdicts.append(failed(case, told))
        except Exception as error:  # whatever a learner's code raises is a finding, not a failure of ours
            words = f": {error}" if case.visible else ""  # they may hold a hidden case's numbers
            verdicts.append(failed(case, f"it raised {type(error).__name__}{words}"))
        else:
            verdicts.append(judged(case, result, after))
    return verdicts


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Keep a warning from costing all points: nbgrader gives none to a cell that wrote to stderr."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)  # what libraries of C write
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _known(exercise: str) -> dict[str, Any]:
    if not catalogue.ID.fullmatch(exercise):
        raise BadInput(f"{exercise!r} is not the number of an exercise.", 'Write it as "05.2".')
    known = catalogue.visible(catalogue.exercises_folder(), exercise)
    if exercise not in known:
        raise BadInput(f"There is no exercise {exercise}.", f"This notebook has {', '.join(known)}.")
    return known[exercise]


def _hidden_cases(exercise: str) -> list[Case]:
    made = catalogue.exercises(catalogue.solutions_folder(), exercise)[exercise].made(1)
    return [case for case in made if not case.visible]


def _missing(name: str, cases: Sequence[Case]) -> list[Verdict]:
    return [
        failed(case, f"there is no function named {name}; run the cell that defines it") for case in cases
    ]


def _so_far() -> str:
    now = tally.progress()
    return f"Progress: {now.solved} of {now.total} exercises solved."


def _namespace() -> dict[str, Any]:
    """Return the names where `check` or `solved` was called: the notebook's, or the caller's module."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith("course_lib.grading") and frame.f_back:
        frame = frame.f_back
    return {**frame.f_globals, **frame.f_locals}
