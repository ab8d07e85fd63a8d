"""The map of the course: true about this machine and this learner, silent about both in public."""

from __future__ import annotations

import json
import re
import sys
import types

import pytest

from course_lib import errors
from course_lib.grading import tally
from course_lib.lab import course, course_map, memory, seen
from course_lib.lab import kernel as kernels
from course_lib.runner import plan
from tests.lab.conftest import write

module = sys.modules["course_lib.lab.course_map"]  # the function hides its module


def test_every_notebook_has_a_question_in_both_languages():
    folder = plan.LIBRARY.parent / "notebooks"
    numbers = [path.name[:2] for path in plan.all_notebooks(folder)]
    for words in ("en", "zh"):
        asked = course.questions(words)
        assert sorted(asked) == numbers
        assert all(asked.values())


def test_links_of_the_real_map_lead_to_files(monkeypatch):
    folder = plan.LIBRARY.parent / "notebooks"
    html = course_map(mine=False, folder=folder)._repr_html_()
    links = re.findall(r'href="([^"]+)"', html)
    assert len(links) == 15 + 13
    assert all((folder / link).is_file() for link in links)


def test_minutes_are_scaled_by_the_speed_of_this_machine(clone, monkeypatch):
    monkeypatch.setattr(module, "yardstick", lambda: 30.0)  # three times as slow as the recorded 10
    rows = course_map(mine=True).rows
    assert [row.minutes for row in rows] == [None, 12.0]
    assert [row.minutes for row in course_map(mine=False).rows] == [None, 4.0]


def test_minutes_and_memory_are_those_of_the_data_that_are_here(clone, monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(clone / "cache"))
    monkeypatch.setattr(module, "yardstick", lambda: 10.0)
    elsewhere = {"solar_cells": {"minutes": 5, "peak_gib": 1.5, "yardstick": 10.0}}
    about = {"edition": "cifar10", "minutes": 2, "peak_gib": 2.5, "yardstick": 10.0, "elsewhere": elsewhere}
    write(clone / "notebooks" / "01_more.ipynb", "01 · More", "1", **about)

    def told(mine):
        row = course_map(mine=mine).rows[1]
        return row.minutes, row.notebook.gib

    assert told(mine=True) == (5, 1.5)
    assert told(mine=False) == (2, 2.5)  # the data of its outputs
    monkeypatch.setattr(plan, "edition_like", lambda recorded: recorded)  # as where CIFAR-10 is
    assert told(mine=True) == (2, 2.5)


def test_measured_minutes_go_before_estimated_ones(clone):
    record = {"status": "ok", "run": "r", "key": "k", "edition": "e", "seconds": 90, "peak_bytes": 1}
    state = {"run": "r", "finished": True, "records": {"01_more": record}}
    (clone / "build").mkdir()
    (clone / "build" / "state.json").write_text(json.dumps(state))
    assert course_map(mine=True).rows[1].minutes == 1.5


@pytest.mark.parametrize(
    ("gib", "fitting", "told"),
    [(16.0, True, "also two of them"), (3.8, True, "one at a time"), (3.0, False, "too little for 01")],
)
def test_which_notebooks_fit(clone, gib, fitting, told):
    found = course_map(mine=True, memory=gib)
    assert found.rows[1].fits == fitting
    assert told in repr(found)
    assert ("does not fit here" in found._repr_html_()) != fitting


def test_memory_of_a_container_is_its_limit(tmp_path):
    (tmp_path / "limit").write_text("2147483648\n")
    assert memory.memory_gib(tmp_path / "limit") == 2.0
    (tmp_path / "limit").write_text("max\n")
    assert memory.memory_gib(tmp_path / "limit") == memory.memory_gib(tmp_path / "nothing") > 0


def test_a_public_map_tells_nothing_of_the_learner(clone, monkeypatch):
    before = course_map()._repr_html_(), repr(course_map())
    seen.note_cell("00_start", "00-001")
    monkeypatch.setattr(module, "yardstick", lambda: 1e6)
    monkeypatch.setattr(module, "memory_gib", lambda: 1.0)
    assert (course_map()._repr_html_(), repr(course_map())) == before
    assert "<progress" not in before[0]


