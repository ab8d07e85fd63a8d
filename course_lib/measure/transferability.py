"""How well will a network carry over: four scores that need no training, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, Protocol, runtime_checkable

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure import gram
from course_lib.measure.report import html_table, text_table

SCORES: dict[str, tuple[str, str]] = {
    "leep": ("LEEP", "nats per label, at most 0"),
    "nce": ("NCE", "nats per label, at most 0"),
    "log_me": ("LogME", "nats per label and class"),
    "h_score": ("H-score", "0 to classes − 1"),
}
"""Name in code, name in tables, and unit with range of each score. Higher means better transfer."""

_LOG2PI = float(np.log(2 * np.pi))


@runtime_checkable
class Source(Protocol):
    """What `transferability` needs of an encoder; ``source_probabilities`` is used where there is one."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    def encode(self, data: Any, /) -> np.ndarray:
        """Return features ``(n, d)``."""
        ...


@dataclass(frozen=True)
class Transferability:
    """Four scores of one source network on one target task; see `transferability`.

    Parameters
    ----------
    name : str
        Of the source.
    leep, nce : float or None
        None without source probabilities.
    log_me, h_score : float
    n, d, classes : int
        Examples, columns and classes that the scores were made of.
    shrinkage : bool
        Whether the H-score is the regularised one.
    """

    name: str
    leep: float | None
    nce: float | None
    log_me: float
    h_score: float
    n: int
    d: int
    classes: int
    shrinkage: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return dict(vars(self))

    def _caption(self) -> str:
        return f"{self.n:,} labels, {self.d:,} features, {self.classes} classes; higher is better"

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for score, (label, unit) in SCORES.items():
            value = getattr(self, score)
            shown = "needs source probabilities" if value is None else f"{value:.3f}".replace("-", "−")
            shrunk = ", shrunk" if self.shrinkage and score == "h_score" else ""
            rows.append((label + shrunk, shown, unit))
        return rows

    def __str__(self) -> str:
        return f"{self.name}: {self._caption()}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>{escape(self.name)}</b>: {self._caption()}"
        return html_table(caption, ("score", "value", "unit and range"), self._rows())


def transferability(
    source: Source | np.ndarray,
    target: Any,
    *,
    source_probabilities: np.ndarray | None = None,
    shrinkage: bool = False,
    name: str = "",
) -> Transferability:
    """Score how well a source network fits a target task, without training anything.

    Each score compares sources **on one target task**: their zero and their unit depend on the labels, so a
    LogME of one task says nothing beside that of another. They see the training labels only; give
    ``task.train``, never test.

    Parameters
    ----------
    source : Source or numpy.ndarray
        An encoder, or features ``(n, d)``.
    target : Split or numpy.ndarray
        For an encoder a labelled split, for features their labels ``(n,)``, whole numbers from 0.
    source_probabilities : numpy.ndarray, optional
        ``(n, Z)`` what the source network says of the target examples in its own Z classes. Default: what
        the encoder's ``source_probabilities`` gives; without either, LEEP and NCE are None.
    shrinkage : bool
        The regularised H-score; see `h_score`. Worth it when examples are few for the columns.
    name : str
        For tables. Default: the encoder's name.

    Returns
    -------
    Transferability

    Raises
    ------
    BadInput
        As `leep`, `log_me` and `h_score`.

    Notes
    -----
    LogME and H-score share one Gram matrix. From about a thousand million multiply-adds (n · d²) it is made
    in float32; whether that is enough is checked afterwards, and where it is not (columns that nearly
    repeat each other, a fit nearly without noise) all is done again in float64.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.9, 0.2], [0.1, 1.0], [0.0, 0.8]])
    >>> scores = transferability(x, np.array([0, 0, 1, 1]), name="two columns")
    >>> scores.leep is None, round(scores.h_score, 2)
    (True, 0.99)
    """
    if isinstance(source, np.ndarray):
        features, y = source, target
    elif isinstance(source, Source):
        if not hasattr(target, "y"):
            raise BadInput(f"The target of an encoder is a {type(target).__name__}.", "Give task.train.")
        features, y, name = source.encode(target), target.y, name or source.name
        if source_probabilities is None:
            source_probabilities = _said_by(source, target)
    else:
        raise BadInput(
            f"The source is a {type(source).__name__}; expected an encoder or features (n, d).",
            "For instance encoders.imagenet(), or the array that its encode gave.",
        )
    data = _labelled(features, y)
    theirs = None if source_probabilities is None else _probabilities(source_probabilities, data.n)
    return Transferability(
        name=name or "features",
        leep=None if theirs is None else _leep(theirs, data.y),
        nce=None if theirs is None else _nce(theirs.argmax(axis=1), data.y),
        log_me=_log_me(data),
        h_score=_h_score(data, shrinkage),
        n=data.n,
        d=data.d,
        classes=len(data.counts),
        shrinkage=shrinkage,
    )


