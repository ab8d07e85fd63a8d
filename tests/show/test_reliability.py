"""Reliability diagrams show the bins they were given."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import measure, show
from course_lib.errors import BadInput


def found(sharpness=1.0, n=800, scheme="width", bins=10):
    rng = np.random.default_rng(0)
    z = 1.5 * rng.normal(size=(n, 4))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)
    p = np.exp(sharpness * z) / np.exp(sharpness * z).sum(axis=1, keepdims=True)
    return measure.reliability(p, y, bins, scheme)


def test_bars_points_and_counts_are_those_of_the_bins():
    one = found()
    top, bottom = show.reliability(one).figure.axes
    filled = one.count > 0
    np.testing.assert_allclose([bar.get_height() for bar in top.patches], one.accuracy[filled])
    np.testing.assert_allclose([bar.get_x() for bar in top.patches], one.edges[:-1][filled])
    diagonal, points = top.lines
    np.testing.assert_allclose(diagonal.get_xydata(), [(0, 0), (1, 1)])
    np.testing.assert_allclose(points.get_xydata(), np.c_[one.confidence, one.accuracy][filled])
    assert [bar.get_height() for bar in bottom.patches] == one.count.tolist()
    whiskers = top.collections[1].get_segments()
    np.testing.assert_allclose([w[0, 1] for w in whiskers], one.low[filled])
    np.testing.assert_allclose([w[1, 1] for w in whiskers], one.high[filled])


def test_the_title_and_the_words_carry_the_numbers():
    one, sharp = found(), found(3.0)
    picture = show.reliability({"honest": one, "sharp": sharp}, title="CIFAR-10")
    titles = [axes.get_title(loc="left") for axes in picture.figure.axes[:2]]
    assert titles[1] == f"sharp\nECE {sharp.ece}"
    assert (
        f"sharp: calibration error {sharp.ece.value:.1%}" in picture.alt and "points too sure" in picture.alt
    )
    assert "not sure enough" in show.reliability(found(0.3)).alt
    assert "CIFAR-10" in picture.alt and show.reliability(one, alt="One.").alt == "One."


def test_methods_share_their_axes_and_differ_in_more_than_colour():
    axes = show.reliability({"a": found(), "b": found(3.0), "c": found(0.3)}).figure.axes
    assert len(axes) == 6
    assert len({ax.get_xlim() for ax in axes}) == 1 and len({ax.get_ylim() for ax in axes[3:]}) == 1
    assert len({ax.lines[1].get_marker() for ax in axes[:3]}) == 3


@pytest.mark.parametrize("scheme", ["width", "mass"])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_text_stays_inside(columns, scheme):
    named = {f"fine-tuned, seed {k}": found(3.0, scheme=scheme, bins=15) for k in range(columns)}
    figure = show.reliability(named, title="Confidence and accuracy").figure
    FigureCanvasAgg(figure).draw()
    titles = [axes._left_title for axes in figure.axes if axes._left_title.get_text()]
    boxes = [t.get_window_extent() for t in (*titles, figure._suptitle)]
    for k, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:k])


@pytest.mark.parametrize("count", [0, 5])
def test_none_and_too_many_are_refused(count):
    with pytest.raises(BadInput, match=f"{count} diagrams; 1 to 4"):
        show.reliability({str(k): found() for k in range(count)})
