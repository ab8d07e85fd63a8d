"""Who works on what: global batches, cut into one shard for each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from course_lib.errors import BadInput


def global_batches(n: int, batch: int, *, epochs: int = 1, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield the row numbers of each batch, the same for any number of processes.

    Parameters
    ----------
    n : int
        Examples.
    batch : int
        Rows per batch over all processes together. An epoch's last batch may be smaller.
    epochs, seed : int

    Yields
    ------
    numpy.ndarray
        ``(rows,)`` int64.

    Examples
    --------
    >>> [len(rows) for rows in global_batches(10, 4)]
    [4, 4, 2]
    """
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(n)
        for first in range(0, n, batch):
            yield order[first : first + batch]


def shard(rows: np.ndarray, rank: int, processes: int, shares: Sequence[float] | None = None) -> np.ndarray:
    """Return the part of a global batch that falls to one process.

    Parameters
    ----------
    rows : numpy.ndarray
        ``(n,)``.
    rank : int
        Which process, from 0.
    processes : int
    shares : sequence of float, optional
        How much each process takes, in proportion: machines of unlike speed. Default: as equally as can be.

    Returns
    -------
    numpy.ndarray
        All shards together are `rows`, each row once. A shard may be empty.

    Raises
    ------
    BadInput
        When shares are not one positive number for each process.

    Examples
    --------
    >>> [shard(np.arange(7), rank, 2).tolist() for rank in (0, 1)]
    [[0, 1, 2, 3], [4, 5, 6]]
    >>> [shard(np.arange(7), rank, 2, shares=(6, 1)).tolist() for rank in (0, 1)]
    [[0, 1, 2, 3, 4, 5], [6]]
    """
    if shares is None:
        return np.array_split(rows, processes)[rank]
    if len(shares) != processes or not all(np.isfinite(s) and s > 0 for s in shares):
        raise BadInput(
            f"shares={tuple(shares)!r} for {processes} processes.", "Give one positive number for each."
        )
    cuts = np.rint(np.cumsum(shares)[:-1] / np.sum(shares) * len(rows)).astype(int)
    return np.split(rows, cuts)[rank]