def test_cells_that_ran_move_the_bar(clone):
    assert course_map(mine=True).run == 0
    seen.note_cell("00_start", "00-001")
    assert course_map(mine=True).rows[0].run == (1, 2)
    seen.note_cell("00_start", "a-cell-that-is-gone")
    seen.note_cell("00_start", "00-002")
    found = course_map(mine=True)
    assert (found.run, found.rows[0].run) == (1, (2, 2))
    assert '<progress value="1" max="2"' in found._repr_html_()


def test_a_solved_exercise_moves_the_bar(clone, monkeypatch):
    monkeypatch.setattr(tally, "progress", lambda: tally.Progress({"01": (len(tally.solved_ids()), 3)}))
    assert course_map(mine=True).solved == (0, 3)
    tally.note("01.2", True)
    assert course_map(mine=True).solved == (1, 3)
    tally.note("01.2", False)
    assert course_map(mine=True).solved == (0, 3)


def test_a_shown_map_renews_itself_once_for_each_change(clone):
    shown = course_map(mine=True)
    shown.again = lambda: course_map(mine=True)
    updates = []
    handle = types.SimpleNamespace(update=lambda data, raw: updates.append(data))
    watch = module._Watch(shown, handle)
    watch.renew()
    assert updates == []
    seen.note_cell("00_start", "00-001")
    watch.renew()
    watch.renew()
    assert len(updates) == 1
    assert "1 of 2 cells" in updates[0]["text/html"]


def test_a_damaged_notebook_stays_on_the_map(clone):
    (clone / "notebooks" / "01_more.ipynb").write_text('{"cells": [')
    assert [row.notebook.title for row in course_map().rows] == ["Start", "01_more"]


def test_the_chinese_folder_speaks_chinese(clone, monkeypatch):
    (clone / "notebooks" / "zh").mkdir()
    whole = (clone / "notebooks" / "01_more.ipynb").read_text()
    (clone / "notebooks" / "zh" / "00_start.ipynb").write_text(whole.replace("More", "开始"))
    monkeypatch.chdir(clone / "notebooks" / "zh")
    html = course_map(mine=True)._repr_html_()
    assert "课程地图" in html and "开始" in html


def test_a_state_that_cannot_be_written_or_read_is_no_state(clone, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "file"))
    seen.note_cell("00_start", "00-001")
    assert seen.seen() == {}
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    for damaged in ("", "[]", '{"cells": 3}', '{"cells": {"00_start": 3}}'):
        seen.seen_file().write_text(damaged)
        assert seen.seen() == {}


class Shell:
    """An IPython that runs cells when told."""

    def __init__(self) -> None:
        self.events = types.SimpleNamespace(register=lambda name, heard: setattr(self, "heard", heard))

    def run(self, cell, success=True) -> None:
        self.heard(types.SimpleNamespace(success=success, info=types.SimpleNamespace(cell_id=cell)))


def test_a_kernel_notes_cells_that_ran_without_an_error(clone, monkeypatch):
    monkeypatch.setenv(kernels.SESSION, str(clone / "notebooks" / "00_start.ipynb"))
    shell = Shell()
    kernels.load_ipython_extension(shell)
    shell.run("00-001")
    shell.run("00-002", success=False)
    shell.run(None)
    assert seen.seen() == {"00_start": {"00-001"}}


@pytest.mark.parametrize("session", ["", "console-1", "exercises/00_start.ipynb", "notebooks/mine.ipynb"])
def test_a_kernel_of_something_else_notes_nothing(clone, monkeypatch, session):
    monkeypatch.setenv(kernels.SESSION, str(clone / session) if session else "")
    shell = Shell()
    kernels.load_ipython_extension(shell)
    assert not hasattr(shell, "heard")


@pytest.mark.parametrize("cut", ["", '{"cells": [{"cell_type": "co', "[]", '{"cells": {}, "metadata": {}}'])
def test_a_notebook_saved_half_way_is_named_with_the_way_back(clone, cut):
    path = clone / "notebooks" / "01_more.ipynb"
    path.write_text(cut)
    with pytest.raises(errors.BadInput) as told:
        plan.source_key(path)
    assert str(path) in told.value.problem
    assert "git checkout -- notebooks/01_more.ipynb" in told.value.remedy
