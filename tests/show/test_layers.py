"""Maps of layers and bars of blocks show the numbers that they were given."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from course_lib import measure, show
from course_lib.errors import BadInput


def alike(values, rows=None, columns=None):
    values = np.asarray(values, float)
    names = [f"block{k}" for k in range(20)]
    return SimpleNamespace(
        rows=tuple(rows or names[: len(values)]),
        columns=tuple(columns or names[: values.shape[1]]),
        values=values,
    )


THREE = alike([[1.0, 0.6, 0.1], [0.55, 0.9, 0.3], [0.2, 0.35, 0.4]], *2 * [("block6", "block10", "head")])


def large(n):
    """Return similarities that fade with the distance of the layers."""
    k = np.arange(n)
    return alike(np.exp(-np.abs(k[:, None] - k) / 4))


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def ticks(axis):
    """Return the texts of those ticks that are drawn."""
    low, high = sorted(axis.get_view_interval())
    return [
        text for at, text in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True) if low <= at <= high
    ]


def inside_and_apart(figure):
    """Assert that no text is cut off or lies on another; slanted ones may by their boxes."""
    FigureCanvasAgg(figure).draw()
    texts = [figure._suptitle] if figure._suptitle else []
    for axes in figure.axes:
        texts += [axes._left_title, axes.xaxis.label, axes.yaxis.label, *ticks(axes.yaxis), *axes.texts]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    slanted = [text.get_window_extent() for axes in figure.axes for text in ticks(axes.xaxis)]
    for box in (*boxes, *slanted):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_every_pair_stands_in_its_cell_and_each_layer_with_itself_on_the_line():
    heat, line = show.layer_similarity(THREE).figure.axes
    np.testing.assert_array_equal(heat.images[0].get_array(), THREE.values)
    assert heat.images[0].get_clim() == (0, 1), "colours mean the same in every picture"
    written = {text.get_position(): text.get_text() for text in heat.texts}
    assert written[(1, 0)] == "60" and written[(0, 1)] == "55", "rows run down, columns across"
    assert [t.get_text() for t in heat.get_yticklabels()] == ["block6", "block10", "head"]
    assert [t.get_text() for t in line.get_xticklabels()] == ["block6", "block10", "head"]
    np.testing.assert_allclose(line.lines[0].get_ydata(), [1.0, 0.9, 0.4])


def test_shared_layers_are_found_by_name_wherever_they_stand():
    one = alike([[0.1, 0.8], [0.7, 0.2]], ("early", "late"), ("late", "early"))
    picture = show.layer_similarity(one)
    np.testing.assert_allclose(picture.figure.axes[1].lines[0].get_ydata(), [0.8, 0.7])
    assert picture.alt.endswith("Each layer with itself: early 80%, late 70%.")


def test_networks_without_a_layer_in_common_have_the_map_alone():
    one = alike([[0.1, 0.8], [0.7, 0.2]], ("a", "b"), ("c", "d"))
    picture = show.layer_similarity(one, rows="Keras", columns="PyTorch")
    (heat,) = picture.figure.axes
    assert (heat.get_ylabel(), heat.get_xlabel()) == ("Keras", "PyTorch")
    assert picture.alt == (
        "CKA of 2 layers Keras with 2 layers PyTorch. Most alike: a and d, 80%; least: 10%."
    )


def test_the_words_carry_the_numbers():
    assert show.layer_similarity(THREE).alt == (
        "CKA of 3 layers before training with 3 layers after training. Each layer with itself: block6 100%, "
        "block10 90%, head 40%."
    )
    assert show.layer_similarity(THREE, alt="Mine.").alt == "Mine."


def test_values_can_be_read_on_their_colour():
    n = 10
    picture = show.layer_similarity(alike(np.linspace(0, 1, n * n).reshape(n, n)))
    heat = picture.figure.axes[0]
    image = heat.images[0]
    for text in heat.texts:
        column, row = (int(at) for at in text.get_position())
        ground = luminance(image.to_rgba(image.get_array())[row, column, :3])
        ink = luminance(text.get_color())
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 3.5


def test_of_many_layers_colours_are_explained_by_a_bar():
    few, many = (show.layer_similarity(large(n)).figure.axes for n in (10, 11))
    assert (len(few[0].texts), len(few)) == (100, 2)
    assert (len(many[0].texts), len(many)) == (0, 3)


def test_what_cka_matrix_makes_is_drawn():
    rng = np.random.default_rng(0)
    before = {"block6": rng.normal(size=(50, 4)), "head": rng.normal(size=(50, 9))}
    after = {"block6": before["block6"] * 3, "head": rng.normal(size=(50, 9))}
    found = measure.cka_matrix(before, after)
    picture = show.layer_similarity(found)
    assert "block6 100%" in picture.alt
    np.testing.assert_array_equal(picture.figure.axes[0].images[0].get_array(), found.values)


@pytest.mark.parametrize("low", [-0.2, 0.05])
@pytest.mark.parametrize("n", [1, 3])
def test_the_line_is_never_cut_off(n, low):
    line = show.layer_similarity(alike(np.full((n, n), low))).figure.axes[1]
    assert line.get_ylim()[0] <= min(low, 0) and line.get_ylim()[1] > 1


@pytest.mark.parametrize("title", ["", "Solar cells, 60 labels"])
@pytest.mark.parametrize("n", [1, 3, 10, 16])
def test_text_of_similarities_stays_inside(n, title):
    inside_and_apart(show.layer_similarity(large(n), title=title).figure)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (alike([[0.1, 0.2]], ("a", "b"), ("a", "b")), r"shape \(1, 2\) for 2 by 2 layers"),
        (alike(np.zeros((0, 0))), "for 0 by 0 layers"),
    ],
)
def test_values_of_another_shape(one, said):
    with pytest.raises(BadInput, match=said):
        show.layer_similarity(one)


START = {
    "stem/kernel": np.full(4, 2.0),
    "block0_expand/kernel": np.full(4, 1.0),
    "block5_expand/kernel": np.full(4, 1.0),
    "block5_expand_bn/gamma": np.full(4, 1.0),
    "block5_expand_bn/moving_mean": np.full(4, 1.0),
    "head_conv/kernel": np.full(4, 1.0),
    "classifier/kernel": np.full(4, 1.0),
    "classifier/bias": np.zeros(2),
}


def moved(**changes):
    """Return weights of which these have moved by so much."""
    return {name: value + changes.get(name.replace("/", "__"), 0.0) for name, value in START.items()}


LEARNT = moved(block5_expand__kernel=0.1, head_conv__kernel=-0.2, classifier__kernel=0.5)
GATHERED = {**LEARNT, "block5_expand_bn/moving_mean": np.full(4, 1.25)}


def bars(picture):
    """Return each block's bars as (legend, length) from top to bottom."""
    (axes,) = picture.figure.axes
    places = dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    found = []
    for group in axes.containers:
        for bar in group:
            middle = bar.get_y() + bar.get_height() / 2
            block = min(places, key=lambda name: abs(places[name] - middle))
            found.append((block, bar.get_hatch() or "", bar.get_width(), middle))
    return [(block, hatch, round(width, 6)) for block, hatch, width, _ in sorted(found, key=lambda b: -b[3])]


