"""Transferability scores against their published definitions, written out slowly, and closed forms."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.covariance import LedoitWolf

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure import gram
from course_lib.measure.transferability import _quick_evidence


def slow_leep(theta: np.ndarray, y: np.ndarray, log=np.log) -> float:
    n, sources = theta.shape
    joint = {}
    for z in range(sources):
        for c in set(y.tolist()):
            joint[c, z] = sum(theta[i, z] for i in range(n) if y[i] == c) / n
    total = 0.0
    for i in range(n):
        likely = 0.0
        for z in range(sources):
            mass = sum(joint[c, z] for c in set(y.tolist()))
            likely += joint[y[i], z] / mass * theta[i, z] if mass else 0.0
        total += log(likely)
    return total / n


def slow_nce(z: np.ndarray, y: np.ndarray, log=np.log) -> float:
    total = 0.0
    for a, b in zip(z, y, strict=True):
        both = sum(1 for c, d in zip(z, y, strict=True) if (c, d) == (a, b))
        total += log(both / sum(1 for c in z if c == a))
    return total / len(y)


def evidence(x: np.ndarray, target: np.ndarray, alpha: float, beta: float) -> float:
    """The marginal likelihood itself: y is normal with covariance I/β + XXᵀ/α."""
    covariance = np.eye(len(x)) / beta + x @ x.T / alpha
    return stats.multivariate_normal.logpdf(target, np.zeros(len(x)), covariance)


def slow_log_me(x: np.ndarray, y: np.ndarray) -> float:
    """Maximise the evidence of every class over (α, β), starting from several points."""
    found = []
    for c in sorted(set(y.tolist())):
        target = (y == c).astype(float)
        best = -np.inf
        for start in ((0.0, 0.0), (3.0, 2.0), (6.0, 2.0), (-3.0, 2.0)):
            fit = optimize.minimize(
                lambda ab, t=target: -evidence(x, t, *np.exp(ab)),
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000},
            )
            best = max(best, -fit.fun / len(x))
        found.append(best)
    return float(np.mean(found))


def published_log_me(x: np.ndarray, y: np.ndarray, steps: int = 5000) -> float:
    """The paper's algorithm 1: alternate α and β in the singular basis, per class."""
    n, d = x.shape
    _, sigma, v = np.linalg.svd(x, full_matrices=True)
    squares = np.zeros(d)
    squares[: len(sigma)] = sigma**2
    found = []
    for c in sorted(set(y.tolist())):
        target = (y == c).astype(float)
        alpha = beta = 1.0
        for _ in range(steps):
            gamma = (beta * squares / (alpha + beta * squares)).sum()
            m = v.T @ (beta * (v @ (x.T @ target)) / (alpha + beta * squares))
            alpha = gamma / (m @ m)
            beta = (n - gamma) / ((x @ m - target) ** 2).sum()
        m = v.T @ (beta * (v @ (x.T @ target)) / (alpha + beta * squares))
        value = n / 2 * np.log(beta) + d / 2 * np.log(alpha) - n / 2 * np.log(2 * np.pi)
        value -= beta / 2 * ((x @ m - target) ** 2).sum() + alpha / 2 * m @ m
        value -= np.log(alpha + beta * squares).sum() / 2
        found.append(value / n)
    return float(np.mean(found))


def slow_h_score(x: np.ndarray, y: np.ndarray, *, centre: bool = True) -> float:
    x = np.asarray(x, float)
    middle = x.mean(axis=0) if centre else 0.0
    means = np.stack([x[y == c].mean(axis=0) for c in y])
    between = (means - middle).T @ (means - middle) / len(y)
    whole = (x - middle).T @ (x - middle) / len(y)
    return float(np.trace(np.linalg.pinv(whole, rcond=1e-10, hermitian=True) @ between))


@pytest.fixture
def y() -> np.ndarray:
    return np.random.default_rng(0).choice(3, 60, p=[0.5, 0.3, 0.2])


