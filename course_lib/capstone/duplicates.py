"""Pictures that stand in two splits: a score on what was seen in training says nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from course_lib.tasks.task import Split, Task

GRID: Final = 16  # a picture shrunk to so many pixels a side, to be compared
CLOSE: Final = 2.0  # grey levels of 255 by which two pictures of one thing may differ, root mean square
PLAIN: Final = 8.0  # grey levels; what varies less has too little in it to be recognised
_BLOCK: Final = 1024


@dataclass(frozen=True)
class Pair:
    """Two examples that are one: in which splits they are, and whether equal or nearly so."""

    first: str
    first_split: str
    second: str
    second_split: str
    equal: bool

    def __str__(self) -> str:
        word = "equals" if self.equal else "nearly equals"
        return f"{self.first} ({self.first_split}) {word} {self.second} ({self.second_split})"


@dataclass(frozen=True)
class Cleaned:
    """A task without what stood in two splits.

    Parameters
    ----------
    task : Task
    equal : tuple of Pair
        Left out of the split named first.
    near : tuple of Pair
        Left where they are: only the owner knows whether these are two pictures of one thing.
    torn : int
        Equal pictures with different labels, in whichever splits.
    """

    task: Task
    equal: tuple[Pair, ...]
    near: tuple[Pair, ...]
    torn: int


def without_duplicates(task: Task) -> Cleaned:
    """Leave out of training what is in validation or test, and out of validation what is in test.

    Equal means every pixel. Nearly equal: shrunk to 16×16 grey pixels, the two differ by less than two levels
    of 255 (root mean square), as after saving a photograph again.

    Parameters
    ----------
    task : Task
        Of pictures.

    Returns
    -------
    Cleaned
    """
    order = [("train", task.train), ("validation", task.validation), ("test", task.test)]
    digests = {part: _digests(split.x) for part, split in order}
    equal: list[Pair] = []
    kept: dict[str, Split] = {}
    for k, (part, split) in enumerate(order):
        later = {
            digest: (other, str(name))
            for other, there in order[k + 1 :]
            for digest, name in zip(digests[other], there.ids, strict=True)
        }
        stays = np.array([digest not in later for digest in digests[part]], bool)
        for row in np.flatnonzero(~stays):
            where, name = later[digests[part][row]]
            equal.append(Pair(str(split.ids[row]), part, name, where, equal=True))
        kept[part] = split.take(stays)
    told: dict[bytes, set[int]] = {}
    for part, split in order:
        for digest, label in zip(digests[part], split.y.tolist(), strict=True):
            told.setdefault(digest, set()).add(label)
    torn = sum(len(labels) > 1 for labels in told.values())
    cleaned = replace(task, train=kept["train"], validation=kept["validation"], test=kept["test"])
    return Cleaned(cleaned, tuple(equal), _near(kept), torn)


def _digests(x: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(one).tobytes(), digest_size=16).digest() for one in x]


def _near(splits: dict[str, Split]) -> tuple[Pair, ...]:
    """Return pairs of training (or validation) and later pictures that differ by next to nothing."""
    small = {part: _shrunk(split.x) for part, split in splits.items()}
    found: list[Pair] = []
    for part, others in (("train", ("validation", "test")), ("validation", ("test",))):
        for other in others:
            for row, column in _close(small[part], small[other]):
                names = str(splits[part].ids[row]), str(splits[other].ids[column])
                found.append(Pair(names[0], part, names[1], other, equal=False))
    return tuple(found)


def _shrunk(x: np.ndarray) -> np.ndarray:
    """Return pictures as ``(n, 256)`` float32 grey levels; plain ones as NaN, which is close to nothing."""
    from PIL import Image

    grey = np.empty((len(x), GRID * GRID), np.float32)
    for row, picture in enumerate(x):
        flat = picture[..., 0] if picture.shape[-1] == 1 else picture
        image = Image.fromarray(np.ascontiguousarray(flat)).convert("L")
        grey[row] = np.asarray(image.resize((GRID, GRID), Image.Resampling.BOX), np.float32).ravel()
    grey[grey.std(axis=1) < PLAIN] = np.nan
    return grey


def _close(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    """Return the rows of `a` with their nearest row of `b`, where that is close."""
    if not len(a) or not len(b):
        return []
    found = []
    square = np.einsum("ij,ij->i", b, b)
    for start in range(0, len(a), _BLOCK):
        block = a[start : start + _BLOCK]
        apart = np.einsum("ij,ij->i", block, block)[:, None] + square - 2 * block @ b.T
        apart = np.where(np.isnan(apart), np.inf, apart)
        nearest = apart.argmin(axis=1)
        close = apart[np.arange(len(block)), nearest] < GRID * GRID * CLOSE**2
        found += [(int(start + row), int(nearest[row])) for row in np.flatnonzero(close)]
    return found
