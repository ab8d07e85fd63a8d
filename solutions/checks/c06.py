"""Checks of the exercises of notebook 06: LEEP, the H-score, a verdict, a figure read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close, kind


def leep_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Sources that know much, little and nothing."""
    from course_lib.measure.transferability import leep

    columns = "P(y | z): each column of the table sums to 1."
    told = (
        ("twenty pictures, three source classes", 20, 3, (0, 1), True, columns),
        ("more source classes than pictures", 8, 30, (0, 1, 2), True, columns),
        ("five target classes", 60, 4, (0, 1, 2, 3, 4), False, "Logarithm first, then the mean."),
        ("a class without examples", 25, 5, (0, 2, 5), False, "Labels need not be without gaps."),
    )
    for name, n, z, labels, seen, reason in told:
        theta = rng.dirichlet(np.full(z, 0.4), size=n)
        y = np.array(labels)[np.arange(n) % len(labels)]
        yield Case(name, (theta, y), close(leep(theta, y)), visible=seen, reason=reason)
    theta = rng.dirichlet(np.full(4, 0.4), size=30)
    theta = np.insert(theta, 2, 0.0, axis=1)
    y = rng.permutation(np.arange(30) % 3)
    reason = "A column of zeros has no conditional probability, and needs none."
    yield Case("a source class that is never likely", (theta, y), close(leep(theta, y)), reason=reason)
    theta = rng.dirichlet(np.full(6, 0.5), size=40).astype(np.float32)
    y = rng.permutation(np.arange(40) % 4)
    # Rows of float32 sum to 1 up to 1e-7; the reference keeps part of its sums in float32.
    yield Case("float32", (theta, y), close(leep(theta, y), rtol=1e-5))
    sure = np.eye(3)[np.arange(12) % 3]
    y = np.arange(12) % 3
    yield Case("a source that knows the classes", (sure, (2 - y)), close(0.0), reason="Certain: ln 1.")
    counts = np.array([9, 4, 2]) + rng.integers(0, 5, size=3)
    y = np.repeat([0, 1, 2], counts)
    share = counts / counts.sum()
    expected = float(share @ np.log(share))
    reason = "What is left is the entropy of the labels, with a minus."
    yield Case(
        "a source that says the same of all", (np.full((len(y), 4), 0.25), y), close(expected), reason=reason
    )


def _h_score(features: np.ndarray, y: np.ndarray) -> float:
    from course_lib.measure.transferability import h_score

    # A single column has nothing to shrink towards: alpha is 0, and rounding alone would say otherwise.
    return h_score(np.asarray(features, np.float64), y, shrinkage=features.shape[1] > 1)


def _classes(
    rng: np.random.Generator, counts: tuple[int, ...], d: int, apart: float
) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(len(counts)), counts)
    mixing = rng.normal(size=(d, d)) / d**0.5
    features = (rng.normal(size=(len(y), d)) + apart * rng.normal(size=(len(counts), d))[y]) @ mixing + 3
    order = rng.permutation(len(y))
    return features[order], y[order]


def h_score_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Features with few and many columns, classes of equal and unequal size."""
    weights = "A class weighs as much as it has examples."
    shrunk = "More columns than examples: what does Ledoit and Wolf's estimate do about it?"
    told = (
        ("three classes of equal size", (12, 12, 12), 4, 1.0, True, "Divide by n, not by one less."),
        ("more columns than examples", (8, 8, 9), 60, 0.5, True, shrunk),
        ("a rare class", (60, 30, 3), 5, 1.5, False, weights),
        ("nothing but noise", (10, 10, 10), 80, 0.0, False, shrunk),
        ("a single column", (9, 14), 1, 1.0, False, "One column is a matrix, too."),
        ("a class of one example", (1, 6), 3, 1.0, False, "Its mean is that example."),
    )
    for name, counts, d, apart, seen, reason in told:
        features, y = _classes(rng, counts, d, apart)
        yield Case(name, (features, y), close(_h_score(features, y)), visible=seen, reason=reason)
    features, y = _classes(rng, (15, 25, 20), 6, 1.0)
    features[:, 2] = 4.0
    given = (features, 2 * y)
    yield Case(
        "a constant column, labels with gaps",
        given,
        close(_h_score(*given)),
        reason="Only classes that are there.",
    )
    features = _classes(rng, (20, 10), 7, 1.0)[0].astype(np.float32)
    y = np.arange(30) % 2
    # float32 input, float64 arithmetic: only the rounding of the input is common to both.
    yield Case(
        "float32", (features, y), close(_h_score(features, y), rtol=1e-5), reason="Compute in float64."
    )
    constant = (np.full((6, 3), 2.0), np.arange(6) % 2)
    yield Case("all columns constant", constant, close(0.0), reason="The pseudo-inverse of zero is zero.")


# Notebook 06, 5 seeds: 50 mono labels with 500 poly labels added, and alone.
POOLED = [0.6418, 0.6414, 0.6336, 0.6436, 0.6363]
ALONE = [0.7465, 0.7173, 0.7470, 0.7076, 0.7108]


def _verdict(transferred: np.ndarray, control: np.ndarray, margin: float) -> dict[str, Any]:
    """Return the interval that the course's own `over_seeds` gives where test examples add no noise."""
    from course_lib.measure.verdict import over_seeds

    apart = transferred - control
    found = over_seeds(apart, np.zeros((2, len(apart))), 10**9)
    inside = margin > 0 and max(-found.low, found.high) <= margin
    beyond = {found.low > margin: "helped", found.high < -margin: "hurt", inside: "no difference"}
    answer = beyond.get(True, "cannot tell") if len(apart) > 2 else "cannot tell"
    return {"answer": answer, "difference": found.value, "low": found.low, "high": found.high}


