"""From assembled pages to a site: Sphinx, the Chinese characters it shows, and a look at every link."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from book.assemble import assemble, clear
from book.finish import finish
from book.links import broken
from course_lib.runner.page_font import font_face

HERE = Path(__file__).parent
FONT = "_static/hanzi.css"
MIB = 2**20


class BookError(Exception):
    """The book could not be built; the text says why."""


@dataclass(frozen=True)
class Built:
    """A book that was built."""

    folder: Path
    pages: int
    size: int
    seconds: float

    def __str__(self) -> str:
        if not self.pages:
            return f"Links to other sites were tried in {self.seconds:.0f} s; all answered."
        return (
            f"{self.folder / 'index.html'}: {self.pages} pages, {self.size / MIB:.0f} MiB, "
            f"{self.seconds:.0f} s; no link within it is broken."
        )


def build(
    root: Path,
    out: Path | None = None,
    *,
    executed: Path | None = None,
    external: bool = False,
    say: Callable[[str], object] = lambda line: None,
) -> Built:
    """Build the book.

    Parameters
    ----------
    root : pathlib.Path
        The clone.
    out : pathlib.Path, optional
        Where the site goes. Default: ``build/book`` in the clone. Pages for Sphinx and its memory lie
        beside it.
    executed : pathlib.Path, optional
        Notebooks are taken from here where they are, instead of the committed ones.
    external : bool
        Try the links to other sites instead of building.
    say : callable
        Gets a line about each step.

    Returns
    -------
    Built

    Raises
    ------
    BookError
        When Sphinx stops or warns, or when a link within the book leads nowhere.
    """
    started = time.perf_counter()
    root = root.resolve()
    out = (out or root / "build" / "book").resolve()
    source, memory = out.with_name(f"{out.name}-source"), out.with_name(f"{out.name}-memory")
    say("Laying out the pages")
    assemble(root, source, executed)
    say("Sphinx builds them")
    if external:
        _sphinx(root, "linkcheck", source, memory, out.with_name(f"{out.name}-linkcheck"))
        return Built(out, 0, 0, time.perf_counter() - started)
    _sphinx(root, "html", source, memory, out)
    pages = sorted(out.rglob("*.html"))
    for page in pages:
        finish(page)
    (out / FONT).write_text(font_face(_characters(pages)) or "/* no Chinese */", encoding="utf-8")
    for unneeded in (".buildinfo", ".doctrees"):
        (out / unneeded).unlink(missing_ok=True)
    faults = broken(out)
    if faults:
        raise BookError("Links that lead nowhere:\n" + "\n".join(f"  {fault}" for fault in faults))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Built(out, len(pages), size, time.perf_counter() - started)


def _sphinx(root: Path, builder: str, source: Path, memory: Path, out: Path) -> None:
    """Run Sphinx in a process of its own: it leaves much behind in the one that it runs in."""
    if not (memory / "environment.pickle").is_file():
        clear(out)
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-c", str(HERE), "-d", str(memory)]
    command += ["-W", "--keep-going", "-q", "-j", "2", str(source), str(out)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        clear(memory)  # or the next build would not read again what it warned of, and pass
        raise BookError((done.stderr + done.stdout)[-8000:].strip() or "Sphinx stopped without a word.")


def _characters(pages: list[Path]) -> str:
    """Return every character that the pages show, once."""
    found: set[str] = set()
    for path in pages:
        found.update(path.read_text(encoding="utf-8"))
    return "".join(sorted(found))
