"""Closed forms that bring a target domain's features to where the source's lie; no target label is read.

Means and covariances here; single spreads in `standardise`, subspaces in `subspace`, samples in `transport`,
a kernel's means in `mmd_match`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import (
    Classifier,
    Data,
    Encoder,
    FeatureClassifier,
    check_features,
    encode_timed,
)
from course_lib.methods.unlabelled import check_domains, unlabelled, warn_skewed
from course_lib.tasks.task import Split

RIDGE = 1.0
"""What `coral` adds to both covariances, in mean variances: the published choice."""

NOTHING = 1e-7
"""Of the largest value: below it float32 features only hold rounding."""


class FeatureMap(Protocol):
    """Moves features of one domain to where another's lie."""

    @property
    def dim(self) -> int:
        """Number of features."""
        ...

    @property
    def parameters(self) -> int:
        """Numbers that say what the map does."""
        ...

    def __call__(self, features: np.ndarray, /) -> np.ndarray:
        """Return features ``(n, d)`` float32 after the map."""
        ...


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Moves features: ``(x - centre) @ matrix @ back + shift``.

    Parameters
    ----------
    centre : numpy.ndarray
        ``(d,)`` float32, where the features lie now.
    matrix : numpy.ndarray or None
        ``(d, d)`` float32, or ``(d, e)`` to e features; ``(d,)`` stretches each feature by itself; None moves
        without turning or stretching.
    shift : numpy.ndarray
        ``(d,)`` float32, or ``(e,)``, where they are brought.
    back : numpy.ndarray or None
        ``(k, e)`` float32 where the matrix is ``(d, k)``: two narrow ones take less than their product.

    Examples
    --------
    >>> moved = AffineMap(np.zeros(2), np.array([[0.0, 2.0], [1.0, 0.0]]), np.ones(2))
    >>> moved(np.array([[3.0, 4.0]])).tolist(), moved.parameters
    ([[5.0, 7.0]], 6)
    """

    centre: np.ndarray
    matrix: np.ndarray | None
    shift: np.ndarray
    back: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("centre", "matrix", "shift", "back"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, np.asarray(given, np.float32))

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(self.shift)

    @property
    def parameters(self) -> int:
        """Numbers that say what the map does: an offset, and the matrices where there are any."""
        return self.dim + sum(part.size for part in (self.matrix, self.back) if part is not None)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return features ``(n, d)`` float32 after the map.

        Raises
        ------
        BadInput
            When `features` are not finite numbers ``(n, d)``.
        """
        width = len(self.centre)
        if np.shape(features) == (0, width):
            return np.empty((0, self.dim), np.float32)
        x = fitting_features(features, width)
        # Centred first: a mean far from the origin would use up the digits of float32.
        moved = x - self.centre
        if self.matrix is not None:
            moved = moved * self.matrix if self.matrix.ndim == 1 else moved @ self.matrix
        if self.back is not None:
            moved = moved @ self.back
        moved += self.shift
        return np.asarray(moved)


def fit_centring(source: np.ndarray, target: np.ndarray) -> AffineMap:
    r"""Return the map that moves the target's mean to the source's, :math:`x \mapsto x - \mu_T + \mu_S`.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``; neither labels nor pairs are needed. Not changed.

    Returns
    -------
    AffineMap

    Raises
    ------
    BadInput
        Arrays that are empty, not finite, or differ in their columns.

    Examples
    --------
    >>> fit_centring(np.array([[1.0], [3.0]]), np.array([[10.0], [12.0]]))(np.array([[11.0]])).tolist()
    [[2.0]]
    """
    a, b = both_domains(source, target, fewest=1)
    return AffineMap(b.mean(axis=0), None, a.mean(axis=0))


def fit_coral(source: np.ndarray, target: np.ndarray, *, ridge: float = RIDGE) -> AffineMap:
    r"""Return the map that gives the target's features the source's mean and covariance.

    .. math:: x \mapsto (x - \mu_T)\, \tilde C_T^{-1/2}\, \tilde C_S^{1/2} + \mu_S, \qquad
              \tilde C = C + \lambda\, \tfrac{\operatorname{tr} C}{d}\, I

    The target is whitened and then coloured like the source. The paper goes the other way, colours the
    *source* like the target, and fits a new classifier there; this direction does the same to the
    covariances and lets the source's classifier stay as it is. The paper says nothing of means, since it
    standardises each domain first; here the means are matched.

    Whitening blows up directions in which a sample hardly varies. λ = 1 is the paper's choice (it adds the
    identity to covariances of standardised features). With λ = 0 the covariances become equal; the larger λ,
    the nearer to plain centring with one common scale.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, two rows or more; no labels and no pairs. Not changed.
    ridge : float
        λ, in mean variances of each domain. Directions in which the target does not vary at all are dropped
        where it is 0.

    Returns
    -------
    AffineMap

    Raises
    ------
    BadInput
        Arrays with fewer than two rows, that are not finite, differ in their columns or hold equal rows only;
        a ridge below 0.

    References
    ----------
    Sun, Feng & Saenko (2016), "Return of frustratingly easy domain adaptation", AAAI.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.normal(size=(500, 2)) @ [[3, 1], [0, 1]], 5 + rng.normal(size=(400, 2))
    >>> mapped = fit_coral(source, target, ridge=0)(target)
    >>> np.allclose(mapped.mean(axis=0), source.mean(axis=0), atol=1e-5)
    True
    >>> np.allclose(np.cov(mapped.T), np.cov(source.T), atol=1e-4)
    True
    """
    need_at_least_0(ridge)
    a, b = both_domains(source, target, fewest=2)
    whiten = power_of(covariance_of(b, "target"), ridge, -0.5)
    colour = power_of(covariance_of(a, "source"), ridge, 0.5)
    return AffineMap(b.mean(axis=0), whiten @ colour, a.mean(axis=0))


