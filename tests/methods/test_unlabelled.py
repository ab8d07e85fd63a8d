"""What is said of an odd target, and that labels that came along are not used."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.unlabelled import check_domains, unlabelled, warn_skewed

ADAPT = {
    "centring": methods.centring,
    "standardisation": methods.standardisation,
    "coral": methods.coral,
    "subspace": methods.subspace_alignment,
    "mmd": methods.mmd_matching,
    "transport": methods.optimal_transport,
    "weighting": lambda probe, source, target: methods.importance_weighting(probe.encoder, source, target),
}


@pytest.fixture(params=ADAPT)
def adapt(request, blobs):
    """An adaptation method as a function of the target alone, whatever it takes of the source."""
    probe = methods.linear_probe(blobs.encoder, blobs.task)
    source = blobs.task if request.param == "weighting" else blobs.task.train
    return lambda target: ADAPT[request.param](probe, source, target)


@pytest.fixture
def away(blobs) -> np.ndarray:
    """Two hundred examples of a target domain."""
    rng = np.random.default_rng(3)
    return (1.5 * blobs.x[rng.permutation(600)[:200]] + 2 + rng.normal(size=10)).astype(np.float32)


def said(call) -> tuple[list[str], object]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = call()
    assert all(warning.filename == __file__ for warning in told), "the reader's line is named"
    return [str(warning.message) for warning in told], found


def test_labels_that_came_along_are_not_used(blobs, adapt, away) -> None:
    labels = np.arange(200) % 3
    quiet, plain = said(lambda: adapt(away))
    assert not [words for words in quiet if "labels" in words]
    for given in ((away, labels), [away, labels.astype(float)], (away, labels.astype(str))):
        words, found = said(lambda given=given: adapt(given))
        assert any("200 labels: these labels are not used" in w for w in words)
        assert np.array_equal(found.predict_proba(away), plain.predict_proba(away))


def test_a_whole_task_gives_its_training_examples(blobs, adapt, away) -> None:
    part = blobs.task.train.take(np.arange(200))
    away_task = replace(blobs.task, train=replace(part, x=away, ids=np.char.add("away ", part.ids)))
    words, found = said(lambda: adapt(away_task))
    assert any("labels are not used" in w and "made up.train" in w for w in words)
    _, plain = said(lambda: adapt(away))
    assert np.array_equal(found.predict_proba(away), plain.predict_proba(away))


def test_a_split_is_nothing_to_speak_of_and_its_labels_do_not_matter(blobs, adapt, away) -> None:
    part = replace(blobs.task.train.take(np.arange(200)), x=away)
    other = replace(part, y=(part.y + 1) % 3)
    words, found = said(lambda: adapt(part))
    assert not [w for w in words if "labels" in w]
    assert np.array_equal(found.predict_proba(away), said(lambda: adapt(other))[1].predict_proba(away))


def test_identical_domains_are_told(blobs, adapt) -> None:
    words, _ = said(lambda: adapt(blobs.task.train.x.copy()))
    assert any("the same examples: there is nothing to adapt" in w for w in words)
    words, _ = said(lambda: adapt(blobs.task.test.x))
    assert any("look like the same distribution" in w and "p = " in w for w in words)


@pytest.mark.parametrize("name", ADAPT)
def test_identical_domains_change_nothing_that_counts(blobs, name) -> None:
    probe = methods.linear_probe(blobs.encoder, blobs.task)
    adapt = ADAPT[name]
    if name == "subspace":  # with fewer directions it leaves the others out, as published
        adapt = partial(methods.subspace_alignment, dims=9)
    source = blobs.task if name == "weighting" else blobs.task.train
    _, found = said(lambda: adapt(probe, source, blobs.task.train.x.copy()))
    same = found.predict(blobs.task.test) == probe.predict(blobs.task.test)
    assert same.mean() >= 0.93, "up to a few borderline examples"


def test_few_samples(adapt, away) -> None:
    for rows in (0, 1):
        with pytest.raises(BadInput, match=r"expected at least|is empty|examples or more"):
            adapt(away[:rows])


def test_three_samples_are_told(blobs, away) -> None:
    probe = methods.linear_probe(blobs.encoder, blobs.task)
    for name, method in ADAPT.items():
        if name == "weighting":
            with pytest.raises(BadInput, match="10 examples or more"), pytest.warns(match="3 samples"):
                method(probe, blobs.task, away[:3])
            continue
        words, found = said(lambda method=method: method(probe, blobs.task.train, away[:3]))
        assert any("3 samples: an estimate of mean and spread from 3 rows says little" in w for w in words)
        assert np.isfinite(found.predict_proba(away)).all(), name


def test_nan_and_other_widths_are_refused(adapt, away) -> None:
    holed = away.copy()
    holed[5, 2] = np.nan
    with pytest.raises(BadInput, match="NaN"):
        adapt(holed)
    with pytest.raises(BadInput, match=r"10 .* 9\.|10 and 9 columns"):
        adapt(away[:, :9])


def test_singular_covariances(blobs, adapt, away) -> None:
    flat = away.copy()
    flat[:, 1] = flat[:, 0]
    flat[:, 2] = 7
    _, found = said(lambda: adapt(flat))
    assert np.isfinite(found.predict_proba(away)).all()


def test_inputs_are_not_changed(blobs, adapt, away) -> None:
    before = away.copy(), blobs.task.train.x.copy()
    said(lambda: adapt(away))
    assert np.array_equal(away, before[0]) and np.array_equal(blobs.task.train.x, before[1])


def test_a_class_that_is_never_predicted_is_told() -> None:
    names = ("cat", "dog")
    source, both = np.arange(100) % 2, np.arange(60) % 2
    assert said(lambda: warn_skewed(source, both, names, "m"))[0] == []
    words, _ = said(lambda: warn_skewed(source, np.zeros(60, int), names, "m"))
    assert "m never predicts dog (50% of the source) on 60 target examples" in words[0]
    words, _ = said(lambda: warn_skewed(source, np.r_[np.zeros(58, int), 1, 1], names, "m"))
    assert "m predicts cat for 97% of the target and 50% of the source" in words[0]
    assert said(lambda: warn_skewed(source, np.zeros(15, int), names, "m"))[0] == [], "too few to say"
    rare = np.r_[np.zeros(98, int), 1, 1]
    assert said(lambda: warn_skewed(rare, np.zeros(60, int), names, "m"))[0] == [], "rare in the source too"


@pytest.fixture
def two_clouds(blobs):
    """A task of two clouds well apart, and 200 further examples of the first cloud alone."""
    rng = np.random.default_rng(0)

    def cloud(split):
        y = np.arange(len(split)) % 2
        return replace(split, y=y, x=(rng.normal(size=(len(y), 10)) + 3 * y[:, None]).astype(np.float32))

    parts = {name: cloud(getattr(blobs.task, name)) for name in ("train", "validation", "test")}
    first = replace(blobs.task.train, x=rng.normal(size=(300, 10)).astype(np.float32), y=np.zeros(300, int))
    return replace(blobs.task, **parts), first


@pytest.mark.parametrize("name", [n for n in ADAPT if n not in ("weighting", "subspace")])
def test_alignment_harms_where_a_class_is_missing(blobs, two_clouds, name) -> None:
    """Nothing but the classes' shares differs, so that leaving the probe alone is best."""
    task, first = two_clouds
    probe = methods.linear_probe(blobs.encoder, task)
    _, found = said(lambda: ADAPT[name](probe, task.train, first))
    assert np.mean(probe.predict(first) == 0) > 0.97
    assert np.mean(found.predict(first) == 0) < 0.8


