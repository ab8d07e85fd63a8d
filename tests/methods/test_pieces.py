"""A vocabulary for text without spaces: known words, single characters, nothing else that was not seen."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest

from course_lib import encoders, tasks
from course_lib.errors import BadInput
from course_lib.methods.pieces import ROLES, text_of, tokenizer_from, vocabulary_of

KNOWN = ["老师", "学生", "生日", "快乐"]


@pytest.fixture(scope="module")
def like():
    return encoders.english_bert().tokenizer


@pytest.fixture(scope="module")
def small(like):
    return vocabulary_of(["老师生日快乐，学生！", "ＷｉＦｉ"], KNOWN, like)


@pytest.fixture(scope="module")
def real(like):
    pairs = tasks.parallel_sentences().part("train")
    return vocabulary_of(pairs.chinese.tolist(), tasks.glosses(pairs), like)


def pieces(tokenizer, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_known_words_win_over_their_characters_and_the_likelier_split_over_the_other(small) -> None:
    assert pieces(small, "老师快乐") == ["老师", "快乐"]
    assert pieces(small, "学生日快乐") == ["学", "生日", "快乐"]  # 学生 + 日 was never needed, 生日 was


def test_the_split_is_the_likeliest_of_all(real) -> None:
    """All ways to split a short sentence, by brute force."""
    scores = _scores(real)
    for text in ("我的老师喜欢喝茶", "他每天早上八点上班", "明天下午我们去看电影"):
        ways = []
        for cuts in range(2 ** (len(text) - 1)):
            ends = [0, *[k + 1 for k in range(len(text) - 1) if cuts >> k & 1], len(text)]
            parts = [text[a:b] for a, b in pairwise(ends)]
            if all(part in scores for part in parts):
                ways.append((math.fsum(scores[part] for part in parts), parts))
        best = max(ways)[0]
        assert math.fsum(scores[part] for part in pieces(real, text)) == pytest.approx(best, abs=1e-6), text


def _scores(tokenizer) -> dict[str, float]:
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    assert model["type"] == "Unigram"
    return dict(model["vocab"])


def test_a_word_that_nobody_knows_becomes_its_characters_and_an_unseen_character_is_unknown(small) -> None:
    assert pieces(small, "师乐") == ["师", "乐"]
    assert pieces(small, "老鼠") == ["老", small.unk_token]


def test_only_what_was_given_is_a_piece(real) -> None:
    parts = tasks.parallel_sentences()
    train, test = parts.part("train"), parts.part("test")
    seen = set(tasks.glosses(train))
    only_test = [word for word in tasks.glosses(test) if word not in seen and len(word) > 1]
    assert len(only_test) > 50
    assert not set(only_test) & set(real.get_vocab())


def test_special_tokens_come_first_and_are_the_old_ones(small, like) -> None:
    for number, role in enumerate(ROLES):
        token = getattr(like, f"{role}_token")
        assert small.convert_tokens_to_ids(token) == number and getattr(small, f"{role}_token") == token
    ids = small("老师")["input_ids"]
    assert ids[0] == small.cls_token_id and ids[-1] == small.sep_token_id
    pair = small("老师", "学生")
    assert pair["input_ids"].count(small.sep_token_id) == 2
    assert pair["token_type_ids"][-1] == 1 and pair["token_type_ids"][0] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("老师，学生！", ["老师", ",", "学生", "!"]),  # full width becomes ASCII (NFKC)
        ("WiFi", ["w", "i", "f", "i"]),
        ("ＷｉＦｉ", ["w", "i", "f", "i"]),
        ("  老师 \n 学生\t", ["老师", "学生"]),
        ("", []),
        ("  ", []),
    ],
)
def test_signs_and_spaces(small, text, expected) -> None:
    assert pieces(small, text) == expected


def test_emoji_mixed_scripts_and_a_very_long_text(small) -> None:
    assert pieces(small, "老师😀") == ["老师", small.unk_token]
    assert small.unk_token in pieces(small, "Привет 老师")
    assert pieces(small, "老师" * 50_000) == ["老师"] * 50_000


def test_most_of_an_unseen_sentence_is_covered(real) -> None:
    unseen = tasks.parallel_sentences().part("test").chinese
    found = [piece for text in unseen for piece in pieces(real, text)]
    assert found.count(real.unk_token) / len(found) < 0.03


def test_it_comes_back_from_its_text(real, like) -> None:
    before = text_of(real)
    texts = tasks.parallel_sentences().part("test").chinese[:200].tolist()
    real(texts, padding=True, truncation=True, max_length=7)
    assert text_of(real) == before, "how it was last used is no part of it"
    again = tokenizer_from(before, like)
    assert again(texts)["input_ids"] == real(texts)["input_ids"]
    assert again.get_vocab() == real.get_vocab() and again.model_max_length == real.model_max_length


def test_nothing_to_make_it_of(like) -> None:
    with pytest.raises(BadInput, match="no sentences"):
        vocabulary_of([], KNOWN, like)
