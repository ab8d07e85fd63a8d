"""A notebook in JupyterLab as a learner handles it: menus, mouse and keyboard; looked at through the page.

What is *done* goes through what a learner sees. What is *waited for* is asked of JupyterLab itself, which
`--LabApp.expose_app_in_browser` shows to the page: no wait is a guess at seconds.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

SECOND = 1000.0
READY = """([path, statuses]) => {
    const app = window.jupyterapp
    if (!app) return false
    for (const panel of app.shell.widgets('main')) {
        if (panel.context?.path !== path || !panel.content?.widgets) continue
        if (!panel.context.isReady) return false
        if (statuses.includes('idle') && !panel.sessionContext.isReady) return false
        if (!statuses.includes(panel.sessionContext.session?.kernel?.status)) return false
        window.carryover = panel
        for (const cell of panel.content.widgets) cell.node.dataset.cell = cell.model.id
        return true
    }
    return false
}"""


class Notebook:
    """One notebook, opened in a page of its own.

    Attributes
    ----------
    page : playwright.sync_api.Page
    path : str
        From the folder of the clone.
    words : mapping of str to str
        Menus and their entries, where JupyterLab does not speak English.
    """

    def __init__(self, page: Page, path: str, words: Mapping[str, str] | None = None) -> None:
        self.page, self.path, self.words = page, path, words or {}

    def open(self, address: str) -> Notebook:
        """Open it, in a workspace of its own, and wait until its kernel can be asked."""
        self.page.goto(address)
        return self.ready()

    def ready(self, *statuses: str, seconds: float = 60) -> Notebook:
        """Wait until JupyterLab shows it with a kernel at rest, or in one of the states named."""
        asked = [self.path, list(statuses) or ["idle"]]
        self.page.wait_for_function(READY, arg=asked, timeout=seconds * SECOND)
        return self

    def close(self) -> None:
        """End its kernel and close its page."""
        if not self.page.is_closed():
            self.page.evaluate("async () => { await window.carryover?.sessionContext.shutdown() }")
            self.page.close()

    # what a learner does

    def menu(self, *names: str) -> None:
        """Choose from a menu: its English name, then the entries."""
        first, *entries = [self.words.get(name, name) for name in names]
        self.page.get_by_role("menuitem", name=first, exact=True).first.click()
        for name in entries:
            entry = self.page.locator(".lm-Menu-item, .p-Menu-item").filter(
                has_text=re.compile(rf"^{re.escape(name)}")
            )
            entry.first.click()

    def begin_all(self) -> None:
        """Choose Run > Run All Cells, and remember how that ends."""
        self._watch("notebook:run-all-cells")
        self.menu("Run", "Run All Cells")

    def run_all(self, seconds: float = 300) -> Notebook:
        """Run all cells and wait for their end."""
        self.begin_all()
        return self.finish(seconds)

    def finish(self, seconds: float = 300) -> Notebook:
        """Wait for the end of what was begun."""
        self.page.wait_for_function("() => window.carryoverDone === true", timeout=seconds * SECOND)
        return self.at_rest(seconds)

    def at_rest(self, seconds: float = 300) -> Notebook:
        """Wait until nothing runs or is going to."""
        self.page.wait_for_function(
            """() => window.carryover.sessionContext.session?.kernel?.status === 'idle'
                && !window.carryover.content.widgets.some(cell => cell.model.executionState === 'running')""",
            timeout=seconds * SECOND,
        )
        return self

    def run_cell(self, key: str, seconds: float = 120) -> Notebook:
        """Click into a cell and press Shift+Enter."""
        self._watch("notebook:run-cell-and-select-next")
        self.cell(key).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        return self.finish(seconds)

    def write(self, key: str, source: str) -> None:
        """Write over what a cell holds."""
        self.cell(key).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)
        assert self.source(key) == source

    def save(self) -> Notebook:
        """Press Ctrl-S and wait until nothing is unsaved."""
        self.page.keyboard.press("ControlOrMeta+s")
        self.page.wait_for_function("() => !window.carryover.context.model.dirty")
        return self

    def restart(self) -> Notebook:
        """Choose Kernel > Restart Kernel… and confirm."""
        self.menu("Kernel", "Restart Kernel…")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        return self.ready()

    # what a learner sees

    def cell(self, key: str) -> Locator:
        """Return a cell by its id."""
        return self.page.locator(f'[data-cell="{key}"]')

    def output(self, key: str) -> Locator:
        """Return what a cell shows."""
        return self.cell(key).locator(".jp-OutputArea")

    def source(self, key: str) -> str:
        """Return what is in a cell."""
        return self.page.evaluate(
            "key => window.carryover.content.widgets.find(c => c.model.id === key).model.sharedModel.source",
            key,
        )

    def errors(self) -> dict[str, str]:
        """Return the cells that ended with an error, and its words."""
        return self.page.evaluate(
            """() => Object.fromEntries(window.carryover.content.widgets
                .filter(cell => cell.model.type === 'code')
                .map(({model}) => [model.id, model.sharedModel.outputs.find(o => o.output_type === 'error')])
                .filter(([_, error]) => error)
                .map(([key, error]) => [key, `${error.ename}: ${error.evalue}`]))"""
        )

    def told(self) -> str:
        """Return what all cells print, warnings among it."""
        return self.page.evaluate(
            """() => window.carryover.content.widgets.filter(cell => cell.model.type === 'code')
                .flatMap(cell => cell.model.sharedModel.outputs)
                .filter(output => output.output_type === 'stream')
                .map(output => [output.text].flat().join('')).join('')"""
        )

    def counts(self) -> list[int | None]:
        """Return the numbers beside the code cells, None where nothing ran."""
        return self.page.evaluate(
            """() => window.carryover.content.widgets.filter(cell => cell.model.type === 'code')
                .map(cell => cell.model.executionCount)"""
        )

    def code_cells(self) -> list[str]:
        """Return the ids of the code cells."""
        return self.page.evaluate(
            """() => window.carryover.content.widgets.filter(cell => cell.model.type === 'code')
                .map(cell => cell.model.id)"""
        )

    def complaints(self) -> list[str]:
        """Return the errors in the browser's console."""
        return self.page.complaints

    def kernel_shown(self) -> str:
        """Return the state of the kernel, as the foot of the window words it."""
        return self.page.locator(".jp-StatusBar-Left").inner_text().rpartition("|")[2].strip()

    def figure(self, key: str) -> Locator:
        """Return the picture that a cell's controls draw."""
        return self.cell(key).locator(".carryover-drawing img")

    def picture(self, file: Path, key: str | None = None) -> None:
        """Write what is seen, at a cell if one is named."""
        file.parent.mkdir(parents=True, exist_ok=True)
        if key:
            self.cell(key).scroll_into_view_if_needed()
            expect(self.cell(key)).to_be_in_viewport()
        self.page.screenshot(path=file)

    def insert(self, key: str, source: str, before: str) -> None:
        """Put a code cell before another one, by program: what a test needs, not what it tests."""
        self.page.evaluate(
            """([key, source, before]) => {
                const panel = window.carryover
                const place = panel.content.widgets.findIndex(cell => cell.model.id === before)
                panel.content.model.sharedModel.insertCell(place, {cell_type: 'code', id: key, source})
                for (const cell of panel.content.widgets) cell.node.dataset.cell = cell.model.id
            }""",
            [key, source, before],
        )

    def ask_kernel(self, code: str) -> str:
        """Run code beside the notebook's cells; return what it prints.

        Raises
        ------
        AssertionError
            When it fails.
        """
        told, status = self.page.evaluate(
            """async code => {
                const told = []
                const asked = window.carryover.sessionContext.session.kernel.requestExecute({code})
                asked.onIOPub = message => {
                    if (message.header.msg_type === 'stream') told.push(message.content.text)
                    if (message.header.msg_type === 'error') told.push(message.content.evalue)
                }
                const reply = await asked.done
                return [told.join(''), reply.content.status]
            }""",
            code,
        )
        assert status == "ok", told
        return told.strip()

    def _watch(self, command: str) -> None:
        """Notice when the next command of this name has done all that it does."""
        self.page.evaluate(
            """name => {
                window.carryoverDone = false
                const commands = window.jupyterapp.commands
                const noticed = (_, told) => {
                    if (told.id !== name) return
                    commands.commandExecuted.disconnect(noticed)
                    const done = () => { window.carryoverDone = true }
                    told.result.then(done, done)
                }
                commands.commandExecuted.connect(noticed)
            }""",
            command,
        )


