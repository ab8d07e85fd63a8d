"""Fine-tuning sentences: what moves was declared, a kill changes nothing, steps are AdamW's to the digit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib import encoders, measure, methods, tasks
from course_lib.errors import AuditFailed, BadInput, Diverged, OutOfMemory
from course_lib.methods import body_torch, loop, training_torch
from course_lib.methods.body_torch import ROWS, TABLE, Source, TextBody, body_of, forget_bodies
from course_lib.methods.recipe_torch import TextRecipe
from course_lib.methods.training_torch import bucketed, padding
from course_lib.methods.tuned import KERNEL
from course_lib.tasks.task import Split, Task

SETTINGS = {"freeze_to": 3, "epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def task():
    task = tasks.topics("en", train=64)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def tuned(encoder, task):
    return methods.fine_tune(encoder, task, **SETTINGS)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def made_up(x: np.ndarray, y: np.ndarray, classes: int = 2) -> Task:
    """Cut examples into a task of thirds."""
    names = tuple(f"class {c}" for c in range(classes))
    parts = [
        Split(x[rows], y[rows], names, name, "English", np.array([str(row) for row in rows]))
        for name, rows in zip(
            ("train", "validation", "test"), np.array_split(np.arange(len(y)), 3), strict=True
        )
    ]
    return Task("made up", *parts, names, "English", "CC0", "none")


def test_everything_moved_as_declared_and_nothing_else(tuned) -> None:
    assert tuned.audit.ok and tuned.audit.moved == 2 * 16 + 2
    moved = {name for name in tuned.weights if not np.array_equal(tuned.weights[name], tuned.start[name])}
    assert {name.partition("/")[0] for name in moved} == {"layer4", "layer5", "classifier"}
    assert tuned.parameters_trained == sum(tuned.weights[name].size for name in moved)
    assert len(tuned.weights) == 5 + 6 * 16 + 2


def test_history_and_costs(tuned, task) -> None:
    assert [h["epoch"] for h in tuned.history] == [1, 2]
    assert all(0 <= h["padding"] < 0.2 and np.isfinite(h["loss"]) for h in tuned.history)
    report = measure.report(tuned, task.test)
    assert report.parameters_trained == tuned.parameters_trained
    assert report.train_size == 64 and report.seconds["fit"] > 0


def test_one_step_is_a_plain_torch_loop_s(encoder, task) -> None:
    """Gradients, clipping, rates per layer, weight decay and AdamW, against the formulas written out."""
    probe = methods.linear_probe(encoder, task)
    recipe = {"learning_rate": 1e-3, "depth_decay": 0.5, "weight_decay": 0.1, "dropout": 0.0, "warmup": 0.0}
    few = replace(task, train=task.train.take(np.arange(32)))
    tuned = methods.fine_tune(encoder, few, init=probe, freeze_to=3, epochs=1, batch_size=32, **recipe)
    expected = by_hand(encoder, few, probe.head, rate=1e-3, depth_decay=0.5, weight_decay=0.1)
    body = body_of(encoder, tuned.recipe, task.classes)
    last = body.current()
    for name, wanted in expected.items():
        if "key.bias" in name:  # softmax does not see it: its gradient is rounding, and Adam's direction too
            continue
        apart = np.abs(last[name] - wanted)
        assert np.abs(wanted - tuned.start[name]).max() > 1e-4, name
        assert apart.max() < 2e-5 and np.mean(apart < 1e-6) > 0.98, name
    wrong = by_hand(encoder, few, probe.head, rate=1e-3, depth_decay=1.0, weight_decay=0.1)
    name = "layer4/output.dense.weight"
    assert np.abs(wrong[name] - last[name]).max() > 2e-4


def by_hand(encoder, task, head, *, rate: float, depth_decay: float, weight_decay: float) -> dict:
    """Return the weights after one step of AdamW (Loshchilov & Hutter, 2019), written out."""
    network = encoder.network_copy().eval()
    kernel = torch.tensor(head.weights, requires_grad=True)
    bias = torch.tensor(head.bias, requires_grad=True)
    batch = encoder.tokenizer(
        list(task.train.x), padding=True, return_tensors="pt", return_token_type_ids=False
    )
    states = network(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    logits = (states * mask).sum(1) / mask.sum(1) @ kernel + bias
    labels = torch.from_numpy(task.train.y.copy())
    torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1).backward()
    named = {KERNEL: (kernel, 1.0), "classifier/bias": (bias, 1.0)}
    for layer in (4, 5):
        for name, p in network.encoder.layer[layer].named_parameters():
            named[f"layer{layer}/{name}"] = (p, depth_decay ** (6 - layer))
    norm = torch.sqrt(sum((p.grad**2).sum() for p, _ in named.values()))
    shrink = min(1.0, 1.0 / (float(norm) + 1e-6))
    found = {}
    for name, (p, share) in named.items():
        gradient = p.grad * shrink
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else weight_decay
        step = gradient / (gradient.abs() + 1e-8)  # both moments are the gradient's own after one step
        found[name] = (p.detach() * (1 - rate * share * decay) - rate * share * step).numpy()
    return found


def test_fits_what_it_is_given(encoder, task) -> None:
    few = task.subset(train=24)
    eager = methods.fine_tune(
        encoder, few, freeze_to=2, epochs=8, batch_size=8, label_smoothing=0.0, learning_rate=5e-4
    )
    assert eager.history[-1]["loss"] < 0.3 * eager.history[0]["loss"]


def test_same_seed_same_bits_another_seed_others(encoder, task, tuned) -> None:
    methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1, "seed": 5})  # something in between
    torch.manual_seed(123)  # nor does the global generator matter
    again = methods.fine_tune(encoder, task, **SETTINGS)
    assert same(tuned.weights, again.weights)
    assert [h["loss"] for h in tuned.history] == [h["loss"] for h in again.history]
    other = methods.fine_tune(encoder, task, **SETTINGS, seed=1)
    assert other.history[0]["loss"] != tuned.history[0]["loss"]


def test_the_global_generator_is_left_alone(encoder, task) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    methods.fine_tune(encoder, task, freeze_to=4, epochs=1, batch_size=32)
    assert torch.equal(torch.rand(3), expected)


def test_the_encoder_stays_as_it_is(encoder, task, tuned) -> None:
    before = {name: p.detach().clone() for name, p in encoder.model.named_parameters()}
    methods.fine_tune(encoder, task, freeze_to=None, epochs=1, batch_size=32)
    assert all(torch.equal(p, before[name]) for name, p in encoder.model.named_parameters())
    assert all(p.requires_grad for p in encoder.network_copy().parameters())
    fresh = encoders.english_bert().encode(task.test, cache=False, progress=False)
    assert np.array_equal(encoder.encode(task.test, cache=False, progress=False), fresh)


def test_two_fits_of_one_shape_do_not_overwrite_each_other(encoder, task, tuned) -> None:
    before = tuned.predict_proba(task.test)
    other = methods.fine_tune(encoder, task, **{**SETTINGS, "seed": 9})
    assert not np.array_equal(other.predict_proba(task.test), before)
    assert np.array_equal(tuned.predict_proba(task.test), before)


def test_starts_as_the_probe(encoder, task) -> None:
    probe = methods.linear_probe(encoder, task)
    tuned = methods.fine_tune(encoder, task, init=probe, **SETTINGS)
    untouched = tuned.with_weights(tuned.start)
    assert np.abs(untouched.predict_proba(task.test) - probe.predict_proba(task.test)).max() < 1e-4
    assert np.array_equal(tuned.start[KERNEL], probe.head.weights)


def test_wise_ft_goes_back_part_of_the_way(tuned, task) -> None:
    none, part = methods.wise_ft(tuned, 0.0), methods.wise_ft(tuned, 0.3)
    start = tuned.with_weights(tuned.start)
    assert np.array_equal(none.logits(task.test), start.logits(task.test))
    name = "layer5/output.dense.weight"
    assert np.allclose(part.weights[name], 0.7 * tuned.start[name] + 0.3 * tuned.weights[name], atol=1e-7)
    assert part.weights[TABLE] is tuned.start[TABLE], "a hundred million frozen numbers are not copied"


def test_the_encoder_of_the_result_gives_what_the_head_reads(tuned, encoder, task) -> None:
    features = tuned.encoder.encode(task.test, cache=False, progress=False)
    assert np.abs(tuned.head.logits(features) - tuned.logits(task.test)).max() < 1e-4
    assert tuned.encoder.key != encoder.key and tuned.encoder.dim == encoder.dim
    other = tuned.with_weights(tuned.start).encoder
    assert other.key != tuned.encoder.key
    assert np.allclose(
        other.encode(task.test, cache=False, progress=False), encoder.encode(task.test), atol=1e-5
    )
    assert tuned.encoder.with_layer(3).encode(task.test.x[:3], cache=False, progress=False).shape == (3, 384)


# -- what makes it quick changes nothing --------------------


def test_the_trunk_gives_what_the_whole_network_gives(tuned, encoder, task) -> None:
    network = body_torch.tuned_network(encoder, tuned.own, None)
    batch = encoder.tokenizer(
        list(task.test.x[:12]), padding=True, return_tensors="pt", return_token_type_ids=False
    )
    with torch.inference_mode():
        states = network(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    whole = ((states * mask).sum(1) / mask.sum(1)).numpy() @ tuned.head.weights + tuned.head.bias
    assert np.abs(whole - tuned.logits(task.test.x[:12])).max() < 1e-4


def test_uncached_takes_the_same_steps(encoder, task, tuned) -> None:
    slow = methods.fine_tune(encoder, task, **SETTINGS, cache_trunk=False)
    losses = np.array([[h["loss"] for h in fit.history] for fit in (tuned, slow)])
    assert np.abs(losses[0] - losses[1]).max() < 1e-3 * losses.max()


def test_the_trunk_is_computed_once(encoder, task, monkeypatch) -> None:
    body = body_of(encoder, TextRecipe(freeze_to=3), task.classes)
    seen = []
    plain = body.trunk.forward
    monkeypatch.setattr(body.trunk, "forward", lambda **batch: seen.append(batch) or plain(**batch))
    methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 1})
    once = len(seen)
    methods.fine_tune(encoder, task, **SETTINGS)
    assert len(seen) == 2 * once > 0


def test_a_trunk_too_large_to_keep_is_computed_anew(encoder, task, tuned, monkeypatch) -> None:
    monkeypatch.setattr(body_torch, "KEPT_BYTES", 1000)
    slow = methods.fine_tune(encoder, task, **SETTINGS)
    assert np.abs(slow.logits(task.test) - tuned.logits(task.test)).max() < 0.05


def test_batches_of_similar_length_hold_every_row_and_little_padding(encoder, task) -> None:
    lengths = encoder.tokenized(tasks.topics("en").train).lengths
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(lengths))[: 72 * 32].reshape(72, 32)
    sorted_rows = bucketed(rows, lengths, rng)
    assert sorted(sorted_rows.ravel()) == sorted(rows.ravel())
    assert padding(sorted_rows, lengths) < 0.05 < 0.2 < padding(rows, lengths)
    again = bucketed(rows, lengths, rng)
    assert not np.array_equal(again, sorted_rows), "the order of batches must change"
    assert np.abs(np.diff(lengths[sorted_rows].mean(axis=1))).mean() > 1, "not from short to long"


def test_padding_does_not_reach_the_logits(tuned, task) -> None:
    x = np.array(["Hello.", " ".join(["The weather is fine."] * 12)], object)
    together = tuned.logits(x)
    alone = np.concatenate([tuned.logits(x[:1]), tuned.logits(x[1:])])
    assert np.abs(together - alone).max() < 1e-4


# -- embeddings, layers, pairs --------------------


def test_trained_rows_are_those_of_a_whole_trained_table(encoder, task) -> None:
    """Rows that no training sentence holds have no gradient: leaving them out changes no step."""
    options = {"freeze_to": None, "epochs": 1, "batch_size": 64, "warmup": 0.0, "dropout": 0.0}
    probe = methods.linear_probe(encoder, task)
    tuned = methods.fine_tune(encoder, task, embeddings="trained", learning_rate=1e-4, init=probe, **options)
    seen = np.unique(np.concatenate(encoder.tokenized(task.train).ids))
    assert tuned.weights[ROWS].shape == (len(seen), 384)
    network = encoder.network_copy().eval()
    batch = encoder.tokenizer(
        list(task.train.x), padding=True, return_tensors="pt", return_token_type_ids=False
    )
    states = network(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    logits = (states * mask).sum(1) / mask.sum(1) @ torch.tensor(probe.head.weights) + torch.tensor(
        probe.head.bias
    )
    labels = torch.from_numpy(task.train.y.copy())
    torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1).backward()
    gradient = network.get_input_embeddings().weight.grad
    touched = gradient.abs().sum(1).nonzero().ravel().numpy()
    assert set(touched) <= set(seen)
    body = tuned.body
    moved = body.current((ROWS,))[ROWS] - tuned.start[ROWS]
    expected = -1e-4 * np.sign(gradient[seen].numpy())
    sure = np.abs(gradient[seen].numpy()) > 1e-5
    assert sure.sum() > 1000 and np.abs(moved - expected)[sure].max() < 2e-5
    features = tuned.encoder.encode(task.test, cache=False, progress=False)
    assert np.abs(tuned.head.logits(features) - tuned.logits(task.test)).max() < 1e-4


def test_a_network_read_at_a_lower_layer_is_trained_up_to_there(encoder, task) -> None:
    lower = encoder.with_layer(3)
    tuned = methods.fine_tune(lower, task, epochs=1, batch_size=32)
    assert {name.partition("/")[0] for name in tuned.weights} == {
        "embeddings", "layer0", "layer1", "layer2", "classifier",
    }  # fmt: skip
    for layer in (0, "all"):
        with pytest.raises(BadInput, match="goes on from one layer"):
            methods.fine_tune(encoder.with_layer(layer), task, **SETTINGS)


@pytest.mark.parametrize(
    ("freeze_to", "layers"), [("half", (3, 4, 5)), (1, (2, 3, 4, 5)), ("embeddings", range(6)), (4, (5,))]
)
def test_what_is_trained_is_what_was_said(encoder, task, freeze_to, layers) -> None:
    tuned = methods.fine_tune(encoder, task, freeze_to=freeze_to, epochs=1, batch_size=64)
    assert {name.partition("/")[0] for name in tuned.own} == {"classifier", *(f"layer{k}" for k in layers)}
    assert tuned.parameters_trained == len(layers) * 1_774_464 + 384 * 16 + 16


def test_the_first_token_can_be_read_instead_of_the_mean(task) -> None:
    tuned = methods.fine_tune(encoders.english_bert(pooling="cls"), task, **{**SETTINGS, "epochs": 1})
    features = tuned.encoder.encode(task.test, cache=False, progress=False)
    assert np.abs(tuned.head.logits(features) - tuned.logits(task.test)).max() < 1e-4


def test_pairs_of_sentences(encoder) -> None:
    """The same sentence twice, or two different ones: each alone says nothing."""
    rng = np.random.default_rng(0)
    texts = np.array([text for text in tasks.topics("en").train.x if len(text) < 40], object)
    first = texts[rng.permutation(len(texts))[:240]]
    y = rng.integers(2, size=240)
    x = np.stack([first, np.where(y, first, np.roll(first, 1))], axis=1).astype(object)
    pairs = made_up(x, y)
    tuned = methods.fine_tune(encoder, pairs, freeze_to=2, epochs=3, batch_size=10, learning_rate=3e-4)
    assert np.mean(tuned.predict(pairs.test) == pairs.test.y) > 0.85
    types = encoder.tokenized(x[:1]).types
    assert types is not None and set(types[0].tolist()) == {0, 1}
    features = tuned.encoder.encode(pairs.test, cache=False, progress=False)
    assert np.abs(tuned.head.logits(features) - tuned.logits(pairs.test)).max() < 1e-4


def test_other_languages_and_odd_texts_have_answers(tuned) -> None:
    odd = np.array(["🙂🙂", "Hello 你好 مرحبا", "word " * 100_000, "x"], object)
    with pytest.warns(RuntimeWarning, match="does not cover these texts"):
        tuned.logits(tasks.topics("zh").test.sample(60))
    assert np.isfinite(tuned.logits(odd)).all()
    assert tuned.logits(np.empty(0, object)).shape == (0, 16)
    for bad, message in (
        (np.array(["a", None], object), "Row 1 holds None"),
        (np.array([" "], object), "empty"),
    ):
        with pytest.raises(BadInput, match=message):
            tuned.logits(bad)


# -- schedules, rates, penalties --------------------


def test_the_rate_rises_and_falls_in_straight_lines() -> None:
    recipe = TextRecipe(learning_rate=0.5, warmup=0.1)
    rates = np.array([recipe.rate(t, 100) for t in range(100)])
    assert rates.argmax() in (9, 10) and np.allclose(np.diff(rates[:10]), 0.05)
    assert np.allclose(np.diff(rates[10:]), -0.5 / 90) and rates[-1] == pytest.approx(0.5 / 90)


def test_l2_sp_pulls_to_the_start(encoder, task) -> None:
    def apart(strength: float, init: str) -> tuple[float, float]:
        options = {**SETTINGS, "epochs": 1, "init": init, "l2_sp": strength}
        options |= {"learning_rate": 1e-3, "weight_decay": 0.0}
        fit = methods.fine_tune(encoder, task, **options)
        last = fit.body.current(tuple(fit.own))
        body = sum(float(np.square(last[n] - fit.start[n]).sum()) for n in last if "classifier" not in n)
        return body, float(np.square(last[KERNEL]).sum())

    assert apart(1.0, "probe")[0] < 0.7 * apart(0.0, "probe")[0]
    assert apart(1.0, "random")[1] < apart(0.0, "random")[1], "a random last layer is pulled to zero"


def test_early_stopping(encoder, task) -> None:
    tuned = methods.fine_tune(encoder, task, freeze_to=4, epochs=30, patience=2, learning_rate=0.02)
    assert len(tuned.history) <= tuned.chosen["epoch"] + 2 < 30


def test_another_validation_set_can_choose(encoder, task) -> None:
    judge = tasks.topics("en").validation.sample(50)
    tuned = methods.fine_tune(encoder, task, **SETTINGS, validation=judge)
    assert tuned.chosen["validation"] == judge.name
    said = tuned.predict(judge)
    if tuned.chosen["epoch"]:
        best = tuned.history[tuned.chosen["epoch"] - 1]
        assert np.mean(said == judge.y) == pytest.approx(best["validation_accuracy"], abs=0.021)


def test_a_class_without_examples_is_never_answered(encoder, task) -> None:
    without = task.train.take(task.train.y != 3)
    tuned = methods.fine_tune(encoder, replace(task, train=without), **SETTINGS)
    assert not (tuned.predict(tasks.topics("en").test.sample(200)) == 3).any()
    assert all(h["loss"] < 10 for h in tuned.history)


def test_class_weights_and_half_precision_reach_the_steps(encoder, task, tuned) -> None:
    weighted = methods.fine_tune(encoder, task, **SETTINGS, class_weight="balanced")
    half = methods.fine_tune(encoder, task, **SETTINGS, precision="bfloat16")
    assert weighted.history[0]["loss"] != tuned.history[0]["loss"]
    assert 0 < abs(half.history[0]["loss"] - tuned.history[0]["loss"]) < 0.05


# -- a kill, an interrupt --------------------

RUN = """
    import sys
    from pathlib import Path
    from course_lib import encoders, methods, tasks
    from course_lib.methods import loop, training_torch

    gate, path = map(Path, sys.argv[1:])
    plain = training_torch.TextTrainer._step

    def step(self, rows):
        if self.done.step == 6:
            gate.touch()
            __import__("time").sleep(600)
        plain(self, rows)

    training_torch.TextTrainer._step = step
    loop.CHECKPOINT_EVERY = 0.0
    task = tasks.topics("en", train=64)
    methods.fine_tune(encoders.english_bert(), task, epochs=3, batch_size=16, checkpoint=path)
