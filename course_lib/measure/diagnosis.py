"""Why does a method fail in another domain: which kind of shift was seen, and which remedies that leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.distance import MMD, ProxyADistance, both_samples, mmd, proxy_a_distance
from course_lib.measure.label_shift import LabelShift, checked_probabilities, label_shift, to_shares
from course_lib.measure.report import Interval, bootstrap, confusion_matrix, html_table, interval, text_table
from course_lib.measure.shift import SURE

NONE, COVARIATE, LABEL, CONCEPT = "no shift seen", "covariate shift", "label shift", "concept shift"
CANNOT_TELL = "cannot tell"
KINDS = {NONE: "", COVARIATE: "协变量偏移", LABEL: "标签偏移", CONCEPT: "概念偏移", CANNOT_TELL: ""}
"""What a diagnosis may say, and the Chinese term."""

FEWEST_LABELS = 50
"""Labelled target examples below which "no change of P(Y|X) seen" is not taken for "unchanged"."""

LEAST_OVERLAP = 0.02
"""Error of the domain classifier below which hardly an input of one domain could be one of the other."""

_DIFFERS, _ALIKE, _UNKNOWN = "differs", "no difference seen", "cannot tell"
_FEWEST = 10  # examples of a class in each domain, to compare its inputs
_SOME = 5  # labels that are counted where nothing else speaks of P(Y)
_DRAWS = 400

_Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]  # name, head, rows


class Head(Protocol):
    """What a diagnosis needs of a source classifier."""

    def predict_proba(self, features: Any, /) -> np.ndarray:
        """Return ``(n, k)`` probabilities of features ``(n, d)``."""
        ...


@dataclass(frozen=True)
class Evidence:
    """One of the distributions that may differ.

    Parameters
    ----------
    what : str
        ``"P(X)"``, ``"P(Y)"``, ``"P(Y|X)"`` or ``"P(X|Y)"``.
    verdict : str
        ``"differs"``, ``"no difference seen"`` or ``"cannot tell"``.
    p : float
        Of "the same in both"; NaN where nothing was tested.
    by : str
        How it was tested, or why not.
    """

    what: str
    verdict: str
    p: float
    by: str


@dataclass(frozen=True)
class ClassMovement:
    """How far a class's mean lies from where it lay in the source; see `Diagnosis.movement`.

    Parameters
    ----------
    name : str
    n : int
        Labelled target examples of the class.
    moved : float
        Distance of the two means, in units of the mean distance between two classes in the source; what
        so few examples scatter by is taken off.
    together, alone : float
        The part of it that all classes share, which centring can undo, and the class's own, which it cannot.
    """

    name: str
    n: int
    moved: float
    together: float
    alone: float


@dataclass(frozen=True)
class Scores:
    """How the source's classifier does on labelled examples of one domain.

    Parameters
    ----------
    auc : Interval
        Area under the ROC curve: does it rank the examples, wherever its threshold lies. Mean over classes.
    balanced_accuracy : Interval
        Of its answers as they are.
    at_shares : Interval
        Of its answers after `to_shares` with the shares of these labels: the threshold moved, nothing else.
    n : int
    """

    auc: Interval
    balanced_accuracy: Interval
    at_shares: Interval
    n: int

    @property
    def offset(self) -> bool:
        """Whether a moved threshold would win a good part back: the ranking survived, the threshold not."""
        gain = self.at_shares.value - self.balanced_accuracy.value
        return self.auc.low > 0.5 and gain > 0.03 and self.at_shares.low > self.balanced_accuracy.value


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What kind of shift was seen, and what that leaves; see `diagnosis`.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    evidence : tuple of Evidence
        P(X), P(Y), P(Y|X), P(X|Y).
    proxy_a : ProxyADistance
    mmd : MMD
    rest : MMD or None
        Of the target against source examples drawn in the estimated shares: what label shift leaves
        unexplained. None where too few could be drawn.
    label_shift : LabelShift
    source, target : Scores or None
        The target's with labels only.
    movement : tuple of ClassMovement
        With labels only.
    labels : int
        Labelled target examples.
    reason : str
        Why this kind.
    remedies, notes : tuple of str
    """

    kind: str
    evidence: tuple[Evidence, ...]
    proxy_a: ProxyADistance
    mmd: MMD
    rest: MMD | None
    label_shift: LabelShift
    source: Scores | None
    target: Scores | None
    movement: tuple[ClassMovement, ...]
    labels: int
    reason: str
    remedies: tuple[str, ...]
    notes: tuple[str, ...]

    def __getitem__(self, what: str) -> Evidence:
        for row in self.evidence:
            if row.what == what:
                return row
        raise KeyError(what)

    @property
    def offset(self) -> bool:
        """Whether labels show that the ranking survived and the threshold did not."""
        return self.target is not None and self.target.offset

    def sentence(self) -> str:
        """Return the diagnosis in plain words."""
        term = KINDS[self.kind]
        head = self.kind[0].upper() + self.kind[1:] + (f" ({term})" if term else "")
        said = f"{head}: {self.reason}"
        if self.target is not None and self.target.offset:
            t = self.target
            said += (
                f" An offset: it still ranks the target's examples (AUC {t.auc.value:.2f}) and answers from "
                f"the wrong threshold (balanced accuracy {t.balanced_accuracy.value:.1%}; "
                f"{t.at_shares.value:.1%} with the threshold where the shares of the classes put it)."
            )
            if self.source is not None and self.source.offset:
                s = self.source
                said += (
                    f" In the source, too ({s.balanced_accuracy.value:.1%}, {s.at_shares.value:.1%}): that "
                    "much is no shift, but a threshold that was never meant for balanced accuracy."
                )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "kind": self.kind,
            "reason": self.reason,
            "evidence": [{**vars(e), "p": None if np.isnan(e.p) else e.p} for e in self.evidence],
            "proxy_a": self.proxy_a.to_dict(),
            "mmd": self.mmd.to_dict(),
            "rest": None if self.rest is None else self.rest.to_dict(),
            "label_shift": self.label_shift.to_dict(),
            "source": _plain(self.source),
            "target": _plain(self.target),
            "movement": [vars(row) for row in self.movement],
            "labels": self.labels,
            "remedies": list(self.remedies),
            "notes": list(self.notes),
        }

    def _tables(self) -> list[_Table]:
        p = {e.what: "" if np.isnan(e.p) else f"{e.p:.3f}" for e in self.evidence}
        seen = [(e.what, e.verdict, p[e.what], e.by) for e in self.evidence]
        tables: list[_Table] = [("What differs", ("", "verdict", "p, the same", "by"), [*seen])]
        scores = [(name, s) for name, s in (("source", self.source), ("target", self.target)) if s]
        if scores:
            head = ("the source's classifier", "AUC", "balanced accuracy", "after the threshold moved", "n")
            rows = [
                (name, _two(s.auc), str(s.balanced_accuracy), str(s.at_shares), f"{s.n:,}")
                for name, s in scores
            ]
            tables.append(("How it does", head, [*rows]))
        if self.movement:
            head = ("class", "labelled", "moved", "with all classes", "on its own")
            moved = [
                (m.name, f"{m.n:,}", f"{m.moved:.2f}", f"{m.together:.2f}", f"{m.alone:.2f}")
                for m in self.movement
            ]
            tables.append(("Movement of the class means, in distances between classes", head, [*moved]))
        return tables

    def __str__(self) -> str:
        tables = [f"{name}\n{text_table([head, *rows], indent=2)}" for name, head, rows in self._tables()]
        remedies = [f"Remedy: {remedy}" for remedy in self.remedies]
        return "\n".join([self.sentence(), *tables, *remedies, *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self.sentence())}</b></p>"]
        parts += [html_table(escape(name), head, rows) for name, head, rows in self._tables()]
        for title, lines in (("What that leaves", self.remedies), ("Notes", self.notes)):
            if lines:
                listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
                parts.append(f"<p>{title}</p><ul>{listed}</ul>")
        return "".join(parts)


