"""Checks of notebook 08: tokens, pooling with a mask, CSLS, and the layer that was chosen on validation."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib import measure
from course_lib.grading import Case, Exercise, Wrong, close, kind
from course_lib.grading.compare import Expectation

SPECIAL = ["[CLS]", "[SEP]", "[PAD]"]


def _sentences(
    rng: np.random.Generator, n: int, unknown: str, longest: int = 12
) -> tuple[Any, Any, list[int]]:
    """Return sentences in pieces, special ones around them and padding behind, and their words."""
    pool = ["▁a", "▁good", "ness", "##s", unknown, "老", "师"]
    cut = [[str(p) for p in rng.choice(pool, rng.integers(1, longest))] for _ in range(n)]
    words = [int(rng.integers(1, len(sentence) + 1)) for sentence in cut]
    width = max(map(len, cut))
    framed = [["[CLS]", *sentence, "[SEP]"] + ["[PAD]"] * (width - len(sentence)) for sentence in cut]
    return cut, framed, words


def _measured(cut: list[list[str]], words: list[int], unknown: str) -> Expectation:
    """Return what the course's own measure says, which reads texts: here the numbers of sentences."""
    texts = [f"s{k}" for k in range(len(cut))]
    pieces = dict(zip(texts, cut, strict=True))
    told = measure.tokenization(
        lambda text: pieces.get(text, []),
        texts,
        unknown=unknown,
        name="",
        language="",
        words=words,
        resamples=2,
    )
    parts = ("fertility", "unknown", "unknown_sentences")
    return close({name: float(getattr(told, name).value) for name in parts})


def tokenizer_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 08.1."""
    for name, n, unknown, seen in (
        ("twelve sentences", 12, "[UNK]", True),
        ("one sentence", 1, "[UNK]", True),
        ("another unknown piece", 30, "<unk>", False),
        ("many sentences", 200, "[UNK]", False),
    ):
        cut, framed, words = _sentences(rng, n, unknown)
        reason = "Are special pieces left out everywhere, and is the ratio one of sums?"
        if name == "one sentence":
            cut, framed = [cut[0] + [unknown]], [["[CLS]", *cut[0], unknown, "[SEP]"]]
        yield Case(
            name,
            (framed, words, unknown, SPECIAL),
            _measured(cut, words, unknown),
            visible=seen,
            reason=reason,
        )
    lengths = [1, int(rng.integers(15, 25))]
    cut = [["a"] * length for length in lengths]
    told = close({"fertility": sum(lengths) / 6, "unknown": 0.0, "unknown_sentences": 0.0})
    yield Case("a short and a long sentence", (cut, [1, 5], "?", []), told, reason="Which mean is it?")
    short = [["[CLS]", "?", "?", "a", "[SEP]"], ["[CLS]", "[SEP]"], ["b", "c"]]
    told = close({"fertility": 5 / 4, "unknown": 2 / 5, "unknown_sentences": 1 / 3})
    yield Case(
        "a sentence without a piece", (short, [2, 0, 2], "?", SPECIAL), told, reason="It is a sentence, too."
    )
    zeros = {"fertility": 0.0, "unknown": 0.0, "unknown_sentences": 0.0}
    yield Case("no sentence at all", ([], [], "?", SPECIAL), close(zeros), reason="A denominator is zero.")
    only = [["[CLS]", "[SEP]"]] * int(rng.integers(2, 5))
    yield Case("special pieces only", (only, [0] * len(only), "?", SPECIAL), close(zeros))


def pooled_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 08.2."""

    def case(
        name: str,
        lengths: list[int],
        width: int,
        d: int,
        *,
        seen: bool = False,
        left: bool = False,
        dtype: Any = np.float32,
        filler: float | None = None,
        truth: bool = False,
    ) -> Case:
        n = len(lengths)
        states = rng.normal(2, 1, size=(n, width, d)).astype(dtype)
        mask = np.zeros((n, width), np.int64)
        expected = np.zeros((n, d))
        for row, length in enumerate(lengths):
            there = slice(width - length, width) if left else slice(0, length)
            mask[row, there] = 1
            if length:
                expected[row] = states[row, there].astype(np.float64).mean(axis=0)
            if filler is not None:
                states[row, mask[row] == 0] = filler
        told = close(expected.astype(dtype), rtol=1e-4 if dtype == np.float32 else 1e-6, dtype=True)
        reasons = {
            "NaN at padding": "Zero times NaN is NaN.",
            "infinity at padding": "Zero times infinity is NaN.",
            "a sentence without a token": "What does the text say of such a sentence?",
        }
        reason = reasons.get(name, "By how many does each sentence's sum have to be divided?")
        given = mask.astype(bool) if truth else mask
        return Case(name, (states, given), told, visible=seen, reason=reason)

    def some(n: int, width: int) -> list[int]:
        return [1, *(int(v) for v in rng.integers(1, width + 1, n - 2)), width]

    yield case("sentences of different lengths", some(4, 6), 6, 5, seen=True)
    yield case("nothing is padded", [5, 5], 5, 3, seen=True)
    yield case("padding on the left", some(5, 7), 7, 4, left=True)
    yield case("NaN at padding", some(4, 6), 6, 3, filler=np.nan)
    yield case("infinity at padding", some(4, 6), 6, 3, filler=np.inf)
    yield case("a sentence without a token", [0, *some(3, 5)], 5, 3)
    yield case("a mask of truth values", some(6, 9), 9, 8, truth=True)
    yield case("a batch of one", [int(rng.integers(1, 5))], 6, 4)
    yield case("float64", some(7, 12), 12, 16, dtype=np.float64)


