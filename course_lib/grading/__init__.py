"""Exercises: checked by the learner, graded by a teacher.

A learner needs `check`, and `progress` to see how far they are. Who writes exercises needs `Exercise`,
`Case`, `Wrong` and the expectations `close`, `equal`, `kind`, `choice`.
"""

from course_lib.grading.check import check, solved
from course_lib.grading.compare import Expectation, choice, close, equal, kind
from course_lib.grading.exercise import Case, Exercise, Wrong
from course_lib.grading.tally import progress

__all__ = [
    "Case",
    "Exercise",
    "Expectation",
    "Wrong",
    "check",
    "choice",
    "close",
    "equal",
    "kind",
    "progress",
    "solved",
]
