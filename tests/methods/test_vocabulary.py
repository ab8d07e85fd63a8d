"""A new vocabulary on an old body: nothing of the body moves, and an English classifier reads Chinese."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from course_lib import encoders, measure, methods, tasks
from course_lib.encoders.packaged import weights_file
from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import AuditFailed, BadInput
from course_lib.methods import training_masked

TRAINING = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu"}
TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def english():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def pairs():
    whole = tasks.parallel_sentences()
    return {part: whole.part(part) for part in ("train", "validation", "test")}


@pytest.fixture(scope="module")
def glosses(pairs):
    return tasks.glosses(pairs["train"])


@pytest.fixture(scope="module")
def vocabulary(english, pairs, glosses):
    return methods.new_vocabulary(english, pairs["train"].chinese, glosses=glosses)


@pytest.fixture(scope="module")
def small(pairs):
    return pairs["train"].chinese[:96], pairs["validation"].chinese[:48]


@pytest.fixture(scope="module")
def learnt(english, small, glosses):
    return methods.new_vocabulary(english, small[0], glosses=glosses, validation=small[1], **TRAINING)


@pytest.fixture(scope="module")
def probe(english):
    return methods.linear_probe(english, tasks.topics("en"))


def body(encoder) -> dict[str, np.ndarray]:
    named = encoder.model.named_parameters()
    return {name: p.detach().numpy().copy() for name, p in named if name != TABLE}


def published() -> dict[str, np.ndarray]:
    """Return the body as it stands in the published file, whatever happened in memory since."""
    left_out = (TABLE, "embeddings.position_ids", "pooler.")
    state = load_file(weights_file("all-minilm-l6-v2"))
    return {name: array for name, array in state.items() if not name.startswith(left_out)}


def own_network(encoder: TextEncoder) -> TextEncoder:
    """Return the encoder with a network in memory of its own, to be spoilt."""
    return TextEncoder(
        "own",
        source="own",
        load=lambda: Loaded(encoder.network_copy().eval(), encoder.tokenizer),
        width=encoder.width,
        depth=encoder.depth,
    )


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# -- what moves, and what does not --------------------


def test_the_body_is_the_published_one_bit_for_bit(vocabulary, learnt) -> None:
    for one in (vocabulary, learnt):
        assert same(body(one.encoder), published())
        assert one.audit.ok
        assert one.encoder.model.get_input_embeddings().weight.shape == (len(one.pieces), 384)
    assert vocabulary.audit.moved == 0 and learnt.audit.moved == 1


def test_the_old_encoder_keeps_its_words_and_its_body(english, learnt, vocabulary) -> None:
    task = tasks.topics("zh", train=64)
    for settings in ({"freeze_to": 4}, {"freeze_to": None, "embeddings": "trained"}):
        tuned = methods.fine_tune(vocabulary.encoder, task, epochs=1, learning_rate=1e-3, **settings)
        assert tuned.audit.ok and tuned.audit.moved and vocabulary.audit.ok
    old = load_file(weights_file("all-minilm-l6-v2"))[TABLE]
    assert np.array_equal(english.model.get_input_embeddings().weight.detach().numpy(), old)
    assert same(body(english), published())
    assert english.tokens("tea") == ["tea"] and english.model.config.vocab_size == len(old)


def test_a_body_that_was_moved_is_found(english, small, glosses) -> None:
    again = methods.new_vocabulary(english, small[0], glosses=glosses)
    assert again.audit.ok
    with torch.no_grad():
        again.encoder.model.get_parameter("encoder.layer.3.output.dense.bias").add_(1e-4)
    assert not again.audit.ok
    with pytest.raises(AuditFailed, match="layer3"):
        again.audit.check()
    assert same(body(english), published()), "the old one has a body of its own"


def test_words_that_move_behind_one_s_back_are_found_too(english, small, glosses) -> None:
    again = methods.new_vocabulary(english, small[0], glosses=glosses)
    with torch.no_grad():
        again.encoder.model.get_input_embeddings().weight[7].add_(1e-4)
    with pytest.raises(AuditFailed, match="word_embeddings"):
        again.audit.check()


def test_an_old_body_that_moves_before_the_new_words_are_put_on_it_is_found(english, small) -> None:
    own = own_network(english)
    again = methods.new_vocabulary(own, small[0], start="random")
    with torch.no_grad():
        own.model.get_parameter("encoder.layer.2.output.dense.bias").add_(1e-4)
    with pytest.raises(AuditFailed, match="layer2"):
        again.audit.check()


def test_rows_of_shared_pieces_are_the_old_ones(english, small, glosses) -> None:
    begun = methods.new_vocabulary(english, small[0], glosses=glosses, start="overlap")
    old, numbers = english.model.get_input_embeddings().weight.detach().numpy(), english.tokenizer.get_vocab()
    shared = np.flatnonzero(begun.origins == "overlap")
    assert len(shared) > 100
    assert set(shared) >= {n for n, piece in enumerate(begun.pieces) if n > 4 and piece in numbers}
    assert np.array_equal(begun.table[shared], old[[numbers[begun.pieces[n]] for n in shared]])


def test_training_that_moves_the_body_is_refused(english, small, monkeypatch) -> None:
    plain = training_masked.MaskedTrainer.loss

    def meddling(self, rows):
        with torch.no_grad():
            self.body.parameters["layer5/output.dense.bias"].add_(1e-3)
        return plain(self, rows)

    monkeypatch.setattr(training_masked.MaskedTrainer, "loss", meddling)
    with pytest.raises(AuditFailed, match="layer5"):
        methods.new_vocabulary(english, small[0][:16], start="random", validation=small[1], **TRAINING)


def test_learning_moves_the_words_that_occur_and_the_head(learnt) -> None:
    moved = (learnt.table != learnt.first).any(axis=1)
    assert np.array_equal(np.flatnonzero(moved), learnt.trained.pieces)
    assert {name.partition("/")[0] for name in learnt.trained.weights} <= {"embeddings", "head", "rows"}
    assert not moved[: len(("pad", "unk", "cls", "sep", "mask"))].any()
    assert learnt.history[-1]["loss"] < learnt.history[0]["loss"]
    assert learnt.parameters_trained >= learnt.trained.pieces.size * 384


def test_a_head_of_the_old_language_is_used_and_stays(english, pairs, small, glosses) -> None:
    text = (pairs["train"].english[:64], pairs["validation"].english[:32])
    head = methods.mlm_head(english, text[0], validation=text[1], epochs=1, device="cpu")
    tied = methods.new_vocabulary(
        english, small[0][:32], glosses=glosses, validation=small[1][:16], head=head, **TRAINING
    )
    for name in ("head/dense.weight", "head/LayerNorm.bias"):
        assert np.array_equal(tied.trained.weights[name], head.weights[name])
    assert tied.parameters_trained == tied.trained.pieces.size * (384 + 1)


# -- where it begins --------------------


def test_special_tokens_are_the_old_ones(vocabulary, english) -> None:
    old = english.model.get_input_embeddings().weight.detach().numpy()
    for role in ("pad", "unk", "cls", "sep", "mask"):
        new = vocabulary.tokenizer.convert_tokens_to_ids(getattr(vocabulary.tokenizer, f"{role}_token"))
        row = english.tokenizer.convert_tokens_to_ids(getattr(english.tokenizer, f"{role}_token"))
        assert np.array_equal(vocabulary.table[new], old[row])


def test_a_gloss_leads_to_the_old_word(vocabulary, english) -> None:
    old = english.model.get_input_embeddings().weight.detach().numpy()
    units = old / np.linalg.norm(old, axis=1, keepdims=True)
    for chinese, word in (("老师", "teacher"), ("医院", "hospital"), ("星期", "week")):
        row = vocabulary.table[vocabulary.tokenizer.convert_tokens_to_ids(chinese)]
        assert english.tokenizer.convert_ids_to_tokens(int((units @ row).argmax())) == word


def test_shares_of_starts_and_repetition(english, pairs, glosses, vocabulary) -> None:
    assert sum(vocabulary.start_shares.values()) == pytest.approx(1)
    assert next(iter(vocabulary.start_shares)) == "gloss" and vocabulary.start_shares["gloss"] > 0.6
    again = methods.new_vocabulary(english, pairs["train"].chinese, glosses=glosses)
    assert np.array_equal(again.table, vocabulary.table) and again.encoder.key == vocabulary.encoder.key
    other = methods.new_vocabulary(english, pairs["train"].chinese, glosses=glosses, seed=1)
    assert other.encoder.key != vocabulary.encoder.key
    random = vocabulary.origins == "random"
    assert np.array_equal((other.table != vocabulary.table).any(axis=1), random)


# -- what it is good for --------------------


def test_an_english_classifier_reads_chinese(probe, vocabulary, english, pairs, glosses) -> None:
    test = tasks.topics("zh").test
    before = np.mean(probe.predict(test) == test.y)
    carried = methods.carried_over(probe, vocabulary)
    after = np.mean(carried.predict(test) == test.y)
    assert before < 0.25 and after > 0.4
    random = methods.new_vocabulary(english, pairs["train"].chinese, glosses=glosses, start="random")
    assert np.mean(methods.carried_over(probe, random).predict(test) == test.y) < 0.25
    features = vocabulary.encoder.encode(test, cache=False, progress=False)
    logits = features.astype(np.float64) @ probe.head.weights + probe.head.bias
    by_hand = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(carried.predict_proba(test), by_hand, atol=1e-5)


def test_sentences_find_their_translations(vocabulary, english, pairs) -> None:
    test = pairs["test"]
    found = measure.retrieval(
        vocabulary.encoder.encode(test.chinese), english.encode(test.english), same=test.english
    )
    assert found.accuracy.value > 0.5 > 0.1 > 20 / len(test)


def test_a_fine_tuned_classifier_is_carried_over_with_its_own_body(vocabulary, english) -> None:
    task = tasks.topics("en", train=64)
    tuned = methods.fine_tune(english, task, freeze_to=4, epochs=1, batch_size=32, learning_rate=1e-3)
    carried = methods.carried_over(tuned, vocabulary)
    weights = dict(carried.encoder.model.named_parameters())
    own = tuned.weights["layer5/output.dense.weight"]
    assert np.array_equal(weights["encoder.layer.5.output.dense.weight"].detach().numpy(), own)
    assert np.array_equal(carried.head.weights, tuned.head.weights)
    assert carried.task_name == task.name and carried.class_names == task.class_names
    text = tasks.topics("zh").test.x[:8]
    features = vocabulary.on(tuned.encoder).encode(text, cache=False, progress=False)
    assert np.allclose(carried.predict_proba(text), tuned.head.predict_proba(features), atol=1e-6)


def test_odd_texts_can_be_read(probe, vocabulary) -> None:
    carried = methods.carried_over(probe, vocabulary)
    texts = np.array(["😀", "老师" * 50_000, "Привет, 老師！", "ＷｉＦｉ"], dtype=object)
    found = carried.predict_proba(texts)
    assert found.shape == (4, 16) and np.isfinite(found).all()


# -- on disk --------------------

READ = """
    import sys
    import numpy as np
    from course_lib import methods

    texts = np.array(["我的老师喜欢喝茶。", "今天天气很好", "😀"], dtype=object)
    for folder in sys.argv[1:]:
        vocabulary = methods.load(f"{folder}/words.safetensors")
        classifier = methods.load(f"{folder}/head.safetensors", vocabulary.encoder)
        assert vocabulary.audit.ok
        np.save(f"{folder}/said.npy", classifier.predict_proba(texts))
