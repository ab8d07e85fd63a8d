"""`course lab --lang zh` in a browser: it opens on the Chinese 00, which runs and leads on in Chinese."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SEEN, new_page
from tests.browser.notebook import Notebook
from tests.browser.server import ROOT, Lab, copy_clone

FOLDER = "notebooks/zh"
MAP = "00-023"
WORDS = {"Run": "运行", "Run All Cells": "运行所有单元格"}
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def start(chromium, context, tmp_path_factory):
    """The address that the command tells, opened."""
    folder = tmp_path_factory.mktemp("chinese")
    server = Lab(copy_clone(folder / "carryover"), folder / "home", language="zh")
    try:
        page = new_page(context)
        page.goto(server.url)
        yield Notebook(page, f"{FOLDER}/00_start_here.ipynb", WORDS).ready(seconds=120)
    finally:
        server.end()


def test_the_chinese_00_is_in_front_with_chinese_contents(start):
    expect(start.page.locator(".lm-TabBar-tab.lm-mod-current", has_text="00_start_here")).to_be_visible()
    headings = start.page.locator(".jp-TableOfContents-content").first.locator(".jp-tocItem-content")
    expect(headings.filter(has_text="小结")).to_be_visible()
    told = headings.all_inner_texts()
    assert len(told) > 5
    assert all(HAN.search(one) for one in told), told
    start.picture(SEEN / "lab" / "zh_00_opened.png")


def test_a_button_for_pictures_says_in_chinese_that_they_can_be_dropped(start):
    said = start.page.evaluate(
        """() => {
            const panel = document.createElement('div')
            panel.className = 'carryover-explore'
            panel.innerHTML = '<button class="widget-upload"></button>'
            document.body.append(panel)
            const said = getComputedStyle(panel.firstChild, '::after').content
            panel.remove()
            return said
        }"""
    )
    assert HAN.search(said), said


def test_run_all_ends_without_an_error_and_the_map_is_chinese(start):
    start.run_all()
    assert not start.errors()
    assert start.counts() == list(range(1, len(start.counts()) + 1))
    assert start.complaints() == []
    total = len(list((ROOT / FOLDER).glob("[0-9][0-9]_*.ipynb")))
    expect(start.output(MAP)).to_contain_text(f"已运行 1 / {total} 个笔记本", timeout=60_000)
    titles = start.output(MAP).locator("tbody th").all_text_contents()
    assert len(titles) == total
    assert all(HAN.search(title) for title in titles)
    expect(start.output(MAP).locator("tbody tr").first).to_contain_text("分钟")
    start.picture(SEEN / "lab" / "zh_00_run.png", MAP)


@pytest.mark.parametrize(
    ("named", "place", "path"),
    [
        ("背景", "table.course-map th a", f"{FOLDER}/01_background.ipynb"),
        ("0 / ", "table.course-map td a", "exercises/01_background.ipynb"),
        ("01 ·", ".jp-MarkdownCell a", f"{FOLDER}/01_background.ipynb"),
    ],
    ids=["map", "exercises", "text"],
)
def test_links_stay_in_the_chinese_edition(start, named, place, path):
    start.page.locator(".lm-TabBar-tab", has_text="00_start_here").first.click()
    start.ready()
    start.cell("00-019" if place.startswith(".jp") else MAP).scroll_into_view_if_needed()
    start.page.locator(place, has_text=named).first.click()
    other = Notebook(start.page, path).ready(seconds=120)
    expect(other.page.locator(".lm-TabBar-tab.lm-mod-current", has_text="01_background")).to_be_visible()
    if "exercises" in path:
        expect(other.page.get_by_role("tab", name="练习：01_background.ipynb")).to_be_visible()
    else:
        assert HAN.search(other.page.locator(".jp-MarkdownCell:visible h1").first.inner_text())
