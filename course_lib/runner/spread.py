"""Several notebooks at once, on this machine's cores or on the machines of a Dask cluster.

A machine of the cluster has this library installed and sees the folder of notebooks: what it executes is the
same file, with the same library, or it refuses.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import psutil

from course_lib.errors import CourseError
from course_lib.runner.execute import Execution, execute
from course_lib.runner.plan import source_key
from course_lib.scheduler import as_they_come, connected

NEEDS = 3 << 30  # bytes of memory that a notebook may take
_ASK = 1.0  # seconds between two looks at whether the run is still wanted
_END = 30.0  # seconds that interrupted notebooks get to end their kernels

_running: set[int] = set()


class _Stopped(Exception):
    """The run was interrupted."""


def executed(notebooks: Mapping[Path, str], scheduler: str) -> Iterator[tuple[Path, Execution]]:
    """Yield each notebook with what came of it, in the order in which they end.

    An interruption ends the kernels on all machines.

    Parameters
    ----------
    notebooks : dict of pathlib.Path to str
        With their `source_key`.
    scheduler : str
        As in `connected`.

    Raises
    ------
    BadInput
        When the scheduler does not answer.
    """
    room = max(1, int(psutil.virtual_memory().available // NEEDS))
    paths = list(notebooks)
    stop = f"carryover-stop-{uuid.uuid4().hex}"
    with connected(scheduler, workers=min(os.cpu_count() or 1, room, len(paths))) as client:
        jobs = [(str(path), key, stop) for path, key in notebooks.items()]
        try:
            for number, result in as_they_come(client, executed_there, jobs, ahead=1):
                yield paths[number], _outcome(paths[number], result)
        except BaseException:
            _end(client, stop)
            raise


def _outcome(path: Path, result: Any) -> Execution:
    """Return what came of a notebook; where a machine could not execute it, the reason."""
    try:
        found: Execution = result()
    except CourseError as error:
        empty = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        return Execution(empty, 0.0, 0, str(error))
    return found


def executed_there(path: str, key: str, stop: str) -> Execution:
    """Execute a notebook on the machine where this is called.

    Raises
    ------
    CourseError
        When it is not there, or not the same one.
    """
    notebook = Path(path)
    if not notebook.is_file():
        raise CourseError(
            f"A machine of the cluster does not see {path}.",
            "Keep the clone in a folder that all machines share, under the same name.",
        )
    if source_key(notebook) != key:
        raise CourseError(
            f"On a machine of the cluster {notebook.name}, the library or its packages are others.",
            "Install the same versions everywhere, or share one environment.",
        )
    looked = 0.0

    def on_cell(done: int, total: int) -> None:
        nonlocal looked
        if time.monotonic() - looked > _ASK:
            looked = time.monotonic()
            if not _wanted(stop):
                raise _Stopped

    me = threading.get_ident()
    _running.add(me)
    try:
        return execute(notebook, on_cell)
    finally:
        _running.discard(me)


def _wanted(stop: str) -> bool:
    """Tell whether somebody still waits for this run."""
    from distributed import Event

    try:
        return not Event(stop).is_set()
    except Exception:  # the scheduler is gone, and with it who waited
        return False


def _end(client: Any, stop: str) -> None:
    """Tell all machines to end their kernels, and wait until they have."""
    from distributed import Event

    end = time.monotonic() + _END
    with contextlib.suppress(
        Exception
    ):  # a scheduler that is lost cannot be told: its workers see it themselves
        Event(stop, client=client).set()
        while any(client.run(still_running).values()) and time.monotonic() < end:
            time.sleep(_ASK / 5)


def still_running() -> int:
    """Return how many notebooks this process executes."""
    return len(_running)
