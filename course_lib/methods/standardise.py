"""Per-domain standardisation: every feature of the target gets the mean and spread it has in the source."""

from __future__ import annotations

from functools import partial

import numpy as np

from course_lib.methods.align import NOTHING, AffineMap, adapt, both_domains, need_at_least_0
from course_lib.methods.classifier import Data, FeatureClassifier


def fit_standardisation(source: np.ndarray, target: np.ndarray, *, ridge: float = 0.0) -> AffineMap:
    r"""Return the map that gives each feature of the target the source's mean and standard deviation.

    .. math:: x_j \mapsto \frac{x_j - \mu_{T,j}}{\tilde\sigma_{T,j}}\,\tilde\sigma_{S,j} + \mu_{S,j}, \qquad
              \tilde\sigma_j^2 = \sigma_j^2 + \lambda\, \overline{\sigma^2}

    z-scores within each domain, brought back to the source's units so that its classifier may stay. This is
    what AdaBN does inside a network, here once on the features; of CORAL it keeps the diagonal, which takes d
    numbers in place of d², and so far fewer examples.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, two rows or more; no labels and no pairs. Not changed.
    ridge : float
        λ, in mean variances of each domain. With 0, the published form, spreads become equal; a feature that
        does not vary in the target is then set to the source's mean.

    Returns
    -------
    AffineMap
        Its matrix is ``(d,)``: one factor per feature.

    Raises
    ------
    BadInput
        Arrays with fewer than two rows, that are not finite or differ in their columns; a ridge below 0.

    References
    ----------
    Li, Wang, Shi, Liu & Hou (2016), "Revisiting batch normalization for practical domain adaptation".

    Examples
    --------
    >>> found = fit_standardisation(np.array([[0.0], [2.0]]), np.array([[10.0], [14.0]]))
    >>> found(np.array([[10.0], [12.0], [16.0]])).tolist()
    [[0.0], [1.0], [3.0]]
    """
    need_at_least_0(ridge)
    a, b = both_domains(source, target, fewest=2, dtype=np.float32)
    (mean_a, spread_a), (mean_b, spread_b) = (_mean_and_spread(x, ridge) for x in (a, b))
    there = spread_b > NOTHING * np.maximum(b.max(axis=0), -b.min(axis=0))
    factor = np.divide(spread_a, spread_b, out=np.zeros_like(spread_a), where=there)
    return AffineMap(mean_b, factor, mean_a)


def _mean_and_spread(x: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both per column, summed in float64 without a copy of x in it."""
    mean = x.mean(axis=0, dtype=np.float64)
    centred = x - mean.astype(np.float32)
    variance = np.square(centred, out=centred).sum(axis=0, dtype=np.float64) / (len(x) - 1)
    return mean, np.sqrt(variance + ridge * variance.mean())


def standardisation(
    probe: FeatureClassifier, source: Data, target: Data, *, ridge: float = 0.0, name: str = ""
) -> FeatureClassifier:
    """Return the probe for a target domain whose features are given the source's means and spreads.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source. It stays as it is.
    source, target : Split or numpy.ndarray
        Examples of each domain that may be looked at; labels are not read.
    ridge : float
        As in `fit_standardisation`.
    name : str
        Default: the probe's, own scales.

    Returns
    -------
    FeatureClassifier
        For target examples, as `centring`.

    Raises
    ------
    BadInput
        As `centring` and `fit_standardisation`.
    """
    fit = partial(fit_standardisation, ridge=ridge)
    return adapt(probe, source, target, fit, name or f"{probe.name}, own scales", {"ridge": float(ridge)})
