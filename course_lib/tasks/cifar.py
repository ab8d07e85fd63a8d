"""CIFAR-10 and CIFAR-100, from whichever form of them is on this machine."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import store
from course_lib.tasks.decoded import Arrays, decoded
from course_lib.tasks.task import Split, Task, stratified_rows

VALIDATION = 5000
_VALIDATION_SEED = 2009
_PICTURE = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Variant:
    """What differs between the two data sets."""

    name: str
    classes: int
    inner: str  # folder inside the official archive
    train: tuple[str, ...]
    test: str
    labels: bytes
    meta: str
    names: bytes


CIFAR10 = Variant(
    "cifar10",
    10,
    "cifar-10-batches-py",
    tuple(f"data_batch_{k}" for k in range(1, 6)),
    "test_batch",
    b"labels",
    "batches.meta",
    b"label_names",
)
CIFAR100 = Variant(
    "cifar100",
    100,
    "cifar-100-python",
    ("train",),
    "test",
    b"fine_labels",
    "meta",
    b"fine_label_names",
)


def cifar10(train: int | None = None, *, seed: int = 0, source: str | Path | None = None) -> Task:
    """Return CIFAR-10: 60,000 photographs of 32×32 pixels in ten classes.

    Validation is the same 5,000 stratified training pictures always; test is the official test set. Looked
    for, in this order, in `source` alone when given; else in ``$COURSE_DATA``, the course's cache and
    Keras's cache.

    Parameters
    ----------
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all.
    seed : int
        Of the subset.
    source : path, optional
        The official archive, its unpacked folder, or a folder or zip of class folders
        ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.

    Returns
    -------
    Task
        Pictures ``(n, 32, 32, 3)`` uint8. ``note`` says which form was read.

    Raises
    ------
    DataUnavailable
        When it is not on this machine; says how to get it.
    Corrupt
        When an archive is truncated or altered.
    """
    return _task(CIFAR10, train, seed, source)


def cifar100(train: int | None = None, *, seed: int = 0, source: str | Path | None = None) -> Task:
    """Return CIFAR-100: 60,000 photographs of 32×32 pixels in a hundred classes; see `cifar10`."""
    return _task(CIFAR100, train, seed, source)


def _task(variant: Variant, train: int | None, seed: int, source: str | Path | None) -> Task:
    found = store.find(variant.name, source)
    if found is None:
        raise DataUnavailable(f"{variant.name} is not on this machine.", store.remedy(variant.name))
    arrays = _read(variant, found)
    names = tuple(str(name) for name in arrays["names"])
    wanted = store.entry(variant.name)

    def split(part: str, rows: np.ndarray | slice, label: str) -> Split:
        x, y = arrays[f"{part}_x"][rows], arrays[f"{part}_y"][rows]
        ids = np.char.add(f"{part}/", np.arange(len(arrays[f"{part}_y"])).astype(str))[rows]
        return Split(x, y, names, f"{variant.name}/{label}", "photographs", ids)

    y = arrays["train_y"]
    size = min(VALIDATION, len(y) // 10)  # the whole data set: 5,000
    held = np.zeros(len(y), bool)
    held[stratified_rows(y, size, seed=_VALIDATION_SEED)] = True
    task = Task(
        name=variant.name,
        train=split("train", np.flatnonzero(~held), "train"),
        validation=split("train", np.flatnonzero(held), "validation"),
        test=split("test", slice(None), "test"),
        class_names=names,
        domain="photographs",
        licence=wanted.licence,
        citation=wanted.citation,
        note=_EDITIONS[found.form],
    )
    return task if train is None else task.subset(train, seed=seed)


_EDITIONS = {
    "archive": "official archive",
    "unpacked": "official archive, unpacked",
    "zip": "zip of class folders; its JPEG pictures are close to, but not, the original pixels",
    "folder": "folder of class folders",
}


def _read(variant: Variant, found: store.Found) -> Arrays:
    """Return the arrays of the form that was found, decoded once and kept."""
    path = found.path
    forms: dict[str, Callable[[], Arrays]] = {
        "archive": lambda: _official(variant, _tar_files(variant, path)),
        "unpacked": lambda: _official(variant, lambda name: (path / name).read_bytes()),
        "zip": lambda: _zip(path),
        "folder": lambda: _class_folders(_folder_members(path), path),
    }
    arrays = decoded(f"{variant.name}-{_stamp(path)}", forms[found.form])
    if len(arrays["names"]) != variant.classes:
        raise BadInput(
            f"{path} holds {len(arrays['names'])} classes; {variant.name} has {variant.classes}.",
            "Is it the right data set? Use tasks.image_folder for your own.",
        )
    return arrays


def _stamp(path: Path) -> str:
    """Name this very file or folder: a changed one is decoded anew."""
    paths = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = blake2b(str(path.resolve()).encode(), digest_size=10)
    for item in paths:
        stat = item.stat()
        digest.update(f"{item.name}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    return digest.hexdigest()


Opener = Callable[[str], bytes]


def _tar_files(variant: Variant, path: Path) -> Opener:
    wrong = store.sha256_of(path) != store.entry(variant.name).sha256
    if wrong:
        raise Corrupt(f"{path} is not the published file: its SHA-256 differs.", store.remedy(variant.name))
    try:
        with tarfile.open(path) as archive:
            wanted = {f"{variant.inner}/{n}": n for n in (*variant.train, variant.test, variant.meta)}
            found = {}
            for member in archive:
                if member.name in wanted and (stream := archive.extractfile(member)) is not None:
                    found[wanted[member.name]] = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Corrupt(f"{path.name} cannot be read: {error}", f"`course fetch {variant.name}`") from error
    return found.__getitem__


def _official(variant: Variant, read: Opener) -> Arrays:
    """Return the arrays of the published pickles."""
    try:
        meta = _unpickle(read(variant.meta))
        parts = {
            "train": [_unpickle(read(name)) for name in variant.train],
            "test": [_unpickle(read(variant.test))],
        }
        arrays: Arrays = {"names": np.array([name.decode() for name in meta[variant.names]])}
        for part, batches in parts.items():
            flat = np.concatenate([np.asarray(batch[b"data"], np.uint8) for batch in batches])
            arrays[f"{part}_x"] = np.ascontiguousarray(flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            arrays[f"{part}_y"] = np.concatenate([np.asarray(b[variant.labels], np.int64) for b in batches])
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise Corrupt(
            f"The {variant.name} files cannot be read: {error!r}", f"`course fetch {variant.name}`"
        ) from error
    return arrays


class _OnlyArrays(pickle.Unpickler):
    """Reads the published pickles, which hold dicts, bytes and arrays, and refuses everything else."""

    _ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"): ("numpy", "ndarray"),
        ("numpy", "dtype"): ("numpy", "dtype"),
        ("_codecs", "encode"): ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise Corrupt(
                f"The file asks for {module}.{name}, which no CIFAR file needs; it was not run.",
                "Do not trust this file; fetch the official one.",
            )
        return super().find_class(*self._ALLOWED[module, name])


def _unpickle(raw: bytes) -> dict[bytes, Any]:
    try:
        found = _OnlyArrays(io.BytesIO(raw), encoding="bytes").load()
    except (pickle.UnpicklingError, AttributeError, IndexError, TypeError) as error:
        raise ValueError(f"not a CIFAR pickle: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"not a CIFAR pickle: it holds a {type(found).__name__}")
    return found


Member = tuple[str, str, Callable[[], bytes]]  # split, class, bytes


def _folder_members(path: Path) -> list[Member]:
    return [
        (p.parent.parent.name, p.parent.name, p.read_bytes)
        for p in sorted(path.glob("*/*/*"))
        if p.suffix.lower() in _PICTURE
    ]


def _zip(path: Path) -> Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            members: list[Member] = []
            for name in sorted(archive.namelist()):
                parts = PurePosixPath(name).parts
                if len(parts) >= 3 and name.lower().endswith(_PICTURE):
                    members.append((parts[-3], parts[-2], partial(archive.read, name)))
            return _class_folders(members, path)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise Corrupt(f"{path.name} is damaged or incomplete: {error}", "Copy it again.") from error


def _class_folders(members: list[Member], path: Path) -> Arrays:
    names = sorted({label for _, label, _ in members})
    arrays: Arrays = {"names": np.array(names)}
    for part in ("train", "test"):
        rows = [(label, read) for split, label, read in members if split == part]
        if not rows:
            raise BadInput(f"{path} has no pictures in {part}/CLASS/.", "Expected train/ and test/.")
        with ThreadPoolExecutor() as pool:
            arrays[f"{part}_x"] = np.stack(list(pool.map(_pixels, (read() for _, read in rows))))
        arrays[f"{part}_y"] = np.array([names.index(label) for label, _ in rows], np.int64)
    return arrays


def _pixels(raw: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(raw)) as image:
        return np.asarray(image.convert("RGB"))
