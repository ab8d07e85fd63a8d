"""Checks of notebook 09: calibration per language, split by meaning, interval of the gap, honest choice."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib import measure
from course_lib.grading import Case, Exercise, Wrong, choice, close, equal


def _errors(p: np.ndarray, y: np.ndarray, languages: list[str], bins: int) -> dict[str, float]:
    """Return the ECE per language, by the course's own measure."""
    tags = np.array(languages)
    parts = {str(tag): tags == tag for tag in np.unique(tags)} | {"all": np.ones(len(tags), bool)}
    return {
        tag: float(measure.expected_calibration_error(p[rows], y[rows], bins, resamples=2).value)
        for tag, rows in parts.items()
    }


def calibration_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 09.1."""

    def case(
        name: str,
        sizes: dict[str, int],
        k: int,
        bins: int,
        *,
        seen: bool = False,
        reason: str = "",
        dtype: Any = float,
    ) -> Case:
        n = sum(sizes.values())
        p = rng.dirichlet(np.full(k, 0.4), size=n)
        languages = [
            str(tag) for tag in rng.permutation([t for t, size in sizes.items() for _ in range(size)])
        ]
        hit = rng.random(n) < np.where(np.array(languages) == languages[0], 0.9, 0.35)
        y = np.where(hit, p.argmax(axis=1), rng.integers(k, size=n))
        p = p.astype(dtype)
        # float32: a confidence carries seven digits, and n of them are summed
        told = close(_errors(p, y, languages, bins), rtol=1e-6 if dtype is float else 1e-4, atol=1e-7)
        return Case(name, (p, y, languages, bins), told, visible=seen, reason=reason)

    rows = "Which rows belong to which language, and by how many is each sum divided?"
    yield case("two languages", {"en": 60, "zh": 60}, 4, 10, seen=True, reason=rows)
    yield case("more Chinese than English", {"en": 20, "zh": 80}, 3, 5, seen=True, reason=rows)
    yield case("three languages", {"en": 40, "zh": 30, "zh-Hant": 25}, 6, 15, reason=rows)
    yield case("one language", {"zh": 50}, 3, 10, reason="The language, and all: the same number twice.")
    yield case("one bin", {"en": 30, "zh": 45}, 5, 1, reason="Mean confidence against accuracy.")
    yield case("one row of a language", {"en": 1, "zh": 12}, 3, 10, reason=rows)
    yield case("float32", {"en": 40, "zh": 40}, 16, 10, dtype=np.float32, reason=rows)

    edge = "A bin holds its upper edge, not its lower one."
    p = np.array(
        [[0.5, 0.25, 0.25], [0.25, 0.625, 0.125], [0.125, 0.125, 0.75], [0.75, 0.125, 0.125], [0.0, 1.0, 0.0]]
    )
    y = np.array([1, 1, 2, 0, 1])
    languages = ["en", "en", "zh", "zh", "zh"]
    told = close(_errors(p, y, languages, 4))
    yield Case("confidence on an edge", (p, y, languages, 4), told, reason=edge)

    n = 2 * int(
        rng.integers(10, 20)
    )  # English right and shy, Chinese wrong and as sure: together it looks well
    p, languages = np.tile([[0.5, 0.3, 0.2]], (n, 1)), ["en", "zh"] * (n // 2)
    y = np.array([0, 1] * (n // 2))
    told = close({"en": 0.5, "zh": 0.5, "all": 0.0})
    reason = "The errors of two languages may cancel: all is no average of the two."
    yield Case("errors that cancel", (p, y, languages, 10), told, reason=reason)


def _split(ids: np.ndarray, numbers: np.ndarray, rows: int) -> np.ndarray:
    """Return the split that the text describes, one id after another."""
    known = sorted({int(i) for i in ids})
    taken: set[int] = set()
    held = 0
    for _, one in sorted(zip(numbers.tolist(), known, strict=True)):
        if held >= rows:
            break
        taken.add(one)
        held += sum(int(i) == one for i in ids)
    return np.array([int(i) in taken for i in ids], bool)


def split_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 09.2."""

    def case(
        name: str, ids: np.ndarray, rows: int, *, numbers: Any = None, seen: bool = False, reason: str = ""
    ) -> Case:
        numbers = rng.random(len(set(ids.tolist()))) if numbers is None else np.asarray(numbers)
        return Case(
            name, (ids, numbers, rows), equal(_split(ids, numbers, rows)), visible=seen, reason=reason
        )

    together = "Do rows of one id stay together, and are rows counted, not ids?"
    yield case("each id twice", np.tile(np.arange(12), 2), 6, seen=True, reason=together)
    mixed = rng.permutation(np.repeat(np.arange(9), [1, 2, 3, 1, 2, 4, 1, 2, 3]))
    yield case("ids once, twice and more", mixed, 7, seen=True, reason=together)
    yield case(
        "an odd number of rows", np.repeat(np.arange(10), 2), 7, reason="At least that many, whole ids."
    )
    odd = rng.permutation(np.repeat(rng.choice(np.arange(-500, 500), 15, replace=False), 3))
    yield case("any ids, in any order", odd, 11, reason="Numbers belong to the ids in ascending order.")
    tied = np.array([0.5, 0.2, 0.5, 0.2, 0.2, 0.9, 0.5, 0.2] + [0.2, 0.5] * 16)
    yield case(
        "numbers that tie", np.tile(np.arange(40), 2), 38, numbers=tied, reason="The smaller id comes first."
    )
    yield case("nothing for the test", np.tile(np.arange(5), 2), 0, reason="rows is 0.")
    yield case("everything for the test", np.tile(np.arange(5), 2), 40, reason="rows is more than there are.")
    yield case("one id", np.full(4, 7), 1, reason=together)
    sizes = rng.integers(1, 6, 80)
    yield case(
        "many ids", rng.permutation(np.repeat(np.arange(80), sizes)), int(sizes.sum()) // 4, reason=together
    )


