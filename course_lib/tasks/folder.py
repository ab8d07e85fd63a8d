"""One's own pictures: a folder per class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split, Task, stratified_rows

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
_SYNONYMS = {"train": ("train", "training"), "validation": ("validation", "val", "valid"), "test": ("test",)}
_LARGEST = 4 * 2**30  # bytes of pixels that are held in memory at most
_SHARES = {"test": 0.25, "validation": 0.15}


def image_folder(
    path: str | Path,
    *,
    size: int = 224,
    train: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    licence: str = "your own",
    citation: str = "",
) -> Task:
    """Return a task made of one's own pictures: one folder per class, named after it.

    ``path/CLASS/*.jpg`` is split at random, stratified: 60% train, 15% validation, 25% test. When there are
    ``path/train`` and ``path/test`` (and perhaps ``path/validation``), each with class folders, those splits
    are kept. Pictures are cropped to their central square and resized.

    Split at random only pictures that were taken independently: several of one thing belong in one split.

    Parameters
    ----------
    path : path
    size : int
        Pixels of the side.
    train : int, optional
        Training labels; see `Task.subset`.
    seed : int
        Of the splits and the subset.
    skip_bad : bool
        Leave out files that are not pictures instead of raising.
    licence, citation : str

    Returns
    -------
    Task
        Pictures ``(n, size, size, 3)`` uint8.

    Raises
    ------
    BadInput
        No folder, no class folders, an empty class folder, fewer than three pictures of a class to split, a
        file that is not a picture, or more than 4 GiB of pixels.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise BadInput(f"There is no folder {root}.", "Give a folder with one sub-folder per class.")
    given = {
        part: next((root / n for n in names if (root / n).is_dir()), None)
        for part, names in _SYNONYMS.items()
    }
    whole = root.name or "pictures"
    if given["train"] and given["test"]:
        parts = {part: _load(folder, size, skip_bad, whole) for part, folder in given.items() if folder}
        _same_classes(parts)
        if "validation" not in parts:
            parts["train"], parts["validation"] = _divide(parts["train"], _SHARES["validation"], seed)
        note = "split as the folders say"
    else:
        rest, test = _divide(_load(root, size, skip_bad, whole), _SHARES["test"], seed)
        kept, validation = _divide(rest, _SHARES["validation"] / (1 - _SHARES["test"]), seed)
        parts = {"train": kept, "validation": validation, "test": test}
        note = f"split at random with seed {seed}, stratified"
    task = Task(
        name=whole,
        **{part: replace(split, name=f"{whole}/{part}") for part, split in parts.items()},
        class_names=parts["train"].class_names,
        domain=whole,
        licence=licence,
        citation=citation,
        note=note,
    )
    return task if train is None else task.subset(train, seed=seed)


def _load(folder: Path, size: int, skip_bad: bool, domain: str) -> Split:
    """Read every picture of the class folders of `folder`."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(classes) < 2:
        loose = sum(p.is_file() and p.suffix.lower() in SUFFIXES for p in folder.iterdir())
        raise BadInput(
            f"{folder} has {len(classes)} class folders and {loose} pictures without a label; "
            f"expected two folders or more.",
            "Make one folder per class and put its pictures there.",
        )
    files = {
        c.name: sorted(p for p in c.rglob("*") if p.is_file() and not p.name.startswith(".")) for c in classes
    }
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise BadInput(f"The class folder {folder / empty[0]} is empty.", "Put pictures in, or remove it.")
    total = sum(map(len, files.values())) * size * size * 3
    if total > _LARGEST:
        raise BadInput(
            f"{sum(map(len, files.values())):,} pictures of {size} px need {total / 2**30:.1f} GiB.",
            f"Give a smaller size: {size // 2} needs a quarter.",
        )
    x, y, ids = [], [], []
    for label, paths in enumerate(files.values()):
        for path in paths:
            pixels = _square(path, size, skip_bad)
            if pixels is not None:
                x.append(pixels)
                y.append(label)
                ids.append(str(path.relative_to(folder.parent)))
    counts = np.bincount(y, minlength=len(files)) if y else np.zeros(len(files))
    if counts.min() == 0:
        name = list(files)[int(counts.argmin())]
        raise BadInput(f"No file in {folder / name} is a picture.", "Put pictures in, or remove the folder.")
    return Split(np.stack(x), np.array(y, np.int64), tuple(files), str(folder), domain, np.array(ids))


def _square(path: Path, size: int, skip_bad: bool) -> np.ndarray | None:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if skip_bad:
            return None
        raise BadInput(
            f"{path} is not a picture that can be read ({error}).", "Remove it, or give skip_bad=True."
        ) from error


def _same_classes(parts: dict[str, Split]) -> None:
    first = parts["train"].class_names
    for part, split in parts.items():
        if split.class_names != first:
            raise BadInput(
                f"train has the classes {', '.join(first)}; {part} has {', '.join(split.class_names)}.",
                "Give every split the same class folders.",
            )


def _divide(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Return the split without, and with only, a stratified share of every class."""
    counts = np.bincount(split.y, minlength=len(split.class_names))
    if counts.min() < 3:
        name = split.class_names[int(counts.argmin())]
        raise BadInput(
            f"The class {name} has {counts.min()} pictures; splitting in three needs at least 3, and "
            "a score worth reading needs dozens.",
            "Add pictures, or make train/, validation/ and test/ folders yourself.",
        )
    taken = np.zeros(len(split), bool)
    number = max(len(split.class_names), round(share * len(split)))
    taken[stratified_rows(split.y, number, seed=seed)] = True
    return split.take(~taken), split.take(taken)
