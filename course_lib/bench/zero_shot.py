"""The long run of notebook 09: taught in one language, read in two, seed by seed and epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from course_lib.encoders.text import E5_PREFIX
from course_lib.errors import AuditFailed

LANGUAGES = {"en": "English", "zh": "Chinese"}
SEEDS = (0, 1, 2)
EPOCHS = 3
TRAINS: dict[str, dict[str, Any]] = {
    "last layer": {},
    "all layers": {"freeze_to": "embeddings", "learning_rate": 5e-5},
    "upper half": {"freeze_to": 5, "learning_rate": 1e-4},
}
"""What is trained, and how. Of the rates 5e-5, 1e-4 and 3e-4, English validation liked these best."""


def settings() -> Iterator[dict[str, Any]]:
    """Yield what is trained, in which language, with or without the prefix, and the seed.

    Seeds come last, so that a run that is cut off has whole experiments of fewer seeds. The probe has one:
    its problem is convex, and all labels are used.
    """
    for seed in SEEDS:
        for trains, taught, prefix in (
            ("last layer", "en", E5_PREFIX),
            ("last layer", "en", ""),
            ("last layer", "zh", E5_PREFIX),
            ("upper half", "en", E5_PREFIX),
            ("all layers", "en", E5_PREFIX),
            ("all layers", "en", ""),
            ("all layers", "zh", E5_PREFIX),
        ):
            if trains != "last layer" or seed == 0:
                yield {"trains": trains, "taught": taught, "prefix": prefix, "seed": seed}


def work(setting: dict[str, Any]) -> dict[str, Any]:
    """Fit one setting on `topics` and return its scores in both languages.

    The epoch is chosen on validation sentences of the language that is taught. What is taught in English is
    trained once more, to the same weights, with the *Chinese test* in the place of validation, only to write
    down what somebody would see, and could choose by, who looked there.
    """
    from course_lib import encoders, measure, methods, tasks
    from course_lib.methods.body_torch import forget_bodies

    forget_bodies()
    by_language = {tag: tasks.topics(tag) for tag in LANGUAGES}
    task, seed = by_language[setting["taught"]], setting["seed"]
    encoder = encoders.multilingual_bert(prefix=setting["prefix"])
    fitted: Any = methods.linear_probe(encoder, task)
    found: dict[str, Any] = {}
    if setting["trains"] != "last layer":
        options = {"init": fitted, "epochs": EPOCHS, "seed": seed, **TRAINS[setting["trains"]]}
        fitted = methods.fine_tune(encoder, task, **options)
        found["epoch"] = fitted.chosen["epoch"]
        found["validation"] = _by_epoch(fitted)
        if setting["taught"] == "en":
            peeking = methods.fine_tune(encoder, task, validation=by_language["zh"].test, **options)
            _same_training(fitted, peeking)
            found["Chinese_test"] = _by_epoch(peeking)
    cooled = measure.calibrated(fitted, task.validation)
    for tag, name in LANGUAGES.items():
        test = by_language[tag].test
        found[name] = float(np.mean(fitted.predict(test) == test.y))
        for how, one in (("calibration error", fitted), ("calibration error at T", cooled)):
            p = one.predict_proba(test)
            found[f"{name}, {how}"] = measure.reliability(p, test.y, bins=10).ece.value
    found |= {"T": cooled.temperature, "seconds": sum(fitted.seconds.values())}
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in found.items()}


def _by_epoch(fit: Any) -> list[float]:
    """Return the accuracy after each epoch, of the sentences that the fit was judged by."""
    return [round(epoch["validation_accuracy"], 4) for epoch in fit.history]


def _same_training(one: Any, other: Any) -> None:
    """Raise unless two fits took the same steps: who judges must not change what is learnt."""
    losses = [[epoch["loss"] for epoch in fit.history] for fit in (one, other)]
    if losses[0] != losses[1]:
        raise AuditFailed(
            f"The same seed gave other losses: {losses[0]} and {losses[1]}.",
            "Something other than the seed steers training; look for it before believing either.",
        )
