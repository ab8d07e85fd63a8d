"""DANN and CDAN: the gradient that is turned round, the control, and where matching domains does harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods import adversarial

BOTH = pytest.mark.parametrize("method", [methods.dann, methods.cdan])


def test_the_gradient_is_minus_the_one_of_finite_differences() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))

    def plain(given: np.ndarray) -> float:
        return float(np.square(np.tanh(given @ w)).sum())

    slope = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-6
        slope[at] = (plain(x + step) - plain(x - step)) / 2e-6
    for strength in (0.0, 0.3, 2.0):
        given, by = tf.constant(x), tf.constant(strength, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(given)
            turned = adversarial.reverse_gradient(given, by)
            value = tf.reduce_sum(tf.square(tf.tanh(turned @ tf.constant(w))))
        assert np.array_equal(turned, x) and float(value) == pytest.approx(plain(x))
        assert np.allclose(tape.gradient(value, given), -strength * slope, atol=1e-6)


def test_the_maps_of_cdan_by_numpy() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    h, g = rng.normal(size=(6, 4)), rng.dirichlet(np.ones(3), size=6)
    found = adversarial.multilinear(tf.constant(h), tf.constant(g)).numpy()
    assert np.allclose(found, np.einsum("nk,nh->nkh", g, h).reshape(6, 12))
    assert np.allclose(found[2], np.outer(g[2], h[2]).ravel()) and not np.allclose(
        found[2], np.outer(h[2], g[2]).ravel()
    )
    assert np.allclose(found.reshape(6, 3, 4).sum(axis=1), h), "answers sum to 1"
    certain = 1 + np.exp((g * np.log(g)).sum(axis=1))
    assert np.allclose(adversarial.entropy_weights(tf.constant(g)), certain / certain.mean(), atol=1e-6)
    p = np.linspace(0, 1, 5)
    assert np.allclose([float(adversarial.schedule(q)) for q in p], np.tanh(5 * p), atol=1e-6)


def numpy_losses(kernel, bias, last, adversary, source, y, target) -> tuple[float, float]:
    """Both losses of a network without BatchNorm, in float64."""
    (v, c), (a1, b1, a2, b2) = last, adversary
    sides = [np.maximum(z @ kernel + bias, 0) for z in (source, target)]
    logits = sides[0] @ v + c
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = -log_p[np.arange(len(y)), y].mean()
    scores = [(np.maximum(h @ a1 + b1, 0) @ a2 + b2)[:, 0] for h in sides]
    domains = (np.log1p(np.exp(scores[0])).mean() + np.log1p(np.exp(-scores[1])).mean()) / 2
    return float(labels), float(domains)


def test_below_the_adversary_its_loss_is_climbed(drift) -> None:
    """TensorFlow's gradient against finite differences of (labels - λ domains) and, above, of domains."""
    import tensorflow as tf

    pair = adversarial.Pair(10, 16, False, 3, None)
    pair.network.begin(0)
    pair.begin(0)
    pair.weight.assign(1.7)
    source, y = drift.task.train.x[:80], drift.task.train.y[:80]
    target, progress = drift.target(shift=1).x[:80], 0.15
    with tf.GradientTape() as tape:
        value = pair.loss(tf.constant(source), tf.constant(y, tf.int32), tf.constant(target), progress)
    first = pair.network.first.trainable_variables
    got = tape.gradient(value, [*first, *pair.layers[0].trainable_variables])
    kernel, bias = (np.array(v.numpy(), np.float64) for v in first)
    last = [np.array(w, np.float64) for w in pair.network.last.get_weights()]
    adversary = [np.array(w, np.float64) for layer in pair.layers for w in layer.get_weights()]
    strength = 1.7 * np.tanh(5 * progress)
    labels, domains = numpy_losses(kernel, bias, last, adversary, source, y, target)
    assert float(value) == pytest.approx(labels + domains, rel=1e-4)
    rng = np.random.default_rng(0)
    for _ in range(3):
        way = rng.normal(size=kernel.shape)
        ends = [
            numpy_losses(kernel + s * way, bias, last, adversary, source, y, target) for s in (1e-7, -1e-7)
        ]
        labels_slope, domains_slope = ((up - down) / 2e-7 for up, down in zip(*ends, strict=True))
        found = float((np.asarray(got[0]) * way).sum())
        assert found == pytest.approx(labels_slope - strength * domains_slope, rel=1e-3, abs=1e-4)
        assert found != pytest.approx(labels_slope + strength * domains_slope, rel=1e-3, abs=1e-4)
        above = rng.normal(size=adversary[0].shape)
        ends = [
            numpy_losses(kernel, bias, last, [adversary[0] + s * above, *adversary[1:]], source, y, target)[1]
            for s in (1e-7, -1e-7)
        ]
        assert float((np.asarray(got[2]) * above).sum()) == pytest.approx(
            (ends[0] - ends[1]) / 2e-7, rel=1e-3, abs=1e-4
        )


