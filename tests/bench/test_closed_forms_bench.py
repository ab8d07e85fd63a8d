"""The comparison of closed forms with skada's runs; its ratios are not asserted."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from course_lib.bench import closed_forms as bench
from course_lib.errors import BadInput

RIVALS = all(importlib.util.find_spec(name) for name in ("skada", "ot"))


@pytest.mark.skipif(not RIVALS, reason="the extra 'rivals' is not installed")
def test_runs_and_both_adapt() -> None:
    figures = bench.closed_forms(quick=True)
    assert [f.name for f in figures] == ["closed_forms"] * 6
    assert all(f.value > 0 and 0 < f.low <= f.ratio <= f.high for f in figures)
    assert all("not adapted" in f.note and "at least 1 ×" in f.goal for f in figures)
    plain = float(figures[0].note.split("not adapted ")[1].split("%")[0]) / 100
    moved = {f.what.split(" of ")[0].split(",")[0]: (f.accuracy, f.rival_accuracy) for f in figures}
    assert min(moved["CORAL"]) > plain + 0.05 and min(moved["own scales"]) > plain + 0.05


def test_the_made_up_domains_are_apart_and_of_one_rule() -> None:
    domains = bench.made_up(300, 20)
    head = domains.probe()
    assert domains.score(head, domains.test) < 0.9
    assert domains.source.shape == domains.test.shape == (300, 20)


def test_without_rivals_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "skada", None)
    with pytest.raises(BadInput, match=r"carryover\[rivals\]"):
        bench.closed_forms(quick=True)
