"""JupyterLab as a learner starts it: a copy of what a clone holds, `course lab` in it, Ctrl-C at the end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LEFT_OUT = {".git", ".venv", "build", "dist", "__pycache__"}


def copy_clone(to: Path) -> Path:
    """Copy what is in the repository, as the working tree has it, and nothing that was built."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, capture_output=True, check=False)
    if found.returncode:  # an archive without git
        shutil.copytree(ROOT, to, ignore=lambda _, names: LEFT_OUT & set(names))
        return to
    for name in filter(None, found.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


class Lab:
    """`course lab` in a clone, for one learner whose state and Jupyter configuration are new.

    Attributes
    ----------
    url : str
        What the learner opens: as the server prints it.
    log : list of str
        What the server has printed.
    """

    def __init__(
        self,
        clone: Path,
        home: Path,
        *options: str,
        language: str | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.clone, self.home = clone, home
        home.mkdir(parents=True, exist_ok=True)
        self.environment = self._environment()
        self.log: list[str] = []
        command = [*through, sys.executable, "-m", "course_lib", "lab", "--no-browser", "--port", "0"]
        command += ["--lang", language] if language else []
        command += [*options, "--", "--LabApp.expose_app_in_browser=True"]
        command += ["--allow-root"] if os.geteuid() == 0 else []  # in a container
        self.process = subprocess.Popen(
            command,
            cwd=clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.url = self._url()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _environment(self) -> dict[str, str]:
        ours = {
            "COURSE_STATE": "state",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        kept.pop("COURSE_PROGRESS", None)  # set for plain runs in a terminal; a learner sees the bars
        # the clone's own library, though this environment has that of the working tree
        return (
            kept
            | {name: str(self.home / folder) for name, folder in ours.items()}
            | {"PYTHONPATH": str(self.clone)}
        )

    def _url(self) -> str:
        for line in self.process.stdout:
            self.log.append(line)
            found = re.search(r"http://(?:127\.0\.0\.1|localhost):\d+/lab\S*token=\w+", line)
            if found:
                return found[0]
        raise AssertionError(f"JupyterLab ended before it said where it is:\n{''.join(self.log)}")

    def _read(self) -> None:
        for line in self.process.stdout:
            self.log.append(line)

    def address(self, path: str, workspace: str) -> str:
        """Return where a file of the clone is opened, with tabs and panels of its own."""
        base, token = re.fullmatch(r"(http://[^/]+)/lab.*(token=\w+)", self.url).groups()
        return f"{base}/lab/workspaces/{workspace}/tree/{path}?{token}"

    def processes(self) -> list[psutil.Process]:
        """Return every process that belongs to this learner, the server among them."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("COURSE_STATE") == self.environment["COURSE_STATE"]:
                    found.append(process)
            except psutil.Error:  # ended, or somebody else's
                continue
        return found

    def kernels(self) -> list[psutil.Process]:
        """Return the kernels."""
        return [one for one in self.processes() if "ipykernel_launcher" in " ".join(one.cmdline())]

    def interrupt(self) -> int:
        """Press Ctrl-C, as the terminal does: once, then once more where it asks; return the exit status."""
        for _ in range(2):
            self.process.send_signal(signal.SIGINT)
            try:
                return self.process.wait(20)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"Ctrl-C, twice, did not end JupyterLab:\n{''.join(self.log[-20:])}")

    def end(self) -> None:
        """End what is left of it, however it ended."""
        for process in self.processes():
            process.kill()
        self.process.wait()
