"""Closed-form alignment: what each map promises, against scipy, and on the packaged sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, sqrtm
from scipy.spatial import procrustes as scipy_procrustes
from scipy.stats import ortho_group

from course_lib import encoders, measure, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods import align


@pytest.fixture
def domains() -> tuple[np.ndarray, np.ndarray]:
    """Two clouds that differ in mean and covariance, far from the origin."""
    rng = np.random.default_rng(0)
    source = rng.normal(size=(900, 6)) @ rng.normal(size=(6, 6)) + 3
    target = rng.normal(size=(700, 6)) @ rng.normal(size=(6, 6)) - 40
    return source.astype(np.float32), target.astype(np.float32)


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Partners that differ by a rotation, a move and a little noise, and the rotation."""
    rng = np.random.default_rng(1)
    source = rng.normal(size=(200, 8)) @ np.diag(np.arange(1, 9))
    turn = ortho_group.rvs(8, random_state=2)
    return source, source @ turn.T + 5 + 0.01 * rng.normal(size=(200, 8)), turn


def test_centring_moves_the_mean_and_nothing_else(domains) -> None:
    source, target = domains
    found = align.fit_centring(source, target)
    moved = found(target)
    assert np.allclose(moved.mean(axis=0), source.mean(axis=0), atol=1e-4)
    assert np.allclose(np.cov(moved.T), np.cov(target.T), atol=1e-3)
    assert found.parameters == 6 and found.matrix is None and moved.dtype == np.float32


def test_coral_gives_the_source_s_mean_and_covariance(domains) -> None:
    source, target = domains
    found = align.fit_coral(source, target, ridge=0)
    moved = found(target)
    assert np.allclose(moved.mean(axis=0), source.mean(axis=0), atol=1e-4)
    assert np.allclose(np.cov(moved.T), np.cov(source.T), rtol=1e-3, atol=1e-3)
    assert found.parameters == 36 + 6
    assert not np.allclose(np.cov(align.fit_centring(source, target)(target).T), np.cov(source.T), atol=0.1)


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_coral_is_the_published_formula(domains, ridge) -> None:
    source, target = domains
    regular = [
        np.cov(x.T.astype(np.float64)) + ridge * np.trace(np.cov(x.T)) / 6 * np.eye(6) for x in domains
    ]
    wanted = np.linalg.inv(sqrtm(regular[1])) @ sqrtm(regular[0])
    assert np.allclose(align.fit_coral(source, target, ridge=ridge).matrix, wanted.real, atol=1e-4)


def test_much_ridge_leaves_centring_and_one_scale(domains) -> None:
    source, target = domains
    matrix = align.fit_coral(source, target, ridge=1e6).matrix
    scale = np.sqrt(np.trace(np.cov(source.T)) / np.trace(np.cov(target.T)))
    assert np.allclose(matrix, scale * np.eye(6), atol=1e-4)


def test_coral_survives_directions_without_variance(domains) -> None:
    source, target = (np.hstack([x, np.full((len(x), 2), 7, np.float32), x[:, :1]]) for x in domains)
    for ridge in (0, 1):
        moved = align.fit_coral(source, target, ridge=ridge)(target)
        assert np.isfinite(moved).all() and np.abs(moved).max() < 1e3
    few = align.fit_coral(source[:3], target[:3])(target)  # fewer rows than columns
    assert np.isfinite(few).all()


def test_procrustes_recovers_a_known_rotation(pairs) -> None:
    source, target, turn = pairs
    found = align.fit_procrustes(source, target)
    assert np.allclose(found.matrix, turn, atol=1e-3)
    assert np.allclose(found(target), source, atol=0.1)
    assert np.allclose(found.matrix @ found.matrix.T, np.eye(8), atol=1e-5)
    assert not np.allclose(align.fit_procrustes(source[::-1], target)(target), source, atol=1)


def test_procrustes_equals_scipy(pairs) -> None:
    source, target, _ = pairs
    noisy = target + np.random.default_rng(3).normal(size=target.shape)
    a, b = source - source.mean(axis=0), noisy - noisy.mean(axis=0)
    found = align.fit_procrustes(source, noisy)
    assert np.allclose(found.matrix, orthogonal_procrustes(b, a)[0], atol=1e-4)
    # scipy's other function also divides both by their size and stretches; its disparity follows from ours
    standard_a, _, disparity = scipy_procrustes(source, noisy)
    assert np.allclose(standard_a, a / np.linalg.norm(a))
    unit_a, unit_b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    overlap = np.trace((unit_b @ found.matrix.astype(np.float64)).T @ unit_a)
    assert disparity == pytest.approx(1 - overlap**2, abs=1e-5)