def leep(source_probabilities: np.ndarray, y: np.ndarray) -> float:
    r"""Return the log expected empirical prediction (Nguyen et al., 2020).

    With θ(x)_z the probability that the source network gives its own class z, and the empirical joint

    .. math:: \hat P(y, z) = \tfrac1n \sum_{i: y_i = y} θ(x_i)_z, \qquad
              \text{LEEP} = \tfrac1n \sum_i \ln \sum_z \hat P(y_i \mid z)\, θ(x_i)_z

    in nats per label: the log-likelihood of a classifier that knows the target labels only through the
    source classes. At most 0, which needs source classes that tell the target classes apart without doubt;
    a source that says the same of everything gets −H(y). Source classes that are never likely do not count.

    Parameters
    ----------
    source_probabilities : numpy.ndarray
        ``(n, Z)``, rows summing to 1.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0. Classes without examples play no part.

    Returns
    -------
    float

    Raises
    ------
    BadInput
        Rows that are not probabilities, labels that are not classes, or one class only.

    References
    ----------
    Nguyen, Hassner, Seeger & Archambeau (2020), "LEEP: a new measure to evaluate transferability of learned
    representations".

    Examples
    --------
    >>> leep(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 0]))
    0.0
    """
    theirs = _probabilities(source_probabilities, np.shape(y)[0] if np.ndim(y) else 0)
    return _leep(theirs, _labels(y, len(theirs)))


def nce(source_labels: np.ndarray, y: np.ndarray) -> float:
    r"""Return the negative conditional entropy of target labels given source labels (Tran et al., 2019).

    .. math:: \text{NCE} = -H(Y \mid Z) = \sum_{y, z} \hat P(y, z) \ln \frac{\hat P(y, z)}{\hat P(z)}

    in nats per label, between −H(y) (the source says nothing of the target) and 0 (each source class holds
    one target class). With about as many source classes as examples it is near 0 by chance.

    Parameters
    ----------
    source_labels : numpy.ndarray
        ``(n,)`` whole numbers from 0: the source network's likeliest class of every target example.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.

    Returns
    -------
    float

    Raises
    ------
    BadInput
        Labels that are not classes, not one for each, or one target class only.

    References
    ----------
    Tran, Nguyen & Hassner (2019), "Transferability and hardness of supervised classification tasks".

    Examples
    --------
    >>> round(nce(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])), 4)  # −ln 2: nothing is known
    -0.6931
    """
    z = _whole(source_labels, np.shape(y)[0] if np.ndim(y) else 0, "Source labels")
    return _nce(z, _labels(y, len(z)))


