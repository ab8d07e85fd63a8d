"""Cheaper ways of one network: the same features where that is promised, near ones from coarser numbers."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, scale, tasks
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def texts():
    return tasks.topics("en").test.x[:24]


@pytest.fixture(scope="module")
def exact(encoder, texts):
    return encoder.encode(texts, progress=False)


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("bucketed", [True, False])
def test_features_are_the_encoders_own_in_the_order_given(encoder, texts, exact, bucketed):
    work = scale.forward(encoder, texts, bucketed=bucketed, batch=7)
    np.testing.assert_allclose(work(), exact, atol=2e-5)
    assert cosine(work()[::-1], exact).min() < 0.9, "another order passes as the same"


@pytest.mark.parametrize(("numbers", "least"), [("bfloat16", 0.999), ("int8", 0.9)])
def test_coarser_numbers_give_features_near_by_and_not_the_same(encoder, texts, exact, numbers, least):
    features = scale.forward(encoder, texts, numbers=numbers)()
    assert features.dtype == np.float32
    assert least < cosine(features, exact).mean() < 1 - 1e-7


def test_the_weights_trained_are_counted_and_the_encoder_stays(encoder, texts, exact):
    d, classes, rank = encoder.width, 16, 4
    layers = 6
    head = d * classes + classes
    counted = {
        trains: scale.training_step(encoder, texts, classes, trains=trains, rank=rank)[1]
        for trains in ("all", "low rank", "head")
    }
    assert counted["head"] == head
    assert counted["low rank"] == head + layers * 2 * 2 * rank * d  # query and value, two factors each
    # per layer: four d x d maps and two d x 4d, their biases, two pairs of LayerNorm
    assert counted["all"] == head + layers * (12 * d * d + 9 * d + 4 * d)
    np.testing.assert_array_equal(scale.forward(encoder, texts)(), scale.forward(encoder, texts)())
    np.testing.assert_allclose(scale.forward(encoder, texts)(), exact, atol=2e-5)


@pytest.mark.parametrize("how", [{}, {"trains": "low rank"}, {"numbers": "bfloat16"}])
def test_a_step_is_a_step_down(encoder, texts, how):
    step, _ = scale.training_step(encoder, texts, 16, **how)
    losses = [step() for _ in range(4)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_what_there_is_not_is_refused(encoder, texts):
    with pytest.raises(BadInput, match="numbers='int4'"):
        scale.forward(encoder, texts, numbers="int4")
    with pytest.raises(BadInput, match="trains='some'"):
        scale.training_step(encoder, texts, 16, trains="some")
    with pytest.raises(BadInput, match="numbers='int8'"):
        scale.training_step(encoder, texts, 16, numbers="int8")
