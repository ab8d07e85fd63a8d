"""The built book, opened from its folder without a network: every page whole, found, legible, printable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import new_page

pytestmark = pytest.mark.timeout(1800)  # the first one waits for every page

WIDE = {"width": 1400, "height": 1000}
TELEPHONE = {"width": 390, "height": 840}
PAPER = {"width": 718, "height": 1000}
"""A sheet of A4 between margins of one centimetre, at 96 points an inch."""

COLOUR = ["color-contrast", "link-in-text-block"]
"""The rules whose answer can be another in the dark."""

# every script must have run, and pictures are to be seen even where a page would wait until they are near
SETTLED = """async () => {
  const images = Array.from(document.images);
  images.forEach((image) => { image.loading = "eager"; });
  await Promise.allSettled(images.map((image) => image.decode()));
  document.querySelectorAll("details").forEach((folded) => { folded.open = true; });
  return images.filter((image) => !image.naturalWidth).map((image) => "not drawn: " + image.src);
}"""

# A word's colours come from what it is and what it stands in: of each kind, the last is left to be looked at.
# A page of reference has 17,000 elements, most of them words of code; axe takes a millisecond for each.
ALIKE = """() => {
  const known = new Set();
  const words = Array.from(document.querySelectorAll("article :is(span, code, em, strong, math)"));
  for (const word of words.reverse()) {
    if (word.id || !word.isConnected || (word.childElementCount && word.localName !== "math")) continue;
    const kinds = [];
    for (let one = word; one; one = one.parentElement)
      kinds.push(one.localName + "." + one.getAttribute("class") + one.getAttribute("style"));
    const kind = kinds.join();
    if (known.has(kind)) word.replaceWith(word.textContent);
    known.add(kind);
  }
}"""

# All that decides whether words are legible, once for each way in which words are shown.
COLOURS = """() => {
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      layers.push(style.backgroundColor, style.backgroundImage, style.opacity);
      if (/^rgb\\(/.test(style.backgroundColor)) break;
    }
    return layers.filter((layer) => !["rgba(0, 0, 0, 0)", "none", "1"].includes(layer));
  };
  const shown = (one) => {
    const style = getComputedStyle(one);
    const link = one.closest("a") ? getComputedStyle(one.closest("a").parentElement).color : "";
    const own = [style.color, style.fontSize, style.fontWeight, style.textDecorationLine];
    return [...own, link, ...behind(one)].join();
  };
  const words = Array.from(document.querySelectorAll("body *"))
    .filter((one) => Array.from(one.childNodes).some((node) => node.nodeType === 3 && node.data.trim()));
  return Array.from(new Set(words.map(shown)));
}"""

# without preload: else axe asks for the style sheets again, which a page from a folder may not
BAD = """async (asked) => {
  const found = await axe.run(document, {
    resultTypes: ["violations"], elementRef: false, preload: false, ...asked,
  });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.slice(0, 5).map(
      (node) => one.id + " " + node.target + " " + node.html.slice(0, 200)));
}"""

SIDEWAYS = """() => Array.from([document.documentElement, document.querySelector(".content")])
  .filter((one) => one && one.scrollWidth > one.clientWidth + 1)
  .map((one) => "moves sideways: " + one.className + " " + one.scrollWidth)"""

# What paper cannot scroll to: whatever reaches beyond the sheet, and what an ancestor of it cuts off.
CUT = """() => {
  const room = document.documentElement.clientWidth;
  const shown = (one) => one.getClientRects().length && !one.closest(".visually-hidden, [aria-hidden=true]");
  const faults = Array.from(document.querySelectorAll("aside, .mobile-header, .related-pages")).filter(shown)
    .map((one) => "is printed: " + one.className);
  for (const one of document.querySelectorAll("article, article *")) {
    if (one.closest("svg") || (one.closest("math") && one.localName !== "math") || !shown(one)) continue;
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    const hides = (overflow) => overflow !== "visible";
    const told = one.outerHTML.slice(0, 120);
    if (box.right > room + 1) faults.push("beyond the sheet: " + told + " " + box.right);
    else if (hides(style.overflowX) && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1)
      faults.push("cut at its side: " + told + " " + one.scrollWidth);
    else if (hides(style.overflowY) && one.scrollHeight > one.clientHeight + 1 && one.clientHeight > 1)
      faults.push("cut below: " + told);
  }
  return faults.slice(0, 5);
}"""


@dataclass
class Seen:
    """What was wrong with a page, by what was looked at."""

    loading: list[str] = field(default_factory=list)
    light: list[str] = field(default_factory=list)
    dark: list[str] = field(default_factory=list)
    telephone: list[str] = field(default_factory=list)
    paper: list[str] = field(default_factory=list)


class Reader:
    """A page of the browser that keeps what goes wrong while it shows pages of the book."""

    def __init__(self, context: BrowserContext) -> None:
        self.colours: set[str] = set()
        self.page: Page = new_page(context)
        self.wrong: list[str] = self.page.complaints
        self.page.on("requestfailed", lambda asked: self.wrong.append(f"failed: {asked.url} {asked.failure}"))
        # nothing may so much as ask for the network
        context.route(
            re.compile("^(?!file:|data:)"), lambda route: (self._refuse(route.request.url), route.abort())
        )

    def _refuse(self, url: str) -> None:
        self.wrong.append(f"asked for: {url}")

    def open(self, path: Path) -> list[str]:
        """Open a page from its folder; return what went wrong, pictures that were not drawn included."""
        return self.open_link(path.as_uri())

    def open_link(self, address: str) -> list[str]:
        """Open an address; return what went wrong."""
        self.wrong.clear()
        self.page.goto(address)
        missing = self.page.evaluate(SETTLED)
        return [*self.wrong, *missing]

    def look(self, path: Path) -> Seen:
        """Look at a page in every way; folded answers are opened before."""
        page = self.page
        page.set_viewport_size(WIDE)
        page.emulate_media(media="screen", color_scheme="light")
        seen = Seen(self.open(path))
        page.set_viewport_size(TELEPHONE)
        seen.telephone = page.evaluate(SIDEWAYS)
        page.set_viewport_size(PAPER)
        page.emulate_media(media="print")
        seen.paper = page.evaluate(CUT)
        page.set_viewport_size(WIDE)
        page.emulate_media(media="screen")
        page.evaluate(ALIKE)
        page.evaluate(AXE_SCRIPT)
        light = {} if self._new_colours() else {"rules": {rule: {"enabled": False} for rule in COLOUR}}
        seen.light = page.evaluate(BAD, light)
        page.emulate_media(color_scheme="dark")
        if self._new_colours():
            seen.dark = page.evaluate(BAD, {"runOnly": {"type": "rule", "values": COLOUR}})
        return seen

    def _new_colours(self) -> bool:
        """Return whether any words are shown in a way that no page before has been looked at in."""
        colours = set(self.page.evaluate(COLOURS))
        new = bool(colours - self.colours)
        self.colours |= colours
        return new


@pytest.fixture(scope="module")
def context(chromium) -> Iterator[BrowserContext]:
    """Pages without a network."""
    made = chromium.new_context(viewport=WIDE, locale="en-GB", reduced_motion="reduce")
    made.set_default_timeout(30_000)
    made.set_offline(True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def reader(context) -> Reader:
    """One page of the browser for all."""
    return Reader(context)


@pytest.fixture(scope="module")
def seen(book, reader) -> dict[str, Seen]:
    """What was wrong with each page of the book."""
    return {str(path.relative_to(book)): reader.look(path) for path in sorted(book.rglob("*.html"))}


@pytest.mark.parametrize("way", ["loading", "light", "dark", "telephone", "paper"])
def test_every_page(way, seen):
    assert len(seen) > 40
    assert {name: getattr(one, way) for name, one in seen.items() if getattr(one, way)} == {}


FAULTS = {
    "loading": '<img src="gone.png" alt="gone">',
    "light": '<p style="color: #aaa; background: #fff">hardly to be read</p>',
    "dark": '<p style="color: light-dark(#000, #333)">hardly to be read in the dark</p>',
    "telephone": '<div style="width: 1200px">wide</div>',
    "paper": '<div style="overflow: auto; width: 90px"><div style="width: 900px">cut</div></div>',
}


@pytest.mark.parametrize("way", FAULTS)
def test_a_fault_is_seen(way, book, reader):
    path = _faulty(book, FAULTS[way])
    found = reader.look(path)
    path.unlink()
    assert getattr(found, way)


@pytest.mark.parametrize(
    "fault",
    [
        '<script src="https://example.org/a.js"></script>',
        "<script>fetch('http://127.0.0.1:9/x').catch(() => 0)</script>",
        "<script>throw new Error('no')</script>",
        '<link rel="stylesheet" href="gone.css">',
    ],
    ids=["from elsewhere", "asks", "throws", "missing"],
)
def test_what_does_not_load_is_seen(fault, book, reader):
    path = _faulty(book, fault)
    found = reader.open(path)
    path.unlink()
    assert found


def _faulty(book: Path, fault: str) -> Path:
    """Write a copy of a page with a fault in it beside that page."""
    whole = book / "docs" / "teaching.html"
    made = whole.with_name("faulty.html")
    html = whole.read_text(encoding="utf-8")
    made.write_text(html.replace("</article>", f"{fault}</article>"), encoding="utf-8")
    assert fault in made.read_text(encoding="utf-8")
    return made


def test_the_page_that_faults_are_put_into_has_none(seen):
    assert seen["docs/teaching.html"] == Seen()


def _search(reader: Reader, book: Path, words: str) -> list[str]:
    """Type words into the first page's field, as a reader does; return where the results lead."""
    reader.page.emulate_media(media="screen", color_scheme="light")
    reader.page.set_viewport_size(WIDE)
    assert reader.open(book / "index.html") == []
    field = reader.page.get_by_role("textbox", name="Search")
    field.fill(words)
    field.press("Enter")
    expect(reader.page.locator("#search-results p.search-summary")).to_contain_text(
        re.compile("finished|did not")
    )
    links = reader.page.locator("#search-results ul.search li a")
    # results are written one after the other
    told = reader.page.locator("#search-results p.search-summary").inner_text()
    count = re.search(r"found (\d+|one)", told)
    expect(links).to_have_count(0 if count is None else 1 if count[1] == "one" else int(count[1]))
    assert reader.wrong == []
    return [link.evaluate("link => link.href") for link in links.all()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("covariance", {"notebooks/07_other_domains.html"}),
        ("negative transfer", {"glossary.html", "notebooks/06_when_transfer_fails.html"}),
        ("迁移学习", {"glossary.html", "notebooks/00_start_here.html", "notebooks/zh/00_start_here.html"}),
        ("负迁移", {"glossary.html", "notebooks/zh/06_when_transfer_fails.html"}),
    ],
)
def test_search_leads_to_pages_that_hold_what_was_asked(words, expected, book, reader):
    found = _search(reader, book, words)
    files = {Path(unquote(urlsplit(link).path)).relative_to(book.resolve()).as_posix() for link in found}
    assert expected <= files
    stems = [word[:6] for word in words.split()]  # covariance is found where covariate is written, too
    for name in sorted(files)[:: max(1, len(files) // 6)]:
        text = (book / name).read_text(encoding="utf-8").casefold()
        assert all(stem in text for stem in stems), name
    for link in found[:2]:
        assert reader.open_link(link) == []
        place = unquote(urlsplit(link).fragment)
        assert not place or reader.page.evaluate("place => !!document.getElementById(place)", place)
        assert stems[0] in reader.page.locator("article").inner_text().casefold()


def test_search_says_when_there_is_nothing(book, reader):
    assert _search(reader, book, "xylophonist") == []


def test_answers_unfold_by_click_and_by_key(book, reader):
    page = reader.page
    page.emulate_media(media="screen", color_scheme="light")
    page.set_viewport_size(WIDE)
    page.goto((book / "exercises" / "06_when_transfer_fails.html").as_uri())
    folded = page.locator("article details", has=page.get_by_text("An answer"))
    expect(folded).to_have_count(folded.count())
    answer = folded.first.locator("pre")
    expect(answer).to_be_hidden()
    folded.first.locator("summary").click()
    expect(answer).to_be_visible()
    # by the keys alone, from the top of the page
    page.reload()
    page.locator(".skip-to-content").focus()
    page.keyboard.press("Enter")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.localName") == "summary":
            break
    now = page.locator(":focus")
    expect(now).to_have_js_property("localName", "summary")
    within = now.locator("xpath=..")
    expect(within).to_have_js_property("open", False)
    page.keyboard.press("Enter")
    expect(within).to_have_js_property("open", True)
    page.keyboard.press("Space")
    expect(within).to_have_js_property("open", False)


def test_the_editions_lead_to_each_other(book, reader):
    reader.open(book / "notebooks" / "06_when_transfer_fails.html")
    page = reader.page
    page.get_by_role("link", name="中文版", exact=True).last.click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.get_by_role("link", name="下一页")).to_have_attribute("href", "07_other_domains.html")
    page.get_by_role("link", name="English", exact=True).click()
    expect(page.locator("h1")).to_contain_text("When transfer fails")
    assert reader.wrong == []
