"""Submissions in any state: found, read, repaired or marked, and never followed out of their folder."""

from __future__ import annotations

import json
import os
import re

import nbformat
import pytest

from course_lib.errors import BadInput
from course_lib.grading import submission
from course_lib.grading.submission import Found

STEMS = ["99_try", "05_other"]
FUNCTIONS = {"99.1": "covariance", "99.2": "ranks"}


def read(course, path, note=""):
    found = Found("ada", "99_try", path, note)
    return submission.read(
        found, list(course.items.values()), FUNCTIONS, "import numpy as np\nfrom course_lib import show"
    )


def touch(path, text="x", when=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if when:
        os.utime(path, (when, when))
    return path


def test_both_layouts_are_found(tmp_path):
    touch(tmp_path / "ada" / "99_try.ipynb")
    touch(tmp_path / "bob" / "assignment" / "99_try.ipynb")
    touch(tmp_path / "Carla_99_try.ipynb")
    touch(tmp_path / "Dora 12345_assignsubmission_file_05_other.ipynb")
    touch(tmp_path / "ada" / "notes.txt")
    touch(tmp_path / "ada" / ".ipynb_checkpoints" / "99_try.ipynb")
    found = submission.find(tmp_path, STEMS)
    assert [(one.student, one.notebook) for one in found] == [
        ("Carla", "99_try"),
        ("Dora 12345_assignsubmission_file", "05_other"),
        ("ada", "99_try"),
        ("bob", "99_try"),
    ]


def test_of_several_files_the_newest_counts_and_a_note_says_so(tmp_path):
    touch(tmp_path / "ada" / "99_try.ipynb", when=1_000)
    new = touch(tmp_path / "ada" / "again" / "99_try.ipynb", when=2_000)
    (found,) = submission.find(tmp_path, STEMS)
    assert found.path == new
    assert "2 files" in found.note


def test_two_folders_of_one_student_are_one_student(tmp_path):
    for student in ("Ada", "Ada-1"):
        touch(tmp_path / student / "99_try.ipynb")
    (one,) = submission.find(tmp_path, STEMS, {"Ada-1": "Ada"})
    assert one.student == "Ada"
    assert one.note.startswith("2 files")


def test_links_are_listed_and_never_opened(tmp_path):
    secret = touch(tmp_path / "secret" / "99_try.ipynb")
    folder = tmp_path / "submissions"
    touch(folder / "bob" / "99_try.ipynb")
    (folder / "ada").mkdir()
    (folder / "ada" / "99_try.ipynb").symlink_to(secret)
    (folder / "eve").symlink_to(secret.parent)
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / "99_try.ipynb")
    found = {one.student: one for one in submission.find(folder, STEMS)}
    assert set(found) == {"ada", "bob", "eve", "pipe"}
    assert [found[who].path for who in ("ada", "eve", "pipe")] == [None] * 3
    assert "link" in found["ada"].note
    assert "link" in found["eve"].note


def test_an_empty_folder_and_a_missing_one_are_told(tmp_path):
    with pytest.raises(BadInput, match="Nothing in"):
        submission.find(tmp_path, STEMS)
    with pytest.raises(BadInput, match="no folder"):
        submission.find(tmp_path / "none", STEMS)


def test_answers_are_matched_by_the_names_of_their_cells(course):
    read_ = read(course, course.submit("ada", {1: course.right[1]}))
    assert read_.answers["99.1"].source == course.right[1]
    assert read_.answers["99.1"].note == ""
    assert "NotImplementedError" in read_.answers["99.2"].source
    assert read_.answers["99.1"].cells[0] == ("<set-up>", "import numpy as np", False)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda cell, nb: cell.update(cell_type="markdown"), "become text"),
        (lambda cell, nb: cell.update(id="lost"), ""),
        (lambda cell, nb: (cell.update(id="lost"), cell.metadata.clear()), "another cell"),
        (lambda cell, nb: nb.cells.reverse(), ""),
        (lambda cell, nb: nb.cells.append(dict(cell)), "several"),
        (lambda cell, nb: cell.update(source="".join(cell.source)), ""),
    ],
    ids=["retyped", "renamed", "copied", "moved", "twice", "one text"],
)
def test_cells_that_were_moved_or_changed_are_found_again(course, change, note):
    notebook = json.loads(nbformat.writes(course.notebook({1: course.right[1]})))
    notebook = nbformat.from_dict(notebook)
    change(next(cell for cell in notebook.cells if cell.id == "99-1-answer"), notebook)
    path = course.root / "changed.ipynb"
    path.write_text(json.dumps(notebook))
    answer = read(course, path).answers["99.1"]
    assert answer.source == course.right[1]
    assert note in answer.note
    assert bool(note) == bool(answer.note)


