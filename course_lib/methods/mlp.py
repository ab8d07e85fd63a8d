"""A small network on frozen features: the source model that TENT, SHOT, DANN and CDAN begin with."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.classifier import (
    Classifier,
    Encoder,
    FeatureClassifier,
    check_features,
    check_labels,
    encode_timed,
    need_two_classes,
    need_validation,
    softmax,
)
from course_lib.methods.probe import _location_and_scale
from course_lib.tasks.task import Task

EPSILON = 1e-3
"""Added to a variance before its root is taken, as Keras does."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What BatchNorm knows of its inputs, and how it stretches and shifts them afterwards; ``(h,)`` each."""

    mean: np.ndarray
    variance: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray

    def standard(self, a: np.ndarray) -> np.ndarray:
        """Return ``(a - mean) / sqrt(variance + EPSILON)``, ``(n, h)``."""
        return np.asarray((a - self.mean) / np.sqrt(self.variance + np.float32(EPSILON)))

    def __call__(self, a: np.ndarray) -> np.ndarray:
        """Return ``gamma * standard(a) + beta``, ``(n, h)``."""
        return np.asarray(self.gamma * self.standard(a) + self.beta)


@dataclass(frozen=True, eq=False)
class MLPHead:
    r"""One hidden layer: :math:`\mathrm{softmax}(\mathrm{ReLU}(\mathrm{BN}(zW + b))\,V + c)`.

    z are features standardised by the source's mean and deviation. Prediction is plain numpy, so that a
    classifier owns its numbers, can be pickled, and is not changed by a later fit.

    Parameters
    ----------
    mean, scale : numpy.ndarray
        ``(d,)`` of the source's training features.
    kernel, bias : numpy.ndarray
        W ``(d, h)`` and b ``(h,)``.
    norm : Statistics or None
        BatchNorm between W and ReLU, where there is one.
    out_kernel, out_bias : numpy.ndarray
        V ``(h, k)`` and c ``(k,)``: the classifier proper.

    Examples
    --------
    >>> one, none = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    >>> head = MLPHead(none, none + 1, one, none, None, one, none)
    >>> head.hidden(np.array([[3.0, -4.0]])).tolist(), head.parameters
    ([[3.0, 0.0]], 12)
    """

    mean: np.ndarray
    scale: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    norm: Statistics | None
    out_kernel: np.ndarray
    out_bias: np.ndarray

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(self.mean)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.out_bias)

    @property
    def parameters(self) -> int:
        """Weights and biases that gradient descent moves; means and variances are not among them."""
        normed = 0 if self.norm is None else self.norm.gamma.size + self.norm.beta.size
        return self.kernel.size + self.bias.size + normed + self.out_kernel.size + self.out_bias.size

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Return z ``(n, d)`` float32, after making sure that the features fit.

        Raises
        ------
        BadInput
            NaN, or another number of columns.
        """
        if np.shape(features)[:1] == (0,):
            return np.empty((0, self.dim), np.float32)
        x = check_features(features, what="given")
        if x.shape[1] != self.dim:
            raise BadInput(
                f"Features of {x.shape[1]:,} columns; the network was fitted on {self.dim:,}.",
                "Encode with the encoder that it was fitted with.",
            )
        return np.asarray((x - self.mean) / self.scale)

    def before_norm(self, features: np.ndarray) -> np.ndarray:
        """Return ``zW + b``, ``(n, h)`` float32."""
        return np.asarray(self.standardised(features) @ self.kernel + self.bias)

    def hidden(self, features: np.ndarray) -> np.ndarray:
        """Return what the last layer reads, ``(n, h)`` float32, not negative."""
        a = self.before_norm(features)
        return np.asarray(np.maximum(a if self.norm is None else self.norm(a), 0))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return class scores ``(n, k)`` float32."""
        return np.asarray(self.hidden(features) @ self.out_kernel + self.out_bias)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of features ``(n, d)``."""
        return softmax(self.logits(features)) if len(features) else np.empty((0, self.classes), np.float32)

    def on(self, features: np.ndarray) -> MLPHead:
        """Return the same network with BatchNorm's mean and variance taken from `features` (AdaBN)."""
        assert self.norm is not None
        a = self.before_norm(features).astype(np.float64)
        mean, variance = (s.astype(np.float32) for s in (a.mean(axis=0), a.var(axis=0)))
        return replace(self, norm=replace(self.norm, mean=mean, variance=variance))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array by name, those of BatchNorm as ``"norm/mean"`` and so on."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "norm"}
        norm = {} if self.norm is None else {f"norm/{n}": a for n, a in vars(self.norm).items()}
        return own | norm


@dataclass(frozen=True)
class Budget:
    """How long and how fast a network learns; the same for a method and its control.

    Parameters
    ----------
    steps : int
        Gradient steps, cut into `ROUNDS` rounds.
    batch_size : int
        Examples per step and domain.
    learning_rate : float
        Adam's at the beginning; it falls as in the DANN paper, by ``(1 + 10 p) ** -0.75`` at progress p.
    label_smoothing : float
        Share of a label that is spread over all classes.
    """

    steps: int = 400
    batch_size: int = 64
    learning_rate: float = 3e-3
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 2)):
            if getattr(self, name) < least:
                raise BadInput(f"{name}={getattr(self, name)}.", f"Give {least} or more.")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise BadInput(
                f"learning_rate={self.learning_rate}.", "Give a positive number, for instance 1e-3."
            )
        if not 0 <= self.label_smoothing < 1:
            raise BadInput(f"label_smoothing={self.label_smoothing}.", "Give 0 up to below 1.")


