"""What an exercise is: a function to be written, cases that it must pass, wrong answers that must not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from course_lib.errors import BadInput
from course_lib.grading.compare import Expectation

Tensors = Literal["numpy", "torch", "tensorflow"]


@dataclass(frozen=True)
class Case:
    """One call of the learner's function and what must come of it.

    Parameters
    ----------
    name : str
        What the case is about, told when it fails: ``"a batch of one"``.
    arguments : tuple
        Plain values: numbers, strings, lists, tuples, dicts, arrays.
    expected : Expectation
        What the result is compared with, and how.
    visible : bool
        Whether the learner's own copy holds it. Hidden cases stay with the teacher.
    reason : str
        A hint for who fails it; never the answer.
    mutates : bool
        Whether the function is asked to change its arguments. Otherwise they must come back as they were.
    """

    name: str
    arguments: tuple[Any, ...]
    expected: Expectation
    visible: bool = False
    reason: str = ""
    mutates: bool = False


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer, which must fail the case that names its fault.

    Parameters
    ----------
    name : str
        The mistake: ``"divides by n"``.
    swap : sequence of (str, str)
        What to write instead of what in the solution; each must occur there exactly once.
    fails : str
        Name of a case that it must fail.
    code : str
        The whole answer, where no swap says it.
    """

    name: str
    swap: tuple[tuple[str, str], ...] = ()
    fails: str = ""
    code: str = ""

    def applied(self, solution: str) -> str:
        """Return the wrong answer made from the solution.

        Raises
        ------
        BadInput
            When a text to be swapped does not occur in `solution` exactly once.
        """
        if self.code:
            return self.code
        for old, new in self.swap:
            if solution.count(old) != 1:
                raise BadInput(
                    f"Wrong answer {self.name!r}: {old!r} occurs {solution.count(old)} times "
                    "in the solution, expected once.",
                    "Quote a longer piece of the solution.",
                )
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class Exercise:
    """What the teacher's side knows of an exercise; title, points and minutes stand in its notebook.

    Parameters
    ----------
    id : str
        Number of the notebook and of the exercise: ``"05.2"``.
    answer : str
        Name of the function that the learner writes.
    cases : callable
        From a random generator to cases; other generators give other hidden cases, so that every student may
        get their own. Visible cases come from seed 0.
    wrong : tuple of Wrong
        At least three.
    tensors : {"numpy", "torch", "tensorflow"}
        As what the function receives arrays.
    seconds : float
        For all cases together; whoever takes longer loses the cases that are left.
    memory : int
        Bytes that the answer may take beyond the libraries.

    Examples
    --------
    >>> from course_lib.grading import Case, Wrong, close
    >>> def cases(rng):
    ...     for n in (1, 5):
    ...         x = rng.normal(size=(n, 3))
    ...         yield Case(f"{n} rows", (x,), close(x.mean(axis=0)), visible=n == 5)
    >>> wrong = Wrong("sums", (("mean", "sum"),), fails="5 rows")
    >>> Exercise("99.1", "average", cases, (wrong,)).made(0)[0].name
    '1 rows'
    """

    id: str
    answer: str
    cases: Callable[[np.random.Generator], Iterable[Case]]
    wrong: tuple[Wrong, ...] = ()
    tensors: Tensors = "numpy"
    seconds: float = 10.0
    memory: int = 512 << 20

    def made(self, seed: int | tuple[int, ...]) -> list[Case]:
        """Return the cases that `seed` gives; names are unique.

        Raises
        ------
        BadInput
            When two cases share a name, or none is visible, or none is hidden.
        """
        cases = list(self.cases(np.random.default_rng(seed)))
        names = [case.name for case in cases]
        if len(set(names)) < len(names):
            raise BadInput(f"Exercise {self.id} has two cases of one name among {names}.")
        if all(case.visible for case in cases) or not any(case.visible for case in cases):
            raise BadInput(f"Exercise {self.id} needs cases that are visible and cases that are hidden.")
        return cases