def log_me(features: np.ndarray, y: np.ndarray) -> float:
    r"""Return the log maximum evidence of a linear model of the labels (You et al., 2021).

    Each class's indicator is regressed on the features as they are (not centred, no bias), with prior
    ``w ~ N(0, I/α)`` and noise ``N(0, 1/β)``. The weights are integrated out and α and β chosen to make
    the evidence largest:

    .. math:: \text{LogME} = \frac1K \sum_{c} \frac1n \max_{α, β} \ln p(y_c \mid X, α, β)

    in nats per label, the mean over the K classes that have examples. It is a log-density and has no upper
    bound: ``inf`` where fewer columns than examples explain the labels without a rest. A source is not
    punished for the scale of its features, but for columns that do not help. It is compared across sources
    on the same labels only.

    The paper alternates between α and β. Here β is eliminated: with t = α/β and r(t) the smallest
    value of ``|Xw − y|² + t|w|²``, β = n / r(t), which leaves a search along t alone, over its whole
    range.

    Parameters
    ----------
    features : numpy.ndarray
        ``(n, d)``; n < d is fine, so are repeated and constant columns.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.

    Returns
    -------
    float

    Raises
    ------
    BadInput
        Features that are not a finite array ``(n, d)``, labels that are not classes, or one class only.

    References
    ----------
    You, Liu, Wang & Long (2021), "LogME: practical assessment of pre-trained models for transfer learning".

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(100, 3)); y = (x[:, 0] > 0).astype(int)
    >>> log_me(x, y) > log_me(x[:, 1:], y)
    True
    """
    return _log_me(_labelled(features, y))


def h_score(features: np.ndarray, y: np.ndarray, shrinkage: bool = False) -> float:
    r"""Return the H-score: between-class variance in units of the whole variance (Bao et al., 2019).

    .. math:: H = \operatorname{tr}\bigl(\operatorname{cov}(f)^{+}\, \operatorname{cov}(E[f \mid y])\bigr)

    Between 0 (all classes have the same mean) and k − 1 (features determine the class linearly), without a
    unit. Any invertible linear map of the features leaves it as it is. With n ≤ d it is k − 1 for almost any
    features, however useless: every labelling of few points is linear in many columns. Then
    ``shrinkage=True`` helps (Ibrahim et al., 2021): with Ledoit and Wolf's α,

    .. math:: H_α = (1 - α) \operatorname{tr}\bigl(Σ_α^{-1} \operatorname{cov}(E[f \mid y])\bigr), \qquad
              Σ_α = (1 - α) \operatorname{cov}(f) + α\, \tfrac{\operatorname{tr} \operatorname{cov}(f)}{d} I

    Parameters
    ----------
    features : numpy.ndarray
        ``(n, d)``. A column that is constant, or a combination of others, adds nothing.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.
    shrinkage : bool

    Returns
    -------
    float
        0 when every column is constant.

    Raises
    ------
    BadInput
        As `log_me`.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir & Guibas (2019), "An information-theoretic approach to
    transferability in task transfer learning". Ibrahim, Ponomareva & Mazumder (2021), "Newer is not always
    better: rethinking transferability metrics, their peculiarities, stability and performance". Ledoit &
    Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1, 2, 2])
    >>> round(h_score(np.eye(3)[y], y), 6)
    2.0
    """
    return _h_score(_labelled(features, y), shrinkage)


def _said_by(source: Any, target: Any) -> np.ndarray | None:
    """Return the encoder's source probabilities, or None when it has no classifier."""
    if not hasattr(source, "source_probabilities"):
        return None
    try:
        return np.asarray(source.source_probabilities(target))
    except BadInput:
        return None


def _leep(theirs: np.ndarray, y: np.ndarray) -> float:
    y = np.unique(y, return_inverse=True)[1]
    order = np.argsort(y, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(y))[:-1])
    joint = np.stack([theirs[rows].sum(axis=0, dtype=np.float64) for rows in groups])
    mass = joint.sum(axis=0)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0).astype(theirs.dtype)
    total = 0.0
    for rows, conditional in zip(groups, given, strict=True):
        likely = np.einsum("ij,j->i", theirs[rows], conditional)
        total += float(np.log(likely, dtype=np.float64).sum())
    return min(total / len(y), 0.0)  # rounding may sum probabilities to a little more than 1