def test_subspaces_alone_are_spared_by_a_missing_class_but_centring_within_is_not(blobs, two_clouds) -> None:
    task, first = two_clouds
    probe = methods.linear_probe(blobs.encoder, task)
    _, found = said(lambda: methods.subspace_alignment(probe, task.train, first, dims=10))
    assert np.mean(found.predict(first) == 0) < 0.8


def test_what_alignment_makes_of_a_missing_class_is_told(blobs, two_clouds) -> None:
    task, first = two_clouds
    probe = methods.linear_probe(blobs.encoder, task)
    far = replace(first, x=first.x * np.float32(0.05) + 100)
    words, found = said(lambda: methods.centring(probe, task.train, far))
    skewed = [w for w in words if "Look at a few target examples" in w]
    assert bool(skewed) == (abs(np.mean(found.predict(far)) - 0.5) > 0.35)


def test_weights_do_not_mend_another_rule(blobs, two_clouds) -> None:
    task, _ = two_clouds
    flipped = replace(task.test, y=1 - task.test.y)
    _, found = said(lambda: methods.importance_weighting(blobs.encoder, task, flipped.x))
    assert np.mean(found.predict(flipped) == flipped.y) < 0.05


def test_pairs_of_sentences_are_examples_and_not_labels() -> None:
    pair = ("one sentence", "another")
    words, found = said(lambda: unlabelled(pair))
    assert found is pair and words == []


def test_check_domains_says_which_one() -> None:
    with pytest.raises(BadInput, match="1 row of source features"):
        check_domains(np.ones((1, 3)), np.ones((5, 3)))
