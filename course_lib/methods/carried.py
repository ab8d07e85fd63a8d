"""The small CNN carried over: trained on one task, then used for another."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from course_lib.encoders.cache import fingerprints
from course_lib.encoders.images import checked_pictures
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput
from course_lib.methods.scratch import WIDTH, ScratchClassifier, trained
from course_lib.tasks.altered import shades
from course_lib.tasks.task import Split, Task


def source_cnn(
    task: Task, *, rounds: int = 10, seed: int = 0, pixels: int | None = None, name: str = "source"
) -> ScratchClassifier:
    """Train the small CNN of `scratch_cnn` for a fixed number of rounds: a source to carry over.

    Nothing is chosen on validation. A source whose labels mean nothing would otherwise be stopped at once,
    and would differ from the others in more than its labels.

    Parameters
    ----------
    task : Task
        The source.
    rounds : int
        Of one epoch, but at least 40 steps each.
    seed, pixels, name
        As in `scratch_cnn`. Networks to be compared must see the same pixels.

    Returns
    -------
    ScratchClassifier

    Raises
    ------
    BadInput
        As `scratch_cnn`.
    """
    return trained(task, epochs=rounds, seed=seed, pixels=pixels, name=name, patience=None)


def carried_cnn(
    source: ScratchClassifier,
    task: Task,
    *,
    layers: int = 4,
    epochs: int | None = None,
    seed: int = 0,
    name: str = "carried over",
) -> ScratchClassifier:
    """Fine-tune the small CNN on a target, beginning where the source ended.

    In everything else it is `scratch_cnn`: the same network, steps, stopping and seed, so that the two are
    matched controls and `measure.verdict` on them tells what the source did. All layers are trained.

    Parameters
    ----------
    source : ScratchClassifier
        From `source_cnn` or `scratch_cnn`.
    task : Task
        The target: pictures of any size, with as many channels as the source's.
    layers : int
        How many layers to carry over, from the input on: 1 to 3 are convolutions, 4 the dense one. Those
        beyond, and always the last, begin at random.
    epochs, seed, name
        As in `scratch_cnn`.

    Returns
    -------
    ScratchClassifier

    Raises
    ------
    BadInput
        For a number of layers that there is not, other channels, and as `scratch_cnn`.
    """
    if not 1 <= layers <= 4:
        raise BadInput(f"layers={layers}; expected 1 to 4.", "Use methods.scratch_cnn to carry nothing over.")
    first = source.weights[: 2 * layers]  # a kernel and a bias each
    return trained(task, epochs=epochs, seed=seed, name=name, shape=source.shape, first=first)


class CnnEncoder:
    """A small CNN without its last layer: pictures to 64 features. Made by `cnn_encoder`.

    Attributes
    ----------
    name : str
    dim : int
    last : Timing or None
        What the last `encode` cost.
    """

    def __init__(self, source: ScratchClassifier, name: str) -> None:
        self.name, self.dim = name, WIDTH
        self.last: Timing | None = None
        self._source = source
        self._kept: dict[bytes, np.ndarray] = {}
        self._each = 0.0

    def encode(self, data: Split | np.ndarray, **_: Any) -> np.ndarray:
        """Return the features of pictures; those that this encoder has seen are looked up.

        Parameters
        ----------
        data : Split or numpy.ndarray
            ``(n, height, width, 1 or 3)`` uint8. Colour becomes grey for a source that learnt from grey
            pictures, and grey RGB for one that learnt from colour.

        Returns
        -------
        numpy.ndarray
            ``(n, 64)`` float32, not negative.
        """
        x = checked_pictures(data)
        ids = fingerprints(x)
        rows = list({i: row for row, i in enumerate(ids) if i not in self._kept}.values())
        start = time.perf_counter()
        if rows:
            found = self._source.features(self._coloured(x[rows]))
            self._kept.update({ids[row]: feature for row, feature in zip(rows, found, strict=True)})
        seconds = time.perf_counter() - start
        if rows:
            self._each = seconds / len(rows)
        self.last = Timing(len(x), len(rows), seconds, self._each)
        return np.stack([self._kept[i] for i in ids]) if ids else np.empty((0, WIDTH), np.float32)

    def source_probabilities(self, data: Split | np.ndarray, **_: Any) -> np.ndarray:
        """Return what the source says of pictures in its own classes, ``(n, k)``; for LEEP and NCE."""
        p = self._source.predict_proba(self._coloured(checked_pictures(data)))
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def _coloured(self, x: np.ndarray) -> np.ndarray:
        """Return pictures with the source's channels: colour as grey, or grey three times."""
        channels = self._source.shape[2]
        if x.shape[3] == channels:
            return x
        return np.repeat(x, 3, axis=3) if channels == 3 else shades(x)

    def __repr__(self) -> str:
        return (
            f"CnnEncoder({self.name!r}: {'×'.join(map(str, self._source.shape))} → {WIDTH} features, frozen)"
        )


def cnn_encoder(source: ScratchClassifier, name: str | None = None) -> CnnEncoder:
    """Return the source without its last layer, as an encoder for probes and scores.

    Parameters
    ----------
    source : ScratchClassifier
    name : str, optional
        Default: the source's own.

    Returns
    -------
    CnnEncoder
    """
    return CnnEncoder(source, name or source.name)
