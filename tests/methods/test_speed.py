"""The machine's speed: measured once, kept, measured again when asked or damaged."""

from __future__ import annotations

import pytest

from course_lib import methods
from course_lib.methods import speed


@pytest.fixture
def measured(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(speed, "CUTS", ("block10",))
    monkeypatch.setattr(speed, "_SIZES", (64, 96))
    return methods.machine()


def test_speeds_are_real_and_kept(measured, tmp_path, monkeypatch) -> None:
    assert measured.train["block10"](96) > measured.upper["block10"](96) > 0
    assert measured.trunk["block10"](96) > 0 and measured.build["block10"] > 0
    assert measured.probe > 0 and measured.bfloat16 > 0

    def never():
        raise AssertionError("measured again")

    monkeypatch.setattr(speed, "_measured", never)
    assert methods.machine() == measured
    with pytest.raises(AssertionError, match="measured again"):
        methods.machine(again=True)
    (note,) = tmp_path.glob("machine/*.json")
    note.write_text("{}")
    with pytest.raises(AssertionError, match="measured again"):
        methods.machine()