def follows(book: Notebook, key: str, move: Callable[[], None], seconds: float = 30) -> str:
    """Move a control of a cell; the figure must become another one, in its pixels and in its words.

    Returns
    -------
    str
        The figure's words.
    """
    figure = book.figure(key)
    pixels, words = figure.get_attribute("src"), figure.get_attribute("alt")
    move()
    expect(figure).not_to_have_attribute("src", pixels, timeout=1000 * seconds)
    expect(figure).not_to_have_attribute("alt", words, timeout=1000 * seconds)
    return figure.get_attribute("alt")


def drag(book: Notebook, key: str, pixels: float) -> None:
    """Drag the slider of a cell by its handle."""
    handle = book.cell(key).get_by_role("slider")
    handle.hover()  # waits until the page has come to rest there
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    book.page.mouse.move(x, y)
    book.page.mouse.down()
    book.page.mouse.move(x + pixels, y, steps=5)
    book.page.mouse.up()


def choose(book: Notebook, key: str, file: Path) -> None:
    """Press a cell's button for a picture, and choose a file in the window that opens."""
    with book.page.expect_file_chooser() as asked:
        book.cell(key).get_by_role("button", name="picture").click()
    asked.value.set_files(file)


def drop(book: Notebook, key: str, file: Path, on: str = ".carryover-controls") -> None:
    """Drop a file from the learner's desktop on a part of a cell's output."""
    held = book.page.evaluate_handle(
        """([bytes, name]) => {
            const held = new DataTransfer()
            held.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name))
            return held
        }""",
        [base64.b64encode(file.read_bytes()).decode(), file.name],
    )
    place = book.cell(key).locator(on).first
    for event in ("dragenter", "dragover", "drop"):
        place.dispatch_event(event, {"dataTransfer": held})
