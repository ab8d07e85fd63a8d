"""The control: a small network that starts from nothing."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.checkpoint import State
from course_lib.methods.classifier import Classifier, Data, as_examples, need_two_classes, need_validation
from course_lib.methods.finished import once
from course_lib.tasks.task import Task, stratified_rows

BATCH = 32
LARGEST = 48  # pixels
MOST_ROUNDS = 30
FEWEST_STEPS = 40
PATIENCE = 4
WIDTH = 64  # of the dense layer below the last


def scratch_cnn(
    task: Task,
    *,
    epochs: int | None = None,
    seed: int = 0,
    pixels: int | None = None,
    name: str = "from scratch",
    cache: bool = True,
) -> ScratchClassifier:
    """Train the small CNN of the usual guides on the pictures alone.

    Three 3×3 convolutions (32, 64, 64 filters; 2×2 max pooling between them), a dense layer of 64, ReLU, Adam
    with its default step 0.001, batches of 32, no augmentation: 122,570 parameters on CIFAR-10.

    The budget is counted in rounds. A round is one epoch, but at least 40 gradient steps: with ten labels an
    epoch is a single step, and a control that takes a handful of steps would lose for the wrong reason. After
    each round the validation set is scored; training ends when accuracy has not risen for 4 rounds (at equal
    accuracy: the log-loss not fallen), or after `epochs` rounds, and the weights of the best round are kept.
    Accuracy rather than log-loss, because a network of this size turns overconfident long before it stops
    learning: with 100 CIFAR-10 labels it is two points better so, and a control deserves its best. Validation
    is thinned, in shares, to at most as many examples as a round trains on, so that judging never costs more
    than learning.

    Parameters
    ----------
    task : Task
        Pictures ``(n, height, width, 1 or 3)`` uint8.
    epochs : int, optional
        Most rounds. Default: 30, which early stopping seldom reaches.
    seed : int
        Of the first weights and the order of batches. The same seed gives the same weights, bit for bit, on
        one machine: nothing here draws from a global generator, and TensorFlow's CPU kernels for these layers
        add in a fixed order (checked by a test). On a GPU, ask TensorFlow for
        ``tf.config.experimental.enable_op_determinism()`` first; it is not switched on here because it is for
        the whole process and slows other work.
    pixels : int, optional
        Width and height to resize to, antialiased. Default: the pictures' own when neither is above 48, else
        48.
    name : str
    cache : bool
        Look for this very network on disk first, and keep it there: half a megabyte each. One that is found
        tells the seconds that its training took.

    Returns
    -------
    ScratchClassifier
        ``.chosen`` holds the best ``round``, and ``steps`` taken until then.

    Raises
    ------
    BadInput
        When the examples are not pictures, below 18 pixels, of one class only, or validation is empty.
    """
    return trained(task, epochs=epochs, seed=seed, pixels=pixels, name=name, cache=cache)


def trained(
    task: Task,
    *,
    epochs: int | None,
    seed: int,
    name: str,
    pixels: int | None = None,
    shape: tuple[int, int, int] | None = None,
    first: Sequence[np.ndarray] = (),
    patience: int | None = PATIENCE,
    cache: bool = True,
) -> ScratchClassifier:
    """Train the small CNN, from nothing or from layers that were learnt elsewhere; see `scratch_cnn`.

    Parameters
    ----------
    shape : tuple of int, optional
        Height, width and channels that the network sees. Default: as `pixels` says.
    first : sequence of numpy.ndarray
        Weights to begin with, from the input on; layers beyond them begin at random.
    patience : int or None
        Rounds without a better score on validation until it stops. None: all rounds are trained and the last
        weights kept, whatever validation says.
    cache : bool
        As in `scratch_cnn`.
    """
    quiet_tensorflow()  # before the clock starts: importing is not training
    start = time.perf_counter()
    need_two_classes(task.train.y)
    need_validation(task.validation.y)
    if epochs is not None and epochs < 1:
        raise BadInput(f"epochs={epochs}.", "Give 1 or more, or None for early stopping alone.")
    sees = shape or _shape(task.train.x, pixels)
    workshop = _workshop(sees, task.classes)
    x = _resized(task.train.x, sees)
    y = task.train.y.astype(np.int32)
    steps = max(math.ceil(len(y) / BATCH), FEWEST_STEPS)
    validation = task.validation
    fewest = len(np.unique(validation.y))
    room = max(steps * min(BATCH, len(y)), fewest)
    if len(validation) > room:
        validation = validation.take(stratified_rows(validation.y, room, seed=seed))
    judge = _resized(validation.x, sees), validation.y.astype(np.int32)
    most = epochs or MOST_ROUNDS

    def train() -> State:
        weights, best, rounds = workshop.train((x, y), judge, steps, most, seed, first, patience)
        meta = {"round": best, "rounds": rounds, "seconds": time.perf_counter() - start}
        return State({"weights": {str(k): w for k, w in enumerate(weights)}}, meta)

    if cache:
        settings = {"steps": steps, "most": most, "seed": seed, "patience": patience, **_versions()}
        data = {"x": x, "y": y, "judged on": judge[0], "judged by": judge[1]}
        data |= {f"first {k}": w for k, w in enumerate(first)} | {"classes": np.array(task.classes)}
        found = once("scratch", __file__, settings, data, train)
    else:
        found = train()
    best = found.meta["round"]
    chosen = {"round": best, "steps": best * steps, "rounds": found.meta["rounds"]}
    weights = [found.arrays["weights"][str(k)] for k in range(len(found.arrays["weights"]))]
    return ScratchClassifier(name, task, workshop, weights, {"fit": found.meta["seconds"]}, chosen)


def _versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"keras": keras.__version__, "tensorflow": tf.__version__}


class ScratchClassifier(Classifier):
    """Weights of a small CNN; the compiled network is shared by all of the same shape."""

    def __init__(
        self,
        name: str,
        task: Task,
        workshop: _Workshop,
        weights: list[np.ndarray],
        seconds: dict[str, float],
        chosen: dict[str, Any],
    ) -> None:
        count = sum(w.size for w in weights)
        super().__init__(name, task, parameters_trained=count, seconds=seconds, chosen=chosen)
        self._workshop = workshop
        self.weights = weights

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels that the network sees."""
        return self._workshop.shape

    def features(self, data: Data) -> np.ndarray:
        """Return what the last layer reads of pictures of any size, ``(n, 64)`` float32, not negative."""
        return self._workshop.features(_resized(as_examples(data), self.shape), self.weights)

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of pictures of any size."""
        x = _resized(as_examples(data), self._workshop.shape)
        return self._workshop.predict_proba(x, self.weights)


def _shape(x: np.ndarray, pixels: int | None) -> tuple[int, int, int]:
    """Return the height, width and channels that the network sees."""
    if x.ndim != 4 or x.shape[3] not in (1, 3) or x.dtype != np.uint8:
        raise BadInput(
            f"Examples of shape {x.shape[1:]} and type {x.dtype}; the small CNN takes pictures "
            "(height, width, 1 or 3) of type uint8.",
            "Use a task of pictures, for instance tasks.cifar10().",
        )
    height, width, channels = x.shape[1:]
    if pixels is None and max(height, width) > LARGEST:
        pixels = LARGEST
    if pixels is not None:
        height = width = pixels
    if min(height, width) < 18:
        raise BadInput(
            f"Pictures of {height}×{width} pixels; three convolutions and two poolings need 18.",
            "Give pixels=32.",
        )
    return height, width, channels


def _resized(x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return pictures at the network's size, uint8; averaged over area when they shrink."""
    if x.ndim != 4 or x.shape[3] != shape[2]:
        raise BadInput(
            f"Pictures of shape {x.shape}; this network takes (n, height, width, {shape[2]}).",
            "Give pictures with the same number of channels as those it was trained on.",
        )
    if x.shape[1:3] == shape[:2]:
        return np.asarray(x)
    import tensorflow as tf

    parts = [
        np.rint(tf.image.resize(x[i : i + 256], shape[:2], antialias=True).numpy()).astype(np.uint8)
        for i in range(0, len(x), 256)
    ]
    return np.concatenate(parts) if parts else np.empty((0, *shape), np.uint8)


