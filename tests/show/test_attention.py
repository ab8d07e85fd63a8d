"""Overlays are light where the maps are large, on the pictures that they belong to."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import show
from course_lib.errors import BadInput
from course_lib.tasks.task import Split


def made(n=24, side=16, channels=3, names=("cat", "dog"), value=None):
    rng = np.random.default_rng(0)
    shape = (n, side, side, channels)
    x = rng.integers(0, 256, shape) if value is None else np.full(shape, value)
    ids = np.arange(n).astype(str)
    return Split(x.astype(np.uint8), np.arange(n) % len(names), names, "pets/test", "noise", ids)


def corners(split):
    """Return maps with all evidence in one of four quarters: that of the row's number."""
    maps = np.zeros((len(split), 4), np.float32)
    maps[np.arange(len(split)), np.arange(len(split)) % 4] = 1
    return maps.reshape(-1, 2, 2)


def halves(picture):
    """Return the panels with pictures and those with their evidence, in pairs."""
    axes = [panel for panel in picture.figure.axes if panel.images]
    return list(zip(axes[: len(axes) // 2], axes[len(axes) // 2 :], strict=True))


def row_of(split, panel):
    shown = np.asarray(panel.images[0].get_array())
    (row,) = [k for k in range(len(split)) if np.array_equal(split.x[k], shown)]
    return row


def brightness(panel):
    return np.asarray(panel.images[0].get_array()).mean(axis=2)


def test_evidence_lies_under_its_own_picture_and_in_its_own_place(split):
    flat = replace(split, x=split.x // 64 + 100)  # nearly even, so that brightness is evidence
    pairs = halves(show.attention(flat, corners(flat), columns=8))
    assert len(pairs) == 8
    for above, below in pairs:
        bright = brightness(below)
        high, wide = (side // 2 for side in bright.shape)
        quarters = [bright[i : i + high, j : j + wide].mean() for i in (0, high) for j in (0, wide)]
        assert np.argmax(quarters) == row_of(flat, above) % 4


def test_more_evidence_is_lighter():
    grey = made(value=128)
    ramp = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (len(grey), 1, 1))
    (_, below), *_ = halves(show.attention(grey, ramp))
    bright = brightness(below)[0]
    assert bright[-1] > bright[0] + 0.2
    assert (np.diff(bright) > -0.01).all()


def test_where_nothing_speaks_the_picture_is_seen_without_a_line(split):
    none = np.zeros((len(split), 3, 3), np.float32)
    picture = show.attention(split, none)
    assert "no evidence" in picture.alt
    for above, below in halves(picture):
        assert not below.collections
        grey = split.x[row_of(split, above)].mean(axis=2)
        times = len(brightness(below)) // len(grey)
        assert np.corrcoef(grey.ravel(), brightness(below)[::times, ::times].ravel())[0, 1] > 0.99
        assert brightness(below).max() - brightness(below).min() > 0.5, "dimmed, not hidden"


def test_the_line_is_at_half_of_the_largest():
    one = made(n=1, value=128)
    (_, below), *_ = halves(show.attention(one, np.array([[[1.0, 0.0]]], np.float32)))
    lines = [path.vertices for lines in below.collections for path in lines.get_paths()]
    size = below.images[0].get_array().shape[1]
    assert lines and all(np.allclose(line[:, 0], (size - 1) / 2) for line in lines), "the middle between both"


def test_a_picture_full_of_evidence_has_no_line(split):
    for _, below in halves(show.attention(split, np.ones((len(split), 2, 2)))):
        assert not below.collections


def test_captions_say_for_which_class(split):
    labels = halves(show.attention(split, corners(split)))
    assert all(below.get_title() == f"for {above.get_title()}" for above, below in labels)
    predictions = np.zeros(len(split), int)
    said = halves(show.attention(split, corners(split), predictions=predictions))
    assert {below.get_title() for _, below in said} == {"for cat"}, "what the maps explain by default"
    other = halves(show.attention(split, corners(split), predictions=predictions, classes=1))
    assert {below.get_title() for _, below in other} == {"for dog"}
    each = halves(show.attention(split, corners(split), classes=1 - split.y))
    assert all(below.get_title() != f"for {above.get_title()}" for above, below in each)


@pytest.mark.parametrize(("only", "sign", "frames"), [("wrong", "✗", 1), ("right", "✓", 0)])
def test_only_some_predictions(split, only, sign, frames):
    predictions = split.y.copy()
    predictions[:5] = 1 - predictions[:5]
    pairs = halves(show.attention(split, corners(split), columns=4, predictions=predictions, only=only))
    assert [(above.get_title()[0], len(above.patches)) for above, _ in pairs] == [(sign, frames)] * 4
    assert not any(below.patches for _, below in pairs)


@pytest.mark.parametrize(
    ("one_map", "share"),
    [
        (np.ones((4, 4)), "25%"),
        (np.eye(16).reshape(16, 4, 4)[5], "77%"),  # a tent with an eighth beyond the edge, either way: (7/8)²
        (np.eye(16).reshape(16, 4, 4)[0], "2%"),
        (np.zeros((4, 4)), "no evidence"),
    ],
    ids=["even", "middle", "corner", "none"],
)
def test_the_words_carry_how_much_lies_in_the_middle(one_map, share):
    one = made(n=1, side=32)
    alt = show.attention(one, one_map[None]).alt
    assert alt == (
        "1 pictures of pets/test and where they speak for a class, with the share of that evidence in the "
        f"middle quarter of the area (evenly spread: 25%): cat ({share})."
    )


def test_the_words_tell_classes_that_differ(split):
    alt = show.attention(split, corners(split), columns=24, classes=1).alt
    assert alt.count("cat, evidence for dog (") == 12
    assert alt.count("; dog (") + alt.count(": dog (") == 12
    assert show.attention(split, corners(split), alt="Mine.").alt == "Mine."


def test_the_seed_decides(split):
    first, again, other = (show.attention(split, corners(split), seed=seed).png for seed in (0, 0, 1))
    assert first == again != other


def test_few_pictures_make_a_small_figure(split):
    few = split.take(np.arange(2))
    assert len(halves(show.attention(few, corners(few), columns=6))) == 2


def test_nothing_given_is_changed(split):
    maps = corners(split)
    before = maps.copy()
    show.attention(split, maps)
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (300, 1)], ids=["small", "large and grey"])
def test_text_stays_inside_and_apart_and_the_file_light(side, channels):
    split = made(n=6, side=side, channels=channels, names=("automobile", "airplane", "functional"), value=90)
    wrong = (split.y + 1) % 3
    picture = show.attention(split, corners(split), predictions=wrong, title="CIFAR-10, fine-tuned")
    assert len(picture.png) < 150_000
    figure = picture.figure
    FigureCanvasAgg(figure).draw()
    titles = [axes.title for axes in figure.axes if axes.get_title()]
    assert len(titles) == 12
    boxes = [text.get_window_extent() for text in (*titles, figure._suptitle)]
    for k, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:k])


