"""The errors of the course: what was given, what was expected, what to do next."""

from __future__ import annotations


class CourseError(Exception):
    """Base of every error that the course raises on purpose.

    Parameters
    ----------
    problem : str
        What was given and what was expected, one or two sentences.
    remedy : str, optional
        What the reader can do next; printed on a line of its own.

    Examples
    --------
    >>> print(CourseError("train=7 labels asked for, 5 exist.", "Ask for at most 5."))
    train=7 labels asked for, 5 exist.
    What to do: Ask for at most 5.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\nWhat to do: {remedy}" if remedy else problem)

    def __reduce__(self) -> tuple[type[CourseError], tuple[str, str]]:
        # The default would hand the joined text to __init__ when the error crosses processes.
        return type(self), (self.problem, self.remedy)


class BadInput(CourseError, ValueError):
    """An argument, a file or an array that the course cannot work with."""


class DataUnavailable(CourseError):
    """Data or weights that are not on this machine and cannot be fetched now."""


class Corrupt(CourseError):
    """Bytes that differ from the published ones (size or SHA-256)."""


class AuditFailed(CourseError):
    """Weights or statistics moved that should not have, or stayed that should have moved."""


class OutOfMemory(CourseError):
    """A run that did not fit; the remedy says which setting to lower."""


class Diverged(CourseError):
    """A loss that became NaN or infinite.

    Attributes
    ----------
    last_good : object or None
        The classifier with the last good weights: nothing that was learnt before is lost.
    """

    last_good: object | None = None
