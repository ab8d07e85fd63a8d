"""How far weights moved, against lengths worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from course_lib import measure
from course_lib.errors import BadInput

START = {
    "stem/kernel": np.full((2, 2), 1.0, np.float32),
    "block5_expand/kernel": np.array([3.0, 0.0]),
    "block5_expand_bn/gamma": np.array([0.0, 4.0]),
    "block5_expand_bn/moving_mean": np.array([1.0]),
    "block5_expand_bn/moving_variance": np.array([0.0]),
    "head/bias": np.zeros(2),
}


def moved(**changes):
    weights = {name: value.copy() for name, value in START.items()}
    for name, change in changes.items():
        weights[name.replace("__", "/")] += change
    return measure.movement(START, weights)


def test_a_block_is_one_long_vector():
    found = moved(block5_expand__kernel=[0.0, 3.0], block5_expand_bn__gamma=[4.0, 0.0])
    assert [(row.block, row.kind) for row in found.rows] == [
        ("stem", "weights"),
        ("block5", "weights"),
        ("block5", "BatchNorm statistics"),
        ("head", "weights"),
    ]
    row = found.rows[1]
    assert (row.numbers, row.size, row.distance, row.relative) == (4, 5, 5, 1)
    assert found.of() == {"stem": 0, "block5": 1, "head": 0}


def test_statistics_are_told_apart():
    found = moved(block5_expand_bn__moving_mean=0.5)
    assert found.of("BatchNorm statistics") == {"block5": 0.5}
    assert set(found.of().values()) == {0.0}


def test_the_mean_of_ratios_is_not_the_ratio_of_lengths():
    found = moved(block5_expand__kernel=[3.0, 0.0])
    assert found.of()["block5"] == pytest.approx(3 / 5), "not 1, nor the mean of 1 and 0"


def test_scaling_all_by_a_tenth_is_a_tenth_everywhere():
    grown = {name: value * np.float32(1.1) for name, value in START.items()}
    assert measure.movement(START, grown).of() == pytest.approx({"stem": 0.1, "block5": 0.1, "head": 0})


def test_from_zero():
    found = moved(head__bias=1.0)
    assert math.isinf(found.of()["head"])
    assert "from zero" in str(found)


def test_other_groups():
    by_layer = measure.movement(START, START, block_of=str)
    assert list(by_layer.of()) == ["stem", "block5_expand", "block5_expand_bn", "head"]


def test_the_table():
    found = moved(head__bias=1.0, stem__kernel=0.25)
    assert str(found).splitlines()[1].split() == ["stem", "weights", "4", "2", "0.5", "25%"]
    assert found._repr_html_().count("<tr>") == 1 + 4
    assert found.to_dict()["rows"][0] == {
        "block": "stem",
        "kind": "weights",
        "numbers": 4,
        "size": 2.0,
        "distance": 0.5,
        "relative": 0.25,
    }


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"head/bias": np.zeros(2)}, "different names, 5 in all, for instance block5"),
        ({**START, "head/bias": np.zeros(3)}, r"head/bias has shape \(2,\) at the start and \(3,\) now"),
        ({**START, "head/bias": np.array([0, np.nan])}, "head/bias holds NaN"),
    ],
)
def test_what_cannot_be_measured(weights, said):
    with pytest.raises(BadInput, match=said):
        measure.movement(START, weights)
