"""Kernel ridge regression against its definition, left-out answers against leaving out."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.errors import BadInput
from course_lib.methods import kernel


def data(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 0.3 * rng.standard_normal(n) > 0).astype(np.int64)


def test_squared_distances_are_those_of_the_definition() -> None:
    a, b = data()[0], data(20, 1)[0]
    by_hand = ((b[:, None] - a[None]) ** 2).sum(axis=2)
    scale = np.median(((a[:, None] - a[None]) ** 2).sum(axis=2))
    assert np.allclose(kernel.squared_distances([a], [b]), by_hand / scale, atol=1e-5)
    far = kernel.squared_distances([a + 1000], [b + 1000])  # no digits lost far from the origin
    assert np.allclose(far, by_hand / scale, atol=1e-2)
    two = kernel.squared_distances([a, 7 * a], [b, 7 * b])
    assert np.allclose(two, by_hand / scale, atol=1e-5)  # each kind in its own scale


def test_solves_the_linear_system() -> None:
    x, y = data()
    d = kernel.squared_distances([x])
    fit = kernel.fit_kernel(d, y, widths=[1.0], strengths=[0.5])
    target = np.eye(2)[y]
    expected = np.linalg.solve(np.exp(-d) + 0.5 * np.eye(len(y)), target - target.mean(axis=0))
    assert np.allclose(fit.coefficients, expected, atol=1e-4)
    assert np.allclose(fit.scores(d), np.exp(-d) @ expected + target.mean(axis=0), atol=1e-4)


def test_left_out_answers_are_those_of_fits_without_the_example() -> None:
    x, y = data(30)
    d = kernel.squared_distances([x])
    fit = kernel.fit_kernel(d, y, widths=[1.0], strengths=[0.5])
    target = np.eye(2)[y] - fit.offset  # the offset stays that of all, as in the closed form
    for i in (0, 7, 29):
        rest = np.delete(np.arange(30), i)
        a = np.linalg.solve(np.exp(-d[np.ix_(rest, rest)]) + 0.5 * np.eye(29), target[rest])
        assert np.allclose(np.exp(-d[i, rest]) @ a + fit.offset, fit.left_out[i])
    assert not np.allclose(fit.scores(d), fit.left_out, atol=0.05)  # seen examples are answered too well


def test_choices_are_the_best_left_out() -> None:
    x, y = data(200)
    d = kernel.squared_distances([x])
    wanted = np.eye(2)[y]
    fit = kernel.fit_kernel(d, y, widths=[0.01, 1.0], strengths=[0.01, 1.0, 100.0])
    single = {
        (w, s): np.square(kernel.fit_kernel(d, y, widths=[w], strengths=[s]).left_out - wanted).mean()
        for w in (0.01, 1.0)
        for s in (0.01, 1.0, 100.0)
    }
    assert (fit.width, fit.strength) == min(single, key=single.get)
    noise = np.random.default_rng(3).integers(0, 2, 200)
    assert kernel.fit_kernel(d, noise).accuracy < 0.65


def test_doubtful_labels_are_taken_as_they_are() -> None:
    x, y = data()
    d = kernel.squared_distances([x])
    soft = np.where(np.eye(2)[y] > 0, 0.8, 0.2)
    hard, doubtful = (kernel.fit_kernel(d, t, widths=[1.0], strengths=[0.5]) for t in (y, soft))
    assert np.allclose(doubtful.coefficients, 0.6 * hard.coefficients)


def test_refuses_what_does_not_fit() -> None:
    x, y = data()
    d = kernel.squared_distances([x])
    with pytest.raises(BadInput, match="one target per example"):
        kernel.fit_kernel(d, y[:-1])
    with pytest.raises(BadInput, match="expected \\(n, n\\)"):
        kernel.fit_kernel(d[:5], y)
    d[0, 0] = np.nan
    with pytest.raises(BadInput, match="finite"):
        kernel.fit_kernel(d, y)
    with pytest.raises(BadInput, match="at least one"):
        kernel.fit_kernel(np.zeros((60, 60)), y, widths=[])
