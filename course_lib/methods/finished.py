"""Networks that were trained before: the same data, settings and seed give the same weights."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.errors import BadInput, Corrupt
from course_lib.methods import checkpoint
from course_lib.paths import cache_dir


def once(
    name: str,
    source: str,
    settings: Mapping[str, Any],
    data: Mapping[str, np.ndarray],
    train: Callable[[], checkpoint.State],
) -> checkpoint.State:
    """Return what training ends in, from the cache or, the first time, by training.

    Only for training that repeats bit for bit. A file that is damaged, or of something else, is replaced;
    where nothing can be written, what was trained is simply returned.

    Parameters
    ----------
    name : str
        What is trained; part of the file's name.
    source : str
        ``__file__`` of the module that trains. Its text is part of the key: whoever changes how it is trained
        finds nothing that was trained otherwise.
    settings : mapping
        Everything else that decides the result, versions of the framework included; plain values.
    data : mapping of str to numpy.ndarray
        What it is trained and judged on, and weights to begin with.
    train : callable
        Returns a `checkpoint.State`; its ``meta`` takes plain values.

    Returns
    -------
    checkpoint.State

    Examples
    --------
    >>> train = lambda: checkpoint.State({"best": {"0": np.ones(2)}}, {"round": 3})
    >>> for _ in range(2):
    ...     found = once("example", __file__, {"seed": 0}, {"x": np.zeros(4)}, train)
    >>> found.arrays["best"]["0"], found.meta["round"]
    (array([1., 1.]), 3)
    """
    told = {"settings": dict(settings), "data": checkpoint.fingerprint(data)}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    digest.update(Path(source).read_bytes())
    key = digest.hexdigest()[:32]
    path = cache_dir("networks", f"{name}-{key}.npz")
    try:
        found = checkpoint.load(path, key)
    except (BadInput, Corrupt, OSError):
        found = None
    if found is not None:
        return found
    state = train()
    with contextlib.suppress(OSError):  # full or read-only: trained again next time, and nothing else
        checkpoint.save(path, state, key)
    return state
