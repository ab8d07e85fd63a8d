"""The layers of a network one by one, for the price of one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_lib.encoders import efficientnet_lite
from course_lib.encoders.images import ImageEncoder, imagenet
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput
from course_lib.tasks.task import Split

WIDTHS = {"block10": 672, "block14": 1152, "head": efficientnet_lite.FEATURES}
"""Columns of each layer that ``imagenet(layers="several")`` pools, in its order."""


class LayerEncoder:
    """One layer of a frozen network; made by `by_layer`.

    Attributes
    ----------
    name : str
    dim : int
        Columns of the features.
    pixels : int
    """

    def __init__(
        self, name: str, whole: ImageEncoder, columns: slice, classifier: ImageEncoder | None
    ) -> None:
        self.name, self.pixels, self.dim = name, whole.pixels, columns.stop - columns.start
        self._whole, self._columns, self._classifier = whole, columns, classifier

    @property
    def last(self) -> Timing | None:
        """What the last `encode` cost: the whole network's pass."""
        return self._whole.last

    def encode(self, data: Split | np.ndarray, **options: Any) -> np.ndarray:
        """Return this layer's features, ``(n, dim)`` float32; options as of `ImageEncoder.encode`."""
        return np.ascontiguousarray(self._whole.encode(data, **options)[:, self._columns])

    def source_probabilities(self, data: Split | np.ndarray, **options: Any) -> np.ndarray:
        """Return what the network says of pictures in the 1,000 classes that it learnt.

        Returns
        -------
        numpy.ndarray
            ``(n, 1000)`` float32, rows summing to 1.

        Raises
        ------
        BadInput
            For a layer that the ImageNet classifier does not read.
        """
        if self._classifier is None:
            raise BadInput(
                f"The ImageNet classifier does not read {self.name}.", "Ask the head, which it reads."
            )
        return self._classifier.probabilities_of(self.encode(data, **options))

    def __repr__(self) -> str:
        return f"LayerEncoder({self.name!r}: {self.pixels} px → {self.dim:,} features, frozen)"


def by_layer(pixels: int = 128, *, flip: bool = False, weights: str = "imagenet") -> dict[str, LayerEncoder]:
    """Return an encoder for each of three layers of the packaged network, from its middle to its end.

    They share one pass through the network and what it leaves in the cache.

    Parameters
    ----------
    pixels, flip, weights
        As in `imagenet`.

    Returns
    -------
    dict of str to LayerEncoder
        By block: ``"block10"``, ``"block14"``, ``"head"``. The head's features are those of
        ``imagenet(layers="last")``, and it alone has `LayerEncoder.source_probabilities`.

    Raises
    ------
    BadInput, DataUnavailable, Corrupt
        As `imagenet`.

    Examples
    --------
    >>> {layer: encoder.dim for layer, encoder in by_layer(64).items()}
    {'block10': 672, 'block14': 1152, 'head': 1280}
    """
    whole = imagenet(pixels, flip=flip, layers="several", weights=weights)
    last = imagenet(pixels, flip=flip, weights=weights)
    found, first = {}, 0
    for layer, width in WIDTHS.items():
        classifier = last if layer == "head" else None
        name = f"{last.name}, {layer}"
        found[layer] = LayerEncoder(name, whole, slice(first, first + width), classifier)
        first += width
    return found
