"""What another notebook has stated: facts read back from the outputs that it was committed with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_lib.measure.facts import MIME

_SAID = {"True": "yes", "False": "no"}  # facts that are answers are recorded as words, by either spelling


@dataclass(frozen=True)
class Stated:
    """A fact of another notebook, or that it is missing; printed, it is words either way.

    Parameters
    ----------
    notebook : str
        Number, for instance ``"04"``.
    name : str
    value : float, int, str or None
        The exact value; None where it was not recorded.
    unit : str
    problem : str
        Why it is missing; empty where it is not.
    """

    notebook: str
    name: str
    value: float | int | str | None
    unit: str = ""
    problem: str = ""

    def __bool__(self) -> bool:
        return self.value is not None

    @property
    def number(self) -> float:
        """The value as a number; NaN where it is missing or a word."""
        return float(self.value) if isinstance(self.value, int | float) else float("nan")

    def __str__(self) -> str:
        if self.value is None:
            return f"[{self.problem}]"
        if str(self.value) in _SAID:
            return _SAID[str(self.value)]
        if self.unit == "%" and not isinstance(self.value, str):
            return f"{float(self.value):.1%}"
        plain = f"{self.value:,.3g}" if isinstance(self.value, float) else str(self.value)
        if isinstance(self.value, int):
            plain = f"{self.value:,}"
        return f"{plain} {self.unit}".strip()

    __repr__ = __str__


def stated(notebook: int | str, name: str, *, folder: str | Path | None = None) -> Stated:
    """Return a fact that a notebook stated when it was last committed.

    Nothing is run: a notebook that has no outputs, or does not exist, gives a fact that is missing and says
    so in words, so that what quotes it goes on.

    Parameters
    ----------
    notebook : int or str
        Its number.
    name : str
        As in ``measure.fact(name, …)``.
    folder : path, optional
        Of the notebooks. Default: this folder, or the one beside the library.

    Returns
    -------
    Stated
        True where it is there; its text holds the exact value, shares as per cents with one decimal.

    Examples
    --------
    >>> found = stated(4, "no such fact")
    >>> bool(found), found.value
    (False, None)
    """
    number = f"{int(notebook):02d}"
    paths = [path for place in _places(folder) for path in sorted(place.glob(f"{number}_*.ipynb"))]
    if not paths:
        return Stated(number, name, None, problem=f"notebook {number} is not here")
    facts = facts_in(paths[0])
    if name in facts:
        return Stated(number, name, facts[name]["value"], str(facts[name].get("unit", "")))
    near = get_close_matches(name, facts, n=1)
    why = f"notebook {number} has not recorded “{name}”" + (f"; it has “{near[0]}”" if near else "")
    return Stated(number, name, None, problem=why if facts else f"notebook {number} has not been run yet")


def facts_in(path: Path) -> dict[str, dict[str, Any]]:
    """Return the facts in a notebook's outputs by name; of equal names the last."""
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, stamp: int) -> dict[str, dict[str, Any]]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    facts = (output.get("data", {}).get(MIME) for output in outputs)
    return {fact["name"]: fact for fact in facts if isinstance(fact, dict) and {"name", "value"} <= set(fact)}


def _places(folder: str | Path | None) -> list[Path]:
    if folder is not None:
        return [Path(folder)]
    beside = Path(__file__).parents[2] / "notebooks"
    return [Path(), Path("notebooks"), beside]
