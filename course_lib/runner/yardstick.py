"""How fast this machine is, in a third of a second: minutes recorded elsewhere can be told for here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache

SIDE, STEPS, REPEATS = 1024, 200_000, 7


@cache
def yardstick() -> float:
    """Return the milliseconds that a fixed piece of work takes here; measured once in a process.

    The geometric mean of a product of two matrices, on all cores as networks compute, and of a loop in
    Python, on one core as everything around them does. Each is the best of a few repeats, so that other
    programs disturb it little.

    Examples
    --------
    >>> 0 < yardstick() < 10_000
    True
    """
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    return 1000 * math.sqrt(_best(lambda: matrix @ matrix) * _best(_steps))


def _steps() -> int:
    total = 0
    for step in range(STEPS):
        total += step & 7
    return total


def _best(work: Callable[[], object]) -> float:
    """Return the fewest seconds of some repeats; the first also wakes the cores and is not counted."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
