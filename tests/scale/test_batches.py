"""Who works on what: every row once, in the same order for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import scale
from course_lib.errors import BadInput


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (7, 7), (5, 9), (12, 3)])
def test_an_epoch_holds_every_row_once(n, batch):
    batches = list(scale.global_batches(n, batch, epochs=2, seed=3))
    half = len(batches) // 2
    for epoch in (batches[:half], batches[half:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(n))
        assert all(len(rows) == batch for rows in epoch[:-1])
    assert any((a != b).any() for a, b in zip(batches[:half], batches[half:], strict=True))


@pytest.mark.parametrize("shares", [None, (1, 1, 1), (5, 1, 2), (1e-6, 1, 1)])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_shards_are_the_batch(n, shares):
    rows = np.random.default_rng(0).permutation(n)
    shards = [scale.shard(rows, rank, 3, shares) for rank in range(3)]
    assert np.concatenate(shards).tolist() == rows.tolist()


@pytest.mark.parametrize("shares", [(1,), (1, 0), (1, float("nan")), (1, -1)])
def test_wrong_shares(shares):
    with pytest.raises(BadInput, match="shares="):
        scale.shard(np.arange(4), 0, 2, shares)


def test_padding_by_hand_and_less_of_it_when_sorted():
    from course_lib.encoders.text import by_length

    lengths = np.random.default_rng(0).integers(3, 40, 200)
    given = scale.in_given_order(200, 16)
    assert np.concatenate(given).tolist() == list(range(200))
    assert [len(rows) for rows in given] == [16] * 12 + [8]
    table = [np.pad(np.ones(n), (0, 40 - n)) for n in lengths]
    paid = sum(np.array(table)[rows].any(axis=0).sum() * len(rows) for rows in given)
    assert scale.padding_share(lengths, given) == pytest.approx(1 - lengths.sum() / paid)
    assert scale.padding_share(lengths, by_length(lengths, 512)) < scale.padding_share(lengths, given) / 3
