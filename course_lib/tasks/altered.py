"""The same task with something taken away: colour, pixels, the sense of its labels, some classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split, Task

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's convert("L")


def grey(task: Task) -> Task:
    """Return a task of grey pictures, so that networks of one shape take it and tasks that never had colour.

    Parameters
    ----------
    task : Task
        Pictures ``(n, height, width, 1 or 3)`` uint8.

    Returns
    -------
    Task
        Pictures ``(n, height, width, 1)``; a task that is grey already is returned as it is.

    Raises
    ------
    BadInput
        When the examples are not pictures.
    """
    if _checked(task).shape[3] == 1:
        return task

    def without(split: Split) -> Split:
        return replace(split, x=shades(split.x))

    return replace(
        task,
        name=f"{task.name}, grey",
        train=without(task.train),
        validation=without(task.validation),
        test=without(task.test),
    )


def shrunk(task: Task, by: int = 2) -> Task:
    """Return a task of smaller pictures, each pixel the mean of a square of them.

    Large photographs take a quarter of the memory at half their size, and a network that sees them
    at fewer pixels loses next to nothing.

    Parameters
    ----------
    task : Task
        Pictures ``(n, height, width, 1 or 3)`` uint8.
    by : int
        How many times smaller each side becomes; both are multiples of it.

    Returns
    -------
    Task
        Pictures ``(n, height / by, width / by, 1 or 3)`` uint8.

    Raises
    ------
    BadInput
        When the examples are not pictures, or their sides are no multiples of `by`.

    Examples
    --------
    >>> from course_lib.tasks import digits
    >>> shrunk(digits(), 4).test.x.shape
    (510, 2, 2, 1)
    """
    height, width, channels = _checked(task).shape[1:]
    if by < 1 or height % by or width % by:
        raise BadInput(
            f"{task.name} has pictures of {height} × {width} pixels; they cannot be made {by} times smaller.",
            "Choose a whole number that divides both sides.",
        )

    def small(split: Split) -> Split:
        x = np.empty((len(split), height // by, width // by, channels), np.uint8)
        for row, picture in enumerate(split.x):
            squares = picture.reshape(height // by, by, width // by, by, channels)
            x[row] = np.rint(squares.mean(axis=(1, 3)))
        return replace(split, x=x)

    return replace(
        task,
        name=f"{task.name}, {by} times smaller" if by > 1 else task.name,
        train=small(task.train),
        validation=small(task.validation),
        test=small(task.test),
    )


def _checked(task: Task) -> np.ndarray:
    """Return the training pictures."""
    x = task.train.x
    if x.ndim != 4 or x.shape[3] not in (1, 3) or x.dtype != np.uint8:
        raise BadInput(
            f"{task.name} has examples of shape {x.shape[1:]} and type {x.dtype}; expected pictures "
            "(height, width, 1 or 3) uint8.",
            "Use a task of pictures, for instance tasks.cifar10().",
        )
    return x


def shades(x: np.ndarray) -> np.ndarray:
    """Return RGB pictures ``(n, height, width, 3)`` in grey, ``(n, height, width, 1)`` uint8."""
    found = np.empty((*x.shape[:3], 1), np.uint8)
    for low in range(0, len(x), 4096):  # in parts: float32 takes four times the room
        found[low : low + 4096, ..., 0] = np.rint(x[low : low + 4096] @ _LUMA)
    return found


def shuffled_labels(task: Task, seed: int = 0) -> Task:
    """Return a task whose training and validation labels are dealt out anew: nothing can be learnt from it.

    Each class keeps its share. What a network carries away from such a source is a habit of pictures at best,
    never of classes, which makes it a control for any other source. The test labels stay true.

    Parameters
    ----------
    task : Task
    seed : int

    Returns
    -------
    Task

    References
    ----------
    Zhang, Bengio, Hardt, Recht & Vinyals (2017), "Understanding deep learning requires rethinking
    generalization".

    Examples
    --------
    >>> from course_lib.tasks.handwriting import digits
    >>> true, dealt = digits(), shuffled_labels(digits())
    >>> dealt.train.counts == true.train.counts, bool((dealt.train.y == true.train.y).mean() < 0.2)
    (True, True)
    """
    rng = np.random.default_rng([seed, 6])
    train, validation = (replace(s, y=rng.permutation(s.y)) for s in (task.train, task.validation))
    return replace(task, name=f"{task.name}, shuffled labels", train=train, validation=validation)


def some_classes(task: Task, names: Sequence[str]) -> Task:
    """Return a task of some of its classes only, numbered anew in the order given.

    Two halves of one task are a source and a target that look alike and have no class in common.

    Parameters
    ----------
    task : Task
    names : sequence of str
        Two or more class names.

    Returns
    -------
    Task

    Raises
    ------
    BadInput
        For a name that is no class of the task, one given twice, or fewer than two.

    References
    ----------
    Yosinski, Clune, Bengio & Lipson (2014), "How transferable are features in deep neural networks?", who
    halve ImageNet so.

    Examples
    --------
    >>> from course_lib.tasks.handwriting import digits
    >>> some_classes(digits(), "56789").train.counts
    {'5': 104, '6': 103, '7': 102, '8': 101, '9': 103}
    """
    wanted = tuple(names)
    lost = [name for name in wanted if name not in task.class_names]
    if lost or len(set(wanted)) < max(len(wanted), 2):
        raise BadInput(
            f"Classes {', '.join(map(repr, wanted)) or 'none'}; expected two or more different ones "
            f"of {task.name}" + (f", and {lost[0]!r} is none of them." if lost else "."),
            f"There are {', '.join(task.class_names)}.",
        )
    old = np.array([task.class_names.index(name) for name in wanted])

    def kept(split: Split) -> Split:
        split = split.take(np.flatnonzero(np.isin(split.y, old)))
        y = (split.y[:, None] == old).argmax(axis=1).astype(split.y.dtype)
        return replace(split, y=y, class_names=wanted)

    return replace(
        task,
        name=f"{task.name}, {len(wanted)} classes",
        class_names=wanted,
        train=kept(task.train),
        validation=kept(task.validation),
        test=kept(task.test),
    )
