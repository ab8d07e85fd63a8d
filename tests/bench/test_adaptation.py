"""The long run of notebook 10: what each way needs is counted right, and no test label steers it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.bench import adaptation, long_runs
from course_lib.tasks.task import Split

COSTS = {"English", "Chinese", "Chinese labels", "pairs", "raw", "seconds", "parameters"}
TRAIN, VALIDATION, TEST, PAIRS, HELD, LOOKED_UP = 160, 40, 64, 600, 60, 50
WAYS: dict[str, dict[str, Any]] = {
    **{name: {"method": name} for name in ("probe", "centring", "CORAL", "translated probe", "English BERT")},
    "Procrustes": {"method": "Procrustes", "pairs": 16},
    "pulled": {"method": "few: pulled probe", "labels": 32},
    "glosses": {"method": "new vocabulary", "start": "glosses", "learnt": False},
}
WIDTH, CLASSES = 384, 16


def of_pairs(pairs: tasks.ParallelSentences) -> SimpleNamespace:
    """Few pairs of every part."""
    sizes = {"train": PAIRS, "validation": HELD, "test": LOOKED_UP}
    return SimpleNamespace(part=lambda name: pairs.part(name).take(np.arange(sizes[name])))


def forget() -> None:
    for kept in (adaptation._multilingual, adaptation._english, adaptation._pairs):
        kept.cache_clear()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Any:
    """Few sentences, the same in both languages, and a feature cache of their own."""
    found = {}
    for language in ("en", "zh"):
        task = tasks.topics(language).subset(TRAIN, validation=VALIDATION)
        found[language] = replace(task, test=task.test.sample(TEST))
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(adaptation, "topics", found.__getitem__)
        patch.setattr(adaptation, "parallel_sentences", lambda: of_pairs(tasks.parallel_sentences()))
        yield found
    forget()


@pytest.fixture(scope="module")
def found(small) -> dict[str, dict[str, Any]]:
    with pytest.warns(RuntimeWarning, match="all-minilm-l6-v2 does not cover these texts"):
        return {name: adaptation.work({**setting, "seed": 0}) for name, setting in WAYS.items()}


def features(data: Any) -> np.ndarray:
    return encoders.multilingual_bert().encode(data).astype(np.float64)


def accuracy(classifier: Any, split: Split) -> float:
    return round(float(np.mean(classifier.predict(split) == split.y)), 4)


# -- the list --------------------


def test_settings_are_distinct_and_each_has_its_function() -> None:
    settings = list(adaptation.settings())
    assert len({json.dumps(setting, sort_keys=True) for setting in settings}) == len(settings)
    assert {setting["method"] for setting in settings} == adaptation._METHODS.keys()
    assert all(callable(way) for way in adaptation._METHODS.values())
    assert long_runs.RUNS["topics_adaptation"][1:] == (adaptation.settings, adaptation.work)


def test_a_run_that_is_cut_off_says_something_of_everything_then_more_of_what_matters() -> None:
    """The first seed does all; then the others, a whole experiment at a time, quick ones before slow ones."""
    settings = list(adaptation.settings())
    first, *others = adaptation.SEEDS
    kinds = [json.dumps({**setting, "seed": None}) for setting in settings]
    whole = len(set(kinds))
    assert len(set(kinds[:whole])) == whole
    assert [setting["seed"] for setting in settings[:whole]] == [first] * whole
    times = Counter(kinds)
    once = {json.loads(kind)["method"] for kind, n in times.items() if n == 1}
    assert once == {"probe", "no prefix", "centring", "CORAL", "translated probe", "English BERT"}
    assert set(times.values()) == {1, len(adaptation.SEEDS)}
    rest = [(_weight(setting), setting["seed"]) for setting in settings[whole:]]
    assert rest == sorted(rest) and {seed for _, seed in rest} == set(others)


def _weight(setting: dict[str, Any]) -> int:
    """Return 0 for what is quick, 1 for what is slow, 2 for a slow control."""
    method = setting["method"]
    if method == "Procrustes" or method.startswith("few: ") or setting.get("learnt") is False:
        return 0
    slow = method in ("fine-tuning", "continued MLM", "translate-train") or setting.get("start") == "glosses"
    return 1 if slow else 2


def test_what_was_tried_here_is_in_the_list() -> None:
    listed = list(adaptation.settings())
    assert all({**setting, "seed": 0} in listed for setting in WAYS.values())


# -- what each way needs --------------------


def test_all_that_was_promised_is_there(found) -> None:
    for name, figures in found.items():
        assert figures.keys() >= COSTS, name
        assert 0 <= figures["English"] <= 1 and 0 <= figures["Chinese"] <= 1
        assert figures["seconds"] >= 0 and json.loads(json.dumps(figures)) == figures


@pytest.mark.parametrize(
    ("name", "labels", "pairs", "raw", "parameters"),
    [
        ("probe", 0, 0, 0, 0),
        ("English BERT", 0, 0, 0, 0),
        ("centring", 0, 0, TRAIN, WIDTH),
        ("CORAL", 0, 0, TRAIN, WIDTH + WIDTH**2),
        ("Procrustes", 0, 16 + HELD, 0, WIDTH + WIDTH**2),
        ("translated probe", 0, TRAIN + VALIDATION, 0, WIDTH * CLASSES + CLASSES),
        ("pulled", 32 + CLASSES, 0, 0, WIDTH * CLASSES + CLASSES),  # at least one held-out label per class
        ("glosses", 0, 0, PAIRS, 0),
    ],
)
def test_what_was_used_is_counted(found, name, labels, pairs, raw, parameters) -> None:
    figures = found[name]
    counted = [figures[what] for what in ("Chinese labels", "pairs", "raw", "parameters")]
    assert counted == [labels, pairs, raw, parameters]


def test_aligning_chinese_leaves_english_as_it_was(found, small) -> None:
    probe = methods.linear_probe(encoders.multilingual_bert(), small["en"])
    assert found["probe"]["English"] == accuracy(probe, small["en"].test)
    assert found["probe"]["Chinese"] == accuracy(probe, small["zh"].test)
    for name in ("centring", "CORAL", "Procrustes"):
        assert found[name]["English"] == found["probe"]["English"]
        assert found[name]["Chinese"] > found["probe"]["Chinese"]
    assert found["glosses"]["English"] == found["English BERT"]["English"]
    assert found["translated probe"]["English"] != found["probe"]["English"]  # of Chinese sentences alone


# -- what each way does --------------------


def test_moved_features_lie_where_english_training_sentences_lie(found, small) -> None:
    """Written out with numpy; moved by the test's own mean, or the other way, they would lie elsewhere."""
    english, chinese = (features(small[language].train) for language in ("en", "zh"))
    for name in ("centring", "CORAL"):
        adapted = adaptation._METHODS[name]({"method": name, "seed": 0})
        moved = adapted.chinese.encoder.encode(small["zh"].train).astype(np.float64)
        assert np.abs(moved.mean(axis=0) - english.mean(axis=0)).max() < 1e-4
        assert np.abs(chinese.mean(axis=0) - english.mean(axis=0)).max() > 1e-2
        apart = [np.abs(np.cov(x.T) - np.cov(english.T)).mean() for x in (moved, chinese)]
        assert apart[0] < 0.6 * apart[1] if name == "CORAL" else np.isclose(*apart, rtol=1e-3)
        assert accuracy(adapted.chinese, small["zh"].test) == found[name]["Chinese"]


