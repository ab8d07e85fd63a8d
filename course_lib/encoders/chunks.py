"""Encoding piece by piece, on the cores of this machine or on many machines: more examples than memory.

A piece goes to a worker together with the recipe of its encoder; features come back, in order, and are filed
where the plain loop files them. A worker that is lost changes nothing: its pieces go to another.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from course_lib.encoders.cache import Compute, FeatureCache
from course_lib.errors import BadInput, CourseError
from course_lib.scheduler import connected, in_order

_FILED = 2048  # rows between two writes to the cache: what an interrupted run can lose

Recipe = Callable[[], Any]
"""Makes the same encoder in another process: a `functools.partial` of a function of this library."""

_here: WeakValueDictionary[str, Any] = WeakValueDictionary()
_built: dict[str, Any] = {}
_building = threading.RLock()


class Pieces(Protocol):
    """An encoder that can work piece by piece."""

    name: str
    key: str
    dim: int
    recipe: Recipe | None
    _cache: FeatureCache

    @property
    def piece(self) -> Callable[..., np.ndarray]:
        """Of a few examples, a lock held by one thread at a time, and options: features, computed now."""

    @property
    def checked(self) -> Callable[..., tuple[np.ndarray, Callable[[np.ndarray], list[bytes]]]]:
        """Of data: examples as an array, and what gives their fingerprints."""

    @property
    def rows_of_a_piece(self) -> Callable[..., int]:
        """Of examples and options: how many make a piece, a megabyte or so, no batch half full."""


@dataclass(frozen=True)
class Sent:
    """What a worker needs to know of an encoder.

    Parameters
    ----------
    ticket : str
        Under which the process that asked has it.
    recipe : callable or None
        How another process makes it.
    name, key : str
        What it must be.
    """

    ticket: str
    recipe: Recipe | None
    name: str
    key: str

    def encoder(self) -> Any:
        """Return the encoder: the one of this process, or one made from the recipe and kept.

        Raises
        ------
        BadInput
            When it cannot be made elsewhere.
        CourseError
            When what was made has other weights.
        """
        with _building:
            found = _here.get(self.ticket) or _built.get(self.key)
            if found is None:
                if self.recipe is None:
                    raise BadInput(
                        f"{self.name} was put together in another process and cannot be made in this one.",
                        "Use scheduler='threads', or an encoder of encoders.imagenet, multilingual_bert or "
                        "english_bert.",
                    )
                found = self.recipe()
                if found.key != self.key:
                    raise CourseError(
                        f"A worker has other weights: {found.key}, not {self.key}.",
                        "Install the same versions on all machines.",
                    )
                _built.clear()  # one network in memory
                _built[self.key] = found
            return found


def sent(encoder: Pieces) -> Sent:
    """Return what a worker needs, and remember the encoder for workers of this process."""
    ticket = uuid.uuid4().hex
    _here[ticket] = encoder
    return Sent(ticket, encoder.recipe, encoder.name, encoder.key)


def features_there(what: Sent, x: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Return the features of a piece, on the worker where this is called."""
    features: np.ndarray = what.encoder().piece(x, _building, **options)
    return features


def spread(
    encoder: Pieces, x: np.ndarray, scheduler: Any, progress: bool, options: dict[str, Any]
) -> Compute:
    """Return what computes the features of rows of `x` on a scheduler's workers, for `encode_through`."""

    def compute(rows: np.ndarray, out: np.ndarray) -> Iterator[tuple[int, float]]:
        if not len(rows):
            return
        from course_lib.show.progress import Progress

        size = encoder.rows_of_a_piece(x, **options)
        what = sent(encoder)
        jobs = ((what, x[rows[a : a + size]], options) for a in range(0, len(rows), size))
        with (
            connected(scheduler) as client,
            Progress(f"features of {encoder.name}", len(rows), "examples", visible=progress) as bar,
        ):
            done, filed, since = 0, 0, time.perf_counter()
            for found in in_order(client, features_there, jobs):
                assert found is not None
                out[done : done + len(found)] = found
                done += len(found)
                bar.update(len(found))
                if done - filed >= _FILED or done == len(rows):
                    yield done, time.perf_counter() - since
                    filed, since = done, time.perf_counter()

    return compute


