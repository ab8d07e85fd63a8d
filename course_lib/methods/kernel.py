"""Kernel ridge regression on labels: curved boundaries in closed form, every choice by leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.errors import BadInput

WIDTHS = (0.3, 1.0, 3.0)
STRENGTHS = tuple(float(f"{10 ** (p / 2):.3g}") for p in range(-5, 3))


@dataclass(frozen=True, eq=False)
class KernelFit:
    """A fitted machine.

    Parameters
    ----------
    coefficients : numpy.ndarray
        ``(n, k)`` float64, one row per training example.
    offset : numpy.ndarray
        ``(k,)``, the mean target.
    width, strength : float
        As chosen.
    left_out : numpy.ndarray
        ``(n, k)``: what the machine without an example says of it.
    accuracy : float
        Share of training examples that are right when left out; chosen for error, so hardly flattered.
    """

    coefficients: np.ndarray
    offset: np.ndarray
    width: float
    strength: float
    left_out: np.ndarray
    accuracy: float

    def scores(self, squares: np.ndarray) -> np.ndarray:
        """Return class scores ``(m, k)`` from squared distances to the training examples ``(m, n)``."""
        return np.asarray(np.exp(-self.width * squares) @ self.coefficients + self.offset)


def fit_kernel(
    squares: np.ndarray,
    targets: np.ndarray,
    *,
    widths: Sequence[float] = WIDTHS,
    strengths: Sequence[float] = STRENGTHS,
) -> KernelFit:
    r"""Fit kernel ridge regression and choose its width and strength by leave-one-out error.

    .. math:: \min_\alpha \lVert T - \bar T - K\alpha \rVert^2 + \lambda\, \alpha^\top K \alpha, \qquad
              K_{ij} = e^{-\gamma d_{ij}^2}, \qquad \alpha = (K + \lambda I)^{-1} (T - \bar T)

    What the machine would say of an example that it had not been fitted on needs no second fit: the error is
    :math:`\alpha_i / (K + \lambda I)^{-1}_{ii}`, and one eigendecomposition serves all strengths.

    Parameters
    ----------
    squares : numpy.ndarray
        ``(n, n)`` squared distances between training examples; `squared_distances` makes them of order 1.
    targets : numpy.ndarray
        ``(n,)`` int labels, or ``(n, k)`` probabilities of the classes, for labels that are in doubt.
    widths, strengths : sequence of float
        γ and λ to try.

    Returns
    -------
    KernelFit

    Raises
    ------
    BadInput
        When the shapes do not fit, or values are not finite.

    References
    ----------
    Rifkin & Lippert (2007), "Notes on regularized least squares".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 2))
    >>> y = (x.prod(axis=1) > 0).astype(int)  # no straight line tells them apart
    >>> fit_kernel(squared_distances([x]), y).accuracy > 0.9
    True
    """
    n = len(squares)
    if squares.shape != (n, n) or not np.isfinite(squares).all():
        raise BadInput(
            f"Squared distances of shape {squares.shape}; expected (n, n) finite numbers.",
            "Give squared_distances([features]) of the training examples.",
        )
    if len(targets) != n:
        raise BadInput(f"{n} examples and {len(targets)} targets.", "Give one target per example.")
    wanted = np.eye(int(targets.max()) + 1)[targets] if targets.ndim == 1 else np.asarray(targets, np.float64)
    right = wanted.argmax(axis=1)
    offset = wanted.mean(axis=0)
    best: tuple[float, KernelFit] | None = None
    for width in widths:
        values, vectors = np.linalg.eigh(np.exp(-width * squares.astype(np.float64)))
        seen = vectors.T @ (wanted - offset)
        for strength in strengths:
            inverse = 1 / (np.maximum(values, 0) + strength)
            coefficients = vectors @ (inverse[:, None] * seen)
            missed = coefficients / (np.square(vectors) @ inverse)[:, None]
            error = float(np.square(missed).mean())
            if best is None or error < best[0]:
                left_out = wanted - missed
                accuracy = float(np.mean(left_out.argmax(axis=1) == right))
                best = error, KernelFit(coefficients, offset, width, strength, left_out, accuracy)
    if best is None:
        raise BadInput("No width or no strength to try.", "Give at least one of each.")
    return best[1]


def squared_distances(
    features: Sequence[np.ndarray],
    others: Sequence[np.ndarray] | None = None,
    *,
    scales: Sequence[float] = (),
) -> np.ndarray:
    """Return squared distances ``(m, n)``, the mean over several kinds of features, each in its own scale.

    Parameters
    ----------
    features : sequence of numpy.ndarray
        Per kind ``(n, d)``.
    others : sequence of numpy.ndarray, optional
        Per kind ``(m, d)``, the rows of the result; default: `features`.
    scales : sequence of float, optional
        What each kind's squares are divided by. Default: their medians (`medians`).
    """
    scales = scales or medians(features)
    rows = features if others is None else others
    parts = [_squares(a, b) / scale for a, b, scale in zip(rows, features, scales, strict=True)]
    return np.asarray(np.mean(parts, axis=0))


def medians(features: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Return the median squared distance between rows, per kind of features."""
    return tuple(float(np.median(_squares(a, a))) or 1.0 for a in features)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    centre = b.mean(axis=0)  # near the origin float32 loses fewest digits
    a, b = a - centre, b - centre
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0))