@pytest.mark.parametrize(
    ("shape", "said"),
    [((24, 3), r"shape \(24, 3\) for 24 pictures"), ((5, 3, 3), "for 24 pictures"), ((24, 0, 3), "0, 3")],
)
def test_maps_of_another_shape(split, shape, said):
    with pytest.raises(BadInput, match=said):
        show.attention(split, np.zeros(shape))


@pytest.mark.parametrize(
    ("value", "said"), [(2.0, "from 0 to 2"), (-1.0, "from -1 to 0"), (np.nan, "from nan")]
)
def test_maps_out_of_range(split, value, said):
    maps = np.zeros((24, 2, 2))
    maps[3, 0, 1] = value
    with pytest.raises(BadInput, match=f"{said}.*expected 0 to 1"):
        show.attention(split, maps)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (2, "beyond 0 to 1"),
        (-1, "beyond 0 to 1"),
        (np.zeros(3, int), r"classes of shape \(3,\)"),
        (np.zeros(24), "type float64"),
    ],
)
def test_classes_that_do_not_exist(split, classes, said):
    with pytest.raises(BadInput, match=said):
        show.attention(split, corners(split), classes=classes)


def test_predictions_of_another_split(split):
    with pytest.raises(BadInput, match="3 predictions for 24"):
        show.attention(split, corners(split), predictions=np.zeros(3, int), classes=0)
    with pytest.raises(BadInput, match="no prediction is wrong"):
        show.attention(split, corners(split), predictions=split.y, only="wrong")
    with pytest.raises(BadInput, match="no examples"):
        show.attention(split.take(np.array([], int)), np.zeros((0, 2, 2)))
