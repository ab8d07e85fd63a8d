"""From what came back to a verdict on one case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from course_lib.grading.exercise import Case
from course_lib.grading.worker import values


@dataclass(frozen=True)
class Verdict:
    """What became of one case.

    Attributes
    ----------
    case : str
        Its name.
    problem : str
        In what the answer differs; empty: it passed.
    reason : str
        The hint of the case, when it failed.
    visible : bool
    """

    case: str
    problem: str
    reason: str = ""
    visible: bool = True

    @property
    def ok(self) -> bool:
        """Whether the case passed."""
        return not self.problem


def judged(case: Case, result: Any, arguments_after: Any) -> Verdict:
    """Compare a result, and the arguments as the function left them, with what the case expects."""
    problem = case.expected.problem(result)
    if not problem and not case.mutates and not _same(case.arguments, arguments_after):
        problem = "the result is right, but the arguments were changed on the way; work on copies"
    return failed(case, problem)


def failed(case: Case, problem: str) -> Verdict:
    """Return the verdict of a case; an empty problem means that it passed."""
    return Verdict(case.name, problem, case.reason if problem else "", case.visible)


def _same(one: Any, other: Any) -> bool:
    """Tell whether two plain values are the same to the last bit, NaN included."""
    try:
        return values.dumps(one) == values.dumps(other)
    except values.NotPlain:
        return False
