"""Checks of notebook 02: the place on the map, a scale that does not peek, a source worth its labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib import show
from course_lib.grading import Case, Exercise, Wrong, choice, close, equal

ANIMALS = ("cat", "dog", "horse", "frog", "deer", "ship", "猫", "狗")


def place_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 02.1."""

    def case(name: str, p: float, same_task: bool, n: int, m: int, reason: str = "", **more: Any) -> Case:
        words = [str(w) for w in rng.permutation(ANIMALS)]
        k = int(rng.integers(2, 5))
        source = words[:k]
        target = more.get("target", source[::-1] if same_task else words[k : k + int(rng.integers(2, 4))])
        if target == "a part":
            target = source[:-1]
        key = show.setting_of(
            domain="the same" if p >= 0.01 else "another",
            task="the same" if same_task else "another",
            source_labels="yes" if n else "no",
            target_labels="yes" if m else "no",
        ).key
        seen = bool(more.get("seen"))
        return Case(name, (p, source, target, n, m), equal(key), visible=seen, reason=reason)

    low, high = float(rng.uniform(0.0005, 0.009)), float(rng.uniform(0.02, 0.9))
    n, m = int(rng.integers(50, 5000)), int(rng.integers(1, 50))
    table = "Find the row of the table that fits the four answers."
    yield case("another domain, no label there", low, True, n, 0, table, seen=True)
    yield case("another task, labels on both sides", high, False, n, m, table, seen=True)
    yield case("labels in both domains", low, True, n, m, table)
    yield case("nothing differs", high, True, n, m, table)
    yield case("nothing differs, labels in the target", high, True, 0, m, table)
    yield case("nothing differs, no labels", high, True, 0, 0, table)
    yield case("another task, no label for it", low, False, n, 0, table)
    yield case("another domain, labels there only", low, True, 0, m, table)
    yield case("another task, labels there only", high, False, 0, m, table)
    yield case("everything differs, no labels", low, False, 0, 0, table)
    yield case("another task and domain", low, False, n, m, table)
    yield case("exactly 0.01", 0.01, True, n, 0, "From 0.01 on the domain is the same.")
    some = "The same task means exactly the same classes."
    yield case("a part of the classes", high, False, n, m, some, target="a part")
    yield case("one label in the target", low, True, n, 1, "One label is a label.")


