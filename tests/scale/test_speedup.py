"""The formula for many machines: its limits, a ring that is played through, and where it bends."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import scale
from course_lib.errors import BadInput

FIGURES = {"step": 0.2, "size": 8e6, "bandwidth": 1e9, "latency": 1e-4}


def played(n: int, size: int, bandwidth: float, latency: float) -> float:
    """Play a ring all-reduce through on real arrays; return its seconds, and check that it sums."""
    data = np.random.default_rng(0).normal(size=(n, n, size // n))
    total, seconds = data.sum(axis=0), 0.0
    held = data.copy()
    for add in (True, False):
        for step in range(n - 1):
            before = held.copy()
            for rank in range(n):
                part = (rank - step + (not add)) % n
                to = (rank + 1) % n
                held[to, part] = before[rank, part] + (before[to, part] if add else 0)
            seconds += size / n / bandwidth + latency
    np.testing.assert_allclose(held, np.broadcast_to(total, held.shape), rtol=1e-12)
    return seconds


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_ring_played_through_costs_what_the_formula_says(n):
    size = 120 * n
    assert scale.ring_seconds(n, size, 1e3, 0.25) == pytest.approx(played(n, size, 1e3, 0.25))


def test_limits():
    free = FIGURES | {"size": 0.0, "latency": 0.0}
    for n in (1, 2, 8, 1000):
        assert scale.predicted_speedup(n, **free) == pytest.approx(n)
        amdahl = 1 / (0.1 + 0.9 / n)
        assert scale.predicted_speedup(n, serial=0.1, **free) == pytest.approx(amdahl)
        assert scale.predicted_speedup(n, growing=True, **free) == pytest.approx(n)
    assert scale.predicted_speedup(1, **FIGURES) == pytest.approx(1)
    many = scale.predicted_speedup(10**6, **(FIGURES | {"latency": 0.0}))
    assert many == pytest.approx(0.2 / 0.016, rel=1e-3)  # talking alone: 2 B / bandwidth


def test_eight_by_hand():
    talk = 2 * 7 * (8e6 / 8 / 1e9 + 1e-4)
    assert scale.predicted_speedup(8, **FIGURES) == pytest.approx(0.2 / (0.2 / 8 + talk))
    assert scale.predicted_speedup(8, growing=True, **FIGURES) == pytest.approx(8 * 0.2 / (0.2 + talk))


@pytest.mark.parametrize("latency", [1e-4, 1e-3, 1e-2])
def test_it_bends_at_the_root_where_only_latency_costs(latency):
    # d/dn (T / n + 2 (n - 1) latency) = 0
    root = (0.2 / (2 * latency)) ** 0.5
    figures = FIGURES | {"size": 0.0, "latency": latency}
    assert abs(scale.bend(**figures) - root) <= 1
    assert scale.bend(most=3, **(figures | {"latency": 0.0})) == 3


@pytest.mark.parametrize(
    "wrong", [{"step": 0}, {"bandwidth": -1}, {"size": -1}, {"serial": 1.1}, {"step": float("nan")}]
)
def test_wrong_numbers(wrong):
    with pytest.raises(BadInput):
        scale.predicted_speedup(2, **(FIGURES | wrong))


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_wrong_processes(n):
    with pytest.raises(BadInput, match="processes"):
        scale.predicted_speedup(n, **FIGURES)
