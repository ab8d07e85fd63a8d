"""One's own tables of sentences: what is read, and what is said when it cannot be."""

from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd
import pytest

from course_lib import tasks
from course_lib.errors import BadInput
from course_lib.tasks import sentence_table
from course_lib.tasks.table_file import encoding_guesses


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    """The packaged sentences as somebody's table: text, topic and id."""
    english = tasks.topics("en")
    splits = (english.train, english.validation, english.test)
    table = pd.DataFrame(
        {
            "id": np.concatenate([s.ids for s in splits]),
            "text": np.concatenate([s.x for s in splits]),
            "topic": np.concatenate([np.array(s.class_names)[s.y] for s in splits]),
        }
    )
    return table[table.topic.isin(["food", "travel", "family"])].reset_index(drop=True)


def of(table, **options) -> tasks.Task:
    return sentence_table(table, **{"text": "text", "label": "topic", "language": "en"} | options)


def parts(task: tasks.Task) -> dict[str, tasks.Split]:
    return {"train": task.train, "validation": task.validation, "test": task.test}


def said(table, match: str, **options) -> None:
    with pytest.raises(BadInput, match=match) as error:
        of(table, **options)
    assert "What to do: " in str(error.value)


def test_a_table_becomes_a_task(reviews) -> None:
    task = of(reviews, id="id")
    assert task.class_names == tuple(sorted(reviews.topic.unique()))
    n = len(reviews)
    for part, share in sentence_table_shares().items():
        split = parts(task)[part]
        assert abs(len(split) / n - share) < 0.02
        assert (split.x.dtype, split.x.ndim, split.domain) == (object, 1, "English")
        for name, count in split.counts.items():
            assert abs(count / len(split) - (reviews.topic == name).mean()) < 0.02
    told = dict(zip(reviews.id, zip(reviews.text, reviews.topic, strict=True), strict=True))
    seen = [
        (i, x, task.class_names[y])
        for s in parts(task).values()
        for i, x, y in zip(s.ids, s.x, s.y, strict=True)
    ]
    assert sorted(seen) == sorted((i, *pair) for i, pair in told.items())


def sentence_table_shares() -> dict[str, float]:
    return {"train": 0.60, "validation": 0.15, "test": 0.25}


def test_the_seed_makes_the_split(reviews) -> None:
    once, again, other = of(reviews), of(reviews), of(reviews, seed=1)
    assert once.test.ids.tolist() == again.test.ids.tolist()
    assert set(once.test.ids) != set(other.test.ids)
    few = of(reviews, train=12)
    assert (len(few.train), len(few.validation)) == (12, 3)
    assert set(few.train.ids) <= set(once.train.ids)


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "parquet", "bom"])
def test_files_are_read_as_the_table(reviews, tmp_path, kind) -> None:
    odd = reviews.copy()
    odd.loc[0, "text"] = 'He said "no, never";\nthen left 😀\t…'
    odd.loc[1, "text"] = "NA"
    odd.loc[2, "text"] = "null"
    path = tmp_path / f"mine.{ {'semicolons': 'csv', 'bom': 'csv'}.get(kind, kind) }"
    if kind == "parquet":
        odd.to_parquet(path)
    else:
        separator = {"semicolons": ";", "tsv": "\t"}.get(kind, ",")
        encoding = "utf-8-sig" if kind == "bom" else "utf-8"
        odd.to_csv(path, index=False, sep=separator, encoding=encoding)
    read, given = of(path, id="id"), of(odd, id="id")
    assert read.name == "mine"
    for part, split in parts(given).items():
        assert split.x.tolist() == parts(read)[part].x.tolist()
        assert split.ids.tolist() == parts(read)[part].ids.tolist()
    assert {"NA", "null"} <= {x for s in parts(read).values() for x in s.x}


def test_pairs(reviews) -> None:
    pairs = pd.DataFrame({"a": reviews.text, "b": reviews.text.to_numpy()[::-1], "topic": reviews.topic})
    task = of(pairs, text=("a", "b"))
    assert task.train.x.shape == (len(task.train), 2)
    assert set(map(tuple, task.test.x)) <= set(zip(pairs.a, pairs.b, strict=True))


