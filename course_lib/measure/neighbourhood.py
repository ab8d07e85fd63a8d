"""How near a new example lies to what was learnt from, and whether that is as near as usual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_lib.errors import BadInput

_STRANGE = 0.95  # share of the usual examples beyond which one is called strange
_CELLS = 2**23  # similarities in memory at once, 32 MB


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest known examples of each new one; made by `Neighbourhood.nearest`.

    Parameters
    ----------
    rows : numpy.ndarray
        ``(n, k)`` int64 rows of the known examples, nearest first.
    cosine : numpy.ndarray
        ``(n, k)`` float32 cosine similarities of these, falling.
    nearer : numpy.ndarray
        ``(n,)`` share of the usual examples that have a nearer known one.
    known, usual : int
        How many there are of each.
    """

    rows: np.ndarray
    cosine: np.ndarray
    nearer: np.ndarray
    known: int
    usual: int

    def strange(self, row: int = 0) -> bool:
        """Tell whether at least 95% of the usual examples have a nearer known one."""
        return bool(self.nearer[row] >= _STRANGE)

    def sentence(self, row: int = 0) -> str:
        """Say how far off an example lies, compared with the usual ones.

        Parameters
        ----------
        row : int
            Which of the new examples.
        """
        best, share = self.cosine[row, 0], self.nearer[row]
        if share == 1:
            return (
                f"Nothing in the training pictures is like it: each of {self.usual:,} validation pictures "
                f"has a nearer one than it has (cosine {best:.2f})."
            )
        others = f"{round(share * self.usual):,} of {self.usual:,} validation pictures have a nearer one"
        if share >= _STRANGE:
            return f"Little in the training pictures is like it: {others} than it has (cosine {best:.2f})."
        return f"It lies among the training pictures: the nearest has cosine {best:.2f}, and {others}."


class Neighbourhood:
    """Known examples, and how near to them new ones of the same kind usually are; see `neighbourhood`.

    Attributes
    ----------
    known : int
        How many examples are known.
    typical : numpy.ndarray
        ``(m,)`` float32, ascending: cosine of each usual example to its nearest known one.
    """

    def __init__(self, known: np.ndarray, usual: np.ndarray) -> None:
        self._directions = _directions(known, "known")
        self.known = len(self._directions)
        others = _directions(usual, "usual", self._directions.shape[1])
        self.typical = np.sort(_largest(others, self._directions, 1)[1][:, 0])

    def nearest(self, features: np.ndarray, k: int = 5) -> Nearest:
        """Find the nearest known examples of new ones.

        Parameters
        ----------
        features : numpy.ndarray
            ``(n, d)``. Not changed.
        k : int
            How many neighbours; at most all that are known.

        Returns
        -------
        Nearest

        Raises
        ------
        BadInput
            For other than ``(n, d)`` finite numbers, or no or too many neighbours.
        """
        if not 1 <= k <= self.known:
            raise BadInput(f"k={k} with {self.known:,} known examples.", f"Give 1 to {self.known:,}.")
        new = _directions(features, "new", self._directions.shape[1])
        rows, cosine = _largest(new, self._directions, k)
        nearer = 1 - np.searchsorted(self.typical, cosine[:, 0], side="right") / len(self.typical)
        return Nearest(rows, cosine, nearer, self.known, len(self.typical))


def neighbourhood(known: np.ndarray, usual: np.ndarray) -> Neighbourhood:
    r"""Remember what was learnt from, and how near to it examples of the same kind are.

    A classifier gives every example one of its classes, be it like nothing that it ever saw. Whether it is
    like something can be measured: the distance to the nearest known example, :math:`1 - \max_i \cos(z, z_i)`
    in feature space, set beside the same distance of held-out examples, which were drawn as the known ones
    were. Of an example drawn like these, the chance that at least 95% of them lie nearer is about 5%.

    Parameters
    ----------
    known : numpy.ndarray
        ``(n, d)`` features of the training examples.
    usual : numpy.ndarray
        ``(m, d)`` features of examples of the same kind that are *not* among them, for instance the
        validation set. With m of them, shares are known in steps of 1 / m.

    Returns
    -------
    Neighbourhood

    Raises
    ------
    BadInput
        For other than ``(n, d)`` finite numbers, none of them, or columns that differ.

    References
    ----------
    Sun, Ming, Zhu & Li (2022), "Out-of-distribution detection with deep nearest neighbors".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> around = neighbourhood(rng.normal(1, 0.1, (50, 8)), rng.normal(1, 0.1, (40, 8)))
    >>> near = around.nearest(np.array([np.ones(8), np.eye(8)[0]]))
    >>> near.strange(0), near.strange(1)
    (False, True)
    >>> print(near.sentence(1)[:66])
    Nothing in the training pictures is like it: each of 40 validation
    """
    return Neighbourhood(known, usual)


def _directions(x: np.ndarray, what: str, columns: int | None = None) -> np.ndarray:
    """Return rows of length 1; a row of zeros stays, and is like nothing."""
    given = np.asarray(x)
    if given.ndim != 2 or 0 in given.shape or given.dtype.kind not in "fiub":
        raise BadInput(
            f"The {what} features have shape {given.shape} and type {given.dtype}; expected numbers (n, d).",
            "Give what encoder.encode(split) returns.",
        )
    if columns is not None and given.shape[1] != columns:
        raise BadInput(
            f"The {what} features have {given.shape[1]} columns, the known ones {columns}.",
            "Encode both with the same encoder.",
        )
    if not np.isfinite(given).all():
        raise BadInput(f"The {what} features hold NaN or infinity.", "Look at the inputs of these rows.")
    length = np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    unit = np.divide(given, length, out=np.zeros(given.shape), where=length > 0)
    return np.asarray(unit, np.float32)


def _largest(new: np.ndarray, known: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and cosines ``(n, k)`` of the k largest, falling; the lower row first where they tie."""
    rows, cosine = [], []
    step = max(1, _CELLS // len(known))
    for first in range(0, len(new), step):
        alike = new[first : first + step] @ known.T
        order = np.argsort(-alike, axis=1, kind="stable")[:, :k]
        rows.append(order)
        cosine.append(np.clip(np.take_along_axis(alike, order, axis=1), -1, 1))
    return np.concatenate(rows), np.concatenate(cosine)
