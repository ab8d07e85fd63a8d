"""TENT: a network that makes itself surer on the target, through BatchNorm's two vectors alone."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.classifier import FeatureClassifier
from course_lib.methods.guard import guarded, target_features
from course_lib.methods.loop import batches
from course_lib.methods.mlp import Budget, MLPHead, mlp_of


def tent(
    mlp: FeatureClassifier,
    target: Any,
    *,
    steps: int = 200,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    name: str = "",
) -> FeatureClassifier:
    r"""Adapt a network to a target by minimising the entropy of its own answers there.

    .. math:: \min_{\gamma, \beta} \frac1n \sum_i H(p_i), \qquad H(p) = -\sum_c p_c \log p_c

    over BatchNorm's γ and β; means and variances become those of the target (AdaBN), all else stays.
    Neither a source example nor a label is needed. The published method adapts while predictions are asked
    for, batch by batch; here all target examples are there at once, so BatchNorm uses the statistics of
    all of them and not of 64.

    Low entropy alone is also had by one class for everything. A guard compares the number of classes in use
    (`guard.effective_classes`) with what it was before; where it fell too far, the source's answers are
    returned, with a warning and ``chosen["collapsed"]``.

    Parameters
    ----------
    mlp : FeatureClassifier
        From `source_mlp`, with BatchNorm. It stays as it is.
    target : Split or numpy.ndarray
        Examples of the target that may be looked at; labels are not read.
    steps : int
        Gradient steps; 0 stops after the statistics, which is AdaBN and TENT's own control.
    batch_size, learning_rate
        Of Adam; those of the paper.
    seed : int
        Of the order of batches.
    name : str
        Default: the network's, TENT (or AdaBN).

    Returns
    -------
    FeatureClassifier
        ``.chosen``: ``collapsed``, and ``classes_before`` and ``classes_after`` in use.

    Raises
    ------
    BadInput
        A classifier without such a network or without BatchNorm, fewer than two target examples, NaN,
        another width, settings out of range.

    References
    ----------
    Wang et al. (2021), "Tent: fully test-time adaptation by entropy minimization", ICLR. AdaBN: Li et al.
    (2018), "Adaptive batch normalization for practical domain adaptation".
    """
    source = mlp_of(mlp)
    if source.norm is None:
        raise BadInput(
            f"{mlp.name} has no BatchNorm, whose parameters TENT adapts.",
            "Train with source_mlp(..., batch_norm=True).",
        )
    if steps < 0:
        raise BadInput(f"steps={steps}.", "Give 0 (statistics only) or more.")
    budget = Budget(max(steps, 1), batch_size, learning_rate)
    quiet_tensorflow()
    x, spent = target_features(mlp, target)
    begun = time.perf_counter()
    start = source.on(x)
    head = minimised(start, x, budget, seed) if steps else start
    seconds = {"features": spent, "fit": time.perf_counter() - begun}
    moved = source.norm.gamma.size + source.norm.beta.size if steps else 0
    name = name or f"{mlp.name}, {'TENT' if steps else 'AdaBN'}"
    return guarded(mlp, start, head, x, name, moved=moved, seconds=seconds, chosen={"steps": steps})


def minimised(start: MLPHead, x: np.ndarray, budget: Budget, seed: int) -> MLPHead:
    """Return the network with γ and β moved towards a lower mean entropy on `x`."""
    import tensorflow as tf

    assert start.norm is not None
    descent, own, last = _descent(len(start.norm.gamma), start.classes)
    for variable, value in zip(own, (start.norm.gamma, start.norm.beta), strict=True):
        variable.assign(value)
    for variable, value in zip(last, (start.out_kernel, start.out_bias), strict=True):
        variable.assign(value)
    descent.reset()
    # below γ and β nothing moves: the standardised inputs of BatchNorm are computed once
    u = start.norm.standard(start.before_norm(x)).astype(np.float32)
    rng = np.random.default_rng([seed, 1])
    rows = batches(len(u), budget.batch_size, budget.steps, rng)
    rates = np.full(budget.steps, budget.learning_rate)
    descent([tf.constant(u)], [rows], np.arange(budget.steps) / budget.steps, rates)
    gamma, beta = (np.array(v.numpy()) for v in own)
    return replace(start, norm=replace(start.norm, gamma=gamma, beta=beta))


def mean_entropy(logits: Any) -> Any:
    """Return the mean entropy of ``softmax(logits)``, a scalar tensor in nats."""
    import tensorflow as tf

    log_p = tf.nn.log_softmax(logits)
    return -tf.reduce_mean(tf.reduce_sum(tf.exp(log_p) * log_p, axis=1))


@functools.lru_cache(maxsize=8)
def _descent(hidden: int, classes: int) -> tuple[Any, list[Any], list[Any]]:
    """Return the loop, γ and β, and the last layer, which stays."""
    import keras
    import tensorflow as tf

    from course_lib.methods.descent import Descent

    own = [keras.Variable(np.zeros(hidden, np.float32)) for _ in range(2)]
    shapes = ((hidden, classes), (classes,))
    last = [keras.Variable(np.zeros(shape, np.float32), trainable=False) for shape in shapes]

    def loss(u: Any, progress: Any) -> Any:
        h = tf.nn.relu(u * own[0].value + own[1].value)
        return mean_entropy(tf.matmul(h, last[0].value) + last[1].value)

    return Descent(own, loss, (1,)), own, last
