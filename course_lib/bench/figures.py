"""Figures of a benchmark: measured in alternation with a rival, told with their spread."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.errors import CourseError

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
VERSIONS = ("keras", "numpy", "scikit-learn", "tensorflow", "tensorflow-cpu", "torch", "transformers")


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Parameters
    ----------
    name, what : str
        Which comparison it belongs to, and what was measured, in words.
    value : float
        Median over the repeats.
    unit : str
    rival : str
        What it was measured against, or "".
    ratio, low, high : float or None
        Median and range, over pairs of runs, of how many times faster (or larger) than the rival.
    accuracy, rival_accuracy : float or None
        Where both end in a classifier: their accuracy on the same test examples.
    goal : str
        What the course promises.
    note : str
        Circumstances.
    """

    name: str
    what: str
    value: float
    unit: str
    rival: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    accuracy: float | None = None
    rival_accuracy: float | None = None
    goal: str = ""
    note: str = ""


@dataclass(frozen=True)
class Pairs:
    """Seconds of two ways of doing one thing, run in turn.

    Parameters
    ----------
    ours, rival : tuple of float
    """

    ours: tuple[float, ...]
    rival: tuple[float, ...]

    @property
    def times_faster(self) -> tuple[float, float, float]:
        """Median, least and most of rival / ours over the pairs.

        Examples
        --------
        >>> Pairs((1.0, 2.0, 1.0), (4.0, 4.0, 3.0)).times_faster
        (3.0, 2.0, 4.0)
        """
        ratios = np.asarray(self.rival) / np.asarray(self.ours)
        return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def alternate(ours: Callable[[], Any], rival: Callable[[], Any], repeats: int) -> Pairs:
    """Time two callables in turn, so that a machine that slows down slows both.

    Parameters
    ----------
    ours, rival : callable
        Without arguments; what they return is dropped.
    repeats : int
        Pairs. Every other pair starts with the rival.
    """
    seconds: dict[int, list[float]] = {0: [], 1: []}
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            start = time.perf_counter()
            (ours, rival)[which]()
            seconds[which].append(time.perf_counter() - start)
    return Pairs(tuple(seconds[0]), tuple(seconds[1]))


def machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, system, versions."""
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def to_json(figures: Sequence[Figure]) -> str:
    """Return figures and circumstances as JSON."""
    content = {**machine(), "figures": [asdict(figure) for figure in figures]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def join_kept(figures: Sequence[Figure], path: Path, order: Sequence[str]) -> list[Figure]:
    """Return these figures among those kept in `path` from earlier runs, and keep them all.

    Figures of a comparison replace its earlier ones. Those of another machine, or of other versions, are
    dropped: a table tells of one machine.

    Parameters
    ----------
    figures : sequence of Figure
    path : pathlib.Path
        A file of `to_json`; made where there is none.
    order : sequence of str
        Names of comparisons, as the table shall have them.
    """
    earlier: list[Figure] = []
    if path.exists():
        content = json.loads(path.read_text("utf8"))
        found = [Figure(**figure) for figure in content.pop("figures")]
        if _still_true(content, machine()):
            new = {figure.name for figure in figures}
            earlier = [figure for figure in found if figure.name not in new]
    joined = sorted([*figures, *earlier], key=lambda figure: list(order).index(figure.name))
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(joined), "utf8")
    return joined


def _still_true(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Tell whether figures were measured on this machine, with versions of which none has changed since.

    A package that was not there yet cannot have mattered.
    """
    versions = kept.get("versions", {})
    same = all(now["versions"].get(name) == version for name, version in versions.items())
    return same and {**kept, "versions": None} == {**now, "versions": None}


def report_lines(figures: Sequence[Figure]) -> list[tuple[str, str, str, str]]:
    """Return rows (what, figure, against, goal) as text.

    Examples
    --------
    >>> report_lines([Figure("a", "speed", 1234.5, "images/s", "plain", 2.0, 1.9, 2.1)])
    [('speed', '1,234 images/s', '2.0 [1.9, 2.1] × plain', '')]
    """
    rows = []
    for figure in figures:
        digits = 0 if abs(figure.value) >= 100 else 1 if abs(figure.value) >= 10 else 2
        value = f"{figure.value:,.{digits}f} {figure.unit}".strip()
        if figure.accuracy is not None:
            value += f", accuracy {figure.accuracy:.1%}"
        against = figure.rival
        if figure.ratio is not None:
            against = f"{figure.ratio:.1f} [{figure.low:.1f}, {figure.high:.1f}] × {figure.rival}"
        if figure.rival_accuracy is not None:
            against += f", accuracy {figure.rival_accuracy:.1%}"
        rows.append((figure.what, value, against, figure.goal))
    return rows


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table of the README."""
    about = machine()
    lines = ["| what | figure | against | goal |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in report_lines(figures)]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines += [
        "",
        f"{about['cores']} cores, {about['system']} {about['machine']}, Python {about['python']}; "
        f"{versions}.",
    ]
    notes = [f"{figure.what}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, *(f"\n{note}" for note in notes)])


def write_readme(figures: Sequence[Figure], path: Path) -> None:
    """Put the table between the markers of a README.

    Raises
    ------
    CourseError
        When the markers are not there.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise CourseError(
            f"{path} has no place for the table.", f"Put {BEGIN} and {END} where it shall stand."
        )
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{markdown(figures)}\n{END}{after}", encoding="utf-8")