def test_labels_of_any_kind() -> None:
    texts = [f"text {k}" for k in range(40)]
    for values, names in (
        ([0, 1] * 20, ("0", "1")),
        ([10, 9, 2, 1] * 10, ("1", "2", "9", "10")),
        ([True, False] * 20, ("False", "True")),
        ([1.0, 2.0] * 20, ("1", "2")),
        (["好", "坏"] * 20, ("坏", "好")),
        (pd.Categorical(["b", "a"] * 20), ("a", "b")),
        (np.array([3, 4] * 20, np.uint8), ("3", "4")),
    ):
        task = of(pd.DataFrame({"text": texts, "topic": values}))
        assert task.class_names == names
        assert sum(len(s) for s in parts(task).values()) == 40
    said(pd.DataFrame({"text": texts, "topic": [0.5, 1.5] * 20}), "label 0.5 is no class")
    said(pd.DataFrame({"text": texts, "topic": ["pos", "pos "] * 20}), "'pos ' differ in spaces")


def test_texts_stay_what_they_are(tmp_path) -> None:
    composed, apart = "café", unicodedata.normalize("NFD", "café")
    odd = [
        "👩‍👩‍👧 family",
        "你好 world привет",
        "　全角　",
        "x" * 100_000,
        "a\u200bb",
        " spaces  kept ",
        composed,
        apart,
    ]
    texts = odd + [f"filler {k}" for k in range(40)]
    table = pd.DataFrame({"text": texts, "topic": [k % 2 for k in range(len(texts))]})
    table.loc[7, "topic"] = table.loc[6, "topic"]
    path = tmp_path / "odd.csv"
    table.to_csv(path, index=False)
    for source in (table, path):
        task = of(source)
        assert sorted(x for s in parts(task).values() for x in s.x) == sorted(texts)
        (where,) = {p for p, s in parts(task).items() for x in s.x if x in (composed, apart)}
        assert where


def test_equal_texts_lie_in_one_split() -> None:
    rng = np.random.default_rng(0)
    texts = [f"sentence {k}" for k in rng.integers(0, 60, 300)]
    loud = [t.upper() if k % 3 == 0 else f"  {t} " if k % 3 == 1 else t for k, t in enumerate(texts)]
    table = pd.DataFrame({"text": loud, "topic": [hash(t) % 2 for t in texts]})
    table["topic"] = [int(t.split()[1]) % 2 for t in texts]
    for seed in range(3):
        task = of(table, seed=seed)
        seen = [{" ".join(x.casefold().split()) for x in s.x} for s in parts(task).values()]
        assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
        assert all(seen)


def test_both_orders_of_a_pair_are_one() -> None:
    a = [f"a {k}" for k in range(30)]
    b = [f"b {k}" for k in range(30)]
    table = pd.DataFrame({"a": a + b, "b": b + a, "topic": [k % 2 for k in range(30)] * 2})
    task = of(table, text=("a", "b"))
    for s in parts(task).values():
        rows = set(map(tuple, s.x))
        assert {(y, x) for x, y in rows} == rows


def test_groups_stay_together(reviews) -> None:
    chinese = tasks.topics("zh")
    other = {
        i: x
        for s in (chinese.train, chinese.validation, chinese.test)
        for i, x in zip(s.ids, s.x, strict=True)
    }
    both = pd.concat([reviews, reviews.assign(text=reviews.id.map(other))], ignore_index=True)
    task = of(both, group="id", language="English and Chinese")
    where = {}
    for part, split in parts(task).items():
        for row in split.ids:
            where.setdefault(both.id[int(row.removeprefix("row-")) - 1], set()).add(part)
    assert len(where) == len(reviews)
    assert all(len(found) == 1 for found in where.values())
    assert task.domain == "English and Chinese"


