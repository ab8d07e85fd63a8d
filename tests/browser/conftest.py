"""A browser, JupyterLab as a learner has it, and the book; what was seen when a test failed is kept."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.notebook import Notebook
from tests.browser.server import ROOT, Lab, copy_clone

SEEN = ROOT / "build" / "browser"
"""Where pictures are written: for people to look at."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window; it is missed loudly where ``COURSE_BROWSER=required``."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        told = f"no browser is here (looked for {', '.join(NAMES)}): install Chromium to run these tests"
        if os.environ.get("COURSE_BROWSER") == "required":
            pytest.fail(told, pytrace=False)
        pytest.skip(told)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found,
            # its own sandbox does not start for root, nor in most containers; nothing foreign is opened
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in a learner's clone."""
    folder = tmp_path_factory.mktemp("learner")
    server = Lab(copy_clone(folder / "carryover"), folder / "home")
    yield server
    server.end()


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """Pages of a module; they are closed at its end."""
    made = chromium.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")
    made.set_default_timeout(30_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def opened(lab: Lab, context: BrowserContext) -> Iterator[Callable[[str], Notebook]]:
    """Open a notebook of the clone by its path, each in a page of its own; kernels end with the module."""
    books: list[Notebook] = []

    def open_one(path: str) -> Notebook:
        book = Notebook(new_page(context), path)
        books.append(book)
        return book.open(lab.address(path, f"{Path(path).stem}-{len(books)}-{os.urandom(3).hex()}"))

    yield open_one
    for book in books:
        book.close()


def new_page(context: BrowserContext) -> Page:
    """Return a page that keeps what its console says of errors."""
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda told: told.type == "error" and page.complaints.append(told.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())  # leaving a page with changes
    return page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Keep what every open page shows, and what it complained of, when a test fails."""
    report = yield
    context = getattr(item, "funcargs", {}).get("context")
    if report.failed and context is not None:
        folder = SEEN / "failed"
        folder.mkdir(parents=True, exist_ok=True)
        for k, page in enumerate(context.pages):
            name = re.sub(r"\W+", "_", f"{item.name}_{k}")
            page.screenshot(path=folder / f"{name}.png")
            report.sections.append((f"page {k}", "\n".join([page.url, *page.complaints])))
            report.sections.append(("picture", str(folder / f"{name}.png")))
    return report
