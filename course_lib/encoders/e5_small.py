"""multilingual-e5-small as it comes packaged: 4-bit weights and a unigram vocabulary in one file.

The network is a BERT of 12 layers, 384 wide, with the vocabulary of XLM-RoBERTa: 250,002 pieces of a hundred
languages. The package's author rounded the published weights to 4 bits, 32 numbers sharing a scale
(the format Q4_0 of ggml). They are unpacked to float32 here, and everything after that is ordinary PyTorch;
what the rounding costs is measured in notebook 08.

The file, little-endian: ``E5S1``, version; the network's sizes; the vocabulary with its unigram scores; a
table of characters to normalise (skipped: NFKC gives the same, but for one character); a directory of
tensors; the tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.errors import Corrupt

BLOCK = 32
"""Numbers that share one scale."""

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
_REINSTALL = "Reinstall its package: `course doctor` names the command."
_SIZES = ("hidden", "layers", "heads", "feed_forward", "vocabulary", "positions", "types")
_MASK = "<mask>"
_WIDE_TILDE = "\uff5e"  # XLM-RoBERTa keeps it, NFKC does not
_STAND_IN = "\ufdd0"  # of no text: Unicode will never give it a meaning


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: its kind (0 float32, 1 4-bit), numbers, offset and bytes."""

    kind: int
    numbers: int
    offset: int
    size: int


@dataclass(frozen=True)
class Contents:
    """What the file holds, tensors still packed.

    Parameters
    ----------
    sizes : dict of str to int
        ``hidden``, ``layers``, ``heads``, ``feed_forward``, ``vocabulary``, ``positions``, ``types``.
    epsilon : float
        Of the layer normalisations.
    pieces : list of (str, float)
        The vocabulary with its unigram log-probabilities, in the order of their numbers.
    special : dict of str to int
        ``bos``, ``eos``, ``pad``, ``unk``.
    directory : dict of str to Tensor
    raw : numpy.memmap
    """

    sizes: dict[str, int]
    epsilon: float
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    directory: dict[str, Tensor]
    raw: np.ndarray


def read(path: Path) -> Contents:
    """Return the contents of a weights file.

    Raises
    ------
    Corrupt
        When it is not such a file.
    """
    try:
        return _read(np.memmap(path, np.uint8, "r"))
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"{path.name} is not a file of multilingual-e5-small's weights: {error}.", _REINSTALL
        ) from error


def _read(raw: np.ndarray) -> Contents:
    reader = _Reader(raw)
    if reader.take("4s")[0] != b"E5S1":
        raise ValueError("it does not begin with E5S1")
    reader.take("I")
    sizes = dict(zip(_SIZES, reader.take("7i"), strict=True))
    epsilon, block = reader.take("fi")
    if block != BLOCK:
        raise ValueError(f"blocks of {block} numbers, expected {BLOCK}")
    count, bos, eos, pad, unk = reader.take("5i")
    blob_size = reader.take("Q")[0]
    ends = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    blob = reader.array("u1", blob_size).tobytes()
    texts = [blob[a:b].decode() for a, b in pairwise(ends.tolist())]
    reader.array("u1", reader.take("iI")[1])  # the normalisation table
    return Contents(
        sizes,
        epsilon,
        list(zip(texts, scores.tolist(), strict=True)),
        {"bos": bos, "eos": eos, "pad": pad, "unk": unk},
        dict(reader.tensors()),
        raw,
    )


class _Reader:
    """Reads little-endian values one after the other."""

    def __init__(self, raw: np.ndarray) -> None:
        self._raw, self._at = raw, 0

    def take(self, kind: str) -> tuple[Any, ...]:
        form = struct.Struct("<" + kind)
        values = form.unpack(self._raw[self._at : self._at + form.size].tobytes())
        self._at += form.size
        return values

    def array(self, kind: str, count: int) -> np.ndarray:
        size = np.dtype(kind).itemsize * count
        part = self._raw[self._at : self._at + size]
        if len(part) != size:
            raise ValueError("it ends too early")
        self._at += size
        return part.view(kind)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for _ in range(self.take("i")[0]):
            name = self.array("u1", self.take("H")[0]).tobytes().decode()
            yield name, Tensor(*self.take("BIQQ"))


