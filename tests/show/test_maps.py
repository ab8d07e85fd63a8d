"""Maps place every example once and are honest about what they keep."""

import dataclasses
import sys

import numpy as np
import pytest

from course_lib import show
from course_lib.errors import BadInput, CourseError
from course_lib.show.maps import project


@pytest.fixture
def features(split):
    return np.random.default_rng(1).normal(size=(len(split), 6))


def marks(axes):
    return {c.get_label(): len(c.get_offsets()) for c in axes.collections}


def test_every_example_once_under_its_class(features, split):
    picture = show.feature_map(features, split, title="Pets")
    assert marks(picture.figure.axes[0]) == {"cat": 12, "dog": 12}
    _, share = project(features)
    assert f"keep {share:.0%} of the variance" in picture.alt


def test_spaces_side_by_side(features, split):
    picture = show.feature_map({"64 px": features, "224 px": features[:, :3]}, split)
    assert [axes.get_title("left") for axes in picture.figure.axes] == ["64 px", "224 px"]
    assert "64 px: two" in picture.alt and "224 px: two" in picture.alt


def test_domains_are_colours_and_two_classes_fillings(features, split):
    domains = np.where(np.arange(len(split)) < 8, "day", "night")
    axes = show.feature_map(features, split, domains=domains).figure.axes[0]
    assert marks(axes) == {"day, cat": 4, "day, dog": 4, "night, cat": 8, "night, dog": 8}
    assert [len(c.get_facecolor()) > 0 for c in axes.collections] == [False, True, False, True]


def test_domains_of_more_classes_are_not_filled_by_class(features, split):
    split = dataclasses.replace(split, class_names=("a", "b", "c"), y=np.arange(24) % 3)
    domains = np.where(np.arange(24) < 8, "day", "night")
    assert marks(show.feature_map(features, split, domains=domains).figure.axes[0]) == {"day": 8, "night": 16}


def test_pca_keeps_the_plane_that_varies():
    x = np.zeros((30, 5))
    x[:, [1, 3]] = np.random.default_rng(0).normal(size=(30, 2)) * (5, 1)
    flat, share = project(x)
    assert share == pytest.approx(1)
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(flat @ flat.T, centred @ centred.T, atol=1e-9)


def test_tsne_repeats_for_a_seed_and_keeps_clusters():
    x = np.repeat(np.eye(2, 5) * 50, 40, axis=0) + np.random.default_rng(0).normal(size=(80, 5))
    flat, share = project(x, how="tsne")
    assert share is None
    np.testing.assert_array_equal(flat, project(x, how="tsne")[0])
    centres = flat[:40].mean(axis=0), flat[40:].mean(axis=0)
    nearer = np.linalg.norm(flat - centres[0], axis=1) < np.linalg.norm(flat - centres[1], axis=1)
    assert nearer[:40].all() and not nearer[40:].any()


def test_bad_input(features, split, monkeypatch):
    with pytest.raises(BadInput, match="5 rows"):
        show.feature_map(features[:5], split)
    with pytest.raises(BadInput, match="1 domains for 24"):
        show.feature_map(features, split, domains=np.array(["day"]))
    with pytest.raises(BadInput, match="how='som'"):
        show.feature_map(features, split, how="som")
    with pytest.raises(BadInput, match="No features"):
        show.feature_map({}, split)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(CourseError, match="not installed"):
        show.feature_map(features, split, how="umap")
