"""All reports together: the same bytes for the same class, and nothing left of who is gone."""

from __future__ import annotations

import json

import pytest

from course_lib.errors import BadInput
from course_lib.grading import catalogue
from course_lib.grading.report import known_code, safe_name, write_reports
from course_lib.grading.results import ClassResult
from tests.grading.classes import sample


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_report_is_written(tmp_path):
    result = sample(6)
    write_reports(result, tmp_path)
    names = {safe_name(student) for student in result.students}
    assert set(files(tmp_path)) == {
        "grades.csv", "similarity.csv", "class.html",
        *(f"feedback/{name}.html" for name in names), *(f"gradescope/{name}/results.json" for name in names),
    }  # fmt: skip
    for name in names:
        json.loads((tmp_path / "gradescope" / name / "results.json").read_text(encoding="utf-8"))


def test_equal_results_give_equal_bytes(tmp_path):
    result = sample()
    write_reports(result, tmp_path / "one")
    write_reports(ClassResult(list(reversed(result.graded)), result.tier), tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    before = files(tmp_path / "one")
    write_reports(result, tmp_path / "one")
    assert files(tmp_path / "one") == before
    write_reports(sample(seed=1), tmp_path / "one")
    assert files(tmp_path / "one") != before


def test_who_left_is_forgotten_and_other_files_stay(tmp_path):
    write_reports(sample(6), tmp_path)
    gone = safe_name("Emmy Noether")
    for path in ("feedback/notes.html", "feedback/mine.txt", f"gradescope/{gone}/mine.txt", "gradescope/x"):
        (tmp_path / path).write_text("mine")
    left = ClassResult([one for one in sample(6).graded if one.student != "Emmy Noether"])
    write_reports(left, tmp_path)
    kept = set(files(tmp_path))
    assert not {f"feedback/{gone}.html", f"gradescope/{gone}/results.json"} & kept
    assert {"feedback/notes.html", "feedback/mine.txt", f"gradescope/{gone}/mine.txt", "gradescope/x"} <= kept


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    write_reports(sample(3), tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "results.json").write_text("mine")
    (tmp_path / "out" / "gradescope" / "x-0123456789ab").symlink_to(tmp_path / "elsewhere")
    write_reports(sample(3), tmp_path / "out")
    assert (tmp_path / "elsewhere" / "results.json").read_text() == "mine"


def test_nothing_handed_in_is_refused(tmp_path):
    with pytest.raises(BadInput):
        write_reports(ClassResult([]), tmp_path)
    assert files(tmp_path) == {}


def test_known_code_makes_nobody_similar(tmp_path):
    write_reports(sample(), tmp_path)
    assert b"Dorothy Vaughan,Leonhard Euler" in (tmp_path / "similarity.csv").read_bytes()
    one = next(one for one in sample().graded if one.student == "Leonhard Euler")
    write_reports(sample(), tmp_path, known={key: [code] for key, code in one.answers.items()})
    text = (tmp_path / "similarity.csv").read_text(encoding="utf-8-sig")
    assert not any(line.startswith(tuple(one.answers)) for line in text.splitlines())


def test_known_code_is_the_stub_and_the_solution():
    try:
        folder = catalogue.solutions_folder()
    except BadInput:
        pytest.skip("the teacher's folder is not here")
    known = known_code(folder)
    assert known
    for stub, solution in known.values():
        assert "NotImplementedError" in stub
        assert "NotImplementedError" not in solution
        assert "###" not in solution
