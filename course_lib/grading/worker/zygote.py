"""A process that has imported the libraries and forks itself for every answer that is to be tried.

It never executes a student's code. What it forks gives up its rights first (`cage`), then serves one answer
(`run`). It obeys a control socket that its children do not have.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from . import cage, frames, run

LOST: Final = 127


def main(control_fd: int) -> None:
    """Import what the first message names, then fork for each job until the control socket closes."""
    control = socket.socket(fileno=control_fd)
    os.set_inheritable(control_fd, False)
    order = frames.receive(control)
    for name in order["imports"]:
        with contextlib.suppress(ImportError):  # the notebook's own cells will say so
            importlib.import_module(name)
    cage.subreap()
    cage.hide()
    gc.collect()
    gc.freeze()  # what is here stays: children then write less into pages that they share with us
    frames.send(control, {"ready": os.getpid()})
    while True:
        try:
            job = frames.receive(control)
        except frames.Gone:
            return
        _, handles, _, _ = socket.recv_fds(control, 1, 2)
        process = _start(control, handles, job)
        for handle in handles:
            os.close(handle)
        frames.send(control, {"process": process})
        with contextlib.suppress(frames.Gone):
            frames.receive(control)  # the order to end it
        _end(process)
        frames.send(control, {"ended": True})


def _start(control: socket.socket, handles: list[int], job: dict[str, Any]) -> int:
    """Fork the process that serves a job; return its number, as seen from here."""
    if not job["nested"]:
        process = os.fork()
        if process == 0:
            _become(control, handles, job)
        return process
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:  # enter the namespaces, and leave a child there, as their first process
        with _dying():
            os.close(reading)
            cage.unshare()
            process = os.fork()
            if process == 0:
                os.close(writing)
                _become(control, handles, job)
            os.write(writing, str(process).encode())
            os._exit(0)
    os.close(writing)
    told = os.read(reading, 32)
    os.close(reading)
    os.waitpid(between, 0)
    return int(told or 0)


def _become(control: socket.socket, handles: list[int], job: dict[str, Any]) -> None:
    """Turn this fork into a student's process; never returns."""
    with _dying():
        channel = socket.socket(fileno=os.dup(handles[0]))
        output = os.dup(handles[1])
        control.close()
        os.setsid()
        base = cage.held()
        if job["nested"]:
            cage.own_files(job["disk"], job["kept"])
        else:
            os.chdir(job["folder"])
        _streams(output)
        _close_all_but(channel.fileno())
        cage.limit(job["seconds"], job["memory"], job["processes"], job["disk"], base)
        if job["filtered"]:
            cage.surrender()
            cage.filter_calls()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        run.serve(channel)


def _streams(output: int) -> None:
    """Give the process no input, and one place for all that it prints."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="replace", closefd=False))


def _close_all_but(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


@contextlib.contextmanager
def _dying() -> Any:
    """Whatever happens inside, this process ends here and never goes on as its parent would."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(2, f"carryover: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(LOST)


def _end(process: int) -> None:
    """Kill a job's process and every process that came of it."""
    if process:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    _reap(process)
    while orphans := _children():  # those that left their parent have come to us
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        for orphan in orphans:
            _reap(orphan)


def _reap(process: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)


def _children() -> list[int]:
    """Return the processes whose parent we are."""
    found: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in path.read_text().split()]
    return found