def diagnosis(
    source_x: np.ndarray,
    source_y: np.ndarray,
    target_x: np.ndarray,
    classifier: Head | tuple[np.ndarray, np.ndarray],
    *,
    target_y: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    most: int = 1000,
    seed: int = 0,
) -> Diagnosis:
    r"""Say which kind of shift lies between two domains, and which remedies that leaves.

    ==================  ==================  ==================  ==================================
    kind                changed             the same            can be seen without target labels
    ==================  ==================  ==================  ==================================
    covariate shift     :math:`P(X)`        :math:`P(Y|X)`      P(X) only: looks like concept shift
    label shift         :math:`P(Y)`        :math:`P(X|Y)`      yes, if a mixture of the source's
                                                                classes makes up the target
    concept shift       :math:`P(Y|X)`                          never
    ==================  ==================  ==================  ==================================

    *P(X)* by `mmd` and `proxy_a_distance` of the features and by the classifier's mean output. *Label shift*:
    `label_shift` estimates the target's shares, source examples are drawn in these shares, and what `mmd`
    still finds is more than label shift. *P(Y|X)* needs labels: through the classifier's score for each
    class, by whether a logistic regression on it gets better by knowing the domain, where
    scores overlap; *P(X|Y)* then by `mmd` within each class; *P(Y)* by counting. Each "differs" stands for
    p < 0.01, corrected for the number of classes. What is not seen may be there: the fewer examples, the
    likelier.

    Without labels covariate and concept shift **cannot** be told apart: the same unlabelled target fits both.
    With labels they can where the domains overlap; where no input could be in both, there is no x at which
    P(Y|x) could be compared, and the diagnosis says what became of the classifier instead: whether its
    ranking survived (AUC) and its threshold did not (balanced accuracy).

    Parameters
    ----------
    source_x : numpy.ndarray
        ``(n, d)`` features of source examples that the classifier was **not** fitted on: validation.
    source_y : numpy.ndarray
        ``(n,)``.
    target_x : numpy.ndarray
        ``(m, d)``.
    classifier : Head, or pair of numpy.ndarray
        Fitted on the source, for instance ``probe.head``; or its probabilities ``(n, k)`` and ``(m, k)``.
    target_y : numpy.ndarray, optional
        ``(m,)``; -1 where an example has no label. The labelled ones must be drawn at random.
    class_names : sequence of str, optional
    most : int
        Examples of each domain that distances are worked out on; see `mmd`.
    seed : int

    Returns
    -------
    Diagnosis

    Raises
    ------
    BadInput
        Features that are not finite or differ in width, fewer than ten of a domain, labels or probabilities
        that do not fit.

    References
    ----------
    Moreno-Torres, Raeder, Alaiz-Rodríguez, Chawla & Herrera (2012), "A unifying view on dataset shift in
    classification".
    Rabanser, Günnemann & Lipton (2019), "Failing loudly: an empirical study of methods for detecting dataset
    shift".
    Zhao, Combes, Zhang & Gordon (2019), "On learning invariant representations for domain adaptation": what
    matching P(X) does under label shift.
    Ben-David & Urner (2012), "On the hardness of domain adaptation and the utility of unlabeled target
    samples".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=400)
    >>> x = rng.normal(size=(400, 2)) + 2 * y[:, None]
    >>> right = 1 / (1 + np.exp(4 - 2 * x.sum(axis=1)))
    >>> p = np.stack([1 - right, right], axis=1)
    >>> diagnosis(x[:200], y[:200], x[200:], (p[:200], p[200:])).kind
    'no shift seen'
    """
    a, b = both_samples(source_x, target_x, fewest=10)
    p, q = _probabilities(classifier, a, b)
    y, names = np.asarray(source_y), tuple(class_names) if class_names is not None else None
    told = label_shift(p, y, q, class_names=names, seed=seed)
    labels = _target_labels(target_y, q)
    known = np.flatnonzero(labels >= 0)
    features = mmd(a, b, most=most, seed=seed)
    proxy = proxy_a_distance(a, b, most=most, seed=seed)
    rest = _unexplained(a, y, b, told, most, seed)
    evidence = (
        _of_x(features, proxy, told),
        _of_y(y, labels[known], p.shape[1], told, rest),
        _of_y_given_x(p, y, q[known], labels[known]),
        _of_x_given_y(a, y, b[known], labels[known], p.shape[1], rest, seed),
    )
    target = _scores(q, known, labels[known], seed) if len(np.unique(labels[known])) > 1 else None
    kind, reason = _kind(evidence, proxy, told, len(known))
    return Diagnosis(
        kind=kind,
        evidence=evidence,
        proxy_a=proxy,
        mmd=features,
        rest=rest,
        label_shift=told,
        source=_scores(p, np.arange(len(y)), y, seed),
        target=target,
        movement=_movement(a, y, b[known], labels[known], told.class_names),
        labels=len(known),
        reason=reason,
        remedies=_remedies(kind, target, proxy, len(known)),
        notes=_notes(kind, proxy, told, len(known)),
    )