def verdict_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Transfers that help, hurt and cannot be told, with margins and without."""

    def pair(s: int, by: float, scatter: float, seeds: float) -> tuple[np.ndarray, np.ndarray]:
        """Return scores whose differences have this mean and standard deviation, whatever the seeds do."""
        control = 0.7 + seeds * (rng.permutation(s) / (s - 1) - 0.5)
        z = rng.permutation(np.linspace(-1, 1, s)) + 0.1 * rng.normal(size=s)
        z = (z - z.mean()) / z.std(ddof=1)
        return control + by + scatter * z, control

    real = (np.array(POOLED), np.array(ALONE), 0.0)
    yield Case(
        "500 poly labels for mono", real, close(_verdict(*real)), visible=True, reason="Which side of 0?"
    )
    paired = "Every seed is a pair: subtract before you average."
    few = "With few seeds the normal's 1.96 is far too small."
    told = (
        ("a small gain under large differences between seeds", pair(6, 0.02, 0.01, 0.3), 0.0, True, paired),
        ("three seeds that scatter", pair(3, 0.03, 0.018, 0.1), 0.0, False, few),
        (
            "two seeds far apart from the control",
            pair(2, -0.3, 0.001, 0.1),
            0.0,
            False,
            "Two seeds may not speak.",
        ),
        (
            "a gain smaller than what matters",
            pair(8, 0.01, 0.004, 0.1),
            0.02,
            False,
            "It lies within the margin.",
        ),
        (
            "a loss larger than the margin",
            pair(5, -0.08, 0.01, 0.1),
            0.03,
            False,
            "Which end of the interval?",
        ),
        ("across the margin", pair(7, 0.02, 0.01, 0.1), 0.02, False, "Partly within, partly beyond."),
        ("a loss within no margin", pair(12, -0.01, 0.004, 0.2), 0.0, False, paired),
        ("noise", pair(9, 0.0, 0.03, 0.1), 0.0, False, "The interval holds 0."),
        (
            "beyond zero but not beyond the margin",
            pair(5, 0.03, 0.012, 0.1),
            0.02,
            False,
            "Helped means more than that.",
        ),
    )
    for name, (a, b), margin, seen, reason in told:
        yield Case(name, (a, b, margin), close(_verdict(a, b, margin)), visible=seen, reason=reason)
    same = 0.7 + rng.normal(size=4) / 50
    given = (same, same.copy(), 0.0)
    yield Case(
        "equal on every seed",
        given,
        close(_verdict(*given)),
        reason="Without a margin, no difference is none.",
    )


# Notebook 06, CIFAR-10 with 300 labels, ImageNet's four views: LogME, and what a probe reached.
CIFAR = {
    "ImageNet, block10": (-0.1359, 0.5950),
    "ImageNet, block14": (-0.1289, 0.5550),
    "ImageNet, head": (-0.1274, 0.5250),
    "ImageNet, all three": (-0.1241, 0.5875),
}


def _read(scores: dict[str, float], reached: dict[str, float], half_width: float) -> dict[str, Any]:
    """Return the reading by way of SciPy's Kendall correlation and NumPy's order."""
    from scipy.stats import kendalltau

    names = np.array(list(scores))
    a, b = np.array(list(scores.values())), np.array([reached[name] for name in scores])
    chosen = str(names[a.argsort()[-1]])
    share = (float(kendalltau(a, b).statistic) + 1) / 2
    wide = bool(np.ptp(b) > np.sqrt(2) * half_width)
    return {"chosen": chosen, "lost": 100 * (np.sort(b)[-1] - reached[chosen]), "pairs": share, "order": wide}


def ranking_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Panels with and without an order."""
    small = ({"a": 1.0, "b": 3.0, "c": 2.0}, {"a": 0.5, "b": 0.7, "c": 0.8}, 0.1)
    reason = "Three pairs; the network furthest right; how far is it from the highest?"
    yield Case("three networks", small, close(_read(*small)), visible=True, reason=reason)
    scores, reached = ({name: pair[k] for name, pair in CIFAR.items()} for k in (0, 1))
    figure = (scores, reached, 0.047)
    reason = "A dict of a text, two numbers and True or False."
    yield Case("ImageNet's four views, CIFAR-10", figure, kind(_read(*figure)), visible=True, reason=reason)
    yield Case("the same, read exactly", figure, close(_read(*figure)), reason="Cover all other points.")
    told = (
        ("twelve networks", 12, 0.3, 0.05, "Pairs, not places."),
        ("all within their intervals", 6, 0.04, 0.05, "Is there an order that could be seen?"),
        (
            "wider than one interval, not than a difference's",
            7,
            0.06,
            0.05,
            "A difference of two has a wider interval.",
        ),
        ("just wide enough", 5, 0.08, 0.05, "The half width of a difference is 1.41 times as large."),
        ("two networks", 2, 0.2, 0.01, "A single pair."),
    )
    for name, n, wide, half_width, reason in told:
        names = [f"network {k}" for k in rng.permutation(n)]
        accuracies = 0.6 + wide * (rng.permutation(n) / (n - 1) - 0.5)
        marks = rng.normal(size=n) - 2
        scores = dict(zip(names, marks.tolist(), strict=True))
        reached = {names[int(k)]: float(accuracies[k]) for k in rng.permutation(n)}
        given = (scores, reached, half_width)
        yield Case(name, given, close(_read(*given)), reason=reason)
    names = [f"network {k}" for k in range(5)]
    scores = {name: -float(k) for k, name in enumerate(names)}
    reached = {name: 0.5 + 0.1 * k for k, name in enumerate(names)}
    given = (scores, reached, 0.02)
    yield Case("the order turned round", given, close(_read(*given)), reason="No pair is in the same order.")


