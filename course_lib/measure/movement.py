"""How far a fit carried each part of a network from where it began."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.audit import STATISTICS
from course_lib.measure.report import html_table, text_table

WEIGHTS, NORMS = "weights", "BatchNorm statistics"
_HEAD = ("block", "what", "numbers", "‖w₀‖", "‖w - w₀‖", "relative")


@dataclass(frozen=True)
class MovementRow:
    """One block's weights, or its BatchNorm statistics, taken as one long vector.

    Parameters
    ----------
    block : str
    kind : str
        ``"weights"`` or ``"BatchNorm statistics"``.
    numbers : int
        How many there are.
    size, distance : float
        ``‖w₀‖`` and ``‖w - w₀‖``.
    """

    block: str
    kind: str
    numbers: int
    size: float
    distance: float

    @property
    def relative(self) -> float:
        """Distance over size; 0 where nothing moved, infinite from zeros."""
        if self.distance == 0:
            return 0.0
        return self.distance / self.size if self.size else math.inf


@dataclass(frozen=True)
class Movement:
    """How far every block moved, from input to output; see `movement`."""

    rows: tuple[MovementRow, ...]

    def of(self, kind: str = WEIGHTS) -> dict[str, float]:
        """Return the relative movement by block, of ``"weights"`` or ``"BatchNorm statistics"``."""
        return {row.block: row.relative for row in self.rows if row.kind == kind}

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values."""
        return {"rows": [{**vars(row), "relative": row.relative} for row in self.rows]}

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.block,
                row.kind,
                f"{row.numbers:,}",
                f"{row.size:.3g}",
                f"{row.distance:.3g}",
                relative_words(row.relative),
            )
            for row in self.rows
        ]

    def __str__(self) -> str:
        return text_table([_HEAD, *self._cells()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Movement</b> from the start", _HEAD, self._cells())


def relative_words(value: float) -> str:
    """Return a relative movement as text.

    Examples
    --------
    >>> [relative_words(v) for v in (0.0, 0.00123, 0.5, 2.0, math.inf)]
    ['0', '0.12%', '50%', '200%', 'from zero']
    """
    if math.isinf(value):
        return "from zero"
    return "0" if value == 0 else f"{float(f'{100 * value:.2g}'):g}%"


def movement(
    start: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    *,
    block_of: Callable[[str], str] | None = None,
) -> Movement:
    """Measure how far each block's weights went, relative to how long they were.

    Parameters
    ----------
    start, weights : mapping of str to numpy.ndarray
        Before and after: ``"layer/variable"`` to values, for instance ``tuned.start`` and ``tuned.weights``.
    block_of : callable, optional
        From a layer's name to its block. Default: the part before the first underscore. The name itself,
        ``block_of=str``, measures every layer.

    Returns
    -------
    Movement
        Blocks in the order of `start`.

    Raises
    ------
    BadInput
        When the two hold different names or shapes, or NaN.

    Examples
    --------
    >>> old = {"stem/kernel": np.ones(4), "stem_bn/moving_mean": np.ones(2), "head/kernel": np.ones(4)}
    >>> new = {**old, "head/kernel": np.full(4, 1.5)}
    >>> print(movement(old, new))
    block  what                  numbers  ‖w₀‖  ‖w - w₀‖  relative
    stem   weights               4        2     0         0
    stem   BatchNorm statistics  2        1.41  0         0
    head   weights               4        2     1         50%
    """
    if start.keys() != weights.keys():
        odd = sorted(start.keys() ^ weights.keys())
        raise BadInput(
            f"Start and weights hold different names, {len(odd)} in all, for instance {', '.join(odd[:3])}.",
            "Take both from the same network.",
        )
    group = block_of or (lambda layer: layer.split("_")[0])
    sums: dict[tuple[str, str], list[float]] = {}
    for name, old in start.items():
        layer, _, variable = name.partition("/")
        key = (group(layer), NORMS if variable in STATISTICS else WEIGHTS)
        cell = sums.setdefault(key, [0, 0.0, 0.0])
        for k, part in enumerate(_squares(name, np.asarray(old), np.asarray(weights[name]))):
            cell[k] += part
    rows = (
        MovementRow(block, kind, int(n), math.sqrt(size), math.sqrt(distance))
        for (block, kind), (n, size, distance) in sums.items()
    )
    return Movement(tuple(rows))


def _squares(name: str, old: np.ndarray, new: np.ndarray) -> tuple[int, float, float]:
    """Return how many numbers there are, and the squared lengths of the start and of the way."""
    if old.shape != new.shape:
        raise BadInput(
            f"{name} has shape {old.shape} at the start and {new.shape} now.", "Take both from one network."
        )
    size = float(np.square(old, dtype=np.float64).sum())
    distance = float(np.square(np.subtract(new, old, dtype=np.float64)).sum())
    if not np.isfinite(size + distance):
        raise BadInput(f"{name} holds NaN or infinity.", "Train again with a lower learning rate.")
    return old.size, size, distance