def _probabilities(
    classifier: Head | tuple[np.ndarray, np.ndarray], a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(classifier, tuple):
        p, q = (
            checked_probabilities(given, what)
            for given, what in zip(classifier, ("source", "target"), strict=True)
        )
    else:
        if not hasattr(classifier, "predict_proba"):
            raise BadInput(
                f"{classifier!r} has no predict_proba.",
                "Give probe.head, or the pair of its probabilities for source and target.",
            )
        p, q = (checked_probabilities(classifier.predict_proba(x.astype(np.float32))) for x in (a, b))
    for given, x, what in ((p, a, "source"), (q, b, "target")):
        if len(given) != len(x):
            raise BadInput(
                f"{len(given):,} rows of {what} probabilities for {len(x):,} rows of features.",
                "Give both for the same examples in the same order.",
            )
    return p, q


def _target_labels(given: np.ndarray | None, q: np.ndarray) -> np.ndarray:
    labels = np.full(len(q), -1) if given is None else np.asarray(given)
    if labels.shape != (len(q),) or labels.dtype.kind not in "iu" or labels.min() < -1:
        raise BadInput(
            f"Target labels of shape {labels.shape} and type {labels.dtype} for {len(q):,} examples.",
            "Give one class number per example, -1 where there is none.",
        )
    if labels.max() >= q.shape[1]:
        raise BadInput(
            f"A target label of {labels.max()} with {q.shape[1]} classes.", "Number them as the source's."
        )
    return labels.astype(np.int64)


def _of_x(features: MMD, proxy: ProxyADistance, told: LabelShift) -> Evidence:
    """P(X) differs when any of three tests says so at a third of `SURE`."""
    least = min(features.p, told.p if not np.isnan(told.p) else 1.0)
    # 2.94 standard errors of the distance for 1.96, one-sided: a third of SURE
    apart = proxy.value - 1.5 * (proxy.value - proxy.low) > 0
    differs = apart or min(3 * least, 1) < SURE
    by = f"MMD p = {features.p:.3f}; domains told apart with {proxy.error:.1%} error"
    return Evidence("P(X)", _DIFFERS if differs else _ALIKE, float(min(3 * least, 1)), by)


def _of_y(y: np.ndarray, labels: np.ndarray, k: int, told: LabelShift, rest: MMD | None) -> Evidence:
    explained = rest is not None and rest.p >= SURE
    if len(labels) >= (FEWEST_LABELS if explained else _SOME):
        p = _same_counts(np.stack([np.bincount(v, minlength=k) for v in (y, labels)]))
        return Evidence("P(Y)", _DIFFERS if p < SURE else _ALIKE, p, f"{len(labels):,} target labels counted")
    if explained:
        by = "the classifier's mean output; assumes that P(X|Y) is the same"
        return Evidence("P(Y)", _DIFFERS if told.shifted else _ALIKE, told.p, by)
    return Evidence("P(Y)", _UNKNOWN, float("nan"), "too few target labels, and P(X|Y) differs")


def _of_y_given_x(p: np.ndarray, y: np.ndarray, q: np.ndarray, labels: np.ndarray) -> Evidence:
    """Compare P(Y = c | score for c) between the domains, class by class."""
    if len(labels) < _FEWEST:
        return Evidence("P(Y|X)", _UNKNOWN, float("nan"), f"{len(labels) or 'no'} target labels")
    found = []
    k = p.shape[1]
    for c in range(1 if k == 2 else 0, k):
        scores = [_log_odds(given[:, c]) for given in (p, q)]
        if np.ptp(np.concatenate(scores)) == 0:
            continue
        found.append(_same_meaning(scores, [y == c, labels == c]))
    tested = [value for value in found if not np.isnan(value)]
    if not tested:
        return Evidence("P(Y|X)", _UNKNOWN, float("nan"), "the classifier's scores nowhere overlap")
    value = min(1.0, len(tested) * min(tested))
    by = f"what the classifier's score says of the class, {len(labels):,} target labels"
    return Evidence("P(Y|X)", _DIFFERS if value < SURE else _ALIKE, value, by)


def _same_meaning(scores: list[np.ndarray], events: list[np.ndarray]) -> float:
    """Return the p-value of "a score means the same event in both domains", where both have scores.

    A likelihood-ratio test: does a logistic regression on the score and its square get better by a level and
    a slope of the target's own? Bins would not do: within a wide one, the target's scores lie elsewhere.
    """
    from scipy.stats import chi2

    low, high = max(s.min() for s in scores), min(s.max() for s in scores)
    inside = [(s >= low) & (s <= high) for s in scores]
    if min(i.sum() for i in inside) < _FEWEST:
        return float("nan")
    s = np.concatenate([x[i] for x, i in zip(scores, inside, strict=True)])
    y = np.concatenate([e[i] for e, i in zip(events, inside, strict=True)]).astype(np.float64)
    there = np.repeat([0.0, 1.0], [i.sum() for i in inside])
    s = (s - s.mean()) / max(float(s.std()), 1e-12)
    plain = np.stack([np.ones_like(s), s, s * s], axis=1)
    gain = _log_likelihood(np.hstack([plain, np.stack([there, there * s], axis=1)]), y)
    return float(chi2.sf(max(2 * (gain - _log_likelihood(plain, y)), 0), 2))


def _log_likelihood(z: np.ndarray, y: np.ndarray) -> float:
    """Return the largest log-likelihood of a logistic regression, by damped Newton steps.

    A trace of ridge keeps it finite where a score parts the events without a mistake.
    """
    ridge = 1e-3
    theta = np.zeros(z.shape[1])

    def objective(theta: np.ndarray) -> float:
        return float((y * (z @ theta) - np.logaddexp(0, z @ theta)).sum() - 0.5 * ridge * theta @ theta)

    value = objective(theta)
    for _ in range(50):
        p = 0.5 * (1 + np.tanh(0.5 * (z @ theta)))
        slope = z.T @ (y - p) - ridge * theta
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + ridge * np.eye(len(theta)), slope)
        length = 1.0
        while (new := objective(theta + length * step)) < value and length > 1e-6:
            length /= 2
        if new - value < 1e-8:
            break
        theta, value = theta + length * step, new
    return value


