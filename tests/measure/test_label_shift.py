"""Shares of the target's classes: closed forms, a slow EM, and samples whose shares are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.label_shift import to_shares


def normal_classes(rng: np.random.Generator, n: int, shares: tuple[float, ...]):
    """Return calibrated probabilities and labels of normal classes on a line, two apart; of equal priors."""
    k = len(shares)
    y = rng.choice(k, n, p=shares)
    x = rng.normal(size=n) + 2 * y
    likelihood = np.exp(-0.5 * (x[:, None] - 2 * np.arange(k)) ** 2)
    return likelihood / likelihood.sum(axis=1, keepdims=True), y


def slow_em(q: np.ndarray, prior: np.ndarray) -> np.ndarray:
    shares = prior.copy()
    for _ in range(1000):
        posterior = q * (shares / prior)
        shares = (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def test_bbse_solves_the_mixture() -> None:
    rng = np.random.default_rng(0)
    p, y = normal_classes(rng, 200, (0.4, 0.3, 0.3))
    q, _ = normal_classes(rng, 150, (0.1, 0.2, 0.7))
    found = measure.label_shift(p, y, q, resamples=20)
    given = np.stack([p[y == c].mean(axis=0) for c in range(3)], axis=1)
    expected = np.linalg.solve(given, q.mean(axis=0))
    assert np.allclose([share.value for share in found.bbse], expected / expected.sum(), atol=1e-10)
    assert found.condition == pytest.approx(np.linalg.cond(given))
    assert np.allclose(found.source, np.bincount(y) / 200)


def test_bbse_with_hard_answers_is_the_confusion_matrix() -> None:
    y = np.repeat([0, 1], 50)
    says = np.concatenate([np.repeat([0, 1], [40, 10]), np.repeat([0, 1], [5, 45])])
    target = np.repeat([0, 1], [30, 70])
    # 30% answer 0: of class 0 four fifths do, of class 1 a tenth: w = (0.3 - 0.1) / 0.7
    found = measure.label_shift(np.eye(2)[says], y, np.eye(2)[target], resamples=20)
    assert found.bbse[0].value == pytest.approx(2 / 7)


def test_em_is_the_slow_one_and_maximises_the_likelihood() -> None:
    rng = np.random.default_rng(1)
    p, y = normal_classes(rng, 300, (0.5, 0.25, 0.25))
    q, _ = normal_classes(rng, 200, (0.2, 0.2, 0.6))
    found = measure.label_shift(p, y, q, resamples=20)
    assert np.allclose(found.shares, slow_em(q, p.mean(axis=0)), atol=1e-4)

    def likelihood(shares: np.ndarray) -> float:
        return float(np.log(q @ (shares / p.mean(axis=0))).mean())

    for seed in range(20):
        other = np.random.default_rng(seed).dirichlet(np.ones(3))
        assert likelihood(found.shares) >= likelihood(other) - 1e-9


def test_a_pure_label_shift_is_recovered_within_its_interval() -> None:
    truth, inside = np.array([0.7, 0.1, 0.2]), np.zeros(2)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p, y = normal_classes(rng, 400, (1 / 3, 1 / 3, 1 / 3))
        q, _ = normal_classes(rng, 400, tuple(truth))
        found = measure.label_shift(p, y, q, resamples=100, seed=seed)
        assert found.shifted
        for way, shares in enumerate((found.bbse, found.em)):
            inside[way] += sum(
                share.low - 0.01 <= t <= share.high + 0.01 for share, t in zip(shares, truth, strict=True)
            )
    assert (inside >= 0.85 * 60).all(), inside
    assert not any("contradict" in note for note in found.notes)


def test_the_same_domain_is_not_said_to_be_shifted() -> None:
    told = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p, y = normal_classes(rng, 150, (0.6, 0.4))
        q, _ = normal_classes(rng, 150, (0.6, 0.4))
        told.append(measure.label_shift(p, y, q, resamples=2).p)
    assert np.mean(np.array(told) < 0.05) == pytest.approx(0.05, abs=0.045)
    same = measure.label_shift(p, y, p)
    assert not same.shifted and "No label shift seen" in same.sentence()
    assert np.allclose(same.shares, p.mean(axis=0), atol=1e-6), "EM stays where it begins"


def test_corrected_probabilities_are_bayes_rule() -> None:
    rng = np.random.default_rng(2)
    p, y = normal_classes(rng, 4000, (0.5, 0.5))
    q, t = normal_classes(rng, 4000, (0.9, 0.1))
    found = measure.label_shift(p, y, q, resamples=20)
    corrected = found.corrected(q)
    expected = q * [0.9, 0.1] / (q @ [0.9, 0.1])[:, None]
    assert np.allclose(corrected, expected, atol=0.02)
    assert np.mean(corrected.argmax(axis=1) == t) > np.mean(q.argmax(axis=1) == t) + 0.03


def test_a_class_may_be_missing_in_the_target() -> None:
    rng = np.random.default_rng(3)
    p, y = normal_classes(rng, 400, (1 / 3, 1 / 3, 1 / 3))
    q, _ = normal_classes(rng, 400, (0.5, 0.5, 0.0))
    found = measure.label_shift(p, y, q)
    assert found.em[2].value < 0.03 and found.bbse[2].low < 0.03
    assert sum(found.shares) == pytest.approx(1)


def test_what_weakens_an_estimate_is_noted() -> None:
    rng = np.random.default_rng(4)
    y = np.arange(100) % 2
    blind = np.clip(0.5 + 0.01 * rng.normal(size=100), 0, 1)
    blind = np.stack([blind, 1 - blind], axis=1)
    found = measure.label_shift(blind, y, blind[:50])
    assert found.condition > 30 and any("condition number" in note for note in found.notes)
    assert found.bbse[0].high - found.bbse[0].low > 0.5, "and the interval says so"
    p, y = normal_classes(rng, 500, (0.5, 0.5))
    z = np.log(p)
    sure = np.exp(6 * z) / np.exp(6 * z).sum(axis=1, keepdims=True)  # far too sure, all moved to one side
    q = np.full((500, 2), [0.55, 0.45])
    assert any("contradict" in note for note in measure.label_shift(sure, y, q).notes)
    alone = measure.label_shift(p, y, p[:1])
    assert np.isnan(alone.p) and any("single example" in note for note in alone.notes)


def test_to_shares_gives_the_shares_and_keeps_the_order() -> None:
    rng = np.random.default_rng(5)
    p, _ = normal_classes(rng, 300, (0.8, 0.2))
    before = p.copy()
    moved = to_shares(p, np.array([0.3, 0.7]))
    assert np.bincount(moved.argmax(axis=1)).tolist() == [90, 210] and np.array_equal(p, before)
    assert np.array_equal(np.argsort(p[:, 0], kind="stable"), np.argsort(moved[:, 0], kind="stable"))
    odds = np.log(moved[:, 0] / moved[:, 1]) - np.log(p[:, 0] / p[:, 1])
    assert np.ptp(odds) < 1e-6, "one number is added to all log-odds"
    for share in (0.0, 1.0):
        assert to_shares(p, np.array([share, 1 - share])).argmax(axis=1).mean() == 1 - share


def test_several_classes_are_the_likeliest_assignment_with_these_shares() -> None:
    p, _ = normal_classes(np.random.default_rng(6), 60, (0.4, 0.3, 0.3))
    wanted = np.array([0.2, 0.5, 0.3])
    said = to_shares(p, wanted).argmax(axis=1)
    assert np.abs(np.bincount(said, minlength=3) - 60 * wanted).max() <= 1
    counts = np.bincount(said, minlength=3)
    cost = np.repeat(-np.log(p), counts, axis=1)  # one column for each place of a class
    rows, places = linear_sum_assignment(cost)
    mine = -np.log(p[np.arange(60), said]).sum()
    assert mine == pytest.approx(cost[rows, places].sum(), rel=1e-3)
    gone = to_shares(p, np.array([0.5, 0.0, 0.5])).argmax(axis=1)
    assert np.bincount(gone, minlength=3).tolist() == [30, 0, 30]


def test_shown_and_kept() -> None:
    p, y = normal_classes(np.random.default_rng(6), 60, (0.5, 0.5))
    found = measure.label_shift(p, y, p[y == 1], class_names=("intact", "<cracked>"), resamples=20)
    assert "intact" in str(found) and "EM" in found._repr_html_() and "&lt;cracked&gt;" in found._repr_html_()
    assert found.sentence().startswith("If only the shares")
    assert json.loads(json.dumps(found.to_dict()))["n"] == [60, int((y == 1).sum())]


GOOD = np.full((6, 2), 0.5)
LABELS = np.array([0, 1] * 3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: measure.label_shift(GOOD, LABELS, np.full((4, 3), 1 / 3)),
            "2 classes in the validation and 3",
        ),
        (
            lambda: measure.label_shift(GOOD, LABELS, np.full((4, 2), np.nan)),
            "target probabilities run from nan",
        ),
        (lambda: measure.label_shift(3 * GOOD, LABELS, GOOD), "validation probabilities run"),
        (lambda: measure.label_shift(GOOD, LABELS[:3], GOOD), r"labels of shape \(3,\)"),
        (lambda: measure.label_shift(GOOD, LABELS + 1, GOOD), "1 to 2"),
        (lambda: measure.label_shift(GOOD, 0 * LABELS, GOOD), "No validation example of class 1"),
        (lambda: measure.label_shift(GOOD, LABELS, GOOD[:0]), "expected .n, k."),
        (lambda: measure.label_shift(GOOD, LABELS, GOOD, class_names=("a",)), "1 class names"),
        (lambda: to_shares(GOOD, np.array([0.5, 0.6])), "sum to 1.1"),
        (lambda: to_shares(GOOD, np.array([0.5, 0.3, 0.2])), r"Shares of shape \(3,\)"),
    ],
)
def test_what_has_no_shares(call, said) -> None:
    with pytest.raises(BadInput, match=said):
        call()
