"""The three panels say what was measured."""

import numpy as np
import pytest

from course_lib import measure, show
from course_lib.measure.shift import shift


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(0)
    x, u = rng.normal(0, 1, 300), rng.normal(4, 1, 200)
    return shift({"mono": (x, x > 0), "poly": (u, u > 9)})


def test_words_come_from_the_numbers(measured):
    alt = show.shift(measured, x="brightness", event="defective").alt
    assert alt.startswith("mono and poly by brightness. P(X) differs: the histograms have ")
    assert f"{measured.overlap:.0%} in common" in alt
    assert f"defective mono {np.mean([measured.share[0].value]):.0%}, poly 0%" in alt
    assert "none there" in alt, "no poly cell is that dark"
    assert show.shift(measured, x="x", event="e", alt="Mine.").alt == "Mine."


def test_panels_draw_the_shares(measured):
    figure = show.shift(measured, x="brightness", event="defective", title="Two kinds").figure
    spread, share, given = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{name}: {verdict}" for name, verdict in measured.verdicts.items()
    ]
    assert [bar.get_height() for bar in share.patches] == pytest.approx([s.value for s in measured.share])
    first = given.lines[0]
    there = [s.value for s in measured.given[0] if s is not None]
    assert first.get_ydata() == pytest.approx(there)
    assert spread.get_xlabel() == given.get_xlabel() == "brightness"


def test_domains_differ_in_line_marker_and_hatch(measured):
    _, share, given = show.shift(measured, x="x", event="e").figure.axes
    assert len({bar.get_hatch() for bar in share.patches}) == 2
    markers = {line.get_marker() for line in given.lines} - {"None", ""}
    assert len(markers) == 2


def test_measure_and_show_agree_on_the_name():
    assert measure.shift is shift
    assert callable(show.shift)
