"""One small course for all attacks of a session, with secrets lying about."""

from __future__ import annotations

import os

import pytest

from tests.attacks.arena import Course


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    made = Course(tmp_path_factory.mktemp("attacked"))
    os.environ["CARRYOVER_TOKEN"] = made.secret
    yield made
    os.environ.pop("CARRYOVER_TOKEN", None)
    made.end_marked()
