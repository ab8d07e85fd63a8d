"""Calibration against closed forms, plain loops and a known temperature."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.calibration import COLDEST, HOTTEST, Scaled, at_temperature
from course_lib.tasks.task import Split


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def honest(n: int, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels that were drawn from the very probabilities the logits state."""
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=(n, k))
    y = (rng.random((n, 1)) > softmax(z).cumsum(axis=1)).sum(axis=1).clip(max=k - 1)
    return z, y


def plain_ece(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    """The definition, example by example."""
    total = 0.0
    for b in range(bins):
        inside = [i for i in range(len(y)) if b / bins < p[i].max() <= (b + 1) / bins]
        if inside:
            accuracy = np.mean([p[i].argmax() == y[i] for i in inside])
            total += len(inside) / len(y) * abs(accuracy - np.mean([p[i].max() for i in inside]))
    return total


class Told:
    """A classifier with the given logits, which it looks up by id."""

    name, task_name, class_names, train_size = "net", "made up", ("a", "b", "c", "d"), 77
    parameters_trained, chosen = 9, {"strength": 1.0}

    def __init__(self, logits: np.ndarray) -> None:
        self.logits, self.seconds = logits, {"features": 1.0, "fit": 2.0}

    def predict_proba(self, data: Split) -> np.ndarray:
        return softmax(self.logits[data.ids.astype(int)]).astype(np.float32)

    def predict(self, data: Split) -> np.ndarray:
        return self.predict_proba(data).argmax(axis=1)


def as_split(y: np.ndarray, ids: np.ndarray, name: str = "made up/validation") -> Split:
    return Split(np.zeros((len(y), 1)), y, Told.class_names, name, "made up", ids.astype(str))


def test_ece_equals_its_definition() -> None:
    z, y = honest(600)
    for sharpness, bins in ((1, 15), (3, 10), (0.3, 7)):
        p = softmax(sharpness * z)
        assert measure.expected_calibration_error(p, y, bins).value == pytest.approx(plain_ece(p, y, bins))


@pytest.mark.parametrize("scheme", ["width", "mass"])
def test_honest_probabilities_have_the_error_that_chance_gives(scheme) -> None:
    found = [
        measure.reliability(softmax(z), y, scheme=scheme)
        for z, y in (honest(1000, seed=s) for s in range(40))
    ]
    ece, floor = np.mean([r.ece.value for r in found]), np.mean([r.floor for r in found])
    assert ece == pytest.approx(floor, rel=0.1)
    assert abs(np.mean([r.overconfidence for r in found])) < 0.005
    z, y = honest(1000)
    assert measure.expected_calibration_error(softmax(3 * z), y).value > 5 * floor


def test_the_interval_is_as_wide_as_the_scatter_over_test_sets() -> None:
    many = [
        measure.expected_calibration_error(softmax(2 * z), y)
        for z, y in (honest(500, seed=s) for s in range(60))
    ]
    scatter = np.std([found.value for found in many])
    assert np.mean([found.half_width for found in many]) == pytest.approx(1.96 * scatter, rel=0.25)
    assert all(found.low < found.value < found.high for found in many)


def test_bins_of_equal_mass_hold_equally_many_and_keep_ties_together() -> None:
    z, y = honest(600)
    assert measure.reliability(softmax(z), y, 12, "mass").count.tolist() == [50] * 12
    p = np.repeat([[0.6, 0.4], [0.8, 0.2]], [30, 10], axis=0)
    tied = measure.reliability(p, np.zeros(40, int), 8, "mass")
    assert tied.count.sum() == 40 and sorted(tied.count[tied.count > 0]) == [10, 30]
    same = measure.reliability(p[:30], np.zeros(30, int), 8, "mass")
    assert same.count.tolist() == [30] and same.ece.value == pytest.approx(0.4)


def test_certainty_falls_into_the_last_bin_and_edges_into_the_lower() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0], [0.75, 0.25], [0.5, 0.5]])
    found = measure.reliability(p, np.array([0, 1, 0, 1]), bins=4)
    assert found.count.tolist() == [0, 1, 1, 2]
    assert found.accuracy[3] == found.confidence[3] == 1
    assert np.isnan(found.confidence[0]) and np.isnan(found.low[0])


def test_brier_likelihood_and_intervals_equal_their_definitions() -> None:
    z, y = honest(400)
    p = softmax(z)
    found = measure.reliability(p, y, bins=5)
    assert found.nll == pytest.approx(log_loss(y, p))
    assert found.brier == pytest.approx(np.mean([((p[i] - np.eye(4)[y[i]]) ** 2).sum() for i in range(400)]))
    gaps = np.abs(found.accuracy - found.confidence)[found.count > 0]
    assert found.max_gap == gaps.max() > found.ece.value
    from scipy.stats import binomtest

    for b in np.flatnonzero(found.count):
        hits = round(found.accuracy[b] * found.count[b])
        wilson = binomtest(hits, int(found.count[b])).proportion_ci(method="wilson")
        assert (found.low[b], found.high[b]) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    assert np.isfinite(measure.reliability(np.array([[1.0, 0.0]] * 3), np.array([0, 1, 1])).nll)


def test_reliability_is_shown_and_stored() -> None:
    z, y = honest(200)
    found = measure.reliability(softmax(z), y)
    stored = json.loads(json.dumps(found.to_dict()))
    assert (
        stored["n"] == 200 and stored["confidence"][0] is None and stored["ece"]["value"] == found.ece.value
    )
    assert "ECE" in str(found) and "<table>" in found._repr_html_()


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_known_factor(factor) -> None:
    z, y = honest(20_000)
    assert measure.temperature(factor * z, y) == pytest.approx(factor, rel=0.03)


