"""The article's program: each fault is there, is gone once mended, and shows in a measurement."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from course_lib import encoders, measure, methods, tasks
from course_lib.encoders.images import resized
from course_lib.errors import AuditFailed, BadInput
from course_lib.methods import article, networks
from course_lib.methods.article import FAULTS

ALL = list(FAULTS)


def but(fault: str) -> list[str]:
    """Everything mended except one fault."""
    return [other for other in ALL if other != fault]


@pytest.fixture(scope="module")
def encoder():
    return encoders.imagenet(64)


@pytest.fixture(scope="module")
def task():
    task = tasks.solar_cells("mono", train=48)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def program(encoder, task):
    return methods.article_program(task, encoder, epochs=3)


def same(a, b, data) -> bool:
    return np.array_equal(a.predict_proba(data), b.predict_proba(data))


def test_as_it_stands_it_has_every_fault(program, task) -> None:
    assert program.faults == tuple(FAULTS) and program.name == "as it stands"
    p = program.predict_proba(task.test)
    assert p.shape == (60, 2) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert program.reported == (p.argmax(axis=1) == task.test.y).mean()
    assert [epoch["epoch"] for epoch in program.history] == [1, 2, 3]
    assert program.history[-1]["loss"] < program.history[0]["loss"]


def test_its_numbers_repeat_whatever_was_drawn_in_between(program, encoder, task) -> None:
    keras.utils.set_random_seed(99)
    assert same(program, methods.article_program(task, encoder, epochs=3), task.validation)
    assert not same(program, methods.article_program(task, encoder, epochs=3, seed=1), task.validation)


@pytest.mark.parametrize("network", [[], ["no ImageNet"]])
def test_it_learns_from_the_test_set_until_that_is_mended(encoder, task, network) -> None:
    turned = replace(task, test=replace(task.test, y=1 - task.test.y))
    before, after = (methods.article_program(t, encoder, mended=network, epochs=1) for t in (task, turned))
    assert not same(before, after, task.validation)
    mended = ["test set", *network]
    before, after = (methods.article_program(t, encoder, mended=mended, epochs=1) for t in (task, turned))
    assert same(before, after, task.validation)


def test_what_it_reports_is_not_true(encoder, task) -> None:
    """Labels that mean nothing cannot be learnt; fitted on the test set, they seem to be."""
    rng = np.random.default_rng(0)
    noise = replace(task, test=replace(task.test, y=rng.integers(2, size=60)))
    program = methods.article_program(noise, encoder, mended=but("test set"), epochs=60)
    new = measure.report(program, replace(task.validation, y=rng.integers(2, size=len(task.validation))))
    assert program.reported > 0.85 and new.accuracy.low < 0.5 < new.accuracy.high


def test_the_last_layer_is_given_probabilities_until_that_is_mended(encoder, task) -> None:
    x = task.test.x[:8]
    for network, sizes in (([], (2, 64)), (["no ImageNet"], (1000, 1280))):
        mended = [*network, "wrong pixels"]
        wrong = methods.article_program(task, encoder, mended=mended, epochs=1)._inputs(x)
        right = methods.article_program(task, encoder, mended=[*mended, "two softmaxes"], epochs=1)._inputs(x)
        assert (wrong.shape[1], right.shape[1]) == sizes
        assert np.allclose(wrong.sum(axis=1), 1, atol=1e-4) and wrong.min() >= 0
        assert not np.allclose(right.sum(axis=1), 1, atol=1e-2)


def test_two_softmaxes_cannot_be_sure() -> None:
    """Numbers between 0 and 1 that sum to 1 move logits by no more than the spread of the kernel."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    sure = np.eye(3, dtype=np.float32)[y]
    for x, low, high in ((sure, 0.33, 0.75), (8 * sure + rng.normal(size=(300, 3)), 0.85, 1.0)):
        kernel, bias, _ = article.last_layer(x.astype(np.float32), y, 3, epochs=20)
        p = article.softmax(x @ kernel + bias)
        assert low < p.max(axis=1).mean() < high


def test_imagenet_is_loaded_once_that_is_mended(encoder, task, program) -> None:
    mended = methods.article_program(task, encoder, mended=but("test set"), epochs=1)
    assert np.array_equal(mended._inputs(task.test), encoder.encode(task.test))
    assert mended.parameters_trained == 1280 * 2 + 2
    assert program.parameters_trained > 100_000, "its own network is trained, whatever it is called"


