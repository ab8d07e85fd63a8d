"""Checks of notebook 07: statistics over batches, an offset, a choice without labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close, equal


def _statistics(
    batches: list[np.ndarray], source_mean: np.ndarray, source_variance: np.ndarray, prior: float
) -> dict[str, np.ndarray]:
    """Return the statistics by scikit-learn's scaler, which takes one batch after the other."""
    from sklearn.preprocessing import StandardScaler

    scaler, n = StandardScaler(), 0
    for batch in batches:
        scaler.partial_fit(batch.reshape(-1, batch.shape[-1]).astype(np.float64))
        n += len(batch)
    pairs = {"mean": (source_mean, scaler.mean_), "variance": (source_variance, scaler.var_)}
    return {name: (prior * ours + n * theirs) / (prior + n) for name, (ours, theirs) in pairs.items()}


def statistics_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 07.1."""

    def case(
        name: str,
        sizes: tuple[int, ...],
        shape: tuple[int, int, int],
        prior: float,
        *,
        apart: float = 0.0,
        base: float = 0.0,
        dtype: Any = np.float64,
        seen: bool = False,
        reason: str = "",
    ) -> Case:
        c = shape[-1]
        moves = apart * (rng.permutation(len(sizes)) - (len(sizes) - 1) / 2)
        batches = [
            (base + move + rng.normal(size=(n, *shape)) * np.linspace(0.5, 2, c)).astype(dtype)
            for n, move in zip(sizes, moves, strict=True)
        ]
        given = (batches, rng.normal(size=c), rng.uniform(0.5, 2, c), prior)
        return Case(name, given, close(_statistics(*given)), visible=seen, reason=reason)

    scatter = "The batches' means scatter, too: that belongs to the variance of all."
    few = "A batch of three pictures weighs three, not as much as one of forty."
    prior = "The prior counts pictures, n is their number: not that of places or batches."
    yield case("one batch, nothing of the source", (20,), (3, 2, 4), 0, seen=True, reason="Divide by n.")
    yield case(
        "dark and light batches of one size", (10, 10, 10), (2, 2, 3), 0, apart=3, seen=True, reason=scatter
    )
    yield case("a small last batch", (40, 40, 3), (2, 3, 2), 0, apart=4, reason=few)
    yield case("a prior of 16", (12, 5), (4, 4, 3), 16, apart=1, seen=True, reason=prior)
    yield case("much prior and one picture", (1,), (3, 3, 2), 100.5, reason=prior)
    yield case("one place, one channel", (6, 4), (1, 1, 1), 2, apart=1, reason="An average over n alone.")
    yield case(
        "float32, far from zero",
        (30, 20),
        (4, 4, 2),
        0,
        base=3000.0,
        dtype=np.float32,
        reason="Sums of squares in float32 lose the variance: work in float64, around the mean.",
    )
    still = [np.full((n, 2, 2, 2), 7.0) for n in (3, 2)]
    told = {"mean": np.array([7.0, 7.0]), "variance": np.zeros(2)}
    given = (still, np.ones(2), np.ones(2), 0.0)
    yield Case("nothing varies", given, close(told), reason="A variance of 0 is a variance.")


def _offset(scores: np.ndarray, y: np.ndarray, share: float) -> dict[str, float]:
    """Return the report by scikit-learn, the threshold by way of ranks."""
    from scipy.stats import rankdata
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    ranks = rankdata(-scores, method="ordinal")
    k = int(share * len(scores) + 0.5)
    cut = float(np.mean([scores[ranks == k][0], scores[ranks == k + 1][0]]))
    return {
        "auc": float(roc_auc_score(y, scores)),
        "before": float(balanced_accuracy_score(y, scores >= 0.5)),
        "threshold": cut,
        "after": float(balanced_accuracy_score(y, scores >= cut)),
    }


def offset_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 07.2."""

    def case(
        name: str,
        m: int,
        positive: float,
        move: float,
        apart: float,
        *,
        share: float | None = None,
        seen: bool = False,
        reason: str = "",
    ) -> Case:
        ones = max(1, min(m - 1, round(positive * m)))
        y = rng.permutation(np.repeat([0, 1], [m - ones, ones]))
        scores = 1 / (1 + np.exp(-(move + apart * y + rng.normal(size=m))))
        given = (scores, y, float(y.mean()) if share is None else share)
        return Case(name, given, close(_offset(*given)), visible=seen, reason=reason)

    moved = "The order is as it was: only the threshold is wrong."
    blind = "The threshold follows from scores and share; labels are for the report."
    rare = "Balanced accuracy is the mean of two recalls, whatever the classes' sizes."
    yield case("all scores too low", 60, 0.5, -4.0, 2.0, seen=True, reason=moved)
    yield case("all scores too high", 41, 0.4, 4.0, 1.5, seen=True, reason=moved)
    yield case("a rare class", 300, 0.05, -1.0, 2.0, reason=rare)
    yield case("a share that is known badly", 80, 0.5, 0.0, 1.0, share=0.2, reason=blind)
    yield case("no ranking left", 70, 0.3, -3.0, 0.0, reason="Then no threshold helps.")
    yield case("the order turned round", 70, 0.5, -1.0, -2.0, reason="An AUC below one half is one.")
    half = "Halves are rounded up: k is the whole part of πm + 1/2."
    yield case("a half to round", 5, 0.4, -2.0, 1.0, share=0.5, reason=half)
    yield case("two examples", 2, 0.5, 0.0, 5.0, reason="k is 1.")
    scores = np.round(1 / (1 + np.exp(-rng.normal(size=50))), 1) + 0.0
    y = rng.permutation(np.repeat([0, 1], 25))
    top = np.argsort(-scores, kind="stable")
    scores[top[:10]] += 0.05  # no tie at the tenth place, and many elsewhere
    given = (np.clip(scores, 0, 1), y, 0.2)
    yield Case("scores in tenths", given, close(_offset(*given)), reason="A tie counts one half in the AUC.")
    at = (np.array([0.5, 0.2, 0.7, 0.4]), np.array([1, 0, 1, 0]), 0.5)
    yield Case(
        "a score of one half", at, close(_offset(*at)), reason="From 0.5 on: 0.5 itself is answered 1."
    )