"""


def test_a_kill_in_mid_epoch_changes_nothing(encoder, task, tmp_path: Path, monkeypatch) -> None:
    """Begun in a process that is killed in the second epoch, ended in this one."""
    gate, path = tmp_path / "gate", tmp_path / "run.checkpoint"
    command = [sys.executable, "-c", textwrap.dedent(RUN), str(gate), str(path)]
    process = subprocess.Popen(command, env={**os.environ, "COURSE_PROGRESS": "0"})
    until = time.monotonic() + 300
    while not gate.exists():
        assert process.poll() is None and time.monotonic() < until, "the run ended before it could be killed"
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    straight = methods.fine_tune(encoder, task, epochs=3, batch_size=16)
    steps = []
    plain = training_torch.TextTrainer._step
    monkeypatch.setattr(
        training_torch.TextTrainer, "_step", lambda self, rows: steps.append(rows) or plain(self, rows)
    )
    resumed = methods.fine_tune(encoder, task, epochs=3, batch_size=16, checkpoint=path)
    assert len(steps) == 3 * 4 - 6, "what was done before the kill is not done again"
    assert same(resumed.own, straight.own)
    assert [h["loss"] for h in resumed.history] == [h["loss"] for h in straight.history]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("method", ["lora", "bitfit"])
def test_few_parameters_resume_to_the_same_bits(encoder, task, tmp_path, monkeypatch, method) -> None:
    options = {"freeze_to": 2, "epochs": 2, "batch_size": 16}
    straight = getattr(methods, method)(encoder, task, **options)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 0.0)

    class PowerCut(Exception):
        pass

    plain = training_torch.TextTrainer._step

    def step(self, rows):
        if self.done.step == 6:
            raise PowerCut
        plain(self, rows)

    path = tmp_path / "run.checkpoint"
    with monkeypatch.context() as patch:
        patch.setattr(training_torch.TextTrainer, "_step", step)
        with pytest.raises(PowerCut):
            getattr(methods, method)(encoder, task, **options, checkpoint=path)
    resumed = getattr(methods, method)(encoder, task, **options, checkpoint=path)
    assert same(resumed.own, straight.own)
    assert [h["loss"] for h in resumed.history] == [h["loss"] for h in straight.history]
    assert path.stat().st_size < 4_000_000, "a checkpoint holds what is trained"


def test_a_finished_checkpoint_is_the_result(encoder, task, tuned, tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.checkpoint"
    first = methods.fine_tune(encoder, task, **SETTINGS, checkpoint=path)

    def never(self, rows):
        raise AssertionError("trained again")

    monkeypatch.setattr(training_torch.TextTrainer, "_step", never)
    again = methods.fine_tune(encoder, task, **SETTINGS, checkpoint=path)
    assert same(first.weights, again.weights) and same(first.weights, tuned.weights)
    assert again.parameters_trained == first.parameters_trained


def test_a_checkpoint_of_another_run_is_refused(encoder, task, tmp_path) -> None:
    path = tmp_path / "run.checkpoint"
    options = {**SETTINGS, "epochs": 1}
    methods.fine_tune(encoder, task, **options, checkpoint=path)
    others = [
        (encoder, task, {**options, "epochs": 2}),
        (encoders.english_bert(pooling="cls"), task, options),
        (encoders.english_bert(weights="random"), task, options),
        (encoder, replace(task, train=task.train.take(np.arange(63))), options),
    ]
    for other, on, settings in others:
        with pytest.raises(BadInput, match="other settings, data or network"):
            methods.fine_tune(other, on, **settings, checkpoint=path)


def test_an_interrupt_keeps_the_best_so_far(encoder, task, monkeypatch) -> None:
    plain = training_torch.TextTrainer._step

    def interrupted(self, rows):
        if self.done.step == self.steps + 1:
            raise KeyboardInterrupt
        plain(self, rows)

    monkeypatch.setattr(training_torch.TextTrainer, "_step", interrupted)
    with pytest.warns(RuntimeWarning, match="interrupted in epoch 2 of 4"):
        tuned = methods.fine_tune(encoder, task, **{**SETTINGS, "epochs": 4})
    assert tuned.interrupted and len(tuned.history) == 1
    assert tuned.predict(task.test).shape == (60,)


# -- what goes wrong --------------------


def test_a_loss_that_runs_away_keeps_the_last_good_weights(encoder, task, monkeypatch) -> None:
    plain = TextBody.features
    calls = []

    def poisoned(self, batch):
        features = plain(self, batch)
        calls.append(self.upper.training)
        return features * float("nan") if sum(calls) == 6 and self.upper.training else features

    monkeypatch.setattr(TextBody, "features", poisoned)
    with pytest.raises(Diverged, match=r"nan in step 6 of 8.*\n.*Lower learning_rate") as caught:
        methods.fine_tune(encoder, task, **SETTINGS)
    assert np.isfinite(caught.value.last_good.predict_proba(task.test)).all()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    ],
)
def test_out_of_memory_says_what_to_lower(encoder, task, tuned, monkeypatch, error) -> None:
    before = tuned.predict_proba(task.test)
    with monkeypatch.context() as patch:

        def full(self, rows):
            raise error

        patch.setattr(training_torch.TextTrainer, "loss", full)
        with pytest.raises(OutOfMemory, match=r"batches of 16 of up to \d+ tokens.*\n.*Lower batch_size"):
            methods.fine_tune(encoder, task, **{**SETTINGS, "init": "random"})
    assert np.array_equal(tuned.predict_proba(task.test), before), "an earlier fit must not suffer"


def test_other_errors_are_not_called_a_lack_of_memory(encoder, task, monkeypatch) -> None:
    def broken(self, rows):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(training_torch.TextTrainer, "loss", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        methods.fine_tune(encoder, task, **SETTINGS)


def test_the_audit_notices_a_frozen_weight_that_moves(task, monkeypatch) -> None:
    encoder = encoders.english_bert(weights="random")  # its memory is spoilt here
    plain = training_torch.TextTrainer.learn

    def careless(self, rows, rate):
        with torch.no_grad():
            encoder.model.get_input_embeddings().weight[0, 0] += 1e-4
        return plain(self, rows, rate)

    monkeypatch.setattr(training_torch.TextTrainer, "learn", careless)
    with pytest.raises(AuditFailed, match="declared frozen have moved: embeddings/word_embeddings"):
        methods.fine_tune(encoder, task, freeze_to=4, epochs=1, batch_size=32)


def test_the_audit_notices_a_weight_that_stays(encoder, task, monkeypatch) -> None:
    plain = training_torch.TextTrainer._groups

    def forgetful(self):
        groups = plain(self)
        groups[0]["params"] = groups[0]["params"][1:]
        return groups

    monkeypatch.setattr(training_torch.TextTrainer, "_groups", forgetful)
    with pytest.raises(AuditFailed, match="declared trained have not moved"):
        methods.fine_tune(encoder, task, freeze_to=4, epochs=1, batch_size=32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_to": 9}, "whose 6 layers are 0 to 5"),
        ({"freeze_to": 5}, "Give 0 to 4"),
        ({"freeze_to": "layer3"}, "'embeddings' for all layers"),
        ({"embeddings": "trained"}, "Give freeze_to=None"),
        ({"embeddings": "half"}, "frozen, trained"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"precision": "float16"}, "float32, bfloat16"),
        ({"class_weight": [1.0]}, "expected 16 positive numbers"),
        ({"patience": 0}, "patience=0"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"batch_norm": "frozen"}, "batch_norm is no setting here"),
    ],
)
def test_settings_out_of_range(encoder, task, settings, message) -> None:
    with pytest.raises(BadInput, match=message):
        methods.fine_tune(encoder, task, **{**SETTINGS, **settings})


def test_tasks_that_cannot_be_trained(encoder, task) -> None:
    with pytest.raises(BadInput, match="needs two classes"):
        methods.fine_tune(encoder, replace(task, train=replace(task.train, y=np.zeros(64, np.int64))))
    empty = replace(task, validation=task.validation.take(np.arange(0)))
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.fine_tune(encoder, empty)
    x = task.train.x.copy()
    x[3] = float("nan")
    with pytest.raises(BadInput, match="Row 3 holds nan"):
        methods.fine_tune(encoder, replace(task, train=replace(task.train, x=x)))
    wide = methods.linear_probe(encoder.with_layer("all"), task)
    with pytest.raises(BadInput, match="has a head of"):
        methods.fine_tune(encoder, task, init=wide)


def test_pictures_and_sentences_are_not_mixed_up(encoder, task) -> None:
    with pytest.raises(BadInput, match=r"holds pictures; .* reads sentences"):
        methods.fine_tune(encoder, tasks.solar_cells("mono", train=20))
    with pytest.raises(BadInput, match=r"holds sentences; .* reads pictures"):
        methods.fine_tune(encoders.imagenet(64), task)
    with pytest.raises(BadInput, match="no network that could be trained"):
        methods.fine_tune(methods.linear_probe(encoder, task), task)


def test_weights_of_another_network(tuned) -> None:
    other = dict(tuned.weights)
    other["classifier/bias"] = np.zeros(5, np.float32)
    with pytest.raises(BadInput, match="Weights of another network: classifier/bias"):
        tuned.with_weights(other)
    below = dict(tuned.weights)
    below["layer0/output.dense.bias"] = below["layer0/output.dense.bias"] + 1
    with pytest.raises(BadInput, match=r"layer0/output\.dense\.bias is in the frozen part"):
        tuned.with_weights(below)


def test_a_batch_larger_than_the_data_shrinks(encoder, task) -> None:
    tuned = methods.fine_tune(encoder, task, freeze_to=4, epochs=1, batch_size=1000)
    assert tuned.audit.ok and len(tuned.history) == 1
    one = methods.fine_tune(encoder, task.subset(16), freeze_to=4, epochs=1, batch_size=1)
    assert np.isfinite(one.history[0]["loss"])


def test_bodies_are_given_back(encoder, task, tuned) -> None:
    before = tuned.logits(task.test)
    forget_bodies()
    assert np.array_equal(tuned.logits(task.test), before)
    source = Source(tuned.body, encoder.tokenized(task.test), keep=True)
    assert np.abs(tuned.body.logits(source) - before).max() < 1e-4
