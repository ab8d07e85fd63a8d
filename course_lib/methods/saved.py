"""Everything learnt, in one file: the last layer included, what stayed frozen left out but held against it.

A file is in the safetensors format: tensors, and as its metadata one JSON text. No code is run in reading it.
What was not trained is not stored; the file names the encoder, its key and a fingerprint of its weights, and
`load` refuses another one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from course_lib.encoders.text import ENGLISH, MULTILINGUAL, TextEncoder, multilingual_bert
from course_lib.errors import BadInput, Corrupt
from course_lib.measure.audit import Audit, AuditRow
from course_lib.methods.align import AffineMap, AlignedEncoder
from course_lib.methods.body_torch import TextBody, body_of
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import Classifier, Encoder, FeatureClassifier
from course_lib.methods.fine_tune_torch import LowRank, TextFineTuned
from course_lib.methods.probe import LinearHead
from course_lib.methods.recipe_torch import TextRecipe
from course_lib.methods.tuned import BIAS, KERNEL

FORMAT = 1
"""Of the file; rises when an older course could not read it."""

_SENTENCES, _HEAD = "fine-tuned sentences", "linear head"
_AGAIN = "Save the classifier again, or take another copy of the file."
_PARTS = ("centre", "matrix", "shift")


@dataclass
class Record:
    """What goes into a file: plain values, and arrays by name."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What a classifier that was loaded knows of its task."""

    name: str
    class_names: tuple[str, ...]
    train: range


def save(classifier: Classifier, path: str | Path) -> Path:
    """Write a fine-tuned sentence classifier, or a linear head on any encoder, to one file.

    What LoRA learnt is stored as its low-rank terms. A kill at any moment leaves the old file or the new one.

    Parameters
    ----------
    classifier : TextFineTuned or FeatureClassifier
        From `fine_tune`, `lora`, `bitfit`, `wise_ft`; `linear_probe`, `coral` and so on.
    path : path
        ``.safetensors`` as a rule.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        For other classifiers; a picture network saves itself: ``tuned.model.save("network.keras")``.

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
    if isinstance(classifier, TextFineTuned):
        record = _of_sentences(classifier)
    elif isinstance(classifier, FeatureClassifier) and isinstance(classifier.head, LinearHead):
        record = _of_head(classifier, classifier.head)
    else:
        raise BadInput(
            f"{type(classifier).__name__} {classifier.name!r} cannot be saved here.",
            "Save a fine-tuned sentence classifier or a linear probe; a picture network saves itself: "
            'tuned.model.save("network.keras").',
        )
    record.meta.update(
        name=classifier.name,
        task=classifier.task_name,
        class_names=list(classifier.class_names),
        train_size=classifier.train_size,
        parameters_trained=classifier.parameters_trained,
        seconds=classifier.seconds,
        chosen=classifier.chosen,
        chosen_path=list(classifier.chosen_path),
    )
    path = Path(path)
    _write(path, record)
    return path


def load(path: str | Path, encoder: Encoder | None = None) -> Classifier:
    """Return the classifier in a file, with the same logits to the last bit.

    Parameters
    ----------
    path : path
        Written by `save`.
    encoder : Encoder, optional
        The one that it was learnt on; a packaged sentence encoder is found without.

    Returns
    -------
    TextFineTuned or FeatureClassifier

    Raises
    ------
    BadInput
        No such file, a file of another program or of a newer course, another encoder than it was learnt on.
    Corrupt
        A file that is cut short or altered, or in which something is missing, for instance the last layer;
        an encoder of the right name with other weights.
    """
    path = Path(path)
    record = _read(path)
    meta = record.meta
    task = Origin(meta["task"], tuple(meta["class_names"]), range(meta["train_size"]))
    makers: dict[str, Callable[..., Classifier]] = {_SENTENCES: _sentences, _HEAD: _head}
    try:
        classifier = makers[meta["kind"]](record, task, encoder)
    except KeyError as error:
        raise Corrupt(
            f"{path.name} holds no {error.args[0]!r}, so that part of what was learnt is missing.", _AGAIN
        ) from error
    classifier.parameters_trained = meta["parameters_trained"]
    classifier.chosen_path = tuple(meta["chosen_path"])
    return classifier


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
        "encoder": _described(body.encoder, arrays),
        "recipe": asdict(tuned.recipe),
        "scales": {name: term.scale for name, term in tuned.low_rank.items()},
        "history": list(tuned.history),
        "audit": tuned.audit.to_dict()["rows"],
        "interrupted": tuned.interrupted,
    }
    return Record(meta, arrays)


def _sentences(record: Record, task: Origin, encoder: Encoder | None) -> TextFineTuned:
    meta, arrays = record.meta, record.arrays
    found = _encoder(meta["encoder"], arrays, encoder)
    assert isinstance(found, TextEncoder)
    recipe = _recipe(meta["recipe"])
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
        audit=Audit(tuple(AuditRow(**{**row, "wrong": tuple(row["wrong"])}) for row in meta["audit"])),
        history=meta["history"],
        seconds=meta["seconds"],
        chosen=meta["chosen"],
        interrupted=meta["interrupted"],
    )


def _recipe(given: dict[str, Any]) -> TextRecipe:
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return replace(TextRecipe(**{**given, **lists}), device="cpu")


# -- linear heads --------------------


def _of_head(classifier: FeatureClassifier, head: LinearHead) -> Record:
    arrays = {KERNEL: head.weights, BIAS: head.bias}
    return Record({"kind": _HEAD, "encoder": _described(classifier.encoder, arrays)}, arrays)


def _head(record: Record, task: Origin, encoder: Encoder | None) -> FeatureClassifier:
    meta, arrays = record.meta, record.arrays
    found = _encoder(meta["encoder"], arrays, encoder)
    head = LinearHead(arrays[KERNEL], arrays[BIAS])
    return FeatureClassifier(meta["name"], task, found, head, seconds=meta["seconds"], chosen=meta["chosen"])


# -- encoders --------------------


def _described(encoder: Encoder, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what tells an encoder apart; a map that was learnt goes into `arrays`."""
    if isinstance(encoder, AlignedEncoder):
        parts = {part: getattr(encoder.map, part) for part in _PARTS}
        arrays |= {f"map:{part}": array for part, array in parts.items() if array is not None}
        return {"kind": "aligned", "name": encoder.name, "base": _described(encoder.base, arrays)}
    told = {"kind": "other", "name": encoder.name, "dim": encoder.dim, "key": getattr(encoder, "key", "")}
    if isinstance(encoder, TextEncoder):
        ways = {way: getattr(encoder, way) for way in ("layer", "pooling", "max_tokens", "prefix")}
        told |= {"kind": "text", "ways": ways, "weights": _weights_of(encoder)}
    return told