@dataclass(frozen=True)
class _Part:
    """A part of a chunk: its rows, what they are filed under, which are missing, whether it is the last."""

    n: int
    ids: list[bytes] | None
    missing: np.ndarray
    last: bool


def encode_chunks(
    encoder: Pieces,
    chunks: Iterable[Any],
    *,
    scheduler: Any = None,
    cache: bool = True,
    progress: bool = True,
    **options: Any,
) -> Iterator[np.ndarray]:
    """Yield the features of each chunk of examples: memory holds a few chunks, however many there are.

    Parameters
    ----------
    encoder : ImageEncoder or TextEncoder
    chunks : iterable of Split, numpy.ndarray or sequence of str
        Taken one at a time, when there is room: a generator that reads files, slices of a ``numpy.memmap``.
    scheduler : str, distributed.Client or cluster, optional
        As in `course_lib.scheduler.connected`. None computes here, one chunk after the other.
    cache : bool
        False neither reads nor writes features on disk.
    progress : bool
    **options
        Of the encoder's ``encode``: ``batch_size`` or ``batch_tokens``.

    Yields
    ------
    numpy.ndarray
        ``(rows of the chunk, dim)`` float32, in the order of the chunks.

    Raises
    ------
    BadInput
        For chunks that are no examples, a scheduler that does not answer, an encoder that cannot travel.
    CourseError
        When workers were lost again and again.

    Examples
    --------
    >>> from course_lib import encoders
    >>> chunks = (np.full((2, 32, 32, 3), k, np.uint8) for k in range(3))
    >>> sum(len(z) for z in encode_chunks(encoders.imagenet(64), chunks, cache=False))
    6
    """
    from course_lib.show.progress import Progress

    with Progress(f"features of {encoder.name}", 0, "examples", visible=progress) as bar:
        if scheduler is None:
            for chunk in chunks:
                features: np.ndarray = encoder.encode(  # type: ignore[attr-defined]
                    chunk, cache=cache, progress=False, **options
                )
                bar.update(len(features))
                yield features
            return
        ready: list[np.ndarray] = []
        for part, features in _parts(encoder, chunks, scheduler, cache, options):
            ready.append(features)
            bar.update(part.n)
            if part.last:
                yield np.concatenate(ready)
                ready = []


def _parts(
    encoder: Pieces, chunks: Iterable[Any], scheduler: Any, cache: bool, options: dict[str, Any]
) -> Iterator[tuple[_Part, np.ndarray]]:
    """Yield each part with its features, those that are missing computed by the scheduler's workers."""
    planned: deque[_Part] = deque()
    kept, what = encoder._cache, sent(encoder)

    def jobs() -> Iterator[tuple[Any, ...] | None]:
        for chunk in chunks:
            x, fingerprints = encoder.checked(chunk)
            size = max(1, encoder.rows_of_a_piece(x, **options)) if len(x) else 1
            for first in range(0, max(1, len(x)), size):
                piece = x[first : first + size]
                ids = fingerprints(piece) if cache else None
                missing = np.arange(len(piece)) if ids is None else np.flatnonzero(~kept.find(ids))
                planned.append(_Part(len(piece), ids, missing, first + size >= len(x)))
                yield (what, piece[missing], options) if len(missing) else None

    with connected(scheduler) as client:
        since = time.perf_counter()
        for found in in_order(client, features_there, jobs()):
            part = planned.popleft()
            now = time.perf_counter()
            yield part, _filled(kept, part, found, now - since)
            since = time.perf_counter()


def _filled(kept: FeatureCache, part: _Part, found: np.ndarray | None, seconds: float) -> np.ndarray:
    """Return the features of a part in its order; file those that were computed."""
    out = np.empty((part.n, kept.dim), np.float32)
    if found is not None:
        out[part.missing] = found
        if part.ids is not None:
            kept.save([part.ids[row] for row in part.missing], found, seconds / len(found))
    if part.ids is not None and len(part.missing) < part.n:
        there = np.setdiff1d(np.arange(part.n), part.missing)
        out[there] = kept.gather([part.ids[row] for row in there])
    return out
