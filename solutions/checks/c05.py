"""Checks of the exercises of notebook 05: a frozen normalisation, one step, WiSE-FT, a choice by minutes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, choice, close


def _norm_by_hand(
    x: np.ndarray, layer: dict[str, np.ndarray], training: bool, trainable: bool
) -> dict[str, np.ndarray]:
    """Return what Keras's layer gives, channel by channel, with Python's own mean and variance."""
    rows = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    y, mean, variance = np.empty_like(rows), [], []
    for c in range(x.shape[-1]):
        values = rows[:, c].tolist()
        stored, width = float(layer["mean"][c]), float(layer["variance"][c])
        centre, square = stored, width
        if training and trainable:
            centre, square = statistics.fmean(values), statistics.pvariance(values)
            stored, width = stored + 0.01 * (centre - stored), width + 0.01 * (square - width)
        scale = float(layer["gamma"][c]) / (square + 1e-3) ** 0.5
        y[:, c] = [float(layer["beta"][c]) + scale * (value - centre) for value in values]
        mean.append(stored)
        variance.append(width)
    return {"y": y.reshape(x.shape), "mean": np.array(mean), "variance": np.array(variance)}


def norm_cases(rng: np.random.Generator) -> Iterator[Case]:
    """All four pairs of training and trainable, batches and maps."""
    frozen = "A layer that is not trainable works by its stored statistics, whatever `training` says."
    channels = "One mean and one variance per channel, the last axis."
    told = (
        (
            "training, trainable",
            (6, 4),
            True,
            True,
            True,
            "Training is the only way in which statistics move.",
        ),
        ("training, but frozen", (6, 4), True, False, True, frozen),
        ("inference, trainable", (5, 3), False, True, False, "Inference uses what is stored."),
        ("inference, frozen", (5, 3), False, False, False, "Inference uses what is stored."),
        ("maps in training", (3, 4, 5, 2), True, True, False, channels),
        ("maps, frozen", (2, 3, 3, 4), True, False, False, frozen),
        ("a batch of one in training", (1, 3), True, True, False, "Its variance is 0."),
    )
    for name, shape, training, trainable, seen, reason in told:
        x = rng.normal(3, 2, size=shape)
        d = shape[-1]
        layer = {"gamma": rng.uniform(0.5, 2, d), "beta": rng.normal(size=d)}
        layer |= {"mean": rng.normal(size=d), "variance": rng.uniform(0.5, 3, d)}
        given = (x, layer, training, trainable)
        yield Case(name, given, close(_norm_by_hand(*given)), visible=seen, reason=reason)
    x = rng.normal(size=(7, 3)).astype(np.float32)
    x[:, 1] = 2
    layer = {"gamma": np.ones(3), "beta": np.zeros(3), "mean": np.zeros(3), "variance": np.ones(3)}
    layer = {name: value.astype(np.float32) for name, value in layer.items()}
    expected = _norm_by_hand(x, layer, True, True)
    # float32 throughout: a few units of its 1.2e-7, more after the division by a small deviation.
    yield Case("float32, a constant channel", (x, layer, True, True), close(expected, rtol=1e-4, atol=1e-5))


def _step_by_autograd(
    weights: dict[str, np.ndarray],
    start: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    freeze_to: str | None,
    rate: float,
    decay: float,
    pull: float,
) -> dict[str, np.ndarray]:
    """Return what PyTorch's SGD makes of the loss, with a group of its own for every block."""
    import torch

    names = list(weights)
    live = {name: torch.from_numpy(weights[name].copy()).requires_grad_(name in gradients) for name in names}
    groups, share = [], rate
    for name in reversed(names):
        if name == freeze_to:
            break
        groups.append({"params": [live[name]], "lr": share})
        share *= decay
    loss = torch.zeros((), dtype=torch.float64)
    for name, gradient in gradients.items():
        apart = live[name] - torch.from_numpy(start[name])
        loss = loss + (live[name] * torch.from_numpy(gradient)).sum() + pull / 2 * (apart**2).sum()
    if groups:
        loss.backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD(groups).step()
    return {name: tensor.detach().numpy().copy() for name, tensor in live.items()}


