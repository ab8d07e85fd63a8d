"""Checks of the exercises of notebook 11: a student's loss, a greedy soup, units that are matched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close


def _distillation(
    z: np.ndarray, t: np.ndarray, y: np.ndarray, temperature: float, weight: float
) -> tuple[float, np.ndarray]:
    """Return loss and gradient by SciPy's log-sum-exp, from cross-entropies with joined targets."""
    from scipy.special import log_softmax, softmax

    z, t = np.asarray(z, np.float64), np.asarray(t, np.float64)
    n, k = z.shape
    one_hot, q = np.eye(k)[y], softmax(t / temperature, axis=1)
    parts = ((1 - weight, one_hot, 1.0), (weight * temperature**2, q, temperature))
    loss = sum(-share * float((goal * log_softmax(z / at, axis=1)).sum()) for share, goal, at in parts)
    gradient = sum(share / at * (softmax(z / at, axis=1) - goal) for share, goal, at in parts)
    return loss / n, np.asarray(gradient) / n


def distillation_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Temperatures and shares, logits of every size."""
    mean = "A mean over the examples, in the loss and in the gradient."
    square = "T² in the loss, T in the gradient."
    told = (
        ("both parts, T = 2", 4, 3, 2.0, 0.5, 2.0, True, square),
        ("labels alone", 5, 4, 3.0, 0.0, 2.0, True, "A weight of 0 leaves the usual cross-entropy."),
        ("the teacher alone, T = 1", 6, 5, 1.0, 1.0, 3.0, False, "The labels play no part."),
        ("hot", 7, 3, 50.0, 0.7, 4.0, False, square),
        ("cold", 6, 4, 0.2, 0.4, 2.0, False, square),
        ("many classes", 3, 40, 4.0, 0.9, 3.0, False, mean),
        ("a single example", 1, 6, 2.5, 0.3, 2.0, False, mean),
        ("two classes", 9, 2, 5.0, 0.8, 2.0, False, mean),
    )
    for name, n, k, temperature, weight, size, seen, reason in told:
        given = (
            size * rng.normal(size=(n, k)),
            size * rng.normal(size=(n, k)),
            rng.integers(k, size=n),
            temperature,
            weight,
        )
        yield Case(name, given, close(_distillation(*given)), visible=seen, reason=reason)
    z, t, y = 1e4 * rng.normal(size=(6, 4)), 1e4 * rng.normal(size=(6, 4)), rng.integers(4, size=6)
    given = (z, t, y, 2.0, 0.5)
    reason = "exp(10,000) is infinite: subtract the largest logit, and stay in logarithms."
    yield Case("logits of ten thousand", given, close(_distillation(*given)), visible=True, reason=reason)
    z = (1000 + rng.normal(size=(5, 3))).astype(np.float32)  # a third of it is not exact in float32
    given = (z, z[::-1].copy(), rng.integers(3, size=5), 3.0, 0.6)
    yield Case("float32", given, close(_distillation(*given)), reason="Compute in float64.")
    z = rng.normal(size=(4, 5))
    given = (z, z + 3.0, z.argmax(axis=1), 4.0, 1.0)
    reason = "A constant added to all logits of a row changes no probability."
    yield Case(
        "a student that says what its teacher says", given, close(_distillation(*given)), reason=reason
    )


def _greedy(A: np.ndarray, B: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the soup by running sums and whole-number counts of right answers."""
    hidden = np.einsum("nd,mdh->mnh", x, A).clip(min=0)
    right = [
        int((np.einsum("nh,hk->nk", one, b).argmax(1) == y).sum()) for one, b in zip(hidden, B, strict=True)
    ]
    order = np.argsort([-count for count in right], kind="stable").tolist()
    kept, most = [order[0]], right[order[0]]
    sums = [A[order[0]].copy(), B[order[0]].copy()]
    for i in order[1:]:
        a, b = ((total + new) / (len(kept) + 1) for total, new in zip(sums, (A[i], B[i]), strict=True))
        count = int(((x @ a).clip(min=0) @ b).argmax(1).__eq__(y).sum())
        if count >= most:
            most, kept = count, [*kept, i]
            sums = [sums[0] + A[i], sums[1] + B[i]]
    a, b = (total / len(kept) for total in sums)
    return {"kept": kept, "accuracy": most / len(y), "A": a, "B": b}


