"""Self-training: what the classifier is sure of on the target becomes its next training set."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import BadInput
from course_lib.methods.classifier import (
    Encoder,
    FeatureClassifier,
    check_features,
    check_labels,
    encode_timed,
)
from course_lib.methods.mlp import need_width
from course_lib.methods.probe import fit_probe
from course_lib.methods.unlabelled import check_domains, unlabelled
from course_lib.tasks.task import Task


def self_training(
    encoder: Encoder,
    task: Task,
    target: Any,
    *,
    confidence: float = 0.9,
    class_balanced: bool = False,
    rounds: int = 5,
    strengths: Sequence[float] | None = None,
    seed: int = 0,
    name: str = "self-training",
) -> FeatureClassifier:
    """Fit a probe on the source, label what it is sure of on the target, fit again on both, and so on.

    Each round labels the target anew (`confident_rows`), so that a row may drop out again. It ends when a
    round changes no label, when nothing is confident, or after `rounds`. The source's validation set chooses
    the probe's strength in every round; no target label is read. Which is also why the method cannot notice
    its own mistakes: what the first probe is sure of and wrong about, the next one learns.

    Parameters
    ----------
    encoder : Encoder
    task : Task
        The source.
    target : Split or numpy.ndarray
        Examples of the target that may be looked at; labels are not read.
    confidence : float
        Probability from which on an answer becomes a label, above 0 and at most 1.
    class_balanced : bool
        Deal as many labels out in equal shares of every predicted class, the surest of each first: a class
        about which the probe is unsure throughout is not left behind (Zou et al., 2018).
    rounds : int
        Most refits.
    strengths : sequence of float, optional
        As in `linear_probe`.
    seed : int
        Accepted so that all methods are called alike; the problem is convex and nothing is drawn.
    name : str

    Returns
    -------
    FeatureClassifier
        ``.chosen``: ``strength``, ``rounds`` taken, ``pseudo_labels`` of the last refit.
        ``.chosen_path``: per refit its ``pseudo_labels``, how many ``changed``, and ``log_loss`` and
        ``accuracy`` on the source's validation set.

    Raises
    ------
    BadInput
        As `linear_probe`; domains of different width, fewer than two target examples, settings out of range.

    Warns
    -----
    UserWarning
        When no answer is confident, so that the source's probe is returned.

    References
    ----------
    Yarowsky (1995), "Unsupervised word sense disambiguation rivaling supervised methods"; Lee (2013),
    "Pseudo-label". Class-balanced: Zou et al. (2018), "Unsupervised domain adaptation for semantic
    segmentation via class-balanced self-training".
    """
    if not 0 < confidence <= 1:
        raise BadInput(
            f"confidence={confidence}.", "Give a probability above 0 and at most 1, for instance 0.9."
        )
    if rounds < 1:
        raise BadInput(f"rounds={rounds}.", "Give 1 or more; without a refit it is linear_probe.")
    examples: Any = unlabelled(target)
    (x, x_val, x_target), spent = encode_timed(encoder, task.train, task.validation, examples)
    start = time.perf_counter()
    y, y_val = check_labels(task.train.y, task.classes), task.validation.y
    x, x_target = check_features(x, y), check_features(x_target, what="target")
    need_width(x.shape[1], x_target.shape[1])
    check_domains(x, x_target)
    fit = fit_probe(x, y, x_val, y_val, classes=task.classes, strengths=strengths)
    path: list[dict[str, float]] = []
    last = np.full(len(x_target), -1)
    for _ in range(rounds):
        labels = confident_rows(fit.head.predict_proba(x_target), confidence, class_balanced)
        changed = int((labels != last).sum())
        if not changed:
            break
        rows, last = labels >= 0, labels
        both = np.concatenate([x, x_target[rows]]), np.concatenate([y, labels[rows]])
        fit = fit_probe(*both, x_val, y_val, classes=task.classes, strengths=strengths)
        best = next(p for p in fit.path if p["strength"] == fit.strength)
        path.append({"pseudo_labels": int(rows.sum()), "changed": changed, **best})
    if not path:
        warnings.warn(
            f"{name}: no answer on {len(x_target):,} target examples reaches confidence {confidence}; the "
            "source's probe is returned. Lower confidence, or read the sign: the probe is not sure here.",
            stacklevel=stack_level(),
        )
    used = int(path[-1]["pseudo_labels"]) if path else 0
    chosen = {"strength": fit.strength, "rounds": len(path), "pseudo_labels": used}
    seconds = {"features": spent, "fit": time.perf_counter() - start}
    found = FeatureClassifier(name, task, encoder, fit.head, seconds=seconds, chosen=chosen)
    found.chosen_path = tuple(path)
    return found


def confident_rows(probabilities: np.ndarray, confidence: float, class_balanced: bool = False) -> np.ndarray:
    """Return the label of every row that may become a training example, and -1 for the others.

    Parameters
    ----------
    probabilities : numpy.ndarray
        ``(n, k)``
    confidence : float
        Probability of the likeliest class from which on a row is taken.
    class_balanced : bool
        Take the same share of the rows predicted as each class instead, the surest first, at least one. The
        share is that of all rows that are confident; none where none is.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` int64.

    Examples
    --------
    >>> p = np.array([[0.99, 0.01], [0.95, 0.05], [0.4, 0.6], [0.3, 0.7]])
    >>> confident_rows(p, 0.9).tolist(), confident_rows(p, 0.9, class_balanced=True).tolist()
    ([0, 0, -1, -1], [0, -1, -1, 1])
    """
    likeliest, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    taken = sure >= confidence
    if class_balanced and taken.any():
        share = taken.mean()
        taken = np.zeros(len(sure), bool)
        for c in np.unique(likeliest):
            rows = np.flatnonzero(likeliest == c)
            order = rows[np.argsort(-sure[rows], kind="stable")]
            taken[order[: max(1, round(share * len(rows)))]] = True
    return np.where(taken, likeliest, -1).astype(np.int64)
