"""A worker, seen from the grader: one answer at a time, within limits, and nothing believed."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psutil

from course_lib.grading.sandbox import DISK, Sandbox, within_writable
from course_lib.grading.worker import frames
from course_lib.grading.worker.values import NotPlain

STARTING: Final = 120.0  # seconds for a worker to import the libraries
KEPT: Final = 2000  # bytes of what an answer prints
GRACE: Final = 1.0  # seconds after the deadline
BREATH: Final = 0.02  # seconds between two looks of the watch


class Trouble(Exception):
    """A worker that cannot be used; the message is for the teacher."""


class Stopped(Exception):
    """A job that ended before its time; the message says which limit it hit or what it did."""


@dataclass(frozen=True)
class Limits:
    """What an answer may use.

    Attributes
    ----------
    seconds : float
        From its first cell to its last case.
    memory : int
        Bytes beyond what the libraries take.
    processes : int
        Processes and threads that it may add.
    disk, output : int
        Bytes of files, bytes printed.
    """

    seconds: float = 10.0
    memory: int = 512 << 20
    processes: int = 64
    disk: int = DISK
    output: int = 1 << 20


@dataclass(frozen=True)
class Reply:
    """What came back from one call: a result with the arguments as they were left, or what went wrong."""

    result: Any = None
    arguments: Any = None
    error: str = ""
    words: str = ""
    line: int = 0


class Slot:
    """One worker process with the libraries imported; restarts itself when it is lost.

    Parameters
    ----------
    sandbox : Sandbox
    imports : sequence of str
        Libraries that the answers are going to use.
    """

    def __init__(self, sandbox: Sandbox, imports: Sequence[str]) -> None:
        self.sandbox = sandbox
        self.imports = tuple(imports)
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None
        self.own: set[int] = set()
        self.base = 0

    def __enter__(self) -> Slot:
        self._ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and all that it started."""
        if self.control is not None:
            self.control.close()
        if self.process is not None:
            for one in _family(self.process.pid):
                _kill(one)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)  # bubblewrap ends after what it started, and clears it away
            self.process.kill()
            self.process.wait()
            if self.process.stderr:
                self.process.stderr.close()
        self.process = self.control = None

    @contextlib.contextmanager
    def job(self, limits: Limits) -> Iterator[Job]:
        """Fork a process for one answer; when the block ends it is gone, with everything that it started.

        Raises
        ------
        Trouble
            When no worker can be started.
        """
        control = self._ready()
        folder = tempfile.mkdtemp(prefix="carryover-")
        channel, theirs = socket.socketpair()
        reading, writing = os.pipe()
        defences = self.sandbox.defences
        order = {
            "nested": self.sandbox.nested,
            "filtered": self.sandbox.tier != "plain" and defences.calls,
            "seconds": limits.seconds if defences.limits else 3600.0,
            "memory": limits.memory if defences.limits else 1 << 40,
            "processes": limits.processes if defences.limits and self.sandbox.nested and os.getuid() else 0,
            "disk": limits.disk if defences.limits else 1 << 30,
            "kept": within_writable() if self.sandbox.bubblewrap and defences.files else [],
            "folder": "/tmp" if self.sandbox.bubblewrap else folder,
        }
        job = Job(self, channel, reading, limits)
        try:
            try:
                frames.send(control, order, time.monotonic() + 10)
                socket.send_fds(control, [b"j"], [theirs.fileno(), writing])
                frames.receive(control, time.monotonic() + 30)
            except (frames.Gone, frames.Silent, NotPlain, OSError) as error:
                self.close()
                raise Trouble(
                    f"a worker was lost while it started an answer ({type(error).__name__})"
                ) from None
            finally:
                theirs.close()
                os.close(writing)
            job.watch.start()
            yield job
        finally:
            job.finish()
            self._end()
            channel.close()
            os.close(reading)
            shutil.rmtree(folder, ignore_errors=True)

    def running(self) -> list[int]:
        """Return all processes of the worker and below it."""
        return _family(self.process.pid if self.process else None)

    def kill(self) -> None:
        """End the running answer from outside: its own processes first, the worker if that does not help."""
        for one in self.running():
            if one not in self.own:
                _kill(one)

    def _end(self) -> None:
        """Have the worker end the answer; one that does not obey, or serves but one, is ended itself."""
        if self.control is None:
            return
        try:
            frames.send(self.control, {"end": True}, time.monotonic() + 5)
            frames.receive(self.control, time.monotonic() + 10)
        except (frames.Gone, frames.Silent, NotPlain, OSError):
            self.close()
        if not self.sandbox.warm:
            self.close()

    def _ready(self) -> socket.socket:
        """Return the control socket of a worker that is ready; starts one where there is none."""
        if self.process is not None and self.process.poll() is None and self.control is not None:
            return self.control
        self.close()
        self.control, theirs = socket.socketpair()
        self.process = self.sandbox.start(theirs)
        theirs.close()
        try:
            frames.send(self.control, {"imports": list(self.imports)}, time.monotonic() + 10)
            frames.receive(self.control, time.monotonic() + STARTING)
        except (frames.Gone, frames.Silent, NotPlain, OSError):
            told = _last_words(self.process)
            self.close()
            raise Trouble(f"no worker could be started: {told or 'it said nothing'}") from None
        family = _family(self.process.pid)
        self.own = {*family, self.process.pid}
        self.base = max(_resident(one) for one in self.own)
        return self.control


