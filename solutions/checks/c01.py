"""Checks of notebook 01: scores of unbalanced classes, a split that does not leak, a learning curve read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close, equal, kind


def _by_sklearn(labels: np.ndarray, said: np.ndarray, classes: int) -> dict[str, Any]:
    """Return the same numbers from scikit-learn."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(labels)
    weights = np.zeros(classes)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that answers hold classes without examples, it warns
        balanced = balanced_accuracy_score(labels, said)
        recall = recall_score(labels, said, labels=range(classes), average=None, zero_division=np.nan)
    return {
        "accuracy": float(accuracy_score(labels, said)),
        "balanced": float(balanced),
        "recall": np.asarray(recall),
        "weights": weights,
    }


def judged_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 01.1."""

    def case(name: str, labels: np.ndarray, said: np.ndarray, classes: int, reason: str, seen: bool) -> Case:
        told = close(_by_sklearn(labels, said, classes))
        return Case(name, (labels, said, classes), told, visible=seen, reason=reason)

    each = "By how many is each class's count of right answers divided?"
    for name, counts, seen in (
        ("one rare class of two", (17, 3), True),
        ("three classes", (9, 4, 30), True),
        ("ten classes", tuple(int(v) for v in rng.integers(2, 60, 10)), False),
    ):
        labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        said = np.where(rng.random(len(labels)) < 0.6, labels, rng.integers(len(counts), size=len(labels)))
        first = np.flatnonzero(labels == 0)
        said[first[0]], said[first[1]] = 0, 1  # the first class is neither never found nor always
        said[np.flatnonzero(labels == 1)[0]] = 0
        yield case(name, labels, said, len(counts), each, seen)
    labels = rng.permutation(np.repeat([0, 1], [int(rng.integers(20, 90)), 5]))
    yield case(
        "always the common class", labels, np.zeros_like(labels), 2, "Balanced: no better than chance.", False
    )
    labels = rng.permutation(np.repeat([0, 2, 4], [6, 3, 11]))
    said = np.where(rng.random(20) < 0.5, labels, rng.integers(5, size=20))
    said[:2] = 1  # a class without examples is answered
    empty = "K counts the classes that have examples; the others have no recall, and no weight."
    yield case("classes without examples", labels, said, 5, empty, False)
    labels = rng.permutation(np.repeat([0, 1], [4, 7]))
    yield case("the last classes are empty", labels, labels[::-1].copy(), 4, empty, False)
    yield case("a single example", np.array([1]), np.array([1]), 3, empty, False)
    labels = rng.integers(4, size=50)
    labels[:4] = range(4)
    yield case("all right", labels, labels.copy(), 4, "Everything found: weights remain.", False)


def _split(y: list[int], groups: list[int], order: list[int], share: float) -> dict[str, np.ndarray]:
    """Return the split, row by row and with a dict of counts."""
    test: list[int] = []
    waiting = list(order)
    while len(test) < share * len(y):
        group = waiting.pop(0)
        test += [row for row, own in enumerate(groups) if own == group]
    members: dict[int, list[int]] = {}
    for row, own in enumerate(groups):
        if own in waiting:
            members.setdefault(y[row], []).append(row)
    most = max(map(len, members.values()))
    train = [rows[k % len(rows)] for rows in members.values() for k in range(most)]
    return {"train": np.array(sorted(train)), "test": np.array(sorted(test))}


def split_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 01.2."""

    def case(name: str, y: np.ndarray, groups: np.ndarray, share: float, reason: str, seen: bool) -> Case:
        order = [int(g) for g in rng.permutation(np.unique(groups))]
        told = equal(_split(y.tolist(), groups.tolist(), order, share))
        return Case(name, (y, groups, order, share), told, visible=seen, reason=reason)

    apart = "No group may lie on both sides, and nothing is repeated before the cut."
    for name, sizes, rare, share, seen in (
        ("three modules", (4, 5, 6), 0.3, 0.25, True),
        ("eight modules", (6,) * 8, 0.3, 0.25, True),
        ("modules of many sizes", tuple(int(v) for v in rng.integers(3, 30, 20)), 0.25, 0.3, False),
        ("half of it is test", (9, 7, 8, 11, 5, 6), 0.4, 0.5, False),
    ):
        groups = np.repeat(np.arange(len(sizes)), sizes)
        y = (rng.random(len(groups)) < rare).astype(np.int64)
        starts = np.r_[0, np.cumsum(sizes)[:-1]]
        y[starts], y[starts + 1], y[starts + 2] = 1, 0, 0  # both classes in every module, the first rarer
        yield case(name, y, groups, share, apart, seen)
    groups = rng.permutation(np.repeat([3, -7, 12, 40, 5], [10, 8, 9, 7, 6]))
    y = rng.integers(3, size=40)
    y[groups == 5], y[groups == 3] = [0, 1, 2, 0, 0, 0], [2, 2, 2, 1, 1, 0, 0, 0, 0, 0]
    mixed = "Groups may be any whole numbers, and their rows need not lie side by side."
    yield case("rows in any order", y, groups, 0.25, mixed, False)
    groups = np.repeat(np.arange(8), 4)
    y = np.tile([0, 0, 1, 0], 8)
    exact = "At least the share: when it is reached exactly, no further group is taken."
    yield case("the share is met exactly", y, groups, 0.25, exact, False)
    groups = np.repeat([0, 1, 2, 3], [12, 10, 9, 11])
    y = np.repeat([0, 2, 0, 2], [12, 10, 9, 11])
    y[[0, 13, 25, 35]] = [2, 0, 2, 0]
    yield case("a class without examples", y, groups, 0.2, "Only classes that have rows are repeated.", False)
    groups = rng.permutation(np.repeat(np.arange(10), 30))
    y = np.minimum(rng.poisson(0.8, 300), 3)
    yield case("four classes", y, groups, 0.15, apart, False)


