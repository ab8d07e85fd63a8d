"""Many runs: the same results whoever computes them; what is known is not run again."""

from __future__ import annotations

import json
import threading

import pytest

from course_lib import scale
from course_lib.errors import BadInput, CourseError
from course_lib.scale import sweeps

SETTINGS = [{"a": a, "b": b} for a in (1, 2, 3) for b in ("x", "y")]


def work(a, b):
    return {"product": b * a, "seeds": [a, a + 1]}


EXPECTED = [work(**setting) for setting in SETTINGS]


class Counting:
    def __init__(self, function=work, until=None):
        self.function, self.until, self.seen = function, until, []

    def __call__(self, **setting):
        if len(self.seen) == self.until:
            raise KeyboardInterrupt
        self.seen.append(setting)
        return self.function(**setting)


@pytest.mark.parametrize("scheduler", [None, "threads"])
def test_results_follow_the_settings(scheduler):
    assert scale.sweep(work, SETTINGS, scheduler=scheduler) == EXPECTED
    assert scale.sweep(work, SETTINGS[::-1], scheduler=scheduler) == EXPECTED[::-1]
    assert scale.sweep(work, [], scheduler=scheduler) == []


LAST = threading.Event()  # of the module: functions travel by name


def late(k):
    if k == 0:
        assert LAST.wait(60)
    if k == 2:
        LAST.set()
    return k


def test_order_does_not_depend_on_who_ends_first():
    settings = [{"k": k} for k in range(3)]
    assert scale.sweep(late, settings, scheduler="threads", workers=2) == [0, 1, 2]


def test_it_goes_on_where_it_was_interrupted(tmp_path):
    file, first, second = tmp_path / "deep" / "runs.jsonl", Counting(until=4), Counting()
    with pytest.raises(KeyboardInterrupt):
        scale.sweep(first, SETTINGS, file=file)
    assert scale.sweep(second, SETTINGS, file=file) == EXPECTED
    assert first.seen + second.seen == SETTINGS
    again = Counting()
    assert scale.sweep(again, [*SETTINGS, {"b": "z", "a": 1}], file=file) == [*EXPECTED, work(1, "z")]
    assert again.seen == [{"a": 1, "b": "z"}]
    lines = [json.loads(line) for line in file.read_text("utf8").splitlines()]
    assert len(lines) == len(SETTINGS) + 1


def test_every_cut_of_the_file_is_mended(tmp_path):
    file = tmp_path / "runs.jsonl"
    scale.sweep(work, SETTINGS[:2], file=file)
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        runs = Counting()
        assert scale.sweep(runs, SETTINGS[:2], file=file) == EXPECTED[:2]
        assert len(runs.seen) == 2 - whole[:size].count(b"\n")
        assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_the_same_setting_twice_is_run_once():
    runs = Counting()
    twice = [{"a": 1, "b": "x"}, {"b": "x", "a": 1}]
    assert scale.sweep(runs, twice) == [EXPECTED[0]] * 2
    assert len(runs.seen) == 1


def breaks(a, b):
    if a == 2:
        raise ZeroDivisionError("two")
    return work(a, b)


@pytest.mark.parametrize("scheduler", [None, "threads"])
def test_failures_are_told_when_all_others_are_kept(tmp_path, scheduler):
    file, runs = tmp_path / "runs.jsonl", Counting()
    with pytest.raises(CourseError, match=r"2 of 6 runs failed.*ZeroDivisionError: two"):
        scale.sweep(breaks, SETTINGS, file=file, scheduler=scheduler)
    assert scale.sweep(runs, SETTINGS, file=file) == EXPECTED
    assert [setting["a"] for setting in runs.seen] == [2, 2]


def test_what_is_no_json(tmp_path):
    with pytest.raises(BadInput, match="A setting is no JSON"):
        scale.sweep(work, [{"a": {1}, "b": "x"}])
    with pytest.raises(BadInput, match=r"result of .* is no JSON"):
        scale.sweep(lambda: {1}, [{}])
    file = tmp_path / "notes.txt"
    file.write_text("something else\n")
    with pytest.raises(BadInput, match=r"Line 1 of .* is no result"):
        scale.sweep(work, SETTINGS, file=file)
    assert file.read_text() == "something else\n"


def test_two_sweeps_into_one_file(tmp_path):
    file = tmp_path / "runs.jsonl"

    def meanwhile():
        return scale.sweep(work, SETTINGS, file=file)

    with pytest.raises(CourseError, match="Another sweep is writing"):
        try:
            scale.sweep(meanwhile, [{}], file=file)
        except CourseError as error:
            raise error.__cause__ from None


def test_keys_do_not_depend_on_the_order_of_names():
    assert sweeps._key({"a": 1, "b": 2}) == sweeps._key({"b": 2, "a": 1})
