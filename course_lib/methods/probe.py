"""The linear probe: what a straight line can read off frozen features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import (
    Encoder,
    FeatureClassifier,
    check_features,
    check_labels,
    encode_timed,
    need_two_classes,
    need_validation,
    softmax,
)
from course_lib.tasks.task import Task

_PRIOR = 10  # examples that the mean variance counts for; 10 to 100 made no difference

STRENGTHS: tuple[float, ...] = tuple(float(f"{10 ** (p / 2):.4g}") for p in range(10, -3, -1))
"""Half-decades from 100,000 down to 0.1, in scikit-learn's terms C from 1e-5 to 10."""

NEVER = -1e4  # the bias of a class that has no training example; finite, so that a head can be copied on


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Class scores that are a linear function of the features.

    Parameters
    ----------
    weights : numpy.ndarray
        ``(d, k)`` float32, for features as the encoder gives them: the standardisation is folded in,
        so that a Dense layer initialised with them continues exactly here.
    bias : numpy.ndarray
        ``(k,)`` float32.
    """

    weights: np.ndarray
    bias: np.ndarray

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights.size + self.bias.size

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return ``features @ weights + bias``, ``(n, k)`` float32."""
        x = check_features(features, what="given") if len(features) else np.asarray(features, np.float32)
        return np.asarray(x @ self.weights + self.bias)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of features ``(n, d)``."""
        return softmax(self.logits(features)) if len(features) else np.empty((0, len(self.bias)), np.float32)


@dataclass(frozen=True, eq=False)
class ProbeFit:
    """A fitted probe and the path that led to it.

    Parameters
    ----------
    head : LinearHead
    strength : float
        The chosen one.
    path : tuple of dict
        Per strength tried: ``strength``, ``log_loss`` and ``accuracy`` on validation, ``steps``.
    """

    head: LinearHead
    strength: float
    path: tuple[dict[str, float], ...]


def linear_probe(
    encoder: Encoder,
    task: Task,
    *,
    strengths: Sequence[float] | None = None,
    class_weight: str | Sequence[float] | None = None,
    name: str = "probe",
) -> FeatureClassifier:
    r"""Fit L2-regularised logistic regression on frozen features.

    .. math:: \min_{W, b} \sum_i w_{y_i} \bigl(-\log \mathrm{softmax}(z_i W + b)_{y_i}\bigr)
              + \tfrac{\lambda}{2} \lVert W \rVert^2

    on standardised features z. The validation split chooses the strength λ; the test
    split is not looked at. The problem is convex: the result does not depend on a seed.

    Parameters
    ----------
    encoder : Encoder
    task : Task
    strengths : sequence of float, optional
        λ to try. Default: `STRENGTHS`. In scikit-learn's terms C = 1/λ (two classes: C = 2/λ, because
        scikit-learn then has one weight vector where softmax has two).
    class_weight : "balanced" or sequence of float, optional
        ``"balanced"``: w of a class is n / (k · its count), so that every class weighs the same,
        in fitting and in choosing.
    name : str

    Returns
    -------
    FeatureClassifier
        ``.chosen["strength"]``, ``.head.weights``, ``.chosen_path``.

    Raises
    ------
    BadInput
        One class only, an empty validation set, NaN features, strengths that are not positive.

    References
    ----------
    Alain & Bengio (2016), "Understanding intermediate layers using linear classifier probes".
    """
    (x, x_val), features_seconds = encode_timed(encoder, task.train, task.validation)
    start = time.perf_counter()
    fit = fit_probe(
        x,
        task.train.y,
        x_val,
        task.validation.y,
        classes=task.classes,
        strengths=strengths,
        class_weight=class_weight,
    )
    chosen: dict[str, Any] = {"strength": fit.strength}
    if class_weight is not None:
        chosen["class_weight"] = class_weight if isinstance(class_weight, str) else list(class_weight)
    seconds = {"features": features_seconds, "fit": time.perf_counter() - start}
    classifier = FeatureClassifier(name, task, encoder, fit.head, seconds=seconds, chosen=chosen)
    classifier.chosen_path = fit.path
    return classifier


def fit_probe(
    x: np.ndarray,
    y: np.ndarray,
    x_val: np.ndarray,
    y_val: np.ndarray,
    *,
    classes: int | None = None,
    strengths: Sequence[float] | None = None,
    class_weight: str | Sequence[float] | None = None,
    example_weight: tuple[np.ndarray, np.ndarray] | None = None,
) -> ProbeFit:
    """Fit a linear probe on plain arrays; see `linear_probe`.

    The strength with the lowest log-loss on validation is chosen, rather than the highest accuracy: the loss
    uses how sure each answer is, so it hardly ever ties and is steadier when
    validation holds a few dozen examples. Exact ties go to the stronger regularisation. The path runs from
    strong to weak, each fit starting at the last one's solution, and ends when the loss has
    risen, since it falls and then rises along the path.

    Parameters
    ----------
    x, x_val : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``. Not changed.
    y, y_val : numpy.ndarray
        Labels ``(n,)`` and ``(m,)``, from 0.
    classes : int, optional
        Default: the highest training label + 1.
    strengths, class_weight
        As in `linear_probe`.
    example_weight : tuple of numpy.ndarray, optional
        ``(n,)`` and ``(m,)`` weights of the training and the validation examples, on top of the classes'.
        Some are above 0, none below.

    Returns
    -------
    ProbeFit

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]]); y = np.array([0, 0, 1, 1])
    >>> fit_probe(x, y, x, y).head.predict_proba(x).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    y = check_labels(y, classes)
    need_validation(y_val)
    y_val = check_labels(y_val, None, "validation")
    x, x_val = check_features(x, y), check_features(x_val, y_val, "validation")
    need_two_classes(y)
    if x.shape[1] != x_val.shape[1]:
        raise BadInput(
            f"Training features have {x.shape[1]} columns, validation features {x_val.shape[1]}.",
            "Encode both with the same encoder.",
        )
    k = classes or int(y.max()) + 1
    order = _ordered(STRENGTHS if strengths is None else strengths)
    present, target = np.unique(y, return_inverse=True)
    per_class = class_weights(class_weight, np.bincount(y, minlength=k), present)
    weight, weight_val = _example_weights(example_weight, len(y), len(y_val))
    known = np.isin(y_val, present)  # a class without training examples is missed at every strength alike
    y_known = np.searchsorted(present, y_val[known])
    judge = (y_known, per_class[y_known] * weight_val[known])

    mean, scale = _location_and_scale(x)
    standard = _Objective(_standardised(x, mean, scale), target, per_class[target] * weight, len(present))
    z_val = _standardised(x_val[known], mean, scale)

    best: tuple[float, float, np.ndarray] | None = None
    path: list[dict[str, float]] = []
    theta = np.zeros(standard.shape)
    for strength in order:
        theta, steps = standard.minimise(strength, theta, gap=1e-6)
        loss, accuracy = _judge(z_val @ standard.weights(theta) + theta[-1].astype(np.float32), *judge)
        path.append({"strength": strength, "log_loss": loss, "accuracy": accuracy, "steps": float(steps)})
        if best is None or loss < best[0]:
            best = (loss, strength, theta)
        elif loss > best[0]:
            break
    assert best is not None
    theta, _ = standard.minimise(best[1], best[2], gap=1e-10)  # choosing forgives more than reporting
    weights = np.zeros((x.shape[1], k))
    bias = np.full(k, NEVER)
    weights[:, present] = standard.weights(theta) / scale[:, None]
    bias[present] = theta[-1] - mean @ weights[:, present]
    head = LinearHead(weights.astype(np.float32), bias.astype(np.float32))
    return ProbeFit(head, best[1], tuple(path))