@BOTH
@pytest.mark.parametrize("batch_norm", [True, False])
def test_without_weight_it_is_the_control_number_by_number(drift, method, batch_norm) -> None:
    settings = {"hidden": 16, "batch_norm": batch_norm, "steps": 120, "seed": 3}
    target = drift.target(shift=1)
    control = methods.source_mlp(drift.encoder, drift.task, **settings)
    found = method(drift.encoder, drift.task, target, weight=0, **settings)
    assert all(np.array_equal(found.head.arrays()[n], a) for n, a in control.head.arrays().items())
    assert found.chosen["round"] == control.chosen["round"]
    assert found.parameters_trained == control.parameters_trained
    adversarial_ = method(drift.encoder, drift.task, target, **settings)
    assert not np.allclose(adversarial_.head.kernel, control.head.kernel, atol=1e-3)
    again = method(drift.encoder, drift.task, target, **settings)
    assert np.array_equal(again.head.kernel, adversarial_.head.kernel)


@BOTH
def test_it_helps_where_everything_moved(drift, method) -> None:
    target = drift.target(shift=1.5)
    plain, found = (
        [method(drift.encoder, drift.task, target, hidden=16, weight=w, seed=s) for s in range(3)]
        for w in (0, 1)
    )
    scores = [np.mean([drift.score(c, target) for c in group]) for group in (plain, found)]
    assert scores[1] > scores[0] + 0.03
    told = [np.mean([c.chosen["told_apart"] for c in group]) for group in (plain, found)]
    assert told[1] < told[0], "domains are harder to tell apart"
    assert (found[0].name, found[0].chosen["weight"]) == (method.__name__.upper(), 1.0)
    assert np.mean(found[0].predict(drift.task.test) == drift.task.test.y) > 0.9


@BOTH
def test_it_harms_where_a_class_is_missing(drift, method) -> None:
    target = drift.target(shift=0.3, shares=[0.5, 0.5, 0.0])
    scores = [
        drift.score(method(drift.encoder, drift.task, target, hidden=16, weight=w), target) for w in (0, 3)
    ]
    assert scores[1] < scores[0]


@BOTH
def test_it_does_not_help_where_classes_changed_places(drift, method) -> None:
    target = drift.target(shift=0.3)
    swapped = replace(target, y=(target.y + 1) % 3)
    honest, found = (method(drift.encoder, drift.task, t, hidden=16) for t in (target, swapped))
    assert drift.score(found, swapped) < 0.1
    assert np.array_equal(found.head.kernel, honest.head.kernel), "target labels were read"


