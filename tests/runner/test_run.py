"""`course run` in processes of its own: failures, kills, resuming."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from course_lib.runner.course import _print_budget


def results(course):
    content = json.loads((course.build / "results.json").read_text(encoding="utf-8"))
    content.pop("timings")
    return content


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def executions(course):
    log = course.folder / "log"
    return log.read_text().split() if log.exists() else []


def logging(name):
    return f"open('../log', 'a').write('{name}\\n')"


def test_a_failing_notebook_does_not_stop_the_others(course, fact):
    course.add("00_good", fact(1))
    course.add("01_bad", "before = 'kept'\nprint(before)", "1 / 0", "print('never')")
    course.add("02_good", fact(2))
    code, text = course.run()
    assert code == 1
    assert "[FAIL] 01_bad" in text
    assert "cell 3 failed" in text
    assert "ZeroDivisionError: division by zero" in text
    found = results(course)["notebooks"]
    assert {name: one["status"] for name, one in found.items()} == {
        "00_good": "ok",
        "01_bad": "failed",
        "02_good": "ok",
    }
    partly = (course.build / "notebooks" / "01_bad.ipynb").read_text()
    assert '"kept\\n"' in partly
    assert "never" not in json.dumps([c["outputs"] for c in json.loads(partly)["cells"][1:]])
    assert "stopped at an error" in (course.build / "pages" / "index.html").read_text()


def test_facts_timings_and_memory(course, fact):
    course.add(
        "00_a", fact(0.25), fact(3.5, "s"), "hoard = bytearray(200_000_000)\nimport time\ntime.sleep(1)"
    )
    code, text = course.run()
    assert code == 0
    content = json.loads((course.build / "results.json").read_text())
    assert [one["value"] for one in content["notebooks"]["00_a"]["facts"]] == [0.25]
    timings = content["timings"]["00_a"]
    assert [one["value"] for one in timings["facts"]] == [3.5]
    assert timings["seconds"] >= 1.0
    assert 0.2 < timings["peak_gib"] < 1.0
    assert "peak memory" in text
    assert "20 min with installation, 6 min without" in text


def test_minutes_are_held_against_the_budget_of_the_same_notebooks(capsys):
    minutes = {"00_a": 1.0, "01_b": 2.0, "04_c": 4.0, "05_d": 8.0}
    _print_budget(Console(width=200), minutes, complete=True)
    three, whole = capsys.readouterr().out.splitlines()
    assert three.startswith("Budget of notebooks 00, 01, 04: 7.0 min now")
    assert whole.startswith("Budget of the whole course: 15.0 min now")
    _print_budget(Console(width=200), {"05_d": 8.0}, complete=False)
    assert "now" not in capsys.readouterr().out


def test_a_dead_kernel_is_reported_and_the_next_notebook_runs(course):
    course.add("00_dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    course.add("01_lives", "print(1)")
    code, text = course.run()
    assert code == 1
    assert "the kernel died" in text
    assert "memory" in text
    assert results(course)["notebooks"]["01_lives"]["status"] == "ok"


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_a_random_moment_it_ends_with_the_same_results(course, fact, seed):
    # The last notebook waits at a gate, so that a fast machine is not through before it is killed.
    gate = course.folder / "gate"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)"
    for number in range(3):
        cell = "import time\ntime.sleep(0.4)" if number < 2 else wait
        course.add(f"0{number}_n", logging(number), cell, fact(number))
    gate.touch()
    assert course.run("--build", str(course.folder / "whole"))[0] == 0
    expected = json.loads((course.folder / "whole" / "results.json").read_text())
    expected.pop("timings")
    (course.folder / "log").unlink()
    gate.unlink()

    process = course.start()
    wait_for(lambda: executions(course))
    time.sleep(random.Random(seed).uniform(0.0, 6.0))
    process.kill()
    process.communicate()
    gate.touch()
    finished = json.loads((course.build / "state.json").read_text())["records"]
    code, text = course.run()
    assert code == 0
    assert results(course) == expected
    for name in finished:
        assert executions(course).count(str(int(name[:2]))) == 1, "a finished notebook was executed again"
    if finished:
        assert "already executed: " + ", ".join(sorted(finished)) in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_kernel_and_goes_on(course, number):
    course.add("00_quick", logging("quick"))
    slow = course.add(
        "01_slow", "import os\nopen('../pid', 'w').write(str(os.getpid()))", "import time\ntime.sleep(60)"
    )
    process = course.start()
    pid = course.folder / "pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on where this stopped" in out + err
    assert "Traceback" not in out + err
    wait_for(lambda: not psutil.pid_exists(int(pid.read_text())), 10)
    slow.unlink()
    course.add("01_slow", "print('quick now')")
    code, text = course.run()
    assert code == 0
    assert "already executed: 00_quick" in text
    assert executions(course) == ["quick"]


def test_a_finished_run_begins_anew(course):
    course.add("00_a", logging("a"))
    assert course.run()[0] == course.run()[0] == 0
    assert executions(course) == ["a", "a"]


def test_changed_cells_or_fresh_are_not_taken_from_an_interrupted_run(course):
    course.add("00_a", logging("a"))
    course.add("01_b", "1 / 0")
    course.run()
    state = course.build / "state.json"

    def interrupted():
        state.write_text(json.dumps(json.loads(state.read_text()) | {"finished": False}))

    interrupted()
    course.run()
    assert executions(course) == ["a"]
    interrupted()
    course.run("--fresh")
    assert executions(course) == ["a", "a"]
    course.add("00_a", logging("changed"))
    interrupted()
    course.run()
    assert executions(course) == ["a", "a", "changed"]


def test_a_damaged_state_is_no_obstacle(course):
    course.add("00_a", logging("a"))
    course.build.mkdir()
    (course.build / "state.json").write_text('{"run": "x", "rec')
    assert course.run()[0] == 0
    assert executions(course) == ["a"]


def test_two_runs_at_once(course):
    course.add("00_a", logging("a"), "import time\ntime.sleep(4)")
    first = course.start()
    wait_for(lambda: executions(course))
    code, text = course.run()
    assert code == 1
    assert "Another `course run` is writing to" in text
    assert "Traceback" not in text
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_names(course):
    for name in ("00_start", "04_features", "10_more"):
        course.add(name, logging(name))
    assert course.run("4")[0] == 0
    assert executions(course) == ["04_features"]
    assert course.run("10_more", "notebooks/00_start.ipynb")[0] == 0
    assert executions(course)[1:] == ["00_start", "10_more"]
    code, text = course.run("07")
    assert code == 1
    assert "No notebook is called '07'" in text
    assert "00_start, 04_features, 10_more" in text
    assert "Traceback" not in text
    assert set(results(course)["notebooks"]) == {"00_start", "04_features", "10_more"}


def test_wrong_usage(course):
    assert course.run("--nonsense")[0] == 2


def test_a_folder_that_cannot_be_written(course):
    course.add("00_a", "1")
    course.build.write_text("a file where the folder should be")
    code, text = course.run()
    assert code == 1
    assert "cannot be written" in text
    assert "--build" in text
    assert "Traceback" not in text


def test_committed_outputs_are_stable_and_private_ones_empty(course):
    path = course.add(
        "00_a",
        "print('photograph')",
        "print('one')\nimport sys\nsys.stdout.flush()\nprint('two')\n1 + 1",
        "import ipywidgets\nipywidgets.IntSlider()",
        tags={0: ["private-output"]},
    )
    assert course.run("--commit-outputs")[0] == 0
    first = path.read_text()
    notebook = json.loads(first)
    assert notebook["cells"][1]["outputs"] == []
    streams = [one for one in notebook["cells"][2]["outputs"] if one["output_type"] == "stream"]
    assert "".join(streams[0]["text"]) == "one\ntwo\n"
    assert notebook["metadata"]["carryover"]["edition"] in {"cifar10", "solar_cells"}
    assert "widget-view" not in first
    assert "widgets" not in notebook["metadata"]
    assert "execution" not in json.dumps([cell["metadata"] for cell in notebook["cells"]])
    assert course.run("--commit-outputs")[0] == 0
    second = json.loads(path.read_text())
    for one in (notebook, second):
        for clock in ("minutes", "peak_gib", "yardstick"):
            one["metadata"]["carryover"].pop(clock)
    assert second == notebook


def test_a_notebook_without_a_choice_of_data_keeps_its_edition(course):
    path = course.add("00_a", "1 + 1")
    notebook = json.loads(path.read_text())
    notebook["metadata"]["carryover"] = {"edition": "packaged"}
    path.write_text(json.dumps(notebook))
    assert course.run("--commit-outputs")[0] == 0
    assert json.loads(path.read_text())["metadata"]["carryover"]["edition"] == "packaged"
    assert "packaged" not in (course.build / "pages" / "index.html").read_text()


def test_outputs_of_other_data_stay_and_what_this_run_took_is_noted(course, monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(course.folder / "cache"))
    path = course.add("00_a", "print('of here')")
    notebook = json.loads(path.read_text())
    recorded = {"edition": "cifar10", "minutes": 40.0, "elsewhere": {"another": {"minutes": 7.0}}}
    notebook["metadata"]["carryover"] = recorded
    path.write_text(json.dumps(notebook))
    code, told = course.run("--commit-outputs")
    assert code == 0
    assert "they stay" in told
    after = json.loads(path.read_text())
    about = after["metadata"].pop("carryover")
    noted = about["elsewhere"].pop("solar_cells")
    assert set(noted) == {"minutes", "peak_gib", "yardstick"}
    assert noted["minutes"] < 1 < noted["yardstick"]
    assert about == recorded
    assert after["cells"] == notebook["cells"]


def test_figures_for_the_readme_are_kept(course):
    source = "from IPython.display import Image, display\nfrom PIL import Image as P\nimport io\n"
    source += "s = io.BytesIO()\nP.new('RGB', (3, 2)).save(s, 'png')\ndisplay(Image(s.getvalue()))"
    course.add("00_a", source, source, tags={1: ["readme-figure=curve"]})
    assert course.run()[0] == 0
    assert not (course.folder / "docs").exists()
    assert course.run("--commit-outputs")[0] == 0
    (kept,) = (course.folder / "docs").iterdir()
    assert kept.name == "curve.png"
    assert kept.read_bytes().startswith(b"\x89PNG")


def test_a_notebook_saved_while_it_runs_is_not_overwritten(course):
    path = course.folder / "notebooks" / "00_a.ipynb"
    change = f"from pathlib import Path\np = Path({str(path)!r})\n"
    change += "p.write_text(p.read_text().replace('# T', '# New'))"
    course.add("00_a", change)
    code, text = course.run("--commit-outputs")
    assert code == 0
    assert "changed while it ran" in text
    assert "# New" in path.read_text()
    assert '"outputs": []' in path.read_text()


def test_a_failed_notebook_is_not_committed(course):
    path = course.add("00_a", "print('x')", "1 / 0")
    before = path.read_text()
    assert course.run("--commit-outputs")[0] == 1
    assert path.read_text() == before


def test_no_notebooks(course):
    code, text = course.run()
    assert code == 1
    assert "There are no notebooks in" in text


def test_build_folder_named(course, tmp_path: Path):
    course.add("00_a", "1")
    assert course.run("--build", str(tmp_path / "else" / "where"))[0] == 0
    assert (tmp_path / "else" / "where" / "pages" / "00_a.html").is_file()
    assert not course.build.exists()


def test_a_notebook_of_sounds_chooses_among_sounds(course):
    from course_lib.runner.plan import edition, edition_like

    path = course.add("00_a", "1 + 1")
    notebook = json.loads(path.read_text())
    notebook["metadata"]["carryover"] = {"edition": "tones"}
    path.write_text(json.dumps(notebook))
    assert edition(path) in {"spoken_digits", "tones"}
    assert edition() in {"cifar10", "solar_cells"}
    assert edition_like("solar_cells") == edition_like(None) == edition()
