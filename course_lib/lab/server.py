"""The one server of `course lab`: JupyterLab on notebook 00, set up for this course, ended by one Ctrl-C."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from course_lib.errors import CourseError
from course_lib.lab import preflight, settings
from course_lib.runner.plan import all_notebooks, notebook_folder

# Chinese for browsers that have no font for it; controls on which a picture can be dropped and whose sliders
# say what they set: extensions of JupyterLab, which this one server loads from here. Nothing is installed.
FONTS = Path(__file__).parents[1] / "show" / "fonts"
EXTENSIONS = Path(__file__).parent / "extensions"
PORT = 8888
LANGUAGES = ("en", "zh")


def open_lab(
    port: int | None = None,
    browser: bool | None = None,
    options: Sequence[str] = (),
    language: str = "en",
) -> int:
    """Open JupyterLab in the course's folder at notebook 00 and stay until it ends.

    Parameters
    ----------
    port : int, optional
        Exactly this one; 0 for any that is free. Default: 8888 or the next free one, or the JupyterLab that
        already shows this clone.
    browser : bool, optional
        Open one. Default: where a screen is at hand.
    options : sequence of str
        For JupyterLab; they go before ours.
    language : str
        ``"en"`` or ``"zh"``.

    Returns
    -------
    int
        0, or 130 when it was interrupted before it ran.

    Raises
    ------
    CourseError
        When there is no notebook, when the port is taken, or for root outside of a container.
    """
    first = _first(language)
    clone = first.parents[2] if language == "zh" else first.parents[1]
    allowed, warning = preflight.root_options(list(options))
    if port and not preflight.is_free(port):
        raise CourseError(
            f"Port {port} is taken by another program, perhaps by another JupyterLab.",
            "Name another with --port, or leave it out: the next free one is taken.",
        )
    shown = browser if browser is not None else preflight.screen() and not preflight.remote()
    address = quote(first.relative_to(clone).as_posix())
    try:
        already = preflight.running(clone) if port is None and not options else None
        if already:
            return _show_running(already, address, shown)
        for told in (warning, preflight.read_only(first.parent), *preflight.damaged(_folders(clone))):
            if told:
                print(told, file=sys.stderr, flush=True)
        return _serve(clone, address, language, port, shown, [*allowed, *options])
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 130


def _first(language: str) -> Path:
    """Return notebook 00 in a language."""
    if language not in LANGUAGES:
        raise CourseError(f"There is no {language!r} edition.", f"Choose among {', '.join(LANGUAGES)}.")
    folder = notebook_folder()
    place = folder if language == "en" else folder / language
    notebooks = all_notebooks(place)
    if notebooks:
        return notebooks[0]
    if language != "en" and all_notebooks(folder):
        raise CourseError(
            f"The Chinese notebooks are not in this clone: {place} has none.",
            "Get a newer copy of the course (git pull), or open the English ones: course lab.",
        )
    raise CourseError(f"There are no notebooks in {folder}.", "Run the command in your clone of the course.")


def _folders(clone: Path) -> list[Path]:
    return [clone / "notebooks", clone / "notebooks" / "zh", clone / "exercises"]


def _show_running(info: Any, address: str, browser: bool) -> int:
    """Lead the reader to the JupyterLab that already shows this clone: two would overwrite each other."""
    url = _url(int(info["port"]), str(info.get("base_url", "/")), address, str(info.get("token", "")))
    print("JupyterLab already runs on this clone.")
    _tell_address(url, int(info["port"]), browser)
    print(
        f"To start a second one all the same: course lab --port {preflight.free_port(int(info['port']) + 1)}"
    )
    if browser:
        import webbrowser

        webbrowser.open(url)
    return 0


def _serve(
    clone: Path, address: str, language: str, port: int | None, browser: bool, options: Sequence[str]
) -> int:
    """Run the server until it ends."""
    from jupyterlab.labapp import LabApp

    folder = Path(tempfile.mkdtemp(prefix="carryover-lab-"))
    try:
        settings.write_settings(folder, language)
        os.environ["JUPYTER_PATH"] = os.pathsep.join(
            [str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
        )
        os.chdir(clone)
        wanted = port if port is not None else preflight.free_port(PORT)
        arguments = _arguments(folder, clone, address, wanted, port is None, browser)
        server: Any = LabApp.initialize_server(argv=_before(arguments, options))
        _end_at_once(server)
        server.io_loop.add_callback(_greet, server, address, browser, port)
        server.start()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("JupyterLab has ended.", flush=True)
    return 0


def _arguments(folder: Path, clone: Path, address: str, port: int, others: bool, browser: bool) -> list[str]:
    """Return what JupyterLab is started with."""
    chosen = {
        "ServerApp.root_dir": clone,
        "ServerApp.contents_manager_class": "course_lib.lab.contents.Contents",
        "ServerApp.port": port,
        "ServerApp.port_retries": 50 if others else 0,
        "ServerApp.open_browser": browser,
        "ServerApp.log_level": "ERROR",
        "LabApp.log_level": "ERROR",
        "IdentityProvider.token": os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24),
        "LabApp.default_url": f"/lab/tree/{address}",
        "LabApp.app_settings_dir": folder / "settings",
        "LabApp.workspaces_dir": settings.workspaces_folder(),
        "LabApp.extra_labextensions_path": [FONTS, EXTENSIONS],
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "KernelSpecManager.allowed_kernelspecs": settings.KERNEL,
        "ContentsManager.hide_globs": list(settings.HIDDEN),
    }
    made = []
    for name, value in chosen.items():
        values = value if isinstance(value, list) else [value]
        made += [f"--{name}={one}" for one in values]
    return made


def _before(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return both, without those of ours that the reader sets too: JupyterLab takes each option once.

    Examples
    --------
    >>> _before(["--ServerApp.port=8888", "--ServerApp.open_browser=True"], ["--port=9000", "--no-browser"])
    ['--port=9000', '--no-browser']
    """
    names = {one.lstrip("-").partition("=")[0].rpartition(".")[2].replace("-", "_") for one in theirs}
    names |= {"open_browser"} if "no_browser" in names else set()
    names |= {"root_dir"} if "notebook_dir" in names else set()
    kept = [one for one in ours if one.partition("=")[0].rpartition(".")[2] not in names]
    return [*kept, *theirs]


