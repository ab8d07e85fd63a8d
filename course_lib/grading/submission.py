"""Submissions as they come: found in folders, read from files in any state, matched with the exercises."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from course_lib.errors import BadInput
from course_lib.grading.source import Item
from course_lib.grading.worker.run import ANSWER

MAX_FILE: Final = 20 << 20
MAX_CELLS: Final = 2000
MAX_SOURCE: Final = 100_000  # characters of a cell: to parse one takes a thousand times its memory
MAX_TEXT: Final = 1_000_000  # characters of all cells
ENCODINGS: Final = ("utf-8-sig", "gb18030", "cp1252")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
STUB = re.compile(r"^[ \t]*raise NotImplementedError\(", re.MULTILINE)


class Unreadable(Exception):
    """A file that is no notebook; the message says why, for the student."""


@dataclass(frozen=True)
class Found:
    """A file that was handed in.

    Attributes
    ----------
    student, notebook : str
        Who, and the stem of which notebook.
    path : pathlib.Path
    note : str
        What was wrong with how it was handed in; a file that must not be opened has one and no path.
    """

    student: str
    notebook: str
    path: Path | None
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """What a student wrote for one exercise.

    Attributes
    ----------
    cells : list of (str, str, bool)
        What is executed: name, source, and whether an error in it may be passed over.
    source : str
        The answer itself; empty when it is missing.
    note : str
        How it was found, when not where it belongs.
    """

    cells: list[tuple[str, str, bool]]
    source: str
    note: str = ""


@dataclass(frozen=True)
class Submission:
    """A notebook as handed in, matched with its source.

    Attributes
    ----------
    found : Found
    digest : str
        SHA-256 of the file.
    answers : dict
        By exercise.
    notes : list of str
    """

    found: Found
    digest: str
    answers: dict[str, Answer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find(folder: Path, stems: Sequence[str], names: Mapping[str, str] | None = None) -> list[Found]:
    """Return what lies in a folder of submissions, by student and notebook.

    Both layouts are read: ``STUDENT/.../05_name.ipynb`` (nbgrader's among them) and ``STUDENT_05_name.ipynb``
    (what learning platforms give out). Links are not followed: one is listed with a note, and scores nothing.

    Parameters
    ----------
    folder : pathlib.Path
    stems : sequence of str
        Of the notebooks that count.
    names : mapping of str to str, optional
        What a student is called, where the folder says it otherwise.

    Raises
    ------
    BadInput
        When `folder` is not there or nothing in it is a submission.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder of submissions at {folder}.")
    files: dict[tuple[str, str], list[Found]] = {}
    for path in _files(folder):
        one = _named(path, folder, stems)
        if one is not None:
            one = replace(one, student=(names or {}).get(one.student, one.student))
            files.setdefault((one.student, one.notebook), []).append(one)
    if not files:
        raise BadInput(
            f"Nothing in {folder} has the name of an exercise notebook.",
            f"Expected STUDENT/{stems[0]}.ipynb or STUDENT_{stems[0]}.ipynb." if stems else "",
        )
    return [_one_of(group) for _, group in sorted(files.items())]


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*names, *linked]):
            if not name.startswith("."):
                yield Path(place) / name


def _named(path: Path, folder: Path, stems: Sequence[str]) -> Found | None:
    """Return whose file of which notebook this is; None when the name says neither."""
    inside = path.relative_to(folder).parts
    stem = path.name.removesuffix(".ipynb")
    known = [one for one in stems if stem == one or re.search(rf"[_\- ]{re.escape(one)}$", stem)]
    if not known:
        if path.is_symlink() and len(inside) == 1 and stems:  # a student's folder that leads elsewhere
            return Found(CONTROL.sub("?", path.name), stems[0], None, "a link, which is not followed")
        return None
    notebook = known[0]
    student = inside[0] if len(inside) > 1 else stem.removesuffix(notebook).rstrip("_- ")
    if not student:
        return None
    student = CONTROL.sub("?", student.encode("utf-8", "replace").decode("utf-8"))
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return Found(student, notebook, path)
    what = "a link, which is not followed" if stat.S_ISLNK(mode) else "no regular file"
    return Found(student, notebook, None, what)


