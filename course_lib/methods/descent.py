"""Gradient descent on small networks over features: one lean loop that every method here shares."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from course_lib.errors import Diverged
from course_lib.methods.loop import batches, scored
from course_lib.methods.mlp import EPSILON, Budget, MLPHead, SourceArrays, Statistics
from course_lib.methods.probe import NEVER

ROUNDS = 20
"""Parts of a budget after which validation is scored."""

MOMENTUM = 0.9  # of BatchNorm's running statistics: a fit has hundreds of steps, not hundreds of thousands

Loss = Callable[..., Any]
"""From one batch of every array, then progress from 0 to 1, to a scalar tensor."""


class Descent:
    """Adam on some variables; many steps run inside one TensorFlow graph, which is traced once.

    Parameters
    ----------
    variables : sequence of keras.Variable
    loss : callable
        Gets one batch per array, in `groups` order, and the progress of training between 0 and 1.
    groups : sequence of int
        How many arrays share each stream of row numbers: ``(2, 1)`` for features and labels of the source
        and features of the target.
    """

    def __init__(self, variables: Sequence[Any], loss: Loss, groups: Sequence[int]) -> None:
        import keras
        import tensorflow as tf

        self.variables = list(variables)
        self.optimiser = keras.optimizers.Adam()
        self.optimiser.build(self.variables)
        self._fresh = [np.asarray(v) for v in self.optimiser.variables]
        stream = [group for group, size in enumerate(groups) for _ in range(size)]

        def run(arrays: Any, rows: Any, progress: Any, rates: Any) -> Any:
            total = tf.constant(0.0)
            for step in tf.range(tf.shape(progress)[0]):
                batch = [tf.gather(a, rows[g][step]) for a, g in zip(arrays, stream, strict=True)]
                self.optimiser.learning_rate.assign(rates[step])
                with tf.GradientTape() as tape:
                    value = loss(*batch, progress[step])
                gradients = tape.gradient(value, self.variables)
                # TensorFlow's optimiser of graphs drops the order "read, then update" where no gradient flows
                # back from what was read: of CDAN's answers, now and then, the weights of after the step.
                with tf.control_dependencies([value]):
                    self.optimiser.apply_gradients(zip(gradients, self.variables, strict=True))
                total += value
            return total / tf.cast(tf.shape(progress)[0], tf.float32)

        self._run = tf.function(run, reduce_retracing=True)

    def reset(self) -> None:
        """Forget what the optimiser remembers."""
        for variable, value in zip(self.optimiser.variables, self._fresh, strict=True):
            variable.assign(value)

    def __call__(
        self, arrays: Sequence[Any], rows: Sequence[np.ndarray], progress: np.ndarray, rates: np.ndarray
    ) -> float:
        """Take the steps of `rows`, ``(steps, batch)`` per stream; return the mean loss.

        Raises
        ------
        Diverged
            When the loss is not finite any more.
        """
        import tensorflow as tf

        streams = [tf.constant(r, tf.int32) for r in rows]
        mean = self._run(
            list(arrays), streams, tf.constant(progress, tf.float32), tf.constant(rates, tf.float32)
        )
        value = float(mean)
        if not math.isfinite(value):
            raise Diverged(
                f"The loss became {value} at a learning rate of {rates.max():.2g}.",
                "Lower learning_rate by a factor of 3 to 10.",
            )
        return value


def annealed(budget: Budget) -> tuple[np.ndarray, np.ndarray]:
    """Return the progress of every step, from 0 up to below 1, and its learning rate.

    Examples
    --------
    >>> progress, rates = annealed(Budget(steps=2, learning_rate=1.0))
    >>> progress.tolist(), rates.round(3).tolist()
    ([0.0, 0.5], [1.0, 0.261])
    """
    progress = np.arange(budget.steps) / budget.steps
    return progress, budget.learning_rate * (1 + 10 * progress) ** -0.75


class Network:
    """The Keras layers of one shape, traced once and filled with fresh weights for every fit."""

    def __init__(self, dim: int, hidden: int, batch_norm: bool, classes: int) -> None:
        from keras import layers

        self.dim, self.units, self.classes = dim, hidden, classes
        self.first, self.last = layers.Dense(hidden), layers.Dense(classes)
        self.first.build((None, dim))
        self.last.build((None, hidden))
        self.norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON) if batch_norm else None
        if self.norm is not None:
            self.norm.build((None, hidden))

    @property
    def body(self) -> list[Any]:
        """The variables below the last layer."""
        own = list(self.first.trainable_variables)
        return own + (list(self.norm.trainable_variables) if self.norm is not None else [])

    @property
    def variables(self) -> list[Any]:
        """All that is trained."""
        return self.body + list(self.last.trainable_variables)

    def hidden(self, a: Any, training: bool) -> Any:
        """Return what the last layer reads, of ``zW + b``."""
        import tensorflow as tf

        return tf.nn.relu(a if self.norm is None else self.norm(a, training=training))

    def put(self, head: MLPHead) -> None:
        """Take over the numbers of a head."""
        self.first.set_weights([head.kernel, head.bias])
        self.last.set_weights([head.out_kernel, head.out_bias])
        if self.norm is not None and head.norm is not None:
            n = head.norm
            self.norm.set_weights([n.gamma, n.beta, n.mean, n.variance])

    def head(self, mean: np.ndarray, scale: np.ndarray) -> MLPHead:
        """Return the numbers of now, copied."""
        kernel, bias = self.first.get_weights()
        out_kernel, out_bias = self.last.get_weights()
        norm = None
        if self.norm is not None:
            gamma, beta, moving_mean, moving_variance = self.norm.get_weights()
            norm = Statistics(moving_mean, moving_variance, gamma, beta)
        return MLPHead(mean, scale, kernel, bias, norm, out_kernel, out_bias)

    def begin(self, seed: int) -> None:
        """Draw the first weights (Glorot & Bengio, 2010); BatchNorm begins as one that changes nothing."""
        rng = np.random.default_rng([seed, 0])
        self.first.set_weights([glorot(rng, self.dim, self.units), np.zeros(self.units, np.float32)])
        self.last.set_weights([glorot(rng, self.units, self.classes), np.zeros(self.classes, np.float32)])
        if self.norm is not None:
            zero, one = np.zeros(self.units, np.float32), np.ones(self.units, np.float32)
            self.norm.set_weights([one, zero, zero, one])

    def label_loss(self, a: Any, y: Any, smoothing: Any) -> Any:
        """Return the mean cross-entropy of a batch against smoothed labels."""
        import tensorflow as tf

        logits = self.last(self.hidden(a, training=True))
        sharp = tf.one_hot(y, self.classes)
        targets = (1 - smoothing) * sharp + smoothing / self.classes
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))


def glorot(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return uniform first weights ``(rows, columns)`` float32 of variance ``2 / (rows + columns)``."""
    limit = math.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)