def fit_procrustes(source_pairs: np.ndarray, target_pairs: np.ndarray, *, ridge: float = 0.0) -> AffineMap:
    r"""Return the rotation that brings the target's side of pairs as near as possible to the source's.

    .. math:: x \mapsto (x - \mu_T)\, W + \mu_S, \qquad
              W = \operatorname*{arg\,min}_{W^\top W = I} \lVert \bar T W - \bar S \rVert_F^2 = U V^\top,
              \quad U \Sigma V^\top = \bar T^\top \bar S

    with centred :math:`\bar S, \bar T`. Rotations and reflections keep all lengths and angles, so that the
    pairs cannot bend the space to fit themselves.

    From k pairs fewer than k directions are known. In all others W is, among the orthogonal maps, the one
    nearest to leaving features as they are: the pairs come from one encoder, so that this is the better guess
    than any. Between the two, with more pairs than a few and not many more than d, W follows chance
    resemblances of the pairs; ``ridge`` holds it back.

    Parameters
    ----------
    source_pairs, target_pairs : numpy.ndarray
        ``(k, d)`` each; row i of the one means what row i of the other does. At least two. Not changed.
    ridge : float
        ρ, a pull towards leaving features as they are: adds :math:`\rho \bar\sigma \lVert W - I \rVert_F^2`
        to what is minimised, where :math:`\bar\sigma` is the mean of Σ. 0 is the published method.

    Returns
    -------
    AffineMap

    Raises
    ------
    BadInput
        Pairs of unequal number, fewer than two, or equal ones only; values that are not finite; a ridge below
        0.

    References
    ----------
    Schönemann (1966), "A generalized solution of the orthogonal Procrustes problem". For embeddings: Xing et
    al. (2015), "Normalized word embedding and orthogonal transform for bilingual word translation"; Artetxe,
    Labaka & Agirre (2016), "Learning principled bilingual mappings of word embeddings while preserving
    monolingual invariance"; Conneau et al. (2018), "Word translation without parallel data".

    Examples
    --------
    >>> source = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> fit_procrustes(source, source @ quarter + 7)(np.array([[7.0, 9.0]])).round(3).tolist()
    [[2.0, 0.0]]
    """
    need_at_least_0(ridge)
    if len(source_pairs) != len(target_pairs):
        raise BadInput(
            f"{len(source_pairs):,} source rows and {len(target_pairs):,} target rows; pairs are as many.",
            "Give each example with its partner in the same row.",
        )
    a, b = both_domains(source_pairs, target_pairs, fewest=2)
    centre, shift = b.mean(axis=0), a.mean(axis=0)
    common = (b - centre).T @ (a - shift)
    strengths = np.linalg.svd(common, compute_uv=False)
    if strengths[0] == 0:
        raise BadInput(
            f"The {len(a):,} pairs do not vary together, so that no rotation can be read off them.",
            "Give pairs of different examples.",
        )
    # The least of pulls decides where the pairs say nothing, and is felt nowhere else.
    pull = max(ridge * strengths.mean(), NOTHING * strengths[0])
    left, _, right = np.linalg.svd(common + pull * np.eye(len(common)))
    return AffineMap(centre, left @ right, shift)


class AlignedEncoder:
    """An encoder followed by a map; made by `centring`, `coral`, `procrustes` and their like.

    Attributes
    ----------
    name : str
    dim : int
    base : Encoder
    map : FeatureMap
    """

    def __init__(self, name: str, base: Encoder, map: FeatureMap) -> None:
        self.name, self.base, self.map, self.dim = name, base, map, map.dim

    @property
    def last(self) -> Any:
        """What the last `encode` cost: the encoder's share."""
        return getattr(self.base, "last", None)

    def encode(self, data: Any, **options: Any) -> np.ndarray:
        """Return the aligned features ``(n, dim)`` float32 of target examples; options as of `base`."""
        return self.map(self.base.encode(data, **options))

    def __repr__(self) -> str:
        return f"AlignedEncoder({self.name!r}: {self.map.parameters:,} numbers after {self.base!r})"


