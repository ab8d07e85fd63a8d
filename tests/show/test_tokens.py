"""Pieces are drawn in order, unknown ones apart, and nothing is cut off."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from course_lib import show
from course_lib.errors import BadInput
from course_lib.show.style import WRONG

PIECES = {
    "English": ["transfer", "[UNK]", "学", "[UNK]", "##ing", "$", "5", "$"],
    "all": ["▁transfer", "学习", "<unk>"],
}


def boxes(picture):
    return picture.figure.axes[0].patches


def texts(picture):
    return [t.get_text() for t in picture.figure.axes[0].texts]


def test_every_piece_has_its_box_in_order():
    picture = show.tokens(PIECES, text="Transfer 学习 $5$", title="One sentence")
    said = texts(picture)
    assert said[:2] == ["One sentence", r"Transfer 学习 \$5\$"]
    assert said[2:] == [
        "English: 8 pieces, 2 unknown",
        *(piece.replace("$", r"\$") for piece in PIECES["English"]),
        "all: 3 pieces, 1 unknown",
        *PIECES["all"],
    ]
    assert len(boxes(picture)) == 11
    first_line = boxes(picture)[:8]
    assert [b.get_x() for b in first_line] == sorted(b.get_x() for b in first_line)
    assert len({b.get_y() for b in first_line}) == 1 < len({b.get_y() for b in boxes(picture)})


def test_unknown_pieces_differ_by_more_than_colour():
    drawn = boxes(show.tokens(PIECES))
    unknown = [drawn[k] for k in (1, 3, 10)]
    for box in drawn:
        apart = box in unknown
        assert (to_hex(box.get_edgecolor()) == WRONG.lower()) == apart
        assert (box.get_linestyle() not in ("solid", "-")) == apart
        assert (to_hex(box.get_facecolor()) == "#ffffff") == apart
    other = boxes(show.tokens({"mine": ["[UNK]", "?"]}, unknown=["?"]))
    assert [to_hex(b.get_edgecolor()) == WRONG.lower() for b in other] == [False, True]


def test_known_neighbours_differ_in_tint():
    faces = [to_hex(b.get_facecolor()) for b in boxes(show.tokens({"a": ["x", "y", "z"]}))]
    assert faces[0] != faces[1] != faces[2]


def test_the_words_read_the_pieces_out():
    picture = show.tokens(PIECES, text="Transfer")
    assert picture.alt.startswith(
        "Transfer, in pieces. English gives 8 pieces, 2 unknown: transfer | [UNK] | 学"
    )
    assert "all gives 3 pieces, 1 unknown" in picture.alt and repr(picture) == f"Picture: {picture.alt}"
    assert "gives 1 piece: a." in show.tokens({"b": ["a"]}).alt
    assert show.tokens(PIECES, alt="Pieces.").alt == "Pieces."


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a"] * 200, "a " * 200),
        (["学习", "unbelievable", "[UNK]"] * 30, "我们学习汉语，好吗？" * 20),
        (["x" * 500, "y"], "x" * 300),
    ],
)
def test_lines_are_broken_and_nothing_is_cut_off(pieces, text):
    picture = show.tokens({"one": pieces, "two": pieces[:3]}, text=text, title="Pieces")
    figure = picture.figure
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox
    drawn = [b.get_window_extent() for b in boxes(picture)]
    written = [t.get_window_extent() for t in figure.axes[0].texts]
    for box in drawn + written:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
    for k, box in enumerate(drawn):
        assert not any(box.overlaps(other) for other in drawn[:k])
        assert sum(box.x0 <= w.x0 and w.x1 <= box.x1 and box.overlaps(w) for w in written) == 1


@pytest.mark.parametrize(
    ("pieces", "said"),
    [({}, "no pieces"), ({"a": []}, "no pieces"), ({"a": ["x"] * 201}, "201 pieces of a cannot be read")],
)
def test_bad_input(pieces, said):
    with pytest.raises(BadInput, match=said):
        show.tokens(pieces)
