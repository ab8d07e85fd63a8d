"""What `project.toml` says: few settings, each with a line that explains it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from course_lib.errors import BadInput
from course_lib.measure.report import METRICS

FILE: Final = "project.toml"
KINDS: Final = ("pictures", "sentences")
CONTROLS: Final = {
    "pictures": ("from scratch", "pixels"),
    "sentences": ("characters",),
}
"""What a source is compared with, by kind: learners of the same labels that have no source."""
SENTENCE_ENCODERS: Final = ("multilingual_bert", "english_bert")

_EXPLAINED: Final = {
    "kind": "pictures or sentences",
    "data": "a folder with a folder of pictures per class, or a table; relative to this file",
    "text": 'the table\'s column of sentences; two for pairs: ["question", "answer"]',
    "label": "the table's column of labels",
    "language": "en, zh, or any other",
    "split": "a column that says train, validation or test; empty: split at random, stratified",
    "group": "a column whose rows belong together (a document, a speaker); empty: none",
    "encoder": "the source: multilingual_bert or english_bert",
    "pixels": "side of the pictures as the source sees them, 64 to 224; work grows with its square",
    "control": "the learner without a source: from scratch (a small network) or pixels (quick)",
    "labels": "training labels to use at most; 0: all",
    "metric": "accuracy, balanced_accuracy, macro_f1; auto: balanced where the classes are not",
    "seeds": "fits per method, each on another sample of the labels; below 3 nothing can be told",
    "minutes": "for all fine-tunings together: image size, depth and epochs are chosen to fit; 0: none",
    "epochs": "of a fine-tuning; 0: as the minutes allow",
    "freeze_to": "the last block or layer that stays as it is; empty: chosen, or the library's default",
    "seed": "of the splits and samples",
}
_OF: Final = {
    "pictures": ("pixels", "control"),
    "sentences": ("text", "label", "language", "split", "group", "encoder"),
}


@dataclass(frozen=True)
class Settings:
    """The settings of a project; the same words as in its file, where each is explained.

    Examples
    --------
    >>> Settings("pictures", "pets").control
    'from scratch'
    """

    kind: str
    data: str
    text: str | tuple[str, ...] = "text"
    label: str = "label"
    language: str = "en"
    split: str = ""
    group: str = ""
    encoder: str = "multilingual_bert"
    pixels: int = 128
    control: str = ""
    labels: int = 0
    metric: str = "auto"
    seeds: int = 3
    minutes: float = 10.0
    epochs: int = 0
    freeze_to: str = ""
    seed: int = 0
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, KINDS)
        if not self.control:
            object.__setattr__(self, "control", CONTROLS[self.kind][0])
        _one_of("control", self.control, CONTROLS[self.kind])
        _one_of("metric", self.metric, ("auto", *METRICS))
        _one_of("encoder", self.encoder, SENTENCE_ENCODERS)
        for name, least in (("labels", 0), ("seeds", 1), ("minutes", 0), ("epochs", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise BadInput(f"{FILE}: {name} = {getattr(self, name)}.", f"Give {least} or more.")
        if not 64 <= self.pixels <= 224:
            raise BadInput(f"{FILE}: pixels = {self.pixels}.", "Give 64 to 224; 128 is a good start.")

    @property
    def place(self) -> Path:
        """Where the data are: `data` as seen from the project's folder."""
        return (self.folder / Path(self.data).expanduser()).resolve()

    @property
    def tunes(self) -> bool:
        """Whether fine-tuning is wanted."""
        return self.minutes > 0 or self.epochs > 0

    def shown(self) -> dict[str, Any]:
        """Return the settings that matter to this kind, in the order of the file."""
        plain = asdict(self)
        other = {name for kind, names in _OF.items() if kind != self.kind for name in names}
        return {name: plain[name] for name in _EXPLAINED if name not in other}

    def text_of_file(self) -> str:
        """Return the content of `project.toml`."""
        values = {name: _written(value) for name, value in self.shown().items()}
        width = max(len(f"{name} = {value}") for name, value in values.items() if name != "data")
        lines = [f"{f'{n} = {v}'.ljust(min(width, 44))}  # {_EXPLAINED[n]}" for n, v in values.items()]
        return "\n".join(
            [
                "# What `course run` does with this folder. Change a value and run again: only what "
                "depends on",
                "# it is computed anew.",
                *lines,
                "",
            ]
        )


def read_settings(folder: Path) -> Settings:
    """Return the settings of the project in `folder`.

    Raises
    ------
    BadInput
        Without a project there, for a file that is not TOML, for an unknown setting or a value that none can
        have.
    """
    path = folder / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"There is no project in {folder}: {FILE} cannot be read ({type(error).__name__}).",
            f"Make one with `course new {folder.name or 'DIR'} --data YOUR_FOLDER_OR_CSV`.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}.", "Texts stand between double quotes.") from None
    known = {one.name: one for one in fields(Settings) if one.name != "folder"}
    for name, value in content.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise BadInput(
                f"{FILE} has a setting {name!r} that there is not.",
                f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}.",
            )
        content[name] = _typed(name, value, str(known[name].type))
    for name in ("kind", "data"):
        if name not in content:
            raise BadInput(f"{FILE} does not say {name}.", f"Add a line: {name} = {_EXPLAINED[name]!r}.")
    return replace(Settings(**content), folder=folder.resolve())


def _typed(name: str, value: Any, kind: str) -> Any:
    """Return a value of the file as the setting has it."""
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind.startswith("str") and isinstance(value, str):
        return value
    if name == "text" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    words = {"float": "a number", "int": "a whole number"}
    raise BadInput(f"{FILE}: {name} = {value!r}.", f"Give {words.get(kind, 'a text between double quotes')}.")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInput(f"{FILE}: {name} = {value!r}.", f"Choose one of {', '.join(map(repr, known))}.")


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value)
