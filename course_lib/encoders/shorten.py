"""Half a network: the same pretrained layers, fewer of them, cheaper for real."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import overload

from course_lib.encoders import efficientnet_lite
from course_lib.encoders.images import ImageEncoder
from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput


@overload
def shortened(encoder: ImageEncoder, layers: str) -> ImageEncoder: ...


@overload
def shortened(encoder: TextEncoder, layers: int | Sequence[int]) -> TextEncoder: ...


def shortened(
    encoder: ImageEncoder | TextEncoder, layers: int | str | Sequence[int]
) -> ImageEncoder | TextEncoder:
    """Return the same pretrained network cut short: what is left out is not computed.

    Such a network is what a student begins with (`methods.distill`): it knows already what the teacher's
    first layers know, and costs what is left of it. It is an encoder as any other, with features of its own
    in the cache, and `methods.fine_tune` goes on from it.

    Parameters
    ----------
    encoder : ImageEncoder or TextEncoder
        Is not changed; of a sentence encoder the weights are shared, not copied.
    layers : int or sequence of int, or str
        Of a sentence encoder: how many layers from the first, or which ones, numbered from 0 as in
        ``tuned.weights``; ``range(0, 12, 2)`` is every second one, as DistilBERT began. Of the packaged
        picture network: its last block, ``"block1"`` to ``"block15"``; the block's depthwise maps are pooled,
        the widest that it has, as in `by_layer`.

    Returns
    -------
    ImageEncoder or TextEncoder

    Raises
    ------
    BadInput
        Layers or a block that there are not, or in another order; an encoder that reads another layer than
        its last; a picture network that cannot be cut so.

    References
    ----------
    Sanh et al. (2019), "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter".
    Sajjad et al. (2023), "On the effect of dropping layers of pre-trained transformer models" (that the
    lower ones are the ones to keep).

    Examples
    --------
    >>> from course_lib.encoders import english_bert, imagenet
    >>> shortened(english_bert(), 2)
    TextEncoder('all-minilm-l6-v2, layers 0-1': layer 2 of 2, mean → 384 features, frozen)
    >>> shortened(imagenet(64), "block10").dim
    672
    """
    if isinstance(encoder, TextEncoder):
        return _sentences(encoder, layers)
    if isinstance(encoder, ImageEncoder):
        return _pictures(encoder, layers)
    raise BadInput(
        f"{type(encoder).__name__} has no network that could be cut short.",
        "Give an encoder from encoders.imagenet(), multilingual_bert() or english_bert().",
    )


def _pictures(encoder: ImageEncoder, block: object) -> ImageEncoder:
    widths = efficientnet_lite.widths()
    del widths["block0"]  # it would be called like layers of other networks, and sees 3 × 3 pixels
    if not isinstance(block, str) or block not in widths:
        raise BadInput(
            f"layers={block!r}: there is no such block to end with.", f"There are: {', '.join(widths)}."
        )
    if "-last-" not in encoder.key or "-to-" in encoder.key:
        raise BadInput(
            f"{encoder.name} does not read the last layer of a whole network.",
            "Give encoders.imagenet(pixels) as it is.",
        )
    return ImageEncoder(
        f"{encoder.name}, to {block}",
        encoder.pixels,
        key=f"{encoder.key}-to-{block}",
        network=lambda: encoder.shortened_network(block),
        dim=widths[block],
        flip=encoder.flip,
    )


def _sentences(encoder: TextEncoder, layers: object) -> TextEncoder:
    if encoder.layer not in ("last", encoder.depth):
        raise BadInput(
            f"{encoder.name} reads layer={encoder.layer!r}; a shorter network is read at its own end.",
            "Give encoder.with_layer('last').",
        )
    kept = _chosen(layers, encoder.depth)
    if len(kept) == encoder.depth:
        return encoder
    first = kept == tuple(range(len(kept)))
    told = f"0-{kept[-1]}" if first and len(kept) > 1 else ", ".join(map(str, kept))
    return TextEncoder(
        f"{encoder.name}, layer{'s' if len(kept) > 1 else ''} {told}",
        source=f"{encoder.source}-layers{'.'.join(map(str, kept))}",
        load=lambda: _fewer(encoder, kept),
        width=encoder.width,
        depth=len(kept),
        pooling=encoder.pooling,
        max_tokens=encoder.max_tokens,
        prefix=encoder.prefix,
    )


def _chosen(layers: object, depth: int) -> tuple[int, ...]:
    """Return the numbers of the layers that are kept, ascending."""
    given: Sequence[object] = ()
    if isinstance(layers, int) and not isinstance(layers, bool):
        given = range(layers)
    elif isinstance(layers, Sequence):
        given = layers
    kept = tuple(k for k in given if isinstance(k, int) and 0 <= k < depth)
    if not kept or len(kept) != len(given) or list(kept) != sorted(set(kept)):
        raise BadInput(
            f"layers={layers!r}, of a network whose {depth} layers are 0 to {depth - 1}.",
            f"Give how many to keep, 1 to {depth}, or their ascending numbers, as range(0, {depth}, 2).",
        )
    return kept


def _fewer(encoder: TextEncoder, kept: Sequence[int]) -> Loaded:
    """Return a network of these layers, in the encoder's own memory."""
    import torch

    whole = encoder.model
    shared = {id(tensor): tensor for tensor in (*whole.parameters(), *whole.buffers())}
    model = copy.deepcopy(whole, shared)
    model.encoder.layer = torch.nn.ModuleList([model.encoder.layer[k] for k in kept])
    model.config.num_hidden_layers = len(kept)
    return Loaded(model.eval(), encoder.tokenizer)
