"""Without labels: how well groups that were found agree with groups that are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import Interval


@dataclass(frozen=True)
class Agreement:
    """How well clusters agree with known groups; see `cluster_agreement`.

    Parameters
    ----------
    score : Interval
        Adjusted mutual information: 1 for the same grouping, 0 on average for a random one. Mean over the
        starts of k-means.
    starts : tuple of float
        The score of each start.
    clusters : numpy.ndarray
        ``(n,)`` int64, the clusters of the start with the tightest clusters.
    """

    score: Interval
    starts: tuple[float, ...]
    clusters: np.ndarray

    def __repr__(self) -> str:
        value, low, high = self.score.value, self.score.low, self.score.high
        return f"Agreement({value:.2f} [{low:.2f}, {high:.2f}], {len(self.starts)} starts)"


def cluster_agreement(
    features: np.ndarray,
    groups: np.ndarray,
    clusters: int | None = None,
    *,
    starts: int = 5,
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    r"""Cluster features by k-means and score the clusters against groups that k-means never saw.

    The score is the adjusted mutual information of clusters :math:`C` and groups :math:`G`,

    .. math:: \frac{I(C, G) - \mathbb{E}\,I}{\tfrac12\big(H(C) + H(G)\big) - \mathbb{E}\,I},

    where the expectation is over random groupings of the same sizes. Names of clusters do not matter.

    The interval resamples the starts and the examples, the clusters staying as they are. Resampling adds
    noise that looks like agreement, so the draws are centred on the score.

    Parameters
    ----------
    features : numpy.ndarray
        ``(n, d)``; clustered as they are, so bring columns to one scale where they differ.
    groups : numpy.ndarray
        ``(n,)`` of int or str.
    clusters : int, optional
        Default: as many as there are groups.
    starts : int
        Runs of k-means from different seeds.
    resamples, seed : int

    Returns
    -------
    Agreement

    Raises
    ------
    BadInput
        When lengths differ, features are not finite, or there are more clusters than examples.

    References
    ----------
    Vinh, Epps & Bailey (2010), "Information theoretic measures for clusterings comparison", JMLR 11.

    Examples
    --------
    >>> x = np.repeat([[0.0], [5.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> cluster_agreement(x, np.repeat(["a", "b"], 20))
    Agreement(1.00 [1.00, 1.00], 5 starts)
    """
    x, codes = _checked(features, groups)
    k = len(np.unique(codes)) if clusters is None else clusters
    if not 1 < k <= len(x):
        raise BadInput(
            f"{k} clusters of {len(x):,} examples.", "Give at least 2, and at most one per example."
        )
    if starts < 1:
        raise BadInput(f"starts={starts}.", "Give at least 1.")
    from sklearn.cluster import KMeans

    runs = [KMeans(k, n_init=1, random_state=seed + s).fit(x) for s in range(starts)]
    found = [np.asarray(run.labels_, np.int64) for run in runs]
    tables = [_table(labels, codes) for labels in found]
    scores = np.array([_adjusted(table, _chance(table)) for table in tables])
    low, high = np.percentile(_draws(tables, resamples, seed), (2.5, 97.5))
    best = found[int(np.argmin([run.inertia_ for run in runs]))]
    score = Interval(float(scores.mean()), float(low), float(min(high, 1.0)))
    return Agreement(score, tuple(map(float, scores)), best)


def _checked(features: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(features)
    if x.ndim != 2 or len(x) != len(groups):
        raise BadInput(
            f"Features of shape {x.shape} and {len(groups):,} groups; expected (n, d) and n.",
            "Give one row of features and one group per example.",
        )
    if not np.isfinite(x).all():
        raise BadInput("Some features are NaN or infinite.", "Leave these rows out.")
    return x, np.unique(groups, return_inverse=True)[1]


def _table(clusters: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the counts ``(clusters, groups)``."""
    table = np.zeros((clusters.max() + 1, groups.max() + 1), np.int64)
    np.add.at(table, (clusters, groups), 1)
    return table


def _adjusted(tables: np.ndarray, chance: float) -> np.ndarray:
    """Return the adjusted mutual information of tables of counts ``(..., clusters, groups)``."""
    shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
    rows, columns = (_entropy(shares.sum(axis=axis)) for axis in (-1, -2))
    mutual = rows + columns - _entropy(shares.reshape(*shares.shape[:-2], -1))
    return np.asarray((mutual - chance) / ((rows + columns) / 2 - chance))


def _entropy(shares: np.ndarray) -> np.ndarray:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=-1))


def _chance(table: np.ndarray) -> float:
    """Return the mutual information that random groupings of these sizes have on average."""
    from sklearn.metrics.cluster import expected_mutual_information

    return float(expected_mutual_information(table, int(table.sum())))


def _draws(tables: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Return ``(resamples,)`` scores of resampled starts and examples, their mean that of the scores.

    A resample of examples changes a table only through its counts, which are then multinomial; what chance
    gives hardly changes and is kept. Draws of few starts are stretched as in `compare`.
    """
    rng = np.random.default_rng(seed)
    size, again = len(tables), []
    for table in tables:
        chance, n = _chance(table), int(table.sum())
        drawn = rng.multinomial(n, table.ravel() / n, size=resamples).reshape(resamples, *table.shape)
        scores = _adjusted(drawn, chance)
        again.append(scores - scores.mean() + _adjusted(table, chance))
    if size == 1:
        return np.asarray(again[0])
    shares = rng.multinomial(size, np.full(size, 1 / size), size=resamples) / size
    weights = 1 / size + np.sqrt(size / (size - 1)) * (shares - 1 / size)
    return np.asarray((weights.T * np.stack(again)).sum(axis=0))
