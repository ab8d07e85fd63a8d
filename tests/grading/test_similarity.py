"""Copies are found, what is alike by nature is not, and no code breaks it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time

import pytest

from course_lib.errors import BadInput
from course_lib.grading.similarity import Pair, fingerprints, similar, tokens, write_pairs

LONG = '''
def csls(queries, targets, k):
    """Return the CSLS value of every query and every target."""
    x = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    y = targets / np.linalg.norm(targets, axis=1, keepdims=True)
    cosine = x @ y.T
    near_x = np.sort(cosine, axis=1)[:, -k:].mean(axis=1)  # of each query
    near_y = np.sort(cosine, axis=0)[-k:].mean(axis=0)
    return 2 * cosine - near_x[:, None] - near_y
'''
COPY = """
def csls(q, t, k):
    # my own work
    a = q/np.linalg.norm(q,axis=1,keepdims=True); b = t/np.linalg.norm(t,axis=1,keepdims=True)
    s = (a
         @ b.T)
    r = np.sort(s, axis=1)[:, -k:].mean(axis=1)
    c = np.sort(s, axis=0)[-k:].mean(axis=0)
    "a string that does nothing"
    return 2*s - r[:, None] - c
"""
OTHER = """
def csls(queries, targets, k):
    def unit(rows):
        return rows / (rows ** 2).sum(1)[:, None] ** 0.5
    similarity = unit(queries).dot(unit(targets).transpose())
    k_q, k_t = min(k, similarity.shape[1]), min(k, similarity.shape[0])
    top = np.partition(similarity, -k_q, axis=1)[:, -k_q:]
    left = np.partition(similarity, -k_t, axis=0)[-k_t:, :]
    penalty = np.add.outer(top.mean(1), left.mean(0))
    return similarity * 2 - penalty
"""
SHORT = "def share(x, n):\n    return x / n if n else 0.0\n"
HOSTILE = [
    "(" * 100_000, "[" * 100_000 + "]" * 100_000, "x = '" + "a" * 10_000_000 + "'", "9" * 1_000_000,
    "x\x00=\x00" * 9999, "'''" * 9999, '\\"""' * 9999, '"\\' * 50_000, "\\" * 50_000, "\ud800 = 1\n" * 999,
    "".join(f"{' ' * k}if 1:\n" for k in range(400)), "-" * 50_000, "1e" * 50_000, "rb" * 50_000, "", "\n\n",
    "def f(:\n  retrun", "x.y" * 40_000, "\u202e字" * 9999,
]  # fmt: skip


def found(**answers):
    return [
        (pair.one, pair.other) for pair in similar({who: {"08.3": code} for who, code in answers.items()})
    ]


def test_a_copy_with_other_names_and_layout_is_found():
    (pair,) = similar({who: {"08.3": c} for who, c in (("Ada", LONG), ("Bo", COPY), ("Cy", OTHER))})
    assert (pair.exercise, pair.one, pair.other) == ("08.3", "Ada", "Bo")
    assert pair.contained > 0.8
    assert not pair.same


def test_an_honest_answer_is_not():
    assert found(Ada=LONG, Cy=OTHER) == []


def test_a_padded_copy_is_found_by_what_it_contains():
    (pair,) = similar({"Ada": {"08.3": LONG}, "Bo": {"08.3": OTHER + LONG}})
    assert pair.contained > 0.9 > pair.jaccard


def test_a_copy_that_does_not_parse_is_found():
    assert found(Ada=LONG, Bo=COPY.replace("return 2*s", "return ((2*s")) == [("Ada", "Bo")]


def test_short_answers_are_alike_by_nature():
    assert found(Ada=SHORT, Bo=SHORT) == []


def test_stub_and_solution_do_not_count():
    answers = {"Ada": {"08.3": LONG}, "Bo": {"08.3": COPY}}
    assert similar(answers, known={"08.3": [LONG]}) == []
    assert len(similar(answers, known={"08.3": ["def csls(queries, targets, k):\n    pass"]})) == 1
    assert len(similar(answers, known={"08.1": [LONG]})) == 1


def test_what_most_of_a_class_has_in_common_does_not_count():
    everybody = {f"s{k:02}": {"08.3": LONG} for k in range(20)}
    assert similar(everybody) == []
    few = {f"s{k:02}": {"08.3": LONG if k < 3 else f"x = {k}"} for k in range(20)}
    assert len(similar(few)) == 3


def test_exercises_are_compared_with_themselves_only():
    assert similar({"Ada": {"08.3": LONG}, "Bo": {"08.4": LONG}}) == []


def test_the_same_letter_by_letter_is_told():
    (pair,) = similar({"Ada": {"08.3": LONG}, "Bo": {"08.3": LONG}})
    assert pair.same
    assert pair.contained == pair.jaccard == 1.0


def test_the_threshold_is_kept():
    answers = {"Ada": {"08.3": LONG}, "Bo": {"08.3": LONG[: len(LONG) // 2] + OTHER}}
    assert similar(answers, threshold=0.95) == []
    assert len(similar(answers, threshold=0.3)) == 1
    for wrong in ({"threshold": 0.0}, {"threshold": 1.5}, {"shortest": 0}):
        with pytest.raises(BadInput):
            similar(answers, **wrong)


def test_tokens():
    assert tokens('"""Doc."""\nx = "s"  # c\n') == ["N", "=", "S"]
    assert tokens("x = [\n 'a',\n 'b'\n]") == ["N", "=", "[", "S", ",", "S", "]"]
    assert tokens("for i in range(1_000):\n  a.b += 1e-6j") == [
        "for", "N", "in", "range", "(", "0", ")", ":", "N", ".", "b", "+=", "0",
    ]  # fmt: skip
    assert tokens("f'{x}' rb'''\n''' \"\\\"\"") == ["S", "S", "S"]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_no_code_breaks_it_or_takes_long(place):
    start = time.monotonic()
    similar({"Ada": {"08.3": HOSTILE[place]}, "Bo": {"08.3": HOSTILE[place] + "\nx"}, "Cy": {"08.3": LONG}})
    assert time.monotonic() - start < 5


def test_fingerprints_are_the_same_in_every_process():
    code = (
        "from course_lib.grading.similarity import fingerprints\n"
        "print(sorted(fingerprints('a = b.c(1) + d[2:3]')))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert told == {f"{sorted(fingerprints('a = b.c(1) + d[2:3]'))}\n"}


def test_a_large_class_takes_seconds():
    made = {
        f"s{k:04}": {
            f"08.{n}": LONG.replace("mean", f"m{k % 40}").replace("sort", f"s{k % 7}") for n in range(4)
        }
        for k in range(1000)
    }
    start = time.monotonic()
    similar(made)
    assert time.monotonic() - start < 60


def test_the_order_of_students_changes_nothing(tmp_path):
    answers = {"Bo": {"08.3": COPY}, "Ada": {"08.3": LONG}, "Cy": {"08.3": LONG}}
    pairs = similar(answers)
    assert pairs == similar(dict(reversed(answers.items())))
    write_pairs([*pairs, Pair("08.3", "=1+1", "\t@x", 1.0, 1.0, 20)], tmp_path / "pairs.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "pairs.csv").read_text(encoding="utf-8-sig"))))
    assert len(rows) == len(pairs) + 2
    assert rows[-1][1:3] == ["'=1+1", "'@x"]