def _by_sklearn(train: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return scikit-learn's standardisation."""
    from sklearn.preprocessing import StandardScaler

    return np.asarray(StandardScaler().fit(train.astype(np.float64)).transform(other.astype(np.float64)))


def scale_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 02.2."""
    whose = "Whose mean and whose spread are they?"
    for name, n, m, d, dtype, seen, reason in (
        ("a shifted batch", 20, 6, 4, np.float64, True, whose),
        ("one example", 15, 1, 3, np.float64, True, "A single row has a place on the scale of train."),
        ("two training examples", 2, 5, 3, np.float64, False, "The spread divides by n."),
        ("more features than examples", 6, 9, 30, np.float64, False, whose),
        ("float32", 50, 20, 8, np.float32, False, "Compute in float64."),
    ):
        scale, middle = rng.uniform(0.1, 5, size=d), rng.uniform(-20, 20, size=d)
        train = (rng.normal(size=(n, d)) * scale + middle).astype(dtype)
        other = (rng.normal(size=(m, d)) * scale + middle + 2 * scale).astype(dtype)
        yield Case(name, (train, other), close(_by_sklearn(train, other)), visible=seen, reason=reason)
    train = rng.normal(size=(12, 3)) * [1.0, 1e-7, 1e6]
    other = rng.normal(size=(5, 3)) * [1.0, 1e-7, 1e6]
    small = "A feature of a small scale is no constant."
    yield Case("features of all scales", (train, other), close(_by_sklearn(train, other)), reason=small)
    values = np.array([0.1, 0.3, 0.7, 1.1, 2.3, 3.7])
    train = np.hstack([rng.normal(size=(37, 2)), np.tile(values, (37, 1))])
    other = rng.normal(size=(8, 8)) + 3
    told = np.hstack([_by_sklearn(train[:, :2], other[:, :2]), other[:, 2:] - values])
    constant = "What is the spread of 37 times 0.1, computed? And what shall be done with a constant?"
    yield Case("constant features", (train, other), close(told), reason=constant)
    train = rng.normal(size=(1, 5))
    other = rng.normal(size=(4, 5))
    yield Case("one training example", (train, other), close(other - train), reason=constant)
    train = rng.normal(size=(9, 4)) + 7
    nothing = close(np.empty((0, 4)))
    yield Case("no example", (train, np.empty((0, 4))), nothing, reason="No row in, no row out.")
    yield Case("train itself", (train, train.copy()), close(_by_sklearn(train, train)), reason=whose)


MEASURED = {
    "mono, as it is": (0, 0.721, [0.5, 0.5, 0.5], 0.5),
    "mono, own scales": (0, 0.716, [0.741, 0.707, 0.659], 0.644),
    "20 poly": (20, None, [0.647, 0.624, 0.566], 0.581),
    "40 poly": (40, None, [0.707, 0.624, 0.624], 0.608),
    "mono and 40 poly": (40, None, [0.718, 0.73, 0.63], 0.656),
    "140 poly": (140, None, [0.789, 0.671, 0.725], 0.624),
    "mono and 140 poly": (140, None, [0.73, 0.712, 0.659], 0.653),
    "440 poly": (440, None, [0.83, 0.73, 0.748], 0.648),
    "mono and 440 poly": (440, None, [0.677, 0.712, 0.654], 0.668),
}
"""Training labels, score at home, scores on validation, held-out score."""


def source_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 02.3: what held-out cells say, is known to the case alone."""

    def case(
        name: str, rows: dict[str, tuple[Any, ...]], budget: int, reason: str, *, check: int = 60, **more: Any
    ) -> Case:
        names = [str(k) for k in (list(rows) if more.get("seen") else rng.permutation(list(rows)))]
        table = {
            key: {
                "train": rows[key][0],
                "check": more.get("checks", {}).get(key, check),
                "home": rows[key][1],
                "scores": [round(v, 4) for v in rows[key][2]],
            }
            for key in names
        }
        held = {key: rows[key][3] for key in names}
        dear = {
            key: "it takes more labels than there are, those of validation counted in"
            for key, row in table.items()
            if row["train"] + row["check"] > budget
        }
        told = choice(held, within=0.025, forbidden=dear)
        return Case(name, (table, budget), told, visible=bool(more.get("seen")), reason=reason)

    def around(mean: float, spread: float) -> list[float]:
        return [mean + spread * s for s in rng.permutation([-1.0, 0.0, 1.0])]

    price = "Which labels does an option cost?"
    earn = "Is the dearer one better by more than a standard error?"
    yield case("the table, 100 labels", MEASURED, 100, earn, seen=True)
    yield case("the table, 500 labels", MEASURED, 500, price, seen=True)
    yield case("the table, 200 labels", MEASURED, 200, earn)
    good = float(rng.uniform(0.7, 0.75))
    rows: dict[str, tuple[Any, ...]] = {
        "near": (0, 0.8, around(good, 0.01), good - 0.02),
        "nearer": (30, 0.8, around(good + 0.06, 0.01), good + 0.05),
        "nearest": (80, 0.9, around(good + 0.1, 0.01), good + 0.1),
    }
    yield case("the best cannot be paid", rows, 100, price, check=40)
    rows = {
        "free": (0, 0.7, around(good, 0.03), good - 0.01),
        "fifty labels": (50, None, around(good + 0.012, 0.04), good - 0.05),
        "ninety labels": (90, None, around(good + 0.007, 0.05), good - 0.06),
    }
    yield case("luck is not worth labels", rows, 1000, earn)
    rows = {
        "free": (0, 0.9, around(good, 0.02), good),
        "some labels": (100, None, around(good + 0.08, 0.02), good + 0.07),
        "many labels": (400, None, around(good + 0.085, 0.02), good + 0.03),
    }
    yield case(
        "labels that earn their price",
        rows,
        1000,
        "The cheapest of all is not the cheapest that is good enough.",
    )
    rows = {
        "from scratch": (60, None, around(good, 0.01), good),
        "a far source": (60, 0.97, around(good - 0.08, 0.01), good - 0.08),
        "a farther source": (0, 0.99, around(0.5, 0.01), 0.5),
    }
    yield case("every source hurts", rows, 200, "A source may score well at home, and nowhere else.")
    rows = {
        "steady": (40, 0.8, around(good, 0.005), good),
        "a lucky draw": (40, 0.8, [good - 0.1, good - 0.1, good + 0.08], good - 0.08),
        "never": (0, 0.8, around(good - 0.2, 0.01), good - 0.2),
    }
    yield case("one draw stands out", rows, 300, "One high draw is not a high mean.")
    rows = {
        "best": (200, 0.8, around(good, 0.03), good - 0.06),
        "as dear, better": (50, 0.8, around(good - 0.004, 0.01), good + 0.01),
        "as dear, worse": (50, 0.8, around(good - 0.009, 0.01), good - 0.05),
        "cheaper, worse": (10, 0.8, around(good - 0.05, 0.01), good - 0.06),
    }
    yield case(
        "two that cost the same", rows, 400, "Of equally cheap ones that are good enough, the higher mean."
    )
    rows = {
        "a": (30, 0.8, [good], good - 0.03),
        "b": (70, 0.8, [good + 0.01], good + 0.02),
        "c": (150, 0.8, [good - 0.02], good - 0.03),
    }
    yield case("a single draw", rows, 400, "One draw has no spread: its standard error is 0.", check=20)
    rows = {
        "many checks": (0, 0.8, around(good + 0.1, 0.01), good + 0.1),
        "few checks": (50, 0.8, around(good, 0.01), good),
        "poor": (0, 0.8, around(good - 0.15, 0.01), good - 0.15),
    }
    checks = {"many checks": 300, "few checks": 50, "poor": 50}
    yield case("validation that costs too much", rows, 100, price, checks=checks)
    # Standard deviation 0.05; over the root of three 0.029, as a population 0.024, undivided 0.05.
    rows = {
        "free": (0, 0.8, around(good - 0.0265, 0.002), good),
        "dear": (90, 0.8, around(good, 0.05), good - 0.04),
        "too poor": (0, 0.8, around(good - 0.04, 0.002), good - 0.07),
    }
    yield case("within one standard error", rows, 500, "Which standard deviation, and divided by what?")
    rows = {
        "free": (0, 0.8, around(good - 0.04, 0.002), good - 0.05),
        "dear": (90, 0.8, around(good, 0.05), good),
    }
    yield case("beyond one standard error", rows, 500, "Which standard deviation, and divided by what?")


EXERCISES = [
    Exercise(
        "02.1",
        "place",
        place_cases,
        (
            Wrong("0.01 is another domain", (("p >= 0.01", "p > 0.01"),), "exactly 0.01"),
            Wrong("domain upside down", (("p >= 0.01", "p < 0.01"),), "another domain, no label there"),
            Wrong(
                "lists in their order",
                (("set(source_classes) == set(target_classes)", "source_classes == target_classes"),),
                "another domain, no label there",
            ),
            Wrong(
                "a part is the whole",
                (("set(source_classes) == set", "set(source_classes) >= set"),),
                "a part of the classes",
            ),
            Wrong(
                "labels of the source only",
                (("source_labels + target_labels > 0", "source_labels > 0"),),
                "nothing differs, labels in the target",
            ),
            Wrong(
                "the task alone decides",
                (("if same_domain and same_task", "if same_task"),),
                "another domain, no label there",
            ),
            Wrong(
                "one label is none",
                (
                    (
                        '"supervised_adaptation" if target_labels > 0',
                        '"supervised_adaptation" if target_labels > 1',
                    ),
                ),
                "one label in the target",
            ),
            Wrong(
                "no source labels, no transfer",
                (('"self_taught" if target_labels > 0 else', '"ordinary" if target_labels > 0 else'),),
                "another domain, labels there only",
            ),
        ),
    ),
    Exercise(
        "02.2",
        "on_own_scale",
        scale_cases,
        (
            Wrong(
                "by the batch's own numbers",
                (("train = np.asarray(train,", "train = np.asarray(other,"),),
                "a shifted batch",
            ),
            Wrong(
                "both together",
                (("np.asarray(train, dtype=np.float64)", "np.vstack([train, other]).astype(float)"),),
                "a shifted batch",
            ),
            Wrong("one scale for all features", (("train.std(axis=0)", "train.std()"),), "a shifted batch"),
            Wrong(
                "divides by n - 1",
                (("train.std(axis=0)", "train.std(axis=0, ddof=1)"),),
                "two training examples",
            ),
            Wrong("the variance", (("train.std(axis=0)", "train.var(axis=0)"),), "a shifted batch"),
            Wrong("not centred", (("(other - train.mean(axis=0))", "other"),), "a shifted batch"),
            Wrong(
                "a little added",
                (("np.where(constant, 1.0, train.std(axis=0))", "train.std(axis=0) + 1e-6"),),
                "features of all scales",
            ),
            Wrong(
                "nothing for constants",
                (("np.where(constant, 1.0, train.std(axis=0))", "train.std(axis=0)"),),
                "one training example",
            ),
            Wrong(
                "constant by a spread of 0",
                (("train.max(axis=0) == train.min(axis=0)", "train.std(axis=0) == 0"),),
                "constant features",
            ),
            Wrong(
                "constant by a small spread",
                (("train.max(axis=0) == train.min(axis=0)", "train.std(axis=0) < 1e-5"),),
                "features of all scales",
            ),
            Wrong(
                "constants made zero",
                (
                    (
                        "    return (other",
                        "    other = np.where(constant, train.mean(axis=0), other)\n    return (other",
                    ),
                ),
                "constant features",
            ),
            Wrong(
                "in place",
                (
                    (
                        "    return (other - train.mean(axis=0)) / spread",
                        "    other -= train.mean(axis=0)\n    return other / spread",
                    ),
                ),
                "a shifted batch",
            ),
        ),
    ),
    Exercise(
        "02.3",
        "choose_source",
        source_cases,
        (
            Wrong(
                "validation costs nothing",
                (('row["train"] + row["check"]', 'row["train"]'),),
                "validation that costs too much",
            ),
            Wrong("the budget ignored", ((" if cost[name] <= budget", ""),), "the best cannot be paid"),
            Wrong("the budget not used up", (("<= budget", "< budget"),), "validation that costs too much"),
            Wrong(
                "the highest mean",
                (("    return min(enough, key=lambda name: (cost[name], -means[name]))", "    return best"),),
                "luck is not worth labels",
            ),
            Wrong(
                "the cheapest",
                (("in means if means[name] >= means[best] - error(best)", "in means"),),
                "labels that earn their price",
            ),
            Wrong(
                "the highest draw",
                (('np.mean(table[name]["scores"])', 'np.max(table[name]["scores"])'),),
                "one draw stands out",
            ),
            Wrong(
                "the score at home",
                (('np.mean(table[name]["scores"])', '(table[name]["home"] or 0)'),),
                "every source hurts",
            ),
            Wrong(
                "a standard deviation", ((" / np.sqrt(len(scores)) if", " if"),), "beyond one standard error"
            ),
            Wrong(
                "divided by the draws",
                (("/ np.sqrt(len(scores))", "/ len(scores)"),),
                "within one standard error",
            ),
            Wrong("the population's deviation", (("ddof=1", "ddof=0"),), "within one standard error"),
            Wrong("a single draw breaks", ((" if len(scores) > 1 else 0.0", ""),), "a single draw"),
            Wrong(
                "a tie by name",
                (("(cost[name], -means[name])", "(cost[name], means[name])"),),
                "two that cost the same",
            ),
            Wrong(
                "options deleted",
                (
                    (
                        "    def error",
                        "    for name in set(table) - set(means):\n        del table[name]\n\n    def error",
                    ),
                ),
                "the table, 100 labels",
            ),
        ),
    ),
]
