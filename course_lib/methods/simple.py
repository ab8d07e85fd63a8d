"""Methods that train nothing or next to nothing: the floors that a probe has to beat."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import (
    Classifier,
    Data,
    Encoder,
    FeatureClassifier,
    as_examples,
    check_features,
    check_labels,
    encode_timed,
    need_two_classes,
    need_validation,
)
from course_lib.methods.probe import NEVER, LinearHead
from course_lib.tasks.task import Task

NEIGHBOURS: tuple[int, ...] = (1, 3, 5, 10, 20, 50)
"""The k that `knn` tries."""

METRICS: tuple[str, ...] = ("euclidean", "cosine")


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Return `x` with every row scaled to length 1; rows of zeros stay zeros.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(2).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return np.asarray(x / np.where(length > 0, length, 1))


@dataclass(frozen=True, eq=False)
class MeanHead:
    """Nearest class mean; ``linear`` holds the means as a linear rule, see `nearest_mean`."""

    linear: LinearHead
    cosine: bool

    @property
    def parameters(self) -> int:
        """One number per class and feature: the means."""
        return self.linear.weights.size

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of features ``(n, d)``."""
        return self.linear.predict_proba(unit_rows(features) if self.cosine else features)


@dataclass(frozen=True, eq=False)
class NeighbourHead:
    """Votes of the k nearest training examples."""

    index: Any
    labels: np.ndarray
    classes: int
    k: int
    cosine: bool

    @property
    def parameters(self) -> int:
        """None: the training examples are kept as they are."""
        return 0

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return the share of votes ``(n, k)`` of features ``(n, d)``."""
        if len(features) == 0:
            return np.empty((0, self.classes), np.float32)
        x = check_features(features, what="given")
        near = self.index.kneighbors(unit_rows(x) if self.cosine else x, self.k, return_distance=False)
        return _votes(self.labels[near], self.classes)


class Majority(Classifier):
    """Says the same for every example: the shares of the training labels."""

    def __init__(self, task: Task) -> None:
        start = time.perf_counter()
        counts = np.bincount(task.train.y, minlength=task.classes)
        self.shares = (counts / counts.sum()).astype(np.float32)
        seconds = {"fit": time.perf_counter() - start}
        super().__init__("largest class", task, parameters_trained=0, seconds=seconds)

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return the training shares for every example, ``(n, k)``."""
        return np.tile(self.shares, (len(as_examples(data)), 1))


def majority(task: Task) -> Majority:
    """Answer the largest training class, always: the floor below which nothing was learnt.

    Raises
    ------
    BadInput
        When the training set is empty.
    """
    if len(task.train) == 0:
        raise BadInput(f"{task.train.name} is empty.", "Give at least one example per class.")
    return Majority(task)


def nearest_mean(
    encoder: Encoder, task: Task, *, metric: str = "euclidean", name: str = "nearest mean"
) -> FeatureClassifier:
    r"""Answer the class whose mean feature vector is nearest.

    .. math:: p(c \mid z) \propto \exp\bigl(-\lVert z - m_c \rVert^2 / s\bigr)

    with s the mean squared distance of training examples to their own mean. Expanding the square
    leaves ``2 z·m - |m|²``: the rule is linear, a probe that nothing had to optimise.

    Parameters
    ----------
    encoder : Encoder
    task : Task
        Validation and test are not used.
    metric : {"euclidean", "cosine"}
        ``"cosine"`` scales features and means to length 1 first.
    name : str

    Returns
    -------
    FeatureClassifier

    Raises
    ------
    BadInput
        One class only, NaN features, an unknown metric.

    References
    ----------
    Snell, Swersky & Zemel (2017), "Prototypical networks for few-shot learning".
    """
    if metric not in METRICS:
        raise BadInput(f"metric={metric!r}.", f"Choose one of {', '.join(METRICS)}.")
    (x,), features_seconds = encode_timed(encoder, task.train)
    start = time.perf_counter()
    y = check_labels(task.train.y, task.classes)
    x = check_features(x, y)
    need_two_classes(y)
    cosine = metric == "cosine"
    if cosine:
        x = unit_rows(x)
    counts = np.bincount(y, minlength=task.classes)
    means = np.zeros((task.classes, x.shape[1]))
    for c in np.flatnonzero(counts):
        means[c] = x[y == c].mean(axis=0, dtype=np.float64)
    if cosine:
        means = unit_rows(means)
    spread = float(np.square(x - means[y].astype(np.float32)).sum(axis=1, dtype=np.float64).mean()) or 1.0
    bias = np.where(counts > 0, -np.square(means).sum(axis=1) / spread, NEVER)
    linear = LinearHead((2 * means.T / spread).astype(np.float32), bias.astype(np.float32))
    seconds = {"features": features_seconds, "fit": time.perf_counter() - start}
    return FeatureClassifier(name, task, encoder, MeanHead(linear, cosine), seconds=seconds)


