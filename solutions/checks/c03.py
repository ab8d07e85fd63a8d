"""Checks of notebook 03: AdamW, L2-SP in closed form, two versions of MMD, a loss that does not break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.grading import Case, Exercise, Wrong, close


def _by_torch(
    gradients: np.ndarray, start: np.ndarray, rate: float, decay: float, b1: float, b2: float, epsilon: float
) -> np.ndarray:
    """Return the path that PyTorch's own AdamW takes."""
    import torch

    weights = torch.nn.Parameter(torch.tensor(start))
    optimiser = torch.optim.AdamW(
        [weights], lr=rate, betas=(b1, b2), eps=epsilon, weight_decay=decay, foreach=False
    )
    path = np.empty(gradients.shape)
    for step, gradient in enumerate(gradients):
        weights.grad = torch.tensor(gradient)
        optimiser.step()
        path[step] = weights.detach().numpy()
    return path


def adamw_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 03.1."""
    usual = (0.9, 0.999, 1e-8)
    correct = "Are both means corrected, and with which t does counting begin?"
    epsilons = "Where does epsilon stand: before or after the correction and the root?"
    decays = "Does the decay pass through the gradient?"
    for name, shape, scale, rate, decay, constants, seen, reason in (
        ("ten steps", (10, 4), 1.0, 0.01, 0.1, usual, True, correct),
        ("one step", (1, 3), 1.0, 0.001, 0.0, usual, True, correct),
        ("tiny gradients", (6, 5), 1e-8, 0.01, 0.0, usual, False, epsilons),
        ("a matrix of weights", (25, 3, 4), 1.0, 0.02, 0.01, usual, False, "Element by element."),
        ("a strong decay", (20, 6), 0.1, 0.1, 2.0, usual, False, decays),
        ("other constants", (15, 2), 3.0, 0.05, 0.3, (0.8, 0.95, 1e-3), False, "They are arguments."),
        ("no step", (0, 3), 1.0, 0.01, 0.1, usual, False, "No step: an array without rows."),
    ):
        gradients = scale * (rng.normal(size=shape) + 0.5)
        start = rng.normal(size=shape[1:]) + np.where(rng.random(shape[1:]) < 0.5, -1, 1)
        expected = close(_by_torch(gradients, start, rate, decay, *constants))
        yield Case(name, (gradients, start, rate, decay, *constants), expected, visible=seen, reason=reason)
    rate, decay, steps = 0.1, float(rng.uniform(0.2, 0.8)), 8
    start = rng.normal(size=4) + 3
    left = (1 - rate * decay) ** np.arange(1, steps + 1)
    yield Case(
        "gradients of zero",
        (np.zeros((steps, 4)), start, rate, decay, *usual),
        close(left[:, None] * start),
        reason="Only the decay moves the weights, and zero over epsilon is zero.",
    )


def _ridge(x: np.ndarray, t: np.ndarray, start: np.ndarray, alpha: float) -> dict[str, Any]:
    """Return the answer by scikit-learn's ridge regression on what the source leaves unexplained."""
    from sklearn.linear_model import Ridge

    x = x.astype(np.float64)
    n = len(x)
    model = Ridge(alpha=n * alpha, fit_intercept=False, solver="svd").fit(x, t - x @ start)
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    return {"weights": start + model.coef_, "decided": float(np.sum(squares / (squares + n * alpha)))}


