"""How a network is fine-tuned, in one place: checked once, told in words, compared when a run is resumed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from course_lib.errors import BadInput
from course_lib.methods.trunk import AUGMENTATIONS

BATCH_NORM = ("frozen", "adapted", "trained")
UNFREEZE = ("at once", "gradually")
INIT = ("probe", "random")
PRECISION = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Recipe:
    """The settings of `fine_tune`; see there.

    Raises
    ------
    BadInput
        For a setting that is not among its choices or out of its range.
    """

    freeze_to: str | None = "block4"
    init: str = "probe"
    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-3
    depth_decay: float = 0.8
    warmup: float = 0.1
    l2_sp: float = 0.0
    label_smoothing: float = 0.1
    batch_norm: str = "frozen"
    augment: str = "mirror"
    shift: int = 0
    unfreeze: str = "at once"
    class_weight: str | tuple[float, ...] | None = None
    patience: int | None = None
    precision: str = "float32"
    cache_trunk: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        choices: dict[str, Sequence[str]] = {
            "init": INIT,
            "batch_norm": BATCH_NORM,
            "augment": tuple(AUGMENTATIONS),
            "unfreeze": UNFREEZE,
            "precision": PRECISION,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise BadInput(f"{name}={getattr(self, name)!r}.", f"Choose one of {', '.join(allowed)}.")
        at_least = {"epochs": 1, "batch_size": 1, "shift": 0}
        for name, least in at_least.items():
            if getattr(self, name) != int(getattr(self, name)) or getattr(self, name) < least:
                raise BadInput(f"{name}={getattr(self, name)}.", f"Give a whole number, at least {least}.")
        if self.patience is not None and self.patience < 1:
            raise BadInput(f"patience={self.patience}.", "Give 1 or more epochs, or None to run all.")
        ranges = {
            "learning_rate": (0.0, math.inf),
            "depth_decay": (0.0, 1.0),
            "l2_sp": (0.0, math.inf),
            "warmup": (0.0, 0.9),
            "label_smoothing": (0.0, 0.9),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high) or (
                value == 0 and name in ("learning_rate", "depth_decay")
            ):
                raise BadInput(f"{name}={value}.", f"Give a number from {low:g} to {high:g}.")

    @property
    def views(self) -> tuple[str, ...]:
        """The views of a picture that the fit sees."""
        return AUGMENTATIONS[self.augment]

    def digest(self, *more: Any) -> str:
        """Return a fingerprint of the settings and of whatever else a run depends on."""
        content = json.dumps([asdict(self), *more], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def rate(self, step: int, steps: int) -> float:
        r"""Return the learning rate of a step: linear warm-up, then half a cosine down to zero.

        .. math:: \eta_t = \eta \min\bigl(\tfrac{t+1}{w}, \tfrac12 (1 + \cos \pi \tfrac{t-w}{T-w})\bigr)

        with w warm-up steps of T (Loshchilov & Hutter, 2017, "SGDR"; Goyal et al., 2017).

        Examples
        --------
        >>> recipe = Recipe(learning_rate=1.0, warmup=0.2)
        >>> [round(recipe.rate(t, 10), 2) for t in range(10)]
        [0.5, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04]
        """
        warm = max(1, round(self.warmup * steps)) if self.warmup else 0
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    def changed(self) -> str:
        """Return the settings that differ from the default, in words."""
        given = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(given) or "the default settings"
