"""Features on disk: every example is encoded once, whoever asks and in whatever subset.

A row is filed under the encoder's key and a fingerprint of the picture or text itself. Nested subsets, other
notebooks and other processes therefore find each other's work. Rows are kept in shards: files that are
written under a temporary name, checked by SHA-256 when read, and never changed. A shard that is damaged is
removed and its rows are computed again; a process that is killed loses at most the shard it was writing.
"""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np

from course_lib.callers import stack_level
from course_lib.encoders.timing import Timing
from course_lib.paths import cache_dir

_HEADER = struct.Struct("<8sQQd")  # magic, rows, columns, seconds per row
_MAGIC = b"CRRYFT01"
_ID = 16  # bytes of a fingerprint


def fingerprints(x: np.ndarray) -> list[bytes]:
    """Return one 16-byte BLAKE2b fingerprint per row of `x`, from its shape, type and bytes.

    Examples
    --------
    >>> a, b = fingerprints(np.zeros((2, 4, 4, 1), np.uint8))
    >>> a == b, len(a)
    (True, 16)
    """
    kind = f"{x.shape[1:]}{x.dtype.str}".encode()
    return [
        hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=_ID, person=_person(kind)).digest()
        for row in x
    ]


def _person(kind: bytes) -> bytes:
    return hashlib.blake2b(kind, digest_size=16).digest()


@dataclass(frozen=True)
class _Shard:
    """A verified shard: its rows stay on disk and are mapped, not read."""

    path: Path
    stamp: tuple[int, int]
    ids: tuple[bytes, ...]
    rows: np.ndarray
    seconds_each: float


class FeatureCache:
    """The features of one encoder on disk.

    Parameters
    ----------
    key : str
        The encoder's key: weights, preprocessing and layers.
    dim : int
        Columns per row.
    folder : pathlib.Path, optional
        Default: ``features/<key>`` in the course's cache.
    """

    def __init__(self, key: str, dim: int, folder: Path | None = None) -> None:
        self.key, self.dim = key, dim
        self._folder = folder
        self._shards: dict[Path, _Shard] = {}
        self._where: dict[bytes, tuple[_Shard, int]] = {}
        self._warned = False

    @property
    def folder(self) -> Path:
        """Where the shards lie; follows ``$COURSE_CACHE``."""
        return self._folder or cache_dir("features", self.key)

    def find(self, ids: Sequence[bytes]) -> np.ndarray:
        """Return ``(n,)`` bool: which rows are here, verified."""
        self._refresh()
        return np.fromiter((i in self._where for i in ids), bool, len(ids))

    def gather(self, ids: Sequence[bytes]) -> np.ndarray:
        """Return ``(n, dim)`` float32 rows that `find` found, in the order of `ids`."""
        rows = np.empty((len(ids), self.dim), np.float32)
        for place, i in enumerate(ids):
            shard, row = self._where[i]
            rows[place] = shard.rows[row]
        return rows

    def seconds_each(self, ids: Sequence[bytes]) -> float:
        """Return what computing one of these rows took on average, in seconds; 0 when none is here."""
        spent = [self._where[i][0].seconds_each for i in ids if i in self._where]
        return float(np.mean(spent)) if spent else 0.0

    def save(self, ids: Sequence[bytes], rows: np.ndarray, seconds_each: float) -> bool:
        """File rows; return False, after one warning, when the disk does not take them.

        Parameters
        ----------
        ids : sequence of bytes
        rows : numpy.ndarray
            ``(n, dim)`` float32.
        seconds_each : float
            What computing one row took.
        """
        body = (
            _HEADER.pack(_MAGIC, len(ids), self.dim, seconds_each)
            + b"".join(ids)
            + np.ascontiguousarray(rows, "<f4").tobytes()
        )
        digest = hashlib.sha256(body).digest()
        final = self.folder / f"{digest.hex()[:32]}.features"
        part = self.folder / f".{uuid4().hex}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                stream.write(digest + body)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(final)
        except OSError as error:
            self._warn(error)
            _discard(part)
            return False
        return True

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"Features cannot be kept in {self.folder} ({error.strerror or error}); going on "
                "without, so they will be computed again next time. What to do: free some space, or set "
                "COURSE_CACHE to a folder that can be written.",
                RuntimeWarning,
                stacklevel=stack_level(),
            )

    def _refresh(self) -> None:
        """Read shards that are new, forget those that are gone or changed."""
        try:
            here = {path: path.stat() for path in sorted(self.folder.glob("*.features"))}
        except OSError:
            here = {}
        stamps = {path: (stat.st_size, stat.st_mtime_ns) for path, stat in here.items()}
        kept = {p: s for p, s in self._shards.items() if stamps.get(p) == s.stamp}
        fresh = [path for path in stamps if path not in kept]
        if not fresh and len(kept) == len(self._shards):
            return
        for path in fresh:
            shard = self._read(path, stamps[path])
            if shard is None:
                _discard(path)
            else:
                kept[path] = shard
        self._shards = kept
        self._where = {i: (s, row) for s in kept.values() for row, i in enumerate(s.ids)}

    def _read(self, path: Path, stamp: tuple[int, int]) -> _Shard | None:
        """Return a verified shard, or None when its bytes are not what was written."""
        start = 32 + _HEADER.size
        try:
            with path.open("rb") as stream:
                digest = stream.read(32)
                if hashlib.file_digest(stream, "sha256").digest() != digest:
                    return None
                stream.seek(32)
                magic, n, dim, seconds_each = _HEADER.unpack(stream.read(_HEADER.size))
                if magic != _MAGIC or dim != self.dim:
                    return None
                names = stream.read(n * _ID)
            ids = tuple(names[k : k + _ID] for k in range(0, n * _ID, _ID))
            rows = np.memmap(path, "<f4", "r", offset=start + n * _ID, shape=(n, dim))
        except (OSError, ValueError, struct.error):
            return None
        return _Shard(path, stamp, ids, rows, seconds_each)


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a read-only cache: the file is not used, which is all that matters
        return