def _example_weights(
    given: tuple[np.ndarray, np.ndarray] | None, n: int, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights of the training and the validation examples, float32."""
    if given is None:
        return np.ones(n, np.float32), np.ones(m, np.float32)
    weights = [np.asarray(w, np.float32) for w in given]
    for w, size, what in zip(weights, (n, m), ("training", "validation"), strict=True):
        if w.shape != (size,) or not np.isfinite(w).all() or (w < 0).any() or not w.any():
            raise BadInput(
                f"Weights of shape {w.shape} for {size:,} {what} examples, from "
                f"{w.min() if w.size else 0:.3g} to {w.max() if w.size else 0:.3g}.",
                "Give one number from 0 per example, some above 0.",
            )
    return weights[0], weights[1]


def _location_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and a cautious standard deviation of every column, ``(d,)`` float64 each.

    Ten examples say little about the spread of each of a thousand columns, and dividing by a spread that is
    too small by chance lets that column drown the others (on CIFAR-10 with ten labels: 17% instead of 30%).
    So each variance is averaged with the mean variance of all columns, which counts as much as `_PRIOR`
    examples.
    """
    variance = x.var(axis=0, dtype=np.float64)
    variance = (len(x) * variance + _PRIOR * variance.mean()) / (len(x) + _PRIOR)
    return x.mean(axis=0, dtype=np.float64), np.sqrt(np.where(variance > 0, variance, 1.0))


def _standardised(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray((x - mean.astype(np.float32)) / scale.astype(np.float32))


def _ordered(strengths: Sequence[float]) -> list[float]:
    """Return the strengths from strong to weak."""
    order = sorted({float(s) for s in strengths}, reverse=True)
    if not order or not np.isfinite(order).all() or order[-1] <= 0:
        raise BadInput(
            f"strengths={list(strengths)}; expected positive numbers.", "For instance [1000, 100, 10]."
        )
    return order


def class_weights(given: str | Sequence[float] | None, counts: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the weight of each class that is present, float32."""
    if given is None:
        return np.ones(len(present), np.float32)
    if isinstance(given, str):
        if given != "balanced":
            raise BadInput(f"class_weight={given!r}.", "Give 'balanced', one number per class, or None.")
        return np.asarray(counts.sum() / (len(present) * counts[present]), np.float32)
    weights = np.asarray(given, np.float32)
    if weights.shape != counts.shape or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInput(
            f"class_weight holds {list(given)}; expected {len(counts)} positive numbers.", "One per class."
        )
    return np.asarray(weights[present])


def _judge(logits: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return weighted log-loss and accuracy."""
    if len(y) == 0:
        return 0.0, 0.0
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted[np.arange(len(y)), y] - np.log(np.exp(shifted).sum(axis=1))
    hit = logits.argmax(axis=1) == y
    return float(-np.average(log_p, weights=weight)), float(np.average(hit, weights=weight))


class _Objective:
    """The probe's objective on standardised features Z, and its minimiser.

    Deep features are strongly correlated, which plain L-BFGS answers with many small steps. The softmax
    Hessian is bounded by a multiple of ``ZᵀSZ``, the same for every class (Böhning 1992, "Multinomial
    logistic regression algorithm"). In the eigenbasis of that matrix, found once for all strengths, it is
    diagonal, so that L-BFGS may start from ``1 / (c·eigenvalue + λ)`` as its guess of the inverse Hessian.
    The penalty does not notice the rotation, and with fewer examples than features there are only as many
    directions as examples.
    """

    def __init__(self, z: np.ndarray, target: np.ndarray, weight: np.ndarray, classes: int) -> None:
        self.target, self.weight = target, weight[:, None].astype(np.float32)
        self.rows = np.arange(len(z))
        self.total = float(weight.sum(dtype=np.float64))
        if len(z) < z.shape[1]:
            _, basis = np.linalg.eigh((z @ z.T).astype(np.float64))
            basis = np.linalg.qr(z.T.astype(np.float64) @ basis[:, ::-1])[0]
        else:
            _, basis = np.linalg.eigh((z.T @ (z * self.weight)).astype(np.float64))
        self.basis = basis.astype(np.float32)
        self.z = z @ self.basis
        # Softmax curvature is at most 1/2; near the optimum of a k-class problem it is closer to 1/k.
        self.spread = (
            np.square(self.z * np.sqrt(self.weight)).sum(axis=0, dtype=np.float64)[:, None] / classes
        )
        self.shape = (self.basis.shape[1] + 1, classes)  # the last row is the bias

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """Return W of `theta` for the standardised features, ``(d, k)`` float32."""
        return np.asarray(self.basis @ theta[:-1].astype(np.float32))

    def value(self, theta: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        """Return the objective and its gradient at `theta`, float64 of its shape."""
        logits = self.z @ theta[:-1].astype(np.float32)
        logits += theta[-1].astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        at_target = logits[self.rows, self.target]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        losses = (np.log(total[:, 0]) - at_target) * self.weight[:, 0]
        logits /= total
        logits[self.rows, self.target] -= 1.0
        logits *= self.weight
        gradient = np.empty(self.shape)
        gradient[:-1] = self.z.T @ logits
        gradient[:-1] += strength * theta[:-1]
        gradient[-1] = logits.sum(axis=0, dtype=np.float64)
        penalty = 0.5 * strength * float(np.vdot(theta[:-1], theta[:-1]))
        return float(losses.sum(dtype=np.float64)) + penalty, gradient

    def minimise(
        self, strength: float, theta: np.ndarray, gap: float, memory: int = 10
    ) -> tuple[np.ndarray, int]:
        """Return the minimiser at `strength` by L-BFGS from `theta`, and the steps it took.

        Ends when the objective is within about `gap` (nats per example) of its minimum, which half the
        squared Newton decrement tells.
        """
        guess = np.vstack([1.0 / (self.spread + strength), [[self.shape[1] / self.total]]])
        value, gradient = self.value(theta, strength)
        pairs: list[tuple[np.ndarray, np.ndarray, float]] = []
        for step in range(500):
            direction = _two_loops(gradient, pairs, guess)
            slope = float(np.vdot(gradient, direction))
            if slope / 2 <= gap * self.total:
                return theta, step
            length = 1.0
            while True:
                trial = theta - length * direction
                new_value, new_gradient = self.value(trial, strength)
                if new_value <= value - 1e-4 * length * slope + 1e-7 * abs(value):
                    break
                length /= 2
                if length < 1e-6:  # float32 sees no way further down
                    return theta, step
            moved, turned = trial - theta, new_gradient - gradient
            theta, value, gradient = trial, new_value, new_gradient
            curvature = float(np.vdot(moved, turned))
            if curvature > 0:
                pairs = [*pairs[-(memory - 1) :], (moved, turned, 1.0 / curvature)]
        return theta, 500


def _two_loops(
    gradient: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray, float]], guess: np.ndarray
) -> np.ndarray:
    """Return L-BFGS's inverse Hessian times `gradient` (Nocedal & Wright, algorithm 7.4)."""
    direction = gradient.copy()
    shares = []
    for moved, turned, rho in reversed(pairs):
        share = rho * float(np.vdot(moved, direction))
        direction -= share * turned
        shares.append(share)
    direction *= guess
    for (moved, turned, rho), share in zip(pairs, reversed(shares), strict=True):
        direction += (share - rho * float(np.vdot(turned, direction))) * moved
    return direction
