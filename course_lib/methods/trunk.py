"""The frozen lower part of a network: computed once per picture and view, then kept."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder, freeze, resized
from course_lib.errors import BadInput
from course_lib.paths import cache_dir

VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x,
    "mirror": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
    "half turn": lambda x: x[:, ::-1, ::-1],
    "left turn": lambda x: np.rot90(x, 1, (1, 2)),
    "right turn": lambda x: np.rot90(x, 3, (1, 2)),
    "transposed": lambda x: x.swapaxes(1, 2),
    "other diagonal": lambda x: np.rot90(x, 2, (1, 2)).swapaxes(1, 2),
}
"""The eight symmetries of the square, on ``(n, height, width, channels)``."""

AUGMENTATIONS: dict[str, tuple[str, ...]] = {
    "none": ("plain",),
    "mirror": ("plain", "mirror"),
    "square": tuple(VIEWS),
}
"""Which views of a picture a fit sees: itself, also its mirror image, or all symmetries of the square."""

KEPT_IN_MEMORY = 2**30
"""Bytes of activations that are kept for the next fit on the same pictures."""

LARGEST_IN_MEMORY = 2**29
"""Bytes from which activations of one split lie in a file instead."""

_BATCH_PIXELS = 64 * 96 * 96


class Trunk:
    """The part of a network up to `cut`, frozen; with ``cut=None`` only resizing and preprocessing.

    Activations are kept as float16: half the memory, and an error (2⁻¹¹) far below what the pictures' own
    noise does. They are the same for training and for prediction. A power of two, which costs no digit,
    brings them into float16's range first: those of an untrained network can be too small for it.

    Parameters
    ----------
    encoder : ImageEncoder
    model : keras.Model
        From ``encoder.network_copy()``; only layers up to `cut` are used.
    preprocess : callable
        From pixels 0..255 to the model's input.
    cut : str or None
        A layer's name.
    """

    def __init__(
        self, encoder: ImageEncoder, model: Any, preprocess: Callable[[Any], Any], cut: str | None
    ) -> None:
        self.pixels, self.cut = encoder.pixels, cut
        self.batch = max(8, round(_BATCH_PIXELS / self.pixels**2 / 8) * 8)
        self._preprocess = preprocess
        self._scale = 0.0  # known with the first batch
        self._part: Any = None
        output = model.input
        if cut is not None:
            import keras

            output = model.get_layer(cut).output
            self._part = keras.Model(model.input, output)
        self.shape = tuple(int(side) for side in output.shape[1:])
        self._graphs: dict[tuple[int, ...], Callable[[Any], Any]] = {}
        self._kept: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Return activations ``(n, *shape)`` float32 of at most `batch` pictures."""
        import keras
        import tensorflow as tf

        short = self.batch - len(pictures)
        full = np.concatenate([pictures, np.repeat(pictures[-1:], short, axis=0)]) if short else pictures
        if keras.backend.backend() != "tensorflow":  # no graph to freeze there
            x = self._preprocess(resized(full, self.pixels).numpy())
            if self._part is not None:
                x = keras.ops.convert_to_numpy(self._part(x, training=False))
            return np.asarray(x, np.float32)[: len(pictures)]
        kind = full.shape[1:]
        if kind not in self._graphs:
            self._graphs[kind] = freeze(self._whole, (self.batch, *kind))
        return np.asarray(self._graphs[kind](tf.constant(full)), np.float32)[: len(pictures)]

    def _whole(self, pictures: Any) -> Any:
        x = self._preprocess(resized(pictures, self.pixels))
        return x if self._part is None else self._part(x, training=False)

    def bytes_each(self) -> int:
        """Return the size of one picture's kept activations in one view."""
        return 2 * int(np.prod(self.shape))

    def activations(self, x: np.ndarray, views: Sequence[str], label: str = "frozen layers") -> np.ndarray:
        """Return the activations of every view of every picture, from memory when they were computed before.

        Parameters
        ----------
        x : numpy.ndarray
            Pictures ``(n, height, width, 1 or 3)`` uint8.
        views : sequence of str
            Keys of `VIEWS`.
        label : str
            For the progress line.

        Returns
        -------
        numpy.ndarray
            ``(views, n, *shape)`` float16, read-only; `restored` makes them what the network takes.
        """
        check_views(x, views)
        key = _key(x, views)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        out = _room((len(views), len(x), *self.shape))
        from course_lib.show.progress import Progress

        with Progress(f"{label} at {self.pixels} px", len(x) * len(views), "pictures") as bar:
            for number, view in enumerate(views):
                for first in range(0, len(x), self.batch):
                    part = VIEWS[view](x[first : first + self.batch])
                    out[number, first : first + len(part)] = self._half(self(np.ascontiguousarray(part)))
                    bar.update(len(part))
        out.flags.writeable = False
        self._keep(key, out)
        return out

    def _half(self, activations: np.ndarray) -> np.ndarray:
        """Return scaled float16, the rare value that is still too large at float16's largest."""
        if not self._scale:
            largest = float(np.abs(activations).max())
            self._scale = 2.0 ** np.floor(np.log2(largest)) if largest > 0 and np.isfinite(largest) else 1.0
        return np.asarray(np.clip(activations / np.float32(self._scale), -65504, 65504), np.float16)

    def restored(self, kept: np.ndarray) -> np.ndarray:
        """Return kept activations as the network takes them, float32."""
        return np.asarray(kept, np.float32) * np.float32(self._scale)

    def _keep(self, key: bytes, out: np.ndarray) -> None:
        self._kept[key] = out
        while len(self._kept) > 1 and sum(a.nbytes for a in self._kept.values()) > KEPT_IN_MEMORY:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """Give back the memory of kept activations."""
        self._kept.clear()


def check_views(x: np.ndarray, views: Sequence[str]) -> None:
    """Raise `BadInput` when a view does not exist or would not keep the pictures' shape."""
    unknown = [view for view in views if view not in VIEWS]
    if unknown or not views:
        raise BadInput(f"views={list(views)}.", f"Choose among {', '.join(VIEWS)}.")
    turned = [view for view in views if VIEWS[view](x[:1]).shape != x[:1].shape]
    if turned:
        raise BadInput(
            f"The view {turned[0]!r} of pictures of {x.shape[1]}×{x.shape[2]} pixels has another shape.",
            "Use it for square pictures, or take augment='mirror'.",
        )


def _key(x: np.ndarray, views: Sequence[str]) -> bytes:
    digest = blake2b(f"{x.shape}{list(views)}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(x).data)
    return digest.digest()


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty float16 array, in a file without a name when it is large."""
    if 2 * int(np.prod(shape)) <= LARGEST_IN_MEMORY:
        return np.empty(shape, np.float16)
    folder = cache_dir("activations")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as stream:  # the mapping keeps it alive, nothing is left behind
        mapped: np.ndarray = np.memmap(stream, np.float16, "w+", shape=shape)
        return mapped
