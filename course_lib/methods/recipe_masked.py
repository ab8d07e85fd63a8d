"""How a masked language model is trained: what `TextRecipe` says, and what is masked."""

from __future__ import annotations

from dataclasses import dataclass

from course_lib.errors import BadInput
from course_lib.methods.recipe_torch import TextRecipe


@dataclass(frozen=True, kw_only=True)
class MaskedRecipe(TextRecipe):
    """The settings of `continued_mlm`, `mlm_head` and `new_vocabulary`; see there.

    Raises
    ------
    BadInput
        For a setting that is not among its choices or out of its range.
    """

    learning_rate: float = 5e-5
    mask_share: float = 0.15
    head_epochs: int = 1
    head_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mask_share < 1:
            raise BadInput(f"mask_share={self.mask_share}.", "Give a number between 0 and 1; 0.15 is usual.")
        if not self.head_rate > 0:
            raise BadInput(f"head_rate={self.head_rate}.", "Give a number above 0.")
        if not 0 <= self.head_epochs <= self.epochs:
            raise BadInput(
                f"head_epochs={self.head_epochs} of {self.epochs} epochs.", f"Give 0 to {self.epochs}."
            )
