"""Chinese renders on a machine without any Chinese font: in figures, and within the licence."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from course_lib import show, tasks
from course_lib.measure.report import Interval
from course_lib.show import style


@pytest.fixture(scope="module")
def font():
    with TTFont(style.HANZI_FILE) as opened:
        yield opened


@pytest.fixture
def bare(monkeypatch):
    """matplotlib as on a machine whose only fonts are those that it brings along."""
    from matplotlib import font_manager

    own = [f for f in font_manager.fontManager.ttflist if "mpl-data" in f.fname]
    assert own
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    return own


def pixels(text: str, families: list[str]) -> np.ndarray:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.family": families}):
        figure = Figure(figsize=(1, 1))
        figure.text(0.5, 0.5, text, fontsize=40, ha="center", va="center")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., 0]


def test_every_character_of_the_packaged_sentences_is_there(font) -> None:
    pairs = tasks.parallel_sentences()
    shown = {c for side in (pairs.chinese, pairs.traditional) for text in side for c in text}
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    latin = FT2Font(findfont("DejaVu Sans")).get_charmap()
    assert not {c for c in shown if ord(c) not in font.getBestCmap() and ord(c) not in latin}
    assert len(font.getBestCmap()) > 4000


def test_every_chinese_character_of_notebooks_exercises_and_papers_is_there(font) -> None:
    import re
    from pathlib import Path

    root = Path(__file__).parents[2]
    shown = [
        *root.glob("notebooks/**/*.ipynb"),
        *root.glob("exercises/*.ipynb"),
        *root.glob("*.md"),
        *root.glob("docs/*.md"),
    ]
    text = "".join(path.read_text("utf8") for path in shown if ".ipynb_checkpoints" not in path.parts)
    missing = {c for c in re.findall(r"[\u4e00-\u9fff]", text) if ord(c) not in font.getBestCmap()}
    assert not missing


def test_the_names_obey_the_licence(font) -> None:
    names = {record.nameID: str(record) for record in font["name"].names}
    assert "Source" not in names[1] + names[4] + names[6]  # a reserved name
    assert "Adobe" in names[0] and "SIL Open Font License" in names[13]
    assert "SIL OPEN FONT LICENSE" in style.HANZI_FILE.with_name("OFL.txt").read_text("utf8")


def test_no_empty_boxes_on_a_bare_machine(bare) -> None:
    families = style.families()
    assert families == ["DejaVu Sans", style.HANZI]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = {c: pixels(c, families) for c in "迁移学习"}
    with pytest.warns(UserWarning, match="missing from font"):
        box = pixels("迁", ["DejaVu Sans"])
    assert all((255 - picture).sum() > 0 for picture in drawn.values())
    assert not any(np.array_equal(picture, box) for picture in drawn.values())
    assert len({picture.tobytes() for picture in drawn.values()}) == len(drawn)


def test_latin_is_drawn_as_before(bare) -> None:
    assert np.array_equal(pixels("Ag4%", style.families()), pixels("Ag4%", ["DejaVu Sans"]))


def test_figures_of_the_course_have_it(bare) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = show.bars({"迁移学习": Interval(0.5, 0.4, 0.6)}, title="零样本 zero-shot")
        assert len(picture.png) > 1000
    assert "迁移学习" in picture.alt


def test_the_font_is_registered_once_and_only_when_something_is_drawn(bare) -> None:
    style.families()
    style.families()
    from matplotlib import font_manager

    assert len([f for f in font_manager.fontManager.ttflist if f.name == style.HANZI]) == 2  # two weights
    code = "import sys; import course_lib.show; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