def test_chains_of_groups_and_texts_are_followed() -> None:
    table = pd.DataFrame({"text": ["a", "a", "b", "b", "c"], "g": [1, 2, 2, 3, 3], "topic": [0] * 5})
    more = pd.DataFrame({"text": [f"t{k}" for k in range(20)], "g": range(10, 30), "topic": [0, 1] * 10})
    task = of(pd.concat([table, more], ignore_index=True), group="g")
    found = [sum(x in "abc" for x in s.x) for s in parts(task).values()]
    assert sorted(found) == [0, 0, 5]


def test_a_split_column_is_kept(reviews) -> None:
    names = np.array(["train", "Train ", "dev", "test"])[np.arange(len(reviews)) % 4]
    given = reviews.assign(part=names)
    unique = given.drop_duplicates("text")
    task = of(unique, split="part", id="id", skip_bad=True)
    wanted = dict(zip(given.id, names, strict=True))
    assert {wanted[i] for i in task.train.ids} == {"train", "Train "}
    assert {wanted[i] for i in task.validation.ids} == {"dev"}
    assert {wanted[i] for i in task.test.ids} == {"test"}
    two = of(unique.replace({"part": {"dev": "train"}}), split="part", id="id", skip_bad=True)
    assert set(two.test.ids) == set(task.test.ids)
    assert 0.1 < len(two.validation) / (len(two.train) + len(two.validation)) < 0.2
    said(unique.replace({"part": {"dev": "later"}}), "split is 'later'", split="part")
    said(unique.replace({"part": {"test": "dev"}}), "No row is in test", split="part", skip_bad=True)
    said(unique[unique.part == "test"], "No row is in train", split="part")


def test_a_text_in_two_given_splits() -> None:
    table = pd.DataFrame(
        {
            "text": [f"t {k}" for k in range(20)] + ["T 3", "t 4 "],
            "topic": [0, 1] * 11,
            "part": ["train"] * 12 + ["val"] * 4 + ["test"] * 6,
        }
    )
    said(table, r"2 rows .* row 4 \(train\) and row 21 \(test\) belong together", split="part")
    task = of(table, split="part", skip_bad=True)
    assert (len(task.train), len(task.validation), len(task.test)) == (10, 4, 6)
    assert "2 of 22 rows left out" in task.note


def test_labels_that_training_does_not_know() -> None:
    table = pd.DataFrame(
        {
            "text": [f"t {k}" for k in range(13)],
            "topic": ["a", "b"] * 6 + ["c"],
            "part": ["train"] * 8 + ["test"] * 5,
        }
    )
    said(table, r"training does not know: 'c' in row 13 \(test\)", split="part")
    task = of(table, split="part", skip_bad=True)
    assert task.class_names == ("a", "b")
    assert len(task.test) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": None}, "row 2 has no text in 'text'"),
        ({"text": float("nan")}, "row 2 has no text in 'text'"),
        ({"text": "  \n"}, "row 2 has an empty text"),
        ({"text": 5}, "row 2 has 5 in 'text', which is no text"),
        ({"text": "half \ud83d"}, "row 2 has half a character"),
        ({"topic": None}, "row 2 has nothing in 'topic'"),
        ({"topic": ""}, "row 2 has nothing in 'topic'"),
    ],
)
def test_rows_that_cannot_be_used(reviews, change, words) -> None:
    bad = reviews.astype(object)
    for column, value in change.items():
        bad.at[1, column] = value
    said(bad, f"1 of {len(bad)} rows cannot be used: {words}")
    task = of(bad, id="id", skip_bad=True)
    seen = {i for s in parts(task).values() for i in s.ids}
    assert seen == set(reviews.id) - {reviews.id[1]}
    assert f"1 of {len(bad)} rows left out" in task.note


