"""How a training goes: one figure that follows it while it lasts, and its curves afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.charts import percent_tick
from course_lib.show.picture import Picture
from course_lib.show.progress import Progress, _duration, _Notebook
from course_lib.show.style import LINES, MARKERS, PALETTE, panels, styled
from course_lib.show.vector import Panel, drawing

History = Sequence[Mapping[str, Any]]
"""One dict per epoch: ``epoch``, and where known ``loss``, ``validation_loss``, ``validation_accuracy``,
``seconds`` (of that epoch) and ``learning_rate``."""

BEST = ("validation_accuracy", "validation_loss")
"""What can decide which epoch is the best: the highest, or the lowest."""

_EVERY = 1.0  # seconds between two drawings
_PATIENCE = 0.5  # a training that is done sooner shows nothing
_CROWDED = 25  # epochs; with more of them, points lose their markers


class Trained(Protocol):
    """A fitted method that kept its history."""

    @property
    def history(self) -> History:
        """One dict per epoch."""
        ...


class LiveTraining:
    """Follow a training in one place: a figure in a notebook, one line in a terminal.

    The figure has the losses and the validation accuracy by epoch, the best epoch in a ring, and a line where
    a phase begins; below stand the time spent and the time left. It is drawn at most once a second, as a few
    kilobytes of SVG written without matplotlib, in about a millisecond. When the training ends, fails or is
    interrupted, the figure vanishes; `training` draws what `history` kept. Bars of progress within are
    not drawn, and neither is a training within an outer bar. ``COURSE_PROGRESS=0`` silences all.

    Parameters
    ----------
    label : str
    epochs : int
        How many there will be at most.
    visible : bool
    best : "validation_accuracy" or "validation_loss"
        What decides which epoch is the best one.

    Attributes
    ----------
    history : tuple of dict
        What `update` was given.
    phases : dict of int to str
        By the first epoch of each.

    Raises
    ------
    BadInput
        When `epochs` is not positive, or `best` is unknown.

    Examples
    --------
    >>> with LiveTraining("fine-tuning", epochs=3) as live:
    ...     live.step(10, 40)
    ...     live.update({"epoch": 1, "loss": 0.9, "validation_accuracy": 0.81, "seconds": 4.0})
    ...     live.phase("all blocks")
    >>> live.text(4.0)
    'fine-tuning: epoch 2 of 3, 8 s left, validation accuracy 81.0%, 4 s so far'
    >>> live.phases
    {2: 'all blocks'}
    """

    def __init__(
        self, label: str, epochs: int, visible: bool = True, *, best: str = "validation_accuracy"
    ) -> None:
        if epochs < 1:
            raise BadInput(f"epochs={epochs}; expected 1 or more.", "Train for one epoch at least.")
        self.label, self.epochs = label, epochs
        self.history: tuple[dict[str, Any], ...] = ()
        self.phases: dict[int, str] = {}
        self._by = _check_best(best)
        self._bar = Progress(label, epochs, "epochs", visible)
        self._steps = (0, 0)
        self._start = self._epoch_start = self._drawn = time.monotonic()

    def __enter__(self) -> LiveTraining:
        self._bar.__enter__()
        self._start = self._epoch_start = time.monotonic()
        self._drawn = self._start + _PATIENCE - _EVERY
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    @property
    def done(self) -> int:
        """Epochs that have ended."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def share(self) -> float:
        """How much of the training is done, 0 to 1."""
        steps, of = self._steps
        return min(1.0, (self.done + (steps / of if of else 0.0)) / self.epochs)

    def step(self, done: int, total: int) -> None:
        """Say that `done` of `total` batches of the running epoch are through."""
        self._steps = (done, total)
        self._draw()

    def update(self, epoch: Mapping[str, Any]) -> None:
        """Say how an epoch ended.

        Parameters
        ----------
        epoch : dict
            ``epoch`` counts from 1; ``loss``, ``validation_loss``, ``validation_accuracy`` and ``seconds``
            (of this epoch) are used where they are given. Others are kept.

        Raises
        ------
        BadInput
            When ``epoch`` is missing or does not rise.
        """
        self.history = (*self.history, dict(epoch))
        _check(self.label, self.history)
        self._steps = (0, 0)
        self._epoch_start = time.monotonic()
        self._draw()

    def phase(self, name: str) -> None:
        """Mark that something changes with the next epoch, for instance which layers are trained."""
        first = self.done + 1
        self.phases[first] = f"{self.phases[first]}, {name}" if first in self.phases else name
        self._draw()

    def text(self, seconds: float) -> str:
        """Return the line that is shown after `seconds` of training."""
        parts = [f"{self.label}: epoch {min(self.done + 1, self.epochs)} of {self.epochs}"]
        if self._steps[0]:
            parts.append(f"step {self._steps[0]:,} of {self._steps[1]:,}")
        left = self._left()
        if left is not None:  # early in the line: a narrow terminal cuts its end
            parts.append(f"{_duration(left)} left")
        if self.history:
            place = _best(self.history, self._by)
            now = _value(self.history[-1], self._by)
            if not math.isnan(now):
                parts.append(f"{_words(self._by)} {_told(self._by, now)}")
            if place is not None and place < len(self.history) - 1:
                best = self.history[place]
                parts.append(f"best {_told(self._by, best[self._by])} (epoch {best['epoch']})")
        parts.append(f"{_duration(seconds)} so far")
        return ", ".join(parts)

    def _values(self, key: str) -> list[float]:
        return [_value(row, key) for row in self.history]

    def _left(self) -> float | None:
        """Return the seconds still to go, at the pace of the last epoch or of this one if it is slower."""
        pace = _value(self.history[-1], "seconds") if self.history else math.nan
        steps, of = self._steps
        if steps:
            pace = float(np.fmax(pace, (time.monotonic() - self._epoch_start) * of / steps))
        return None if math.isnan(pace) else pace * self.epochs * (1 - self.share)

    def _draw(self) -> None:
        surface = self._bar._surface
        now = time.monotonic()
        if surface is None or now - self._drawn < _EVERY:
            return
        self._drawn = now
        text = self.text(now - self._start)
        if isinstance(surface, _Notebook):
            surface.show({"text/plain": text, "text/html": self.html(text)})
        else:
            surface.draw(text, self.share)

    def html(self, text: str) -> str:
        """Return the figure with `text` below it."""
        bar = f'<progress value="{self.share:.3f}" max="1"></progress> {escape(text)}'
        if not self.history:
            return bar
        place = _best(self.history, self._by)
        ring = None if place is None else int(self.history[place]["epoch"])
        at = [int(entry["epoch"]) for entry in self.history]
        losses = Panel("loss", (0.5, self.epochs + 0.5))
        losses.line(at, self._values("loss"), 1, name="training")
        losses.line(at, self._values("validation_loss"), 0, name="validation", ring=ring)
        accuracy = Panel("validation accuracy", (0.5, self.epochs + 0.5), percent=True)
        accuracy.line(at, self._values("validation_accuracy"), 0, ring=ring)
        for first, name in self.phases.items():
            losses.mark(first - 0.5)
            accuracy.mark(first - 0.5, name)
        return f"{drawing([losses, accuracy], x='epoch', alt=text)}<br>{bar}"