@pytest.fixture
def x(y) -> np.ndarray:
    """Eight columns, of which some tell the classes apart; far from centred and of uneven scale."""
    rng = np.random.default_rng(1)
    return (rng.normal(size=(60, 8)) + rng.normal(size=(3, 8))[y]) * np.geomspace(0.1, 10, 8) + 2


@pytest.fixture
def theta(y) -> np.ndarray:
    rng = np.random.default_rng(2)
    odds = np.exp(rng.normal(size=(60, 5)) + rng.normal(size=(3, 5))[y])
    return odds / odds.sum(axis=1, keepdims=True)


def test_leep_equals_its_loops(theta, y) -> None:
    assert measure.leep(theta, y) == pytest.approx(slow_leep(theta, y), rel=1e-12)
    assert measure.leep(theta.astype(np.float32), y) == pytest.approx(slow_leep(theta, y), rel=1e-5)
    assert measure.leep(theta, y) != pytest.approx(slow_leep(theta, y, np.log2), rel=0.1), "nats, not bits"


def test_leep_of_sources_that_know_all_and_nothing(y) -> None:
    shares = np.bincount(y) / len(y)
    entropy = -float(shares @ np.log(shares))
    assert measure.leep(np.eye(3)[y], y) == 0
    assert measure.leep(np.eye(4)[(y + 1) % 3], y) == 0, "a source class that is never said does not count"
    assert measure.leep(np.full((60, 4), 0.25), y) == pytest.approx(-entropy)


def test_leep_of_certain_sources_is_nce(y) -> None:
    z = np.random.default_rng(3).integers(4, size=60)
    assert measure.leep(np.eye(4)[z], y) == pytest.approx(measure.nce(z, y), rel=1e-12)


def test_nce_equals_its_loops(y) -> None:
    z = np.random.default_rng(3).integers(4, size=60) * 7
    assert measure.nce(z, y) == pytest.approx(slow_nce(z, y), rel=1e-12)
    assert measure.nce(z, y) != pytest.approx(slow_nce(z, y, np.log2), rel=0.1)
    assert measure.nce(z, y) != pytest.approx(slow_nce(y, z), rel=0.1), "of labels given the source"


def test_nce_of_sources_that_know_all_and_nothing() -> None:
    y = np.repeat([0, 1, 2, 5], 6)
    assert measure.nce(np.array([9, 2, 4, 0, 0, 7])[y], y) == 0
    assert measure.nce(np.tile([0, 1], 12), y) == pytest.approx(-np.log(4)), "independent: -H(y)"
    assert measure.nce(np.arange(24), y) == 0, "a source class for each example: 0 by chance"


def test_log_me_equals_brute_force(x, y) -> None:
    assert measure.log_me(x, y) == pytest.approx(slow_log_me(x, y), rel=1e-6)


def test_log_me_equals_the_published_iteration(x, y) -> None:
    assert measure.log_me(x, y) == pytest.approx(published_log_me(x, y), rel=1e-6)


def test_log_me_of_more_columns_than_examples(y) -> None:
    rng = np.random.default_rng(4)
    wide = rng.normal(size=(60, 200)) + 0.3 * rng.normal(size=(3, 200))[y]
    assert measure.log_me(wide, y) == pytest.approx(slow_log_me(wide, y), rel=1e-5)


def test_log_me_of_repeated_and_constant_columns(x, y) -> None:
    odd = np.hstack([x, x[:, :3], np.full((60, 1), 5.0), np.zeros((60, 2))])
    assert measure.log_me(odd, y) == pytest.approx(slow_log_me(odd, y), rel=1e-6)


def test_log_me_is_a_mean_over_classes_of_what_is_not_centred(x, y) -> None:
    found = measure.log_me(x, y)
    assert found != pytest.approx(measure.log_me(x - x.mean(axis=0), y), rel=0.01)
    singles = [max(-np.inf, slow_log_me(x, (y == c).astype(int))) for c in range(3)]
    weighted = np.average(singles, weights=np.bincount(y))
    assert found != pytest.approx(weighted, rel=0.01), "classes weigh alike, however many examples they have"
    assert measure.log_me(x, 2 * y) == found, "classes without examples play no part"


