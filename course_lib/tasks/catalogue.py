"""Tasks by name: which are here, which can be fetched, and which to use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput, CourseError, DataUnavailable
from course_lib.installed import remedy
from course_lib.paths import cache_dir, offline
from course_lib.tasks import cifar, handwriting, hub_sentences, sentences, solar, sounds, store
from course_lib.tasks.task import Task
from course_lib.tasks.tones import tones

_TASKS: dict[str, Callable[..., Task]] = {
    "cifar10": cifar.cifar10,
    "cifar100": cifar.cifar100,
    "digits": handwriting.digits,
    "pawsx": hub_sentences.pawsx,
    "solar_cells": solar.solar_cells,
    "spoken_digits": sounds.spoken_digits,
    "tones": tones,
    "topics": sentences.topics,
    "xnli": hub_sentences.xnli,
}
_ALWAYS = {"digits": "scikit-learn", "tones": "synthesised here"}
# Nobody asked for these downloads, so nobody shall wait long for their failure.
_HASTY: store.Timeout = (5.0, 15.0)
_MEMORY = 3600.0  # seconds for which an automatic download that failed is not tried again


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
    if _known(name) in _ALWAYS:
        return True
    if name == "solar_cells":
        return solar.available()
    if name == "topics":
        return sentences.available()
    if name in hub_sentences.PUBLISHED:
        return hub_sentences.available(name)
    return store.locate(name) is not None


def status(name: str) -> store.Status:
    """Say whether a task is here, can be downloaded, or how to get it."""
    if _known(name) in _ALWAYS:
        return store.Status(name, "here", _ALWAYS[name])
    if name in hub_sentences.PUBLISHED:
        return hub_sentences.status(name)
    if name == "topics":
        entry = sentences.PACKAGED
        return _packaged(name, sentences.available(), entry.package, remedy(entry))
    if name == "solar_cells":
        return _packaged(name, solar.available(), solar.PACKAGE, solar.REINSTALL)
    return store.status(name)


def _packaged(name: str, here: bool, package: str, command: str) -> store.Status:
    return store.Status(name, "here" if here else "missing", package if here else command)


def first_available(*names: str, download: bool = True) -> str:
    """Return the first of these tasks that can be had, and say in one line which it is.

    A task that is not on this machine is downloaded when there is a network. When that fails it is
    not tried again for an hour, so that a machine without a network waits once and not in each notebook.
    Sentence pairs of the hub are used where they are here, and downloaded only when asked for.

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
    if name not in store.MANIFEST or offline() or _failed_lately(name):
        return False
    try:
        store.fetch(name, timeout=_HASTY)
    except CourseError as error:
        _remember_failure(name, error.problem)
        return False
    return True


def _failure_note(name: str) -> Path:
    return cache_dir("data") / f"{name}.failed.json"


def _failed_lately(name: str) -> bool:
    """Tell whether an automatic download failed within the last hour."""
    try:
        when = float(json.loads(_failure_note(name).read_text("utf8"))["when"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return 0 <= time.time() - when < _MEMORY


def _remember_failure(name: str, why: str) -> None:
    """Remember a failure; where nothing can be written, the next notebook tries again."""
    note = _failure_note(name)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"when": time.time(), "why": why}), "utf8")
    except OSError:
        return


def _known(name: str) -> str:
    if name not in _TASKS:
        raise BadInput(f"There is no task {name!r}.", f"There are: {', '.join(_TASKS)}.")
    return name