EXERCISES = [
    Exercise(
        "06.1",
        "leep",
        leep_cases,
        (
            Wrong(
                "P(z | y) instead of P(y | z)",
                (("joint.sum(axis=0)", "joint.sum(axis=1, keepdims=True)"),),
                "five target classes",
            ),
            Wrong(
                "no care for empty columns",
                (("np.where(mass > 0, mass, 1)", "mass"),),
                "a source class that is never likely",
            ),
            Wrong("in bits", (("np.log(", "np.log2("),), "twenty pictures, three source classes"),
            Wrong("a sum", ((".mean())", ".sum())"),), "five target classes"),
            Wrong(
                "the logarithm of the mean",
                (("np.log(likely).mean()", "np.log(likely.mean())"),),
                "a source that says the same of all",
            ),
            Wrong(
                "the source's likeliest class only",
                (("    joint = ", "    theta = np.eye(theta.shape[1])[theta.argmax(axis=1)]\n    joint = "),),
                "twenty pictures, three source classes",
            ),
            Wrong(
                "the joint instead of the conditional",
                (("(one_hot @ given)", "(one_hot @ joint)"),),
                "more source classes than pictures",
            ),
            Wrong(
                "labels without gaps assumed",
                (("np.unique(y)", "np.arange(len(np.unique(y)))"),),
                "a class without examples",
            ),
            Wrong(
                "normalises in place",
                (("theta = theta.astype(np.float64)", "theta /= theta.sum(axis=1, keepdims=True)"),),
                "five target classes",
            ),
        ),
    ),
    Exercise(
        "06.2",
        "h_score",
        h_score_cases,
        (
            Wrong("classes weigh the same", (("np.mean(y == c)", "1 / len(np.unique(y))"),), "a rare class"),
            Wrong(
                "not shrunk",
                (
                    (
                        "whole, alpha = ledoit_wolf(x)",
                        "whole, alpha = np.atleast_2d(np.cov(x, rowvar=False, bias=True)), 0",
                    ),
                ),
                "nothing but noise",
            ),
            Wrong("without the factor", (("(1 - alpha) * ", ""),), "more columns than examples"),
            Wrong(
                "the factor the wrong way", (("(1 - alpha) * ", "alpha * "),), "three classes of equal size"
            ),
            Wrong("not around the mean", ((" - x.mean(axis=0)", ""),), "three classes of equal size"),
            Wrong(
                "around the mean of the class means",
                (
                    (
                        " - x.mean(axis=0)",
                        " - np.mean([x[y == k].mean(axis=0) for k in np.unique(y)], axis=0)",
                    ),
                ),
                "a rare class",
            ),
            Wrong(
                "an inverse that may not exist",
                (("np.linalg.pinv", "np.linalg.inv"),),
                "all columns constant",
            ),
            Wrong(
                "all numbers up to the largest",
                (("for c in np.unique(y):", "for c in range(y.max() + 1):"),),
                "a constant column, labels with gaps",
            ),
            Wrong(
                "centres in place",
                (("x = features.astype(np.float64)", "x = features; x -= x.mean(axis=0)"),),
                "a rare class",
            ),
        ),
    ),
    Exercise(
        "06.3",
        "verdict",
        verdict_cases,
        (
            Wrong(
                "the normal's quantile",
                (("stats.t.ppf(0.975, s - 1)", "stats.norm.ppf(0.975)"),),
                "three seeds that scatter",
            ),
            Wrong("divides by s", (("ddof=1", "ddof=0"),), "500 poly labels for mono"),
            Wrong("one-sided", (("0.975", "0.95"),), "noise"),
            Wrong("forgets the root", ((" / np.sqrt(s)", ""),), "a loss within no margin"),
            Wrong(
                "not paired",
                (
                    (
                        "d.std(ddof=1) / np.sqrt(s)",
                        "np.sqrt((transferred.var(ddof=1) + control.var(ddof=1)) / s)",
                    ),
                ),
                "a small gain under large differences between seeds",
            ),
            Wrong(
                "two seeds may speak",
                (("s >= 3 and high < -margin", "high < -margin"),),
                "two seeds far apart from the control",
            ),
            Wrong(
                "the mean alone decides",
                (("low > margin", "value > margin"), ("high < -margin", "value < -margin")),
                "beyond zero but not beyond the margin",
            ),
            Wrong("no margin", (("low > margin", "low > 0"),), "beyond zero but not beyond the margin"),
            Wrong(
                "control minus transferred",
                (("transferred - control", "control - transferred"),),
                "a loss larger than the margin",
            ),
            Wrong(
                "no difference whenever 0 is inside",
                (("margin > 0 and -margin <= low and high <= margin", "low <= 0 <= high"),),
                "noise",
            ),
            Wrong(
                "subtracts in place",
                (("d = transferred - control", "d = transferred\n    d -= control"),),
                "across the margin",
            ),
        ),
    ),
    Exercise(
        "06.4",
        "read_ranking",
        ranking_cases,
        (
            Wrong(
                "the best instead of the chosen",
                (("key=scores.get", "key=reached.get"),),
                "the same, read exactly",
            ),
            Wrong("shares for points", (("100 * (max", "(max"),), "three networks"),
            Wrong("the wrong way round", (("reached[b]) > 0", "reached[b]) < 0"),), "the order turned round"),
            Wrong(
                "forgets the difference of two",
                (("2**0.5 * half_width", "half_width"),),
                "wider than one interval, not than a difference's",
            ),
            Wrong("twice the half width", (("2**0.5 * half_width", "2 * half_width"),), "just wide enough"),
            Wrong(
                "always an order",
                (("bool(max(values) - min(values) > 2**0.5 * half_width)", "True"),),
                "all within their intervals",
            ),
            Wrong(
                "neighbours only",
                (("for b in names[:k]", "for b in names[max(k - 1, 0) : k]"),),
                "three networks",
            ),
            Wrong(
                "the worst is what is lost",
                (("(max(values) - reached[chosen])", "(reached[chosen] - min(values))"),),
                "the same, read exactly",
            ),
        ),
    ),
]
