"""Several processes of this machine that work as one group, each told who it is and where the others are."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput, CourseError
from course_lib.paths import offline
from course_lib.scale.ports import free_ports

MOST = 64
_POLL = 0.05
_TRIES = 3
_TAKEN = re.compile(r"EADDRINUSE|[Aa]ddress already in use|Could not start gRPC server")
_GRACE = 2.0  # seconds in which processes that lost one of the group may still tell their own reason

Environment = Callable[[int, Sequence[int]], Mapping[str, str]]
"""From a process's rank and the group's ports to its environment."""


class PortTaken(Exception):
    """Another program was quicker to take a port."""


def group(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    settings: Mapping[str, Any],
    *,
    processes: int,
    threads: int,
    timeout: float,
    ports: int,
    port: int | None,
    environment: Environment,
) -> list[Any]:
    """Run ``function(*arguments, **settings)`` in each process of a group and return what each returned.

    Parameters
    ----------
    function : callable
        Of a module, or of a notebook that imports what it needs inside.
    arguments, settings
        Copied into every process.
    processes : int
    threads : int
        Of each process, for arithmetic.
    timeout : float
        Seconds for all of it.
    ports : int
        On how many they meet; others are found when another program was quicker to take one.
    port : int or None
        The first of them, where it is free.
    environment : callable

    Returns
    -------
    list
        By rank.

    Raises
    ------
    BadInput
        For numbers that make no group.
    CourseError
        When a process failed, was lost, or time ran out. None of the group is left behind.
    """
    for name, value, most in (("processes", processes, MOST), ("threads", threads, 1024)):
        if not isinstance(value, int) or not 1 <= value <= most:
            raise BadInput(f"{name}={value!r}.", f"Give 1 to {most}; more than cores gain nothing.")
    with tempfile.TemporaryDirectory(prefix="carryover-") as name:
        folder = Path(name)
        (folder / "work.pickle").write_bytes(_packed((function, tuple(arguments), dict(settings))))
        for attempt in range(1, _TRIES + 1):
            found = free_ports(ports, port if attempt == 1 else None)
            environments = [_common(threads) | dict(environment(rank, found)) for rank in range(processes)]
            try:
                return _run(folder, environments, timeout)
            except PortTaken:
                if attempt == _TRIES:
                    raise CourseError(
                        f"Ports were taken {_TRIES} times before the processes could use them: "
                        f"{', '.join(map(str, found))}.",
                        "End the program that takes them, or try again.",
                    ) from None
    raise AssertionError("the last try returns or raises")


def _packed(work: Any) -> bytes:
    """Return bytes; functions of a notebook are packed whole, those of a module by name."""
    from distributed.protocol import pickle as dask_pickle

    return bytes(dask_pickle.dumps(work))


def _common(threads: int) -> dict[str, str]:
    """Return the environment of all of them."""
    count = str(threads)
    arithmetic = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    here = "127.0.0.1,localhost"
    return {
        **os.environ,
        **dict.fromkeys(arithmetic, count),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "GRPC_VERBOSITY": "ERROR",
        "no_proxy": here,
        "NO_PROXY": here,
        "PYTHONHASHSEED": "0",
        "COURSE_PROGRESS": "0",
        **({"HF_HUB_OFFLINE": "1"} if offline() else {}),
    }


def _run(folder: Path, environments: Sequence[Mapping[str, str]], timeout: float) -> list[Any]:
    """Start the group, wait for it, and leave nothing of it behind."""
    command = [sys.executable, "-m", "course_lib.scale.worker", str(folder)]
    group: list[subprocess.Popen[bytes]] = []
    for old in folder.glob("*.result"):
        old.unlink()
    try:
        for rank, environment in enumerate(environments):
            with (folder / f"{rank}.log").open("wb") as log:
                group.append(
                    subprocess.Popen(
                        [*command, str(rank)], env=dict(environment), stdout=log, stderr=subprocess.STDOUT
                    )
                )
        _wait(group, timeout)
        codes = [process.poll() for process in group]  # None: ended below, because another had failed
    finally:
        for process in group:
            with suppress(OSError):
                process.kill()
        for process in group:
            process.wait()
    return _results(folder, codes)


def _wait(group: Sequence[subprocess.Popen[bytes]], timeout: float) -> None:
    """Wait until all have ended, or one has failed and the others had their grace."""
    end, failed_at = time.monotonic() + timeout, None
    while any(process.poll() is None for process in group):
        now = time.monotonic()
        if now > end:
            raise CourseError(
                f"The processes did not end within {timeout:.0f} seconds.",
                "Give them less to do or more time (timeout=), or more memory if the machine was swapping.",
            )
        if failed_at is None and any(process.poll() for process in group):
            failed_at = now
        if failed_at is not None and now > failed_at + _GRACE:
            return  # they would wait for the lost one for ever
        time.sleep(_POLL)


def _results(folder: Path, codes: Sequence[int | None]) -> list[Any]:
    contents: list[dict[str, Any] | None] = []
    for rank in range(len(codes)):
        path = folder / f"{rank}.result"
        contents.append(pickle.loads(path.read_bytes()) if path.exists() else None)
    if all(content is not None and "result" in content for content in contents):
        return [content["result"] for content in contents if content is not None]
    logs = [(folder / f"{rank}.log").read_text("utf8", "replace") for rank in range(len(codes))]
    told = [content.get("told", "") if content else "" for content in contents]
    if any(_TAKEN.search(text) for text in (*told, *logs)):
        raise PortTaken
    raise _failure(contents, codes, logs)


def _failure(
    contents: Sequence[dict[str, Any] | None], codes: Sequence[int | None], logs: Sequence[str]
) -> BaseException:
    """Return the error that says most: the course's own, then a process that was lost, then any other."""
    for content in contents:
        if content and isinstance(content.get("error"), CourseError):
            return content["error"]  # type: ignore[no-any-return]
    lost = [rank for rank, content in enumerate(contents) if content is None and codes[rank] is not None]
    told = [rank for rank, content in enumerate(contents) if content and "told" in content]
    if lost:  # what the others tell is that they miss it
        tail = "\n".join(logs[lost[0]].strip().splitlines()[-5:])
        return CourseError(
            f"Process {lost[0]} of {len(codes)} was lost{': ' + tail if tail else ''}.",
            "Most often memory ran out: start fewer processes, or close other programs.",
        )
    content = contents[told[0]] if told else None
    reason = content["told"] if content else "nothing was told"
    return CourseError(
        f"Process {told[0] if told else 0} of {len(codes)} failed: {reason}",
        "Try the function by itself first: function(...) in this process.",
    )
