"""Facts: the few numbers of a notebook that are said aloud, checked and collected."""

from __future__ import annotations

import math
import sys
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from course_lib.errors import BadInput

MIME = "application/vnd.carryover.fact+json"
"""The type under which `course run` finds facts in a notebook's outputs."""


def fact(name: str, value: float | int | str, unit: str = "", to: float | None = None) -> None:
    """State one result: a rounded line for the reader, the exact number for ``results.json``.

    Only the rounded number is in the text, so that a test may demand the very same line on another
    machine, where the last digits differ.

    Parameters
    ----------
    name : str
        What is stated, for instance ``"probe, 5,000 labels"``.
    value : float, int or str
        The exact value. With ``unit="%"`` a share: 0.764 is shown as 76 %.
    unit : str
        Shown after the number.
    to : float, optional
        What to round to, in the terms of `value`: ``to=0.01`` with ``unit="%"`` gives whole per cents.
        Default: whole numbers as they are, others to three significant digits.

    Raises
    ------
    BadInput
        When the value is not a finite number or `to` not positive.

    Examples
    --------
    >>> fact("probe, 5,000 labels", 0.76431, unit="%", to=0.01)
    probe, 5,000 labels: 76 %
    >>> fact("labels that transfer saves", 1234, unit="labels", to=100)
    labels that transfer saves: 1,200 labels
    >>> fact("data", "cifar10")
    data: cifar10
    """
    rounded, text = _rounded(name, value, unit, to)
    line = f"{name}: {text}{' ' + unit if unit else ''}"
    exact = value if isinstance(value, str) else rounded if value == rounded else float(value)
    data = {"text/plain": line, MIME: {"name": name, "value": exact, "unit": unit, "rounded": rounded}}
    if not _displayed(data):
        print(line)


def _rounded(
    name: str, value: float | int | str, unit: str, to: float | None
) -> tuple[float | int | str, str]:
    """Return the rounded value and its digits as text (per cents when the unit is ``"%"``)."""
    if isinstance(value, str):
        return value, value
    number = float(value)
    if not math.isfinite(number):
        raise BadInput(
            f"The fact {name!r} is {number}.", "A fact is a finite number; say in words what went wrong."
        )
    if to is None:
        whole = number == int(number)
        to = (
            1.0
            if whole and unit != "%"
            else 10.0 ** (math.floor(math.log10(abs(number))) - 2)
            if number
            else 1.0
        )
    if not (math.isfinite(to) and to > 0):
        raise BadInput(
            f"The fact {name!r} is to be rounded to {to}.", "Give a positive number, for instance 0.01."
        )
    step = Decimal(repr(float(to)))
    exact = (Decimal(repr(number)) / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step
    shown = exact * 100 if unit == "%" else exact
    places = max(0, -int((step * 100 if unit == "%" else step).normalize().as_tuple().exponent))
    text = f"{shown:,.{places}f}"
    text = text.removeprefix("-") if float(shown) == 0 else text
    return (int(exact) if exact == int(exact) else float(exact)), text


def _displayed(data: dict[str, Any]) -> bool:
    """Show `data` through a running IPython, if there is one that shows more than text."""
    ipython = sys.modules.get("IPython")  # a plain terminal need not import it
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    shell.display_pub.publish(data=data)
    return True
