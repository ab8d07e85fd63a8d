"""Do two layers say the same: centred kernel alignment of their activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import html_table, text_table


@dataclass(frozen=True, eq=False)
class Similarity:
    """The CKA of every pair of layers; see `cka_matrix`.

    Parameters
    ----------
    rows, columns : tuple of str
        Layers of the one network and of the other.
    values : numpy.ndarray
        ``(rows, columns)`` float64; 1 for layers that are equal up to rotation and scale.
    n : int
        Examples that it was measured on.
    debiased : bool
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    n: int
    debiased: bool

    @property
    def same(self) -> dict[str, float]:
        """Each layer that both have, with itself in the other."""
        return {
            name: float(self.values[k, self.columns.index(name)])
            for k, name in enumerate(self.rows)
            if name in self.columns
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values."""
        return {**vars(self), "values": self.values.tolist()}

    def _caption(self) -> str:
        return f"{'Debiased linear' if self.debiased else 'Linear'} CKA, {self.n:,} examples"

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (name, *(f"{value:.2f}" for value in line))
            for name, line in zip(self.rows, self.values, strict=True)
        ]

    def __str__(self) -> str:
        return f"{self._caption()}\n{text_table([('', *self.columns), *self._cells()])}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption())}</b>", ("", *self.columns), self._cells())


def linear_cka(x: np.ndarray, y: np.ndarray, *, debiased: bool = False) -> float:
    r"""Return how alike two sets of features of the same examples are, whatever their bases.

    .. math:: \mathrm{CKA}(X, Y) = \frac{\lVert Y^\top X \rVert_F^2}
              {\lVert X^\top X \rVert_F \, \lVert Y^\top Y \rVert_F}

    for centred columns; in terms of the Gram matrices K = XXᵀ and L = YYᵀ it is HSIC(K, L) divided by
    the root of HSIC(K, K) HSIC(L, L). Rotations and one common scale change nothing; other
    linear maps do, since directions of large variance weigh more. With few examples and many features even
    unrelated features look alike: ``debiased`` then uses the unbiased estimate of HSIC and is near 0.

    Parameters
    ----------
    x : numpy.ndarray
        ``(n, d1)``. Not changed.
    y : numpy.ndarray
        ``(n, d2)``, the same examples in the same order.
    debiased : bool
        Needs at least four examples; may fall a little below 0.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    BadInput
        When the numbers of examples differ or are too small, on NaN, and when all rows of one are equal.

    References
    ----------
    Kornblith et al. (2019), "Similarity of neural network representations revisited". Song et al. (2012),
    "Feature selection via dependence maximization" (the unbiased estimate). Nguyen et al. (2021), "Do wide
    and deep networks learn the same things?"

    Examples
    --------
    >>> x = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])
    >>> round(linear_cka(x, 5 * x[:, ::-1]), 6), round(linear_cka(x, x * [1, 10]), 2)
    (1.0, 0.54)
    """
    return float(cka_matrix({"x": x}, {"y": y}, debiased=debiased).values[0, 0])


def cka_matrix(
    a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], *, debiased: bool = False
) -> Similarity:
    """Return the linear CKA of every layer of `a` with every layer of `b`; see `linear_cka`.

    Parameters
    ----------
    a, b : mapping of str to numpy.ndarray
        Layer names to activations ``(n, d)``, all of the same n examples: for instance of a network before
        and after fine-tuning, ``tuned.activations(split, layers)``. Of feature maps, give the average over
        places.
    debiased : bool
        As in `linear_cka`.

    Returns
    -------
    Similarity

    Raises
    ------
    BadInput
        As `linear_cka`, and when either has no layer.
    """
    if not a or not b:
        raise BadInput("There is no layer to compare.", "Give layer names with their activations (n, d).")
    n = len(np.asarray(next(iter(a.values()))))
    left, right = ({name: _Centred(x, name, n, debiased) for name, x in each.items()} for each in (a, b))
    values = np.array(
        [[p.dot(q) / np.sqrt(p.size * q.size) for q in right.values()] for p in left.values()], np.float64
    )
    return Similarity(tuple(left), tuple(right), values, n, debiased)


class _Centred:
    """Centred features, squared lengths of their rows (the Gram diagonal), and HSIC with themselves."""

    def __init__(self, x: np.ndarray, name: str, n: int, debiased: bool) -> None:
        self.x, self.debiased = _checked(x, name, n, 4 if debiased else 2), debiased
        spread = np.abs(self.x).max()
        self.x -= self.x.mean(axis=0)
        self.lengths = np.square(self.x).sum(axis=1)
        self.size = self.dot(self)
        if self.size <= 0 or np.sqrt(self.lengths.max()) <= 1e-12 * spread:
            raise BadInput(
                f"The features {name} are the same for all {n} examples, so they are like nothing.",
                "Give examples that differ, or leave this layer out.",
            )

    def dot(self, other: _Centred) -> float:
        """Return HSIC up to a factor that cancels: the product of the two centred Gram matrices.

        The unbiased estimate leaves their diagonals out. In Song et al.'s formula the row sums of a centred
        Gram matrix without its diagonal are minus that diagonal, which leaves squared lengths only.
        """
        n, p, q = len(self.x), self.x.shape[1], other.x.shape[1]
        if p * q < n * (p + q):
            product = float(np.square(other.x.T @ self.x).sum())
        else:  # fewer examples than features: through the Gram matrices
            product = float(np.vdot(self.x @ self.x.T, other.x @ other.x.T))
        if not self.debiased:
            return product
        both = self.lengths @ other.lengths
        totals = self.lengths.sum() * other.lengths.sum()
        return float(product - n / (n - 2) * both + totals / ((n - 1) * (n - 2)))


def _checked(x: np.ndarray, name: str, n: int, least: int) -> np.ndarray:
    """Return a float64 copy."""
    features = np.asarray(x)
    if features.ndim != 2 or features.dtype.kind not in "fiub":
        raise BadInput(
            f"The features {name} have shape {features.shape} and type {features.dtype}; expected (n, d) "
            "numbers.",
            "Average feature maps over their places: maps.mean(axis=(1, 2)).",
        )
    if len(features) != n:
        raise BadInput(
            f"The features {name} are of {len(features):,} examples, the first of {n:,}.",
            "Compare layers on the same examples in the same order.",
        )
    if n < least:
        raise BadInput(f"{n} examples; expected at least {least}.", "A few hundred make it steady.")
    if not np.isfinite(features).all():
        raise BadInput(f"The features {name} hold NaN or infinity.", "Look at the inputs of these rows.")
    return features.astype(np.float64)
