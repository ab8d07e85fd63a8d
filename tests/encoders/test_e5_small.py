"""The packaged E5: 4-bit weights, vocabulary and names, each against something written another way."""

from __future__ import annotations

import dataclasses
import math
import struct
import unicodedata
from collections.abc import Callable
from itertools import chain, pairwise

import numpy as np
import pytest

from course_lib import encoders, tasks
from course_lib.encoders import e5_small, text
from course_lib.encoders.packaged import weights_file
from course_lib.errors import Corrupt

HEADER = struct.Struct("<4sI7ifi5iQ")


@pytest.fixture(scope="module")
def contents() -> e5_small.Contents:
    return e5_small.read(weights_file("multilingual-e5-small"))


@pytest.fixture(scope="module")
def state(contents) -> dict[str, np.ndarray]:
    return e5_small.state(contents)


@pytest.fixture(scope="module")
def tokenizer(contents):
    return e5_small.tokenizer(contents)


def slowly(packed: bytes) -> list[float]:
    """Decode 4-bit blocks one number at a time."""
    values = []
    for first in range(0, len(packed), 18):
        (scale,) = struct.unpack_from("<e", packed, first)
        for number in range(32):
            byte = packed[first + 2 + number % 16]
            values.append(((byte & 15 if number < 16 else byte >> 4) - 8) * scale)
    return values


def test_blocks_against_a_decoder_that_takes_one_number_at_a_time() -> None:
    rng = np.random.default_rng(0)
    scales = rng.normal(size=500).astype("<f2")
    scales[:5] = [0, -0.0, 65504, 6e-8, -1]  # largest and smallest halves too
    blocks = b"".join(s.tobytes() + rng.bytes(16) for s in scales)
    found = e5_small.unpacked(np.frombuffer(blocks, np.uint8))
    assert found.dtype == np.float32 and found.tolist() == slowly(blocks)


def test_more_blocks_than_are_unpacked_at_once() -> None:
    one = np.array(0.5, "<f2").tobytes() + bytes(range(16))
    n = (1 << 15) + 3
    found = e5_small.unpacked(np.frombuffer(one * n, np.uint8)).reshape(n, 32)
    assert found.tolist()[0] == slowly(one) and (found == found[0]).all()


