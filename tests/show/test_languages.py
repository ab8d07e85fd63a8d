"""Two languages on one map: the view, the gap, the lines and the words."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.decomposition import PCA

from course_lib import show
from course_lib.errors import BadInput


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 12)) * np.arange(1, 13)
    return a, a + 0.5 * rng.normal(size=a.shape) + 20


def clouds(axes):
    return [np.asarray(c.get_offsets()) for c in axes.collections]


def joins(axes):
    return [np.asarray(line.get_xydata()) for line in axes.lines]


def test_the_view_is_that_of_pca(sides):
    a, b = sides
    axes = show.two_languages(sides, lines=5).figure.axes[0]
    wanted = PCA(2).fit(np.vstack(sides))
    rows = np.random.default_rng(0).permutation(60)
    for drawn, side in zip(clouds(axes), sides, strict=True):
        flat = wanted.transform(side)[rows]
        np.testing.assert_allclose(np.abs(drawn), np.abs(flat), atol=1e-6)
    assert len(joins(axes)) == 5
    for k, line in enumerate(joins(axes)):
        np.testing.assert_allclose(line, [clouds(axes)[0][k], clouds(axes)[1][k]])
    total = np.vstack(sides).var(axis=0).sum()
    gap = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() / 4 / total
    assert axes.get_title(loc="left") == f"{gap:.0%} of variance between languages"


def test_one_view_shows_what_moved(sides):
    a, b = sides
    spaces = {"before": sides, "after": (a, b - 20)}
    before, after = show.two_languages(spaces).figure.axes
    assert before.get_xlim() == after.get_xlim() and before.get_ylim() == after.get_ylim()
    np.testing.assert_allclose(clouds(before)[0], clouds(after)[0])
    apart = [np.linalg.norm(np.subtract(*(c.mean(axis=0) for c in clouds(axes)))) for axes in (before, after)]
    assert apart[0] > 50 and apart[1] < 2
    own = show.two_languages(spaces, one_view=False).figure.axes
    assert own[0].get_xlim() != own[1].get_xlim()
    other = {"small": sides, "large": (np.hstack([a, a]), np.hstack([b, b]))}
    assert len(show.two_languages(other, one_view=False).figure.axes) == 2


def test_every_point_is_inside_on_one_scale(sides):
    a, b = sides
    for axes in show.two_languages({"before": sides, "after": (a, 3 * b)}).figure.axes:
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert right - left == pytest.approx(high - low)
        for cloud in clouds(axes):
            assert (cloud > [left, low]).all() and (cloud < [right, high]).all()


def test_many_pairs_are_thinned_and_the_words_say_how_many_there_are():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 5))
    picture = show.two_languages((x, x), names=("English", "Chinese"))
    assert [len(c) for c in clouds(picture.figure.axes[0])] == [400, 400]
    assert picture.alt.startswith(
        "Map (PCA) of English and Chinese, 900 pairs. 0% of the variance lies between"
    )
    assert "translations are 0% as far apart as other pairs" in picture.alt
    apart = show.two_languages({"far": (x, x + 100)}, title="Far apart").alt
    assert apart.startswith("Far apart, 900 pairs. far: 100% of the variance lies between")
    assert show.two_languages((x, x), alt="Same.").alt == "Same."


def test_languages_differ_in_marker_and_are_named(sides):
    figure = show.two_languages(sides).figure
    labels = [t.get_text() for t in figure.legends[0].texts]
    assert labels == ["translations", "English", "Chinese"]
    shapes = [c.get_paths()[0].vertices.shape for c in figure.axes[0].collections]
    assert shapes[0] != shapes[1]


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_nothing_is_cut_off(sides, panels):
    figure = show.two_languages({f"panel {k}": sides for k in range(panels)}, title="Two languages").figure
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox.padded(1)
    texts = [t for axes in figure.axes for t in (axes._left_title, axes.xaxis.label, axes.yaxis.label)]
    boxes = [t.get_window_extent() for t in texts if t.get_text()] + [figure.legends[0].get_window_extent()]
    for k, box in enumerate(boxes):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_bad_input(sides):
    a, b = sides
    for spaces, said in (
        ({}, "0 spaces"),
        ({str(k): sides for k in range(4)}, "4 spaces"),
        ((a, b[:9]), r"\(60, 12\) and \(9, 12\)"),
        ((a[:1], b[:1]), "two rows or more"),
        ((a, np.where(b > 30, np.nan, b)), "NaN"),
        ({"all": sides, "few": (a[:9], b[:9])}, "different numbers of pairs"),
        ({"all": sides, "flat": (a[:, :5], b[:, :5])}, "one_view=False"),
    ):
        with pytest.raises(BadInput, match=said):
            show.two_languages(spaces)
