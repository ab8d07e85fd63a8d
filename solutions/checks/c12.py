"""Checks of the exercises of notebook 12: a group's gradient, the best number of machines, bucketing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close


def _group(each: list[np.ndarray], longest: float) -> np.ndarray:
    """Return the clipped mean of all examples' gradients, by way of the examples themselves."""
    g = np.concatenate(each).astype(np.float64).mean(axis=0)
    return g / max(1.0, float(np.linalg.norm(g.ravel())) / longest)


def gradient_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Shards of equal, unequal and no size."""
    told = (
        ("two equal shards", (4, 4), (3,), np.inf, True, "Here a mean of means is right, too."),
        ("six examples and two", (6, 2), (3,), np.inf, True, "Who has more examples counts for more."),
        ("a matrix", (5, 1, 3), (4, 2), np.inf, False, "Of any shape."),
        ("an empty shard", (3, 0, 2), (5,), np.inf, False, "Zero times NaN is NaN."),
        ("clipped", (3, 5), (6,), 0.25, True, "Of length 0.25, in the direction of the sum."),
        ("a clipped matrix", (2, 7), (3, 4), 0.1, False, "The length is over all numbers together."),
        ("clipped, with an empty shard", (1, 0, 9), (4,), 0.3, False, "Add first, then clip."),
        ("short enough", (2, 3), (4,), 1e3, False, "Nothing to clip."),
        ("a single process", (4,), (3,), 0.5, False, "A group of one."),
    )
    for name, sizes, shape, longest, seen, reason in told:
        each = [rng.normal(size=(n, *shape)) * (1 + 2 * r) + r for r, n in enumerate(sizes)]
        means = np.stack([e.mean(axis=0) if len(e) else np.full(shape, np.nan) for e in each])
        given = (means, np.array(sizes), longest)
        yield Case(name, given, close(_group(each, longest)), visible=seen, reason=reason)
    each = [rng.normal(size=(n, 4)).astype(np.float32) for n in (3, 30)]
    means = np.stack([e.mean(axis=0, dtype=np.float64).astype(np.float32) for e in each])
    given = (means, np.array([3, 30]), np.inf)
    yield Case("float32", given, close(_group(each, np.inf), rtol=1e-5, atol=1e-7))
    zero = (np.zeros((2, 3)), np.array([1, 2]), 1.0)
    yield Case("no slope at all", zero, close(np.zeros(3)), reason="Nothing has no direction: no clipping.")


def _best(
    step: float, serial: float, size: float, bandwidth: float, latency: float, most: int
) -> tuple[int, float]:
    """Return the best group in exact fractions, ties to the smaller one."""
    t, s, b, w, lag = map(Fraction, (step, serial, size, bandwidth, latency))
    seconds = {n: s * t + (1 - s) * t / n + 2 * (n - 1) * (b / (n * w) + lag) for n in range(1, most + 1)}
    n = min(seconds, key=lambda n: (seconds[n], n))
    return n, float(t / seconds[n])


def machine_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Links fast, slow and patient."""
    told = (
        ("talking is free", (0.5, 0.0, 0.0, 1e9, 0.0, 8), True, "All of them, eight times as fast."),
        ("a serial share", (0.5, 0.25, 0.0, 1e9, 0.0, 16), True, "Amdahl's law alone."),
        ("latency alone", (0.25, 0.0, 0.0, 1e9, 1 / 1024, 64), False, "Where does another one cost more?"),
        ("BERT over 10 Gbit/s", (0.15, 0.02, 440e6, 1.25e9, 2e-5, 64), True, "One machine has no talk."),
        (
            "BERT over NVLink",
            (0.15, 0.02, 440e6, 300e9, 2e-5, 64),
            False,
            "Twice: adding and handing around.",
        ),
        ("low rank over 10 Gbit/s", (0.15, 0.02, 4.4e6, 1.25e9, 2e-5, 64), False, "An N-th at a time."),
        ("one machine", (0.2, 0.1, 1e6, 1e9, 1e-4, 1), False, "Nobody to talk to."),
        ("all of it serial", (0.25, 1.0, 0.0, 1e9, 0.0, 9), False, "Equally fast: the smallest number."),
        ("a slow link", (0.01, 0.0, 1e9, 1e8, 0.0, 32), False, "More machines are slower than one."),
    )
    for name, given, seen, reason in told:
        yield Case(name, given, close(_best(*given)), visible=seen, reason=reason)
    for k in range(3):
        given = (
            float(rng.uniform(0.05, 1)),
            float(rng.uniform(0, 0.1)),
            float(rng.uniform(1e6, 1e8)),
            float(rng.uniform(5e9, 5e10)),
            float(rng.uniform(1e-5, 1e-3)),
            200,
        )
        yield Case(f"any machine, {k + 1}", given, close(_best(*given)), reason="Term by term.")


def _packed(lengths: np.ndarray, budget: int) -> tuple[list[list[int]], float]:
    """Return batches by a recursion over the sorted rows."""
    order = sorted(range(len(lengths)), key=lambda row: (int(lengths[row]), row))

    def cost(rows: list[int]) -> int:
        return len(rows) * max(int(lengths[row]) for row in rows)

    batches: list[list[int]] = []
    while order:
        taken = 1
        while taken < len(order) and cost(order[: taken + 1]) <= budget:
            taken += 1
        batches.append(order[:taken])
        order = order[taken:]
    return batches, 1 - sum(map(int, lengths)) / sum(map(cost, batches))


