"""Grad-CAM: which places of a picture speak for a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import Classifier, Data, as_examples

_BATCH = 32  # pictures whose maps are held in memory at once


def grad_cam(classifier: Classifier, pictures: Data, classes: np.ndarray | int | None = None) -> np.ndarray:
    r"""Return where each picture speaks for a class, as that classifier sees it.

    .. math:: \alpha_c^k = \frac{1}{hw} \sum_{ij} \frac{\partial y^c}{\partial A^k_{ij}}, \qquad
              L^c = \max\Bigl(0, \sum_k \alpha_c^k A^k\Bigr)

    for the class score y (before the softmax) and the last feature maps A. Where these are averaged and
    followed by a linear head W, as here, the gradient is ``W[k, c] / (h w)`` at every place. So no
    framework's gradient is needed, and Grad-CAM is the class activation map of Zhou et al. (2016), exactly.

    A map is as coarse as the network's last layer: 3 × 3 places at 96 px, 4 × 4 at 128 px, 7 × 7 at 224 px.
    It shows where evidence *for* the class lies, not why it is evidence, and nothing of what speaks against.

    Parameters
    ----------
    classifier : Classifier
        A linear probe on an encoder of pictures, or a network fine-tuned from it. It has ``head`` with
        ``weights`` ``(c, k)`` and ``bias`` ``(k,)``, and ``maps(pictures)``, itself or its ``encoder``.
    pictures : Split or numpy.ndarray
        ``(n, height, width, 1 or 3)`` uint8.
    classes : numpy.ndarray or int, optional
        ``(n,)`` class numbers, or one for all pictures. Default: what the classifier predicts.

    Returns
    -------
    numpy.ndarray
        ``(n, h, w)`` float32, divided by each picture's largest value: 0 to 1. A picture without any
        evidence for the class has zeros everywhere.

    Raises
    ------
    BadInput
        For a classifier without maps or without a linear head, features of several layers, and classes that
        do not exist or are not one per picture.

    References
    ----------
    Selvaraju et al. (2017), "Grad-CAM: visual explanations from deep networks via gradient-based
    localization". Zhou et al. (2016), "Learning deep features for discriminative localization".
    """
    source, head = source_of_maps(classifier), linear_head(classifier)
    x = as_examples(pictures)
    chosen = None if classes is None else _checked(classes, len(x), len(head.bias))
    found = []
    for first in range(0, len(x), _BATCH):
        maps = np.asarray(source.maps(x[first : first + _BATCH]), np.float32)
        if chosen is None:
            wanted = (maps.mean(axis=(1, 2)) @ head.weights + head.bias).argmax(axis=1)
        else:
            wanted = chosen[first : first + _BATCH]
        found.append(class_maps(maps, head.weights[:, wanted].T))
    return np.concatenate(found) if found else np.empty((0, 1, 1), np.float32)


def class_maps(maps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the positive part of the weighted sum of maps, each picture's largest value made 1.

    Parameters
    ----------
    maps : numpy.ndarray
        ``(n, h, w, c)``.
    weights : numpy.ndarray
        ``(n, c)``: of each picture's class.

    Returns
    -------
    numpy.ndarray
        ``(n, h, w)`` float32.

    Examples
    --------
    >>> maps = np.array([[[[1.0, 0.0], [2.0, 8.0]]]])
    >>> class_maps(maps, np.array([[2.0, -1.0]])).tolist()
    [[[1.0, 0.0]]]
    """
    evidence = np.maximum(np.einsum("nhwc,nc->nhw", maps, weights, optimize=True), 0.0)
    largest = evidence.max(axis=(1, 2), keepdims=True)
    shares = np.divide(evidence, largest, out=np.zeros_like(evidence), where=largest > 0)
    return np.asarray(shares, np.float32)


def source_of_maps(classifier: Any) -> Any:
    """Return what has the maps: the classifier itself, or its encoder."""
    for source in (classifier, getattr(classifier, "encoder", None)):
        if hasattr(source, "maps"):
            return source
    raise BadInput(
        f"{getattr(classifier, 'name', classifier)} has no feature maps to look at.",
        "Give a linear probe on encoders.imagenet(...), or a network fine-tuned from it.",
    )


def linear_head(classifier: Any) -> Any:
    """Return the head, with ``weights`` ``(c, k)`` and ``bias`` ``(k,)``; raise `BadInput` unless linear."""
    head = getattr(classifier, "head", None)
    if getattr(getattr(head, "weights", None), "ndim", 0) != 2 or not hasattr(head, "bias"):
        raise BadInput(
            f"The head of {classifier.name} is not linear, so its gradient differs from picture to picture.",
            "Give methods.linear_probe(encoder, task), or a fine-tuned network.",
        )
    return head


def _checked(classes: np.ndarray | int, n: int, k: int) -> np.ndarray:
    wanted = np.asarray(classes)
    if wanted.ndim == 0:
        wanted = np.full(n, wanted)
    if wanted.shape != (n,) or wanted.dtype.kind not in "iu":
        raise BadInput(
            f"classes has shape {wanted.shape} and type {wanted.dtype} for {n} pictures.",
            "Give one class number per picture, or one for all.",
        )
    if n and not 0 <= wanted.min() <= wanted.max() < k:
        raise BadInput(
            f"classes run from {wanted.min()} to {wanted.max()}; expected 0 to {k - 1}.",
            "Number them as in classifier.class_names.",
        )
    return wanted