def knn(
    encoder: Encoder,
    task: Task,
    *,
    neighbours: Sequence[int] | None = None,
    metrics: Sequence[str] = METRICS,
    name: str = "k nearest",
) -> FeatureClassifier:
    """Let the k nearest training examples vote.

    Validation accuracy chooses k and the metric; ties go to the larger k, which is smoother, and then to the
    metric named first. A tied vote goes to the class with the lower number.

    Parameters
    ----------
    encoder : Encoder
    task : Task
    neighbours : sequence of int, optional
        k to try; those above the number of training examples are left out. Default: `NEIGHBOURS`.
    metrics : sequence of {"euclidean", "cosine"}
    name : str

    Returns
    -------
    FeatureClassifier
        ``.chosen`` holds ``k`` and ``metric``.

    Raises
    ------
    BadInput
        One class only, an empty validation set, NaN features, no usable k, an unknown metric.
    """
    from sklearn.neighbors import NearestNeighbors

    (x, x_val), features_seconds = encode_timed(encoder, task.train, task.validation)
    start = time.perf_counter()
    y, y_val = (
        check_labels(task.train.y, task.classes),
        check_labels(task.validation.y, task.classes, "validation"),
    )
    need_validation(y_val)
    x, x_val = check_features(x, y), check_features(x_val, y_val, "validation")
    need_two_classes(y)
    usable = sorted(
        {int(k) for k in (NEIGHBOURS if neighbours is None else neighbours) if 1 <= k <= len(x)}, reverse=True
    )
    if not usable or not metrics or not set(metrics) <= set(METRICS):
        raise BadInput(
            f"neighbours={neighbours}, metrics={list(metrics)} with {len(x)} training examples.",
            f"Give k from 1 to {len(x)} and metrics among {', '.join(METRICS)}.",
        )
    best: tuple[float, int, str, Any] | None = None
    for metric in metrics:
        scale = unit_rows if metric == "cosine" else np.asarray
        index = NearestNeighbors(algorithm="brute").fit(scale(x))
        near = y[index.kneighbors(scale(x_val), usable[0], return_distance=False)]
        for k in usable:
            accuracy = float((_votes(near[:, :k], task.classes).argmax(axis=1) == y_val).mean())
            if best is None or (accuracy, k) > best[:2]:
                best = (accuracy, k, metric, index)
    assert best is not None
    head = NeighbourHead(best[3], y, task.classes, best[1], best[2] == "cosine")
    seconds = {"features": features_seconds, "fit": time.perf_counter() - start}
    chosen = {"k": best[1], "metric": best[2]}
    return FeatureClassifier(name, task, encoder, head, seconds=seconds, chosen=chosen)


def _votes(near: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of each class among neighbours' labels ``(n, k)``, float32 ``(n, classes)``."""
    flat = np.arange(len(near))[:, None] * classes + near
    counts = np.bincount(flat.ravel(), minlength=len(near) * classes).reshape(len(near), classes)
    return np.asarray(counts / near.shape[1], np.float32)
