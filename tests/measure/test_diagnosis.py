"""Which kind of shift: worlds whose kind is known, with target labels, with few and without."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure import diagnosis as module_function
from course_lib.measure.diagnosis import _same_meaning
from course_lib.measure.label_shift import to_shares

N, D = 300, 4


def world(rng: np.random.Generator, n: int = N, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    y = (rng.random(n) < share).astype(int)
    x = rng.normal(size=(n, D))
    x[:, 0] += 2 * y
    return x, y


def elsewhere(rng: np.random.Generator, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Other inputs, the same P(Y|X): log-odds 2 x₀ - 2, as in `world`."""
    x = rng.normal(size=(n, D))
    x[:, 0] = 1.4 * x[:, 0] + 0.2
    x[:, 1] += 0.8
    return x, (rng.random(n) < 1 / (1 + np.exp(2 - 2 * x[:, 0]))).astype(int)


@dataclass
class Source:
    x: np.ndarray
    y: np.ndarray
    head: LogisticRegression
    rng: np.random.Generator

    def diagnosis(self, x: np.ndarray, **options) -> measure.Diagnosis:
        return measure.diagnosis(self.x, self.y, x, self.head, most=N, **options)


@pytest.fixture
def source() -> Source:
    rng = np.random.default_rng(0)
    head = LogisticRegression().fit(*world(rng, 500))
    return Source(*world(rng), head, rng)


def few(y: np.ndarray, n: int = 20) -> np.ndarray:
    labels = np.full(len(y), -1)
    labels[:n] = y[:n]
    return labels


def test_the_same_domain_shows_no_shift(source) -> None:
    x, y = world(source.rng)
    blind = source.diagnosis(x)
    assert blind.kind == "no shift seen" and "cannot be told without target labels" in blind.sentence()
    assert blind["P(Y|X)"].verdict == "cannot tell" and blind.target is None and blind.movement == ()
    told = source.diagnosis(x, target_y=y)
    assert told.kind == "no shift seen" and "what they mean" in told.sentence() and not told.offset
    assert "Nothing to adapt" in told.remedies[0]
    identical = source.diagnosis(source.x)
    assert identical.kind == "no shift seen" and identical.proxy_a.value < 0.3


def test_a_label_shift_is_seen_without_labels_and_its_shares_found(source) -> None:
    x, y = world(source.rng, share=0.15)
    for labels in (None, few(y), y):
        found = source.diagnosis(x, target_y=labels)
        assert found.kind == "label shift" and "标签偏移" in found.sentence()
        assert found["P(X|Y)"].verdict == "no difference seen"
    share = found.label_shift.em[1]
    assert share.low - 0.03 < 0.15 < share.high + 0.03
    assert any("No alignment" in remedy for remedy in found.remedies)


def test_a_covariate_shift_is_seen_and_told_from_concept_shift_by_labels_only(source) -> None:
    x, y = elsewhere(source.rng)
    blind, swapped = source.diagnosis(x), source.diagnosis(x, target_y=1 - y)
    assert blind["P(X)"].verdict == "differs" and blind.kind == "cannot tell"
    assert "no unlabelled example tells" in blind.sentence()
    told = source.diagnosis(x, target_y=y)
    assert told.kind == "covariate shift" and "协变量偏移" in told.sentence()
    assert told["P(Y|X)"].verdict == "no difference seen" and any("mportance" in r for r in told.remedies)
    assert swapped.kind == "concept shift" and "概念偏移" in swapped.sentence()
    assert source.diagnosis(x, target_y=few(y)).kind == "cannot tell", "20 labels would miss too much"


def test_swapped_labels_leave_no_trace_without_labels(source) -> None:
    x, y = world(source.rng)
    blind = source.diagnosis(x)
    assert blind.kind == "no shift seen"
    assert any("a concept shift would change nothing" in note for note in blind.notes)
    told = source.diagnosis(x, target_y=1 - y)
    assert told.kind == "concept shift" and told["P(X)"].verdict == "no difference seen"
    assert told.target.auc.high < 0.3 and not told.offset
    assert "No weighting and no alignment" in " ".join(told.remedies)


