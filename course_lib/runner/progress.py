"""The progress of a run: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class RunProgress:
    """Show which notebook runs, at which cell, for how long, and how long it may still take.

    Parameters
    ----------
    notebooks : sequence of (str, float or None)
        Names in order, with the seconds each took an earlier time where that is known.
    """

    def __init__(self, notebooks: Sequence[tuple[str, float | None]]) -> None:
        self.expected = dict(notebooks)
        self.waiting = [name for name, _ in notebooks]
        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("cell {task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.current: TaskID | None = None
        self.name = ""
        self.started = 0.0

    def __enter__(self) -> RunProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def start(self, name: str) -> Callable[[int, int], None]:
        """Begin a notebook; return what to call with (cells done, cells altogether)."""
        self.name, self.started = name, time.perf_counter()
        self.waiting.remove(name)
        self.current = self.bars.add_task(escape(name), total=None, left="")
        if not self.console.is_terminal:
            self._say(f"{name} ... {self.left()}".rstrip(" ."))
        return self._advance

    def _advance(self, done: int, total: int) -> None:
        if self.current is not None:
            self.bars.update(self.current, completed=done, total=total, left=self.left())

    def left(self) -> str:
        """Return the time still to go in words, where earlier times are known."""
        times = [self.expected[name] for name in (self.name, *self.waiting)]
        known = [seconds for seconds in times if seconds is not None]
        if len(known) < len(times) or not known:
            return ""
        seconds = max(sum(known) - (time.perf_counter() - self.started), 0.0)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else "about a minute left"

    def finish(self, seconds: float, problem: str) -> None:
        """End a notebook: one line stays, with the error when there was one."""
        if self.current is not None:
            self.bars.remove_task(self.current)
        self.tell(self.name, seconds, problem)

    def tell(self, name: str, seconds: float, problem: str) -> None:
        """Write the line of a notebook that has ended, here or elsewhere."""
        if problem:
            self._say(f"[FAIL] {name} ({seconds / 60:.1f} min): {problem}")
        else:
            self._say(f"[OK]   {name} ({seconds / 60:.1f} min)")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
