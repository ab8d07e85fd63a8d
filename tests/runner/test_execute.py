"""One notebook in a kernel of its own."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
import pytest

from course_lib.runner.execute import CLIENT, execute


def interrupt_when(condition):
    """Send this process an interrupt, as Ctrl-C does, once `condition` holds."""

    def wait():
        end = time.monotonic() + 60
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def kernels():
    return [
        one for one in psutil.Process().children(recursive=True) if "ipykernel_launcher" in str(one.cmdline())
    ]


@pytest.mark.parametrize("moment", ["starting", "working"])
def test_interrupted_at_any_moment_it_ends_its_kernel_and_its_client(course, moment):
    path = course.add("00_slow", "open('../begun', 'w').close()", "import time\ntime.sleep(60)")
    before = kernels()
    begun = course.folder / "begun"
    interrupt_when(begun.exists if moment == "working" else lambda: CLIENT in names())
    with pytest.raises(KeyboardInterrupt):
        execute(path, lambda done, of: None)
    assert CLIENT not in names(), "the client still works in its thread"
    assert kernels() == before
    assert begun.exists() == (moment == "working")


def names():
    return [thread.name for thread in threading.enumerate()]
