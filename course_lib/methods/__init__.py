"""How what was learnt is carried over: every method returns a `Classifier`.

Frameworks are imported by the method that needs them, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.methods.align import (
        AffineMap,
        AlignedEncoder,
        centring,
        coral,
        fit_centring,
        fit_coral,
        fit_procrustes,
        procrustes,
    )
    from course_lib.methods.article import article_program, guide_fine_tune
    from course_lib.methods.cam import grad_cam
    from course_lib.methods.carried import carried_cnn, cnn_encoder, source_cnn
    from course_lib.methods.classifier import Classifier, FeatureClassifier
    from course_lib.methods.fine_tune_keras import FineTuned
    from course_lib.methods.fine_tune_torch import TextFineTuned
    from course_lib.methods.fine_tuning import fine_tune
    from course_lib.methods.fuse import interpolate, wise_ft, wise_ft_path
    from course_lib.methods.imbalance import resample, with_threshold
    from course_lib.methods.low_rank import bitfit, lora
    from course_lib.methods.pretrain import PretrainedText, continued_mlm, mlm_head
    from course_lib.methods.probe import LinearHead, fit_probe, linear_probe
    from course_lib.methods.pulled import pulled_head, pulled_probe
    from course_lib.methods.saved import load, save
    from course_lib.methods.scratch import scratch_cnn
    from course_lib.methods.simple import knn, majority, nearest_mean
    from course_lib.methods.speed import machine
    from course_lib.methods.vocabulary import NewVocabulary, carried_over, new_vocabulary

_HOME = {
    "AffineMap": "align",
    "AlignedEncoder": "align",
    "Classifier": "classifier",
    "FeatureClassifier": "classifier",
    "FineTuned": "fine_tune_keras",
    "LinearHead": "probe",
    "NewVocabulary": "vocabulary",
    "PretrainedText": "pretrain",
    "TextFineTuned": "fine_tune_torch",
    "article_program": "article",
    "bitfit": "low_rank",
    "carried_cnn": "carried",
    "carried_over": "vocabulary",
    "centring": "align",
    "cnn_encoder": "carried",
    "continued_mlm": "pretrain",
    "coral": "align",
    "fine_tune": "fine_tuning",
    "fit_centring": "align",
    "fit_coral": "align",
    "fit_probe": "probe",
    "fit_procrustes": "align",
    "grad_cam": "cam",
    "guide_fine_tune": "article",
    "interpolate": "fuse",
    "knn": "simple",
    "linear_probe": "probe",
    "load": "saved",
    "lora": "low_rank",
    "machine": "speed",
    "majority": "simple",
    "mlm_head": "pretrain",
    "nearest_mean": "simple",
    "new_vocabulary": "vocabulary",
    "procrustes": "align",
    "pulled_head": "pulled",
    "pulled_probe": "pulled",
    "resample": "imbalance",
    "save": "saved",
    "scratch_cnn": "scratch",
    "source_cnn": "carried",
    "wise_ft": "fuse",
    "wise_ft_path": "fuse",
    "with_threshold": "imbalance",
}

__all__ = [
    "AffineMap",
    "AlignedEncoder",
    "Classifier",
    "FeatureClassifier",
    "FineTuned",
    "LinearHead",
    "NewVocabulary",
    "PretrainedText",
    "TextFineTuned",
    "article_program",
    "bitfit",
    "carried_cnn",
    "carried_over",
    "centring",
    "cnn_encoder",
    "continued_mlm",
    "coral",
    "fine_tune",
    "fit_centring",
    "fit_coral",
    "fit_probe",
    "fit_procrustes",
    "grad_cam",
    "guide_fine_tune",
    "interpolate",
    "knn",
    "linear_probe",
    "load",
    "lora",
    "machine",
    "majority",
    "mlm_head",
    "nearest_mean",
    "new_vocabulary",
    "procrustes",
    "pulled_head",
    "pulled_probe",
    "resample",
    "save",
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
