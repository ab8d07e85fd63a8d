"""Execute one notebook in a kernel of its own, watching its memory."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
POLL_SECONDS = 0.2
CLIENT = "notebook client"


@dataclass
class Execution:
    """What came of one notebook: the notebook with its outputs, and what it cost."""

    notebook: Any
    seconds: float
    peak_bytes: int
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.problem


def execute(path: Path, on_cell: Callable[[int, int], None]) -> Execution:
    """Execute the notebook at `path` and return it with its outputs; the file is not touched.

    The client works in a thread, so that Ctrl-C reaches this function at once and the kernel
    never outlives it.

    Parameters
    ----------
    path : pathlib.Path
        The notebook; its kernel works in the notebook's folder.
    on_cell : callable
        Called with (cells done, cells altogether) while it runs.

    Returns
    -------
    Execution
        A failing cell is told in `problem`, with the outputs up to it kept.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this environment's kernel, not one from elsewhere
    os.environ.setdefault("PYTHONHASHSEED", "0")
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
    )
    progress = {"done": 0}
    client.on_cell_complete = lambda cell, cell_index: progress.update(done=cell_index + 1)
    errors: list[BaseException] = []
    # Not Thread.join: when Ctrl-C interrupts that, Python 3.11 takes a running thread for ended.
    ended = threading.Event()
    started, peak, over = time.perf_counter(), 0, False
    threading.Thread(target=_work, args=(client, errors, ended), daemon=True, name=CLIENT).start()
    try:
        while not over:
            over = ended.wait(POLL_SECONDS)
            peak = max(peak, _memory(_kernel_pid(client)))
            on_cell(progress["done"], len(notebook.cells))
    except BaseException:
        for _ in range(50):  # it may only be starting; and its client notices its end within seconds
            _kill(_kernel_pid(client))
            if ended.wait(POLL_SECONDS):
                break
        atexit.unregister(client._cleanup_kernel)  # nothing is left of it to clean up, which it would tell
        raise
    seconds = time.perf_counter() - started
    _drop_empty_outputs(notebook)
    problem = _describe(errors[0], notebook) if errors else ""
    return Execution(notebook, seconds, peak, problem)


def _drop_empty_outputs(notebook: Any) -> None:
    """Drop displays that were withdrawn: a progress line that is done leaves an output without content."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.output_type != "display_data" or o.data]


def _work(client: NotebookClient, errors: list[BaseException], ended: threading.Event) -> None:
    try:
        asyncio.run(client.async_execute())
    except BaseException as error:  # handed to the waiting thread, which tells it
        errors.append(error)
    finally:
        ended.set()


def _kernel_pid(client: NotebookClient) -> int | None:
    pid = getattr(getattr(client.km, "provisioner", None), "pid", None)
    return pid if isinstance(pid, int) else None


def _memory(pid: int | None) -> int:
    """Return the resident bytes of a process and its children."""
    if pid is None:
        return 0
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def _kill(pid: int | None) -> None:
    """Kill a kernel and its children."""
    if pid is None:
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        tree = [*process.children(recursive=True), process]
        for one in tree:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(tree, timeout=5)


def _describe(error: BaseException, notebook: Any) -> str:
    """Tell in words what stopped a notebook."""
    if isinstance(error, CellExecutionError):
        for number, cell in enumerate(notebook.cells, start=1):
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    tail = ANSI.sub("", "\n".join(output.traceback)).splitlines()[-8:]
                    return "\n".join([f"cell {number} failed:", _indented(cell.source), "...", *tail])
        return str(error)
    if isinstance(error, DeadKernelError):
        number = 1 + max(
            (
                n
                for n, cell in enumerate(notebook.cells)
                if cell.get("outputs") or cell.get("execution_count")
            ),
            default=0,
        )
        return (
            f"the kernel died at or after cell {number}: the system killed it, most often because memory "
            "ran out (close other programs, or run this notebook alone)"
        )
    return f"{type(error).__name__}: {error}"


def _indented(source: str, lines: int = 12) -> str:
    shown = source.splitlines()[:lines]
    return "\n".join(f"    {line}" for line in shown)
