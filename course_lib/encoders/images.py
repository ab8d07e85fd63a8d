"""Image encoders: networks that learnt from ImageNet and turn pictures into features."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np

from course_lib.encoders import efficientnet_lite
from course_lib.encoders.cache import Compute, FeatureCache, encode_through, fingerprints
from course_lib.encoders.chunks import Recipe, encode_chunks, spread
from course_lib.encoders.packaged import weights_file
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput, DataUnavailable
from course_lib.frameworks import quiet_tensorflow
from course_lib.tasks.task import Split

SMALLEST, LARGEST = 64, 224
PACKAGED = "efficientnet-lite0"
_RESIZE = "bilinear-1"  # changes when the pixels that the network sees would change
_SHARD = 2048  # rows per shard: what an interrupted run can lose
_PIECE = 1 << 20  # bytes that travel to a worker at once, about

Graph = Callable[[Any], Any]
Preprocess = Callable[[Any], Any]
Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Mean and variance ``(channels,)`` of every BatchNorm layer, by its name."""


class ImageEncoder:
    """A frozen network that turns pictures into features.

    Made by `imagenet`. Attributes as there, and:

    Attributes
    ----------
    dim : int
        Columns of the features.
    key : str
        Names weights, input size, preprocessing and layers; features are filed under it.
    last : Timing or None
        What the last `encode` cost.
    """

    def __init__(
        self, name: str, pixels: int, *, key: str, network: Callable[[], Network], dim: int, flip: bool
    ) -> None:
        self.name, self.pixels, self.key, self.dim, self.flip = name, pixels, key, dim, flip
        self.last: Timing | None = None
        self.recipe: Recipe | None = None  # set by those who know how another process makes the same
        self._network = network
        self._graphs: dict[tuple[tuple[int, ...], int], Graph] = {}
        self._cache = FeatureCache(key, dim)

    @cached_property
    def _built(self) -> Network:
        quiet_tensorflow()
        return self._network()

    @property
    def model(self) -> Any:
        """The keras.Model, normalisation layers included: pixels 0..255 in, pooled features out."""
        return self._built.model()

    def network_copy(self, dtype: str = "float32") -> tuple[Any, Preprocess]:
        """Return a network of one's own to train, and what its pixels go through before it.

        Parameters
        ----------
        dtype : str
            A dtype policy of Keras, for instance ``"mixed_bfloat16"``.

        Returns
        -------
        keras.Model
            Fresh: training it leaves this encoder as it is. Ends in the pooled features ``(n, dim)``.
        callable
            From pixels 0..255 to what the model takes.
        """
        return self._built.copy(dtype)

    def shortened_network(self, block: str) -> Network:
        """Return this network up to a block; see `shortened`."""
        return self._built.shortened(block)

    def renormalised_network(self, statistics: Statistics) -> Network:
        """Return this network with other BatchNorm statistics; see `methods.adabn`."""
        return self._built.renormalised(statistics)

    @property
    def parameters(self) -> int:
        """Weights of the frozen network, its normalisation statistics included."""
        return int(self.model.count_params())

    def encode(
        self,
        data: Split | np.ndarray,
        *,
        batch_size: int | None = None,
        cache: bool = True,
        progress: bool = True,
        scheduler: Any = None,
    ) -> np.ndarray:
        """Return the features of pictures; what was computed before is read from disk.

        Parameters
        ----------
        data : Split or numpy.ndarray
            ``(n, height, width, 1 or 3)`` uint8. Resized as a whole to the encoder's square: bilinear, with
            an antialiasing filter when made smaller. Grey becomes RGB.
        batch_size : int, optional
            Default: 64 at 96 px and in proportion at other sizes, so that memory stays the same. The last
            batch is filled up, so that a picture's features do not depend on its neighbours.
        cache : bool
            False neither reads nor writes features on disk.
        progress : bool
            Show a bar while computing.
        scheduler : str, distributed.Client or cluster, optional
            Who computes: ``"threads"`` or ``"processes"`` of this machine, or the machines of a Dask
            cluster (see `course_lib.scheduler.connected`). The features are the same; a worker that is lost
            changes nothing.

        Returns
        -------
        numpy.ndarray
            ``(n, dim)`` float32.

        Raises
        ------
        BadInput
            When the array is not a stack of uint8 pictures, or the scheduler does not answer.
        """
        x = checked_pictures(data)
        if scheduler is None:
            size = self._batch(batch_size)
            compute: Compute = partial(self._compute, x, batch_size=size, progress=progress)
        else:
            compute = spread(self, x, scheduler, progress, {"batch_size": batch_size})
        features, self.last = encode_through(self._cache, fingerprints(x) if cache else len(x), compute)
        return features

    def _batch(self, batch_size: int | None) -> int:
        return batch_size or max(8, round(64 * (96 / self.pixels) ** 2 / 8) * 8)

    def checked(self, data: Split | np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], list[bytes]]]:
        """Return pictures as an array, and what gives their fingerprints."""
        return checked_pictures(data), fingerprints

    def rows_of_a_piece(self, x: np.ndarray, batch_size: int | None = None) -> int:
        """Return how many pictures make a piece: whole batches, a few megabytes."""
        batch = self._batch(batch_size)
        return batch * max(1, _PIECE // (batch * int(np.prod(x.shape[1:]))))

    def piece(self, x: np.ndarray, lock: Any, batch_size: int | None = None) -> np.ndarray:
        """Return the features of a few pictures, computed now; any number of threads may ask at once."""
        batch = self._batch(batch_size)
        with lock:
            graph = self._graph(x.shape[1:], batch)
        import tensorflow as tf

        parts = []
        for first in range(0, len(x), batch):
            own = x[first : first + batch]
            short = batch - len(own)
            filled = np.concatenate([own, np.repeat(own[-1:], short, axis=0)]) if short else own
            parts.append(np.asarray(graph(tf.constant(filled)))[: len(own)])
        return np.concatenate(parts)

    def _compute(
        self, x: np.ndarray, rows: np.ndarray, out: np.ndarray, batch_size: int, progress: bool
    ) -> Iterator[tuple[int, float]]:
        """Fill `out` with the features of ``x[rows]``; yield (rows done, seconds since the last yield)."""
        if not len(rows):
            return
        graph = self._graph(x.shape[1:], batch_size)
        import tensorflow as tf

        def batches() -> Iterator[np.ndarray]:
            for first in range(0, len(rows), batch_size):
                batch = x[rows[first : first + batch_size]]
                short = batch_size - len(batch)
                yield np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)]) if short else batch

        from course_lib.show.progress import Progress

        done, since = 0, time.perf_counter()
        written = 0
        with Progress(f"features at {self.pixels} px", len(rows), "images", visible=progress) as bar:
            for batch in _made_ahead(batches()):
                found = np.asarray(graph(tf.constant(batch)))[: len(rows) - done]
                out[done : done + len(found)] = found
                done += len(found)
                bar.update(len(found))
                if done - written >= _SHARD or done == len(rows):
                    yield done, time.perf_counter() - since
                    written, since = done, time.perf_counter()

    def _graph(self, shape: tuple[int, ...], batch_size: int) -> Graph:
        """Return the compiled function from a batch of uint8 pictures of one shape to features."""
        if (shape, batch_size) not in self._graphs:
            network = self._built.frozen()
            pixels, flip = self.pixels, self.flip

            def run(pictures: Any) -> Any:
                import tensorflow as tf

                x = resized(pictures, pixels)
                if not flip:
                    return network(x)
                return (network(x) + network(tf.reverse(x, axis=[2]))) / 2

            self._graphs[shape, batch_size] = freeze(run, (batch_size, *shape))
        return self._graphs[shape, batch_size]

    def classify(self, images: np.ndarray, top: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Name what the network itself sees, in ImageNet's 1,000 classes.

        Parameters
        ----------
        images : numpy.ndarray
            ``(n, height, width, 1 or 3)`` uint8.
        top : int

        Returns
        -------
        classes : numpy.ndarray
            ``(n, top)`` int64, ImageNet class numbers, likeliest first.
        probabilities : numpy.ndarray
            ``(n, top)`` float32.

        Raises
        ------
        BadInput
            For networks that were loaded without their classifier.
        """
        classifier = self._built.classifier()
        pictures = resized(checked_pictures(images), self.pixels)
        logits = np.asarray(classifier(pictures, training=False), np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        classes = np.argsort(-odds, axis=1, kind="stable")[:, :top]
        return classes, np.take_along_axis(odds, classes, axis=1).astype(np.float32)

    def maps(self, data: Split | np.ndarray, *, batch_size: int = 32) -> np.ndarray:
        """Return the last feature maps, from which averaging over all places makes the features.

        Parameters
        ----------
        data : Split or numpy.ndarray
            As in `encode`. Not cached: a map is as large as 16 (at 128 px) to 49 rows of features.
        batch_size : int

        Returns
        -------
        numpy.ndarray
            ``(n, h, w, dim)`` float32; its mean over h and w is ``encode(data)``. With ``flip=True`` each is
            averaged with that of the mirror image, turned back.

        Raises
        ------
        BadInput
            When the features are not the average of one layer's maps: ``layers="several"``, and a few
            networks of keras.applications.
        """
        graph, x = self._built.unpooled(), checked_pictures(data)
        parts = []
        for first in range(0, len(x), batch_size):
            pictures = resized(x[first : first + batch_size], self.pixels)
            part = np.asarray(graph(pictures))
            if self.flip:
                part = (part + np.asarray(graph(pictures[:, :, ::-1]))[:, :, ::-1]) / 2
            parts.append(part)
        if not parts:
            return np.empty((0, 1, 1, self.dim), np.float32)
        return np.concatenate(parts)

    def source_probabilities(self, data: Split | np.ndarray, **options: Any) -> np.ndarray:
        """Return what the network says of pictures in the 1,000 classes that it learnt.

        The published classifier on top of the features: one matrix product where the features are cached.
        Made from ``layers="last"``, so that the features are what that classifier was trained on. With
        ``flip=True`` it reads the averaged features.

        Parameters
        ----------
        data : Split or numpy.ndarray
            As in `encode`.
        **options
            Of `encode`: ``batch_size``, ``cache``, ``progress``.

        Returns
        -------
        numpy.ndarray
            ``(n, 1000)`` float32, rows summing to 1. `measure.leep` takes them as they are.

        Raises
        ------
        BadInput
            For networks without their classifier, and for features of several layers.
        """
        self._built.classifier_weights()  # refused before anything is computed
        return self.probabilities_of(self.encode(data, **options))

    def probabilities_of(self, features: np.ndarray) -> np.ndarray:
        """Return what `source_probabilities` says of pictures with these features ``(n, dim)``."""
        weights, bias = self._built.classifier_weights()
        logits = features @ weights + bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return np.asarray(logits, np.float32)

    def __repr__(self) -> str:
        flip = ", averaged with the mirror image" if self.flip else ""
        return f"ImageEncoder({self.name!r}: {self.pixels} px → {self.dim:,} features{flip}, frozen)"


class Network:
    """How a network is built: for inference, for training, with its classifier."""

    def frozen(self) -> Graph:
        """Return the function from ``(n, px, px, 3)`` float 0..255 to features, for inference."""
        raise NotImplementedError

    def model(self) -> Any:
        """Return the keras.Model with its normalisation layers."""
        raise NotImplementedError

    def copy(self, dtype: str) -> tuple[Any, Preprocess]:
        """Return a fresh flat keras.Model to train, and its preprocessing."""
        raise NotImplementedError

    def unpooled(self) -> Graph:
        """Return the function from ``(n, px, px, 3)`` float 0..255 to the maps that `frozen` averages."""
        raise NotImplementedError

    def shortened(self, block: str) -> Network:
        """Return the network up to a block, whose filtered maps are averaged over places."""
        raise BadInput(
            "This network cannot be cut short.",
            "Use encoders.imagenet() for the packaged network, whose blocks have names.",
        )

    def renormalised(self, statistics: Statistics) -> Network:
        """Return the network with these BatchNorm statistics, its weights as they are."""
        model, preprocess = self.copy("float32")
        for name, (mean, variance) in statistics.items():
            layer = model.get_layer(name)
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(variance)
        return _Application(model, preprocess)

    def classifier(self) -> Any:
        """Return the keras.Model with ImageNet logits."""
        raise BadInput(
            "This network was loaded without its ImageNet classifier.",
            "Use encoders.imagenet() for the packaged network, which has it.",
        )

    def classifier_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the classifier on top of the features: ``(dim, 1000)`` and ``(1000,)`` float32."""
        raise BadInput(
            "This network was loaded without its ImageNet classifier.",
            "Use encoders.imagenet() for the packaged network, which has it.",
        )


class _Lite0(Network):
    def __init__(self, pixels: int, layers: str, state: dict[str, np.ndarray]) -> None:
        self._pixels, self._layers, self._state = pixels, layers, state
        self._model: Any = None
        self._classifier: Any = None

    def frozen(self) -> Graph:
        folded = efficientnet_lite.build(self._pixels, self._state, folded=True)
        return _inference(self._pooled(folded))

    def model(self) -> Any:
        if self._model is None:
            self._model = self._pooled(efficientnet_lite.build(self._pixels, self._state))
        return self._model

    def unpooled(self) -> Graph:
        return _inference(_before_pooling(self.model()))

    def copy(self, dtype: str) -> tuple[Any, Preprocess]:
        with _dtype_policy(dtype):
            return self._pooled(efficientnet_lite.build(self._pixels, self._state)), _as_it_is

    def shortened(self, block: str) -> Network:
        return _Lite0(self._pixels, block, self._state)

    def renormalised(self, statistics: Statistics) -> Network:
        # From the published arrays again, so that the statistics are folded into the convolutions.
        return _Lite0(self._pixels, self._layers, efficientnet_lite.renormalised(self._state, statistics))

    def classifier(self) -> Any:
        if self._layers not in ("last", "several"):
            return super().classifier()  # those blocks are not here
        if self._classifier is None:
            self._classifier = efficientnet_lite.build(self._pixels, self._state, folded=True, classify=True)
        return self._classifier

    def classifier_weights(self) -> tuple[np.ndarray, np.ndarray]:
        if self._layers != "last":
            raise BadInput(
                f"The ImageNet classifier does not read features of layers={self._layers!r}.",
                "Use encoders.imagenet(layers='last') for source probabilities.",
            )
        return self._state["_fc.weight"].T, self._state["_fc.bias"]

    def _pooled(self, model: Any) -> Any:
        if self._layers == "last":
            return model
        import keras

        if self._layers != "several":  # up to a block: what stands behind it is in no model, and not computed
            maps = model.get_layer(efficientnet_lite.filtered(self._layers)).output
            pooled = keras.layers.GlobalAveragePooling2D(name="features")(maps)
            return keras.Model(model.input, pooled, name=f"{model.name}_to_{self._layers}")
        pooled = [
            keras.layers.GlobalAveragePooling2D(name=f"{name}_pooled")(model.get_layer(name).output)
            for name in efficientnet_lite.SEVERAL
        ]
        return keras.Model(model.input, keras.layers.Concatenate(name="several")(pooled))


class _Application(Network):
    """A network of keras.applications with its own preprocessing."""

    def __init__(self, model: Any, preprocess: Callable[[Any], Any]) -> None:
        self._model, self._preprocess = model, preprocess

    def frozen(self) -> Graph:
        network = _inference(self._model)
        return lambda x: network(self._preprocess(x))

    def model(self) -> Any:
        import keras

        inputs = keras.Input(self._model.input_shape[1:])
        return keras.Model(inputs, self._model(self._preprocess(inputs)))

    def unpooled(self) -> Graph:
        network = _inference(_before_pooling(self._model))
        return lambda x: network(self._preprocess(x))

    def copy(self, dtype: str) -> tuple[Any, Preprocess]:
        import keras

        with _dtype_policy(dtype):
            fresh = keras.models.clone_model(self._model)
        fresh.set_weights(self._model.get_weights())
        return fresh, self._preprocess


def imagenet(
    pixels: int = 128,
    network: str = PACKAGED,
    *,
    flip: bool = False,
    layers: str = "last",
    weights: str = "imagenet",
) -> ImageEncoder:
    """Return an encoder that learnt from ImageNet.

    Parameters
    ----------
    pixels : int
        Side of the square that the network sees, 64 to 224. The work grows with its square.
    network : str
        ``"efficientnet-lite0"`` is packaged and needs no network. Any name of ``keras.applications``, for
        instance ``"MobileNetV2"``, is downloaded by Keras once.
    flip : bool
        Average the features of a picture and its mirror image: twice the work, often a point better.
    layers : "last" or "several"
        ``"several"`` pools three layers (3,104 columns) where ``"last"`` pools one (1,280); computed on the
        way, so it costs nothing more (Evci et al., 2022, "Head2Toe"). The packaged network only.
    weights : "imagenet" or "random"
        ``"random"`` is the control: the same architecture that never learnt anything.

    Returns
    -------
    ImageEncoder

    Raises
    ------
    BadInput
        Pixels out of range, an unknown network, layers or weights.
    DataUnavailable, Corrupt
        When weights are missing, cannot be downloaded, or are not the published ones.

    Examples
    --------
    >>> encoder = imagenet(pixels=64)
    >>> encoder.encode(np.zeros((2, 32, 32, 1), np.uint8), cache=False).shape
    (2, 1280)
    """
    if not SMALLEST <= pixels <= LARGEST:
        raise BadInput(f"pixels={pixels}; expected {SMALLEST} to {LARGEST}.", "128 is a good start.")
    if weights not in ("imagenet", "random"):
        raise BadInput(f"weights={weights!r}.", "Give 'imagenet', or 'random' for the control.")
    if layers not in ("last", "several"):
        raise BadInput(f"layers={layers!r}.", "Give 'last' or 'several'.")
    if network.lower() == PACKAGED:
        encoder = _packaged(pixels, flip=flip, layers=layers, weights=weights)
    elif layers != "last":
        raise BadInput(
            f"layers={layers!r} with {network}.", "Give 'last'; 'several' is for the packaged one."
        )
    else:
        encoder = _from_applications(pixels, network, flip=flip, weights=weights)
    if network.lower() == PACKAGED or weights == "imagenet":  # Keras's random weights are others each time
        encoder.recipe = partial(imagenet, pixels, network, flip=flip, layers=layers, weights=weights)
    return encoder


def encode(encoder: Any, data: Any, **options: Any) -> np.ndarray:
    """Return ``encoder.encode(data, **options)``: features ``(n, dim)`` float32.

    Parameters
    ----------
    encoder : ImageEncoder or TextEncoder
    data : Split, numpy.ndarray, sequence of str, or an iterator of such chunks
        Of an iterator, memory holds a few chunks at a time and the features of all. Use `encode_chunks`
        where even those are too many.
    **options
        ``scheduler``, ``cache``, ``progress`` and others of the encoder.
    """
    if isinstance(data, Iterator):
        parts = list(encode_chunks(encoder, data, **options))
        return np.concatenate(parts) if parts else np.empty((0, encoder.dim), np.float32)
    features: np.ndarray = encoder.encode(data, **options)
    return features


def _packaged(pixels: int, *, flip: bool, layers: str, weights: str) -> ImageEncoder:
    path = weights_file(PACKAGED)  # verified now, so that altered weights are refused before anything runs

    def network() -> Network:
        state = _read_state(path)
        return _Lite0(
            pixels, layers, state if weights == "imagenet" else efficientnet_lite.random_state(state)
        )

    source = path.stem.rsplit("-", 1)[-1] if weights == "imagenet" else "random0"
    label = PACKAGED if weights == "imagenet" else f"{PACKAGED}, random weights"
    dim = 3104 if layers == "several" else efficientnet_lite.FEATURES
    key = _key(PACKAGED, source, pixels, layers, flip)
    return ImageEncoder(label, pixels, key=key, network=network, dim=dim, flip=flip)


def _key(network: str, source: str, pixels: int, layers: str, flip: bool) -> str:
    return f"{network}-{source}-{pixels}px-{layers}{'-flip' if flip else ''}-{_RESIZE}"


def _read_state(path: Any) -> dict[str, np.ndarray]:
    """Return the published arrays; nothing but tensors is unpickled."""
    import torch

    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _applications() -> dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]]:
    """Return constructor and preprocessing of every network in keras.applications, by name."""
    import keras

    found = {}
    for module in vars(keras.applications).values():
        preprocess = getattr(module, "preprocess_input", None)
        if preprocess is None:
            continue
        for name, thing in vars(module).items():
            if name[0].isupper() and callable(thing):
                found[name] = (thing, preprocess)
    return found