def _one_of(group: list[Found]) -> Found:
    """Return the file that counts among several of one student: the newest, the last by name among equals."""
    if len(group) == 1:
        return group[0]
    files = [one for one in group if one.path is not None]
    if not files:
        return group[0]
    newest = max(files, key=lambda one: (one.path.stat().st_mtime_ns, str(one.path)) if one.path else (0, ""))
    return Found(
        newest.student, newest.notebook, newest.path, f"{len(group)} files were handed in; the newest counts"
    )


def read(found: Found, items: Sequence[Item], functions: dict[str, str], setup: str) -> Submission:
    """Return a submission, whatever state its file is in; what cannot be read has no answers and a note.

    Parameters
    ----------
    found : Found
    items : sequence of Item
        The exercises of the notebook.
    functions : dict
        By exercise, the name of the function that answers it.
    setup : str
        Source of the notebook's own set-up cell.
    """
    notes = [found.note] if found.note else []
    if found.path is None:
        return Submission(found, "", {}, notes)
    try:
        data = _bytes(found.path)
    except (Unreadable, OSError) as error:
        return Submission(found, "", {}, [*notes, f"the file cannot be read: {error}"])
    digest = hashlib.sha256(data).hexdigest()
    try:
        cells = _cells(data)
    except Unreadable as error:
        return Submission(found, digest, {}, [*notes, f"the file cannot be read: {error}"])
    imports = definitions(setup, imports_only=True)
    answers = {}
    known = {f"{item.cell}-answer" for item in items}
    extra = [
        definitions(cell.source, imports_only=cell.ours)
        for cell in cells
        if cell.code and cell.key not in known
    ]
    own = [("<your other cells>", source, True) for source in extra if source]
    for item in items:
        answer = _answer(cells, f"{item.cell}-answer", functions[item.id])
        if answer is None:
            answers[item.id] = Answer([], "", "there is no cell with an answer")
            continue
        source, note = without_magics(answer[0])
        why = "; ".join(part for part in (answer[1], note) if part)
        answers[item.id] = Answer([("<set-up>", imports, False), *own, (ANSWER, source, False)], source, why)
    return Submission(found, digest, answers, notes)


@dataclass(frozen=True)
class _Cell:
    key: str
    code: bool
    source: str

    @property
    def ours(self) -> bool:
        """Whether it is one of the notebook's own cells, by its name."""
        return re.fullmatch(r"\d\d-(\d-)?[a-z]+(-\d+)?", self.key) is not None


