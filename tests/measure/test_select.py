"""Choosing without target labels: each score against its formula, and the cases that fool it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax

from course_lib import measure
from course_lib.errors import BadInput


def answers(
    rng: np.random.Generator, y: np.ndarray, right: float, sure: float = 0.8, k: int = 2
) -> np.ndarray:
    """Return probabilities that are right in such a share, and about so sure."""
    said = np.where(rng.random(len(y)) < right, y, (y + 1) % k)
    sure = np.clip(sure + 0.05 * rng.normal(size=len(y)), 0.55, 0.999)
    p = np.repeat(((1 - sure) / (k - 1))[:, None], k, axis=1)
    p[np.arange(len(y)), said] = sure
    return p


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    y, t = rng.integers(2, size=200), rng.integers(2, size=300)
    collapsed = np.tile([0.995, 0.005], (300, 1)) + 0.002 * rng.uniform(-1, 1, size=(300, 1)) * [1, -1]
    candidates = {
        "poor": (answers(rng, y, 0.8), answers(rng, t, 0.55, 0.6)),
        "fair": (answers(rng, y, 0.8), answers(rng, t, 0.7, 0.7)),
        "good": (answers(rng, y, 0.8), answers(rng, t, 0.9, 0.85)),
        "collapsed": (answers(rng, y, 0.8), collapsed),
    }
    return SimpleNamespace(y=y, t=t, candidates=candidates, rng=rng)


def chosen(case, **options) -> measure.Selection:
    return measure.select(case.candidates, case.y, case.t, source_y=case.y, **options)


def test_entropy_and_information_equal_scipy(case) -> None:
    found = chosen(case)
    for name, (_, q) in case.candidates.items():
        entropy = stats.entropy(q, axis=1).mean()
        assert found.scores["entropy"][name] == pytest.approx(-entropy)
        assert found.scores["information"][name] == pytest.approx(stats.entropy(q.mean(axis=0)) - entropy)


@pytest.mark.parametrize("k", [2, 5])
def test_snd_is_the_published_formula(case, k, monkeypatch) -> None:
    q = case.rng.dirichlet(np.ones(k), size=60)
    similar = (1 - squareform(pdist(q, "cosine"))) / 0.05
    np.fill_diagonal(similar, -np.inf)
    expected = stats.entropy(softmax(similar, axis=1), axis=1).mean()
    assert measure.soft_neighbourhood_density(q) == pytest.approx(expected, rel=1e-8)
    monkeypatch.setitem(measure.soft_neighbourhood_density.__globals__, "_ROWS", 7)
    assert measure.soft_neighbourhood_density(q) == pytest.approx(expected, rel=1e-8)
    wide = measure.soft_neighbourhood_density(q, temperature=1e6)
    assert wide == pytest.approx(np.log(59)), "all are as near: the most there is"
    assert measure.soft_neighbourhood_density(np.tile(q[:1], (60, 1))) == pytest.approx(np.log(59))


def test_weighted_scores_are_their_formulas(case) -> None:
    w = case.rng.gamma(1.0, size=200)
    found = chosen(case, weights=w)
    w = w / w.mean()
    for name, (p, _) in case.candidates.items():
        loss = w * (p.argmax(axis=1) != case.y)
        eta = -np.cov(loss, w, ddof=1)[0, 1] / np.var(w, ddof=1)
        assert found.scores["weighted"][name] == pytest.approx(1 - loss.mean())
        assert found.scores["dev"][name] == pytest.approx(1 - (loss.mean() + eta * w.mean() - eta))
    assert found.effective == pytest.approx(200 / np.mean(w**2))
    even = chosen(case, weights=np.full(200, 3.0))
    assert even.scores["weighted"] == even.scores["dev"] == pytest.approx(even.scores["source"])


def test_weights_find_what_is_right_under_covariate_shift() -> None:
    """One candidate is right on the left, the other on the right, and the target lies on the right."""
    rng = np.random.default_rng(1)
    x, target = rng.normal(-0.5, 1, size=(2000, 1)), rng.normal(0.7, 1, size=(2000, 1))
    y, t = (rng.integers(2, size=2000) for _ in range(2))
    made = {}
    for name, sign in (("left", -1), ("right", 1)):
        pair = []
        for at, labels in ((x, y), (target, t)):
            wrong = (sign * at[:, 0] < 0) & (rng.random(2000) < 0.6)
            pair.append(np.where(np.eye(2)[labels ^ wrong] > 0, 0.8, 0.2))
        made[name] = tuple(pair)
    weights = measure.density_ratio(x, target)
    found = measure.select(made, y, t, source_y=y, weights=weights, target_y=t)
    assert found["source"].chosen == "left" and found["source"].regret > 0.1
    for score in ("weighted", "dev"):
        assert found[score].chosen == "right" == found.best and found[score].regret == 0
        assert found.scores[score]["right"] == pytest.approx(found.truth["right"], abs=0.06)


def test_a_collapsed_candidate_fools_entropy_and_snd_and_is_marked(case) -> None:
    found = chosen(case, target_y=case.t)
    assert found.collapsed == ("collapsed",)
    for fooled in ("entropy", "snd"):
        assert found[fooled].chosen == "collapsed"
        assert found[fooled].regret == pytest.approx(found.truth["good"] - found.truth["collapsed"])
    assert found["information"].chosen == "good" == found.best and found["information"].regret == 0
    assert any("minus entropy, SND" in note and "chosen by" in note for note in found.notes)
    del case.candidates["collapsed"]
    fair = chosen(case, target_y=case.t)
    assert fair["entropy"].chosen == "good" and fair.collapsed == ()
    assert fair["entropy"].correlation.spearman.value == pytest.approx(1)


def test_a_target_of_one_class_is_where_information_errs() -> None:
    """All of the target is of one class: a candidate that says so is right, and scores lowest."""
    rng = np.random.default_rng(2)
    y, t = rng.integers(2, size=200), np.zeros(200, int)
    made = {
        "says so": (answers(rng, y, 0.9), answers(rng, t, 0.98, 0.9)),
        "splits": (answers(rng, y, 0.9), answers(rng, t, 0.5, 0.9)),
    }
    found = measure.select(made, y, t, source_y=y, target_y=t)
    assert found["information"].chosen == "splits" and found["information"].regret > 0.4


def test_equal_scores_cannot_choose_and_say_so(case) -> None:
    same = case.candidates["good"][0]
    case.candidates = {name: (same, q) for name, (_, q) in case.candidates.items()}
    found = chosen(case, target_y=case.t, weights=np.ones(200))
    for score in ("source", "weighted", "dev"):
        assert found[score].ties == 4 and found[score].correlation is None
        mean = np.mean(list(found.truth.values()))
        assert found[score].regret == pytest.approx(max(found.truth.values()) - mean)
    assert any("share the highest value of source validation" in note for note in found.notes)


def test_without_labels_nothing_is_claimed(case) -> None:
    found = chosen(case)
    assert found.truth is None and found.best is None and np.isnan(found["snd"].regret)
    assert "no score here can say" in found.sentence() and "oracle" not in str(found)
    assert set(found.scores) == {"source", "entropy", "snd", "information"}, "weights were not given"


class Plain:
    """A head behind an encoder that doubles."""

    def __init__(self, base=None) -> None:
        self.head, self.encoder = self, SimpleNamespace(base=base, encode=lambda x: 2 * x)

    def predict_proba(self, x):
        right = 1 / (1 + np.exp(-np.asarray(x)[:, 0]))
        return np.stack([1 - right, right], axis=1)


def test_aligned_classifiers_read_source_examples_behind_their_base() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 1)), rng.integers(2, size=40)
    aligned = Plain(base=SimpleNamespace(encode=lambda data: -np.asarray(data)))
    found = measure.select({"plain": Plain(), "aligned": aligned}, x, x, source_y=y)
    assert found.scores["source"]["plain"] == pytest.approx(np.mean((x[:, 0] > 0) == y))
    assert found.scores["source"]["aligned"] == pytest.approx(np.mean((x[:, 0] < 0) == y))


def test_shown_and_kept(case) -> None:
    w = np.zeros(200)
    w[:3] = 1
    found = chosen(case, target_y=case.t, weights=w, metric="balanced_accuracy")
    text = str(found)
    for part in ("points lost", "rank correlation", "(collapsed)", "oracle: balanced accuracy", "DEV"):
        assert part in text and part in found._repr_html_()
    assert any("3 effective of 200" in note for note in found.notes)
    assert json.loads(json.dumps(found.to_dict()))["by"]["snd"]["chosen"] == "collapsed"
    assert json.loads(json.dumps(chosen(case).to_dict()))["effective"] is None


def bad(case, **change) -> None:
    good = {"candidates": case.candidates, "source": case.y, "target": case.t, "source_y": case.y}
    measure.select(**{**good, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {"candidates": {"one": c.candidates["good"]}}, "1 candidates"),
        (lambda c: {"candidates": {**c.candidates, "odd": "CORAL"}}, "odd is str"),
        (lambda c: {"source_y": None}, "Labels of shape"),
        (lambda c: {"source_y": c.y[:9]}, "for 9 source labels"),
        (lambda c: {"source_y": c.y + 1}, "labels up to 2"),
        (lambda c: {"weights": -np.ones(200)}, "Weights of shape"),
        (lambda c: {"weights": np.full(200, np.nan)}, "Weights of shape"),
        (lambda c: {"weights": np.ones(3)}, r"Weights of shape \(3,\)"),
        (lambda c: {"target_y": c.t[:5]}, "5 target labels"),
        (lambda c: {"metric": "auc"}, "no metric 'auc'"),
        (
            lambda c: {
                "candidates": {**c.candidates, "nan": (c.candidates["good"][0], np.full((300, 2), np.nan))}
            },
            "nan: target probabilities run",
        ),
        (
            lambda c: {
                "candidates": {**c.candidates, "wide": (c.candidates["good"][0], np.full((300, 3), 1 / 3))}
            },
            "the same classes in both",
        ),
    ],
)
def test_what_cannot_be_chosen_from(case, change, said) -> None:
    with pytest.raises(BadInput, match=said):
        bad(case, **change(case))


@pytest.mark.parametrize("given", [np.full((2, 2), 0.5), np.full((9, 2), np.nan)])
def test_what_has_no_neighbourhood(given) -> None:
    with pytest.raises(BadInput):
        measure.soft_neighbourhood_density(given)
