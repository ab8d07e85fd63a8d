"""Products of features that transferability scores share: one pass, one Gram matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

LARGE = 1e9
"""Multiply-adds (n · d²) from which the quick way in float32 is tried; below, float64 costs nothing."""

_ROWS = 1024  # centred at a time
_NOISE = 1e-6  # of a column that repeats others, beyond the rounding of float32


@dataclass(frozen=True, eq=False)
class Labelled:
    """Checked features with their labels, and the products made of them.

    Parameters
    ----------
    x : numpy.ndarray
        ``(n, d)`` finite, not whole numbers. Never changed.
    y : numpy.ndarray
        ``(n,)`` int64, from 0 to k - 1, every class present.
    """

    x: np.ndarray
    y: np.ndarray

    @property
    def n(self) -> int:
        """Examples."""
        return len(self.x)

    @property
    def d(self) -> int:
        """Columns."""
        return int(self.x.shape[1])

    @property
    def large(self) -> bool:
        """Whether the quick way is worth its rounding."""
        return self.n > self.d and self.n * self.d**2 >= LARGE and 1e-12 < self.peak < 1e12

    @cached_property
    def peak(self) -> float:
        """Largest absolute value; NaN and infinity show here. 1 where all are 0."""
        return max(float(self.x.max()), -float(self.x.min())) or 1.0

    @cached_property
    def counts(self) -> np.ndarray:
        """Examples of each class, ``(k,)`` float64."""
        return np.bincount(self.y).astype(np.float64)

    @cached_property
    def mean(self) -> np.ndarray:
        """``(d,)`` float64."""
        return np.asarray(self.x.mean(axis=0, dtype=np.float64))

    @cached_property
    def products(self) -> tuple[np.ndarray, np.ndarray]:
        """Scatter ``XcᵀXc`` (only its lower triangle is filled) and class sums ``XcᵀY`` of centred features.

        ``(d, d)`` in the type of the pass, float32 where the problem is large, and ``(d, k)`` float64.
        Centring before multiplying keeps the digits that subtracting ``n mean meanᵀ`` afterwards would lose.
        """
        from scipy.linalg import blas  # for all products: the threads of NumPy's library would compete

        quick = self.large
        syrk, gemm, dtype = (
            (blas.ssyrk, blas.sgemm, np.float32) if quick else (blas.dsyrk, blas.dgemm, np.float64)
        )
        scatter = np.zeros((self.d, self.d), dtype, order="F")
        sums = np.zeros((self.d, len(self.counts)))
        classes = np.arange(len(self.counts))
        for rows, centred in self._centred(dtype):
            scatter = syrk(1.0, centred.T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
            member = np.asfortranarray(self.y[rows, None] == classes, dtype)
            sums += gemm(1.0, centred.T, member)
        return scatter, sums

    @cached_property
    def fourth(self) -> float:
        """Sum over examples of the fourth power of the distance to the mean."""
        norms = (np.einsum("ij,ij->i", c, c, dtype=np.float64) for _, c in self._centred(np.float64))
        return float(sum(np.square(norm).sum() for norm in norms))

    def _centred(self, dtype: Any) -> Iterator[tuple[slice, np.ndarray]]:
        mean = self.mean.astype(self.x.dtype)
        buffer = np.empty((min(_ROWS, self.n), self.d), dtype)
        for first in range(0, self.n, _ROWS):
            rows = slice(first, min(first + _ROWS, self.n))
            yield rows, np.subtract(self.x[rows], mean, out=buffer[: rows.stop - first], casting="same_kind")


def explained(data: Labelled) -> np.ndarray:
    """Return the share of each class's indicator that centred features explain linearly, times its count.

    ``(k,)``: the squared length of the projection of the indicator on the centred columns. Scaling a column
    or repeating it changes nothing; a constant column adds nothing.
    """
    if data.large:
        quick = _explained_by_cholesky(*data.products)
        if quick is not None:
            return quick
    rounding = 1e-6 if data.x.dtype != np.float64 else 1e-14
    z = data.x / data.peak - data.mean / data.peak
    scale = np.sqrt(np.einsum("ij,ij->j", z, z))
    moves = scale > np.sqrt(data.n) * rounding * np.abs(data.mean) / data.peak
    if not moves.any():
        return np.zeros(len(data.counts))
    energy = spectrum(z[:, moves] / scale[moves], data.y, len(data.counts), _NOISE).energy
    return np.asarray(energy.sum(axis=0))


def _explained_by_cholesky(scatter: np.ndarray, sums: np.ndarray) -> np.ndarray | None:
    """Return the same from the float32 products, or None when a column nearly repeats the others."""
    from scipy.linalg import lapack

    variance = np.diagonal(scatter)
    if not (np.isfinite(variance).all() and variance.min() > 0):
        return None
    scale = 1 / np.sqrt(variance)
    correlation = scatter * scale
    correlation *= scale[:, None]
    factor, failed = lapack.spotrf(correlation, lower=1, overwrite_a=1)
    # The squared diagonal is the share of a column that the columns before it leave unexplained.
    if failed or np.diagonal(factor).min() ** 2 < 1e-3:
        return None
    solved, _ = lapack.strtrs(factor, sums * scale[:, None], lower=1)
    return np.asarray(np.square(solved, dtype=np.float64).sum(axis=0))


@dataclass(frozen=True)
class Spectrum:
    """Features seen by ridge regression: eigenvalues of ``XXᵀ``, and where the class indicators lie.

    Parameters
    ----------
    values : numpy.ndarray
        ``(r,)`` float64, the eigenvalues that are not rounding.
    energy : numpy.ndarray
        ``(r, k)`` squared length of each indicator along each eigenvector.
    outside : numpy.ndarray
        ``(k,)`` squared length that no combination of the columns reaches.
    """

    values: np.ndarray
    energy: np.ndarray
    outside: np.ndarray


def spectrum(x: np.ndarray, y: np.ndarray, k: int, tolerance: float) -> Spectrum:
    """Return the `Spectrum` of features ``(n, d)`` in float64, by singular values.

    Parameters
    ----------
    x, y : numpy.ndarray
        ``(n, d)`` and ``(n,)``.
    k : int
        Classes.
    tolerance : float
        Singular values below this share of the largest are rounding.
    """
    indicators = np.zeros((len(x), k))
    indicators[np.arange(len(x)), y] = 1.0
    both = np.hstack([np.asarray(x, np.float64), indicators])
    if len(x) > x.shape[1]:
        both = np.asarray(
            np.linalg.qr(both, mode="r")
        )  # keeps all inner products, in as many rows as columns
    left, values, _ = np.linalg.svd(both[:, : x.shape[1]], full_matrices=False)
    kept = values > tolerance * values[0]
    energy = np.square(left[:, kept].T @ both[:, x.shape[1] :])
    counts = indicators.sum(axis=0)
    outside = counts - energy.sum(axis=0)
    return Spectrum(np.square(values[kept]), energy, np.where(outside > 1e-10 * counts, outside, 0.0))


@dataclass(frozen=True)
class Tridiagonal:
    """The Gram matrix ``XᵀX`` as QTQᵀ with T tridiagonal: a ridge solution costs O(d) at every strength.

    Reducing to T is what `eigh` starts with, and takes a fifth of its time.

    Parameters
    ----------
    diagonal, beside : numpy.ndarray
        Of T, ``(d,)`` and ``(d - 1,)`` float64.
    rotated : numpy.ndarray
        ``Qᵀ Xᵀ Y``, ``(d, k)`` float64.
    """

    diagonal: np.ndarray
    beside: np.ndarray
    rotated: np.ndarray

    def at(self, t: float, classes: slice) -> tuple[np.ndarray, float]:
        """Return ``yᵀX (XᵀX + tI)⁻¹ Xᵀy`` of some classes and ``log det (XᵀX + tI)``; NaN if not positive."""
        from scipy.linalg import lapack

        pivots, factor, failed = lapack.dpttrf(self.diagonal + t, self.beside)
        if failed:
            return np.full(self.rotated[:, classes].shape[1], np.nan), np.nan
        solved, _ = lapack.dpttrs(pivots, factor, self.rotated[:, classes])
        return np.einsum("ij,ij->j", self.rotated[:, classes], solved), float(np.log(pivots).sum())


def tridiagonal(data: Labelled) -> Tridiagonal:
    """Reduce the Gram matrix of features that are *not* centred, in float32."""
    from scipy.linalg import blas, lapack

    scatter, sums = data.products
    d = data.d
    gram = blas.ssyr(data.n, data.mean, a=scatter, lower=1)  # plus n mean meanᵀ; the scatter stays
    reduced, diagonal, beside, tau, _ = lapack.ssytrd(gram, lower=1, lwork=64 * d, overwrite_a=1)
    rotated = np.asfortranarray(sums + data.mean[:, None] * data.counts, np.float32)
    reflectors = np.asfortranarray(reduced[1:, :-1])  # they leave the first coordinate alone
    rotated[1:], _, _ = lapack.sormqr("L", "T", reflectors, tau, rotated[1:], 64 * d)
    return Tridiagonal(
        diagonal.astype(np.float64), beside.astype(np.float64), np.asfortranarray(rotated, np.float64)
    )
