"""Executed notebooks as HTML pages that need nothing from the network.

nbconvert's own page templates load MathJax, RequireJS and Mermaid from elsewhere. These pages take only
the cells from nbconvert: formulas become MathML when the page is written, and styles stand in the page, with
the Chinese characters that it shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from course_lib.runner.page_font import font_face
from course_lib.runner.plan import PACKAGED
from course_lib.runner.state import write_atomically
from course_lib.show.widgets import STILL_FOLLOWS

WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = {"image/png", "image/svg+xml", "text/html", "text/markdown"}
NOT_HERE = '<p class="not-here">A control to try: it works in JupyterLab (<code>make lab</code>).</p>'


_SPELLINGS = (
    (r"\\operatorname\*?\{", r"\\mathrm{"),  # the starred form
    (r"\\arg(?![A-Za-z])", r"\\mathrm{arg}\\,"),
    (r"(\\[Bb]igg?[lr]?)(?:\\[lr]?Vert(?![A-Za-z])|\\\|)", r"\1‖"),
)
"""What the converter lacks, and how it is told the same."""


def mathml(formula: str, display: str = "inline") -> str:
    """Return LaTeX as MathML, which browsers show by themselves; LaTeX that is not understood stays as code.

    Examples
    --------
    >>> mathml("n^2").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    True
    """
    from latex2mathml.converter import convert

    spelled = formula.strip()
    for pattern, known in _SPELLINGS:
        spelled = re.sub(pattern, known, spelled)
    try:
        converted = str(convert(spelled, display=display))
    except Exception:  # any error of the converter means the same: it cannot read this formula
        converted = ""
    # bars are as high as the letters beside them, unless \left and \right ask for more
    converted = re.sub(
        r"<mo>(&#x02016;|‖|\||&#x0007C;|&#x02223;)</mo>", r'<mo stretchy="false">\1</mo>', converted
    )
    understood = converted and not re.search(r">\\.", converted)  # an unknown command is left as it was
    return converted if understood else f"<code>{escape(formula)}</code>"


class _Renderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML and links between notebooks as links between pages."""

    def block_math(self, body: str) -> str:
        """Return a displayed formula."""
        return f'<span class="formula">{mathml(body, "block")}</span>'

    def inline_math(self, body: str) -> str:
        """Return a formula in a line of text."""
        return mathml(body)

    def latex_environment(self, name: str, body: str) -> str:
        """Return a LaTeX environment as a displayed formula."""
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Return a link; one to a notebook beside this one leads to its page.

        What lies elsewhere in the clone, such as exercises, is named: pages are handed on without it.
        """
        if url.startswith("../"):
            return f"{text} (<code>{escape(url.removeprefix('../'))}</code>)"
        return str(super().link(text, re.sub(r"^(?:\./)?(\w+)\.ipynb", r"\1.html", url), title))


class _Exporter(HTMLExporter):
    """nbconvert's cells without nbconvert's page."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Replace nbconvert's filter by one that leaves no formula to a script."""
        cell = context.get("cell", {})
        renderer = _Renderer(
            escape=False, attachments=cell.get("attachments", {}), exclude_anchor_links=True, path=""
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))


def body(notebook: Any) -> str:
    """Return the cells of an executed notebook as HTML."""
    notebook = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [shown for output in cell.outputs for shown in without_scripts(output)]
    exporter = _Exporter(template_name="basic")  # type: ignore[no-untyped-call]
    html, _ = exporter.from_notebook_node(notebook)
    # A table may be wider than a telephone.
    return (
        _page_links(html).replace("<table", '<div class="wide"><table').replace("</table>", "</table></div>")
    )


def _page_links(html: str) -> str:
    """Return HTML with links to notebooks as links to pages, as `_Renderer.link` has them in Markdown.

    Examples
    --------
    >>> _page_links('<a href="01_a.ipynb">one</a>, <a href="../exercises/01_a.ipynb">3</a>')
    '<a href="01_a.html">one</a>, 3'
    """
    html = re.sub(r'<a href="\.\./[^"]*">(.*?)</a>', r"\1", html)
    return re.sub(r'(<a href="\w+)\.ipynb"', r'\1.html"', html)