def test_log_me_does_not_see_scale_or_rotation(x, y) -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    assert measure.log_me(1e-6 * x @ turn, y) == pytest.approx(measure.log_me(x, y), rel=1e-8)
    assert measure.log_me(1e200 * x, y) == pytest.approx(measure.log_me(x, y), rel=1e-8)


def test_log_me_of_features_that_say_nothing_or_all() -> None:
    y = np.repeat([0, 1], 10)
    nothing = (np.log(20 / 10) - np.log(2 * np.pi) - 1) / 2  # noise of variance y'y / n = 1/2 alone
    assert measure.log_me(np.zeros((20, 3)), y) == pytest.approx(nothing)
    assert measure.log_me(np.eye(2)[y], y) == np.inf


def test_h_score_equals_explicit_covariances(x, y) -> None:
    found = measure.h_score(x, y)
    assert found == pytest.approx(slow_h_score(x, y), rel=1e-9)
    assert found != pytest.approx(slow_h_score(x, y, centre=False), rel=0.05), (
        "centring is not to be forgotten"
    )
    mixed = x @ np.random.default_rng(0).normal(size=(8, 8)) + 100
    assert measure.h_score(mixed, y) == pytest.approx(found, rel=1e-6), "the same for any linear map"


def test_h_score_closed_forms() -> None:
    y = np.repeat(np.arange(4), [10, 5, 5, 20])
    assert measure.h_score(np.eye(4)[y], y) == pytest.approx(3), "features that are the labels: k - 1"
    assert measure.h_score(np.ones((40, 3)), y) == 0
    assert measure.h_score(np.full((40, 3), 0.1, np.float32), y) == 0
    same_means = np.tile([[1.0], [-1.0]], (20, 1))[np.argsort(np.argsort(y * 0))]
    assert measure.h_score(same_means, np.repeat([0, 1], 20)) == pytest.approx(0, abs=1e-12)


def test_h_score_of_one_column_is_the_correlation_ratio(x, y) -> None:
    column = x[:, :1]
    within = sum(((column[y == c] - column[y == c].mean()) ** 2).sum() for c in range(3))
    whole = ((column - column.mean()) ** 2).sum()
    assert measure.h_score(column, y) == pytest.approx(1 - within / whole)


def test_h_score_of_repeated_and_constant_columns(x, y) -> None:
    odd = np.hstack([x, x[:, :3] * 7, x[:, :1] + x[:, 1:2], np.full((60, 1), 5.0)])
    assert measure.h_score(odd, y) == pytest.approx(measure.h_score(x, y), rel=1e-8)
    assert measure.h_score(odd.astype(np.float32), y) == pytest.approx(measure.h_score(x, y), rel=1e-3)


def test_few_examples_make_any_features_perfect_and_shrinkage_sees_through(y) -> None:
    rng = np.random.default_rng(5)
    useless = rng.normal(size=(60, 100))
    useful = useless + 0.5 * rng.normal(size=(3, 100))[y]
    assert measure.h_score(useless, y) == pytest.approx(2)
    assert measure.h_score(useless, y) == pytest.approx(slow_h_score(useless, y))
    shrunk = [measure.h_score(features, y, shrinkage=True) for features in (useless, useful)]
    assert shrunk[0] < 0.5 * shrunk[1]


@pytest.mark.parametrize("columns", [8, 100])
def test_shrunk_h_score_equals_its_definition(y, columns) -> None:
    rng = np.random.default_rng(6)
    x = (
        rng.normal(size=(60, columns)) @ rng.normal(size=(columns, columns))
        + rng.normal(size=(3, columns))[y]
    )
    ledoit_wolf = LedoitWolf().fit(x)
    means = np.stack([x[y == c].mean(axis=0) for c in y]) - x.mean(axis=0)
    between = means.T @ means / len(y)
    expected = (1 - ledoit_wolf.shrinkage_) * np.trace(np.linalg.solve(ledoit_wolf.covariance_, between))
    assert 0.01 < ledoit_wolf.shrinkage_ < 0.99
    assert measure.h_score(x, y, shrinkage=True) == pytest.approx(expected, rel=1e-8)


