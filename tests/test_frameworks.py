"""TensorFlow finds the memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from course_lib import encoders
encoder = encoders.imagenet(64)
encoder.encode(np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8))
{before}
bytearray(2**26)
first = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(2**26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first)
"""
GENERATOR = """
import tensorflow as tf
list(tf.data.Dataset.from_generator(lambda: iter([1.0]), output_signature=tf.TensorSpec((), tf.float32)))
"""
PAGES = 10 * 2**26 // 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
@pytest.mark.parametrize(("before", "anew"), [("", False), (GENERATOR, True)], ids=["ours", "a generator"])
def test_freed_memory_is_not_asked_for_anew_after_encoding(before, anew, tmp_path, monkeypatch) -> None:
    """Ten times 64 MiB: without the setting every page of every one is taken, cleared and given back."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    told = subprocess.run(
        [sys.executable, "-c", FAULTS.format(before=before)], capture_output=True, text=True, check=True
    )
    assert (int(told.stdout) > PAGES / 4) == anew, told.stdout
