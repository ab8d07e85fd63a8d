"""Masked-language modelling: masks as published, transformers' loss, a kill changes nothing."""

from __future__ import annotations

import json
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

from course_lib import encoders, methods, tasks
from course_lib.encoders.text import Tokens
from course_lib.errors import AuditFailed, BadInput, Diverged
from course_lib.methods import training_masked
from course_lib.methods.body_torch import ROWS
from course_lib.methods.masked_body import HEAD_BIAS, MaskedBody, new_head
from course_lib.methods.masking import Masker, first_place, masker_of, pieces_in
from course_lib.methods.recipe_masked import MaskedRecipe

SETTINGS = {"freeze_to": 4, "epochs": 2, "head_epochs": 1, "batch_size": 16, "device": "cpu"}
SPECIAL = (0, 1, 2, 3, 4)  # in the made-up sentences: padding, unknown, start, end, mask
MASK = 4


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def text():
    pairs = tasks.parallel_sentences()
    return pairs.part("train").english[:96], pairs.part("validation").english[:32]


@pytest.fixture(scope="module")
def learnt(encoder, text):
    return methods.continued_mlm(encoder, text[0], validation=text[1], **SETTINGS)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# -- masks --------------------


@pytest.fixture(scope="module")
def masker() -> Masker:
    """20,000 places of 100 kinds, between start and end, unknown pieces and a prefix of two among them."""
    rng = np.random.default_rng(0)
    ids = []
    for length in rng.integers(1, 40, 1000):
        own = rng.integers(5, 105, length)
        own[1:][rng.random(length - 1) < 0.1] = 1
        ids.append(np.concatenate([[2, 5, 6], own, [3]]))
    return Masker(Tokens(ids, None), np.arange(5, 105), mask=MASK, begin=3)


def test_four_fifths_are_hidden_a_tenth_replaced_a_tenth_left(masker) -> None:
    rows = np.arange(len(masker.lengths))
    hidden = replaced = left = 0
    for seed in range(5):
        seen = masker(rows, np.random.default_rng(seed))
        shown = np.array([seen.tokens.ids[r][p] for r, p in zip(seen.rows, seen.places, strict=True)])
        truth = masker.pieces[seen.targets]
        hidden += int((shown == MASK).sum())
        left += int((shown == truth).sum())
        replaced += int(((shown != MASK) & (shown != truth)).sum())
    n = hidden + replaced + left
    spread = 4 * np.sqrt(0.1 * 0.9 / n)
    assert n > 12_000
    assert abs(hidden / n - 0.8) < 4 * np.sqrt(0.16 / n)
    assert (
        abs(replaced / n - 0.1 * 99 / 100) < spread
    )  # one in a hundred random pieces is the one that stood there
    assert abs(left / n - (0.1 + 0.1 / 100)) < spread


def test_fifteen_per_cent_of_each_sentence_and_one_at_least(masker) -> None:
    seen = masker(np.arange(len(masker.lengths)), np.random.default_rng(0))
    for row in range(len(masker.lengths)):
        can = int((masker.tokens.ids[row][3:] >= 5).sum())
        assert (seen.rows == row).sum() == max(1, round(0.15 * can + 1e-9))
    assert np.array_equal(np.unique(np.stack([seen.rows, seen.places]), axis=1).shape[1], len(seen.rows))


def test_every_place_is_chosen_equally_often(masker) -> None:
    row = int(np.argmax(masker.lengths))
    can = 3 + np.flatnonzero(masker.tokens.ids[row][3:] >= 5)
    places = np.concatenate([masker(np.array([row]), np.random.default_rng(s)).places for s in range(2000)])
    counts = np.array([(places == place).sum() for place in can])
    expected = len(places) / len(can)
    assert np.square(counts - expected).sum() / expected < 2 * len(can)  # chi-squared: about its degrees


