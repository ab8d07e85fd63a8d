"""A training is followed in one place that vanishes, and drawn afterwards from its history."""

import math
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course_lib import show
from course_lib.errors import BadInput
from course_lib.show import LiveTraining, Progress
from course_lib.show.vector import Panel

live_module = sys.modules[LiveTraining.__module__]
bar_module = sys.modules[Progress.__module__]

ACCURACY = (0.70, 0.82, 0.84, 0.83)
LOSS = (0.9, 0.6, 0.55, 0.5)
HISTORY = tuple(
    {
        "epoch": k + 1,
        "seconds": 10.0 + k,
        "loss": 1.2 / (k + 1),
        "validation_loss": LOSS[k],
        "validation_accuracy": ACCURACY[k],
    }
    for k in range(4)
)


class Recorder:
    def __init__(self):
        self.lines, self.cleared = [], 0

    def draw(self, text, share):
        self.lines.append((text, share))

    def clear(self):
        self.cleared += 1


@pytest.fixture
def surfaces(monkeypatch):
    made = []

    def make():
        made.append(Recorder())
        return made[-1]

    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr(bar_module, "_surface", make)
    monkeypatch.setattr(live_module, "_PATIENCE", 0.0)
    monkeypatch.setattr(live_module, "_EVERY", 0.0)
    return made


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(live_module.time, "monotonic", lambda: now.seconds)
    return now


def follow(history=HISTORY, epochs=6, **options):
    live = LiveTraining("fine-tuning", epochs, **options)
    for row in history:
        live.update(row)
    return live


def test_a_line_says_epoch_score_and_time_left(surfaces, clock):
    with LiveTraining("fine-tuning", 4) as live:
        clock.seconds += 5
        live.step(10, 40)
        assert surfaces[0].lines[-1] == (
            "fine-tuning: epoch 1 of 4, step 10 of 40, 75 s left, 5 s so far",
            pytest.approx(1 / 16),
        )
        clock.seconds += 15
        live.update({**HISTORY[0], "seconds": 20.0})
        text, share = surfaces[0].lines[-1]
        assert text == "fine-tuning: epoch 2 of 4, 60 s left, validation accuracy 70.0%, 20 s so far"
        assert share == 0.25
    assert surfaces[0].cleared == 1


def test_an_epoch_that_slows_down_lengthens_what_is_left(surfaces, clock):
    with LiveTraining("fine-tuning", 2) as live:
        live.update({"epoch": 1, "seconds": 4.0})
        live.phase("unfrozen to block8")
        clock.seconds += 10
        live.step(1, 2)
    assert "step 1 of 2, 10 s left" in surfaces[0].lines[-1][0]


def test_the_best_epoch_is_said_once_it_lies_behind():
    assert "best" not in follow(HISTORY[:3]).text(1)
    assert "validation accuracy 83.0%, best 84.0% (epoch 3)" in follow().text(1)
    assert "validation loss 0.5," in follow(best="validation_loss").text(1)
    tie = [{"epoch": e, "validation_accuracy": 0.5} for e in (1, 2, 3)]
    assert "best 50.0% (epoch 1)" in follow(tie).text(1), "the earliest of equals"
    losses = [{**row, "validation_loss": loss} for row, loss in zip(tie, (0.7, 0.6, 0.9), strict=True)]
    assert "best 50.0% (epoch 2)" in follow(losses).text(1), "of equal accuracies the lower loss"


def test_the_last_epoch_is_not_counted_beyond_the_end():
    assert follow(epochs=4).text(1).startswith("fine-tuning: epoch 4 of 4, ")
    assert follow(epochs=4).share == 1


def test_only_the_outermost_is_drawn(surfaces):
    with LiveTraining("outer", 2) as live:
        with Progress("features", 3) as bar:
            bar.update()
        with LiveTraining("inner", 2) as inner:
            inner.update(HISTORY[0])
        live.update(HISTORY[0])
    with Progress("seeds", 3), LiveTraining("inner", 2) as inner:
        inner.update(HISTORY[0])
    assert [len(surface.lines) for surface in surfaces] == [1, 0]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_failure_and_interruption_leave_nothing(surfaces, error):
    with pytest.raises(error), LiveTraining("doomed", 2) as live:
        live.update(HISTORY[0])
        raise error
    assert surfaces[0].cleared == 1
    assert live.history == HISTORY[:1]
    with LiveTraining("next", 2) as live:
        live.update(HISTORY[0])
    assert surfaces[1].lines


def test_silenced(surfaces, monkeypatch):
    with LiveTraining("hidden", 2, visible=False) as live:
        live.update(HISTORY[0])
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    with LiveTraining("quiet", 2) as live:
        live.update(HISTORY[0])
    assert not surfaces
    assert live.history == HISTORY[:1]


