"""One sentence and all that a classifier makes of it: its features, its answer, what it resembles."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import FeatureClassifier


@dataclass(frozen=True, eq=False)
class Reading:
    """What a classifier makes of a sentence; see `read_sentence`.

    Parameters
    ----------
    features : numpy.ndarray
        ``(d,)`` float32.
    probabilities : numpy.ndarray
        ``(k,)``, one for each class.
    """

    features: np.ndarray
    probabilities: np.ndarray

    def cosine(self, known: np.ndarray) -> np.ndarray:
        """Return how alike it is to other sentences, ``(n,)`` float32.

        Parameters
        ----------
        known : numpy.ndarray
            ``(n, d)`` their features, from the same encoder.

        Raises
        ------
        BadInput
            When these have other columns.
        """
        if np.ndim(known) != 2 or np.shape(known)[1] != len(self.features):
            raise BadInput(
                f"The known features have shape {np.shape(known)}; expected (n, {len(self.features)}).",
                "Encode both with the same encoder.",
            )
        lengths = np.linalg.norm(known, axis=1) * np.linalg.norm(self.features)
        return np.asarray(known @ self.features / np.maximum(lengths, 1e-12), np.float32)


def read_sentence(classifier: FeatureClassifier, text: str) -> Reading:
    """Return features and class probabilities of one sentence, and keep nothing of it.

    Nothing is written to the cache of features: a sentence of one's own leaves no trace on the disk. That a
    tokenizer does not know the sentence is not warned of here; look at its pieces.

    Parameters
    ----------
    classifier : FeatureClassifier
        A probe on an encoder of sentences, aligned or not, or a fine-tuned network read through its encoder.
    text : str

    Returns
    -------
    Reading

    Raises
    ------
    BadInput
        For a classifier without encoder and head.
    """
    encoder: Any = getattr(classifier, "encoder", None)
    head: Any = getattr(classifier, "head", None)
    if encoder is None or head is None:
        raise BadInput(
            f"{type(classifier).__name__} has no encoder and head to read a sentence with.",
            "Give methods.linear_probe(encoder, task), or a FeatureClassifier of a fine-tuned network.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        features = encoder.encode([text], cache=False, progress=False)
    return Reading(features[0], head.predict_proba(features)[0])
