"""An exercise notebook in a learner's hands: not begun, wrong, solved; and notebook 00's bar moves."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SEEN
from tests.browser.server import ROOT

NAME = "02_concepts"
CHECKS = ["02-1-check", "02-2-check", "02-3-check"]
MAP = "00-023"
WRONG = """def place(p, source_classes, target_classes, source_labels, target_labels):
    return "ordinary"
"""
CONTRAST = """element => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number)
    const light = colour => {
        const linear = parts(colour).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
    let behind = element
    while ((parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement
    const both = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)]
    both.sort((one, other) => one - other)
    return (both[1] + 0.05) / (both[0] + 0.05)
}"""


def answers():
    """Return the source of each answer cell, as a learner would have written it."""
    cells = json.loads((ROOT / "solutions" / f"{NAME}.ipynb").read_text(encoding="utf-8"))["cells"]
    return {
        cell["id"]: re.sub(r"\n *### (BEGIN|END) SOLUTION", "", "".join(cell["source"]))
        for cell in cells
        if cell["id"].endswith("-answer")
    }


@pytest.fixture(scope="module")
def exercise(opened):
    return opened(f"exercises/{NAME}.ipynb")


@pytest.fixture(scope="module")
def start(opened):
    """Notebook 00 with the learner's own map."""
    book = opened("notebooks/00_start_here.ipynb")
    return book.run_cell(MAP)


def bar(start):
    """The map's bar of exercises."""
    return start.output(MAP).get_by_role("progressbar", name=re.compile("exercises solved"))


def card(book, key, status):
    """What a check shows, when it has this status."""
    return book.output(key).locator(f".carryover-check.carryover-{status}")


def test_its_tab_tells_it_from_the_notebook_of_that_name(exercise):
    expect(exercise.page.get_by_role("tab", name=f"Exercise: {NAME}.ipynb")).to_be_visible()


def test_untouched_every_check_says_not_begun(exercise):
    exercise.run_all()
    assert not exercise.errors()
    assert exercise.counts() == list(range(1, len(exercise.counts()) + 1))
    for key in CHECKS:
        expect(exercise.output(key).get_by_role("status")).to_contain_text("waits for your code")
        expect(card(exercise, key, "waiting")).to_contain_text("Not begun")
    assert exercise.complaints() == []


def test_a_wrong_answer_is_told_in_words(exercise):
    exercise.write("02-1-answer", WRONG)
    exercise.run_cell("02-1-answer")
    exercise.run_cell("02-1-check")
    shown = card(exercise, "02-1-check", "failing")
    expect(shown).to_contain_text("Not solved yet")
    expect(shown).to_contain_text("✗ ")
    expect(shown).to_contain_text(re.compile(r"Progress: 0 of \d+ exercises solved"))


def total(shown):
    """How many exercises there are, as a check tells it."""
    return re.search(r"Progress: \d+ of (\d+) exercises solved", shown.inner_text())[1]


def test_a_solved_exercise_turns_green_and_the_bar_moves(exercise, start):
    expect(bar(start)).to_have_attribute("value", "0")
    exercise.write("02-1-answer", answers()["02-1-answer"])
    exercise.run_cell("02-1-answer")
    exercise.run_cell("02-1-check")
    shown = card(exercise, "02-1-check", "solved")
    expect(shown).to_contain_text("✓ Solved")
    expect(shown).not_to_contain_text("✗")
    expect(shown).to_contain_text(re.compile(r"Progress: 1 of \d+ exercises solved"))
    assert green(shown)
    exercise.picture(SEEN / "lab" / "02_exercise_solved.png", "02-1-check")
    # the map in the other tab renews itself
    expect(bar(start)).to_have_attribute("value", "1", timeout=60_000)
    assert bar(start).get_attribute("max") == total(shown)
    row = start.output(MAP).locator("table.course-map tr", has=start.page.locator(f'a[href*="{NAME}"]'))
    expect(row).to_contain_text(f"1 / {len(CHECKS)}")
    start.picture(SEEN / "lab" / "00_bar_moved.png", MAP)


def green(shown):
    """Tell whether the sign of a check stands on green."""
    colour = shown.locator("span").first.evaluate("sign => getComputedStyle(sign).backgroundColor")
    red, middle, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return middle > 1.4 * max(red, blue)


def test_all_solved_by_run_all_and_a_map_that_was_closed_knows(exercise, start):
    for key, source in answers().items():
        exercise.write(key, source)
    exercise.run_all()
    assert not exercise.errors()
    for key in CHECKS:
        expect(card(exercise, key, "solved")).to_be_visible()
    start.page.reload()
    start.ready()
    start.run_cell(MAP)
    expect(bar(start)).to_have_attribute("value", "3")
    expect(start.output(MAP).locator("table.course-map")).to_contain_text(f"✓ {len(CHECKS)} / {len(CHECKS)}")


@pytest.fixture
def use_theme(exercise):
    """A function that chooses a theme; the learner's is light again at the end."""

    def choose(name):
        exercise.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        light = "false" if name.endswith("Dark") else "true"
        expect(exercise.page.locator("body")).to_have_attribute("data-jp-theme-light", light)

    yield choose
    choose("JupyterLab Light")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_checks_are_legible_in_both_themes(exercise, use_theme, theme):
    use_theme(theme)
    shown = card(exercise, CHECKS[0], "solved")
    for part in (shown.locator("span").first, shown.locator("b"), shown.locator("div")):
        assert part.evaluate(CONTRAST) >= 4.5
    exercise.picture(SEEN / "lab" / f"check_{theme.split()[1].lower()}.png", CHECKS[0])
