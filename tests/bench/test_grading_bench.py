"""What the comparison with nbgrader is made of; speeds themselves are not asserted."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from course_lib.bench import grading as bench
from course_lib.errors import CourseError
from course_lib.grading import catalogue, source
from course_lib.grading.check import tried


@pytest.mark.parametrize("kind", bench.KINDS, ids=lambda kind: kind.name)
def test_made_answers_are_right_and_stubs_are_not(kind, tmp_path) -> None:
    bench.write_course(tmp_path, kind, 2)
    solutions = tmp_path / "solutions"
    exercises = catalogue.exercises(solutions, bench.NUMBER)
    items = catalogue.items(solutions, bench.NUMBER)
    assert [*items] == [*exercises] == [f"{bench.NUMBER}.{k}" for k in (1, 2, 3)]
    for key, exercise in exercises.items():
        names: dict[str, object] = {}
        exec(f"{kind.imports}\n{source.solution(items[key].answer)}", names)
        verdicts = tried(names[exercise.answer], exercise.made(3), exercise.tensors)
        assert len(verdicts) == 6 and all(verdict.ok for verdict in verdicts), verdicts
    texts = {path.read_text() for path in tmp_path.glob(f"submissions/*/{bench.STEM}.ipynb")}
    assert len(texts) == 2 and not any("SOLUTION" in text or bench.REMARK in text for text in texts)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds nothing to a core")
def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), bench._cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        1 / 0
    assert os.sched_getaffinity(0) == before


def test_memory_of_all_processes_is_summed() -> None:
    child = "x = b'1' * (60 << 20); input()"
    code = f"import subprocess, sys; subprocess.run([{sys.executable!r}, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        begun = time.monotonic()
        while bench._resident(process.pid) < 60 << 20 and time.monotonic() < begun + 20:
            time.sleep(0.05)
        assert bench._resident(process.pid) >= 60 << 20  # the child's, not the parent's
        process.communicate(b"\n")
    assert bench._resident(process.pid) == 0


def test_without_nbgrader_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(bench.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="nbgrader is not installed"):
        bench.grading(quick=True)


def test_environment_is_as_before(tmp_path, monkeypatch) -> None:
    pytest.importorskip("nbgrader")
    monkeypatch.setenv("COURSE_SOLUTIONS", "somewhere")
    monkeypatch.delenv("COURSE_STATE", raising=False)
    before = dict(os.environ)
    with bench._course(bench.KINDS[0], 1, 1) as course:
        assert os.environ["COURSE_SOLUTIONS"] == str(course.folder / "solutions")
        release = course.folder / "nbgrader" / "release" / bench.ASSIGNMENT
        assert (release / f"{bench.STEM}.ipynb").is_file()
    assert dict(os.environ) == before and not course.folder.exists()
