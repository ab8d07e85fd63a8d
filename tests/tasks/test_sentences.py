"""The packaged sentences: the same splits in every language, and nothing of the test in training."""

from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from course_lib import tasks
from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.installed import find
from course_lib.tasks import sentences

PARTS = ("train", "validation", "test")
LANGUAGES = ("en", "zh", "zh-Hant")


@pytest.fixture(scope="module")
def pairs() -> tasks.ParallelSentences:
    return tasks.parallel_sentences()


@pytest.fixture(scope="module")
def published() -> list[dict]:
    return json.loads(find(sentences.PACKAGED).read_text("utf8"))


@pytest.fixture
def read_anew():
    sentences._pairs.cache_clear()
    yield
    sentences._pairs.cache_clear()


def letters(text: str) -> str:
    """Return a text's letters and digits alone."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LN")


def test_every_published_pair_is_here_but_those_without_a_translation(pairs, published) -> None:
    rows = {row["id"]: row for row in published}
    assert len(rows) == len(published) == 4354
    left_out = [rows[i]["translation"]["en"] for i in sorted(set(rows) - set(pairs.ids.tolist()))]
    assert len(left_out) == 82 and {t.split("-")[0] for t in left_out} == {"placeholder", "PH"}
    assert not any("placeholder" in text.lower() for text in pairs.english)
    for k, i in enumerate(pairs.ids.tolist()):
        row = rows[i]
        assert pairs.english[k] == row["translation"]["en"] and pairs.chinese[k] == row["chinese"]
        assert pairs.traditional[k] == row["traditional"] and pairs.topics[k] == row["topic"]
        assert [(w.text, w.gloss) for w in pairs.words[k]] == [
            (t["word"], t["gloss_en"]) for t in row["tokens"]
        ]


def test_no_sentence_stands_in_two_parts_in_any_language(pairs) -> None:
    for language in LANGUAGES:
        where = defaultdict(set)
        for text, part in zip(pairs.sentences(language), pairs.parts, strict=True):
            where[letters(text)].add(part)
        assert len(where) < len(pairs)  # there are repetitions to keep together
        assert max(map(len, where.values())) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_splits_are_disjoint_and_whole(pairs, language) -> None:
    task = tasks.topics(language)
    ids = [getattr(task, part).ids.tolist() for part in PARTS]
    kept = pairs.take(~np.isin(pairs.topics, sentences.CATCH_ALL))
    assert sorted(chain(*ids)) == sorted(kept.ids.tolist())
    assert len(set(chain(*ids))) == len(kept)
    known = dict(zip(pairs.ids.tolist(), pairs.sentences(language).tolist(), strict=True))
    labels = dict(zip(pairs.ids.tolist(), pairs.topics.tolist(), strict=True))
    for part in PARTS:
        split = getattr(task, part)
        assert split.x.tolist() == [known[i] for i in split.ids.tolist()]
        names = [task.class_names[y].replace(" ", "_") for y in split.y]
        assert names == [labels[i] for i in split.ids.tolist()]
        assert split.domain == sentences.LANGUAGES[language] and split.name == f"topics/{language}/{part}"
    assert task.classes == 16 and not set(task.class_names) & set(sentences.CATCH_ALL)


def test_languages_share_ids_labels_and_parts() -> None:
    whole = [tasks.topics(language) for language in LANGUAGES]
    few = [tasks.topics(language, train=48, seed=5) for language in LANGUAGES]
    for english, *others in (whole, few):
        for other in others:
            for part in PARTS:
                one, two = getattr(english, part), getattr(other, part)
                assert np.array_equal(one.ids, two.ids) and np.array_equal(one.y, two.y)
                assert not np.array_equal(one.x, two.x)
    assert len(few[0].train) == 48 and set(few[0].train.ids) < set(whole[0].train.ids)
    assert np.array_equal(few[0].test.ids, whole[0].test.ids)
    assert set(tasks.topics("en", train=48, seed=6).train.ids) != set(few[0].train.ids)


def test_every_topic_has_its_share_of_every_part(pairs) -> None:
    for part, share in sentences.SHARES.items():
        here = Counter(pairs.topics[pairs.parts == part].tolist())
        for topic, n in Counter(pairs.topics.tolist()).items():
            # groups of equal sentences move as one, so that a topic may miss its share by a few
            assert abs(here[topic] - share * n) <= 4 + 0.02 * n, (part, topic)


FIXED = {
    "train": "672af5b79e5d0ad874bf35347894d45b95e4f760c31bd6c70dad037df83b9608",
    "validation": "38c0b4d5fb22795bcb93db1a934043845045c9c19e6facba2dc6c04499b16694",
    "test": "8f3d9553660859b170ec6440269914d6dde32177c8cc9ffdac7b2855af366193",
}


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_are_the_same_on_every_machine(pairs, read_anew, part) -> None:
    again = tasks.parallel_sentences().part(part)
    assert np.array_equal(again.ids, pairs.part(part).ids)
    assert hashlib.sha256(" ".join(again.ids).encode()).hexdigest() == FIXED[part]


def test_groups_join_whatever_shares_a_sentence() -> None:
    left = ["A!", "b", "a", "c", "B.", "d"]
    right = ["1", "2", "3", "3", "4", "5"]
    assert sentences.groups(left, right).tolist() == [0, 1, 0, 0, 1, 5]
    assert sentences.groups(["x", "y", "z"], ["1", "2", "2"], ["k", "m", "k"]).tolist() == [0, 0, 0]


def test_groups_against_a_search_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    sides = [[f"{v}." for v in rng.integers(0, 40, 60)] for _ in range(2)]
    adjacent = [[any(s[i] == s[j] for s in sides) for j in range(60)] for i in range(60)]
    reach = np.linalg.matrix_power(np.array(adjacent, float), 60) > 0
    assert sentences.groups(*sides).tolist() == reach.argmax(axis=1).tolist()


def test_assigned_keeps_groups_whole_and_shares_as_asked() -> None:
    rng = np.random.default_rng(1)
    group = sentences.groups([str(v) for v in rng.integers(0, 600, 1000)])
    parts = sentences.assigned(group, rng.integers(0, 5, 1000))
    assert all(len(set(parts[group == g])) == 1 for g in np.unique(group))
    firsts = parts[np.unique(group)]
    for part, share in sentences.SHARES.items():
        assert abs((firsts == part).mean() - share) < 0.002


def test_taking_rows_keeps_all_sides_together(pairs) -> None:
    rows = np.array([7, 3, 3])
    few = pairs.take(rows)
    assert len(few) == 3 and few.english.tolist() == pairs.english[rows].tolist()
    assert few.words == tuple(pairs.words[r] for r in rows)
    mask = pairs.parts == "test"
    assert np.array_equal(pairs.take(mask).ids, pairs.part("test").ids)
    assert len(pairs.take(np.zeros(len(pairs), bool))) == 0
    assert "4,272 pairs, 2,992 / 428 / 852" in repr(pairs)


def test_what_is_shared_cannot_be_written_to(pairs) -> None:
    for name in ("english", "chinese", "traditional", "topics", "parts", "ids"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(pairs, name)[0] = "x"
    with pytest.raises(ValueError, match="read-only"):
        tasks.topics().train.x[0] = "x"
    theirs = np.array(["a", "b"], object)
    fields = dict.fromkeys(("english", "chinese", "traditional", "topics", "parts", "ids"), theirs)
    sentences.ParallelSentences(words=((), ()), **fields)
    theirs[0] = "still theirs"


def test_glosses_are_those_of_the_words(pairs) -> None:
    found = tasks.glosses(pairs)
    assert set(found) == {w.text for words in pairs.words for w in words}
    assert found["老师"] == ["teacher"]
    assert set(tasks.glosses(pairs.part("train"))) < set(found)
    said = [[("行", "row")], [("银行", "bank"), ("行", "to walk")], [("行", "row"), ("行", "fine")]]
    words = tuple(tuple(sentences.Word(*w) for w in sentence) for sentence in said)
    few = replace(pairs.take(np.arange(3)), words=words)
    assert tasks.glosses(few) == {"行": ["row", "to walk", "fine"], "银行": ["bank"]}


def test_traditional_characters_are_another_spelling(pairs) -> None:
    differ = np.mean(pairs.chinese != pairs.traditional)
    assert 0.5 < differ < 1
    assert all(len(a) == len(b) for a, b in zip(pairs.chinese[:200], pairs.traditional[:200], strict=True))


@pytest.mark.parametrize("language", ["fr", "", "ZH", None])
def test_a_language_that_there_is_not(pairs, language) -> None:
    for ask in (tasks.topics, pairs.sentences):
        with pytest.raises(BadInput, match="en, zh, zh-Hant"):
            ask(language)


def test_a_part_that_there_is_not_and_more_labels_than_exist(pairs) -> None:
    with pytest.raises(BadInput, match="train, validation, test"):
        pairs.part("dev")
    with pytest.raises(BadInput, match="labels asked for"):
        tasks.topics("en", train=100_000)
    with pytest.raises(BadInput, match="16, one per class"):
        tasks.topics("en", train=15)


def test_one_altered_byte_is_refused(read_anew, tmp_path, monkeypatch) -> None:
    path = tmp_path / "sentences.json"
    shutil.copy(find(sentences.PACKAGED), path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace("老师".encode(), "老帅".encode(), 1))
    monkeypatch.setattr(sentences, "find", lambda entry: path)
    for ask in (tasks.topics, tasks.parallel_sentences):
        with pytest.raises(Corrupt, match=r"Altered files are not loaded(.|\n)*hsk-sentences-audio==1\.0\.0"):
            ask()


def test_a_missing_package_names_the_command(read_anew, monkeypatch) -> None:
    def missing(entry):
        raise DataUnavailable("The package is not installed.", "pip install it")

    monkeypatch.setattr(sentences, "find", missing)
    assert not sentences.available()
    with pytest.raises(DataUnavailable, match="pip install"):
        tasks.topics()
