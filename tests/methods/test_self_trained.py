"""Self-training against a loop by hand, and where it believes its own mistakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.self_trained import confident_rows


@pytest.mark.parametrize("class_balanced", [False, True])
def test_rows_by_loops(class_balanced) -> None:
    p = np.random.default_rng(0).dirichlet([0.3, 0.3, 0.3, 0.05], size=400)
    expected = [-1] * 400
    confident = [i for i in range(400) if max(p[i]) >= 0.8]
    if not class_balanced:
        for i in confident:
            expected[i] = int(p[i].argmax())
    else:
        for c in range(4):
            mine = sorted((i for i in range(400) if p[i].argmax() == c), key=lambda i: -p[i][c])
            for i in mine[: max(1, round(len(mine) * len(confident) / 400))]:
                expected[i] = c
    assert confident_rows(p, 0.8, class_balanced).tolist() == expected
    assert (confident_rows(p, 1.0, class_balanced) == -1).all()


@pytest.mark.parametrize("class_balanced", [False, True])
def test_the_loop_by_hand(drift, class_balanced) -> None:
    task, target = drift.task, drift.target(turn=50)
    settings = {"strengths": [100.0, 10.0], "confidence": 0.8}
    found = methods.self_training(
        drift.encoder, task, target, rounds=3, class_balanced=class_balanced, **settings
    )
    probe, used = methods.linear_probe(drift.encoder, task, strengths=[100.0, 10.0]), []
    for _ in range(3):
        p = probe.predict_proba(target)
        rows = np.flatnonzero(confident_rows(p, 0.8, class_balanced) >= 0)
        used.append(len(rows))
        more = replace(
            task.train,
            x=np.vstack([task.train.x, target.x[rows]]),
            y=np.append(task.train.y, p[rows].argmax(axis=1)),
            ids=np.arange(len(task.train) + len(rows)).astype(str),
        )
        others = {
            part: replace(getattr(task, part), ids=np.char.add(part, getattr(task, part).ids))
            for part in ("validation", "test")
        }
        probe = methods.linear_probe(
            drift.encoder, replace(task, train=more, **others), strengths=[100.0, 10.0]
        )
    assert np.allclose(found.predict_proba(target), probe.predict_proba(target), atol=1e-5)
    assert [p["pseudo_labels"] for p in found.chosen_path] == used and min(used) > 20
    assert found.chosen == {"strength": probe.chosen["strength"], "rounds": 3, "pseudo_labels": used[-1]}
    assert found.train_size == 400, "pseudo-labels are no labels"


def test_it_ends_where_nothing_changes(drift) -> None:
    target = drift.target(shift=0.5)
    found = methods.self_training(drift.encoder, drift.task, target, rounds=60)
    assert 1 <= found.chosen["rounds"] < 60 and found.chosen_path[-1]["changed"] > 0
    again = methods.self_training(drift.encoder, drift.task, target, rounds=60, seed=9)
    assert np.array_equal(again.head.weights, found.head.weights)
    told = replace(target, y=(target.y + 1) % 3)
    assert np.array_equal(
        methods.self_training(drift.encoder, drift.task, told, rounds=60).head.weights, found.head.weights
    )


def test_it_helps_where_the_clouds_turned(drift) -> None:
    target = drift.target(turn=50)
    source = drift.score(methods.linear_probe(drift.encoder, drift.task), target)
    plain, balanced = (
        drift.score(methods.self_training(drift.encoder, drift.task, target, class_balanced=b), target)
        for b in (False, True)
    )
    assert plain > source + 0.02 and balanced > source + 0.05


def test_it_believes_its_own_mistakes(drift) -> None:
    """Classes that changed places stay so, however sure the answers."""
    target = drift.target(shift=0.3)
    swapped = replace(target, y=(target.y + 1) % 3)
    source = methods.linear_probe(drift.encoder, drift.task)
    for balanced in (False, True):
        found = methods.self_training(drift.encoder, drift.task, swapped, class_balanced=balanced)
        assert drift.score(found, swapped) <= drift.score(source, swapped) + 0.01 < 0.1


def test_where_nothing_is_sure_the_source_answers(drift) -> None:
    target = drift.target(shift=0.5)
    with pytest.warns(UserWarning, match=r"no answer on 598 target examples reaches confidence 1\.0"):
        found = methods.self_training(drift.encoder, drift.task, target, confidence=1.0, strengths=[1e4])
    source = methods.linear_probe(drift.encoder, drift.task, strengths=[1e4])
    assert np.array_equal(found.predict_proba(target), source.predict_proba(target))
    assert found.chosen["rounds"] == found.chosen["pseudo_labels"] == 0


def test_what_cannot_be_adapted(drift) -> None:
    encoder, task, x = drift.encoder, drift.task, drift.target(shift=1).x
    before = x.copy()
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(BadInput, match="confidence="):
            methods.self_training(encoder, task, x, confidence=wrong)
    with pytest.raises(BadInput, match="rounds=0"):
        methods.self_training(encoder, task, x, rounds=0)
    with pytest.raises(BadInput, match="source has 10 features and the target 4"):
        methods.self_training(encoder, task, x[:, :4])
    with pytest.raises(BadInput, match="target features hold NaN"):
        methods.self_training(encoder, task, np.full((30, 10), np.nan))
    with pytest.raises(BadInput, match="labels are of class 0"):
        methods.self_training(encoder, replace(task, train=task.train.take(task.train.y == 0)), x)
    with pytest.raises(BadInput, match="1 row of target"):
        methods.self_training(encoder, task, x[:1])
    with pytest.warns(UserWarning, match="The target has 3 samples"):
        methods.self_training(encoder, task, x[:3])
    with pytest.warns(UserWarning, match="same examples"):
        methods.self_training(encoder, task, task.train)
    with pytest.warns(UserWarning, match="labels are not used"):
        methods.self_training(encoder, task, (x, np.zeros(len(x), int)))
    only = drift.target(shares=[1.0, 0.0, 0.0])
    found = methods.self_training(encoder, task, only)
    assert drift.score(found, only) > 0.9 and np.array_equal(x, before)
