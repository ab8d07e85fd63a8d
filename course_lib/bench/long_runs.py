"""Experiments too long for a notebook; their results lie in ``results/`` and are drawn beside the short ones.

``python -m course_lib.bench.long_runs cifar10_fine_tuning`` writes ``results/cifar10_fine_tuning.json``. A
run that is interrupted goes on where it was: every line is written as soon as it is known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.bench import adaptation, cross_lingual, student, zero_shot
from course_lib.bench.figures import machine
from course_lib.errors import BadInput

FOLDER = Path("results")
SEEDS = (0, 1)
LABELS = 5000
TEST = 4000


def _depths_and_sizes() -> Iterator[dict[str, Any]]:
    """Yield settings of `cifar10_fine_tuning`: depth at 128 px, then image size at one depth."""
    depths = ("head", "block13", "block10", "block7", "block4", None)
    for seed in SEEDS:
        for depth in depths:
            yield {"pixels": 128, "freeze_to": depth, "seed": seed}
        for pixels in (96, 160):
            yield {"pixels": pixels, "freeze_to": "block7", "seed": seed}
        yield {"pixels": 160, "freeze_to": "block4", "seed": seed}
        yield {"pixels": 128, "freeze_to": "block7", "init": "random", "seed": seed}


def _one_fine_tuning(setting: dict[str, Any]) -> dict[str, Any]:
    """Fit one setting on CIFAR-10 and return what came of it."""
    from course_lib import encoders, methods, tasks
    from course_lib.methods.body import forget_bodies

    forget_bodies()
    task = tasks.cifar10(train=LABELS, seed=setting["seed"])
    test = task.test.sample(TEST)
    options = {name: value for name, value in setting.items() if name != "pixels"}
    tuned = methods.fine_tune(
        encoders.imagenet(setting["pixels"]), task, epochs=4, learning_rate=5e-4, depth_decay=0.9, **options
    )
    return {
        "validation_accuracy": max(h["validation_accuracy"] for h in tuned.history),
        "test_accuracy": float(np.mean(tuned.predict(test) == test.y)),
        "seconds": round(sum(tuned.seconds.values()), 1),
        "epoch": tuned.chosen["epoch"],
        "parameters_trained": tuned.parameters_trained,
    }


RUNS: dict[str, tuple[str, Callable[[], Iterator[dict[str, Any]]], Callable[..., dict[str, Any]]]] = {
    "cifar10_fine_tuning": (
        f"Fine-tuning on {LABELS:,} CIFAR-10 labels, four epochs: how deep, at what size; {TEST:,} test "
        "pictures, each seed with labels of its own",
        _depths_and_sizes,
        _one_fine_tuning,
    ),
    "topics_zero_shot": (
        f"16 topics taught in one language and read in two: all labels, {zero_shot.EPOCHS} epochs, the "
        "multilingual BERT of the course with and without its prefix",
        zero_shot.settings,
        zero_shot.work,
    ),
    "topics_adaptation": (
        "16 topics taught in English: every way to Chinese, what it reaches, what is left of English, and "
        "what it needs",
        adaptation.settings,
        adaptation.work,
    ),
    **{
        f"{run}_student": (what, partial(student.settings, run), partial(student.work, run))
        for run, what in (
            (
                "cifar10",
                f"A teacher of {student.TEACHER_PIXELS} px and students of 64: {student.LABELS:,} labels of "
                f"CIFAR-10, {student.UNLABELLED:,} pictures without, {student.TEST:,} test pictures; each "
                "seed with labels of its own",
            ),
            (
                "topics",
                "16 topics in English: the multilingual BERT as teacher, 3 of its 12 layers as students",
            ),
        )
    },
    **{
        f"{task}_zero_shot": (
            f"{name}, all pairs, three epochs: taught in English or in translated Chinese, tested in both",
            partial(cross_lingual.settings, task),
            cross_lingual.work,
        )
        for task, name in (("xnli", "XNLI"), ("pawsx", "PAWS-X"))
    },
}


def main(name: str, folder: Path = FOLDER) -> Path:
    """Run an experiment, or the rest of it, and return its file.

    Parameters
    ----------
    name : str
        A key of `RUNS`.
    folder : pathlib.Path

    Raises
    ------
    BadInput
        For a name that is not there.
    """
    if name not in RUNS:
        raise BadInput(f"There is no long run {name!r}.", f"Choose among {', '.join(RUNS)}.")
    what, settings, work = RUNS[name]
    path = folder / f"{name}.json"
    content: dict[str, Any] = {
        "what": what,
        "command": f"python -m course_lib.bench.long_runs {name}",
        "hardware": "",
        **machine(),
        "note": "",
        "figures": [],
    }
    if path.exists():
        before = json.loads(path.read_text("utf8"))
        content |= {name: before.get(name, content[name]) for name in ("note", "figures")}
    content["hardware"] = f"{content['cores']} cores, {content['system']} {content['machine']}, no GPU"
    known = [figure["setting"] for figure in content["figures"]]
    folder.mkdir(exist_ok=True)
    for setting in settings():
        if setting in known:
            continue
        content["figures"].append({"setting": setting, **work(setting)})
        content["date"] = datetime.now(UTC).date().isoformat()
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf8")
        print(content["figures"][-1], flush=True)
    return path


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
