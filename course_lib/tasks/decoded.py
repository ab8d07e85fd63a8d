"""Decoded data kept as plain arrays: thousands of small files take seconds to decode, arrays none to read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np

from course_lib.paths import cache_dir

Arrays = dict[str, np.ndarray]


def decoded(key: str, decode: Callable[[], Arrays]) -> Arrays:
    """Return arrays from the cache, or decode them once and keep them.

    Arrays are written to a temporary folder that is renamed when complete, with their SHA-256
    beside them. A damaged folder is decoded again. Where nothing can be written, the decoded arrays
    are simply returned.

    Parameters
    ----------
    key : str
        Names source and version of what is decoded; part of a file name.
    decode : callable
        Returns the arrays by name.

    Returns
    -------
    dict of str to numpy.ndarray
        Read-only when they come from the cache.
    """
    folder = cache_dir("decoded", key)
    found = _read(folder)
    if found is not None:
        return found
    arrays = decode()
    part = folder.with_name(f".{folder.name}-{uuid4().hex}.part")
    try:
        _write(part, arrays)
        _replace(part, folder)
    except OSError:  # full or read-only: slower next time, and nothing else
        shutil.rmtree(part, ignore_errors=True)
    return arrays


def _read(folder: Path) -> Arrays | None:
    try:
        index = json.loads((folder / "index.json").read_text("utf8"))
        found = {}
        for name, digest in index.items():
            path = folder / f"{name}.npy"
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                    return None
            found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return found


def _write(folder: Path, arrays: Arrays) -> None:
    folder.mkdir(parents=True)
    index = {}
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        with path.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        with path.open("rb") as stream:
            index[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    (folder / "index.json").write_text(json.dumps(index), "utf8")


def _replace(part: Path, folder: Path) -> None:
    """Put `part` in the place of `folder`; whoever comes second finds equal arrays there and leaves them."""
    try:
        part.rename(folder)
    except OSError:
        if _read(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        else:
            shutil.rmtree(part, ignore_errors=True)
