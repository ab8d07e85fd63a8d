"""Does every row find its partner: retrieval across two languages, and the hubs that stand in its way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.directions import unit_pairs
from course_lib.measure.report import Interval, html_table, interval, text_table

CORRECTIONS = (None, "csls")
NEIGHBOURS = 10
"""The k of CSLS and of hubness, as published."""

TIE = 2e-6
"""Similarities that differ by less are equal: that much is rounding in float32."""

_CELLS = 2**23  # similarities in memory at once, 32 MB


@dataclass(frozen=True, eq=False)
class Retrieval:
    """How often a row's nearest target is its partner; see `retrieval`.

    Parameters
    ----------
    names : tuple of str
        What the queries and the targets are.
    accuracy : Interval
        Share of queries whose nearest target is right: accuracy@1.
    reciprocal_rank : Interval
        Mean of 1 / rank of the first right target (MRR).
    hits : numpy.ndarray
        ``(n,)`` float64: 1 for right, 0 for wrong, the share of right ones where several targets tie.
    ranks : numpy.ndarray
        ``(n,)`` float64 from 1, expected ranks where targets tie.
    nearest : numpy.ndarray
        ``(n,)`` int64 row of each query's nearest target.
    chance : float
        Accuracy of a guess.
    correction : str or None
    """

    names: tuple[str, str]
    accuracy: Interval
    reciprocal_rank: Interval
    hits: np.ndarray
    ranks: np.ndarray
    nearest: np.ndarray
    chance: float
    correction: str | None

    @property
    def n(self) -> int:
        """Number of queries."""
        return len(self.hits)

    @property
    def direction(self) -> str:
        """From where to where, for tables."""
        return f"{self.names[0]} → {self.names[1]}"

    def misses(self, n: int = 10) -> np.ndarray:
        """Return rows of queries that found something wrong, and what they found; the worst first.

        Parameters
        ----------
        n : int
            At most so many.

        Returns
        -------
        numpy.ndarray
            ``(m, 2)`` int64: the query, whose partner has the same row, and its nearest target.
        """
        wrong = np.flatnonzero(self.hits == 0)
        rows = wrong[np.argsort(-self.ranks[wrong], kind="stable")][:n]
        return np.column_stack([rows, self.nearest[rows]])

    def to_dict(self) -> dict[str, Any]:
        """Return what a file of results needs, without the single queries."""
        return {
            "direction": self.direction,
            "n": self.n,
            "accuracy": self.accuracy.to_dict(),
            "reciprocal_rank": self.reciprocal_rank.to_dict(),
            "chance": self.chance,
            "correction": self.correction,
        }

    @property
    def _caption(self) -> str:
        return f"{self.direction}, {self.n:,} queries{_with(self.correction)}"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("accuracy@1", str(self.accuracy)),
            ("mean reciprocal rank", _plain(self.reciprocal_rank)),
            ("chance", f"{self.chance:.2%}"),
        ]

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption)}</b>", ("", "value [95% interval]"), self._rows())


@dataclass(frozen=True, eq=False)
class BothWays:
    """Retrieval from each side to the other; see `retrieval_both_ways`.

    Parameters
    ----------
    there, back : Retrieval
        From the first side to the second, and the other way.
    """

    there: Retrieval
    back: Retrieval

    @property
    def accuracy(self) -> float:
        """The mean of both directions."""
        return (self.there.accuracy.value + self.back.accuracy.value) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return both as plain values."""
        return {"there": self.there.to_dict(), "back": self.back.to_dict()}

    @property
    def _caption(self) -> str:
        return f"Retrieval of {self.there.n:,} pairs{_with(self.there.correction)}"

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (one.direction, str(one.accuracy), _plain(one.reciprocal_rank)) for one in (self.there, self.back)
        ]

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table([_HEAD, *self._rows()], indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption)}</b>", _HEAD, self._rows())


_HEAD = ("", "accuracy@1 [95% interval]", "mean reciprocal rank")


