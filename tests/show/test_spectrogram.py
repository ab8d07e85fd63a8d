"""Each sound has its column, loud is where it was put, and the axes name it."""

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput

HERTZ = np.array([100.0, 250.0, 1000.0, 2000.0])


def test_places():
    loud = np.full((4, 6), -50.0)
    loud[2, 3] = 0
    x = {"a": loud, "b": loud[::-1]}
    picture = show.spectrograms(x, hertz=HERTZ, waves={"a": np.zeros(60), "b": np.ones(60)}, title="Two")
    axes = picture.figure.axes
    assert [one.get_title("left") for one in axes] == ["a", "b", "", ""]
    np.testing.assert_array_equal(axes[2].images[0].get_array(), loud)
    assert axes[2].images[0].origin == "lower"
    ticks = dict(
        zip([t.get_text() for t in axes[2].get_yticklabels()], axes[2].get_yticks().tolist(), strict=True)
    )
    assert (ticks["1,000"], ticks["2,000"]) == (2.0, 3.0)
    assert "250" not in ticks  # it would touch 500
    assert picture.alt == "Two: spectrograms of a, loudest at 1,000 Hz; b, loudest at 250 Hz."
    assert len(show.spectrograms({"a": loud}, hertz=HERTZ).figure.axes) == 1


@pytest.mark.parametrize(
    "x", [{}, {str(k): np.zeros((4, 6)) for k in range(7)}, {"a": np.zeros((3, 6))}, {"a": np.zeros(4)}]
)
def test_bad_input(x):
    with pytest.raises(BadInput):
        show.spectrograms(x, hertz=HERTZ)
