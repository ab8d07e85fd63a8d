"""`course lab` opens on notebook 00, leads on from there, and is gone after Ctrl-C."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SEEN, new_page
from tests.browser.notebook import Notebook
from tests.browser.server import Lab, copy_clone

START = "notebooks/00_start_here.ipynb"
TO_THE_END = """one => new Promise(done => {
    one.scrollTop = one.scrollHeight
    requestIdleCallback(() => done(one.scrollHeight))
})"""


@pytest.fixture(scope="module")
def start(lab, context):
    """The address that the command tells, opened."""
    page = new_page(context)
    page.goto(lab.url)
    book = Notebook(page, START).ready()
    yield book
    book.close()


def test_notebook_00_is_in_front_with_its_contents_beside_it(start):
    tab = start.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current")
    expect(tab).to_have_text(re.compile("00_start_here"))
    contents = start.page.locator(".jp-TableOfContents-content").first
    expect(contents).to_be_visible()
    expect(contents.get_by_text("In short")).to_be_visible()
    start.picture(SEEN / "lab" / "00_opened.png")


def test_its_end_is_its_last_cell_and_no_blank_page(start):
    outer = start.page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer")
    before, height = -1, 0
    while height != before:  # cells get their heights as they come into view
        before, height = height, outer.evaluate(TO_THE_END)
    expect(start.page.get_by_role("heading", name="Sources").last).to_be_in_viewport()
    outer.evaluate("one => { one.scrollTop = 0 }")


def test_the_kernel_is_found_without_a_question(start):
    expect(start.page.locator(".jp-Dialog")).to_have_count(0)
    expect(start.page.locator(".jp-Toolbar-kernelName")).to_have_text(re.compile("Carryover"))


def test_what_is_only_opened_counts_as_saved(start):
    assert not start.page.evaluate("() => window.carryover.context.model.dirty")
    expect(start.page.locator(".lm-TabBar-tab.lm-mod-current.jp-mod-dirty")).to_have_count(0)


def test_run_all_of_00_ends_without_an_error(start):
    start.run_all()
    assert not start.errors()
    assert start.counts() == list(range(1, len(start.counts()) + 1))
    assert start.complaints() == []
    start.picture(SEEN / "lab" / "00_run.png", start.code_cells()[0])


def test_a_link_of_the_map_opens_its_notebook(start):
    link = start.page.locator("table.course-map a", has_text="Background").first
    link.click()
    other = Notebook(start.page, "notebooks/01_background.ipynb").ready()
    expect(other.page.locator(".lm-TabBar-tab.lm-mod-current", has_text="01_background")).to_be_visible()


def test_chinese_in_a_formula_is_drawn_in_the_font_of_the_course(opened):
    page = opened("notebooks/02_concepts.ipynb").page
    page.locator("mjx-utext", has_text="域").last.scroll_into_view_if_needed()
    asked = page.context.new_cdp_session(page)
    asked.send("DOM.enable")
    asked.send("CSS.enable")
    root = asked.send("DOM.getDocument")["root"]["nodeId"]
    found = asked.send("DOM.querySelectorAll", {"nodeId": root, "selector": "mjx-utext"})["nodeIds"]
    assert len(found) >= len("领域任务")
    for node in found:
        fonts = asked.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert {font["familyName"] for font in fonts} == {"Carryover Hanzi"}


def test_ctrl_c_ends_the_server_and_its_kernels(context, tmp_path):
    server = Lab(copy_clone(tmp_path / "carryover"), tmp_path / "home")
    try:
        page = new_page(context)
        page.goto(server.url)
        Notebook(page, START).ready()
        assert len(server.kernels()) == 1
        assert server.interrupt() == 0
        assert server.processes() == []
        page.close()
    finally:
        server.end()
