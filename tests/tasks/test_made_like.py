"""Any picture takes the form of those that were learnt from, or it is said why not."""

import numpy as np
import pytest

from course_lib import tasks
from course_lib.errors import BadInput
from course_lib.tasks.task import Split


def split(height=12, width=12, channels=3):
    x = np.zeros((2, height, width, channels), np.uint8)
    return Split(x, np.arange(2), ("a", "b"), "made/train", "noise", np.array(["0", "1"]))


def ramp(height, width):
    """Brightness that rises from left to right."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "shape", [(40, 60), (60, 40, 1), (40, 60, 2), (9, 300, 3), (8, 8, 4), (1000, 700, 3)]
)
def test_size_and_channels_are_those_of_the_split(shape, channels):
    given = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    before = given.copy()
    made = tasks.made_like(given, split(channels=channels))
    assert (made.shape, made.dtype) == ((1, 12, 12, channels), np.uint8)
    assert (given == before).all()


def test_a_picture_of_the_split_stays_as_it_is():
    digits = tasks.digits().test
    assert (tasks.made_like(digits.x[5], digits) == digits.x[5:6]).all()


def test_the_middle_is_cut_out_in_the_shape_of_the_others():
    made = tasks.made_like(ramp(24, 72), split(channels=1))[0, :, :, 0].astype(int)
    assert made.min() >= 255 / 3 - 5 and made.max() <= 2 * 255 / 3 + 5, "the outer thirds are gone"
    assert (np.diff(made, axis=1) > 0).all() and np.ptp(made, axis=0).max() == 0
    wide = tasks.made_like(ramp(24, 72), split(height=4, width=12, channels=1))[0, 0, :, 0]
    assert wide[0] < 12 and wide[-1] > 243, "a wide split keeps all of a wide picture"


def test_made_smaller_it_is_averaged_not_picked():
    checks = np.indices((96, 96)).sum(axis=0) % 2 * 255
    made = tasks.made_like(checks.astype(np.uint8), split(channels=1))
    assert abs(made.astype(int) - 127).max() <= 2


def test_colour_becomes_brightness_and_grey_three_equal_channels():
    colour = np.zeros((20, 20, 3), np.uint8)
    colour[:] = 200, 100, 50
    expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert abs(int(tasks.made_like(colour, split(channels=1))[0, 3, 3, 0]) - expected) <= 1
    assert tasks.made_like(colour, split())[0, 3, 3].tolist() == [200, 100, 50]
    grey = tasks.made_like(ramp(20, 20), split())
    assert (grey[..., :1] == grey).all() and np.ptp(grey) > 200


@pytest.mark.parametrize("bands", [2, 4])
def test_what_is_transparent_becomes_white(bands):
    black = np.zeros((20, 20, bands), np.uint8)
    assert (tasks.made_like(black, split()) == 255).all()
    black[..., -1] = 255
    assert (tasks.made_like(black, split()) == 0).all()
    black[..., -1] = 128
    assert abs(int(tasks.made_like(black, split())[0, 5, 5, 0]) - 127) <= 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((7, 500, 3), np.uint8), "500 × 7 pixels"),
        (np.zeros((0, 20, 3), np.uint8), "20 × 0 pixels"),
        (np.broadcast_to(np.uint8(0), (9000, 9000, 3)), "9,000 × 9,000 pixels"),
        (np.zeros((20, 20, 5), np.uint8), r"shape \(20, 20, 5\)"),
        (np.zeros((1, 20, 20, 3), np.uint8), r"shape \(1, 20, 20, 3\)"),
        (np.zeros(20, np.uint8), r"shape \(20,\)"),
        (np.zeros((20, 20, 3)), "float64"),
        ("cat.jpg", "<U7"),
        (None, "object"),
    ],
)
def test_what_is_no_picture_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        tasks.made_like(given, split())


def test_a_split_of_sentences_is_refused():
    sentences = Split(np.array(["a"]), np.zeros(1, int), ("a",), "words/train", "text", np.array(["0"]))
    with pytest.raises(BadInput, match="words/train has examples"):
        tasks.made_like(np.zeros((20, 20), np.uint8), sentences)