def test_no_other_rotation_brings_pairs_nearer(pairs) -> None:
    source, target, _ = pairs
    target = target + np.random.default_rng(3).normal(size=target.shape)
    best = np.square(align.fit_procrustes(source, target)(target) - source).sum()
    for seed in range(50):
        other = ortho_group.rvs(8, random_state=seed)
        moved = (target - target.mean(axis=0)) @ other + source.mean(axis=0)
        assert np.square(moved - source).sum() > best


def test_few_pairs_turn_only_what_they_span() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5, 30))
    target = source @ ortho_group.rvs(30, random_state=1)
    found = align.fit_procrustes(source, target)
    w = found.matrix.astype(np.float64)
    assert np.allclose(w @ w.T, np.eye(30), atol=1e-4), "still a rotation of the whole space"
    assert np.allclose(found(target), source, atol=1e-4), "the pairs themselves are brought together"
    # where neither side of the pairs reaches, features stay as they are
    centred = np.vstack([source - source.mean(axis=0), target - target.mean(axis=0)])
    outside = np.linalg.svd(centred)[2][8:]
    assert len(outside) == 22 and np.allclose(outside @ w, outside, atol=1e-4)


def test_ridge_pulls_towards_leaving_features_as_they_are(pairs) -> None:
    source, target, turn = pairs
    distances = [
        np.linalg.norm(align.fit_procrustes(source, target, ridge=r).matrix - np.eye(8))
        for r in (0, 1, 10, 1e6)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(np.linalg.norm(turn - np.eye(8)), abs=1e-2) and distances[-1] < 1e-3
    # the penalised problem written out: its stationary point makes W'(M + pull) symmetric
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    common = b.T @ a
    pulled = common + 2 * np.linalg.svd(common, compute_uv=False).mean() * np.eye(8)
    product = align.fit_procrustes(source, target, ridge=2).matrix.T @ pulled
    assert np.allclose(product, product.T, atol=1e-3 * np.abs(product).max())
    assert np.linalg.eigvalsh((product + product.T) / 2).min() > 0


def test_features_are_not_touched_and_maps_check_theirs(domains) -> None:
    source, target = domains
    before = source.copy(), target.copy()
    found = align.fit_coral(source, target)
    found(target)
    assert np.array_equal(source, before[0]) and np.array_equal(target, before[1])
    assert found(target[:0]).shape == (0, 6)
    with pytest.raises(BadInput, match="4 columns; the map was fitted on 6"):
        found(target[:, :4])
    with pytest.raises(BadInput, match="NaN"):
        found(np.full((2, 6), np.nan))


@pytest.fixture
def probe(blobs) -> methods.FeatureClassifier:
    return methods.linear_probe(blobs.encoder, blobs.task)


@pytest.fixture
def target(blobs) -> tasks.Split:
    """The test set seen by another eye: turned, stretched and moved."""
    rng = np.random.default_rng(5)
    turn = ortho_group.rvs(10, random_state=3)
    moved = blobs.x @ turn * 1.5 + 4 * rng.normal(size=10)
    test = blobs.task.test
    whole = replace(test, x=moved.astype(np.float32), y=blobs.y, ids=np.arange(600).astype(str))
    return replace(whole, domain="turned")


def test_the_adapted_classifier_keeps_head_and_encoder(blobs, probe, target) -> None:
    source = blobs.task.train
    seen = target.take(np.arange(400))
    adapted = methods.coral(probe, source, seen)
    assert isinstance(adapted, methods.FeatureClassifier) and adapted is not probe
    assert adapted.head is probe.head and adapted.encoder.base is probe.encoder
    assert (adapted.name, adapted.train_size, adapted.class_names) == (
        "probe, CORAL",
        300,
        probe.class_names,
    )
    assert adapted.parameters_trained == 110 and probe.name == "probe"
    assert adapted.chosen == {**probe.chosen, "ridge": 1.0} and adapted.seconds["fit"] > 0
    x = blobs.encoder.encode(target)
    by_hand = probe.head.predict_proba(align.fit_coral(source.x, seen.x)(x))
    assert np.array_equal(adapted.predict_proba(target), by_hand)
    assert adapted.encoder.dim == 10 and adapted.encoder.name == "pass, CORAL"
    centred = methods.centring(probe, source, seen)
    assert (centred.name, centred.parameters_trained) == ("probe, centred", 10)
    assert methods.centring(probe, source, seen, name="moved").name == "moved"


def test_labels_are_not_read(blobs, probe, target) -> None:
    other = replace(target, y=(target.y + 1) % 3)
    source = blobs.task.train
    for adapt in (methods.centring, methods.coral):
        honest, told = (adapt(probe, source, t).predict_proba(target) for t in (target, other))
        assert np.array_equal(honest, told)
        assert np.array_equal(adapt(probe, source.x, target.x).predict_proba(target), honest)


def test_procrustes_wins_back_what_turning_lost(blobs, probe, target) -> None:
    same = replace(target, x=blobs.x)
    adapted = methods.procrustes(probe, same, target)
    score = {c.name: float(np.mean(c.predict(target) == target.y)) for c in (probe, adapted)}
    home = float(np.mean(probe.predict(same) == same.y))
    assert score["probe"] < home - 0.1 and score["probe, Procrustes, 600 pairs"] > home - 0.05
    wrong = methods.procrustes(probe, same.x[::-1], target.x)
    assert float(np.mean(wrong.predict(target) == target.y)) < home - 0.1, "pairs that are none do not help"


def test_pairs_of_one_seed_are_nested(probe, target, blobs) -> None:
    drawn = {}
    for k in (5, 50):
        seen: list[np.ndarray] = []
        blobs.encoder.encode, keep = (lambda d: seen.append(d.ids) or np.asarray(d.x)), blobs.encoder.encode
        adapted = methods.procrustes(probe, target, target, pairs=k, seed=1)
        blobs.encoder.encode = keep
        assert adapted.chosen["pairs"] == k and np.array_equal(seen[0], seen[1])
        drawn[k] = set(seen[0].tolist())
    assert drawn[5] < drawn[50] and len(drawn[50]) == 50
    other = methods.procrustes(probe, target, target, pairs=5, seed=2)
    assert not np.allclose(
        other.encoder.map.centre, methods.procrustes(probe, target, target, pairs=5).encoder.map.centre
    )


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (lambda a: align.fit_centring(a[:0], a), "source set is empty"),
        (lambda a: align.fit_centring(a, a[:, :3]), "source has 6 features and the target 3"),
        (lambda a: align.fit_centring(a, np.where(a > 4, np.nan, a)), "target features hold NaN"),
        (lambda a: align.fit_coral(a, a[:1]), "1 row of target features; expected at least 2"),
        (lambda a: align.fit_coral(a, np.ones((9, 6))), "9 rows of target features are equal"),
        (lambda a: align.fit_coral(a, a, ridge=-1), "ridge=-1"),
        (lambda a: align.fit_procrustes(a, a, ridge=np.nan), "ridge=nan"),
        (lambda a: align.fit_procrustes(a, a[:5]), "900 source rows and 5 target rows"),
        (lambda a: align.fit_procrustes(a[:1], a[:1]), "expected at least 2"),
        (lambda a: align.fit_procrustes(a, np.ones_like(a)), "do not vary together"),
        (lambda a: align.fit_procrustes(a[0], a[0]), r"shape \(6,\)"),
    ],
)
def test_what_cannot_be_aligned(domains, fit, said) -> None:
    with pytest.raises(BadInput, match=said):
        fit(domains[0])


