"""Progress of long work: a bar in a terminal, one line in a notebook, nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_EVERY = 0.2  # seconds between two drawings
_PATIENCE = 0.5  # work that is done sooner shows nothing


class _Surface(Protocol):
    def draw(self, text: str, share: float) -> None: ...

    def clear(self) -> None: ...


class Progress:
    """Show how far some work is, how fast it goes and how long it will take.

    Only the outermost of nested bars is drawn. Work that ends within half a second shows nothing;
    when it ends, or fails, the line vanishes. ``COURSE_PROGRESS=0`` silences all.

    Parameters
    ----------
    label : str
    total : int
        How many units there are; 0 when unknown.
    unit : str
        Plural, for instance ``"images"``.
    visible : bool

    Examples
    --------
    >>> with Progress("counting", 3, "sheep") as bar:
    ...     for _ in range(3):
    ...         bar.update()
    >>> bar.done
    3
    """

    _nested = 0

    def __init__(self, label: str, total: int = 0, unit: str = "", visible: bool = True) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._visible = visible and os.environ.get("COURSE_PROGRESS", "1") != "0"
        self._surface: _Surface | None = None
        self._start = self._drawn = 0.0

    def __enter__(self) -> Progress:
        if Progress._nested == 0 and self._visible:
            self._surface = _surface()
        Progress._nested += 1
        self._start = time.monotonic()
        self._drawn = self._start + _PATIENCE - _EVERY
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Progress._nested -= 1
        if self._surface is not None:
            self._surface.clear()
            self._surface = None

    def update(self, n: int = 1) -> None:
        """Say that `n` more units are done."""
        self.done += n
        if self._surface is not None:
            now = time.monotonic()
            if now - self._drawn >= _EVERY:
                self._drawn = now
                self._surface.draw(
                    self.text(now - self._start), self.done / self.total if self.total else 0.0
                )

    def text(self, seconds: float) -> str:
        """Return the line that is shown after `seconds` of work.

        Examples
        --------
        >>> bar = Progress("features", 400, "images")
        >>> bar.update(100)
        >>> bar.text(2.0)
        'features: 100 of 400 images, 50 images/s, 6 s left'
        """
        rate = self.done / seconds if seconds > 0 else 0.0
        of = f" of {self.total:,}" if self.total else ""
        parts = [f"{self.label}: {self.done:,}{of} {self.unit}".rstrip()]
        if rate >= 1:
            parts.append(f"{rate:,.0f} {self.unit}/s")
        if self.total and rate > 0:
            parts.append(f"{_duration((self.total - self.done) / rate)} left")
        return ", ".join(parts)


def progress(iterable: Iterable[T], label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield from `iterable`, showing progress; see `Progress`.

    Parameters
    ----------
    iterable : iterable
    label : str
    total : int, optional
        How many items there are. Default: the iterable's length where it has one.
    unit : str
        Plural, for instance ``"images"``.

    Yields
    ------
    object
        The items, unchanged.

    Examples
    --------
    >>> sum(progress([1, 2, 3], "adding"))
    6
    """
    if total is None:
        total = len(iterable) if isinstance(iterable, Sized) else 0
    with Progress(label, total, unit) as bar:
        for item in iterable:
            yield item
            bar.update()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _surface() -> _Surface | None:
    """Return where to draw: a notebook, a terminal, or nowhere."""
    if "ipykernel" in sys.modules:
        from IPython.core.getipython import get_ipython

        if getattr(get_ipython(), "kernel", None) is not None:
            return _Notebook()
    return _Terminal() if sys.stderr is not None and sys.stderr.isatty() else None


class _Notebook:
    """One line that is updated in place and empty in the end.

    Jupyter cannot take back a single output: an empty one stays in a saved notebook, without text or
    picture; `course run` removes it.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, text: str, share: float) -> None:
        from html import escape

        bar = f'<progress value="{share:.3f}" max="1"></progress> ' if share else ""
        self.show({"text/plain": text, "text/html": f"{bar}{escape(text)}"})

    def show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            import IPython.display

            untyped: Any = IPython.display
            self._handle = untyped.DisplayHandle()
            self._handle.display(data, raw=True)
        else:
            self._handle.update(data, raw=True)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.update({}, raw=True)


class _Terminal:
    """A rich bar on the standard error stream."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def draw(self, text: str, share: float) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                BarColumn(bar_width=24),
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(text, total=1.0)
        self._bar.update(self._task, completed=share, description=text)

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