def _chosen(candidates: dict[str, np.ndarray], prior: np.ndarray) -> dict[str, Any]:
    """Return the choice by SciPy's entropies."""
    from scipy.stats import entropy

    mean = {name: float(np.mean(entropy(p, axis=1))) for name, p in candidates.items()}
    names = sorted(mean, key=lambda name: mean[name])
    k = len(prior)
    in_use = {
        name: np.exp(entropy((p.argmax(axis=1)[:, None] == np.arange(k)).mean(axis=0)))
        for name, p in candidates.items()
    }
    gone = [name for name in candidates if 2 * (in_use[name] - 1) < np.exp(entropy(prior)) - 1]
    left = [name for name in names if name not in gone]
    return {"trap": names[0], "collapsed": gone, "chosen": left[0] if left else None}


def choice_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 07.3."""

    def answers(n: int, shares: tuple[float, ...], sure: float) -> np.ndarray:
        """Return probabilities whose likeliest classes come in these shares, about so sure."""
        k = len(shares)
        counts = np.floor(np.array(shares) * n + 0.5).astype(int)
        said = np.repeat(np.arange(k), counts)[:n]
        p = rng.dirichlet(np.full(k, 2.0), size=len(said)) * (1 - sure)
        p[np.arange(len(said)), said] += sure
        return np.asarray(rng.permutation(p))

    def case(
        name: str,
        prior: tuple[float, ...],
        made: dict[str, tuple[tuple[float, ...], float]],
        *,
        seen: bool = False,
        reason: str = "",
    ) -> Case:
        names = list(made)
        order = [names[int(i)] for i in rng.permutation(len(names))]
        given = ({n: answers(200, *made[n]) for n in order}, np.array(prior))
        return Case(name, given, equal(_chosen(*given)), visible=seen, reason=reason)

    even = (0.25,) * 4
    lost = "The surest of all says one class: the guard comes before the choice."
    made = {"plain": (even, 0.55), "aligned": ((0.3, 0.3, 0.2, 0.2), 0.7), "run away": ((1.0, 0, 0, 0), 0.97)}
    yield case("one candidate collapsed", even, made, seen=True, reason=lost)
    made = {"a": (even, 0.6), "b": ((0.4, 0.2, 0.2, 0.2), 0.8), "c": ((0.04, 0.32, 0.32, 0.32), 0.6)}
    yield case("none collapsed", even, made, seen=True, reason="Then the trap is the choice.")
    made = {"a": ((0.98, 0.02), 0.7), "b": ((1.0, 0.0), 0.9), "c": ((0.03, 0.97), 0.8)}
    yield case("all collapsed", (0.5, 0.5), made, reason="None, not the least bad one.")
    rare = "A source with a rare class uses few classes itself: compare with the prior's number."
    made = {"a": ((0.9, 0.1), 0.6), "b": ((0.93, 0.07), 0.8), "gone": ((1.0, 0.0), 0.95)}
    yield case("a rare class in the source", (0.9, 0.1), made, reason=rare)
    two = "Of two classes one is always left: count those beyond the first."
    made = {"a": ((0.6, 0.4), 0.6), "b": ((0.96, 0.04), 0.9)}
    yield case("two classes, nearly one answer", (0.5, 0.5), made, reason=two)
    likeliest = "The shares are of likeliest classes, not the mean of the probabilities."
    unsure = np.tile([0.28, 0.24, 0.24, 0.24], (120, 1)) + 0.003 * rng.normal(size=(120, 1)) * [1, -1, 0, 0]
    given = ({"unsure, always the first": unsure, "plain": answers(120, even, 0.5)}, np.array(even))
    yield Case("a collapse that is not sure", given, equal(_chosen(*given)), reason=likeliest)
    hard = np.eye(4)[rng.permutation(np.arange(80) % 4)]
    given = ({"plain": answers(80, even, 0.5), "hard answers": hard}, np.array(even))
    yield Case("zeros and ones", given, equal(_chosen(*given)), reason="0 ln 0 is 0, and no NaN.")
    prior = (0.5, 0.5, 0.0, 0.0)
    made = {"a": ((0.5, 0.5, 0, 0), 0.6), "b": ((0.99, 0.01, 0, 0), 0.9)}
    yield case("classes that the source never had", prior, made, reason="0 ln 0 again.")
    large = tuple(np.full(10, 0.1))
    half = tuple(np.r_[np.full(6, 1 / 6), np.zeros(4)])
    made = {"ten": (large, 0.5), "six": (half, 0.8), "four": ((0.25,) * 4 + (0.0,) * 6, 0.9)}
    yield case(
        "ten classes, six and four in use", large, made, reason="Half of nine is 4.5; six use five more."
    )


EXERCISES = [
    Exercise(
        "07.1",
        "target_statistics",
        statistics_cases,
        (
            Wrong(
                "the mean of the batches' means",
                (
                    (
                        "mean = total / places",
                        "mean = np.mean([b.mean(axis=(0, 1, 2), dtype=np.float64) for b in batches], axis=0)",
                    ),
                ),
                "a small last batch",
            ),
            Wrong(
                "the mean of the batches' variances",
                (
                    (
                        "variance = squares / places",
                        "variance = np.mean([b.astype(float).var(axis=(0, 1, 2)) for b in batches], axis=0)",
                    ),
                ),
                "dark and light batches of one size",
            ),
            Wrong(
                "divided by one less",
                (("variance = squares / places", "variance = squares / (places - 1)"),),
                "one batch, nothing of the source",
            ),
            Wrong(
                "a standard deviation",
                (("variance = squares / places", "variance = (squares / places) ** 0.5"),),
                "one batch, nothing of the source",
            ),
            Wrong(
                "places counted instead of pictures",
                (("pictures += len(batch)", "pictures += batch[..., 0].size"),),
                "a prior of 16",
            ),
            Wrong(
                "batches counted instead of pictures",
                (("pictures += len(batch)", "pictures += 1"),),
                "a prior of 16",
            ),
            Wrong(
                "the shares turned round",
                (("share = prior / (prior + pictures)", "share = pictures / (prior + pictures)"),),
                "one batch, nothing of the source",
            ),
            Wrong(
                "the variance not mixed",
                (("share * source_variance + (1 - share) * variance", "variance"),),
                "much prior and one picture",
            ),
            Wrong(
                "squares minus square in float32",
                (
                    (
                        "variance = squares / places",
                        "variance = sum((b**2).sum(axis=(0, 1, 2)) for b in batches) / places - mean**2",
                    ),
                ),
                "float32, far from zero",
            ),
            Wrong(
                "centres in place",
                (
                    (
                        "squares = sum(((batch - mean) ** 2).sum(axis=(0, 1, 2)) for batch in batches)",
                        "squares = 0.0\n    for batch in batches:\n"
                        "        batch -= mean.astype(batch.dtype)\n"
                        "        squares = squares + (batch**2).sum(axis=(0, 1, 2))",
                    ),
                ),
                "one batch, nothing of the source",
            ),
        ),
    ),
    Exercise(
        "07.2",
        "offset",
        offset_cases,
        (
            Wrong(
                "a threshold that looks at labels",
                (("share * len(scores) + 0.5", "y.mean() * len(scores) + 0.5"),),
                "a share that is known badly",
            ),
            Wrong(
                "accuracy instead of balanced accuracy",
                (
                    (
                        "float((said[y == 1].mean() + (1 - said[y == 0]).mean()) / 2)",
                        "float((said == y).mean())",
                    ),
                ),
                "a rare class",
            ),
            Wrong("the wrong end", (("np.sort(scores)[::-1]", "np.sort(scores)"),), "a rare class"),
            Wrong(
                "one place further",
                (("(falling[k - 1] + falling[k]) / 2", "(falling[k - 2] + falling[k - 1]) / 2"),),
                "all scores too low",
            ),
            Wrong(
                "the score itself",
                (("(falling[k - 1] + falling[k]) / 2", "falling[k - 1]"),),
                "all scores too low",
            ),
            Wrong("ties are wins", (("0.5 * (ones == zeros)", "(ones == zeros)"),), "scores in tenths"),
            Wrong("ties are losses", ((" + 0.5 * (ones == zeros)", ""),), "scores in tenths"),
            Wrong(
                "an AUC never below one half",
                (('"auc": auc,', '"auc": max(auc, 1 - auc),'),),
                "the order turned round",
            ),
            Wrong(
                "rounds halves to even",
                (("int(np.floor(share * len(scores) + 0.5))", "round(share * len(scores))"),),
                "a half to round",
            ),
            Wrong(
                "above one half only",
                (("(scores >= 0.5)", "(scores > 0.5)"),),
                "a score of one half",
            ),
            Wrong(
                "sorts in place",
                (
                    (
                        "falling = np.sort(scores)[::-1]",
                        "scores.sort()\n    falling = scores[::-1]",
                    ),
                ),
                "all scores too low",
            ),
        ),
    ),
    Exercise(
        "07.3",
        "choose",
        choice_cases,
        (
            Wrong(
                "no guard",
                (("min(left, key=sure.get) if left else None", "min(sure, key=sure.get)"),),
                "one candidate collapsed",
            ),
            Wrong(
                "the least bad one where all collapsed",
                (("if left else None", "if left else min(sure, key=sure.get)"),),
                "all collapsed",
            ),
            Wrong(
                "half of all classes",
                (
                    (
                        "np.exp(entropy(shares)) - 1 < 0.5 * (np.exp(entropy(prior)) - 1)",
                        "np.exp(entropy(shares)) < 0.5 * np.exp(entropy(prior))",
                    ),
                ),
                "two classes, nearly one answer",
            ),
            Wrong(
                "against even shares",
                (("np.exp(entropy(prior)) - 1", "len(prior) - 1"),),
                "a rare class in the source",
            ),
            Wrong(
                "shares of the mean probability",
                (
                    (
                        "np.bincount(p.argmax(axis=1), minlength=len(prior)) / len(p)",
                        "p.mean(axis=0)",
                    ),
                ),
                "a collapse that is not sure",
            ),
            Wrong("0 ln 0 is NaN", (("np.where(p > 0, p, 1)", "p"),), "zeros and ones"),
            Wrong(
                "the least sure one",
                (("min(left, key=sure.get)", "max(left, key=sure.get)"),),
                "none collapsed",
            ),
            Wrong(
                "the entropy of the mean answer",
                (("entropy(p).mean() for", "entropy(p.mean(axis=0)) for"),),
                "none collapsed",
            ),
            Wrong(
                "entropies compared, not numbers of classes",
                (
                    (
                        "np.exp(entropy(shares)) - 1 < 0.5 * (np.exp(entropy(prior)) - 1)",
                        "entropy(shares) < 0.5 * entropy(prior)",
                    ),
                ),
                "ten classes, six and four in use",
            ),
        ),
    ),
]
