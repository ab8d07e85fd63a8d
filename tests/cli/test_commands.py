"""The command line: help without frameworks, errors without tracebacks."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest
from typer.testing import CliRunner

from course_lib import errors
from course_lib.cli import app, doctor, fetch

runner = CliRunner()


def course(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "course_lib", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("command", ["lab", "run", "new", "doctor", "fetch", "bench"])
def test_each_command_explains_itself(command):
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert command in runner.invoke(app, ["--help"]).stdout
    assert len(result.stdout.splitlines()) > 4


def test_help_imports_nothing_heavy():
    heavy = "numpy tensorflow keras torch sklearn matplotlib nbclient nbconvert jupyter_client requests PIL"
    script = (
        "import sys\nfrom course_lib.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        f"print('HEAVY', [m for m in {heavy.split()!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "HEAVY []" in found.stdout


@pytest.mark.parametrize(("begun", "built"), [("", True), ("main()", False)])
def test_a_command_that_reads_notebooks_builds_no_grammars(begun, built):
    script = (
        "import sys\nfrom course_lib.cli import main\nsys.argv = ['course', '--help']\n"
        f"try: {begun or 'pass'}\nexcept SystemExit: pass\n"
        "import nbformat\nprint('BUILT', 'lark' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert f"BUILT {built}" in found.stdout


def test_an_error_of_the_course_has_no_traceback_unless_asked_for(tmp_path):
    plain = course("run", "--notebooks", str(tmp_path / "nowhere"))
    assert plain.returncode == 1
    assert "There is no folder of notebooks" in plain.stderr
    assert "What to do:" in plain.stderr
    assert "Traceback" not in plain.stderr
    debug = course("--debug", "run", "--notebooks", str(tmp_path / "nowhere"))
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


def test_usage_errors_exit_with_2():
    assert course("nonsense").returncode == 2
    assert course("run", "--nonsense").returncode == 2


def test_fetch_unknown_name():
    found = course("fetch", "cifar11")
    assert found.returncode == 1
    assert "There is no data set 'cifar11'" in found.stderr
    assert "cifar10, cifar100, spoken_digits and all" in found.stderr


def test_fetch_all_goes_on_past_the_first_failure(monkeypatch, capsys):
    from course_lib.tasks import store

    def pretend(name, source=None):
        if name == "cifar10":
            raise errors.DataUnavailable("no network", "copy it")
        return f"/cache/{name} from {source}"

    monkeypatch.setattr(store, "fetch", pretend)
    assert fetch.fetch_data("all", "/mirror") == 1
    out = capsys.readouterr().out
    assert "cifar10: no network" in out
    assert "What to do: copy it" in out
    assert "cifar100: /cache/cifar100 from /mirror" in out


def test_doctor_on_this_machine():
    found = runner.invoke(app, ["doctor"])
    lines = [line for line in found.stdout.splitlines() if not line.startswith("       ")]
    assert all(line.startswith(("[OK]  ", "[FAIL]", "[--]  ")) for line in lines[:-1])
    for topic in (
        "Python 3.",
        "memory:",
        "disk:",
        "cores:",
        "kernel",
        "efficientnet-lite0",
        "solar_cells",
        "cifar10",
    ):
        assert any(topic in line for line in lines), topic
    assert found.exit_code == int(any(line.startswith("[FAIL]") for line in lines))


def test_doctor_a_wrong_version_a_missing_package_and_a_local_build(monkeypatch):
    installed = {"numpy": "1.0", "torch": "2.13.0+cpu"}

    def version(name):
        if name not in installed:
            raise doctor.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(
        doctor, "pins", lambda: [("keras", "3.15.1"), ("numpy", "2.4.6"), ("torch", "2.13.0")]
    )
    monkeypatch.setattr(doctor.metadata, "version", version)
    keras, numpy, summary = doctor.packages()
    assert (keras.good, keras.text) == (False, "keras 3.15.1 is not installed")
    assert (numpy.good, numpy.text) == (False, "numpy 1.0 is installed, 2.4.6 is pinned")
    assert keras.remedy
    assert numpy.remedy
    assert summary.text == "1 of 3 packages at their pinned versions: torch 2.13.0+cpu"


def test_doctor_too_little_memory_and_disk(monkeypatch, tmp_path):
    import psutil

    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=2**30, total=2**32))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2**28))
    memory, disk, *_ = doctor.resources()
    assert (memory.good, disk.good) == (False, False)
    assert "Close other programs" in memory.remedy
    assert "COURSE_CACHE" in disk.remedy


def test_doctor_goes_on_past_a_check_that_breaks(monkeypatch, capsys):
    def broken():
        raise RuntimeError("odd machine")
        yield

    monkeypatch.setattr(doctor, "system", broken)
    assert doctor.examine() == 1
    out = capsys.readouterr().out
    assert "broken could not be examined: RuntimeError: odd machine" in out
    assert "memory:" in out


@pytest.mark.parametrize(
    ("name", "state", "good"),
    [
        ("cifar10", "here", True),
        ("cifar10", "downloadable", None),
        ("cifar100", "missing", None),
        ("solar_cells", "here", True),
        ("solar_cells", "missing", False),
    ],
)
def test_doctor_only_packaged_data_are_needed(monkeypatch, name, state, good):
    from course_lib import tasks

    def status(asked):
        return types.SimpleNamespace(state=state if asked == name else "here", how="the way to it")

    monkeypatch.setattr(tasks, "status", status)
    (finding,) = [one for one in doctor.data() if one.text.startswith(f"{name}:")]
    assert finding.good is good
    assert "the way to it" in str(finding)


def test_doctor_altered_weights(monkeypatch):
    from course_lib.encoders import packaged

    monkeypatch.setattr(packaged, "available", lambda: {"net": "wrong hash\nWhat to do: install again"})
    (finding,) = doctor.weights()
    assert (finding.good, finding.text, finding.remedy) == (False, "net: wrong hash", "install again")


def test_lab_hands_over(monkeypatch):
    from course_lib.lab import server

    seen = []
    monkeypatch.setattr(server, "open_lab", lambda *given: seen.append(given) or 0)
    result = runner.invoke(app, ["lab", "--port", "8899", "--lang", "zh", "--", "--allow-root"])
    assert result.exit_code == 0
    assert seen == [(8899, None, ["--allow-root"], "zh")]


def test_bench_hands_over(monkeypatch):
    seen = {}
    stand_in = types.ModuleType("course_lib.bench")
    stand_in.main = lambda **given: seen.update(given) or 0
    monkeypatch.setitem(sys.modules, "course_lib.bench", stand_in)
    import course_lib

    monkeypatch.setattr(course_lib, "bench", stand_in, raising=False)
    result = runner.invoke(app, ["bench", "probe", "--quick"])
    assert result.exit_code == 0
    assert seen == {"names": ["probe"], "json_path": None, "quick": True, "readme": False}
