"""Notebooks as the book shows them: no scripts, links that hold, a line where an output is missing."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import nbformat

from course_lib.measure.facts import MIME
from course_lib.runner.clean import PRIVATE
from course_lib.runner.pages import NOT_HERE, title_of, without_scripts

MISSING = {
    False: "What this cell shows is left out of the book: it belongs to your own machine, or to data that "
    "may not be handed on. Run the notebook to see it.",
    True: "此处的输出没有收入本书：它取决于您自己的机器，或来自不可转发的数据。运行笔记本即可看到。",
}
"""What stands below a cell whose output is not shared, in English and in Chinese."""

CONTROL_ZH = (
    '<p class="not-here" lang="zh-Hans">这是一个可以操作的控件：'
    "请在 JupyterLab 中使用（<code>make lab</code>）。</p>"
)


def read(path: Path) -> Any:
    """Return the notebook at `path`."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def course(root: Path, executed: Path | None = None) -> dict[str, Any]:
    """Return the notebooks in their order, by name in the book: ``notebooks/00_start_here.ipynb``."""
    return _found(root / "notebooks", executed, "notebooks")


def chinese(root: Path, executed: Path | None = None) -> dict[str, Any]:
    """Return the notebooks of the Chinese edition, if it is there."""
    return _found(root / "notebooks" / "zh", executed and executed / "zh", "notebooks/zh")


def _found(committed: Path, executed: Path | None, folder: str) -> dict[str, Any]:
    paths = sorted(committed.glob("[0-9][0-9]_*.ipynb"))
    chosen = [executed / p.name if executed and (executed / p.name).is_file() else p for p in paths]
    return {f"{folder}/{path.name}": read(path) for path in chosen}


def for_book(notebook: Any, *, chinese: bool = False) -> str:
    """Return the text of a notebook for the book.

    Controls and scripts give way to what stands for them, links to folders lead to pages, and below a
    cell whose output is private stands why nothing is shown.
    """
    made = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    made.metadata.pop("widgets", None)
    made.cells = [cell for cell in made.cells if cell.source.strip()]
    for cell in made.cells:
        if cell.cell_type == "markdown":
            cell.source = links(cell.source)
        if cell.cell_type != "code":
            continue
        outputs = [shown for output in cell.outputs for shown in without_scripts(output)]
        cell.outputs = [_plain(output, chinese) for output in outputs]
        if PRIVATE in cell.metadata.get("tags", []) and not cell.outputs:
            cell.outputs = [_markdown(f"*{MISSING[chinese]}*")]
    return str(nbformat.writes(made)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def links(text: str) -> str:
    """Return Markdown whose links to a folder lead to that folder's page.

    Examples
    --------
    >>> links("[exercises](../exercises), [01](01_background.ipynb)")
    '[exercises](../exercises/index.md), [01](01_background.ipynb)'
    """
    return re.sub(r"\]\(((?:\.\./)+exercises)/?\)", r"](\1/index.md)", text)


def _plain(output: Any, chinese: bool) -> Any:
    """Return an output with what a page needs: links to pages, names of frames, a note in its language."""
    data = output.get("data", {})
    data.pop(MIME, None)  # its text says the same
    if "text/html" in data:
        html = data["text/html"]
        if chinese:
            html = html.replace(NOT_HERE, CONTROL_ZH)
            html = re.sub(r'(href="\.\./)(?!\.\./)', r"\1../", html)  # its outputs are the English ones
        html = re.sub(r'(href="(?!\w+:)[^"#]+)\.ipynb(?=["#])', r"\1.html", html)
        html = re.sub(r"<iframe(?![^>]*\btitle=)", '<iframe title="A report of its own"', html)
        data["text/html"] = re.sub(r"<audio(?![^>]*\baria-label=)", '<audio aria-label="A sound"', html)
    return output


def _markdown(text: str) -> Any:
    return nbformat.v4.new_output("display_data", {"text/markdown": text})  # type: ignore[no-untyped-call]


def descriptions(notebook: Any) -> dict[str, str]:
    """Return what each picture of a notebook shows, by the SHA-256 of its bytes: MyST-NB's names for them."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if png and alt:
                found[hashlib.sha256(base64.b64decode(png)).hexdigest()] = alt
    return found


def course_map(readme: str) -> str:
    """Return a README's table of all notebooks, whose links start at the clone as the first page's do.

    Raises
    ------
    ValueError
        When the README has no such table.
    """
    tables: list[str] = re.findall(r"(?:^\|.*\n)+", readme, re.MULTILINE)
    found = [table for table in tables if len(re.findall(r"^\| \d\d \| \[", table, re.MULTILINE)) > 9]
    if not found:
        raise ValueError("README.md has no table with links to all notebooks")
    return found[0].rstrip()


def chinese_index(notebooks: dict[str, Any], readme: str) -> str:
    """Return the first page of the Chinese part, around the table of `readme`, the Chinese one.

    A table that names a notebook which is not translated gives way to a list.
    """
    names = [Path(name).name for name in notebooks]
    try:
        table = course_map(readme).replace("](notebooks/zh/", "](")
        known = set(re.findall(r"\]\((\d\d_\w+\.ipynb)\)", table)) == set(names)
    except ValueError:
        known = False
    if not known:
        titles = [title_of(one, name) for name, one in notebooks.items()]
        table = "\n".join(f"- [{title}]({name})" for title, name in zip(titles, names, strict=True))
    return (
        "# 中文版\n\n正文为简体中文，代码与输出和英文版完全相同。每一页的标题下面都有通往"
        "[英文版](../00_start_here.ipynb)的链接。\n[练习](../../exercises/index.md)只有英文版；"
        "术语的中英对照见[术语表](../../glossary.md)。\n\n"
        + table
        + "\n\n```{toctree}\n:hidden:\n\n"
        + "\n".join(Path(name).stem for name in names)
        + "\n```\n"
    )


def uses(notebooks: dict[str, Any], name: str) -> list[str]:
    """Return which notebooks name ``package.name`` in their code."""
    pattern = re.compile(rf"\b{re.escape(name)}\b(?!\.)")
    return [
        where
        for where, notebook in notebooks.items()
        if any(cell.cell_type == "code" and pattern.search(cell.source) for cell in notebook.cells)
    ]
