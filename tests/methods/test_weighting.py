"""Importance weighting: weighted fits against scikit-learn, where it helps and where it cannot."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.weighting import flattening
from course_lib.tasks.task import Split, Task


class Plain:
    name, dim = "plain", 2

    def encode(self, data):
        return np.asarray(getattr(data, "x", data), np.float32)


def made(x, y, name="made up") -> Split:
    ids = np.array([f"{name} {i}" for i in range(len(y))])
    return Split(x.astype(np.float32), y, ("no", "yes"), name, "made up", ids)


def bent(rng, centre, n):
    """The rule is a parabola, which no straight line follows everywhere, but one does anywhere."""
    x = rng.normal(size=(n, 2)) + centre
    return x, (x[:, 1] > 0.5 * x[:, 0] ** 2 - 1).astype(int)


@pytest.fixture
def covariate_shift() -> tuple[Task, Split]:
    rng = np.random.default_rng(0)
    parts = [made(*bent(rng, [0, 0], n), name) for n, name in ((2000, "a"), (500, "b"), (500, "c"))]
    task = Task("bent", *parts, ("no", "yes"), "made up", "CC0", "none")
    return task, made(*bent(rng, [1.5, 0.5], 1500), "away")


def score(model, split) -> float:
    return float(np.mean(model.predict(split) == split.y))


def test_it_helps_where_only_the_examples_differ(covariate_shift) -> None:
    task, away = covariate_shift
    plain = methods.linear_probe(Plain(), task)
    weighted = methods.importance_weighting(Plain(), task, away)
    assert score(weighted, away) > score(plain, away) + 0.03
    assert score(weighted, task.test) < score(plain, task.test), "at home it pays for that"
    assert weighted.name == "probe, weighted" and weighted.seconds["fit"] > 0
    assert 50 < weighted.chosen["effective"] < 1500 and 0.6 < weighted.chosen["told_apart"] < 0.95


def test_it_does_not_help_where_the_rule_differs(covariate_shift) -> None:
    task, away = covariate_shift
    flipped = replace(away, y=1 - away.y)
    plain = methods.linear_probe(Plain(), task)
    weighted = methods.importance_weighting(Plain(), task, away)
    assert score(weighted, flipped) < score(plain, flipped)


def test_far_domains_leave_few_examples_in_effect_and_say_so(covariate_shift) -> None:
    task, away = covariate_shift
    far = replace(away, x=away.x + np.float32(4))
    with pytest.warns(UserWarning, match=r"examples in effect, as the domains are told apart") as told:
        found = methods.importance_weighting(Plain(), task, far)
    assert found.chosen["effective"] < 100 and told[0].filename == __file__


def test_without_a_shift_nothing_changes(covariate_shift) -> None:
    task, _ = covariate_shift
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it also says that there is no shift
        weighted = methods.importance_weighting(Plain(), task, task.test)
    plain = methods.linear_probe(Plain(), task)
    assert np.mean(weighted.predict(task.test) == plain.predict(task.test)) > 0.97
    assert weighted.chosen["effective"] > 0.9 * 2000


def test_a_weighted_probe_equals_scikit_learn(covariate_shift) -> None:
    task, _ = covariate_shift
    x, y = task.train.x, task.train.y
    rng = np.random.default_rng(1)
    w = rng.random(len(y)) * (rng.random(len(y)) > 0.2)
    fit = methods.fit_probe(
        x, y, x, y, strengths=[10.0], example_weight=(w, np.ones(len(y)))
    ).head.predict_proba(x)[:, 1]
    z = (x - x.mean(axis=0)) / np.sqrt((len(x) * x.var(axis=0) + 10 * x.var(axis=0).mean()) / (len(x) + 10))
    rival = LogisticRegression(C=2 / 10, tol=1e-10, max_iter=1000).fit(z, y, sample_weight=w)
    assert np.allclose(fit, rival.predict_proba(z)[:, 1], atol=2e-3)


def test_weights_of_two_are_rows_twice(covariate_shift) -> None:
    task, _ = covariate_shift
    x, y = task.train.x[:200], task.train.y[:200]
    w = np.arange(200) % 2
    half = methods.fit_probe(x, y, x, y, example_weight=(np.ones(200), w)).strength
    only = methods.fit_probe(x, y, x[w == 1], y[w == 1]).strength
    assert half == only, "validation weights of 0 and 1 choose as a subset does"


@pytest.mark.parametrize("bad", [np.ones(5), -np.ones(2000), np.full(2000, np.nan), np.zeros(2000)])
def test_weights_that_make_no_sense(covariate_shift, bad) -> None:
    task, _ = covariate_shift
    with pytest.raises(BadInput, match="Give one number from 0 per example"):
        methods.fit_probe(
            task.train.x,
            task.train.y,
            task.validation.x,
            task.validation.y,
            example_weight=(bad, np.ones(500)),
        )


def test_flattening_keeps_a_share_in_effect() -> None:
    weights = np.random.default_rng(0).pareto(0.5, 500)
    for fewest in (0.1, 0.3, 0.8):
        flat = weights ** flattening(weights, fewest)
        assert flat.sum() ** 2 / np.square(flat).sum() / 500 == pytest.approx(fewest, rel=1e-3)
    assert flattening(weights, 0) == 1 and flattening(weights, 1) == pytest.approx(0, abs=1e-6)
    with pytest.raises(BadInput, match="fewest=2"):
        flattening(weights, 2)


def test_all_in_effect_is_the_plain_probe(covariate_shift) -> None:
    task, away = covariate_shift
    found = methods.importance_weighting(Plain(), task, away, fewest=1)
    plain = methods.linear_probe(Plain(), task)
    assert np.allclose(found.predict_proba(away), plain.predict_proba(away), atol=0.01)
