"""Decoded pictures kept on disk, so that 58,000 JPEGs are decoded once and then mapped into memory."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from course_lib.paths import cache_dir

Arrays = dict[str, np.ndarray]

_LISTING = "arrays.json"
_STALE = 3600.0  # seconds after which a half-written folder belongs to nobody


def cached_arrays(name: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `make` returns, from the cache when it has them unharmed.

    An entry is a folder of ``.npy`` files with a CRC-32 for each, written under another name and
    then renamed: it is there in whole or not at all. A damaged entry is removed and made anew.
    Where the cache cannot be written the arrays are returned all the same, with one warning.

    Parameters
    ----------
    name : str
        Beginning of the folder's name.
    key : str
        Changes whenever the arrays would.
    make : callable
        Returns a dict of arrays without Python objects.

    Returns
    -------
    dict of str to numpy.ndarray
        Memory-mapped and read-only when they come from the cache.
    """
    folder = cache_dir("decoded", f"{name}-{key}")
    found = _read(folder)
    if found is not None:
        return found
    made = make()
    try:
        _write(folder, made)
    except OSError as error:
        warnings.warn(
            f"{name} is decoded anew each time: {folder.parent} cannot be written ({error.strerror or error}). "
            "Set COURSE_CACHE to a folder with room to keep it.",
            stacklevel=2,
        )
        return made
    return _read(folder) or made


def _read(folder: Path) -> Arrays | None:
    try:
        listing: dict[str, int] = json.loads((folder / _LISTING).read_text())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in listing}
        if all(_crc(array) == listing[name] for name, array in arrays.items()):
            return arrays
    except FileNotFoundError:
        if not folder.exists():
            return None
    except (OSError, ValueError, EOFError, AttributeError, TypeError):
        pass  # unreadable is damaged: removed below and made anew
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _write(folder: Path, arrays: Arrays) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    draft = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(exist_ok=True)
        for name, array in arrays.items():
            with (draft / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        listing = {name: _crc(array) for name, array in arrays.items()}
        (draft / _LISTING).write_text(json.dumps(listing))
        try:
            draft.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same arrays
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _crc(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half-written."""
    for draft in folder.glob("*.tmp"):
        try:
            if time.time() - draft.stat().st_mtime > _STALE:
                shutil.rmtree(draft, ignore_errors=True)
        except FileNotFoundError:
            continue  # its owner has just finished
