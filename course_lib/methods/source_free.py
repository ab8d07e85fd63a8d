"""SHOT: the classifier stays, and the target's features are brought to where it is sure of all classes."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.classifier import FeatureClassifier
from course_lib.methods.entropy import mean_entropy
from course_lib.methods.guard import guarded, target_features
from course_lib.methods.loop import batches
from course_lib.methods.mlp import Budget, MLPHead, mlp_of


def shot(
    mlp: FeatureClassifier,
    target: Any,
    *,
    epochs: int = 15,
    batch_size: int = 64,
    learning_rate: float = 3e-4,
    diversity: float = 1.0,
    pseudo: float = 0.3,
    seed: int = 0,
    name: str = "",
) -> FeatureClassifier:
    r"""Adapt a network to a target without the source: source hypothesis transfer.

    .. math:: \min_{W, b, \gamma, \beta}\; \frac1n \sum_i H(p_i)
              \;-\; \delta\, H\Bigl(\frac1n \sum_i p_i\Bigr) \;+\; \rho\, \frac1n \sum_i -\log p_{i, \hat y_i}

    The last layer, the source's hypothesis, is frozen; what lies below moves until every answer is sure and
    all classes are used (information maximisation). The pseudo-labels ŷ come, anew each epoch, from the
    nearest class centroid among the target's own features (`centroid_labels`).

    The second term assumes that the target's classes are about equally frequent: where one is missing or
    rare, examples of others are pushed into it, and no guard can see that without labels. Against collapse
    the same guard stands as in `tent`.

    Parameters
    ----------
    mlp : FeatureClassifier
        From `source_mlp`. It stays as it is.
    target : Split or numpy.ndarray
        Examples of the target that may be looked at; labels are not read.
    epochs : int
        Rounds through the target, each with new pseudo-labels; 15 as in the paper.
    batch_size, learning_rate
        Of Adam.
    diversity, pseudo : float
        δ and ρ; 1 and 0.3 as in the paper.
    seed : int
        Of the order of batches.
    name : str
        Default: the network's, SHOT.

    Returns
    -------
    FeatureClassifier
        ``.chosen`` as of `tent`. BatchNorm, where there is one, holds the target's statistics.

    Raises
    ------
    BadInput
        A classifier without such a network, fewer than two target examples, NaN, another width, settings out
        of range.

    References
    ----------
    Liang, Hu & Feng (2020), "Do we really need to access the source data? Source hypothesis transfer for
    unsupervised domain adaptation", ICML.
    """
    source = mlp_of(mlp)
    for setting, value in (("diversity", diversity), ("pseudo", pseudo)):
        if not (np.isfinite(value) and value >= 0):
            raise BadInput(f"{setting}={value}.", "Give 0 or a positive number.")
    if epochs < 1:
        raise BadInput(f"epochs={epochs}.", "Give 1 or more.")
    budget = Budget(batch_size=batch_size, learning_rate=learning_rate)
    quiet_tensorflow()
    x, spent = target_features(mlp, target)
    begun = time.perf_counter()
    start = source if source.norm is None else source.on(x)
    head = _maximised(start, x, epochs, budget, (diversity, pseudo), seed)
    seconds = {"features": spent, "fit": time.perf_counter() - begun}
    moved = source.parameters - source.out_kernel.size - source.out_bias.size
    chosen = {"epochs": epochs}
    name = name or f"{mlp.name}, SHOT"
    return guarded(mlp, start, head, x, name, moved=moved, seconds=seconds, chosen=chosen)


def centroid_labels(features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    r"""Return SHOT's pseudo-labels: the class of the nearest centroid, by cosine.

    Centroids are first means weighted by probability, :math:`c_k = \sum_i p_{ik} g_i / \sum_i p_{ik}`, and
    then, once, those of the examples that lie nearest to each. A class that nothing is predicted as has no
    centroid, as in the authors' code.

    Parameters
    ----------
    features : numpy.ndarray
        ``(n, h)``: what the last layer reads. A column of ones is added, and lengths become 1.
    probabilities : numpy.ndarray
        ``(n, k)``

    Returns
    -------
    numpy.ndarray
        ``(n,)`` int64.

    Examples
    --------
    >>> g = np.array([[9.0, 0.0], [8.0, 0.5], [0.0, 9.0], [0.6, 7.0]])
    >>> doubtful = np.array([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])
    >>> centroid_labels(g, doubtful).tolist()
    [0, 0, 1, 1]
    """
    g = np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    classes = np.unique(probabilities.argmax(axis=1))
    shares = probabilities.astype(np.float64)[:, classes]
    labels = np.zeros(len(g), np.int64)
    for _ in range(2):
        centroids = shares.T @ g / (1e-8 + shares.sum(axis=0)[:, None])
        lengths = np.maximum(np.linalg.norm(centroids, axis=1), 1e-12)
        labels = (g @ centroids.T / lengths).argmax(axis=1)
        shares = np.eye(len(classes))[labels]
    return np.asarray(classes[labels], np.int64)


def _maximised(
    start: MLPHead, x: np.ndarray, epochs: int, budget: Budget, pulls: tuple[float, float], seed: int
) -> MLPHead:
    """Return the network after all epochs, BatchNorm's statistics those of `x`."""
    import tensorflow as tf

    from course_lib.methods.descent import annealed, unscaled

    shape = (start.dim, len(start.bias), start.norm is not None, start.classes)
    network, descent, weights = _descent(*shape)
    network.put(start)
    descent.reset()
    for variable, value in zip(weights, pulls, strict=True):
        variable.assign(value)
    z = start.standardised(x)
    each = math.ceil(len(z) / budget.batch_size)
    order = batches(len(z), budget.batch_size, epochs * each, np.random.default_rng([seed, 1]))
    progress, rates = annealed(Budget(epochs * each, budget.batch_size, budget.learning_rate))
    plain, data = unscaled(start.dim), tf.constant(z)
    for epoch in range(epochs):
        now = network.head(*plain)
        now = now if now.norm is None else now.on(z)
        labels = centroid_labels(now.hidden(z), now.predict_proba(z)).astype(np.int32)
        part = slice(epoch * each, (epoch + 1) * each)
        descent([data, tf.constant(labels)], [order[part]], progress[part], rates[part])
    head: MLPHead = network.head(start.mean, start.scale)
    return head if head.norm is None else head.on(x)


def information_loss(logits: Any, diversity: Any) -> Any:
    """Return mean entropy minus `diversity` times the entropy of the mean answer, a scalar tensor."""
    import tensorflow as tf

    mean = tf.reduce_mean(tf.nn.softmax(logits), axis=0)
    spread = -tf.reduce_sum(mean * tf.math.log(mean + 1e-8))
    return mean_entropy(logits) - diversity * spread


@functools.lru_cache(maxsize=8)
def _descent(dim: int, hidden: int, batch_norm: bool, classes: int) -> tuple[Any, Any, list[Any]]:
    """Return the network, the loop over what lies below the last layer, and the two weights δ and ρ."""
    import keras
    import tensorflow as tf

    from course_lib.methods.descent import Descent, Network

    network = Network(dim, hidden, batch_norm, classes)
    weights = [keras.Variable(0.0, trainable=False) for _ in range(2)]

    def loss(z: Any, labels: Any, progress: Any) -> Any:
        logits = network.last(network.hidden(network.first(z), training=True))
        given = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return information_loss(logits, weights[0].value) + weights[1].value * tf.reduce_mean(given)

    return network, Descent(network.body, loss, (2,)), weights
