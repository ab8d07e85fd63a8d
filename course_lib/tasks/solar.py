"""Solar cells: electroluminescence photographs, packaged, with an expert's judgement."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks.decoded import Arrays, decoded
from course_lib.tasks.task import Split, Task, stratified_rows

PACKAGE = "elpv-dataset==1.0.0.post1"
SHA256 = "78ce8c6eb2b8fb03e9d864c92380dde91c030f2a7ee99f72186a42e27ad20ad0"
"""Of labels.csv followed by every picture that it names, in its order."""

REINSTALL = f"python -m pip install --force-reinstall --no-deps {PACKAGE}"
CLASSES = ("functional", "defective")
KINDS = ("mono", "poly")
DEFECTIVE = 2 / 3
"""From this probability on a cell counts as defective, as in the literature (Deitsch et al., 2019)."""

MODULE = 60
"""Cells of nearly every module. Neighbours in the file come from one module."""

STRETCH = 3
"""Modules that are kept together where it is not known exactly where one ends."""

SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
SPLITS = ("modules", "cells")
HELD_OUT = 0.2
"""Of the cells, and then of the rest for validation, where cells are split one by one."""

LICENCE = "CC BY-NC-SA 4.0 (not for commercial use)"
CITATION = (
    "Buerhop-Lutz et al. (2018), A benchmark for visual identification of defective solar cells in "
    "electroluminescence imagery, EU PVSEC; Deitsch et al. (2019), Automatic classification of defective "
    "photovoltaic module cells in electroluminescence images, Solar Energy 185:455-468"
)


def solar_cells(
    cells: str | None = None, train: int | None = None, *, split: str = "modules", seed: int = 0
) -> Task:
    """Return the packaged solar cells, functional or defective.

    2,624 grey photographs of 300×300 pixels: 1,074 monocrystalline and 1,550 polycrystalline cells of 44
    modules. A cell is defective when the expert's probability is at least 2/3.

    Cells of one module look alike: in file order, the brightness of neighbours correlates with 0.8 and their
    labels with 0.5. Splitting cell by cell would let a network recognise modules that it has seen, so a
    module lies in one split as a whole. The publication does not name the modules, but the file keeps their
    order (`stretches` says how they are told apart); 38 cells that may belong to either of two are left out.

    With so few modules a score depends on which of them are in the test set, more than an interval over
    cells tells.

    Parameters
    ----------
    cells : "mono", "poly" or None
        One kind, or both.
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all.
    split : {"modules", "cells"}
        ``"cells"`` splits cell by cell, 64 / 16 / 20%, stratified by kind and by the expert's probability,
        another way for each seed, and leaves none out. **It leaks**: nearly every test cell has neighbours
        from its module in training, so that a score on it is too high for modules never seen. It exists for
        one purpose, to stand next to published figures, nearly all of which are for such splits.
    seed : int
        Of the subset, and of ``split="cells"``; split by modules, the splits are always the same.

    Returns
    -------
    Task
        Pictures ``(n, 300, 300, 1)`` uint8.

    Raises
    ------
    BadInput
        For another kind of cell or of split, or more labels than exist.
    DataUnavailable, Corrupt
        When the package is missing or altered.

    Examples
    --------
    >>> solar_cells("mono").class_names
    ('functional', 'defective')
    """
    if cells not in (None, *KINDS):
        raise BadInput(f"cells={cells!r}.", "Give 'mono', 'poly', or None for both.")
    if split not in SPLITS:
        raise BadInput(
            f"split={split!r}.",
            "Give 'modules', or 'cells' to compare with published figures that split cell by cell.",
        )
    whole = _splits() if split == "modules" else _by_cell(seed)
    parts = {}
    for name, part in whole.items():
        rows = np.arange(len(part)) if cells is None else np.char.startswith(part.ids, cells)
        domain = f"{cells}crystalline cells" if cells else "solar cells"
        label = f"solar cells{', ' + cells if cells else ''}/{name}"
        parts[name] = replace(part.take(rows, label), domain=domain)
    task = Task(
        name=f"solar_cells{'/' + cells if cells else ''}",
        **parts,
        class_names=CLASSES,
        domain=parts["train"].domain,
        licence=LICENCE,
        citation=CITATION,
        note=f"packaged in {PACKAGE}; "
        + (
            f"every module of {MODULE} cells lies in one split"
            if split == "modules"
            else f"split cell by cell with seed {seed}: modules leak, for comparison with the literature only"
        ),
    )
    return task if train is None else task.subset(train, seed=seed)


def available() -> bool:
    """Tell whether the package is installed."""
    try:
        return (_folder() / "labels.csv").is_file()
    except DataUnavailable:
        return False


@lru_cache(maxsize=1)
def _splits() -> dict[str, Split]:
    """Return both kinds together, split; each picture is read once per process."""
    arrays = decoded(f"solar-cells-{SHA256[:16]}", _decode)
    poly = arrays["poly"]
    return _parts(arrays, assign(poly, _labels(arrays["probability"])))


def _by_cell(seed: int) -> dict[str, Split]:
    """Return both kinds together, split cell by cell."""
    arrays = decoded(f"solar-cells-{SHA256[:16]}", _decode)
    return _parts(arrays, assign_cells(arrays["poly"], arrays["probability"], seed))


def _labels(chance: np.ndarray) -> np.ndarray:
    return np.asarray(chance >= DEFECTIVE - 1e-6, np.int64)


def _parts(arrays: Arrays, member: np.ndarray) -> dict[str, Split]:
    y = _labels(arrays["probability"])
    ids = np.array([f"{KINDS[int(p)]}/cell{k + 1:04d}" for k, p in enumerate(arrays["poly"])])
    return {
        name: Split(arrays["x"][rows], y[rows], CLASSES, f"solar cells/{name}", "solar cells", ids[rows])
        for k, name in enumerate(SHARES)
        for rows in [np.flatnonzero(member == k)]
    }


def assign_cells(poly: np.ndarray, chance: np.ndarray, seed: int) -> np.ndarray:
    """Give every cell to a split by itself, each kind and each of the expert's probabilities in its share.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` 0, 1 or 2: train, validation, test.

    Examples
    --------
    >>> np.bincount(assign_cells(np.zeros(100), np.repeat([0.0, 1.0], 50), seed=0)).tolist()
    [64, 16, 20]
    """
    member = np.zeros(len(poly), np.int64)
    level = np.rint(3 * chance).astype(np.int64)
    for kind in np.unique(poly):
        for split in (2, 1):
            rows = np.flatnonzero((poly == kind) & (member == 0))
            held_out = stratified_rows(level[rows], round(HELD_OUT * len(rows)), seed=seed)
            member[rows[held_out]] = split
    return member


def stretches(poly: np.ndarray) -> np.ndarray:
    """Return ``(n,)`` the number of the stretch of whole modules that each cell belongs to; -1 for neither.

    The kind of cell changes along the file and cuts it into runs. Most are a multiple of 60 cells, the size
    of nearly every module, and are cut into modules. Cut so, with one odd module in each run that is no
    multiple of 60, the file has the published number of 44 modules. Where in its run the odd module lies is
    not known: with r cells missing to a full module, each boundary in the run is r cells earlier behind it
    than before it. Such runs are cut after every third module only, and the r cells that may belong to either
    side are left out.

    Examples
    --------
    >>> np.bincount(stretches(np.array([0] * 120 + [1] * 60))).tolist()
    [60, 60, 60]
    >>> uneven = stretches(np.array([0] * 354))  # six modules, one of them of 54 cells
    >>> np.bincount(uneven + 1).tolist()
    [6, 174, 174]
    """
    number = np.full(len(poly), -1)
    ends = np.flatnonzero(np.diff(poly.astype(int))) + 1
    found = 0
    for run in np.split(np.arange(len(poly)), ends):
        missing = -len(run) % MODULE
        lone = len(run) < 2 * MODULE  # a single module of an odd size needs no cutting
        step = len(run) if lone else MODULE * (STRETCH if missing else 1)
        for first in range(0, len(run), step):
            last = first + step - (missing if first + step < len(run) else 0)
            number[run[first:last]] = found
            found += 1
    return number


def assign(poly: np.ndarray, y: np.ndarray, tries: int = 4000) -> np.ndarray:
    """Give every stretch of modules to a split, with classes in shares as equal as that allows.

    For each kind, the one of `tries` random assignments is taken that comes closest to `SHARES` in both
    classes. Labels steer only these shares, as in any stratified split.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` 0, 1 or 2: train, validation, test; -1: left out.
    """
    stretch = stretches(poly)
    sure = stretch >= 0
    counts = np.zeros((stretch.max() + 1, 2))
    np.add.at(counts, (stretch[sure], y[sure]), 1)
    member = np.full(len(poly), -1)
    for kind in np.unique(poly):
        own = np.unique(stretch[sure & (poly == kind)])
        given = np.full(len(counts), -1)
        given[own] = _balanced(counts[own], tries)
        rows = sure & (poly == kind)
        member[rows] = given[stretch[rows]]
    return member


def _balanced(counts: np.ndarray, tries: int) -> np.ndarray:
    """Return a split number per stretch, from its counts per class ``(stretches, 2)``."""
    wanted = np.array(list(SHARES.values()))
    rng = np.random.default_rng(2018)
    best, fewest = np.zeros(len(counts), np.int64), np.inf
    for _ in range(tries):
        chosen = rng.choice(len(wanted), size=len(counts), p=wanted)
        got = np.stack([counts[chosen == k].sum(axis=0) for k in range(len(wanted))]) / counts.sum(axis=0)
        miss = float((np.square(got - wanted[:, None]) / wanted[:, None]).sum())
        if miss < fewest:
            best, fewest = chosen, miss
    return best


def _folder() -> Path:
    name = PACKAGE.partition("==")[0]
    try:
        return Path(str(distribution(name).locate_file("elpv_dataset/data")))
    except PackageNotFoundError:
        raise DataUnavailable(f"The package {name} is not installed.", REINSTALL) from None


def _decode() -> Arrays:
    """Read labels and pictures, verified against `SHA256`."""
    folder = _folder()
    digest = hashlib.sha256()
    try:
        table = (folder / "labels.csv").read_bytes()
        rows = [line.split() for line in table.decode("utf8").splitlines() if line.strip()]
        raw = [(folder / row[0]).read_bytes() for row in rows]
    except OSError as error:
        raise Corrupt(f"The package {PACKAGE} is incomplete: {error}", REINSTALL) from error
    for part in (table, *raw):
        digest.update(part)
    if digest.hexdigest() != SHA256:
        raise Corrupt(
            f"The solar cells have SHA-256 {digest.hexdigest()[:16]}…; the published ones have "
            f"{SHA256[:16]}….",
            REINSTALL,
        )
    with ThreadPoolExecutor() as pool:
        x = np.stack(list(pool.map(_grey, raw)))
    return {
        "x": x[..., None],
        "probability": np.array([float(row[1]) for row in rows], np.float32),
        "poly": np.array([KINDS.index(row[2]) for row in rows], np.uint8),
    }


def _grey(png: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"))
