"""Soups: the mean is the mean, greedy never falls below the best, and other valleys are refused, rightly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import encoders, measure, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods import soups
from course_lib.methods.tuned import BIAS, KERNEL

SETTINGS = {"freeze_to": "block13", "epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def task():
    task = tasks.shrunk(tasks.solar_cells("mono", train=80))
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def encoder():
    return encoders.imagenet(64)


@pytest.fixture(scope="module")
def three(task, encoder):
    probe = methods.linear_probe(encoder, task, strengths=[1e5])  # a start that leaves much to learn
    rates = {0: 1e-3, 1: 3e-3, 2: 3e-2}  # the last one runs far
    return [
        methods.fine_tune(
            encoder, task, init=probe, seed=seed, learning_rate=rate, name=f"seed {seed}", **SETTINGS
        )
        for seed, rate in rates.items()
    ]


@pytest.fixture(scope="module")
def two_texts():
    task = tasks.topics("en", train=64)
    encoder = encoders.english_bert()
    probe = methods.linear_probe(encoder, task, strengths=[1e5])  # a start that leaves much to learn
    return [
        methods.fine_tune(encoder, task, init=probe, freeze_to=cut, epochs=1, batch_size=16, seed=seed)
        for cut, seed in ((4, 0), (3, 1))
    ]


def test_a_uniform_soup_is_the_mean_of_the_weights(three, task) -> None:
    before = [network.predict_proba(task.test) for network in three]
    soup = methods.uniform_soup(three)
    for name, array in soup.weights.items():
        exact = np.stack([network.weights[name].astype(np.float64) for network in three]).mean(axis=0)
        np.testing.assert_allclose(array, exact, rtol=1e-6, atol=1e-8)
    after = [network.predict_proba(task.test) for network in three]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    answers = np.mean(before, axis=0)  # an ensemble is another thing
    assert np.abs(soup.predict_proba(task.test) - answers).max() > 1e-4


def test_a_soup_of_one_or_of_equals_is_the_one(three) -> None:
    for given in (three[:1], [three[0]] * 3):
        soup = methods.uniform_soup(given)
        assert all(np.array_equal(soup.weights[name], a) for name, a in three[0].weights.items())


def test_a_soup_says_what_all_fits_cost(three, task) -> None:
    for soup in (methods.uniform_soup(three), methods.greedy_soup(three, task.validation)):
        assert soup.seconds["fit"] == pytest.approx(sum(network.seconds["fit"] for network in three))
        assert soup.chosen["fits"] == 3
    report = measure.report(methods.uniform_soup(three), task.test)
    assert report.method == "uniform soup" and report.train_size == 80


def test_greedy_is_never_below_the_best_on_validation(three, task) -> None:
    for metric in ("accuracy", "balanced_accuracy"):
        soup = methods.greedy_soup(three, task.validation, metric=metric)
        alone = [measure.report(n, task.validation).score(metric).value for n in three]
        reached = measure.report(soup, task.validation).score(metric).value
        assert reached >= max(alone) and reached == pytest.approx(soup.chosen["validation"])
        order = [int(step["network"]) for step in soup.chosen_path]
        assert [alone[k] for k in order] == sorted(alone, reverse=True)
        assert [step["alone"] for step in soup.chosen_path] == [alone[k] for k in order]
        kept = [int(step["network"]) for step in soup.chosen_path if step["kept"]]
        assert soup.chosen["ingredients"] == [f"seed {k}" for k in kept] and kept[0] == order[0]
        again = methods.uniform_soup([three[k] for k in kept])
        assert all(np.array_equal(again.weights[name], a) for name, a in soup.weights.items())


def test_greedy_leaves_out_what_harms(three, task) -> None:
    """One of the same start that was bent out of shape must not be stirred in; a uniform soup takes it."""
    good = three[0]
    turned = {**good.weights, KERNEL: -5 * good.weights[KERNEL], BIAS: -5 * good.weights[BIAS]}
    broken = good.with_weights(turned, "broken")
    score = {n.name: measure.report(n, task.validation).accuracy.value for n in (good, broken)}
    assert score["broken"] < score["seed 0"]
    uniform = measure.report(methods.uniform_soup([broken, good]), task.validation).accuracy.value
    greedy = methods.greedy_soup([broken, good], task.validation)
    assert uniform < score["seed 0"]
    assert greedy.chosen["ingredients"] == ["seed 0"]
    assert [step["kept"] for step in greedy.chosen_path] == [1.0, 0.0]


def test_sentences_make_soups_too_and_the_deeper_training_carries(two_texts) -> None:
    shallow, deep = two_texts
    soup = methods.uniform_soup([shallow, deep])
    name = "layer4/output.dense.weight"
    assert np.array_equal(shallow.weights[name], shallow.start[name])
    halfway = (deep.weights[name].astype(np.float64) + shallow.start[name]) / 2
    np.testing.assert_allclose(soup.weights[name], halfway, atol=1e-8)
    table = "embeddings/word_embeddings.weight"
    assert soups.same(soup.weights[table], deep.start[table])
    assert soup.parameters_trained == deep.parameters_trained
    assert soup.predict_proba(np.array(["My father is a doctor."])).sum() == pytest.approx(1, abs=1e-5)


def test_pictures_have_task_vectors_too(three) -> None:
    good = three[1]
    start, vector = good.with_weights(good.start), methods.task_vector(good)
    there = methods.arithmetic(start, {vector: 1.0})
    assert all(np.array_equal(there.weights[name], a) for name, a in good.weights.items())
    back = methods.arithmetic(there, {vector: -1.0})
    assert all(np.array_equal(back.weights[name], a) for name, a in good.start.items())
    shares = {methods.task_vector(network): 1 / 3 for network in three}
    soup = methods.uniform_soup(three).weights
    for name, array in methods.arithmetic(start, shares).weights.items():
        np.testing.assert_allclose(array, soup[name], rtol=1e-5, atol=1e-7)


def test_other_valleys_are_refused_and_rightly(encoder, task) -> None:
    """Two networks with random last layers of their own: each works, what lies between them works worse."""
    cold = [
        methods.fine_tune(
            encoder, task, init="random", seed=seed, freeze_to="block13", epochs=4, learning_rate=3e-3
        )
        for seed in (0, 1)
    ]
    with pytest.raises(BadInput, match="began at different places: the last layer differs"):
        methods.uniform_soup(cold)
    with pytest.raises(BadInput, match="began at different places"):
        methods.greedy_soup(cold, task.validation)
    forced = cold[0].with_weights(methods.interpolate(cold[0].weights, cold[1].weights, 0.5))

    def loss(network):
        p = network.predict_proba(task.train).astype(np.float64)
        return -np.log(p[np.arange(len(task.train)), task.train.y]).mean()

    assert loss(forced) > max(loss(network) for network in cold)


def test_what_cannot_be_averaged(three, two_texts, encoder, task) -> None:
    with pytest.raises(BadInput, match="no network"):
        methods.uniform_soup([])
    with pytest.raises(BadInput, match="FineTuned and TextFineTuned cannot be averaged"):
        methods.uniform_soup([three[0], two_texts[0]])
    with pytest.raises(BadInput, match=r"(?s)cannot be averaged.*methods\.ensemble"):
        methods.uniform_soup([methods.linear_probe(encoder, task)])
    other = three[0].with_weights(three[0].weights)
    other.class_names = tuple(reversed(other.class_names))
    with pytest.raises(BadInput, match=r"tells .* apart"):
        methods.uniform_soup([three[0], other])
    narrow = three[0].with_weights(three[0].weights, "narrow")
    narrow.start = {**narrow.start, KERNEL: narrow.start[KERNEL][:-1]}
    with pytest.raises(BadInput, match="different networks: 1 weights do not match, for instance classifier"):
        methods.uniform_soup([three[0], narrow])
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.greedy_soup(three, task.validation.take(np.arange(0)))
    with pytest.raises(BadInput, match="There is no metric"):
        methods.greedy_soup(three, task.validation, metric="auc")
    turned = replace(task.validation, class_names=("yes", "no"))
    with pytest.raises(BadInput, match="has yes, no"):
        methods.greedy_soup(three, turned)
