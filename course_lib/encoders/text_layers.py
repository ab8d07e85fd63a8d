"""The layers of a sentence encoder one by one, for the price of one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.encoders.text import TextEncoder
from course_lib.encoders.timing import Timing
from course_lib.tasks.task import Split


class TextLayerEncoder:
    """One layer of a frozen BERT; made by `text_layers`.

    Attributes
    ----------
    name : str
    dim : int
        Columns of the features.
    layer : int
        0 is the embeddings.
    """

    def __init__(self, name: str, whole: TextEncoder, layer: int) -> None:
        self.name, self.layer, self.dim = name, layer, whole.width
        self._whole = whole

    @property
    def last(self) -> Timing | None:
        """What the last `encode` cost: the whole network's pass."""
        return self._whole.last

    def encode(self, data: Split | np.ndarray | Sequence[str], **options: Any) -> np.ndarray:
        """Return this layer's features, ``(n, dim)`` float32; options as of `TextEncoder.encode`."""
        first = self.layer * self.dim
        return np.ascontiguousarray(self._whole.encode(data, **options)[:, first : first + self.dim])

    def __repr__(self) -> str:
        return f"TextLayerEncoder({self.name!r}: {self.dim:,} features, frozen)"


def text_layers(encoder: TextEncoder) -> dict[str, TextLayerEncoder]:
    """Return an encoder for each layer of a network, from its embeddings to its end.

    They share one pass through the network and what it leaves in the cache.

    Parameters
    ----------
    encoder : TextEncoder
        Its pooling, length and prefix are kept.

    Returns
    -------
    dict of str to TextLayerEncoder
        ``"embeddings"``, ``"layer 1"`` and so on; the last one's features are those of ``layer="last"``.

    Examples
    --------
    >>> from course_lib.encoders import english_bert
    >>> list(text_layers(english_bert()))[:2]
    ['embeddings', 'layer 1']
    """
    whole = encoder.with_layer("all")
    names = ["embeddings", *(f"layer {k}" for k in range(1, encoder.depth + 1))]
    return {name: TextLayerEncoder(f"{encoder.name}, {name}", whole, k) for k, name in enumerate(names)}
