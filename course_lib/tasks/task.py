"""What is to be learnt: a task and its three disjoint splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from course_lib.errors import BadInput


@dataclass(frozen=True, eq=False)
class Split:
    """Examples with their labels: one of the train, validation and test sets.

    Parameters
    ----------
    x : numpy.ndarray
        The examples. Images: ``(n, height, width, channels)`` uint8 with one
        (grey) or three (RGB) channels. Sentences: ``(n,)`` of str. Sounds:
        ``(n, samples)`` float32, -1 to 1. Read-only.
    y : numpy.ndarray
        ``(n,)`` int64, indices into `class_names`. Read-only.
    class_names : tuple of str
    name : str
        For messages, for instance ``"cifar10/train"``.
    domain : str
        Where the examples come from, for instance ``"photographs"``.
    ids : numpy.ndarray
        ``(n,)`` of str: which example of the published data set each row is.
    groups : numpy.ndarray, optional
        ``(n,)`` of str: which of several domains each row belongs to, for instance its speaker. Read-only.

    Raises
    ------
    BadInput
        When lengths differ or a label has no class name.
    """

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    name: str
    domain: str
    ids: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.y)
        if len(self.x) != n or len(self.ids) != n:
            raise BadInput(
                f"{self.name}: {len(self.x)} examples, {n} labels and {len(self.ids)} ids; "
                "they must be as many.",
                "Give one label and one id per example.",
            )
        if self.groups is not None and len(self.groups) != n:
            raise BadInput(
                f"{self.name}: {n} labels and {len(self.groups)} groups; they must be as many.",
                "Give one group per example, or None.",
            )
        if n and (self.y.min() < 0 or self.y.max() >= len(self.class_names)):
            raise BadInput(
                f"{self.name}: labels run from {self.y.min()} to {self.y.max()}, "
                f"but there are {len(self.class_names)} class names.",
                "Number the classes from 0, in the order of class_names.",
            )
        # Views, so that freezing them leaves the caller's own arrays writable.
        for name in ("x", "y", "ids", "groups"):
            if getattr(self, name) is None:
                continue
            view = np.asarray(getattr(self, name)).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.y)

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield pairs of example and label."""
        return iter(zip(self.x, self.y.tolist(), strict=True))

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples per class name."""
        totals = np.bincount(self.y, minlength=len(self.class_names))
        return dict(zip(self.class_names, totals.tolist(), strict=True))

    def take(self, rows: np.ndarray, name: str | None = None) -> Split:
        """Return the split made of `rows` (indices or a boolean mask), in that order."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(
            self, x=self.x[rows], y=self.y[rows], ids=self.ids[rows], groups=groups, name=name or self.name
        )

    def sample(self, n: int, seed: int = 0) -> Split:
        """Return `n` examples, each class in its share, the same ones for the same seed.

        Samples of one seed are nested: the rows of ``sample(10)`` are among those
        of ``sample(20)``, so that a learning curve adds labels and never swaps them.

        Raises
        ------
        BadInput
            When more examples are asked for than exist, or fewer than classes.
        """
        return self.take(stratified_rows(self.y, n, seed=seed, what=self.name))

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.x.shape[1:]))
        return f"Split({self.name!r}: {len(self):,} examples{' of ' + shape if shape else ''}, {self.domain})"


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learnt, and where it came from.

    Parameters
    ----------
    name : str
    train, validation, test : Split
        Disjoint. Train to fit, validation to choose, test to report, once.
    class_names : tuple of str
    domain : str
        For instance ``"photographs"`` or ``"monocrystalline cells"``.
    licence : str
    citation : str
    note : str
        How the data was come by: the edition, the split rule.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    domain: str
    licence: str
    citation: str
    note: str = field(default="")

    def __post_init__(self) -> None:
        seen: dict[Any, str] = {}
        for split in (self.train, self.validation, self.test):
            for key in split.ids.tolist():
                if key in seen:
                    raise BadInput(
                        f"{self.name}: example {key!r} is in {seen[key]} and in {split.name}.",
                        "Give every example to one split only; a score on seen examples says nothing.",
                    )
                seen[key] = split.name

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def subset(self, train: int, seed: int = 0, validation: int | None = None) -> Task:
        """Return the same task with fewer labels, stratified; nested for one seed.

        The validation set shrinks along: somebody who owns ten labels does not own
        five thousand more to choose with (Oliver et al., 2018, "Realistic evaluation of
        deep semi-supervised learning algorithms"). The test set stays whole.

        Parameters
        ----------
        train : int
            Training labels, at least one per class.
        seed : int
        validation : int, optional
            Validation labels. Default: a quarter of `train`, at least one per
            class, at most all there are.

        Raises
        ------
        BadInput
            When more labels are asked for than exist, or fewer than classes.
        """
        if validation is None:
            validation = min(max(train // 4, self.classes), len(self.validation))
        return replace(
            self,
            train=self.train.sample(train, seed=seed),
            validation=self.validation.sample(validation, seed=seed),
        )

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(s):,}" for s in (self.train, self.validation, self.test))
        return (
            f"Task({self.name!r}: {self.classes} classes, {sizes} train / validation / test, {self.domain})"
        )


def stratified_rows(y: np.ndarray, n: int, seed: int = 0, what: str = "the data") -> np.ndarray:
    """Choose `n` rows so that each class keeps its share; nested in `n` for one seed.

    Every class is shuffled once with the seed, and its k-th row gets the
    place ``(k + 1/2) / class size``; the `n` first places are taken. A class that holds a
    tenth of the labels thus holds a tenth of every subset, to within one row,
    and every class is there from the start, however rare it is.

    Parameters
    ----------
    y : numpy.ndarray
        ``(rows,)`` of int.
    n : int
        How many rows, at least one per class and at most all.
    seed : int
    what : str
        Name used in messages.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` int64 row numbers, in an order that mixes the classes.

    Raises
    ------
    BadInput
        When `n` is below the number of classes or above the number of rows.

    Examples
    --------
    >>> y = np.array([0] * 6 + [1] * 3)
    >>> np.bincount(y[stratified_rows(y, 3)]).tolist()
    [2, 1]
    >>> set(stratified_rows(y, 3)) <= set(stratified_rows(y, 6))
    True
    """
    present, sizes = np.unique(y, return_counts=True)
    if n > len(y):
        raise BadInput(f"{n:,} labels asked for; {what} has {len(y):,}.", f"Ask for at most {len(y):,}.")
    if n < len(present):
        raise BadInput(
            f"{n} labels asked for; {what} has {len(present)} classes.",
            f"Ask for at least {len(present)}, one per class.",
        )
    rng = np.random.default_rng(seed)
    place = np.empty(len(y))
    for cls, size in zip(present, sizes, strict=True):
        rows = rng.permutation(np.flatnonzero(y == cls))
        place[rows] = (np.arange(size) + 0.5) / size
        place[rows[0]] = -1.0  # one of each class comes first, however rare it is
    order = np.lexsort((rng.permutation(len(y)), place))
    return order[:n].astype(np.int64)