def _of_x_given_y(
    a: np.ndarray,
    y: np.ndarray,
    b: np.ndarray,
    labels: np.ndarray,
    k: int,
    rest: MMD | None,
    seed: int,
) -> Evidence:
    tested = [
        mmd(a[y == c], b[labels == c], most=500, resamples=250 * k, seed=seed).p
        for c in range(k)
        if min((y == c).sum(), (labels == c).sum()) >= _FEWEST
    ]
    if tested:
        by = f"MMD within {len(tested)} of {k} classes"
        if rest is not None and len(labels) < FEWEST_LABELS:
            tested.append(rest.p)
            by += ", and against source examples drawn in the estimated shares"
        value = min(1.0, len(tested) * min(tested))
        return Evidence("P(X|Y)", _DIFFERS if value < SURE else _ALIKE, value, by)
    if rest is None:
        return Evidence(
            "P(X|Y)", _UNKNOWN, float("nan"), "too few examples of a class that is frequent there"
        )
    by = "MMD against source examples drawn in the estimated shares"
    return Evidence("P(X|Y)", _DIFFERS if rest.p < SURE else _ALIKE, rest.p, by)


def _unexplained(
    a: np.ndarray, y: np.ndarray, b: np.ndarray, told: LabelShift, most: int, seed: int
) -> MMD | None:
    """Return the MMD of the target from source examples drawn in the target's estimated shares."""
    counts, shares = np.bincount(y, minlength=len(told.source)), told.shares
    size = int(np.floor((counts / np.maximum(shares, 1e-12)).min()))
    take = np.floor(min(size, len(y)) * shares + 0.5).astype(int)
    take = np.minimum(take, counts)
    if take.sum() < 2 * _FEWEST:
        return None
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:n] for c, n in enumerate(take)])
    return mmd(a[rows], b, most=most, seed=seed)


