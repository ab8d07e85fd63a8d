"""WiSE-FT: the ends are the ends, the middle is the middle, and other networks are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods import fuse


@pytest.fixture(scope="module")
def task():
    task = tasks.solar_cells("mono", train=40)
    return replace(task, test=task.test.sample(40))


@pytest.fixture(scope="module")
def tuned(task):
    return methods.fine_tune(
        encoders.imagenet(64), task, freeze_to="block13", epochs=2, batch_size=16, learning_rate=3e-3
    )


def test_the_ends_are_the_ends(task, tuned) -> None:
    whole, none = methods.wise_ft(tuned, 1.0), methods.wise_ft(tuned, 0.0)
    assert np.array_equal(whole.predict_proba(task.test), tuned.predict_proba(task.test))
    start = tuned.with_weights(tuned.start)
    assert np.array_equal(none.predict_proba(task.test), start.predict_proba(task.test))


def test_the_middle_is_of_the_weights_not_of_the_answers(task, tuned) -> None:
    middle = methods.wise_ft(tuned, 0.5)
    name = "head/kernel"
    assert np.allclose(middle.weights[name], (tuned.start[name] + tuned.weights[name]) / 2, atol=1e-7)
    answers = (tuned.with_weights(tuned.start).logits(task.test) + tuned.logits(task.test)) / 2
    if tuned.chosen["epoch"]:
        assert np.abs(middle.logits(task.test) - answers).max() > 1e-4


def test_a_path_is_named_and_leaves_the_network_alone(task, tuned) -> None:
    before = tuned.predict_proba(task.test)
    path = fuse.wise_ft_path(tuned, (0, 0.5, 1))
    assert [point.name for point in path] == [f"fine-tuned, {s} of the way" for s in ("0%", "50%", "100%")]
    assert all(point.predict(task.test).shape == (40,) for point in path)
    assert np.array_equal(tuned.predict_proba(task.test), before)


def test_what_cannot_be_put_together(task, tuned) -> None:
    with pytest.raises(BadInput, match="different networks: 1 do not match, for instance w"):
        fuse.interpolate({"w": np.zeros(2)}, {"w": np.zeros(3)}, 0.5)
    with pytest.raises(BadInput, match="share=nan"):
        fuse.interpolate({"w": np.zeros(2)}, {"w": np.zeros(2)}, float("nan"))
    cold = methods.fine_tune(
        encoders.imagenet(64), task, freeze_to="block15", init="random", epochs=1, batch_size=16
    )
    with pytest.raises(BadInput, match="started from a random last layer"):
        methods.wise_ft(cold)
