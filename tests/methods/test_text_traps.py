"""Traps of text transfer with transformers 5: each is walked into, and something must notice.

Where a trap has been mended in a newer transformers, its test fails, and the course can stop warning of it.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    TrainingArguments,
)

from course_lib import encoders, methods, tasks

MENDED = "transformers has mended this; the course can stop warning of it"


@pytest.fixture(scope="module")
def encoder():
    return encoders.english_bert()


@pytest.fixture(scope="module")
def task():
    task = tasks.topics("en", train=64)
    return replace(task, test=task.test.sample(40))


@pytest.fixture
def folder(encoder, tmp_path):
    """The encoder's network, saved in half precision as many checkpoints are."""
    encoder.network_copy().to(torch.bfloat16).save_pretrained(tmp_path / "half")
    return tmp_path / "half"


# -- what older programs write --------------------


@pytest.mark.parametrize(
    ("gone", "now"),
    [
        ({"group_by_length": True}, {"train_sampling_strategy": "group_by_length"}),
        ({"warmup_ratio": 0.1}, {"warmup_steps": 0.1}),
        ({"evaluation_strategy": "epoch"}, {"eval_strategy": "epoch"}),
        ({"no_cuda": True}, {"use_cpu": True}),
    ],
)
def test_arguments_that_the_trainer_no_longer_has(tmp_path, gone, now) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(gone))}'"):
        TrainingArguments(str(tmp_path), **gone)
    TrainingArguments(str(tmp_path), **now)


def test_there_are_no_classes_for_tensorflow(encoder) -> None:
    assert not [name for name in dir(transformers) if name.startswith("TF") and "Model" in name], MENDED
    with pytest.raises(ImportError, match="TFBertModel"):
        exec("from transformers import TFBertModel")
    assert isinstance(encoder.model, torch.nn.Module)


def test_the_trainer_needs_accelerate(tmp_path, monkeypatch) -> None:
    """It is no requirement of transformers, and is missed only when training is about to begin."""
    assert TrainingArguments(str(tmp_path), use_cpu=True).device.type == "cpu"
    monkeypatch.setattr(transformers.training_args, "is_accelerate_available", lambda *_: False)
    with pytest.raises(ImportError, match="requires `accelerate"):
        TrainingArguments(str(tmp_path), use_cpu=True).device


# -- the article's --------------------


def test_an_english_tokenizer_makes_different_chinese_sentences_alike(encoder) -> None:
    """No error, and no network behind it could tell them apart again."""
    chinese = tasks.topics("zh").train

    def alike(one) -> int:
        ids = [tuple(numbers) for numbers in one.token_ids(chinese.x)]
        return len(set(chinese.x)) - len(set(ids))

    assert alike(encoder) >= 10 and alike(encoders.multilingual_bert()) == 0
    assert encoder.unknown_share(chinese) > 0.5
    assert encoders.multilingual_bert().unknown_share(chinese) < 0.001
    with pytest.warns(RuntimeWarning, match=r"does not cover these texts: [56]\d%"):
        encoder.encode(chinese.take(np.arange(20)), cache=False, progress=False)


def test_tokenize_overwritten_with_encode_gives_numbers_for_pieces(encoder) -> None:
    text = "The weather is fine."
    broken = copy.copy(encoder.tokenizer)
    broken.tokenize = broken.encode
    assert broken.tokenize(text) == encoder.token_ids([text])[0] == [101, 1996, 4633, 2003, 2986, 1012, 102]
    with pytest.raises(TypeError):
        broken.convert_tokens_to_ids(broken.tokenize(text))
    with pytest.raises(TypeError):
        " ".join(broken.tokenize(text))
    spoilt = encoders.english_bert()
    vars(spoilt)["_loaded"] = replace(encoder._loaded, tokenizer=broken)
    assert spoilt.tokens(text) == ["the", "weather", "is", "fine", "."], "the course asks it for nothing"


# -- what raises no error --------------------


def test_a_vocabulary_file_gives_unknown_tokens_alone(encoder, task, tmp_path) -> None:
    vocabulary = encoder.tokenizer.get_vocab()
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(sorted(vocabulary, key=vocabulary.get)), "utf8")
    broken = BertTokenizer(vocab_file=str(path))
    text = str(task.test.x[0])
    assert set(broken.tokenize(text)) == {"[UNK]"}, MENDED
    assert BertTokenizer(vocab=str(path)).tokenize(text) == encoder.tokens(text)
    spoilt = encoders.english_bert()
    vars(spoilt)["_loaded"] = replace(encoder._loaded, tokenizer=broken)
    assert spoilt.unknown_share(task.test) == 1.0
    with pytest.warns(RuntimeWarning, match="does not cover these texts"):
        spoilt.encode(task.test, cache=False, progress=False)
    assert encoder.unknown_share(task.test) < 0.01


