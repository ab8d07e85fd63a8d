"""Grids show the examples asked for, with what was said of them."""

import numpy as np
import pytest

from course_lib import show, tasks
from course_lib.errors import BadInput


def shown(picture):
    return [axes for axes in picture.figure.axes if axes.images]


def test_labels_stand_above_their_own_pictures(split):
    axes = shown(show.pictures(split, rows=2, columns=3))
    assert len(axes) == 6
    for panel in axes:
        (row,) = [k for k in range(len(split)) if np.array_equal(split.x[k], panel.images[0].get_array())]
        assert panel.get_title() == split.class_names[split.y[row]]


def test_wrong_predictions_have_a_sign_and_a_frame(split):
    predictions = np.zeros(len(split), int)
    panels = shown(show.pictures(split, rows=4, columns=6, predictions=predictions))
    wrong = [axes for axes in panels if axes.get_title().startswith("✗ cat\n(is dog)")]
    assert len(wrong) == 12
    assert all(len(axes.patches) == 1 for axes in wrong)
    assert sum(axes.get_title() == "✓ cat" and not axes.patches for axes in panels) == 12


@pytest.mark.parametrize(("only", "sign"), [("wrong", "✗"), ("right", "✓")])
def test_only_some_predictions(split, only, sign):
    predictions = split.y.copy()
    predictions[:5] = 1 - predictions[:5]
    picture = show.pictures(split, rows=1, columns=4, predictions=predictions, only=only)
    assert [axes.get_title()[0] for axes in shown(picture)] == [sign] * 4
    assert ("taken for" in picture.alt) == (only == "wrong")


def test_few_examples_make_a_small_grid(split):
    picture = show.pictures(split.take(np.arange(3)), rows=4, columns=2)
    assert len(picture.figure.axes) == 4
    assert len(shown(picture)) == 3


def test_the_seed_decides(split):
    first, again, other = (show.pictures(split, seed=seed).png for seed in (0, 0, 1))
    assert first == again != other


def test_groups_are_rows_with_names(split):
    picture = show.pictures_by({"day": split, "night": split}, columns=3)
    assert len(shown(picture)) == 6
    assert [axes.texts[0].get_text() for axes in picture.figure.axes if axes.texts] == ["day", "night"]
    assert "day: " in picture.alt and "night: " in picture.alt


def test_large_grey_pictures_are_averaged_and_light(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    test = tasks.solar_cells("mono").test
    picture = show.pictures(test, predictions=1 - test.y)
    assert len(picture.png) < 150_000
    panel = shown(picture)[0].images[0]
    assert panel.get_array().shape == (150, 150)
    assert panel.get_clim() == (0, 255), "a stretched grey scale would hide dark cells"
    row = np.random.default_rng(0).permutation(len(test))[0]
    expected = test.x[row, :2, :2, 0].astype(float).mean()
    assert abs(float(panel.get_array()[0, 0]) - expected) <= 0.5


def test_bad_input(split):
    with pytest.raises(BadInput, match="3 predictions for 24"):
        show.pictures(split, predictions=np.zeros(3))
    with pytest.raises(BadInput, match="without predictions"):
        show.pictures(split, only="wrong")
    with pytest.raises(BadInput, match="no prediction is wrong"):
        show.pictures(split, predictions=split.y, only="wrong")
    with pytest.raises(BadInput, match="only='rong'"):
        show.pictures(split, predictions=split.y, only="rong")
    with pytest.raises(BadInput, match="no examples"):
        show.pictures(split.take(np.array([], int)))
    with pytest.raises(BadInput, match="No group"):
        show.pictures_by({})
