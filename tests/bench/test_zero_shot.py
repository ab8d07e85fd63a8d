"""The long run of notebook 09: who looks at the Chinese test must not change what is learnt."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.bench import long_runs, zero_shot
from course_lib.errors import AuditFailed

SETTING = {"trains": "upper half", "taught": "en", "prefix": "query: ", "seed": 1}


@pytest.fixture
def small(monkeypatch) -> None:
    """Few sentences, the same in both languages, and two epochs."""
    whole = {tag: tasks.topics(tag) for tag in zero_shot.LANGUAGES}

    def topics(language: str) -> tasks.Task:
        task = whole[language].subset(48)
        return replace(task, test=task.test.sample(40))

    monkeypatch.setattr(tasks, "topics", topics)
    monkeypatch.setattr(zero_shot, "EPOCHS", 2)


def test_settings_are_distinct_and_comparable() -> None:
    settings = list(zero_shot.settings())
    assert len({json.dumps(setting) for setting in settings}) == len(settings) == 15
    assert {tuple(setting) for setting in settings} == {("trains", "taught", "prefix", "seed")}
    assert long_runs.RUNS["topics_zero_shot"][1:] == (zero_shot.settings, zero_shot.work)


def test_the_chosen_epoch_is_one_that_peeking_saw(small) -> None:
    found = zero_shot.work(SETTING)
    english, chinese = tasks.topics("en"), tasks.topics("zh")
    probe = methods.linear_probe(encoders.multilingual_bert(), english)
    start = np.mean(probe.predict(chinese.test) == chinese.test.y)
    seen = [start, *found["Chinese_test"]]
    assert found["Chinese"] == pytest.approx(seen[found["epoch"]], abs=1e-4)
    chosen_by = [np.mean(probe.predict(english.validation) == english.validation.y), *found["validation"]]
    assert chosen_by[found["epoch"]] == pytest.approx(max(chosen_by), abs=1e-4)


def test_the_probe_is_scored_in_both_languages(small) -> None:
    found = zero_shot.work({**SETTING, "trains": "last layer"})
    english, chinese = tasks.topics("en"), tasks.topics("zh")
    probe = methods.linear_probe(encoders.multilingual_bert(), english)
    for name, task in (("English", english), ("Chinese", chinese)):
        assert found[name] == pytest.approx(np.mean(probe.predict(task.test) == task.test.y), abs=1e-4)
        assert 0 <= found[f"{name}, calibration error"] <= 1
    assert "Chinese_test" not in found


def test_other_steps_are_told() -> None:
    fits = [SimpleNamespace(history=[{"loss": loss}]) for loss in (1.0, 1.0, 1.1)]
    zero_shot._same_training(*fits[:2])
    with pytest.raises(AuditFailed, match=r"1\.0.*1\.1"):
        zero_shot._same_training(*fits[1:])
