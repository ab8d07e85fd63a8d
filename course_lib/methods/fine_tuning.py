"""Fine-tuning by one name, for pictures and for sentences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, overload

from course_lib.encoders.images import ImageEncoder
from course_lib.encoders.text import TextEncoder
from course_lib.errors import BadInput
from course_lib.methods.fine_tune_keras import FineTuned
from course_lib.methods.fine_tune_keras import fine_tune as fine_tune_pictures
from course_lib.methods.fine_tune_torch import TextFineTuned
from course_lib.methods.fine_tune_torch import fine_tune as fine_tune_sentences
from course_lib.tasks.task import Task


@overload
def fine_tune(encoder: ImageEncoder, task: Task, **settings: Any) -> FineTuned: ...


@overload
def fine_tune(encoder: TextEncoder, task: Task, **settings: Any) -> TextFineTuned: ...


def fine_tune(encoder: ImageEncoder | TextEncoder, task: Task, **settings: Any) -> FineTuned | TextFineTuned:
    """Go on training what was learnt elsewhere on the task's own labels.

    The same for both: a copy of the encoder's network is trained, the last layer starts as the linear probe,
    the rate rises and then falls, each layer can have its own, the best epoch on validation is kept and the
    start counts as epoch 0, a checkpoint resumes to the same bits, and an audit proves what moved.

    Parameters
    ----------
    encoder : ImageEncoder or TextEncoder
    task : Task
        Of pictures or of sentences, as the encoder.
    **settings
        Both kinds take ``freeze_to``, ``init``, ``epochs``, ``batch_size``, ``learning_rate``,
        ``depth_decay``, ``warmup``, ``l2_sp``, ``label_smoothing``, ``class_weight``, ``patience``,
        ``precision``, ``cache_trunk``, ``seed``, ``checkpoint`` and ``name``. Those of pictures alone are
        described in `course_lib.methods.fine_tune_keras.fine_tune`, those of sentences in
        `course_lib.methods.fine_tune_torch.fine_tune`, with all defaults.

    Returns
    -------
    FineTuned or TextFineTuned
        Both are `Tuned`: ``.history``, ``.audit``, ``.start``, ``.weights``, ``.chosen["epoch"]``.

    Raises
    ------
    BadInput
        For an encoder of pictures with a task of sentences or the other way round, a setting that this kind
        does not have, and as the two functions.
    """
    _same_kind(encoder, task)
    if isinstance(encoder, TextEncoder):
        return fine_tune_sentences(encoder, task, **_known(fine_tune_sentences, settings))
    return fine_tune_pictures(encoder, task, **_known(fine_tune_pictures, settings))


def _same_kind(encoder: Any, task: Task) -> None:
    if not isinstance(encoder, (ImageEncoder, TextEncoder)):
        raise BadInput(
            f"{type(encoder).__name__} has no network that could be trained further.",
            "Give an encoder from encoders.imagenet(), multilingual_bert() or english_bert().",
        )
    sentences = task.train.x.dtype.kind in "OU"
    if isinstance(encoder, TextEncoder) != sentences:
        given, wanted = ("sentences", "pictures") if sentences else ("pictures", "sentences")
        remedy = (
            "encoders.multilingual_bert() reads sentences."
            if sentences
            else "encoders.imagenet() reads pictures."
        )
        raise BadInput(f"{task.name} holds {given}; {encoder.name} reads {wanted}.", remedy)


def _known(function: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return `settings`, after making sure that `function` has them all."""
    there = list(inspect.signature(function).parameters)[2:]
    for name in settings:
        if name not in there:
            raise BadInput(f"{name} is no setting here.", f"There are: {', '.join(there)}.")
    return settings
