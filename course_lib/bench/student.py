"""A small student against its large teacher: how much quicker, and what of the accuracy is left.

Training takes long and is a long run (`long_runs`: ``cifar10_student`` and ``topics_student``); its
accuracies are read from ``results/``. What is measured here is speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np

from course_lib.bench.figures import Figure, alternate
from course_lib.errors import BadInput
from course_lib.measure.long_runs import LongRun, long_run
from course_lib.paths import cache_dir
from course_lib.tasks.task import Split, Task

GOAL = "at least 4 × the teacher's speed, at least 95% of its accuracy"
TEMPERATURE, WEIGHT = 4.0, 0.9
LABELS, UNLABELLED, TEST = 2000, 2000, 2000
"""Pictures of `cifar10_student`: the machine was shared, so these are few."""

TEACHER_PIXELS = 128
PICTURE_STUDENTS: dict[str, tuple[int, str]] = {
    "64 px, to block14": (64, "block14"),
    "64 px, to block10": (64, "block10"),
}
SENTENCE_STUDENTS: dict[str, tuple[int, ...]] = {
    "layers 0, 1, 2": (0, 1, 2),
    "layers 0, 4, 8": (0, 4, 8),
}
LABELS_ALONE, TEACHER, MORE = "labels", "teacher", "teacher, unlabelled too"
TAUGHT = {"cifar10": (MORE, LABELS_ALONE, TEACHER), "topics": (TEACHER, LABELS_ALONE)}
SEEDS = {"cifar10": (0, 1), "topics": (0, 1)}


def student(quick: bool = False) -> list[Figure]:
    """Compare the speed of the students that the long runs' validation chose with that of their teachers."""
    from course_lib import tasks

    pictures = tasks.load(tasks.first_available("cifar10", "solar_cells"))
    sentences = tasks.topics("en")
    return [
        _figure("cifar10", "pictures", "images/s", pictures.test, PICTURE_STUDENTS, picture_encoder, quick),
        _figure(
            "topics", "sentences", "sentences/s", sentences.test, SENTENCE_STUDENTS, sentence_encoder, quick
        ),
    ]


def _figure(
    run: str,
    what: str,
    unit: str,
    examples: Split,
    students: dict[str, Any],
    encoder_of: Callable[[str | None], Any],
    quick: bool,
) -> Figure:
    told = kept(f"{run}_student", list(students))
    small, large = encoder_of(told.get("student", next(iter(students)))), encoder_of(None)
    x = examples.x[: 32 if quick else 576]  # whole batches at 64 and at 128 px: none is filled up for nothing
    ours, rival = (partial(e.encode, x, cache=False, progress=False) for e in (small, large))
    ours(), rival()  # the first calls read weights and compile
    pairs = alternate(ours, rival, 2 if quick else 7)
    return Figure(
        "student",
        f"a student of {what}: {small.name}, {getattr(small, 'pixels', '')} px".removesuffix(",  px"),
        len(x) / float(np.median(pairs.ours)),
        unit,
        f"its teacher, {large.name}",
        *pairs.times_faster,
        accuracy=told.get("accuracy"),
        rival_accuracy=told.get("teacher's accuracy"),
        goal=GOAL,
        note=told["note"],
    )


def kept(name: str, students: Sequence[str]) -> dict[str, Any]:
    """Return what a long run says: the student that validation chose, accuracies, and a note in words.

    Parameters
    ----------
    name : str
        ``"cifar10_student"`` or ``"topics_student"``.
    students : sequence of str

    Returns
    -------
    dict
        ``"student"``, ``"accuracy"``, ``"teacher's accuracy"``, ``"note"``; the note alone where nobody has
        run it.
    """
    run = _run_of(name)
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for figure in run.figures if run else ():
        setting = figure["setting"]
        by.setdefault((setting["who"], setting["taught"]), []).append(dict(figure))
    tried = {key: found for key, found in by.items() if key[0] in students}
    # chosen on validation, among students that learnt from a teacher
    taught = {key: found for key, found in tried.items() if key[1] != LABELS_ALONE}
    if not taught:
        return {"note": f"accuracies: run `python -m course_lib.bench.long_runs {name}` first"}
    who, how = max(taught, key=lambda key: _mean(taught[key], "validation_accuracy"))
    found, control = taught[who, how], tried.get((who, LABELS_ALONE), [])
    seeds = {figure["setting"]["seed"] for figure in found}  # a run that goes on may lack some yet
    teacher = [figure for figure in by["teacher", LABELS_ALONE] if figure["setting"]["seed"] in seeds]
    score, goal = _mean(found, "test_accuracy"), _mean(teacher, "test_accuracy")
    told = (
        f"accuracies from the long run {name} ({len(found)} seed{'s' * (len(found) != 1)}); it "
        f"keeps {score / goal:.1%} of its teacher's accuracy; taught by {how}"
    )
    if control:
        told += f"; the same student on labels alone: {_mean(control, 'test_accuracy'):.1%}"
    return {"student": who, "accuracy": score, "teacher's accuracy": goal, "note": told}


def _run_of(name: str) -> LongRun | None:
    """Return a long run, or None where nobody has made it."""
    try:
        return long_run(name)
    except BadInput:
        return None


def _mean(figures: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([figure[name] for figure in figures]))


# -- the students --------------------


