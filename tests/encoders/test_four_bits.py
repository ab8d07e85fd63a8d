"""Rounding to 4 bits: the format of the packaged file, and what it does to features."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, tasks
from course_lib.encoders import e5_small
from course_lib.encoders.four_bits import packed
from course_lib.encoders.packaged import weights_file
from course_lib.errors import BadInput


def one_by_one(block):
    """The 16 levels of a block as ggml's reference code rounds, number by number."""
    largest = max(block, key=abs)
    d = np.float32(largest) / np.float32(-8)
    levels = [min(15, int(x / d + 8.5)) if d else 8 for x in block]
    return [(level - 8) * float(np.float16(d)) for level in levels]


def test_every_number_is_rounded_as_the_reference_does():
    x = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    x[3] = 0
    expected = np.array([one_by_one(block) for block in x.tolist()], np.float32)
    assert np.allclose(e5_small.unpacked(packed(x)).reshape(x.shape), expected, atol=1e-6)


def test_the_packaged_file_was_rounded_in_this_way():
    contents = e5_small.read(weights_file("multilingual-e5-small"))
    entry = contents.directory["l5.fi.w"]
    raw = np.asarray(contents.raw[entry.offset : entry.offset + entry.size])
    values = e5_small.unpacked(raw)
    again = e5_small.unpacked(packed(values))
    assert np.array_equal(again, values)
    # each block uses the outermost level, where its largest number lies: what the scale is made from
    levels = np.rint(values.reshape(-1, 32) / np.abs(values.reshape(-1, 32)).max(axis=1, keepdims=True) * 8)
    assert (np.abs(levels).max(axis=1) == 8).mean() > 0.99


def test_rounding_again_changes_nothing_and_rounding_once_does():
    x = np.random.default_rng(1).normal(size=3200).astype(np.float32)
    once = e5_small.unpacked(packed(x))
    assert not np.array_equal(once, x)
    assert np.allclose(e5_small.unpacked(packed(once)), once, atol=2e-3)
    step = np.abs(x.reshape(-1, 32)).max(axis=1) / 8
    # half a step, a whole one at the far end: there are 7 levels on that side, 8 on the other
    assert (np.abs(once - x).reshape(-1, 32) <= step[:, None] * 1.01).all()


def test_a_rounded_encoder_differs_a_little_and_leaves_the_other_alone():
    encoder = encoders.english_bert()
    before = encoder.model.get_input_embeddings().weight.detach().clone()
    texts = tasks.topics("en").test.x[:100]
    full, four = encoder.encode(texts), encoders.four_bit(encoder).encode(texts)
    cosine = (full * four).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(four, axis=1)
    assert 0.9 < cosine.mean() < 0.9999
    assert before.equal(encoder.model.get_input_embeddings().weight)


def test_what_does_not_fill_blocks_or_is_no_number_is_refused():
    with pytest.raises(BadInput, match="whole blocks of 32"):
        packed(np.zeros(33))
    with pytest.raises(BadInput, match="NaN"):
        packed(np.full(32, np.nan))
