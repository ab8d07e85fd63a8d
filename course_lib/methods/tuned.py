"""What both kinds of fine-tuning hand back, and what they begin with: checked labels and a last layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.audit import Audit
from course_lib.methods.classifier import (
    Classifier,
    Data,
    Encoder,
    FeatureClassifier,
    LearntFrom,
    check_labels,
    need_two_classes,
    need_validation,
    softmax,
)
from course_lib.methods.networks import CLASSIFIER
from course_lib.methods.probe import LinearHead, class_weights
from course_lib.methods.settings import Settings
from course_lib.tasks.task import Split, Task

KERNEL, BIAS = f"{CLASSIFIER}/kernel", f"{CLASSIFIER}/bias"


class Tuned(Classifier):
    """A network that was trained further: predicts, and shows what training did to it.

    Attributes
    ----------
    recipe : Settings
        What it was trained with.
    history : tuple of dict
        Per epoch: ``epoch``, ``seconds``, ``learning_rate``, ``loss``, ``validation_loss``,
        ``validation_accuracy``.
    audit : Audit
        Which weights and statistics moved, against what was declared.
    start : dict of str to numpy.ndarray
        The whole network before.
    interrupted : bool
        Whether somebody stopped it; then these are the best weights until there.
    """

    def __init__(
        self,
        name: str,
        task: LearntFrom,
        recipe: Settings,
        *,
        start: Mapping[str, np.ndarray],
        own: Mapping[str, np.ndarray],
        audit: Audit,
        history: Sequence[dict[str, Any]] = (),
        seconds: Mapping[str, float],
        chosen: Mapping[str, Any] | None = None,
        parameters_trained: int = 0,
        interrupted: bool = False,
    ) -> None:
        super().__init__(name, task, parameters_trained=parameters_trained, seconds=seconds, chosen=chosen)
        self.history, self.audit = tuple(history), audit
        self.start, self.interrupted = dict(start), interrupted
        self.recipe, self._task, self._own = recipe, task, dict(own)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The whole network's weights, the frozen ones included."""
        return {**self.start, **self._own}

    @property
    def head(self) -> LinearHead:
        """The last layer."""
        return LinearHead(self._own[KERNEL], self._own[BIAS])

    @abstractmethod
    def logits(self, data: Data) -> np.ndarray:
        """Return logits ``(n, k)`` float32."""

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return class probabilities ``(n, k)``."""
        return softmax(self.logits(data))

    @abstractmethod
    def with_weights(self, weights: Mapping[str, np.ndarray], name: str = "") -> Self:
        """Return the same network with other weights, for instance an interpolation.

        Raises
        ------
        BadInput
            When they are of another network, or would change the frozen part.
        """

    def _checked(self, weights: Mapping[str, np.ndarray], frozen: str) -> dict[str, np.ndarray]:
        """Return the trained part of `weights`, after making sure that they are of this network."""
        for key, own in self._own.items():
            given = weights.get(key)
            if given is None or given.shape != own.shape:
                raise BadInput(
                    f"Weights of another network: {key} {'is missing' if given is None else given.shape}, "
                    f"expected {own.shape}.",
                    "Give every name and shape as in `tuned.weights`.",
                )
        for key, value in weights.items():
            mine = self.start.get(key, np.empty(0))
            if key not in self._own and value is not mine and not np.array_equal(value, mine):
                raise BadInput(
                    f"{key} is in the frozen part, {frozen}, and differs there.",
                    "Fine-tune with a freeze_to further down, or None, to use other weights there.",
                )
        return {key: np.ascontiguousarray(weights[key], own.dtype) for key, own in self._own.items()}

    def _story(self) -> dict[str, Any]:
        """Return what a copy with other weights takes over."""
        return {
            "start": self.start,
            "audit": self.audit,
            "history": self.history,
            "seconds": self.seconds,
            "chosen": self.chosen,
            "parameters_trained": self.parameters_trained,
            "interrupted": self.interrupted,
        }


def checked_labels(task: Task, validation: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return training and validation labels that training can rely on.

    Raises
    ------
    BadInput
        For an empty split, one class only, labels that are not class numbers.
    """
    y = check_labels(task.train.y, task.classes)
    if len(y) == 0:
        raise BadInput(f"{task.train.name} is empty.", "Give at least one example per class.")
    need_two_classes(y)
    y_val = check_labels(validation.y, task.classes, "validation")
    need_validation(y_val)
    return y, y_val


def given_head(probe: FeatureClassifier, encoder: Encoder, task: Task) -> LinearHead:
    """Return the head of a linear probe to start from.

    Raises
    ------
    BadInput
        When it is not linear, or of other features or classes.
    """
    head = probe.head
    shape = (encoder.dim, task.classes)
    if not isinstance(head, LinearHead) or head.weights.shape != shape:
        found = head.weights.shape if isinstance(head, LinearHead) else type(head).__name__
        raise BadInput(
            f"init={probe.name!r} has a head of {found}; expected a linear one of {shape}.",
            "Give methods.linear_probe(encoder, task) on the same encoder and classes, or 'probe'.",
        )
    return head


def random_head(dim: int, classes: int, seed: int) -> LinearHead:
    """Return a last layer to start from that knows nothing (Glorot & Bengio, 2010)."""
    rng = np.random.default_rng([seed, 0, 2])
    limit = np.sqrt(6 / (dim + classes))
    kernel = rng.uniform(-limit, limit, (dim, classes)).astype(np.float32)
    return LinearHead(kernel, np.zeros(classes, np.float32))


def smoothed_targets(y: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """Return what a network is to answer, ``(n, k)`` float32.

    The share `smoothing` is spread over the classes that occur: one without an example shall not be answered,
    not even a little, and the probe's bias forbids it.

    Examples
    --------
    >>> smoothed_targets(np.array([0, 2]), classes=3, smoothing=0.1)
    array([[0.95, 0.  , 0.05],
           [0.05, 0.  , 0.95]], dtype=float32)
    """
    present = np.bincount(y, minlength=classes) > 0
    return np.asarray(np.eye(classes)[y] * (1 - smoothing) + smoothing * present / present.sum(), np.float32)


def example_weights(class_weight: str | Sequence[float] | None, y: np.ndarray, classes: int) -> np.ndarray:
    """Return the weight of each training example, ``(n,)`` float32."""
    counts = np.bincount(y, minlength=classes)
    present = np.flatnonzero(counts)
    per_class = np.ones(classes, np.float32)
    per_class[present] = class_weights(class_weight, counts, present)
    return np.asarray(per_class[y], np.float32)


def class_weight_setting(given: str | Sequence[float] | None) -> str | tuple[float, ...] | None:
    """Return a class weight as a recipe keeps it."""
    return given if given is None or isinstance(given, str) else tuple(given)
