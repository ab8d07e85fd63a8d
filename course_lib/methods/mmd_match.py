"""MMD matching: an affine map that makes a kernel two-sample test see as little difference as it can."""

from __future__ import annotations

from functools import partial

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.align import AffineMap, adapt, both_domains, need_at_least_0
from course_lib.methods.classifier import Data, FeatureClassifier
from course_lib.methods.subspace import principal_directions

DIMS = 16
"""Directions in which the map turns and stretches: 272 numbers."""

RIDGE = 1e-3
"""What departing from centring costs, in units of MMD²."""

MOST = 400
"""Examples of each domain that the kernel sees."""

WIDTHS = (0.5, 1.0, 2.0)
"""Bandwidths of the kernel, in median distances."""


def fit_mmd_matching(
    source: np.ndarray,
    target: np.ndarray,
    *,
    dims: int = DIMS,
    ridge: float = RIDGE,
    most: int = MOST,
    steps: int = 100,
    seed: int = 0,
) -> AffineMap:
    r"""Return the affine map of the target that minimises the MMD to the source.

    .. math:: \min_{A, b}\ \widehat{\text{MMD}}^2\bigl(S, T A + b\bigr)
              + \tfrac{\rho}{q} \lVert A - I \rVert_F^2, \qquad
              k(x, y) = \tfrac13 \sum_{w} e^{-\lVert x - y \rVert^2 / 2 (w\sigma)^2}

    in the q principal directions of the source in which it varies most, each domain centred first; in all
    other directions the target is only centred. The kernel has three bandwidths around the median distance
    σ. Unlike CORAL's covariances, the kernel sees the whole shape of both clouds, lumps included. L-BFGS with
    the exact gradient starts from centring; the problem is not convex, so what is found depends on that
    start, and never is worse than it.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, two rows or more; no labels and no pairs. Not changed.
    dims : int
        q; fewer where there are fewer.
    ridge : float
        ρ.
    most : int
        Domains with more examples are thinned to this many for the kernel, drawn by `seed`.
    steps : int
        Of L-BFGS, at most.
    seed : int

    Returns
    -------
    AffineMap

    Raises
    ------
    BadInput
        Arrays with fewer than two rows, that are not finite, differ in their columns or hold equal rows only;
        settings that are not positive.

    References
    ----------
    Gretton et al. (2012), "A kernel two-sample test", JMLR; Baktashmotlagh, Harandi, Lovell & Salzmann
    (2013), "Unsupervised domain adaptation by domain invariant projection", ICCV; Zhang, Schölkopf, Muandet &
    Wang (2013), "Domain adaptation under target and conditional shift", ICML.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source = rng.normal(size=(300, 2))
    >>> target = 3 * rng.normal(size=(300, 2)) + 7
    >>> moved = fit_mmd_matching(source, target, ridge=0)(target)
    >>> np.allclose(moved.mean(axis=0), 0, atol=0.2), np.allclose(moved.std(axis=0), 1, atol=0.2)
    (True, True)
    """
    need_at_least_0(ridge)
    if dims < 1 or most < 2 or steps < 1:
        raise BadInput(f"dims={dims}, most={most}, steps={steps}.", "Give positive numbers, most from 2.")
    a, b = both_domains(source, target, fewest=2)
    centre, shift = b.mean(axis=0), a.mean(axis=0)
    basis = principal_directions(a, "source", dims)[1].astype(np.float64)
    rng = np.random.default_rng(seed)
    x, y = (
        (part if len(part) <= most else part[np.sort(rng.permutation(len(part))[:most])]) @ basis
        for part in (a - shift, b - centre)
    )
    turn, move = _minimise(x, y, ridge, steps)
    matrix = np.eye(len(centre)) + basis @ (turn - np.eye(len(turn))) @ basis.T
    return AffineMap(centre, matrix, shift + basis @ move)