def pulled_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 03.2."""
    means = "The risk is a mean over n examples: is everything that comes from the labels divided by n?"
    source = "Where the labels say nothing, the source's weights stay."
    for name, n, d, alpha, dtype, seen, reason in (
        ("more examples than features", 30, 4, 0.5, np.float64, True, means),
        ("fewer examples than features", 3, 6, 0.1, np.float64, True, source),
        ("a single example", 1, 5, 0.3, np.float64, False, source),
        ("a weak pull", 12, 20, 1e-4, np.float64, False, source),
        ("a pull that freezes", 20, 5, 1e5, np.float64, False, source),
        ("features in float32", 60, 30, 0.02, np.float32, False, "Compute in float64."),
        ("one feature", 9, 1, 1.0, np.float64, False, means),
    ):
        x = (rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d)).astype(dtype)
        t, start = rng.normal(size=n) + 1, rng.normal(size=d) + 2
        yield Case(name, (x, t, start, alpha), close(_ridge(x, t, start, alpha)), visible=seen, reason=reason)
    x = rng.normal(size=(15, 6))
    x[:, 2] = 0
    t, start = rng.normal(size=15), rng.normal(size=6) + 2
    told = close(_ridge(x, t, start, 0.2))
    yield Case("a feature that is always zero", (x, t, start, 0.2), told, reason=source)


def _by_kernel(x: np.ndarray, y: np.ndarray, sigma: float) -> dict[str, float]:
    """Return both versions from scikit-learn's kernel matrices."""
    from sklearn.metrics.pairwise import rbf_kernel

    middle = x.astype(np.float64).mean(axis=0)
    x, y = x.astype(np.float64) - middle, y.astype(np.float64) - middle
    within = [rbf_kernel(z, gamma=0.5 / sigma**2) for z in (x, y)]
    across = float(rbf_kernel(x, y, gamma=0.5 / sigma**2).mean())
    apart = [float(k[~np.eye(len(k), dtype=bool)].mean()) for k in within]
    return {
        "unbiased": sum(apart) - 2 * across,
        "biased": sum(float(k.mean()) for k in within) - 2 * across,
    }


def mmd_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 03.3."""
    pairs = "Which pairs are left out, and how many are then left to divide by?"
    kernel = "How does sigma enter the kernel?"
    for name, n, m, d, sigma, seen, reason in (
        ("two samples of one size", 8, 8, 3, 2.0, True, pairs),
        ("samples of two sizes", 6, 15, 4, 1.5, True, pairs),
        ("two examples each", 2, 2, 5, 3.0, False, pairs),
        ("a narrow kernel", 10, 7, 2, 0.4, False, kernel),
        ("a wide kernel", 9, 30, 6, 20.0, False, kernel),
    ):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.7
        told = close(_by_kernel(x, y, sigma))
        yield Case(name, (x, y, sigma), told, visible=seen, reason=reason)
    x = rng.normal(size=(12, 6))
    y = x + 0.01 * rng.normal(size=(12, 6))
    below = "The unbiased version may be negative, and stays so."
    yield Case("nearly the same examples", (x, y, 2.0), close(_by_kernel(x, y, 2.0)), reason=below)
    x = (rng.normal(size=(20, 4)) + 5000).astype(np.float32)
    y = (rng.normal(size=(25, 4)) + 5000.5).astype(np.float32)
    far = "Far from zero, float32 has no digits left for the differences."
    yield Case("float32, far from zero", (x, y, 2.0), close(_by_kernel(x, y, 2.0)), reason=far)
    x, y = rng.normal(size=(2, 6, 3))
    x[3], y[1] = x[0], y[2]
    twins = "Two examples with equal features are a pair like any other."
    yield Case("examples with equal features", (x, y, 1.0), close(_by_kernel(x, y, 1.0)), reason=twins)


def _loss_by_torch(scores: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return PyTorch's cross-entropy, and the gradient that it finds by itself."""
    import torch

    given = torch.tensor(scores.astype(np.float64), requires_grad=True)
    loss = torch.nn.functional.cross_entropy(given, torch.tensor(y))
    loss.backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    return {"loss": float(loss.detach()), "gradient": given.grad.numpy()}