def centring(probe: FeatureClassifier, source: Data, target: Data, *, name: str = "") -> FeatureClassifier:
    """Return the probe for a target domain whose features are moved to the source's mean.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source, for instance by `linear_probe`. It stays as it is.
    source, target : Split or numpy.ndarray
        Examples of each domain that may be looked at, as a rule the training splits; labels are not read. The
        two need not be pairs.
    name : str
        Default: the probe's, centred.

    Returns
    -------
    FeatureClassifier
        For **target** examples: its encoder is the probe's with the map behind it, its head the probe's own.
        `parameters_trained` counts the map, ``seconds["fit"]`` is the closed form alone.

    Raises
    ------
    BadInput
        When `probe` has no frozen encoder or is aligned already, or as `fit_centring`.
    """
    return adapt(probe, source, target, fit_centring, name or f"{probe.name}, centred")


def coral(
    probe: FeatureClassifier, source: Data, target: Data, *, ridge: float = RIDGE, name: str = ""
) -> FeatureClassifier:
    """Return the probe for a target domain whose features are given the source's mean and covariance.

    Parameters
    ----------
    probe, source, target
        As in `centring`.
    ridge : float
        As in `fit_coral`.
    name : str
        Default: the probe's, CORAL.

    Returns
    -------
    FeatureClassifier
        As `centring`.

    Raises
    ------
    BadInput
        As `centring` and `fit_coral`.

    References
    ----------
    Sun, Feng & Saenko (2016), "Return of frustratingly easy domain adaptation", AAAI.
    """
    fit = partial(fit_coral, ridge=ridge)
    return adapt(probe, source, target, fit, name or f"{probe.name}, CORAL", {"ridge": float(ridge)})


def procrustes(
    probe: FeatureClassifier,
    source_pairs: Data,
    target_pairs: Data,
    *,
    pairs: int | None = None,
    ridge: float = 0.0,
    seed: int = 0,
    name: str = "",
) -> FeatureClassifier:
    """Return the probe for a target domain whose features are rotated by what pairs tell.

    Parameters
    ----------
    probe : FeatureClassifier
        As in `centring`.
    source_pairs, target_pairs : Split or numpy.ndarray
        Row by row the same thing in both domains, for instance a sentence and its translation. Labels are not
        read.
    pairs : int, optional
        How many to use, drawn by `seed`; those of one seed are nested. Default: all.
    ridge : float
        As in `fit_procrustes`.
    seed : int
    name : str
        Default: the probe's, Procrustes with the number of pairs.

    Returns
    -------
    FeatureClassifier
        As `centring`.

    Raises
    ------
    BadInput
        When the two differ in length or their ids in order, when more pairs are asked for than there are or
        fewer than two, or as `centring` and `fit_procrustes`.
    """
    need_partners(source_pairs, target_pairs)
    n = len(source_pairs)
    if pairs is not None:
        if not 2 <= pairs <= n:
            raise BadInput(f"pairs={pairs}; there are {n:,}.", f"Ask for 2 to {n:,}.")
        rows = np.random.default_rng(seed).permutation(n)[:pairs]
        source_pairs, target_pairs = _rows(source_pairs, rows), _rows(target_pairs, rows)
    features, seconds = domain_features(probe, source_pairs, target_pairs)
    start = time.perf_counter()
    found = fit_procrustes(*features, ridge=ridge)
    seconds["fit"] = time.perf_counter() - start
    used = len(source_pairs)
    chosen = {"pairs": used} | ({"ridge": float(ridge)} if ridge else {})
    return aligned_probe(probe, found, name or f"{probe.name}, Procrustes, {used:,} pairs", seconds, chosen)


def adapt(
    probe: FeatureClassifier,
    source: Data,
    target: Data,
    fit: Callable[[np.ndarray, np.ndarray], FeatureMap],
    name: str,
    chosen: Mapping[str, Any] | None = None,
) -> FeatureClassifier:
    """Return the probe with a map behind its encoder that ``fit(source, target)`` finds.

    Odd targets are told (`unlabelled`); ``seconds["fit"]`` is `fit` alone.
    """
    source, target = unlabelled(source, "source"), unlabelled(target)
    (x, x_target), seconds = domain_features(probe, source, target)
    check_domains(x, x_target)
    start = time.perf_counter()
    found = fit(x, x_target)
    seconds["fit"] = time.perf_counter() - start
    adapted = aligned_probe(probe, found, name, seconds, chosen or {})
    ours, theirs = (probe.head.predict_proba(z).argmax(axis=1) for z in (x, found(x_target)))
    warn_skewed(ours, theirs, probe.class_names, name)
    return adapted


