"""Is what came back what was expected? Messages say in what it differs, never what it should have been."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from course_lib.errors import BadInput

How = Literal["close", "equal", "kind", "choice"]
NUMBERS = (bool, int, float, complex)


@dataclass(frozen=True)
class Expectation:
    """A value and how strictly it is meant. Made by `close`, `equal`, `kind` and `choice`.

    Parameters
    ----------
    how : {"close", "equal", "kind", "choice"}
    value : object
        A plain value.
    options : dict
        Tolerances and the like, plain values too.
    """

    how: How
    value: Any
    options: dict[str, Any] = field(default_factory=dict)

    def problem(self, found: Any) -> str:
        """Return in what `found` differs, in words; empty when it does not.

        Examples
        --------
        >>> close(np.zeros((2, 3))).problem(np.zeros((3, 2)))
        'an array of shape (2, 3) was expected, one of shape (3, 2) came'
        >>> close(1.0).problem(1.0 + 1e-9)
        ''
        """
        if self.how == "choice":
            return _choice(self.value, found, **self.options)
        try:
            return _differs(self.value, found, self.how, self.options, "")
        except RecursionError:
            return "the result is nested too deeply"


def close(value: Any, *, rtol: float = 1e-6, atol: float = 1e-9, dtype: bool = False) -> Expectation:
    """Expect `value`, numbers within a tolerance: ``|found - value| <= atol + rtol * max |value|``.

    Parameters
    ----------
    value : object
        A plain value; containers are compared item by item.
    rtol, atol : float
        `rtol` is relative to the largest number of each array: single elements near zero are not judged more
        strictly than the arithmetic allows.
    dtype : bool
        Whether arrays must have exactly this dtype; otherwise real numbers of any width will do.
    """
    return Expectation("close", value, {"rtol": rtol, "atol": atol, "dtype": dtype})


def equal(value: Any) -> Expectation:
    """Expect exactly `value`: for names, counts, predicted classes, orders."""
    return Expectation("equal", value)


def kind(value: Any) -> Expectation:
    """Expect something of the kind of `value`: types, shapes and keys; the numbers are not compared.

    For what a visible case may not give away, such as what is read off a figure.
    """
    return Expectation("kind", value)


def choice(
    scores: dict[str, float], *, within: float, forbidden: dict[str, str] | None = None
) -> Expectation:
    """Expect one of the options in `scores`, as good as the best up to `within`.

    Parameters
    ----------
    scores : dict
        Held-out result of every option that there is.
    within : float
        How far below the best allowed score the chosen one may lie.
    forbidden : dict, optional
        Options that break a condition, with the reason that is told.

    Raises
    ------
    BadInput
        When every option is forbidden.

    Examples
    --------
    >>> told = choice({"probe": 0.75, "all": 0.88}, within=0.02, forbidden={"all": "it takes 9 minutes of 5"})
    >>> told.problem("all")
    'this choice breaks a condition: it takes 9 minutes of 5'
    >>> told.problem("probe")
    ''
    """
    forbidden = dict(forbidden or {})
    if not set(scores) - set(forbidden):
        raise BadInput("A choice needs an option that is allowed; all are forbidden.")
    return Expectation("choice", dict(scores), {"within": within, "forbidden": forbidden})


def _choice(scores: dict[str, float], found: Any, within: float, forbidden: dict[str, str]) -> str:
    if type(found) is not str or found not in scores:
        return f"the name of one of the {len(scores)} options was expected, {_shown(found)} came"
    if found in forbidden:
        return f"this choice breaks a condition: {forbidden[found]}"
    best = max(score for name, score in scores.items() if name not in forbidden)
    short = best - scores[found]
    return "" if short <= within else f"held-out data like another allowed option better, by {short:.3g}"


def _differs(expected: Any, found: Any, how: How, options: dict[str, Any], where: str) -> str:
    """Return the first difference, in words."""
    at = f" at {where}" if where else ""
    if isinstance(expected, np.ndarray):
        return _array_differs(expected, found, how, options, at)
    if isinstance(expected, dict):
        return _dict_differs(expected, found, how, options, where)
    if isinstance(expected, list | tuple):
        return _sequence_differs(expected, found, how, options, where)
    if expected is None or isinstance(expected, str | bool):
        return _plain_differs(expected, found, how, at)
    return _number_differs(expected, found, how, options, at)


def _plain_differs(expected: Any, found: Any, how: How, at: str) -> str:
    if type(found) is np.ndarray and found.shape == () and isinstance(expected, bool):
        found = found.item()
    if type(found) is not type(expected):
        return f"{_a(expected)} was expected{at}, {_shown(found)} came"
    if how != "kind" and found != expected:
        return f"another {_kind_of(expected)} was expected{at}"
    return ""


def _number_differs(expected: Any, found: Any, how: How, options: dict[str, Any], at: str) -> str:
    if type(found) is np.ndarray and found.shape == ():
        found = found.item()  # what NumPy makes of a sum is a number to every reader
    if type(found) not in NUMBERS or type(found) is bool:
        return f"a number was expected{at}, {_shown(found)} came"
    if how == "kind":
        return ""
    if how == "equal":
        return "" if found == expected else f"another number was expected{at}"
    return _numbers_differ(np.asarray(expected), np.asarray(found), options, at)


def _array_differs(expected: np.ndarray, found: Any, how: How, options: dict[str, Any], at: str) -> str:
    if type(found) is not np.ndarray and type(found) in NUMBERS and expected.shape == ():
        found = np.asarray(found)
    if type(found) is not np.ndarray:
        return f"an array was expected{at}, {_shown(found)} came"
    if found.shape != expected.shape:
        return f"an array of shape {expected.shape} was expected{at}, one of shape {found.shape} came"
    if options.get("dtype") and found.dtype != expected.dtype:
        return f"an array of dtype {expected.dtype} was expected{at}, one of {found.dtype} came"
    if how == "kind":
        return ""
    if how == "equal":
        wrong = int(np.count_nonzero(found != expected))
        return f"{wrong} of {expected.size} elements differ{at}" if wrong else ""
    return _numbers_differ(expected, found, options, at)


def _numbers_differ(expected: np.ndarray, found: np.ndarray, options: dict[str, Any], at: str) -> str:
    """Compare numbers; NaN and infinities must sit where they are expected."""
    if found.dtype == object:
        return f"a number that fits 64 bits was expected{at}"
    wide = np.result_type(expected.dtype, found.dtype, np.float64)
    a, b = expected.astype(wide), found.astype(wide)
    finite = np.isfinite(a)
    broken = int(np.count_nonzero(finite & ~np.isfinite(b)))
    if broken:
        return f"{broken} of {a.size} numbers are NaN or infinite{at} and should not be"
    if np.isfinite(b[~finite]).any():
        return f"NaN or an infinity was expected{at}"
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return f"another of NaN, inf and -inf was expected{at}"
    if not finite.any():
        return ""
    gap, scale = np.abs(a[finite] - b[finite]), float(np.abs(a[finite]).max())
    allowed = options["atol"] + options["rtol"] * scale
    worst = float(gap.max())
    if worst <= allowed:
        return ""
    many = f", {int(np.count_nonzero(gap > allowed))} of {gap.size} elements" if gap.size > 1 else ""
    return f"off by up to {worst:.2g}{many}{at}; {allowed:.1g} is allowed"


def _dict_differs(expected: dict[Any, Any], found: Any, how: How, options: dict[str, Any], where: str) -> str:
    if type(found) is not dict:
        return f"a dict was expected{f' at {where}' if where else ''}, {_shown(found)} came"
    missing, extra = [k for k in expected if k not in found], [k for k in found if k not in expected]
    if missing or extra:
        parts = [f"without {missing}" if missing else "", f"with {extra[:5]} too many" if extra else ""]
        told = " and ".join(filter(None, parts))
        return f"a dict with the keys {list(expected)} was expected, one {told} came"
    problems = (_differs(v, found[k], how, options, f"{where}[{k!r}]") for k, v in expected.items())
    return next(filter(None, problems), "")


def _sequence_differs(expected: Any, found: Any, how: How, options: dict[str, Any], where: str) -> str:
    at = f" at {where}" if where else ""
    if type(found) is not type(expected):
        return f"{_a(expected)} was expected{at}, {_shown(found)} came"
    if len(found) != len(expected):
        return f"{_a(expected)} of {len(expected)} was expected{at}, one of {len(found)} came"
    problems = (
        _differs(a, b, how, options, f"{where}[{k}]")
        for k, (a, b) in enumerate(zip(expected, found, strict=True))
    )
    return next(filter(None, problems), "")


def _kind_of(value: Any) -> str:
    names = {
        str: "text",
        bool: "truth value",
        type(None): "None",
        np.ndarray: "array",
        int: "number",
        float: "number",
    }
    return names.get(type(value), type(value).__name__)


def _a(value: Any) -> str:
    """Return "a list", "an array", "None"."""
    kind = _kind_of(value)
    if kind == "None":
        return kind
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _shown(value: Any) -> str:
    """Return what came, shortly; it is the learner's own, so it may be told."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return _a(value)