def _by_neighbours(queries: np.ndarray, targets: np.ndarray, k: int) -> np.ndarray:
    """Return CSLS with the neighbours that scikit-learn finds by cosine distance."""
    from sklearn.metrics.pairwise import cosine_similarity
    from sklearn.neighbors import NearestNeighbors

    def nearness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = NearestNeighbors(n_neighbors=min(k, len(y)), metric="cosine", algorithm="brute").fit(y)
        return 1 - found.kneighbors(x)[0].mean(axis=1)

    x, y = (np.asarray(z, np.float64) for z in (queries, targets))
    return 2 * cosine_similarity(x, y) - nearness(x, y)[:, None] - nearness(y, x)[None, :]


def csls_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 08.3."""

    def case(
        name: str,
        n: int,
        m: int,
        d: int,
        k: int,
        *,
        seen: bool = False,
        dtype: Any = np.float64,
        reason: str = "",
    ) -> Case:
        # Both sides share a direction, as languages do, so that cosines lie far from zero.
        common = rng.normal(size=d)
        x, y = (
            (common + rng.normal(size=(size, d))) * rng.uniform(0.2, 5, size=(size, 1)) for size in (n, m)
        )
        if name == "a hub":
            y[int(rng.integers(m))] = 3 * x.mean(axis=0)
        x, y = x.astype(dtype), y.astype(dtype)
        told = close(_by_neighbours(x, y, k), rtol=1e-6 if dtype == np.float64 else 1e-4)
        return Case(name, (x, y, k), told, visible=seen, reason=reason)

    sides = "Which mean runs along rows, which along columns? Are rows divided by their lengths?"
    yield case("as many queries as targets", 8, 8, 6, 3, seen=True, reason=sides)
    yield case("more targets than queries", 5, 9, 7, 2, seen=True, reason=sides)
    yield case("more queries than targets", 12, 7, 5, 4, reason=sides)
    yield case("k = 1", 6, 5, 4, 1, reason="The nearest one alone.")
    few = "Where there are fewer than k, all of them are the neighbours."
    yield case("k beyond both sides", 4, 3, 5, 10, reason=few)
    yield case("one query", 1, 6, 4, 3, reason=few)
    yield case("float32", 40, 50, 64, 10, dtype=np.float32, reason=sides)
    yield case("a hub", 30, 30, 20, 5, reason=sides)


def _read(english: list[float], chinese: list[float], test: list[float]) -> dict[str, Any]:
    """Return the conclusion, by going along the layers one after another."""

    def first(values: list[float]) -> int:
        best = 0
        for k, value in enumerate(values):
            if value > values[best]:
                best = k
        return best

    score = test[first(english)]
    bound = test[first(chinese)]
    flattery = sorted(test)[-1] - score
    return {"layer": first(english), "score": score, "flattery": flattery, "bound": bound}


def layers_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 08.4."""
    drawn = (
        [
            0.5921,
            0.5921,
            0.5801,
            0.6254,
            0.6586,
            0.6556,
            0.6677,
            0.6405,
            0.6495,
            0.6495,
            0.6828,
            0.716,
            0.7221,
        ],
        [
            0.4683,
            0.4532,
            0.4864,
            0.4713,
            0.5015,
            0.3897,
            0.5317,
            0.429,
            0.3414,
            0.4562,
            0.4079,
            0.5347,
            0.5378,
        ],
        [
            0.4727,
            0.4333,
            0.4045,
            0.4106,
            0.4636,
            0.3591,
            0.4803,
            0.3955,
            0.3136,
            0.4182,
            0.3879,
            0.5197,
            0.5045,
        ],
    )
    example = [0.5, 0.7, 0.6], [0.3, 0.4, 0.5], [0.45, 0.2, 0.4]
    told = {"layer": 1, "score": 0.2, "flattery": 0.25, "bound": 0.4}
    yield Case(
        "the example of the text",
        example,
        close(told),
        visible=True,
        reason="Which curve may choose, and what?",
    )
    yield Case("the form of the answer", drawn, kind(_read(*drawn)), visible=True)
    yield Case("what the figure says", drawn, close(_read(*drawn)), reason="Who chose the layer?")

    def shaped(peaks: list[int], n: int) -> tuple[list[float], ...]:
        """Return three curves, each highest where it shall be, so that all choices differ."""
        curves = [[round(float(v), 4) for v in rng.uniform(0.2, 0.6, n)] for _ in range(3)]
        for curve, peak in zip(curves, peaks, strict=True):
            curve[peak] = round(float(rng.uniform(0.65, 0.8)), 4)
        return tuple(curves)

    for name, n in (("another network", 7), ("a deep network", 25)):
        curves = shaped([int(v) for v in rng.permutation(n)[:3]], n)
        yield Case(name, curves, close(_read(*curves)), reason="Each number comes from one curve.")
    curves = shaped([4, 3, 1], 6)
    for curve, again in zip(curves, (5, 5, 0), strict=True):
        curve[again] = max(curve)
    reason = "Where layers tie, the lower one is taken."
    yield Case("layers that tie", curves, close(_read(*curves)), reason=reason)
    curves = shaped([2, 4, 2], 5)
    yield Case("no flattery", curves, close(_read(*curves)), reason="Zero where the choice was the best.")
    yield Case(
        "one layer", shaped([0, 0, 0], 1), kind({"layer": 0, "score": 0.0, "flattery": 0.0, "bound": 0.0})
    )


