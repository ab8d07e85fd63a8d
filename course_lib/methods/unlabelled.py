"""What every adaptation method does with a target domain: labels are never read, odd targets are told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import BadInput
from course_lib.methods.classifier import Data, check_features
from course_lib.tasks.task import Task

FEWEST = 2
"""Rows without which nothing can be adapted."""

FEW = 10
"""Rows of a domain below which its mean and spread are said to be guesses."""

ENOUGH = 20
"""Rows of each domain from which on `warn_same` and `warn_skewed` say anything."""

_PERMUTATIONS = 99
_MOST = 500  # rows of each domain that are permuted
_SKEW = 0.35  # half the sum of differences between two lists of shares


def unlabelled(target: Any, what: str = "target") -> Data:
    """Return the examples of a target domain, and say so where labels came along that will not be used.

    A `Split` holds labels too, for reports; adaptation reads its examples alone, which needs no word.

    Parameters
    ----------
    target : Split, numpy.ndarray, tuple of (examples, labels), or Task
    what : str
        For messages.

    Returns
    -------
    Split or numpy.ndarray
        Of a task its training split, of a pair the examples.

    Warns
    -----
    UserWarning
        For a pair or a task.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     x = unlabelled((np.zeros((3, 2)), np.array([0, 1, 1])))
    >>> x.shape, "labels are not used" in str(told[0].message)
    ((3, 2), True)
    """
    if isinstance(target, Task):
        _say(
            f"The {what} is a whole task: its training examples are used; its labels are not used. "
            f"Give {target.name}.train to say so yourself."
        )
        return target.train
    if isinstance(target, tuple | list) and len(target) == 2 and _is_labelled(*target):
        _say(
            f"The {what} came with {len(target[1]):,} labels: these labels are not used, as the method is "
            "for a target without labels. Give the examples alone; with labels, fit methods.linear_probe."
        )
        examples = target[0]
        return examples if hasattr(examples, "y") else np.asarray(examples)
    return target  # type: ignore[no-any-return]


def check_domains(source: np.ndarray, target: np.ndarray) -> None:
    """Raise or warn where features ``(n, d)`` and ``(m, d)`` leave little to learn from.

    Raises
    ------
    BadInput
        When a domain has fewer than two rows, or values that are not finite.

    Warns
    -----
    UserWarning
        When it has fewer than ten, or when both are the same examples or cannot be told apart.
    """
    for x, what in ((source, "source"), (target, "target")):
        check_features(x, what=what)
        if len(x) < FEWEST:
            raise BadInput(
                f"{len(x)} row{'s' * (len(x) != 1)} of {what} features; expected at least {FEWEST}.",
                "Give more examples: a domain is known by how its examples are spread.",
            )
        if len(x) < FEW:
            _say(
                f"The {what} has {len(x)} samples: an estimate of mean and spread from {len(x)} rows says "
                f"little. Give {FEW} or more, better hundreds; they need no labels."
            )
    warn_same(source, target)


def warn_same(source: np.ndarray, target: np.ndarray) -> None:
    """Warn where both domains are the same examples, or no test tells them apart.

    The test compares means and mean squares of all features with those of random divisions of the pooled
    rows. A p-value above 0.05 is no proof that the domains are equal, and the words say that.
    """
    if source.shape == target.shape and np.array_equal(source, target):
        _say("Source and target are the same examples: there is nothing to adapt.")
        return
    if source.shape[1:] != target.shape[1:] or min(len(source), len(target)) < ENOUGH:
        return
    p = _same_p(source, target)
    if p > 0.05:
        _say(
            f"Source and target look like the same distribution (means and spreads of "
            f"{min(len(source), _MOST)} and {min(len(target), _MOST)} examples, p = {p:.2f}): there may be "
            f"nothing to adapt."
        )


def warn_skewed(source: np.ndarray, target: np.ndarray, class_names: tuple[str, ...], name: str) -> None:
    """Warn where the classes that a method predicts on the target are quite unlike those on the source.

    Alignment matches whole domains. When a class is missing in the target, or much rarer there, matching
    moves examples of other classes into its place. Without labels that cannot be seen for certain;
    predictions give a hint, in both directions: a class that is never predicted may be missing or misread.

    Parameters
    ----------
    source, target : numpy.ndarray
        ``(n,)`` and ``(m,)`` predicted classes, those of the target after adaptation.
    class_names : tuple of str
    name : str
        Of the method, for the message.
    """
    if min(len(source), len(target)) < ENOUGH:
        return
    k = len(class_names)
    ours, theirs = (np.bincount(y, minlength=k) / len(y) for y in (source, target))
    gone = np.flatnonzero((theirs == 0) & (ours * len(target) >= FEW))
    skew = float(np.abs(ours - theirs).sum() / 2)
    advice = "Look at a few target examples; alignment harms where the classes' shares differ."
    if len(gone):
        told = ", ".join(f"{class_names[c]} ({ours[c]:.0%} of the source)" for c in gone[:3])
        more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        _say(
            f"{name} never predicts {told}{more} on {len(target):,} target examples: missing there, or "
            f"misread. {advice}"
        )
    elif skew > _SKEW:
        c = int(np.abs(ours - theirs).argmax())
        _say(
            f"{name} predicts {class_names[c]} for {theirs[c]:.0%} of the target and {ours[c]:.0%} of the "
            f"source: other shares of classes, or misread. {advice}"
        )


def _same_p(source: np.ndarray, target: np.ndarray) -> float:
    rng = np.random.default_rng(0)
    some = [x[rng.permutation(len(x))[:_MOST]] for x in (source, target)]
    n = len(some[0])
    z = np.vstack(some).astype(np.float64)
    z = z - z.mean(axis=0)
    z /= np.maximum(z.std(axis=0), 1e-12)
    z = np.hstack([z, z * z - 1])
    first = np.zeros((_PERMUTATIONS + 1, len(z)))
    for row in range(_PERMUTATIONS + 1):
        first[row, np.arange(n) if row == 0 else rng.permutation(len(z))[:n]] = 1
    # The columns of z have mean 0, so that the sum over one part says what the difference of means is.
    apart = np.square(first @ z).sum(axis=1)
    return float(np.mean(apart >= apart[0] * (1 - 1e-9)))


def _is_labelled(x: Any, y: Any) -> bool:
    """Tell whether a pair is examples with their labels, rather than two sentences."""
    if isinstance(x, str) or isinstance(y, str) or not (hasattr(x, "__len__") and hasattr(y, "__len__")):
        return False
    return len(x) == len(y) and np.ndim(y) == 1 and np.asarray(y).dtype.kind in "iubfOU"


def _say(words: str) -> None:
    warnings.warn(words, stacklevel=stack_level())
