"""The benchmark's arithmetic and its output; speeds themselves are not asserted."""

from __future__ import annotations

import json
import time

import pytest

from course_lib import bench
from course_lib.bench import comparisons, figures, planner
from course_lib.errors import BadInput, CourseError
from course_lib.methods import speed


def test_alternates_and_divides_pair_by_pair() -> None:
    order = []

    def slow() -> None:
        order.append("rival")
        time.sleep(0.02)

    pairs = bench.alternate(lambda: order.append("ours"), slow, 4)
    assert order == ["ours", "rival", "rival", "ours"] * 2
    median, low, high = pairs.times_faster
    assert 1 < low <= median <= high


def test_work_of_a_known_network() -> None:
    """Three layers, counted by hand."""
    import keras

    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(5, 3, strides=2, padding="same")(x)
    y = keras.layers.DepthwiseConv2D(3, padding="same")(y)
    y = keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(y))
    by_hand = 2 * (9 * 3 * 5 * 16 + 9 * 5 * 16 + 5 * 7)
    assert comparisons.work_per_image(keras.Model(x, y)) == by_hand


def test_figures_of_other_comparisons_on_this_machine_are_kept(tmp_path) -> None:
    path, order = tmp_path / "results" / "bench.json", ["a", "b"]
    old = [figures.Figure("b", "kept", 1.0, "s"), figures.Figure("a", "replaced", 2.0, "s")]
    assert figures.join_kept(old, path, order) == old[::-1]
    new = figures.Figure("a", "new", 3.0, "s")
    assert figures.join_kept([new], path, order) == [new, old[0]]
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"cores": content["cores"] + 1}))
    assert figures.join_kept([new], path, order) == [new]
    assert len(json.loads(path.read_text())["figures"]) == 1


def test_writes_json_and_the_readme(tmp_path) -> None:
    figure = bench.Figure(
        "a", "speed", 12.3, "s", "the usual way", 10.0, 9.0, 11.0, 0.8, 0.79, "10 ×", "a note"
    )
    content = json.loads(bench.to_json([figure]))
    assert content["figures"][0]["ratio"] == 10.0
    assert "numpy" in content["versions"]
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{figures.BEGIN}\nold\n{figures.END}\nbelow\n")
    bench.write_readme([figure], readme)
    text = readme.read_text()
    assert (
        "| speed | 12.3 s, accuracy 80.0% | 10.0 [9.0, 11.0] × the usual way, accuracy 79.0% | 10 × |" in text
    )
    assert "old" not in text
    assert text.startswith("above") and text.endswith("below\n")
    bench.write_readme([figure], readme)
    assert readme.read_text() == text
    readme.write_text("no place")
    with pytest.raises(CourseError, match="no place for the table"):
        bench.write_readme([figure], readme)


def test_an_unknown_comparison_lists_the_known() -> None:
    with pytest.raises(BadInput, match="features"):
        bench.main(["speed"])


@pytest.mark.parametrize("name", list(bench.COMPARISONS))
def test_every_comparison_runs(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    # the planner measures the machine first: here for the one cut and the sizes that its quick run needs
    monkeypatch.setattr(speed, "CUTS", (planner.SETTINGS[0][1],))
    monkeypatch.setattr(speed, "_SIZES", (64, 96))
    monkeypatch.setattr(speed, "_VERSION", "test")
    path = tmp_path / "bench.json"
    assert bench.main([name], json_path=path, quick=True) == 0
    found = json.loads(path.read_text())["figures"]
    assert found
    assert all(figure["value"] > 0 for figure in found)
    for figure in found:
        if figure["ratio"] is not None:
            assert 0 < figure["low"] <= figure["ratio"] <= figure["high"]
