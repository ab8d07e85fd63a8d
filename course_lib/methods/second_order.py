"""Second-order pooling: not how strongly each channel fires on average, but which ones fire together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder, checked_pictures, freeze, resized
from course_lib.errors import BadInput
from course_lib.methods import networks
from course_lib.methods.trunk import VIEWS, check_views
from course_lib.tasks.task import Split

LAYERS = ("block4", "block7", "block10", "block14")
SHRINKAGE = 0.1
"""Share of a covariance's mean variance that is added to its diagonal, so that its logarithm exists."""

_BATCH_PIXELS = 8 * 300 * 300


def log_covariances(
    encoder: ImageEncoder,
    data: Split | np.ndarray,
    layers: Sequence[str] = LAYERS,
    views: Sequence[str] = tuple(VIEWS),
) -> dict[str, np.ndarray]:
    r"""Return the logarithm of the covariance between a layer's channels, for every picture.

    .. math:: \log\Bigl(\operatorname{cov}_p(a_p) + \tfrac{\epsilon}{c} \operatorname{tr}(\operatorname{cov}_p
              (a_p))\, I\Bigr), \qquad a_p \in \mathbb{R}^c \text{ the activations at place } p

    over all places of all views. A mean over places tells how much of each texture element there is; the
    covariance also tells which of them occur in the same places: what makes one grain boundary, one crack
    differ from another. Covariance matrices lie on a curved cone; their logarithms in a flat space,
    in which plain distances make sense.

    Parameters
    ----------
    encoder : ImageEncoder
    data : Split or numpy.ndarray
        Pictures ``(n, height, width, 1 or 3)`` uint8.
    layers : sequence of str
        Blocks, each standing for its last layer.
    views : sequence of str
        Keys of `trunk.VIEWS`, by default all eight symmetries of the square.

    Returns
    -------
    dict of str to numpy.ndarray
        Per block ``(n, c (c + 1) / 2)`` float32: the upper triangle, what is off the diagonal times √2, so
        that distances between rows are distances between matrices.

    Raises
    ------
    BadInput
        A block that does not exist, or pictures of the wrong kind.

    References
    ----------
    Tuzel, Porikli & Meer (2006), "Region covariance". Arsigny et al. (2006), "Log-Euclidean metrics".
    Lin, RoyChowdhury & Maji (2015), "Bilinear CNN models".
    """
    x = checked_pictures(data)
    check_views(x[:1], views) if len(x) else None
    moments, channels = _graph(encoder, layers)
    size = max(1, _BATCH_PIXELS // encoder.pixels**2)
    found = {layer: np.empty((len(x), c * (c + 1) // 2), np.float32) for layer, c in channels.items()}
    from course_lib.show.progress import Progress

    with Progress(f"covariances at {encoder.pixels} px", len(x) * len(views), "pictures") as bar:
        for first in range(0, len(x), size):
            batch = x[first : first + size]
            seen = np.mean(
                [moments(np.ascontiguousarray(VIEWS[view](batch)), size) for view in views], axis=0
            )
            for layer, rows in _covariances(seen, channels).items():
                found[layer][first : first + len(batch)] = log_triangles(rows)
            bar.update(len(batch) * len(views))
    return found


def log_triangles(covariances: np.ndarray, shrinkage: float = SHRINKAGE) -> np.ndarray:
    """Return the upper triangles of the logarithms of matrices ``(n, c, c)``, ``(n, c (c + 1) / 2)`` float32.

    Examples
    --------
    >>> log_triangles(np.exp(2.0) * np.eye(2)[None], shrinkage=0.0).round(3).tolist()
    [[2.0, 0.0, 2.0]]
    """
    c = covariances.shape[1]
    variance = np.trace(covariances, axis1=1, axis2=2) / c
    variance = np.where(variance > 0, variance, 1.0)  # a picture of one colour
    values, vectors = np.linalg.eigh(
        covariances.astype(np.float64) + shrinkage * variance[:, None, None] * np.eye(c)
    )
    floor = 1e-9 * variance[:, None]
    logs = (vectors * np.log(np.maximum(values, floor))[:, None, :]) @ vectors.transpose(0, 2, 1)
    rows, columns = np.triu_indices(c)
    return np.asarray(logs[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2)), np.float32)


def _covariances(seen: np.ndarray, channels: dict[str, int]) -> dict[str, np.ndarray]:
    """Return ``(n, c, c)`` per layer from the first and second moments, side by side in `seen`."""
    out, at = {}, 0
    for layer, c in channels.items():
        mean = seen[:, at : at + c].astype(np.float64)
        second = seen[:, at + c : at + c + c * c].reshape(-1, c, c)
        out[layer] = second - mean[:, :, None] * mean[:, None, :]
        at += c + c * c
    return out


def _graph(
    encoder: ImageEncoder, layers: Sequence[str]
) -> tuple[Callable[[np.ndarray, int], np.ndarray], dict[str, int]]:
    """Return a function from pictures to the moments of all layers side by side, and their channels."""
    import keras
    import tensorflow as tf

    network, preprocess = encoder.network_copy()
    points = networks.cut_points(network)
    missing = [layer for layer in layers if layer not in points]
    if missing or not layers:
        raise BadInput(f"layers={list(layers)}.", f"Choose among {', '.join(points)}.")
    outputs = [network.get_layer(points[layer]).output for layer in layers]
    part = keras.Model(network.input, outputs)
    channels = {layer: int(output.shape[-1]) for layer, output in zip(layers, outputs, strict=True)}

    def moments(pictures: Any) -> Any:
        sides = []
        maps = part(preprocess(resized(pictures, encoder.pixels)), training=False)
        for a in maps if len(channels) > 1 else [maps]:
            flat = tf.reshape(a, (a.shape[0], -1, a.shape[-1]))
            second = tf.matmul(flat, flat, transpose_a=True) / flat.shape[1]
            sides += [tf.reduce_mean(flat, axis=1), tf.reshape(second, (a.shape[0], -1))]
        return tf.concat(sides, axis=1)

    graphs: dict[tuple[int, ...], Callable[[Any], Any]] = {}

    def run(pictures: np.ndarray, size: int) -> np.ndarray:
        short = size - len(pictures)
        full = np.concatenate([pictures, np.repeat(pictures[-1:], short, axis=0)]) if short else pictures
        if full.shape not in graphs:
            graphs[full.shape] = freeze(moments, full.shape)
        return np.asarray(graphs[full.shape](tf.constant(full)))[: len(pictures)]

    return run, channels
