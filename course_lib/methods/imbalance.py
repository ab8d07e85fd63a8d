"""What to do when one class is rare: resample the training set, or move the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import check_metric, scores
from course_lib.methods.classifier import Classifier, Data, need_validation
from course_lib.tasks.task import Split, Task


def resample(task: Task, how: str = "over", seed: int = 0) -> Task:
    """Return `task` with a training set in which every class is as frequent.

    Validation and test keep their shares: a resampled test set would be another task.

    Parameters
    ----------
    task : Task
    how : {"over", "under"}
        ``"over"``: rows of the smaller classes are repeated until they are as many as the largest class has,
        every row equally often to within one. ``"under"``: rows of the larger classes are left out.
    seed : int
        Which rows get the extra copy, or stay.

    Returns
    -------
    Task
        Copies have ids such as ``"17#2"``.

    Raises
    ------
    BadInput
        For another `how` or an empty training set.
    """
    counts = np.bincount(task.train.y, minlength=task.classes)
    if how not in ("over", "under") or counts.sum() == 0:
        raise BadInput(f"how={how!r} with {counts.sum()} training examples.", "Choose 'over' or 'under'.")
    size = int(counts.max() if how == "over" else counts[counts > 0].min())
    rng = np.random.default_rng(seed)
    rows: list[np.ndarray] = []
    copies: list[np.ndarray] = []
    for c in np.flatnonzero(counts):
        shuffled = rng.permutation(np.flatnonzero(task.train.y == c))
        rows.append(np.resize(shuffled, size))  # goes round the shuffled rows
        copies.append(np.arange(size) // len(shuffled))
    order = rng.permutation(size * len(rows))
    row, copy = np.concatenate(rows)[order], np.concatenate(copies)[order]
    train = task.train.take(row, name=f"{task.train.name}, {how}sampled")
    ids = [
        str(i) if c == 0 else f"{i}#{c + 1}" for i, c in zip(train.ids.tolist(), copy.tolist(), strict=True)
    ]
    return replace(task, train=replace(train, ids=np.array(ids)))


class Thresholded(Classifier):
    """A two-class classifier that says class 1 from a probability other than 1/2 on."""

    def __init__(self, inner: Classifier, threshold: float, name: str) -> None:
        # Not super().__init__: everything about task and cost is the inner classifier's.
        self.__dict__.update({key: getattr(inner, key) for key in _COPIED})
        self.name = name
        self.inner = inner
        self.threshold = threshold
        self.chosen = {**inner.chosen, "threshold": threshold}

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return the inner classifier's probabilities, unchanged, ``(n, 2)``."""
        return self.inner.predict_proba(data)

    def predict(self, data: Data) -> np.ndarray:
        """Return 1 where the probability of class 1 reaches the threshold, ``(n,)`` int64."""
        return (self.predict_proba(data)[:, 1] >= self.threshold).astype(np.int64)


_COPIED = ("task_name", "class_names", "train_size", "parameters_trained", "seconds", "chosen_path")


def with_threshold(
    classifier: Classifier, split: Split, metric: str = "balanced_accuracy", *, name: str | None = None
) -> Thresholded:
    """Choose the probability from which a two-class classifier says class 1.

    Every threshold that tells two validation examples apart is tried; ties go to the one nearest 1/2.

    Parameters
    ----------
    classifier : Classifier
        With two classes.
    split : Split
        The validation split; choosing on test would flatter the result.
    metric : {"balanced_accuracy", "accuracy", "macro_f1"}
        What to make as high as possible.
    name : str, optional
        Default: the classifier's, with ", threshold".

    Returns
    -------
    Thresholded
        ``.chosen["threshold"]``.

    Raises
    ------
    BadInput
        When there are not two classes, or validation is empty or holds one class only.
    """
    check_metric(metric)
    need_validation(split.y)
    if len(classifier.class_names) != 2 or len(np.unique(split.y)) != 2:
        raise BadInput(
            f"A threshold needs two classes; the classifier has {len(classifier.class_names)}, "
            f"{split.name} holds {len(np.unique(split.y))}.",
            "Give a two-class classifier and a validation split with examples of both.",
        )
    p = classifier.predict_proba(split)[:, 1].astype(np.float64)
    threshold = best_threshold(p, split.y, metric)
    return Thresholded(classifier, threshold, name or f"{classifier.name}, threshold")


def best_threshold(p: np.ndarray, y: np.ndarray, metric: str = "balanced_accuracy") -> float:
    """Return the threshold on probabilities `p` of class 1 that is best for `metric`.

    Parameters
    ----------
    p, y : numpy.ndarray
        ``(n,)`` probabilities, and labels 0 or 1.
    metric : str

    Examples
    --------
    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1]))
    0.25
    """
    values = np.unique(p)
    cuts = np.concatenate([[0.5], (values[:-1] + values[1:]) / 2])
    # Below each cut lie so many examples of each class: they are answered 0, the rest 1.
    below = np.stack([np.searchsorted(np.sort(p[y == c]), cuts, side="left") for c in (0, 1)], axis=1)
    total = np.array([(y == 0).sum(), (y == 1).sum()])
    confusion = np.stack([below, total - below], axis=2)  # (cuts, true, said)
    score = scores(confusion)[metric]
    best = np.flatnonzero(score >= score.max() - 1e-12)
    return float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])