def _interval(english: np.ndarray, chinese: np.ndarray, draws: np.ndarray) -> dict[str, Any]:
    """Return the interval by counting how often each sentence was drawn; percentiles by SciPy."""
    from scipy.stats.mstats import mquantiles

    s, n = english.shape
    e, c = english.astype(int).sum(axis=0), chinese.astype(int).sum(axis=0)
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws])
    gaps = (counts @ c - counts @ e) / (s * n)
    low, high = (float(v) for v in mquantiles(gaps, [0.025, 0.975], alphap=1, betap=1))
    seeds = [
        (int(b.sum()) - int(a.sum())) / n
        for a, b in zip(english.astype(int), chinese.astype(int), strict=True)
    ]
    verdict = "cannot tell"
    if high < 0:
        verdict = "worse"
    elif low > 0:
        verdict = "better"
    spread = max(seeds) - min(seeds)
    return {"gap": sum(seeds) / s, "low": low, "high": high, "spread": spread, "verdict": verdict}


def gap_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 09.3."""

    def case(
        name: str,
        s: int,
        n: int,
        b: int,
        *,
        shift: float = 0.2,
        verdict: str = "worse",
        seen: bool = False,
        dtype: Any = np.int64,
        reason: str = "Are the same sentences drawn for both languages and all seeds?",
    ) -> Case:
        while True:
            hard = rng.random(n)  # the sentence's own difficulty, the same in both languages
            english = hard + rng.normal(0, 0.15, (s, n)) < 0.7
            chinese = hard + rng.normal(0, 0.15, (s, n)) + shift * (1 + np.arange(s)[:, None] / s) < 0.7
            given = english.astype(dtype), chinese.astype(dtype), rng.integers(n, size=(b, n))
            told = _interval(*given)
            # No end of the interval at 0, where rounding would decide upon the verdict.
            if told["verdict"] == verdict and min(abs(told["low"]), abs(told["high"])) > 1e-6:
                return Case(name, given, close(told), visible=seen, reason=reason)

    yield case("three seeds", 3, 80, 400, seen=True)
    yield case("one seed", 1, 60, 300, seen=True)
    yield case("truth values", 4, 90, 300, dtype=bool, reason="Subtract numbers with a sign.")
    yield case("small whole numbers", 2, 70, 200, dtype=np.uint8, reason="Subtract numbers with a sign.")
    yield case(
        "Chinese is better", 3, 200, 400, shift=-0.3, verdict="better", reason="Chinese minus English."
    )
    yield case("many seeds", 10, 40, 200)
    yield case("few draws", 2, 30, 7, reason="Percentiles are interpolated linearly.")
    right = rng.integers(2, size=(3, 25))
    draws = rng.integers(25, size=(60, 25))
    told = close({"gap": 0.0, "low": 0.0, "high": 0.0, "spread": 0.0, "verdict": "cannot tell"})
    reason = "Equal answers have no gap, whatever is drawn."
    yield Case("no difference at all", (right, right.copy(), draws), told, reason=reason)
    reason = "What holds when the interval contains 0?"
    yield case("cannot tell", 2, 12, 300, shift=0.02, verdict="cannot tell", reason=reason)


def choice_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 09.4."""

    def recipes(names: list[str], best: int, seeds: int = 4) -> tuple[dict[str, Any], dict[str, float]]:
        """Return a table and the truth: recipes lie three points apart, seeds one around the middle."""
        order = [best, *(int(k) for k in rng.permutation([k for k in range(len(names)) if k != best]))]
        table, truth = {}, {}
        for place, k in enumerate(order):
            score = 0.68 - 0.03 * place
            luck = rng.uniform(-0.01, 0.01, seeds)
            luck -= luck.mean() * 0.9
            table[names[k]] = {
                "minutes": round(float(rng.uniform(2, 8)), 1),
                "validation": [round(float(v), 4) for v in score + 0.08 + luck],
                # The worse it is, the more often somebody looked.
                "peeked": [round(float(v), 4) for v in score + 0.05 * place + rng.uniform(0, 0.01, seeds)],
            }
            truth[names[k]] = score
        return {name: table[name] for name in names}, truth

    def told(table: dict[str, Any], truth: dict[str, float], minutes: float) -> Any:
        forbidden = {
            n: "it takes more minutes than there are" for n, row in table.items() if row["minutes"] > minutes
        }
        few = {n: "it has fewer than three seeds" for n, row in table.items() if len(row["validation"]) < 3}
        return choice(truth, within=0.01, forbidden=forbidden | few)

    names = ["last layer", "upper half", "all layers", "LoRA", "biases"]
    column = "Which column could you have filled without a Chinese label?"

    table, truth = recipes(names[:3], 2)
    yield Case(
        "three recipes, time enough", (table, 60.0), told(table, truth, 60.0), visible=True, reason=column
    )

    table, truth = recipes(names, int(rng.integers(5)))
    best = max(truth, key=lambda name: truth[name])
    table[best]["minutes"] = 45.0
    yield Case(
        "the best takes too long",
        (table, 10),
        told(table, truth, 10),
        visible=True,
        reason="How long may a fit take?",
    )

    table, truth = recipes(names, int(rng.integers(5)))
    best = max(truth, key=lambda name: truth[name])
    table[best]["minutes"] = 12.5
    reason = "Exactly as much is allowed."
    yield Case("exactly as many minutes", (table, 12.5), told(table, truth, 12.5), reason=reason)

    table, truth = recipes(names, int(rng.integers(5)), seeds=5)
    order = sorted(truth, key=lambda name: -truth[name])
    table[order[2]]["validation"][int(rng.integers(5))] += 0.1  # of five, the mean rises by two points
    reason = "One seed may be lucky: what would the next one score?"
    yield Case("a lucky seed", (table, 60), told(table, truth, 60), reason=reason)

    table, truth = recipes(names, int(rng.integers(5)), seeds=5)
    order = sorted(truth, key=lambda name: -truth[name])
    table[order[0]]["validation"][int(rng.integers(5))] -= (
        0.08  # the mean falls by 1.6 points, and still leads
    )
    yield Case("an unlucky seed", (table, 60), told(table, truth, 60), reason="One seed may be unlucky, too.")

    table, truth = recipes(names, int(rng.integers(5)))
    order = sorted(truth, key=lambda name: -truth[name])
    row = table[order[-1]]
    row["validation"], row["peeked"] = [0.9, 0.88], row["peeked"][:2]
    yield Case("two seeds only", (table, 60), told(table, truth, 60), reason="How many seeds must there be?")

    table, truth = recipes(names, int(rng.integers(5)), seeds=3)
    yield Case("somebody looked often", (table, 60), told(table, truth, 60), reason=column)

    table, truth = recipes(names, int(rng.integers(5)))
    for name, row in table.items():
        row["minutes"] = 20.0 + len(name)
    only = names[int(rng.integers(5))]
    table[only]["minutes"] = 3.0
    yield Case(
        "one recipe is quick enough", (table, 5.0), told(table, truth, 5.0), reason="How long may a fit take?"
    )


