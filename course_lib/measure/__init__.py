"""Did it work, and what did it cost: reports, comparisons, learning curves, facts."""

from __future__ import annotations

from course_lib.measure.report import Interval, Report, bootstrap, from_predictions, report

__all__ = ["Interval", "Report", "bootstrap", "from_predictions", "report"]
