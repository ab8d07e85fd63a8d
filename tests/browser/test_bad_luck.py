"""What goes wrong in a learner's hands is told, and work goes on: kernels, pages, files, a second Lab."""

from __future__ import annotations

import json
import os
import re
import shutil

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SEEN, new_page
from tests.browser.notebook import Notebook
from tests.browser.server import Lab, copy_clone

GATE = """from pathlib import Path
import time

print("waits at the gate", flush=True)
while not Path("open").exists():
    time.sleep(0.05)
"""


class Gated:
    """Notebook 00 with a cell in its middle that runs until the gate is opened."""

    def __init__(self, lab, opened, name):
        self.folder = lab.clone / "mine" / name
        self.folder.mkdir(parents=True)
        path = shutil.copy2(lab.clone / "notebooks" / "00_start_here.ipynb", self.folder)
        self.book = opened(str(self.folder.relative_to(lab.clone) / "00_start_here.ipynb"))
        cells = json.loads((self.folder / path).read_text(encoding="utf-8"))["cells"]
        code = [cell["id"] for cell in cells if cell["cell_type"] == "code"]
        self.before, self.after = code[len(code) // 2 - 1 : len(code) // 2 + 1]
        self.book.insert("gate", GATE, before=self.after)

    def reach(self):
        """Run all, up to the gate."""
        self.book.begin_all()
        expect(self.book.output("gate")).to_contain_text("waits at the gate", timeout=60_000)
        assert self.book.cell(self.after).locator(".jp-InputPrompt").inner_text() == "[*]:"

    def open(self):
        (self.folder / "open").touch()

    def runs_whole(self):
        """Run all with the gate open: every cell ran, in order, without an error."""
        self.open()
        self.book.run_all()
        assert not self.book.errors()
        counts = self.book.counts()
        assert counts == list(range(counts[0], counts[0] + len(counts)))
        return counts[0]


@pytest.fixture
def gated(lab, opened, request):
    made = Gated(lab, opened, request.node.name)
    yield made
    made.open()
    made.book.close()


def test_kernel_restarted_in_the_middle(gated):
    gated.reach()
    gated.book.restart()
    assert gated.runs_whole() == 1, "a new kernel counts from 1"


def test_kernel_killed_in_mid_cell(gated):
    pid = int(gated.book.ask_kernel("import os; print(os.getpid())"))
    gated.reach()
    psutil.Process(pid).kill()
    told = gated.book.page.locator(".jp-Dialog")
    expect(told).to_contain_text("appears to have died. It will restart automatically.", timeout=30_000)
    gated.book.page.screenshot(path=SEEN / "lab" / "kernel_killed.png")
    told.get_by_role("button", name="Ok").click()
    gated.book.ready()
    assert gated.runs_whole() == 1


def test_browser_reloaded_in_mid_run(gated):
    gated.reach()
    gated.book.page.reload()
    gated.book.ready("busy", "unknown")  # it cannot answer who it is before its cell ends
    gated.open()
    gated.book.ready()
    assert gated.book.ask_kernel("print('report' in globals())") == "True", "the kernel did not go on"
    gated.runs_whole()


def test_a_notebook_that_was_saved_half_way(lab, context):
    whole = (lab.clone / "notebooks" / "14_outlook_and_questions.ipynb").read_text(encoding="utf-8")
    file = lab.clone / "mine" / "half" / "14_outlook_and_questions.ipynb"
    file.parent.mkdir(parents=True)
    file.write_text(whole[: len(whole) // 2], encoding="utf-8")
    page = new_page(context)
    book = Notebook(page, str(file.relative_to(lab.clone)))
    page.goto(lab.address(book.path, "half"))
    told = page.locator(".jp-Dialog")
    expect(told).to_contain_text("Unreadable Notebook", timeout=60_000)  # as notebook 00 names it
    page.screenshot(path=SEEN / "lab" / "half_saved.png")
    file.write_text(whole, encoding="utf-8")
    page.goto(lab.address(book.path, "whole"))
    book.ready()
    assert len(book.code_cells()) > 1
    book.close()


NEXT_DOOR = "14_outlook_and_questions"
MAP = "00-023"


@pytest.fixture
def second(lab):
    """A second Lab of the same learner on the same clone."""
    made = Lab(lab.clone, lab.home)
    yield made
    if made.process.poll() is None:
        made.interrupt()


def test_two_labs_at_once(lab, second, opened, context):
    start = opened("notebooks/00_start_here.ipynb").run_cell(MAP)
    row = start.output(MAP).locator("table.course-map tr", has=start.page.locator(f'a[href*="{NEXT_DOOR}"]'))
    expect(row).not_to_contain_text(re.compile("[1-9] of"))
    other = Notebook(new_page(context), f"notebooks/{NEXT_DOOR}.ipynb")
    other.open(second.address(other.path, "next-door")).run_cell(other.code_cells()[0])
    # what is done in one counts in the other
    expect(row).to_contain_text(re.compile("1 of [0-9]+ cells"), timeout=60_000)
    other.close()

    shutil.copytree(lab.clone / "notebooks", lab.clone / "mine" / "two", ignore=shutil.ignore_patterns("zh"))
    path = f"mine/two/{NEXT_DOOR}.ipynb"
    mine, theirs = opened(path), Notebook(new_page(context), path)
    theirs.open(second.address(path, "theirs"))
    key = mine.code_cells()[0]
    mine.write(key, "first = 1")
    mine.save()
    theirs.write(key, "second = 2")
    theirs.page.keyboard.press("ControlOrMeta+s")
    told = theirs.page.locator(".jp-Dialog")
    expect(told).to_contain_text("has changed on disk since", timeout=30_000)
    theirs.page.screenshot(path=SEEN / "lab" / "two_labs.png")
    told.get_by_role("button", name="Revert").click()
    theirs.page.wait_for_function(
        """([key, source]) => window.carryover.content.widgets
            .some(cell => cell.model.id === key && cell.model.sharedModel.source === source)""",
        arg=[key, "first = 1"],
    )
    theirs.close()

    assert second.interrupt() == 0
    assert mine.ask_kernel("print(6 * 7)") == "42", "the first goes on when the second has ended"


def without_write_permission():
    """Return what a command is started through so that modes of files bind it, as they bind other users."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


@pytest.fixture
def sealed(chromium, tmp_path, monkeypatch):
    """A Lab in a clone that cannot be written, with a cache that cannot either."""
    through = without_write_permission()
    if through and shutil.which(through[0]) is None:
        pytest.skip("root may write anywhere here, and setpriv, which would take that from it, is missing")
    clone, cache = copy_clone(tmp_path / "carryover"), tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(cache))
    places = [cache, clone, *clone.rglob("*")]
    modes = [place.stat().st_mode for place in places]
    for place, mode in zip(places, modes, strict=True):
        place.chmod(mode & 0o555)
    made = Lab(clone, tmp_path / "home", through=through)
    yield made
    made.end()
    for place, mode in zip(places, modes, strict=True):
        place.chmod(mode)
    assert not list(cache.iterdir())


def test_a_clone_and_a_cache_that_cannot_be_written(sealed, context):
    assert f"cp -r {sealed.clone} " in "".join(sealed.log)
    book = Notebook(new_page(context), "notebooks/00_start_here.ipynb")
    book.open(sealed.address(book.path, "sealed"))
    expect(book.page.get_by_text("notebook is read-only")).to_be_visible()
    book.run_all()
    assert not book.errors()
    assert book.counts() == list(range(1, len(book.counts()) + 1))
    told = book.told()
    assert f"{os.environ['COURSE_CACHE']} cannot be written" in told, "course doctor says so"
    assert "Features cannot be kept" in told, "and so does the encoder, which computes all the same"
    expect(book.output(MAP)).to_contain_text("1 of 15 notebooks run", timeout=60_000)
    book.page.keyboard.press("ControlOrMeta+s")
    expect(book.page.get_by_text(re.compile("is read-only. Use .Save as"))).to_be_visible()
    book.page.screenshot(path=SEEN / "lab" / "read_only.png")
    book.close()
