"""Subspace alignment: the target's principal directions are turned onto the source's."""

from __future__ import annotations

from functools import partial

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.align import AffineMap, adapt, both_domains
from course_lib.methods.classifier import Data, FeatureClassifier

SHARE = 0.9
"""Of each domain's variance that the directions hold, unless their number is given."""


def fit_subspace_alignment(source: np.ndarray, target: np.ndarray, dims: int | None = None) -> AffineMap:
    r"""Return the map that writes the target in its own principal directions, and reads it in the source's.

    .. math:: x \mapsto (x - \mu_T)\, P_T\, M\, P_S^\top + \mu_S, \qquad
              M = P_T^\top P_S = \operatorname*{arg\,min}_M \lVert P_T M - P_S \rVert_F

    with the first `dims` principal directions of each domain as columns of :math:`P`. The paper goes the
    other way, turns the *source's* coordinates onto the target's and fits a new classifier there; this
    direction lets the source's classifier stay, as `fit_coral` does. :math:`P_T P_T^\top P_S P_S^\top` is a
    projection onto what the target varies in, then onto what the source varies in: with all d directions it
    does nothing, and the map is centring. Spreads stay as they are; nothing is stretched.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, two rows or more; no labels and no pairs. Not changed.
    dims : int, optional
        Directions. Default: as many as hold 90% of the variance in both domains. (The paper chooses them by
        a bound and by cross-validation.)

    Returns
    -------
    AffineMap

    Raises
    ------
    BadInput
        Arrays with fewer than two rows, that are not finite, differ in their columns or hold equal rows only;
        more directions than the smaller domain has.

    References
    ----------
    Fernando, Habrard, Sebban & Tuytelaars (2013), "Unsupervised visual domain adaptation using subspace
    alignment", ICCV.

    Examples
    --------
    >>> source = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 0.1], [0.0, -0.1]])
    >>> found = fit_subspace_alignment(source, source[:, ::-1] + source + 5, dims=1)  # along (1, 1)
    >>> found(np.array([[7.0, 7.0]])).round(3).tolist()
    [[2.0, 0.0]]
    """
    a, b = both_domains(source, target, fewest=2)
    most = min(len(a) - 1, len(b) - 1, a.shape[1])
    if dims is not None and not 1 <= dims <= most:
        raise BadInput(
            f"dims={dims}; {len(a):,} and {len(b):,} examples of {a.shape[1]:,} features have {most:,}.",
            f"Give 1 to {most:,}.",
        )
    (values_a, p_a), (values_b, p_b) = (
        principal_directions(x, what) for x, what in ((a, "source"), (b, "target"))
    )
    used = dims or min(max(_holding(v, SHARE) for v in (values_a, values_b)), most)
    p_a, p_b = p_a[:, :used], p_b[:, :used]
    return AffineMap(b.mean(axis=0), p_b @ (p_b.T @ p_a) @ p_a.T, a.mean(axis=0))


def principal_directions(x: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return variances ``(k,)``, from large to small, and their directions ``(d, k)``, k = min(n, d).

    Worked out in float32, which takes half the time and is what encoders give.
    """
    centred = (x - x.mean(axis=0)).astype(np.float32)
    if not np.abs(centred).max() > 1e-7 * np.abs(x).max():
        raise BadInput(f"All {len(x):,} rows of {what} features are equal.", "Give different examples.")
    if len(x) <= x.shape[1]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        there = values[::-1] > 1e-6 * values[-1]
        directions = np.linalg.qr(centred.T @ vectors[:, ::-1][:, there])[0]
        return values[::-1][there] / (len(x) - 1), directions
    values, vectors = np.linalg.eigh(centred.T @ centred)
    return np.maximum(values[::-1], 0) / (len(x) - 1), vectors[:, ::-1]


def _holding(values: np.ndarray, share: float) -> int:
    """Return how many of the variances hold that share of their sum."""
    return int(np.searchsorted(np.cumsum(values) / values.sum(), share)) + 1


def subspace_alignment(
    probe: FeatureClassifier, source: Data, target: Data, *, dims: int | None = None, name: str = ""
) -> FeatureClassifier:
    """Return the probe for a target domain whose principal directions are turned onto the source's.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source. It stays as it is.
    source, target : Split or numpy.ndarray
        Examples of each domain that may be looked at; labels are not read.
    dims : int, optional
        As in `fit_subspace_alignment`.
    name : str
        Default: the probe's, subspace.

    Returns
    -------
    FeatureClassifier
        For target examples, as `centring`.

    Raises
    ------
    BadInput
        As `centring` and `fit_subspace_alignment`.

    References
    ----------
    Fernando, Habrard, Sebban & Tuytelaars (2013), "Unsupervised visual domain adaptation using subspace
    alignment", ICCV.
    """
    fit = partial(fit_subspace_alignment, dims=dims)
    return adapt(
        probe, source, target, fit, name or f"{probe.name}, subspace", {"dims": dims} if dims else {}
    )
