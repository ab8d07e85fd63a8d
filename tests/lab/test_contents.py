"""Notebooks are read with their kernel noted, which is in no file before it is saved."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course_lib.lab.contents import Contents


def read(folder: Path, path: str, **options: Any) -> dict[str, Any]:
    """What JupyterLab gets; in a thread, as the browser's tests leave a running loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, Contents(root_dir=str(folder)).get(path, **options)).result()


@pytest.mark.parametrize(("name", "noted"), [("python3", True), ("ir", False)])
def test_the_courses_kernel_is_noted_and_no_other(name, noted, tmp_path):
    spec = {"name": name, "display_name": "as it was", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(metadata={"kernelspec": spec}), tmp_path / "a.ipynb")
    before = (tmp_path / "a.ipynb").read_bytes()
    found = read(tmp_path, "a.ipynb")["content"]["metadata"]
    assert (found["kernelspec"]["display_name"] == "Carryover") == noted
    assert ("language_info" in found) == noted
    assert (tmp_path / "a.ipynb").read_bytes() == before


def test_what_is_no_notebook_or_not_asked_for_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("A line.")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "b.ipynb")
    assert read(tmp_path, "a.txt")["content"] == "A line."
    assert read(tmp_path, "b.ipynb")["content"]["metadata"] == {}
    assert read(tmp_path, "b.ipynb", content=False)["content"] is None
    assert {one["name"] for one in read(tmp_path, "")["content"]} == {"a.txt", "b.ipynb"}