def bucket_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Sentences short and long, budgets small and large."""
    told = (
        ("five sentences", [9, 2, 8, 2, 2], 18, True, "Three of 2, then 8 and 9: 2 × 9 = 18 fits."),
        ("one token more", [9, 2, 8, 2, 2], 17, True, "2 × 9 is too much: a batch each."),
        ("longer than the budget", [5, 40, 3, 50, 5], 20, True, "Alone, and never lost."),
        ("all alike", [4] * 10, 12, False, "No padding at all; rows in their order."),
        ("a large budget", [3, 1, 2], 1000, False, "A single batch."),
        ("a budget of one", [1, 2, 1], 1, False, "Each by itself."),
        ("a single sentence", [7], 3, False, "It has to be read."),
    )
    for name, lengths, budget, seen, reason in told:
        given = (np.array(lengths), budget)
        yield Case(name, given, close(_packed(*given)), visible=seen, reason=reason)
    for n, budget in ((30, 64), (120, 200), (200, 90)):
        given = (rng.integers(3, 30, n), budget)
        yield Case(f"{n} sentences", given, close(_packed(*given)), reason="Equal lengths keep their order.")


EXERCISES = [
    Exercise(
        "12.1",
        "group_gradient",
        gradient_cases,
        (
            Wrong(
                "a mean of means",
                (("sizes[there] / sizes.sum()", "np.ones(there.sum()) / there.sum()"),),
                "six examples and two",
            ),
            Wrong("a sum", (("sizes[there] / sizes.sum()", "sizes[there]"),), "six examples and two"),
            Wrong("divides by the processes", (("sizes.sum()", "len(sizes)"),), "six examples and two"),
            Wrong(
                "NaN of an empty shard counts",
                (("there = sizes > 0", "there = sizes >= 0"),),
                "an empty shard",
            ),
            Wrong(
                "always of that length",
                (("if length > longest else g", "if np.isfinite(longest) else g"),),
                "short enough",
            ),
            Wrong("never clips", (("if length > longest else g", "if False else g"),), "clipped"),
            Wrong(
                "the largest number instead of the length",
                (("np.sqrt((g**2).sum())", "np.abs(g).max()"),),
                "clipped",
            ),
            Wrong(
                "a length for each column",
                (("(g**2).sum())", "(g**2).sum(axis=0).max())"),),
                "a clipped matrix",
            ),
            Wrong(
                "clips number by number",
                (("g * (longest / length)", "np.clip(g, -longest, longest)"),),
                "clipped",
            ),
        ),
    ),
    Exercise(
        "12.2",
        "best_group",
        machine_cases,
        (
            Wrong("counts from nought", (("return best + 1,", "return best,"),), "talking is free"),
            Wrong(
                "the last of equals",
                (("int(np.argmin(seconds))", "most - 1 - int(np.argmin(seconds[::-1]))"),),
                "all of it serial",
            ),
            Wrong("the slowest", (("np.argmin", "np.argmax"),), "talking is free"),
            Wrong("all machines, always", (("int(np.argmin(seconds))", "most - 1"),), "a slow link"),
            Wrong("talks once", (("2 * (n - 1)", "(n - 1)"),), "BERT over NVLink"),
            Wrong(
                "sends everything each time",
                (("size / (n * bandwidth)", "size / bandwidth"),),
                "low rank over 10 Gbit/s",
            ),
            Wrong("latency forgotten", ((" + latency", ""),), "latency alone"),
            Wrong(
                "latency once",
                (
                    (
                        "2 * (n - 1) * (size / (n * bandwidth) + latency)",
                        "2 * (n - 1) * size / (n * bandwidth) + latency",
                    ),
                ),
                "latency alone",
            ),
            Wrong(
                "nothing is serial",
                (("serial * step + (1 - serial) * step / n", "step / n"),),
                "a serial share",
            ),
            Wrong("the serial share on top", (("(1 - serial) * step / n", "step / n"),), "a serial share"),
            Wrong(
                "seconds instead of the speed-up",
                (("float(step / seconds[best])", "float(seconds[best])"),),
                "talking is free",
            ),
        ),
    ),
    Exercise(
        "12.3",
        "bucketed",
        bucket_cases,
        (
            Wrong(
                "not sorted",
                (
                    ('np.argsort(lengths, kind="stable").tolist()', "range(len(lengths))"),
                    ("lengths[batch[-1]]", "lengths[batch].max()"),
                ),
                "five sentences",
            ),
            Wrong(
                "longest first",
                (
                    ('np.argsort(lengths, kind="stable")', 'np.argsort(-lengths, kind="stable")'),
                    ("lengths[batch[-1]]", "lengths[batch].max()"),
                ),
                "five sentences",
            ),
            Wrong(
                "equal lengths turned round",
                (('np.argsort(lengths, kind="stable")', "np.lexsort((-np.arange(len(lengths)), lengths))"),),
                "all alike",
            ),
            Wrong(
                "padding is not paid for",
                (("(len(batches[-1]) + 1) * lengths[row]", "lengths[batches[-1]].sum() + lengths[row]"),),
                "one token more",
            ),
            Wrong(
                "forgets the new row",
                (("(len(batches[-1]) + 1) * lengths[row]", "len(batches[-1]) * lengths[row]"),),
                "one token more",
            ),
            Wrong("the budget may not be reached", (("<= budget", "< budget"),), "five sentences"),
            Wrong(
                "too long is left out",
                (("        else:\n", "        elif lengths[row] <= budget:\n"),),
                "longer than the budget",
            ),
            Wrong(
                "waste against what is needed",
                (("1 - lengths.sum() / paid", "paid / lengths.sum() - 1"),),
                "five sentences",
            ),
            Wrong(
                "the shortest is paid for", (("lengths[batch[-1]]", "lengths[batch[0]]"),), "five sentences"
            ),
            Wrong(
                "sorts in place",
                (("    batches = []\n", "    lengths.sort()\n    batches = []\n"),),
                "five sentences",
            ),
        ),
    ),
]