Compute = Callable[[np.ndarray, np.ndarray], Iterator[tuple[int, float]]]
"""Fills an array with the features of some rows; yields (rows done, seconds since the last yield)."""


def encode_through(
    cache: FeatureCache, asked: Sequence[bytes] | int, compute: Compute
) -> tuple[np.ndarray, Timing]:
    """Return features, from the cache where they are there and computed where not, and what that cost.

    Parameters
    ----------
    cache : FeatureCache
    asked : sequence of bytes, or int
        Fingerprints of the examples; or how many there are, to compute them all and keep none.
    compute : callable
        From row numbers and an array ``(rows, dim)`` to fill, in any number of steps; what is done at each
        yield is filed, so that an interruption loses one step.

    Returns
    -------
    numpy.ndarray
        ``(n, dim)`` float32.
    Timing
    """
    if isinstance(asked, int):
        features = np.empty((asked, cache.dim), np.float32)
        seconds = sum(spent for _, spent in compute(np.arange(asked), features))
        return features, Timing(asked, asked, seconds, seconds / asked if asked else 0.0)
    ids = asked
    found = np.flatnonzero(~cache.find(ids))
    # the same example twice in one call is computed once
    missing = np.array(list({ids[row]: row for row in found[::-1]}.values())[::-1], np.int64)
    computed = np.empty((len(missing), cache.dim), np.float32)
    first, seconds = 0, 0.0
    for done, spent in compute(missing, computed):
        seconds += spent
        cache.save([ids[row] for row in missing[first:done]], computed[first:done], spent / (done - first))
        first = done
    features = _assembled(cache, ids, missing, computed)
    each = seconds / len(missing) if len(missing) else cache.seconds_each(ids)
    return features, Timing(len(ids), len(missing), seconds, each)


def _assembled(
    cache: FeatureCache, ids: Sequence[bytes], missing: np.ndarray, computed: np.ndarray
) -> np.ndarray:
    """Put cached and computed rows together in the order of `ids`, whether or not the disk took them."""
    fresh = {ids[row]: place for place, row in enumerate(missing)}
    rows = np.empty((len(ids), computed.shape[1]), np.float32)
    old = [place for place, i in enumerate(ids) if i not in fresh]
    new = [place for place, i in enumerate(ids) if i in fresh]
    rows[old] = cache.gather([ids[place] for place in old])
    rows[new] = computed[[fresh[ids[place]] for place in new]]
    cache.find(())  # notice the shards just written
    return rows
