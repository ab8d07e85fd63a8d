"""Every picture has its place, none is bent."""

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput


@pytest.mark.parametrize("n, columns, shape, grid", [(7, 3, (6, 6, 3), (3, 3)), (2, 8, (40, 60, 1), (1, 2))])
def test_places(n, columns, shape, grid):
    x = np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(np.uint8)
    picture = show.mosaic(x, columns=columns, alt="Noise.", title="Noise")
    axes = picture.figure.axes
    assert len(axes) == grid[0] * grid[1]
    assert sum(len(one.images) for one in axes) == n
    np.testing.assert_array_equal(np.squeeze(axes[1].images[0].get_array()), np.squeeze(x[1]))
    assert axes[0].get_aspect() == 1.0
    assert picture.alt == "Noise."
    assert picture.width <= 740


@pytest.mark.parametrize("pictures", [[], [np.zeros((3, 3, 3)), np.zeros((4, 3, 3))], np.zeros((2, 3, 3))])
def test_bad_input(pictures):
    with pytest.raises(BadInput, match="expected one shape"):
        show.mosaic(pictures, alt="")
