"""Pages that need nothing from the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.runner.pages import Entry, body, mathml, page, title_of, write_pages

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LOADED = {
    ("img", "src"),
    ("script", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}


class Loads(HTMLParser):
    """Collect what a browser would fetch, and every element's name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.elements: list[str] = []
        self.alts: list[str | None] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        named = dict(attributes)
        self.fetched += [
            value for key, value in attributes if (tag, key) in LOADED and not value.startswith("data:")
        ]
        if tag == "img":
            self.alts.append(named.get("alt"))
        if tag == "a":
            self.links.append(named.get("href", ""))


def notebook(*cells):
    return new_notebook(cells=list(cells))


def code(source, **data):
    metadata = data.pop("metadata", {})
    outputs = [
        new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()}, metadata=metadata)
    ]
    return new_code_cell(source, outputs=outputs)


@pytest.fixture
def full():
    return notebook(
        new_markdown_cell(
            "# The *title*\n\nInline $\\hat{y} = \\sigma(w^\\top x)$, and\n\n"
            "$$\\min_w \\frac{1}{n}\\sum_{i=1}^n \\ell(w; x_i, y_i) + \\lambda\\lVert w\\rVert_2^2$$\n\n"
            "\\begin{align}a &= b\\end{align}\n\nSee [next](01_next.ipynb), "
            "[a paper](https://example.org/x) and [exercises](../exercises/01_next.ipynb).\n\n"
            "```mermaid\ngraph TD\n```"
        ),
        code("plot()", image_png=PIXEL, metadata={"image/png": {"alt": "Accuracy <rises>"}}),
        code("plot()", image_png=PIXEL),
        code("table", text_html="<table><tr><td>1</td></tr></table>"),
        code("formula", text_latex="$$x^2$$"),
        new_code_cell(
            "slider",
            outputs=[
                new_output(
                    "display_data",
                    data={
                        "application/vnd.jupyter.widget-view+json": {"model_id": "a"},
                        "text/plain": "IntSlider()",
                    },
                )
            ],
        ),
    )


def test_a_page_fetches_nothing_and_runs_no_script(full):
    html = page("The title", body(full))
    seen = Loads(html)
    assert seen.fetched == []
    assert "script" not in seen.elements
    assert not re.search(r"@import|url\((?!['\"]?data:)", html)
    assert "MathJax" not in html
    assert "https://example.org/x" in seen.links  # a link to follow is not a thing to fetch


def test_formulas_are_mathml(full):
    html = body(full)
    assert html.count("<math") == 4
    assert "$" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
    assert "<mfrac>" in html
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html


def test_a_formula_that_is_not_understood_stays_readable():
    assert mathml(r"\left(a") == r"<code>\left(a</code>"
    assert mathml(r"\nosuchcommand a < b") == r"<code>\nosuchcommand a &lt; b</code>"
    assert "*" not in mathml(r"\operatorname*{arg\,min}_w")
    assert "<math" in mathml("a < b")
    assert "a < b" not in mathml("a < b")


def test_what_the_converter_lacks_is_told_otherwise():
    assert "\\arg" not in mathml(r"\arg\min_w f(w)")
    assert "‖" in mathml(r"\big\lVert z\big\rVert^2")
    assert mathml(r"\lVert w \rVert").count('<mo stretchy="false">&#x02016;</mo>') == 2
    assert 'stretchy="true"' in mathml(r"\left|\frac12\right|")


def test_alt_text_survives_and_is_never_missing(full):
    assert Loads(body(full)).alts == ["Accuracy <rises>", "No description has been provided for this image"]


def test_widgets_leave_a_note(full):
    html = body(full)
    assert "A control to try" in html
    assert "IntSlider()" not in html


def test_links_between_notebooks_become_links_between_pages(full):
    assert "01_next.html" in Loads(body(full)).links


def test_what_lies_elsewhere_in_the_clone_is_named_and_no_link(full):
    assert "exercises (<code>exercises/01_next.ipynb</code>)" in body(full)
    assert not any("exercises" in link for link in Loads(body(full)).links)


def test_title():
    assert title_of(notebook(new_markdown_cell("text\n\n# The *title* `x`")), "name") == "The title x"
    assert title_of(notebook(), "name") == "name"


def test_the_notebook_itself_is_not_changed(full):
    before = nbformat.writes(full)
    body(full)
    assert nbformat.writes(full) == before


def test_navigation_index_and_forgotten_pages(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "99_gone.html").write_text("old")
    entries = []
    for name in ("00_a", "01_b", "04_c"):
        nbformat.write(
            notebook(new_markdown_cell(f"# Title of {name}")), tmp_path / "notebooks" / f"{name}.ipynb"
        )
        entries.append(Entry(name, f"Title of {name}", "ok", 90.0, "cifar10", [f"accuracy of {name}: 76 %"]))
    write_pages(tmp_path, entries)
    middle = (tmp_path / "pages" / "01_b.html").read_text(encoding="utf-8")
    assert Loads(middle).links[:3] == ["00_a.html", "index.html", "04_c.html"]
    assert "<title>Title of 01_b · Carryover</title>" in middle
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert Loads(index).links == ["00_a.html", "01_b.html", "04_c.html"]
    assert "1.5 min" in index
    assert "accuracy of 04_c: 76 %" in index
    assert not (tmp_path / "pages" / "99_gone.html").exists()
    for path in (tmp_path / "pages").glob("*.html"):
        assert Loads(path.read_text(encoding="utf-8")).fetched == []
