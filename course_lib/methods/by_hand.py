"""Training followed step by step, for notebooks that write an optimiser or a network out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.classifier import check_features, check_labels, softmax
from course_lib.methods.probe import LinearHead


def keras_path(
    optimizer: Any,
    start: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    batches: Sequence[np.ndarray],
    *,
    dtype: str = "float64",
) -> np.ndarray:
    """Let Keras train softmax regression, and return its weights after every step.

    One dense layer without bias, cross-entropy on its logits, Keras's own gradient and optimiser: what an
    optimiser written by hand should agree with. Everything is computed in `dtype`, the loss too.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        A fresh one: an optimiser carries its state along.
    start : numpy.ndarray
        ``(d, k)`` weights to start from.
    x, y : numpy.ndarray
        Features ``(n, d)`` and class numbers ``(n,)``.
    batches : sequence of numpy.ndarray
        Row numbers of each step's examples, all of one length.
    dtype : "float64" or "float32"

    Returns
    -------
    numpy.ndarray
        ``(steps, d, k)``.

    Raises
    ------
    BadInput
        When shapes do not fit or the optimiser has been used before.
    """
    quiet_tensorflow()
    import keras

    x, y = check_features(x, y), check_labels(y, start.shape[1] if start.ndim == 2 else None)
    if start.ndim != 2 or start.shape[0] != x.shape[1]:
        raise BadInput(
            f"start has shape {start.shape}, the features have {x.shape[1]} columns.",
            f"Give weights ({x.shape[1]}, classes).",
        )
    if optimizer.built:
        raise BadInput(
            f"This {type(optimizer).__name__} has trained before and remembers it.",
            "Make a new one: keras.optimizers.SGD(0.1).",
        )
    layer = keras.layers.Dense(start.shape[1], use_bias=False, dtype=dtype)
    model = keras.Sequential([keras.Input((x.shape[1],), dtype=dtype), layer])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)
    model.compile(optimizer, loss)
    layer.set_weights([start])
    path = np.empty((len(batches), *start.shape), dtype)
    for step, rows in enumerate(batches):
        model.train_on_batch(x[rows].astype(dtype), y[rows])
        path[step] = keras.ops.convert_to_numpy(layer.kernel)
    return path


@dataclass(frozen=True, eq=False)
class TwoLayers:
    """A linear layer before a linear head, after training; see `train_two_layers`.

    Parameters
    ----------
    early : numpy.ndarray
        ``(d, d)`` float32: the early layer, which was the identity before.
    head : LinearHead
    losses : tuple of float
        On the training examples, before every step.
    """

    early: np.ndarray
    head: LinearHead
    losses: tuple[float, ...]

    @property
    def moved(self) -> float:
        """How far the early layer is from where it started (root of the sum of squares)."""
        return float(np.linalg.norm(self.early - np.eye(len(self.early), dtype=np.float32)))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the likeliest class of features ``(n, d)``, ``(n,)`` int64."""
        return np.asarray(self.head.logits(np.asarray(x, np.float32) @ self.early).argmax(axis=1), np.int64)


def train_two_layers(
    x: np.ndarray, y: np.ndarray, head: LinearHead, *, rate: float, steps: int, early_rate: float = 1.0
) -> TwoLayers:
    r"""Train a linear layer A that starts as the identity, and the head behind it, together.

    .. math:: \min_{A, W, b} \frac1n \sum_i -\log \mathrm{softmax}(x_i A W + b)_{y_i}

    by plain gradient descent on all examples. The smallest network in which fine-tuning can move an early
    layer: before training it passes the features on as they are.

    Parameters
    ----------
    x, y : numpy.ndarray
        Features ``(n, d)``, with rows of a length about 1 when `rate` is about 1, and labels ``(n,)``.
    head : LinearHead
        Where the head starts: random, or a probe's.
    rate : float
        Learning rate of the head.
    steps : int
    early_rate : float
        Learning rate of the early layer, as a multiple of `rate`; 0 freezes it.

    Returns
    -------
    TwoLayers

    Raises
    ------
    BadInput
        When shapes do not fit, or the loss is no longer a number.

    References
    ----------
    Kumar et al. (2022), "Fine-tuning can distort pretrained features and underperform out-of-distribution",
    whose theory is about this network.
    """
    k = len(head.bias)
    y = check_labels(y, k)
    x = check_features(x, y)
    if head.weights.shape != (x.shape[1], k):
        raise BadInput(
            f"A head with weights {head.weights.shape} for {x.shape[1]} features and {k} classes.",
            "Give a head that was made for these features.",
        )
    n, rows = len(y), np.arange(len(y))
    # A moves only along directions in which the examples lie: A = 1 + basisᵀ·move
    basis = np.linalg.svd(x, full_matrices=False)[2]
    within, move = x @ basis.T, np.zeros_like(basis)
    weights, bias = head.weights.copy(), head.bias.copy()
    losses = []
    for _ in range(steps):
        seen = x + within @ move
        error = softmax(seen @ weights + bias)
        losses.append(float(-np.log(np.maximum(error[rows, y], 1e-30)).mean()))
        if not np.isfinite(losses[-1]):
            raise BadInput(f"After {len(losses) - 1} steps the loss is {losses[-1]}.", "Lower the rate.")
        error[rows, y] -= 1
        error /= n
        to_early = within.T @ (error @ weights.T)
        weights -= rate * (seen.T @ error)
        bias -= rate * error.sum(axis=0)
        move -= early_rate * rate * to_early
    early = np.eye(x.shape[1], dtype=np.float32) + basis.T @ move
    return TwoLayers(early, LinearHead(weights, bias), tuple(losses))