PROBE = [
    [0.3, 0.306, 0.271],
    [0.379, 0.401, 0.351],
    [0.442, 0.472, 0.45],
    [0.505, 0.509, 0.53],
    [0.561, 0.567, 0.58],
    [0.599, 0.604, 0.591],
    [0.632, 0.644, 0.629],
]
SCRATCH = [
    [0.169, 0.145, 0.18],
    [0.2, 0.211, 0.192],
    [0.264, 0.252, 0.25],
    [0.304, 0.307, 0.275],
    [0.33, 0.363, 0.349],
    [0.432, 0.41, 0.413],
    [0.45, 0.456, 0.455],
]
SIZES = [20, 50, 100, 200, 500, 1000, 2000]


def _read(sizes: list[int], scores: list[list[float]], goal: float) -> dict[str, Any]:
    """Return the reading; the line to the goal is drawn by polyfit, over the logarithm of the labels."""
    means = [sum(row) / len(row) for row in scores]
    early, late = (
        float(np.polyfit(np.log2(sizes[part]), means[part], 1)[0]) for part in (slice(2), slice(-2, None))
    )
    clear = all(a > b for a in scores[-1] for b in scores[-2])
    there = np.flatnonzero(np.array(means) >= goal)
    labels = None
    if len(there):
        labels = float(sizes[there[0]])
    elif late > 0:
        power = np.log(sizes[-1]) + (goal - means[-1]) / late * np.log(2)
        labels = float(np.exp(power)) if power <= np.log(1e9) else None
    return {"early": early, "late": late, "clear": clear, "labels": labels}