def _from_applications(pixels: int, network: str, *, flip: bool, weights: str) -> ImageEncoder:
    quiet_tensorflow()
    known = _applications()
    match = {name.lower(): name for name in known}.get(network.lower())
    if match is None:
        raise BadInput(
            f"No network is called {network!r}.",
            f"There are: {PACKAGED} (packaged), {', '.join(sorted(known))}.",
        )
    construct, preprocess = known[match]
    options = {"include_top": False, "pooling": "avg", "input_shape": (pixels, pixels, 3)}
    try:
        model = construct(weights="imagenet" if weights == "imagenet" else None, **options)
    except ValueError as error:
        raise BadInput(
            f"{match} does not take pictures of {pixels} px: {error}", "Give more pixels."
        ) from error
    except Exception as error:  # Keras wraps whatever the download met in a plain Exception
        raise DataUnavailable(
            f"The weights of {match} could not be downloaded: {error}",
            f"Try again with a network connection, or use {PACKAGED!r}, which is packaged.",
        ) from error
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array).data)
    key = _key(match.lower(), digest.hexdigest()[:16], pixels, "last", flip)
    label = match if weights == "imagenet" else f"{match}, random weights"
    return ImageEncoder(
        label,
        pixels,
        key=key,
        network=lambda: _Application(model, preprocess),
        dim=int(model.output_shape[-1]),
        flip=flip,
    )


