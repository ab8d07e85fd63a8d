"""TensorFlow and Keras, imported without the lines that they print of themselves."""

from __future__ import annotations

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


@cache
def quiet_tensorflow() -> None:
    """Import TensorFlow and Keras and start them up, once per process.

    Their native code writes about its build to the standard error stream, which a notebook would keep below
    the first cell that happens to need them, and no setting silences it. Known lines are dropped; every
    other line is passed on.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_without(_CHATTER):
        import keras  # noqa: F401
        import tensorflow as tf

        tf.constant(0.0)  # the runtime starts, and speaks, with the first operation


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
