"""Last touches on built pages that neither Sphinx nor the theme has a setting for; each may be made twice."""

from __future__ import annotations

import re
from pathlib import Path

from book.editions import in_chinese, linked

TOUCHES = (
    # headings of the contents beside a page have no level, and would come before the page's own first
    (re.compile(r'(<p class="caption") role="heading"'), r"\1"),
    # two regions of one kind need names
    (re.compile(r'<aside class="sidebar-drawer">'), '<aside class="sidebar-drawer" aria-label="Contents">'),
    (
        re.compile(r'<aside class="toc-drawer( [\w-]+)?">'),
        r'<aside class="toc-drawer\1" aria-label="On this page">',
    ),
    # what is wider than a telephone can be scrolled with the keys
    (re.compile(r"<pre>"), '<pre tabindex="0">'),
    (re.compile(r'<div class="(output text_html|table-wrapper[\w -]*)">'), r'<div class="\1" tabindex="0">'),
    (re.compile(r'(?<!</h1>)<div id="search-results">'), '<h1>Search</h1><div id="search-results">'),
)


def finish(page: Path) -> None:
    """Make the last touches on a page."""
    before = page.read_text(encoding="utf-8")
    after = before
    for pattern, instead in TOUCHES:
        after = pattern.sub(instead, after)
    after = in_chinese(linked(after, page))
    if after != before:
        page.write_text(after, encoding="utf-8")
