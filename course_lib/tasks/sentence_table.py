"""One's own sentences: a table with a column of texts, or two, and one of labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.sentences import LANGUAGES
from course_lib.tasks.table_file import read_table
from course_lib.tasks.task import Split, Task, stratified_rows

SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
_SYNONYMS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def sentence_table(
    source: Any,
    *,
    text: str | tuple[str, str],
    label: str,
    language: str,
    id: str | None = None,
    group: str | None = None,
    split: str | None = None,
    train: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    licence: str = "your own",
    citation: str = "",
) -> Task:
    """Return a task made of one's own sentences, or pairs of them, in any language.

    Without a `split` column: 60% train, 15% validation, 25% test at random, stratified by label. Rows with
    the same text, and rows of one `group`, lie in one split.

    Texts are taken as they are: no character is changed, composed or dropped. Only to find equal texts they
    are compared in Unicode's composed form (NFC), ignoring case and runs of spaces; both orders of a pair
    are equal.

    Parameters
    ----------
    source : path or pandas.DataFrame
        ``.csv``, ``.tsv``, ``.txt`` (tabs) in UTF-8, or ``.parquet``. In text files only empty cells are
        missing values: the texts "NA" and "null" are texts.
    text : str or tuple of str
        The column of the sentences, or the two columns of sentence pairs.
    label : str
        Column of the labels: strings, whole numbers or truth values.
    language : str
        ``"en"``, ``"zh"``, ``"zh-Hant"``, or the name of any other language: the domain of the task.
    id : str, optional
        Column that names each row once; the same names in two tables join translations. Default: the row.
    group : str, optional
        Column whose rows belong together, for instance a document, a speaker or a translation pair.
    split : str, optional
        Column that says ``train``, ``validation`` (``val``, ``dev``) or ``test``. Without a validation row, a
        part of train is taken.
    train : int, optional
        Training labels; see `Task.subset`.
    seed : int
        Of the splits and the subset.
    skip_bad : bool
        Leave out rows that cannot be used instead of raising: without text or label, with a label that
        training does not know, or with a text of another split.
    licence, citation : str

    Returns
    -------
    Task
        Sentences ``(n,)`` or pairs ``(n, 2)`` of str, classes in the order of their names (numbers by size).

    Raises
    ------
    BadInput
        A file that cannot be read, a missing column, an unusable row, one class only, too few rows of a
        class, a label that training does not know, an id twice, or a text or group in two splits.

    Examples
    --------
    >>> import pandas as pd
    >>> said = [f"{word} {k}" for word in ("yes", "no") for k in range(10)]
    >>> table = pd.DataFrame({"said": said, "agrees": [True] * 10 + [False] * 10})
    >>> sentence_table(table, text="said", label="agrees", language="en")
    Task('sentences': 2 classes, 12 / 3 / 5 train / validation / test, English)
    """
    columns = _Columns((text,) if isinstance(text, str) else tuple(text), label, id, group, split)
    table = read_table(source, columns.names, language)
    rows = _rows(table, columns, skip_bad)
    if split is None:
        parts = _divided(rows, seed)
    else:
        rows, parts = _given(rows, seed, skip_bad)
    _check_classes(rows, parts)
    name = Path(source).stem if isinstance(source, str | Path) else "sentences"
    domain = LANGUAGES.get(language, language)
    whole = Split(rows.x, rows.y, rows.class_names, name, domain, rows.ids)
    task = Task(
        name=name,
        **{part: whole.take(parts == part, f"{name}/{part}") for part in SHARES},
        class_names=rows.class_names,
        domain=domain,
        licence=licence,
        citation=citation,
        note=_note(rows, len(table), f"as column {split!r} says" if split else f"at random, seed {seed}"),
    )
    return task if train is None else task.subset(train, seed=seed)


@dataclass(frozen=True)
class _Columns:
    """Names of the columns that are used."""

    text: tuple[str, ...]
    label: str
    id: str | None
    group: str | None
    split: str | None

    def __post_init__(self) -> None:
        if len(self.text) not in (1, 2) or len(set(self.text)) != len(self.text) or self.label in self.text:
            raise BadInput(
                f"text={self.text!r}, label={self.label!r}.",
                "Name one column of texts, or two for pairs, and another one for the labels.",
            )

    @property
    def names(self) -> list[str]:
        return [*self.text, self.label, *(name for name in (self.id, self.group, self.split) if name)]


@dataclass(frozen=True)
class _Rows:
    """The rows that can be used, one entry each.

    ``unit`` numbers what must stay together: rows of equal text or one group share a number.
    """

    x: np.ndarray
    label: np.ndarray
    ids: np.ndarray
    unit: np.ndarray
    split: np.ndarray
    number: np.ndarray
    left_out: int

    @property
    def class_names(self) -> tuple[str, ...]:
        names = sorted(set(self.label.tolist()))
        whole = all(name.removeprefix("-").isdecimal() for name in names)
        return tuple(sorted(names, key=int) if whole else names)

    @property
    def y(self) -> np.ndarray:
        place = {name: number for number, name in enumerate(self.class_names)}
        return np.array([place[name] for name in self.label.tolist()], np.int64)

    def take(self, kept: np.ndarray) -> _Rows:
        """Return the rows of a boolean mask."""
        arrays = {n: getattr(self, n)[kept] for n in ("x", "label", "ids", "unit", "split", "number")}
        return _Rows(**arrays, left_out=self.left_out + int((~kept).sum()))


def _rows(table: Any, columns: _Columns, skip_bad: bool) -> _Rows:
    """Return the rows of a table that can be used; raise for the others, or count them."""
    cells = {name: table[name].tolist() for name in columns.names}
    found = {row: why for row in range(len(table)) if (why := _wrong(cells, columns, row))}
    if found and not skip_bad:
        raise BadInput(
            f"{len(found):,} of {len(table):,} rows cannot be used: {_listed(found)}.",
            "Mend them, or give skip_bad=True to leave them out. Row 1 is the first below the names.",
        )
    kept = np.array([row for row in range(len(table)) if row not in found], np.int64)
    if not len(kept):
        raise BadInput("No row can be used.", "Give rows with a text and a label.")
    x = np.empty((len(kept), len(columns.text)), object)
    for side, name in enumerate(columns.text):
        x[:, side] = [cells[name][row] for row in kept]
    keys = [_text_keys(x)]
    if columns.group:
        keys.append([cells[columns.group][row] for row in kept])
    return _Rows(
        x=x[:, 0] if len(columns.text) == 1 else x,
        label=_labels([cells[columns.label][row] for row in kept]),
        ids=_ids(kept, None if columns.id is None else [cells[columns.id][row] for row in kept]),
        unit=_units(keys),
        split=np.array([_part(cells[columns.split][row]) if columns.split else "" for row in kept]),
        number=kept + 1,
        left_out=len(found),
    )


def _wrong(cells: dict[str, list[Any]], columns: _Columns, row: int) -> str:
    """Return why a row cannot be used, empty when it can."""
    for name in columns.text:
        value = cells[name][row]
        if _is_missing(value):
            return f"has no text in {name!r}"
        if not isinstance(value, str):
            return f"has {value!r} in {name!r}, which is no text"
        if not value.strip():
            return f"has an empty text in {name!r}"
        if any("\ud800" <= c <= "\udfff" for c in value):
            return f"has half a character (a lone surrogate) in {name!r}"
    for name in columns.names[len(columns.text) :]:
        value = cells[name][row]
        if _is_missing(value) or (isinstance(value, str) and not value.strip()):
            return f"has nothing in {name!r}"
    return ""


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _listed(found: dict[int, str]) -> str:
    first = [f"row {row + 1} {why}" for row, why in list(found.items())[:3]]
    return "; ".join(first) + (", …" if len(found) > 3 else "")


def _labels(values: list[Any]) -> np.ndarray:
    """Return the name of each label."""
    names = [_label(value) for value in values]
    bare: dict[str, str] = {}
    for name in names:
        other = bare.setdefault(name.strip(), name)
        if other != name:
            raise BadInput(f"The labels {other!r} and {name!r} differ in spaces alone.", "Write them alike.")
    if len(bare) < 2:
        raise BadInput(
            f"Every row has the label {names[0]!r}; there is nothing to tell apart.",
            "Give rows of two classes or more.",
        )
    return np.array(names, object)


def _label(value: Any) -> str:
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    if isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise BadInput(
        f"The label {value!r} is no class.",
        "Give strings, whole numbers or truth values; sort amounts into bins.",
    )


def _ids(kept: np.ndarray, given: list[Any] | None) -> np.ndarray:
    if given is None:
        return np.array([f"row-{row + 1:06d}" for row in kept])
    seen: dict[str, int] = {}
    for row, name in zip(kept, map(str, given), strict=True):
        if name in seen:
            raise BadInput(
                f"Rows {seen[name]} and {row + 1} are both called {name!r}.",
                "Give every row an id of its own; to keep rows together, use group.",
            )
        seen[name] = int(row) + 1
    return np.array(list(seen))


def _text_keys(x: np.ndarray) -> list[str]:
    """Return a string per row by which equal texts, or pairs in either order, are found."""
    return ["\0".join(sorted(map(_bare, row))) for row in x]


def _bare(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _units(keys: Sequence[Sequence[Any]]) -> np.ndarray:
    """Return ``(n,)`` numbers from 0: rows that share any key, directly or by way of others, share one.

    Examples
    --------
    >>> _units([["a", "b", "c", "b"], [1, 2, 1, 3]]).tolist()
    [0, 1, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(keys[0])
    nodes: dict[tuple[int, Any], int] = {}
    ends = [nodes.setdefault((kind, key), n + len(nodes)) for kind, side in enumerate(keys) for key in side]
    size = n + len(nodes)
    links = coo_array((np.ones(len(ends), np.int8), (np.tile(np.arange(n), len(keys)), ends)), (size, size))
    found = connected_components(links, directed=False)[1][:n]
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _part(value: Any) -> str:
    part = _SYNONYMS.get(str(value).strip().casefold())
    if part is None:
        raise BadInput(f"A row's split is {value!r}.", f"Call it one of {', '.join(_SYNONYMS)}.")
    return part


def _divided(rows: _Rows, seed: int) -> np.ndarray:
    """Return the part of each row, at random: whole units, each class in its share."""
    _, first = np.unique(rows.unit, return_index=True)
    y = rows.y[first]
    counts = np.bincount(y, minlength=len(rows.class_names))
    if counts.min() < 3:
        rare = int(counts.argmin())
        held = int((rows.y == rare).sum())
        raise BadInput(
            f"The class {rows.class_names[rare]!r} has {held} rows in {counts[rare]} groups (equal texts "
            "stay together); splitting in three needs at least 3, and a score worth reading needs dozens.",
            "Add rows of it, merge it with another class, or say the parts yourself in a split column.",
        )
    part = np.full(len(y), "train", object)
    left = np.arange(len(y))
    for name in ("test", "validation"):
        number = max(len(counts), round(SHARES[name] * len(y)))
        taken = stratified_rows(y[left], number, seed=seed)
        part[left[taken]] = name
        left = np.delete(left, taken)
    return np.asarray(part[rows.unit], str)


def _given(rows: _Rows, seed: int, skip_bad: bool) -> tuple[_Rows, np.ndarray]:
    """Return the rows and their part as a column says, after a look for what stands in two parts."""
    rank = np.array([list(SHARES).index(part) for part in rows.split])
    highest = np.zeros(rows.unit.max() + 1, np.int64)
    np.maximum.at(highest, rows.unit, rank)
    twice = rank < highest[rows.unit]
    if twice.any() and not skip_bad:
        row = int(np.flatnonzero(twice)[0])
        other = int(np.flatnonzero((rows.unit == rows.unit[row]) & (rank == highest[rows.unit[row]]))[0])
        raise BadInput(
            f"{int(twice.sum())} rows have their text or group in another part as well: row "
            f"{rows.number[row]} ({rows.split[row]}) and row {rows.number[other]} ({rows.split[other]}) "
            "belong together.",
            "Move them into one part, or give skip_bad=True to leave them out of the earlier one.",
        )
    rows = rows.take(~twice)
    known = np.isin(rows.label.tolist(), rows.label[rows.split == "train"].tolist())
    if not known.all() and not skip_bad and (rows.split == "train").any():
        row = int(np.flatnonzero(~known)[0])
        raise BadInput(
            f"{int((~known).sum())} rows have a label that training does not know: {rows.label[row]!r} in "
            f"row {rows.number[row]} ({rows.split[row]}).",
            "Add rows of it to train, or give skip_bad=True to leave these out.",
        )
    rows = rows.take(known) if known.any() else rows
    parts = rows.split.copy()
    for needed in ("train", "test"):
        if needed not in parts:
            raise BadInput(f"No row is in {needed}.", "Name train and test rows in the split column.")
    if "validation" not in parts:
        parts = _with_validation(rows, seed)
    return rows, parts


def _with_validation(rows: _Rows, seed: int) -> np.ndarray:
    """Return the parts with a share of the training units as validation."""
    units, first = np.unique(rows.unit[rows.split == "train"], return_index=True)
    y = rows.y[rows.split == "train"][first]
    counts = np.bincount(y, minlength=len(rows.class_names))
    if counts.min() < 2:
        raise BadInput(
            f"The class {rows.class_names[int(counts.argmin())]!r} has {counts.min()} groups of rows in "
            "train; to take a validation part from there needs at least 2.",
            "Add rows of it, or name validation rows in the split column.",
        )
    number = max(len(counts), round(SHARES["validation"] * len(y)))
    taken = units[stratified_rows(y, number, seed=seed)]
    return np.where(np.isin(rows.unit, taken) & (rows.split == "train"), "validation", rows.split)


def _check_classes(rows: _Rows, parts: np.ndarray) -> None:
    """Raise when a class is missing in train: groups of several labels can do that."""
    there = np.bincount(rows.y[parts == "train"], minlength=len(rows.class_names))
    if there.min() == 0:
        raise BadInput(
            f"No row of class {rows.class_names[int(there.argmin())]!r} came into train.",
            "Use smaller groups, another seed, or say the parts yourself in a split column.",
        )


def _note(rows: _Rows, n: int, how: str) -> str:
    found = [f"split {how}"]
    if rows.left_out:
        found.append(f"{rows.left_out:,} of {n:,} rows left out")
    keys = _text_keys(rows.x if rows.x.ndim == 2 else rows.x[:, None])
    told: dict[str, set[str]] = {}
    for key, label in zip(keys, rows.label.tolist(), strict=True):
        told.setdefault(key, set()).add(label)
    torn = sum(len(labels) > 1 for labels in told.values())
    if torn:
        found.append(f"{torn:,} texts occur with different labels")
    return "; ".join(found)