def retrieval(
    queries: np.ndarray,
    targets: np.ndarray,
    *,
    correction: str | None = None,
    k: int = NEIGHBOURS,
    same: Sequence[Any] | np.ndarray | None = None,
    names: tuple[str, str] = ("queries", "targets"),
    resamples: int = 1000,
    seed: int = 0,
) -> Retrieval:
    r"""Look for every query's partner among all targets, by cosine similarity.

    Row i of the targets is the partner of row i of the queries, for instance a translation. Nearest
    neighbours in many dimensions have hubs: a few targets that are nearest to very many queries, whatever
    these say. CSLS (cross-domain similarity local scaling) takes from each similarity how near both lie to
    their neighbours,

    .. math:: \mathrm{CSLS}(x, y) = 2 \cos(x, y) - r_T(x) - r_S(y),

    with :math:`r_T(x)` the mean cosine of x to its k nearest targets and :math:`r_S(y)` that of y to its k
    nearest queries. It looks at all queries at once, which plain nearest neighbours do not need.

    **What counts as right.** The partner, and every target that ``same`` says is as good: the same sentence
    may be there twice, or have two translations. Equal *features* are no excuse: an encoder to which
    different sentences look alike has not found anything. Where right and wrong targets tie, the hit is
    shared as a draw among them would share it: a network that makes all rows equal gets 1 / n.

    Parameters
    ----------
    queries, targets : numpy.ndarray
        ``(n, d)`` features each. Not changed.
    correction : {None, "csls"}
    k : int
        Neighbours of CSLS.
    same : sequence, optional
        ``(n,)`` of anything that can be compared: rows with equal values are right for each other, for
        instance the texts of the targets. Default: only the partner is right.
    names : tuple of str
        For tables, for instance ``("English", "Chinese")``.
    resamples, seed : int
        Of the bootstrap over queries.

    Returns
    -------
    Retrieval

    Raises
    ------
    BadInput
        When the two differ in shape, a row is zero or not finite, or an option does not exist.

    References
    ----------
    Conneau, Lample, Ranzato, Denoyer & Jégou (2018), "Word translation without parallel data". Artetxe &
    Schwenk (2019), "Massively multilingual sentence embeddings" (the task).

    Examples
    --------
    >>> x = np.eye(4, 6) + 0.1
    >>> retrieval(x, x[[0, 1, 3, 2]], names=("here", "there"))
    here → there, 4 queries
      accuracy@1            50.0% [0.0, 100.0]
      mean reciprocal rank  0.667 [0.333, 1.000]
      chance                25.00%
    >>> retrieval(x, x[[0, 1, 3, 2]], same=["a", "b", "c", "c"]).accuracy.value
    1.0
    """
    x, y = _units(queries, targets)
    right = _groups(same, len(x))
    n = len(x)
    hits, ranks, nearest = np.empty(n), np.empty(n), np.empty(n, np.int64)
    for rows, scores in _scored(x, y, correction, k):
        nearest[rows] = scores.argmax(axis=1)
        hits[rows], ranks[rows] = _judged(scores, right[rows, None] == right)
    accuracy, reciprocal = (_mean(values, resamples, seed) for values in (hits, 1 / ranks))
    chance = float(np.bincount(right)[right].mean() / n)
    return Retrieval(names, accuracy, reciprocal, hits, ranks, nearest, chance, correction)


def retrieval_both_ways(
    a: np.ndarray, b: np.ndarray, *, names: tuple[str, str] = ("first", "second"), **options: Any
) -> BothWays:
    """Look for partners from `a` in `b` and from `b` in `a`; options as of `retrieval`.

    Examples
    --------
    >>> x = np.eye(4, 6) + 0.1
    >>> retrieval_both_ways(x, x[[0, 1, 3, 2]], names=("English", "Chinese"))
    Retrieval of 4 pairs
                         accuracy@1 [95% interval]  mean reciprocal rank
      English → Chinese  50.0% [0.0, 100.0]         0.667 [0.333, 1.000]
      Chinese → English  50.0% [0.0, 100.0]         0.667 [0.333, 1.000]
    """
    return BothWays(
        retrieval(a, b, names=names, **options), retrieval(b, a, names=(names[1], names[0]), **options)
    )