def test_what_cannot_be_adapted(blobs, probe, target) -> None:
    source = blobs.task.train
    with pytest.raises(BadInput, match="largest class has no frozen encoder"):
        methods.coral(methods.majority(blobs.task), source, target)
    with pytest.raises(BadInput, match="CORAL is aligned already"):
        methods.centring(methods.coral(probe, source, target), source, target)
    with pytest.raises(BadInput, match="300 source and 600 target examples"):
        methods.procrustes(probe, source, target)
    with pytest.raises(BadInput, match="pairs=601; there are 600"):
        methods.procrustes(probe, target, target, pairs=601)
    with pytest.raises(BadInput, match="pairs=1"):
        methods.procrustes(probe, target, target, pairs=1)
    with pytest.raises(BadInput, match="Row 0 pairs 0 with 599"):
        methods.procrustes(probe, target, target.take(np.arange(600)[::-1]))
    other_names = replace(target, ids=np.array([f"zh-{i}" for i in range(600)]))
    assert methods.procrustes(probe, target, other_names).chosen["pairs"] == 600


def test_on_the_packaged_sentences() -> None:
    english, chinese = tasks.topics("en", 300), tasks.topics("zh", 300)
    away = chinese.test.take(np.arange(250))
    probe = methods.linear_probe(encoders.multilingual_bert(), english)
    plain = measure.report(probe, away)
    for adapted in (
        methods.centring(probe, english.train, chinese.train),
        methods.coral(probe, english.train, chinese.train),
        methods.procrustes(probe, english.train, chinese.train, ridge=10),
    ):
        found = measure.report(adapted, away)
        assert found.accuracy.value > plain.accuracy.value, adapted.name
        assert found.seconds["fit"] > 0 and found.parameters_trained == adapted.encoder.map.parameters
    assert np.array_equal(english.train.ids, chinese.train.ids)
