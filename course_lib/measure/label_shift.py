"""How frequent the classes are in a target domain that has no labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import Interval, html_table, interval, text_table

SURE = 0.01
"""Below this p-value the outputs are said to differ."""

ILL = 30.0
"""A condition number above this is noted: errors of the target's shares may be so many times as large."""

_HEAD = ("class", "share in source", "target, BBSE [95%]", "target, EM [95%]")
_STEPS = 2000  # of EM
_TOLERANCE = 1e-6  # the largest change of a share at which EM ends


@dataclass(frozen=True, eq=False)
class LabelShift:
    """How frequent each class is in the target, if nothing but that has changed; see `label_shift`.

    Parameters
    ----------
    class_names : tuple of str
    source : numpy.ndarray
        ``(k,)`` shares of the classes in the validation labels.
    prior : numpy.ndarray
        ``(k,)`` mean validation probabilities: the shares that the classifier itself reckons with.
    bbse, em : tuple of Interval
        Shares in the target, by class, two ways.
    condition : float
        Condition number of P(answer | class): 1 when answers tell the classes, infinite when they tell
        nothing.
    p : float
        Of "the outputs are distributed alike in both", from their means: without label shift, p < a in a
        share a of all tests.
    n : tuple of int
        Validation and target examples.
    notes : tuple of str
        What weakens the estimates, in words.
    """

    class_names: tuple[str, ...]
    source: np.ndarray
    prior: np.ndarray
    bbse: tuple[Interval, ...]
    em: tuple[Interval, ...]
    condition: float
    p: float
    n: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def shares(self) -> np.ndarray:
        """EM's estimate ``(k,)``, which makes more of probabilities that can be believed."""
        return np.array([share.value for share in self.em])

    @property
    def shifted(self) -> bool:
        """Whether the outputs differ by more than chance."""
        return self.p < SURE

    def corrected(self, probabilities: np.ndarray) -> np.ndarray:
        """Return target probabilities ``(n, k)`` under the target's shares: Bayes' rule, P(X|Y) unchanged."""
        weighted = checked_probabilities(probabilities) * (self.shares / self.prior)
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))

    def sentence(self) -> str:
        """Return the estimate in plain words."""
        sizes = f"{self.n[0]:,} labelled source and {self.n[1]:,} unlabelled target examples"
        if not self.shifted:
            return f"No label shift seen: the outputs are distributed alike (p = {self.p:.2f}; {sizes})."
        c = int(np.abs(self.shares - self.source).argmax())
        return (
            f"If only the shares of the classes changed, {self.class_names[c]} went from "
            f"{self.source[c]:.1%} to {self.em[c]} (EM) or {self.bbse[c]} (BBSE); {sizes}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "class_names": list(self.class_names),
            "source": self.source.tolist(),
            "prior": self.prior.tolist(),
            "bbse": [share.to_dict() for share in self.bbse],
            "em": [share.to_dict() for share in self.em],
            "condition": self.condition if np.isfinite(self.condition) else None,
            "p": self.p,
            "n": list(self.n),
            "notes": list(self.notes),
        }

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (name, f"{share:.1%}", str(bbse), str(em))
            for name, share, bbse, em in zip(self.class_names, self.source, self.bbse, self.em, strict=True)
        ]

    def __str__(self) -> str:
        table = text_table([_HEAD, *self._cells()])
        return "\n".join([self.sentence(), table, *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = html_table(f"<b>{escape(self.sentence())}</b>", _HEAD, self._cells())
        return table + (f"<ul>{notes}</ul>" if notes else "")


def label_shift(
    probabilities_validation: np.ndarray,
    y_validation: np.ndarray,
    probabilities_target: np.ndarray,
    *,
    class_names: tuple[str, ...] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> LabelShift:
    r"""Estimate the shares of the classes in a target domain from a source classifier's outputs (标签偏移).

    Label shift means that P(Y) changed and P(X|Y) did not: sick people look the same in a clinic and in the
    street, but are not as frequent. Then the mean output on the target is a mixture of the source's mean
    outputs by class, and the shares are the weights of the mixture. Two ways to find them:

    .. math:: \text{BBSE: } \hat w = A^{+} \hat q, \quad A_{ij} = \text{mean}\,p_i(x) \text{ where } y = j,
              \quad \hat q = \text{mean of the target's } p(x)

    .. math:: \text{EM: } π_c \leftarrow \frac1m \sum_i \frac{p_c(x_i)\,π_c / π^0_c}
              {\sum_{c'} p_{c'}(x_i)\,π_{c'} / π^0_{c'}}

    BBSE needs the classifier to be no more than informative: A may not be singular. EM maximises the
    likelihood, and is the sharper of the two where probabilities can be believed: calibrate first
    (`measure.temperature`). :math:`π^0` is the mean of the validation probabilities rather than of the
    labels, so that without a shift EM stays where it begins. BBSE's shares below 0 are cut off, the rest
    scaled to sum to 1.

    Both say something about **any** pair of domains, and something wrong where P(X|Y) changed as well:
    `measure.diagnosis` looks at that.

    Parameters
    ----------
    probabilities_validation : numpy.ndarray
        ``(n, k)`` outputs for source examples that the classifier was not fitted on.
    y_validation : numpy.ndarray
        ``(n,)`` their labels; every class needs an example.
    probabilities_target : numpy.ndarray
        ``(m, k)`` outputs for target examples. A class may well be missing among them.
    class_names : tuple of str, optional
    resamples, seed : int
        Of the bootstrap over both samples.

    Returns
    -------
    LabelShift

    Raises
    ------
    BadInput
        When these are not probabilities of the same classes, or a class has no validation example.

    References
    ----------
    Lipton, Wang & Smola (2018), "Detecting and correcting for label shift with black box predictors": BBSE,
    here with probabilities instead of hard answers.
    Saerens, Latinne & Decaestecker (2002), "Adjusting the outputs of a classifier to new a priori
    probabilities: a simple procedure": EM.
    Alexandari, Kundaje & Shrikumar (2020), "Maximum likelihood with bias-corrected calibration is
    hard-to-beat at label shift adaptation": calibration, and the mean probabilities as source prior.

    Examples
    --------
    Half of the source is of class 1, and a quarter of the target:

    >>> p = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> y = np.repeat([0, 1], 100)
    >>> answers = np.where(np.arange(200) % 5 > 0, y, 1 - y)
    >>> target = np.concatenate([np.tile(answers[:100], 3), answers[100:]])
    >>> found = label_shift(p[answers], y, p[target])
    >>> [round(share.value, 2) for share in found.bbse], found.shares.round(2).tolist(), found.shifted
    ([0.75, 0.25], [0.75, 0.25], True)
    """
    p, q = (
        checked_probabilities(probabilities_validation, "validation"),
        checked_probabilities(probabilities_target, "target"),
    )
    y = _checked_labels(y_validation, p, q)
    n, m, k = len(p), len(q), p.shape[1]
    names = tuple(f"class {c}" for c in range(k)) if class_names is None else tuple(class_names)
    if len(names) != k:
        raise BadInput(f"{len(names)} class names for {k} columns.", "Name each column.")
    truth = np.eye(k)[y]
    rng = np.random.default_rng(seed)
    # Row 0 of the counts is the samples as they are, the others are draws with replacement.
    of_p = np.vstack([np.ones(n), _drawn_within(rng, y, resamples)])
    of_q = np.vstack([np.ones(m), rng.multinomial(m, np.full(m, 1 / m), size=resamples)])
    sums = np.einsum("bn,nij->bij", of_p, p[:, :, None] * truth[:, None, :], optimize=True)
    given = sums / sums.sum(axis=1, keepdims=True)  # P(answer i | class j), columns sum to 1
    bbse = _to_simplex(np.einsum("bij,bj->bi", np.linalg.pinv(given), of_q @ q / m))
    # A class may be rare by chance in the source sample: whole draws for the prior, which cannot be empty.
    whole = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    priors = np.vstack([np.ones(n), whole]) @ p / n
    em = _em(q, of_q, priors)
    shares = [tuple(interval(float(d[0]), d[1:]) for d in draws.T) for draws in (bbse, em)]
    condition = float(np.linalg.cond(given[0]))
    apart = _same_means(p, q)
    return LabelShift(
        class_names=names,
        source=truth.mean(axis=0),
        prior=priors[0],
        bbse=shares[0],
        em=shares[1],
        condition=condition,
        p=apart,
        n=(n, m),
        notes=_notes(names, condition, shares[0], shares[1], apart, bbse[0], em[0]),
    )


def to_shares(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    r"""Return probabilities whose scores were moved, class by class, until the answers have these shares.

    .. math:: p'_c(x) \propto p_c(x)\, e^{b_c}, \qquad
              \text{share of examples with } \arg\max p' = c \text{ is } π_c

    What a shift moves along with every example is undone by the b, whatever its cause; of two classes the
    order of the examples stays, and only the threshold goes to where the shares put it. It needs the shares
    in the target: known from elsewhere, from a handful of labels, or by `label_shift` where P(X|Y) is
    unchanged. The b are those of the likeliest answers with these shares (an optimal transport of examples to
    classes); examples that are tied cannot be divided.

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)``.
    shares : numpy.ndarray
        ``(k,)``, π, summing to 1.

    Returns
    -------
    numpy.ndarray
        ``(n, k)`` float64.

    Raises
    ------
    BadInput
        When these are not probabilities or shares.

    Examples
    --------
    All are said to be of class 0, though half are not:

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> to_shares(p, np.array([0.5, 0.5])).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    p = np.maximum(checked_probabilities(probabilities), 1e-12)
    wanted = _checked_shares(shares, p.shape[1])
    z = np.log(p)
    there = np.flatnonzero(wanted > 0)
    move = np.full(p.shape[1], -np.inf)
    move[there] = 0.0
    if len(there) == 2:
        first, second = there
        odds = np.sort(z[:, second] - z[:, first])
        cut = int(np.floor(len(odds) * wanted[first] + 0.5))  # so many below it are answered first
        padded = np.concatenate([[odds[0] - 1], odds, [odds[-1] + 1]])
        move[second] = -(padded[cut] + padded[cut + 1]) / 2
    elif len(there) > 2:
        move[there] = _transport(z[:, there], wanted[there])
    moved = z + move
    moved = np.exp(moved - moved.max(axis=1, keepdims=True))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))


def _checked_shares(shares: np.ndarray, k: int) -> np.ndarray:
    wanted = np.asarray(shares, np.float64)
    if wanted.shape != (k,) or not np.isfinite(wanted).all() or wanted.min() < 0:
        raise BadInput(
            f"Shares of shape {wanted.shape} for {k} classes.", "Give one share of at least 0 per class."
        )
    if abs(wanted.sum() - 1) > 1e-2:
        raise BadInput(f"The shares sum to {wanted.sum():.3g}.", "Divide them by their sum.")
    return np.asarray(wanted / wanted.sum())


def _transport(z: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return moves ``(k,)`` of scores ``(n, k)`` that give answers of these shares.

    Entropic transport, colder and colder: at the end the soft shares are the hard ones but for few.
    """
    move, scale = np.zeros(len(wanted)), float(z.std()) or 1.0
    for heat in scale * np.geomspace(1, 1e-2, 12):
        for _ in range(_STEPS // 10):
            soft = (z + move) / heat
            soft = np.exp(soft - soft.max(axis=1, keepdims=True))
            mean = (soft / soft.sum(axis=1, keepdims=True)).mean(axis=0)
            move += heat * (np.log(wanted) - np.log(np.maximum(mean, 1e-12)))
            if np.abs(mean - wanted).max() < 0.1 / len(z):
                break
    return np.asarray(move - move.max())


def checked_probabilities(given: np.ndarray, what: str = "given") -> np.ndarray:
    """Return `given` as ``(n, k)`` float64 with rows that sum to 1 exactly, or raise `BadInput`."""
    p = np.asarray(given)
    if p.ndim != 2 or p.dtype.kind not in "fiu" or p.shape[1] < 2 or len(p) == 0:
        raise BadInput(
            f"The {what} probabilities have shape {p.shape} and type {p.dtype}; expected (n, k), k >= 2.",
            "Give what predict_proba returns.",
        )
    p = p.astype(np.float64)
    total = p.sum(axis=1)
    if not np.isfinite(p).all() or p.min() < -1e-6 or np.abs(total - 1).max() > 1e-2:
        raise BadInput(
            f"The {what} probabilities run from {p.min():.3g} to {p.max():.3g} and their rows sum to "
            f"{total.min():.3g} to {total.max():.3g}; expected 0 to 1, and 1.",
            "Give what predict_proba returns; logits go through a softmax first.",
        )
    p = np.maximum(p, 0)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _checked_labels(given: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    y = np.asarray(given)
    if p.shape[1] != q.shape[1]:
        raise BadInput(
            f"{p.shape[1]} classes in the validation and {q.shape[1]} in the target probabilities.",
            "Let the same classifier give both.",
        )
    if y.shape != (len(p),) or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= p.shape[1]:
        raise BadInput(
            f"{len(p):,} validation rows of {p.shape[1]} classes, but labels of shape {y.shape}, "
            f"type {y.dtype}{f', {y.min()} to {y.max()}' if y.size and y.dtype.kind in 'iu' else ''}.",
            "Give one class number per row, counted from 0 in the order of the columns.",
        )
    missing = np.flatnonzero(np.bincount(y, minlength=p.shape[1]) == 0)
    if len(missing):
        raise BadInput(
            f"No validation example of class {', '.join(map(str, missing))}: what its outputs look like is "
            "unknown.",
            "Give validation examples of every class, or leave out the class's column.",
        )
    return y.astype(np.int64)


def _drawn_within(rng: np.random.Generator, y: np.ndarray, resamples: int) -> np.ndarray:
    """Return ``(resamples, n)`` counts of draws with replacement within each class: none is ever empty."""
    counts = np.zeros((resamples, len(y)))
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        counts[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return counts


def _to_simplex(w: np.ndarray) -> np.ndarray:
    """Cut off what lies below 0 and scale rows ``(b, k)`` to sum to 1."""
    w = np.maximum(w, 0)
    total = w.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, w / np.where(total > 0, total, 1), 1 / w.shape[1]))


def _em(q: np.ndarray, counts: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """Return shares ``(b, k)`` for outputs ``(m, k)`` counted ``(b, m)`` times, from priors ``(b, k)``."""
    shares = priors.copy()
    total = counts.sum(axis=1, keepdims=True)
    alive = np.arange(len(shares))  # draws that still move
    for _ in range(_STEPS):
        ratio = shares[alive] / np.maximum(priors[alive], 1e-300)
        mass = counts[alive] / np.maximum(ratio @ q.T, 1e-300)
        fresh = ratio * (mass @ q) / total[alive]
        moved = np.abs(fresh - shares[alive]).max(axis=1)
        shares[alive] = fresh
        alive = alive[moved > _TOLERANCE]
        if not len(alive):
            break
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _same_means(p: np.ndarray, q: np.ndarray) -> float:
    """Return the p-value of equal mean outputs: Hotelling's statistic, chi-square with its rank."""
    from scipy.stats import chi2

    apart = (p.mean(axis=0) - q.mean(axis=0))[:-1]  # the last column follows from the others
    if len(p) < 2 or len(q) < 2:
        return float("nan")
    spread = sum(np.atleast_2d(np.cov(x[:, :-1].T)) / len(x) for x in (p, q))
    spread = np.asarray(spread)
    if not np.trace(spread) > 1e-18:
        return 1.0 if np.abs(apart).max() < 1e-9 else 0.0
    statistic = float(apart @ np.linalg.pinv(spread, hermitian=True) @ apart)
    return float(chi2.sf(statistic, np.linalg.matrix_rank(spread, hermitian=True)))


def _notes(
    names: tuple[str, ...],
    condition: float,
    bbse: tuple[Interval, ...],
    em: tuple[Interval, ...],
    p: float,
    first: np.ndarray,
    second: np.ndarray,
) -> tuple[str, ...]:
    notes = []
    if condition > ILL:
        number = f"{condition:,.0f}" if condition < 1e6 else "beyond a million"
        notes.append(
            f"The classifier hardly tells the classes apart (condition number {number}): an error of its "
            "mean output may be multiplied by that. Believe no share to more than its interval."
        )
    if np.isnan(p):
        notes.append("A single example in one of the samples: whether there is a shift cannot be tested.")
    torn = [
        name for name, a, b in zip(names, bbse, em, strict=True) if max(a.low - b.high, b.low - a.high) > 0.01
    ]
    if torn:
        c = int(np.abs(first - second).argmax())
        notes.append(
            f"BBSE and EM contradict each other ({names[c]}: {first[c]:.1%} and {second[c]:.1%}): either the "
            "probabilities are not calibrated, or more than the shares of the classes has changed."
        )
    return tuple(notes)
