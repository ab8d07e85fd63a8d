"""Handwritten digits: small, packaged with scikit-learn, and far from any photograph."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from course_lib.errors import Corrupt
from course_lib.tasks.task import Split, Task

SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""Of the pictures, 0 to 16 as published, followed by their labels, all as bytes."""

FORMS = (0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667, 1797)
"""Where each of the 14 forms begins; the last number is the end of the file."""

LAST_FORM = {"train": 8, "validation": 10, "test": 14}
"""Forms before this one, and not of an earlier split, belong to it."""

REINSTALL = "python -m pip install --force-reinstall scikit-learn"
CLASSES = tuple("0123456789")
LICENCE = "CC BY 4.0"
CITATION = (
    "Alpaydin & Kaynak (1998), Optical recognition of handwritten digits, UCI Machine Learning Repository, "
    "doi:10.24432/C50P49"
)


def digits(train: int | None = None, *, seed: int = 0) -> Task:
    """Return scikit-learn's handwritten digits, split by who wrote them.

    1,797 grey pictures of 8×8 pixels, bright strokes on black. They were copied from 14 forms that 13 people
    filled in, and the file keeps their order: every form begins with the same sequence of digits, which
    gives away where (`FORMS`). Whoever splits picture by picture lets a classifier see a writer's other
    digits: the nearest neighbour then names 98 to 99% of the test digits correctly, and 95% when each form
    lies in one split as a whole, as here. One of the people filled in two forms; which is not known.

    Parameters
    ----------
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all 1,029.
    seed : int
        Of the subset; the splits are always the same.

    Returns
    -------
    Task
        Pictures ``(n, 8, 8, 1)`` uint8, 0 to 255.

    Raises
    ------
    BadInput
        For more labels than exist.
    Corrupt
        When scikit-learn's file is not the published one.

    Examples
    --------
    >>> digits().test.x.shape
    (510, 8, 8, 1)
    """
    task = Task(
        name="digits",
        **_splits(),
        class_names=CLASSES,
        domain="handwriting",
        licence=LICENCE,
        citation=CITATION,
        note="packaged with scikit-learn; every form lies in one split",
    )
    return task if train is None else task.subset(train, seed=seed)


@lru_cache(maxsize=1)
def _splits() -> dict[str, Split]:
    x, y = _read()
    ids = np.array([f"digit{k + 1:04d}" for k in range(len(y))])
    grey = np.rint(x * (255 / 16)).astype(np.uint8)[..., None]
    parts, first = {}, 0
    for name, last in LAST_FORM.items():
        rows = slice(FORMS[first], FORMS[last])
        parts[name] = Split(grey[rows], y[rows], CLASSES, f"digits/{name}", "handwriting", ids[rows])
        first = last
    return parts


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures ``(n, 8, 8)`` of 0 to 16 and labels, verified against `SHA256`."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x, y = found.images.astype(np.uint8), found.target.astype(np.int64)
    digest = hashlib.sha256(x.tobytes() + y.astype(np.uint8).tobytes()).hexdigest()
    if digest != SHA256:
        raise Corrupt(
            f"The digits have SHA-256 {digest[:16]}…; the published ones have {SHA256[:16]}….", REINSTALL
        )
    return x, y