def test_a_checkpoint_decides_the_precision(encoder, folder, task) -> None:
    followed = BertModel.from_pretrained(folder, add_pooling_layer=False)
    assert followed.dtype == torch.bfloat16, MENDED
    asked = BertModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32)
    assert {p.dtype for p in asked.parameters()} == {torch.float32}
    assert {p.dtype for p in encoder.network_copy().parameters()} == {torch.float32}
    learning_rate, weight = 1e-4, torch.tensor(1.0)
    assert weight.bfloat16() - learning_rate == weight.bfloat16(), "a step that half precision loses"
    tuned = methods.fine_tune(encoder, task, freeze_to=4, epochs=1, batch_size=32, precision="bfloat16")
    assert tuned.audit.ok and all(a.dtype == np.float32 for a in tuned.weights.values())


def test_attention_maps_are_empty_unless_attention_is_eager(encoder) -> None:
    network = encoder.network_copy(own_embeddings=False).eval()
    batch = encoder.tokenizer(["The weather is fine."], return_tensors="pt")
    with torch.inference_mode():
        quick = network(**batch, output_attentions=True)
        assert not quick.attentions, MENDED
        network.set_attn_implementation("eager")
        slow = network(**batch, output_attentions=True)
    assert len(slow.attentions) == 6
    assert torch.allclose(slow.attentions[0].sum(dim=-1), torch.ones(()), atol=1e-5)
    assert torch.allclose(slow.last_hidden_state, quick.last_hidden_state, atol=1e-4)


def _classifier(encoder) -> BertForSequenceClassification:
    """Return the encoder's network with a new last layer, as a program begins."""
    config = BertConfig.from_dict(encoder.model.config.to_dict())
    config.num_labels = 16
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(encoder.model.state_dict(), strict=False)
    return model.eval()


def test_adapters_saved_without_the_last_layer_come_back_with_a_random_one(encoder, task, tmp_path) -> None:
    """peft knows of the last layer only when it is told the kind of task, or which modules to save."""
    batch = encoder.tokenizer(list(task.test.x), padding=True, return_tensors="pt")

    def after_reloading(**told) -> float:
        torch.manual_seed(0)
        config = LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False, **told)
        model = get_peft_model(_classifier(encoder), config).eval()
        model.save_pretrained(tmp_path / "adapters", save_embedding_layers=False)  # or it asks the hub
        torch.manual_seed(1)
        again = PeftModel.from_pretrained(_classifier(encoder), tmp_path / "adapters").eval()
        with torch.inference_mode():
            return float((model(**batch).logits - again(**batch).logits).abs().max())

    assert after_reloading() > 1e-2, MENDED
    assert after_reloading(modules_to_save=["classifier"]) > 1e-2, "the pooler below it is new as well"
    assert after_reloading(modules_to_save=["classifier", "pooler"]) < 1e-5
    ours = methods.lora(encoder, task, epochs=1, batch_size=32)
    torch.manual_seed(2)
    again = methods.load(methods.save(ours, tmp_path / "ours.safetensors"))
    assert np.array_equal(again.logits(task.test), ours.logits(task.test))
    random = ours.with_weights({**ours.weights, "classifier/kernel": ours.weights["classifier/kernel"][::-1]})
    assert np.mean(random.predict(task.test) == ours.predict(task.test)) < 0.5, "the last layer matters"


# -- what is chosen by looking at the test --------------------


def test_the_best_of_many_on_the_test_is_not_as_good_as_it_looks() -> None:
    """Zero-shot probes that differ in their seed alone: whom the test chose disappoints on new sentences."""
    encoder = encoders.multilingual_bert()
    pool = tasks.topics("en").subset(320, validation=160)
    chinese = tasks.topics("zh").test.sample(240)
    probes = [methods.linear_probe(encoder, pool.subset(48, seed=seed)) for seed in range(24)]
    right = np.array([probe.predict(chinese) == chinese.y for probe in probes])
    english = [np.mean(probe.predict(pool.validation) == pool.validation.y) for probe in probes]
    assert np.ptp(right.mean(axis=1)) > 0.05, "one seed says little"
    rng, lost, honest = np.random.default_rng(0), [], []
    for _ in range(200):
        looked_at, new = np.array_split(rng.permutation(len(chinese)), 2)
        best = right[:, looked_at].mean(axis=1).argmax()
        lost.append(right[best, looked_at].mean() - right[best, new].mean())
        chosen = int(np.argmax(english))
        honest.append(right[chosen, looked_at].mean() - right[chosen, new].mean())
    assert np.mean(lost) > 0.03 > 0.01 > abs(np.mean(honest))


def test_who_lets_the_test_choose_the_epoch_is_told_so_and_the_course_never_does(encoder, task) -> None:
    probe = methods.linear_probe(encoder, task)
    options = {"init": probe, "freeze_to": 4, "epochs": 2, "batch_size": 16, "learning_rate": 1e-3}
    tuned = methods.fine_tune(encoder, task, **options)
    turned = replace(task, test=replace(task.test, y=np.roll(task.test.y, 1)))
    again = methods.fine_tune(encoder, turned, **options)
    assert again.chosen == tuned.chosen and "validation" not in tuned.chosen
    assert all(np.array_equal(again.own[name], array) for name, array in tuned.own.items())
    peeked = methods.fine_tune(encoder, task, **options, validation=task.test)
    assert peeked.chosen["validation"] == task.test.name != task.validation.name
    test = np.mean(peeked.predict(task.test) == task.test.y)
    assert test >= np.mean(tuned.predict(task.test) == task.test.y), "that is why people do it"
