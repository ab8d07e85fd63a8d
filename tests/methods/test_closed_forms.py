"""Closed forms of adaptation against what they promise, other implementations, and closed-form cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import approx_fprime, linear_sum_assignment, linprog
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from course_lib import measure, methods
from course_lib.errors import BadInput
from course_lib.methods.mmd_match import mmd_and_slope
from course_lib.methods.subspace import principal_directions
from course_lib.methods.transport import sinkhorn


@pytest.fixture
def domains() -> tuple[np.ndarray, np.ndarray]:
    """Two clouds that differ in mean and covariance, far from the origin."""
    rng = np.random.default_rng(0)
    source = rng.normal(size=(900, 6)) @ rng.normal(size=(6, 6)) + 3
    target = rng.normal(size=(700, 6)) @ rng.normal(size=(6, 6)) - 40
    return source, target


# -- own scales --------------------


def test_standardisation_is_two_scalers_of_scikit_learn(domains) -> None:
    source, target = domains
    found = methods.fit_standardisation(source, target)
    ours, theirs = StandardScaler().fit(source), StandardScaler().fit(target)
    wanted = ours.inverse_transform(theirs.transform(target))
    assert np.allclose(found(target), wanted, rtol=1e-3, atol=1e-2)  # ddof 1 and 0
    assert np.allclose(found(target).std(axis=0, ddof=1), source.std(axis=0, ddof=1), rtol=1e-4)
    assert found.parameters == 12 and found(target).dtype == np.float32


def test_standardisation_leaves_correlations(domains) -> None:
    source, target = domains
    moved = methods.fit_standardisation(source, target)(target)
    assert np.allclose(np.corrcoef(moved.T), np.corrcoef(target.T), atol=1e-3)
    assert not np.allclose(np.corrcoef(moved.T), np.corrcoef(source.T), atol=0.1)


def test_standardisation_with_ridge_and_constants(domains) -> None:
    source, target = domains
    spread = np.sqrt(target.var(axis=0, ddof=1) + 0.5 * target.var(axis=0, ddof=1).mean())
    wanted = np.sqrt(source.var(axis=0, ddof=1) + 0.5 * source.var(axis=0, ddof=1).mean()) / spread
    assert np.allclose(methods.fit_standardisation(source, target, ridge=0.5).matrix, wanted, rtol=1e-4)
    flat = target.copy()
    flat[:, 2] = 5
    moved = methods.fit_standardisation(source, flat)(flat + np.eye(6)[2])
    assert np.allclose(moved[:, 2], source[:, 2].mean(), atol=1e-4) and np.isfinite(moved).all()


def test_own_scales_are_saved_and_loaded(blobs, tmp_path) -> None:
    probe = methods.linear_probe(blobs.encoder, blobs.task)
    adapted = methods.standardisation(probe, blobs.task.train, 2 * blobs.task.test.x + 1)
    methods.save(adapted, tmp_path / "own")
    again = methods.load(tmp_path / "own", blobs.encoder)
    assert np.array_equal(again.predict_proba(blobs.x), adapted.predict_proba(blobs.x))
    moved = methods.optimal_transport(probe, blobs.task.train, 2 * blobs.task.test.x + 1)
    with pytest.raises(BadInput, match="neighbours in a sample"):
        methods.save(moved, tmp_path / "moved")


# -- subspaces --------------------


@pytest.mark.parametrize("dims", [1, 3, 5])
def test_subspace_alignment_is_the_published_one_turned_round(domains, dims) -> None:
    source, target = domains
    p_s, p_t = (PCA(dims).fit(x).components_.T for x in (source, target))
    coordinates = (target - target.mean(axis=0)) @ p_t @ (p_t.T @ p_s)  # the paper's M with the roles changed
    found = methods.fit_subspace_alignment(source, target, dims)
    assert np.allclose((found(target) - source.mean(axis=0)) @ p_s, coordinates, atol=1e-2)
    left = found(target) - source.mean(axis=0)
    assert np.allclose(left, left @ p_s @ p_s.T, atol=1e-3), "nothing outside the source's subspace"


def test_all_directions_make_it_centring(domains) -> None:
    source, target = domains
    found = methods.fit_subspace_alignment(source, target, 6)
    assert np.allclose(found(target), methods.fit_centring(source, target)(target), atol=1e-3)


def test_subspace_alignment_recovers_what_noise_outside_hides() -> None:
    """The source's plane holds all that counts; the target adds a loud direction of its own... and a turn."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 2)) * [3, 2]
    source = np.hstack([plane, 0.01 * rng.normal(size=(500, 4))])
    target = np.hstack([plane, 0.1 * rng.normal(size=(500, 4))])
    moved = methods.fit_subspace_alignment(source, target, 2)(target)
    assert np.allclose(moved[:, :2], plane, atol=0.3) and np.abs(moved[:, 2:]).max() < 0.3


