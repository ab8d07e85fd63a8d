"""Fine-tuning: what moves was declared, a kill changes nothing, and each trap has a test that fails in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from course_lib import encoders, measure, methods, tasks
from course_lib.errors import AuditFailed, BadInput, Diverged, OutOfMemory
from course_lib.methods import networks, training
from course_lib.methods.body import body_of, forget_bodies
from course_lib.methods.recipe import Recipe
from course_lib.methods.trunk import VIEWS

SETTINGS = {"freeze_to": "block12", "epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def encoder():
    return encoders.imagenet(64)


@pytest.fixture(scope="module")
def task():
    task = tasks.solar_cells("mono", train=48)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def tuned(encoder, task):
    return methods.fine_tune(encoder, task, **SETTINGS)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_everything_moved_as_declared_and_nothing_else(tuned) -> None:
    assert tuned.audit.ok and tuned.audit.moved > 10
    frozen = [
        n for n in tuned.start if networks.block_of(n.partition("/")[0]) in ("stem", "block0", "block12")
    ]
    assert frozen and all(np.array_equal(tuned.start[n], tuned.weights[n]) for n in frozen)
    statistics = [n for n in tuned.start if "moving_" in n]
    assert len(statistics) == 98 and all(np.array_equal(tuned.start[n], tuned.weights[n]) for n in statistics)


def test_history_and_costs(tuned, task) -> None:
    assert [h["epoch"] for h in tuned.history] == [1, 2]
    assert all(np.isfinite([h["loss"], h["validation_loss"]]).all() for h in tuned.history)
    trained = [n for n in tuned.start if networks.block_of(n.partition("/")[0]) in ("block13", "classifier")]
    assert {"block13_expand/kernel", "classifier/bias"} <= set(trained)
    report = measure.report(tuned, task.test)
    assert report.parameters_trained == tuned.parameters_trained > 1_000_000
    assert report.train_size == 48 and report.seconds["fit"] > 0


def test_fits_what_it_is_given(encoder, task) -> None:
    few = task.subset(train=24)
    eager = methods.fine_tune(
        encoder, few, freeze_to="block10", epochs=12, batch_size=8, augment="none", label_smoothing=0.0
    )
    assert eager.history[-1]["loss"] < 0.25 * eager.history[0]["loss"]


def test_same_seed_same_bits_another_seed_others(encoder, task, tuned) -> None:
    methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1, "seed": 5})  # something in between
    again = methods.fine_tune(encoder, task, **SETTINGS)
    assert same(tuned.weights, again.weights)
    assert [h["loss"] for h in tuned.history] == [h["loss"] for h in again.history]
    other = methods.fine_tune(encoder, task, **SETTINGS, seed=1)
    assert other.history[0]["loss"] != tuned.history[0]["loss"]


def test_the_encoder_and_the_task_stay_as_they_are(encoder, task, tuned) -> None:
    published = encoders.imagenet(64).model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(encoder.model.get_weights(), published, strict=True))
    assert not task.train.x.flags.writeable


def test_two_fits_of_one_shape_do_not_overwrite_each_other(encoder, task, tuned) -> None:
    before = tuned.predict_proba(task.test)
    other = methods.fine_tune(encoder, task, **{**SETTINGS, "seed": 9})
    assert not np.array_equal(other.predict_proba(task.test), before)
    assert np.array_equal(tuned.predict_proba(task.test), before)


def test_starts_as_the_probe(encoder, task) -> None:
    probe = methods.linear_probe(encoder, task)
    start = methods.fine_tune(encoder, task, init=probe, **{**SETTINGS, "epochs": 1, "augment": "none"})
    untouched = start.with_weights(start.start)
    assert np.abs(untouched.predict_proba(task.test) - probe.predict_proba(task.test)).max() < 0.02
    assert np.array_equal(start.start["classifier/kernel"], probe.head.weights)


def test_a_fine_tuning_that_only_harms_gives_back_its_start(encoder, task) -> None:
    shuffled = replace(task.train, y=np.random.default_rng(0).permutation(task.train.y))
    probe = methods.linear_probe(encoder, task)
    harmed = methods.fine_tune(
        encoder, replace(task, train=shuffled), init=probe, **{**SETTINGS, "learning_rate": 0.01}
    )
    if harmed.chosen["epoch"] == 0:
        assert np.array_equal(harmed.weights["classifier/kernel"], probe.head.weights)
    else:
        scores = [h["validation_accuracy"] for h in harmed.history]
        assert harmed.chosen["epoch"] == 1 + int(np.argmax(scores))


def test_cached_trunk_gives_what_the_whole_network_gives(encoder, task, tuned) -> None:
    model, x = tuned.model, task.test.x[:12]
    from course_lib.encoders.images import resized

    whole = np.mean(
        [model(resized(np.ascontiguousarray(VIEWS[v](x)), 64), training=False) for v in ("plain", "mirror")],
        axis=0,
    )
    assert np.abs(whole - tuned.logits(x)).max() < 0.02 * np.abs(whole).max()


def test_uncached_takes_the_same_steps(encoder, task, tuned) -> None:
    slow = methods.fine_tune(encoder, task, **SETTINGS, cache_trunk=False)
    losses = np.array([[h["loss"] for h in fit.history] for fit in (tuned, slow)])
    assert np.abs(losses[0] - losses[1]).max() < 0.02 * losses.max()


def test_the_trunk_is_computed_once(encoder, task, tuned, monkeypatch) -> None:
    body = body_of(encoder, tuned.recipe, task.classes)
    methods.fine_tune(encoder, task, **SETTINGS)

    def never(pictures):
        raise AssertionError("computed again")

    monkeypatch.setattr(type(body.trunk), "__call__", lambda self, pictures: never(pictures))
    methods.fine_tune(encoder, task, **{**SETTINGS, "seed": 3})


# -- batch normalisation --------------------


@pytest.mark.parametrize(
    ("policy", "statistics", "scales"), [("adapted", True, False), ("trained", True, True)]
)
def test_batch_norm_policies(encoder, task, policy, statistics, scales) -> None:
    tuned = methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1}, batch_norm=policy)
    body = body_of(encoder, tuned.recipe, task.classes)
    last = body.current() | {}
    assert tuned.audit.ok
    rows = {(r.block, r.kind, r.declared): r for r in tuned.audit.rows}
    assert (rows["block14", "BatchNorm statistics", "trained"].moved == 6) is statistics
    assert (rows["block14", "weights", "trained"].tensors == 9) is scales
    assert rows["block12", "BatchNorm statistics", "frozen"].moved == 0
    assert last


def test_training_false_does_not_protect_the_statistics(encoder, task) -> None:
    """The trap of the usual guides: base(x, training=False), base.trainable=True, fit."""
    base, _ = encoder.network_copy()
    inputs = keras.Input((64, 64, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(base(inputs, training=False))
    model = keras.Model(inputs, outputs)
    base.trainable = True
    model.compile("adam", "sparse_categorical_crossentropy")
    before = networks.weights_of(base)
    x = np.random.default_rng(0).uniform(0, 255, (16, 64, 64, 3)).astype("float32")
    model.fit(x, np.arange(16) % 2, batch_size=8, epochs=1, verbose=0)
    after = networks.weights_of(base)
    weights = [n for n in before if "moving_" not in n]
    with pytest.raises(AuditFailed, match=r"declared frozen have moved.*moving_mean"):
        measure.audit(before, after, trained=weights).check()


def test_trainable_without_compiling_again_is_ignored() -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4)), np.zeros((8, 2))
    model.fit(x, y, verbose=0)
    before = networks.weights_of(model)
    model.layers[0].trainable = True  # not compiled again
    model.fit(x, y, verbose=0)
    with pytest.raises(AuditFailed, match="declared trained have not moved"):
        measure.audit(before, networks.weights_of(model), trained=list(before)).check()


# -- schedules, rates, penalties --------------------


def test_rates_fall_with_depth(encoder, task) -> None:
    tuned = methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1}, depth_decay=0.1, learning_rate=1e-3)
    last = body_of(encoder, tuned.recipe, task.classes).current()
    step = {n: np.abs(last[n] - tuned.start[n]).max() for n in last}
    assert step["block13_expand/kernel"] < 0.05 * step["head/kernel"] < 0.5 * step["classifier/kernel"]


def test_l2_sp_pulls_to_the_start(encoder, task, tuned) -> None:
    body = body_of(encoder, tuned.recipe, task.classes)

    def apart(strength: float) -> float:
        fit = methods.fine_tune(encoder, task, **SETTINGS, l2_sp=strength)
        last = body.current()
        return sum(float(np.square(last[n] - fit.start[n]).sum()) for n in last)

    free, pulled = apart(0.0), apart(3.0)
    assert pulled < 0.7 * free
    again = methods.fine_tune(encoder, task, **SETTINGS)
    assert same(again.weights, tuned.weights), "the penalty of one fit must not stay for the next"


def test_l2_sp_is_the_gradient_of_its_formula() -> None:
    anchor = np.array([1.0, -2.0], np.float32)
    penalty = training._l2_sp(anchor, 0.5)
    assert float(penalty(keras.ops.convert_to_tensor([3.0, 0.0]))) == pytest.approx(0.25 * (4 + 4))


def test_gradual_unfreezing_starts_at_the_top(encoder, task) -> None:
    tuned = methods.fine_tune(
        encoder, task, **{**SETTINGS, "epochs": 3, "freeze_to": "block10"}, unfreeze="gradually"
    )
    counts = [h["blocks"] for h in tuned.history]
    assert counts == sorted(counts) and counts[0] < counts[-1] == 7


def test_early_stopping(encoder, task) -> None:
    tuned = methods.fine_tune(
        encoder, task, freeze_to="block14", epochs=30, batch_size=16, patience=2, learning_rate=0.1
    )
    assert len(tuned.history) <= tuned.chosen["epoch"] + 2 < 30


def test_class_weights_reach_the_rare_class(encoder) -> None:
    cells = tasks.solar_cells("mono", train=48)
    weights = methods.fine_tune(encoder, cells, **{**SETTINGS, "epochs": 1}, class_weight="balanced")
    plain = methods.fine_tune(encoder, cells, **{**SETTINGS, "epochs": 1})
    assert weights.history[0]["loss"] != plain.history[0]["loss"]


def test_views_are_the_symmetries_of_the_square() -> None:
    x = np.arange(9).reshape(1, 3, 3, 1)
    seen = {tuple(view(x).ravel().tolist()) for view in VIEWS.values()}
    assert len(seen) == 8 and all(view(x).shape == x.shape for view in VIEWS.values())


# -- a kill, an interrupt --------------------

RUN = """
    import sys
    from pathlib import Path
    import numpy as np
    from course_lib import encoders, methods, tasks
    from course_lib.methods import loop, training

    folder, stop = Path(sys.argv[1]), int(sys.argv[2])
    plain = training.Trainer._step

    def step(self, rows):
        if self.done.step == stop:
            (folder / "gate").touch()
            __import__("time").sleep(600)
        plain(self, rows)

    training.Trainer._step = step
    loop.CHECKPOINT_EVERY = 0.0
    task = tasks.solar_cells("mono", train=48)
    settings = {"freeze_to": "block12", "epochs": 3, "batch_size": 16, "unfreeze": sys.argv[3]}
    for name in sys.argv[4:]:
        path = folder / f"{name}.checkpoint"
        tuned = methods.fine_tune(encoders.imagenet(64), task, **settings, checkpoint=path)
        np.savez(folder / f"{name}.npz", **{n.replace("/", "|"): w for n, w in tuned.weights.items()})
