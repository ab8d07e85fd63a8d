"""Checks of the exercises of notebook 13: a log-mel spectrogram, a split by speaker, a slower rate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close


def _log_mel(frames: np.ndarray, window: np.ndarray, filters: np.ndarray, floor: float) -> np.ndarray:
    """Return the decibels by the sums of the definition."""
    x = np.asarray(frames, np.float64) * window
    n = frames.shape[1]
    turns = np.exp(-1j * np.pi * np.outer(np.arange(n + 1), np.arange(n)) / n)
    amplitude = turns @ x.T
    mel = filters @ (amplitude.real**2 + amplitude.imag**2)
    out = np.full(mel.shape, float(floor))
    there = mel > 0
    out[there] = np.maximum(10 * np.log10(mel[there] / mel.max(initial=1e-300)), floor)
    return out


def _filters(rng: np.random.Generator, bands: int, n: int) -> np.ndarray:
    edges = np.sort(rng.uniform(0, n, bands + 2))
    return np.stack([np.interp(np.arange(n + 1), edges[b : b + 3], [0, 1, 0]) for b in range(bands)])


def log_mel_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Noise, notes and silence."""

    def hann(n: int) -> np.ndarray:
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)

    note = np.sin(0.7 * np.arange(64) + rng.uniform(0, 6, (5, 1))) * np.array([[1], [0.3], [1e-6], [2], [0]])
    loud = "One loudest place for the whole picture; power goes with 10 log10."
    told = (
        ("a note that fades", note, hann(64), 6, -60.0, True, loud),
        ("noise", rng.standard_normal((7, 32)), hann(32), 4, -40.0, True, "A window, then 2N points."),
        ("another window", rng.standard_normal((4, 20)), rng.uniform(0.1, 1, 20), 3, -30.0, False, "Use it."),
        ("an odd length", rng.standard_normal((6, 21)), hann(21), 5, -50.0, False, "2N points are even."),
        ("a high floor", rng.standard_normal((9, 32)), hann(32), 5, -3.0, False, "Nothing lies below it."),
        ("one frame, one band", rng.standard_normal((1, 16)), hann(16), 1, -20.0, False, "Still (B, K)."),
    )
    for name, frames, window, bands, floor, seen, reason in told:
        given = (frames, window, _filters(rng, bands, frames.shape[1]) + 1e-3, floor)
        yield Case(name, given, close(_log_mel(*given), rtol=1e-6), visible=seen, reason=reason)
    silent = (np.zeros((3, 16)), hann(16), np.ones((2, 17)), -50.0)
    yield Case(
        "silence", silent, close(np.full((2, 3), -50.0)), reason="Nothing has power: floor everywhere."
    )
    filters = np.ones((2, 17))
    filters[1] = 0
    empty = (rng.standard_normal((3, 16)), hann(16), filters, -45.0)
    yield Case("a band without frequencies", empty, close(_log_mel(*empty)), reason="The logarithm of zero.")
    single = (note[:4].astype(np.float32) * 1e4, hann(64), _filters(rng, 4, 64) + 1e-3, -80.0)
    yield Case("float32", single, close(_log_mel(*single), rtol=1e-5), reason="Compute in float64.")


def _hold_out(y: np.ndarray, speaker: np.ndarray, share: float) -> tuple[np.ndarray, bool]:
    """Return the best rows by counting with bit masks, and whether the choice is clear or an exact tie."""
    names, who = np.unique(speaker, return_inverse=True)
    classes, cls = np.unique(y, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (who, cls), 1)
    ways = []
    for mask in range(1, 2 ** len(names) - 1):
        inside = (mask >> np.arange(len(names)) & 1).astype(bool)
        miss = float(np.abs(counts[inside].sum(axis=0) / counts.sum(axis=0) - share).sum())
        ways.append((round(miss, 9), int(inside.sum()), tuple(names[inside].tolist())))
    ways.sort()
    clear = len(ways) < 2 or ways[1][0] - ways[0][0] > 1e-6
    return np.isin(speaker, ways[0][2]), clear


