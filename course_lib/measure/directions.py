"""Features as directions: rows of length 1, checked to have one."""

from __future__ import annotations

import numpy as np

from course_lib.errors import BadInput


def unit_pairs(
    a: np.ndarray,
    b: np.ndarray,
    what: tuple[str, str],
    *,
    fewest: int = 1,
    dtype: type[np.floating] = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides of pairs with rows of length 1.

    Parameters
    ----------
    a, b : numpy.ndarray
        ``(n, d)`` each. Not changed.
    what : tuple of str
        For messages: what the rows of each are.
    fewest : int
        Pairs that are needed.
    dtype : type
        Of the result; lengths are worked out in float64.

    Raises
    ------
    BadInput
        When the two differ in shape, there are too few, or a row is zero or not finite.

    Examples
    --------
    >>> a, b = unit_pairs(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]), ("queries", "targets"))
    >>> a.round(2).tolist(), b.tolist()
    ([[0.6, 0.8]], [[0.0, 1.0]])
    """
    sides = []
    for name, given in zip(what, (a, b), strict=True):
        x = np.asarray(given)
        if x.ndim != 2 or len(x) < fewest or not x.shape[1] or x.dtype.kind not in "fiub":
            raise BadInput(
                f"The {name} have shape {x.shape} and type {x.dtype}; expected numbers (n, d), "
                f"{fewest} rows or more.",
                "Give what encoder.encode(sentences) returns.",
            )
        length = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
        odd = np.flatnonzero(~(np.isfinite(length[:, 0]) & (length[:, 0] > 0)))
        if len(odd):
            raise BadInput(
                f"{len(odd):,} of the {name} are zero or not finite and have no direction: rows "
                f"{', '.join(map(str, odd[:5]))}{', ...' if len(odd) > 5 else ''}.",
                "Leave out these rows, together with their partners.",
            )
        sides.append((x / length).astype(dtype))
    if sides[0].shape != sides[1].shape:
        raise BadInput(
            f"The {what[0]} have shape {sides[0].shape}, the {what[1]} {sides[1].shape}; pairs are as many.",
            "Give each row with its partner, encoded by the same encoder.",
        )
    return sides[0], sides[1]