EXERCISES = [
    Exercise(
        "08.1",
        "tokenizer_report",
        tokenizer_cases,
        (
            Wrong("special pieces counted", ((" if p not in special", ""),), "twelve sentences"),
            Wrong(
                "mean of ratios",
                (
                    (
                        "count / sum(words) if sum(words) else 0.0",
                        "np.mean([len(s) / w for s, w in zip(kept, words) if w]) if sum(words) else 0.0",
                    ),
                ),
                "a short and a long sentence",
            ),
            Wrong(
                "unknown per word",
                (("lost / count if count", "lost / sum(words) if count"),),
                "many sentences",
            ),
            Wrong(
                "unknown pieces dropped",
                (("len(sentence) for sentence in kept", "p != unknown for s in kept for p in s"),),
                "many sentences",
            ),
            Wrong(
                "empty sentences left out",
                (("hit / len(kept)", "hit / len([s for s in kept if s])"),),
                "a sentence without a piece",
            ),
            Wrong(
                "no care for zero",
                (("lost / count if count else 0.0", "lost / count"),),
                "no sentence at all",
            ),
        ),
    ),
    Exercise(
        "08.2",
        "mean_pooled",
        pooled_cases,
        (
            Wrong(
                "divides by the places",
                (
                    (
                        "count = there.sum(dim=1).clamp(min=1)",
                        "count = there.sum(dim=1) * 0 + states.shape[1]",
                    ),
                ),
                "sentences of different lengths",
            ),
            Wrong(
                "padding averaged in",
                (("states.masked_fill(~there, 0).sum", "states.sum"),),
                "sentences of different lengths",
            ),
            Wrong(
                "multiplied away", (("states.masked_fill(~there, 0)", "(states * there)"),), "NaN at padding"
            ),
            Wrong("no token, no care", ((".clamp(min=1)", ""),), "a sentence without a token"),
            Wrong(
                "in place",
                (("states.masked_fill(", "states.masked_fill_("),),
                "sentences of different lengths",
            ),
            Wrong(
                "one count for all",
                (("there.sum(dim=1)", "there.sum(dim=1).float().mean()"),),
                "sentences of different lengths",
            ),
        ),
        tensors="torch",
    ),
    Exercise(
        "08.3",
        "csls",
        csls_cases,
        (
            Wrong(
                "rows of any length",
                (("queries / np.linalg.norm(queries, axis=1, keepdims=True)", "queries"),),
                "as many queries as targets",
            ),
            Wrong(
                "the farthest",
                (("[:, -k:]", "[:, :k]"),),
                "more targets than queries",
            ),
            Wrong("one cosine", (("2 * cosine", "cosine"),), "as many queries as targets"),
            Wrong("one side only", ((" - near_y", ""),), "as many queries as targets"),
            Wrong(
                "sides exchanged",
                (("near_x[:, None] - near_y", "near_y[:, None] - near_x"),),
                "as many queries as targets",
            ),
            Wrong("the mean of all", (("[-k:]", ""),), "more queries than targets"),
            Wrong("one less", (("axis=0)[-k:]", "axis=0)[-k - 1:]"),), "as many queries as targets"),
            Wrong(
                "in place",
                (("    x = ", "    queries /= np.linalg.norm(queries, axis=1, keepdims=True)\n    x = "),),
                "as many queries as targets",
            ),
        ),
    ),
    Exercise(
        "08.4",
        "read_layers",
        layers_cases,
        (
            Wrong(
                "chosen on the test",
                (("np.argmax(english_validation)", "np.argmax(chinese_test)"),),
                "what the figure says",
            ),
            Wrong(
                "chosen with Chinese labels",
                (("np.argmax(english_validation)", "np.argmax(chinese_validation)"),),
                "another network",
            ),
            Wrong(
                "validation reported",
                (("chinese_test[with_labels]", "chinese_validation[with_labels]"),),
                "what the figure says",
            ),
            Wrong(
                "English reported",
                (("score = chinese_test[layer]", "score = english_validation[layer]"),),
                "what the figure says",
            ),
            Wrong(
                "the last of ties",
                (
                    (
                        "int(np.argmax(english_validation))",
                        "len(english_validation) - 1 - int(np.argmax(english_validation[::-1]))",
                    ),
                ),
                "layers that tie",
            ),
            Wrong(
                "the last layer",
                (("int(np.argmax(english_validation))", "len(english_validation) - 1"),),
                "the example of the text",
            ),
        ),
    ),
]
