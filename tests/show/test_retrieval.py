"""Similarities of pairs: rings where partners are found, crosses where not, labels whole."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import show
from course_lib.errors import BadInput
from course_lib.show.style import WRONG

FOUND = np.array([[0.9, 0.1, 0.2], [0.3, 0.4, 0.8], [0.0, 0.1, 0.7]])
CURED = np.eye(3)
ENGLISH = ["Hello.", "It costs $5 or $6.", "A sentence that is far too long to be set beside a row"]
CHINESE = ["你好。", "五块钱。", "这是一个太长的句子，长得放不下，所以要截断。"]


def marks(axes, marker):
    found = [line for line in axes.lines if line.get_marker() == marker]
    return {tuple(map(int, at)) for line in found for at in line.get_xydata()}


def test_rings_on_the_diagonal_and_crosses_off_it():
    picture = show.retrieval({"cosine": FOUND, "CSLS": CURED}, names=("English", "Chinese"))
    before, after = picture.figure.axes
    assert marks(before, "o") == {(0, 0), (2, 2)} and marks(before, "x") == {(2, 1)}
    assert marks(after, "o") == {(0, 0), (1, 1), (2, 2)} and not marks(after, "x")
    assert before.lines[-1].get_color() == WRONG
    assert [axes.get_title(loc="left") for axes in (before, after)] == [
        "cosine: 2 of 3 found",
        "CSLS: 3 of 3 found",
    ]
    assert (before.get_ylabel(), before.get_xlabel()) == ("English", "Chinese")
    np.testing.assert_array_equal(before.images[0].get_array(), FOUND)
    assert before.images[0].get_clim() != after.images[0].get_clim(), "each its own scale"


def test_the_words_carry_the_numbers_and_a_miss():
    picture = show.retrieval(FOUND, names=("English", "Chinese"))
    assert picture.alt == (
        "English looking for Chinese. 2 of these 3 find their partner; row 2 finds column 3."
    )
    labelled = show.retrieval({"cosine": FOUND}, queries=ENGLISH, targets=CHINESE, title="Who finds whom")
    assert labelled.alt.startswith(
        "Who finds whom. cosine: 2 of these 3 find their partner; “It costs $5 or $6.”"
    )
    assert CHINESE[2] in labelled.alt, "whole in words, where the label is cut"
    assert "finds" not in show.retrieval(CURED).alt
    assert show.retrieval(CURED, alt="All.").alt == "All."


def test_labels_are_cut_and_chinese_stands_upright():
    picture = show.retrieval({"a": FOUND, "b": FOUND}, queries=ENGLISH, targets=CHINESE)
    left, right = picture.figure.axes
    rows = [t.get_text() for t in left.get_yticklabels()]
    assert rows == ["Hello.", r"It costs \$5 or \$6.", "A sentence that is far too…"]
    assert not right.get_yticklabels()
    columns = [t.get_text() for t in right.get_xticklabels()]
    assert columns[0] == "你\n好\n。" and columns[2].endswith("\n…") and len(columns[2]) == 27
    back = show.retrieval(FOUND, queries=CHINESE, targets=ENGLISH).figure.axes[0]
    assert {t.get_rotation() for t in back.get_xticklabels()} == {90.0}


@pytest.mark.parametrize(
    ("panels", "labels", "m"),
    [
        (1, (None, None), 3),
        (1, (ENGLISH, CHINESE), 3),
        (1, (CHINESE, ENGLISH), 40),
        (2, (ENGLISH, CHINESE), 25),
        (2, (ENGLISH, None), 3),
        (3, (CHINESE, ENGLISH), 12),
        (3, (None, None), 40),
    ],
)
def test_nothing_is_cut_off(panels, labels, m):
    queries, targets = (None if given is None else (given * 14)[:m] for given in labels)
    scores = np.random.default_rng(0).normal(size=(m, m))
    figure = show.retrieval(
        {f"panel {k}": scores for k in range(panels)},
        queries=queries,
        targets=targets,
        title="Who finds whom",
    ).figure
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox.padded(1)
    for axes in figure.axes:
        inside = [axes.xaxis.label, axes.yaxis.label, axes._left_title]
        for text in (*inside, *axes.get_xticklabels(), *axes.get_yticklabels()):
            box = text.get_window_extent()
            if text.get_text():
                assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
        shape = axes.get_window_extent()
        assert 0.6 < shape.width / shape.height < 1.7, "cells are nearly square"


@pytest.mark.parametrize(
    ("scores", "options", "said"),
    [
        ({}, {}, "0 matrices"),
        ({str(k): CURED for k in range(4)}, {}, "4 matrices of 1 shapes"),
        ({"a": CURED, "b": np.eye(4)}, {}, "2 matrices of 2 shapes"),
        (np.ones((3, 4)), {}, r"shape \(3, 4\)"),
        (np.eye(41), {}, "2 to 40 pairs"),
        (np.full((3, 3), np.nan), {}, "NaN"),
        (CURED, {"queries": ["a"]}, "1 labels for 3 pairs"),
        (CURED, {"targets": CHINESE * 2}, "6 labels for 3 pairs"),
    ],
)
def test_bad_input(scores, options, said):
    with pytest.raises(BadInput, match=said):
        show.retrieval(scores, **options)