def test_weights_are_read_before_the_step_changes_them() -> None:
    """In the graph that runs, every read of a weight comes before its update.

    CDAN's answers, through which no gradient flows, were now and then those of the next step's weights.
    """
    from tensorflow.python.eager import context

    pair = adversarial.Pair(10, 16, True, 3, True)
    pair.network.begin(0)
    pair.begin(0)
    x, rows = np.zeros((4, 10), np.float32), [np.zeros((1, 4)), np.zeros((1, 4))]
    context.context().enable_run_metadata()
    try:
        pair.descent([x, np.zeros(4, np.int64), x], rows, np.zeros(1), np.full(1, 1e-3))
        (run,) = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_run_metadata()
    nodes = {node.name: node for node in run.post_optimization_graph.node}

    def before(name: str) -> set[str]:
        """All that one iteration has done when a node begins."""
        found, open_ = set(), [name]
        while open_:
            for given in nodes[open_.pop()].input:
                given = given.lstrip("^").split(":")[0]
                if given in nodes and given not in found and nodes[given].op != "NextIteration":
                    found.add(given)
                    open_.append(given)
        return found

    updates = [node for node in nodes.values() if node.op == "AssignSubVariableOp"]
    assert len(updates) == len(pair.descent.variables)
    read = 0
    for update in updates:
        of_it = {n.name for n in nodes.values() if n.op == "ReadVariableOp" and n.input[0] == update.input[0]}
        assert of_it <= before(update.name)
        read += len(of_it)
    assert read > 2 * len(updates)


def test_many_products_are_drawn(drift) -> None:
    pair = adversarial.Pair(4, 256, True, 20, True)
    assert pair.layers[0].kernel.shape[0] == adversarial.DRAWN
    pair.begin(1)
    r_h, r_g = (v.numpy() for v in pair.random)
    assert r_h.shape == (256, 1024) and r_g.shape == (20, 1024) and r_h.std() == pytest.approx(1, abs=0.02)
    # products of random maps estimate products of the maps themselves
    rng = np.random.default_rng(0)
    h, g = rng.random((2, 256)), rng.dirichlet(np.ones(20), size=2)
    drawn = (h @ r_h) * (g @ r_g) / 1024**0.5
    assert drawn[0] @ drawn[1] == pytest.approx((h[0] @ h[1]) * (g[0] @ g[1]), rel=0.5)
    pair.network.begin(1)
    said = pair.says_target(rng.normal(size=(3, 4)).astype(np.float32))
    assert said.shape == (3,) and np.isfinite(said).all()
    assert not adversarial.Pair(4, 256, True, 10, True).random


def test_what_cannot_be_matched(drift) -> None:
    encoder, task, x = drift.encoder, drift.task, drift.target(shift=1).x
    quick = {"hidden": 16, "steps": 2}
    with pytest.raises(BadInput, match="source has 10 features and the target 4"):
        methods.dann(encoder, task, x[:, :4], **quick)
    with pytest.raises(BadInput, match="target features hold NaN"):
        methods.dann(encoder, task, np.full((30, 10), np.nan), **quick)
    with pytest.raises(BadInput, match="weight=-1"):
        methods.cdan(encoder, task, x, weight=-1)
    with pytest.raises(BadInput, match="weight=nan"):
        methods.dann(encoder, task, x, weight=float("nan"))
    with pytest.raises(BadInput, match="1 row of target"):
        methods.dann(encoder, task, x[:1], **quick)
    with pytest.raises(BadInput, match="labels are of class 0"):
        methods.dann(encoder, replace(task, train=task.train.take(task.train.y == 0)), x, **quick)
    with pytest.warns(UserWarning, match="The target has 3 samples"):
        assert np.isfinite(methods.dann(encoder, task, x[:3], **quick).predict_proba(x)).all()
    with pytest.warns(UserWarning, match="same examples"):
        methods.dann(encoder, task, task.train, **quick)
    with pytest.warns(UserWarning, match="labels are not used"):
        methods.cdan(encoder, task, (x, np.zeros(len(x), int)), **quick)
    only = drift.target(shares=[1.0, 0.0, 0.0])
    with pytest.warns(UserWarning, match="other shares of classes|never predicts"):
        methods.dann(encoder, task, only, hidden=16, weight=0)
