"""Did it work, and what did it cost: reports, comparisons, learning curves, facts."""

from __future__ import annotations

from course_lib.measure.audit import Audit, AuditRow, audit
from course_lib.measure.clusters import Agreement, cluster_agreement
from course_lib.measure.compare import Comparison, ComparisonRow, compare, mean_score
from course_lib.measure.curve import Curve, LabelsSaved, Point, labels_saved, learning_curve
from course_lib.measure.facts import fact
from course_lib.measure.movement import Movement, MovementRow, movement
from course_lib.measure.report import Interval, Report, bootstrap, from_predictions, report
from course_lib.measure.similarity import Similarity, cka_matrix, linear_cka

__all__ = [
    "Agreement",
    "Audit",
    "AuditRow",
    "Comparison",
    "ComparisonRow",
    "Curve",
    "Interval",
    "LabelsSaved",
    "Movement",
    "MovementRow",
    "Point",
    "Report",
    "Similarity",
    "audit",
    "bootstrap",
    "cka_matrix",
    "cluster_agreement",
    "compare",
    "fact",
    "from_predictions",
    "labels_saved",
    "learning_curve",
    "linear_cka",
    "mean_score",
    "movement",
    "report",
]
