"""Teacher and student: a small network learns from what a large one says, not only from labels."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import Any, overload

import numpy as np

from course_lib.callers import stack_level
from course_lib.encoders.images import ImageEncoder
from course_lib.encoders.text import TextEncoder, checked_sentences
from course_lib.errors import BadInput
from course_lib.methods.align import need_partners
from course_lib.methods.classifier import Classifier, Data, as_examples
from course_lib.methods.fine_tune_keras import FineTuned
from course_lib.methods.fine_tune_torch import TextFineTuned
from course_lib.methods.fine_tuning import fine_tune
from course_lib.methods.probe import linear_probe
from course_lib.methods.soft_targets import SoftTargets, checked_probabilities
from course_lib.methods.tuned import Tuned
from course_lib.tasks.task import Split, Task

Teacher = Classifier | np.ndarray
"""Who is asked: a fitted classifier, or what it said, probabilities ``(n, k)``."""

_SAME = 1e-6  # no probability differs by more from one example to another


@overload
def distill(teacher: Teacher, student_encoder: ImageEncoder, task: Task, **settings: Any) -> FineTuned: ...


@overload
def distill(teacher: Teacher, student_encoder: TextEncoder, task: Task, **settings: Any) -> TextFineTuned: ...


def distill(
    teacher: Teacher,
    student_encoder: ImageEncoder | TextEncoder,
    task: Task,
    *,
    extra: Data | None = None,
    teacher_reads: Data | None = None,
    temperature: float = 2.0,
    weight: float = 0.5,
    name: str = "student",
    **settings: Any,
) -> FineTuned | TextFineTuned:
    r"""Fine-tune a small network on what a teacher says of the examples, at a temperature, and on the labels.

    .. math:: L = (1 - w)\, \mathrm{CE}(y, \mathrm{softmax}(z))
                  + w\, T^2\, \mathrm{CE}\bigl(\mathrm{softmax}(t / T), \mathrm{softmax}(z / T)\bigr)

    with the student's logits z and the teacher's t (Hinton, Vinyals & Dean, 2015). A label says which class
    is right; the teacher also says which of the wrong ones are nearly right, and the more so the higher T. As
    T grows, the gradient of the second term goes to :math:`w (z - t) / k` with both centred: the logits are
    matched. Everything else is `fine_tune`, so that the equal-cost control is one argument away:
    ``weight=0`` takes the same steps in the same order on labels alone, and is that fine-tuning to the last
    bit.

    Parameters
    ----------
    teacher : Classifier or numpy.ndarray
        Any fitted classifier of the same classes, a fine-tuned one, a probe, an ensemble; or its
        probabilities ``(n, k)`` of the training examples, `extra` behind them, where they were kept. It is
        asked once, before training.
    student_encoder : ImageEncoder or TextEncoder
        Where the student begins: fewer pixels, or `encoders.shortened`.
    task : Task
        What the student reads. Validation chooses its epoch, by labels.
    extra : Split or numpy.ndarray, optional
        Further examples without labels (labels of a split are not read), on which the teacher alone is heard;
        one epoch goes through them too. Nothing of validation or test may be among them.
    teacher_reads : Split or numpy.ndarray, optional
        What the teacher is shown in the place of the training examples, row by row the same thing: the
        sentences' translations, or the pictures with more pixels. Then a student of English learns from a
        teacher of Chinese. As many rows as the training examples, or as these and `extra` together.
    temperature : float
        T.
    weight : float
        w, 0 (labels alone) to 1 (the teacher alone).
    name : str
    **settings
        Of `fine_tune`: ``epochs``, ``seed``, ``freeze_to``, ``learning_rate``, ``checkpoint`` and so on.
        Label smoothing and class weights apply to the labels' term.

    Returns
    -------
    FineTuned or TextFineTuned
        The student. ``.chosen`` names the teacher, T and w, ``.seconds["teacher"]`` is what asking took;
        `train_size` counts labels. The loss in its history is that of both terms.

    Raises
    ------
    BadInput
        A teacher of other classes; probabilities that are none, or not one row per example; a temperature or
        weight out of range; `extra` with ``weight=0``, which would not be looked at; examples of another
        kind; `teacher_reads` of another length or order; and as `fine_tune`.

    Warns
    -----
    RuntimeWarning
        When the teacher says the same of every example: it has nothing to teach.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network". Buciluă, Caruana &
    Niculescu-Mizil (2006), "Model compression" (unlabelled examples, logits).
    """
    if not (isinstance(weight, (int, float)) and 0 <= weight <= 1):
        raise BadInput(f"weight={weight!r}.", "Give 0 (labels alone) to 1 (the teacher alone).")
    _same_classes(teacher, task)
    if weight == 0:
        if extra is not None:
            raise BadInput(
                "weight=0 listens to labels alone, and `extra` has none.",
                "Give a weight above 0, or leave `extra` out.",
            )
        return fine_tune(student_encoder, task, name=name, **settings)
    labelled, begun = len(task.train), task
    if extra is not None:
        task = _joined(task, extra)
        if settings.get("init", "probe") == "probe":  # fitted where there are labels
            settings["init"] = _first_probe(student_encoder, begun, settings)
    start = time.perf_counter()
    said = _said(teacher, task, labelled, teacher_reads)
    asked = time.perf_counter() - start
    soft = SoftTargets(said, temperature, weight, labelled)
    student: Tuned = fine_tune(student_encoder, task, name=name, soft_targets=soft, **settings)
    student.train_size = labelled
    student.seconds["teacher"] = asked
    told = {"teacher": getattr(teacher, "name", "kept answers"), "temperature": temperature, "weight": weight}
    student.chosen.update(told)
    assert isinstance(student, FineTuned | TextFineTuned)
    return student


def _same_classes(teacher: Teacher, task: Task) -> None:
    if isinstance(teacher, np.ndarray):
        return
    if not isinstance(teacher, Classifier):
        raise BadInput(
            f"{type(teacher).__name__} is no fitted classifier.",
            "Give what fine_tune or linear_probe returned, or its probabilities as an array.",
        )
    if teacher.class_names != task.class_names:
        raise BadInput(
            f"{teacher.name} tells {len(teacher.class_names)} classes apart "
            f"({', '.join(teacher.class_names[:3])}, ...); {task.name} has {task.classes} "
            f"({', '.join(task.class_names[:3])}, ...).",
            "Give a teacher that was fitted on the same classes in the same order.",
        )


def _joined(task: Task, extra: Data) -> Task:
    """Return the task with `extra` behind its training examples, under a label that nobody will read."""
    train = task.train
    x = as_examples(extra) if isinstance(extra, Split | np.ndarray) else np.asarray(extra, object)
    if train.x.dtype.kind in "OU":
        x = checked_sentences(x)
    if not len(x):
        raise BadInput("`extra` is empty.", "Give unlabelled examples, or leave it out.")
    if x.shape[1:] != train.x.shape[1:] or (x.dtype != train.x.dtype and x.dtype.kind not in "OU"):
        raise BadInput(
            f"`extra` holds examples of shape {x.shape[1:]} and type {x.dtype}; those of {task.name} have "
            f"{train.x.shape[1:]} and {train.x.dtype}.",
            "Give examples of the same kind and size.",
        )
    ids = extra.ids if isinstance(extra, Split) else np.array([f"extra {n}" for n in range(len(x))])
    both = Split(
        np.concatenate([train.x, x]),
        np.concatenate([train.y, np.full(len(x), train.y[0])]),
        train.class_names,
        f"{train.name} and {len(x):,} without labels",
        train.domain,
        np.concatenate([train.ids, ids]),
    )
    return replace(task, train=both)  # which refuses what is in validation or test


def _first_probe(encoder: Any, task: Task, settings: dict[str, Any]) -> Any:
    judged_on = settings.get("validation")
    task = task if judged_on is None else replace(task, validation=judged_on)
    return linear_probe(encoder, task, class_weight=settings.get("class_weight"))


def _said(teacher: Teacher, task: Task, labelled: int, teacher_reads: Data | None) -> np.ndarray:
    """Return the teacher's probabilities ``(n, k)`` of the training examples."""
    n = len(task.train)
    if isinstance(teacher, np.ndarray):
        if teacher_reads is not None:
            raise BadInput(
                "`teacher_reads` was given with a teacher's answers, which are there already.",
                "Leave it out, or give the classifier itself.",
            )
        if len(teacher) != n:
            raise BadInput(
                f"{len(teacher):,} rows of answers; there are {n:,} training examples.",
                "Give one row per example, those of `extra` behind the labelled ones.",
            )
        said = checked_probabilities(teacher)
    else:
        said = checked_probabilities(
            np.asarray(teacher.predict_proba(_reading(task, labelled, teacher_reads)))
        )
    if np.ptp(said, axis=0).max() < _SAME:
        warnings.warn(
            f"{getattr(teacher, 'name', 'The teacher')} says the same of all {n:,} examples: there is "
            "nothing to learn from it but label smoothing.",
            RuntimeWarning,
            stacklevel=stack_level(),
        )
    return said


def _reading(task: Task, labelled: int, teacher_reads: Data | None) -> Data:
    """Return what the teacher is shown, row by row."""
    train = task.train
    if teacher_reads is None:
        return train
    if len(teacher_reads) == len(train):
        if len(train) == labelled:
            need_partners(train, teacher_reads)
        return teacher_reads
    if len(teacher_reads) != labelled:
        more = f", or {len(train):,} with `extra`" if len(train) > labelled else ""
        raise BadInput(
            f"`teacher_reads` has {len(teacher_reads):,} rows; there are {labelled:,} examples{more}.",
            "Give the same examples in the same order as the teacher reads them.",
        )
    need_partners(train.take(np.arange(labelled)), teacher_reads)
    return np.concatenate([as_examples(teacher_reads), train.x[labelled:]])
