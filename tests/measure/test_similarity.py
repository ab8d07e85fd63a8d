"""CKA: what it does not notice, what it does, and the published formulas written out."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import measure
from course_lib.errors import BadInput


def by_hsic(x, y, debiased):
    """CKA from Gram matrices, sum by sum as published (Kornblith et al. 2019; Song et al. 2012, eq. 5)."""

    def hsic(k, length):
        n = len(k)
        if not debiased:
            centre = np.eye(n) - np.ones((n, n)) / n
            return np.trace(k @ centre @ length @ centre) / (n - 1) ** 2
        k, length = k - np.diag(np.diag(k)), length - np.diag(np.diag(length))
        one = np.ones(n)
        total = np.trace(k @ length) + (one @ k @ one) * (one @ length @ one) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * (one @ k @ length @ one)) / (n * (n - 3))

    k, length = x @ x.T, y @ y.T
    return hsic(k, length) / np.sqrt(hsic(k, k) * hsic(length, length))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8)) + 3
    return x, x[:, :5] @ rng.normal(size=(5, 12)) + rng.normal(size=(60, 12))


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize(("n", "d1", "d2"), [(60, 8, 12), (9, 40, 30), (30, 3, 200), (4, 2, 2)])
def test_equal_to_hsic_of_gram_matrices(debiased, n, d1, d2):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d1)) + 10
    y = rng.normal(size=(n, d2)) + x[:, :1]
    assert measure.linear_cka(x, y, debiased=debiased) == pytest.approx(by_hsic(x, y, debiased), abs=1e-9)
    assert measure.linear_cka(y, x, debiased=debiased) == pytest.approx(by_hsic(x, y, debiased), abs=1e-9)


@pytest.mark.parametrize("debiased", [False, True])
def test_rotation_shift_and_one_scale_change_nothing(pair, debiased):
    x, y = pair
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))
    plain = measure.linear_cka(x, y, debiased=debiased)
    assert 0.1 < plain < 0.95
    for other in (x @ rotation, 7 * x, -x, x + 100, x.astype(np.float32)):
        assert measure.linear_cka(other, y, debiased=debiased) == pytest.approx(plain, abs=1e-6)
    assert measure.linear_cka(x, 3 * x @ rotation, debiased=debiased) == pytest.approx(1)


def test_other_linear_maps_and_another_order_change_it(pair):
    x, y = pair
    assert abs(measure.linear_cka(x * np.arange(1, 9) ** 2, y) - measure.linear_cka(x, y)) > 0.02
    assert measure.linear_cka(x, x[::-1]) < 0.5


def test_closed_forms():
    x, y = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert measure.linear_cka(x, y) == 0, "uncorrelated"
    assert measure.linear_cka(x, np.hstack([x, y])) == pytest.approx(1 / np.sqrt(2))
    z = np.random.default_rng(0).normal(size=(50, 2))
    correlation = np.corrcoef(z.T)[0, 1]
    assert measure.linear_cka(z[:, :1], z[:, 1:]) == pytest.approx(correlation**2), "one column each"


def test_few_examples_make_strangers_alike_and_debiasing_does_not():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 500)), rng.normal(size=(30, 500))
    assert measure.linear_cka(x, y) > 0.9
    assert abs(measure.linear_cka(x, y, debiased=True)) < 0.1


def test_a_matrix_holds_every_pair(pair):
    x, y = pair
    before, after = {"block1": x, "block2": y, "head": x + y[:, :8]}, {"block2": x, "block1": y}
    found = measure.cka_matrix(before, after)
    assert (found.rows, found.columns, found.n) == (("block1", "block2", "head"), ("block2", "block1"), 60)
    for i, left in enumerate(before.values()):
        for j, right in enumerate(after.values()):
            assert found.values[i, j] == pytest.approx(measure.linear_cka(left, right))
    assert found.same == {"block1": found.values[0, 1], "block2": found.values[1, 0]}
    assert str(found).splitlines()[0] == "Linear CKA, 60 examples"
    assert str(found).splitlines()[2].split() == ["block1", "1.00", f"{found.values[0, 1]:.2f}"]
    assert found._repr_html_().count("<td") == 6
    assert found.to_dict()["values"][0][0] == pytest.approx(1)
    assert "Debiased" in str(measure.cka_matrix(before, after, debiased=True))


def test_inputs_are_not_touched(pair):
    x, y = pair
    copies = x.copy(), y.copy()
    measure.linear_cka(x, y)
    assert np.array_equal(x, copies[0]) and np.array_equal(y, copies[1])


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (np.eye(5), np.eye(4), {}, "features y are of 4 examples, the first of 5"),
        (np.eye(5), np.ones((5, 2, 2, 3)), {}, r"shape \(5, 2, 2, 3\)"),
        (np.eye(5), np.ones((5, 3)), {}, "same for all 5 examples"),
        (np.eye(5), np.full((5, 3), 0.1), {"debiased": True}, "same for all 5 examples"),
        (np.eye(3), np.eye(3), {"debiased": True}, "3 examples; expected at least 4"),
        (np.eye(1), np.eye(1), {}, "1 examples; expected at least 2"),
        (np.eye(5), np.full((5, 3), np.nan), {}, "NaN"),
        (np.eye(5), np.full((5, 3), "a"), {}, "type <U1"),
    ],
)
def test_what_cannot_be_compared(x, y, options, said):
    with pytest.raises(BadInput, match=said):
        measure.linear_cka(x, y, **options)


def test_no_layers():
    with pytest.raises(BadInput, match="no layer"):
        measure.cka_matrix({}, {"a": np.eye(3)})
