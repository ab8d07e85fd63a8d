"""What the planner promised against what then happened."""

from __future__ import annotations

import time

import numpy as np

from course_lib.bench.figures import Figure
from course_lib.frameworks import quiet_tensorflow
from course_lib.tasks import first_available, load

SETTINGS = ((96, "block10", 3), (128, "block7", 2), (160, "block7", 1), (128, "block4", 1))
LABELS = 1000


def planner(quick: bool = False) -> list[Figure]:
    """Predict fine-tunings of several sizes and depths, run them, and compare the seconds."""
    quiet_tensorflow()
    from course_lib import encoders, measure, methods
    from course_lib.methods.body import forget_bodies

    task = load(first_available("cifar10", "solar_cells"))
    task = task.subset(min(40 if quick else LABELS, len(task.train)))
    machine = methods.machine(again=not quick)
    taken, promised = [], []
    for pixels, freeze_to, epochs in SETTINGS[:1] if quick else SETTINGS:
        plan = measure.predict(task, machine, pixels, freeze_to, epochs)
        forget_bodies()
        start = time.perf_counter()
        methods.fine_tune(encoders.imagenet(pixels), task, **plan.options)
        taken.append(time.perf_counter() - start)
        promised.append(plan.seconds)
    ratios = np.array(taken) / np.array(promised)
    off = np.abs(ratios - 1).max()
    forget_bodies()
    return [
        Figure(
            "planner",
            f"{len(ratios)} fine-tunings of {len(task.train):,} labels, seconds taken",
            sum(taken),
            "s",
            "the planner's prediction",
            float(np.median(ratios)),
            float(ratios.min()),
            float(ratios.max()),
            goal="each within 30%, 0.7 to 1.3 ×",
            note=(
                f"largest miss {off:.0%}; predicted {sum(promised):.0f} s in all, from one measurement before"
            ),
        )
    ]