EXERCISES = [
    Exercise(
        "09.1",
        "calibration_errors",
        calibration_cases,
        (
            Wrong("lower edge in the bin", (('side="left"', 'side="right"'),), "confidence on an edge"),
            Wrong("divided by all rows", (("rows.sum())", "len(rows))"),), "two languages"),
            Wrong(
                "without absolute values",
                (("np.abs(np.bincount(place, gaps)).sum()", "abs(gaps.sum())"),),
                "two languages",
            ),
            Wrong(
                "an average of languages",
                (("error(np.ones(len(tags)))", "float(np.mean(list(found.values())))"),),
                "errors that cancel",
            ),
            Wrong("bins weigh alike", (("/ rows.sum())", "/ rows.sum() / bins)"),), "two languages"),
            Wrong(
                "probability of the label",
                (("probabilities.max(axis=1)", "probabilities[np.arange(len(labels)), labels]"),),
                "two languages",
            ),
            Wrong("no language", (("error(tags == tag)", "error(np.ones(len(tags)))"),), "two languages"),
        ),
    ),
    Exercise(
        "09.2",
        "group_split",
        split_cases,
        (
            Wrong(
                "rows are drawn",
                code="""
def group_split(ids, numbers, rows):
    mine = np.zeros(len(ids), bool)
    mine[np.argsort(np.resize(numbers, len(ids)), kind="stable")[:rows]] = True
    return mine
""",
                fails="many ids",
            ),
            Wrong(
                "ids are counted",
                (("before = np.cumsum(size[order]) - size[order]", "before = np.arange(len(order))"),),
                "each id twice",
            ),
            Wrong("one id too many", (("before < rows", "before <= rows"),), "each id twice"),
            Wrong(
                "at most, not at least",
                ((" - size[order]", ""), ("before < rows", "before <= rows")),
                "an odd number of rows",
            ),
            Wrong("the largest numbers", (("np.argsort(numbers", "np.argsort(-numbers"),), "many ids"),
            Wrong(
                "ids are positions",
                (("return chosen[which]", "return chosen[ids % len(chosen)]"),),
                "any ids, in any order",
            ),
            Wrong(
                "ties from behind",
                (('np.argsort(numbers, kind="stable")', "np.lexsort((-np.arange(len(numbers)), numbers))"),),
                "numbers that tie",
            ),
        ),
    ),
    Exercise(
        "09.3",
        "gap_interval",
        gap_cases,
        (
            Wrong(
                "unpaired",
                (
                    (
                        "drawn = difference.mean(axis=0)[draws].mean(axis=1)",
                        "drawn = np.asarray(chinese, float).mean(axis=0)[draws].mean(axis=1)"
                        " - np.asarray(english, float).mean(axis=0)[draws[::-1]].mean(axis=1)",
                    ),
                ),
                "three seeds",
            ),
            Wrong(
                "English minus Chinese",
                (
                    (
                        "np.asarray(chinese, float) - np.asarray(english, float)",
                        "np.asarray(english, float) - np.asarray(chinese, float)",
                    ),
                ),
                "three seeds",
            ),
            Wrong("nine in ten", (("[2.5, 97.5]", "[5, 95]"),), "three seeds"),
            Wrong(
                "the first seed", (("difference.mean(axis=0)[draws]", "difference[0][draws]"),), "three seeds"
            ),
            Wrong(
                "spread of sentences", (("by_seed.max() - by_seed.min()", "difference.std()"),), "three seeds"
            ),
            Wrong(
                "without a sign",
                (("np.asarray(chinese, float) - np.asarray(english, float)", "chinese ^ english"),),
                "truth values",
            ),
            Wrong(
                "whole numbers run over",
                (("np.asarray(chinese, float) - np.asarray(english, float)", "chinese - english"),),
                "small whole numbers",
            ),
            Wrong("always a verdict", (('"cannot tell"', '"better"'),), "no difference at all"),
        ),
    ),
    Exercise(
        "09.4",
        "choose_recipe",
        choice_cases,
        (
            Wrong(
                "peeked", (('table[name]["validation"])', 'table[name]["peeked"])'),), "somebody looked often"
            ),
            Wrong("the best seed", (("np.mean(table", "np.max(table"),), "a lucky seed"),
            Wrong("the worst seed", (("np.mean(table", "np.min(table"),), "an unlucky seed"),
            Wrong(
                "time does not matter", (('row["minutes"] <= minutes and ', ""),), "the best takes too long"
            ),
            Wrong(
                "less, not at most",
                (('row["minutes"] <= minutes', 'row["minutes"] < minutes'),),
                "exactly as many minutes",
            ),
            Wrong("any number of seeds", ((' and len(row["validation"]) >= 3', ""),), "two seeds only"),
        ),
    ),
]
