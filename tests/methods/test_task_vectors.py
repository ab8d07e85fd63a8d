"""Task arithmetic: once is the network itself, taken off is its start, and a wrong origin is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods.tuned import KERNEL

SETTINGS = {"freeze_to": 4, "epochs": 2, "batch_size": 16, "learning_rate": 1e-3}


def fitted(encoder, task, **settings):
    """Judged on what is learnt from, so that the last epoch is the best one and something moves."""
    return methods.fine_tune(encoder, task, validation=task.train, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def task():
    return tasks.topics("en", train=64)


@pytest.fixture(scope="module")
def tuned(encoder, task):
    probe = methods.linear_probe(encoder, task, strengths=[1e5])  # a start that leaves much to learn
    return [fitted(encoder, task, init=probe, seed=k, name=f"seed {k}") for k in (0, 1)]


@pytest.fixture(scope="module")
def origin(tuned):
    return tuned[0].with_weights(tuned[0].start, "start")


def equal(a, b) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a.keys() | b.keys())


def test_once_is_the_network_and_taken_off_is_the_start(tuned, origin) -> None:
    vector = methods.task_vector(tuned[0])
    there = methods.arithmetic(origin, {vector: 1.0})
    assert equal(there.weights, tuned[0].weights)
    back = methods.arithmetic(there, {vector: -1.0})
    assert equal(back.weights, tuned[0].start)
    assert equal(methods.arithmetic(tuned[0], {vector: 0}).weights, tuned[0].weights)
    text = np.array(["The doctor is in the hospital."])
    assert np.array_equal(there.predict_proba(text), tuned[0].predict_proba(text))
    assert there.name == "start +1 × seed 0"


def test_two_are_added_in_float64_and_in_any_order(tuned, origin) -> None:
    a, b = (methods.task_vector(network) for network in tuned)
    both = methods.arithmetic(origin, {a: 0.7, b: -0.4})
    turned = methods.arithmetic(origin, {b: -0.4, a: 0.7}).weights
    assert all(np.allclose(turned[n], array, rtol=1e-6, atol=0) for n, array in both.weights.items())
    for name in a.end:
        start = origin.start[name].astype(np.float64)
        moved = [network.weights[name].astype(np.float64) - start for network in tuned]
        exact = start + 0.7 * moved[0] - 0.4 * moved[1]
        np.testing.assert_allclose(both.weights[name], exact, rtol=1e-6, atol=1e-9)
    halves = methods.arithmetic(origin, {a: 0.5, b: 0.5})
    soup = methods.uniform_soup(tuned)
    for name in a.end:  # half of each is the uniform soup
        np.testing.assert_allclose(halves.weights[name], soup.weights[name], rtol=1e-6, atol=1e-8)
    wise = methods.wise_ft(tuned[0], 0.3)
    for name, array in methods.arithmetic(origin, {a: 0.3}).weights.items():  # and a share is WiSE-FT
        np.testing.assert_allclose(array, wise.weights[name], rtol=1e-5, atol=1e-7)


def test_length_and_angle(tuned) -> None:
    a, b = (methods.task_vector(network) for network in tuned)
    flat = [np.concatenate([v.delta[n].ravel() for n in sorted(v.end)]) for v in (a, b)]
    assert a.norm == pytest.approx(np.linalg.norm(flat[0]))
    cosine = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
    assert a.cosine(b) == pytest.approx(cosine) and a.cosine(a) == pytest.approx(1)
    assert f"{a.norm:.3g} long" in repr(a)
    nothing = methods.task_vector(tuned[0].with_weights(tuned[0].start))
    with pytest.raises(BadInput, match="is 0: that fine-tuning kept its start"):
        nothing.cosine(a)


def test_the_far_side_must_not_help(tuned, origin, task) -> None:
    """Minus the vector is worse on what it was learnt from than the start, and far too much of it as well."""
    vector = methods.task_vector(tuned[0])

    def loss(network):
        p = network.predict_proba(task.train).astype(np.float64)
        return -np.log(p[np.arange(len(task.train)), task.train.y]).mean()

    start, learnt = loss(origin), loss(tuned[0])
    assert learnt < start
    assert loss(methods.arithmetic(origin, {vector: -1.0})) > start
    assert loss(methods.arithmetic(origin, {vector: 30.0})) > learnt


def test_a_vector_without_the_last_layer_fits_a_base_with_another(encoder, task, tuned) -> None:
    fewer = replace(task, train=task.train.sample(48))
    other = fitted(encoder, fewer)
    with pytest.raises(BadInput, match="began at different places: the last layer differs"):
        methods.arithmetic(other, {methods.task_vector(tuned[0]): 1.0})
    body = methods.task_vector(tuned[0], head=False)
    assert KERNEL not in body.end and KERNEL not in body.origin
    added = methods.arithmetic(other, {body: 1.0})
    assert np.array_equal(added.weights[KERNEL], other.weights[KERNEL])
    assert not np.array_equal(
        added.weights["layer5/output.dense.weight"], other.weights["layer5/output.dense.weight"]
    )


def test_what_cannot_be_added(encoder, task, tuned, origin) -> None:
    vector = methods.task_vector(tuned[0])
    for shares in ({}, {vector: float("nan")}):
        with pytest.raises(BadInput, match="shares="):
            methods.arithmetic(origin, shares)
    with pytest.raises(BadInput, match="no weights that moved away"):
        methods.task_vector(methods.linear_probe(encoder, task))
    cold = fitted(encoder, task, init="random")
    with pytest.raises(BadInput, match="started from a random last layer"):
        methods.task_vector(cold)
    assert methods.task_vector(cold, head=False).norm > 0
    poor = methods.linear_probe(encoder, task, strengths=[1e5])
    deeper = fitted(encoder, task, init=poor, freeze_to=3)
    with pytest.raises(BadInput, match="is in the frozen part"):
        methods.arithmetic(tuned[0], {methods.task_vector(deeper, head=False): 1.0})
    shorter = tuned[0].with_weights(tuned[0].weights, "shorter")
    name = "layer5/output.dense.weight"
    shorter.start = {n: a for n, a in shorter.start.items() if n != name}
    with pytest.raises(BadInput, match=f"different networks: 1 weights do not match, for instance {name}"):
        methods.arithmetic(shorter, {vector: 1.0})
