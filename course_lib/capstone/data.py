"""A project's data: read, split, searched for what would spoil a score, and described."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from course_lib import tasks
from course_lib.capstone.duplicates import Cleaned, Pair, without_duplicates
from course_lib.capstone.settings import Settings
from course_lib.errors import BadInput
from course_lib.measure.report import METRICS, html_table, text_table
from course_lib.tasks.folder import SUFFIXES
from course_lib.tasks.task import Task

MEMORY: Final = 0.75 * 2**30  # bytes of pixels at most
SIDES: Final = (192, 160, 128, 96, 64)
FEW: Final = 20  # training examples of a class below which a warning stands
FEW_TESTED: Final = 10
SMALL_TEST: Final = 100
UNEVEN: Final = 1.5  # largest class over smallest, from which accuracy would hide the smallest
PARTS: Final = ("train", "validation", "test")


@dataclass(frozen=True)
class Data:
    """What a project works on.

    Parameters
    ----------
    task : Task
    metric : str
        The one that the settings name; with ``auto``, accuracy or balanced accuracy as the classes ask for.
    notes : tuple of str
        What was split how, and what was left out.
    warnings : tuple of str
        What weakens the result.
    duplicates : tuple of Pair
        Equal pictures in two splits; those named first were left out.
    """

    task: Task
    metric: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    duplicates: tuple[Pair, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether learners shall give every class the same weight."""
        return self.metric != "accuracy"

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row per class: its name and how many examples it has in each split."""
        splits = [getattr(self.task, part) for part in PARTS]
        return [(name, *(f"{split.counts[name]:,}" for split in splits)) for name in self.task.class_names]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the examples as plain values."""
        return {
            "name": self.task.name,
            "classes": {name: [int(n.replace(",", "")) for n in counts] for name, *counts in self.rows()},
            "metric": self.metric,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "duplicates": [str(pair) for pair in self.duplicates],
        }

    def __str__(self) -> str:
        table = text_table([("class", *PARTS), *self.rows()], indent=2)
        return "\n".join([str(self.task), table, *self.notes, *(f"Warning: {one}" for one in self.warnings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        lines = [*self.notes, *(f"Warning: {one}" for one in self.warnings)]
        listed = "".join(f"<li>{escape(one)}</li>" for one in lines)
        return (
            html_table(f"<b>{escape(self.task.name)}</b>", ("class", *PARTS), self.rows())
            + f"<ul>{listed}</ul>"
        )


def read_data(settings: Settings) -> Data:
    """Read the data of a project.

    Raises
    ------
    BadInput
        As `tasks.image_folder` and `tasks.sentence_table`; and where there is nothing yet.
    """
    if not settings.place.exists():
        raise BadInput(
            f"There is nothing at {settings.place}.",
            "Put your pictures there, a folder per class, or write another place after `data` in "
            "project.toml.",
        )
    return _pictures(settings) if settings.kind == "pictures" else _sentences(settings)


def _pictures(settings: Settings) -> Data:
    files, strange = _files(settings.place)
    side = next((s for s in SIDES if len(files) * s * s * 3 <= MEMORY), SIDES[-1])
    side = max(min(side, max(settings.pixels, SIDES[1])), SIDES[-1])
    whole = tasks.image_folder(settings.place, size=side, seed=settings.seed, skip_bad=True)
    read = sum(len(getattr(whole, part)) for part in PARTS)
    notes = [f"{read:,} pictures, {whole.note}."]
    warnings = []
    if read < len(files) + len(strange):
        named = f": {', '.join(strange[:3])}{', …' if len(strange) > 3 else ''}" if strange else ""
        warnings.append(
            f"{len(files) + len(strange) - read:,} files are no pictures and were left out{named}."
        )
    cleaned = without_duplicates(whole)
    notes += _on_duplicates(cleaned)
    if cleaned.near:
        warnings.append(
            f"{len(cleaned.near):,} pictures nearly equal one of another split, for instance "
            f"{cleaned.near[0]}. If these are pictures of one thing, put them in one split "
            "(folders train/ and test/): until then the scores flatter."
        )
    if cleaned.torn:
        warnings.append(
            f"{cleaned.torn:,} pictures stand under several classes; no learner can have both right."
        )
    if "at random" in whole.note:
        notes.append(
            "Split picture by picture: several pictures of one thing belong in one split (train/, test/)."
        )
    return _described(settings, cleaned.task, notes, warnings, cleaned.equal)


def _on_duplicates(cleaned: Cleaned) -> list[str]:
    if not cleaned.equal:
        return ["No picture stands in two splits."]
    return [
        f"{len(cleaned.equal):,} equal pictures stood in two splits and were left out of the earlier "
        f"one, for instance {cleaned.equal[0]}."
    ]


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files that may be pictures, by their names, and the names of the others."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    inside = [p for p in files if p.parent != folder]  # the others belong to no class
    good = [p for p in inside if p.suffix.lower() in SUFFIXES]
    strange = [p.name for p in inside if p.suffix.lower() not in SUFFIXES]
    return good, strange


def _sentences(settings: Settings) -> Data:
    text = settings.text if isinstance(settings.text, str) else settings.text[:2]
    task = tasks.sentence_table(
        settings.place,
        text=text if isinstance(text, str) else (text[0], text[-1]),
        label=settings.label,
        language=settings.language,
        split=settings.split or None,
        group=settings.group or None,
        seed=settings.seed,
        skip_bad=True,
    )
    total = sum(len(getattr(task, part)) for part in PARTS)
    notes = [f"{total:,} sentences; {task.note}.", "Rows with the same text lie in one split."]
    warnings = []
    if "left out" in task.note:
        warnings.append("Rows were left out: without text or label, or with a text of another split.")
    if "different labels" in task.note:
        warnings.append("Some texts occur with different labels; no learner can have both right.")
    return _described(settings, task, notes, warnings, ())


def _described(
    settings: Settings, task: Task, notes: list[str], warnings: list[str], duplicates: tuple[Pair, ...]
) -> Data:
    for part in PARTS:
        empty = [name for name, n in getattr(task, part).counts.items() if not n]
        if empty and part != "validation":
            raise BadInput(
                f"The class {empty[0]!r} has no example in {part}.", "Add some, or remove the class."
            )
    if settings.labels and settings.labels < len(task.train):
        task = task.subset(settings.labels, seed=settings.seed)
        notes.append(f"Of the training examples {len(task.train):,} are used, as project.toml says.")
    counts = np.bincount(task.train.y, minlength=task.classes)
    tested = np.bincount(task.test.y, minlength=task.classes)
    ratio = counts.max() / counts.min()
    metric = settings.metric
    if metric == "auto":
        metric = "balanced_accuracy" if ratio > UNEVEN else "accuracy"
    few = [task.class_names[k] for k in np.flatnonzero(counts < FEW)]
    if few:
        warnings.append(f"Fewer than {FEW} training examples: {_names(few)}. More of them would pay first.")
    unsure = [task.class_names[k] for k in np.flatnonzero(tested < FEW_TESTED)]
    if unsure:
        warnings.append(
            f"Fewer than {FEW_TESTED} test examples: {_names(unsure)}. Their recall is hardly known."
        )
    if ratio > UNEVEN:
        most, least = task.class_names[int(counts.argmax())], task.class_names[int(counts.argmin())]
        warnings.append(
            f"Unbalanced: {most} has {ratio:.1f} times the examples of {least}. Every class is given "
            f"the same weight, and the score is {METRICS[metric]}."
            if metric != "accuracy"
            else f"Unbalanced: {most} has {ratio:.1f} times the examples of {least}; accuracy can "
            f"hide {least}."
        )
    if len(task.test) < SMALL_TEST:
        wide = 100 * 1.96 * 0.5 / np.sqrt(len(task.test))
        warnings.append(
            f"Only {len(task.test)} test examples: a score of 50% is known to ±{wide:.0f} points at best."
        )
    return Data(task, metric, tuple(notes), tuple(warnings), duplicates)


def _names(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