def test_drawn_at_most_once_a_second(surfaces, clock, monkeypatch):
    monkeypatch.setattr(live_module, "_EVERY", 1.0)
    monkeypatch.setattr(live_module, "_PATIENCE", 0.5)
    with LiveTraining("fine-tuning", 1) as live:
        for k in range(1000):
            live.step(k, 1000)
            clock.seconds += 0.01
    assert 9 <= len(surfaces[0].lines) <= 11


def test_a_figure_costs_far_less_than_a_hundredth_of_a_second(surfaces):
    live = follow(
        [{**HISTORY[0], "epoch": e, "validation_accuracy": e / 99} for e in range(1, 99)], epochs=99
    )
    drawn = min(_seconds(lambda: live.html(live.text(60.0))) for _ in range(5))
    compared = min(_seconds(lambda: show.training(live.history)) for _ in range(2))
    assert drawn < compared / 10


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def elements(html):
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.DOTALL)[0])
    return [(e.tag.rpartition("}")[2], e) for e in svg.iter()]


def test_the_figure_holds_every_point_the_rings_and_the_phases():
    live = follow(HISTORY[:2])
    live.phase("unfrozen to <block8>")
    live.update(HISTORY[2])
    found = elements(live.html(live.text(3.0)))
    words = [e.text for tag, e in found if tag == "text"]
    assert {"loss", "validation accuracy", "training", "validation", "unfrozen to <block8>"} <= set(words)
    circles = [e for tag, e in found if tag == "circle"]
    rings = [e for e in circles if e.get("r") == "8"]
    assert len(rings) == 2, "best epoch, in the loss and in the accuracy"
    assert len(circles) - len(rings) == 2 * 3 + 1, "validation points and one in the legend"
    assert sum(tag == "rect" for tag, _ in found) == 3 + 1
    assert sum(e.get("stroke-dasharray") == "2 2" for _, e in found) == 2
    svg = found[0][1]
    assert svg.get("role") == "img"
    assert "validation accuracy 84.0%" in svg.get("aria-label")


def test_points_lie_where_the_numbers_say():
    panel = Panel("loss", (0.0, 10.0))
    panel.line([0, 5, 10], [1.0, 2.0, 3.0], 0)
    path = re.search(r'<path d="M([^"]*)" fill="none" stroke="#0072B2"', panel.svg())[1]
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, p.split())) for p in path.split("L")]
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert y0 > y1 > y2, "upwards"


