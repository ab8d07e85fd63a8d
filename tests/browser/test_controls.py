"""Each kind of control answers to mouse and keyboard; one that is disconnected is found out."""

from __future__ import annotations

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import SEEN
from tests.browser.notebook import choose, drag, drop, follows

CELL = "controls"
SOURCE = """import numpy as np
from matplotlib.figure import Figure

from course_lib import show


def draw(size, against, fair, sentence, picture):
    figure = Figure(figsize=(4, 1))
    told = f"{size}|{against}|{fair}|{sentence}|{picture.shape[1]} wide"
    figure.text(0.02, 0.5, told)
    return show.Picture(figure, told)


trial = show.explore(
    draw,
    size=[10, 20, 50, 100, 200],
    against=["scratch", "means"],
    fair=True,
    sentence="I like tea",
    picture=show.Upload(np.zeros((20, 30, 3), np.uint8)),
    start={"size": 50},
)
trial"""
DISCONNECT = "for control in trial.controls.values(): control.unobserve_all('value')"


@pytest.fixture(scope="module")
def book(lab, opened):
    """A small notebook with every kind of control, run."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    made.cells = [nbformat.v4.new_code_cell(SOURCE, id=CELL)]
    path = lab.clone / "mine" / "controls.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(made, path)
    found = opened("mine/controls.ipynb").run_all()
    assert not found.errors()
    return found


@pytest.fixture(autouse=True)
def as_at_first(book):
    """Run the cell anew: every control is connected and at its start."""
    book.run_cell(CELL)
    expect(book.figure(CELL)).to_have_attribute("alt", "50|scratch|True|I like tea|30 wide")


def write(book, sentence):
    """Type into the box, and press Enter."""
    box = book.cell(CELL).get_by_label("sentence")
    box.fill(sentence)
    box.press("Enter")


def test_a_slider_is_dragged_and_the_figure_follows(book):
    follows(book, CELL, lambda: drag(book, CELL, 90))
    book.picture(SEEN / "lab" / "controls.png", CELL)


def test_a_slider_is_moved_by_keyboard(book):
    handle = book.cell(CELL).get_by_role("slider", name="size")
    expect(handle).to_have_attribute("aria-valuetext", "50")
    handle.focus()
    assert follows(book, CELL, lambda: book.page.keyboard.press("ArrowRight")).startswith("100|")
    expect(handle).to_have_attribute("aria-valuetext", "100")
    assert follows(book, CELL, lambda: book.page.keyboard.press("ArrowLeft")).startswith("50|")
    expect(handle).to_be_focused()


def test_every_control_is_reached_by_tab_in_both_directions(book):
    cell, keys = book.cell(CELL), book.page.keyboard
    controls = [
        cell.get_by_role("slider"),
        cell.get_by_label("against"),
        cell.get_by_label("fair"),
        cell.get_by_label("sentence"),
        cell.get_by_role("button", name="picture"),
    ]
    for key, order in (("Tab", controls), ("Shift+Tab", controls[::-1])):
        order[0].focus()
        for control in order[1:]:
            keys.press(key)
            expect(control).to_be_focused()


def test_a_choice_a_tick_and_a_chinese_sentence_are_followed(book):
    cell = book.cell(CELL)
    assert "|means|" in follows(book, CELL, lambda: cell.get_by_label("against").select_option("means"))
    assert "|False|" in follows(book, CELL, lambda: cell.get_by_label("fair").uncheck())
    assert "|我喜欢喝茶。|" in follows(book, CELL, lambda: write(book, "我喜欢喝茶。"))


def test_a_picture_of_ones_own_is_taken_and_what_is_none_says_so(book, tmp_path):
    Image.new("RGB", (44, 33), "teal").save(tmp_path / "mine.png")
    (tmp_path / "letter.png").write_text("Dear network")
    assert follows(book, CELL, lambda: choose(book, CELL, tmp_path / "mine.png")).endswith("|44 wide")
    choose(book, CELL, tmp_path / "letter.png")
    said = book.cell(CELL).locator(".carryover-drawing [role=alert]")
    expect(said).to_contain_text("letter.png is not a picture that can be read")


def test_a_picture_is_dropped(book, tmp_path):
    Image.new("RGB", (55, 33), "teal").save(tmp_path / "mine.png")
    assert follows(book, CELL, lambda: drop(book, CELL, tmp_path / "mine.png")).endswith("|55 wide")
    Image.new("RGB", (66, 33), "teal").save(tmp_path / "another.png")
    assert follows(book, CELL, lambda: choose(book, CELL, tmp_path / "another.png")).endswith("|66 wide")


def test_disconnected_controls_are_found_out(book):
    book.ask_kernel(DISCONNECT)
    with pytest.raises(AssertionError, match="src"):
        follows(book, CELL, lambda: drag(book, CELL, 90), seconds=2)
    with pytest.raises(AssertionError, match="src"):
        follows(book, CELL, lambda: write(book, "我喜欢喝茶。"), seconds=2)
