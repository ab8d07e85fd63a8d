"""Every link within a built site, followed on disk: files and places in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REFERRING = {"href", "src", "srcset", "poster", "data", "action"}


@dataclass(frozen=True)
class Fault:
    """A link that leads nowhere, or out of the folder where nothing may."""

    page: str
    link: str
    why: str

    def __str__(self) -> str:
        return f"{self.page}: {self.link} ({self.why})"


class Page(HTMLParser):
    """A page's names and links.

    Attributes
    ----------
    names : set of str
        What a link can point at.
    links : list of tuple
        ``(tag, attribute, value)``.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names and where it leads."""
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.names.add(value or "")
            elif name in REFERRING and value is not None:
                self.links.append((tag, name, value))


def read(path: Path) -> Page:
    """Return the page at `path`."""
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, changed: int) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def broken(folder: Path) -> list[Fault]:
    """Return each link of a site that leads nowhere, and each file that a page would fetch from elsewhere."""
    faults = []
    for path in sorted(folder.rglob("*.html")):
        page = str(path.relative_to(folder))
        for tag, _, link in read(path).links:
            why = _fault(folder.resolve(), path.resolve(), tag, link)
            if why:
                faults.append(Fault(page, link[:120], why))
    return faults


def _fault(folder: Path, page: Path, tag: str, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme == "data" or (tag == "a" and parts.scheme in {"http", "https", "mailto"}):
        return ""
    if parts.scheme or parts.netloc:
        return "needs the network"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(folder):
        return "leaves the book"
    if not target.is_file():
        return "no such file"
    if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in read(target).names:
        return "no such place in that page"
    return ""