@pytest.fixture(scope="module")
def large() -> tuple[np.ndarray, np.ndarray]:
    """Enough multiply-adds for the quick way: 3,000 examples of 640 strongly correlated positive columns."""
    rng = np.random.default_rng(7)
    y = rng.integers(5, size=3000)
    hidden = rng.normal(size=(3000, 200)) * np.geomspace(5, 0.3, 200) + 0.5 * rng.normal(size=(5, 200))[y]
    x = np.maximum(hidden @ rng.normal(size=(200, 640)) / 4 + rng.normal(size=(3000, 640)), -1) + 1
    return x.astype(np.float32), y


def exact(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """LogME and H-score in float64 by a singular value decomposition and a dense search."""
    u, s, _ = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    n, logs = len(x), []
    grid = np.exp(np.linspace(-5, 25, 3001))
    spread = np.array([np.log1p(s**2 / t).sum() for t in grid])
    for c in range(int(y.max()) + 1):
        target = (y == c).astype(float)
        energy = (u.T @ target) ** 2
        rest = target.sum() - energy.sum() + np.array([(energy * t / (s**2 + t)).sum() for t in grid])
        logs.append((np.log(n / (2 * np.pi * rest)) - 1 - spread / n).max() / 2)
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    u = u[:, s > 1e-6 * s[0]]
    return float(np.mean(logs)), sum(
        ((u.T @ (y == c)) ** 2).sum() / (y == c).sum() for c in range(int(y.max()) + 1)
    )


def test_the_quick_way_agrees_with_float64(large) -> None:
    x, y = large
    data = gram.Labelled(x, y)
    assert data.large and _quick_evidence(data) is not None
    log_me, h_score = exact(x, y)
    found = measure.transferability(x, y)
    assert found.log_me == pytest.approx(log_me, rel=1e-5)
    assert found.h_score == pytest.approx(h_score, rel=1e-6)
    assert (measure.log_me(x, y), measure.h_score(x, y)) == (found.log_me, found.h_score)
    shrunk = measure.h_score(x, y, shrinkage=True)
    fit = LedoitWolf().fit(x.astype(np.float64))
    means = np.stack([x[y == c].mean(axis=0, dtype=np.float64) for c in range(5)])[y] - fit.location_
    between = means.T @ means / len(y)
    expected = (1 - fit.shrinkage_) * np.trace(np.linalg.solve(fit.covariance_, between))
    assert shrunk == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "kind", ["repeated columns", "constant column", "hardly any noise", "far from 0", "huge", "one large"]
)
def test_where_float32_would_blur_all_is_done_in_float64(large, kind) -> None:
    x, y = large
    if kind == "repeated columns":
        x = np.hstack([x, x[:, :20] * 3])
    elif kind == "constant column":
        x = np.hstack([x, np.full((len(x), 1), 0.1, np.float32)])
    elif kind == "hardly any noise":
        x = x + 300 * np.eye(5, 640, dtype=np.float32)[y]
    elif kind == "far from 0":
        x = x.astype(np.float64) + 1e6
    elif kind == "one large":
        x = x * np.where(np.arange(640) == 0, np.float32(1e5), np.float32(1))
    log_me, h_score = exact(x, y)
    if kind == "huge":
        x = x.astype(np.float64) * 1e60
    assert measure.log_me(x, y) == pytest.approx(log_me, rel=1e-4)
    assert measure.h_score(x, y) == pytest.approx(h_score, rel=1e-4)


class Encoder:
    """A network with a classifier of its own."""

    name = "<net>"

    def __init__(self, theta: np.ndarray | None) -> None:
        self.theta = theta

    def encode(self, data: object) -> np.ndarray:
        return data.x

    def source_probabilities(self, data: object) -> np.ndarray:
        if self.theta is None:
            raise BadInput("This network was loaded without its classifier.", "")
        return self.theta


