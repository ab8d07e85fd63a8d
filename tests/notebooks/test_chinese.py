"""The Chinese edition has all notebooks, and they agree with the English ones."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from course_lib.runner.chinese import problems

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHINESE = sorted((NOTEBOOKS / "zh").glob("*.ipynb"))


def test_every_notebook_is_there():
    assert [path.name for path in CHINESE] == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", CHINESE, ids=lambda path: path.stem)
def test_everything_but_the_words_is_the_same(path):
    english, chinese = (nbformat.read(one, as_version=4) for one in (NOTEBOOKS / path.name, path))
    assert not problems(english, chinese, path.parent)