def _people(
    rng: np.random.Generator, n: int, people: int, classes: int, uneven: float, share: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw recordings until one way to hold out speakers is clearly the best."""
    names = rng.permutation(50)[:people]
    while True:
        weight = rng.dirichlet(np.full(people, uneven), size=classes)
        y = rng.permutation(np.arange(n) % classes)
        speaker = np.array([names[rng.choice(people, p=weight[c])] for c in y])
        if len(set(speaker.tolist())) == people and _hold_out(y, speaker, share)[1]:
            return y, speaker, share


def hold_out_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Speakers who say much and little, everything and one thing only."""
    whole = "A speaker is held out with all rows or with none."
    told = (
        ("four speakers", (80, 4, 3, 3.0, 0.25), True, whole),
        ("speakers who say different things", (90, 5, 4, 0.5, 0.3), True, "Look at every class's own share."),
        ("eight speakers", (200, 8, 5, 2.0, 0.2), False, whole),
        ("nearly half of the rows", (120, 6, 3, 1.0, 0.45), False, "Several speakers together."),
        ("nearly everything", (100, 4, 3, 2.0, 0.95), False, "Somebody must stay to learn from."),
        ("next to nothing", (100, 5, 3, 2.0, 0.02), False, "Somebody must be held out."),
    )
    for name, (n, people, classes, uneven, share), seen, reason in told:
        given = _people(rng, n, people, classes, uneven, share)
        yield Case(name, given, close(_hold_out(*given)[0]), visible=seen, reason=reason)
    two = (np.array([0, 0, 1, 1, 1, 0]), np.array([2, 1, 2, 1, 2, 2]), 0.4)
    yield Case("two speakers", two, close(_hold_out(*two)[0]), reason="One of them.")
    # Speakers of one pattern are alike to the last row: a tie that floating point cannot break.
    equal = (np.tile([0, 1], 8), np.repeat([9, 4, 6, 3], 4), 0.25)
    yield Case("four speakers who are alike", equal, close(equal[1] == 3), reason="The first of them.")
    y, speaker, share = _people(rng, 90, 4, 3, 1.0, 0.3)
    y = np.array([0, 3, 7])[y]
    yield Case(
        "labels with gaps",
        (y, speaker, share),
        close(_hold_out(y, speaker, share)[0]),
        reason="Only classes.",
    )
    counts = np.array([[2, 2, 0], [30, 2, 3], [3, 2, 9], [5, 14, 8]])
    y = np.concatenate([np.repeat([0, 1, 2], row) for row in counts])
    speaker = np.repeat([0, 1, 2, 3], counts.sum(axis=1))
    rare = (y, speaker, 0.4)
    yield Case(
        "a class that weighs little in rows",
        rare,
        close(_hold_out(*rare)[0]),
        reason="A class counts as a class, however few rows it has.",
    )


def _slower(x: np.ndarray, factor: int) -> np.ndarray:
    """Return the sum of the definition, number by number."""
    taps = {}
    for j in range(-8 * factor, 8 * factor + 1):
        u = np.pi * j / factor
        taps[j] = (np.sin(u) / u if j else 1.0) * (1 + np.cos(np.pi * j / (8 * factor + 1))) / 2
    total = sum(taps.values())
    x = np.asarray(x, np.float64)
    return np.array(
        [
            sum(h * x[n - j] for j, h in taps.items() if 0 <= n - j < len(x)) / total
            for n in range(0, len(x), factor)
        ]
    )


def slower_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Notes below and above the fold, noise, and sounds shorter than the filter."""
    t = np.arange(400)
    fold = "Above half the new rate nothing may be left."
    told = (
        ("a low note", np.sin(0.3 * t + rng.uniform(0, 6)), 2, True, "Slow changes keep their size."),
        ("a note above the fold", np.sin(2.6 * t + rng.uniform(0, 6)), 2, True, fold),
        ("noise, three times slower", rng.standard_normal(301), 3, False, "Divide j by the factor."),
        ("shorter than the filter", rng.standard_normal(11), 4, False, "x is 0 beyond its ends."),
        ("a length that does not divide", rng.standard_normal(202), 5, False, "ceil(n / factor) numbers."),
        ("a single sample", np.array([2.0]), 2, False, "One number in, one out."),
        ("a step", (t > 200).astype(float), 2, False, "Which number is y_0?"),
    )
    for name, x, factor, seen, reason in told:
        yield Case(name, (x, factor), close(_slower(x, factor), atol=1e-9), visible=seen, reason=reason)
    single = (1e3 * rng.standard_normal(150)).astype(np.float32)
    yield Case("float32", (single, 2), close(_slower(single, 2), rtol=1e-6), reason="Compute in float64.")


EXERCISES = [
    Exercise(
        "13.1",
        "log_mel",
        log_mel_cases,
        (
            Wrong("no window", ((" * window", ""),), "noise"),
            Wrong("magnitude for power", ((") ** 2", ")"),), "a note that fades"),
            Wrong(
                "twenty logarithms", (("return 10 * np.log10", "return 20 * np.log10"),), "a note that fades"
            ),
            Wrong("natural logarithm", (("np.log10", "np.log"),), "noise"),
            Wrong(
                "each frame's own loudest",
                (("mel / loudest", "mel / mel.max(axis=0)"),),
                "a note that fades",
            ),
            Wrong("no care for silence", (("if loudest == 0:", "if False:"),), "silence"),
            Wrong(
                "no floor",
                (("np.maximum(mel / loudest, least)", "mel / loudest"),),
                "a high floor",
            ),
            Wrong("a floor of amplitude", (("10 ** (floor / 10)", "10 ** (floor / 20)"),), "a high floor"),
            Wrong("N points", (("2 * frames.shape[1]", "frames.shape[1]"),), "noise"),
            Wrong(
                "frames in rows",
                (
                    (
                        "return 10 * np.log10(np.maximum(mel / loudest, least))",
                        "return 10 * np.log10(np.maximum(mel / loudest, least)).T",
                    ),
                ),
                "noise",
            ),
            Wrong(
                "windows in place",
                (("x = frames.astype(np.float64) * window", "x = frames; x *= window"),),
                "another window",
            ),
        ),
    ),
    Exercise(
        "13.2",
        "hold_out",
        hold_out_cases,
        (
            Wrong(
                "row by row",
                (("    people = sorted", "    return np.arange(len(y)) % 4 == 0\n    people = sorted"),),
                "four speakers",
            ),
            Wrong(
                "the share of all rows only",
                (("sum(abs(held[y == c].mean() - share) for c in classes)", "abs(held.mean() - share)"),),
                "a class that weighs little in rows",
            ),
            Wrong("one speaker only", (("range(1, len(people))", "range(1, 2)"),), "nearly half of the rows"),
            Wrong("all may be held out", (("len(people))", "len(people) + 1)"),), "nearly everything"),
            Wrong("nobody may be held out", (("range(1, ", "range(0, "),), "next to nothing"),
            Wrong("the last of equals", (("miss < least", "miss <= least"),), "four speakers who are alike"),
            Wrong(
                "in the order of appearance",
                (("sorted(set(speaker.tolist()))", "list(dict.fromkeys(speaker.tolist()))"),),
                "four speakers who are alike",
            ),
            Wrong("numbers without rows", (("np.unique(y)", "np.arange(y.max() + 1)"),), "labels with gaps"),
            Wrong("the rows that stay", (("return best", "return ~best"),), "four speakers"),
        ),
    ),
    Exercise(
        "13.3",
        "slower",
        slower_cases,
        (
            Wrong(
                "nothing taken away first",
                (("smooth[::factor]", "x.astype(np.float64)[::factor]"),),
                "a note above the fold",
            ),
            Wrong(
                "means of neighbours",
                (("np.sinc(j / factor)", "(np.abs(j) < factor)"),),
                "a note above the fold",
            ),
            Wrong("not divided by the sum", (("    taps /= taps.sum()\n", ""),), "a low note"),
            Wrong("the old rate's sinc", (("np.sinc(j / factor)", "np.sinc(j)"),), "a note above the fold"),
            Wrong("no window", ((" * (0.5 + 0.5 * np.cos(np.pi * j / (8 * factor + 1)))", ""),), "a step"),
            Wrong("begins early", (("[8 * factor :][: len(x)]", "[: len(x)]"),), "a step"),
            Wrong(
                "mode same",
                (("taps)[8 * factor :][: len(x)]", 'taps, mode="same")'),),
                "shorter than the filter",
            ),
            Wrong("one too many", (("[: len(x)]", "[: len(x) + factor]"),), "a length that does not divide"),
            Wrong("starts at the second", (("smooth[::factor]", "smooth[1::factor]"),), "a low note"),
        ),
    ),
]
