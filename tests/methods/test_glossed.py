"""Where new rows begin: at what a word means in the old language, against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, tasks
from course_lib.methods.glossed import first_rows, meanings, of_characters, senses

TABLE = np.arange(12, dtype=np.float32).reshape(6, 2) ** 2
OLD = {"[PAD]": 0, "[UNK]": 1, "tea": 2, "water": 3, ",": 4, "a": 5}
SPECIAL = {"<pad>": "[PAD]", "<unk>": "[UNK]"}
PIECES = ["<pad>", "<unk>", "茶", "茶水", ",", "a", "龘"]
MEANT = {"茶水": TABLE[[2, 3]].mean(axis=0), "a": TABLE[3]}


def begun(start: str, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    of_character = of_characters(MEANT, {"茶水": 3})
    rows, origin = first_rows(start, PIECES, SPECIAL, OLD, TABLE, MEANT, of_character, seed)
    return rows, origin.tolist()


@pytest.mark.parametrize(
    ("gloss", "found"),
    [
        ("to drink", ["drink"]),
        ("to be busy; busy/occupied", ["busy", "busy", "occupied"]),
        ("the weather", ["weather"]),
        ("a little (of sth)", ["little"]),
        ("to help sb", ["help somebody"]),
        ("classifier for books", []),
        ("surname Wang", []),
        ("(polite) you [nin2]", ["you"]),
        ("nested (one (two) three) end", ["nested end"]),
        ("variant of 着", []),
        ("CL:個|个[ge4]", []),
        ("theatre", ["theatre"]),  # no article, though it begins like one
        ("", []),
        ("( )", []),
    ],
)
def test_senses(gloss, found) -> None:
    assert senses(gloss) == found


def test_a_row_is_the_mean_of_its_senses_pieces() -> None:
    """Against a plain computation, word by word, for glosses of one sense."""
    encoder = encoders.english_bert()
    table = encoder.model.get_input_embeddings().weight.detach().numpy()
    tokenizer = encoder.tokenizer
    found = meanings({"老师": ["teacher"], "电影院": ["cinema; movie theater"]}, tokenizer, table)
    ids = tokenizer.convert_tokens_to_ids
    expected = (table[ids("cinema")] + (table[ids("movie")] + table[ids("theater")]) / 2) / 2
    assert np.allclose(found["老师"], table[ids("teacher")], atol=1e-7)
    assert np.allclose(found["电影院"], expected, atol=1e-6)


def test_words_whose_glosses_say_nothing_have_no_meaning() -> None:
    encoder = encoders.english_bert()
    table = encoder.model.get_input_embeddings().weight.detach().numpy()
    assert meanings({"王": ["surname Wang"], "空": []}, encoder.tokenizer, table) == {}


def test_every_start_takes_what_it_may_and_falls_back() -> None:
    rows, origin = begun("glosses")
    assert origin == ["special", "special", "characters", "gloss", "overlap", "gloss", "random"]
    assert np.array_equal(rows[3], MEANT["茶水"]) and np.array_equal(rows[2], MEANT["茶水"])
    assert np.array_equal(rows[4], TABLE[4])
    rows, origin = begun("overlap")
    assert origin == ["special", "special", "random", "random", "overlap", "overlap", "random"]
    assert np.array_equal(rows[5], TABLE[5]), "what is written the same, whatever a gloss says"
    rows, origin = begun("random")
    assert origin == ["special", "special", *["random"] * 5]
    assert np.array_equal(rows[:2], TABLE[:2])


def test_random_rows_repeat_with_the_seed_and_are_spread_as_the_old() -> None:
    assert np.array_equal(begun("random", 3)[0], begun("random", 3)[0])
    assert not np.array_equal(begun("random", 3)[0][2:], begun("random", 4)[0][2:])
    old = np.random.default_rng(0).normal([1, -2, 0], [0.1, 1, 5], (500, 3)).astype(np.float32)
    pieces = [str(number) for number in range(20_000)]
    rows, _ = first_rows("random", pieces, {}, {}, old, {}, {}, 0)
    assert np.abs((rows.mean(axis=0) - old.mean(axis=0)) / old.std(axis=0)).max() < 0.04
    assert np.abs(rows.std(axis=0) / old.std(axis=0) - 1).max() < 0.02


def test_a_start_shares_its_random_rows_with_the_others() -> None:
    """So that starts differ in what they know, not in luck."""
    assert np.array_equal(begun("random")[0][6], begun("glosses")[0][6])


def test_most_words_of_the_course_mean_something() -> None:
    encoder = encoders.english_bert()
    table = encoder.model.get_input_embeddings().weight.detach().numpy()
    glosses = tasks.glosses(tasks.parallel_sentences().part("train"))
    assert len(meanings(glosses, encoder.tokenizer, table)) / len(glosses) > 0.9