def test_empty_cells_of_a_file(tmp_path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("text,topic\n" + "".join(f"t {k},{k % 2}\n" for k in range(12)) + ",1\nlast,\n", "utf-8")
    said(path, "2 of 14 rows cannot be used: row 13 has no text in 'text'; row 14 has nothing in 'topic'")


def test_tables_that_cannot_be_used(reviews, tmp_path) -> None:
    said(reviews.assign(topic="food"), "Every row has the label 'food'")
    said(reviews[:0], "has no rows")
    said(reviews, r"no column 'txt'; it has 'id', 'text', 'topic'(.|\n)*mean 'text'\?", text="txt")
    said(reviews, r"mean 'topic'\?", label="Topic")
    said(reviews, "no column 'zzzz'", group="zzzz")
    said(reviews, "Name one column of texts", text=("text", "text"))
    said(reviews, "Name one column of texts", label="text")
    said(pd.DataFrame([["a", "b", 1]], columns=["text", "text", "topic"]), "several columns 'text'")
    said({"text": []}, "source is a dict")
    said(tmp_path / "nowhere.csv", "There is no file")
    said(tmp_path, "There is no file")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    said(tmp_path / "t.xlsx", "no kind of table")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not")
    said(tmp_path / "t.parquet", "not a Parquet file")
    (tmp_path / "t.csv").write_text("", "utf-8")
    said(tmp_path / "t.csv", "empty")
    (tmp_path / "h.csv").write_text("text,topic\n", "utf-8")
    said(tmp_path / "h.csv", "has no rows")
    said(reviews.assign(id="same"), "Rows 1 and 2 are both called 'same'", id="id")
    few = pd.concat([reviews[:30].assign(topic="a"), reviews[30:32].assign(topic="b")])
    said(few, "'b' has 2 rows in 2 groups")
    said(reviews.assign(text="same words"), "rows in .* groups")
    said(reviews, "Ask for at most", train=99_999)


def test_rows_of_unequal_length(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,topic\nfine,1\nnot, so fine,0\n", "utf-8")
    said(path, "unequal length: Expected 2 fields in line 3, saw 3")


@pytest.mark.parametrize(
    ("encoding", "language", "guess"),
    [
        ("gb18030", "zh", "GB18030 or Big5|GB18030"),
        ("big5", "zh-Hant", "Big5"),
        ("shift_jis", "ja", "Shift_JIS"),
        ("euc-kr", "Korean", "EUC-KR"),
        ("cp1252", "French", "cp1252"),
        ("utf-16", "French", "UTF-16"),
    ],
)
def test_files_that_are_not_utf_8(tmp_path, encoding, language, guess) -> None:
    words = {
        "zh": "老师，您好",
        "zh-Hant": "老師您好",
        "ja": "先生こんにちは",
        "Korean": "안녕하세요",
        "French": "déjà vu",
    }
    path = tmp_path / "mine.csv"
    path.write_bytes(f"text,topic\nplain,1\n{words[language]},0\n".encode(encoding))
    with pytest.raises(BadInput, match=f"not UTF-8(.|\n)*probably ({guess})") as error:
        of(path, language=language)
    assert "UTF-8" in error.value.remedy
    if encoding != "utf-16":
        assert "line 3" in error.value.problem
    named = encoding_guesses(path.read_bytes(), language)[0]
    assert words[language] in path.read_bytes().decode(named)


def test_equal_texts_with_different_labels_are_told() -> None:
    table = pd.DataFrame({"text": [f"t {k}" for k in range(30)], "topic": [0, 1] * 15})
    assert "different labels" not in of(table).note
    torn = pd.concat([table, pd.DataFrame({"text": ["T 4", "t  7"], "topic": [1, 0]})], ignore_index=True)
    assert "2 texts occur with different labels" in of(torn).note


def test_the_encoder_reads_such_a_task(reviews) -> None:
    """From the table to features: the same as for the packaged task, long and odd texts included."""
    from course_lib import encoders

    table = reviews[:30].assign(topic=["a", "b"] * 15)
    table.loc[0, "text"] = "word " * 20_000
    task = of(table, id="id")
    encoder = encoders.english_bert()
    features = np.concatenate([encoder.encode(s, cache=False, progress=False) for s in parts(task).values()])
    ids = np.concatenate([s.ids for s in parts(task).values()])
    straight = encoder.encode(table.text.to_list(), cache=False, progress=False)
    row = {i: k for k, i in enumerate(table.id)}
    np.testing.assert_allclose(features, straight[[row[i] for i in ids]], atol=1e-5)
