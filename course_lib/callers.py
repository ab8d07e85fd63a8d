"""Where the library was called from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

_HERE = str(Path(__file__).parent) + os.sep


def stack_level() -> int:
    """Return the `stacklevel` with which `warnings.warn` names the reader's line, not one of the library's.

    A warning may arise in an encoder that a classifier calls for a report, and the reader wants to know which
    of their own lines led there. Python 3.12 can look that up by itself (``skip_file_prefixes``); the course
    runs on 3.11 too.

    Returns
    -------
    int
        For the function that calls this one.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warnings.warn("Look here.", stacklevel=stack_level())
    >>> told[0].filename == __file__
    False
    """
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    return level
