"""What every fine-tuning can be told, of pictures or of sentences: checked once, compared when resumed."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from course_lib.errors import BadInput

INIT = ("probe", "random")

RANGES = {
    "learning_rate": (0.0, math.inf),
    "depth_decay": (0.0, 1.0),
    "l2_sp": (0.0, math.inf),
    "warmup": (0.0, 0.9),
    "label_smoothing": (0.0, 0.9),
}
"""Lowest and highest value of the settings that both kinds share."""

NOT_ZERO = ("learning_rate", "depth_decay")


@dataclass(frozen=True, kw_only=True)
class Settings(ABC):
    """The settings that `Recipe` and `TextRecipe` share; see `fine_tune` for what they mean.

    Raises
    ------
    BadInput
        For a setting that is not among its choices or out of its range.
    """

    init: str = "probe"
    epochs: int
    batch_size: int = 32
    learning_rate: float
    depth_decay: float
    warmup: float = 0.1
    l2_sp: float = 0.0
    label_smoothing: float = 0.1
    class_weight: str | tuple[float, ...] | None = None
    patience: int | None = None
    cache_trunk: bool = True
    seed: int = 0

    def _check(
        self,
        choices: Mapping[str, Sequence[str]],
        at_least: Mapping[str, int] | None = None,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Hold the settings against what is allowed, the shared ones included."""
        for name, allowed in {"init": INIT, **choices}.items():
            if getattr(self, name) not in allowed:
                raise BadInput(f"{name}={getattr(self, name)!r}.", f"Choose one of {', '.join(allowed)}.")
        for name, least in {"epochs": 1, "batch_size": 1, **(at_least or {})}.items():
            if getattr(self, name) != int(getattr(self, name)) or getattr(self, name) < least:
                raise BadInput(f"{name}={getattr(self, name)}.", f"Give a whole number, at least {least}.")
        if self.patience is not None and self.patience < 1:
            raise BadInput(f"patience={self.patience}.", "Give 1 or more epochs, or None to run all.")
        for name, (low, high) in {**RANGES, **(ranges or {})}.items():
            value = getattr(self, name)
            within = math.isfinite(value) and low <= value <= high
            if not within or (value == 0 and name in NOT_ZERO):
                raise BadInput(f"{name}={value}.", f"Give a number from {low:g} to {high:g}.")

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0: linear warm-up, then down to zero."""
        warm = max(1, round(self.warmup * steps)) if self.warmup else 0
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * self._fallen(step - warm, max(1, steps - warm))

    @abstractmethod
    def _fallen(self, step: int, steps: int) -> float:
        """Return the share of the highest rate that is left after `step` of `steps` behind the warm-up."""

    def digest(self, *more: Any) -> str:
        """Return a fingerprint of the settings and of whatever else a run depends on."""
        content = json.dumps([asdict(self), *more], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def changed(self) -> str:
        """Return the settings that differ from the default, in words."""
        given = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(given) or "the default settings"
