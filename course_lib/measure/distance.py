"""How far apart two domains are, and what that allows to say about the error on the other one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import html_table, text_table

MOST = 2000
"""Examples of each domain that a kernel matrix is made of: at most 4,000 by 4,000 float32, 64 MB."""

_CHUNK = 100  # permutations at a time
_ROWS = 500  # of the kernel matrix at a time


@dataclass(frozen=True)
class MMD:
    """The maximum mean discrepancy of two samples, and how often chance alone reaches it; see `mmd`.

    Parameters
    ----------
    value : float
        MMD², in units of the kernel (at most 2). The unbiased estimate may lie below 0.
    p : float
        Share of random divisions of the pooled examples whose value is at least as large.
    bandwidth : float
        σ of the kernel.
    n, m : int
        Examples used of each sample.
    given : tuple of int
        Examples given.
    """

    value: float
    p: float
    bandwidth: float
    n: int
    m: int
    given: tuple[int, int]
    unbiased: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "given": list(self.given)}

    def __float__(self) -> float:
        return self.value

    def _rows(self) -> list[tuple[str, str]]:
        used = f"{self.n:,} and {self.m:,}"
        if (self.n, self.m) != self.given:
            used += f" of {self.given[0]:,} and {self.given[1]:,}"
        return [
            ("MMD²" + ("" if self.unbiased else ", biased"), f"{self.value:.4f}".replace("-", "−")),
            ("p, same distribution", f"{self.p:.3f}"),
            ("bandwidth", f"{self.bandwidth:.3g}"),
            ("examples", used),
        ]

    def __str__(self) -> str:
        return f"Two samples\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Two samples</b>", ("", "value"), self._rows())


def mmd(
    x: np.ndarray,
    y: np.ndarray,
    bandwidth: float | str = "median",
    unbiased: bool = True,
    *,
    resamples: int = 500,
    most: int = MOST,
    seed: int = 0,
) -> MMD:
    r"""Return the squared maximum mean discrepancy of two samples, with a permutation p-value.

    .. math:: \text{MMD}^2 = E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y), \qquad
              k(a, b) = \exp\bigl(-\lVert a - b \rVert^2 / 2σ^2\bigr)

    between 0 (the same distribution) and 2. The mean kernel within each sample leaves out the pairs of an
    example with itself when `unbiased`; it then scatters around 0 for equal distributions and may be
    negative. Its size depends on σ: compare values with the same bandwidth only.

    Parameters
    ----------
    x, y : numpy.ndarray
        ``(n, d)`` and ``(m, d)`` features of two domains, two examples or more each. Not changed.
    bandwidth : float or "median"
        σ. ``"median"``: the median distance between pooled examples that are not alike.
    unbiased : bool
    resamples : int
        Random divisions for the p-value, the given one counted in: p is at least 1 / (resamples + 1), and
        when both samples come from one distribution, p ≤ a in a share a of all tests.
    most : int
        Samples with more examples are thinned to this many, drawn without replacement by `seed`. Memory is
        ``4 (n + m)²`` bytes after that.
    seed : int

    Returns
    -------
    MMD

    Raises
    ------
    BadInput
        Arrays that are not finite ``(n, d)`` with the same columns, fewer than two examples, a bandwidth that
        is not positive.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf & Smola (2012), "A kernel two-sample test".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(size=(2, 100, 3)); far += 2
    >>> found = mmd(near, far)
    >>> round(found.value, 1), found.p < 0.05
    (0.6, True)
    """
    x, y = both_samples(x, y)
    given, rng = (len(x), len(y)), np.random.default_rng(seed)
    x, y = (_thinned(sample, most, rng) for sample in (x, y))
    squares = _squared_distances(np.vstack([x, y]))
    if bandwidth == "median":
        sigma = _median_distance(squares)
    else:
        sigma = float(bandwidth)
        if not (np.isfinite(sigma) and sigma > 0):
            raise BadInput(f"bandwidth={bandwidth!r}.", "Give a positive number, or 'median'.")
    kernel = np.exp(squares * np.float32(-0.5 / sigma**2), out=squares)
    n, m = len(x), len(y)
    value = float(_estimates(kernel, np.arange(n + m)[None] < n, n, m, unbiased)[0])
    reached = 0
    for first in range(0, resamples, _CHUNK):
        ranks = rng.permuted(np.tile(np.arange(n + m), (min(_CHUNK, resamples - first), 1)), axis=1)
        # Rounding differs between divisions that are mirror images of each other.
        reached += int((_estimates(kernel, ranks < n, n, m, unbiased) >= value - 1e-6).sum())
    return MMD(value, (1 + reached) / (1 + resamples), sigma, n, m, given, unbiased)


def _estimates(kernel: np.ndarray, first: np.ndarray, n: int, m: int, unbiased: bool) -> np.ndarray:
    """Return MMD² of divisions ``(divisions, n + m)``, True for the first sample.

    With s the indicator of the first sample, ``s'Ks`` sums the kernel within it; the row sums and the total
    give the other two blocks.
    """
    s = first.astype(np.float32)
    rows = kernel.sum(axis=1, dtype=np.float64)
    in_x = np.einsum("ij,ij->i", s @ kernel, s, dtype=np.float64)
    touch_x = first @ rows
    in_y = rows.sum() - 2 * touch_x + in_x
    across = touch_x - in_x
    if unbiased:
        in_x, in_y, n_x, n_y = in_x - n, in_y - m, n * (n - 1), m * (m - 1)
    else:
        n_x, n_y = n * n, m * m
    return np.asarray(in_x / n_x + in_y / n_y - 2 * across / (n * m))


def _squared_distances(z: np.ndarray) -> np.ndarray:
    """Return ``(n, n)`` float32 squared distances, exactly 0 on the diagonal.

    Worked out in float64, some rows at a time: near pairs of far-away points would vanish in float32.
    """
    z = z - z.mean(axis=0)
    norms = np.einsum("ij,ij->i", z, z)
    squares = np.empty((len(z), len(z)), np.float32)
    for first in range(0, len(z), _ROWS):
        rows = slice(first, first + _ROWS)
        block = norms[rows, None] + norms - 2 * (z[rows] @ z.T)
        squares[rows] = np.maximum(block, 0)
    np.fill_diagonal(squares, 0)
    return squares


def _median_distance(squares: np.ndarray) -> float:
    rows = np.linspace(0, len(squares) - 1, min(len(squares), 1000)).astype(int)
    some = squares[np.ix_(rows, rows)]
    apart = some[some > 0]
    return float(np.sqrt(np.median(apart))) if len(apart) else 1.0  # all alike: any kernel says so


@dataclass(frozen=True)
class ProxyADistance:
    """How well a linear classifier tells two domains apart; see `proxy_a_distance`.

    Parameters
    ----------
    value : float
        2 (1 − 2 error), cut off at 0: from 0 (not at all) to 2 (without a mistake).
    error : float
        Of the domain classifier on held-out examples, both domains weighing alike.
    low, high : float
        95% interval of the distance, from the held-out examples.
    n : int
        Held-out examples.
    """

    value: float
    error: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float]:
        """Return everything as plain values."""
        return asdict(self)

    def __float__(self) -> float:
        return self.value

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("proxy A-distance", f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"),
            ("error of telling apart", f"{self.error:.1%}"),
            ("held-out examples", f"{self.n:,}"),
        ]

    def __str__(self) -> str:
        return f"Two domains\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Two domains</b>", ("", "value [95% interval]"), self._rows())


def proxy_a_distance(x: np.ndarray, y: np.ndarray, *, most: int = MOST, seed: int = 0) -> ProxyADistance:
    r"""Return how well a linear classifier tells two domains apart, on examples that it was not fitted on.

    .. math:: d_A = 2\,(1 - 2\,\text{error})

    Half of each domain fits a logistic regression on standardised features (its strength chosen by
    cross-validation within that half), the other half judges it. Both domains weigh alike, so that 50% is
    chance whatever their sizes. It stands in for the divergence that `target_error_bound` asks for, and is
    **not** that: linear classifiers in place of the differences of two classifiers of the task, and one
    fitted in place of the best. What a linear classifier misses is not in it.

    Parameters
    ----------
    x, y : numpy.ndarray
        ``(n, d)`` and ``(m, d)`` features, ten examples or more each. Not changed. No labels needed.
    most : int
        Domains with more examples are thinned to this many, drawn by `seed`.
    seed : int
        Also of the halves.

    Returns
    -------
    ProxyADistance

    Raises
    ------
    BadInput
        Arrays that are not finite ``(n, d)`` with the same columns, or fewer than ten examples.

    References
    ----------
    Ben-David, Blitzer, Crammer & Pereira (2007), "Analysis of representations for domain adaptation".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proxy_a_distance(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 20).value
    2.0
    """
    x, y = both_samples(x, y, fewest=10)
    rng = np.random.default_rng(seed)
    fit_half, held_out = [], []
    for sample in (x, y):
        thin = _thinned(sample, most, rng)
        thin = thin[rng.permutation(len(thin))]
        fit_half.append(thin[: len(thin) // 2])
        held_out.append(thin[len(thin) // 2 :])
    classifier = _domain_classifier(fit_half, seed)
    wrong = [classifier.predict(half) != domain for domain, half in enumerate(held_out)]
    error = float(np.mean([w.mean() for w in wrong]))
    counts = np.array([len(w) for w in wrong])
    draws = np.mean([rng.binomial(len(w), w.mean(), 2000) / len(w) for w in wrong], axis=0)
    low, high = (_a_distance(float(e)) for e in np.percentile(draws, (97.5, 2.5)))
    return ProxyADistance(_a_distance(error), error, low, high, int(counts.sum()))


def _a_distance(error: float) -> float:
    return max(2 * (1 - 2 * error), 0.0)


def _domain_classifier(halves: list[np.ndarray], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    plain = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=200, tol=1e-3)
    )
    search = GridSearchCV(
        plain,
        {"logisticregression__C": [1e-4, 1e-2, 1.0]},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(3, shuffle=True, random_state=seed),
    )
    domains = np.repeat([0, 1], [len(half) for half in halves])
    return search.fit(np.vstack(halves), domains)


@dataclass(frozen=True)
class TargetBound:
    """The terms of a bound on the target error; see `target_error_bound`.

    Parameters
    ----------
    source_error : float
        Measured.
    divergence : float
        Measured, d_HΔH of the samples: from 0 to 2. Half of it enters.
    sampling : float
        Computed: what samples may hide of the divergence, with probability 1 − δ.
    ideal_joint_error : float
        Assumed, λ: the least sum of errors on both domains that one classifier can have.
    """

    source_error: float
    divergence: float
    sampling: float
    ideal_joint_error: float
    n_source: int
    n_target: int
    vc_dimension: float
    delta: float

    @property
    def value(self) -> float:
        """The bound: the sum of its terms. Above 1 it says nothing, since no error is larger."""
        return self.source_error + self.divergence / 2 + self.sampling + self.ideal_joint_error

    @property
    def says_something(self) -> bool:
        """Whether the bound is below 1."""
        return self.value < 1

    def to_dict(self) -> dict[str, Any]:
        """Return the terms and the bound as plain values."""
        return {**asdict(self), "value": self.value}

    def _cells(self) -> list[tuple[str, str, str]]:
        size = f"{self.n_source:,} and {self.n_target:,} examples"
        size += f", d = {self.vc_dimension:,.0f}, δ = {self.delta:g}"
        verdict = "" if self.says_something else "above 1: says nothing"
        return [
            ("source error", f"{self.source_error:.3f}", "measured"),
            ("½ divergence", f"{self.divergence / 2:.3f}", "measured"),
            ("sampling", f"{self.sampling:.3f}", f"bounded: {size}"),
            ("λ, ideal joint error", f"{self.ideal_joint_error:.3f}", "assumed: it needs target labels"),
            ("target error at most", f"{self.value:.3f}", verdict),
        ]

    def __str__(self) -> str:
        return f"Bound on the target error\n{text_table(self._cells(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Bound on the target error</b>", ("term", "value", "origin"), self._cells())


def target_error_bound(
    source_error: float,
    divergence: float,
    ideal_joint_error: float,
    n_source: int,
    n_target: int,
    vc_dimension: float,
    delta: float = 0.05,
) -> TargetBound:
    r"""Return the terms of Ben-David et al.'s bound on the target error (2010, theorem 2).

    For classifiers h of a class H of VC dimension d, with probability 1 − δ over the samples,

    .. math:: ε_T(h) \le ε_S(h) + \tfrac12 \hat d_{HΔH}(U_S, U_T)
              + 4 \sqrt{\frac{2d \ln(2m') + \ln(2/δ)}{m'}} + λ

    where λ is the least ``ε_S(h) + ε_T(h)`` of any h in H.

    Measured are the source error and the divergence of the samples. Bounded is what the samples may hide: the
    square root. λ can only be assumed, or estimated with target labels that one had hoped to do without; a
    small divergence is worth nothing where it is large. The theorem is about two classes, source error of the
    *distribution* (take it from held-out examples), and m' examples of each domain; here m' is the smaller of
    the two sizes. A sum above 1 is true and says nothing: with d in the thousands that is the rule, and the
    terms are worth comparing all the same.

    Parameters
    ----------
    source_error : float
        0 to 1.
    divergence : float
        0 to 2. `proxy_a_distance` gives a stand-in, usually too small: one linear domain classifier for the
        best one in HΔH.
    ideal_joint_error : float
        λ, 0 to 2.
    n_source, n_target : int
        Unlabelled examples that the divergence was measured on.
    vc_dimension : float
        Of H; a linear classifier of f features has f + 1.
    delta : float
        Probability with which the bound may fail, between 0 and 1.

    Returns
    -------
    TargetBound

    Raises
    ------
    BadInput
        A value out of its range.

    References
    ----------
    Ben-David, Blitzer, Crammer, Kulesza, Pereira & Vaughan (2010), "A theory of learning from different
    domains".

    Examples
    --------
    >>> bound = target_error_bound(0.1, 0.4, 0.05, 10**6, 10**6, vc_dimension=11)
    >>> round(bound.sampling, 3), round(bound.value, 3), bound.says_something
    (0.072, 0.422, True)
    """
    for what, value, most in (
        ("source_error", source_error, 1),
        ("divergence", divergence, 2),
        ("ideal_joint_error", ideal_joint_error, 2),
    ):
        if not 0 <= value <= most:
            raise BadInput(f"{what}={value}; expected 0 to {most}.", "Errors are shares, not per cents.")
    if min(n_source, n_target) < 1 or not vc_dimension >= 1 or not 0 < delta < 1:
        raise BadInput(
            f"n_source={n_source}, n_target={n_target}, vc_dimension={vc_dimension}, delta={delta}; expected "
            "examples, a dimension of at least 1 and a probability between 0 and 1.",
            "A linear classifier of f features has the VC dimension f + 1; delta=0.05 is usual.",
        )
    m = min(n_source, n_target)
    sampling = 4 * np.sqrt((2 * vc_dimension * np.log(2 * m) + np.log(2 / delta)) / m)
    return TargetBound(
        float(source_error),
        float(divergence),
        float(sampling),
        float(ideal_joint_error),
        int(n_source),
        int(n_target),
        float(vc_dimension),
        float(delta),
    )


def both_samples(x: np.ndarray, y: np.ndarray, fewest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return two samples as float64 copies, after making sure that they can be compared."""
    samples = []
    for which, given in (("first", x), ("second", y)):
        sample = np.asarray(given)
        if sample.ndim != 2 or len(sample) < fewest or not sample.shape[1] or sample.dtype.kind not in "fiub":
            raise BadInput(
                f"The {which} sample has shape {sample.shape} and type {sample.dtype}; expected numbers "
                f"(n, d), {fewest} examples or more.",
                "Give what encoder.encode(split) returns for each domain.",
            )
        if not np.isfinite(sample).all():
            raise BadInput(
                f"The {which} sample holds NaN or infinite values.", "Look at rows that are not finite."
            )
        samples.append(sample.astype(np.float64))
    if samples[0].shape[1] != samples[1].shape[1]:
        raise BadInput(
            f"The samples have {samples[0].shape[1]} and {samples[1].shape[1]} columns.",
            "Encode both with the same encoder.",
        )
    return samples[0], samples[1]


def _thinned(sample: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return `sample`, or `most` of its rows drawn without replacement."""
    return sample if len(sample) <= most else sample[np.sort(rng.permutation(len(sample))[:most])]