def test_a_loss_of_nan_leaves_a_gap_and_no_score_no_ring():
    rows = [{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": None}, {"epoch": 3, "loss": 0.5}]
    html = follow(rows).html("words")
    assert "nan" not in html.lower()
    assert 'r="8"' not in html


def test_two_phases_at_one_epoch_share_a_mark():
    live = follow(HISTORY[:1])
    live.phase("block8")
    live.phase("half the learning rate")
    assert live.phases == {2: "block8, half the learning rate"}


@pytest.mark.parametrize("epochs", [[2, 1], [1, 1], [0.5], [None]])
def test_epochs_must_rise(epochs):
    live = LiveTraining("fit", 3)
    with pytest.raises(BadInput, match="whole numbers that rise"):
        for epoch in epochs:
            live.update({"epoch": epoch})
    with pytest.raises(BadInput, match="whole numbers that rise"):
        show.training([{"epoch": epoch} for epoch in epochs])


def test_what_cannot_be_followed():
    with pytest.raises(BadInput, match="epochs=0"):
        LiveTraining("fit", 0)
    with pytest.raises(BadInput, match="best='loss'"):
        LiveTraining("fit", 1, best="loss")


KERNEL = """
import sys, time
from course_lib.show import LiveTraining, Progress
with LiveTraining("fine-tuning", 3) as live:
    for epoch in (1, 2):
        time.sleep(0.6)
        with Progress("inner", 2) as bar:
            bar.update()
        live.update({"epoch": epoch, "loss": 1 / epoch, "validation_accuracy": 0.5, "seconds": 0.6})
        time.sleep(0.6)
        live.step(1, 2)
    ending()
print("matplotlib" in sys.modules)
"""
ENDINGS = {"ends": "ending = list", "is interrupted": "def ending(): raise KeyboardInterrupt"}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_saved_notebook_holds_no_live_figure(monkeypatch, how):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    notebook = new_notebook(cells=[new_code_cell(ENDINGS[how]), new_code_cell(KERNEL)])
    seen, kinds = [], set()

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                seen.append(msg["content"]["data"])
                kinds.add((msg["msg_type"], msg["content"]["transient"]["display_id"]))
            return super().process_message(msg, cell, cell_index)

    Client(notebook, kernel_name="python3", timeout=120, allow_errors=True).execute()
    shown, last = seen[:-1], seen[-1]
    assert any("<svg" in data["text/html"] for data in shown)
    assert all(data["text/plain"].startswith("fine-tuning: ") for data in shown)
    assert last == {}
    assert len({display for _, display in kinds}) == 1, "one place, updated"
    (left,) = [output for output in notebook.cells[1].outputs if output.get("data") != {}]
    if how == "ends":
        assert left.text == "False\n", "drawn without matplotlib"
    else:
        assert left.ename == "KeyboardInterrupt"


def test_live_training_needs_no_matplotlib():
    program = "import sys; from course_lib.show import LiveTraining; LiveTraining('fit', 1).text(1.0)"
    program += "; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def rings(axes):
    return [line for line in axes.lines if line.get_markersize() == 13]


def test_one_fit_has_its_numbers_and_its_best_epoch():
    picture = show.training(HISTORY, title="Fine-tuning")
    losses, accuracy = picture.figure.axes
    np.testing.assert_allclose(lines(losses)["training"].get_ydata(), [1.2, 0.6, 0.4, 0.3])
    np.testing.assert_allclose(lines(losses)["validation"].get_ydata(), LOSS)
    np.testing.assert_allclose(lines(accuracy)["validation"].get_xydata(), list(enumerate(ACCURACY, 1)))
    assert [tuple(ring.get_xydata()[0]) for ring in rings(accuracy)] == [(3, 0.84)]
    assert [tuple(ring.get_xydata()[0]) for ring in rings(losses)] == [(3, 0.55)]
    assert picture.alt == (
        "Training curves. 4 epochs, training loss from 1.2 to 0.3, validation loss from 0.9 to 0.5, "
        "validation accuracy from 70.0% to 83.0%, best validation accuracy 84.0% at epoch 3."
    )
    colours = {line.get_color() for line in lines(losses).values()}
    styles = {line._dash_pattern[1] is None for line in lines(losses).values()}
    assert len(colours) == len(styles) == 2


def test_the_lowest_loss_can_be_the_best():
    losses, _ = show.training(HISTORY, best="validation_loss").figure.axes
    assert [tuple(ring.get_xydata()[0]) for ring in rings(losses)] == [(4, 0.5)]


def test_several_fits_by_seconds_and_classifiers_with_a_history():
    tuned = SimpleNamespace(history=HISTORY[:2])
    picture = show.training({"probe first": HISTORY, "random head": tuned}, against="seconds")
    losses, accuracy = picture.figure.axes
    np.testing.assert_allclose(lines(accuracy)["probe first"].get_xdata(), [10, 21, 33, 46])
    np.testing.assert_allclose(lines(accuracy)["random head"].get_xdata(), [10, 21])
    assert {line.get_marker() for line in lines(accuracy).values()} == {"o", "s"}
    assert len(losses.lines) == 2 * 2 + 2
    assert accuracy.get_xlabel() == "seconds"
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["probe first", "random head"]
    assert "probe first: 4 epochs" in picture.alt and "random head: 2 epochs" in picture.alt


def test_phases_are_lines_before_their_epoch():
    for against, place in (("epoch", 2.5), ("seconds", 21.0)):
        picture = show.training(HISTORY, phases={3: "unfrozen to block8"}, against=against)
        _, accuracy = picture.figure.axes
        assert any(list(line.get_xdata()) == [place, place] for line in accuracy.lines)
        assert [text.get_text() for text in accuracy.texts] == ["unfrozen to block8"]
        assert picture.alt.endswith("From epoch 3: unfrozen to block8.")


def test_a_fit_without_validation_shows_its_loss_alone():
    picture = show.training([{"epoch": 1, "loss": 0.5}])
    assert [len(axes.lines) for axes in picture.figure.axes] == [1, 0]
    assert picture.alt == "Training curves. 1 epoch, training loss from 0.5 to 0.5."


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ((), {}, "no epoch"),
        ({}, {}, "No fit was given"),
        ({"plain": ()}, {}, "history of plain has no epoch"),
        (HISTORY, {"against": "minutes"}, "against='minutes'"),
        (HISTORY, {"best": "accuracy"}, "best='accuracy'"),
        ([{"epoch": 1, "loss": 1.0}], {"against": "seconds"}, "do not say their seconds"),
    ],
)
def test_what_cannot_be_drawn(given, options, said):
    with pytest.raises(BadInput, match=said):
        show.training(given, **options)