"""


@pytest.mark.parametrize(("stop", "unfreeze"), [(4, "at once"), (6, "gradually")])
def test_a_kill_in_mid_epoch_changes_nothing(tmp_path: Path, stop: int, unfreeze: str) -> None:
    def command(at: int, *names: str) -> list[str]:
        return [sys.executable, "-c", textwrap.dedent(RUN), str(tmp_path), str(at), unfreeze, *names]

    environment = {**os.environ, "COURSE_PROGRESS": "0"}
    process = subprocess.Popen(command(stop, "killed"), env=environment)
    until = time.monotonic() + 300
    while not (tmp_path / "gate").exists():
        assert process.poll() is None and time.monotonic() < until, "the run ended before it could be killed"
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "killed.checkpoint").exists() and not (tmp_path / "killed.npz").exists()
    subprocess.run(command(-1, "killed", "straight"), env=environment, check=True)  # goes on; and begins anew
    with np.load(tmp_path / "killed.npz") as resumed, np.load(tmp_path / "straight.npz") as straight:
        assert resumed.files == straight.files
        assert all(np.array_equal(resumed[name], straight[name]) for name in straight.files)
    assert not list(tmp_path.glob("*.part"))


def test_a_finished_checkpoint_is_the_result(encoder, task, tuned, tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.checkpoint"
    first = methods.fine_tune(encoder, task, **SETTINGS, checkpoint=path)

    def never(self, rows):
        raise AssertionError("trained again")

    monkeypatch.setattr(training.Trainer, "_step", never)
    again = methods.fine_tune(encoder, task, **SETTINGS, checkpoint=path)
    assert same(first.weights, again.weights) and same(first.weights, tuned.weights)
    assert again.parameters_trained == first.parameters_trained


def test_a_checkpoint_of_another_run_is_refused(encoder, task, tmp_path) -> None:
    path = tmp_path / "run.checkpoint"
    methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1}, checkpoint=path)
    with pytest.raises(BadInput, match="other settings, data or network"):
        methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 2}, checkpoint=path)


def test_an_interrupt_keeps_the_best_so_far(encoder, task, monkeypatch) -> None:
    plain = training.Trainer._step

    def interrupted(self, rows):
        if self.done.step == self.steps + 1:
            raise KeyboardInterrupt
        plain(self, rows)

    monkeypatch.setattr(training.Trainer, "_step", interrupted)
    with pytest.warns(RuntimeWarning, match="interrupted in epoch 2 of 4"):
        tuned = methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 4})
    assert tuned.interrupted and len(tuned.history) == 1
    assert tuned.predict(task.test).shape == (60,)


# -- what goes wrong --------------------


def test_a_loss_that_runs_away_keeps_the_last_good_weights(encoder, task, monkeypatch) -> None:
    plain = training.Source.__call__

    def poisoned(self, rows, rng):
        batch = plain(self, rows, rng)
        poisoned.calls += 1
        return batch * np.float32("nan") if poisoned.calls == 5 else batch

    poisoned.calls = 0
    monkeypatch.setattr(training.Source, "__call__", poisoned)
    with pytest.raises(Diverged, match=r"nan in step 5 of 6.*\n.*Lower learning_rate") as caught:
        methods.fine_tune(encoder, task, **SETTINGS)
    kept = caught.value.last_good
    assert np.isfinite(kept.predict_proba(task.test)).all()


def test_out_of_memory_says_what_to_lower(encoder, task, tuned, monkeypatch) -> None:
    class ResourceExhaustedError(Exception):
        pass

    def full(*args, **kwargs):
        raise ResourceExhaustedError("OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "train_on_batch", full)
    before = tuned.predict_proba(task.test)
    with pytest.raises(OutOfMemory, match="Lower batch_size first"):
        methods.fine_tune(encoder, task, **{**SETTINGS, "init": "random"})
    assert np.array_equal(tuned.predict_proba(task.test), before), "an earlier fit must not suffer"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_to": "blok4"}, r"no block of that name.*\n.*Nearest: block4"),
        ({"freeze_to": "block2_expand"}, "cut behind"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"batch_norm": "off"}, "frozen, adapted, trained"),
        ({"augment": "colour"}, "none, mirror, square"),
        ({"shift": 300}, "shift=300 with pictures of 300"),
        ({"class_weight": [1.0]}, "expected 2 positive numbers"),
        ({"patience": 0}, "patience=0"),
    ],
)
def test_settings_out_of_range(encoder, task, settings, message) -> None:
    with pytest.raises(BadInput, match=message):
        methods.fine_tune(encoder, task, **settings)


def test_tasks_that_cannot_be_trained(encoder, task) -> None:
    def with_train(**changes):
        return replace(task, train=replace(task.train, **changes))

    with pytest.raises(BadInput, match="needs two classes"):
        methods.fine_tune(encoder, with_train(y=np.zeros(48, np.int64)), **SETTINGS)
    with pytest.raises(BadInput, match="uint8"):
        methods.fine_tune(encoder, with_train(x=task.train.x[..., 0]), **SETTINGS)
    empty = replace(task, validation=task.validation.take(np.arange(0)))
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.fine_tune(encoder, empty, **SETTINGS)
    oblong = replace(task.train, x=task.train.x[:, :200])
    with pytest.raises(BadInput, match="another shape"):
        methods.fine_tune(encoder, replace(task, train=oblong), **SETTINGS, augment="square")


def test_a_batch_larger_than_the_data_shrinks(encoder, task) -> None:
    tuned = methods.fine_tune(encoder, task, freeze_to="block14", epochs=1, batch_size=1000)
    assert tuned.audit.ok and len(tuned.history) == 1


def test_one_class_only_in_a_batch(encoder, task) -> None:
    tuned = methods.fine_tune(encoder, task, freeze_to="block14", epochs=1, batch_size=1)
    assert np.isfinite(tuned.history[0]["loss"])


def test_weights_of_another_network(encoder, task, tuned) -> None:
    other = dict(tuned.weights)
    other["classifier/bias"] = np.zeros(5, np.float32)
    with pytest.raises(BadInput, match="Weights of another network: classifier/bias"):
        tuned.with_weights(other)
    below = dict(tuned.weights)
    below["stem/kernel"] = below["stem/kernel"] + 1
    with pytest.raises(BadInput, match="stem/kernel is in the frozen part"):
        tuned.with_weights(below)
    wide = methods.linear_probe(encoders.imagenet(64, layers="several"), task)
    with pytest.raises(BadInput, match="has a head of"):
        methods.fine_tune(encoder, task, init=wide, **SETTINGS)


def test_every_network_of_keras_can_be_cut(task) -> None:
    network = encoders.imagenet(64, "MobileNetV2", weights="random")
    tuned = methods.fine_tune(network, task, freeze_to="block_14", epochs=1, batch_size=16)
    assert tuned.audit.ok and "block_15_expand/kernel" in tuned.weights
    forget_bodies()


def test_rates_rise_and_fall() -> None:
    recipe = Recipe(learning_rate=0.5, warmup=0.1)
    rates = [recipe.rate(t, 100) for t in range(100)]
    assert np.argmax(rates) in (9, 10) and rates[9] == pytest.approx(0.5) and rates[-1] < 0.001