def unpacked(packed: np.ndarray) -> np.ndarray:
    """Return 4-bit blocks as float32: ``(nibble - 8) · scale``.

    Parameters
    ----------
    packed : numpy.ndarray
        Bytes, 18 per block of 32 numbers: a float16 scale, then 16 bytes of which byte j holds number j in
        its low half and number j + 16 in its high half.

    Returns
    -------
    numpy.ndarray
        ``(numbers,)`` float32.

    Examples
    --------
    >>> block = np.array(2.0, "<f2").tobytes() + bytes([0x09] + [0x88] * 15)
    >>> unpacked(np.frombuffer(block, np.uint8))[[0, 1, 16]].tolist()
    [2.0, 0.0, -16.0]
    """
    blocks = packed.view(_BLOCK)
    out = np.empty((len(blocks), 2, BLOCK // 2), np.float32)
    step = 1 << 15  # blocks at a time: what is in between stays in the processor's cache
    for first in range(0, len(blocks), step):
        part = blocks[first : first + step]
        scale, nibbles = part["scale"].astype(np.float32)[:, None], part["nibbles"]
        into = out[first : first + step]
        np.multiply((nibbles & 15).view(np.int8) - np.int8(8), scale, out=into[:, 0])
        np.multiply((nibbles >> 4).view(np.int8) - np.int8(8), scale, out=into[:, 1])
    return out.reshape(-1)


def state(contents: Contents) -> dict[str, np.ndarray]:
    """Return the weights under the names that ``transformers.BertModel`` has for them, float32."""
    width, inner = contents.sizes["hidden"], contents.sizes["feed_forward"]
    found = {
        "embeddings.word_embeddings.weight": _tensor(contents, "emb.word", width),
        "embeddings.position_embeddings.weight": _tensor(contents, "emb.pos", width),
        "embeddings.token_type_embeddings.weight": _tensor(contents, "emb.type", width),
        "embeddings.LayerNorm.weight": _tensor(contents, "emb.ln.w"),
        "embeddings.LayerNorm.bias": _tensor(contents, "emb.ln.b"),
    }
    parts = {
        "q": ("attention.self.query", width),
        "k": ("attention.self.key", width),
        "v": ("attention.self.value", width),
        "ao": ("attention.output.dense", width),
        "fi": ("intermediate.dense", width),
        "fo": ("output.dense", inner),
        "aln": ("attention.output.LayerNorm", 0),
        "oln": ("output.LayerNorm", 0),
    }
    for layer in range(contents.sizes["layers"]):
        for short, (long, columns) in parts.items():
            there = f"encoder.layer.{layer}.{long}"
            found[f"{there}.weight"] = _tensor(contents, f"l{layer}.{short}.w", columns)
            found[f"{there}.bias"] = _tensor(contents, f"l{layer}.{short}.b")
    return found


def _tensor(contents: Contents, name: str, columns: int = 0) -> np.ndarray:
    """Return a tensor as float32, as a matrix where it has `columns`."""
    entry = contents.directory.get(name)
    if entry is None:
        raise Corrupt(f"The weights file has no {name}.", _REINSTALL)
    raw = contents.raw[entry.offset : entry.offset + entry.size]
    numbers = len(raw) // _BLOCK.itemsize * BLOCK if entry.kind == 1 else len(raw) // 4
    if (len(raw), numbers) != (entry.size, entry.numbers):
        raise Corrupt(f"{name} holds {numbers:,} numbers; {entry.numbers:,} are announced.", _REINSTALL)
    values = unpacked(raw) if entry.kind == 1 else np.array(raw.view("<f4"))
    return values.reshape(-1, columns) if columns else values


def config(contents: Contents) -> Any:
    """Return the ``transformers.BertConfig`` of the network."""
    from transformers import BertConfig

    sizes = contents.sizes
    return BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["feed_forward"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=contents.epsilon,
        pad_token_id=contents.special["pad"],
    )


def tokenizer(contents: Contents) -> Any:
    """Return the tokenizer of XLM-RoBERTa, rebuilt from the vocabulary (Kudo, 2018, unigram pieces)."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = {what: contents.pieces[number][0] for what, number in contents.special.items()}
    built = Tokenizer(models.Unigram(contents.pieces, unk_id=contents.special["unk"]))
    built.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_WIDE_TILDE, _STAND_IN),
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(_STAND_IN, _WIDE_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    built.decoder = decoders.Metaspace(prepend_scheme="always")
    bos, eos = names["bos"], names["eos"]
    built.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, contents.special["bos"]), (eos, contents.special["eos"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        bos_token=bos,
        eos_token=eos,
        cls_token=bos,
        sep_token=eos,
        pad_token=names["pad"],
        unk_token=names["unk"],
        mask_token=_MASK,
        model_max_length=contents.sizes["positions"],
    )
