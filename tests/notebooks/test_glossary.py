"""The glossary holds every Chinese term that a notebook introduces, and says truly where it first appears."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from course_lib import glossary

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@cache
def markdown(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@cache
def runs() -> dict[str, set[str]]:
    """The runs of Chinese in each notebook's markdown, by its number."""
    return {path.name[:2]: glossary.words(markdown(path)) for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_term_in_parentheses_is_in_the_glossary(path):
    known = {form for term in glossary.terms() for form in term.forms}
    missing = [term for term in glossary.chinese_terms(markdown(path)) if term not in known]
    assert not missing, f"add to course_lib/glossary/terms.csv: {', '.join(missing)}"


@pytest.mark.parametrize("term", glossary.terms(), ids=lambda term: term.term)
def test_a_term_first_appears_where_the_glossary_says(term):
    where = [number for number, found in runs().items() if found & set(term.forms)]
    assert where, f"no notebook has {term.chinese}"
    assert term.notebook == where[0]


def test_terms_are_told_apart_and_complete():
    rows = glossary.terms()
    assert len({one.term.casefold() for one in rows}) == len(rows)
    forms = [form for one in rows for form in one.forms]
    assert len(set(forms)) == len(forms)
    for one in rows:
        assert all(one.forms), one
        assert one.definition[0].isupper(), one
        assert one.definition.endswith("."), one
        assert "|" not in "".join((one.term, one.chinese, one.definition)), one


def test_the_page_is_written_from_the_terms():
    """Written anew by ``python -m course_lib.glossary > docs/glossary.md``."""
    assert (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8") == glossary.page()


def test_the_course_has_the_characters():
    from fontTools.ttLib import TTFont

    from course_lib.show.style import HANZI_FILE

    with TTFont(HANZI_FILE) as font:
        there = font.getBestCmap()
    lacking = {c for one in glossary.terms() for form in one.forms for c in form if ord(c) not in there}
    assert not lacking


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("A **probe** (线性探测) and a risk (*empirical risk*, 经验风险).", ["线性探测", "经验风险"]),
        ("k-means (k 均值; Coates,\nNg & Lee, 2011)", ["均值"]),
        ("Counted (class by\nclass: **balanced accuracy**, 平衡准确率.)", ["平衡准确率"]),
        ("a hub (a point (枢纽点) near many)", ["枢纽点"]),
        ("全角（域适应）也算 (and twice: 域适应)", ["域适应"]),
        ("`prefix='(查询)'` and\n```python\nf(代码)\n```\n$(x)$ 正文 no term", []),
        ("an open ( that ends with its paragraph\n\n中文 outside) of it", []),
        ("[link (监督学习)](x.ipynb)", ["监督学习"]),
        ("(一·二)", ["一·二"]),
    ],
)
def test_terms_are_found(text, terms):
    assert glossary.chinese_terms(text) == terms


def test_a_word_finds_its_terms():
    assert [one.chinese for one in glossary.find("negative tr")] == ["负迁移"]
    assert glossary.find("")[0] in glossary.terms()
    assert len(glossary.find("")) == len(glossary.terms())
    assert not glossary.find("no such word")
    shown = glossary.table(glossary.find("负迁移"), ROOT / "notebooks")
    assert re.search(r"\| negative transfer \| 负迁移 \| .* \| \[02\]\(02_\w+\.ipynb\) \|$", shown)
    assert "| 02 |" in glossary.table(glossary.find("负迁移"), ROOT / "nowhere")