def without_scripts(output: Any) -> list[Any]:
    """Return an output without what it would need a script for.

    A control gives way to a note, below the still picture, table or text that it brought along; one of
    `show.explore` has both in the outputs that follow.
    """
    data = output.get("data", {})
    if WIDGET in data and output.get("metadata", {}).get("carryover") == STILL_FOLLOWS:
        return []
    if WIDGET in data:
        still = [dict(output, data={key: data[key] for key in data if key != WIDGET})]
        note = {"output_type": "display_data", "data": {"text/html": NOT_HERE}, "metadata": {}}
        shown = [*(still if STILL & set(data) else []), note]
        return [nbformat.from_dict(one) for one in shown]  # type: ignore[no-untyped-call]
    if "text/latex" in data and "text/html" not in data:
        formula = re.sub(r"^\s*\$+|\$+\s*$", "", data["text/latex"])
        output.data = nbformat.from_dict({"text/html": mathml(formula, "block")})  # type: ignore[no-untyped-call]
    for script in ("application/javascript", "text/vnd.mermaid"):
        data.pop(script, None)
    return [output]


def title_of(notebook: Any, fallback: str) -> str:
    """Return the first heading of a notebook."""
    for cell in notebook.cells:
        found = (
            re.search(r"^#\s+(.+?)\s*$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        )
        if found:
            return re.sub(r"[*`_$]", "", found.group(1))
    return fallback


def _styles(html: str) -> str:
    """Return the style sheet: colours of code for light and dark screens, ours, the Chinese that is shown."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    ours = files("course_lib.runner").joinpath("page.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{ours}{font_face(html)}"


def page(title: str, content: str, navigation: str = "") -> str:
    """Return a whole page."""
    shown = f"<body>\n{navigation}<main>\n{content}\n</main>\n{navigation}</body>"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)} · Carryover</title>\n<style>\n{_styles(shown)}\n</style>\n</head>\n"
        f"{shown}\n</html>\n"
    )


@dataclass
class Entry:
    """A line of the index."""

    name: str
    title: str
    status: str
    seconds: float
    edition: str
    facts: list[str]


def write_pages(build: Path, entries: Sequence[Entry]) -> None:
    """Write a page for each entry whose executed notebook is in ``build/notebooks``, and the index."""
    folder = build / "pages"
    for number, entry in enumerate(entries):
        notebook = nbformat.read(build / "notebooks" / f"{entry.name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
        before = entries[number - 1] if number else None
        after = entries[number + 1] if number + 1 < len(entries) else None
        warning = "" if entry.status == "ok" else '<p class="failed">This notebook stopped at an error.</p>\n'
        content = warning + body(notebook)
        write_atomically(
            folder / f"{entry.name}.html", page(entry.title, content, _navigation(before, after))
        )
    kept = {f"{entry.name}.html" for entry in entries} | {"index.html"}
    for path in folder.glob("*.html"):
        if path.name not in kept:
            path.unlink()
    write_atomically(folder / "index.html", page("Contents", _index(entries)))


def _navigation(before: Entry | None, after: Entry | None) -> str:
    left = f'<a rel="prev" href="{before.name}.html">← {escape(before.title)}</a>' if before else ""
    right = f'<a rel="next" href="{after.name}.html">{escape(after.title)} →</a>' if after else ""
    middle = '<a href="index.html">Contents</a>'
    return f'<nav aria-label="Notebooks"><span>{left}</span>{middle}<span>{right}</span></nav>\n'


def _index(entries: Sequence[Entry]) -> str:
    """Return the contents: titles, minutes, and the facts that each notebook states."""
    items = []
    for entry in entries:
        facts = "".join(f"<li>{escape(fact)}</li>" for fact in entry.facts[:6])
        failed = "" if entry.status == "ok" else ' <strong class="failed">stopped at an error</strong>'
        items.append(
            f'<li><a href="{entry.name}.html">{escape(entry.title)}</a>'
            f' <span class="minutes">{entry.seconds / 60:.1f} min</span>{failed}'
            f'<ul class="facts">{facts}</ul></li>'
        )
    editions = sorted({entry.edition for entry in entries if entry.edition != PACKAGED})
    names = {
        "cifar10": "CIFAR-10",
        "solar_cells": "solar cells (CIFAR-10 was not on this machine)",
        "spoken_digits": "spoken digits",
        "tones": "synthetic tones (spoken digits were not on this machine)",
    }
    data = " and ".join(names.get(one, one) for one in editions)
    return (
        "<h1>Carryover</h1>\n<p>A hands-on course in transfer learning, executed on this machine"
        f"{': ' + escape(data) if data else ''}.</p>\n"
        f'<ol class="contents">{"".join(items)}</ol>'
    )
