"""Choosing an adaptation method where the target has no labels: scores, and how much each choice loses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.label_shift import checked_probabilities
from course_lib.measure.ranking import RankCorrelation, rank_correlation
from course_lib.measure.report import check_metric, confusion_matrix, html_table, scores, text_table

SCORES = {
    "source": "source validation",
    "weighted": "importance-weighted",
    "dev": "DEV",
    "entropy": "minus entropy",
    "snd": "SND",
    "information": "mutual information",
}
"""Key and name in tables of each score; of all of them the highest is chosen."""

TEMPERATURE = 0.05
"""Of `soft_neighbourhood_density`: the published choice."""

COLLAPSED = 0.95
"""A candidate that puts so large a share of the target in one class, and at most half as much of the source's
validation labels is of it, is marked as collapsed."""

_ROWS = 1000  # of the similarity matrix at a time

Candidate = Any
"""A fitted classifier, or its probabilities ``(source validation, target)``."""


@dataclass(frozen=True)
class Selected:
    """What one score chose.

    Parameters
    ----------
    score : str
        A key of `SCORES`.
    chosen : str
        The candidate with the highest score; the first of equal ones.
    ties : int
        Candidates that share the highest score; above 1 the score cannot choose.
    regret : float
        Target score of the best candidate minus that of the chosen one (the mean of those that tie); NaN
        without target labels.
    correlation : RankCorrelation or None
        Of score and target score over the candidates; None without labels, for fewer than three, or where all
        scores are equal.
    """

    score: str
    chosen: str
    ties: int
    regret: float
    correlation: RankCorrelation | None


@dataclass(frozen=True, eq=False)
class Selection:
    """Scores of candidates without target labels, beside the truth where it is known; see `select`.

    Parameters
    ----------
    names : tuple of str
        The candidates.
    scores : dict of str to dict of str to float
        By key of `SCORES`, then by candidate.
    truth : dict of str to float, or None
        Target score of each candidate.
    by : dict of str to Selected
    collapsed : tuple of str
        Candidates that answer one class for nearly all of the target.
    metric : str
    effective : float
        Effective number of weighted source examples; NaN without weights.
    notes : tuple of str
    """

    names: tuple[str, ...]
    scores: dict[str, dict[str, float]]
    truth: dict[str, float] | None
    by: dict[str, Selected]
    collapsed: tuple[str, ...]
    metric: str
    effective: float
    notes: tuple[str, ...]

    def __getitem__(self, score: str) -> Selected:
        return self.by[score]

    @property
    def best(self) -> str | None:
        """The candidate with the highest target score: the oracle's choice, which needs labels."""
        return max(self.truth, key=self.truth.__getitem__) if self.truth else None

    def sentence(self) -> str:
        """Return what was chosen, and what that lost, in plain words."""
        what = self.metric.replace("_", " ")
        if self.truth is None:
            chosen = "; ".join(f"{SCORES[s.score]}: {s.chosen}" for s in self.by.values())
            return f"Chosen without target labels: {chosen}. Which of them is right, no score here can say."
        best = self.best
        assert best is not None
        told = sorted(self.by.values(), key=lambda s: s.regret)
        lost = "; ".join(f"{SCORES[s.score]} {100 * s.regret:.1f}" for s in told)
        return (
            f"The oracle takes {best} ({self.truth[best]:.1%} {what}). Points lost by choosing with: {lost}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "names": list(self.names),
            "scores": {key: dict(of) for key, of in self.scores.items()},
            "truth": None if self.truth is None else dict(self.truth),
            "by": {
                key: {
                    "chosen": s.chosen,
                    "ties": s.ties,
                    "regret": None if np.isnan(s.regret) else s.regret,
                    "correlation": s.correlation.to_dict() if s.correlation else None,
                }
                for key, s in self.by.items()
            },
            "collapsed": list(self.collapsed),
            "metric": self.metric,
            "effective": None if np.isnan(self.effective) else self.effective,
            "notes": list(self.notes),
        }

    def _head(self) -> tuple[str, ...]:
        truth = (f"oracle: {self.metric.replace('_', ' ')}",) if self.truth else ()
        return ("candidate", *(SCORES[key] for key in self.scores), *truth)

    def _cells(self) -> list[tuple[str, ...]]:
        rows = []
        for name in self.names:
            cells = [name + (" (collapsed)" if name in self.collapsed else "")]
            for key, of in self.scores.items():
                mark = " *" if self.by[key].chosen == name and self.by[key].ties == 1 else ""
                cells.append(f"{of[name]:.3f}{mark}".replace("-", "−"))
            if self.truth:
                cells.append(f"{self.truth[name]:.1%}{' *' if name == self.best else ''}")
            rows.append(tuple(cells))
        if self.truth:
            lost, order = ["points lost"], ["rank correlation"]
            for key in self.scores:
                s = self.by[key]
                lost.append(f"{100 * s.regret:.1f}")
                rho = f"{s.correlation.spearman.value:.2f}" if s.correlation else "none"
                order.append(rho.replace("-", "−"))
            rows += [(*lost, "0.0"), (*order, "1.00")]
        return rows

    def __str__(self) -> str:
        table = text_table([self._head(), *self._cells()])
        return "\n".join([self.sentence(), table, *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = html_table(f"<b>{escape(self.sentence())}</b>", self._head(), self._cells())
        return table + (f"<ul>{notes}</ul>" if notes else "")


def select(
    candidates: Mapping[str, Candidate],
    source: Any,
    target: Any,
    *,
    source_y: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    target_y: np.ndarray | None = None,
    metric: str = "accuracy",
) -> Selection:
    r"""Score candidates without target labels, and choose by each score.

    ===================  ===============================================================================
    source validation    The metric on source validation examples. Says nothing of the target.
    importance-weighted  The same with the weights of `density_ratio` (Sugiyama et al.): right under
                         covariate shift with overlap; a few examples may weigh all.
    DEV                  That with its variance taken down by a control variate (You et al.): of the 0-1
                         loss ℓ, 1 − (mean wℓ + η mean w − η) with η = −cov(wℓ, w) / var(w).
    minus entropy        Sure answers on the target: highest for a candidate that is sure of nonsense.
    SND                  `soft_neighbourhood_density` (Saito et al.): do neighbours get alike answers.
    mutual information   Entropy of the mean answer minus mean entropy (Bridle et al.): sure answers of
                         *several* classes. Low where a candidate collapsed; wrong where one prevails.
    ===================  ===============================================================================

    None of them can be right always: target labels that no unlabelled example reveals decide (see
    `diagnosis`). With `target_y` the truth stands beside them, to learn how far each is to be believed; in
    earnest it is not there.

    Parameters
    ----------
    candidates : mapping of str to Classifier, or to pair of numpy.ndarray
        Two or more. A pair holds probabilities ``(n, k)`` of the source's validation and ``(m, k)`` of the
        target's examples. A classifier with an aligned encoder (``encoder.base``) reads target examples only;
        source examples are read by its head behind the encoder as it was, so that all methods that
        move target features alone share one value of the first three scores: these cannot choose among them.
    source : Split or numpy.ndarray
        Validation examples of the source; with arrays give `source_y`.
    target : Split or numpy.ndarray
        Unlabelled: labels of a split are not read.
    source_y : numpy.ndarray, optional
    weights : numpy.ndarray, optional
        ``(n,)`` of the source examples, for instance ``density_ratio(x, x_target).weights``. Without them the
        two scores that need them are left out.
    target_y : numpy.ndarray, optional
        ``(m,)``, the oracle's.
    metric : {"accuracy", "balanced_accuracy", "macro_f1"}
        Of the source validation score and the oracle; weighted scores are accuracies.

    Returns
    -------
    Selection

    Raises
    ------
    BadInput
        Fewer than two candidates, probabilities or labels that do not fit, weights that are negative.

    References
    ----------
    Sugiyama, Krauledat & Müller (2007), "Covariate shift adaptation by importance weighted cross validation".
    You, Wang, Long & Jordan (2019), "Towards accurate model selection in deep unsupervised domain
    adaptation": DEV.
    Morerio, Cavazza & Murino (2018), "Minimal-entropy correlation alignment for unsupervised deep domain
    adaptation": entropy.
    Saito, Kim, Teterwak, Sclaroff, Darrell & Saenko (2021), "Tune it the right way: unsupervised validation
    of domain adaptation via soft neighborhood density".
    Bridle, Heading & MacKay (1991), "Unsupervised classifiers, mutual information and 'phantom targets'".
    Musgrave, Belongie & Lim (2022), "Benchmarking validation methods for unsupervised domain adaptation".

    Examples
    --------
    A candidate that collapsed is the surest of all:

    >>> y = np.repeat([0, 1], 20)
    >>> good = np.where(np.eye(2)[y] > 0, 0.8, 0.2)
    >>> collapsed = np.tile([0.999, 0.001], (40, 1))
    >>> found = select({"good": (good, good), "collapsed": (good, collapsed)}, y, y, source_y=y, target_y=y)
    >>> found["entropy"].chosen, found["information"].chosen, found.collapsed, found["entropy"].regret
    ('collapsed', 'good', ('collapsed',), 0.5)
    """
    check_metric(metric)
    if len(candidates) < 2:
        raise BadInput(
            f"{len(candidates)} candidates; there is nothing to choose.",
            'Give two or more, for instance {"source only": probe, "CORAL": aligned}.',
        )
    y = _labels(getattr(source, "y", None) if source_y is None else source_y)
    answers = {
        name: _answers(name, candidate, source, target, len(y)) for name, candidate in candidates.items()
    }
    _fits(answers, y, "source validation", 0)
    w = _checked_weights(weights, len(y))
    found: dict[str, dict[str, float]] = {key: {} for key in SCORES if w is not None or key not in _WEIGHTED}
    for name, (p, q) in answers.items():
        for key, value in _scored(p, y, q, w, metric).items():
            found[key][name] = value
    truth = None
    if target_y is not None:
        t = _labels(target_y)
        _fits(answers, t, "target", 1)
        truth = {name: _metric(q, t, metric) for name, (_, q) in answers.items()}
    collapsed = tuple(name for name, (_, q) in answers.items() if _collapsed(q, y))
    effective = float(w.sum() ** 2 / np.square(w).sum()) if w is not None else float("nan")
    by = {key: _selected(key, of, truth) for key, of in found.items()}
    return Selection(
        tuple(answers),
        found,
        truth,
        by,
        collapsed,
        metric,
        effective,
        _notes(by, collapsed, effective, len(y)),
    )


def soft_neighbourhood_density(probabilities: np.ndarray, *, temperature: float = TEMPERATURE) -> float:
    r"""Return how evenly each example's soft neighbours are spread: high where alike answers lie densely.

    .. math:: S_{ij} = \frac{p_i \cdot p_j}{\lVert p_i \rVert \lVert p_j \rVert}, \qquad
              P_{ij} = \frac{e^{S_{ij} / τ}}{\sum_{j' \ne i} e^{S_{ij'} / τ}}, \qquad
              \text{SND} = -\frac1n \sum_i \sum_{j \ne i} P_{ij} \ln P_{ij}

    at most ln(n − 1), which a candidate that says the same of all examples reaches: a collapse is its best
    case, too.

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)`` on the target, three rows or more. Of two with different n values cannot be compared.
    temperature : float
        τ.

    Raises
    ------
    BadInput
        When these are not probabilities, or fewer than three rows.

    References
    ----------
    Saito et al. (2021), as in `select`.

    Examples
    --------
    >>> sure = np.repeat(np.eye(2), 5, axis=0)  # each has four neighbours and five strangers
    >>> round(soft_neighbourhood_density(sure), 4), round(float(np.log(4)), 4)
    (1.3863, 1.3863)
    """
    p = checked_probabilities(probabilities, "target")
    if len(p) < 3 or not temperature > 0:
        raise BadInput(
            f"{len(p)} rows, temperature={temperature}.",
            "Give three examples or more and a positive temperature.",
        )
    unit = p / np.linalg.norm(p, axis=1, keepdims=True)
    total = 0.0
    for first in range(0, len(unit), _ROWS):
        logits = unit[first : first + _ROWS] @ unit.T / temperature
        rows = np.arange(len(logits))
        logits[rows, rows + first] = -np.inf  # no example is its own neighbour
        logits -= logits.max(axis=1, keepdims=True)
        weight = np.exp(logits)
        mass = weight.sum(axis=1)
        logits[rows, rows + first] = 0.0
        total += float((np.log(mass) - (weight * logits).sum(axis=1) / mass).sum())
    return total / len(unit)


_WEIGHTED = ("weighted", "dev")


def _scored(
    p: np.ndarray, y: np.ndarray, q: np.ndarray, w: np.ndarray | None, metric: str
) -> dict[str, float]:
    """Return every score of one candidate."""
    mean = q.mean(axis=0)
    entropy = float(_entropy(q).mean())
    found = {"source": _metric(p, y, metric)}
    if w is not None:
        loss = (p.argmax(axis=1) != y).astype(np.float64)
        weighted = w * loss
        spread = w.var(ddof=1)
        eta = -np.cov(weighted, w)[0, 1] / spread if spread > 1e-12 else 0.0
        found["weighted"] = float(1 - weighted.mean())
        found["dev"] = float(1 - (weighted.mean() + eta * w.mean() - eta))
    found["entropy"] = -entropy
    found["snd"] = soft_neighbourhood_density(q)
    found["information"] = float(_entropy(mean[None])[0]) - entropy
    return found


def _entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1))