def _as_it_is(pixels: Any) -> Any:
    return pixels


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Let layers that are made inside compute in this policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _before_pooling(model: Any) -> Any:
    """Return the keras.Model that ends where `model` averages over places."""
    import keras

    last = model.layers[-1]
    if type(last).__name__ != "GlobalAveragePooling2D":
        raise BadInput(
            f"The features of {model.name} are not the average of one layer's maps, but made by {last.name}.",
            "Use encoders.imagenet(layers='last').",
        )
    return keras.Model(model.input, last.input)


def _inference(model: Any) -> Graph:
    return lambda x: model(x, training=False)


def checked_pictures(data: Split | np.ndarray) -> np.ndarray:
    """Return pictures ``(n, height, width, 1 or 3)`` uint8; raise `BadInput` for anything else."""
    x = data.x if isinstance(data, Split) else np.asarray(data)
    if x.ndim != 4 or x.shape[3] not in (1, 3) or x.dtype != np.uint8 or 0 in x.shape[1:]:
        hint = " Values of NaN cannot be pictures." if x.dtype.kind == "f" and np.isnan(x).any() else ""
        raise BadInput(
            f"Pictures of shape {x.shape} and type {x.dtype}; expected (n, height, width, 1 or 3) "
            f"uint8.{hint}",
            "Give whole numbers 0 to 255: array.astype('uint8'), one axis for the channels.",
        )
    return x


def resized(pictures: Any, pixels: int) -> Any:
    """Return ``(n, pixels, pixels, 3)`` float32 in 0..255."""
    import tensorflow as tf

    x = tf.cast(pictures, tf.float32)
    height, width, channels = x.shape[1:]
    if (height, width) != (pixels, pixels):
        x = tf.image.resize(x, (pixels, pixels), method="bilinear", antialias=max(height, width) > pixels)
    return tf.repeat(x, 3, axis=3) if channels == 1 else x


def freeze(function: Graph, shape: tuple[int, ...]) -> Graph:
    """Compile `function` for uint8 input of one shape, weights as constants.

    Constants let TensorFlow fuse convolution, bias and activation; measured here, together with the folded
    normalisation, that makes encoding 1.7 to 2 times as fast as ``model.predict``.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    frozen = convert_variables_to_constants_v2(traced)
    return lambda batch: frozen(batch)[0]


def _made_ahead(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield all; the next is made while one is used. On ``tf.data`` see `frameworks`."""
    with ThreadPoolExecutor(1) as pool:
        coming: Future[np.ndarray | None] = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
