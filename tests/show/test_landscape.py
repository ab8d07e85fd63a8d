"""Landscapes draw the paths they were given, and where they go when they leave."""

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput


def bowl(a, b):
    return (a**2 + 4 * b**2) / 2


def descent(rate, steps=20, start=(1.0, 1.0)):
    """Of the bowl; its larger curvature is 4, so rates above 1/2 diverge."""
    way = [start]
    for _ in range(steps):
        a, b = way[-1]
        way.append((a - rate * a, b - rate * 4 * b))
    return np.array(way)


def draw(paths, **options):
    return show.landscape(bowl, paths, **{"across": (-2, 2), "up": (-2, 2), **options})


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_paths_and_losses_are_those_given():
    way = descent(0.2, steps=2)
    picture = draw({"slow": way, "fast": descent(0.4)})
    plane, course = picture.figure.axes
    assert set(lines(plane)) == {"slow", "fast"}
    np.testing.assert_allclose(lines(plane)["slow"].get_xydata(), way)
    np.testing.assert_allclose(course.lines[0].get_ydata(), np.maximum(bowl(*way.T), 1e-8))
    assert course.get_yscale() == "log"
    assert "slow: from (1, 1) to (0.64, 0.04), loss from 2.5 to 0.208 in 2 steps" in picture.alt


def test_paths_differ_in_more_than_colour():
    plane = draw({str(k): descent(0.1 + k / 10) for k in range(3)}).figure.axes[0]
    drawn = lines(plane).values()
    assert len({line.get_marker() for line in drawn}) == 3
    assert len({str(line._dash_pattern) for line in drawn}) == 3


def test_a_path_that_stays_ends_in_a_cross_and_one_that_leaves_in_an_arrow():
    stays, leaves = (draw({"way": descent(rate)}).figure.axes[0] for rate in (0.2, 0.7))
    crosses = [[line.get_marker() for line in axes.lines].count("X") for axes in (stays, leaves)]
    assert crosses == [1, 0]
    assert [len(axes.texts) for axes in (stays, leaves)] == [0, 1]
    arrow = leaves.texts[0]
    assert np.abs(arrow.xy).max() == pytest.approx(2), "the arrow ends on the edge of the map"


def test_a_path_that_leaves_and_comes_back_is_not_cut():
    way = np.array([(1.0, 1.0), (3.0, 0.0), (0.5, 0.5)])
    plane = draw({"way": way}).figure.axes[0]
    np.testing.assert_allclose(lines(plane)["way"].get_xydata(), way)
    assert [line.get_marker() for line in plane.lines].count("X") == 1


@pytest.mark.parametrize("end", [np.inf, np.nan, -1e300])
def test_infinity_is_told_and_drawn_up_to_its_edge(end):
    way = np.array([(1.0, 1.0), (1.5, -1.5), (end, end), (np.nan, np.nan)])
    picture = draw({"far": way})
    assert "far: from (1, 1) to infinity, loss from 2.5 upwards without end" in picture.alt
    assert len(lines(picture.figure.axes[0])["far"].get_xydata()) == 2


def test_a_loss_of_nothing_is_nearly_nothing():
    assert "to nearly 0 in 1 steps" in draw({"jump": np.array([(1.0, 1.0), (0.0, 0.0)])}).alt


def test_formulas_on_the_axes_are_words_in_the_text():
    assert draw({"a": descent(0.1)}, names=("early $w_1$", "head $w_2$")).alt.startswith(
        "Loss over early w1 and head w2."
    )


def test_no_path():
    with pytest.raises(BadInput, match="No path was given"):
        draw({})


@pytest.mark.parametrize("way", [np.zeros((3, 3)), np.zeros(2), np.zeros((0, 2)), np.full((2, 2), np.nan)])
def test_paths_of_another_shape(way):
    with pytest.raises(BadInput, match=r"expected \(steps \+ 1, 2\)"):
        draw({"way": way})


def test_a_negative_loss():
    with pytest.raises(BadInput, match="expected finite numbers of at least 0"):
        show.landscape(lambda a, b: a + b, {"a": descent(0.1)}, across=(-1, 1), up=(-1, 1))


def test_losses_are_those_given_and_cut_off_far_above_their_start():
    rises = np.array([1.0, 3.0, 9.0, 27.0, np.inf, np.nan])
    picture = show.losses({"falls": np.array([2.0, 1.0, 0.5]), "rises": rises}, title="Rates")
    (axes,) = picture.figure.axes
    np.testing.assert_allclose(lines(axes)["falls"].get_ydata(), [2, 1, 0.5])
    np.testing.assert_allclose(lines(axes)["rises"].get_ydata(), [1, 3, 9, 20, 20, 20])
    assert axes.get_yscale() == "log" and axes.get_legend() is not None
    assert picture.alt == (
        "Rates. falls: from 2 to 0.5 in 2 steps; rises: from 1 upwards without end in 5 steps."
    )


@pytest.mark.parametrize(
    "curves", [{}, {"a": np.zeros((2, 2))}, {"a": np.zeros(0)}, {"a": np.array([np.inf])}]
)
def test_losses_that_are_none(curves):
    with pytest.raises(BadInput, match=r"expected one or more of \(steps \+ 1,\)"):
        show.losses(curves)
