"""A linear head pulled towards another one: what a source knows, as a prior for few target labels."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import (
    Encoder,
    FeatureClassifier,
    check_features,
    check_labels,
    encode_timed,
    need_validation,
)
from course_lib.methods.probe import LinearHead
from course_lib.tasks.task import Task

PULLS: tuple[float, ...] = (100.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.01, 0.001)
"""The α that `pulled_probe` tries, from strong to weak."""


def pulled_probe(
    encoder: Encoder,
    task: Task,
    *,
    toward: LinearHead | None = None,
    strengths: Sequence[float] = PULLS,
    name: str | None = None,
) -> FeatureClassifier:
    """Fit a linear head that starts at a source's head and is pulled back to it (L2-SP).

    The strength of the pull is the one with the lowest log-loss on validation; ties go to the stronger. What
    is fitted for each is told in `pulled_head`.

    Parameters
    ----------
    encoder : Encoder
    task : Task
        The target; a class without a training label is allowed, the source may know it.
    toward : LinearHead, optional
        The source's head, for the same classes in the same order. Default: zeros, which is plain L2.
    strengths : sequence of float
        α to try.
    name : str, optional
        Default: ``"L2-SP"``, or ``"L2"`` without a source.

    Returns
    -------
    FeatureClassifier
        ``.chosen["strength"]``, ``.head``.

    Raises
    ------
    BadInput
        A source head of another shape, an empty validation set, strengths that are not positive.

    References
    ----------
    Li, Grandvalet & Davoine (2018), "Explicit inductive bias for transfer learning with convolutional
    networks".
    """
    (x, x_val), features_seconds = encode_timed(encoder, task.train, task.validation)
    start = time.perf_counter()
    y = check_labels(task.train.y, task.classes)
    y_val = check_labels(task.validation.y, task.classes, "validation")
    need_validation(y_val)
    if toward is None:
        toward = LinearHead(
            np.zeros((x.shape[1], task.classes), np.float32), np.zeros(task.classes, np.float32)
        )
        name = name or "L2"
    order = sorted((float(strength) for strength in strengths), reverse=True)
    heads = pulled_heads(x, y, toward, order)
    x_val = check_features(x_val, y_val, "validation")
    losses = [_log_loss(head.logits(x_val), y_val) for head in heads]
    best = int(np.argmin(losses))
    seconds = {"features": features_seconds, "fit": time.perf_counter() - start}
    chosen = {"strength": order[best]}
    classifier = FeatureClassifier(
        name or "L2-SP", task, encoder, heads[best], seconds=seconds, chosen=chosen
    )
    pairs = zip(order, losses, strict=True)
    classifier.chosen_path = tuple({"strength": strength, "log_loss": loss} for strength, loss in pairs)
    return classifier


def pulled_head(x: np.ndarray, y: np.ndarray, toward: LinearHead, strength: float) -> LinearHead:
    r"""Return the head with the lowest loss on some labels plus its distance from another head.

    .. math:: \min_w \frac1n \sum_i -\log \mathrm{softmax}(w^\top x_i)_{y_i}
              + \tfrac{\alpha}{2} \lVert w - w_0 \rVert^2

    where w holds weights and biases (a column of ones stands beside the features) and w₀ those of `toward`.
    In terms of probability: w is the likeliest head when w₀ is where it was expected before, give or take
    ``1 / sqrt(n α)`` in every direction. The problem is strictly convex, so the solution does not depend on
    where a search for it begins.

    Parameters
    ----------
    x : numpy.ndarray
        ``(n, d)``, not standardised: distance is measured in the weights as they are.
    y : numpy.ndarray
        ``(n,)`` class numbers.
    toward : LinearHead
        ``(d, k)`` weights and ``(k,)`` biases.
    strength : float
        α > 0. A very large one gives `toward` itself.

    Returns
    -------
    LinearHead

    Raises
    ------
    BadInput
        When shapes do not fit or the strength is not positive.

    Examples
    --------
    >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> source = LinearHead(np.array([[1.0, -1.0]], np.float32), np.zeros(2, np.float32))  # says the opposite
    >>> for strength in (100, 1, 0.01):
    ...     print(pulled_head(x, y, source, strength).weights.round(2))
    [[ 0.99 -0.99]]
    [[ 0.34 -0.34]]
    [[-1.78  1.78]]
    """
    return pulled_heads(x, y, toward, [strength])[0]


def pulled_heads(
    x: np.ndarray, y: np.ndarray, toward: LinearHead, strengths: Sequence[float]
) -> list[LinearHead]:
    """Return one head per strength; see `pulled_head`.

    The loss changes only along directions in which the examples lie, and away from `toward` the pull is the
    only force in all others. So as many directions as examples are searched, by L-BFGS in float64, and the
    next strength starts where the last one ended.
    """
    from scipy.optimize import minimize

    k = len(toward.bias)
    y = check_labels(y, k)
    features = check_features(x, y).astype(np.float64)
    _check(features, toward, strengths)
    rows, n = np.arange(len(y)), len(y)
    ones = np.hstack([features, np.ones((n, 1))])
    left, spread, basis = np.linalg.svd(ones, full_matrices=False)
    z = left * spread
    start = np.vstack([toward.weights, toward.bias]).astype(np.float64)
    before = ones @ start

    def objective(flat: np.ndarray, strength: float, scale: np.ndarray) -> tuple[float, np.ndarray]:
        move = scale * flat.reshape(-1, k)
        logits = before + z @ move
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - logits[rows, y]).mean())
        odds /= total
        odds[rows, y] -= 1
        gradient = z.T @ odds / n + strength * move
        return loss + strength / 2 * float(np.vdot(move, move)), (scale * gradient).ravel()

    heads, move = [], np.zeros((z.shape[1], k))
    options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-7}
    for strength in strengths:
        # in these units the problem is about as steep in every direction
        scale = 1 / np.sqrt(np.square(spread[:, None]) / (n * k) + strength)
        arguments = (strength, scale)
        flat = minimize(objective, (move / scale).ravel(), arguments, "L-BFGS-B", jac=True, options=options).x
        move = scale * flat.reshape(-1, k)
        found = (start + basis.T @ move).astype(np.float32)
        heads.append(LinearHead(found[:-1], found[-1]))
    return heads


def _check(x: np.ndarray, toward: LinearHead, strengths: Sequence[float]) -> None:
    if toward.weights.shape != (x.shape[1], len(toward.bias)):
        raise BadInput(
            f"The head to be pulled towards has weights {toward.weights.shape} and {len(toward.bias)} "
            f"biases; expected ({x.shape[1]}, classes) and one bias per class.",
            "Take it from a probe with the same encoder and the same classes: probe.head.",
        )
    if not len(strengths) or not all(np.isfinite(s) and s > 0 for s in strengths):
        raise BadInput(
            f"strengths={list(strengths)}; expected positive numbers.", "For instance [10, 1, 0.1]."
        )


def _log_loss(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log-loss of labels under ``(n, k)`` logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]).mean())
