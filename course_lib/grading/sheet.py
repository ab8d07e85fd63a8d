"""Pages of grading: self-contained HTML that runs no script and shows what students wrote as text."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from course_lib.grading.hostile import clean
from course_lib.runner.page_font import FIRST, font_face

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""What a page may load: its own styles, pictures and fonts. No script, whatever slips through."""

CODE: Final = 20_000
"""Characters of an answer that a page shows."""


def rendered(template: str, title: str, **shown: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        Name of a file beside this one, for what stands in the page.
    title : str
    **shown
        What the template speaks of; it is escaped, but for what the template itself calls safe.
    """
    content = _environment().get_template(template).render(**shown)
    styles = _styles() + _font("".join(sorted({one for one in content if ord(one) >= FIRST})))
    page = _environment().get_template("sheet.html")
    return page.render(title=title, policy=POLICY, styles=styles, content=content) + "\n"


def code(source: str) -> str:
    """Return Python source as highlighted HTML; what is too long is cut.

    Examples
    --------
    >>> "&lt;script&gt;" in code("x = '<script>'")
    True
    """
    shown = clean(source, CODE)
    return str(highlight(shown, PythonLexer(stripnl=False), HtmlFormatter(cssclass="highlight")))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("course_lib.grading", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _styles() -> str:
    """Return the style sheet of the course's pages, and what grading adds to it."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    course = files("course_lib.runner").joinpath("page.css").read_text(encoding="utf-8")
    ours = files("course_lib.grading").joinpath("sheet.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{course}{ours}"


@lru_cache(maxsize=64)
def _font(characters: str) -> str:
    """Return the Chinese of a page as a font; most pages of a class show the same, that of the exercises."""
    return font_face(characters) if characters else ""