def curve_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 01.3."""
    example = [10, 40, 80], [[0.2, 0.2], [0.4, 0.5], [0.5, 0.6]], 0.75
    told = {"early": 0.125, "late": 0.1, "clear": False, "labels": 320.0}
    doublings = "How many doublings lie between two sizes?"
    yield Case("the example of the text", example, close(told), visible=True, reason=doublings)
    form = kind({"early": 0.0, "late": 0.0, "clear": True, "labels": 0.0})
    yield Case("the form of the answer", (SIZES, PROBE, 0.8), form, visible=True)
    for name, scores in (("the probe of the figure", PROBE), ("from scratch, the figure", SCRATCH)):
        yield Case(name, (SIZES, scores, 0.8), close(_read(SIZES, scores, 0.8)), reason=doublings)

    def curve(means: list[float], spread: float, seeds: int) -> list[list[float]]:
        return [[round(m + spread * v, 5) for v in rng.uniform(-1, 1, seeds)] for m in means]

    def case(name: str, sizes: list[int], scores: list[list[float]], goal: float, reason: str) -> Case:
        return Case(name, (sizes, scores, goal), close(_read(sizes, scores, goal)), reason=reason)

    start = float(rng.uniform(0.2, 0.3))
    steps = [start, start + 0.2, start + 0.3, start + 0.35]
    yield case(
        "a curve that bends", [30, 90, 270, 1000], curve(steps, 0.01, 4), 0.8, "Early and late are two gains."
    )
    scores = curve([0.4, 0.6], 0.02, 3)
    yield case("two sizes", [100, 300], scores, 0.9, "Then the first stretch is the last one, too.")
    reached = "The smallest size whose mean reaches the goal, though the curve goes on."
    yield case(
        "the goal lies on the curve", [16, 64, 128, 256], curve([0.3, 0.6, 0.7, 0.72], 0.02, 3), 0.65, reached
    )
    scores = curve([0.5, 0.75, 0.85], 0.04, 1)
    scores[1] = [0.75]
    yield case("the goal is met exactly", [10, 20, 40], scores, 0.75, reached)
    scores = curve([0.4, 0.6, 0.55], 0.02, 3)
    yield case("a curve that falls", [50, 100, 200], scores, 0.7, "No gain leads nowhere.")
    scores = curve([0.4, 0.5, 0.501], 0.0, 3)
    yield case("more than a billion", [50, 100, 200], scores, 0.95, "Is there such a number of labels?")
    scores = [[0.5] * 3, [0.625, 0.5, 0.5625], [0.625, 0.75, 0.6875]]
    yield case("seeds that tie", [64, 128, 256], scores, 0.9, "Higher, for every seed: a tie is not clear.")
    scores = curve([0.4, 0.5, 0.5 + 1e-5], 0.0, 2)
    yield case("a gain of next to nothing", [50, 100, 200], scores, 0.95, "2 to a large power is no float.")


EXERCISES = [
    Exercise(
        "01.1",
        "judged",
        judged_cases,
        (
            Wrong(
                "accuracy as balanced",
                (("recall[there].mean()", "np.mean(labels == said)"),),
                "one rare class of two",
            ),
            Wrong(
                "precision for recall",
                (
                    (
                        "hits[there] / counts[there]",
                        "hits[there] / np.maximum(np.bincount(said, minlength=classes), 1)[there]",
                    ),
                ),
                "always the common class",
            ),
            Wrong(
                "K counts all classes",
                (("(there.sum() * counts", "(classes * counts"),),
                "classes without examples",
            ),
            Wrong(
                "mean over all classes",
                (("recall[there].mean()", "np.nansum(recall) / classes"),),
                "classes without examples",
            ),
            Wrong(
                "a recall of zero",
                (("np.full(classes, np.nan)", "np.zeros(classes)"),),
                "classes without examples",
            ),
            Wrong(
                "empty classes dropped",
                (
                    ("minlength=classes)\n    there", "minlength=1)\n    there"),
                    ("counts = np.bincount(labels, minlength=classes)", "counts = np.bincount(labels)"),
                    (
                        "np.full(classes, np.nan), np.zeros(classes)",
                        "np.full(len(counts), np.nan), np.zeros(len(counts))",
                    ),
                ),
                "the last classes are empty",
            ),
            Wrong(
                "weights upside down",
                (
                    (
                        "len(labels) / (there.sum() * counts[there])",
                        "there.sum() * counts[there] / len(labels)",
                    ),
                ),
                "three classes",
            ),
            Wrong(
                "weights without K",
                (("(there.sum() * counts[there])", "counts[there]"),),
                "one rare class of two",
            ),
        ),
    ),
    Exercise(
        "01.2",
        "honest_split",
        split_cases,
        (
            Wrong(
                "rows cut, groups ignored",
                (
                    (
                        "    left = np",
                        "    in_test = np.arange(len(y)) < share * len(y)\n    left = np",
                    ),
                ),
                "rows in any order",
            ),
            Wrong(
                "repeated before the cut",
                (
                    (
                        "    train = np.sort(np.concatenate(train))",
                        "    most = np.bincount(y).max()\n"
                        "    each = [np.resize(np.flatnonzero(y == c), most) for c in np.unique(y)]\n"
                        "    train = np.sort(np.concatenate(each))\n"
                        "    train = train[~in_test[train]]",
                    ),
                ),
                "four classes",
            ),
            Wrong(
                "test oversampled, too",
                (
                    (
                        '"test": np.flatnonzero(in_test)',
                        '"test": np.sort(np.concatenate([np.resize(np.flatnonzero(in_test & (y == c)), '
                        "max(np.bincount(y[in_test]))) for c in np.unique(y[in_test])]))",
                    ),
                ),
                "four classes",
            ),
            Wrong("not oversampled", (("np.sort(np.concatenate(train))", "left"),), "four classes"),
            Wrong(
                "one group too many",
                (("in_test.sum() >= share", "in_test.sum() > share"),),
                "the share is met exactly",
            ),
            Wrong(
                "stops too early",
                (
                    (
                        "in_test |= groups == group",
                        "in_test |= (groups == group) & (sum(in_test | (groups == group)) <= share * len(y))",
                    ),
                ),
                "three modules",
            ),
            Wrong(
                "groups by their number",
                (("for group in order", "for group in sorted(order, reverse=order[0] == min(order))"),),
                "modules of many sizes",
            ),
            Wrong(
                "as many as in all rows",
                (("counts.max()) for", "np.bincount(y).max()) for"),),
                "eight modules",
            ),
            Wrong(
                "undersampled",
                (("counts.max()) for", "counts[counts > 0].min()) for"),),
                "four classes",
            ),
            Wrong(
                "the order used up",
                (
                    ("    for group in order:\n", "    while order:\n        group = order[0]\n"),
                    ("        in_test |=", "        order.pop(0)\n        in_test |="),
                ),
                "three modules",
            ),
        ),
    ),
    Exercise(
        "01.3",
        "read_curve",
        curve_cases,
        (
            Wrong(
                "per step, not per doubling", ((" / np.diff(np.log2(sizes))", ""),), "the example of the text"
            ),
            Wrong("natural logarithm", (("np.log2(sizes)", "np.log(sizes)"),), "the probe of the figure"),
            Wrong(
                "one line through all points",
                (("    reached =", "    late = np.polyfit(np.log2(sizes), means, 1)[0]\n    reached ="),),
                "a curve that bends",
            ),
            Wrong(
                "from the early gain",
                (("(goal - means[-1]) / late", "(goal - means[-1]) / early"),),
                "a curve that bends",
            ),
            Wrong(
                "the largest size that reaches it",
                (("reached[0]", "reached[-1]"),),
                "the goal lies on the curve",
            ),
            Wrong("above, not at least", (("mean >= goal", "mean > goal"),), "the goal is met exactly"),
            Wrong(
                "means compared",
                (("min(scores[-1]) > max(scores[-2])", "bool(means[-1] > means[-2])"),),
                "the example of the text",
            ),
            Wrong("a tie is clear", (("min(scores[-1]) > max", "min(scores[-1]) >= max"),), "seeds that tie"),
            Wrong("back along a falling curve", (("elif late > 0:", "else:"),), "a curve that falls"),
            Wrong(
                "no limit",
                (("doublings <= np.log2(1e9 / sizes[-1])", "doublings < 1000"),),
                "more than a billion",
            ),
            Wrong(
                "the power first",
                (("doublings <= np.log2(1e9 / sizes[-1])", "sizes[-1] * 2 ** float(doublings) <= 1e9"),),
                "a gain of next to nothing",
            ),
            Wrong(
                "rounded",
                (("labels = sizes[-1] * 2**doublings", "labels = float(round(sizes[-1] * 2**doublings))"),),
                "two sizes",
            ),
        ),
    ),
]