def _networks(
    rng: np.random.Generator, apart: tuple[float, ...], n: int, *, harmful: int = 0, shuffled: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return networks around a good one, so many noisy, some turned against it, and examples."""
    d, h, k = 5, 12, 3
    centre = rng.normal(size=(d, h)), rng.normal(size=(h, k))
    x = rng.normal(size=(n, d))
    y = (np.maximum(0, x @ centre[0]) @ centre[1]).argmax(axis=1)
    A = np.stack([centre[0] + s * rng.normal(size=(d, h)) for s in apart])
    B = np.stack([centre[1] + s * rng.normal(size=(h, k)) for s in apart])
    for i in range(harmful):
        B[-1 - i] = -20 * centre[1] + 0.1 * rng.normal(size=(h, k))
    order = rng.permutation(len(A)) if shuffled else np.arange(len(A))
    return A[order], B[order], x, y


def greedy_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Soups of good and of bad networks, ties, and a soup of one."""
    bad = "One that harms stays out; what comes after it may still go in."
    anew = "Average all that are in, with equal shares."
    told = (
        ("four networks, one of them harmful", (0.4, 0.5, 0.6, 0.3), 80, 1, True, bad),
        ("six networks", (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), 120, 0, True, anew),
        ("eight networks, two of them harmful", (0.3, 0.5, 0.7, 0.6, 0.9, 0.4, 0.2, 0.2), 150, 2, False, bad),
        ("ten noisy ones", tuple(np.linspace(0.5, 1.4, 10)), 200, 0, False, anew),
        (
            "few examples, so many ties",
            (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
            9,
            0,
            False,
            "At least as high: a tie goes in.",
        ),
        ("nothing but harmful ones", (0.5, 0.5, 0.5), 60, 3, False, "The first is always in."),
    )
    for name, apart, n, harmful, seen, reason in told:
        given = _networks(rng, apart, n, harmful=harmful)
        yield Case(name, given, close(_greedy(*given)), visible=seen, reason=reason)
    (a, noisy), (b, loud), x, y = _networks(rng, (0.0, 0.9), 80, shuffled=False)
    order = np.roll(np.arange(a.shape[1]), 5)
    given = (np.stack([a, 3 * a[:, order], 2 * a, noisy]), np.stack([b, b[order], b, loud]), x, y)
    yield Case("a renumbered twin among them", given, close(_greedy(*given)), reason=bad)
    A, B, x, y = _networks(rng, (0.5, 0.8, 1.1), 50)
    given = (A[[1, 1, 1]], B[[1, 1, 1]], x, y)
    reason = "Equals are taken in the order of their numbers, and a mean of equals harms nothing."
    yield Case("three times the same network", given, close(_greedy(*given)), reason=reason)
    given = (A[:1], B[:1], x, y)
    yield Case("a single network", given, close(_greedy(*given)), reason="A soup of one is the one.")


def _matched(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the matching by the smallest squared distance of whole units, which has the same solution."""
    from scipy.optimize import linear_sum_assignment

    one, two = (np.column_stack([net["A"].T, net["c"], net["B"]]) for net in (first, second))
    apart = np.square(one[:, None] - two[None]).sum(axis=2)
    order = linear_sum_assignment(apart)[1]
    mean = (one + two[order]) / 2
    d = len(first["A"])
    return {"order": order, "A": mean[:, :d].T, "c": mean[:, d], "B": mean[:, d + 1 :]}


def _network(rng: np.random.Generator, d: int, h: int, k: int) -> dict[str, np.ndarray]:
    return {"A": rng.normal(size=(d, h)), "c": rng.normal(size=h), "B": rng.normal(size=(h, k))}


def _turned(net: dict[str, np.ndarray], order: np.ndarray, noise: float, rng: np.random.Generator) -> Any:
    again = {"A": net["A"][:, order], "c": net["c"][order], "B": net["B"][order]}
    return {part: array + noise * rng.normal(size=array.shape) for part, array in again.items()}


def matched_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Twins, noisy twins, strangers, and units that only one part of the weights tells apart."""
    exact = "A twin, matched, gives the first network itself."
    together = "Columns of A, entries of c and rows of B change places together."
    once = "Each unit is used exactly once."
    told = (
        ("a twin with five units", 3, 5, 2, 0.0, True, exact),
        ("a noisy twin", 4, 8, 3, 0.2, True, together),
        ("twenty units", 6, 20, 4, 0.5, False, once),
        ("strangers", 5, 15, 3, 50.0, False, once),
        ("many outputs", 2, 9, 12, 0.3, False, "What a unit says counts as much as what it hears."),
        ("two units", 3, 2, 2, 0.1, False, together),
        ("a single unit", 4, 1, 3, 0.1, False, "There is one way only."),
    )
    for name, d, h, k, noise, seen, reason in told:
        first = _network(rng, d, h, k)
        given = (first, _turned(first, rng.permutation(h), noise, rng))
        yield Case(name, given, close(_matched(*given)), visible=seen, reason=reason)
    first = _network(rng, 4, 10, 3)
    cycle = np.roll(np.arange(10), 3)  # its inverse is another order
    given = (first, _turned(first, cycle, 0.0, rng))
    yield Case(
        "a cycle of units", given, close(_matched(*given)), reason="Which order undoes the renumbering?"
    )
    first = _network(rng, 3, 6, 2)
    first["A"], first["c"] = np.tile(first["A"][:, :1], 6), np.full(6, 0.5)
    given = (first, _turned(first, np.roll(np.arange(6), 2), 0.0, rng))
    reason = "Units that hear the same may say different things."
    yield Case("units that hear the same", given, close(_matched(*given)), reason=reason)
    first = _network(rng, 3, 6, 2)
    first["A"], first["B"] = np.tile(first["A"][:, :1], 6), np.tile(first["B"][:1], (6, 1))
    given = (first, _turned(first, np.roll(np.arange(6), 2), 0.0, rng))
    yield Case("only the biases differ", given, close(_matched(*given)), reason="The biases count, too.")


EXERCISES = [
    Exercise(
        "11.1",
        "distillation",
        distillation_cases,
        (
            Wrong("without the factor", (("weight * temperature**2 * by", "weight * by"),), "hot"),
            Wrong(
                "the loss's factor in the gradient",
                (("weight * temperature * (np.exp(soft)", "weight * temperature**2 * (np.exp(soft)"),),
                "cold",
            ),
            Wrong("a sum in the gradient", (("gradient / n", "gradient"),), "many classes"),
            Wrong("a sum in the loss", (("loss.mean()", "loss.sum()"),), "two classes"),
            Wrong(
                "the shares change places",
                (("(1 - weight) * by_label + weight * ", "weight * by_label + (1 - weight) * "),),
                "labels alone",
            ),
            Wrong(
                "the student stays cold",
                (
                    (
                        "hard, soft = log_softmax(z), log_softmax(z / temperature)",
                        "hard = soft = log_softmax(z)",
                    ),
                ),
                "both parts, T = 2",
            ),
            Wrong(
                "the teacher stays cold",
                (("np.exp(log_softmax(t / temperature))", "np.exp(log_softmax(t))"),),
                "hot",
            ),
            Wrong("times T", (("log_softmax(z / temperature)", "log_softmax(z * temperature)"),), "cold"),
            Wrong("overflow", ((" - logits.max(axis=1, keepdims=True)", ""),), "logits of ten thousand"),
            Wrong(
                "the logarithm of a softmax",
                (
                    (
                        "return moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))",
                        "return np.log(np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True))",
                    ),
                ),
                "logits of ten thousand",
            ),
            Wrong(
                "Kullback and Leibler's distance",
                (("-(q * soft).sum(axis=1)", "(q * (np.log(q) - soft)).sum(axis=1)"),),
                "the teacher alone, T = 1",
            ),
            Wrong(
                "works in float32", (("z, t = z.astype(np.float64), t.astype(np.float64)", ""),), "float32"
            ),
        ),
    ),
    Exercise(
        "11.2",
        "greedy_soup",
        greedy_cases,
        (
            Wrong(
                "only what improves", (("reached >= best", "reached > best"),), "three times the same network"
            ),
            Wrong(
                "in the order of the numbers",
                (("sorted(range(len(A)), key=lambda i: -alone[i])", "range(len(A))"),),
                "ten noisy ones",
            ),
            Wrong("worst first", (("key=lambda i: -alone[i]", "key=lambda i: alone[i]"),), "six networks"),
            Wrong("everything goes in", (("reached >= best", "True"),), "four networks, one of them harmful"),
            Wrong(
                "ends at the first that harms",
                (
                    (
                        "            kept, best = tried, reached\n",
                        "            kept, best = tried, reached\n        else:\n            break\n",
                    ),
                ),
                "a renumbered twin among them",
            ),
            Wrong(
                "the best alone",
                (("kept, best = tried, reached", "kept, best = kept or tried, max(best, reached)"),),
                "six networks",
            ),
            Wrong(
                "an ensemble's scores",
                (
                    (
                        "accuracy(A[tried].mean(axis=0), B[tried].mean(axis=0))",
                        "float(np.mean(sum(np.maximum(0, x @ A[j]) @ B[j] for j in tried).argmax(1) == y))",
                    ),
                ),
                "ten noisy ones",
            ),
            Wrong("no rectifier", (("np.maximum(0, x @ a) @ b", "(x @ a) @ b"),), "six networks"),
            Wrong("kept in ascending order", (('"kept": kept', '"kept": sorted(kept)'),), "six networks"),
            Wrong(
                "last of equals first",
                (("key=lambda i: -alone[i]", "key=lambda i: (-alone[i], -i)"),),
                "three times the same network",
            ),
        ),
    ),
    Exercise(
        "11.3",
        "matched_mean",
        matched_cases,
        (
            Wrong("the least in common", ((", maximize=True", ""),), "a twin with five units"),
            Wrong(
                "the inverse order",
                (("maximize=True)", "maximize=True)\n    order = np.argsort(order)"),),
                "a cycle of units",
            ),
            Wrong(
                "the hearing side only",
                (('    common = common + first["B"] @ second["B"].T\n', ""),),
                "units that hear the same",
            ),
            Wrong(
                "without the biases",
                ((' + np.outer(first["c"], second["c"])', ""),),
                "only the biases differ",
            ),
            Wrong(
                "the nearest, used more than once",
                (
                    (
                        "_, order = linear_sum_assignment(common, maximize=True)",
                        "order = common.argmax(axis=1)",
                    ),
                ),
                "strangers",
            ),
            Wrong("B stays in its old order", (('second["B"][order]', 'second["B"]'),), "a noisy twin"),
            Wrong("c stays in its old order", (('second["c"][order]', 'second["c"]'),), "a noisy twin"),
            Wrong("the second alone", (("(first[part] + again[part]) / 2", "again[part]"),), "a noisy twin"),
            Wrong(
                "the second's numbering",
                (('common = first["A"].T @ second["A"]', 'common = second["A"].T @ first["A"]'),),
                "a noisy twin",
            ),
            Wrong("a sum", ((" / 2 for part", " for part"),), "two units"),
        ),
    ),
]
