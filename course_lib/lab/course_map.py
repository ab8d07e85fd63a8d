"""`course_map()`: the course as a table of links, with what it costs here and how far the learner is."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from course_lib.errors import CourseError
from course_lib.grading import tally
from course_lib.lab.course import Notebook, course, course_folder, language
from course_lib.lab.kernel import SESSION
from course_lib.lab.memory import fits, memory_gib
from course_lib.lab.seen import seen, seen_file
from course_lib.lab.words import WORDS
from course_lib.runner.state import State
from course_lib.runner.yardstick import yardstick

_LOOK = 1.0  # seconds between two looks at whether something was run or solved


@dataclass(frozen=True)
class Row:
    """A notebook on the map.

    Attributes
    ----------
    notebook : Notebook
    minutes : float or None
        On this machine; where it was recorded, for a map that is nobody's.
    run : tuple of int
        Cells run, cells in all.
    solved : tuple of int
        Exercises solved, exercises in all.
    fits : bool
        Whether its memory does.
    """

    notebook: Notebook
    minutes: float | None
    run: tuple[int, int]
    solved: tuple[int, int]
    fits: bool


class CourseMap:
    """The map; shows as a table in notebooks, as lines elsewhere.

    Attributes
    ----------
    rows : list of Row
    mine : bool
        Whether it tells of this machine and this learner, or only of the course.
    memory : float
        GiB of this machine.
    """

    def __init__(self, rows: Sequence[Row], words: Mapping[str, str], mine: bool, memory: float) -> None:
        self.rows, self.words, self.mine, self.memory = list(rows), words, mine, memory
        self.again: Callable[[], CourseMap] | None = None

    @property
    def run(self) -> int:
        """Notebooks of which every cell was run."""
        return sum(row.run[1] > 0 and row.run[0] == row.run[1] for row in self.rows)

    @property
    def solved(self) -> tuple[int, int]:
        """Exercises solved, exercises in all."""
        return sum(row.solved[0] for row in self.rows), sum(row.solved[1] for row in self.rows)

    def __repr__(self) -> str:
        lines = [self._line(row) for row in self.rows]
        return "\n".join([*self._summary(), *lines, *self._notes()])

    def _line(self, row: Row) -> str:
        parts = [row.notebook.number, row.notebook.title]
        if row.minutes is not None:
            parts.append(_minutes(row.minutes, self.words["min"]))
        if self.mine and row.run[0]:
            parts.append(self._ran(row))
        if row.solved[1]:
            done, total = row.solved
            parts.append(self.words["exercises"] + (f" {done}/{total}" if self.mine else f" {total}"))
        return "  ".join(parts)

    def _summary(self) -> list[str]:
        if not self.mine:
            return []
        done, total = self.solved
        return [
            self.words["notebooks run"].format(done=self.run, total=len(self.rows)),
            self.words["exercises solved"].format(done=done, total=total),
        ]

    def _notes(self) -> list[str]:
        """Return what is to be said of minutes and memory."""
        if not self.mine:
            return [self.words["recorded"]]
        notes = [self.words["here"]]
        large = [row.notebook.number for row in self.rows if not row.fits]
        known = [row.notebook.gib for row in self.rows if row.notebook.gib is not None]
        if large:
            told = self.words["too large"]
            notes.append(told.format(memory=self.memory, numbers=", ".join(large)))
        elif known:
            told = self.words["one at a time" if not fits(2 * max(known), self.memory) else "all fit"]
            notes.append(told.format(memory=self.memory, peak=max(known)))
        return notes

    def _ran(self, row: Row) -> str:
        done, total = row.run
        if total and done == total:
            return self.words["all cells"]
        return self.words["cells"].format(done=done, total=total) if done else ""

    def _repr_html_(self) -> str:
        bars = [(self.run, len(self.rows)), self.solved] if self.mine else []
        above = "".join(
            f'<div><progress value="{done}" max="{max(total, 1)}" aria-label="{escape(told)}"></progress> '
            f"{escape(told)}</div>"
            for (done, total), told in zip(bars, self._summary(), strict=True)
        )
        names = ["notebook", "minutes", "memory", "exercises", *(["yours"] if self.mine else [])]
        head = "".join(
            f'<th scope="col" style="{_side(name)}">{escape(self.words[name])}</th>' for name in names
        )
        body = "".join(self._row(row) for row in self.rows)
        notes = "".join(f"<div>{_with_code(note)}</div>" for note in self._notes())
        caption = f'<caption style="text-align:left"><b>{escape(self.words["map"])}</b></caption>'
        return (
            f'{above}<table class="course-map">{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>{notes}"
        )

    def _ipython_display_(self) -> None:
        import IPython.display

        untyped: Any = IPython.display
        handle = untyped.DisplayHandle()
        handle.display(self._data(), raw=True)
        _Watch.begin(self, handle)

    def _data(self) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}

    def _row(self, row: Row) -> str:
        book = row.notebook
        title = (
            f'<b>{book.number}</b> <a href="{book.name}.ipynb">{escape(book.title)}</a>'
            f"<br>{escape(book.question)}"
        )
        memory = "" if book.gib is None else f"{book.gib:.1f} GiB"
        if self.mine and not row.fits:
            memory = f"<b>{memory}: {escape(self.words['not here'])}</b>"
        done, total = row.solved
        told = f"{done} / {total}" if self.mine else str(total)
        mark = "✓ " if self.mine and total and done == total else ""
        exercises = f'<a href="{self._exercises(book)}">{mark}{told}</a>' if total else ""
        cells = {
            "notebook": f'<th scope="row" style="text-align:left;font-weight:normal">{title}</th>',
            "minutes": "" if row.minutes is None else escape(_minutes(row.minutes, self.words["min"])),
            "memory": memory,
            "exercises": exercises,
        }
        if self.mine:
            mark = "✓ " if row.run[1] and row.run[0] == row.run[1] else ""
            cells["yours"] = mark + escape(self._ran(row))
        return (
            "<tr>"
            + "".join(
                text if name == "notebook" else f'<td style="{_side(name)}">{text}</td>'
                for name, text in cells.items()
            )
            + "</tr>"
        )

    def _exercises(self, book: Notebook) -> str:
        """Return the way from the notebooks' folder to a notebook's exercises."""
        return f"{self.words['up']}exercises/{book.name}.ipynb"


class _Watch:
    """Shows a map anew, in the place where it stands, when something was run or solved.

    The latest map alone is renewed; a thread ends when another map was shown, or its kernel ends.
    """

    latest: _Watch | None = None

    def __init__(self, shown: CourseMap, handle: Any) -> None:
        self.text, self.again, self.handle = repr(shown), shown.again, handle

    @classmethod
    def begin(cls, shown: CourseMap, handle: Any) -> None:
        """Watch for a map that can be made again."""
        if shown.again is not None:
            cls.latest = cls(shown, handle)
            threading.Thread(target=cls.latest.run, daemon=True, name="course map").start()

    def run(self) -> None:
        """Look until another map is watched for."""
        stamps = _stamps()
        while _Watch.latest is self:
            time.sleep(_LOOK)
            now = _stamps()
            if now != stamps:
                stamps = now
                self.renew()

    def renew(self) -> None:
        """Show the map as it is now, where that differs."""
        assert self.again is not None
        try:
            now = self.again()
        except (CourseError, OSError):  # the folder is being moved or updated: the next look may find it
            return
        if repr(now) != self.text:
            self.text = repr(now)
            self.handle.update(now._data(), raw=True)


def _stamps() -> list[int]:
    """Return when the files of the learner's progress last changed."""
    found = []
    for path in (seen_file(), tally.state_file()):
        try:
            found.append(path.stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return found


def course_map(
    mine: bool | None = None, *, folder: Path | None = None, memory: float | None = None
) -> CourseMap:
    """Return the map of the course: links, minutes, memory, exercises and how far you are.

    Minutes are those recorded in each notebook, for the data that it gets here, times how much slower than
    there a small piece of work is here (`yardstick`), or what `course run` measured on this very machine. In
    JupyterLab the map renews itself when a notebook's cells are run or an exercise is solved.

    Parameters
    ----------
    mine : bool, optional
        Tell of this machine and this learner. Default: in JupyterLab; not on the pages of `course run`,
        which are handed on.
    folder : pathlib.Path, optional
        Of the notebooks. Default: the one that we are in.
    memory : float, optional
        GiB of this machine. Default: what it has.

    Raises
    ------
    BadInput
        When there are no notebooks.

    Examples
    --------
    >>> course_map(mine=False).rows[0].notebook.name
    '00_start_here'
    """
    place = folder or course_folder()
    in_lab = SESSION in os.environ
    personal = in_lab if mine is None else mine
    made = _made(place, personal, memory)
    if personal and in_lab:
        made.again = partial(_made, place, personal, memory)
    return made


def _made(folder: Path, mine: bool, memory: float | None) -> CourseMap:
    books = course(folder, here=mine)
    room = memory_gib() if memory is None else memory
    try:
        exercises = tally.progress().counts
    except CourseError:
        exercises = {}
    ran = seen() if mine else {}
    clone = folder.parent.parent if language(folder) == "zh" else folder.parent
    measured = State.load(clone / "build" / "state.json").records if mine else {}
    rows = []
    for book in books:
        record = measured.get(book.name)
        here = record.seconds / 60 if record is not None and record.status == "ok" else None
        cells = ran.get(book.name, set()) & book.cells
        rows.append(
            Row(
                book,
                here if here is not None else _minutes_here(book) if mine else book.minutes,
                (len(cells), len(book.cells)),
                exercises.get(book.number, (0, 0)),
                fits(book.gib, room),
            )
        )
    return CourseMap(rows, WORDS[language(folder)], mine, room)


def _minutes_here(book: Notebook) -> float | None:
    """Return a notebook's recorded minutes, scaled from the machine of the record to this one."""
    if book.minutes is None or book.yardstick is None:
        return book.minutes
    return book.minutes * yardstick() / book.yardstick


def _minutes(minutes: float, unit: str) -> str:
    """Return minutes as precisely as they are known.

    Examples
    --------
    >>> [_minutes(value, "min") for value in (0.2, 1.4, 2.6, 12)]
    ['< 1 min', '1 min', '3 min', '12 min']
    """
    return f"< 1 {unit}" if minutes < 0.75 else f"{minutes:.0f} {unit}"


def _with_code(text: str) -> str:
    """Return text as HTML, what stands between backticks as code.

    Examples
    --------
    >>> _with_code("a < b where `course run` has run")
    'a &lt; b where <code>course run</code> has run'
    """
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text))


def _side(name: str) -> str:
    number = name in ("minutes", "memory", "exercises")
    return f"text-align:{'right' if number else 'left'};white-space:nowrap"