def domain_features(
    probe: FeatureClassifier, source: Data, target: Data
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Return the features of both domains and what they cost, after making sure of the probe."""
    if not isinstance(probe, FeatureClassifier):
        what = probe.name if isinstance(probe, Classifier) else repr(probe)
        raise BadInput(
            f"{what} has no frozen encoder with a head behind it, between which features could be aligned.",
            "Give a probe, for instance methods.linear_probe(encoder, task).",
        )
    if isinstance(probe.encoder, AlignedEncoder):
        raise BadInput(
            f"{probe.name} is aligned already; the source's features would be moved along.",
            "Give the probe that was fitted on the source.",
        )
    examples: list[Any] = [source, target]  # an encoder reads .x alone
    features, spent = encode_timed(probe.encoder, *examples)
    return features, {"features": spent}


def aligned_probe(
    probe: FeatureClassifier,
    found: FeatureMap,
    name: str,
    seconds: Mapping[str, float],
    chosen: Mapping[str, Any],
) -> FeatureClassifier:
    """Return a copy of the probe, its head shared, with the map behind its encoder."""
    adapted = copy.copy(probe)
    adapted.name = name
    adapted.encoder = AlignedEncoder(name.replace(probe.name, probe.encoder.name, 1), probe.encoder, found)
    adapted.parameters_trained = found.parameters
    adapted.seconds = dict(seconds)
    adapted.chosen = {**probe.chosen, **chosen}
    return adapted


def need_partners(source: Data, target: Data) -> None:
    """Raise `BadInput` where rows are not partners, as far as lengths and ids tell."""
    if len(source) != len(target):
        raise BadInput(
            f"{len(source):,} source and {len(target):,} target examples; pairs are as many.",
            "Give each example with its partner in the same row.",
        )
    ours, theirs = getattr(source, "ids", None), getattr(target, "ids", None)
    if ours is None or theirs is None:
        return
    apart = np.flatnonzero(ours != theirs)
    if len(apart) and np.isin(ours, theirs).any():  # other ids altogether are another way of counting
        row = int(apart[0])
        raise BadInput(
            f"Row {row} pairs {ours[row]} with {theirs[row]}: the two are not in the same order.",
            "Take the same rows of both, for instance tasks.topics('en').train and tasks.topics('zh').train.",
        )


def _rows(data: Data, rows: np.ndarray) -> Data:
    return data.take(rows) if isinstance(data, Split) else np.asarray(data)[rows]


def both_domains(
    source: np.ndarray, target: np.ndarray, fewest: int, dtype: type[np.floating[Any]] = np.float64
) -> list[np.ndarray]:
    """Return both, as copies unless they are of that type, after making sure of the same columns."""
    both = [check_features(x, what=what) for x, what in ((source, "source"), (target, "target"))]
    for x, what in zip(both, ("source", "target"), strict=True):
        if len(x) < fewest:
            raise BadInput(
                f"{len(x)} row of {what} features; expected at least {fewest}.", "Give more examples."
            )
    if both[0].shape[1] != both[1].shape[1]:
        raise BadInput(
            f"The source has {both[0].shape[1]:,} features and the target {both[1].shape[1]:,}.",
            "Encode both with the same encoder.",
        )
    return [x.astype(dtype, copy=False) for x in both]


def fitting_features(features: np.ndarray, dim: int) -> np.ndarray:
    """Return features as float32, after making sure that a map fitted on `dim` columns can move them."""
    x = check_features(features, what="given")
    if x.shape[1] != dim:
        raise BadInput(
            f"Features of {x.shape[1]:,} columns; the map was fitted on {dim:,}.",
            "Encode with the encoder that the map was fitted with.",
        )
    return x


def need_at_least_0(ridge: float) -> None:
    """Raise `BadInput` for a ridge that is none."""
    if not (np.isfinite(ridge) and ridge >= 0):
        raise BadInput(f"ridge={ridge}.", "Give 0 or more.")


def covariance_of(x: np.ndarray, what: str) -> np.ndarray:
    """Return the covariance ``(d, d)`` of rows that are not all equal."""
    centred = x - x.mean(axis=0)
    if not np.abs(centred).max() > NOTHING * np.abs(x).max():
        raise BadInput(f"All {len(x):,} rows of {what} features are equal.", "Give different examples.")
    return np.asarray(centred.T @ centred / (len(x) - 1))


def power_of(covariance: np.ndarray, ridge: float, power: float) -> np.ndarray:
    """Return a symmetric power of ``covariance + ridge · its mean variance``."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + ridge * values.mean()
    there = values > NOTHING * values.max()
    powers = np.power(values, power, out=np.zeros_like(values), where=there)
    return np.asarray((vectors * powers) @ vectors.T)
