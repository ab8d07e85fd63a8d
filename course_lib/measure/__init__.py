"""Did it work, and what did it cost: reports, comparisons, learning curves, facts."""

from __future__ import annotations

from course_lib.measure.audit import Audit, AuditRow, audit
from course_lib.measure.budget import Machine, Plan, Rate, plan, predict
from course_lib.measure.calibration import (
    Reliability,
    Scaled,
    at_temperature,
    calibrated,
    expected_calibration_error,
    reliability,
    temperature,
)
from course_lib.measure.clusters import Agreement, cluster_agreement
from course_lib.measure.compare import Comparison, ComparisonRow, compare, mean_score
from course_lib.measure.curve import Curve, LabelsSaved, Point, labels_saved, learning_curve
from course_lib.measure.density_ratio import DensityRatio, density_ratio
from course_lib.measure.diagnosis import ClassMovement, Diagnosis, Evidence, diagnosis
from course_lib.measure.distance import (
    MMD,
    ProxyADistance,
    TargetBound,
    mmd,
    proxy_a_distance,
    target_error_bound,
)
from course_lib.measure.facts import fact
from course_lib.measure.label_shift import LabelShift, label_shift, to_shares
from course_lib.measure.long_runs import LongRun, long_run
from course_lib.measure.movement import Movement, MovementRow, movement
from course_lib.measure.neighbourhood import Nearest, Neighbourhood, neighbourhood
from course_lib.measure.ranking import Correlation, RankCorrelation, rank_correlation
from course_lib.measure.report import Interval, Report, bootstrap, from_predictions, report
from course_lib.measure.retrieval import (
    BothWays,
    Hubness,
    Retrieval,
    hubness,
    retrieval,
    retrieval_both_ways,
    similarities,
)
from course_lib.measure.select import Selected, Selection, select, soft_neighbourhood_density
from course_lib.measure.shift import Shift, shift
from course_lib.measure.similarity import Similarity, cka_matrix, linear_cka
from course_lib.measure.stated import Stated, stated
from course_lib.measure.tokens import Tokenization, Tokenizations, tokenization, tokenizations
from course_lib.measure.transferability import Transferability, h_score, leep, log_me, nce, transferability
from course_lib.measure.uniformity import Uniformity, alignment_and_uniformity
from course_lib.measure.verdict import Control, Verdict, trial, verdict

__all__ = [
    "MMD",
    "Agreement",
    "Audit",
    "AuditRow",
    "BothWays",
    "ClassMovement",
    "Comparison",
    "ComparisonRow",
    "Control",
    "Correlation",
    "Curve",
    "DensityRatio",
    "Diagnosis",
    "Evidence",
    "Hubness",
    "Interval",
    "LabelShift",
    "LabelsSaved",
    "LongRun",
    "Machine",
    "Movement",
    "MovementRow",
    "Nearest",
    "Neighbourhood",
    "Plan",
    "Point",
    "ProxyADistance",
    "RankCorrelation",
    "Rate",
    "Reliability",
    "Report",
    "Retrieval",
    "Scaled",
    "Selected",
    "Selection",
    "Shift",
    "Similarity",
    "Stated",
    "TargetBound",
    "Tokenization",
    "Tokenizations",
    "Transferability",
    "Uniformity",
    "Verdict",
    "alignment_and_uniformity",
    "at_temperature",
    "audit",
    "bootstrap",
    "calibrated",
    "cka_matrix",
    "cluster_agreement",
    "compare",
    "density_ratio",
    "diagnosis",
    "expected_calibration_error",
    "fact",
    "from_predictions",
    "h_score",
    "hubness",
    "label_shift",
    "labels_saved",
    "learning_curve",
    "leep",
    "linear_cka",
    "log_me",
    "long_run",
    "mean_score",
    "mmd",
    "movement",
    "nce",
    "neighbourhood",
    "plan",
    "predict",
    "proxy_a_distance",
    "rank_correlation",
    "reliability",
    "report",
    "retrieval",
    "retrieval_both_ways",
    "select",
    "shift",
    "similarities",
    "soft_neighbourhood_density",
    "stated",
    "target_error_bound",
    "temperature",
    "to_shares",
    "tokenization",
    "tokenizations",
    "transferability",
    "trial",
    "verdict",
]