def _minimise(x: np.ndarray, y: np.ndarray, ridge: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix ``(q, q)`` and the shift ``(q,)`` that bring y nearest to x."""
    from scipy.optimize import minimize

    q = x.shape[1]
    precisions = _precisions(x)
    scale = max(float(np.sqrt(np.square(x).mean())), 1e-12)  # so that a unit of the shift means something

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        turn, move = theta[: q * q].reshape(q, q), scale * theta[q * q :]
        value, slope = mmd_and_slope(x, y @ turn + move, precisions)
        apart = turn - np.eye(q)
        value += ridge / q * float(np.square(apart).sum())
        return value, np.concatenate(
            [(y.T @ slope + 2 * ridge / q * apart).ravel(), scale * slope.sum(axis=0)]
        )

    start = np.concatenate([np.eye(q).ravel(), np.zeros(q)])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": steps, "ftol": 1e-7})
    return found.x[: q * q].reshape(q, q), scale * found.x[q * q :]


def _precisions(x: np.ndarray) -> np.ndarray:
    """Return 1 / 2σ² for each bandwidth, from the median distance within the source."""
    squares = _squares(x, x)
    apart = squares[squares > 1e-12 * max(float(squares.max()), 1e-300)]
    median = float(np.median(apart)) if len(apart) else 1.0
    return np.array([0.5 / (w * w * median) for w in WIDTHS])


def mmd_and_slope(x: np.ndarray, y: np.ndarray, precisions: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the biased MMD² of two samples, up to what depends on x alone, and its slope in y ``(m, d)``.

    Parameters
    ----------
    x, y : numpy.ndarray
        ``(n, d)`` and ``(m, d)`` float64.
    precisions : numpy.ndarray
        ``1 / 2σ²`` of each kernel; their mean is taken.

    Examples
    --------
    >>> x, y = np.zeros((1, 1)), np.ones((1, 1))
    >>> value, slope = mmd_and_slope(x, y, np.array([0.5]))
    >>> round(value, 4), slope.round(4).tolist()  # 1 - 2 exp(-1/2), and 2 exp(-1/2)
    (-0.2131, [[1.2131]])
    """
    n, m, kernels = len(x), len(y), len(precisions)
    value, slope = 0.0, np.zeros_like(y)
    for other, weight in ((y, 1 / m**2), (x, -2 / (n * m))):
        squares = _squares(y, other)
        pull = np.zeros_like(squares)
        kernel, last = squares, 0.0
        for precision in np.sort(precisions):
            if precision == 4 * last:  # a bandwidth half as wide: the fourth power, cheaper than exp
                kernel = np.square(np.square(kernel))
            else:
                kernel = np.exp(-precision * squares)
            last = precision
            value += weight * float(kernel.sum()) / kernels
            pull += (precision / kernels) * kernel
        # d/dy_i of exp(-p |y_i - z_j|²) is -2 p (y_i - z_j) times it; y_i is on both sides within y
        share = -2 * weight * (2 if other is y else 1)
        slope += share * (pull.sum(axis=1)[:, None] * y - pull @ other)
    return value, slope


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0))


def mmd_matching(
    probe: FeatureClassifier,
    source: Data,
    target: Data,
    *,
    dims: int = DIMS,
    ridge: float = RIDGE,
    seed: int = 0,
    name: str = "",
) -> FeatureClassifier:
    """Return the probe for a target domain that is moved, turned and stretched until the MMD is small.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source. It stays as it is.
    source, target : Split or numpy.ndarray
        Examples of each domain that may be looked at; labels are not read.
    dims, ridge, seed
        As in `fit_mmd_matching`.
    name : str
        Default: the probe's, MMD.

    Returns
    -------
    FeatureClassifier
        For target examples, as `centring`.

    Raises
    ------
    BadInput
        As `centring` and `fit_mmd_matching`.
    """
    fit = partial(fit_mmd_matching, dims=dims, ridge=ridge, seed=seed)
    return adapt(
        probe, source, target, fit, name or f"{probe.name}, MMD", {"dims": dims, "ridge": float(ridge)}
    )
