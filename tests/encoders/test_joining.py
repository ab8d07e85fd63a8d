"""Encoders side by side: each part as it is, each with its own cache, and no gain from the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, measure, methods, tasks
from course_lib.errors import BadInput


class Shown:
    """An encoder whose features are some columns of the examples, at a scale of its own."""

    def __init__(self, name: str, columns: slice, times: float = 1.0) -> None:
        self.name, self.columns, self.times = name, columns, times
        self.dim = columns.stop - columns.start

    def encode(self, data):
        x = np.asarray(getattr(data, "x", data), np.float32).reshape(len(data), -1)
        return x[:, self.columns] * np.float32(self.times)


@pytest.fixture(scope="module")
def task():
    return tasks.digits(train=200)


def test_the_parts_stand_side_by_side(task) -> None:
    a, b = Shown("left", slice(0, 24)), Shown("right", slice(24, 64))
    both = encoders.joined(a, b)
    z = both.encode(task.test)
    assert both.dim == 64 and z.shape == (len(task.test), 64) and z.dtype == np.float32
    assert np.array_equal(z[:, :24], a.encode(task.test))
    assert np.array_equal(z[:, 24:], b.encode(task.test))
    assert both.name == "left + right" and both.last is None and both.key == ""
    assert encoders.joined(a, b, name="both").name == "both"


def test_each_part_is_brought_to_a_spread_of_one(task) -> None:
    parts = Shown("loud", slice(0, 24), 1000.0), Shown("quiet", slice(24, 64), 0.01)
    z = encoders.joined(*parts, scaled_on=task.train).encode(task.train)
    for columns in (slice(0, 24), slice(24, 64)):
        assert z[:, columns].var(axis=0, dtype=np.float64).mean() == pytest.approx(1, rel=1e-4)
    # one number per part: within a part the ratios stay
    whole = parts[0].encode(task.train)
    np.testing.assert_allclose(z[:, :24], whole * (z[:, :24].sum() / whole.sum()), rtol=1e-4)


def test_a_loud_part_drowns_a_quiet_one_unless_scaled(task) -> None:
    noise = np.random.default_rng(0)

    class Noise(Shown):
        def encode(self, data):
            return noise.normal(size=(len(data), 20)).astype(np.float32) * np.float32(1e6)

    size = int(np.prod(task.train.x.shape[1:]))
    parts = Shown("pixels", slice(0, size)), Noise("noise", slice(0, 20))
    score = {
        on: measure.report(methods.knn(encoders.joined(*parts, scaled_on=on), task), task.test).accuracy.value
        for on in (None, task.train)
    }
    assert score[None] < 0.3 < 0.8 < score[task.train]


def test_the_same_twice_brings_nothing(task) -> None:
    size = int(np.prod(task.train.x.shape[1:]))
    one = Shown("pixels", slice(0, size))
    alone = measure.report(methods.linear_probe(one, task), task.test)
    twice = measure.report(methods.linear_probe(encoders.joined(one, one), task), task.test)
    assert abs(alone.accuracy.value - twice.accuracy.value) < 0.02
    assert np.mean(alone.predictions == twice.predictions) > 0.97


def test_parts_share_their_caches_and_costs_add_up() -> None:
    texts = ["The weather is fine.", "Goodbye!", "Grandpa likes tea."]
    layers = encoders.text_layers(encoders.english_bert())
    alone = layers["layer 2"].encode(texts)
    both = encoders.joined(layers["layer 2"], encoders.english_bert())
    z = both.encode(texts)
    assert np.array_equal(z[:, :384], alone)
    assert both.last is not None and both.last.computed == 3  # the other part was new
    assert both.last.seconds_each == pytest.approx(sum(part.last.seconds_each for part in both.parts))
    both.encode(texts)
    assert both.last.from_cache
    assert both.encode(texts, cache=False).shape == (3, 768) and not both.last.from_cache


def test_keys_tell_scales_apart(task) -> None:
    class Keyed(Shown):
        key = "keyed"

    a, b = Keyed("a", slice(0, 24)), Keyed("b", slice(24, 48))
    plain, scaled = encoders.joined(a, b), encoders.joined(a, b, scaled_on=task.train)
    assert plain.key and plain.key != scaled.key


def test_what_cannot_be_joined(task) -> None:
    one = Shown("pixels", slice(0, 24))
    with pytest.raises(BadInput, match="1 encoder to join"):
        encoders.joined(one)
    with pytest.raises(BadInput, match="spread of 0"):
        encoders.joined(one, Shown("nothing", slice(0, 24), 0.0), scaled_on=task.train)
    with pytest.raises(BadInput, match="a spread needs two"):
        encoders.joined(one, one, scaled_on=task.train.take(np.arange(1)))
    with pytest.raises(BadInput, match=r"sentences|text"):  # a part says what it cannot read
        encoders.joined(one, encoders.english_bert()).encode(task.test)