def test_a_stub_left_beside_the_answer_does_not_count(course):
    notebook = course.notebook()
    extra = nbformat.v4.new_code_cell(course.right[1])
    notebook.cells.append(extra)
    answer = read(course, course.submit("ada", notebook=notebook)).answers["99.1"]
    assert answer.source == course.right[1]


def test_a_missing_answer_is_marked(course):
    notebook = course.notebook()
    notebook.cells = [cell for cell in notebook.cells if cell.id != "99-1-answer"]
    answer = read(course, course.submit("ada", notebook=notebook)).answers["99.1"]
    assert answer.cells == []
    assert "no cell" in answer.note


def test_helpers_of_other_cells_come_along_without_what_those_cells_do(course):
    notebook = course.notebook({1: "def covariance(x):\n    return helper(x)"})
    own = "import math\n%matplotlib\nprint(1)\n@cache\ndef helper(x):\n    return 3; y = 1\nimport course_lib"
    notebook.cells.insert(2, nbformat.v4.new_code_cell(own))
    cells = read(course, course.submit("ada", notebook=notebook)).answers["99.1"].cells
    assert ("<your other cells>", "import math\n@cache\ndef helper(x):\n    return 3; y = 1", True) in cells
    assert not any("print" in text or "course_lib" in text for _, text, _ in cells)


def test_magics_are_left_out_and_the_percent_operator_is_not(course):
    magic = "%timeit 1\n!ls\n" + course.right[1]
    answer = read(course, course.submit("ada", {1: magic})).answers["99.1"]
    assert "timeit" not in answer.source
    assert "!ls" not in answer.source
    assert "left out" in answer.note
    percent = "def covariance(x):\n    return (7\n        % 4)"
    assert read(course, course.submit("bob", {1: percent})).answers["99.1"].source == percent


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "utf-32"])
def test_other_encodings_are_read(course, encoding):
    text = nbformat.writes(course.notebook({1: course.right[1] + "\n# 协方差"}))
    path = course.root / "coded.ipynb"
    path.write_bytes(text.encode(encoding))
    assert "协方差" in read(course, path).answers["99.1"].source


def test_the_format_before_2015_is_read(course):
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": course.right[1]}]}]}
    path = touch(course.root / "old.ipynb", json.dumps(old))
    assert read(course, path).answers["99.1"].source == course.right[1]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'{"cells": [', "cut short"),
        (b"[" * 100_000, "nested too deeply|not a notebook"),
        (b'{"cells":' + b"[" * 100_000, "nested too deeply|not a notebook"),
        (b"[]", "no cells"),
        (b'{"cells": 3}', "no cells"),
        (b'{"worksheets": [3]}', "no cells"),
        (b"\xff\xfe\x00", "notebook|encoding"),
        (b"PK\x03\x04\x00\x81\x8d", "notebook|encoding"),
        (b" " * ((20 << 20) + 1), "larger than 20 MiB"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_files_that_are_no_notebooks_are_marked_and_told(course, data, told):
    path = course.root / "broken.ipynb"
    path.write_bytes(data)
    read_ = read(course, path)
    assert read_.answers == {}
    assert any(re.search(told, note) for note in read_.notes), read_.notes


@pytest.mark.parametrize(
    "cell",
    [
        3,
        {},
        {"cell_type": "code"},
        {"cell_type": "code", "source": 3},
        {"cell_type": "code", "source": [3, None, "x"]},
        {"cell_type": "code", "source": "x", "metadata": 3, "id": 7},
        {"cell_type": "code", "source": "x", "metadata": {"nbgrader": []}},
        {"cell_type": "code", "source": "x\x00y"},
        {"cell_type": "code", "source": "(" * 100_000},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_cells_of_any_shape_do_no_harm(course, cell):
    notebook = {"cells": [cell, {"cell_type": "code", "id": "99-1-answer", "source": course.right[1]}]}
    path = touch(course.root / "odd.ipynb", json.dumps(notebook))
    assert read(course, path).answers["99.1"].source == course.right[1]