def test_temperature_is_the_minimum_and_the_same_for_log_probabilities() -> None:
    z, y = honest(300)
    z = 3 * z
    found = measure.temperature(z, y)
    plain = minimize_scalar(lambda t: log_loss(y, softmax(z / t)), bounds=(0.1, 20), method="bounded").x
    assert found == pytest.approx(plain, rel=1e-3)
    assert measure.temperature(np.log(softmax(z)), y) == pytest.approx(found)
    assert measure.temperature(z + 1000, y) == pytest.approx(found)
    np.testing.assert_allclose(at_temperature(softmax(z), found), softmax(z / found), atol=1e-6)


def test_temperature_stops_at_its_bounds_where_the_data_cannot_tell() -> None:
    z = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert measure.temperature(z, np.array([0, 1])) == COLDEST
    assert measure.temperature(z, np.array([1, 0])) == HOTTEST
    assert measure.temperature(np.zeros((3, 2)), np.array([0, 1, 1])) == 1.0


def test_calibrated_keeps_every_answer_and_makes_the_probabilities_honest() -> None:
    z, y = honest(4000)
    ids = np.arange(4000)
    net, validation, test = (
        Told(3 * z),
        as_split(y[:2000], ids[:2000]),
        as_split(y[2000:], ids[2000:], "test"),
    )
    fitted = measure.calibrated(net, validation)
    assert fitted.temperature == pytest.approx(3, rel=0.08)
    np.testing.assert_array_equal(fitted.predict(test), net.predict(test))
    before, after = (measure.reliability(m.predict_proba(test), test.y) for m in (net, fitted))
    assert after.ece.value < before.ece.value / 4 and after.nll < before.nll and after.brier < before.brier
    np.testing.assert_allclose(fitted.predict_proba(test).sum(axis=1), 1, atol=1e-5)
    report = measure.report(fitted, test)
    assert (
        report.method == "net, calibrated"
        and report.accuracy.value == measure.report(net, test).accuracy.value
    )
    assert (report.task, report.train_size, report.parameters_trained) == ("made up", 77, 10)
    assert set(report.seconds) == {"features", "fit", "calibrate", "predict"}
    assert fitted.chosen == {"strength": 1.0, "temperature": fitted.temperature} and net.chosen == {
        "strength": 1.0
    }
    assert "calibrate" not in net.seconds and "T = " in repr(fitted)


def test_answers_stay_where_rounding_makes_probabilities_equal() -> None:
    """At a high temperature float32 cannot hold the two apart; an argmax would change the answer."""
    logits = np.array([[0.0, 1e-6, -9.0, -9.0]])
    net, one = Told(logits), as_split(np.array([0]), np.array([0]))
    hot = Scaled(net, 80.0, Told.class_names, 0.0)
    assert hot.predict(one).tolist() == net.predict(one).tolist() == [1]


def test_a_temperature_fitted_on_the_test_set_flatters() -> None:
    """The wrong way differs, and its log-loss on these very examples cannot be beaten."""
    z, y = honest(120, seed=4)
    right = measure.temperature(z[:60] * 3, y[:60])
    wrong = measure.temperature(z[60:] * 3, y[60:])
    losses = [log_loss(y[60:], softmax(z[60:] * 3 / t), labels=range(4)) for t in (right, wrong)]
    assert right != pytest.approx(wrong, rel=0.01) and losses[1] < losses[0]


P = np.array([[0.7, 0.3], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("p", "y", "words"),
    [
        (P[0], [0], "expected \\(n, k\\)"),
        (P[:0], np.zeros(0, int), "expected \\(n, k\\)"),
        (np.ones((2, 1)), [0, 0], "k >= 2"),
        (P, [0], "2 rows of probabilities"),
        (P, [0.0, 1.0], "2 rows of probabilities"),
        (P, [0, 2], "run from 0 to 2; the probabilities have 2 columns"),
        (P, [0, -1], "run from -1 to 0"),
        (np.array([[4.0, -3.0], [0.5, 0.5]]), [0, 1], "logits go through a softmax"),
        (np.array([[np.nan, 1.0], [0.5, 0.5]]), [0, 1], "logits go through a softmax"),
    ],
)
def test_what_is_no_probability_is_refused(p, y, words) -> None:
    for function in (measure.expected_calibration_error, measure.reliability):
        with pytest.raises(BadInput, match=words):
            function(p, np.array(y))


def test_other_bad_input_is_refused() -> None:
    y = np.array([0, 1])
    for wrong in ({"bins": 0}, {"scheme": "depth"}):
        with pytest.raises(BadInput, match="Give bins >= 1 and one of width, mass"):
            measure.reliability(P, y, **wrong)
    with pytest.raises(BadInput, match="1 of 2 rows of log-probabilities hold NaN or infinity"):
        measure.temperature(np.array([[0.0, -np.inf], [0.0, 0.0]]), y)
    net, split = Told(np.zeros((4, 4))), as_split(np.arange(4), np.arange(4))
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(BadInput, match="expected a positive number"):
            Scaled(net, wrong, Told.class_names, 0.0)
    with pytest.raises(BadInput, match="is empty, so no temperature"):
        measure.calibrated(net, split.take(np.arange(0)))
    other = SimpleNamespace(name="other", class_names=("x", "y"), predict_proba=None)
    with pytest.raises(BadInput, match="fitted for the classes x, y"):
        measure.calibrated(other, split)
    with pytest.raises(BadInput, match="no predict_proba"):
        measure.calibrated(SimpleNamespace(name="sure", predict=net.predict), split)
