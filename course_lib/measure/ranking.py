"""Do scores put networks in the order of the accuracies that they reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import html_table, text_table

FEWEST = 5
"""Below, no interval is given: resampling four networks says nothing of a fifth."""

ALL_ORDERS = 7
"""Up to so many networks, all their orders are gone through."""


@dataclass(frozen=True)
class Correlation:
    """A correlation, the ends of its 95% interval, and how often chance alone reaches it.

    Parameters
    ----------
    value, low, high : float
        From −1 (the order turned round) to 1 (the same order).
    p : float
        Share of all orders of the networks whose correlation is at least as far from 0.

    Examples
    --------
    >>> print(Correlation(0.8, 0.1, 1.0, 0.02))
    0.80 [0.10, 1.00], p = 0.020
    """

    value: float
    low: float
    high: float
    p: float

    def to_dict(self) -> dict[str, float]:
        """Return value, low, high and p."""
        return asdict(self)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        numbers = f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], p = {self.p:.3f}"
        return numbers.replace("-", "−")


@dataclass(frozen=True)
class RankCorrelation:
    """How the order by score agrees with the order by accuracy; see `rank_correlation`."""

    n: int
    weighted_tau: Correlation
    spearman: Correlation

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)

    def _rows(self) -> list[tuple[str, str]]:
        return [("weighted Kendall τ", str(self.weighted_tau)), ("Spearman ρ", str(self.spearman))]

    def _caption(self) -> str:
        warning = f"; fewer than {FEWEST} cannot tell" if self.n < FEWEST else ""
        return f"{self.n} networks, p at least {_least_p(self.n):.2g}{warning}"

    def __str__(self) -> str:
        return f"Score against accuracy: {self._caption()}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(
            f"<b>Score against accuracy</b>: {self._caption()}", ("", "[95% interval]"), self._rows()
        )


def rank_correlation(
    scores: Mapping[str, float], accuracies: Mapping[str, float], *, resamples: int = 1000, seed: int = 0
) -> RankCorrelation:
    """Compare the order of networks by a score with their order by the accuracy they reached.

    The weighted Kendall τ (Vigna, 2015) counts pairs in the same and in the turned order, a pair at the top
    for more than one at the bottom: choosing a network needs the top right. Spearman's ρ weighs all ranks
    alike.

    The interval is the percentile bootstrap over networks and says what other networks of the same kind might
    have given. It is rough, and too narrow when networks are few; below `FEWEST` it is [−1, 1]. The p-value
    compares with all orders of the networks up to `ALL_ORDERS` of them, otherwise with `resamples` random
    ones; it cannot be smaller than one over their number. Networks that share a task and an architecture are
    not independent, which neither accounts for.

    Parameters
    ----------
    scores, accuracies : mapping of str to float
        By network, the same networks in both.
    resamples, seed : int

    Returns
    -------
    RankCorrelation

    Raises
    ------
    BadInput
        Fewer than three networks, networks that stand in one mapping only, values that are not finite
        numbers, or all equal.

    References
    ----------
    Vigna (2015), "A weighted correlation index for rankings with ties".

    Examples
    --------
    >>> found = rank_correlation({"a": 1, "b": 2, "c": 3}, {"a": 0.5, "b": 0.6, "c": 0.7})
    >>> found.weighted_tau.value, found.n
    (1.0, 3)
    """
    apart = set(scores) ^ set(accuracies)
    if apart or len(scores) < 3:
        who = f"{', '.join(sorted(apart))} in one mapping only" if apart else f"{len(scores)} networks"
        raise BadInput(f"{who}; expected the same networks in both, three or more.", "Name them alike.")
    x, y = (np.asarray([float(values[name]) for name in scores]) for values in (scores, accuracies))
    for what, values in (("scores", x), ("accuracies", y)):
        if not np.isfinite(values).all() or (values == values[0]).all():
            raise BadInput(
                f"The {what} are {values.tolist()}; expected finite numbers that are not all the same.",
                "Leave out networks without a score.",
            )
    both = (_correlation(statistic, x, y, resamples, seed) for statistic in (_tau, _rho))
    return RankCorrelation(len(x), *both)


def _correlation(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    resamples: int,
    seed: int,
) -> Correlation:
    n, rng = len(x), np.random.default_rng(seed)
    value = float(statistic(x[None], y[None])[0])
    if n <= ALL_ORDERS:
        orders = np.array(list(permutations(range(n))))
    else:
        orders = np.vstack([np.arange(n), rng.permuted(np.tile(np.arange(n), (resamples - 1, 1)), axis=1)])
    by_chance = statistic(np.broadcast_to(x, orders.shape), y[orders])
    p = float(np.mean(np.abs(by_chance) >= abs(value) - 1e-12))
    if n < FEWEST:
        return Correlation(value, -1.0, 1.0, p)
    rows = rng.integers(n, size=(resamples, n))
    rows = rows[(np.ptp(x[rows], axis=1) > 0) & (np.ptp(y[rows], axis=1) > 0)]  # one network has no order
    low, high = np.percentile(statistic(x[rows], y[rows]), (2.5, 97.5))
    return Correlation(value, float(low), float(high), p)


def _tau(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Vigna's weighted τ of each row, as `scipy.stats.weightedtau` does for one, ``(rows,)``."""
    dx, dy = (np.sign(v[:, :, None] - v[:, None, :]) for v in (x, y))
    total = np.zeros(len(x))
    for keys in ((y, x), (x, y)):  # ranks from the top by one, ties by the other
        rank = np.empty(x.shape)
        top = np.lexsort(keys, axis=1)[:, ::-1]
        np.put_along_axis(rank, top, np.broadcast_to(np.arange(x.shape[1]), x.shape).astype(float), axis=1)
        weight = 1 / (rank[:, :, None] + 1) + 1 / (rank[:, None, :] + 1)
        same, untied_x, untied_y = ((weight * of).sum(axis=(1, 2)) for of in (dx * dy, dx * dx, dy * dy))
        total += same / np.sqrt(untied_x * untied_y)
    return np.clip(total / 2, -1, 1)


def _rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's ρ of each row, ``(rows,)``."""
    from scipy.stats import rankdata

    a, b = (rankdata(v, axis=1) - (v.shape[1] + 1) / 2 for v in (x, y))
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray(np.clip((a * b).sum(axis=1) / size, -1, 1))


def _least_p(n: int) -> float:
    return 2 / factorial(n) if n <= ALL_ORDERS else 0.001
