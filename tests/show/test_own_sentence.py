"""A typed sentence's pieces, neighbours and answers stand in one picture, and in its words."""

import warnings

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput
from course_lib.show.own_sentence import _likeliest, _nearest
from course_lib.show.style import drawable

NAMES = ("food", "sport", "money", "health", "work")


def picture(text="I like tea.", **parts):
    full = {
        "pieces": {"English": ["i", "like", "tea", "."], "other": ["▁I", "[UNK]"]},
        "near": {
            "nearest in Chinese": (
                ["我喜欢喝茶。", "我是老师。", "他走了。", "再见。"],
                np.array([0.9, 0.2, 0.7, 0.1]),
            )
        },
        "answers": {"probe": np.array([0.6, 0.05, 0.3, 0.04, 0.01])},
        "class_names": NAMES,
    }
    return show.own_sentence(text, **(full | parts))


def test_the_words_say_all_of_it():
    assert picture().alt == (
        "“I like tea.”. English gives 4 pieces, 0 unknown: i | like | tea | .. other gives 2 pieces, "
        "1 unknown: ▁I | [UNK]. nearest in Chinese: 我喜欢喝茶。 (0.90); 他走了。 (0.70); 我是老师。 (0.20). "
        "probe takes it for food 60%, money 30%, sport 5%, health 4%."
    )


def test_each_part_may_be_missing():
    whole = picture()
    heights = {part: picture(**{part: {}}).figure.get_figheight() for part in ("pieces", "near", "answers")}
    assert max(heights.values()) < whole.figure.get_figheight()
    assert "takes it for" not in picture(answers={}).alt


def test_bars_are_as_long_as_probabilities():
    (axes,) = picture(pieces={}, near={}).figure.axes
    widths = [patch.get_width() for patch in axes.patches]
    assert np.allclose(np.array(widths) / widths[0], [1, 0.5, 0.05 / 0.6, 0.04 / 0.6])


def test_a_sentence_that_is_known_twice_is_shown_once():
    near = {"": (["a", "b", "a", "c", "d"], np.array([0.9, 0.5, 0.9, 0.4, 0.6]))}
    assert _nearest(near)[""] == [(0.9, "a"), (0.6, "d"), (0.5, "b")]


def test_the_likeliest_first():
    assert _likeliest({"": np.array([0.1, 0.9])}, ("a", "b"))[""] == [("b", 0.9), ("a", 0.1)]


@pytest.mark.parametrize(
    "text",
    [
        "🍵 and 👩‍🔬, ไทย, हिन्दी, العربية",
        "我" * 200,
        "x" * 200,
        "$\\frac{1}{0}$ _^{ #&%",
        "a\u0301" * 90,
        "<b>&amp;</b>",
    ],
)
def test_any_text_is_drawn_without_a_warning(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = picture(text, pieces={"letters": list(text)}, near={"like it": ([text], np.ones(1))})
    assert made.png.startswith(b"\x89PNG")
    assert text in made.alt


def test_many_pieces_are_cut():
    made = picture(pieces={"letters": ["a"] * 100})
    (axes,) = made.figure.axes
    shown = [drawn.get_text() for drawn in axes.texts]
    assert shown.count("a") == 60 and "… 40 more" in shown
    assert "letters: 100 pieces" in shown
    assert made.alt.count(" | ") < 70


def test_all_lies_within_the_figure():
    made = picture("我喜欢喝茶" * 30, answers={f"one {k}": np.full(5, 0.2) for k in range(3)})
    (axes,) = made.figure.axes
    low, high = sorted(axes.get_ylim())
    assert all(low <= drawn.get_position()[1] <= high for drawn in axes.texts)


@pytest.mark.parametrize(
    "parts, words",
    [
        ({"pieces": None, "near": None, "answers": None}, "nothing to show"),
        (
            {"near": {"like it": (["a"], np.ones(2))}},
            r"1 sentences of 'like it' and similarities of shape \(2,\)",
        ),
        ({"class_names": ("a", "b")}, r"probe gives probabilities of shape \(5,\); there are 2 classes"),
    ],
)
def test_parts_that_do_not_fit(parts, words):
    with pytest.raises(BadInput, match=words):
        picture(**parts)


def test_what_no_font_has_becomes_a_square():
    assert drawable("tea 茶 чай") == "tea 茶 чай"
    assert drawable("🍵") == "□"
    assert drawable("👩\u200d🔬") in ("□□", "□\u200d□")