def test_divided_pixels_are_what_they_are_called(encoder, task) -> None:
    x = np.concatenate([task.test.x, task.test.x[:10]])  # more than one batch
    divided = article.divided_features(encoder, x)
    once = encoder.model(resized(x[:6], 64) / 255, training=False)
    assert divided.shape == (70, 1280) and np.abs(divided[:6] - once).max() < 1e-3
    assert np.abs(article.divided_features(encoder, x, by=1) - encoder.encode(x)).max() < 2e-2
    spread = [features.std(axis=0).mean() for features in (divided, encoder.encode(x))]
    assert spread[0] < 0.2 * spread[1], "nearly black pictures look nearly the same"
    assert article.divided_features(encoder, x[:0]).shape == (0, 1280)


def test_pixels_make_no_difference_to_a_network_that_learnt_from_them(encoder, task, program) -> None:
    assert same(program, methods.article_program(task, encoder, mended=["wrong pixels"], epochs=3), task.test)
    wrong, right = (
        methods.article_program(task, encoder, mended=mended, epochs=1)
        for mended in (but("wrong pixels"), ALL)
    )
    assert not same(wrong, right, task.test)


def test_names_say_what_was_mended(encoder, task) -> None:
    names = {
        "all mended": ALL,
        "mended but for two softmaxes": but("two softmaxes"),
        "mended: no ImageNet, wrong pixels": ["no ImageNet", "wrong pixels"],
    }
    for name, mended in names.items():
        assert methods.article_program(task, encoder, mended=mended, epochs=1).name == name


def test_bad_input(encoder, task, blobs) -> None:
    for mended in (["softmax"], "test set"):
        with pytest.raises(BadInput, match=r"mended=.*\n.*two softmaxes"):
            methods.article_program(task, encoder, mended=mended)
    with pytest.raises(BadInput, match="epochs=0"):
        methods.article_program(task, encoder, epochs=0)
    with pytest.raises(BadInput, match=r"expected .*uint8"):
        methods.article_program(blobs.task, encoder)
    one = replace(task, test=task.test.take(task.test.y == 0))
    with pytest.raises(BadInput, match="two classes"):
        methods.article_program(one, encoder)


# -- the usual guide recipe --------------------


@pytest.fixture(scope="module")
def probe(encoder, task):
    return methods.linear_probe(encoder, task)


@pytest.fixture(scope="module")
def guided(encoder, task, probe):
    return methods.guide_fine_tune(encoder, task, probe, batch_size=16)


def test_training_false_lets_the_statistics_move(guided) -> None:
    assert not guided.audit.ok
    with pytest.raises(AuditFailed, match=r"declared frozen have moved: stem_bn/moving_mean"):
        guided.audit.check()
    moved = [row for row in guided.audit.rows if row.kind == "BatchNorm statistics"]
    assert sum(row.moved for row in moved) == sum(row.tensors for row in moved) == 98


def test_the_flag_of_each_layer_keeps_them(encoder, task, probe) -> None:
    kept = methods.guide_fine_tune(encoder, task, probe, protect=True, batch_size=16)
    assert kept.audit.check().ok and kept.name == "guide recipe, statistics protected"
    statistics = [name for name in kept.start if "moving_" in name]
    assert len(statistics) == 98 and all(np.array_equal(kept.start[n], kept.weights[n]) for n in statistics)
    assert not np.array_equal(kept.start["stem/kernel"], kept.weights["stem/kernel"])


def test_statistics_put_back_are_the_old_ones_below_the_new_weights(guided, task) -> None:
    back = guided.with_start_statistics()
    for name, value in back.weights.items():
        assert np.array_equal(value, (guided.start if "moving_" in name else guided.weights)[name])
    before = guided.predict_proba(task.test)
    assert np.abs(back.predict_proba(task.test) - before).max() > 1e-6
    assert np.array_equal(guided.predict_proba(task.test), before), "each predicts with its own"


def test_the_encoder_stays_as_it_is_and_costs_are_counted(encoder, task, guided, probe) -> None:
    assert np.array_equal(guided.start["stem/kernel"], networks.weights_of(encoder.model)["stem/kernel"])
    assert np.array_equal(guided.start["classifier/kernel"], probe.head.weights)
    report = measure.report(guided, task.test)
    assert report.parameters_trained > 3_000_000 and report.seconds["fit"] > 0
    assert guided.predict_proba(task.test.x[:0]).shape == (0, 2)


def test_a_probe_of_something_else_is_refused(encoder, task) -> None:
    wide = methods.linear_probe(encoders.imagenet(64, layers="several"), task)
    with pytest.raises(BadInput, match="is not a linear head of"):
        methods.guide_fine_tune(encoder, task, wide)
