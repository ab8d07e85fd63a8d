"""Encoders in a file: a body that went on learning from raw text, and a vocabulary of another language."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from course_lib.encoders.text import TextEncoder
from course_lib.methods.classifier import Encoder
from course_lib.methods.pieces import text_of, tokenizer_from
from course_lib.methods.pretrain import PretrainedText
from course_lib.methods.recipe_masked import MaskedRecipe
from course_lib.methods.records import Record, audit_of, described, encoder_of, recipe_of
from course_lib.methods.vocabulary import NewVocabulary

_OWN = "own:"


def of_pretrained(learnt: PretrainedText, kind: str) -> Record:
    """Return what a file holds of a body, or a head, that learnt from raw text."""
    arrays = _arrays(learnt)
    return Record({"kind": kind, "encoder": described(learnt.before, arrays), **_story(learnt)}, arrays)


def pretrained_in(record: Record, encoder: Encoder | None) -> PretrainedText:
    """Return it again."""
    meta, arrays = record.meta, record.arrays
    before = encoder_of(meta["encoder"], arrays, encoder)
    assert isinstance(before, TextEncoder)
    return _pretrained(meta["name"], before, meta, arrays, meta["seconds"])


def of_vocabulary(vocabulary: NewVocabulary, kind: str) -> Record:
    """Return what a file holds of a vocabulary: its pieces, where each began, and what it learnt."""
    trained, before = vocabulary.trained, vocabulary.before
    arrays = {"first": vocabulary.first} | ({} if trained is None else _arrays(trained))
    meta = {
        "kind": kind,
        "encoder": described(before, arrays),
        "tokenizer": text_of(vocabulary.tokenizer),
        "origins": vocabulary.origins.tolist(),
        "trained": None,
    }
    if trained is not None:
        begun = trained.before.name.removeprefix(f"{before.name}, ")
        meta["trained"] = {**_story(trained), "seconds": trained.seconds, "begun": begun}
    return Record(meta, arrays)


def vocabulary_in(record: Record, encoder: Encoder | None) -> NewVocabulary:
    """Return it again."""
    meta, arrays = record.meta, record.arrays
    before = encoder_of(meta["encoder"], arrays, encoder)
    assert isinstance(before, TextEncoder)
    tokenizer = tokenizer_from(meta["tokenizer"], before.tokenizer)
    parts = (before, tokenizer, arrays["first"], np.array(meta["origins"]))
    story = meta["trained"]
    if story is None:
        return NewVocabulary(meta["name"], *parts, None, meta["seconds"])
    begun = NewVocabulary(story["begun"], *parts, None, meta["seconds"])
    trained = _pretrained(meta["name"], begun.encoder, story, arrays, story["seconds"])
    return NewVocabulary(meta["name"], *parts, trained, meta["seconds"])


def _arrays(learnt: PretrainedText) -> dict[str, np.ndarray]:
    own = {f"{_OWN}{name}": array for name, array in learnt.weights.items()}
    return {**own, "pieces": learnt.pieces}


def _story(learnt: PretrainedText) -> dict[str, Any]:
    return {
        "recipe": asdict(learnt.recipe),
        "history": list(learnt.history),
        "audit": learnt.audit.to_dict()["rows"],
        "parameters_trained": learnt.parameters_trained,
        "epoch": learnt.epoch,
        "interrupted": learnt.interrupted,
    }


def _pretrained(
    name: str,
    before: TextEncoder,
    story: dict[str, Any],
    arrays: dict[str, np.ndarray],
    seconds: dict[str, float],
) -> PretrainedText:
    return PretrainedText(
        name=name,
        before=before,
        recipe=recipe_of(MaskedRecipe, story["recipe"]),
        weights={n.removeprefix(_OWN): array for n, array in arrays.items() if n.startswith(_OWN)},
        pieces=arrays["pieces"],
        history=tuple(story["history"]),
        audit=audit_of(story["audit"]),
        seconds=seconds,
        parameters_trained=story["parameters_trained"],
        epoch=story["epoch"],
        interrupted=story["interrupted"],
    )