def train_source(
    source: SourceArrays, hidden: int, batch_norm: bool, budget: Budget, seed: int
) -> tuple[MLPHead, tuple[dict[str, float], ...], int]:
    """Train on the source alone; return the head, the path on validation, and the round that was kept."""
    network, descent, smoothing = _plain(source.z.shape[1], hidden, batch_norm, source.classes)
    smoothing.assign(budget.label_smoothing)
    network.begin(seed)
    descent.reset()
    return rounds(network, descent, source, budget, [(source.z, source.y)], seed)


@functools.lru_cache(maxsize=8)
def _plain(dim: int, hidden: int, batch_norm: bool, classes: int) -> tuple[Network, Descent, Any]:
    import keras

    network = Network(dim, hidden, batch_norm, classes)
    smoothing = keras.Variable(0.0, trainable=False)

    def loss(z: Any, y: Any, progress: Any) -> Any:
        return network.label_loss(network.first(z), y, smoothing)

    return network, Descent(network.variables, loss, (2,)), smoothing


def rounds(
    network: Network,
    descent: Descent,
    source: SourceArrays,
    budget: Budget,
    streams: Sequence[tuple[np.ndarray, ...]],
    seed: int,
) -> tuple[MLPHead, tuple[dict[str, float], ...], int]:
    """Train through the whole budget; keep the second half's best round on the source's validation set.

    Parameters
    ----------
    streams : sequence of tuple of numpy.ndarray
        Arrays that are drawn together; the source first. Each stream's order has a generator of its own, so
        that a second domain does not change the batches of the first.
    """
    import tensorflow as tf

    orders = [
        batches(len(arrays[0]), budget.batch_size, budget.steps, np.random.default_rng([seed, 1 + i]))
        for i, arrays in enumerate(streams)
    ]
    data = [tf.constant(a) for arrays in streams for a in arrays]
    progress, rates = annealed(budget)
    path: list[dict[str, float]] = []
    best: tuple[float, int, MLPHead] | None = None
    parts = [part for part in np.array_split(np.arange(budget.steps), ROUNDS) if len(part)]
    plain = unscaled(network.dim)  # validation is standardised already
    for number, part in enumerate(parts, start=1):
        loss = descent(data, [order[part] for order in orders], progress[part], rates[part])
        head = network.head(*plain)
        accuracy, log_loss = scored(head.predict_proba(source.z_val), source.y_val)
        path.append({"round": number, "loss": loss, "log_loss": log_loss, "accuracy": accuracy})
        if number > len(parts) // 2 and (best is None or log_loss < best[0]):
            best = log_loss, number, network.head(source.mean, source.scale)
    assert best is not None
    head = best[2]
    absent = np.bincount(source.y, minlength=source.classes) == 0
    # smoothing gave them a share of every label
    head = replace(head, out_bias=np.where(absent, np.float32(NEVER), head.out_bias))
    return head, tuple(path), best[1]


def unscaled(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and scale of a head that reads standardised features."""
    return np.zeros(dim, np.float32), np.ones(dim, np.float32)
