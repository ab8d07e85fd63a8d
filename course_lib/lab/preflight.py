"""What is looked at before JupyterLab starts, and what is said where something is not as it should be."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from course_lib.errors import CourseError
from course_lib.runner.plan import all_notebooks, read_whole

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")


def in_container() -> bool:
    """Tell whether this is a container, where root is the usual user."""
    return any(path.exists() for path in CONTAINER_FILES) or any(
        os.environ.get(v) for v in CONTAINER_VARIABLES
    )


def root_options(options: list[str]) -> tuple[list[str], str]:
    """Return what JupyterLab must be told when root starts it, and what the reader is told.

    Raises
    ------
    CourseError
        On a machine that is no container, unless the reader allows it.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or "--allow-root" in options:
        return [], ""
    if in_container():
        return ["--allow-root"], "You are root, as containers have it: notebooks may do anything in this one."
    raise CourseError(
        "You are root: what a notebook runs could do anything to this machine, so JupyterLab does not start.",
        "Run it as an ordinary user, or, if you mean it: course lab -- --allow-root "
        '(make lab LAB="-- --allow-root").',
    )


def damaged(folders: list[Path]) -> Iterator[str]:
    """Yield a message for each notebook that is not whole, as after a power cut while it was saved."""
    for folder in folders:
        for path in all_notebooks(folder):
            try:
                read_whole(path)
            except CourseError as error:
                yield str(error)


def read_only(folder: Path) -> str:
    """Return what to say of a folder of notebooks that cannot be written; nothing where it can."""
    if os.access(folder, os.W_OK):
        return ""
    return (
        f"{folder} cannot be written: notebooks open and run, but what you change in them cannot be saved.\n"
        f"What to do: copy the course to a folder of yours, cp -r {folder.parent} ~/carryover, and open it "
        "there; File > Download keeps a single notebook."
    )


def free_port(first: int, tries: int = 50) -> int:
    """Return the first port from `first` on that is free on this machine; `first` where all are taken."""
    return next((port for port in range(first, first + tries) if is_free(port)), first)


def is_free(port: int) -> bool:
    """Tell whether a port of this machine can be taken; 0 always can."""
    with socket.socket() as trial:
        if os.name == "posix":  # as the server does: a port just given back is free
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def remote() -> bool:
    """Tell whether this is a session on a remote host, whose browser is not in front of the reader."""
    return bool(os.environ.get("SSH_CONNECTION", "").strip())


def screen() -> bool:
    """Tell whether a browser could show itself: a Linux without a display has text browsers at best."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"))


def ssh_line(port: int, connection: str) -> str:
    """Return the command that makes the server's port one of the reader's own machine.

    Parameters
    ----------
    port : int
    connection : str
        As in ``$SSH_CONNECTION``: addresses and ports of both ends.

    Examples
    --------
    >>> ssh_line(8888, "10.0.0.5 50000 10.0.0.9 2222").rpartition(" ")[0]
    'ssh -N -L 8888:localhost:8888 -p 2222'
    """
    parts = connection.split()
    host, door = (parts[2], parts[3]) if len(parts) == 4 else (socket.gethostname(), "22")
    other = "" if door == "22" else f" -p {door}"
    return f"ssh -N -L {port}:localhost:{port}{other} {_user()}@{host}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "USER"


def running(folder: Path) -> Mapping[str, Any] | None:
    """Return the server that already shows this clone, when one does and answers."""
    from jupyter_server.serverapp import list_running_servers

    with suppress(OSError):  # files of other users
        for info in list_running_servers():
            if _shows(info, folder) and _answers(info):
                return dict(info)
    return None


def _shows(info: Mapping[str, Any], folder: Path) -> bool:
    shown = Path(str(info.get("root_dir", "")))
    return shown == folder or (shown.exists() and shown.samefile(folder))


def _answers(info: Mapping[str, Any]) -> bool:
    import requests

    try:
        address = f"{info['url']}api/status"
        told = requests.get(address, headers={"Authorization": f"token {info.get('token', '')}"}, timeout=2)
        return told.ok and "started" in json.loads(told.text)
    except (requests.RequestException, ValueError, KeyError):
        return False
