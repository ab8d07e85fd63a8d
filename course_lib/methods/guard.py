"""A guard for adaptation that trusts its own answers: it tells when they collapse to few classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import BadInput
from course_lib.methods.classifier import Data, FeatureClassifier, check_features, encode_timed
from course_lib.methods.mlp import MLPHead, adapted, need_width
from course_lib.methods.unlabelled import FEW, FEWEST, unlabelled

KEPT = 0.5
"""Share of the classes in use, beyond the first, that must stay in use."""


def effective_classes(predicted: np.ndarray, classes: int) -> float:
    r"""Return how many classes are in use, :math:`\exp(-\sum_c s_c \log s_c)` of the shares predicted.

    k equally frequent classes count k, a single one counts 1.

    Parameters
    ----------
    predicted : numpy.ndarray
        ``(n,)`` class numbers.
    classes : int

    Examples
    --------
    >>> effective_classes(np.array([0, 0, 1, 1]), 5), effective_classes(np.array([2, 2, 2, 2]), 5)
    (2.0, 1.0)
    """
    shares = np.bincount(predicted, minlength=classes) / max(len(predicted), 1)
    shares = shares[shares > 0]
    return round(float(np.exp(-(shares * np.log(shares)).sum())), 12)


def collapsed(before: float, after: float) -> bool:
    """Tell whether the number of classes in use fell too far: of those beyond the first, below half are left.

    Two classes at 50% may become 80 to 20, which real domains do; at 90 to 10 the guard speaks. Ten classes
    may become five and a half. A source that uses one class only cannot collapse.

    Examples
    --------
    >>> collapsed(2.0, effective_classes(np.repeat([0, 1], [8, 2]), 2))
    False
    >>> collapsed(2.0, effective_classes(np.repeat([0, 1], [9, 1]), 2))
    True
    """
    return after - 1 < KEPT * (before - 1)


def target_features(mlp: FeatureClassifier, target: Any) -> tuple[np.ndarray, float]:
    """Return the target's features ``(n, d)`` and what encoding them cost; no source is at hand any more.

    Raises
    ------
    BadInput
        Fewer than two rows, NaN, another width than the network's.

    Warns
    -----
    UserWarning
        Fewer than ten rows; labels that came along.
    """
    data: Data = unlabelled(target)
    examples: Any = data
    (x,), spent = encode_timed(mlp.encoder, examples)
    x = check_features(x, what="target")
    assert isinstance(mlp.head, MLPHead)
    need_width(mlp.head.dim, x.shape[1])
    if len(x) < FEWEST:
        raise BadInput(f"{len(x)} row of target features; expected at least {FEWEST}.", "Give more examples.")
    if len(x) < FEW:
        warnings.warn(
            f"The target has {len(x)} samples: what is learnt from {len(x)} rows says little. Give {FEW} or "
            "more, better hundreds; they need no labels.",
            stacklevel=stack_level(),
        )
    return x, spent


def guarded(
    mlp: FeatureClassifier,
    start: MLPHead,
    head: MLPHead,
    x: np.ndarray,
    name: str,
    *,
    moved: int,
    seconds: dict[str, float],
    chosen: dict[str, Any],
) -> FeatureClassifier:
    """Return the adapted classifier, or the source's answers under the adapted name where these collapsed.

    Parameters
    ----------
    mlp : FeatureClassifier
        The source's.
    start, head : MLPHead
        Before the first gradient step (the source's network, its BatchNorm on target statistics) and after
        the last. The reference is whichever of the source and `start` uses more classes.
    x : numpy.ndarray
        Target features that were adapted on.

    Warns
    -----
    UserWarning
        When the source's answers are returned.
    """
    assert isinstance(mlp.head, MLPHead)
    k = head.classes
    before, after = (
        max(effective_classes(h.predict_proba(x).argmax(axis=1), k) for h in heads)
        for heads in ((mlp.head, start), (head,))
    )
    fell = collapsed(before, after)
    chosen = {
        **chosen,
        "collapsed": fell,
        "classes_before": round(before, 2),
        "classes_after": round(after, 2),
    }
    if fell:
        warnings.warn(
            f"{name}: predictions on the target collapsed from {before:.1f} to {after:.1f} classes in use "
            f"(of {k}), so the source's answers are returned. A smaller learning_rate or fewer steps may "
            "hold; or the target is not what the method assumes.",
            stacklevel=stack_level(),
        )
        head, moved = mlp.head, 0
    return adapted(mlp, head, name, moved=moved, seconds=seconds, chosen=chosen)