def step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Networks of several depths, frozen to several heights."""
    fall = "The top block has k = 0; one block down, k = 1."
    told = (
        ("three blocks, all trained", "abc", None, 0.1, 0.5, 0.0, True, fall),
        ("four blocks, frozen to the second", "abcd", "b", 0.1, 0.8, 0.3, True, "The second is frozen too."),
        (
            "a pull, one rate for all",
            "abc",
            "a",
            0.2,
            1.0,
            0.7,
            False,
            "Pull back to the start, not to zero.",
        ),
        ("a pull and rates that fall", "abcde", "b", 0.5, 0.6, 0.4, False, "The rate multiplies both parts."),
        ("all frozen but the top", "abcd", "c", 0.1, 0.9, 0.1, False, fall),
        ("all frozen", "abc", "c", 0.1, 0.9, 0.1, False, "Nothing moves."),
        (
            "names that are not in alphabetical order",
            "zma",
            "z",
            0.3,
            0.7,
            0.2,
            False,
            "The dict has the order.",
        ),
        ("a network of one block", "a", None, 0.3, 0.7, 0.2, False, fall),
    )
    for name, blocks, freeze_to, rate, decay, pull, seen, reason in told:
        shapes = {
            block: tuple(int(n) for n in rng.integers(1, 5, size=1 + k % 2)) for k, block in enumerate(blocks)
        }
        start = {block: rng.normal(size=shape) for block, shape in shapes.items()}
        weights = {block: value + rng.normal(size=value.shape) for block, value in start.items()}
        above = blocks if freeze_to is None else blocks[blocks.index(freeze_to) + 1 :]
        gradients = {block: rng.normal(size=shapes[block]) for block in above}
        given = (weights, start, gradients, freeze_to, rate, decay, pull)
        yield Case(name, given, close(_step_by_autograd(*given)), visible=seen, reason=reason)


Network = dict[str, np.ndarray]


def _network(rng: np.random.Generator, d: int, h: int, k: int, size: float = 1.0) -> Network:
    shapes: dict[str, tuple[int, ...]] = {"w1": (d, h), "b1": (h,), "w2": (h, k), "b2": (k,)}
    return {name: size * rng.normal(size=shape) for name, shape in shapes.items()}


def _line_by_torch(
    start: Network, tuned: Network, shares: list[float], x: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """Return PyTorch's cross-entropies along the line."""
    import torch
    from torch.nn import functional

    losses = []
    for share in shares:
        ends = (
            (torch.from_numpy(start[name]), torch.from_numpy(tuned[name]))
            for name in ("w1", "b1", "w2", "b2")
        )
        w1, b1, w2, b2 = (torch.lerp(a, b, share) for a, b in ends)
        hidden = functional.relu(functional.linear(torch.from_numpy(x), w1.T, b1))
        logits = functional.linear(hidden, w2.T, b2)
        losses.append(functional.cross_entropy(logits, torch.from_numpy(y)).item())
    lowest = np.flatnonzero(np.array(losses) == min(losses))
    return {"loss": np.array(losses), "best": min(shares[int(i)] for i in lowest)}