@pytest.mark.parametrize("name", ["emb.word", "l0.q.w", "l7.fi.w", "l11.fo.w"])
def test_slices_of_the_file_itself(contents, name) -> None:
    entry = contents.directory[name]
    assert entry.kind == 1 and entry.size == entry.numbers // 32 * 18
    for first in (0, entry.size // 36 * 18, entry.size - 180):
        part = contents.raw[entry.offset + first : entry.offset + first + 180]
        assert e5_small.unpacked(part).tolist() == slowly(part.tobytes())


def test_sizes_are_those_of_the_published_configuration(contents) -> None:
    assert contents.sizes == {
        "hidden": 384,
        "layers": 12,
        "heads": 12,
        "feed_forward": 1536,
        "vocabulary": 250037,
        "positions": 512,
        "types": 2,
    }
    assert math.isclose(contents.epsilon, 1e-12, rel_tol=1e-6)
    config = e5_small.config(contents)
    assert (config.num_attention_heads, config.hidden_act, config.pad_token_id) == (12, "gelu", 1)


def test_the_tensors_fill_the_file_without_gap_or_overlap(contents) -> None:
    places = sorted((t.offset, t.offset + t.size) for t in contents.directory.values())
    gaps = [later[0] - sooner[1] for sooner, later in pairwise(places)]
    assert min(gaps) >= 0 and max(gaps) < 64  # aligned
    assert places[-1][1] == len(contents.raw)


def test_every_tensor_has_its_place_in_a_plain_bert(contents, state) -> None:
    import torch
    from transformers import BertModel

    with torch.device("meta"):
        model = BertModel(e5_small.config(contents), add_pooling_layer=False)
    wanted = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert {name: array.shape for name, array in state.items()} == wanted
    assert sum(a.size for a in state.values()) == sum(t.numbers for t in contents.directory.values())
    assert all(a.dtype == np.float32 and np.isfinite(a).all() for a in state.values())


@pytest.mark.parametrize("change", ["left out", "misnamed", "misshapen"])
def test_a_weight_that_does_not_fit_is_refused(contents, state, change) -> None:
    name = "encoder.layer.3.attention.self.query.bias"
    odd = dict(state)
    array = odd.pop(name)
    if change != "left out":
        odd[name if change == "misshapen" else f"{name}s"] = array[:-1] if change == "misshapen" else array
    with pytest.raises(Corrupt, match=r"weights do not fit(.|\n)*doctor"):
        text._filled(e5_small.config(contents), odd)


def test_files_that_are_none_of_this_kind(contents, tmp_path) -> None:
    path = tmp_path / "weights.bin"
    start = contents.raw[:5000].tobytes()
    block_at = HEADER.size - 8 - 20 - 4
    for raw in (b"", b"E5S1", b"GGUF" + start[4:], start, start[:block_at] + b"\x10" + start[block_at + 1 :]):
        path.write_bytes(raw)
        with pytest.raises(Corrupt, match=r"is not a file of multilingual-e5-small's weights(.|\n)*doctor"):
            e5_small.read(path)
    gone = {k: v for k, v in contents.directory.items() if k != "l5.v.w"}
    with pytest.raises(Corrupt, match=r"has no l5\.v\.w"):
        e5_small.state(dataclasses.replace(contents, directory=gone))
    short = {**contents.directory, "l5.v.w": dataclasses.replace(contents.directory["l5.v.w"], numbers=7)}
    with pytest.raises(Corrupt, match=r"l5\.v\.w holds 147,456 numbers; 7 are announced"):
        e5_small.state(dataclasses.replace(contents, directory=short))
    with pytest.raises(Corrupt, match=r"holds .* are announced"):
        e5_small.state(dataclasses.replace(contents, raw=contents.raw[:-1000]))


def test_pieces_and_special_tokens_are_where_xlm_roberta_has_them(contents, tokenizer) -> None:
    raw = contents.raw[: HEADER.size].tobytes()
    *_, count, bos, eos, pad, unk, _ = HEADER.unpack(raw)
    assert (count, bos, eos, pad, unk) == (250002, 0, 2, 1, 3)
    assert [contents.pieces[k][0] for k in (0, 1, 2, 3, -1)] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert len(tokenizer) == 250002 and tokenizer.mask_token_id == 250001
    for name, number in {"bos": 0, "cls": 0, "pad": 1, "eos": 2, "sep": 2, "unk": 3}.items():
        assert getattr(tokenizer, f"{name}_token_id") == number


# What fairseq's xlmr.base and the published tokenizer make of them, as the tests of transformers
# (tests/models/xlm_roberta) and onnxruntime-extensions state it.
PUBLISHED = {
    "Hello World!": [35378, 6661, 38],
    "The quick brown fox jumps over the lazy dog.": [
        *(581, 63773, 119455, 6, 147797, 88203, 7, 645, 70, 21, 3285, 10269, 5)
    ],
    "I was born in 92000, and this is falsé.": [
        *(87, 509, 103122, 23, 483, 13821, 4, 136, 903, 83, 84047, 446, 5)
    ],
    "生活的真谛是": [6, 62668, 5364, 245875, 354],
    "test 😊": [3034, 6, 82803],
    '. , ~ ? ( ) " [ ] ! : - .': [*(6, 5, 6, 4, 6780, 705, 15, 1388, 44, 378, 10114, 711, 152, 20, 6, 5)],
    "my cute dog\n and\x17 then, 生活的真谛是  \t\t\t\t \n\n61": [
        *(759, 99942, 10269, 136, 7068, 4, 6, 62668, 5364, 245875, 354, 11716)
    ],
}


@pytest.mark.parametrize("sentence", PUBLISHED)
def test_published_token_numbers(tokenizer, sentence) -> None:
    assert tokenizer(sentence)["input_ids"] == [0, *PUBLISHED[sentence], 2]


def test_pairs_stand_as_xlm_roberta_wants_them(tokenizer) -> None:
    a, b = (PUBLISHED[s] for s in ("Hello World!", "生活的真谛是"))
    found = tokenizer("Hello World!", "生活的真谛是")
    assert found["input_ids"] == [0, *a, 2, 2, *b, 2]
    assert "token_type_ids" not in found  # XLM-RoBERTa knows no types
    assert tokenizer.convert_ids_to_tokens(found["input_ids"])[:2] == ["<s>", "▁Hello"]


def viterbi(pieces: dict[str, float], sentence: str) -> list[str]:
    """Return the likeliest segmentation of a sentence, by dynamic programming over its characters."""
    unknown = min(pieces.values()) - 10
    longest = max(map(len, pieces))
    found: list[str] = []
    for word in unicodedata.normalize("NFKC", sentence).split():
        marked = "▁" + word
        best = [(0.0, 0, "")] + [(-math.inf, 0, "")] * len(marked)
        for end in range(1, len(marked) + 1):
            for start in range(max(0, end - longest), end):
                piece = marked[start:end]
                score = pieces.get(piece, unknown if end - start == 1 else -math.inf) + best[start][0]
                if score > best[end][0]:
                    best[end] = (score, start, piece if piece in pieces else "<unk>")
        end, backwards = len(marked), []
        while end:
            backwards.append(best[end][2])
            end = best[end][1]
        found += backwards[::-1]
    return [p for k, p in enumerate(found) if not (p == "<unk>" and k and found[k - 1] == "<unk>")]


@pytest.mark.parametrize("language", ["en", "zh", "zh-Hant"])
def test_segmentation_against_dynamic_programming(contents, tokenizer, language) -> None:
    pieces = dict(contents.pieces)
    sentences = tasks.parallel_sentences().sentences(language)[::40].tolist()
    ours = [tokenizer.convert_ids_to_tokens(ids[1:-1]) for ids in tokenizer(sentences)["input_ids"]]
    assert ours == [viterbi(pieces, sentence) for sentence in sentences]


def normalisation_table(raw: np.ndarray, count: int) -> dict[int, str]:
    """Return the table of characters that the file carries and the reader leaves aside."""
    (blob,) = struct.unpack_from("<Q", raw, HEADER.size - 8)
    at = HEADER.size + 4 * (count + 1) + 4 * count + blob
    rows, _ = struct.unpack_from("<iI", raw, at)
    at += 8
    table = {}
    for _ in range(rows):
        point, n = struct.unpack_from("<IB", raw, at)
        table[point] = "".join(map(chr, struct.unpack_from(f"<{n}I", raw, at + 5)))
        at += 5 + 4 * n
    return table


def test_characters_are_normalised_as_the_file_s_own_table_says(contents, tokenizer) -> None:
    """Every code point but two: the stand-in, which is no character, and one that Unicode added later."""
    table = normalisation_table(contents.raw, len(contents.pieces))
    assert len(table) == 4837
    normalise = tokenizer.backend_tokenizer.normalizer.normalize_str
    points = chain(range(0xD800), range(0xE000, 0x30000), range(0xE0000, 0xE0200))
    differ = [point for point in points if normalise(chr(point)) != table.get(point, chr(point))]
    assert differ == [0xFDD0, 0x1F23B]
    assert tokenizer.tokenize("你好～") == ["▁", "你好", "～"]  # NFKC alone would make it "~"


def test_decoding_gives_the_text_back(tokenizer) -> None:
    pairs = tasks.parallel_sentences()
    for sentence in (*pairs.english[::50], "Привет, мир!", "今天 3 月 5 日 abc"):
        assert tokenizer.decode(tokenizer(sentence)["input_ids"], skip_special_tokens=True) == sentence
    for sentence in pairs.chinese[::50]:  # full-width marks become narrow
        said = tokenizer.decode(tokenizer(sentence)["input_ids"], skip_special_tokens=True)
        assert said == unicodedata.normalize("NFKC", sentence)


def test_a_mask_stands_for_one_token(tokenizer) -> None:
    ids = tokenizer("Hello <mask>!")["input_ids"]
    assert ids.count(250001) == 1 and ids[:2] == [0, 35378]


def retrieved(encoder: encoders.TextEncoder, pairs: tasks.ParallelSentences) -> float:
    """Return the share of English sentences whose nearest Chinese one, by cosine, is their translation."""
    sides = [encoder.encode(x, cache=False, progress=False) for x in (pairs.english, pairs.chinese)]
    english, chinese = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    return float(((english @ chinese.T).argmax(axis=1) == np.arange(len(pairs))).mean())


def ported(contents, tokenizer, weights: dict[str, np.ndarray]) -> encoders.TextEncoder:
    def load() -> text.Loaded:
        return text.Loaded(text._filled(e5_small.config(contents), weights), tokenizer)

    return encoders.TextEncoder("port", source="port", load=load, width=384, depth=12, prefix=text.E5_PREFIX)


def on_blocks(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., dict[str, np.ndarray]]:
    """Return a port that changes blocks of 32 numbers of everything that is stored in 4 bits."""

    def port(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        kept = ("position", "token_type")
        return {
            name: change(array.reshape(-1, 32)).reshape(array.shape)
            if array.ndim == 2 and not any(k in name for k in kept)
            else array
            for name, array in state.items()
        }

    return port


def exchanged(one: str, other: str) -> Callable[..., dict[str, np.ndarray]]:
    def port(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = {name: name.replace(one, "@").replace(other, one).replace("@", other) for name in state}
        return {names[name]: array for name, array in state.items()}

    return port


WRONG = {
    "halves of a byte swapped": on_blocks(lambda b: np.concatenate([b[:, 16:], b[:, :16]], axis=1)),
    "numbers interleaved": on_blocks(lambda b: np.stack([b[:, :16], b[:, 16:]], axis=2).reshape(-1, 32)),
    "scale doubled": on_blocks(lambda b: 2 * b),
    "nibble - 7": on_blocks(lambda b: b + np.abs(b).max(axis=1, keepdims=True) / 8),
    "query and key exchanged": exchanged("self.query", "self.key"),
}


def test_the_right_port_finds_translations_and_wrong_ones_do_not(contents, tokenizer, state) -> None:
    pairs = tasks.parallel_sentences()
    few = pairs.take(np.random.default_rng(0).permutation(len(pairs))[:40])
    assert retrieved(ported(contents, tokenizer, state), few) > 0.9
    wrong = {name: retrieved(ported(contents, tokenizer, port(state)), few) for name, port in WRONG.items()}
    assert max(wrong.values()) < 0.5, wrong


def test_the_port_finds_the_translations_of_many_packaged_sentences() -> None:
    """Of all 4,272 pairs at once it finds 79%; of 400 among themselves more, in a tenth of the time."""
    pairs = tasks.parallel_sentences()
    many = pairs.take(np.random.default_rng(0).permutation(len(pairs))[:400])
    assert retrieved(encoders.multilingual_bert(), many) > 0.91
