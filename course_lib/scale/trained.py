"""What came of training in one process of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.errors import BadInput

SCALINGS = ("global", "mean of means")


@dataclass(frozen=True)
class Trained:
    """Weights after training, and what the training took.

    Parameters
    ----------
    weights : dict of str to numpy.ndarray
        Those that were trained, by name.
    losses : numpy.ndarray
        ``(steps,)``: the mean loss of each global batch before its step.
    examples : int
        Over all processes, those of the first step left out: it builds graphs and meets the others.
    seconds : float
        For these examples.
    rank, processes : int
    """

    weights: Mapping[str, np.ndarray]
    losses: np.ndarray
    examples: int
    seconds: float
    rank: int
    processes: int

    @property
    def examples_per_second(self) -> float:
        """Examples of all processes together per second of training."""
        return self.examples / self.seconds if self.seconds else float("nan")

    @property
    def bytes(self) -> int:
        """Bytes of the trained weights: what every step's gradients send around."""
        return sum(array.nbytes for array in self.weights.values())

    @property
    def step_seconds(self) -> float:
        """Seconds of a step on average."""
        return self.seconds / max(1, len(self.losses) - 1)

    def __repr__(self) -> str:
        return (
            f"Trained({len(self.losses)} steps, process {self.rank} of {self.processes}, loss "
            f"{self.losses[0]:.3f} → {self.losses[-1]:.3f})"
        )


def furthest(a: Trained | Sequence[Trained], b: Trained | Sequence[Trained]) -> float:
    """Return the largest difference between any two weights of the same name and place.

    Parameters
    ----------
    a, b : Trained, or a sequence of them
        Of a group every process is compared.

    Raises
    ------
    BadInput
        When they are weights of different networks.
    """
    pairs = [(x, y) for x in _listed(a) for y in _listed(b)]
    if any(x.weights.keys() != y.weights.keys() for x, y in pairs):
        raise BadInput("Weights of different networks.", "Give trainings of the same one.")
    return max(
        float(np.abs(x.weights[name].astype(np.float64) - y.weights[name]).max())
        for x, y in pairs
        for name in x.weights
    )


def _listed(given: Trained | Sequence[Trained]) -> Sequence[Trained]:
    return [given] if isinstance(given, Trained) else given


def check_training(
    x: np.ndarray, y: np.ndarray, classes: int, batch: int, processes: int, scaling: str
) -> None:
    """Refuse what cannot be trained on by a group.

    Raises
    ------
    BadInput
        Lengths that differ, labels beyond the classes, NaN, a batch smaller than the group, an unknown
        scaling.
    """
    if len(x) != len(y) or not len(x):
        raise BadInput(f"{len(x)} examples and {len(y)} labels.", "Give one label for each example.")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise BadInput(
            f"Labels of type {y.dtype} from {y.min()} to {y.max()} for {classes} classes.",
            f"Give whole numbers 0 to {classes - 1}.",
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise BadInput("The features hold NaN or infinite values.", "Leave those rows out.")
    if not processes <= batch:
        raise BadInput(
            f"A batch of {batch} for {processes} processes.", f"Give {processes} or more: one row for each."
        )
    if scaling not in SCALINGS:
        raise BadInput(f"scaling={scaling!r}.", f"Choose one of {', '.join(map(repr, SCALINGS))}.")
