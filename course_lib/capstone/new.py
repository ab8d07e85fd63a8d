"""`course new`: a folder that takes one's own data through a transfer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from course_lib.capstone.columns import chosen_columns
from course_lib.capstone.data import Data, read_data
from course_lib.capstone.settings import FILE, KINDS, Settings
from course_lib.errors import BadInput
from course_lib.runner.state import write_atomically

NOTEBOOK = "capstone.ipynb"


def new_project(
    folder: str | Path,
    data: str | Path | None = None,
    kind: str | None = None,
    *,
    text: str | None = None,
    label: str | None = None,
    **settings: Any,
) -> Path:
    """Lay out a project; nothing is computed yet, but the data are read, so that faults are told at once.

    Parameters
    ----------
    folder : path
        New, or empty: nothing is ever overwritten.
    data : path, optional
        A folder of pictures (a folder per class, or ``train/`` and ``test/`` with such folders), or a table
        of sentences. Default: ``data`` in the project, to be filled.
    kind : {"pictures", "sentences"}, optional
        Default: a table holds sentences, anything else pictures.
    text, label : str, optional
        The table's columns. Default: those with usual names.
    **settings
        Of `Settings`, for instance ``minutes=5``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    BadInput
        For a folder with something in it, data that cannot be used (see `read_data`), columns that are not
        there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     place = new_project(Path(parent) / "mine")
    ...     sorted(path.name for path in place.iterdir())
    ['README.md', 'capstone.ipynb', 'data', 'project.toml']
    """
    place = Path(folder).expanduser()
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise BadInput(
            f"{place} is there already and not empty.", "Name a new folder; nothing is overwritten."
        )
    source = Path(data).expanduser() if data is not None else None
    chosen = kind or ("sentences" if source is not None and source.is_file() else "pictures")
    if chosen not in KINDS:
        raise BadInput(f"kind={kind!r}.", f"Choose one of {', '.join(KINDS)}.")
    found: Data | None = None
    given: dict[str, Any] = dict(settings)
    if source is not None:
        if not source.exists():
            raise BadInput(
                f"There is nothing at {source}.", "Give a folder of pictures or a table of sentences."
            )
        _check_kind(source, chosen)
        if chosen == "sentences":
            given = {**chosen_columns(source, text, label), **given}
        made = Settings(chosen, str(source.resolve()), **given)
        found = read_data(made)
    else:
        given |= {name: value for name, value in (("text", text), ("label", label)) if value}
        made = Settings(chosen, "data" if chosen == "pictures" else "data/sentences.csv", **given)
    _write(place, made, source, found)
    return place


def _check_kind(source: Path, kind: str) -> None:
    if kind == "sentences" and source.is_dir():
        tables = sorted(p.name for p in source.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
        raise BadInput(
            f"{source} is a folder; sentences come from a table.",
            f"Give {source / tables[0]}."
            if tables
            else "Give a CSV file with a column of texts and one of labels.",
        )
    if kind == "pictures" and source.is_file():
        raise BadInput(
            f"{source} is a file; pictures come from a folder with a folder per class.", "Give that folder."
        )


def _write(place: Path, made: Settings, source: Path | None, found: Data | None) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if source is None:
        (place / "data").mkdir()
    else:
        made = Settings(**{**_values(made), "data": _beside(source.resolve(), place.resolve())})
    write_atomically(place / FILE, made.text_of_file())
    write_atomically(place / "README.md", _readme(place.resolve().name, made, found))
    write_atomically(place / NOTEBOOK, json.dumps(_notebook(made), indent=1, ensure_ascii=False) + "\n")


def _values(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in vars(settings).items() if name != "folder"}


def _beside(source: Path, place: Path) -> str:
    """Return the data's place as seen from the project, so that both can be moved together."""
    try:
        return Path(os.path.relpath(source, place)).as_posix()
    except ValueError:  # another drive
        return source.as_posix()


def _readme(name: str, made: Settings, found: Data | None) -> str:
    lines = (
        [f"- {line}" for line in found.notes] + [f"- **Note**: {line}" for line in found.warnings]
        if found
        else []
    )
    there = f"{found.task}\n\n" + "\n".join(lines) if found else _to_fill(made)
    return f"""# {name}

Your own data through the steps of the course: probe, fine-tuning, verdict, report.

```bash
course run {name}        # from the folder above this one; or: python -m course_lib.capstone {name}
```

It writes `report/index.html` and `report/report.json`, and keeps the learner that it chose in `report/`.
Stop it whenever you like: it goes on where it was. `{NOTEBOOK}` takes the same steps one by one.
What it does is said in `{FILE}`: change a value and run again.

## The data

{there}

## How to read the report

1. *Was anything learnt?* The probe against always saying the largest class.
2. *Did the source help?* The probe against the control ({made.control}): the same labels, no source.
   Three fits or more, an interval; else "cannot tell".
3. *Did fine-tuning help further?* Against the probe.

Validation chooses, test reports, once. If you change settings because of a test score, that score is no
longer honest: keep some data aside for the end.
"""


def _to_fill(made: Settings) -> str:
    if made.kind == "pictures":
        return (
            "Put your pictures into `data/`, a folder per class: `data/cat/1.jpg`, `data/dog/1.jpg`. "
            "Several pictures of one "
            "thing belong in one split: make `data/train/` and `data/test/` yourself then."
        )
    return (
        f"Put your table into `data/sentences.csv` (UTF-8), with a first line that names its columns: "
        f"`{made.text},{made.label}`."
    )


def _notebook(made: Settings) -> dict[str, Any]:
    """Return the notebook of the project: the steps of a run, one cell each."""
    look = (
        "from course_lib import show\n\nshow.pictures(project.task.train, rows=2, columns=6)"
        if made.kind == "pictures"
        else "for text, label in zip(project.task.train.x[:5], project.task.train.y[:5]):\n"
        '    print(project.task.class_names[label], "|", text)'
    )
    intro = (
        "# Your own transfer\n\nTask, encoder, method, report, on your own data. What is computed is "
        "kept: run again as often as you like. Settings are in `project.toml`; after a change, load the "
        "project anew."
    )
    probe = (
        "## Probe\n\nThe source stays frozen, a linear classifier is learnt on its features. Beside it the "
        f"control ({made.control}), on the same labels without a source, and the largest class."
    )
    verdict = (
        "## Verdict\n\nDid the source help, or hurt? Two fits on the same labels, one with it, one without."
    )
    cells = [
        ("markdown", intro),
        ("code", 'from course_lib import capstone, measure\n\nproject = capstone.load(".")\nproject.data'),
        ("markdown", "## Look at them\n\nBefore anything else. Would you know the answer?"),
        ("code", look),
        ("markdown", probe),
        (
            "code",
            'reports = project.reports("probe", project.control, "largest class")\n'
            'measure.compare(reports, metric=project.data.metric, reference="largest class")',
        ),
        (
            "markdown",
            "## Fine-tune\n\nWithin the minutes of `project.toml`; stopped, it goes on where it was.",
        ),
        ("code", 'if project.tunes:\n    print(project.tuning.words)\n    project.fits("fine-tuned")'),
        ("markdown", verdict),
        ("code", 'project.verdict("probe", project.control)'),
        ("code", 'project.verdict("probe", "largest class")'),
        ("markdown", "## Report\n\nLearning curve, calibration, mistakes, costs: `report/index.html`."),
        ("code", "findings = capstone.run(project)\nfindings"),
        ("code", "capstone.shown(findings)"),
    ]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {
        "cells": [_cell(k, *cell) for k, cell in enumerate(cells)],
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(place: int, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"step-{place:02d}",
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}