def line_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Networks that move a little or a lot, with few or large numbers."""
    mix = "Mix the weights, all four arrays of them, and run the mixed network."
    told = (
        ("five shares", 20, (4, 6, 3), 1.0, [0.0, 0.25, 0.5, 0.75, 1.0], True, mix),
        (
            "shares in any order",
            12,
            (3, 5, 4),
            1.0,
            [1.0, 0.3, 0.0, 0.6],
            True,
            "Losses keep the order of shares.",
        ),
        ("one example", 1, (5, 4, 2), 1.0, [0.2, 0.9], False, "Keep the axes of a single row."),
        (
            "large logits",
            15,
            (4, 8, 3),
            40.0,
            [0.0, 0.4, 1.0],
            False,
            "Does e to the logit still fit a float?",
        ),
        ("many hidden units", 30, (2, 40, 5), 0.4, [0.1, 0.5, 0.8], False, mix),
        ("one share", 10, (3, 3, 3), 1.0, [0.7], False, mix),
    )
    for name, n, (d, h, k), size, shares, seen, reason in told:
        start = _network(rng, d, h, k, size)
        tuned = {key: value + 0.8 * size * rng.normal(size=value.shape) for key, value in start.items()}
        given = (start, tuned, shares, rng.normal(size=(n, d)), rng.integers(0, k, size=n))
        yield Case(name, given, close(_line_by_torch(*given)), visible=seen, reason=reason)
    start = {key: np.rint(2 * value) for key, value in _network(rng, 3, 4, 3).items()}
    x, y = np.rint(2 * rng.normal(size=(9, 3))), rng.integers(0, 3, size=9)
    given = (start, {key: value.copy() for key, value in start.items()}, [0.75, 0.5, 0.25, 1.0], x, y)
    yield Case("all shares tie", given, close(_line_by_torch(*given)), reason="Which share wins a tie?")


# Mean of two seeds on CIFAR-10, from results/cifar10_fine_tuning.json: per option the validation accuracies,
# the seconds, and the test accuracies, which nobody is shown.
RUNS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "128 px, head": ((0.7736, 0.7656), (64.2, 116.4), (0.7665, 0.7715)),
    "128 px, block13": ((0.8128, 0.8064), (86.9, 177.7), (0.8085, 0.8055)),
    "128 px, block10": ((0.8472, 0.8352), (122.2, 160.4), (0.8415, 0.8445)),
    "128 px, block7": ((0.8664, 0.8688), (290.9, 271.3), (0.85925, 0.86075)),
    "128 px, block4": ((0.8832, 0.8776), (261.7, 351.6), (0.87375, 0.8705)),
    "128 px, nothing": ((0.8888, 0.88), (260.1, 294.2), (0.875, 0.87475)),
    "96 px, block7": ((0.8568, 0.8448), (94.9, 97.2), (0.838, 0.839)),
    "160 px, block7": ((0.8832, 0.8816), (210.7, 306.1), (0.875, 0.873)),
    "160 px, block4": ((0.8888, 0.8896), (398.4, 396.7), (0.88025, 0.883)),
    "128 px, block7, random": ((0.8792, 0.876), (214.1, 166.2), (0.8665, 0.86725)),
}

Run = dict[str, Any]


def _case(
    name: str, table: list[Run], minutes: float, test: dict[str, float], seen: bool, reason: str
) -> Case:
    """Return a case whose choice is judged on `test`, and by every run's seconds."""
    slow: dict[str, str] = {}
    for run in table:
        if run["seconds"] > 60 * minutes:
            slow[run["name"]] = f"one of its runs took {run['seconds'] / 60:.1f} of {minutes:g} minutes"
    judged = choice(test, within=0.01, forbidden=slow)
    return Case(name, (table, minutes), judged, visible=seen, reason=reason)