def training(
    history: History | Trained | Mapping[str, History | Trained],
    *,
    title: str = "",
    against: str = "epoch",
    phases: Mapping[int, str] | None = None,
    best: str = "validation_accuracy",
    alt: str | None = None,
) -> Picture:
    """Draw loss and validation accuracy of one or several fits, the best epoch of each in a ring.

    Parameters
    ----------
    history : sequence of dict, or a classifier that has one as ``.history``; or a dict of names to these
        One dict per epoch with ``epoch`` and any of ``loss``, ``validation_loss``, ``validation_accuracy``,
        ``seconds``.
    title : str
    against : "epoch" or "seconds"
        What runs along the horizontal axis; seconds are those spent up to the end of each epoch.
    phases : dict of int to str, optional
        Marked before these epochs, for instance ``{3: "unfrozen to block8"}``.
    best : "validation_accuracy" or "validation_loss"
        What decides which epoch is the best one.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no epoch, or epochs do not rise, or `against` or `best` is unknown.
    """
    fits, by = _fits(history), _check_best(best)
    if against not in ("epoch", "seconds"):
        raise BadInput(f"against={against!r}.", "Give 'epoch' or 'seconds'.")
    several = len(fits) > 1
    with styled():
        figure, ((losses, accuracy),) = panels(1, 2, figsize=(7.8, 3.6 if several or title else 3.3))
        for k, (name, rows) in enumerate(fits.items()):
            _draw_fit((losses, accuracy), rows, against, by, None if not several else (k, name))
        losses.set_title("loss (thin: training)" if several else "loss")
        accuracy.set_title("validation accuracy")
        accuracy.yaxis.set_major_formatter(percent_tick)
        epochs = [int(row["epoch"]) for rows in fits.values() for row in rows]
        for axes in (losses, accuracy):
            axes.set_xlabel(against)
            if against == "epoch":
                _whole(axes, epochs)
            _mark(axes, phases or {}, next(iter(fits.values())), against, named=axes is accuracy)
        if several:
            handles, labels = (accuracy if accuracy.lines else losses).get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(fits), 4))
        elif losses.lines:
            losses.legend()
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _alt(fits, phases or {}, by))


def _draw_fit(
    pair: tuple[Any, Any], rows: History, against: str, by: str, among: tuple[int, str] | None
) -> None:
    """Draw one fit; alone it has one colour for training and one for validation, among others one for all."""
    x, place = _across(rows, against), _best(rows, by)
    for key, axes in (("loss", pair[0]), ("validation_loss", pair[0]), ("validation_accuracy", pair[1])):
        y = [_value(row, key) for row in rows]
        if all(map(math.isnan, y)):
            continue
        fitted = key == "loss"
        style = int(fitted) if among is None else among[0]
        axes.plot(
            x,
            y,
            color=PALETTE[style % len(PALETTE)],
            marker=MARKERS[style % len(MARKERS)] if len(rows) <= _CROWDED else "",
            linestyle=LINES[style % len(LINES)],
            label=("training" if fitted else "validation") if among is None else among[1],
            **({"lw": 0.9, "ms": 4, "mfc": "white"} if among is not None and fitted else {}),
        )
        if place is not None and not fitted and not math.isnan(y[place]):
            axes.plot(x[place], y[place], "o", ms=13, mfc="none", mec="0.1", mew=1.4, zorder=5)


