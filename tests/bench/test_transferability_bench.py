"""The comparison of transferability scores with a probe runs; its ratio is not asserted."""

from __future__ import annotations

from course_lib.bench.figures import report_lines
from course_lib.bench.transferability import transferability


def test_runs_and_says_what_is_counted(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    (figure,) = transferability(quick=True)
    assert figure.value > 0 and 0 < figure.low <= figure.ratio <= figure.high
    assert "Not counted" in figure.note and "under 5%" in figure.goal
    assert "×" in report_lines([figure])[0][2]
