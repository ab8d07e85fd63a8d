"""What every method returns: a classifier that predicts and says what it cost."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split

Data = Split | np.ndarray
"""What a classifier accepts: a split, or its examples alone."""


class Encoder(Protocol):
    """What a method needs of an encoder."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    @property
    def dim(self) -> int:
        """Number of features."""
        ...

    def encode(self, data: Any, /) -> np.ndarray:
        """Return the features of `data`, ``(n, dim)`` float32."""
        ...


class LearntFrom(Protocol):
    """What a classifier remembers of its task."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels."""
        ...

    @property
    def train(self) -> Sized:
        """What was learnt from; its length alone counts."""
        ...


@dataclass(frozen=True)
class Origin:
    """What a classifier that was not learnt here, loaded or carried over, knows of its task."""

    name: str
    class_names: tuple[str, ...]
    train: range


class Head(Protocol):
    """Maps features ``(n, d)`` to class probabilities ``(n, k)``."""

    @property
    def parameters(self) -> int:
        """How many numbers were fitted."""
        ...

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return ``(n, k)`` probabilities."""
        ...


class Classifier(ABC):
    """Base of every fitted method.

    Attributes
    ----------
    name : str
        For tables and legends, for instance ``"probe"``.
    task_name : str
        The task it was fitted on.
    class_names : tuple of str
    train_size : int
        How many training labels it saw.
    parameters_trained : int
        Numbers that fitting changed; those of a frozen encoder do not count.
    seconds : dict of str to float
        ``"features"`` (encoding the training and validation examples; 0 without an
        encoder) and ``"fit"``.
    chosen : dict of str to object
        What the validation set chose, for instance ``{"strength": 1000.0}``.
    chosen_path : tuple of dict
        What was tried on the way there, with its score on validation, where a method keeps that.
    """

    def __init__(
        self,
        name: str,
        task: LearntFrom,
        *,
        parameters_trained: int,
        seconds: Mapping[str, float],
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.task_name = task.name
        self.class_names = task.class_names
        self.train_size = len(task.train)
        self.parameters_trained = int(parameters_trained)
        self.seconds = {"features": 0.0, "fit": 0.0, **seconds}
        self.chosen = dict(chosen or {})
        self.chosen_path: tuple[dict[str, float], ...] = ()

    @abstractmethod
    def predict_proba(self, data: Data) -> np.ndarray:
        """Return the probability of every class, ``(n, k)`` float32, rows summing to 1."""

    def predict(self, data: Data) -> np.ndarray:
        """Return the likeliest class of every example, ``(n,)`` int64."""
        return np.asarray(self.predict_proba(data).argmax(axis=1), dtype=np.int64)

    def __repr__(self) -> str:
        chosen = "".join(f", {key}={value}" for key, value in self.chosen.items())
        return (
            f"{type(self).__name__}({self.name!r} on {self.task_name!r}: {self.train_size:,} labels, "
            f"{self.parameters_trained:,} parameters trained in {self.seconds['fit']:.1f} s{chosen})"
        )


class FeatureClassifier(Classifier):
    """A frozen encoder followed by a head that was fitted on its features.

    Parameters
    ----------
    name : str
    task : Task
    encoder : Encoder
    head : Head
    seconds, chosen : dict
        As in `Classifier`.
    """

    def __init__(
        self,
        name: str,
        task: LearntFrom,
        encoder: Encoder,
        head: Head,
        *,
        seconds: Mapping[str, float],
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, task, parameters_trained=head.parameters, seconds=seconds, chosen=chosen)
        self.encoder = encoder
        self.head = head

    def predict_proba(self, data: Data) -> np.ndarray:
        """Encode `data` (through the encoder's cache) and return ``(n, k)`` probabilities."""
        return self.head.predict_proba(self.encoder.encode(data))


def encode_timed(encoder: Encoder, *splits: Split) -> tuple[list[np.ndarray], float]:
    """Encode splits and say what that costs on this machine.

    Features that lie in the cache were paid for earlier. An encoder that remembers its speed
    (``encoder.last.seconds_each``) is asked for it, so that the same experiment states the
    same cost whether its features were cached or not; otherwise the clock decides.

    Returns
    -------
    list of numpy.ndarray
        Features per split, ``(n, d)``.
    float
        Seconds for all of them.
    """
    features: list[np.ndarray] = []
    seconds = 0.0
    for split in splits:
        start = time.perf_counter()
        features.append(encoder.encode(split))
        spent = time.perf_counter() - start
        each = getattr(getattr(encoder, "last", None), "seconds_each", None)
        seconds += float(each) * len(split) if each else spent
    return features, seconds


def as_examples(data: Data) -> np.ndarray:
    """Return the examples of a split, or the array itself."""
    return data.x if isinstance(data, Split) else np.asarray(data)


def check_features(x: np.ndarray, y: np.ndarray | None = None, what: str = "training") -> np.ndarray:
    """Return `x` as ``(n, d)`` float32, after making sure that a method can use it.

    Parameters
    ----------
    x : numpy.ndarray
        Features ``(n, d)``, any real type. Copied only when the type differs.
    y : numpy.ndarray, optional
        Labels ``(n,)``.
    what : str
        For messages: whose features these are.

    Raises
    ------
    BadInput
        When the shape is wrong, no row is there, lengths differ or a value is NaN or infinite.
    """
    features = np.asarray(x)
    if features.ndim != 2 or features.dtype.kind not in "fiub":
        raise BadInput(
            f"The {what} features have shape {features.shape} and type {features.dtype}; "
            "expected (n, d) numbers.",
            "Give one row of numbers per example, for instance encoder.encode(split).",
        )
    if y is not None and len(y) != len(features):
        raise BadInput(
            f"{len(features):,} rows of {what} features but {len(y):,} labels.", "Give one label per row."
        )
    if len(features) == 0:
        raise BadInput(
            f"The {what} set is empty.", "Give at least one example per class, for instance task.subset(100)."
        )
    features = features.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        rows = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        raise BadInput(
            f"{len(bad):,} of {len(features):,} rows of {what} features hold NaN or infinity: rows {rows}.",
            "Look at the inputs of these rows, or leave them out with split.take(rows).",
        )
    return features


def check_labels(y: np.ndarray, classes: int | None = None, what: str = "training") -> np.ndarray:
    """Return `y` as ``(n,)`` int64, after making sure that it holds class numbers.

    Raises
    ------
    BadInput
        When labels are not whole numbers, negative, or not below `classes`.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise BadInput(
            f"The {what} labels have shape {labels.shape} and type {labels.dtype}; expected (n,) integers.",
            "Number the classes from 0.",
        )
    if len(labels) and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        raise BadInput(
            f"The {what} labels run from {labels.min()} to {labels.max()}; expected 0 to "
            f"{'k - 1' if classes is None else classes - 1}.",
            "Number the classes from 0 and name each of them.",
        )
    return labels.astype(np.int64, copy=False)


def need_two_classes(y: np.ndarray) -> None:
    """Raise `BadInput` unless the training labels hold at least two classes."""
    present = np.unique(y)
    if len(present) < 2:
        raise BadInput(
            f"All {len(y):,} training labels are of class {present[0]}; a classifier needs two classes.",
            "Take a subset that holds every class, for instance task.subset(100), which is stratified.",
        )


def need_validation(y: np.ndarray) -> None:
    """Raise `BadInput` when there is nothing to choose on."""
    if len(y) == 0:
        raise BadInput(
            "The validation set is empty, so nothing can be chosen honestly.",
            "Hold out some examples for validation; never choose on the test set.",
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return ``exp(logits)`` normalised per row, without overflow; same shape and type."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