def test_all_four_at_once_and_inputs_untouched(x, y, theta) -> None:
    before = [array.copy() for array in (x, y, theta)]
    found = measure.transferability(x, y, source_probabilities=theta)
    assert found.leep == measure.leep(theta, y)
    assert found.nce == measure.nce(theta.argmax(axis=1), y)
    assert (found.log_me, found.h_score) == (measure.log_me(x, y), measure.h_score(x, y))
    assert (found.n, found.d, found.classes) == (60, 8, 3)
    measure.h_score(x, y, shrinkage=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, (x, y, theta), strict=True))
    for array in (x, y, theta):
        array.flags.writeable = False
    again = measure.transferability(x, y, source_probabilities=theta)
    assert again == found


def test_from_an_encoder_with_and_without_its_classifier(x, y, theta) -> None:
    split = SimpleNamespace(x=x, y=y)
    found = measure.transferability(Encoder(theta), split)
    assert found.leep == measure.leep(theta, y) and found.name == "<net>"
    without = measure.transferability(Encoder(None), split)
    assert without.leep is None and without.nce is None and without.log_me == found.log_me
    assert "needs source probabilities" in str(without)
    assert "needs source probabilities  nats" in str(without)  # columns never run together
    with pytest.raises(BadInput, match=r"task\.train"):
        measure.transferability(Encoder(None), y)
    with pytest.raises(BadInput, match="expected an encoder or features"):
        measure.transferability("imagenet", y)


def test_shown_as_text_table_and_values(x, y, theta) -> None:
    found = measure.transferability(Encoder(theta), SimpleNamespace(x=x, y=y), shrinkage=True)
    assert json.loads(json.dumps(found.to_dict()))["h_score"] == found.h_score
    assert "H-score, shrunk" in str(found) and "higher is better" in str(found)
    assert "&lt;net&gt;" in found._repr_html_() and "−" in found._repr_html_()


@pytest.mark.parametrize("score", [measure.log_me, measure.h_score, measure.transferability])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x, y: (x[0], y), r"expected numbers \(n, d\)"),
        (lambda x, y: (x[:, :0], y), r"expected numbers \(n, d\)"),
        (lambda x, y: (x.astype(str), y), r"expected numbers \(n, d\)"),
        (lambda x, y: (np.where(x == x[3, 2], np.nan, x), y), "NaN"),
        (lambda x, y: (np.where(x == x[3, 2], np.inf, x), y), "infinite"),
        (lambda x, y: (x, y[:-1]), "one per example"),
        (lambda x, y: (x, y + 0.5), "whole numbers"),
        (lambda x, y: (x, y - 1), "classes count from 0"),
        (lambda x, y: (x, 0 * y + 2), "are class 2"),
    ],
)
def test_bad_features_and_labels(x, y, score, spoil, said) -> None:
    with pytest.raises(BadInput, match=said):
        score(*spoil(x, y))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: 2 * p, "sums to 2"),
        (lambda p: np.log(p), "softmax"),
        (lambda p: np.where(p == p[4, 1], np.nan, p), "Row 4"),
        (lambda p: np.stack([p[:, 0] - 1, 2 - p[:, 0]], axis=1), "least value of -"),
        (lambda p: p[:-1], "a row per label"),
        (lambda p: p.argmax(axis=1), "source classes"),
    ],
)
def test_what_are_not_probabilities(theta, y, spoil, said) -> None:
    with pytest.raises(BadInput, match=said):
        measure.leep(spoil(theta), y)


def test_bad_source_labels(y) -> None:
    with pytest.raises(BadInput, match="Source labels go down to -1"):
        measure.nce(y - 1, y)
    with pytest.raises(BadInput, match="Source labels of shape"):
        measure.nce(y[:-1], y)
    with pytest.raises(BadInput, match="are class 0"):
        measure.nce(y, 0 * y)


@pytest.mark.parametrize("shape", [(2, 3), (2, 8), (30, 1), (5, 1)])
def test_where_there_is_nothing_to_shrink_rounding_does_not_decide(shape) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=shape)
        y = np.arange(len(x)) % 2
        plain, shrunk = (measure.h_score(x, y, shrinkage=told) for told in (False, True))
        assert shrunk == pytest.approx(plain, rel=1e-6, abs=1e-9)