def test_the_ridge_is_the_one_that_held_out_pairs_like(small, monkeypatch) -> None:
    """Of pairs that are no translations: who believes them, ridge 0, finds fewer held-out translations."""
    pairs, held = (adaptation._pairs(part) for part in ("train", "validation"))
    pairs = replace(pairs, chinese=np.roll(pairs.chinese, 1))
    monkeypatch.setattr(adaptation, "_pairs", {"train": pairs, "validation": held}.__getitem__)
    found = adaptation.work({"method": "Procrustes", "pairs": 64, "seed": 0})
    probe = methods.linear_probe(encoders.multilingual_bert(), small["en"])
    target = features(held.english)
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    right, said = [], {}
    for ridge in adaptation.RIDGES:
        one = methods.procrustes(probe, pairs.english, pairs.chinese, pairs=64, seed=0, ridge=ridge)
        nearest = (one.encoder.encode(held.chinese) @ target.T).argmax(axis=1)
        right.append(int((held.english[nearest] == held.english).sum()))
        said[ridge] = accuracy(one, small["zh"].test)
    assert right[0] < 0.9 * max(right)
    assert found["ridge"] == adaptation.RIDGES[right.index(max(right))] > 0
    assert found["Chinese"] == said[found["ridge"]]
    assert found["pairs"] == 64 + HELD and 0 < found["fit"] <= found["seconds"]


def test_an_english_network_gets_chinese_words(found) -> None:
    before, after = found["English BERT"], found["glosses"]
    assert before["unknown"] > 0.5 > 0.2 > after["unknown"]
    assert found["probe"]["unknown"] < 0.01
    assert after["Chinese"] > before["Chinese"] + 0.1
    assert after["retrieval"] > 10 / LOOKED_UP
    assert after["body moved"] == 0 and after["guessed"] == []
    assert after["starts"]["gloss"] > 0.5
    assert sum(after["starts"].values()) == pytest.approx(1, abs=1e-3)


def test_test_labels_steer_nothing(found, small, monkeypatch) -> None:
    """With other test labels the score is another, and whatever was chosen or counted is not."""
    task = small["zh"]
    turned = replace(task, test=replace(task.test, y=np.roll(task.test.y, 7)))
    monkeypatch.setattr(adaptation, "topics", {**small, "zh": turned}.__getitem__)
    for name in ("Procrustes", "pulled", "glosses"):
        again = adaptation.work({**WAYS[name], "seed": 0})
        assert again["Chinese"] < found[name]["Chinese"]
        for what in again.keys() - {"Chinese", "seconds", "fit"}:
            assert again[what] == found[name][what], (name, what)


# -- two languages in one task --------------------


def test_both_languages_are_twice_the_sentences_and_share_no_id(small) -> None:
    both, english, chinese = adaptation._both_languages(), small["en"], small["zh"]
    for part in ("train", "validation"):
        joined, a, b = (getattr(task, part) for task in (both, english, chinese))
        n = len(a)
        assert len(joined) == 2 * n == len(set(joined.ids))
        assert joined.x[:n].tolist() == a.x.tolist() and joined.x[n:].tolist() == b.x.tolist()
        assert (
            joined.y[:n].tolist() == joined.y[n:].tolist() == a.y.tolist()
        )  # a sentence and its translation
        bare = np.char.partition(joined.ids, "-")[:, 2]
        assert bare[:n].tolist() == bare[n:].tolist() == a.ids.tolist()
    assert not set(both.train.ids) & set(both.validation.ids)
    bare = {
        part: set(np.char.partition(getattr(both, part).ids, "-")[:, 2]) for part in ("train", "validation")
    }
    assert not bare["train"] & bare["validation"], "a translation in validation of what was trained on"
    assert not (bare["train"] | bare["validation"]) & set(both.test.ids)
    assert both.test is english.test and both.classes == CLASSES
