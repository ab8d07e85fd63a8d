"""Lines with bands say and draw what they were given."""

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput
from course_lib.measure.report import Interval

CURVES = {
    "English": {0: Interval(0.5, 0.45, 0.55), 6: Interval(0.63, 0.6, 0.66), 12: Interval(0.61, 0.58, 0.64)},
    "Chinese": {0: Interval(0.4, 0.35, 0.45), 12: Interval(0.55, 0.5, 0.6)},
}


def test_lines_and_bands_are_where_the_numbers_are():
    axes = show.lines(CURVES, xlabel="layer").figure.axes[0]
    english, chinese = axes.lines[:2]
    np.testing.assert_allclose(english.get_xydata(), [(0, 0.5), (6, 0.63), (12, 0.61)])
    np.testing.assert_allclose(chinese.get_xydata(), [(0, 0.4), (12, 0.55)])
    band = axes.collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.35, 0.6))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "6", "12"]


def test_the_words_name_ends_and_best():
    alt = show.lines(CURVES, title="Layers").alt
    assert "English goes from 50% at 0 to 61% at 12, highest 63% at 6" in alt
    assert "Chinese goes from 40% at 0 to 55% at 12, highest 55% at 12" in alt


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(BadInput, match="No curve"):
        show.lines({})
    with pytest.raises(BadInput, match="without a point"):
        show.lines({"a": {}})
    with pytest.raises(BadInput, match="cannot hold 0"):
        show.lines(CURVES, logarithmic=True)