def test_the_blind_diagnosis_does_not_depend_on_what_labels_would_say(source) -> None:
    x, _ = elsewhere(source.rng)
    unlabelled = np.full(N, -1)
    assert source.diagnosis(x, target_y=unlabelled).to_dict() == source.diagnosis(x).to_dict()


def test_an_offset_is_a_ranking_that_survived(source) -> None:
    x, y = world(source.rng)
    source.head.coef_[0, 1:] = 0
    far = x + np.array([3.5, 0, 0, 30])  # nothing overlaps, and every score is moved alike
    found = source.diagnosis(far, target_y=y)
    assert found.offset and found.kind == "cannot tell" and "hardly overlap" in found.sentence()
    assert "An offset" in found.sentence() and "to_shares" in found.remedies[0]
    q = source.head.predict_proba(far)
    assert found.target.auc.value == pytest.approx(roc_auc_score(y, q[:, 1]))
    assert found.target.balanced_accuracy.value < 0.6 < 0.75 < found.target.at_shares.value
    moved = to_shares(q, np.bincount(y) / N).argmax(axis=1)
    balanced = np.mean([np.mean(moved[y == c] == c) for c in (0, 1)])
    assert found.target.at_shares.value == pytest.approx(balanced)
    assert not source.diagnosis(world(source.rng)[0]).offset and "In the source, too" not in found.sentence()


def test_an_offset_that_is_there_at_home_is_no_shift() -> None:
    rng = np.random.default_rng(4)
    (x, y), (t, z) = world(rng, 400, 0.2), world(rng, 400, 0.2)

    def timid(x: np.ndarray) -> np.ndarray:
        """Never sure enough of class 1 to say so."""
        p = 0.45 / (1 + np.exp(2 - 2 * x[:, 0]))
        return np.stack([1 - p, p], axis=1)

    found = measure.diagnosis(x, y, t, (timid(x), timid(t)), target_y=z, most=N)
    assert found.offset and "In the source, too" in found.sentence() and found.kind == "no shift seen"


def test_movement_is_split_into_what_is_shared_and_what_is_not(source) -> None:
    x, y = world(source.rng, 2000)
    together = source.diagnosis(x + np.array([0, 4, 0, 0]), target_y=y).movement
    own = x.copy()
    own[:, 1] += 4 * (2 * y - 1)
    alone = source.diagnosis(own, target_y=y).movement
    for row in together:  # classes lie 2 apart
        assert row.together == pytest.approx(2, abs=0.15) and row.alone < 0.25
    for row in alone:
        assert row.alone == pytest.approx(2, abs=0.15) and row.together < 0.25
        assert row.moved == pytest.approx(np.hypot(row.alone, row.together), abs=0.2)
    still = source.diagnosis(world(source.rng, 60)[0], target_y=world(source.rng, 60)[1])
    assert still.labels == 60


def test_noise_is_not_taken_for_movement() -> None:
    rng = np.random.default_rng(1)
    d, moved = 200, []
    for _ in range(8):
        y = np.arange(60) % 2
        x, t = rng.normal(size=(60, d)), rng.normal(size=(60, d))
        x[:, 0] += 6 * y
        t[:, 0] += 6 * y
        p = np.where(np.eye(2)[y] > 0, 0.9, 0.1)
        moved += [row.moved for row in measure.diagnosis(x, y, t, (p, p), target_y=y, most=60).movement]
    # Two means of 30 rows in 200 dimensions lie sqrt(200 · 2/30) = 3.7 apart by chance: 0.6 in units of 6.
    assert np.mean(moved) < 0.25


def test_auc_of_several_classes_and_ties() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(3, size=120)
    p = (
        rng.multinomial(4, np.full(3, 1 / 3), size=120) + 4 * np.eye(3)[y] * (rng.random((120, 1)) < 0.5)
    ) + 0.0
    p /= p.sum(axis=1, keepdims=True)  # quarters and eighths: exact, and many ties
    x = rng.normal(size=(120, 2))
    found = measure.diagnosis(x, y, x, (p, p), most=50)
    expected = np.mean([roc_auc_score(y == c, p[:, c]) for c in range(3)])
    assert found.source.auc.value == pytest.approx(expected)
    assert found.source.auc.low < expected < found.source.auc.high