def _network(shape: tuple[int, int, int], classes: int, seed: int) -> Any:
    """Return the untrained network; pixels 0 to 255 in, logits out."""
    import keras
    from keras import layers

    def first(layer: int) -> Any:
        return keras.initializers.GlorotUniform(seed=1000 * seed + layer)

    return keras.Sequential(
        [
            layers.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu", kernel_initializer=first(0)),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu", kernel_initializer=first(1)),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu", kernel_initializer=first(2)),
            layers.Flatten(),
            layers.Dense(WIDTH, activation="relu", kernel_initializer=first(3)),
            layers.Dense(classes, kernel_initializer=first(4)),
        ]
    )


@functools.lru_cache(maxsize=8)
def _workshop(shape: tuple[int, int, int], classes: int) -> _Workshop:
    return _Workshop(shape, classes)


class _Workshop:
    """One compiled network per shape, used for every fit of that shape.

    A learning curve trains the same network some 25 times. Tracing and compiling it anew costs more than a
    fit on a hundred labels; here the graphs are traced once and only weights and optimiser state are set
    back.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        import keras
        import tensorflow as tf

        self.shape, self.classes = shape, classes
        self.model = _network(shape, classes, 0)
        self.optimiser = keras.optimizers.Adam()
        self.optimiser.build(self.model.trainable_variables)
        self._fresh = [np.asarray(v) for v in self.optimiser.variables]
        loss_of = tf.nn.sparse_softmax_cross_entropy_with_logits
        pictures, labels = tf.TensorSpec([None, *shape], tf.uint8), tf.TensorSpec([None], tf.int32)

        rounds = tf.TensorSpec([None, None], tf.int32)

        def train_round(x: Any, y: Any, rows: Any) -> None:
            for step in tf.range(tf.shape(rows)[0]):
                batch = tf.cast(tf.gather(x, rows[step]), tf.float32)
                with tf.GradientTape() as tape:
                    logits = self.model(batch, training=True)
                    loss = tf.reduce_mean(loss_of(tf.gather(y, rows[step]), logits))
                variables = self.model.trainable_variables
                self.optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

        def log_p(x: Any) -> Any:
            return tf.nn.log_softmax(self.model(tf.cast(x, tf.float32), training=False))

        self._train_round = tf.function(train_round, input_signature=[pictures, labels, rounds])
        self._log_p = tf.function(log_p, input_signature=[pictures])
        below = keras.Model(self.model.inputs, self.model.layers[-2].output)

        def last(x: Any) -> Any:
            return below(tf.cast(x, tf.float32), training=False)

        self._last = tf.function(last, input_signature=[pictures])

    def train(
        self,
        train: tuple[np.ndarray, np.ndarray],
        validation: tuple[np.ndarray, np.ndarray],
        steps: int,
        rounds: int,
        seed: int,
        first: Sequence[np.ndarray] = (),
        patience: int | None = PATIENCE,
    ) -> tuple[list[np.ndarray], int, int]:
        """Return the best round's weights, which round it was (from 1), and how many were trained.

        Without patience, the last round's.
        """
        import tensorflow as tf

        from course_lib.show import progress

        fresh = _network(self.shape, self.classes, seed).get_weights()
        self.model.set_weights([*first, *fresh[len(first) :]])
        for variable, value in zip(self.optimiser.variables, self._fresh, strict=True):
            variable.assign(value)
        x, y = tf.constant(train[0]), tf.constant(train[1])
        rng = np.random.default_rng(seed)
        best, best_round, weights = (-1.0, 0.0), 0, self.model.get_weights()
        done = 0
        for done in progress(range(1, rounds + 1), "training from scratch", unit="round"):
            self._train_round(x, y, tf.constant(_batches(len(y), steps, rng)))
            if patience is None:
                continue
            log_p = self._scored(validation[0])
            accuracy = float((log_p.argmax(axis=1) == validation[1]).mean())
            score = accuracy, float(log_p[np.arange(len(log_p)), validation[1]].mean())
            if score > best:
                best, best_round, weights = score, done, self.model.get_weights()
            elif done - best_round >= patience:
                break
        return (weights, best_round, done) if patience else (self.model.get_weights(), done, done)

    def predict_proba(self, x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
        """Return class probabilities ``(n, k)`` float32 of resized pictures under `weights`."""
        self.model.set_weights(weights)
        return np.asarray(np.exp(self._scored(x)))

    def features(self, x: np.ndarray, weights: list[np.ndarray], size: int = 256) -> np.ndarray:
        """Return what the last layer reads, ``(n, 64)`` float32, of resized pictures under `weights`."""
        self.model.set_weights(weights)
        parts = [self._last(x[i : i + size]).numpy() for i in range(0, len(x), size)]
        return np.concatenate(parts) if parts else np.empty((0, WIDTH), np.float32)

    def _scored(self, x: np.ndarray, size: int = 256) -> np.ndarray:
        parts = [self._log_p(x[i : i + size]).numpy() for i in range(0, len(x), size)]
        return np.concatenate(parts) if parts else np.empty((0, self.classes), np.float32)


def _batches(n: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers ``(steps, min(32, n))`` int32: shuffled epochs, one after the other."""
    size = min(BATCH, n)
    epochs = math.ceil(steps * size / n)
    rows = np.concatenate([rng.permutation(n) for _ in range(epochs)])
    return rows[: steps * size].reshape(steps, size).astype(np.int32)