def similarities(
    queries: np.ndarray,
    targets: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    correction: str | None = None,
    k: int = NEIGHBOURS,
) -> np.ndarray:
    """Return the similarities that `retrieval` looks at, of some pairs: queries by targets.

    Parameters
    ----------
    queries, targets, correction, k
        As in `retrieval`.
    rows : numpy.ndarray, optional
        Which pairs; the neighbours of CSLS are looked for among all. Default: all of them, which takes
        ``4 n²`` bytes.

    Returns
    -------
    numpy.ndarray
        ``(m, m)`` float32, the similarity of partners on its diagonal.

    Raises
    ------
    BadInput
        As `retrieval`.

    Examples
    --------
    >>> x = np.eye(3)
    >>> similarities(x, x, rows=np.array([0, 2])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> similarities(x, x, rows=np.array([0, 2]), correction="csls", k=1).tolist()
    [[0.0, -2.0], [-2.0, 0.0]]
    """
    x, y = _units(queries, targets)
    _check_correction(correction, k, len(x))
    some = np.arange(len(x)) if rows is None else np.asarray(rows)
    found = x[some] @ y[some].T
    if correction == "csls":
        found = 2 * found - _nearness(x[some], y, k)[:, None] - _nearness(y[some], x, k)
    return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Hubness:
    """How unequally targets are found; see `hubness`.

    Parameters
    ----------
    counts : numpy.ndarray
        ``(n,)`` int64: among the k nearest of how many queries each target is; k on average.
    k : int
    names : tuple of str
        What the queries and the targets are.
    correction : str or None
    """

    counts: np.ndarray
    k: int
    names: tuple[str, str]
    correction: str | None

    @property
    def skewness(self) -> float:
        """Third standardised moment of the counts: 0 where hubs and orphans balance, large with hubs."""
        apart = self.counts - self.counts.mean()
        spread = float(np.square(apart).mean())
        return float((apart**3).mean() / spread**1.5) if spread else 0.0

    @property
    def orphans(self) -> float:
        """Share of targets that are near to no query: they cannot be found."""
        return float((self.counts == 0).mean())

    @property
    def hubs(self) -> np.ndarray:
        """Rows of the targets, the largest hub first, ``(n,)`` int64."""
        return np.argsort(-self.counts, kind="stable")

    def to_dict(self) -> dict[str, Any]:
        """Return what a file of results needs, without the single targets."""
        return {
            "direction": f"{self.names[0]} → {self.names[1]}",
            "n": len(self.counts),
            "k": self.k,
            "correction": self.correction,
            "skewness": self.skewness,
            "largest": int(self.counts.max()),
            "orphans": self.orphans,
        }

    @property
    def _caption(self) -> str:
        return f"Hubness, {self.names[0]} → {self.names[1]}{_with(self.correction)}"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (f"skewness of {self.k}-occurrence", f"{self.skewness:.2f}"),
            ("largest hub is near to", f"{self.counts.max():,} of {len(self.counts):,} queries"),
            ("targets near to none", f"{self.orphans:.1%}"),
        ]

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption)}</b>", ("", "value"), self._rows())


