"""Everything learnt, in one file: the last layer included, what stayed frozen left out but held against it.

What was not trained is not stored; the file names the encoder, its key and a fingerprint of its weights, and
`load` refuses another one. How a file is written and read is told in `records`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course_lib.encoders.text import TextEncoder
from course_lib.errors import BadInput, Corrupt
from course_lib.methods.body_torch import TextBody, body_of
from course_lib.methods.classifier import Classifier, Encoder, FeatureClassifier, Origin
from course_lib.methods.fine_tune_torch import LowRank, TextFineTuned
from course_lib.methods.pretrain import PretrainedText
from course_lib.methods.probe import LinearHead
from course_lib.methods.recipe_torch import TextRecipe
from course_lib.methods.records import AGAIN, Record, audit_of, described, encoder_of, read, recipe_of, write
from course_lib.methods.saved_encoders import of_pretrained, of_vocabulary, pretrained_in, vocabulary_in
from course_lib.methods.tuned import BIAS, KERNEL
from course_lib.methods.vocabulary import NewVocabulary

Learnt = Classifier | PretrainedText | NewVocabulary
"""What has a file of its own."""

_SENTENCES, _HEAD = "fine-tuned sentences", "linear head"
_PRETRAINED, _VOCABULARY = "pretrained encoder", "new vocabulary"


def save(learnt: Learnt, path: str | Path) -> Path:
    """Write what was learnt to one file: a classifier of sentences, a linear head on any encoder, an encoder.

    What LoRA learnt is stored as its low-rank terms. A kill at any moment leaves the old file or the new one.

    Parameters
    ----------
    learnt : TextFineTuned, FeatureClassifier, PretrainedText or NewVocabulary
        From `fine_tune`, `lora`, `bitfit`, `wise_ft`; `linear_probe`, `coral` and so on; `continued_mlm`,
        `mlm_head`; `new_vocabulary`. A classifier on an encoder of the last two is saved beside it.
    path : path
        ``.safetensors`` as a rule.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        For others; a picture network saves itself: ``tuned.model.save("network.keras")``.

    Examples
    --------
    >>> import tempfile
    >>> from course_lib import encoders, tasks
    >>> from course_lib.methods import linear_probe
    >>> task = tasks.topics("en", train=64)
    >>> probe = linear_probe(encoders.english_bert(), task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load(save(probe, Path(folder) / "probe.safetensors"))
    >>> bool((again.predict(task.test) == probe.predict(task.test)).all())
    True
    """
    if isinstance(learnt, TextFineTuned):
        record = _of_sentences(learnt)
    elif isinstance(learnt, FeatureClassifier) and isinstance(learnt.head, LinearHead):
        record = _of_head(learnt, learnt.head)
    elif isinstance(learnt, PretrainedText):
        record = of_pretrained(learnt, _PRETRAINED)
    elif isinstance(learnt, NewVocabulary):
        record = of_vocabulary(learnt, _VOCABULARY)
    else:
        raise BadInput(
            f"{type(learnt).__name__} {learnt.name!r} cannot be saved here.",
            "Save a fine-tuned sentence classifier, a linear probe, or what continued_mlm or new_vocabulary "
            'returned; a picture network saves itself: tuned.model.save("network.keras").',
        )
    if isinstance(learnt, Classifier):
        record.meta.update(
            task=learnt.task_name,
            class_names=list(learnt.class_names),
            train_size=learnt.train_size,
            parameters_trained=learnt.parameters_trained,
            chosen=learnt.chosen,
            chosen_path=list(learnt.chosen_path),
        )
    record.meta.update(name=learnt.name, seconds=learnt.seconds)
    path = Path(path)
    write(path, record)
    return path


def load(path: str | Path, encoder: Encoder | None = None) -> Any:
    """Return what is in a file, with the same logits to the last bit.

    Parameters
    ----------
    path : path
        Written by `save`.
    encoder : Encoder, optional
        The one that it was learnt on; a packaged sentence encoder is found without. What was learnt on an
        encoder that has a file itself needs that one: ``load(path, load(words).encoder)``.

    Returns
    -------
    TextFineTuned, FeatureClassifier, PretrainedText or NewVocabulary
        As was saved.

    Raises
    ------
    BadInput
        No such file, a file of another program or of a newer course, another encoder than it was learnt on.
    Corrupt
        A file that is cut short or altered, or in which something is missing, for instance the last layer;
        an encoder of the right name with other weights.
    """
    path = Path(path)
    record = read(path)
    readers: dict[str, Callable[[Record, Encoder | None], Learnt]] = {
        _SENTENCES: _sentences,
        _HEAD: _head,
        _PRETRAINED: pretrained_in,
        _VOCABULARY: vocabulary_in,
    }
    try:
        learnt = readers[record.meta["kind"]](record, encoder)
    except KeyError as error:
        raise Corrupt(
            f"{path.name} holds no {error.args[0]!r}, so that part of what was learnt is missing.", AGAIN
        ) from error
    if isinstance(learnt, Classifier):
        learnt.parameters_trained = record.meta["parameters_trained"]
        learnt.chosen_path = tuple(record.meta["chosen_path"])
    return learnt


def _task(meta: dict[str, Any]) -> Origin:
    return Origin(meta["task"], tuple(meta["class_names"]), range(meta["train_size"]))


# -- fine-tuned sentence encoders --------------------


def _of_sentences(tuned: TextFineTuned) -> Record:
    body = tuned.body
    arrays = {f"own:{n}": a for n, a in tuned.own.items() if n not in tuned.low_rank}
    for name, term in tuned.low_rank.items():
        arrays |= {f"down:{name}": term.down, f"up:{name}": term.up}
    # where it began, as far as the encoder does not say so itself
    arrays |= {f"start:{n}": tuned.start[n] for n in tuned.own if n not in body.start}
    if body.seen is not None:
        arrays["seen"] = body.seen
    meta = {
        "kind": _SENTENCES,
        "encoder": described(body.encoder, arrays),
        "recipe": asdict(tuned.recipe),
        "scales": {name: term.scale for name, term in tuned.low_rank.items()},
        "history": list(tuned.history),
        "audit": tuned.audit.to_dict()["rows"],
        "interrupted": tuned.interrupted,
    }
    return Record(meta, arrays)


def _sentences(record: Record, encoder: Encoder | None) -> TextFineTuned:
    meta, arrays = record.meta, record.arrays
    task = _task(meta)
    found = encoder_of(meta["encoder"], arrays, encoder)
    assert isinstance(found, TextEncoder)
    recipe = recipe_of(TextRecipe, meta["recipe"])
    seen = arrays.get("seen")
    classes = len(task.class_names)
    body = body_of(found, recipe, classes) if seen is None else TextBody(found, recipe, classes, seen)
    terms = {
        name: LowRank(arrays[f"down:{name}"], arrays[f"up:{name}"], scale)
        for name, scale in meta["scales"].items()
    }
    own = {name.removeprefix("own:"): a for name, a in arrays.items() if name.startswith("own:")}
    own |= {name: term.added_to(body.start[name]) for name, term in terms.items()}
    start = {name.removeprefix("start:"): a for name, a in arrays.items() if name.startswith("start:")}
    for name in (KERNEL, BIAS):
        own[name], start[name]  # a file without the last layer is refused, not filled up at random
    return TextFineTuned(
        meta["name"],
        task,
        body,
        recipe,
        start={**body.start, **start},
        own=own,
        low_rank=terms,
        audit=audit_of(meta["audit"]),
        history=meta["history"],
        seconds=meta["seconds"],
        chosen=meta["chosen"],
        interrupted=meta["interrupted"],
    )


# -- linear heads --------------------


def _of_head(classifier: FeatureClassifier, head: LinearHead) -> Record:
    arrays = {KERNEL: head.weights, BIAS: head.bias}
    return Record({"kind": _HEAD, "encoder": described(classifier.encoder, arrays)}, arrays)


def _head(record: Record, encoder: Encoder | None) -> FeatureClassifier:
    meta, arrays = record.meta, record.arrays
    found = encoder_of(meta["encoder"], arrays, encoder)
    head = LinearHead(arrays[KERNEL], arrays[BIAS])
    return FeatureClassifier(
        meta["name"], _task(meta), found, head, seconds=meta["seconds"], chosen=meta["chosen"]
    )
