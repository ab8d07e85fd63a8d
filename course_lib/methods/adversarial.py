"""DANN and CDAN: features that still tell the classes, and no longer the domain."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.classifier import Encoder, FeatureClassifier, check_features, encode_timed
from course_lib.methods.mlp import Budget, MLPHead, SourceArrays, need_hidden, need_width, source_arrays
from course_lib.methods.unlabelled import check_domains, unlabelled, warn_skewed
from course_lib.tasks.task import Task

ADVERSARY = 100
"""Units of the adversary's hidden layer, as in the DANN paper's smaller networks."""

WIDEST = 4096
"""Products of features and answers up to which CDAN uses all of them, as in its paper."""

DRAWN = 1024
"""Random products that stand for all where there are more."""


def dann(
    encoder: Encoder,
    task: Task,
    target: Any,
    *,
    weight: float = 1.0,
    hidden: int = 256,
    batch_norm: bool = True,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    label_smoothing: float = 0.1,
    seed: int = 0,
    name: str = "DANN",
) -> FeatureClassifier:
    r"""Train a network on the source while an adversary tries to tell the two domains by its hidden layer.

    .. math:: \min_{\theta, V} \max_{A}\; \mathcal L_{\text{labels}}(\theta, V)
              - \lambda\, \mathcal L_{\text{domains}}(\theta, A), \qquad
              \lambda = w \Bigl(\frac{2}{1 + e^{-10 p}} - 1\Bigr)

    at progress p from 0 to 1: the paper's schedule. One backward pass does both, through a layer that returns
    its input and turns its gradient round (`reverse_gradient`).

    The network, its first weights, the batches of the source, the steps and the rule that chooses among
    rounds are those of `source_mlp`: with ``weight=0`` the result is that network, number by number. Both
    domains reach the adversary as prediction will see them, through BatchNorm's running statistics of the
    source. So whatever is gained or lost against ``weight=0`` is the adversary's doing.

    Parameters
    ----------
    encoder : Encoder
    task : Task
        The source.
    target : Split or numpy.ndarray
        Examples of the target that may be looked at; labels are not read.
    weight : float
        w; 0 is the control.
    hidden, batch_norm, steps, batch_size, learning_rate, label_smoothing
        As in `source_mlp`.
    seed : int
        Of first weights and orders of batches.
    name : str

    Returns
    -------
    FeatureClassifier
        ``.chosen``: ``weight``, best ``round`` on the source's validation set, and ``told_apart``: the share
        of examples whose domain the adversary knew in the end, each domain weighing half. 0.5 is guessing.

    Raises
    ------
    BadInput
        As `source_mlp`; domains of different width, fewer than two target examples, a negative weight.

    Warns
    -----
    UserWarning
        Labels that came along, few target examples, equal domains, or classes predicted in quite other shares
        than on the source, the case in which matching whole domains does harm.

    Notes
    -----
    The source's validation set does not see what an adversary does to the target. From English to Chinese
    topics w = 1 left English as it was and took Chinese from 0.46 balanced accuracy to 0.16 (mean of three
    seeds), with the domains still told apart; w = 0.1 changed nothing, where moving the mean (`centring`)
    helps. Look at several w, ``told_apart`` and the warning before the result is believed.

    References
    ----------
    Ganin et al. (2016), "Domain-adversarial training of neural networks", JMLR 17.
    """
    budget = Budget(steps, batch_size, learning_rate, label_smoothing)
    shape = need_hidden(hidden), batch_norm
    return _adversarial(encoder, task, target, weight, shape, budget, seed, name, None)


def cdan(
    encoder: Encoder,
    task: Task,
    target: Any,
    *,
    weight: float = 1.0,
    entropy: bool = True,
    hidden: int = 256,
    batch_norm: bool = True,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    label_smoothing: float = 0.1,
    seed: int = 0,
    name: str = "CDAN",
) -> FeatureClassifier:
    r"""Train as `dann`, with an adversary that sees features together with the network's answers.

    Its input is the outer product :math:`h \otimes g` of hidden layer and class probabilities, so that what
    is matched is, roughly, each class with its own kind. Above 4,096 products it is
    :math:`\frac{1}{\sqrt{1024}} (R_h h) \odot (R_g g)` with random matrices, as published. As in the
    authors' code no gradient flows through g.

    Parameters
    ----------
    encoder, task, target, weight
        As in `dann`.
    entropy : bool
        CDAN+E: examples count by :math:`1 + e^{-H(g)}` in the adversary's loss, sure ones for more.
    hidden, batch_norm, steps, batch_size, learning_rate, label_smoothing, seed, name
        As in `dann`.

    Returns
    -------
    FeatureClassifier
        As `dann`.

    Raises
    ------
    BadInput
        As `dann`.

    References
    ----------
    Long et al. (2018), "Conditional adversarial domain adaptation", NeurIPS.
    """
    budget = Budget(steps, batch_size, learning_rate, label_smoothing)
    shape = need_hidden(hidden), batch_norm
    return _adversarial(encoder, task, target, weight, shape, budget, seed, name, entropy)


def _adversarial(
    encoder: Encoder,
    task: Task,
    target: Any,
    weight: float,
    shape: tuple[int, bool],
    budget: Budget,
    seed: int,
    name: str,
    entropy: bool | None,
) -> FeatureClassifier:
    if not (np.isfinite(weight) and weight >= 0):
        raise BadInput(f"weight={weight}.", "Give 0 (no adversary) or a positive number.")
    quiet_tensorflow()
    examples: Any = unlabelled(target)
    (x, x_val, x_target), spent = encode_timed(encoder, task.train, task.validation, examples)
    x_target = check_features(x_target, what="target")
    start = time.perf_counter()
    source = source_arrays(task, x, x_val)
    need_width(x.shape[1], x_target.shape[1])
    check_domains(np.asarray(x, np.float32), x_target)
    z = np.asarray((x_target - source.mean) / source.scale)
    head, path, best, told_apart = _train(source, z, weight, shape, budget, seed, entropy)
    seconds = {"features": spent, "fit": time.perf_counter() - start}
    chosen: dict[str, Any] = {"weight": float(weight), "round": best, "told_apart": round(told_apart, 3)}
    found = FeatureClassifier(name, task, encoder, head, seconds=seconds, chosen=chosen)
    found.chosen_path = path
    ours, theirs = (head.predict_proba(f).argmax(axis=1) for f in (x, x_target))
    warn_skewed(ours, theirs, task.class_names, name)
    return found


def _train(
    source: SourceArrays,
    z: np.ndarray,
    weight: float,
    shape: tuple[int, bool],
    budget: Budget,
    seed: int,
    entropy: bool | None,
) -> tuple[MLPHead, tuple[dict[str, float], ...], int, float]:
    """Return the head, the path on validation, the round that was kept, and the adversary's score."""
    from course_lib.methods.descent import rounds

    pair = _pair(source.z.shape[1], *shape, source.classes, entropy)
    pair.network.begin(seed)
    pair.begin(seed)
    pair.weight.assign(weight)
    pair.smoothing.assign(budget.label_smoothing)
    pair.descent.reset()
    found = rounds(pair.network, pair.descent, source, budget, [(source.z, source.y), (z,)], seed)
    told = [pair.says_target(source.z) < 0.5, pair.says_target(z) >= 0.5]
    return *found, float(np.mean([np.mean(right) for right in told]))