def _weights_of(encoder: TextEncoder) -> str:
    """Return a fingerprint of a sentence encoder's weights."""
    return fingerprint({name: p.detach().numpy() for name, p in encoder.model.named_parameters()})


def _encoder(told: dict[str, Any], arrays: dict[str, np.ndarray], given: Encoder | None) -> Encoder:
    """Return the encoder that a file names, after making sure that it is that one."""
    if told["kind"] == "aligned":
        base = given.base if isinstance(given, AlignedEncoder) else given
        map = AffineMap(arrays["map:centre"], arrays.get("map:matrix"), arrays["map:shift"])
        return AlignedEncoder(told["name"], _encoder(told["base"], arrays, base), map)
    if given is None:
        if told["kind"] != "text" or told["name"] not in (MULTILINGUAL, ENGLISH):
            raise BadInput(
                f"It was learnt on {told['name']}, which is not found by its name alone.",
                "Give that encoder: load(path, encoder).",
            )
        given = multilingual_bert(told["name"], **told["ways"])
    key = getattr(given, "key", "")
    same = key == told["key"] if told["key"] else given.name == told["name"]
    if not same or given.dim != told["dim"]:
        raise BadInput(
            f"It was learnt on {told['name']} ({told['key']}); given is {given.name} ({key}).",
            "Give the encoder that it was learnt on, with the same layer, pooling, length and prefix.",
        )
    if isinstance(given, TextEncoder) and _weights_of(given) != told["weights"]:
        raise Corrupt(
            f"{given.name} is named as the encoder that it was learnt on, but has other weights.",
            "Give the published network: methods train a copy and leave it as it is.",
        )
    return given


# -- the file --------------------


def _write(path: Path, record: Record) -> None:
    from safetensors.numpy import save as packed

    arrays = {name: np.ascontiguousarray(array) for name, array in record.arrays.items()}
    record.meta.update(format=FORMAT, tensors=sorted(arrays))
    told = json.dumps(record.meta)
    raw = packed(arrays, {"carryover": told, "digest": _digest(told, arrays)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read(path: Path) -> Record:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadInput(f"There is no file {path.name}.", "Give the path that methods.save returned.")
    try:
        with safe_open(path, "numpy") as file:
            told = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise Corrupt(f"{path.name} cannot be read, it may be cut short: {error}", _AGAIN) from error
    if "carryover" not in told:
        raise BadInput(f"{path.name} was not written by methods.save.", "Give a file that was.")
    meta = json.loads(told["carryover"])
    if meta["format"] > FORMAT:
        raise BadInput(f"{path.name} was written by a newer course.", "Update the course to read it.")
    missing = sorted(set(meta["tensors"]) - arrays.keys())
    if missing:
        raise Corrupt(
            f"{path.name} holds no {missing[0]!r}, so that part of what was learnt is missing.", _AGAIN
        )
    if told.get("digest") != _digest(told["carryover"], arrays):
        raise Corrupt(f"{path.name} was altered: its digest is not that of its contents.", _AGAIN)
    return Record(meta, arrays)


def _digest(told: str, arrays: dict[str, np.ndarray]) -> str:
    return hashlib.sha256((told + fingerprint(arrays)).encode()).hexdigest()
