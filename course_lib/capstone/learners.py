"""The learners of a project: the transfers, and those that have no source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from course_lib import encoders, measure, methods
from course_lib.capstone.data import Data
from course_lib.capstone.settings import Settings
from course_lib.errors import BadInput
from course_lib.methods.classifier import Classifier, Encoder, as_examples
from course_lib.tasks.task import Task

PROBE: Final = "probe"
TUNED: Final = "fine-tuned"
FLOOR: Final = "largest class"
QUICK: Final = {"pictures": "pixels", "sentences": "characters"}
"""The learner without a source that is cheap enough for a learning curve, by kind."""
SHARE: Final = 0.8  # of the training labels that each fit of a trial draws
_SIDE: Final = 16
_COLUMNS: Final = 2048
_STEP: Final = 3.0  # a training step costs so many times a forward pass
_LADDER: Final = (2, 3, 4, 6)


class Pixels:
    """No source: pictures shrunk to 16×16 pixels, as numbers."""

    name, dim = "pixels", _SIDE * _SIDE * 3

    def encode(self, data: Any, /) -> np.ndarray:
        """Return ``(n, 768)`` float32, 0 to 1."""
        from PIL import Image

        x = as_examples(data)
        rows = np.empty((len(x), self.dim), np.float32)
        for row, picture in zip(rows, x, strict=True):
            flat = picture[..., 0] if picture.shape[-1] == 1 else picture
            image = Image.fromarray(np.ascontiguousarray(flat)).convert("RGB")
            row[:] = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel() / 255
        return rows


class Characters:
    """No source: which runs of one to four characters a sentence holds."""

    name, dim = "characters", _COLUMNS

    def encode(self, data: Any, /) -> np.ndarray:
        """Return ``(n, 2048)`` float32, rows of length 1; of a pair, both sides are counted together."""
        from sklearn.feature_extraction.text import HashingVectorizer

        x = as_examples(data)
        texts = [" \n ".join(row) if isinstance(row, np.ndarray) else str(row) for row in x]
        counter = HashingVectorizer(
            n_features=_COLUMNS, analyzer="char", ngram_range=(1, 4), alternate_sign=True
        )
        return np.asarray(counter.transform(texts).toarray(), np.float32)


@dataclass(frozen=True)
class Tuning:
    """How the network is fine-tuned, or why it is not.

    Parameters
    ----------
    encoder : Encoder or None
    options : dict
        For ``methods.fine_tune``.
    words : str
        For the report.
    """

    encoder: Any
    options: dict[str, Any]
    words: str


class Learners:
    """Every learner of a project by its name, each ``fit(task, seed)``.

    Parameters
    ----------
    settings : Settings
    data : Data
    """

    def __init__(self, settings: Settings, data: Data) -> None:
        self.settings, self.data = settings, data

    @property
    def weight(self) -> str | None:
        """Of the classes, for those learners that take one."""
        return "balanced" if self.data.balanced else None

    @cached_property
    def encoder(self) -> Encoder:
        """The source."""
        if self.settings.kind == "pictures":
            return encoders.imagenet(self.settings.pixels)
        made: Encoder = getattr(encoders, self.settings.encoder)()
        return made

    @cached_property
    def plain(self) -> Encoder:
        """What stands in for a source where there is none."""
        return Pixels() if self.settings.kind == "pictures" else Characters()

    @cached_property
    def tuning(self) -> Tuning | None:
        """How to fine-tune within the minutes; None when it is not wanted."""
        if not self.settings.tunes:
            return None
        return self._pictures_plan() if self.settings.kind == "pictures" else self._sentences_plan()

    def fit(self, name: str, task: Task, seed: int, checkpoint: Path | None = None) -> Classifier:
        """Fit the learner called `name`."""
        makers: dict[str, Callable[[], Classifier]] = {
            PROBE: lambda: methods.linear_probe(self.encoder, task, class_weight=self.weight),
            FLOOR: lambda: methods.majority(task),
            "from scratch": lambda: methods.scratch_cnn(
                methods.resample(task, seed=seed) if self.weight else task, seed=seed
            ),
            TUNED: lambda: self._tuned(task, seed, checkpoint),
        }
        quick = QUICK[self.settings.kind]
        makers[quick] = lambda: methods.linear_probe(self.plain, task, class_weight=self.weight, name=quick)
        return makers[name]()

    def _tuned(self, task: Task, seed: int, checkpoint: Path | None) -> Classifier:
        tuning = self.tuning
        assert tuning is not None
        options = {**tuning.options, "seed": seed, "class_weight": self.weight, "checkpoint": checkpoint}
        tuned: Classifier = methods.fine_tune(tuning.encoder, task, **options)
        return tuned

    def _pictures_plan(self) -> Tuning:
        asked = {"epochs": self.settings.epochs, "freeze_to": self.settings.freeze_to}
        if self.settings.epochs:
            options = {name: value for name, value in asked.items() if value}
            words = f"{self.settings.epochs} epochs at {self.settings.pixels} px, as project.toml says"
            return Tuning(encoders.imagenet(self.settings.pixels), options, words)
        minutes = self.settings.minutes / (self.settings.seeds + 1)
        try:
            plan = measure.plan(self.data.task, methods.machine(), minutes=minutes)
        except BadInput as error:
            return Tuning(None, {}, str(error.problem))
        words = (
            f"{plan.epochs} epochs at {plan.pixels} px, trained behind {plan.freeze_to}: about "
            f"{plan.seconds / 60:.1f} of {minutes:.1f} minutes each"
        )
        if plan.given_up:
            words += f"; given up for the time: {'; '.join(plan.given_up)}"
        encoder = encoders.imagenet(min(plan.pixels, max(self.data.task.train.x.shape[1], 64)))
        return Tuning(encoder, plan.options, words)

    def _sentences_plan(self) -> Tuning:
        own = {"freeze_to": self.settings.freeze_to} if self.settings.freeze_to else {}
        if self.settings.epochs:
            words = f"{self.settings.epochs} epochs, as project.toml says"
            return Tuning(self.encoder, {**own, "epochs": self.settings.epochs}, words)
        minutes = self.settings.minutes / (self.settings.seeds + 1)
        n, each = len(self.data.task.train), self._forward_seconds()
        # the lower half once; then each epoch trains the upper half
        seconds = {e: n * each * (0.5 + e * 0.5 * _STEP) for e in _LADDER}
        fitting = [e for e in _LADDER if seconds[e] <= 60 * minutes]
        if not fitting:
            return Tuning(
                None,
                {},
                f"{minutes:.1f} minutes each: the least of all fine-tunings of {n:,} sentences takes "
                f"{seconds[_LADDER[0]] / 60:.1f}.",
            )
        epochs = fitting[-1]
        words = f"{epochs} epochs, about {seconds[epochs] / 60:.1f} of {minutes:.1f} minutes each"
        return Tuning(self.encoder, {**own, "epochs": epochs}, words)

    def _forward_seconds(self) -> float:
        """Return the seconds that the encoder takes for a sentence of this task, as its cache remembers."""
        self.encoder.encode(self.data.task.train)
        each = getattr(getattr(self.encoder, "last", None), "seconds_each", None)
        return float(each) if each else 0.01
