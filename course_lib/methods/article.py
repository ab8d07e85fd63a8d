"""The program that this course grew from, faithfully wrong: each fault can be mended alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder, checked_pictures, resized
from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.measure.audit import STATISTICS, Audit, audit
from course_lib.methods import networks, scratch
from course_lib.methods.body import _full_batch as full_batch
from course_lib.methods.classifier import (
    Classifier,
    Data,
    FeatureClassifier,
    as_examples,
    check_labels,
    need_two_classes,
    softmax,
)
from course_lib.methods.probe import LinearHead
from course_lib.tasks.task import Split, Task

FAULTS: dict[str, str] = {
    "test set": "the transfer is fitted on the very pictures that it is then judged on",
    "two softmaxes": "the new softmax is given the probabilities of another softmax",
    "no ImageNet": "the network called pretrained has seen the task's own pictures alone",
    "wrong pixels": "pixels are divided by 255, whatever the network was trained on",
}
"""What is wrong with the program, in the order in which it does it."""

_BATCH = 32  # what fit() takes when nobody says

Inputs = Callable[[Data], np.ndarray]
"""From pictures to what the last layer is given, ``(n, d)`` float32."""


class ArticleProgram(Classifier):
    """What the program leaves behind.

    Attributes
    ----------
    reported : float
        The accuracy that it prints: on ``task.test``.
    faults : tuple of str
        Those of `FAULTS` that it still has.
    history : tuple of dict
        Per epoch of the "transfer": ``epoch``, ``seconds``, ``loss``.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        inputs: Inputs,
        last: tuple[np.ndarray, np.ndarray],
        *,
        faults: Sequence[str],
        history: Sequence[dict[str, float]],
        parameters_trained: int,
        seconds: Mapping[str, float],
    ) -> None:
        super().__init__(name, task, parameters_trained=parameters_trained, seconds=seconds)
        self.faults, self.history = tuple(faults), tuple(history)
        self._inputs, self._last = inputs, last
        self.reported = float((self.predict(task.test) == task.test.y).mean())

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of pictures."""
        kernel, bias = self._last
        return softmax(self._inputs(data) @ kernel + bias)


def article_program(
    task: Task,
    encoder: ImageEncoder,
    *,
    mended: Collection[str] = (),
    epochs: int = 10,
    seed: int = 0,
    name: str = "",
) -> ArticleProgram:
    """Run the article's "transfer learning", with all of its faults but those that are `mended`.

    It builds a small CNN that ends in a softmax, trains it on ``task.train``, and calls it pretrained; sets
    ``trainable = False``; puts ``Dense(k, activation="softmax")`` on top; compiles with Adam and
    ``sparse_categorical_crossentropy``; fits that on ``task.test`` and prints the accuracy on ``task.test``.

    A frozen network says the same of a picture in every epoch, so here it is asked once: that spares time and
    changes no number.

    Parameters
    ----------
    task : Task
        ``test`` is what the program sees. Keep other pictures back to measure what is true.
    encoder : ImageEncoder
        The network that is loaded once "no ImageNet" is mended.
    mended : collection of str
        Among `FAULTS`: "test set" (it is fitted on ``task.train``), "two softmaxes" (the last layer is given
        what stands before the softmax below it), "no ImageNet" (`encoder`), "wrong pixels" (0 to 255 for the
        encoder; the small CNN learnt from pixels / 255, so for it they are right and nothing changes).
    epochs : int
        Of each of its two fits.
    seed : int
    name : str
        Default: what was mended.

    Returns
    -------
    ArticleProgram
        ``.reported`` is what it prints; ``measure.report(program, unseen)`` is what is true.

    Raises
    ------
    BadInput
        When a fault does not exist, or it is given what is not pictures, or one class only.
    """
    unknown = [fault for fault in mended if fault not in FAULTS]
    if unknown or isinstance(mended, str):
        raise BadInput(f"mended={mended!r}.", f"Give a list of faults among {', '.join(FAULTS)}.")
    if epochs < 1:
        raise BadInput(f"epochs={epochs}.", "Train for one epoch at least.")
    quiet_tensorflow()
    faults = [fault for fault in FAULTS if fault not in mended]
    begin = time.perf_counter()
    seen = _checked(task.test if "test set" in faults else task.train, task)
    twice = "two softmaxes" in faults
    if "no ImageNet" in faults:
        _checked(task.train, task)
        inputs, trained = own_network(task, softmaxed=twice, epochs=epochs, seed=seed)
    else:
        inputs, trained = published_network(encoder, softmaxed=twice, divided="wrong pixels" in faults), 0
    x = inputs(seen)
    prepared = time.perf_counter() - begin
    kernel, bias, history = last_layer(x, seen.y, task.classes, epochs=epochs, seed=seed)
    return ArticleProgram(
        name or _named(mended),
        task,
        inputs,
        (kernel, bias),
        faults=faults,
        history=history,
        parameters_trained=trained + kernel.size + bias.size,
        seconds={"features": prepared, "fit": sum(epoch["seconds"] for epoch in history)},
    )


def own_network(task: Task, *, softmaxed: bool, epochs: int, seed: int = 0) -> tuple[Inputs, int]:
    """Train the small CNN of the guides on ``task.train`` and freeze it.

    Parameters
    ----------
    task : Task
    softmaxed : bool
        Give its probabilities ``(n, k)``; otherwise its last hidden layer ``(n, 64)``.
    epochs, seed : int

    Returns
    -------
    callable
        From pictures to what it gives.
    int
        How many numbers were trained.
    """
    import keras

    shape = scratch._shape(task.train.x, None)
    network = scratch._network(shape, task.classes, seed)
    model = keras.Sequential([network, keras.layers.Softmax()])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    _fit(model, scratch._resized(task.train.x, shape).astype(np.float32), task.train.y, epochs, seed)
    part = model if softmaxed else keras.Model(network.inputs, network.layers[-2].output)

    def inputs(data: Data) -> np.ndarray:
        x = scratch._resized(as_examples(data), shape).astype(np.float32)
        return np.asarray(part.predict(x, batch_size=256, verbose=0), np.float32)

    return inputs, int(network.count_params())


def published_network(encoder: ImageEncoder, *, softmaxed: bool, divided: bool) -> Inputs:
    """Return what an ImageNet network says of pictures.

    Parameters
    ----------
    encoder : ImageEncoder
    softmaxed : bool
        Give its probabilities for the 1,000 classes of ImageNet; otherwise its features.
    divided : bool
        Give it pixels / 255 where it expects 0 to 255: all of it nearly black.
    """

    def inputs(data: Data) -> np.ndarray:
        if not divided:
            return encoder.source_probabilities(data) if softmaxed else encoder.encode(data)
        features = divided_features(encoder, data)
        if not softmaxed:
            return features
        kernel, bias = encoder._built.classifier_weights()
        return softmax(features @ kernel + bias)

    return inputs


def divided_features(encoder: ImageEncoder, data: Data, by: float = 255.0) -> np.ndarray:
    """Return the features ``(n, dim)`` of pictures whose pixels were divided first, as many guides do.

    Networks differ in what they expect: 0 to 255 here, -1 to 1 or 0 to 1 in others. None complains when it is
    given something else.
    """
    quiet_tensorflow()
    x, size = checked_pictures(data), 64
    parts = []
    for first in range(0, len(x), size):
        pictures = x[first : first + size]
        short = size - len(pictures)
        full = np.concatenate([pictures, np.repeat(pictures[-1:], short, axis=0)]) if short else pictures
        given = resized(full, encoder.pixels) / by
        parts.append(np.asarray(encoder.model.predict_on_batch(given), np.float32)[: len(pictures)])
    return np.concatenate(parts) if parts else np.empty((0, encoder.dim), np.float32)


def last_layer(
    x: np.ndarray, y: np.ndarray, classes: int, *, epochs: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """Fit ``Dense(classes, activation="softmax")`` as the program does; return kernel, bias and history."""
    import keras

    first = keras.initializers.GlorotUniform(seed=1000 * seed + 5)
    layer = keras.layers.Dense(classes, activation="softmax", kernel_initializer=first)
    model = keras.Sequential([keras.layers.Input((x.shape[1],)), layer])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    history = _fit(model, x, y, epochs, seed)
    kernel, bias = layer.get_weights()
    return kernel, bias, history


def _fit(
    model: Any, x: np.ndarray, y: np.ndarray, epochs: int, seed: int, batch_size: int = _BATCH
) -> list[dict[str, float]]:
    """Fit epoch by epoch, each in an order that depends on the seed alone; return the history."""
    rng, history = np.random.default_rng([seed, 7]), []
    for epoch in range(1, epochs + 1):
        start, rows = time.perf_counter(), rng.permutation(len(y))
        fitted = model.fit(x[rows], y[rows], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
        loss = float(fitted.history["loss"][0])
        history.append({"epoch": epoch, "seconds": time.perf_counter() - start, "loss": loss})
    return history


def _checked(split: Split, task: Task) -> Split:
    checked_pictures(split)
    need_two_classes(check_labels(split.y, task.classes, split.name))
    return split


def _named(mended: Collection[str]) -> str:
    if not mended:
        return "as it stands"
    still = [fault for fault in FAULTS if fault not in mended]
    if not still:
        return "all mended"
    return f"mended but for {still[0]}" if len(still) == 1 else f"mended: {', '.join(mended)}"


class GuideTuned(Classifier):
    """A network that was unfrozen as a whole.

    Attributes
    ----------
    audit : Audit
        What moved, held against what was meant: all weights, and no statistics.
    start, weights : dict of str to numpy.ndarray
        Before and after, as of `FineTuned`.
    history : tuple of dict
        Per epoch ``epoch``, ``seconds``, ``loss``.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        network: _Whole,
        *,
        audit: Audit,
        start: Mapping[str, np.ndarray],
        weights: Mapping[str, np.ndarray],
        history: Sequence[dict[str, float]],
    ) -> None:
        learnt = sum(value.size for key, value in weights.items() if not _is_statistic(key))
        spent = sum(epoch["seconds"] for epoch in history)
        super().__init__(name, task, parameters_trained=learnt, seconds={"fit": spent})
        self.audit, self.history = audit, tuple(history)
        self.start, self.weights = dict(start), dict(weights)
        self._task, self._network = task, network

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of pictures."""
        self._network.assign(self.weights)
        return softmax(self._network.logits(data))

    def with_start_statistics(self) -> GuideTuned:
        """Return the same weights with the statistics from before the fit: what they alone have done."""
        old = {key: value for key, value in self.start.items() if _is_statistic(key)}
        return GuideTuned(
            f"{self.name}, statistics put back",
            self._task,
            self._network,
            audit=self.audit,
            start=self.start,
            weights={**self.weights, **old},
            history=self.history,
        )


class _Whole:
    """An ImageNet network below a new last layer, called as the guides call it."""

    def __init__(self, encoder: ImageEncoder, head: LinearHead, batch_size: int) -> None:
        import keras

        self.base, self._preprocess = encoder.network_copy()
        self.last = keras.layers.Dense(len(head.bias), name=networks.CLASSIFIER)
        pixels = keras.Input((encoder.pixels, encoder.pixels, 3))
        self.model = keras.Model(pixels, self.last(self.base(pixels, training=False)))
        self.last.set_weights([head.weights, head.bias])
        self._pixels, self._batch = encoder.pixels, batch_size

    def unfreeze(self, learning_rate: float, protect: bool) -> None:
        """Make everything trainable, save the normalisations where they are protected, and compile."""
        import keras

        self.base.trainable = True
        for layer in self.base.layers:
            if protect and networks.is_batch_norm(layer):
                layer.trainable = False
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(learning_rate), loss, jit_compile=False)

    def seen(self, data: Data) -> np.ndarray:
        """Return pictures as the network takes them, float32."""
        x = self._preprocess(resized(checked_pictures(data), self._pixels))
        return np.asarray(x, np.float32)

    def logits(self, data: Data) -> np.ndarray:
        """Return logits ``(n, k)`` float32."""
        x, size = checked_pictures(data), self._batch
        parts = [full_batch(self.model, self.seen(x[i : i + size]), size) for i in range(0, len(x), size)]
        return np.concatenate(parts) if parts else np.empty((0, self.last.units), np.float32)

    def _variables(self) -> dict[str, Any]:
        own = {f"{networks.CLASSIFIER}/{variable.name}": variable for variable in self.last.variables}
        return {**networks.named_variables(self.base), **own}

    def weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights and statistics."""
        return {key: np.array(variable.numpy()) for key, variable in self._variables().items()}

    def assign(self, weights: Mapping[str, np.ndarray]) -> None:
        """Give the network these weights."""
        for key, variable in self._variables().items():
            variable.assign(weights[key])