def _bytes(path: Path) -> bytes:
    """Return a file's bytes without following links, and without waiting at a pipe."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise Unreadable(f"it is larger than {MAX_FILE >> 20} MiB; clear its outputs")
    if not data.strip():
        raise Unreadable("it is empty")
    return data


def _cells(data: bytes) -> list[_Cell]:
    """Return the cells of a notebook file."""
    try:
        tree = json.loads(_text(data))
    except RecursionError:
        raise Unreadable("it is nested too deeply to be a notebook") from None
    except ValueError:
        raise Unreadable("it is not a notebook, or was cut short") from None
    found = tree.get("cells") if isinstance(tree, dict) else None
    if found is None and isinstance(tree, dict):  # the format before 2015
        sheets = tree.get("worksheets")
        found = (
            sheets[0].get("cells")
            if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict)
            else None
        )
    if not isinstance(found, list):
        raise Unreadable("it has no cells")
    cells = [_cell(one) for one in found[:MAX_CELLS] if isinstance(one, dict)]
    if sum(len(cell.source) for cell in cells if cell.code) > MAX_TEXT:
        raise Unreadable(f"its code has more than {MAX_TEXT:,} characters")
    return cells


def _text(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    for name in (encoding, *ENCODINGS):
        try:
            return data.decode(name)
        except UnicodeError:
            continue
    raise Unreadable("it is in an unknown encoding; save it as UTF-8")


def _cell(plain: dict[str, Any]) -> _Cell:
    source = plain.get("source", plain.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    metadata = plain.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    named = mark.get("grade_id") if isinstance(mark, dict) else None
    key = plain.get("id") if isinstance(plain.get("id"), str) else None
    if isinstance(named, str) and not (key and re.match(r"\d\d-", key)):
        key = named
    source = (
        source.encode("utf-8", "replace").decode() if isinstance(source, str) else ""
    )  # no half characters
    return _Cell(key or "", plain.get("cell_type") == "code", source)


def _answer(cells: Sequence[_Cell], key: str, function: str) -> tuple[str, str] | None:
    """Return the source of an answer and how it was found: the last one that is more than a stub."""
    defines = re.compile(rf"^[ \t]*(async[ \t]+)?def[ \t]+{re.escape(function)}[ \t]*\(", re.MULTILINE)
    named = [cell for cell in cells if cell.key == key]
    ranked = [
        ("", [cell for cell in named if cell.code and defines.search(cell.source)]),
        (
            "the cell had become text; it was read as code",
            [c for c in named if not c.code and defines.search(c.source)],
        ),
        (
            "taken from another cell",
            [c for c in cells if c.code and c.key != key and defines.search(c.source)],
        ),
        ("", named),
    ]
    for note, group in ranked:
        written = [cell for cell in group if not STUB.search(cell.source)]
        if written or (group and group is ranked[-1][1]):
            several = "there were several; the last one counts" if len(written) > 1 else ""
            return (written or group)[-1].source, "; ".join(part for part in (note, several) if part)
    stubs = [cell for _, group in ranked for cell in group]
    return (stubs[-1].source, "") if stubs else None


def definitions(source: str, imports_only: bool = False) -> str:
    r"""Return the imports, functions and classes of a cell, not what it does; nothing of this course's own.

    Examples
    --------
    >>> definitions("import numpy as np\nfrom course_lib import tasks\nprint(1)\ndef f(x):\n    return x")
    'import numpy as np\ndef f(x):\n    return x'
    """
    source, _ = without_magics(source)
    if len(source) > MAX_SOURCE:
        return ""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    kept: tuple[type[ast.stmt], ...] = (ast.Import, ast.ImportFrom)
    if not imports_only:
        kept += (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    lines = source.encode().splitlines(keepends=True)  # places in a tree are counted in bytes
    parts = [_segment(lines, node) for node in tree.body if isinstance(node, kept) and not _ours(node)]
    return "\n".join(parts)


def _segment(lines: Sequence[bytes], node: ast.stmt) -> str:
    """Return the text of a statement, decorators and all."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    inside = list(lines[first - 1 : node.end_lineno])
    inside[-1] = inside[-1][: node.end_col_offset]
    inside[0] = inside[0][node.col_offset :]
    return b"".join(inside).decode()


def without_magics(source: str) -> tuple[str, str]:
    """Return code without the lines that only a notebook understands, and a note when there were any."""
    if len(source) > MAX_SOURCE:
        return source[:0], f"a cell of more than {MAX_SOURCE:,} characters is not read"
    try:
        ast.parse(source)
    except SyntaxError:
        stripped = MAGIC.sub("", source)
        return (stripped, "lines beginning with % or ! were left out") if stripped != source else (source, "")
    except (ValueError, RecursionError, MemoryError):
        return source, ""
    return source, ""


def _ours(node: ast.stmt) -> bool:
    names = (
        [node.module or ""]
        if isinstance(node, ast.ImportFrom)
        else [a.name for a in getattr(node, "names", [])]
    )
    return isinstance(node, ast.Import | ast.ImportFrom) and any(
        name.split(".")[0] == "course_lib" for name in names
    )