class Job:
    """One answer at work.

    Attributes
    ----------
    stopped : str
        The limit that it hit; empty while it keeps them.
    printed : int
        Bytes that it printed.
    """

    def __init__(self, slot: Slot, channel: socket.socket, output: int, limits: Limits) -> None:
        self.slot = slot
        self.channel = channel
        self.output = output
        self.limits = limits
        self.deadline = time.monotonic() + limits.seconds
        self.stopped = ""
        self.printed = 0
        self.said = b""
        self.asked = 0
        self._done = threading.Event()
        self._hearing = threading.Lock()
        self.watch = threading.Thread(target=self._watch, daemon=True)

    def begin(self, cells: Sequence[tuple[str, str, bool]], function: str, tensors: str) -> Reply:
        """Execute the answer's cells; a reply with an error says why there is no function.

        Raises
        ------
        Stopped
            When a limit is hit, or what comes back is no message.
        """
        order = {"cells": [tuple(cell) for cell in cells], "function": function, "tensors": tensors}
        told = self._exchange(order, self.deadline)
        self._hear()  # what the cells printed is all there now
        if told == {"ready": True}:
            return Reply()
        return _error(told)

    def ask(self, arguments: tuple[Any, ...], seconds: float) -> Reply:
        """Call the function; returns what it made of the arguments.

        Raises
        ------
        Stopped
            When a limit is hit, or what comes back is not exactly one answer to this question.
        """
        self.asked += 1
        question = {"number": self.asked, "arguments": arguments}
        told = self._exchange(question, min(self.deadline, time.monotonic() + seconds))
        if type(told) is not dict or told.get("number") != self.asked or type(told.get("number")) is not int:
            raise Stopped("an answer came that nobody asked for")
        if set(told) == {"number", "result", "arguments"}:
            return Reply(told["result"], told["arguments"])
        if set(told) == {"number", "plain"}:
            return Reply(error="NotPlain", words=_text(told["plain"])[:500])
        return _error(told)

    def finish(self) -> None:
        """End the watch."""
        self._done.set()
        if self.watch.is_alive():
            self.watch.join()

    def _exchange(self, message: Any, deadline: float) -> Any:
        try:
            if frames.pending(self.channel):
                raise Stopped("an answer came before its question")
            frames.send(self.channel, message, deadline)
            return frames.receive(self.channel, deadline)
        except frames.Silent:
            raise Stopped(self.stopped or "time limit") from None
        except (frames.Gone, OSError):
            self._done.wait(3 * BREATH)  # the watch may be about to say why
            raise Stopped(self.stopped or "the program ended itself") from None
        except NotPlain as error:
            raise Stopped(f"what came back is no message: {error}") from None

    def _watch(self) -> None:
        """Read what is printed and look at memory and processes until the job is over or over a limit."""
        while not self._done.wait(BREATH):
            self._hear()
            if not self.slot.sandbox.defences.watch:
                continue
            self.stopped = self._over() or self.stopped
            if self.stopped:
                self.slot.kill()
                return

    def _hear(self) -> None:
        """Read what was printed, up to the limit; what came before the first case is kept."""
        with self._hearing:
            while self.printed <= self.limits.output and select.select([self.output], [], [], 0)[0]:
                piece = os.read(self.output, 1 << 16)
                if not piece:
                    return
                self.printed += len(piece)
                if not self.asked:  # what is printed later may tell of hidden cases
                    self.said = (self.said + piece)[:KEPT]

    def _over(self) -> str:
        """Return the limit that is exceeded now; empty for none."""
        if self.printed > self.limits.output:
            return "output limit"
        if time.monotonic() > self.deadline + GRACE:  # whatever keeps the one who asks
            return "time limit"
        added = [one for one in self.slot.running() if one not in self.slot.own]
        if len(added) > self.limits.processes or sum(map(_threads, added)) > 2 * self.limits.processes:
            return "process limit"
        grown = sum(max(0, _resident(one) - self.slot.base) for one in added)
        if len(added) > 3 and grown <= self.limits.memory:  # many small ones hide below the base
            grown = sum(map(_share, added))
        return "memory limit" if grown > self.limits.memory else ""


def _error(told: Any) -> Reply:
    """Return a worker's report of an error, of exact types and bounded length."""
    error = told.get("error") if type(told) is dict else None
    if type(error) is not dict:
        raise Stopped("what came back is no answer")
    kind, words, line = (error.get(key) for key in ("type", "words", "line"))
    return Reply(
        error=_text(kind)[:100] or "Exception",
        words=_text(words)[:500],
        line=line if type(line) is int else 0,
    )


def _text(value: Any) -> str:
    """Return a text without half characters, which no file could hold; nothing for what is no text."""
    return value.encode("utf-8", "replace").decode() if type(value) is str else ""


def _family(process: int | None) -> list[int]:
    """Return the numbers of all processes below one, as of now."""
    if process is None:
        return []
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error):
            return [one.pid for one in psutil.Process(process).children(recursive=True)]
        return []
    found, waiting = [], [process]
    while waiting:  # the kernel's own lists: fifty times as fast as reading every process of the machine
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
                waiting += (children := [int(number) for number in path.read_text().split()])
                found += children
    return found


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def _resident(process: int) -> int:
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(process).memory_info().rss)
    return 0


def _share(process: int) -> int:
    """Return a process's memory, what it shares divided by how many share it."""
    with contextlib.suppress(psutil.Error, OSError):
        told = psutil.Process(process).memory_full_info()
        return int(getattr(told, "pss", told.uss))
    return 0


def _threads(process: int) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        return int(psutil.Process(process).num_threads())
    return 0


def _last_words(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    _, told = process.communicate()
    lines = told.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
