"""Traps of text transfer with transformers 5: each is walked into, and something must notice.

Where a trap has been mended in a newer transformers, its test fails, and the course can stop warning of it.
"""

from __future__ import annotations

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