def _metric(p: np.ndarray, y: np.ndarray, metric: str) -> float:
    return float(scores(confusion_matrix(y, p.argmax(axis=1), p.shape[1]))[metric])


def _answers(
    name: str, candidate: Candidate, source: Any, target: Any, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a candidate's probabilities on both domains."""
    if isinstance(candidate, tuple):
        given = candidate
    elif hasattr(candidate, "predict_proba"):
        base = getattr(getattr(candidate, "encoder", None), "base", None)
        if base is None:
            given = candidate.predict_proba(source), candidate.predict_proba(target)
        else:
            given = candidate.head.predict_proba(base.encode(source)), candidate.predict_proba(target)
    else:
        given = ()
    if len(given) != 2:
        raise BadInput(
            f"{name} is {type(candidate).__name__}; expected a fitted classifier or a pair of probabilities.",
            "Give for instance (probabilities of source validation, probabilities of the target).",
        )
    p, q = (
        checked_probabilities(g, f"{name}: {what}")
        for g, what in zip(given, ("source", "target"), strict=True)
    )
    if p.shape[1] != q.shape[1] or len(p) != n:
        raise BadInput(
            f"{name}: probabilities {p.shape} of source and {q.shape} of target for {n:,} source labels.",
            "Give one row per example and the same classes in both.",
        )
    return p, q


def _fits(answers: dict[str, tuple[np.ndarray, np.ndarray]], y: np.ndarray, what: str, at: int) -> None:
    shapes = {name: pair[at].shape for name, pair in answers.items()}
    if len(set(shapes.values())) > 1:
        raise BadInput(f"Candidates answer {shapes} of the {what}.", "Let all answer the same examples.")
    n, k = next(iter(shapes.values()))
    if len(y) != n or y.min() < 0 or y.max() >= k:
        raise BadInput(
            f"{len(y):,} {what} labels up to {y.max()} for {n:,} rows of {k} classes.",
            "Give one class number per row.",
        )


def _labels(given: Any) -> np.ndarray:
    y = np.asarray(given if given is not None else [])
    if y.ndim != 1 or y.dtype.kind not in "iu" or not len(y):
        raise BadInput(
            f"Labels of shape {y.shape} and type {y.dtype}; expected (n,) whole numbers.",
            "Give a split, or source_y beside an array.",
        )
    return y.astype(np.int64)


def _checked_weights(given: np.ndarray | None, n: int) -> np.ndarray | None:
    if given is None:
        return None
    w = np.asarray(getattr(given, "weights", given), np.float64)
    if w.shape != (n,) or not np.isfinite(w).all() or w.min() < 0 or not w.sum() > 0:
        raise BadInput(
            f"Weights of shape {w.shape} for {n:,} source examples; expected numbers >= 0, not all 0.",
            "Give density_ratio(source features, target features).weights, of the validation examples.",
        )
    return np.asarray(w / w.mean())


def _collapsed(q: np.ndarray, y: np.ndarray) -> bool:
    answers = np.bincount(q.argmax(axis=1), minlength=q.shape[1]) / len(q)
    c = int(answers.argmax())
    return bool(answers[c] >= COLLAPSED and np.mean(y == c) <= answers[c] / 2 + 0.25)


def _selected(key: str, of: dict[str, float], truth: dict[str, float] | None) -> Selected:
    top = max(of.values())
    tied = [name for name, value in of.items() if top - value <= 1e-12 * max(1.0, abs(top))]
    regret, correlation = float("nan"), None
    if truth is not None:
        regret = max(truth.values()) - float(np.mean([truth[name] for name in tied]))
        varied = min(np.ptp(list(of.values())), np.ptp(list(truth.values()))) > 0
        correlation = rank_correlation(of, truth) if len(of) > 2 and varied else None
    return Selected(key, tied[0], len(tied), regret, correlation)


def _notes(by: dict[str, Selected], collapsed: tuple[str, ...], effective: float, n: int) -> tuple[str, ...]:
    notes = []
    tied = [SCORES[key] for key, s in by.items() if s.ties > 1]
    if tied:
        notes.append(f"Several candidates share the highest value of {', '.join(tied)}: that cannot choose.")
    if collapsed:
        fooled = [SCORES[key] for key, s in by.items() if s.chosen in collapsed and s.ties == 1]
        notes.append(
            f"{', '.join(collapsed)}: nearly all target examples in one class"
            + (f", and yet chosen by {', '.join(fooled)}." if fooled else ".")
        )
    if effective < max(0.1 * n, 50):
        notes.append(
            f"The weights leave {effective:.0f} effective of {n:,} examples: weighted scores are noise."
        )
    return tuple(notes)