def guide_fine_tune(
    encoder: ImageEncoder,
    task: Task,
    probe: FeatureClassifier,
    *,
    protect: bool = False,
    epochs: int = 1,
    learning_rate: float = 1e-5,
    batch_size: int = 32,
    seed: int = 0,
    name: str = "",
) -> GuideTuned:
    """Fine-tune the whole network as the usual guides do, and see what becomes of its statistics.

    ``base(x, training=False)`` is meant to keep the statistics of its batch normalisations. Once
    ``base.trainable = True`` it does not: ``fit`` runs the network in training mode all the same, each batch
    is normalised by its own mean and variance, and the stored ones drift towards those by a hundredth per
    step. What is then predicted with is neither what the network learnt with nor what it was tuned with.

    Parameters
    ----------
    encoder : ImageEncoder
        A copy of its network is trained.
    task : Task
    probe : FeatureClassifier
        A linear probe on this encoder: the last layer to start from.
    protect : bool
        The mend: ``trainable = False`` on every batch normalisation itself.
    epochs, batch_size : int
    learning_rate : float
        Of Adam.
    seed : int
    name : str

    Returns
    -------
    GuideTuned
        ``.audit.ok`` says whether the statistics stayed; nothing is raised.

    Raises
    ------
    BadInput
        When the probe is not a linear one on this encoder.
    """
    head = probe.head
    if not isinstance(head, LinearHead) or head.weights.shape != (encoder.dim, task.classes):
        raise BadInput(
            f"probe={probe.name!r} is not a linear head of {(encoder.dim, task.classes)}.",
            "Give methods.linear_probe(encoder, task) on the same encoder and classes.",
        )
    quiet_tensorflow()
    network = _Whole(encoder, head, batch_size)
    network.unfreeze(learning_rate, protect)
    start = network.weights()
    x, y = network.seen(_checked(task.train, task)), task.train.y
    history = _fit(network.model, x, y, epochs, seed, batch_size)
    weights = network.weights()
    meant = [key for key in start if not _is_statistic(key) and not (protect and _is_norm(key))]
    return GuideTuned(
        name or ("guide recipe, statistics protected" if protect else "guide recipe"),
        task,
        network,
        audit=audit(start, weights, trained=meant, block_of=networks.block_of),
        start=start,
        weights=weights,
        history=history,
    )


def _is_statistic(key: str) -> bool:
    return key.rpartition("/")[2] in STATISTICS


def _is_norm(key: str) -> bool:
    return key.rpartition("/")[2] in ("gamma", "beta")