def hubness(
    queries: np.ndarray,
    targets: np.ndarray,
    k: int = NEIGHBOURS,
    *,
    correction: str | None = None,
    names: tuple[str, str] = ("queries", "targets"),
) -> Hubness:
    r"""Count how many queries have each target among their k nearest.

    The counts :math:`N_k` are k on average. In few dimensions they are spread evenly about that; in many, a
    few targets (hubs) are near to very many queries and many targets to none. Their skewness says how much,

    .. math:: S = \mathbb{E}\bigl[(N_k - k)^3\bigr] / \sigma_{N_k}^3.

    Parameters
    ----------
    queries, targets : numpy.ndarray
        ``(n, d)`` features each. Not changed.
    k : int
        For the count, and for CSLS.
    correction : {None, "csls"}
        As in `retrieval`: what is left of the hubs after it.
    names : tuple of str

    Returns
    -------
    Hubness

    Raises
    ------
    BadInput
        As `retrieval`.

    References
    ----------
    Radovanović, Nanopoulos & Ivanović (2010), "Hubs in space: popular nearest neighbors in high-dimensional
    data", JMLR 11.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> few, many = (rng.normal(0.3, size=(2, 500, d)) for d in (3, 300))
    >>> abs(hubness(*few).skewness) < 0.5, hubness(*many).skewness > 1
    (True, True)
    """
    x, y = _units(queries, targets)
    _check_neighbours(k, len(x))
    counts = np.zeros(len(y), np.int64)
    for _, scores in _scored(x, y, correction, k):
        near = np.argpartition(scores, -k, axis=1)[:, -k:]
        counts += np.bincount(near.ravel(), minlength=len(y))
    return Hubness(counts, k, names, correction)


def _scored(
    x: np.ndarray, y: np.ndarray, correction: str | None, k: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and their similarities ``(rows, n)`` to all targets, some rows at a time."""
    _check_correction(correction, k, len(x))
    crowd = _nearness(y, x, k) if correction == "csls" else None
    for rows in _blocks(len(x), len(y)):
        scores = x[rows] @ y.T
        if crowd is not None:
            scores = 2 * scores - _largest(scores, k)[:, None] - crowd
        yield rows, scores


def _nearness(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Return the mean cosine of each row of `x` to its k nearest rows of `y`, ``(n,)``."""
    return np.concatenate([_largest(x[rows] @ y.T, k) for rows in _blocks(len(x), len(y))])


def _largest(scores: np.ndarray, k: int) -> np.ndarray:
    return np.asarray(np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1))


def _blocks(n: int, columns: int) -> Iterator[slice]:
    size = max(_CELLS // columns, 1)
    return (slice(first, min(first + size, n)) for first in range(0, n, size))


def _judged(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and ranks ``(rows,)`` of similarities ``(rows, n)``, `right` marking the right targets.

    The rank is that of the first right target when all that tie with it are shuffled, on average.
    """
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    better = (scores > best + TIE).sum(axis=1)  # all of them wrong
    level = scores >= best - TIE
    good = (level & right).sum(axis=1)
    tied = level.sum(axis=1) - better - good
    hits = np.where(better == 0, good / (good + tied), 0.0)
    return hits, 1 + better + tied / (good + 1)


def _mean(values: np.ndarray, resamples: int, seed: int) -> Interval:
    """Return the mean of ``(n,)`` values with its bootstrap interval.

    A resample changes the mean only through how often each value is drawn, which is multinomial.
    """
    found, counts = np.unique(values, return_counts=True)
    n = len(values)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    return interval(float(values.mean()), drawn @ found / n)


def _units(queries: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return unit_pairs(queries, targets, ("queries", "targets"), dtype=np.float32)


def _groups(same: Sequence[Any] | np.ndarray | None, n: int) -> np.ndarray:
    """Return a group number per row; rows of one group are right for each other."""
    if same is None:
        return np.arange(n)
    values = np.asarray(same)
    if values.shape != (n,):
        raise BadInput(
            f"`same` has shape {values.shape} for {n:,} pairs.",
            "Give one value per pair, for instance its text.",
        )
    return np.asarray(np.unique(values, return_inverse=True)[1])


def _check_correction(correction: str | None, k: int, n: int) -> None:
    if correction not in CORRECTIONS:
        raise BadInput(f"correction={correction!r}.", f"Choose one of {', '.join(map(repr, CORRECTIONS))}.")
    if correction is not None:
        _check_neighbours(k, n)


def _check_neighbours(k: int, n: int) -> None:
    if not 1 <= k <= n:
        raise BadInput(f"k={k} neighbours among {n:,}.", f"Give 1 to {n:,}; 10 is usual.")


def _with(correction: str | None) -> str:
    return f" with {correction.upper()}" if correction else ""


def _plain(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
