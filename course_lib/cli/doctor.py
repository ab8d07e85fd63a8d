"""`course doctor`: what this machine has, what is missing, how to get it; made to be pasted into a report."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from course_lib.errors import CourseError

GIB = 2**30
NEEDED_MEMORY, NEEDED_DISK = 3.0, 1.0
SET_UP = "Run `make run` (or `pip install -e .`) again in your clone."


@dataclass
class Finding:
    """One line: `good` is True, False or, for what is not needed, None."""

    good: bool | None
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {True: "[OK]  ", False: "[FAIL]", None: "[--]  "}[self.good]
        return f"{mark} {self.text}" + (f"\n       What to do: {self.remedy}" if self.remedy else "")


def examine(full: bool = False) -> int:
    """Print all findings; return 1 when something that the course needs is missing."""
    checks: list[Callable[[], Iterator[Finding]]] = [system, packages, resources, kernel, font, weights, data]
    checks.append(frameworks if full else devices)
    failed = 0
    for check in checks:
        for finding in _guarded(check):
            print(finding, flush=True)
            failed += finding.good is False
    print("Everything that the course needs is here." if not failed else f"{failed} missing: see above.")
    return int(failed > 0)


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; a check that breaks is a finding too, and the others go on."""
    try:
        yield from check()
    except CourseError as error:
        yield Finding(False, error.problem, error.remedy)
    except Exception as error:
        yield Finding(
            False, f"{check.__name__} could not be examined: {type(error).__name__}: {error}", SET_UP
        )


def system() -> Iterator[Finding]:
    """Look at Python and the operating system."""
    version = sys.version_info[:2]
    good = (3, 11) <= version <= (3, 13)
    text = f"Python {platform.python_version()} at {sys.executable}"
    yield Finding(good, text, "" if good else "Install Python 3.11, 3.12 or 3.13, then `make clean run`.")
    tested = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding(True if tested else None, platform.platform() + ("" if tested else " (not tested)"))


def pins() -> list[tuple[str, str]]:
    """Return (name, version) of each direct dependency that applies to this machine."""
    from packaging.requirements import Requirement

    found = []
    for text in metadata.requires("carryover") or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append((requirement.name, str(requirement.specifier).removeprefix("==")))
    return sorted(found)


def packages() -> Iterator[Finding]:
    """Compare installed versions with the pinned ones."""
    try:
        wanted = pins()
    except metadata.PackageNotFoundError:
        yield Finding(False, "The course is not installed in this Python.", SET_UP)
        return
    good = []
    for name, pinned in wanted:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(False, f"{name} {pinned} is not installed", SET_UP)
            continue
        if installed.split("+")[0] == pinned:  # 2.13.0+cpu is 2.13.0
            good.append(f"{name} {installed}")
        else:
            yield Finding(False, f"{name} {installed} is installed, {pinned} is pinned", SET_UP)
    yield Finding(True, f"{len(good)} of {len(wanted)} packages at their pinned versions: {', '.join(good)}")


def resources() -> Iterator[Finding]:
    """Look at memory, disk and cores."""
    import psutil

    from course_lib.paths import cache_dir

    memory = psutil.virtual_memory()
    enough = memory.available / GIB >= NEEDED_MEMORY
    text = f"memory: {memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    yield Finding(enough, text, "" if enough else "Close other programs: a notebook takes up to 3 GiB.")
    cache = cache_dir()
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free / GIB
    enough = free >= NEEDED_DISK
    text = f"disk: {free:.1f} GiB free for the cache at {cache}"
    yield Finding(enough, text, "" if enough else "Free some, or point COURSE_CACHE at a larger disk.")
    if os.access(there, os.W_OK):
        yield Finding(True, "the cache can be written")
    else:
        remedy = "Point COURSE_CACHE at a folder of yours; until then features are computed anew each time."
        yield Finding(None, f"{there} cannot be written", remedy)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(True, f"cores: {cores}")


def kernel() -> Iterator[Finding]:
    """Look for the kernel that the notebooks run in."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        specification = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(False, "no Jupyter kernel python3", SET_UP)
        return
    command = specification.argv[0]
    here = Path(command).name.startswith("python") and command in {"python", "python3", sys.executable}
    text = f"Jupyter kernel python3: {command}"
    remedy = (
        "" if here else "The kernel belongs to another Python: `python -m ipykernel install --sys-prefix`."
    )
    yield Finding(True if here else None, text, remedy)


def font() -> Iterator[Finding]:
    """Look for the font that Chinese is shown in."""
    from fontTools.ttLib import TTFont, TTLibError

    from course_lib.show.style import HANZI, HANZI_FILE

    try:
        with TTFont(HANZI_FILE) as found:
            count = len(found.getBestCmap())
    except (OSError, TTLibError) as error:
        remedy = "`git restore course_lib/show/fonts` in your clone, or clone the course again."
        yield Finding(False, f"Chinese glyphs: {HANZI_FILE} cannot be read ({error})", remedy)
    else:
        yield Finding(True, f"Chinese glyphs: {count:,} characters in {HANZI}, the course's own font")


def weights() -> Iterator[Finding]:
    """Look for the networks that the course begins with: here, or what is wrong with them."""
    from course_lib.encoders.packaged import WEIGHTS, available

    elsewhere = {name for name, entry in WEIGHTS.items() if not entry.installable}
    for name, state in available().items():
        if state == "here":
            yield Finding(True, f"{name}: here")
        else:
            problem, _, remedy = state.partition("\nWhat to do: ")
            yield Finding(None if name in elsewhere else False, f"{name}: {problem}", remedy or SET_UP)


def data() -> Iterator[Finding]:
    """Look for the data sets; only the packaged ones are needed."""
    from course_lib import tasks

    for name in ("solar_cells", "topics", "cifar10", "cifar100", "spoken_digits", "xnli", "pawsx"):
        status = tasks.status(name)
        if status.state == "here":
            yield Finding(True, f"{name}: here, {status.how}")
        else:
            needed = name in ("solar_cells", "topics")
            yield Finding(False if needed else None, f"{name}: {status.state}", status.how)


def devices() -> Iterator[Finding]:
    """Look for a GPU's driver, without importing a framework."""
    driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    text = "an NVIDIA driver is here" if driver else "no GPU found; none is needed"
    yield Finding(True if driver else None, f"GPU: {text} (--full asks the frameworks)")


def frameworks() -> Iterator[Finding]:
    """Import the frameworks and ask them for a GPU."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf
    import torch

    yield Finding(True, f"Keras {keras.__version__} on {keras.backend.backend()}")
    gpus = len(tf.config.list_physical_devices("GPU"))
    yield Finding(True if gpus else None, f"TensorFlow {tf.__version__}: {gpus} GPU(s); none is needed")
    gpus = torch.cuda.device_count()
    yield Finding(True if gpus else None, f"PyTorch {torch.__version__}: {gpus} GPU(s); none is needed")
