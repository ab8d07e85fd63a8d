"""tools/set_up.py: Python too old, the index that does not answer, and nothing done twice."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def set_up():
    specification = importlib.util.spec_from_file_location("set_up", ROOT / "tools" / "set_up.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "age"), [((2, 7), "old"), ((3, 8), "old"), ((3, 10), "old"), ((3, 14), "new")]
)
def test_unsuitable_python_and_no_other(set_up, capsys, version, age):
    with pytest.raises(SystemExit) as stop:
        set_up.find_python(version, ask=lambda name: None)
    assert stop.value.code == 1
    text = capsys.readouterr().err
    assert f"This Python is {version[0]}.{version[1]}, too {age}" in text
    assert "make run PYTHON=" in text


def test_another_python_on_the_path_is_used(set_up, capsys):
    present = {"python3.12": (3, 12), "python3.11": (3, 11)}
    assert set_up.find_python((3, 9), ask=present.get) == "python3.12"
    assert "python3.12 is used" in capsys.readouterr().out


def test_a_name_that_lies_is_not_believed(set_up):
    with pytest.raises(SystemExit):
        set_up.find_python((3, 9), ask=lambda name: (3, 9))


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_suitable_python(set_up, version):
    assert set_up.find_python(version) == sys.executable


def test_an_old_python_can_read_the_script():
    source = (ROOT / "tools" / "set_up.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))


def test_versions_agree_with_the_project(set_up):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=%d.%d,<%d.%d" % (
        *set_up.OLDEST,
        set_up.NEWEST[0],
        set_up.NEWEST[1] + 1,
    )
    assert f"torch=={set_up.torch_pin()}" in project["dependencies"]


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "NewConnectionError: Failed to establish a new connection: Temporary failure in name resolution",
            "mirror",
        ),
        ("ReadTimeoutError: Read timed out.", "mirror"),
        ("ERROR: No matching distribution found for tensorflow==2.21.0", "complete mirror"),
        ("something else", "make clean"),
    ],
)
def test_remedies(set_up, output, remedy):
    assert remedy in set_up.explain(output)


@pytest.fixture
def recorded(set_up, monkeypatch, tmp_path):
    """The set-up with pip and venv replaced by a record of what they were asked."""
    calls = []

    def pip(python, arguments, quiet=True, check=True):
        calls.append(" ".join(arguments))
        return True

    def make_venv(base, venv):
        calls.append("venv")
        python = Path(set_up.venv_python(venv))
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.symlink_to(sys.executable)

    monkeypatch.setattr(set_up, "pip", pip)
    monkeypatch.setattr(set_up, "make_venv", make_venv)
    monkeypatch.setattr(set_up, "answers", lambda url: False)
    monkeypatch.setattr(set_up, "cuda_build", lambda python, requirement: False)
    venv = str(tmp_path / "venv")
    return calls, lambda torch="cpu", extras=(): set_up.set_up(torch, list(extras), venv)


def test_nothing_is_done_twice(recorded):
    calls, run = recorded
    run()
    assert calls[0] == "venv"
    assert calls[1].startswith("install torch==")
    assert calls[2] == "install --editable ."
    del calls[:]
    run()
    assert calls == []
    run(extras=["test"])
    assert calls == ["install --editable .[test]"]
    run(extras=["test"])
    run()
    assert len(calls) == 1


def test_another_build_of_pytorch_replaces_the_first(recorded):
    calls, run = recorded
    run()
    del calls[:]
    run("cuda")
    assert calls[0] == "uninstall -y torch"
    assert calls[1].startswith("install torch==")
    assert "--extra-index-url" not in calls[1]
    assert "venv" not in calls


def test_the_cpu_index_is_used_when_it_answers(recorded, set_up, monkeypatch):
    calls, run = recorded
    monkeypatch.setattr(set_up, "answers", lambda url: True)
    monkeypatch.setattr(sys, "platform", "linux")
    run()
    assert "--extra-index-url https://download.pytorch.org/whl/cpu torch==" in calls[1]
    assert calls[1].endswith("+cpu")
    assert len([call for call in calls if "torch==" in call]) == 1


def test_the_reader_is_told_of_gigabytes_of_cuda(recorded, set_up, monkeypatch, capsys):
    _, run = recorded
    monkeypatch.setattr(set_up, "cuda_build", lambda python, requirement: True)
    monkeypatch.setattr(sys, "platform", "linux")
    run()
    assert "only the build with CUDA" in capsys.readouterr().out


def test_half_a_set_up_does_not_look_like_a_whole_one(recorded, set_up, monkeypatch):
    calls, run = recorded
    run()
    working = set_up.pip

    def broken(*_, **__):
        raise SystemExit(1)

    monkeypatch.setattr(set_up, "pip", broken)
    with pytest.raises(SystemExit):
        run(extras=["test"])
    monkeypatch.setattr(set_up, "pip", working)
    del calls[:]
    run(extras=["test"])
    assert "install --editable .[test]" in calls


def test_a_full_disk_is_told_before_anything_is_downloaded(recorded, set_up, monkeypatch, capsys):
    calls, run = recorded
    monkeypatch.setattr(set_up.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**30})())
    with pytest.raises(SystemExit):
        run()
    assert calls == []
    assert f"1.0 GiB of disk are free, the course needs {set_up.NEEDED_GIB:.0f}" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for Python")
def test_make_says_when_python_is_missing_or_too_old(tmp_path):
    environment = os.environ | {"PATH": os.environ["PATH"]}
    missing = subprocess.run(
        ["make", "setup", "PYTHON=no-such-python"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert missing.returncode != 0
    assert "Python is not here: install Python 3.11" in missing.stderr
    old = tmp_path / "python3"
    old.write_text(
        "#!/bin/sh\nexec %s -c 'import sys, runpy; sys.version_info = (3, 8, 1); del sys.argv[0]; "
        'import subprocess; subprocess.check_output = lambda *a, **k: b"3 8"; '
        'runpy.run_path("tools/set_up.py", run_name="__main__")\' "$@"\n' % sys.executable
    )
    old.chmod(0o755)
    found = subprocess.run(["make", "setup", f"PYTHON={old}"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode != 0
    assert "This Python is 3.8, too old" in found.stderr


def test_stamp_that_is_damaged_counts_as_none(set_up, tmp_path):
    path = tmp_path / "stamp.json"
    path.write_text("{half")
    assert set_up.read_stamp(str(path)) == {}
    set_up.write_stamp(str(path), {"torch": "cpu"})
    assert json.loads(path.read_text()) == {"torch": "cpu"}