def _kind(
    evidence: tuple[Evidence, ...], proxy: ProxyADistance, told: LabelShift, labels: int
) -> tuple[str, str]:
    """Return the kind and the reason, from what differs."""
    x, y, y_given_x, x_given_y = (e.verdict for e in evidence)
    if x != _DIFFERS:
        if y_given_x == _DIFFERS:
            return (
                CONCEPT,
                f"inputs look alike, and {labels:,} target labels say that they mean other classes.",
            )
        if y_given_x == _ALIKE and labels >= FEWEST_LABELS:
            return NONE, f"neither in the inputs nor, by {labels:,} labels, in what they mean."
        return NONE, (
            "the inputs look alike. Whether they mean the same cannot be told "
            + (f"from {labels:,} labels." if labels else "without target labels.")
        )
    if x_given_y == _ALIKE and y == _DIFFERS:
        return LABEL, (
            f"classes are not as frequent as in the source, and within the classes the inputs look alike. "
            f"{told.sentence()}"
        )
    if labels < _FEWEST:
        return CANNOT_TELL, (
            "the inputs differ by more than the shares of the classes can explain. Whether the same input "
            "means the same class there (covariate shift) or another (concept shift) no unlabelled example "
            "tells."
        )
    if proxy.error < LEAST_OVERLAP or y_given_x == _UNKNOWN:
        meaning = {
            _DIFFERS: "what the classifier's score says of the class has changed",
            _ALIKE: "where scores overlap, a score says the same of the class",
            _UNKNOWN: "not even the classifier's scores overlap; all of them moved",
        }[y_given_x]
        return CANNOT_TELL, (
            f"the inputs hardly overlap (told apart with {proxy.error:.1%} error), so that there is no input "
            f"at which both could be asked. What {labels:,} labels say: {meaning}."
        )
    if y_given_x == _DIFFERS:
        return CONCEPT, (
            f"the inputs differ, and by {labels:,} labels the same score means other classes in the target."
        )
    if labels < FEWEST_LABELS:
        return CANNOT_TELL, (
            f"the inputs differ; {labels:,} labels show no change in what they mean, and would miss all "
            "but a large one."
        )
    return COVARIATE, f"the inputs differ, and by {labels:,} labels they mean the same classes."


