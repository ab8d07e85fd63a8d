"""What grading finds: of an exercise, of a submission, of a class; and the form in which it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from course_lib.grading.judge import Verdict

Status = Literal["full", "part", "none", "waiting", "stopped", "missing"]


@dataclass(frozen=True)
class ExerciseResult:
    """What became of one exercise of one submission.

    Attributes
    ----------
    id, title : str
    points : float
        What it is worth.
    earned : float
        The share of hidden cases that passed, times the points; nothing when no visible case passed.
    status : str
        ``full``, ``part`` or ``none``; ``waiting``: the stub as it was; ``missing``: no answer cell;
        ``stopped``: a limit was hit, or the program ended itself or sent what it should not.
    note : str
        For the student: which limit, or how a cell was found again.
    verdicts : list of Verdict
        One for each case, visible ones first; a hidden case tells its name and hint, never its numbers.
    said : str
        What the answer printed, or the words of its error, before any case.
    seconds : float
    """

    id: str
    title: str
    points: float
    earned: float
    status: Status
    note: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    said: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Graded:
    """One submission, graded.

    Attributes
    ----------
    student : str
    notebook : str
        Stem of its file in ``solutions``: ``05_imagenet_to_cifar_fine_tuning``.
    results : list of ExerciseResult
        In the order of the notebook; every exercise is there, graded or not.
    notes : list of str
        What was wrong with the file itself.
    tier : str
        Of the sandbox in which it was graded.
    hidden : bool
        Whether hidden cases were tried; points come from visible ones otherwise.
    answers : dict
        The student's source of each exercise, for the feedback page and the similarity report.
    """

    student: str
    notebook: str
    results: list[ExerciseResult]
    notes: list[str] = field(default_factory=list)
    tier: str = ""
    hidden: bool = True
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def earned(self) -> float:
        """Points in all."""
        return round(sum(result.earned for result in self.results), 2)

    @property
    def points(self) -> float:
        """Points that could be had."""
        return sum(result.points for result in self.results)

    def as_json(self) -> str:
        """Return it as text that `from_json` reads; equal results give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Graded:
        """Return what `as_json` wrote."""
        plain: dict[str, Any] = json.loads(text)
        results = [
            ExerciseResult(**{**one, "verdicts": [Verdict(**verdict) for verdict in one["verdicts"]]})
            for one in plain.pop("results")
        ]
        return cls(results=results, **plain)


@dataclass(frozen=True)
class ClassResult:
    """A class, graded.

    Attributes
    ----------
    graded : list of Graded
        By student, then notebook.
    tier : str
    roster : sequence of str
        Everybody in the class, where that is known.
    """

    graded: Sequence[Graded]
    tier: str = ""
    roster: Sequence[str] = ()

    @property
    def students(self) -> list[str]:
        """Everybody who handed something in, in order."""
        return sorted({one.student for one in self.graded})

    @property
    def absent(self) -> list[str]:
        """Students of the roster who handed in nothing, in order."""
        return sorted(set(self.roster) - set(self.students))

    @property
    def notebooks(self) -> list[str]:
        """The notebooks that were handed in, in order."""
        return sorted({one.notebook for one in self.graded})
