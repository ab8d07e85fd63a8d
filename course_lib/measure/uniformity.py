"""Two languages on one sphere: are partners near, is each spread out, how far apart are the two."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.directions import unit_pairs
from course_lib.measure.report import Interval, html_table, interval, text_table

SHARPNESS = 2.0
"""The t of uniformity, as published."""

_CELLS = 2**22  # squared distances in memory at once, 32 MB


@dataclass(frozen=True)
class Uniformity:
    """Two sides of pairs on the unit sphere; see `alignment_and_uniformity`.

    Parameters
    ----------
    names : tuple of str
    n : int
        Pairs.
    alignment : Interval
        Mean squared distance of partners: 0 where they lie on each other, 2 for right angles.
    strangers : float
        Mean squared distance of rows of different pairs, one from each side: what alignment has to beat.
    uniformity : tuple of float
        Of each side: the log of a mean, 0 where all rows are equal, about -2 t = -4 for rows spread evenly
        in many dimensions.
    gap : float
        Distance of the two means; a sphere is 2 across.
    between : float
        Share of all variance that lies between the two sides: 0 where their means are equal, 1 where each
        side is one point.
    """

    names: tuple[str, str]
    n: int
    alignment: Interval
    strangers: float
    uniformity: tuple[float, float]
    gap: float
    between: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**vars(self), "alignment": self.alignment.to_dict()}

    def _rows(self) -> list[tuple[str, str]]:
        found = self.alignment
        return [
            (
                "alignment: squared distance of partners",
                f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]",
            ),
            ("squared distance of strangers", f"{self.strangers:.3f}"),
            *(
                (f"uniformity, {name}", f"{u:.2f}")
                for name, u in zip(self.names, self.uniformity, strict=True)
            ),
            ("distance of the means", f"{self.gap:.3f}"),
            ("variance between the two", f"{self.between:.1%}"),
        ]

    @property
    def _caption(self) -> str:
        return f"{self.names[0]} and {self.names[1]} on the unit sphere, {self.n:,} pairs"

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption)}</b>", ("", "value [95% interval]"), self._rows())


def alignment_and_uniformity(
    a: np.ndarray,
    b: np.ndarray,
    *,
    names: tuple[str, str] = ("first", "second"),
    t: float = SHARPNESS,
    resamples: int = 1000,
    seed: int = 0,
) -> Uniformity:
    r"""Measure how near partners lie, how evenly each side is spread, and how far apart the sides are.

    With all rows scaled to length 1,

    .. math:: \text{alignment} = \mathbb{E}\, \lVert x_i - y_i \rVert^2, \qquad
              \text{uniformity} = \log \mathbb{E}_{i \ne j}\, e^{-t \lVert x_i - x_j \rVert^2}.

    Both are better when lower, and neither is enough: a network that says the same of all is aligned
    perfectly, one that throws rows at random is uniform. Partners may also be near for no better reason than
    that everything is: compare with strangers.

    The gap between the sides (in pictures and texts called the modality gap) is what centring takes away: the
    distance of the means, and the share of variance, of all rows about their common mean, that lies between
    the two means.

    Parameters
    ----------
    a, b : numpy.ndarray
        ``(n, d)`` features; row i of the one is the partner of row i of the other. Not changed.
    names : tuple of str
        For instance ``("English", "Chinese")``.
    t : float
    resamples, seed : int
        Of the bootstrap over pairs.

    Returns
    -------
    Uniformity

    Raises
    ------
    BadInput
        When the two differ in shape, there are fewer than two pairs, or a row is zero or not finite.

    References
    ----------
    Wang & Isola (2020), "Understanding contrastive representation learning through alignment and uniformity
    on the hypersphere", ICML. Liang et al. (2022), "Mind the gap: understanding the modality gap in
    multi-modal contrastive representation learning", NeurIPS.

    Examples
    --------
    >>> corners = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> alignment_and_uniformity(corners, 2 * corners)
    first and second on the unit sphere, 4 pairs
      alignment: squared distance of partners  0.000 [0.000, 0.000]
      squared distance of strangers            2.667
      uniformity, first                        -4.40
      uniformity, second                       -4.40
      distance of the means                    0.000
      variance between the two                 0.0%
    """
    if not t > 0:
        raise BadInput(f"t={t}.", "Give a positive number; 2 is usual.")
    x, y = unit_pairs(a, b, ("first side's rows", "second side's rows"), fewest=2)
    n = len(x)
    apart = np.square(x - y).sum(axis=1)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    gap = float(np.linalg.norm(mean_x - mean_y))
    everything = 1 - float(np.square((mean_x + mean_y) / 2).sum())  # rows have length 1
    crossed = (n * n * (2 - 2 * float(mean_x @ mean_y)) - apart.sum()) / (n * (n - 1))
    rng = np.random.default_rng(seed)
    draws = np.array([apart[rng.integers(n, size=n)].mean() for _ in range(resamples)])
    return Uniformity(
        names=names,
        n=n,
        alignment=interval(float(apart.mean()), draws),
        strangers=float(crossed),
        uniformity=(_uniformity(x, t), _uniformity(y, t)),
        gap=gap,
        between=gap**2 / 4 / everything if everything > 1e-12 else 0.0,
    )


def _uniformity(x: np.ndarray, t: float) -> float:
    """Return the log of the mean of ``exp(-t · squared distance)`` over different rows."""
    n, total = len(x), 0.0
    size = max(_CELLS // n, 1)
    for first in range(0, n, size):
        squares = np.maximum(2 - 2 * (x[first : first + size] @ x.T), 0)
        total += float(np.exp(-t * squares).sum())
    return float(np.log((total - n) / (n * (n - 1))))  # a row with itself gives 1
