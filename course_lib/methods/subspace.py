"""Subspace alignment: the target's principal directions are turned onto the source's."""

from __future__ import annotations

from functools import partial

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.align import NOTHING, AffineMap, adapt, both_domains
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
    a, b = both_domains(source, target, fewest=2, dtype=np.float32)
    most = min(len(a) - 1, len(b) - 1, a.shape[1])
    if dims is not None and not 1 <= dims <= most:
        raise BadInput(
            f"dims={dims}; {len(a):,} and {len(b):,} examples of {a.shape[1]:,} features have {most:,}.",
            f"Give 1 to {most:,}.",
        )
    (values_a, p_a), (values_b, p_b) = (
        principal_directions(x, what, dims) for x, what in ((a, "source"), (b, "target"))
    )
    used = dims or min(max(_holding(v, SHARE) for v in (values_a, values_b)), most)
    p_a, p_b = p_a[:, :used], p_b[:, :used]
    centre, shift = (x.mean(axis=0, dtype=np.float64) for x in (b, a))
    return AffineMap(centre, p_b @ (p_b.T @ p_a), shift, p_a.T)


def principal_directions(x: np.ndarray, what: str, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return variances ``(k,)``, from large to small, and their directions ``(d, k)``.

    k is `most`, or all that there are. Worked out in float32, which takes half the time and is what encoders
    give; a few of many directions take a quarter of the time of all.
    """
    from scipy.linalg import eigh

    centred = x.astype(np.float32, copy=False) - x.mean(axis=0, dtype=np.float64).astype(np.float32)
    if not np.abs(centred).max() > NOTHING * np.abs(x).max():
        raise BadInput(f"All {len(x):,} rows of {what} features are equal.", "Give different examples.")
    wide = len(x) <= x.shape[1]  # then the smaller matrix is the one between rows
    gram = centred @ centred.T if wide else centred.T @ centred
    k = min(most or len(gram), len(gram))
    values, vectors = eigh(gram, subset_by_index=[len(gram) - k, len(gram) - 1])
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    if wide:
        there = values > 1e-6 * values[0]
        values, vectors = values[there], np.linalg.qr(centred.T @ vectors[:, there])[0]
    return values / (len(x) - 1), vectors


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