def _remedies(kind: str, target: Scores | None, proxy: ProxyADistance, labels: int) -> tuple[str, ...]:
    offset = (
        ("Move the threshold: measure.to_shares with the shares of the classes, known or counted.",)
        if target is not None and target.offset
        else ()
    )
    handful = "A handful of target labels, for a fit and for an honest test."
    left = {
        NONE: (
            "Nothing to adapt: a method that moves features can only add noise."
            + ("" if labels >= FEWEST_LABELS else " Label some target examples and see that it works."),
        ),
        LABEL: (
            "Correct the probabilities by Bayes' rule: LabelShift.corrected.",
            "No alignment: matching P(X) (CORAL, MMD, DANN, AdaBN) mixes classes that are not as frequent.",
        ),
        COVARIATE: (
            "Importance weighting, as far as the domains overlap: measure.density_ratio.",
            "Alignment (centring, CORAL, transport), if the classes moved together.",
        ),
        CONCEPT: (
            handful,
            "No weighting and no alignment: what they keep is what the source said, which is wrong there.",
        ),
        CANNOT_TELL: (
            handful if labels < FEWEST_LABELS else "Fit on the target labels, with the source as a start.",
            "Alignment or self-training may help or hurt: choose with measure.select, believe only labels.",
        ),
    }[kind]
    return (*offset, *left)


def _notes(kind: str, proxy: ProxyADistance, told: LabelShift, labels: int) -> tuple[str, ...]:
    notes = []
    if kind != NONE and proxy.error < LEAST_OVERLAP:
        notes.append("Without overlap importance weights have nothing to weigh.")
    if kind not in (NONE, LABEL) and told.shifted:
        notes.append("The estimated shares of the classes hold for label shift alone: do not use them here.")
    if kind == LABEL:
        notes.extend(told.notes)
    if not labels:
        notes.append("Without target labels, a concept shift would change nothing in this table.")
    return tuple(notes)