def _across(rows: History, against: str) -> list[float]:
    if against == "epoch":
        return [float(row["epoch"]) for row in rows]
    spent = [_value(row, "seconds") for row in rows]
    if any(map(math.isnan, spent)):
        raise BadInput("Some epochs do not say their seconds.", "Draw them with against='epoch'.")
    return [float(s) for s in np.cumsum(spent)]


def _whole(axes: Any, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))


def _mark(axes: Any, phases: Mapping[int, str], rows: History, against: str, *, named: bool) -> None:
    """Draw a line before each phase's first epoch; in seconds that is where the epoch before it ended."""
    from matplotlib.patheffects import withStroke

    ends = dict(zip((int(row["epoch"]) for row in rows), _across(rows, against), strict=True))
    for first, name in phases.items():
        x = first - 0.5 if against == "epoch" else ends.get(first - 1, 0.0)
        axes.axvline(x, color="0.45", lw=1.2, ls=(0, (2, 2)), zorder=1)
        if named:  # at the foot, below a curve that rises
            axes.annotate(
                name,
                (x, 0.03),
                xycoords=axes.get_xaxis_transform(),
                xytext=(3, 0),
                textcoords="offset points",
                rotation=90,
                va="bottom",
                fontsize=9,
                path_effects=[withStroke(linewidth=3, foreground="white")],
            )


def _fits(given: Any) -> dict[str, History]:
    """Return the histories by name, checked."""
    many = given if isinstance(given, Mapping) else {"": given}
    fits: dict[str, History] = {str(name): tuple(getattr(fit, "history", fit)) for name, fit in many.items()}
    if not fits:
        raise BadInput("No fit was given.", "Give a history, or a dict of names to histories.")
    for name, rows in fits.items():
        _check(name, rows)
    return fits


def _check(name: str, rows: History) -> None:
    """Raise `BadInput` unless there are epochs, numbered upwards."""
    who = f"The history of {name}" if name else "The history"
    if not rows:
        raise BadInput(f"{who} has no epoch.", "Train for one epoch at least.")
    epochs: list[Any] = [row.get("epoch") if isinstance(row, Mapping) else None for row in rows]
    whole = all(isinstance(epoch, int | np.integer) for epoch in epochs)
    if not whole or any(later <= earlier for earlier, later in pairwise(epochs)):
        raise BadInput(
            f"{who} has the epochs {', '.join(map(str, epochs[:8]))}; expected whole numbers that rise.",
            'Give one dict per epoch: {"epoch": 1, "loss": 0.9, "validation_accuracy": 0.8}.',
        )


def _check_best(best: str) -> str:
    if best not in BEST:
        raise BadInput(f"best={best!r}.", f"Choose one of {', '.join(BEST)}.")
    return best


def _value(row: Mapping[str, Any], key: str) -> float:
    """Return a number of an epoch, NaN where it is unknown."""
    value = row.get(key)
    return math.nan if value is None else float(value)


def _best(rows: History, by: str) -> int | None:
    """Return the place of the best epoch, None when none is scored.

    Of equal accuracies the lower loss is better, of equals the earliest.
    """
    scored = [k for k, row in enumerate(rows) if not math.isnan(_value(row, by))]

    def merit(k: int) -> tuple[float, float]:
        loss = _value(rows[k], "validation_loss")
        loss = math.inf if math.isnan(loss) else loss
        return (_value(rows[k], by), -loss) if by == "validation_accuracy" else (-loss, 0.0)

    return max(scored, key=merit) if scored else None


def _words(key: str) -> str:
    return key.replace("_", " ")


def _told(key: str, value: float) -> str:
    return f"{value:.1%}" if key.endswith("accuracy") else f"{value:.3g}"


def _alt(fits: Mapping[str, History], phases: Mapping[int, str], by: str) -> str:
    told = []
    for name, rows in fits.items():
        said = [f"{len(rows)} epoch{'s' * (len(rows) > 1)}"]
        for key in ("loss", "validation_loss", "validation_accuracy"):
            known = [v for v in (_value(row, key) for row in rows) if not math.isnan(v)]
            if known:
                word = "training loss" if key == "loss" else _words(key)
                said.append(f"{word} from {_told(key, known[0])} to {_told(key, known[-1])}")
        place = _best(rows, by)
        if place is not None:
            said.append(f"best {_words(by)} {_told(by, rows[place][by])} at epoch {rows[place]['epoch']}")
        told.append(f"{name}: {', '.join(said)}" if name else ", ".join(said))
    marks = "".join(f" From epoch {first}: {name}." for first, name in phases.items())
    return f"Training curves. {'; '.join(told)}.{marks}"
