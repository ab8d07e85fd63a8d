"""Which notebooks there are, which were asked for, and what their results depend on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import course_lib
from course_lib.errors import BadInput

LIBRARY = Path(course_lib.__file__).parent
DEPENDED_ON = (
    "keras",
    "numpy",
    "peft",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "tensorflow-cpu",
    "tokenizers",
    "torch",
    "transformers",
)


def notebook_folder(folder: Path | None = None) -> Path:
    """Return the folder of notebooks: the one named, the one here, or the one beside the library.

    Raises
    ------
    BadInput
        When there is none.
    """
    places = [folder] if folder else [Path.cwd() / "notebooks", LIBRARY.parent / "notebooks"]
    for place in places:
        if place.is_dir():
            return place.resolve()
    raise BadInput(
        f"There is no folder of notebooks at {' or '.join(dict.fromkeys(map(str, places)))}.",
        "Run the command in your clone of the course, or name the folder with --notebooks.",
    )


def all_notebooks(folder: Path) -> list[Path]:
    """Return the notebooks of `folder` in the order of their numbers."""
    return sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))


def chosen(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the notebooks that `names` ask for, in the order of the course.

    Parameters
    ----------
    names : sequence of str
        Numbers (``"4"``, ``"04"``), file names with or without ``.ipynb``, or paths; none means all.
    folder : pathlib.Path
        Where the notebooks are.

    Raises
    ------
    BadInput
        When a name fits none or the folder is empty; the message lists those that exist.
    """
    existing = all_notebooks(folder)
    if not existing:
        raise BadInput(f"There are no notebooks in {folder}.", "Name another folder with --notebooks.")
    wanted: set[Path] = set()
    for name in names:
        fitting = [path for path in existing if _fits(name, path)]
        if not fitting:
            listing = ", ".join(path.stem for path in existing)
            raise BadInput(f"No notebook is called {name!r}.", f"Choose among {listing}, or their numbers.")
        wanted.update(fitting)
    return [path for path in existing if path in wanted] if names else existing


def _fits(name: str, path: Path) -> bool:
    if re.fullmatch(r"\d+", name):
        return bool(re.match(rf"0*{int(name)}(?!\d)", path.stem))
    return name in (path.stem, path.name) or Path(name).resolve() == path


def versions() -> dict[str, str]:
    """Return the installed versions of what results depend on."""
    found = {}
    for name in DEPENDED_ON:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


PACKAGED = "packaged"
"""The edition of a notebook without a choice of data: its results are the same wherever it runs."""

ELSEWHERE = "elsewhere"
"""Where a notebook's metadata keep, by edition, what it takes with other data than its outputs are of."""

CHOICES = (("cifar10", "solar_cells"), ("spoken_digits", "tones"))
"""Data sets of which a notebook uses the first that is here; the last always is."""


def read_whole(notebook: Path) -> dict[str, Any]:
    """Return the JSON of a notebook.

    Raises
    ------
    BadInput
        When it is not whole, as after a crash while it was saved.
    """
    try:
        content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
        if isinstance(content["cells"], list) and isinstance(content["metadata"], dict):
            return content
    except (ValueError, KeyError, TypeError):
        pass
    folder = notebook.parent.parent if notebook.parent.name == "zh" else notebook.parent
    name = notebook.relative_to(folder.parent).as_posix()
    raise BadInput(
        f"{notebook} is not a whole notebook: most likely its saving was cut off.",
        f"In your clone, `git checkout -- {name}` brings the course's own version back.",
    )


def edition(notebook: Path | None = None) -> str:
    """Return the data set that notebooks with a choice use now, without asking the network.

    Parameters
    ----------
    notebook : pathlib.Path, optional
        What its metadata name under ``carryover.edition`` says among what it chooses: `PACKAGED` has no
        choice. Default: pictures.
    """
    if notebook is None:
        return edition_like(None)
    return edition_like(read_whole(notebook)["metadata"].get("carryover", {}).get("edition"))


def edition_like(recorded: str | None) -> str:
    """Return the edition that a notebook gets here and now which was recorded with this one.

    Examples
    --------
    >>> edition_like("packaged")
    'packaged'
    """
    from course_lib import tasks

    if recorded == PACKAGED:
        return PACKAGED
    choice = next((one for one in CHOICES if recorded in one), CHOICES[0])
    return next((name for name in choice if tasks.available(name)), choice[-1])


def clocks_here(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a notebook took with the data that it gets here, of what its metadata tell.

    Parameters
    ----------
    about : mapping
        ``metadata.carryover``. Where it tells nothing of these data, it is taken as it is.

    Examples
    --------
    >>> clocks_here({"edition": "packaged", "minutes": 2.1})["minutes"]
    2.1
    """
    here = edition_like(about.get("edition"))
    found: Mapping[str, Any] = about.get(ELSEWHERE, {}).get(here, about)
    return found


def source_key(notebook: Path) -> str:
    """Return a digest of what a notebook's results depend on, data aside: cells, library, versions."""
    digest = hashlib.sha256()
    cells = read_whole(notebook)["cells"]
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]  # outputs do not count
    digest.update(json.dumps([sources, versions()], sort_keys=True).encode())
    for path in sorted(LIBRARY.rglob("*")):
        if path.suffix in {".py", ".mplstyle"} and not {"cli", "runner", "bench", "lab"} & set(path.parts):
            digest.update(path.relative_to(LIBRARY).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
