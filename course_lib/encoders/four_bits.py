"""What 4 bits cost: any text encoder, rounded as the packaged multilingual one was."""

from __future__ import annotations

import numpy as np

from course_lib.encoders.e5_small import BLOCK, unpacked
from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput


def packed(values: np.ndarray) -> np.ndarray:
    r"""Return numbers in the 4-bit format Q4_0, as bytes.

    In each block of 32 the number of largest magnitude, m, becomes exactly -8 steps of ``d = m / -8``, and
    every other x the nearest of the 16 levels:

    .. math:: q = \min\bigl(15, \lfloor x / d + 8.5 \rfloor\bigr), \qquad x \approx (q - 8)\, d

    Parameters
    ----------
    values : numpy.ndarray
        Real numbers, in any shape; as many as whole blocks hold.

    Returns
    -------
    numpy.ndarray
        uint8, 18 bytes per block, as `e5_small.unpacked` reads them.

    Raises
    ------
    BadInput
        When the numbers do not fill whole blocks, or one is NaN or infinite.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 32, dtype=np.float32)
    >>> packed(x).nbytes, bool(np.abs(unpacked(packed(x)) - x).max() <= 1 / 8)
    (18, True)
    """
    x = np.asarray(values, np.float32).reshape(-1)
    if x.size % BLOCK:
        raise BadInput(
            f"{x.size:,} numbers; expected whole blocks of {BLOCK}.", "Leave such tensors as they are."
        )
    if not np.isfinite(x).all():
        raise BadInput("The numbers hold NaN or infinity.", "Look at where they come from.")
    blocks = x.reshape(-1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scale = (largest / np.float32(-8)).astype(np.float32)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    levels = np.minimum(15, np.floor(blocks * inverse + np.float32(8.5))).astype(np.uint8)
    out = np.empty((len(blocks), 2 + BLOCK // 2), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8)
    out[:, 2:] = levels[:, : BLOCK // 2] | levels[:, BLOCK // 2 :] << 4
    return out.reshape(-1)


def four_bit(encoder: TextEncoder) -> TextEncoder:
    """Return the same encoder with its matrices rounded to 4 bits: what rounding does, and nothing else.

    As in the packaged multilingual network, the word embeddings and the matrices of the layers are rounded;
    biases, normalisations and the position and type embeddings are not.

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed.

    Returns
    -------
    TextEncoder
        Named after it, with features of its own in the cache.

    Examples
    --------
    >>> from course_lib.encoders import english_bert
    >>> four_bit(english_bert()).name
    'all-minilm-l6-v2, 4 bits'
    """
    return TextEncoder(
        f"{encoder.name}, 4 bits",
        source=f"{encoder.source}-q4",
        load=lambda: _rounded(encoder),
        width=encoder.width,
        depth=encoder.depth,
        layer=encoder.layer,
        pooling=encoder.pooling,
        max_tokens=encoder.max_tokens,
        prefix=encoder.prefix,
    )


def _rounded(encoder: TextEncoder) -> Loaded:
    import torch

    model = encoder.network_copy().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            kept = "position_embeddings" in name or "token_type_embeddings" in name
            if weight.ndim == 2 and not kept:
                weight.copy_(torch.from_numpy(unpacked(packed(weight.numpy())).reshape(weight.shape)))
    return Loaded(model, encoder.tokenizer)