def _nce(z: np.ndarray, y: np.ndarray) -> float:
    z, y = np.unique(z, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    k = int(y.max()) + 1
    joint = np.bincount(z * k + y).astype(np.float64)
    return float(_xlogx(joint) - _xlogx(np.bincount(z).astype(np.float64))) / len(y)


def _xlogx(counts: np.ndarray) -> float:
    counts = counts[counts > 0]
    return float(counts @ np.log(counts))


def _log_me(data: gram.Labelled) -> float:
    if data.large:
        quick = _quick_evidence(data)
        if quick is not None:
            return float(quick.mean())
    rounding = np.finfo(np.float64).eps * max(data.n, data.d)
    # Dividing by the peak changes no evidence, and keeps squares from overflowing.
    seen = gram.spectrum(data.x / data.peak, data.y, len(data.counts), rounding)
    return float(np.mean([_evidence(data.n, seen, c) for c in range(len(data.counts))]))


def _per_label(n: int, rest: Any, spread: Any) -> Any:
    """Return the log evidence per label, from r(t) and ``log det (I + XᵀX / t)``."""
    return (np.log(n / rest) - _LOG2PI - 1 - spread / n) / 2


def _evidence(n: int, seen: gram.Spectrum, c: int) -> float:
    """Return one class's largest evidence per label, in float64."""
    from scipy.optimize import minimize_scalar

    values, energy, outside = seen.values, seen.energy[:, c], seen.outside[c]
    length = float(energy.sum() + outside)
    if outside == 0 and len(values) < n:
        return float("inf")
    without = float(_per_label(n, length, 0.0))  # t → ∞: features that explain nothing
    if not len(values):
        return without

    def at(log_t: float) -> float:
        t = np.exp(log_t)
        rest = outside + float(energy @ (t / (values + t)))
        return float(_per_label(n, rest, np.log1p(values / t).sum()))

    grid = np.arange(np.log(values.min()) - 20, np.log(values.max()) + 20, 0.5)
    best = float(grid[np.argmax([at(log_t) for log_t in grid])])
    found = minimize_scalar(lambda s: -at(s), bounds=(best - 0.5, best + 0.5), method="bounded")
    return max(at(best), -float(found.fun), without)


def _quick_evidence(data: gram.Labelled) -> np.ndarray | None:
    """Return every class's largest evidence per label from float32 products, or None where these blur it."""
    from scipy.optimize import minimize_scalar

    variance = np.diagonal(data.products[0]).astype(np.float64)
    trace = float(variance.sum() + data.n * data.mean @ data.mean)
    # Rounding moves eigenvalues by some 6e-8 of their sum; weaker ridges than 300 times that would show it.
    weakest = 2e-5 * trace
    if weakest > np.median(variance):  # a large mean or a few large columns hide the others
        return None
    reduced, n, d = gram.tridiagonal(data), data.n, data.d

    def at(log_t: float, classes: slice) -> np.ndarray:
        reached, determinant = reduced.at(np.exp(log_t), classes)
        rest = data.counts[classes] - reached
        rest[rest < 1e-3 * data.counts[classes]] = np.nan  # a difference of two rounded numbers
        return np.asarray(_per_label(n, rest, determinant - d * log_t))

    grid = np.arange(np.log(weakest), np.log(1e7 * weakest))
    table = np.stack([at(float(log_t), slice(None)) for log_t in grid])
    if np.isnan(table).any() or (table.argmax(axis=0) % (len(grid) - 1) == 0).any():
        return None
    best = []
    for c, place in enumerate(table.argmax(axis=0)):
        fall = partial(lambda s, c: -at(s, slice(c, c + 1))[0], c=c)
        around = (grid[place - 1], grid[place + 1])
        best.append(-minimize_scalar(fall, bounds=around, method="bounded", options={"xatol": 1e-2}).fun)
    return np.asarray(best)


def _h_score(data: gram.Labelled, shrinkage: bool) -> float:
    if not shrinkage:
        return float(np.sum(gram.explained(data) / data.counts))
    scatter, sums = data.products
    alpha, level = _ledoit_wolf(data, scatter)
    if alpha == 0:
        return _h_score(data, shrinkage=False)
    from scipy.linalg import cho_factor, cho_solve

    covariance = scatter.astype(np.float64) * ((1 - alpha) / data.n)
    covariance[np.diag_indices(data.d)] += alpha * level
    solved = cho_solve(cho_factor(covariance, lower=True), sums)
    return float((1 - alpha) * np.sum(sums * solved / data.counts) / data.n)


def _ledoit_wolf(data: gram.Labelled, scatter: np.ndarray) -> tuple[float, float]:
    """Return Ledoit and Wolf's α, and the mean variance that it shrinks towards."""
    n, d = data.n, data.d
    lower = np.tril(scatter, -1).ravel(order="K")
    diagonal = np.diagonal(scatter).astype(np.float64)
    squares = (2 * float(np.vdot(lower, lower)) + float(diagonal @ diagonal)) / n**2
    level = float(diagonal.sum()) / (n * d)
    distance = squares - d * level**2  # of the covariance to its target
    error = (data.fourth / n - squares) / n  # of the covariance itself
    nothing = (
        10 * float(np.finfo(scatter.dtype).eps) * squares
    )  # with one feature or two rows, only rounding is left
    return (min(error / distance, 1.0), level) if distance > nothing and error > nothing else (0.0, level)


def _labelled(features: np.ndarray, y: np.ndarray) -> gram.Labelled:
    x = np.asarray(features)
    if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "fiub":
        raise BadInput(
            f"Features of shape {x.shape} and type {x.dtype}; expected numbers (n, d).",
            "Give what encoder.encode(task.train) returns: a row per example.",
        )
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    data = gram.Labelled(x, np.unique(_labels(y, len(x)), return_inverse=True)[1])
    if not np.isfinite(data.peak):
        raise BadInput(
            "Features hold NaN or infinite values.", "Look at the examples whose rows are not finite."
        )
    return data


def _labels(y: np.ndarray, n: int) -> np.ndarray:
    y = _whole(y, n, "Labels")
    if y.min() == y.max():
        raise BadInput(
            f"All {n:,} labels are class {y[0]}; a score compares classes.", "Give two or more classes."
        )
    return y


def _whole(y: np.ndarray, n: int, what: str) -> np.ndarray:
    y = np.asarray(y)
    if y.shape != (n,) or n == 0 or y.dtype.kind not in "iub":
        raise BadInput(
            f"{what} of shape {y.shape} and type {y.dtype}; expected {n:,} whole numbers, one per example.",
            "Give task.train.y beside the features of task.train.",
        )
    y = y.astype(np.int64)
    if y.min() < 0:
        raise BadInput(
            f"{what} go down to {y.min()}; classes count from 0.", "Leave unlabelled examples out."
        )
    return y


def _probabilities(given: np.ndarray, n: int) -> np.ndarray:
    p = np.asarray(given)
    if p.ndim != 2 or p.shape[0] != n or 0 in p.shape or p.dtype.kind not in "fiub":
        raise BadInput(
            f"Source probabilities of shape {p.shape} and type {p.dtype}; expected ({n:,}, source classes).",
            "Give what encoder.source_probabilities(task.train) returns: a row per label.",
        )
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    sums = p.sum(axis=1)
    wrong = ~(np.abs(sums - 1) < 1e-3)  # NaN is wrong, too
    if wrong.any() or p.min() < 0:
        row = int(np.argmax(wrong | (p.min(axis=1) < 0)))
        raise BadInput(
            f"Row {row} of the source probabilities sums to {sums[row]:.4g} with a least value of "
            f"{p[row].min():.3g}; expected probabilities that sum to 1.",
            "Apply the softmax to logits first; for single labels there is measure.nce.",
        )
    return p
