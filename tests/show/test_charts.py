"""Charts draw as many marks as numbers were given, and say the numbers in words."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import show
from course_lib.errors import BadInput
from course_lib.measure.report import Interval
from course_lib.show import charts


def curve(name, values, sizes=(50, 100, 1000)):
    points = {n: Interval(v, v - 0.02, v + 0.02) for n, v in zip(sizes, values, strict=True)}
    return SimpleNamespace(name=name, metric="balanced_accuracy", sizes=sizes, interval=points.__getitem__)


SCORES = {"majority": Interval(0.5, 0.5, 0.5), "probe": Interval(0.84, 0.81, 0.87)}


def texts(axes):
    return [t.get_text() for t in axes.texts]


def test_learning_curve_draws_each_curve_with_its_band():
    picture = show.learning_curve(curve("probe", (0.5, 0.61, 0.83)), curve("cnn", (0.1, 0.2, 0.3)))
    (axes,) = picture.figure.axes
    assert [line.get_label() for line in axes.lines] == ["probe", "cnn"]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [(50, 0.5), (100, 0.61), (1000, 0.83)])
    assert len(axes.collections) == 2
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.48)
    assert band[:, 1].max() == pytest.approx(0.85)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["50", "100", "1,000"]
    assert axes.get_ylabel() == "balanced accuracy"
    assert "probe goes from 50% at 50 labels to 83% at 1,000" in picture.alt
    assert "cnn goes from 10%" in picture.alt


def test_curves_differ_in_more_than_colour():
    picture = show.learning_curve(*(curve(str(k), (0.1, 0.2, 0.3)) for k in range(6)))
    lines = picture.figure.axes[0].lines
    assert len({line.get_marker() for line in lines}) == 6
    assert len({str(line._dash_pattern) for line in lines}) == 6


@pytest.mark.parametrize("name", ["guessing", "majority"])
def test_the_reference_is_named_as_asked(name):
    bars = show.bars(SCORES, reference=0.5, reference_name=name)
    lines = show.learning_curve(curve("probe", (0.5, 0.6, 0.8)), reference=0.5, reference_name=name)
    assert f"{name} 50%" in texts(bars.figure.axes[0])
    assert f"{name} 50%" in texts(lines.figure.axes[0])


def test_bars_have_the_values_and_intervals_given():
    picture = show.bars(SCORES, title="Test")
    (axes,) = picture.figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.84]
    assert texts(axes) == ["50%", "84%"]
    assert list(axes.lines[0].get_xdata()) == [0.81, 0.87]  # "majority" has no interval to draw
    assert "probe 84% (95% interval 81% to 87%)" in picture.alt


def test_shares_counts_classes(split):
    picture = show.shares(split.take(np.array([0, 2, 4, 1])))
    assert [bar.get_width() for bar in picture.figure.axes[0].patches] == [3, 1]
    assert "cat 3 (75%); dog 1 (25%)" in picture.alt


@pytest.mark.parametrize("k", [2, 10])
@pytest.mark.parametrize("methods", [2, 5])
def test_recall_has_one_mark_per_class_and_method(make_report, k, methods):
    counts = np.full((k, k), 1) + np.diag(np.arange(1, k + 1) * 10)
    names = [f"class {i}" for i in range(k)]
    picture = show.recall_per_class({f"m{i}": make_report(counts, names) for i in range(methods)})
    lines = picture.figure.axes[0].lines
    assert len(lines) == methods
    for line in lines:
        np.testing.assert_allclose(line.get_xdata(), np.diag(counts) / counts.sum(axis=1))
    heights = np.stack([line.get_ydata() for line in lines])
    assert np.all(np.diff(heights, axis=0) < 0), "equal marks must not hide each other"
    assert picture.alt.count("class 0 ") == methods


def test_of_several_reports_recall_is_the_mean(make_report):
    one, two = (make_report([[a, 10 - a], [5, 5]], ("good", "bad")) for a in (4, 8))
    picture = show.recall_per_class({"probe": [one, two], "first": one})
    several, single = (line.get_xdata() for line in picture.figure.axes[0].lines)
    np.testing.assert_allclose(several, [0.6, 0.5])
    np.testing.assert_allclose(single, [0.4, 0.5])
    assert "probe: good 60%, bad 50%" in picture.alt
    with pytest.raises(BadInput):
        show.recall_per_class({"probe": []})


def test_confusion_shows_shares_of_rows(make_report):
    picture = show.confusion(make_report([[83, 17], [58, 142]], ("good", "bad")))
    (axes,) = picture.figure.axes
    assert texts(axes) == ["83", "17", "29", "71"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.83, 0.17], [0.29, 0.71]])
    assert "good 83%, bad 71%" in picture.alt
    assert "29% of bad are taken for good" in picture.alt


def test_confusion_of_a_class_without_examples_is_empty(make_report):
    report = make_report([[3, 1], [1, 1]], ("good", "bad"))
    report.confusion = np.array([[4, 0], [0, 0]])
    assert texts(show.confusion(report).figure.axes[0]) == ["100"]


def test_tradeoff_labels_each_choice():
    points = {"64 px": (1.1, Interval(0.66, 0.64, 0.68)), "224 px": (11.0, Interval(0.88, 0.87, 0.89))}
    picture = show.tradeoff(points, x="ms", y="accuracy")
    assert texts(picture.figure.axes[0]) == ["64 px", "224 px"]
    assert len(picture.figure.axes[0].lines) == 1 + 2 * 2
    assert "224 px: 11 ms, 88%" in picture.alt


def test_names_of_near_points_lie_apart(monkeypatch):
    near = {f"blur {k}": (0.15 + k / 100, Interval(0.67 + k / 1000, 0.6, 0.74)) for k in range(4)}

    def overlap():
        axes = show.tradeoff(near, x="distance", y="accuracy").figure.axes[0]
        FigureCanvasAgg(axes.figure).draw()
        names = [name.get_window_extent() for name in axes.texts]
        return any(name.count_overlaps(names[k + 1 :]) for k, name in enumerate(names))

    assert not overlap()
    monkeypatch.setattr(charts, "_BESIDE", charts._BESIDE[:1])
    assert overlap()


def test_own_words_replace_the_written_ones():
    assert show.bars(SCORES, alt="Two bars.").alt == "Two bars."


def test_text_stays_inside_and_apart(make_report):
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    report = make_report(np.eye(10, dtype=int) * 90 + 1, names, "linear probe on frozen features")
    two = make_report([[9, 1], [2, 8]], ("functional", "defective"), "linear probe")
    drawn = [
        show.bars(SCORES, title="Test accuracy of all", reference=0.1),
        show.confusion(report),
        show.confusion(two),
        show.recall_per_class({f"method number {k}": two for k in range(5)}),
        show.learning_curve(curve("probe", (0.5, 0.6, 0.8)), title="CIFAR-10"),
        show.transfer_steps(),
    ]
    for picture in drawn:
        figure = picture.figure
        FigureCanvasAgg(figure).draw()
        boxes = [
            t.get_window_extent()
            for axes in figure.axes
            for t in (*axes.texts, axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)
            if t.get_text().strip() and t.get_visible()
        ]
        assert boxes
        for k, box in enumerate(boxes):
            assert box.x0 >= 0 and box.y0 >= 0, picture.alt
            assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, picture.alt
            assert not any(box.overlaps(other) for other in boxes[:k]), picture.alt


@pytest.mark.parametrize(
    "draw",
    [
        lambda: show.learning_curve(),
        lambda: show.bars({}),
        lambda: show.tradeoff({}, x="", y=""),
        lambda: show.recall_per_class({}),
    ],
)
def test_nothing_to_draw_is_said(draw):
    with pytest.raises(BadInput):
        draw()
    assert not plt.get_fignums()


def test_unlike_reports_and_unreadable_matrices_are_refused(make_report):
    a, b = make_report(np.eye(2), "ab"), make_report(np.eye(2), "ac")
    with pytest.raises(BadInput, match="2 different lists"):
        show.recall_per_class({"a": a, "b": b})
    with pytest.raises(BadInput, match="31 classes"):
        show.confusion(make_report(np.eye(31), [str(k) for k in range(31)]))


def test_a_plain_dict_is_a_curve_and_its_band_spans_the_seeds():
    plain = {"name": "probe", "sizes": [100, 10], "scores": {10: [0.2, 0.4], 100: [0.7, 0.8, 0.9]}}
    picture = show.learning_curve(plain, curve("cnn", (0.1, 0.2, 0.3)))
    axes = picture.figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [(10, 0.3), (100, 0.8)])
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.2, 0.9)
    assert "probe goes from 30% at 10 labels to 80% at 100" in picture.alt


@pytest.mark.parametrize(
    "wrong", [{"name": "probe", "sizes": [10]}, {"name": "probe", "sizes": [10], "scores": {10: []}}]
)
def test_a_curve_without_scores_is_refused(wrong):
    with pytest.raises(BadInput):
        show.learning_curve(wrong)


def test_classes_without_examples_are_said_not_shown_as_numbers(make_report):
    report = make_report([[3, 1], [1, 1]], ("good", "bad"))
    report.confusion, report.recall = np.array([[3, 1], [0, 0]]), np.array([0.75, np.nan])
    recall, matrix = show.recall_per_class({"probe": report}), show.confusion(report)
    assert "good 75%, bad without examples" in recall.alt
    assert "good 75%, bad without examples" in matrix.alt
    assert texts(recall.figure.axes[0]) == ["75%"]


def test_nothing_confused_is_said(make_report):
    assert show.confusion(make_report(np.eye(2, dtype=int), "ab")).alt.endswith("None is confused.")


def test_tick_labels_are_where_they_say():
    points = {"a": (1.0, Interval(0.285, 0.275, 0.30)), "b": (2.0, Interval(0.42, 0.40, 0.455))}
    axes = show.tradeoff(points, x="s", y="accuracy").figure.axes[0]
    axes.set_yticks([0.3, 0.325, 0.35])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["30%", "32.5%", "35%"]