def picture_encoder(who: str | None) -> Any:
    """Return the encoder of a student of pictures, or of the teacher."""
    from course_lib import encoders

    if who is None:
        return encoders.imagenet(TEACHER_PIXELS)
    pixels, block = PICTURE_STUDENTS[who]
    return encoders.shortened(encoders.imagenet(pixels), block)


def sentence_encoder(who: str | None) -> Any:
    """Return the encoder of a student of sentences, or of the teacher.

    A student goes without the prefix, three tokens that its network saw before every text in pre-training.
    """
    from course_lib import encoders

    if who is None:
        return encoders.multilingual_bert()
    return encoders.shortened(encoders.multilingual_bert(prefix=""), SENTENCE_STUDENTS[who])


# -- the long runs --------------------


def settings(run: str) -> Iterator[dict[str, Any]]:
    """Yield the teacher and then its students, seed by seed; with the first student everything is tried.

    Parameters
    ----------
    run : {"cifar10", "topics"}
    """
    students = list(PICTURE_STUDENTS if run == "cifar10" else SENTENCE_STUDENTS)
    for seed in SEEDS[run]:
        yield {"who": "teacher", "taught": LABELS_ALONE, "seed": seed}
        for taught in TAUGHT[run]:
            yield {"who": students[0], "taught": taught, "seed": seed}
        yield {"who": students[1], "taught": TEACHER, "seed": seed}


def work(run: str, setting: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Fit one setting and return its accuracy on validation and test.

    The teacher is asked once; its answers lie in the cache, where each student finds them.

    Parameters
    ----------
    run : {"cifar10", "topics"}
    setting : dict
        One of `settings`.
    **changed : object
        Settings of `methods.fine_tune` other than those of the run.
    """
    from course_lib import methods
    from course_lib.methods.body import forget_bodies

    seed, who, taught = setting["seed"], setting["who"], setting["taught"]
    task, extra = _examples(run, seed)
    said = _answers(run, task, extra, seed, changed)
    if who == "teacher":
        return {
            "validation_accuracy": _right(said["validation"], task.validation),
            "test_accuracy": _right(said["test"], task.test),
            "seconds": round(float(said["seconds"]), 1),
        }
    forget_bodies()
    encoder = picture_encoder(who) if run == "cifar10" else sentence_encoder(who)
    more = taught == MORE
    fit: Any = methods.distill(
        np.concatenate([said["train"], said["extra"]]) if more else said["train"],
        encoder,
        task,
        extra=extra if more else None,
        temperature=TEMPERATURE,
        weight=0.0 if taught == LABELS_ALONE else WEIGHT,
        **{**_recipe(run), **changed, "seed": seed},
    )
    return {
        "validation_accuracy": max(epoch["validation_accuracy"] for epoch in fit.history),
        "test_accuracy": float(np.mean(fit.predict(task.test) == task.test.y)),
        "seconds": round(sum(fit.seconds.values()), 1),
        "epoch": fit.chosen["epoch"],
    }


def _recipe(run: str) -> dict[str, Any]:
    """Return how a student is trained, chosen on validation of the first seed.

    Half the pixels make other edges: with the lowest blocks trained too, a student of pictures came out at
    80% where it reached 76% frozen up to block 4.
    """
    if run == "cifar10":
        return {"freeze_to": "block1", "depth_decay": 0.95, "epochs": 10}
    return {"freeze_to": "embeddings", "epochs": 6, "learning_rate": 3e-4}


def _teacher_recipe(run: str) -> dict[str, Any]:
    if run == "cifar10":
        return {"freeze_to": "block7", "epochs": 4, "learning_rate": 5e-4, "depth_decay": 0.9}
    return {"freeze_to": 5, "epochs": 3, "learning_rate": 1e-4}


def _examples(run: str, seed: int) -> tuple[Task, Split]:
    """Return the task and further examples whose labels nobody reads."""
    from dataclasses import replace

    from course_lib import tasks

    if run == "topics":
        task = tasks.topics("en")
        return task, task.train.take(np.arange(0))
    task = tasks.cifar10(train=LABELS, seed=seed)
    wide = tasks.cifar10(train=LABELS + UNLABELLED, seed=seed).train  # nested: the labelled are among them
    extra = wide.take(~np.isin(wide.ids, task.train.ids))
    return replace(task, test=task.test.sample(TEST)), extra


def _answers(run: str, task: Task, extra: Split, seed: int, changed: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the teacher's probabilities of all splits, from the cache where it was asked before."""
    from course_lib import methods

    recipe = {**_teacher_recipe(run), **changed, "seed": seed}
    encoder = picture_encoder(None) if run == "cifar10" else sentence_encoder(None)
    key = "-".join([run, encoder.key, *(f"{name}={value}" for name, value in sorted(recipe.items()))])
    path = cache_dir("teachers", f"{key}-{len(task.train)}-{len(extra)}-{len(task.test)}.npz")
    if path.exists():
        with np.load(path) as file:
            return dict(file)
    tuned: Any = methods.fine_tune(encoder, task, **recipe)
    splits = {"train": task.train, "validation": task.validation, "test": task.test, "extra": extra}
    found: dict[str, Any] = {
        name: tuned.predict_proba(split) if len(split) else np.empty((0, task.classes), np.float32)
        for name, split in splits.items()
    }
    found["seconds"] = np.array(sum(tuned.seconds.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid4().hex[:8]}.npz")
    np.savez(part, **found)
    part.replace(path)
    return found


def _right(probabilities: np.ndarray, split: Split) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == split.y))