def choice_cases(rng: np.random.Generator) -> Iterator[Case]:
    """The real runs under several budgets, then tables with traps in them."""
    real = [
        {"name": name, "seed": seed, "validation": validation[seed], "seconds": seconds[seed]}
        for name, (validation, seconds, _) in RUNS.items()
        for seed in (0, 1)
    ]
    test = {name: statistics.fmean(scores) for name, (_, _, scores) in RUNS.items()}
    dear = "What takes longer is not always better; validation tells."
    for minutes, seen in ((5, True), (2, True), (3, False), (4, False), (6, False), (20, False)):
        shuffled = [real[int(i)] for i in rng.permutation(len(real))]
        slow = "Count every run of an option, and mind the unit of the budget."
        reason = dear if minutes in (3, 20) else slow
        yield _case(f"the real runs, {minutes} minutes", shuffled, float(minutes), test, seen, reason)

    # Options 3 points apart; the seeds scatter around each option's own score without moving its mean.
    names = [f"option {letter}" for letter in rng.permutation(list("PQRSTU"))]
    truth = {name: 0.6 + 0.03 * k for k, name in enumerate(names)}

    def runs(name: str, offsets: tuple[float, ...], seconds: tuple[float, ...]) -> list[Run]:
        return [
            {"name": name, "seed": seed, "validation": round(truth[name] + by, 6), "seconds": float(took)}
            for seed, (by, took) in enumerate(zip(offsets, seconds, strict=True))
        ]

    best, second, low = names[5], names[4], names[1]
    lucky = [run for name in names[:1] + names[2:] for run in runs(name, (0.004, -0.004), (50, 55))]
    lucky += runs(low, (0.2, -0.1, -0.1), (50, 52, 54))
    reason = "One run stands out. How often does its option do so well?"
    yield _case(
        "a lucky seed", [lucky[int(i)] for i in rng.permutation(len(lucky))], 1.0, truth, False, reason
    )

    uneven = [run for name in names[1:] for run in runs(name, (0.01, -0.01), (30, 40))]
    uneven += runs(names[0], (0.01, 0.0, 0.0, 0.0, -0.01), (30, 31, 32, 33, 34))
    reason = "An option with more runs is not better for that."
    yield _case("one option with many runs", uneven, 1.0, truth, False, reason)

    slow_day = [run for name in names[:5] for run in runs(name, (0.0, 0.002, -0.002), (60, 70, 80))]
    slow_day += runs(best, (0.0, 0.002, -0.002), (75, 130, 76))
    reason = "The best option has been slow once."
    yield _case("a run that was slow once", slow_day, 2.0, truth, False, reason)

    exact = [run for name in names[:4] for run in runs(name, (0.0,), (20,))]
    exact += runs(second, (0.0,), (90,)) + runs(best, (0.0,), (91,))
    reason = "At most the budget: exactly on it is allowed."
    yield _case("exactly on the budget, single runs", exact, 1.5, truth, False, reason)


