"""How a network is fine-tuned, in one place: checked once, told in words, compared when a run is resumed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from course_lib.methods.settings import Settings
from course_lib.methods.trunk import AUGMENTATIONS

BATCH_NORM = ("frozen", "adapted", "trained")
UNFREEZE = ("at once", "gradually")
PRECISION = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """The settings of `fine_tune` for pictures; see there.

    Raises
    ------
    BadInput
        For a setting that is not among its choices or out of its range.
    """

    freeze_to: str | None = "block4"
    epochs: int = 5
    learning_rate: float = 1e-3
    depth_decay: float = 0.8
    batch_norm: str = "frozen"
    augment: str = "mirror"
    shift: int = 0
    unfreeze: str = "at once"
    precision: str = "float32"

    def __post_init__(self) -> None:
        choices = {
            "batch_norm": BATCH_NORM,
            "augment": tuple(AUGMENTATIONS),
            "unfreeze": UNFREEZE,
            "precision": PRECISION,
        }
        self._check(choices, at_least={"shift": 0})

    @property
    def views(self) -> tuple[str, ...]:
        """The views of a picture that the fit sees."""
        return AUGMENTATIONS[self.augment]

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
        return super().rate(step, steps)

    def _fallen(self, step: int, steps: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / steps))