def two_scores(seed: int, level: float = 0.0, slope: float = 1.2) -> tuple[list, list]:
    """Scores and events of a source, and of 60 target examples that lie higher and mean what is asked for."""
    rng = np.random.default_rng(seed)
    scores = [rng.normal(-1, 1, 174), rng.normal(0.5, 1, 60)]
    odds = [1.2 * scores[0], level + slope * scores[1]]
    return scores, [rng.random(len(z)) < 1 / (1 + np.exp(-z)) for z in odds]


def test_scores_that_moved_and_mean_the_same_are_not_said_to_mean_another_class() -> None:
    p = np.array([_same_meaning(*two_scores(seed)) for seed in range(300)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.04)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    other = [[_same_meaning(*two_scores(seed, *how)) for seed in range(30)] for how in ((-3, 1.2), (0, -1.2))]
    assert (np.median(other, axis=1) < 1e-4).all(), "another level and another slope are found"


def test_the_test_of_meaning_equals_scikit_learn() -> None:
    scores, events = two_scores(3, -0.7)
    low, high = max(s.min() for s in scores), min(s.max() for s in scores)
    rows = [(low <= s) & (s <= high) for s in scores]
    s, y = (np.concatenate([v[r] for v, r in zip(of, rows, strict=True)]) for of in (scores, events))
    d = np.repeat([0, 1], [r.sum() for r in rows])
    losses = []
    for columns in ([s, s**2], [s, s**2, d, d * s]):
        z = np.stack(columns, axis=1)
        fit = LogisticRegression(C=1e8, tol=1e-10, max_iter=5000).fit(z, y)
        losses.append(log_loss(y, fit.predict_proba(z)) * len(y))
    expected = stats.chi2.sf(2 * (losses[0] - losses[1]), 2)
    assert _same_meaning(scores, events) == pytest.approx(expected, rel=0.01)
    assert np.isnan(_same_meaning([scores[0], scores[1] + 50], events)), "nowhere do scores overlap"


def test_features_are_not_touched_and_seeds_repeat(source) -> None:
    x, y = elsewhere(source.rng)
    for array in (x, y, source.x, source.y):
        array.flags.writeable = False
    first, second = (source.diagnosis(x, target_y=y, seed=3).to_dict() for _ in range(2))
    assert first == second


def test_shown_and_kept(source) -> None:
    x, y = elsewhere(source.rng)
    found = source.diagnosis(x, target_y=y, class_names=("intact", "<cracked>"))
    for part in ("P(Y|X)", "What differs", "How it does", "Movement", "AUC"):
        assert part in str(found) and part in found._repr_html_()
    assert "&lt;cracked&gt;" in found._repr_html_() and "Remedy" in str(found)
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["kind"] == found.kind and len(kept["evidence"]) == 4
    assert json.loads(json.dumps(source.diagnosis(x).to_dict()))["target"] is None
    assert module_function is measure.diagnosis


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {"target_x": s.x[:, :2]}, "4 and 2 columns"),
        (lambda s: {"target_x": np.where(s.x > 2, np.nan, s.x)}, "NaN or infinite"),
        (lambda s: {"target_x": s.x[:3]}, "10 examples or more"),
        (lambda s: {"source_y": s.y[:5]}, r"labels of shape \(5,\)"),
        (lambda s: {"classifier": "probe"}, "'probe' has no predict_proba"),
        (lambda s: {"classifier": (np.full((5, 2), 0.5),) * 2}, "5 rows of source probabilities"),
        (lambda s: {"target_y": s.y[:5]}, "Target labels of shape"),
        (lambda s: {"target_y": s.y + 1}, "target label of 2 with 2 classes"),
        (lambda s: {"target_y": s.y - 2}, "-1 where there is none"),
        (lambda s: {"target_y": s.y.astype(float)}, "type float64"),
        (lambda s: {"class_names": ("only",)}, "1 class names"),
    ],
)
def test_what_cannot_be_diagnosed(source, change, said) -> None:
    good = {"source_x": source.x, "source_y": source.y, "target_x": source.x, "classifier": source.head}
    with pytest.raises(BadInput, match=said):
        measure.diagnosis(**{**good, **change(source)})