def test_bars_are_as_long_as_blocks_moved_and_frozen_ones_share_a_row():
    assert bars(show.weight_movement(START, LEARNT)) == [
        ("stem to block0", "", 0.0),
        ("block5", "", round(0.1 / np.sqrt(2), 6)),
        ("head", "", 0.2),
        ("classifier", "", 0.5),
    ]


def test_statistics_have_bars_of_their_own_that_differ_in_more_than_colour():
    picture = show.weight_movement(START, GATHERED)
    block5 = [bar for bar in bars(picture) if bar[0] == "block5"]
    assert [width for _, _, width in block5] == [round(0.1 / np.sqrt(2), 6), 0.25]
    assert len({hatch for _, hatch, _ in block5}) == 2
    (legend,) = picture.figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["weights", "BatchNorm statistics"]


def test_only_statistics_that_moved_are_seen_to():
    picture = show.weight_movement(START, moved(block5_expand_bn__moving_mean=0.25))
    assert [bar[2] for bar in bars(picture) if bar[0] == "block5"] == [0.0, 0.25]
    assert picture.figure.axes[0].get_xlim()[1] > 0.25


def test_statistics_that_stood_still_are_said_in_words():
    picture = show.weight_movement(START, LEARNT)
    assert picture.figure.axes[0].get_xlabel().endswith("BatchNorm statistics stood still")
    assert not picture.figure.legends
    without = {name: value for name, value in START.items() if "moving" not in name}
    picture = show.weight_movement(without, without)
    assert picture.figure.axes[0].get_xlabel() == "‖w - w₀‖ / ‖w₀‖"
    assert "statistics" not in picture.alt


def test_the_words_of_a_movement_carry_the_numbers():
    assert show.weight_movement(START, LEARNT).alt == (
        "How far each block moved, relative to its length at the start. Weights: stem to block0 0, "
        "block5 7.1%, head 20%, classifier 50%. BatchNorm statistics stood still."
    )
    assert "BatchNorm statistics: block5 25%." in show.weight_movement(START, GATHERED).alt
    assert show.weight_movement(START, LEARNT, title="AdaBN").alt.startswith("AdaBN, relative")
    assert show.weight_movement(START, LEARNT, alt="Mine.").alt == "Mine."


def test_what_began_at_zero_is_as_long_as_the_longest_and_says_so():
    start = {**START, "classifier/kernel": np.zeros(4)}
    picture = show.weight_movement(start, {**LEARNT, "classifier/kernel": np.ones(4)})
    assert bars(picture)[-1] == ("classifier", "", 0.2)
    assert picture.figure.axes[0].texts[-1].get_text() == "from zero"
    assert "classifier from zero" in picture.alt


def test_nothing_moved():
    picture = show.weight_movement(START, moved())
    assert bars(picture) == [("stem to classifier", "", 0.0)]
    assert "stem to classifier 0." in picture.alt


def test_other_groups():
    blocks = [bar[0] for bar in bars(show.weight_movement(START, LEARNT, block_of=str))]
    assert blocks == ["stem to block0_expand", "block5_expand", "block5_expand_bn", "head_conv", "classifier"]


@pytest.mark.parametrize("weights", [LEARNT, GATHERED, moved(), moved(stem__kernel=2.0)])
def test_text_of_movements_stays_inside(weights):
    inside_and_apart(show.weight_movement(START, weights).figure)


def test_text_of_a_whole_network_stays_inside():
    names = ["stem", *(f"block{k}" for k in range(16)), "head", "classifier"]
    start = {f"{name}_bn/{what}": np.ones(3) for name in names for what in ("gamma", "moving_mean")}
    far = {name: value * (1.8 if "gamma" in name else 2.0) for name, value in start.items()}
    inside_and_apart(show.weight_movement(start, far).figure)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, "different names, 8 in all"),
        ({**START, "classifier/bias": np.zeros(3)}, r"classifier/bias has shape \(2,\) at the start"),
        ({**START, "stem/kernel": np.full(4, np.nan)}, "stem/kernel holds NaN"),
    ],
)
def test_weights_that_cannot_be_compared(weights, said):
    with pytest.raises(BadInput, match=said):
        show.weight_movement(START, weights)
