"""Transferability scores against what they spare: a probe with its search for the strength."""

from __future__ import annotations

from functools import partial

import numpy as np

from course_lib.bench.figures import Figure, alternate
from course_lib.tasks import first_available, load

PIXELS = 96
LABELS = 5000


def transferability(quick: bool = False) -> list[Figure]:
    """Compare all four scores on real features with one probe on the same ones, search included."""
    from course_lib import encoders, measure, methods

    task = load(first_available("cifar10", "solar_cells"))
    task = task.subset(min(200 if quick else LABELS, len(task.train)))
    encoder = encoders.imagenet(PIXELS)
    x, x_val = (encoder.encode(split) for split in (task.train, task.validation))
    said = encoder.source_probabilities(task.train)
    y, y_val = task.train.y, task.validation.y

    ours = partial(measure.transferability, x, y, source_probabilities=said)
    rival = partial(methods.fit_probe, x, y, x_val, y_val, classes=task.classes)
    scores, fit = ours(), rival()  # the first calls load libraries
    pairs = alternate(ours, rival, 2 if quick else 7)
    share = 100 * np.asarray(pairs.ours) / np.asarray(pairs.rival)
    return [
        Figure(
            "transferability",
            f"four transferability scores of {len(x):,} × {x.shape[1]:,} features",
            1000 * float(np.median(pairs.ours)),
            "ms",
            "one probe with its search",
            *pairs.times_faster,
            goal="under 5% of a probe's time, 20 ×",
            note=(
                f"{np.median(share):.1f}% [{share.min():.1f}, {share.max():.1f}] of the probe's time, about "
                f"half of it for the Gram matrix, at the processor's full speed. Counted on both sides: "
                f"everything from features to result. Not counted: the features, and the source "
                f"probabilities, which come out of the network with them. The probe tried {len(fit.path)} "
                f"strengths on {len(x_val):,} validation examples. LEEP {scores.leep:.3f}, "
                f"NCE {scores.nce:.3f}, LogME {scores.log_me:.4f}, H-score {scores.h_score:.3f}"
            ),
        )
    ]
