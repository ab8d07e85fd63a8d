"""Can its probabilities be believed: calibration error, reliability, temperature scaling."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import Interval, Predictor, html_table, interval, text_table
from course_lib.tasks.task import Split

SCHEMES = ("width", "mass")
COLDEST, HOTTEST = 0.01, 100.0
"""The bounds of a temperature."""

_LEAST = 1e-12  # a probability of 0 counts as this: log-loss stays finite, and a temperature can revive it
_Z = 1.959963984540054  # the normal's 97.5th percentile


class Probabilistic(Predictor, Protocol):
    """What calibration needs of a fitted method."""

    def predict_proba(self, data: Any, /) -> np.ndarray:
        """Return the probability of every class, ``(n, k)``."""
        ...


@dataclass(frozen=True, eq=False)
class Reliability:
    """How sure a method was, and how often it was right when it was that sure; see `reliability`.

    Parameters
    ----------
    edges : numpy.ndarray
        ``(bins + 1,)`` of confidence, the highest probability of an example. The last bin holds 1.
    confidence, accuracy : numpy.ndarray
        ``(bins,)`` means; NaN where a bin is empty.
    low, high : numpy.ndarray
        ``(bins,)`` ends of the accuracies' 95% intervals (Wilson 1927).
    count : numpy.ndarray
        ``(bins,)`` int64.
    ece : Interval
        Expected calibration error.
    floor : float
        The ECE that perfectly calibrated probabilities would show on as many examples, on average.
    max_gap : float
        The largest distance of accuracy and confidence in a bin, however few examples it holds.
    brier : float
        Mean squared distance of the probabilities to the truth, 0 to 2.
    nll : float
        Mean negative log-likelihood, in nats.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    ece: Interval
    floor: float
    max_gap: float
    brier: float
    nll: float

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.count.sum())

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: positive when it promises more than it keeps."""
        filled = self.count > 0
        gap = self.confidence[filled] - self.accuracy[filled]
        return float(np.average(gap, weights=self.count[filled]))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, empty bins as None."""
        plain = {
            key: [None if np.isnan(v) else v for v in value.tolist()]
            for key, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        numbers = {key: value for key, value in vars(self).items() if isinstance(value, float)}
        return {**plain, "ece": self.ece.to_dict(), **numbers, "n": self.n}

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("calibration error (ECE)", str(self.ece)),
            ("of a perfect one, by chance", f"{self.floor:.1%}"),
            ("largest gap of a bin", f"{self.max_gap:.1%}"),
            ("confidence minus accuracy", f"{100 * self.overconfidence:+.1f} points"),
            ("Brier score", f"{self.brier:.3f}"),
            ("negative log-likelihood", f"{self.nll:.3f}"),
        ]

    def __str__(self) -> str:
        return f"reliability on {self.n:,} examples\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>reliability</b> on {self.n:,} examples"
        return html_table(caption, ("", "value"), self._rows())


