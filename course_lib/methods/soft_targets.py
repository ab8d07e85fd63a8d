"""What a student is to answer: a share of what its teacher says at a temperature, the rest the labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.settings import Settings
from course_lib.methods.tuned import example_weights, smoothed_targets

_SUM_TO_1 = 1e-3  # of float16 probabilities too


@dataclass(frozen=True, eq=False)
class SoftTargets:
    r"""What a teacher says of a training set, and how much of it counts.

    .. math:: L = (1 - w)\, \mathrm{CE}(y, \mathrm{softmax}(z))
                  + w\, T^2\, \mathrm{CE}\bigl(p^{(T)}, \mathrm{softmax}(z / T)\bigr), \qquad
              p^{(T)}_c \propto p_c^{1/T}

    (Hinton, Vinyals & Dean, 2015). The gradient of the second term shrinks as 1/T²; the factor undoes that,
    so that w means the same at every temperature. Examples without a label have the second term alone.

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)`` of the teacher at T = 1, rows summing to 1.
    temperature : float
        T.
    weight : float
        w, 0 to 1.
    labelled : int, optional
        Only the first so many examples have a label that counts. Default: all.

    Raises
    ------
    BadInput
        For probabilities that are none, a temperature of 0 or less, a weight outside of 0 to 1.
    """

    probabilities: np.ndarray
    temperature: float = 2.0
    weight: float = 0.5
    labelled: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", checked_probabilities(self.probabilities))
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise BadInput(f"temperature={self.temperature}.", "Give more than 0; 1 to 10 is usual.")
        if not 0 <= self.weight <= 1:
            raise BadInput(f"weight={self.weight}.", "Give 0 (labels alone) to 1 (the teacher alone).")

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def softened(self) -> np.ndarray:
        """The teacher's probabilities at the temperature, ``(n, k)`` float32."""
        return softened(self.probabilities, self.temperature)

    def digest(self) -> str:
        """Return a fingerprint of everything here."""
        told = np.array(
            [self.temperature, self.weight, len(self) if self.labelled is None else self.labelled]
        )
        return fingerprint({"probabilities": self.probabilities, "told": told})

    def joined(self, y: np.ndarray, classes: int, recipe: Settings) -> np.ndarray:
        """Return both kinds of targets side by side, each already times its share.

        The labels' half holds (1 - w) times the smoothed target times the class weight, nothing where there
        is no label; the teacher's half w times its softened probabilities.

        Returns
        -------
        numpy.ndarray
            ``(n, 2k)`` float32.

        Raises
        ------
        BadInput
            When there are not as many rows as labels, or not as many columns as classes.
        """
        if self.probabilities.shape != (len(y), classes):
            raise BadInput(
                f"The teacher's answers are {self.probabilities.shape}; expected {(len(y), classes)}, one "
                "row per training example and one column per class.",
                "Ask the teacher for the same examples in the same order.",
            )
        n = len(y) if self.labelled is None else self.labelled
        hard = np.zeros((len(y), classes), np.float32)
        weights = example_weights(recipe.class_weight, y[:n], classes)
        hard[:n] = smoothed_targets(y[:n], classes, recipe.label_smoothing) * weights[:, None]
        return np.concatenate(
            [(1 - self.weight) * hard, self.weight * self.softened], axis=1, dtype=np.float32
        )


def softened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    r"""Return probabilities at a temperature: :math:`p_c^{1/T} / \sum_j p_j^{1/T}`, which is softmax(z / T).

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)`` = softmax(z). What is 0 stays 0.
    temperature : float
        Above 1 evens them out, below 1 sharpens them.

    Returns
    -------
    numpy.ndarray
        ``(n, k)`` float32.

    Examples
    --------
    >>> softened(np.array([[0.8, 0.2]]), 2.0).round(2).tolist()
    [[0.6700000166893005, 0.33000001311302185]]
    """
    p = np.asarray(probabilities, np.float64)
    with np.errstate(divide="ignore"):
        logits = np.log(p) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def checked_probabilities(given: np.ndarray) -> np.ndarray:
    """Return probabilities ``(n, k)`` float32, after making sure that they are some.

    Raises
    ------
    BadInput
        For another shape, NaN, negative numbers, rows that do not sum to 1.
    """
    p = np.asarray(given)
    if p.ndim != 2 or p.dtype.kind != "f" or p.shape[1] < 2:
        raise BadInput(
            f"The teacher's answers have shape {p.shape} and type {p.dtype}; expected probabilities (n, k).",
            "Give teacher.predict_proba(examples), not its classes.",
        )
    p = p.astype(np.float32)
    wrong = ~(np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) < _SUM_TO_1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadInput(
            f"{wrong.sum():,} of {len(p):,} rows of the teacher's answers are no probabilities; row {row} is "
            f"{np.array2string(p[row], precision=3, threshold=6)}.",
            "Give numbers from 0 to 1 that sum to 1 in each row, without NaN.",
        )
    return p


def targets_and_weights(
    y: np.ndarray, classes: int, recipe: Settings, soft: SoftTargets | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a network is to answer, ``(n, k)`` or, taught, ``(n, 2k)``, and each example's weight."""
    if soft is None:
        targets = smoothed_targets(y, classes, recipe.label_smoothing)
        return targets, example_weights(recipe.class_weight, y, classes)
    return soft.joined(y, classes, recipe), np.ones(len(y), np.float32)


def distillation_loss(logits: np.ndarray, targets: np.ndarray, temperature: float) -> np.ndarray:
    """Return the loss of each example in NumPy; both frameworks' own are held against it.

    Parameters
    ----------
    logits : numpy.ndarray
        ``(n, k)`` of the student.
    targets : numpy.ndarray
        ``(n, 2k)`` from `SoftTargets.joined`.
    temperature : float

    Returns
    -------
    numpy.ndarray
        ``(n,)`` float64.

    Examples
    --------
    >>> even = np.array([[0.0, 0.0, 0.5, 0.5]])  # the teacher alone, who does not know
    >>> float(distillation_loss(np.zeros((1, 2)), even, 2.0)[0] / np.log(2))
    4.0
    """
    k = logits.shape[1]
    hard, soft = np.asarray(targets[:, :k], np.float64), np.asarray(targets[:, k:], np.float64)
    at_1, at_t = _log_softmax(logits), _log_softmax(logits / temperature)
    return np.asarray(-(hard * at_1).sum(axis=1) - temperature**2 * (soft * at_t).sum(axis=1))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def torch_loss(logits: Any, targets: Any, temperature: float) -> Any:
    """Return `distillation_loss` as a torch tensor ``(n,)``."""
    import torch

    hard, soft = targets.split(logits.shape[1], dim=1)
    at_1, at_t = torch.log_softmax(logits, dim=1), torch.log_softmax(logits / temperature, dim=1)
    return -(hard * at_1).sum(dim=1) - temperature**2 * (soft * at_t).sum(dim=1)


def keras_loss(temperature: float) -> Any:
    """Return `distillation_loss` as a keras.losses.Loss on joined targets."""
    import keras
    from keras import ops

    class Distillation(keras.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            # log-softmax written out: Keras's cross-entropy takes it that targets sum to 1, these need not
            hard, soft = ops.split(y_true, 2, axis=1)
            at_1, at_t = ops.log_softmax(y_pred, axis=1), ops.log_softmax(y_pred / temperature, axis=1)
            return -ops.sum(hard * at_1, axis=1) - temperature**2 * ops.sum(soft * at_t, axis=1)

    return Distillation(name="distillation")