def reverse_gradient(x: Any, strength: Any) -> Any:
    """Return `x`; on the way back its gradient is multiplied by ``-strength``.

    Parameters
    ----------
    x : tensor
        Of any shape.
    strength : scalar tensor
        λ.
    """
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def turned(given: Any, by: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return -by * upstream, tf.zeros_like(by)

        return tf.identity(given), gradient

    return turned(x, tf.convert_to_tensor(strength))


def multilinear(h: Any, g: Any) -> Any:
    """Return every product of a feature and an answer, ``(n, h · k)``: all features of class 0 first."""
    import tensorflow as tf

    return tf.reshape(tf.einsum("nk,nh->nkh", g, h), (-1, g.shape[1] * h.shape[1]))


def entropy_weights(g: Any) -> Any:
    """Return ``1 + exp(-H)`` of probabilities ``(n, k)``, divided by its mean, ``(n,)``."""
    import tensorflow as tf

    certain = 1 + tf.exp(tf.reduce_sum(g * tf.math.log(g + 1e-8), axis=1))
    return certain / tf.reduce_mean(certain)


def schedule(progress: Any) -> Any:
    """Return ``2 / (1 + exp(-10 progress)) - 1``: from 0 towards 1."""
    import tensorflow as tf

    return 2 / (1 + tf.exp(-10.0 * progress)) - 1


class Pair:
    """A network and its adversary, traced once for one shape.

    Parameters
    ----------
    dim, hidden, batch_norm, classes
        Of the network.
    entropy : bool or None
        CDAN with or without entropy weights; None for DANN.
    """

    def __init__(self, dim: int, hidden: int, batch_norm: bool, classes: int, entropy: bool | None) -> None:
        import keras
        from keras import layers

        from course_lib.methods.descent import Descent, Network

        self.network = Network(dim, hidden, batch_norm, classes)
        self.entropy = entropy
        self.weight, self.smoothing = (keras.Variable(0.0, trainable=False) for _ in range(2))
        sees = hidden if entropy is None else hidden * classes
        self.random: list[Any] = []
        if sees > WIDEST and entropy is not None:
            sees = DRAWN
            self.random = [
                keras.Variable(np.zeros((n, DRAWN), np.float32), trainable=False) for n in (hidden, classes)
            ]
        self.layers = [layers.Dense(ADVERSARY, activation="relu"), layers.Dense(1)]
        for layer, width in zip(self.layers, (sees, ADVERSARY), strict=True):
            layer.build((None, width))
        own = [v for layer in self.layers for v in layer.trainable_variables]
        self.descent = Descent(self.network.variables + own, self.loss, (2, 1))

    def begin(self, seed: int) -> None:
        """Draw the adversary's first weights, from a generator that is its own."""
        from course_lib.methods.descent import glorot

        rng = np.random.default_rng([seed, 0, 1])
        for layer in self.layers:
            rows, columns = layer.kernel.shape
            layer.set_weights([glorot(rng, rows, columns), np.zeros(columns, np.float32)])
        for variable in self.random:
            variable.assign(rng.normal(size=variable.shape).astype(np.float32))

    def loss(self, z: Any, y: Any, z_target: Any, progress: Any) -> Any:
        """Return the loss of labels plus that of domains, whose gradient is turned below the adversary."""
        import tensorflow as tf

        network = self.network
        a, a_target = network.first(z), network.first(z_target)
        labels = network.label_loss(a, y, self.smoothing.value)
        strength = self.weight.value * schedule(progress)
        domains = tf.constant(0.0)
        for side, domain in ((a, 0.0), (a_target, 1.0)):
            scores, counts = self._judge(network.hidden(side, training=False), strength)
            answer = tf.fill(tf.shape(scores), domain)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(answer, scores)
            domains += tf.reduce_mean(counts * losses) / 2
        return labels + domains

    def _judge(self, h: Any, strength: Any) -> tuple[Any, Any]:
        """Return the adversary's scores ``(n,)``, positive for the target, and each example's weight."""
        import tensorflow as tf

        shown, counts = reverse_gradient(h, strength), tf.ones_like(h[:, 0])
        if self.entropy is not None:
            g = tf.stop_gradient(tf.nn.softmax(self.network.last(h)))
            if self.entropy:
                counts = entropy_weights(g)
            if self.random:
                r_h, r_g = (v.value for v in self.random)
                shown = tf.matmul(shown, r_h) * tf.matmul(g, r_g) / DRAWN**0.5
            else:
                shown = multilinear(shown, g)
        return self.layers[1](self.layers[0](shown))[:, 0], counts

    def says_target(self, z: np.ndarray) -> np.ndarray:
        """Return the adversary's probability ``(n,)`` that standardised features are the target's."""
        import tensorflow as tf

        scores, _ = self._judge(self.network.hidden(self.network.first(z), training=False), 0.0)
        return np.asarray(tf.sigmoid(scores))


@functools.lru_cache(maxsize=8)
def _pair(dim: int, hidden: int, batch_norm: bool, classes: int, entropy: bool | None) -> Pair:
    return Pair(dim, hidden, batch_norm, classes, entropy)
