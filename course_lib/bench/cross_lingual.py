"""The tables of the literature: XNLI and PAWS-X in Chinese, with the published recipes. For a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

SEEDS = (0, 1, 2)
NETWORKS = ("bert-base-multilingual-cased", "xlm-roberta-base")
METHODS = ("zero-shot", "translate-train")
RECIPE: dict[str, Any] = {
    "init": "random",
    "freeze_to": None,
    "embeddings": "trained",
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 2e-5,
    "label_smoothing": 0.0,
    "cache_trunk": False,
    "precision": "bfloat16",
}
"""As in the papers that are compared with (Hu et al., 2020, "XTREME"): everything trained, no probe first."""


def settings(task: str) -> Iterator[dict[str, Any]]:
    """Yield settings of ``xnli_zero_shot`` and ``pawsx_zero_shot``: the network, the method, the seed."""
    for seed in SEEDS:
        for network in NETWORKS:
            for method in METHODS:
                yield {"task": task, "network": network, "method": method, "seed": seed}


def work(setting: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Fit one setting on a task's pairs in one language and test it in English and in Chinese.

    The epoch is chosen on validation pairs of the language that it was taught in, and on no other.

    Parameters
    ----------
    setting : dict
        One of `settings`.
    **changed : object
        Settings of `methods.fine_tune` other than `RECIPE`'s.
    """
    from course_lib import encoders, methods, tasks

    load = partial(tasks.load, setting["task"])
    taught = load(language="zh" if setting["method"] == "translate-train" else "en")
    encoder = encoders.multilingual_bert(setting["network"], pooling="cls")
    tuned = methods.fine_tune(encoder, taught, seed=setting["seed"], **{**RECIPE, **changed})
    scores = {}
    for language in ("en", "zh"):
        test = load(language=language).test
        scores[f"test_accuracy_{language}"] = float(np.mean(tuned.predict(test) == test.y))
    return {
        "validation_accuracy": max(epoch["validation_accuracy"] for epoch in tuned.history),
        **scores,
        "seconds": round(sum(tuned.seconds.values()), 1),
        "epoch": tuned.chosen["epoch"],
    }