@pytest.mark.parametrize("rows", [4, 900])
def test_principal_directions_are_those_of_scikit_learn(domains, rows) -> None:
    x = domains[0][:rows]
    values, vectors = principal_directions(x, "source")
    pca = PCA().fit(x)
    k = min(rows - 1, 6)
    assert np.allclose(values[:k], pca.explained_variance_[:k], rtol=1e-3)
    assert np.allclose(np.abs(np.sum(vectors[:, :k] * pca.components_[:k].T, axis=0)), 1, atol=1e-3)


# -- transport --------------------


def test_a_small_epsilon_gives_the_assignment_of_scipy() -> None:
    rng = np.random.default_rng(0)
    cost = np.square(rng.normal(size=(30, 1, 2)) - rng.normal(size=(1, 30, 2))).sum(axis=2)
    plan, _, error = sinkhorn(cost, 1e-3, steps=20000)
    rows, columns = linear_sum_assignment(cost)
    assert error < 1e-3
    assert float((plan * cost).sum()) == pytest.approx(cost[rows, columns].mean(), rel=0.02)
    assert (plan.argmax(axis=1) == columns).mean() > 0.9


def test_unequal_sizes_cost_what_linear_programming_says() -> None:
    rng = np.random.default_rng(1)
    cost = np.square(rng.normal(size=(8, 1, 2)) - rng.normal(size=(1, 12, 2)) - 1).sum(axis=2)
    sums = np.vstack([np.kron(np.eye(8), np.ones(12)), np.kron(np.ones(8), np.eye(12))])
    best = linprog(cost.ravel(), A_eq=sums, b_eq=np.r_[np.full(8, 1 / 8), np.full(12, 1 / 12)]).fun
    plan, _, _ = sinkhorn(cost, 2e-3, steps=20000, tolerance=1e-5)
    assert float((plan * cost).sum()) == pytest.approx(best, rel=0.01)
    assert np.allclose(plan.sum(axis=0), 1 / 12, atol=1e-5) and np.allclose(
        plan.sum(axis=1), 1 / 8, atol=1e-5
    )


def test_the_plan_is_the_entropic_optimum() -> None:
    """At the optimum the plan is exp((f + g - C) / eps), so that log plan + C / eps is a sum of f and g."""
    rng = np.random.default_rng(2)
    cost = rng.random((20, 15))
    plan, _, _ = sinkhorn(cost, 0.1, tolerance=1e-6)
    potential = np.log(plan) + cost / 0.1
    twice_centred = potential - potential.mean(axis=0) - potential.mean(axis=1)[:, None] + potential.mean()
    assert np.abs(twice_centred).max() < 1e-3


def test_costs_that_underflow_do_no_harm() -> None:
    cost = np.array([[0.0, 1e4], [1e4, 0.0], [5e3, 5e3]])
    plan, _, error = sinkhorn(cost, 1.0)
    assert error < 1e-3 and np.allclose(plan, [[1 / 3, 0], [0, 1 / 3], [1 / 6, 1 / 6]], atol=1e-3)


def test_between_gaussians_it_is_the_linear_map() -> None:
    r"""T(x) = mu_S + C_T^-1/2 (C_T^1/2 C_S C_T^1/2)^1/2 C_T^-1/2 (x - mu_T)."""
    rng = np.random.default_rng(3)
    source = rng.normal(size=(1000, 2)) @ np.array([[2.0, 0.5], [0.0, 1.0]]) + 1
    target = rng.normal(size=(1000, 2)) @ np.array([[0.7, 0.0], [0.3, 1.5]]) - 30
    c_s, c_t = (np.cov(x.T) for x in (source, target))
    root = sqrtm(c_t).real
    linear = np.linalg.inv(root) @ sqrtm(root @ c_s @ root).real @ np.linalg.inv(root)
    wanted = (target - target.mean(axis=0)) @ linear + source.mean(axis=0)
    moved = methods.fit_optimal_transport(source, target, epsilon=0.01)(target)
    near = np.linalg.norm(moved - wanted, axis=1)
    assert np.median(near) < 0.25 and near.mean() < 0.3
    assert np.median(np.linalg.norm(target - wanted, axis=1)) > 30