def test_special_and_unknown_tokens_and_the_prefix_are_never_chosen(masker) -> None:
    seen = masker(np.arange(len(masker.lengths)), np.random.default_rng(1), hidden=1.0)
    for row, (before, after) in enumerate(zip(masker.tokens.ids, seen.tokens.ids, strict=True)):
        changed = np.flatnonzero(before != after)
        assert np.array_equal(changed, seen.places[seen.rows == row]), (
            "all chosen show the mask, no other moved"
        )
        assert not np.isin(before[changed], SPECIAL).any()
        assert (changed >= 3).all()


def test_what_is_hidden_cannot_be_seen_and_the_sentences_stay(masker) -> None:
    before = [ids.copy() for ids in masker.tokens.ids]
    seen = masker(np.arange(50), np.random.default_rng(1), hidden=1.0)
    assert all(seen.tokens.ids[r][p] == MASK for r, p in zip(seen.rows, seen.places, strict=True))
    truth = [masker.tokens.ids[r][p] for r, p in zip(seen.rows, seen.places, strict=True)]
    assert masker.pieces[seen.targets].tolist() == truth
    assert all(np.array_equal(a, b) for a, b in zip(before, masker.tokens.ids, strict=True))


def test_masks_differ_from_step_to_step_and_repeat_with_the_seed(masker) -> None:
    rows = np.arange(50)
    a, b, c = (masker(rows, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(a.places, b.places) and all(map(np.array_equal, a.tokens.ids, b.tokens.ids))
    assert not np.array_equal(a.places, c.places)


def test_the_prefix_of_a_real_encoder_is_left_alone() -> None:
    e5 = encoders.multilingual_bert()
    texts = tasks.parallel_sentences().chinese[:40]
    tokens = e5.tokenized(texts)
    bare = encoders.multilingual_bert(prefix="").tokenized(texts)
    begin = first_place(e5)
    assert all(len(a) - begin == len(b) - 1 for a, b in zip(tokens.ids, bare.ids, strict=True))
    pieces, counts = pieces_in(e5, tokens)
    seen = masker_of(e5, tokens, pieces, 0.9)(np.arange(40), np.random.default_rng(0), hidden=1.0)
    prefix = tokens.ids[0][:begin]
    assert all(np.array_equal(ids[:begin], prefix) for ids in seen.tokens.ids)
    plain = np.concatenate([ids[1:-1] for ids in bare.ids])
    assert counts.sum() == len(plain) - np.isin(plain, e5.tokenizer.all_special_ids).sum()


# -- the loss --------------------


def built(encoder, body: MaskedBody):
    """Return transformers' own masked language model with the same weights, all other words forbidden."""
    from transformers import BertForMaskedLM

    reference = BertForMaskedLM(encoder.model.config).eval()
    reference.bert.load_state_dict(encoder.model.state_dict())
    head = {name: p.detach() for name, p in body.head.items()}
    bias = torch.full((encoder.model.config.vocab_size,), -1e9)
    bias[torch.from_numpy(body.pieces)] = head[HEAD_BIAS]
    transform = reference.cls.predictions.transform
    with torch.no_grad():
        transform.dense.weight.copy_(head["head/dense.weight"])
        transform.dense.bias.copy_(head["head/dense.bias"])
        transform.LayerNorm.weight.copy_(head["head/LayerNorm.weight"])
        transform.LayerNorm.bias.copy_(head["head/LayerNorm.bias"])
        reference.cls.predictions.decoder.weight.copy_(encoder.model.get_input_embeddings().weight)
        reference.cls.predictions.bias.copy_(bias)
        reference.cls.predictions.decoder.bias.copy_(bias)
    return reference


def test_loss_and_gradient_are_those_of_transformers(encoder, text) -> None:
    tokens = encoder.tokenized(text[0])
    pieces, counts = pieces_in(encoder, tokens)
    recipe = MaskedRecipe(freeze_to=None, dropout=0.0)
    body = MaskedBody(encoder, recipe, pieces, counts)
    body.declare(recipe)
    with torch.no_grad():
        for p in body.head.values():  # a head as it is after training, not as it begins
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    masked = masker_of(encoder, tokens, pieces, 0.15)(np.arange(24), np.random.default_rng(0))
    loss = torch.nn.functional.cross_entropy(body.guesses(masked), torch.from_numpy(masked.targets))
    loss.backward()

    reference = built(encoder, body)
    batch = masked.tokens.padded(range(24), 0)
    labels = torch.full(batch["input_ids"].shape, -100)
    labels[masked.rows, masked.places] = torch.from_numpy(pieces[masked.targets])
    answer = reference(**batch, labels=labels)
    answer.loss.backward()
    assert float(loss.detach()) == pytest.approx(float(answer.loss.detach()), abs=2e-5)

    full = answer.logits[masked.rows, masked.places].detach()
    assert torch.allclose(body.guesses(masked).detach(), full[:, pieces], atol=2e-4), (
        "the full table, restricted"
    )
    mine = body.parameters["layer2/output.dense.weight"].grad
    assert torch.allclose(mine, reference.bert.encoder.layer[2].output.dense.weight.grad, atol=1e-5)
    assert float(mine.abs().max()) > 1e-3


def test_the_comparison_notices_another_head(encoder, text) -> None:
    tokens = encoder.tokenized(text[0])
    pieces, counts = pieces_in(encoder, tokens)
    body = MaskedBody(encoder, MaskedRecipe(), pieces, counts)
    masked = masker_of(encoder, tokens, pieces, 0.15)(np.arange(8), np.random.default_rng(0))
    reference = built(encoder, body)
    with torch.no_grad():
        body.head["head/LayerNorm.weight"].mul_(1.5)
        full = reference(**masked.tokens.padded(range(8), 0)).logits[masked.rows, masked.places][:, pieces]
        body.upper.eval()
        assert (body.guesses(masked) - full).abs().max() > 0.1


def test_a_new_head_begins_at_the_entropy_of_words(encoder, text) -> None:
    tokens = encoder.tokenized(text[0])
    pieces, counts = pieces_in(encoder, tokens)
    body = MaskedBody(encoder, MaskedRecipe(), pieces, counts)
    loss = body.judged(masker_of(encoder, tokens, pieces, 0.15))[1]
    share = (counts + 1) / (counts + 1).sum()
    entropy = -(counts / counts.sum() * np.log(share)).sum()
    assert abs(loss - entropy) < 0.7 < np.log(len(pieces)) - entropy
    table = encoder.model.get_input_embeddings().weight.detach().numpy()[pieces]
    assert new_head(table, counts, 0)["head/dense.weight"].std() == pytest.approx(0.02, rel=0.01)


# -- training --------------------


def test_everything_moved_as_declared_and_nothing_else(learnt, encoder) -> None:
    assert learnt.audit.ok and learnt.audit.moved == 16 + 5
    assert {name.partition("/")[0] for name in learnt.weights} == {"layer5", "head"}
    assert learnt.parameters_trained == sum(array.size for array in learnt.weights.values())
    assert [h["trained"] for h in learnt.history] == ["head", "all"]
    published = encoders.english_bert()
    a, b = encoder.model.named_parameters(), published.model.named_parameters()
    assert all(torch.equal(p, q) for (_, p), (_, q) in zip(a, b, strict=True))


def test_it_learns_to_guess(encoder, text) -> None:
    """By heart, until it knows more than how often each piece comes, with which a head starts."""
    few = text[0][:16]
    settings = {"epochs": 20, "head_epochs": 2, "learning_rate": 5e-4, "head_rate": 3e-3, "dropout": 0.0}
    eager = methods.continued_mlm(
        encoder, few, validation=few, freeze_to=3, batch_size=8, mask_share=0.3, device="cpu", **settings
    )
    _, counts = pieces_in(encoder, encoder.tokenized(few))
    shares = counts / counts.sum()
    entropy, commonest = -(shares * np.log(shares)).sum(), shares.max()
    first, last = eager.history[0], eager.history[-1]
    assert first["validation_loss"] > entropy - 0.3
    assert last["validation_loss"] < entropy - 0.7
    assert last["validation_accuracy"] > commonest + 0.05


def test_held_out_guesses_beat_the_commonest_piece(encoder) -> None:
    """A frozen body tells a head what surrounds a hidden piece, in sentences that it never saw."""
    pairs, rng = tasks.parallel_sentences(), np.random.default_rng(0)
    fit, held = (
        rng.permutation(pairs.part(part).english)[:n] for part, n in (("train", 256), ("validation", 128))
    )
    head = methods.mlm_head(encoder, fit, validation=held, epochs=1, batch_size=16, device="cpu")
    pieces, counts = pieces_in(encoder, encoder.tokenized(fit))
    there, often = pieces_in(encoder, encoder.tokenized(held))
    often = often * np.isin(there, pieces)  # others are never asked for
    commonest = often[there == pieces[counts.argmax()]].sum() / often.sum()
    assert head.history[head.epoch - 1]["validation_accuracy"] > commonest + 0.04


def test_the_new_encoder_takes_the_old_one_s_place(learnt, encoder) -> None:
    task = tasks.topics("en", train=64)
    task = replace(task, test=task.test.sample(40))
    before, after = (e.encode(task.test, cache=False, progress=False) for e in (encoder, learnt.encoder))
    assert learnt.epoch == 2 and before.shape == after.shape and np.abs(before - after).max() > 1e-4
    assert learnt.encoder.key != encoder.key and encoder.name in learnt.encoder.name
    probe = methods.linear_probe(learnt.encoder, task)
    tuned = methods.fine_tune(learnt.encoder, task, init=probe, freeze_to=4, epochs=1, device="cpu")
    assert probe.predict(task.test).shape == (40,) and tuned.audit.ok
    kept = dict(learnt.encoder.model.named_parameters())["encoder.layer.5.output.dense.weight"]
    assert np.array_equal(kept.detach().numpy(), learnt.weights["layer5/output.dense.weight"])


def test_a_head_alone_leaves_the_encoder_as_it_is(encoder, text) -> None:
    head = methods.mlm_head(encoder, text[0], validation=text[1], epochs=2, batch_size=16, device="cpu")
    assert head.encoder is encoder and set(head.weights) == set(head.head)
    assert head.audit.ok and head.audit.moved == 5 and len(head.history) == 2


def test_of_the_embeddings_those_that_occur_are_trained(encoder, text) -> None:
    settings = {**SETTINGS, "freeze_to": None, "embeddings": "trained", "epochs": 1, "head_epochs": 0}
    few = methods.continued_mlm(encoder, text[0][:16], validation=text[1], **settings)
    old, new = (e.model.get_input_embeddings().weight.detach().numpy() for e in (encoder, few.encoder))
    moved = np.flatnonzero((old != new).any(axis=1))
    if few.epoch:
        assert np.array_equal(moved, few.pieces)
    assert few.weights[ROWS].shape == (len(few.pieces), 384) and few.audit.ok


def test_same_seed_same_bits_another_seed_others(encoder, text, learnt) -> None:
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    again = methods.continued_mlm(encoder, text[0], validation=text[1], **SETTINGS)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left alone"
    assert same(again.weights, learnt.weights)
    other = methods.continued_mlm(encoder, text[0], validation=text[1], **{**SETTINGS, "seed": 1})
    assert not same(other.weights, learnt.weights)


def test_a_body_that_moves_behind_one_s_back_is_found(encoder, text, monkeypatch) -> None:
    plain = training_masked.MaskedTrainer.loss

    def meddling(self, rows):
        with torch.no_grad():
            self.body.parameters["layer5/output.dense.bias"].add_(1e-3)
        return plain(self, rows)

    monkeypatch.setattr(training_masked.MaskedTrainer, "loss", meddling)
    with pytest.raises(AuditFailed, match=r"layer5/output\.dense\.bias"):
        methods.mlm_head(encoder, text[0][:16], validation=text[1], epochs=1, device="cpu")


def test_a_loss_that_runs_away_keeps_what_was_learnt(encoder, text, monkeypatch) -> None:
    plain = training_masked.MaskedTrainer.loss

    def running(self, rows):
        return plain(self, rows) * (float("nan") if self.done.step == 7 else 1.0)

    monkeypatch.setattr(training_masked.MaskedTrainer, "loss", running)
    with pytest.raises(Diverged) as caught:
        methods.continued_mlm(encoder, text[0], validation=text[1], **SETTINGS)
    assert isinstance(caught.value.last_good, methods.PretrainedText)
    assert len(caught.value.last_good.history) == 1


# -- a kill --------------------

KILLED = {"freeze_to": 3, "epochs": 3, "head_epochs": 1, "batch_size": 16, "device": "cpu"}
AT = 6  # of 12 steps, in the middle of the second epoch

RUN = """
    import json
    import sys
    import time
    from pathlib import Path
    from course_lib import encoders, methods, tasks
    from course_lib.methods import loop, training_masked

    gate, path, at, settings = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    plain = training_masked.MaskedTrainer._step

    def step(self, rows):
        if self.done.step == at:
            gate.touch()
            time.sleep(600)
        plain(self, rows)

    training_masked.MaskedTrainer._step = step
    loop.CHECKPOINT_EVERY = 0.0
    text = tasks.parallel_sentences().english
    methods.continued_mlm(
        encoders.english_bert(), text[:64], validation=text[64:96], checkpoint=path, **settings
    )
"""


def test_a_kill_in_mid_epoch_changes_nothing(encoder, tmp_path: Path, monkeypatch) -> None:
    gate, path = tmp_path / "gate", tmp_path / "run.checkpoint"
    given = [str(gate), str(path), str(AT), json.dumps(KILLED)]
    environment = {**os.environ, "COURSE_PROGRESS": "0", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(RUN), *given], env=environment)
    until = time.monotonic() + 300
    while not gate.exists():
        assert process.poll() is None and time.monotonic() < until, "the run ended before it could be killed"
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()

    steps = []
    plain = training_masked.MaskedTrainer._step

    def counted(self, rows):
        steps.append(self.done.step)
        plain(self, rows)

    monkeypatch.setattr(training_masked.MaskedTrainer, "_step", counted)
    text = tasks.parallel_sentences().english
    fit, held = text[:64], text[64:96]
    resumed = methods.continued_mlm(encoder, fit, validation=held, checkpoint=path, **KILLED)
    assert steps == list(range(AT, 12)), "it went on from where it was killed"
    straight = methods.continued_mlm(encoder, fit, validation=held, **KILLED)
    assert len(steps) == 12 - AT + 12
    assert same(resumed.weights, straight.weights) and resumed.epoch == straight.epoch > 0


# -- bad input --------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask_share": 0.0}, "mask_share"),
        ({"mask_share": 1.0}, "mask_share"),
        ({"head_epochs": 5, "epochs": 2}, "head_epochs"),
        ({"head_rate": 0.0}, "head_rate"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"freeze_to": 5}, "freeze_to"),
        ({"embeddings": "trained"}, "embeddings"),
        ({"sentences": []}, "no training sentences"),
        ({"sentences": [["a pair", "of texts"]]}, "pairs"),
        ({"sentences": ["fine", float("nan")]}, "Row 1"),
        ({"sentences": ["你们", "这个"], "validation": ["Hello."]}, "None of"),
    ],
)
def test_what_cannot_be_is_said_in_words(encoder, text, given, message) -> None:
    arguments = {"sentences": text[0], "validation": text[1], "device": "cpu", **given}
    with pytest.raises(BadInput, match=message):
        methods.continued_mlm(encoder, arguments.pop("sentences"), **arguments)


def test_pictures_have_no_words_to_guess(text) -> None:
    with pytest.raises(BadInput, match="no sentence encoder"):
        methods.continued_mlm(encoders.imagenet(64), text[0], validation=text[1])


def test_a_checkpoint_of_other_text_is_refused(encoder, text, tmp_path) -> None:
    path = tmp_path / "run.checkpoint"
    settings = {"epochs": 1, "batch_size": 16, "device": "cpu", "checkpoint": path}
    methods.mlm_head(encoder, text[0][:32], validation=text[1], **settings)
    with pytest.raises(BadInput, match="other settings"):
        methods.mlm_head(encoder, text[0][32:64], validation=text[1], **settings)
