"""The answer, its evidence and the neighbours stand in one figure, with the same in words."""

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput


@pytest.fixture
def parts(split):
    return {
        "picture": split.x[0],
        "probabilities": np.array([0.2, 0.8]),
        "evidence": np.array([[0.0, 1.0], [0.5, 0.0]]),
        "near": split.take(np.arange(6)),
        "cosine": np.linspace(0.9, 0.4, 6),
        "words": "Nothing is like it.",
    }


def axes_of(picture):
    return [axes for axes in picture.figure.get_axes() if axes.images or axes.patches]


def test_all_its_parts_are_drawn(parts, split):
    made = show.own_picture(**parts)
    own, evidence, bars, *near = axes_of(made)
    assert (own.images[0].get_array() == split.x[0]).all()
    assert evidence.get_title() == "speaks for dog"
    assert [label.get_text() for label in bars.get_yticklabels()] == ["dog", "cat"]
    assert sorted((bar.get_width() for bar in bars.patches), reverse=True) == [0.8, 0.2]
    assert [axes.get_title() for axes in near[:2]] == ["cat\n0.90", "dog\n0.80"]
    for row, axes in enumerate(near):
        assert (axes.images[0].get_array() == split.x[row]).all()
    assert made.png.startswith(b"\x89PNG")


def test_words_say_the_same(parts):
    alt = show.own_picture(**parts).alt
    for said in (
        "taken for dog 80%, cat 20%",
        "Nothing is like it.",
        "cat (0.90), dog (0.80)",
        "middle quarter",
    ):
        assert said in alt
    assert show.own_picture(**parts, alt="x").alt == "x"
    silent = show.own_picture(**parts | {"evidence": np.zeros((2, 2)), "words": ""}).alt
    assert "No place speaks for it. Most like it" in silent


def test_likeliest_first_and_five_at_most(parts, split):
    names = tuple("abcdefg")
    near = type(split)(split.x[:2], np.array([6, 0]), names, "n", "d", np.array(["0", "1"]))
    shares = np.array([0.1, 0.05, 0.3, 0.25, 0.15, 0.1, 0.05])
    made = show.own_picture(**parts | {"probabilities": shares, "near": near, "cosine": np.array([0.5, 0.4])})
    bars = axes_of(made)[2]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["c", "d", "e", "a", "f"]
    assert "taken for c 30%, d 25%, e 15%, a 10%, f 10%." in made.alt


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 8, 1), (300, 300, 1), (9, 40, 3)])
def test_any_size_of_picture(parts, shape):
    assert show.own_picture(**parts | {"picture": np.full(shape, 9, np.uint8)}).png


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"picture": np.zeros((8, 8), np.uint8)}, r"shape \(8, 8\)"),
        ({"picture": np.zeros((8, 8, 3))}, "float64"),
        ({"picture": np.zeros((0, 8, 3), np.uint8)}, r"\(0, 8, 3\)"),
        ({"probabilities": np.array([1.0])}, "for each of 2 classes"),
        ({"probabilities": np.array([0.6, 0.6])}, "sum to 1.2"),
        ({"probabilities": np.array([np.nan, 1.0])}, "sum to nan"),
        ({"evidence": np.array([0.5])}, "expected"),
        ({"evidence": np.array([[2.0]])}, "0 to 1"),
        ({"cosine": np.array([0.5])}, "6 neighbours"),
    ],
)
def test_what_does_not_fit_is_refused(parts, other, words):
    with pytest.raises(BadInput, match=words):
        show.own_picture(**parts | other)


def test_no_neighbour_is_refused(parts, split):
    with pytest.raises(BadInput, match="0 neighbours"):
        show.own_picture(**parts | {"near": split.take(np.arange(0)), "cosine": np.array([])})
