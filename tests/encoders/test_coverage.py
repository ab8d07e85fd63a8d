"""What tokenizers do not know is counted as the network gets it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from course_lib import encoders
from course_lib.encoders import coverage


def test_pieces_are_what_the_network_gets() -> None:
    for encoder, text in (
        (encoders.english_bert(), "Unbelievable 学习"),
        (encoders.multilingual_bert(), "runes ᚠᚢ here"),
    ):
        found = coverage.pieces(encoder.tokenizer, text)
        ids = encoder.tokenizer(text)["input_ids"][1:-1]
        assert encoder.tokenizer.convert_tokens_to_ids(found) == ids
        assert found.count(encoder.tokenizer.unk_token) == 1
    # the usual way shows the runes as if they were known
    assert "ᚠᚢ" in encoder.tokenizer.tokenize(text) and "<unk>" not in encoder.tokenizer.tokenize(text)


def test_counts_and_share() -> None:
    counts = coverage.piece_counts(str.split, ["x y ?", "?", ""], "?")
    assert counts.tolist() == [[3, 1], [1, 1], [0, 0]] and coverage.unknown_share(counts) == 0.5
    empty = coverage.piece_counts(str.split, [], "?")
    assert empty.shape == (0, 2) and coverage.unknown_share(empty) == 0
    assert coverage.unknown_share(np.zeros((3, 2), np.int64)) == 0


def test_the_warning_names_the_share_where_it_is_called() -> None:
    with pytest.warns(
        RuntimeWarning, match=r"^english does not cover .* 62% of their pieces are \[UNK\]"
    ) as seen:
        coverage.warn_if_uncovered("english", 0.62, "[UNK]")
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coverage.warn_if_uncovered("english", 0.2, "[UNK]")
        coverage.warn_if_uncovered("english", 0.62, "[UNK]", limit=0.7)
