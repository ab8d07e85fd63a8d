"""What differs between two domains, seen through one number: P(X), P(Y), P(Y|X)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import Interval

FEWEST = 8
"""Examples that both domains need in a bin before their shares there are compared."""

SURE = 0.01
"""Below this p-value a difference is said to be one."""

_COLUMNS = 24  # of the histograms


@dataclass(frozen=True)
class Shift:
    """Two domains side by side; see `shift`.

    Parameters
    ----------
    names : tuple of str
        The two domains.
    sizes : tuple of int
        Their examples.
    columns : numpy.ndarray
        ``(25,)`` edges of the histograms.
    density : numpy.ndarray
        ``(2, 24)`` share of each domain per column, an estimate of P(X).
    overlap : float
        Share of probability that the histograms have in common: 1 for the same, 0 for none.
    share : tuple of Interval
        P(Y = event) in each domain.
    bins : numpy.ndarray
        ``(k + 1,)`` edges of the bins for P(Y|X).
    centres : numpy.ndarray
        ``(k,)`` mean of the numbers in each bin, both domains together.
    given : tuple of tuple of Interval or None
        P(Y = event | X in bin) for each domain and bin; None where an example is missing.
    common : tuple of int
        Bins with enough examples of both domains.
    p_values : dict of str to float
        Of "the same in both", for ``"P(X)"``, ``"P(Y)"`` and ``"P(Y|X)"``; NaN where nothing can be compared.
    """

    names: tuple[str, str]
    sizes: tuple[int, int]
    columns: np.ndarray
    density: np.ndarray
    overlap: float
    share: tuple[Interval, Interval]
    bins: np.ndarray
    centres: np.ndarray
    given: tuple[tuple[Interval | None, ...], tuple[Interval | None, ...]]
    common: tuple[int, ...]
    p_values: dict[str, float]

    @property
    def verdicts(self) -> dict[str, str]:
        """``"differs"`` or ``"cannot tell"`` for each of the three; ``"no overlap"`` where none is shared."""
        return {
            name: "no overlap" if np.isnan(p) else "differs" if p < SURE else "cannot tell"
            for name, p in self.p_values.items()
        }

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {verdict}" for name, verdict in self.verdicts.items())
        return f"Shift({self.names[0]} and {self.names[1]}: {told}; overlap {self.overlap:.0%})"


def shift(domains: Mapping[str, tuple[np.ndarray, np.ndarray]], *, bins: int = 6) -> Shift:
    r"""Compare two domains through one number per example.

    With :math:`P(x, y) = P(x)\,P(y \mid x)`, two domains that differ in anything differ in :math:`P(x)`, in
    :math:`P(y\mid x)`, or in both; :math:`P(y)` follows. Pictures have too many dimensions for that, so they
    are seen through one number each, for instance their brightness or what a classifier says of them. Seen
    through another number, other things differ.

    P(X) is tested by Kolmogorov and Smirnov, P(Y) by the difference of two shares, P(Y|X) by the sum of that
    over bins, :math:`\chi^2` with one degree of freedom for each. The tests take examples as independent.

    Parameters
    ----------
    domains : dict of str to (numpy.ndarray, numpy.ndarray)
        Two: ``(n,)`` of the number, and ``(n,)`` of bool or 0 and 1, whether the event is so.
    bins : int
        For P(Y|X), with about as many examples of both domains together in each.

    Returns
    -------
    Shift

    Raises
    ------
    BadInput
        Unless there are two domains of finite numbers and events.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> y = rng.random(2000) < 1 / (1 + np.exp(-3 * x))
    >>> shift({"low": (x[x < 0.5], y[x < 0.5]), "all": (x, y)}, bins=12)
    Shift(low and all: P(X) differs, P(Y) differs, P(Y|X) cannot tell; overlap 70%)
    """
    names, values, events = _checked(domains)
    pooled = np.concatenate(values)
    columns = np.linspace(pooled.min(), pooled.max(), _COLUMNS + 1)
    density = np.stack([np.histogram(x, columns)[0] / len(x) for x in values])
    edges = np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)))
    inner = edges[1:-1]
    k, places = len(inner) + 1, np.digitize(pooled, inner)
    total = np.stack([np.bincount(np.digitize(x, inner), minlength=k) for x in values])
    hits = np.stack(
        [np.bincount(np.digitize(x, inner), y, minlength=k) for x, y in zip(values, events, strict=True)]
    )
    common = np.flatnonzero((total >= FEWEST).all(axis=0))
    sizes = np.array([len(y) for y in events])
    sums = np.array([y.sum() for y in events])
    return Shift(
        names=names,
        sizes=(len(events[0]), len(events[1])),
        columns=columns,
        density=density,
        overlap=float(np.minimum(*density).sum()),
        share=(wilson(sums[0], sizes[0]), wilson(sums[1], sizes[1])),
        bins=edges,
        centres=np.bincount(places, pooled, minlength=k) / np.bincount(places, minlength=k),
        given=(_per_bin(hits[0], total[0]), _per_bin(hits[1], total[1])),
        common=tuple(common.tolist()),
        p_values={
            "P(X)": _same_distribution(*values),
            "P(Y)": _same_shares(sums[:, None], sizes[:, None]),
            "P(Y|X)": _same_shares(hits[:, common], total[:, common]),
        },
    )


def wilson(hits: float, n: float) -> Interval:
    """Return a share with its 95% interval (Wilson, 1927), which is right for few examples too.

    Examples
    --------
    >>> print(wilson(8, 10))
    80.0% [49.0, 94.3]
    """
    z = 1.959964
    centre = (hits + z * z / 2) / (n + z * z)
    half = z * np.sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return Interval(float(hits / n), float(max(centre - half, 0)), float(min(centre + half, 1)))


def _per_bin(hits: np.ndarray, total: np.ndarray) -> tuple[Interval | None, ...]:
    return tuple(wilson(h, n) if n else None for h, n in zip(hits, total, strict=True))


def _same_distribution(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import ks_2samp

    return float(ks_2samp(first, second, method="asymp").pvalue)


def _same_shares(hits: np.ndarray, total: np.ndarray) -> float:
    """Return the p-value of "in each of these bins both domains have one share"; ``(2, bins)`` each."""
    from scipy.stats import chi2

    if hits.shape[1] == 0:
        return float("nan")
    pooled = hits.sum(axis=0) / total.sum(axis=0)
    variance = pooled * (1 - pooled) * (1 / total).sum(axis=0)
    difference = np.diff(hits / total, axis=0)[0]
    squares = np.divide(difference**2, variance, out=np.zeros_like(difference), where=variance > 0)
    return float(chi2.sf(squares.sum(), hits.shape[1]))


def _checked(
    domains: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[tuple[str, str], list[np.ndarray], list[np.ndarray]]:
    if len(domains) != 2:
        raise BadInput(f"{len(domains)} domains were given; expected two.", "Compare two at a time.")
    values, events = [], []
    for name, (x, y) in domains.items():
        number, event = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if number.ndim != 1 or number.shape != event.shape or not len(number):
            raise BadInput(
                f"{name} has numbers of shape {number.shape} and events of shape {event.shape}; "
                "expected (n,) and (n,).",
                "Give one number and one event per example, for instance split.x.mean(axis=(1, 2, 3)).",
            )
        if not np.isfinite(number).all() or not np.isin(event, (0, 1)).all():
            raise BadInput(
                f"{name} has numbers that are not finite, or events that are neither 0 nor 1.",
                "Give, for instance, split.y == 1.",
            )
        values.append(number)
        events.append(event)
    if np.ptp(np.concatenate(values)) == 0:
        raise BadInput("All numbers are the same.", "Look at the domains through another number.")
    first, second = domains
    return (first, second), values, events