def entropy_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield the cases of 03.4."""
    large = "No power may be larger than a float can hold."
    for name, n, k, scale, dtype, seen, reason in (
        ("usual scores", 6, 4, 1.5, np.float64, True, "How often is a softmax taken?"),
        ("large scores", 5, 3, 1000.0, np.float64, True, large),
        ("one row", 1, 10, 2.0, np.float64, False, "The mean of one."),
        ("many rows in float32", 200, 7, 3.0, np.float32, False, "Compute in float64."),
        ("whole numbers", 9, 5, 4.0, np.int64, False, "Scores may be whole numbers."),
    ):
        scores, y = (scale * rng.normal(size=(n, k))).astype(dtype), rng.integers(k, size=n)
        told = close(_loss_by_torch(scores, y))
        yield Case(name, (scores, y), told, visible=seen, reason=reason)
    scores, y = rng.normal(size=(4, 5)), rng.integers(5, size=4)
    scores += np.array([[5000.0], [-5000.0], [0.0], [800.0]])
    told = close(_loss_by_torch(scores, y))
    yield Case("rows of different size", (scores, y), told, reason="Each row needs a shift of its own.")
    scores, y = rng.normal(size=(3, 4)), rng.integers(4, size=3)
    scores[np.arange(3), y] -= 5000
    behind = "A probability of 0 has no logarithm, but the loss is finite."
    yield Case("a right class far behind", (scores, y), close(_loss_by_torch(scores, y)), reason=behind)
    scores, y = rng.normal(size=(6, 5)), rng.integers(5, size=6)
    scores[np.arange(6), (y + 1 + rng.integers(4, size=6)) % 5] = -np.inf
    out = "A class that is ruled out has probability 0 and gradient 0."
    yield Case("classes ruled out", (scores, y), close(_loss_by_torch(scores, y)), reason=out)
    y = rng.integers(3, size=4)
    scores = np.where(np.arange(3) == y[:, None], 100.0, 0.0)
    nothing = "Right, and sure: the loss is 0."
    yield Case("right and sure", (scores, y), close(_loss_by_torch(scores, y), atol=1e-12), reason=nothing)


EXERCISES = [
    Exercise(
        "03.1",
        "adamw",
        adamw_cases,
        (
            Wrong("no correction of the mean", (("m / (1 - b1**t) /", "m /"),), "ten steps"),
            Wrong("no correction of the square", (("u / (1 - b2**t)", "u"),), "one step"),
            Wrong(
                "epsilon as in Keras",
                (
                    (
                        "(np.sqrt(u / (1 - b2**t)) + epsilon)",
                        "(np.sqrt(u) + epsilon) * np.sqrt(1 - b2**t)",
                    ),
                ),
                "tiny gradients",
            ),
            Wrong(
                "epsilon under the root",
                (("np.sqrt(u / (1 - b2**t)) + epsilon", "np.sqrt(u / (1 - b2**t) + epsilon)"),),
                "tiny gradients",
            ),
            Wrong(
                "decay through the gradient",
                (
                    ("        m = b1", "        g = g + decay * w\n        m = b1"),
                    ("w - rate * decay * w", "w"),
                ),
                "a strong decay",
            ),
            Wrong("decay without the rate", (("rate * decay * w", "decay * w"),), "ten steps"),
            Wrong("counts from 2", (("start=1", "start=2"), ("path[t - 1]", "path[t - 2]")), "one step"),
            Wrong("mean not squared", (("g**2", "np.abs(g)"),), "ten steps"),
            Wrong(
                "in place",
                (
                    (
                        "w = w - rate * decay * w - rate * step",
                        "w *= 1 - rate * decay\n        w -= rate * step",
                    ),
                ),
                "one step",
            ),
            Wrong("a row of start first", (("path[t - 1] = w", "path[t:] = w"),), "ten steps"),
        ),
    ),
    Exercise(
        "03.2",
        "pulled",
        pulled_cases,
        (
            Wrong("pulled to zero", ((" + alpha * start", ""),), "fewer examples than features"),
            Wrong("start not weighted", ((" + alpha * start", " + start"),), "fewer examples than features"),
            Wrong(
                "sums instead of means",
                (("x.T @ x / n", "x.T @ x"), ("x.T @ t / n", "x.T @ t")),
                "more examples than features",
            ),
            Wrong("half of the matrix divided", (("x.T @ t / n", "x.T @ t"),), "more examples than features"),
            Wrong("no pull in the matrix", (("alpha * np.eye(d)", "1e-12 * np.eye(d)"),), "one feature"),
            Wrong(
                "the pull added to all entries",
                (("alpha * np.eye(d)", "alpha"),),
                "more examples than features",
            ),
            Wrong(
                "shares of the pull", (("along / (along", "alpha / (along"),), "fewer examples than features"
            ),
            Wrong(
                "directions counted",
                (("np.sum(along / (along + alpha))", "np.sum(along > alpha)"),),
                "more examples than features",
            ),
            Wrong(
                "in place",
                (
                    (
                        "    right = x.T @ t / n + alpha * start",
                        "    start *= alpha\n    right = x.T @ t / n + start",
                    ),
                ),
                "more examples than features",
            ),
        ),
    ),
    Exercise(
        "03.3",
        "mmd2",
        mmd_cases,
        (
            Wrong("pairs with itself kept", (("(in_x - n)", "in_x"),), "two examples each"),
            Wrong("divided by all pairs", (("(n * (n - 1))", "n**2"),), "two samples of one size"),
            Wrong("sigma not squared", (("2 * sigma**2", "2 * sigma"),), "a narrow kernel"),
            Wrong("no 2 in the kernel", (("(2 * sigma**2)", "sigma**2"),), "two samples of one size"),
            Wrong(
                "across once", (("across = 2 * likeness", "across = likeness"),), "two samples of one size"
            ),
            Wrong("one size for both", (("/ (n * m)", "/ n**2"),), "samples of two sizes"),
            Wrong(
                "cut off at zero",
                (
                    ("    unbiased = (", "    unbiased = np.maximum(0, "),
                    ("(m - 1)) - across", "(m - 1)) - across)"),
                    ("in_x - n)", "(in_x - n)"),
                ),
                "nearly the same examples",
            ),
            Wrong(
                "float32 and a short cut",
                (
                    ("x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)", "pass"),
                    (
                        "((a[:, None] - b[None]) ** 2).sum(axis=2)",
                        "(a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T",
                    ),
                ),
                "float32, far from zero",
            ),
            Wrong(
                "equal features left out",
                (("(in_x - n)", "(in_x - (((x[:, None] - x[None]) ** 2).sum(axis=2) == 0).sum())"),),
                "examples with equal features",
            ),
            Wrong(
                "in place",
                (
                    (
                        "    n, m = len(x), len(y)",
                        "    n, m = len(x), len(y)\n    x -= y.mean(axis=0)\n    y -= y.mean(axis=0)",
                    ),
                ),
                "two samples of one size",
            ),
        ),
    ),
    Exercise(
        "03.4",
        "cross_entropy",
        entropy_cases,
        (
            Wrong(
                "softmax twice",
                (
                    (
                        "    odds = np.exp(shifted)",
                        "    shifted = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)\n"
                        "    odds = np.exp(shifted)",
                    ),
                ),
                "usual scores",
            ),
            Wrong(
                "no shift",
                (("np.asarray(scores, dtype=np.float64).max(axis=1, keepdims=True)", "0.0"),),
                "rows of different size",
            ),
            Wrong(
                "one shift for all rows",
                ((".max(axis=1, keepdims=True)", ".max()"),),
                "rows of different size",
            ),
            Wrong(
                "logarithm of a probability",
                (("np.log(total[:, 0]) - shifted[rows, y]", "-np.log(odds[rows, y] / total[:, 0])"),),
                "a right class far behind",
            ),
            Wrong(
                "a little added against zero",
                (("np.log(total[:, 0]) - shifted[rows, y]", "-np.log(odds[rows, y] / total[:, 0] + 1e-12)"),),
                "a right class far behind",
            ),
            Wrong("a sum", ((").mean()", ").sum()"),), "usual scores"),
            Wrong("gradient of the sum", (("gradient / len(y)", "gradient"),), "usual scores"),
            Wrong(
                "over the rows",
                (("odds.sum(axis=1, keepdims=True)", "odds.sum(axis=0, keepdims=True)"),),
                "many rows in float32",
            ),
            Wrong(
                "in place",
                (
                    (
                        "    shifted = scores - np",
                        "    scores -= np.max(scores, axis=1, keepdims=True)\n    shifted = scores - np",
                    ),
                ),
                "usual scores",
            ),
        ),
    ),
]
