"""The state of an interrupted fit on disk: whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from course_lib.errors import BadInput, Corrupt

_VERSION = 1


@dataclass
class State:
    """Where a fit stands.

    Parameters
    ----------
    arrays : dict of str to dict of str to numpy.ndarray
        Groups of arrays: ``"now"``, ``"best"``, ``"optimiser"``.
    meta : dict
        Plain values: step, history, best score.
    """

    arrays: dict[str, dict[str, np.ndarray]]
    meta: dict[str, Any] = field(default_factory=dict)


def save(path: Path, state: State, digest: str) -> None:
    """Write `state` so that a kill at any moment leaves the old file or the new one.

    Parameters
    ----------
    path : pathlib.Path
    state : State
    digest : str
        Of the settings, the data and the network that it belongs to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flat: dict[str, Any] = {
        f"{group}:{name}": array for group, named in state.arrays.items() for name, array in named.items()
    }
    meta = json.dumps({"version": _VERSION, "digest": digest, **state.meta})
    flat["meta"] = np.frombuffer(meta.encode(), np.uint8)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as stream:
            np.savez(stream, **flat)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path, digest: str) -> State | None:
    """Return the state in `path`, or None when there is none.

    Raises
    ------
    BadInput
        When it belongs to other settings or data.
    Corrupt
        When it cannot be read.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(bytes(file["meta"]).decode())
            arrays: dict[str, dict[str, np.ndarray]] = {}
            for key in file.files:
                group, colon, name = key.partition(":")
                if colon:
                    arrays.setdefault(group, {})[name] = file[key]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise Corrupt(
            f"The checkpoint {path.name} cannot be read: {error}", "Delete the file and start again."
        ) from error
    if meta.get("digest") != digest or meta.get("version") != _VERSION:
        raise BadInput(
            f"The checkpoint {path.name} was written by a run with other settings, data or network.",
            "Give the same arguments to go on with it, or another checkpoint file to start anew.",
        )
    return State(arrays, meta)


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a digest of named arrays, for telling data and weights apart."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]
