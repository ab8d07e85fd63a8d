"""How what was learnt is carried over: every method returns a `Classifier`.

Frameworks are imported by the method that needs them, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.methods.adversarial import cdan, dann
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
    from course_lib.methods.distilling import distill
    from course_lib.methods.ensembles import Ensemble, ensemble
    from course_lib.methods.entropy import tent
    from course_lib.methods.fine_tune_keras import FineTuned
    from course_lib.methods.fine_tune_torch import TextFineTuned
    from course_lib.methods.fine_tuning import fine_tune
    from course_lib.methods.fuse import interpolate, wise_ft, wise_ft_path
    from course_lib.methods.imbalance import resample, with_threshold
    from course_lib.methods.looking import Look, look
    from course_lib.methods.low_rank import bitfit, lora
    from course_lib.methods.mlp import MLPHead, source_mlp
    from course_lib.methods.mmd_match import fit_mmd_matching, mmd_matching
    from course_lib.methods.pretrain import PretrainedText, continued_mlm, mlm_head
    from course_lib.methods.probe import LinearHead, fit_probe, linear_probe
    from course_lib.methods.pulled import pulled_head, pulled_probe
    from course_lib.methods.reading import Reading, read_sentence
    from course_lib.methods.renormalise import RenormalisedEncoder, adabn, adabn_probe
    from course_lib.methods.saved import load, save
    from course_lib.methods.scratch import scratch_cnn
    from course_lib.methods.self_trained import self_training
    from course_lib.methods.simple import knn, majority, nearest_mean
    from course_lib.methods.soft_targets import SoftTargets, softened
    from course_lib.methods.soups import greedy_soup, uniform_soup
    from course_lib.methods.source_free import shot
    from course_lib.methods.speed import machine
    from course_lib.methods.standardise import fit_standardisation, standardisation
    from course_lib.methods.subspace import fit_subspace_alignment, subspace_alignment
    from course_lib.methods.task_vectors import TaskVector, arithmetic, task_vector
    from course_lib.methods.taught import TaughtEncoder, distill_features
    from course_lib.methods.transport import SampleMap, fit_optimal_transport, optimal_transport
    from course_lib.methods.vocabulary import NewVocabulary, carried_over, new_vocabulary
    from course_lib.methods.weighting import importance_weighting

_HOME = {
    "AffineMap": "align",
    "AlignedEncoder": "align",
    "Classifier": "classifier",
    "Ensemble": "ensembles",
    "FeatureClassifier": "classifier",
    "FineTuned": "fine_tune_keras",
    "LinearHead": "probe",
    "Look": "looking",
    "MLPHead": "mlp",
    "NewVocabulary": "vocabulary",
    "PretrainedText": "pretrain",
    "Reading": "reading",
    "RenormalisedEncoder": "renormalise",
    "SampleMap": "transport",
    "SoftTargets": "soft_targets",
    "TaskVector": "task_vectors",
    "TaughtEncoder": "taught",
    "TextFineTuned": "fine_tune_torch",
    "adabn": "renormalise",
    "adabn_probe": "renormalise",
    "arithmetic": "task_vectors",
    "article_program": "article",
    "bitfit": "low_rank",
    "carried_cnn": "carried",
    "carried_over": "vocabulary",
    "cdan": "adversarial",
    "centring": "align",
    "cnn_encoder": "carried",
    "continued_mlm": "pretrain",
    "coral": "align",
    "dann": "adversarial",
    "distill": "distilling",
    "distill_features": "taught",
    "ensemble": "ensembles",
    "fine_tune": "fine_tuning",
    "fit_centring": "align",
    "fit_coral": "align",
    "fit_mmd_matching": "mmd_match",
    "fit_optimal_transport": "transport",
    "fit_probe": "probe",
    "fit_procrustes": "align",
    "fit_standardisation": "standardise",
    "fit_subspace_alignment": "subspace",
    "grad_cam": "cam",
    "greedy_soup": "soups",
    "guide_fine_tune": "article",
    "importance_weighting": "weighting",
    "interpolate": "fuse",
    "knn": "simple",
    "linear_probe": "probe",
    "load": "saved",
    "look": "looking",
    "lora": "low_rank",
    "machine": "speed",
    "majority": "simple",
    "mlm_head": "pretrain",
    "mmd_matching": "mmd_match",
    "nearest_mean": "simple",
    "new_vocabulary": "vocabulary",
    "optimal_transport": "transport",
    "procrustes": "align",
    "pulled_head": "pulled",
    "pulled_probe": "pulled",
    "read_sentence": "reading",
    "resample": "imbalance",
    "save": "saved",
    "scratch_cnn": "scratch",
    "self_training": "self_trained",
    "shot": "source_free",
    "softened": "soft_targets",
    "source_cnn": "carried",
    "source_mlp": "mlp",
    "standardisation": "standardise",
    "subspace_alignment": "subspace",
    "task_vector": "task_vectors",
    "tent": "entropy",
    "uniform_soup": "soups",
    "wise_ft": "fuse",
    "wise_ft_path": "fuse",
    "with_threshold": "imbalance",
}

__all__ = [
    "AffineMap",
    "AlignedEncoder",
    "Classifier",
    "Ensemble",
    "FeatureClassifier",
    "FineTuned",
    "LinearHead",
    "Look",
    "MLPHead",
    "NewVocabulary",
    "PretrainedText",
    "Reading",
    "RenormalisedEncoder",
    "SampleMap",
    "SoftTargets",
    "TaskVector",
    "TaughtEncoder",
    "TextFineTuned",
    "adabn",
    "adabn_probe",
    "arithmetic",
    "article_program",
    "bitfit",
    "carried_cnn",
    "carried_over",
    "cdan",
    "centring",
    "cnn_encoder",
    "continued_mlm",
    "coral",
    "dann",
    "distill",
    "distill_features",
    "ensemble",
    "fine_tune",
    "fit_centring",
    "fit_coral",
    "fit_mmd_matching",
    "fit_optimal_transport",
    "fit_probe",
    "fit_procrustes",
    "fit_standardisation",
    "fit_subspace_alignment",
    "grad_cam",
    "greedy_soup",
    "guide_fine_tune",
    "importance_weighting",
    "interpolate",
    "knn",
    "linear_probe",
    "load",
    "look",
    "lora",
    "machine",
    "majority",
    "mlm_head",
    "mmd_matching",
    "nearest_mean",
    "new_vocabulary",
    "optimal_transport",
    "procrustes",
    "pulled_head",
    "pulled_probe",
    "read_sentence",
    "resample",
    "save",
    "scratch_cnn",
    "self_training",
    "shot",
    "softened",
    "source_cnn",
    "source_mlp",
    "standardisation",
    "subspace_alignment",
    "task_vector",
    "tent",
    "uniform_soup",
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
