"""Progress shows one line while work lasts and leaves nothing behind."""

import io
import sys
import time

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.show import Progress, progress
from course_lib.show import progress as function

module = sys.modules[function.__module__]


class Recorder:
    def __init__(self):
        self.lines, self.cleared = [], 0

    def draw(self, text, share):
        self.lines.append((text, share))

    def clear(self):
        self.cleared += 1


@pytest.fixture
def surfaces(monkeypatch):
    made = []

    def make():
        made.append(Recorder())
        return made[-1]

    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr(module, "_surface", make)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setattr(module, "_EVERY", 0.0)
    return made


def test_items_pass_unchanged_and_lines_count_them(surfaces):
    assert list(progress("abc", "letters", unit="letters")) == ["a", "b", "c"]
    (surface,) = surfaces
    assert [text.split(",")[0] for text, _ in surface.lines] == [
        f"letters: {k} of 3 letters" for k in (1, 2, 3)
    ]
    assert [share for _, share in surface.lines] == pytest.approx([1 / 3, 2 / 3, 1])
    assert surface.cleared == 1


def test_only_the_outermost_is_drawn(surfaces):
    for _ in progress(range(2), "outer"):
        for _ in progress(range(3), "inner"):
            pass
    assert len(surfaces) == 1
    assert all(text.startswith("outer") for text, _ in surfaces[0].lines)


def test_a_failure_clears_the_line_and_the_next_bar_is_drawn(surfaces):
    with pytest.raises(ZeroDivisionError), Progress("doomed", 2) as bar:
        bar.update()
        1 / 0
    assert surfaces[0].cleared == 1
    list(progress(range(2), "next"))
    assert surfaces[1].lines


def test_a_generator_has_no_total(surfaces):
    list(progress((k for k in range(2)), "stream", unit="items"))
    assert surfaces[0].lines[0][0].startswith("stream: 1 items")
    assert surfaces[0].lines[0][1] == 0


def test_silenced(surfaces, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    list(progress(range(2), "quiet"))
    with Progress("hidden", 2, visible=False) as bar:
        bar.update()
    assert not surfaces


def test_short_work_shows_nothing(surfaces, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    list(progress(range(100), "short"))
    assert surfaces[0].lines == []


def test_drawing_is_rare(surfaces, monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 0.05)
    start = time.monotonic()
    for _ in progress(range(200), "many"):
        time.sleep(0.001)
    assert 1 <= len(surfaces[0].lines) <= (time.monotonic() - start) / 0.05 + 1


def test_a_unit_costs_little_more_than_reading_the_clock(surfaces, monkeypatch):
    monkeypatch.setattr(module, "_EVERY", 0.2)
    ratios = [_seconds(20_000) / _clock_readings(20_000) for _ in range(5)]
    assert min(ratios) < 50, "progress must not slow a loop over pictures"


def _clock_readings(n):
    start = time.perf_counter()
    for _ in range(n):
        time.monotonic()
    return time.perf_counter() - start


def _seconds(n):
    start = time.perf_counter()
    for _ in progress(range(n), "many"):
        pass
    return time.perf_counter() - start


class Tty(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_bar_goes_to_stderr_and_vanishes(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Tty())
    monkeypatch.setenv("TERM", "xterm")
    surface = module._Terminal()
    surface.draw("features: 1 of 2 [images]", 0.5)
    surface._bar.refresh()
    surface.clear()
    said = sys.stderr.getvalue()
    assert "features: 1 of 2 [images]" in said
    assert "\x1b[2K" in said, "the line is erased"
    assert capsys.readouterr().out == ""


def test_no_terminal_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert module._surface() is None


KERNEL = """
import time
from course_lib.show import progress
for _ in progress(range(8), "outer", unit="sizes"):
    for _ in progress(range(2), "inner"):
        time.sleep(0.06)
"""


def test_a_saved_notebook_holds_no_progress(monkeypatch):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    notebook = new_notebook(cells=[new_code_cell(KERNEL), new_code_cell("print('after')")])
    seen = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                seen.append(msg["content"]["data"].get("text/plain"))
            return super().process_message(msg, cell, cell_index)

    Client(notebook, kernel_name="python3", timeout=120).execute()
    assert any(text and text.startswith("outer: ") for text in seen), "it was shown while it lasted"
    assert not any(text and text.startswith("inner") for text in seen)
    assert seen[-1] is None
    assert [output for output in notebook.cells[0].outputs if output.get("data") != {}] == []
    assert notebook.cells[1].outputs[0].text == "after\n"