def _scores(p: np.ndarray, rows: np.ndarray, y: np.ndarray, seed: int) -> Scores:
    """Score answers on labelled rows, as they are and with the threshold where the labels' shares put it."""
    k = p.shape[1]
    shares = np.bincount(y, minlength=k) / len(y)
    balanced = [
        bootstrap(confusion_matrix(y, given[rows].argmax(axis=1), k), seed=seed)["balanced_accuracy"]
        for given in (p, to_shares(p, shares))
    ]
    return Scores(_auc(p[rows], y, seed), balanced[0], balanced[1], len(y))


def _auc(p: np.ndarray, y: np.ndarray, seed: int) -> Interval:
    """Return the area under the ROC curve with its bootstrap interval, mean over classes one against all.

    Of two classes both areas are the same. Draws are within the classes.
    """
    present = np.unique(y)
    if len(present) < 2:
        return Interval(float("nan"), float("nan"), float("nan"))
    classes = present[-1:] if p.shape[1] == 2 else present
    rng = np.random.default_rng(seed)
    values, draws = [], []
    for c in classes:
        one, other = p[y == c, c], p[y != c, c]
        # Of each of one kind: the share of the other kind below it, ties half.
        order = np.sort(other)
        below = (np.searchsorted(order, one, "left") + np.searchsorted(order, one, "right")) / 2 / len(other)
        order = np.sort(one)
        above = 1 - (
            np.searchsorted(order, other, "left") + np.searchsorted(order, other, "right")
        ) / 2 / len(one)
        value = below.mean()
        # DeLong's two parts: drawing both kinds moves the area by the sum of their means, to first order.
        moves = [
            rng.multinomial(len(part), np.full(len(part), 1 / len(part)), size=_DRAWS) @ part / len(part)
            - value
            for part in (below, above)
        ]
        values.append(value)
        draws.append(value + moves[0] + moves[1])
    return interval(float(np.mean(values)), np.clip(np.mean(draws, axis=0), 0, 1))


def _movement(
    a: np.ndarray, y: np.ndarray, b: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> tuple[ClassMovement, ...]:
    """Return how far each class with two labelled examples or more moved: with the others, and alone."""
    classes = [c for c in range(len(names)) if min((y == c).sum(), (labels == c).sum()) >= 2]
    if len(classes) < 2:
        return ()
    means, ways, noise = [], [], []
    for c in classes:
        here, there = a[y == c], b[labels == c]
        means.append(here.mean(axis=0))
        ways.append(there.mean(axis=0) - means[-1])
        noise.append(sum(part.var(axis=0, ddof=1).sum() / len(part) for part in (here, there)))
    k = len(classes)
    apart = np.linalg.norm(np.array(means)[:, None] - np.array(means), axis=2)
    unit = max(float(apart[np.triu_indices(k, 1)].mean()), 1e-12)
    common, scatter = np.mean(ways, axis=0), np.array(noise)
    together = _length(common, scatter.sum() / k**2) / unit
    rows = []
    for c, way, own in zip(classes, ways, scatter, strict=True):
        alone = _length(way - common, own * (1 - 2 / k) + scatter.sum() / k**2) / unit
        moved = _length(way, own) / unit
        rows.append(ClassMovement(names[c], int((labels == c).sum()), moved, together, alone))
    return tuple(rows)


def _length(vector: np.ndarray, noise: float) -> float:
    """Return the length without what scatter adds to its square on average."""
    return float(np.sqrt(max(float(vector @ vector) - noise, 0.0)))


def _same_counts(counts: np.ndarray) -> float:
    """Return the p-value of equal shares, from counts ``(2, k)``; classes that neither has are left out."""
    from scipy.stats import chi2_contingency, fisher_exact

    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    if counts.shape[1] == 2:
        return float(fisher_exact(counts).pvalue)
    return float(chi2_contingency(counts).pvalue)


def _log_odds(p: np.ndarray) -> np.ndarray:
    cut = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(cut) - np.log1p(-cut))


def _two(area: Interval) -> str:
    return f"{area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"


def _plain(scores: Scores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    names = ("auc", "balanced_accuracy", "at_shares")
    return {"n": scores.n, **{name: getattr(scores, name).to_dict() for name in names}}
