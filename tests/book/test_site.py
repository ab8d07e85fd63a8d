"""The built book: what a reader gets is whole, described, findable, and gives nothing away."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

import course_lib
from book import links
from course_lib import glossary, measure, methods
from course_lib.grading import source

ROOT = Path(__file__).parents[2]
COURSE = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
CHINESE = sorted(path.stem for path in (ROOT / "notebooks" / "zh").glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("[0-9]*.ipynb"))
FETCHED = re.compile(r"""(?:src|srcset|poster)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//""")


class Seen(HTMLParser):
    """What stands in a page: levels of headings, pictures, text within and outside of what is folded."""

    def __init__(self, html):
        super().__init__()
        self.headings, self.pictures, self.scripts, self.links = [], [], [], []
        self.folded, self.open, self.depth, self.language = "", "", 0, ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        elif tag == "img":
            self.pictures.append(given)
        elif tag == "html":
            self.language = given.get("lang")
        elif tag == "details":
            self.depth += 1
            assert "open" not in given
        elif tag in {"script", "link"}:
            self.scripts.append(given.get("src") or given.get("href") or "")
        elif tag == "a" and given.get("href"):
            self.links.append(given["href"])

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        if self.depth:
            self.folded += data
        else:
            self.open += data


@pytest.fixture(scope="session")
def pages(book):
    """Every page by its name."""
    found = {str(path.relative_to(book)): path.read_text(encoding="utf-8") for path in book.rglob("*.html")}
    return {name: (html, Seen(html)) for name, html in found.items()}


def test_everything_is_there(pages):
    expected = {f"notebooks/{name}.html" for name in COURSE}
    expected |= {f"notebooks/zh/{name}.html" for name in CHINESE}
    expected |= {f"exercises/{path.stem}.html" for path in SOLUTIONS}
    expected |= {"index.html", "glossary.html", "methods.html", "docs/teaching.html", "search.html"}
    expected |= {f"reference/{name}.html" for name in course_lib.__all__}
    assert expected <= set(pages)


def test_every_link_within_leads_somewhere(book):
    assert [str(fault) for fault in links.broken(book)] == []


def test_the_first_page_leads_to_every_notebook(pages):
    assert {f"notebooks/{name}.html" for name in COURSE} <= set(pages["index.html"][1].links)


def test_nothing_is_fetched_from_elsewhere(book, pages):
    for name, (html, seen) in pages.items():
        assert not FETCHED.search(html), name
        assert not [one for one in seen.scripts if re.match(r"(https?:)?//", one)], name
    for path in book.rglob("*.css"):
        assert not FETCHED.search(path.read_text(encoding="utf-8")), path


def test_formulas_need_no_script(pages):
    html, seen = pages["notebooks/03_algorithms.html"]
    assert "<math" in html
    assert "MathJax" not in html
    assert not re.search(r"\\(frac|sum|operatorname)\b", seen.open)


