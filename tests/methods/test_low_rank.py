"""LoRA and BitFit: few parameters move, they are those that were said, and merging changes no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods.body_torch import TextBody
from course_lib.methods.fine_tune_torch import low_rank_terms
from course_lib.methods.low_rank import with_terms
from course_lib.methods.recipe_torch import TextRecipe

WIDTH, LAYERS, CLASSES = 384, 6, 16
HEAD = WIDTH * CLASSES + CLASSES


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def task():
    task = tasks.topics("en", train=64)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def lora(encoder, task):
    return methods.lora(encoder, task, rank=4, alpha=8, epochs=2, learning_rate=2e-3)


@pytest.fixture(scope="module")
def bitfit(encoder, task):
    return methods.bitfit(encoder, task, epochs=2)


def changed(tuned) -> set[str]:
    return {name for name in tuned.weights if not np.array_equal(tuned.weights[name], tuned.start[name])}


def test_lora_trains_its_terms_and_the_last_layer(lora) -> None:
    assert lora.parameters_trained == LAYERS * 2 * 4 * (WIDTH + WIDTH) + HEAD
    assert lora.audit.ok and lora.audit.moved == LAYERS * 2 * 2 + 2
    matrices = {f"layer{k}/attention.self.{m}.weight" for k in range(LAYERS) for m in ("query", "value")}
    assert set(lora.low_rank) == matrices
    assert changed(lora) == {*matrices, "classifier/kernel", "classifier/bias"}


def test_lora_s_change_has_the_rank_that_was_asked_for(lora) -> None:
    name = "layer2/attention.self.value.weight"
    change = (lora.weights[name] - lora.start[name]).astype(np.float64)
    values = np.linalg.svd(change, compute_uv=False)
    assert values[3] > 1e-4 and values[4] < 1e-3 * values[3]
    term = lora.low_rank[name]
    assert term.down.shape == (4, WIDTH) and term.up.shape == (WIDTH, 4) and term.scale == 2.0
    assert np.abs(change - 2.0 * term.up @ term.down).max() < 1e-6


def test_merging_is_peft_s_and_changes_no_answer(encoder, task) -> None:
    recipe = TextRecipe(
        trains="low rank", rank=4, alpha=8, targets=("query", "value"), freeze_to="embeddings"
    )
    body = with_terms(TextBody(encoder, recipe, CLASSES), recipe)
    moving = body.declare(recipe)
    with torch.no_grad():
        for name, parameter in body.parameters.items():
            if "lora_B" in name:
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    batch = encoder.tokenized(task.test).padded(np.arange(20), 0)
    body.upper.eval()
    with torch.inference_mode():
        before = body.features(batch).numpy()
    terms = low_rank_terms(body.current(moving), recipe)
    merged = body.upper.merge_and_unload()
    for name, term in terms.items():
        block, _, rest = name.partition("/")
        theirs = merged.encoder.layer[int(block.removeprefix("layer"))].get_parameter(rest).detach().numpy()
        assert np.abs(term.added_to(body.start[name]) - theirs).max() < 1e-6
    body.upper = merged
    with torch.inference_mode():
        assert np.abs(body.features(batch).numpy() - before).max() < 1e-5
        assert np.abs(encoder.encode(task.test.x[:20], cache=False, progress=False) - before).max() > 0.01


def test_lora_begins_at_the_published_network(encoder, task, lora) -> None:
    probe = methods.linear_probe(encoder, task)
    start = lora.with_weights(lora.start)
    assert np.abs(start.predict_proba(task.test) - probe.predict_proba(task.test)).max() < 1e-4


def test_lora_s_best_epoch_is_what_predicts(lora, task) -> None:
    kept = lora.chosen["epoch"]
    if kept:
        score = np.mean(lora.predict(task.validation) == task.validation.y)
        assert score == pytest.approx(lora.history[kept - 1]["validation_accuracy"], abs=1e-9)
    assert lora.history[-1]["loss"] < lora.history[0]["loss"]


def test_the_seed_decides_where_the_terms_begin(encoder, task, lora) -> None:
    options = {"rank": 4, "alpha": 8, "epochs": 2, "learning_rate": 2e-3}
    torch.manual_seed(99)
    again = methods.lora(encoder, task, **options)
    assert all(np.array_equal(again.weights[n], lora.weights[n]) for n in lora.own)
    other = methods.lora(encoder, task, **{**options, "epochs": 1}, seed=1)
    first = {n: np.abs(t.down).sum() for n, t in other.low_rank.items()}
    assert all(first[n] != np.abs(t.down).sum() for n, t in lora.low_rank.items())


def test_other_matrices_can_be_chosen(encoder, task) -> None:
    tuned = methods.lora(encoder, task, rank=2, targets="output.dense", freeze_to=3, epochs=1, batch_size=32)
    names = {f"layer{k}/{part}.dense.weight" for k in (4, 5) for part in ("attention.output", "output")}
    assert set(tuned.low_rank) == names
    with pytest.raises(BadInput, match=r"no matrix is called 'querry'.*\n.*query, key, value, dense"):
        methods.lora(encoder, task, targets=("querry",))


def test_bitfit_moves_biases_alone(bitfit) -> None:
    moved = changed(bitfit) - {"classifier/kernel"}
    assert moved == {n for n in bitfit.start if n.endswith("bias") and not n.startswith("embeddings")}
    assert bitfit.parameters_trained == LAYERS * (3 * 384 + 384 + 384 + 1536 + 384 + 384) + HEAD
    assert bitfit.audit.ok


def test_they_are_encoders_and_can_go_back_part_of_the_way(lora, bitfit, task) -> None:
    for tuned in (lora, bitfit):
        features = tuned.encoder.encode(task.test, cache=False, progress=False)
        assert np.abs(tuned.head.logits(features) - tuned.logits(task.test)).max() < 1e-4
        half = methods.wise_ft(tuned, 0.5)
        name = min(changed(tuned))
        assert np.allclose(half.weights[name], (tuned.start[name] + tuned.weights[name]) / 2, atol=1e-7)


def test_settings_that_belong_elsewhere(encoder, task) -> None:
    for method in (methods.lora, methods.bitfit):
        with pytest.raises(BadInput, match=r"embeddings is no setting here.*\n.*There are also: batch_size"):
            method(encoder, task, embeddings="trained")
    with pytest.raises(BadInput, match="rank=0"):
        methods.lora(encoder, task, rank=0)
    with pytest.raises(BadInput, match="no sentence encoder"):
        methods.lora(encoders.imagenet(64), task)


def test_our_count_is_peft_s(encoder) -> None:
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"])
    theirs, _ = get_peft_model(encoder.network_copy(), config).get_nb_trainable_parameters()
    recipe = TextRecipe(
        trains="low rank", rank=8, alpha=16, targets=("query", "value"), freeze_to="embeddings"
    )
    body = with_terms(TextBody(encoder, recipe, CLASSES), recipe)
    ours = sum(a.size for a in body.current(body.declare(recipe)).values())
    assert ours == theirs + HEAD
