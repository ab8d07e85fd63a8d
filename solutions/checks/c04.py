"""Checks of the exercises of notebook 04: pooled features, a ridge probe, labels saved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close, kind


def _features_by_hand(pictures: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return the features place by place, in Python's own numbers."""
    n, h, w, c = pictures.shape
    out = np.zeros((n, filters.shape[1]))
    for i, k in product(range(n), range(filters.shape[1])):
        total = 0.0
        for a, b in product(range(h), range(w)):
            score = sum((float(pictures[i, a, b, j]) - 127) / 128 * float(filters[j, k]) for j in range(c))
            total += max(score, 0.0)
        out[i, k] = total / (h * w)
    return out


def pooled_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Pictures of several shapes and types."""
    dark = "What becomes of a pixel below 127 when 127 is taken from a byte?"
    shape = "Average over the axes of height and width, and over nothing else."
    shapes = (
        ("three pictures of bytes", (3, 5, 4, 3), 6, np.uint8, True, dark),
        ("as many filters as rows", (2, 4, 6, 3), 4, np.uint8, True, shape),
        ("a single picture", (1, 7, 3, 3), 5, np.uint8, False, shape),
        ("as many columns as filters and rows", (3, 5, 5, 3), 5, np.uint8, False, shape),
        (
            "float32 pictures",
            (2, 6, 3, 3),
            7,
            np.float32,
            False,
            "They come as floats, and stay as they are.",
        ),
        ("one grey channel", (4, 3, 8, 1), 3, np.uint8, False, shape),
    )
    for name, size, d, dtype, seen, reason in shapes:
        pictures = rng.integers(0, 256, size=size).astype(dtype)
        filters = rng.normal(size=(size[3], d))
        expected = _features_by_hand(pictures, filters)
        # The text leaves it open whether float32 or float64 is computed in.
        yield Case(name, (pictures, filters), close(expected, rtol=1e-5), visible=seen, reason=reason)
    black = np.zeros((2, 4, 3, 3), np.uint8)
    filters = np.concatenate([np.abs(rng.normal(size=(3, 2))), -np.abs(rng.normal(size=(3, 2)))], axis=1)
    expected = _features_by_hand(black, filters)
    yield Case("black pictures", (black, filters), close(expected, rtol=1e-5), reason=dark)


def _blobs(
    rng: np.random.Generator, n: int, d: int, k: int, apart: float, present: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training and validation features far from the origin, in `k` clusters."""
    centres = rng.normal(size=(k, d)) * apart + 7
    drawn = []
    for size in (n, 60):
        classes = np.array(present or range(k))
        y = classes[np.arange(size) % len(classes)]
        drawn += [centres[y] + rng.normal(size=(size, d)), y]
    return drawn[0], drawn[1], drawn[2], drawn[3]


def _ridge(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, strengths: list[float]
) -> dict[str, object]:
    """Return what scikit-learn's ridge regression makes of it."""
    from sklearn.linear_model import Ridge

    found: dict[float, tuple[float, Ridge]] = {}
    one_hot = (y[:, None] == np.arange(y.max() + 1)).astype(float)
    for strength in strengths:
        model = Ridge(alpha=strength, solver="svd").fit(x.astype(np.float64), one_hot)
        hits = np.count_nonzero(model.predict(x_val.astype(np.float64)).argmax(axis=1) == y_val)
        found[strength] = hits / len(y_val), model
    best = max(found, key=lambda strength: (found[strength][0], strength))
    accuracy, model = found[best]
    return {"strength": best, "accuracy": accuracy, "weights": model.coef_.T, "bias": model.intercept_}


