"""How what was learnt is carried over: every method returns a `Classifier`.

Frameworks are imported by the method that needs them, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.methods.article import article_program, guide_fine_tune
    from course_lib.methods.cam import grad_cam
    from course_lib.methods.carried import carried_cnn, cnn_encoder, source_cnn
    from course_lib.methods.classifier import Classifier, FeatureClassifier
    from course_lib.methods.fine_tune_keras import FineTuned, fine_tune
    from course_lib.methods.fuse import interpolate, wise_ft, wise_ft_path
    from course_lib.methods.imbalance import resample, with_threshold
    from course_lib.methods.probe import LinearHead, fit_probe, linear_probe
    from course_lib.methods.pulled import pulled_head, pulled_probe
    from course_lib.methods.scratch import scratch_cnn
    from course_lib.methods.simple import knn, majority, nearest_mean
    from course_lib.methods.speed import machine

_HOME = {
    "Classifier": "classifier",
    "FeatureClassifier": "classifier",
    "FineTuned": "fine_tune_keras",
    "LinearHead": "probe",
    "article_program": "article",
    "carried_cnn": "carried",
    "cnn_encoder": "carried",
    "fine_tune": "fine_tune_keras",
    "fit_probe": "probe",
    "grad_cam": "cam",
    "guide_fine_tune": "article",
    "interpolate": "fuse",
    "knn": "simple",
    "linear_probe": "probe",
    "machine": "speed",
    "majority": "simple",
    "nearest_mean": "simple",
    "pulled_head": "pulled",
    "pulled_probe": "pulled",
    "resample": "imbalance",
    "scratch_cnn": "scratch",
    "source_cnn": "carried",
    "wise_ft": "fuse",
    "wise_ft_path": "fuse",
    "with_threshold": "imbalance",
}

__all__ = [
    "Classifier",
    "FeatureClassifier",
    "FineTuned",
    "LinearHead",
    "article_program",
    "carried_cnn",
    "cnn_encoder",
    "fine_tune",
    "fit_probe",
    "grad_cam",
    "guide_fine_tune",
    "interpolate",
    "knn",
    "linear_probe",
    "machine",
    "majority",
    "nearest_mean",
    "pulled_head",
    "pulled_probe",
    "resample",
    "scratch_cnn",
    "source_cnn",
    "wise_ft",
    "wise_ft_path",
    "with_threshold",
]


def __getattr__(name: str) -> Any:
    """Import a method when it is first asked for (PEP 562)."""
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
