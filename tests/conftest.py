"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from course_lib import tasks
from course_lib.cli.quick import without_iri_grammars

WITH_DATA = {name: os.environ.get(name) for name in ("COURSE_DATA", "COURSE_CACHE", "KERAS_HOME")}


ROOT = Path(__file__).parents[1]

without_iri_grammars()

# A shell's background jobs ignore Ctrl-C, and so does whatever they start, also what a test presses it for.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the book, built from the committed notebooks."""
    from book.site import build

    return build(ROOT, tmp_path_factory.mktemp("book") / "site").folder


@pytest.fixture
def cifar(monkeypatch) -> Callable[..., tasks.Task]:
    """The real CIFAR-10, from where it was found when the tests began."""
    return _real("cifar10", monkeypatch)


@pytest.fixture
def spoken_digits(monkeypatch) -> Callable[..., tasks.Task]:
    """The real spoken digits, from where they were found when the tests began."""
    return _real("spoken_digits", monkeypatch)


def _real(data: str, monkeypatch) -> Callable[..., tasks.Task]:
    for name, value in WITH_DATA.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    if not tasks.available(data):
        pytest.skip(f"{data} is not on this machine: set COURSE_DATA to a folder that holds it")
    return partial(tasks.load, data)
