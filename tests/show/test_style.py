"""The palette survives grey print and colour blindness; the user's settings survive the style."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from course_lib import measure, show
from course_lib.show.style import HATCHES, LINES, MARKERS, PALETTE, WRONG, styled

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB
BLIND = {
    "nobody": np.eye(3),
    "deuteranopia": [[0.3673, 0.8607, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, who="nobody"):
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(np.array(BLIND[who]) @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_neighbours_differ_in_grey():
    lightness = [lab(colour)[0] for colour in PALETTE]
    assert np.abs(np.diff(lightness)).min() > 20
    assert max(lightness) < 75, "too pale on white"


@pytest.mark.parametrize("who", BLIND)
def test_all_colours_differ_for(who):
    seen = [lab(colour, who) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]) > 20


def test_each_colour_has_a_marker_a_line_and_a_hatch():
    assert len(set(PALETTE)) == len(set(MARKERS)) == len(set(LINES)) == len(set(HATCHES)) == 6
    assert WRONG in PALETTE


def test_style_ends_with_its_block_even_after_an_error():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), styled():
        assert matplotlib.rcParams["axes.spines.top"] is False
        matplotlib.rcParams["font.size"] = 40
        1 / 0
    assert dict(matplotlib.rcParams) == before


def test_pyplot_and_the_readers_backend_are_left_alone():
    code = (
        "import sys; from course_lib import show\n"
        "assert 'matplotlib' not in sys.modules, 'imported before the first figure'\n"
        "from course_lib.measure.report import Interval\n"
        "show.bars({'a': Interval(0.5, 0.4, 0.6)})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "import matplotlib; print(matplotlib.rcParams['backend'])"
    )
    asked = {**os.environ, "MPLBACKEND": "svg", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "svg"), done.stderr


@pytest.mark.parametrize("times", [1, 3])
def test_a_long_title_over_long_names_ends_within_the_figure(times):
    score = measure.Interval(0.81, 0.78, 0.84)
    title = " and ".join(["Long run cifar10_student: mean, least and most"] * times)
    names = ["64 px, to block14: teacher, unlabelled pictures too", "labels", "teacher", "random"]
    picture = show.bars(dict.fromkeys(names, score), title=title)
    (axes,), figure = picture.figure.axes, picture.figure
    figure.draw_without_rendering()
    drawn = axes._left_title.get_window_extent()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.width
    assert axes.get_title(loc="left").replace("\n", " ") == title
    assert ("\n" in axes.get_title(loc="left")) == (times > 1)


def test_a_title_that_fits_stays_over_its_axes():
    (axes,) = show.bars(
        {"a": measure.Interval(0.8, 0.7, 0.9)}, title="Topics in English, 600 labels"
    ).figure.axes
    assert axes._left_title.get_position()[0] == 0
