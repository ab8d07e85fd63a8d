"""One look at pictures: features, answers and evidence from a single pass through the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_lib.methods.cam import class_maps, linear_head, source_of_maps
from course_lib.methods.classifier import Classifier, Data, as_examples


@dataclass(frozen=True, eq=False)
class Look:
    """What a classifier makes of pictures; see `look`.

    Parameters
    ----------
    features : numpy.ndarray
        ``(n, d)`` float32.
    probabilities : numpy.ndarray
        ``(n, k)``.
    evidence : numpy.ndarray
        ``(n, h, w)`` float32, 0 to 1: Grad-CAM of each picture's likeliest class.
    """

    features: np.ndarray
    probabilities: np.ndarray
    evidence: np.ndarray


def look(classifier: Classifier, pictures: Data) -> Look:
    """Return features, class probabilities and Grad-CAM of a few pictures, and keep nothing of them.

    The network runs once, where `predict_proba`, `grad_cam` and `encode` would run it three times. Nothing is
    written to the cache of features: a picture of one's own leaves no trace on the disk.

    Parameters
    ----------
    classifier : Classifier
        As for `grad_cam`: a linear probe on an encoder of pictures, or a network fine-tuned from it.
    pictures : Split or numpy.ndarray
        ``(n, height, width, 1 or 3)`` uint8; a few, since their maps are held in memory.

    Returns
    -------
    Look

    Raises
    ------
    BadInput
        For a classifier without maps or without a linear head, or features of several layers.
    """
    source, head = source_of_maps(classifier), linear_head(classifier)
    maps = np.asarray(source.maps(as_examples(pictures)), np.float32)
    features = maps.mean(axis=(1, 2))
    probabilities = head.predict_proba(features)
    likeliest = probabilities.argmax(axis=1)
    return Look(features, probabilities, class_maps(maps, head.weights[:, likeliest].T))
