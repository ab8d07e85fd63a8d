"""`course run --scheduler`: several notebooks at once, the same results, and an end when it is asked for."""

from __future__ import annotations

import json
import signal
import time

import psutil
import pytest


def results(course):
    content = json.loads((course.build / "results.json").read_text(encoding="utf-8"))
    content.pop("timings")
    return content


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_results_are_those_of_one_after_the_other(course, fact):
    course.add("00_good", fact(1))
    course.add("01_bad", "print('before')", "1 / 0")
    course.add("02_good", fact(2), "import os\nos.path.basename(os.getcwd())")
    code, text = course.run("--scheduler", "threads")
    together = results(course)
    assert code == 1
    assert "[FAIL] 01_bad" in text
    assert "[OK]   02_good" in text
    assert "ZeroDivisionError" in text
    assert course.run()[0] == 1
    assert results(course) == together


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_kernel_and_goes_on(course, number):
    course.add("00_quick", "open('../log', 'a').write('quick\\n')")
    slow = course.add(
        "01_slow", "import os\nopen('../pid', 'w').write(str(os.getpid()))", "import time\ntime.sleep(120)"
    )
    process = course.start("--scheduler", "threads")
    pid, state = course.folder / "pid", course.build / "state.json"
    wait_for(
        lambda: pid.exists() and pid.read_text() and "00_quick" in json.loads(state.read_text())["records"]
    )
    process.send_signal(number)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "goes on where this stopped" in out + err
    assert "Traceback" not in out + err
    wait_for(lambda: not psutil.pid_exists(int(pid.read_text())))
    slow.unlink()
    course.add("01_slow", "print('quick now')")
    code, text = course.run("--scheduler", "threads")
    assert code == 0
    assert "already executed: 00_quick" in text
    assert (course.folder / "log").read_text() == "quick\n"


def test_no_scheduler(course):
    course.add("00_good", "1")
    code, text = course.run("--scheduler", "thread")
    assert code == 1
    assert "'thread' is no scheduler" in text
    assert "Traceback" not in text


def test_another_machine_must_see_the_same_notebook(course, monkeypatch):
    from course_lib.errors import CourseError
    from course_lib.runner import spread

    path = course.add("00_good", "1")
    with pytest.raises(CourseError, match="does not see"):
        spread.executed_there(str(path) + "x", "key", "stop")
    with pytest.raises(CourseError, match="are others"):
        spread.executed_there(str(path), "key", "stop")