def _end_at_once(server: Any) -> None:
    """Make one Ctrl-C end the server with its kernels, in a terminal or not; more of them change nothing."""

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        print("\nEnding JupyterLab and its kernels ...", flush=True)
        server.stop(from_signal=True)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def _greet(server: Any, address: str, browser: bool, port: int | None) -> None:
    """Say where JupyterLab is, once it listens."""
    url = _url(server.port, server.base_url, address, server.identity_provider.token)
    print(f"JupyterLab is ready{', and opens in your browser' if browser else ''}.")
    if port is None and server.port != PORT:
        print(f"Port {PORT} is taken by another program; it listens on {server.port}.")
    _tell_address(url, server.port, browser)
    print("Ctrl-C here ends it, kernels included. Save your notebooks before (Ctrl-S).", flush=True)


def _tell_address(url: str, port: int, browser: bool) -> None:
    if preflight.remote() and not browser:
        print("It runs on a remote host. On your own machine, type")
        print(f"    {preflight.ssh_line(port, os.environ['SSH_CONNECTION'])}")
        print("leave that open, and open there, in a browser:")
    elif browser:
        print("Should none open, open this address:")
    else:
        print("Open this address in a browser:")
    print(f"    {url}", flush=True)


def _url(port: int, base: str, address: str, token: str) -> str:
    return f"http://localhost:{port}{base}lab/tree/{address}{f'?token={token}' if token else ''}"