def ridge_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Tasks where one strength wins, where all tie, and where shapes are unusual."""
    several = [0.01, 100.0, 1.0, 10000.0]
    tie = "When several strengths are equally good, which is the safer choice?"
    weight = "Is the bias free of the penalty, and are the features centred?"
    told = (
        ("three classes", _blobs(rng, 45, 6, 3, 0.6), several, True, weight),
        ("every strength equally good", _blobs(rng, 40, 5, 2, 30.0), [0.1, 10.0, 1.0], True, tie),
        ("one strength, half of the labels wrong", _blobs(rng, 30, 4, 4, 0.5), [3.0], False, weight),
        ("more columns than examples", _blobs(rng, 25, 60, 3, 0.4), several, False, ""),
        (
            "a class without examples",
            _blobs(rng, 40, 5, 4, 0.8, (0, 1, 3)),
            several,
            False,
            "Its column is 0.",
        ),
        (
            "two classes, strengths from weak to strong",
            _blobs(rng, 50, 3, 2, 0.5),
            sorted(several),
            False,
            tie,
        ),
    )
    for name, data, strengths, seen, reason in told:
        x, y, x_val, y_val = data
        if "wrong" in name:
            y = rng.permutation(y)
        given = (x, y, x_val, y_val, strengths)
        yield Case(name, given, close(_ridge(*given)), visible=seen, reason=reason)
    x, y, x_val, y_val = _blobs(rng, 40, 5, 3, 0.7)
    x, x_val = x.astype(np.float32), x_val.astype(np.float32)
    constant = np.full((len(x), 1), 2, np.float32)
    x, x_val = np.hstack([x, constant]), np.hstack([x_val, constant[:1].repeat(len(x_val), axis=0)])
    given = (x, y, x_val, y_val, several)
    yield Case("float32 and a constant column", given, close(_ridge(*given)), reason="Compute in float64.")
    x, _, x_val, _ = _blobs(rng, 30, 40, 3, 0.0)
    y, y_val = np.arange(30) % 3, np.arange(60) % 3
    given = (x, y, x_val, y_val, [1e-3, 1e3])
    reason = "Labels that have nothing to do with the features: who was asked for the accuracy?"
    yield Case("nothing to learn", given, close(_ridge(*given)), reason=reason)


CIFAR_SIZES = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
# Notebook 04 on CIFAR-10: balanced accuracy of the network from scratch, mean of three seeds.
CIFAR_SCRATCH = [0.144, 0.165, 0.202, 0.254, 0.291, 0.341, 0.412, 0.449, 0.539]


def _read(sizes: list[int], scores: list[float], target: float) -> dict[str, object]:
    """Return what the course's own `labels_saved` says of such a curve."""
    from course_lib.measure.curve import Curve, Point, labels_saved

    def curve(numbers: list[int], values: list[float]) -> Curve:
        points = tuple(Point(n, 0, s, None) for n, s in zip(numbers, values, strict=True))  # type: ignore[arg-type]
        return Curve("", "", "accuracy", points)

    found = labels_saved(curve([1], [target]), curve(sizes, scores))[0]
    return {"needed": found.needed, "bound": found.bound}


