"""Alignment, uniformity and the gap against brute force and closed forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from course_lib import measure
from course_lib.errors import BadInput


def sphere(n: int, d: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    x, move = sphere(120, 5) + np.eye(5)[0] / 2, np.eye(5)[1]
    return 3 * x, x + 0.3 * sphere(120, 5, 1) + move


def test_equal_to_brute_force(pair) -> None:
    found = measure.alignment_and_uniformity(*pair)
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in pair)
    squares = np.square(x[:, None] - y[None]).sum(axis=2)
    other = ~np.eye(120, dtype=bool)
    assert found.alignment.value == pytest.approx(np.diag(squares).mean())
    assert found.strangers == pytest.approx(squares[other].mean())
    for z, value in zip((x, y), found.uniformity, strict=True):
        own = np.square(z[:, None] - z[None]).sum(axis=2)[other]
        assert value == pytest.approx(np.log(np.exp(-2 * own).mean()))
    assert found.gap == pytest.approx(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))
    both = np.vstack([x, y])
    total = np.square(both - both.mean(axis=0)).sum()
    between = sum(120 * np.square(z.mean(axis=0) - both.mean(axis=0)).sum() for z in (x, y))
    assert found.between == pytest.approx(between / total) and 0.1 < found.between < 0.9


def test_blocks_change_nothing(pair, monkeypatch) -> None:
    whole = measure.alignment_and_uniformity(*pair)
    monkeypatch.setattr(sys.modules["course_lib.measure.uniformity"], "_CELLS", 7 * 120)
    assert measure.alignment_and_uniformity(*pair).uniformity == pytest.approx(whole.uniformity)


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_a_sphere_in_three_dimensions_has_a_closed_form(t) -> None:
    x = sphere(3000, 3)
    found = measure.alignment_and_uniformity(x, sphere(3000, 3, 1), t=t)
    wanted = np.log(np.exp(-2 * t) * np.sinh(2 * t) / (2 * t))
    assert found.uniformity == pytest.approx((wanted, wanted), abs=0.01)
    assert found.alignment.value == pytest.approx(2, abs=0.06) == found.strangers
    assert found.gap < 0.05 and found.between < 0.001


def test_what_looks_good_in_one_number_only() -> None:
    same = np.ones((50, 4))
    collapsed = measure.alignment_and_uniformity(same, same)
    assert collapsed.alignment.value == pytest.approx(0) == collapsed.strangers
    assert collapsed.uniformity == pytest.approx((0, 0)) and collapsed.between == 0
    random = measure.alignment_and_uniformity(sphere(500, 64), sphere(500, 64, 1))
    assert random.uniformity[0] == pytest.approx(-4, abs=0.2)
    assert random.alignment.value == pytest.approx(random.strangers, abs=0.05)


def test_points_apart_are_all_gap() -> None:
    here, there = np.tile([1.0, 0.0], (9, 1)), np.tile([0.0, 5.0], (9, 1))
    found = measure.alignment_and_uniformity(here, there)
    assert found.between == pytest.approx(1) and found.gap == pytest.approx(np.sqrt(2))


def test_centring_closes_the_gap(pair) -> None:
    from course_lib import methods

    x, y = pair[0] / 3, pair[1]
    before = measure.alignment_and_uniformity(x, y)
    after = measure.alignment_and_uniformity(x, methods.fit_centring(x, y)(y))
    assert after.between < before.between / 5 and after.alignment.value < before.alignment.value


def test_the_interval_is_that_of_a_mean(pair) -> None:
    found = measure.alignment_and_uniformity(*pair, resamples=4000).alignment
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in pair)
    apart = np.square(x - y).sum(axis=1)
    half = 1.96 * apart.std() / np.sqrt(120)
    assert found.low == pytest.approx(apart.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(apart.mean() + half, abs=0.15 * half)


def test_the_table_names_the_languages(pair) -> None:
    found = measure.alignment_and_uniformity(*pair, names=("English", "Chinese"))
    assert str(found).startswith("English and Chinese on the unit sphere, 120 pairs")
    assert f"uniformity, Chinese                      {found.uniformity[1]:.2f}" in str(found)
    assert found._repr_html_().count("<tr>") == 7
    assert found.to_dict()["alignment"]["value"] == found.alignment.value


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (np.eye(4), np.eye(5), {}, r"rows have shape \(4, 4\), the second side's rows \(5, 5\)"),
        (np.eye(1), np.eye(1), {}, "2 rows or more"),
        (np.eye(4), np.diag([1, 1, 0, np.inf]), {}, "2 of the second side's rows are zero"),
        (np.ones(4), np.eye(4), {}, r"shape \(4,\)"),
        (np.eye(4), np.eye(4), {"t": 0}, "t=0"),
    ],
)
def test_what_cannot_be_measured(x, y, options, said) -> None:
    with pytest.raises(BadInput, match=said):
        measure.alignment_and_uniformity(x, y, **options)
