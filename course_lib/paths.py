"""Where the course keeps and finds files on this machine.

Three environment variables steer it:

``COURSE_DATA``
    One or more folders (separated as in ``PATH``) that are searched for data
    sets before anything is downloaded. Never written to.
``COURSE_CACHE``
    Where downloads, features and small networks are kept. Default: the user cache folder.
``COURSE_OFFLINE``
    Set to ``1`` to never try the network.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir(*parts: str) -> Path:
    """Return a folder of the course's cache, not created.

    Parameters
    ----------
    *parts : str
        Sub-folders, for instance ``"features"``.

    Returns
    -------
    pathlib.Path
        ``$COURSE_CACHE`` or the user cache folder, followed by `parts`.

    Examples
    --------
    >>> cache_dir("features").name
    'features'
    """
    chosen = os.environ.get("COURSE_CACHE", "").strip()
    root = Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("carryover"))
    return root.joinpath(*parts)


def data_dirs() -> list[Path]:
    """Return the folders named by ``$COURSE_DATA``, in order."""
    named = os.environ.get("COURSE_DATA", "").split(os.pathsep)
    return [Path(part).expanduser() for part in named if part.strip()]


def offline() -> bool:
    """Tell whether ``$COURSE_OFFLINE`` forbids the network."""
    return os.environ.get("COURSE_OFFLINE", "").strip().lower() in {"1", "true", "yes"}