def test_new_examples_move_with_their_nearest_neighbours(domains) -> None:
    source, target = domains
    found = methods.fit_optimal_transport(source, target, most=100)
    assert found.known.shape == (100, 6) and found.parameters == 600 and found.neighbours == 5
    new = target[:50] + 0.01
    nearest = np.linalg.norm(new[:, None] - found.known[None], axis=2).argsort(axis=1)[:, :5]
    assert np.allclose(found(new), new + found.moves[nearest].mean(axis=1), atol=1e-3)
    assert found(new[:0]).shape == (0, 6)
    with pytest.raises(BadInput, match="fitted on 6"):
        found(new[:, :3])


def test_transport_repeats_and_seeds_differ(domains) -> None:
    one, two, three = (methods.fit_optimal_transport(*domains, most=50, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.moves, two.moves) and not np.array_equal(one.known, three.known)


# -- MMD matching --------------------


def test_the_slope_is_the_one_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    x, y, p = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 1, np.array([0.2, 0.9])
    _, slope = mmd_and_slope(x, y, p)
    numeric = approx_fprime(y.ravel(), lambda v: mmd_and_slope(x, v.reshape(5, 3), p)[0], 1e-6)
    assert np.allclose(slope.ravel(), numeric, atol=1e-5)


def test_the_value_is_the_mmd_of_measure() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 0.5
    within, _ = mmd_and_slope(x, x, np.array([0.5]))  # k(x, x) - 2 k(x, x) = -k(x, x)
    value, _ = mmd_and_slope(x, y, np.array([0.5]))
    known = measure.mmd(x, y, 1.0, unbiased=False, resamples=1).value
    assert value - within == pytest.approx(known, abs=1e-5)


def test_matching_lowers_the_mmd_below_centring(domains) -> None:
    source, target = domains
    matched = methods.fit_mmd_matching(source, target, most=300)(target)
    sigma = measure.mmd(source, source[::-1], resamples=1).bandwidth
    after, centred, coral = (
        measure.mmd(source, moved, sigma, resamples=1).value
        for moved in (
            matched,
            methods.fit_centring(source, target)(target),
            methods.fit_coral(source, target, ridge=0)(target),
        )
    )
    assert after < centred / 4 and after < coral + 0.005


def test_much_ridge_leaves_turning_and_stretching_alone(domains) -> None:
    found = methods.fit_mmd_matching(*domains, ridge=1e6, most=100)
    assert np.allclose(found.matrix, np.eye(6), atol=1e-4)


def test_directions_outside_are_only_centred(domains) -> None:
    source, target = domains
    found = methods.fit_mmd_matching(source, target, dims=2, most=200)
    outside = PCA(6).fit(source).components_[2:]
    assert np.allclose(outside @ found.matrix, outside, atol=1e-2)


# -- what none of them takes --------------------


@pytest.mark.parametrize(
    "fit",
    [
        methods.fit_standardisation,
        methods.fit_subspace_alignment,
        methods.fit_optimal_transport,
        methods.fit_mmd_matching,
    ],
)
def test_bad_input_and_inputs_unchanged(domains, fit) -> None:
    source, target = domains
    before = source.copy(), target.copy()
    fit(source, target)
    assert np.array_equal(source, before[0]) and np.array_equal(target, before[1])
    for bad, words in (
        (target[:0], "empty"),
        (target[:1], "1 row of target features"),
        (target[:, :3], "source has 6 features and the target 3"),
        (np.where(target > target.mean(), np.nan, target), "target features hold NaN"),
        (target[0], r"shape \(6,\)"),
    ):
        with pytest.raises(BadInput, match=words):
            fit(source, bad)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: methods.fit_standardisation(a, a, ridge=-1),
        lambda a: methods.fit_subspace_alignment(a, a, 0),
        lambda a: methods.fit_subspace_alignment(a, a, 7),
        lambda a: methods.fit_subspace_alignment(a, np.ones_like(a)),
        lambda a: methods.fit_optimal_transport(a, a, epsilon=0),
        lambda a: methods.fit_optimal_transport(a, a, most=1),
        lambda a: methods.fit_mmd_matching(a, a, dims=0),
        lambda a: methods.fit_mmd_matching(a, a, ridge=np.nan),
        lambda a: methods.fit_mmd_matching(np.ones_like(a), a),
    ],
)
def test_settings_that_make_no_sense(domains, call) -> None:
    with pytest.raises(BadInput):
        call(domains[0])