@dataclass(frozen=True, eq=False)
class SourceArrays:
    """A task's features, checked and standardised by its training features.

    Parameters
    ----------
    z, z_val : numpy.ndarray
        ``(n, d)`` and ``(m, d)`` float32.
    y, y_val : numpy.ndarray
        Labels, int32.
    mean, scale : numpy.ndarray
        ``(d,)`` float32.
    classes : int
    """

    z: np.ndarray
    y: np.ndarray
    z_val: np.ndarray
    y_val: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    classes: int


def source_arrays(task: Task, x: np.ndarray, x_val: np.ndarray) -> SourceArrays:
    """Check a task's features and labels and standardise the features.

    Raises
    ------
    BadInput
        One class only, an empty validation set, NaN, widths that differ.
    """
    y, y_val = (
        check_labels(split.y, task.classes, what)
        for split, what in ((task.train, "training"), (task.validation, "validation"))
    )
    need_validation(y_val)
    x, x_val = check_features(x, y), check_features(x_val, y_val, "validation")
    need_two_classes(y)
    need_width(x.shape[1], x_val.shape[1], "training", "validation")
    mean, scale = (s.astype(np.float32) for s in _location_and_scale(x))
    z, z_val = (np.asarray((a - mean) / scale) for a in (x, x_val))
    return SourceArrays(z, y.astype(np.int32), z_val, y_val.astype(np.int32), mean, scale, task.classes)


def need_width(source: int, target: int, first: str = "source", second: str = "target") -> None:
    """Raise `BadInput` when two arrays of features differ in their columns."""
    if source != target:
        raise BadInput(
            f"The {first} has {source:,} features and the {second} {target:,}.",
            "Encode both with the same encoder.",
        )


def source_mlp(
    encoder: Encoder,
    task: Task,
    *,
    hidden: int = 256,
    batch_norm: bool = True,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    label_smoothing: float = 0.1,
    seed: int = 0,
    name: str = "MLP",
) -> FeatureClassifier:
    r"""Train a network with one hidden layer on frozen features of the source.

    It is what `tent` and `shot` adapt, and the honest control of `dann` and `cdan`: with ``weight=0`` these
    two are this network, trained with the same batches from the same first weights.

    After each of 20 rounds the source's validation set is scored; the weights with the lowest log-loss among
    the rounds of the second half are kept. (Not of the first half: there an adversary has hardly begun, and
    method and control shall be chosen by one rule.)

    Parameters
    ----------
    encoder : Encoder
    task : Task
        The source. Its test split is not looked at.
    hidden : int
        Width h of the hidden layer.
    batch_norm : bool
        BatchNorm before the ReLU; `tent` needs it.
    steps, batch_size, learning_rate, label_smoothing
        See `Budget`. Label smoothing is SHOT's choice for its source model.
    seed : int
        Of the first weights and the order of batches; the same one gives the same numbers on one machine.
    name : str

    Returns
    -------
    FeatureClassifier
        ``.head`` is an `MLPHead`; ``.chosen`` holds the best ``round``; ``.chosen_path`` every round's
        log-loss and accuracy on validation.

    Raises
    ------
    BadInput
        One class only, an empty validation set, NaN features, a setting out of its range.
    """
    from course_lib.methods.descent import train_source

    quiet_tensorflow()  # before the clock starts: importing is not training
    (x, x_val), spent = encode_timed(encoder, task.train, task.validation)
    start = time.perf_counter()
    budget = Budget(steps, batch_size, learning_rate, label_smoothing)
    source = source_arrays(task, x, x_val)
    head, path, best = train_source(source, need_hidden(hidden), batch_norm, budget, seed)
    seconds = {"features": spent, "fit": time.perf_counter() - start}
    found = FeatureClassifier(name, task, encoder, head, seconds=seconds, chosen={"round": best})
    found.chosen_path = path
    return found


def need_hidden(hidden: int) -> int:
    """Return the width, or raise `BadInput`."""
    if hidden < 1:
        raise BadInput(f"hidden={hidden}.", "Give the hidden layer 1 unit or more, for instance 256.")
    return int(hidden)


def mlp_of(classifier: Any) -> MLPHead:
    """Return the network of what `source_mlp` returned.

    Raises
    ------
    BadInput
        For another classifier.
    """
    head = getattr(classifier, "head", None)
    if not isinstance(classifier, FeatureClassifier) or not isinstance(head, MLPHead):
        what = classifier.name if isinstance(classifier, Classifier) else repr(classifier)
        raise BadInput(
            f"{what} is no small network on features.",
            "Give what methods.source_mlp(encoder, task) returned.",
        )
    return head


def adapted(
    mlp: FeatureClassifier,
    head: MLPHead,
    name: str,
    *,
    moved: int,
    seconds: dict[str, float],
    chosen: dict[str, Any],
) -> FeatureClassifier:
    """Return a copy of `mlp` with another head; `moved` numbers were changed to get there."""
    import copy

    found = copy.copy(mlp)
    found.name, found.head, found.parameters_trained = name, head, moved
    found.seconds, found.chosen, found.chosen_path = dict(seconds), dict(chosen), ()
    return found