def labels_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Curves that rise, fall back, stay below and lie above."""
    simple = ([10, 100, 1000], [0.2, 0.4, 0.6], 0.5)
    across = "Between two sizes the curve is a straight line against the logarithm of the labels."
    yield Case(
        "half of the way from 100 to 1,000", simple, close(_read(*simple)), visible=True, reason=across
    )
    figure = (CIFAR_SIZES, CIFAR_SCRATCH, 0.507)
    yield Case(
        "the figure, at the dotted line",
        figure,
        kind(_read(*figure)),
        visible=True,
        reason="A float and a text, in a dict.",
    )
    sizes = sorted({int(n) for n in np.exp(rng.uniform(2, 9, size=7))})
    scores = [float(s) for s in np.sort(rng.uniform(0.2, 0.8, size=len(sizes)))]
    j = int(rng.integers(1, len(sizes)))
    inside = float(scores[j - 1] + rng.uniform(0.2, 0.8) * (scores[j] - scores[j - 1]))
    dip = [*scores, scores[0] - 0.05, scores[-1] + 0.05]
    longer = [*sizes, sizes[-1] * 2, sizes[-1] * 5]
    more = (
        ("the figure, read exactly", figure, "Which two sizes lie on either side of the dotted line?"),
        ("somewhere on a curve", (sizes, scores, inside), across),
        ("a curve that falls back later", (longer, dip, inside), "The first place counts."),
        ("never reached", (sizes, scores, scores[-1] + 0.01), "Nothing is guessed beyond the figure."),
        ("reached from the start", (sizes, scores, scores[0] - 0.01), "The smallest size will do."),
        ("exactly at the smallest size", (sizes, scores, scores[0]), "It scores exactly the target."),
        ("exactly at a size", (sizes, scores, scores[j]), "At least the target is enough."),
        ("exactly at the largest size", (sizes, scores, scores[-1]), "At least the target is enough."),
    )
    for name, given, reason in more:
        yield Case(name, given, close(_read(*given)), reason=reason)


EXERCISES = [
    Exercise(
        "04.1",
        "pooled_features",
        pooled_cases,
        (
            Wrong("bytes wrap around", ((".astype(np.float64)", ""),), "black pictures"),
            Wrong("averages over width and filters", (("axis=(1, 2)", "axis=(2, 3)"),), "a single picture"),
            Wrong(
                "right shape, wrong axes",
                (("axis=(1, 2)", "axis=(2, 3)"),),
                "as many columns as filters and rows",
            ),
            Wrong("another network's range", ((" - 127) / 128", ") / 255"),), "three pictures of bytes"),
            Wrong(
                "averages before the ReLU",
                (
                    ("np.maximum(x @ filters, 0)", "x @ filters"),
                    ("maps.mean(axis=(1, 2))", "np.maximum(maps.mean(axis=(1, 2)), 0)"),
                ),
                "as many filters as rows",
            ),
            Wrong("the largest instead of the mean", (("maps.mean(", "maps.max("),), "float32 pictures"),
            Wrong(
                "changes float pictures",
                (
                    (
                        "x = (pictures.astype(np.float64) - 127) / 128",
                        "x = pictures.astype(np.float32, copy=False)\n    x -= 127\n    x = x / 128",
                    ),
                ),
                "float32 pictures",
            ),
        ),
    ),
    Exercise(
        "04.2",
        "ridge_probe",
        ridge_cases,
        (
            Wrong(
                "chooses on the training examples",
                (
                    (
                        "(x_val @ weights + bias).argmax(axis=1) == y_val",
                        "(x @ weights + bias).argmax(axis=1) == y",
                    ),
                ),
                "nothing to learn",
            ),
            Wrong(
                "a tie goes to the weaker",
                (("accuracy > best", "accuracy >= best"),),
                "every strength equally good",
            ),
            Wrong(
                "does not sort",
                (("sorted(strengths, reverse=True)", "strengths"),),
                "every strength equally good",
            ),
            Wrong("does not centre", (("z = x - centre", "z = x"),), "three classes"),
            Wrong("the bias is the share alone", (("share - centre @ weights", "share"),), "three classes"),
            Wrong(
                "strength times n",
                (("strength * np.eye(x.shape[1])", "len(x) * strength * np.eye(x.shape[1])"),),
                "one strength, half of the labels wrong",
            ),
            Wrong(
                "counts the classes that are there",
                (("y.max() + 1", "len(np.unique(y))"),),
                "a class without examples",
            ),
            Wrong(
                "centres in place",
                (
                    ("x, x_val = x.astype(np.float64), x_val.astype(np.float64)", "pass"),
                    ("z = x - centre", "z = x; z -= centre"),
                ),
                "two classes, strengths from weak to strong",
            ),
        ),
    ),
    Exercise(
        "04.3",
        "labels_needed",
        labels_cases,
        (
            Wrong(
                "a straight line against the labels",
                (
                    ("np.log(sizes[j - 1])", "sizes[j - 1]"),
                    ("np.log(sizes[j])", "sizes[j]"),
                    ("np.exp(logs)", "logs"),
                ),
                "half of the way from 100 to 1,000",
            ),
            Wrong("the last place", (("reached[0]", "reached[-1]"),), "a curve that falls back later"),
            Wrong(
                "more than the target",
                (("score >= target", "score > target"),),
                "exactly at the largest size",
            ),
            Wrong("no bound below", (('"<" if scores[0] > target else ""', '""'),), "reached from the start"),
            Wrong(
                "always a bound below",
                (('"<" if scores[0] > target else ""', '"<"'),),
                "exactly at the smallest size",
            ),
            Wrong(
                "goes on beyond the figure", (("float(sizes[-1])", "float(2 * sizes[-1])"),), "never reached"
            ),
            Wrong(
                "mirrored",
                (("(1 - t) * np.log(sizes[j - 1]) + t *", "t * np.log(sizes[j - 1]) + (1 - t) *"),),
                "the figure, read exactly",
            ),
        ),
    ),
]
