"""A small clone of a course, and a learner whose state is new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def write(path: Path, title: str, *cells: str, **about: object) -> None:
    """Write a notebook: a heading, and code cells named after its number."""
    number = path.name[:2]
    heading = {"cell_type": "markdown", "id": f"{number}-000", "metadata": {}, "source": [f"# {title}\n"]}
    code = [
        {
            "cell_type": "code",
            "id": f"{number}-{place:03}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for place, source in enumerate(cells, start=1)
    ]
    content = {"cells": [heading, *code], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    if about:
        content["metadata"] = {"carryover": about}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone with two notebooks, in which the test works."""
    folder = tmp_path / "clone"
    write(folder / "notebooks" / "00_start.ipynb", "00 · Start", "1", "2")
    write(folder / "notebooks" / "01_more.ipynb", "01 · More", "1", minutes=4, peak_gib=2.5, yardstick=10.0)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    for name in ("JPY_SESSION_NAME", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return folder
