"""The file in which something learnt is kept: written whole or not at all, checked when read.

Tensors in the safetensors format, and as metadata one JSON text. No code is run in reading it. The encoder
that was frozen is described, with a fingerprint of its weights, not stored.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np

from course_lib.encoders.text import ENGLISH, MULTILINGUAL, TextEncoder, multilingual_bert
from course_lib.errors import BadInput, Corrupt
from course_lib.measure.audit import Audit, AuditRow
from course_lib.methods.align import AffineMap, AlignedEncoder
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import Encoder
from course_lib.methods.recipe_torch import TextRecipe

FORMAT = 1
"""Of the file; rises when an older course could not read it."""

AGAIN = "Save it again, or take another copy of the file."
_PARTS = ("centre", "matrix", "shift", "back")
R = TypeVar("R", bound=TextRecipe)


@dataclass
class Record:
    """What goes into a file: plain values, and arrays by name."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def recipe_of(kind: type[R], given: dict[str, Any]) -> R:
    """Return a recipe from its settings in a file; what is loaded predicts on the processor."""
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return replace(kind(**{**given, **lists}), device="cpu")


def audit_of(rows: list[dict[str, Any]]) -> Audit:
    """Return an audit from its rows in a file."""
    return Audit(tuple(AuditRow(**{**row, "wrong": tuple(row["wrong"])}) for row in rows))


# -- encoders --------------------


def described(encoder: Encoder, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what tells an encoder apart; a map that was learnt goes into `arrays`."""
    if isinstance(encoder, AlignedEncoder):
        if not isinstance(encoder.map, AffineMap):
            raise BadInput(
                f"{encoder.name} moves features by their neighbours in a sample, which a file does not keep.",
                "Save the probe, and adapt it again after loading.",
            )
        parts = {part: getattr(encoder.map, part) for part in _PARTS}
        arrays |= {f"map:{part}": array for part, array in parts.items() if array is not None}
        return {"kind": "aligned", "name": encoder.name, "base": described(encoder.base, arrays)}
    told = {"kind": "other", "name": encoder.name, "dim": encoder.dim, "key": getattr(encoder, "key", "")}
    if isinstance(encoder, TextEncoder):
        ways = {way: getattr(encoder, way) for way in ("layer", "pooling", "max_tokens", "prefix")}
        told |= {"kind": "text", "ways": ways, "weights": weights_of(encoder)}
    return told


def weights_of(encoder: TextEncoder) -> str:
    """Return a fingerprint of a sentence encoder's weights."""
    return fingerprint({name: p.detach().numpy() for name, p in encoder.model.named_parameters()})


def encoder_of(told: dict[str, Any], arrays: dict[str, np.ndarray], given: Encoder | None) -> Encoder:
    """Return the encoder that a file names, after making sure that it is that one."""
    if told["kind"] == "aligned":
        base = given.base if isinstance(given, AlignedEncoder) else given
        map = AffineMap(**{part: arrays.get(f"map:{part}") for part in _PARTS})  # type: ignore[arg-type]
        return AlignedEncoder(told["name"], encoder_of(told["base"], arrays, base), map)
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
    if isinstance(given, TextEncoder) and weights_of(given) != told["weights"]:
        raise Corrupt(
            f"{given.name} is named as the encoder that it was learnt on, but has other weights.",
            "Give the published network: methods train a copy and leave it as it is.",
        )
    return given


# -- the file --------------------


def write(path: Path, record: Record) -> None:
    """Write a record to a file, whole or not at all."""
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


def read(path: Path) -> Record:
    """Return the record in a file, checked; see `load` for what is refused."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadInput(f"There is no file {path.name}.", "Give the path that methods.save returned.")
    try:
        with safe_open(path, "numpy") as file:
            told = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise Corrupt(f"{path.name} cannot be read, it may be cut short: {error}", AGAIN) from error
    if "carryover" not in told:
        raise BadInput(f"{path.name} was not written by methods.save.", "Give a file that was.")
    meta = json.loads(told["carryover"])
    if meta["format"] > FORMAT:
        raise BadInput(f"{path.name} was written by a newer course.", "Update the course to read it.")
    missing = sorted(set(meta["tensors"]) - arrays.keys())
    if missing:
        raise Corrupt(
            f"{path.name} holds no {missing[0]!r}, so that part of what was learnt is missing.", AGAIN
        )
    if told.get("digest") != _digest(told["carryover"], arrays):
        raise Corrupt(f"{path.name} was altered: its digest is not that of its contents.", AGAIN)
    return Record(meta, arrays)


def _digest(told: str, arrays: dict[str, np.ndarray]) -> str:
    return hashlib.sha256((told + fingerprint(arrays)).encode()).hexdigest()
