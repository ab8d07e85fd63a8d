"""Lay out what Sphinx reads: pages of our own, notebooks, exercises, glossary, methods and reference."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from book import exercises, glossary, methods, notebooks, reference


@dataclass
class Sources:
    """A folder that is filled with pages; what is there already and the same is left untouched.

    So Sphinx, which goes by the times of files, reads again only what changed.
    """

    folder: Path
    written: set[Path] = field(default_factory=set)

    def write(self, name: str, content: str | bytes) -> None:
        """Write a page below the folder."""
        path = self.folder / name
        data = content.encode("utf-8") if isinstance(content, str) else content
        self.written.add(path)
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def sweep(self) -> None:
        """Remove pages of an earlier build that were not written this time."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self.written:
                path.unlink()


CHINESE = "```{toctree}\n:caption: 中文版\n:hidden:\n\n全部笔记本 <notebooks/zh/index>\n```"
"""Where the first page lists the Chinese part."""


def assemble(root: Path, folder: Path, executed: Path | None = None) -> None:
    """Write every page of the book below `folder`.

    Parameters
    ----------
    root : pathlib.Path
        The clone.
    folder : pathlib.Path
        Where Sphinx is to read.
    executed : pathlib.Path, optional
        Notebooks that are taken from here where they are, instead of the committed ones.
    """
    sources = Sources(folder)
    course = notebooks.course(root, executed)
    chinese = notebooks.chinese(root, executed)
    described: dict[str, str] = {}
    for name, notebook in {**course, **chinese}.items():
        described |= notebooks.descriptions(notebook)
        sources.write(name, notebooks.for_book(notebook, chinese=name in chinese))
    for name, content in exercises.pages(root / "solutions").items():
        sources.write(name, content)
    sources.write("index.md", landing(root, bool(chinese)))
    if chinese:
        readme = root / "README.zh.md"
        told = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        sources.write("notebooks/zh/index.md", notebooks.chinese_index(chinese, told))
    sources.write("glossary.md", glossary.page([Path(name).stem for name in course]))
    sources.write("methods.rst", methods.page(course))
    for name, content in reference.pages().items():
        sources.write(name, content)
    sources.write("docs/teaching.md", (root / "docs" / "teaching.md").read_text(encoding="utf-8"))
    if (root / "CHANGELOG.md").is_file():
        sources.write("CHANGELOG.md", (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    sources.write("descriptions.json", json.dumps(described, ensure_ascii=False, indent=0))
    sources.sweep()


def landing(root: Path, chinese: bool) -> str:
    """Return the first page: our text around the README's table of notebooks, and the contents."""
    text = (Path(__file__).parent / "index.md").read_text(encoding="utf-8")
    parts = {
        "MAP": notebooks.course_map((root / "README.md").read_text(encoding="utf-8")),
        "CHINESE": CHINESE if chinese else "",
        "EDITION": "- [中文版](notebooks/zh/index.md), the notebooks in Chinese;" if chinese else "",
        "CHANGES": "CHANGELOG" if (root / "CHANGELOG.md").is_file() else "",
    }
    for name, content in parts.items():
        text = text.replace(f"<!-- {name} -->\n", f"{content}\n" if content else "")
    return text


def clear(folder: Path) -> None:
    """Remove a folder that is ours, if it is there."""
    if folder.is_dir():
        shutil.rmtree(folder)