def test_headings_come_in_order(pages):
    for name, (_, seen) in pages.items():
        assert seen.headings.count(1) == 1, name
        assert seen.headings[0] == 1, name
        steps = zip(seen.headings, seen.headings[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), name


def test_every_picture_is_described_as_its_notebook_does(pages):
    for name, (_, seen) in pages.items():
        assert all(picture.get("alt", "").strip() for picture in seen.pictures), name
    recorded = nbformat.read(ROOT / "notebooks" / "06_when_transfer_fails.ipynb", as_version=4)
    told = [
        output.metadata["image/png"]["alt"]
        for cell in recorded.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert [one["alt"] for one in pages["notebooks/06_when_transfer_fails.html"][1].pictures] == told


def test_a_picture_that_two_editions_share_lies_there_once(pages):
    for name in CHINESE:
        both = (pages[f"notebooks/{part}{name}.html"][0] for part in ("", "zh/"))
        english, chinese = (set(re.findall(r"_images/(\w+\.png)", html)) for html in both)
        assert english == chinese


def test_what_is_private_is_missed_in_words(pages):
    assert "is left out of the book" in pages["notebooks/00_start_here.html"][1].open


def test_languages_are_told(pages):
    assert pages["index.html"][1].language == "en"
    for name in CHINESE:
        assert pages[f"notebooks/zh/{name}.html"][1].language == "zh-Hans"


def index_of(book):
    text = (book / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def test_search_finds_chinese_and_english(book):
    index = index_of(book)
    names = index["docnames"]

    def pages_with(term):
        found = index["terms"].get(term, [])
        return {names[one] for one in (found if isinstance(found, list) else [found])}

    for term in ("迁移", "移学", "学习"):  # 迁移学习, as the reader's query is cut
        assert {"glossary", "notebooks/00_start_here"} <= pages_with(term)
    assert "notebooks/07_other_domains" in pages_with("coral")
    assert "function splitQuery" in (book / "_static" / "language_data.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_answers_are_folded_and_nothing_hidden_leaks(path, pages):
    html, seen = pages[f"exercises/{path.stem}.html"]
    for mark in ("HIDDEN TESTS", "hidden=True", "SOLUTION", "nbgrader"):
        assert mark not in html
    notebook = source.read(path)
    given = "\n".join(cell.source for cell in source.without_answers(notebook).cells)
    told = 0
    for cell in notebook.cells:
        if cell.id.endswith("-answer"):
            lines = [line.strip() for line in source.solution(cell.source).splitlines()]
            own = [line for line in lines if len(line) > 20 and line not in given]
            assert all(line in seen.folded for line in own), cell.id
            assert not [line for line in own if line in seen.open], cell.id
            told += len(own)
    assert told > 5
    assert seen.folded.count("Hint 3") == len(source.items(notebook))


def test_a_teachers_checks_stay_with_the_teacher(pages):
    written = "\n".join(html for html, _ in pages.values())
    for path in (ROOT / "solutions" / "checks").glob("c*.py"):
        functions = re.findall(r"^def (\w{12,})\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not [name for name in functions if f"def {name}" in written]


def test_every_term_of_the_glossary_is_there(pages):
    text = pages["glossary.html"][1].open.replace("’", "'")
    for one in glossary.terms():
        assert one.term in text
        assert all(name in text for name in one.chinese.split("，"))


def test_a_search_for_a_term_leads_to_the_glossary(book):
    index = index_of(book)
    terms = {row[-1] for rows in index["objects"].values() for row in rows if isinstance(row, list)}
    assert {"negative transfer", "负迁移", "迁移学习"} <= terms


def test_methods_come_with_formula_paper_and_notebooks(pages):
    html, seen = pages["methods.html"]
    section = html[html.index('<section id="coral"') : html.index('<section id="dann"')]
    assert "<math" in section
    assert "Return of frustratingly easy domain adaptation" in section
    assert "notebooks/07_other_domains.html" in section
    assert "reference/methods.html#course_lib.methods.coral" in section
    assert {"lora", "shot", "leep", "mmd"} <= set(re.findall(r'<section id="([\w-]+)"', html))
    assert "course_lib.methods.fit_" not in seen.open


@pytest.mark.parametrize("package", [methods, measure], ids=["methods", "measure"])
def test_the_reference_has_the_public_names_and_no_others(package, pages):
    short = package.__name__.rpartition(".")[2]
    html, _ = pages[f"reference/{short}.html"]
    described = set(re.findall(rf'id="course_lib\.{short}\.(\w+)"', html))
    assert described == set(package.__all__)


def test_docstrings_are_read_as_they_are_meant(pages):
    html = "".join(html for name, (html, _) in pages.items() if name.startswith("reference/"))
    assert "Mean confidence minus accuracy: positive" in html, "a property's colon is no type"
    assert not re.search(r'<dt class="field-\w+">Type<', html)
    assert not re.search(r'<ol class="[^"]*alpha', html), "a letter of a formula begins no list"


def test_the_chinese_that_is_shown_has_a_font(book, pages):
    style = (book / "_static" / "hanzi.css").read_text(encoding="utf-8")
    assert "@font-face" in style
    assert "data:font/woff;base64," in style
    assert all("_static/hanzi.css" in html for html, _ in pages.values())
