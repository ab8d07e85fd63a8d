"""Checks of notebook 10: CORAL, Procrustes with a ridge, LoRA, and what a masked model has to guess."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close, equal


def _cloud(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Return rows with a mean of their own and variances from large to small, turned at random."""
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return rng.normal(size=(n, d)) * np.geomspace(3, 0.3, d) @ turn + rng.normal(0, 4, d)


def _recoloured(source: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    """Return CORAL by SciPy's matrix roots and a solver, in float64."""
    from scipy.linalg import solve, sqrtm

    a, b = (np.asarray(z, np.float64) for z in (source, target))
    roots = []
    for z in (a, b):
        c = np.atleast_2d(np.cov(z, rowvar=False))
        roots.append(np.real(sqrtm(c + ridge * np.diag(c).mean() * np.eye(len(c)))))
    whitened = solve(roots[1], (b - b.mean(axis=0)).T).T  # roots are symmetric
    return np.asarray(whitened @ roots[0] + a.mean(axis=0))


def coral_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 10.1."""

    def case(
        name: str,
        n: int,
        m: int,
        d: int,
        ridge: float,
        *,
        seen: bool = False,
        dtype: Any = np.float64,
        reason: str = "",
    ) -> Case:
        source, target = (_cloud(rng, size, d).astype(dtype) for size in (n, m))
        # float32: whitening magnifies rounding by the root of the condition number
        told = close(_recoloured(source, target, ridge), rtol=1e-6 if dtype is np.float64 else 1e-3)
        return Case(name, (source, target, ridge), told, visible=seen, reason=reason)

    order = "Whiten by the target, colour by the source; which mean goes, which one comes?"
    yield case("more rows than features", 40, 30, 3, 0.1, seen=True, reason=order)
    yield case(
        "ridge of 1, as published", 25, 50, 5, 1.0, seen=True, reason="The ridge counts in mean variances."
    )
    few = "Without the ridge nothing could be inverted: is it added to both covariances?"
    yield case("fewer rows than features", 6, 8, 12, 0.5, reason=few)
    yield case("two rows", 2, 2, 3, 1.0, reason="Divided by the number of rows minus 1.")
    yield case("one feature", 20, 15, 1, 0.2, reason="Also for d = 1.")
    yield case("float32", 200, 150, 16, 0.1, dtype=np.float32, reason=order)
    yield case("many features", 300, 300, 40, 0.01, reason=order)
    same = _cloud(rng, 30, 4)
    reason = "A cloud that is brought to itself stays where it is."
    yield Case("source and target alike", (same, same.copy(), 0.3), close(same), reason=reason)
    source, target = _cloud(rng, 30, 4), _cloud(rng, 25, 4)
    target[:, 2] = 5.0
    told = close(_recoloured(source, target, 0.1))
    yield Case("a feature that does not vary", (source, target, 0.1), told, reason=few)
    source = _cloud(rng, 30, 3)
    moved = source * 1000 + 7  # the ridge must grow with the variance
    # All variances are a million times larger, so the map only scales and shifts: a closed form.
    yield Case(
        "a thousand times larger",
        (source, moved, 0.5),
        close(source),
        reason="The ridge counts in mean variances.",
    )


def _turned(source: np.ndarray, target: np.ndarray, x: np.ndarray, ridge: float) -> np.ndarray:
    """Return x after SciPy's Procrustes; the ridge is d more pairs that want to stay where they are."""
    from scipy.linalg import orthogonal_procrustes, svdvals

    shift, centre = source.mean(axis=0), target.mean(axis=0)
    s, t = source - shift, target - centre
    d = s.shape[1]
    still = np.sqrt(ridge * svdvals(t.T @ s).sum() / d) * np.eye(d)
    turn, _ = orthogonal_procrustes(np.vstack([t, still]), np.vstack([s, still]))
    return np.asarray((x - centre) @ turn + shift)


def procrustes_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 10.2."""

    def case(
        name: str,
        k: int,
        d: int,
        n: int,
        ridge: float,
        *,
        noise: float = 0.3,
        seen: bool = False,
        mirrored: bool = False,
        dtype: Any = np.float64,
        reason: str = "",
    ) -> Case:
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        if (np.linalg.det(turn) < 0) != mirrored:
            turn[:, 0] *= -1
        target, x = _cloud(rng, k, d), _cloud(rng, n, d)
        source = target @ turn + noise * rng.normal(size=(k, d)) + rng.normal(0, 3, d)
        given = tuple(z.astype(dtype) for z in (source, target, x))
        told = _turned(*(z.astype(np.float64) for z in given), ridge)
        # float32: a rotation is known as well as the gaps between singular values
        return Case(
            name,
            (*given, ridge),
            close(told, rtol=1e-6 if dtype is np.float64 else 1e-3),
            visible=seen,
            reason=reason,
        )

    sides = "Which side is turned onto which, and is each minus its own mean?"
    yield case("more pairs than features", 30, 4, 6, 0.0, seen=True, reason=sides)
    yield case("a ridge", 20, 5, 7, 1.0, seen=True, reason="The ridge counts in mean singular values.")
    yield case("fewer pairs than features", 5, 10, 4, 0.5, reason="The mean is over all d singular values.")
    yield case("two pairs", 2, 6, 5, 1.0, reason="The mean is over all d singular values.")
    yield case("one sentence", 25, 4, 1, 0.2, reason="Whose means does a single sentence need?")
    yield case("a reflection", 40, 3, 8, 0.0, noise=0.01, mirrored=True, reason="Reflections are allowed.")
    yield case("a strong ridge", 30, 6, 10, 50.0, reason="The stronger the ridge, the nearer to centring.")
    yield case("float32", 60, 16, 20, 1.0, dtype=np.float32, reason=sides)
    target, turn = _cloud(rng, 30, 5), np.linalg.qr(rng.normal(size=(5, 5)))[0]
    x = _cloud(rng, 9, 5)
    told = close((x - target.mean(axis=0)) @ turn)
    reason = "Where the pairs are turned exactly, everything is turned like them."
    yield Case(
        "pairs without noise", ((target - target.mean(axis=0)) @ turn, target, x, 0.0), told, reason=reason
    )


def lora_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 10.3."""

    def case(
        name: str,
        shape: tuple[int, ...],
        out: int,
        r: int,
        alpha: float,
        *,
        seen: bool = False,
        zero: bool = False,
        dtype: Any = np.float32,
        reason: str = "",
    ) -> Case:
        x, weight, a, b = (rng.normal(size=s) for s in (shape, (out, shape[-1]), (r, shape[-1]), (out, r)))
        x, weight, a, b = (z.astype(dtype) for z in (x, weight, a, b * (not zero)))
        # The term as a sum over ranks, in float64.
        term = sum(np.multiply.outer(b[:, k].astype(float), a[k].astype(float)) for k in range(r))
        merged = weight.astype(float) + alpha / r * term
        output = np.einsum("oi,...i->...o", merged, x.astype(float))
        trained = r * (out + shape[-1])
        told = {
            "output": output,
            "merged": merged,
            "trained": trained,
            "share": trained / (out * shape[-1]),
        }
        rtol = 1e-6 if dtype is np.float64 else 1e-4
        return Case(name, (x, weight, a, b, alpha), close(told, rtol=rtol), visible=seen, reason=reason)

    factor = "What stands before BA in the formula?"
    yield case("rank 2", (4, 6), 5, 2, 6, seen=True, reason=factor)
    yield case(
        "nothing learnt yet", (3, 7), 4, 3, 8, seen=True, zero=True, reason="Then it is the old network."
    )
    yield case("rank 1", (5, 4), 6, 1, 3, reason=factor)
    yield case("alpha below the rank", (8, 10), 3, 8, 2, reason=factor)
    yield case("sentences of tokens", (2, 5, 6), 4, 2, 4, reason="x may have any number of dimensions.")
    yield case("one vector", (6,), 5, 4, 16, reason="x may have any number of dimensions.")
    yield case("float64, alpha no whole number", (6, 9), 7, 3, 0.75, dtype=np.float64, reason=factor)
    yield case("as large as a layer", (4, 96), 64, 8, 16, reason=factor)


CLS, SEP, PAD, UNK, MASK = 101, 102, 0, 100, 103


def _hidden(
    ids: np.ndarray, special: list[int], mask: int, choose: np.ndarray, fate: np.ndarray, other: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what the text describes, place by place; counts in whole numbers."""
    seen, labels = ids.copy(), np.full(ids.shape, -100)
    for row in range(len(ids)):
        free = [k for k in range(ids.shape[1]) if int(ids[row, k]) not in special]
        count = max(1, (15 * len(free) + 50) // 100) if free else 0
        for k in sorted(free, key=lambda k: choose[row, k])[:count]:
            labels[row, k] = ids[row, k]
            if fate[row, k] < 0.8:
                seen[row, k] = mask
            elif fate[row, k] < 0.9:
                seen[row, k] = other[row, k]
    return {"ids": seen, "labels": labels}


def mask_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 10.4."""

    def sentences(lengths: list[int], unknown: float = 0.1) -> np.ndarray:
        rows = np.full((len(lengths), max(lengths) + 2), PAD)
        for row, length in enumerate(lengths):
            pieces = rng.integers(1000, 2000, length)
            pieces[rng.random(length) < unknown] = UNK
            rows[row, : length + 2] = [CLS, *pieces, SEP]
        return rows

    def case(
        name: str,
        ids: np.ndarray,
        *,
        fate: Any = None,
        seen: bool = False,
        reason: str = "",
        mask: int = MASK,
    ) -> Case:
        choose, chance, other = (
            rng.random(ids.shape),
            rng.random(ids.shape),
            rng.integers(2000, 3000, ids.shape),
        )
        fate = chance if fate is None else np.asarray(np.broadcast_to(fate, ids.shape), float).copy()
        given = (ids, [CLS, SEP, PAD, UNK, mask], mask, choose, fate, other)
        return Case(name, given, equal(_hidden(*given)), visible=seen, reason=reason)

    lengths = [int(v) for v in rng.integers(3, 20, 6)]
    where = "Which places may be chosen, how many are, and which come first?"
    yield case("six sentences", sentences(lengths), seen=True, reason=where)
    yield case("one long sentence", sentences([60]), seen=True, reason=where)
    yield case("short sentences", sentences([1, 2, 3, 4], unknown=0), reason="At least one is chosen.")
    empty = sentences([5, 3, 8])
    empty[1, 1:4] = UNK
    yield case("a sentence of unknown pieces", empty, reason="Where m = 0, none is chosen.")
    yield case(
        "halves", sentences([10, 30, 50, 70], unknown=0), reason="floor(0.15 m + 1/2) rounds halves up."
    )
    edge = "Below 0.8 is the mask, at least 0.9 is what stood there."
    yield case("fate of exactly 0.8", sentences([20, 30]), fate=0.8, reason=edge)
    yield case("fate of exactly 0.9", sentences([20, 30]), fate=0.9, reason=edge)
    yield case("all of them masked", sentences([12, 40, 7]), fate=0.0, reason=where)
    yield case(
        "another mask", sentences([15, 25]), fate=0.1, mask=4, reason="The number of the mask is an argument."
    )
    padded = np.hstack([sentences([9, 14]), np.full((2, 80), PAD)])
    yield case("mostly padding", padded, fate=0.5, reason="Padding counts for nothing, not even for m.")
    yield case("many sentences", sentences([int(v) for v in rng.integers(1, 40, 80)]), reason=where)


EXERCISES = [
    Exercise(
        "10.1",
        "coral",
        coral_cases,
        (
            Wrong("divides by n", (("(len(x) - 1)", "len(x)"),), "more rows than features"),
            Wrong(
                "the wrong way round",
                (("power(target, -0.5) @ power(source, 0.5)", "power(source, -0.5) @ power(target, 0.5)"),),
                "more rows than features",
            ),
            Wrong(
                "a ridge without scale",
                (("ridge * np.trace(covariance) / len(covariance)", "ridge"),),
                "ridge of 1, as published",
            ),
            Wrong("a ridge of the trace", ((" / len(covariance)", ""),), "ridge of 1, as published"),
            Wrong("no ridge", (("extra = ridge", "extra = 1e-9"),), "ridge of 1, as published"),
            Wrong(
                "not centred", (("(target - target.mean(axis=0)) @", "target @"),), "more rows than features"
            ),
            Wrong("stays where it was", (("+ source.mean", "+ target.mean"),), "more rows than features"),
            Wrong(
                "another root",
                (("power(source, 0.5)", "np.linalg.cholesky(power(source, 1.0)).T"),),
                "more rows than features",
            ),
            Wrong(
                "colour before whitening",
                (("power(target, -0.5) @ power(source, 0.5)", "power(source, 0.5) @ power(target, -0.5)"),),
                "more rows than features",
            ),
            Wrong(
                "in place",
                (
                    (
                        "    moved = (target - target.mean(axis=0))",
                        "    target -= target.mean(axis=0)\n    moved = target",
                    ),
                ),
                "more rows than features",
            ),
        ),
    ),
    Exercise(
        "10.2",
        "procrustes",
        procrustes_cases,
        (
            Wrong(
                "not centred",
                (("(target_pairs - centre).T @ (source_pairs - shift)", "target_pairs.T @ source_pairs"),),
                "more pairs than features",
            ),
            Wrong("turned back", (("(left @ right)", "(left @ right).T"),), "more pairs than features"),
            Wrong("V for its transpose", (("left @ right", "left @ right.T"),), "more pairs than features"),
            Wrong("its own mean", (("(x - centre)", "(x - x.mean(axis=0))"),), "one sentence"),
            Wrong("a ridge without scale", (("ridge * scale", "ridge"),), "a ridge"),
            Wrong(
                "mean of the singular values there are",
                ((".mean()\n    left", ".sum() / min(len(source_pairs) - 1, len(common))\n    left"),),
                "fewer pairs than features",
            ),
            Wrong(
                "least squares",
                (("@ (left @ right)", "@ np.linalg.lstsq(target_pairs - centre, source_pairs - shift)[0]"),),
                "more pairs than features",
            ),
            Wrong(
                "no reflection",
                (
                    (
                        "(left @ right)",
                        "(left * np.append(np.ones(len(common) - 1), "
                        "np.sign(np.linalg.det(left @ right))) @ right)",
                    ),
                ),
                "a reflection",
            ),
            Wrong(
                "in place",
                (("    return (x - centre)", "    x -= centre\n    return x"),),
                "more pairs than features",
            ),
        ),
    ),
    Exercise(
        "10.3",
        "lora_layer",
        lora_cases,
        (
            Wrong("alpha alone", (("alpha / a.shape[0]", "alpha"),), "rank 2"),
            Wrong("the other side", (("a.shape[0]", "a.shape[1]"),), "rank 2"),
            Wrong(
                "merged in place",
                (('"merged": weight + scale', '"merged": weight.add_(scale'), ("(b @ a),", "(b @ a)),")),
                "rank 2",
            ),
            Wrong(
                "merged and beside",
                (("x @ weight.T + scale", "x @ (weight + scale * b @ a).T + scale"),),
                "rank 2",
            ),
            Wrong("output without the factor", (("+ scale * (x", "+ (x"),), "rank 2"),
            Wrong(
                "counts the frozen ones",
                (("a.numel() + b.numel()", "a.numel() + b.numel() + weight.numel()"),),
                "rank 2",
            ),
            Wrong("root of the rank", (("a.shape[0]", "a.shape[0] ** 0.5"),), "rank 2"),
        ),
        tensors="torch",
    ),
    Exercise(
        "10.4",
        "mask_pieces",
        mask_cases,
        (
            Wrong("special ones chosen", (("np.where(free, choose, np.inf)", "choose"),), "many sentences"),
            Wrong(
                "a share of all places",
                (("m = free.sum(axis=1, keepdims=True)", "m = np.full((len(ids), 1), ids.shape[1])"),),
                "mostly padding",
            ),
            Wrong("down, not to the nearest", (("0.15 * m + 0.5", "0.15 * m"),), "halves"),
            Wrong("halves to even", (("np.floor(0.15 * m + 0.5)", "np.round(0.15 * m)"),), "halves"),
            Wrong(
                "none in short sentences",
                (("np.maximum(1, np.floor(0.15 * m + 0.5))", "np.floor(0.15 * m + 0.5)"),),
                "short sentences",
            ),
            Wrong(
                "one where there is none",
                (
                    (
                        "np.where(m > 0, np.maximum(1, np.floor(0.15 * m + 0.5)), 0)",
                        "np.maximum(1, np.floor(0.15 * m + 0.5))",
                    ),
                ),
                "a sentence of unknown pieces",
            ),
            Wrong(
                "places for ranks", (("order.argsort(axis=1) < count", "order < count"),), "one long sentence"
            ),
            Wrong("0.8 is hidden, too", (("fate < 0.8", "fate <= 0.8"),), "fate of exactly 0.8"),
            Wrong("0.9 is replaced, too", (("fate < 0.9", "fate <= 0.9"),), "fate of exactly 0.9"),
            Wrong(
                "labels everywhere",
                (("np.where(chosen, ids, -100)", "np.where(free, ids, -100)"),),
                "one long sentence",
            ),
            Wrong(
                "no label where nothing shows",
                (("np.where(chosen, ids, -100)", "np.where(chosen & (fate < 0.9), ids, -100)"),),
                "fate of exactly 0.9",
            ),
            Wrong(
                "in place",
                (
                    (
                        '    return {"ids": np.where(chosen, shown, ids), '
                        '"labels": np.where(chosen, ids, -100)}',
                        "    labels = np.where(chosen, ids, -100)\n    ids[chosen] = shown[chosen]\n"
                        '    return {"ids": ids, "labels": labels}',
                    ),
                ),
                "all of them masked",
            ),
        ),
    ),
]
