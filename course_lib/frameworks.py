"""TensorFlow and Keras, imported without the lines that they print of themselves."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_CHATTER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|oneDNN custom operations are on"
    rb"|This TensorFlow binary is optimized|To enable the following instructions"
    rb"|Could not find cuda drivers|Unable to register cu"
)

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 2**30  # bytes: what a step of training asks for


@cache
def quiet_tensorflow() -> None:
    """Import TensorFlow and Keras and start them up, once per process.

    Their native code writes about its build to the standard error stream, which a notebook would keep below
    the first cell that happens to need them, and no setting silences it. Known lines are dropped; every
    other line is passed on. What TensorFlow frees is kept for its next step.
    """
    _keep_freed_memory()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_without(_CHATTER):
        import keras  # noqa: F401
        import tensorflow as tf

        tf.constant(0.0)  # the runtime starts, and speaks, with the first operation


def _keep_freed_memory() -> None:
    """Let the C library use freed memory again instead of returning it to the system.

    TensorFlow asks for each large array anew, so that by default every step has its pages taken away, given
    back and cleared: a quarter of the time of training MobileNetV2. (``tf.data.Dataset.from_generator`` sets
    the first number to 128 KiB for the whole process, and every later step takes twice as long.) The numbers
    are those of glibc's malloc.h; other C libraries have no such setting.
    """
    if sys.platform != "linux":
        return
    setting = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if setting is None:
        return
    for parameter, value in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _KEPT), (_ARENA_MAX, 1)):
        setting(parameter, value)


@contextmanager
def _stderr_without(chatter: re.Pattern[bytes]) -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on the lines that do not match."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error stream at all: nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            rest = b"".join(line for line in held if not chatter.search(line))
            if rest:
                os.write(2, rest)
