"""Did it work, and what did it cost: reports, comparisons, learning curves, facts."""

from __future__ import annotations

from course_lib.measure.audit import Audit, AuditRow, audit
from course_lib.measure.compare import Comparison, ComparisonRow, compare, mean_score
from course_lib.measure.curve import Curve, LabelsSaved, Point, labels_saved, learning_curve
from course_lib.measure.facts import fact
from course_lib.measure.report import Interval, Report, bootstrap, from_predictions, report

__all__ = [
    "Audit",
    "AuditRow",
    "Comparison",
    "ComparisonRow",
    "Curve",
    "Interval",
    "LabelsSaved",
    "Point",
    "Report",
    "audit",
    "bootstrap",
    "compare",
    "fact",
    "from_predictions",
    "labels_saved",
    "learning_curve",
    "mean_score",
    "report",
]
