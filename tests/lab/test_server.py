"""`course lab`: a real server where that matters, and what it says before it starts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from course_lib import errors
from course_lib.lab import preflight, server, settings
from course_lib.runner.plan import LIBRARY

URL = re.compile(r"http://localhost:(\d+)/lab/tree/notebooks/00_start\.ipynb\?token=(\w+)")


class Lab:
    """A `course lab --no-browser` in a process of its own."""

    def __init__(self, clone: Path, *options: str, **environment: str) -> None:
        ours = {name: str(clone.parent / name) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "TMPDIR")}
        for folder in ours.values():
            Path(folder).mkdir(exist_ok=True)
        ours |= {"PYTHONPATH": str(LIBRARY.parent), **environment}
        options = (*options, "--", "--allow-root") if os.geteuid() == 0 and options else options
        self.process = subprocess.Popen(
            [sys.executable, "-m", "course_lib", "lab", "--no-browser", *options],
            cwd=clone,
            env=os.environ | ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def address(self) -> tuple[int, str]:
        """Wait until it says where it is; return port and token."""
        for line in self.process.stdout:
            self.said += line
            if found := URL.search(line):
                return int(found[1]), found[2]
        raise AssertionError(self.said)

    def end(self, *signals: int) -> int:
        """Send signals one after the other; return the exit status."""
        for one in signals:
            self.process.send_signal(one)
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode


@pytest.fixture
def lab(clone):
    """A function that starts a Lab in the clone; what is left of them is killed."""
    started = []

    def start(*options: str, **environment: str) -> Lab:
        started.append(Lab(clone, *options, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def get(address: tuple[int, str], path: str):
    """Return the JSON that a server answers."""
    port, token = address
    told = requests.get(
        f"http://localhost:{port}/{path}", headers={"Authorization": f"token {token}"}, timeout=30
    )
    told.raise_for_status()
    return told.json()


def test_a_lab_is_set_up_for_the_course_and_two_ctrl_c_end_it(clone, lab):
    (clone / "tests").mkdir()
    (clone / "pyproject.toml").touch()
    one = lab("--port", "0", SSH_CONNECTION="10.0.0.5 50000 10.0.0.9 2222")
    address = one.address()
    kernels = get(address, "api/kernelspecs")["kernelspecs"]
    assert list(kernels) == ["python3"]
    assert kernels["python3"]["spec"]["argv"][0] == sys.executable
    assert kernels["python3"]["spec"]["display_name"] == "Carryover"
    listed = {entry["name"] for entry in get(address, "api/contents/?content=1")["content"]}
    assert listed == {"notebooks"}
    layout = get(address, "lab/api/workspaces/default")["data"]["layout-restorer:data"]
    assert layout["left"]["current"] == settings.CONTENTS
    plugin = "@jupyterlab/apputils-extension:notification"
    told = get(address, f"lab/api/settings/{plugin}")
    assert told["schema"]["properties"]["fetchNews"]["default"] == "false"
    assert f"ssh -N -L {address[0]}:localhost:{address[0]} -p 2222 " in one.said
    assert one.end(signal.SIGINT, signal.SIGINT) == 0, one.said
    assert "Traceback" not in one.said
    assert "JupyterLab has ended." in one.said
    assert not list((clone.parent / "TMPDIR").glob("carryover-lab-*"))


def test_a_second_lab_leads_to_the_first(clone, lab):
    (clone / "notebooks" / "01_more.ipynb").write_text('{"cells": [')
    first, environment = lab("--port", "0"), {"COURSE_STATE": str(clone.parent / "state")}
    address = first.address()
    second = lab(**environment)
    assert second.address() == address
    assert second.end() == 0
    assert "already runs" in second.said
    taken = lab("--port", str(address[0]))
    assert taken.end() == 1
    assert f"Port {address[0]} is taken" in taken.said
    assert "Traceback" not in taken.said
    assert first.end(signal.SIGTERM) == 0, first.said
    assert "git checkout -- notebooks/01_more.ipynb" in first.said


def test_what_the_reader_sets_goes_before_ours():
    ours = server._arguments(Path("/f"), Path("/c"), "notebooks/00.ipynb", 8888, True, True)
    both = server._before(ours, ["--ip=0.0.0.0", "--IdentityProvider.token=mine"])
    assert sum("token=" in one for one in both) == 1
    assert "--ServerApp.port=8888" in both


@pytest.mark.parametrize(
    "folder", [server.FONTS / "carryover_hanzi", server.EXTENSIONS / "carryover_controls"]
)
def test_extensions_are_there(folder):
    told = json.loads((folder / "package.json").read_text())
    assert told["name"] == folder.name
    assert (folder / told["jupyterlab"]["_build"]["load"]).is_file()


def test_an_occupied_port_is_passed_over():
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        assert not preflight.is_free(port)
        assert preflight.free_port(port) > port
    assert preflight.is_free(0)


def test_root_is_told_what_to_do_unless_it_is_a_containers(monkeypatch):
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "in_container", lambda: False)
    with pytest.raises(errors.CourseError, match="--allow-root"):
        preflight.root_options([])
    assert preflight.root_options(["--allow-root"]) == ([], "")
    monkeypatch.setattr(preflight, "in_container", lambda: True)
    allowed, told = preflight.root_options([])
    assert (allowed, "You are root" in told) == (["--allow-root"], True)
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 1000)
    assert preflight.root_options([]) == ([], "")


def test_a_read_only_clone_is_told_with_a_way_out(clone, monkeypatch):
    assert preflight.read_only(clone / "notebooks") == ""
    monkeypatch.setattr(preflight.os, "access", lambda path, mode: False)
    assert f"cp -r {clone}" in preflight.read_only(clone / "notebooks")


@pytest.mark.parametrize(
    ("variables", "there"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "w"}, True),
        ({"BROWSER": "firefox"}, True),
    ],
)
def test_no_browser_without_a_screen(monkeypatch, variables, there):
    monkeypatch.setattr(preflight.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert preflight.screen() == there


def test_editions(clone):
    assert server._first("en") == clone / "notebooks" / "00_start.ipynb"
    with pytest.raises(errors.CourseError, match="Chinese notebooks are not in this clone"):
        server._first("zh")
    (clone / "notebooks" / "zh").mkdir()
    chinese = clone / "notebooks" / "zh" / "00_start.ipynb"
    chinese.write_text("{}")
    assert server._first("zh") == chinese
    with pytest.raises(errors.CourseError, match="en, zh"):
        server._first("fr")


def test_a_learners_layout_stays_and_a_damaged_one_is_made_anew(clone, tmp_path, monkeypatch):
    folder = settings.workspaces_folder()
    (kept,) = folder.glob("*.jupyterlab-workspace")
    own = {"data": {"mine": 1}, "metadata": {"id": "default"}}
    kept.write_text(json.dumps(own))
    assert settings.workspaces_folder() == folder
    assert json.loads(kept.read_text()) == own
    kept.write_text('{"data": {')
    settings.workspaces_folder()
    assert json.loads(kept.read_text()) == settings.workspace()
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "file"))
    elsewhere = settings.workspaces_folder()
    assert list(elsewhere.glob("*.jupyterlab-workspace"))
