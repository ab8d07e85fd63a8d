"""Tasks by name: which are here, which can be fetched, and which to use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_lib.errors import BadInput, CourseError, DataUnavailable
from course_lib.paths import offline
from course_lib.tasks import cifar, solar, store
from course_lib.tasks.task import Task

_TASKS: dict[str, Callable[..., Task]] = {
    "cifar10": cifar.cifar10,
    "cifar100": cifar.cifar100,
    "solar_cells": solar.solar_cells,
}
_VARIANTS = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}
_AUTOMATIC = store.Policy(tries=1)  # nobody asked for this download, so nobody shall wait long for its failure


@dataclass(frozen=True)
class Status:
    """Whether a data set can be used.

    Parameters
    ----------
    name : str
    state : "here", "downloadable" or "missing"
    detail : str
        Where it is, or how to get it.
    needed : bool
        Whether the course cannot run without it.
    """

    name: str
    state: str
    detail: str
    needed: bool


def load(name: str, **options: Any) -> Task:
    """Return a task by name; `options` as for its own function.

    Examples
    --------
    >>> load("solar_cells", cells="poly").domain
    'polycrystalline cells'
    """
    return _TASKS[_known(name)](**options)


def available(name: str) -> bool:
    """Tell whether a task can be loaded on this machine now, without a network."""
    if _known(name) == "solar_cells":
        return solar.available()
    return cifar.locate(_VARIANTS[name]) is not None


def status(name: str) -> Status:
    """Say whether a task is here, can be downloaded, or how to get it."""
    if _known(name) == "solar_cells":
        here = solar.available()
        return Status(name, "here" if here else "missing", solar.PACKAGE if here else solar.REINSTALL, True)
    path = cifar.locate(_VARIANTS[name])
    if path is not None:
        return Status(name, "here", str(path), False)
    wanted = store.entry(name)
    return Status(name, "downloadable", f"`course fetch {name}` ({wanted.bytes / 2**20:.0f} MiB from {wanted.url})", False)


def first_available(*names: str, download: bool = True) -> str:
    """Return the first of these tasks that can be had, and say in one line which it is.

    A task that is not on this machine is downloaded when there is a network. When that fails it is
    not tried again for an hour, so that a machine without a network waits once and not in each notebook.

    Parameters
    ----------
    *names : str
        In the order of preference, for instance ``"cifar10", "solar_cells"``.
    download : bool

    Returns
    -------
    str

    Raises
    ------
    DataUnavailable
        When none can be had.
    """
    missed: list[str] = []
    for name in names:
        if available(name) or (download and _downloaded(name)):
            print(f"Data: {name}." if not missed else _notice(name, missed))
            return name
        missed.append(name)
    raise DataUnavailable(f"None of {', '.join(names)} can be had.", "`course doctor` says how to get each.")


def _notice(name: str, missed: list[str]) -> str:
    return (
        f"Data: {name}, because {' and '.join(missed)} cannot be had here. "
        f"To get it: `course fetch {missed[0]}`, or set COURSE_DATA to a folder that holds it."
    )


def _downloaded(name: str) -> bool:
    """Try to download; a failure is remembered, not raised."""
    if name not in store.MANIFEST or offline() or store.failed_lately(name) is not None:
        return False
    try:
        store.fetch(name, policy=_AUTOMATIC)
    except CourseError as error:
        store.remember_failure(name, error.problem)
        return False
    return True


def _known(name: str) -> str:
    if name not in _TASKS:
        raise BadInput(f"There is no task {name!r}.", f"There are: {', '.join(_TASKS)}.")
    return name