def expected_calibration_error(
    probabilities: np.ndarray,
    y: np.ndarray,
    bins: int = 15,
    scheme: str = "width",
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    r"""Return the mean distance between confidence and accuracy.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} \bigl| \mathrm{acc}(b) - \mathrm{conf}(b) \bigr|

    over bins b of examples with similar confidence, the highest probability of an example. Absolute values
    do not cancel, so that chance alone gives a positive ECE (`Reliability.floor`): the smaller n and the
    more bins, the larger. A bootstrap adds that bias a second time; its draws are moved back to the value,
    and the interval says how far the number would scatter over test sets of this size, not where the ECE of
    endless data lies. Bins of equal mass are found once and kept.

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)``, rows summing to 1.
    y : numpy.ndarray
        ``(n,)`` labels.
    bins : int
    scheme : {"width", "mass"}
        ``"width"``: bins of equal width (Guo et al.). ``"mass"``: of equally many examples (Nixon et al.),
        ties kept together; no bin is then nearly empty.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    Interval

    Raises
    ------
    BadInput
        When these are not probabilities, labels do not fit them, or bins or scheme make no sense.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks".
    Nixon, Dusenberry, Jerfel, Nguyen, Liu, Zhang & Tran (2019), "Measuring calibration in deep learning".
    Bröcker (2012), "Estimating reliability and resolution of probability forecasts through decomposition of
    the empirical score": the bias.

    Examples
    --------
    Sure of 0.9 and right in three of four:

    >>> p = np.array([[0.9, 0.1]] * 4)
    >>> round(expected_calibration_error(p, np.array([0, 0, 0, 1])).value, 3)
    0.15
    """
    p, y = _checked(probabilities, y)
    place, _ = _binned(p.max(axis=1), bins, scheme)
    residual = (p.argmax(axis=1) == y) - p.max(axis=1)
    return _ece(place, residual, resamples, seed)


def reliability(
    probabilities: np.ndarray,
    y: np.ndarray,
    bins: int = 15,
    scheme: str = "width",
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Reliability:
    """Compare confidence with accuracy, bin by bin (可靠性图); `show.reliability` draws it.

    Parameters
    ----------
    probabilities, y, bins, scheme, resamples, seed
        As in `expected_calibration_error`.

    Returns
    -------
    Reliability

    Raises
    ------
    BadInput
        As `expected_calibration_error`.

    Examples
    --------
    >>> found = reliability(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]), bins=2)
    >>> found.count.tolist(), found.accuracy[1].item(), found.ece.value
    ([0, 4], 0.75, 0.0)
    """
    p, y = _checked(probabilities, y)
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == y
    place, edges = _binned(confidence, bins, scheme)
    size = len(edges) - 1
    count = np.bincount(place, minlength=size)
    means = [
        np.divide(np.bincount(place, of, minlength=size), count, out=np.full(size, np.nan), where=count > 0)
        for of in (confidence, hit)
    ]
    chance = np.sqrt(np.bincount(place, confidence * (1 - confidence), minlength=size))
    truth = np.eye(p.shape[1])[y]
    low, high = _wilson(means[1], count)
    return Reliability(
        edges=edges,
        confidence=means[0],
        accuracy=means[1],
        low=low,
        high=high,
        count=count,
        ece=_ece(place, hit - confidence, resamples, seed),
        floor=float(np.sqrt(2 / np.pi) * chance.sum() / len(y)),  # E|X| of a normal X is sqrt(2/π)·σ
        max_gap=float(np.nanmax(np.abs(means[1] - means[0]))),
        brier=float(np.square(p - truth).sum(axis=1).mean()),
        nll=float(-np.log(np.maximum(p[np.arange(len(y)), y], _LEAST)).mean()),
    )


def temperature(log_probabilities: np.ndarray, y: np.ndarray) -> float:
    r"""Fit the one number that makes probabilities as honest as a single number can.

    .. math:: T = \arg\min_T \; -\tfrac{1}{n} \sum_i \log \mathrm{softmax}(z_i / T)_{y_i}

    T > 1 takes confidence away, T < 1 adds some; which class is likeliest never changes. In 1/T the problem
    is convex, so that the root of its slope is the answer. Logits and log-probabilities give the same T,
    since they differ by a constant per row. Where every answer is right the loss falls for ever as T goes to
    0, and where the likelier classes are the wrong ones, as T grows: then T is the bound, 0.01 or 100, and
    says that these examples cannot tell.

    Parameters
    ----------
    log_probabilities : numpy.ndarray
        ``(n, k)`` logits or log-probabilities of *validation* examples. On training examples T comes out
        too low; fitted on test examples, it flatters the test score.
    y : numpy.ndarray
        ``(n,)`` labels.

    Returns
    -------
    float

    Raises
    ------
    BadInput
        When shapes do not fit, nothing is there, or a value is NaN or infinite.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks", section 4.2.

    Examples
    --------
    Sure of 0.9 (logits 0 and log 9), right in three of four (log 3): twice too sure.

    >>> round(temperature(np.array([[np.log(9), 0.0]] * 4), np.array([0, 0, 0, 1])), 6)
    2.0
    """
    from scipy.optimize import brentq

    z, y = _checked_logits(log_probabilities, y)
    z = z - z.max(axis=1, keepdims=True)
    at_label = float(z[np.arange(len(y)), y].mean())

    def slope(sharpness: float) -> float:
        weight = np.exp(sharpness * z)
        return float(((weight * z).sum(axis=1) / weight.sum(axis=1)).mean()) - at_label

    least, most = 1 / HOTTEST, 1 / COLDEST
    if not np.ptp(z):  # every class is as likely at any temperature
        return 1.0
    if slope(most) <= 0:
        return COLDEST
    if slope(least) >= 0:
        return HOTTEST
    return 1 / float(brentq(slope, least, most, xtol=1e-12))


class Scaled:
    """A fitted method whose probabilities went through a temperature; see `calibrated`.

    Attributes
    ----------
    temperature : float
    classifier : Probabilistic
        As it was.
    name, task_name, class_names, train_size, chosen, chosen_path
        The classifier's own; the name ends in ", calibrated" and `chosen` has the temperature.
    seconds : dict of str to float
        The classifier's, and ``"calibrate"``.
    parameters_trained : int
        One more.
    """

    def __init__(
        self, classifier: Probabilistic, temperature: float, class_names: tuple[str, ...], seconds: float
    ) -> None:
        if not (np.isfinite(temperature) and temperature > 0):
            raise BadInput(
                f"temperature={temperature}; expected a positive number.", "measure.temperature fits one."
            )
        self.classifier = classifier
        self.temperature = float(temperature)
        self.name = f"{classifier.name}, calibrated"
        self.class_names = class_names
        self.task_name: str = getattr(classifier, "task_name", "")
        self.train_size: int = getattr(classifier, "train_size", 0)
        self.parameters_trained: int = getattr(classifier, "parameters_trained", 0) + 1
        spent: Mapping[str, float] = getattr(classifier, "seconds", {})
        self.seconds = {**spent, "calibrate": seconds}
        self.chosen: dict[str, Any] = {
            **getattr(classifier, "chosen", {}),
            "temperature": self.temperature,
        }
        self.chosen_path: tuple[dict[str, float], ...] = tuple(getattr(classifier, "chosen_path", ()))

    def predict(self, data: Any) -> np.ndarray:
        """Return the likeliest class of every example, ``(n,)``: the classifier's own answers."""
        return self.classifier.predict(data)  # not the argmax: rounding may make two probabilities equal

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return probabilities ``(n, k)`` float32 at the fitted temperature."""
        return at_temperature(self.classifier.predict_proba(data), self.temperature)

    def __repr__(self) -> str:
        return f"Scaled({self.name!r}: T = {self.temperature:.3g})"


def calibrated(classifier: Probabilistic, validation: Split) -> Scaled:
    """Return `classifier` with its probabilities brought to the temperature that fits validation best.

    The predicted classes stay as they are; only how sure it says it is changes. Validation is used for one
    number, so a few hundred examples do; when its labels also chose the method, that number is a little too
    low.

    Parameters
    ----------
    classifier : Probabilistic
        Anything with ``name``, ``predict`` and ``predict_proba``.
    validation : Split
        Labelled examples of the domain where it shall be honest: not those it was fitted on, never the test
        set. A temperature fitted on one domain or language need not fit another.

    Returns
    -------
    Scaled

    Raises
    ------
    BadInput
        When validation is empty, has other classes, or the classifier gives no probabilities.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks".
    """
    if len(validation) == 0:
        raise BadInput(
            f"{validation.name} is empty, so no temperature can be fitted.",
            "Hold out some examples for validation; never use the test set.",
        )
    known = tuple(getattr(classifier, "class_names", validation.class_names))
    if known != tuple(validation.class_names):
        raise BadInput(
            f"{classifier.name} was fitted for the classes {', '.join(known)}; {validation.name} has "
            f"{', '.join(validation.class_names)}.",
            "Calibrate on a split with the same classes in the same order.",
        )
    predict: Callable[[Any], np.ndarray] | None = getattr(classifier, "predict_proba", None)
    if predict is None:
        raise BadInput(
            f"{classifier.name} has no predict_proba, so there is nothing to calibrate.",
            "Give a method that says how sure it is.",
        )
    start = time.perf_counter()
    p, y = _checked(predict(validation), validation.y)
    fitted = temperature(np.log(np.maximum(p, _LEAST)), y)
    return Scaled(classifier, fitted, known, time.perf_counter() - start)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return ``p ** (1/T)``, normalised per row: softmax(z / T) of the logits z behind p, without them.

    Examples
    --------
    >>> at_temperature(np.array([[0.9, 0.1]]), 2.0).round(3).tolist()
    [[0.75, 0.25]]
    """
    z = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
    power = np.exp(z - z.max(axis=1, keepdims=True)) if len(z) else z
    return np.asarray(power / power.sum(axis=1, keepdims=True), np.float32)


def _checked(probabilities: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities as float64, rows summing to 1 exactly, and their labels."""
    p = np.asarray(probabilities)
    _same_length(p, y, "probabilities")
    p, total = p.astype(np.float64), p.sum(axis=1, dtype=np.float64)
    if not np.isfinite(p).all() or p.min() < -1e-6 or np.abs(total - 1).max() > 1e-2:
        raise BadInput(
            f"The probabilities run from {p.min():.3g} to {p.max():.3g} and their rows sum to "
            f"{total.min():.3g} to {total.max():.3g}; expected 0 to 1, and 1.",
            "Give what predict_proba returns; logits go through a softmax first.",
        )
    p = np.maximum(p, 0)
    return p / p.sum(axis=1, keepdims=True), np.asarray(y, np.int64)


def _checked_logits(logits: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = np.asarray(logits)
    _same_length(z, y, "log-probabilities")
    if not np.isfinite(z).all():
        bad = int((~np.isfinite(z)).any(axis=1).sum())
        raise BadInput(
            f"{bad:,} of {len(z):,} rows of log-probabilities hold NaN or infinity.",
            "Take np.log(np.maximum(probabilities, 1e-12)).",
        )
    return z.astype(np.float64), np.asarray(y, np.int64)


def _same_length(table: np.ndarray, y: np.ndarray, what: str) -> None:
    """Raise `BadInput` unless `table` is ``(n, k)`` numbers and `y` ``(n,)`` class numbers below k."""
    y = np.asarray(y)
    if table.ndim != 2 or table.dtype.kind not in "fiu" or table.shape[1] < 2 or len(table) == 0:
        raise BadInput(
            f"The {what} have shape {table.shape} and type {table.dtype}; expected (n, k) numbers, k >= 2.",
            "Give one row per example and one column per class.",
        )
    if y.shape != (len(table),) or y.dtype.kind not in "iu":
        raise BadInput(
            f"{len(table):,} rows of {what}, but labels of shape {y.shape} and type {y.dtype}.",
            "Give one class number per row.",
        )
    if y.min() < 0 or y.max() >= table.shape[1]:
        raise BadInput(
            f"The labels run from {y.min()} to {y.max()}; the {what} have {table.shape[1]} columns.",
            "Number the classes from 0, in the order of the columns.",
        )


def _binned(confidence: np.ndarray, bins: int, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of every confidence ``(n,)``, and the edges; a bin holds its upper edge."""
    if scheme not in SCHEMES or bins < 1:
        raise BadInput(f"bins={bins}, scheme={scheme!r}.", f"Give bins >= 1 and one of {', '.join(SCHEMES)}.")
    edges = np.linspace(0, 1, bins + 1)
    if scheme == "mass":
        edges = np.quantile(confidence, edges, method="inverted_cdf")
        inner = np.unique(edges[1:-1])
        edges = np.array([edges[0], *inner[inner < edges[-1]], edges[-1]])
    return np.searchsorted(edges[1:-1], confidence, side="left"), edges


def _ece(place: np.ndarray, residual: np.ndarray, resamples: int, seed: int) -> Interval:
    """Return ``sum over bins of |sum of residuals| / n`` with its recentred bootstrap interval."""
    n, rng = len(residual), np.random.default_rng(seed)
    value = float(np.abs(np.bincount(place, residual)).sum()) / n
    draws = np.empty(resamples)
    for i in range(resamples):
        rows = rng.integers(n, size=n)
        draws[i] = np.abs(np.bincount(place[rows], residual[rows])).sum() / n
    found = interval(value, draws - draws.mean() + value)
    return Interval(value, max(found.low, 0.0), found.high)


def _wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95% intervals of shares of `count`; NaN where there is no example."""
    n = np.where(count > 0, count, np.nan)
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return middle - half, middle + half