"""


def test_equal_answers_in_a_new_process(vocabulary, learnt, probe, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    texts = np.array(["我的老师喜欢喝茶。", "今天天气很好", "😀"], dtype=object)
    said = {}
    for name, one in (("begun", vocabulary), ("learnt", learnt)):
        carried = methods.carried_over(probe, one)
        methods.save(one, tmp_path / name / "words.safetensors")
        methods.save(carried, tmp_path / name / "head.safetensors")
        said[str(tmp_path / name)] = carried.predict_proba(texts)
    command = [sys.executable, "-c", textwrap.dedent(READ), *said]
    elsewhere = {"COURSE_CACHE": str(tmp_path / "other cache"), "COURSE_PROGRESS": "0"}  # no feature is found
    subprocess.run(command, env={**os.environ, **elsewhere}, check=True)
    for folder, expected in said.items():
        assert np.array_equal(np.load(f"{folder}/said.npy"), expected)
    assert not np.array_equal(*said.values())


def test_the_story_is_kept(learnt, english, tmp_path) -> None:
    again = methods.load(methods.save(learnt, tmp_path / "words.safetensors"), english)
    assert np.array_equal(again.table, learnt.table) and again.pieces == learnt.pieces
    assert again.encoder.key == learnt.encoder.key and again.name == learnt.name
    for what in ("history", "parameters_trained", "seconds", "start_shares"):
        assert getattr(again, what) == getattr(learnt, what), what
    assert again.trained.recipe == learnt.trained.recipe
    assert again.trained.encoder.key == learnt.trained.encoder.key
    assert str(again.trained.audit) == str(learnt.trained.audit)


def test_a_body_that_learnt_from_raw_text_has_a_file_too(english, pairs, tmp_path) -> None:
    text = (pairs["train"].english[:32], pairs["validation"].english[:16])
    settings = {"freeze_to": 4, "epochs": 1, "head_epochs": 0, "device": "cpu"}
    learnt = methods.continued_mlm(english, text[0], validation=text[1], **settings)
    again = methods.load(methods.save(learnt, tmp_path / "body.safetensors"))
    features = [one.encoder.encode(text[0], cache=False, progress=False) for one in (learnt, again)]
    assert np.array_equal(*features) and again.encoder.key == learnt.encoder.key
    assert again.history == learnt.history and again.recipe == learnt.recipe


# -- bad input --------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "dictionary"}, "start='dictionary'"),
        ({"glosses": None}, "no glosses were given"),
        ({"glosses": {"老师": "teacher"}}, "glosses of '老师' are one text"),
        ({"epochs": 1}, "without validation"),
        ({"epochs": -1}, "epochs=-1"),
        ({"epochs": 1.5}, r"epochs=1\.5"),
        ({"sentences": []}, "no sentences"),
        ({"sentences": ["好", float("nan")]}, "Row 1"),
        ({"mask_share": 2.0, "epochs": 1, "validation": ["好"]}, "mask_share"),
    ],
)
def test_what_cannot_be_is_said_in_words(english, pairs, glosses, given, message) -> None:
    arguments = {"sentences": pairs["train"].chinese[:20], "glosses": glosses, **given}
    with pytest.raises(BadInput, match=message):
        methods.new_vocabulary(english, arguments.pop("sentences"), **arguments)


def test_encoders_of_other_words_are_refused(vocabulary, probe) -> None:
    other = encoders.multilingual_bert()
    with pytest.raises(BadInput, match="other words or another width"):
        vocabulary.on(other)
    with pytest.raises(BadInput, match="expected a BERT"):
        methods.new_vocabulary(encoders.imagenet(64), ["好"], start="random")


def test_a_head_of_another_network_is_refused(english, pairs, small) -> None:
    other = english.with_layer(3)
    text = (pairs["train"].english[:16], pairs["validation"].english[:8])
    settings = {"epochs": 1, "head_epochs": 0, "freeze_to": 1, "device": "cpu"}
    moved = methods.continued_mlm(other, text[0], validation=text[1], **settings)
    head = methods.mlm_head(moved.encoder, text[0], validation=text[1], epochs=1, device="cpu")
    with pytest.raises(BadInput, match="The head was learnt on"):
        methods.new_vocabulary(
            english, small[0], start="random", validation=small[1], head=head, epochs=1, device="cpu"
        )


def test_a_head_fits_the_body_that_it_was_learnt_with(english, pairs, small) -> None:
    """Not the one before it moved, and not another layer."""
    text, held = pairs["train"].english[:32], pairs["validation"].english[:16]
    settings = {"epochs": 1, "head_epochs": 0, "freeze_to": 4, "learning_rate": 1e-3, "device": "cpu"}
    moved = methods.continued_mlm(english, text, validation=held, **settings)
    lower = methods.mlm_head(english.with_layer(3), text, validation=held, epochs=1, device="cpu")
    given = {"start": "random", "epochs": 1, "validation": small[1], "device": "cpu"}
    for head in (moved, lower):
        with pytest.raises(BadInput, match="The head was learnt on"):
            methods.new_vocabulary(english, small[0][:16], head=head, **given)
    words = methods.new_vocabulary(moved.encoder, small[0][:16], head=moved, **given)
    assert words.audit.ok and same(body(words.encoder), body(moved.encoder))


def test_glosses_of_words_that_become_one_in_normal_form(english) -> None:
    wide = methods.new_vocabulary(english, ["Ａ级"], glosses={"Ａ级": ["first class"], "A级": ["top"]})
    once = methods.new_vocabulary(english, ["a级"], glosses={"a级": ["first class", "top"]})
    assert wide.pieces == once.pieces and np.array_equal(wide.table, once.table)
    assert wide.origins[wide.pieces.index("a级")] == "gloss"


def test_what_has_no_linear_head_on_sentences_is_refused(vocabulary) -> None:
    with pytest.raises(BadInput, match="no sentence encoder with a linear head"):
        methods.carried_over(methods.majority(tasks.topics("en")), vocabulary)
