"""Fertility, unknown pieces and coverage against counts by hand and the packaged tokenizers."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from course_lib import encoders, measure, tasks
from course_lib.errors import BadInput

KNOWN = ("un", "##do", "##ne", "we", "good", ".", ",", "don", "'", "t")


def wordpiece(text: str) -> list[str]:
    """The longest known piece first, a word with anything else is unknown: WordPiece as published."""
    found = []
    for word in re.findall(r"\w+|[^\w\s]", text):
        own, rest = [], word
        while rest:
            fits = [rest[:end] for end in range(len(rest), 0, -1)]
            piece = next((f for f in fits if ("##" + f if own else f) in KNOWN), None)
            if piece is None:
                own = ["[UNK]"]
                break
            own.append("##" + piece if own else piece)
            rest = rest[len(piece) :]
        found += own
    return found


describe = partial(measure.tokenization, wordpiece, unknown="[UNK]", name="toy", language="English")


def test_counts_by_hand() -> None:
    sentences = ["we undone good.", "good, bad.", "don't"]
    assert [wordpiece(s) for s in sentences] == [
        ["we", "un", "##do", "##ne", "good", "."],
        ["good", ",", "[UNK]", "."],
        ["don", "'", "t"],
    ]
    found = describe(sentences)
    assert found.unit == "word"
    assert found.fertility.value == pytest.approx(13 / (4 + 4 + 1)), "marks count, don't is one word"
    assert found.unknown.value == pytest.approx(1 / 13)
    assert found.unknown_sentences.value == pytest.approx(1 / 3)
    assert found.split == pytest.approx(2 / 6), "undone and don't"
    assert found.length == 4
    known = {c for c in "weundoegood.,bdatn'" if wordpiece(c) != ["[UNK]"]}
    assert known == {".", ",", "'", "t"} and found.coverage == pytest.approx(
        4 / len(set("".join(sentences)) - {" "})
    )
    assert found.missing[0] == "o" and set(found.missing) & known == set()


def test_given_words_take_the_place_of_spaces() -> None:
    sentence = ["我们学习，好吗？"]
    found = measure.tokenization(list, sentence, unknown="?", name="letters", language="Chinese")
    assert (found.unit, found.fertility.value, found.split) == ("character", 1, 0)
    lists = measure.tokenization(
        list, sentence, unknown="#", name="a", language="b", words=[["我们", "学习", "，", "好", "吗"]]
    )
    assert (lists.unit, lists.fertility.value, lists.split) == ("word", 8 / 6, 2 / 4)
    numbers = measure.tokenization(list, sentence, unknown="#", name="a", language="b", words=np.array([4]))
    assert (numbers.unit, numbers.fertility.value, numbers.split) == ("word", 8 / 6, None)
    assert "not known" in str(numbers)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("I like 茶", "word"),
        ("我很喜欢 tea", "character"),
        ("ภาษาไทย", "character"),
        ("日本語です", "character"),
        ("한국어를 배워요", "word"),
        ("Привет, мир!", "word"),
    ],
)
def test_what_is_counted_follows_the_script(text, unit) -> None:
    assert describe([text]).unit == unit


def test_a_beginning_alone_splits_no_word() -> None:
    def sentencepiece(text: str) -> list[str]:
        return [p for word in text.split() for p in ("▁", word)]

    found = measure.tokenization(sentencepiece, ["we see it"], unknown="<unk>", name="a", language="b")
    assert found.split == 0 and found.fertility.value == 2


def test_intervals_are_those_of_ratios() -> None:
    rng = np.random.default_rng(0)
    sentences = [" ".join(rng.choice(["we", "bad", "undone"], rng.integers(1, 9))) for _ in range(400)]
    found = describe(sentences, resamples=3000)
    counts = np.array([(len(wordpiece(s)), wordpiece(s).count("[UNK]"), len(s.split())) for s in sentences])
    for value, part, whole in (
        (found.fertility, counts[:, 0], counts[:, 2]),
        (found.unknown, counts[:, 1], counts[:, 0]),
    ):
        ratio = part.sum() / whole.sum()
        error = np.std(part - ratio * whole) / np.sqrt(400) / whole.mean()  # the delta method
        assert value.value == pytest.approx(ratio)
        assert (value.low, value.high) == pytest.approx(
            (ratio - 1.96 * error, ratio + 1.96 * error), abs=0.2 * error
        )


def test_the_table_has_a_row_each() -> None:
    one, two = describe(["we good."]), describe(["bad."], language="Bad")
    table = measure.tokenizations(one, two)
    assert [line.split()[:2] for line in str(table).splitlines()] == [
        ["tokenizer", "language"],
        ["toy", "English"],
        ["toy", "Bad"],
    ]
    assert "sentences with [UNK]" in str(table) and table._repr_html_().count("<tr>") == 3
    assert table.find("toy", "Bad") is two and table.to_dict()["rows"][1]["unknown"]["value"] == 0.5
    with pytest.raises(BadInput, match="no row of 'toy' on 'Chinese'"):
        table.find("toy", "Chinese")
    with pytest.raises(BadInput, match="No tokenizer"):
        measure.tokenizations()
    other = measure.tokenization(list, ["we"], unknown="<unk>", name="other", language="English")
    assert "sentences with unknown" in str(measure.tokenizations(one, other))


def test_a_language_that_is_not_covered_is_warned_of() -> None:
    with pytest.warns(
        RuntimeWarning, match=r"toy \(Bad\) does not cover these texts: 50% of their pieces"
    ) as seen:
        describe(["bad."], language="Bad").warn_if_uncovered()
    assert seen[0].filename == __file__


def test_a_covered_one_is_not(recwarn) -> None:
    describe(["we good."]).warn_if_uncovered()
    describe(["bad."]).warn_if_uncovered(0.5)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("sentences", "words", "said"),
    [
        ("we", None, "single text"),
        ([], None, "no sentence"),
        (["we", None], None, "Row 1 holds None"),
        (["we", float("nan")], None, "Row 1 holds nan"),
        ([" ", ""], None, "All sentences are empty"),
        (["we"], [["we"], ["see"]], "2 sentences for 1 sentences"),
        (["we see"], ["we see"], "neither a list of words nor their number"),
        (["we", "see"], [["we"], 1], "neither a list of words nor their number"),
    ],
)
def test_bad_input(sentences, words, said) -> None:
    with pytest.raises(BadInput, match=said):
        describe(sentences, words=words)


def test_the_packaged_tokenizers_on_the_packaged_sentences() -> None:
    pairs = tasks.parallel_sentences().part("test")
    words = [[word.text for word in each] for each in pairs.words]
    found = {}
    for encoder in (encoders.english_bert(), encoders.multilingual_bert()):
        options = {"unknown": encoder.tokenizer.unk_token, "name": encoder.name}
        for language, given in (("en", None), ("zh", words)):
            found[encoder.name, language] = measure.tokenization(
                encoder.tokens, pairs.sentences(language), language=language, words=given, **options
            )
    english, many = "all-minilm-l6-v2", "multilingual-e5-small"
    assert found[english, "zh"].unknown.low > 0.55 and found[english, "zh"].coverage < 0.25
    assert found[english, "en"].unknown.value < 0.001 and found[many, "zh"].unknown.value < 0.001
    assert found[english, "en"].fertility.high < found[many, "en"].fertility.low, (
        "one language, all the pieces"
    )
    assert found[many, "zh"].fertility.high < found[english, "zh"].fertility.low
    assert found[many, "zh"].coverage > 0.99 and found[many, "zh"].unit == "word"
    ids = encoders.english_bert().tokenizer(pairs.chinese.tolist(), add_special_tokens=False)["input_ids"]
    flat = np.concatenate([np.array(i) for i in ids])
    unknown_id = encoders.english_bert().tokenizer.unk_token_id
    assert found[english, "zh"].unknown.value == pytest.approx((flat == unknown_id).mean())