EXERCISES = [
    Exercise(
        "05.1",
        "batch_norm",
        norm_cases,
        (
            Wrong("ignores trainable", (("training and trainable", "training"),), "training, but frozen"),
            Wrong("ignores training", (("training and trainable", "trainable"),), "inference, trainable"),
            Wrong(
                "either of the two", (("training and trainable", "training or trainable"),), "maps, frozen"
            ),
            Wrong(
                "moves what was given",
                (("mean = 0.99 * mean + 0.01 * now", "mean *= 0.99; mean += 0.01 * now"),),
                "training, trainable",
            ),
            Wrong(
                "the weights the other way round",
                (("0.99 * mean + 0.01 * now", "0.01 * mean + 0.99 * now"),),
                "training, trainable",
            ),
            Wrong(
                "divides by one less",
                (("x.var(axis=axes)", "x.var(axis=axes, ddof=1)"),),
                "training, trainable",
            ),
            Wrong("one mean per place", (("tuple(range(x.ndim - 1))", "0"),), "maps in training"),
            Wrong("no epsilon", ((" + 0.001", ""),), "inference, frozen"),
            Wrong(
                "normalises by the moved statistics",
                (("(x - now) / np.sqrt(spread + 0.001)", "(x - mean) / np.sqrt(variance + 0.001)"),),
                "training, trainable",
            ),
        ),
    ),
    Exercise(
        "05.2",
        "fine_tune_step",
        step_cases,
        (
            Wrong("rates fall upwards", (("len(names) - 1 - place", "place"),), "three blocks, all trained"),
            Wrong(
                "off by one", (("len(names) - 1 - place", "len(names) - place"),), "a network of one block"
            ),
            Wrong(
                "trains the block it freezes to",
                (("names.index(freeze_to) + 1", "names.index(freeze_to)"),),
                "all frozen but the top",
            ),
            Wrong(
                "pulls to zero",
                (("(weights[name] - start[name])", "weights[name]"),),
                "a pull, one rate for all",
            ),
            Wrong(
                "pushes away",
                (("(weights[name] - start[name])", "(start[name] - weights[name])"),),
                "a pull, one rate for all",
            ),
            Wrong(
                "the pull forgets the rate",
                (
                    ("gradients[name] + pull * (weights[name] - start[name])", "gradients[name]"),
                    (
                        "rate * decay**below * uphill",
                        "rate * decay**below * uphill - pull * (weights[name] - start[name])",
                    ),
                ),
                "a pull and rates that fall",
            ),
            Wrong(
                "climbs", (("weights[name] - rate *", "weights[name] + rate *"),), "three blocks, all trained"
            ),
            Wrong(
                "sorts the names",
                (("list(weights)", "sorted(weights)"),),
                "names that are not in alphabetical order",
            ),
            Wrong(
                "steps in place",
                (("after[name] = weights[name] - rate", "after[name] = weights[name]; after[name] -= rate"),),
                "all frozen but the top",
            ),
            Wrong(
                "leaves frozen blocks out",
                (("{name: weights[name].copy() for name in names}", "{}"),),
                "all frozen",
            ),
        ),
    ),
    Exercise(
        "05.3",
        "wise_ft_line",
        line_cases,
        (
            Wrong(
                "ends swapped",
                (("(1 - share) * start[name] + share *", "share * start[name] + (1 - share) *"),),
                "one share",
            ),
            Wrong(
                "mixes the answers",
                code="""def wise_ft_line(start, tuned, shares, x, y):
    def run(w):
        return np.maximum(x @ w["w1"] + w["b1"], 0) @ w["w2"] + w["b2"]
    losses = []
    for share in shares:
        z = (1 - share) * run(start) + share * run(tuned)
        z = z - z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        losses.append(-log_p[np.arange(len(y)), y].mean())
    return {"loss": np.array(losses), "best": min(zip(losses, shares))[1]}""",
                fails="many hidden units",
            ),
            Wrong(
                "mixes the last layer only",
                (("for name in start}", "if name[1] == '2' else tuned[name] for name in start}"),),
                "five shares",
            ),
            Wrong("overflows", (("logits - logits.max(axis=1, keepdims=True)", "logits"),), "large logits"),
            Wrong(
                "subtracts one maximum for all",
                (("logits.max(axis=1, keepdims=True)", "logits.max()"),),
                "large logits",
            ),
            Wrong("a sum", (("].mean()", "].sum()"),), "shares in any order"),
            Wrong(
                "sorts the shares",
                (("for share in shares:", "for share in sorted(shares):"),),
                "shares in any order",
            ),
            Wrong(
                "the first of a tie",
                (("min(zip(losses, shares))[1]", "shares[int(np.argmin(losses))]"),),
                "all shares tie",
            ),
            Wrong(
                "the largest of a tie",
                (
                    (
                        "min(zip(losses, shares))[1]",
                        "max(s for v, s in zip(losses, shares) if v == min(losses))",
                    ),
                ),
                "all shares tie",
            ),
            Wrong("the worst share", (("min(zip", "max(zip"),), "five shares"),
            Wrong(
                "writes into the start",
                (
                    (
                        "w = {name: (1 - share) * start[name] + share * tuned[name] for name in start}",
                        "w = start\n        for k in w:\n            w[k] += share * (tuned[k] - w[k])",
                    ),
                ),
                "one share",
            ),
        ),
    ),
    Exercise(
        "05.4",
        "choose_run",
        choice_cases,
        (
            Wrong(
                "the best single run",
                (("sum(scores[name]) / len(scores[name])", "max(scores[name])"),),
                "a lucky seed",
            ),
            Wrong(
                "sums instead of means",
                (("sum(scores[name]) / len(scores[name])", "sum(scores[name])"),),
                "one option with many runs",
            ),
            Wrong("no budget", ((" if slowest[name] <= 60 * minutes", ""),), "the real runs, 2 minutes"),
            Wrong(
                "the fastest run counts",
                (
                    (
                        'max(run["seconds"], slowest.get(run["name"], 0))',
                        'min(run["seconds"], slowest.get(run["name"], 9e9))',
                    ),
                ),
                "a run that was slow once",
            ),
            Wrong(
                "under the budget only",
                (("<= 60 * minutes", "< 60 * minutes"),),
                "exactly on the budget, single runs",
            ),
            Wrong("takes minutes for seconds", (("60 * minutes", "minutes"),), "the real runs, 5 minutes"),
            Wrong(
                "the dearest that fits",
                (("sum(scores[name]) / len(scores[name])", "slowest[name]"),),
                "the real runs, 3 minutes",
            ),
            Wrong(
                "the cheapest",
                (("sum(scores[name]) / len(scores[name])", "-slowest[name]"),),
                "the real runs, 20 minutes",
            ),
        ),
    ),
]
