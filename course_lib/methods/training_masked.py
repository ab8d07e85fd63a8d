"""The steps of a masked language model: new masks in every step, and the head before the body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.methods.loop import batches
from course_lib.methods.loop_torch import TorchLoop
from course_lib.methods.masked_body import HEAD, MaskedBody
from course_lib.methods.masking import Masker
from course_lib.methods.recipe_masked import MaskedRecipe
from course_lib.methods.training_torch import bucketed


class MaskedTrainer(TorchLoop):
    """One training of a masked language model.

    Parameters
    ----------
    body : MaskedBody
        With its starting weights in place.
    recipe : MaskedRecipe
    masker : Masker
        Of the training sentences.
    moves : callable
        From a weight's name to whether it is trained.
    judge, path, digest
        As for `Loop`.
    """

    body: MaskedBody
    recipe: MaskedRecipe
    lighter = "Lower batch_size first (the result hardly changes), then the encoder's max_tokens."

    def __init__(
        self,
        body: MaskedBody,
        recipe: MaskedRecipe,
        masker: Masker,
        moves: Callable[[str], bool],
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
    ) -> None:
        body.declare(recipe)  # its dropout
        body.let_move(moves)
        self.masker, self._moves = masker, moves
        super().__init__(body, recipe, len(masker.lengths), judge, path, digest)

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of every step: a shuffled epoch in batches of similar length."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        return bucketed(batches(self.examples, self.batch_size, self.steps, rng), self.masker.lengths, rng)

    def begin(self, epoch: int, live: Any) -> dict[str, Any]:
        """Hold the body still while the head learns to read it."""
        still = epoch < self.recipe.head_epochs
        self.body.let_move(lambda name: self._moves(name) and (not still or name.startswith(f"{HEAD}/")))
        if epoch == self.recipe.head_epochs > 0:
            live.phase("the body too")
        return {"trained": "head" if still else "all"}

    def loss(self, rows: np.ndarray) -> Any:
        """Return the mean cross-entropy at masked places; masks and dropout come from seed and step alone."""
        import torch

        device, half = self.body.device, self.recipe.precision == "bfloat16"
        rng = np.random.default_rng([self.recipe.seed, self.done.step, 1])
        masked, drawn = self.masker(rows, rng), int(rng.integers(2**62))
        self.body.upper.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(drawn)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                scores = self.body.guesses(masked)
        targets = torch.from_numpy(masked.targets).to(device)
        return torch.nn.functional.cross_entropy(scores.float(), targets)

    def share(self, name: str) -> float:
        """Return the head's own rate, which is new, and the full rate for all else."""
        return self.recipe.head_rate / self.recipe.learning_rate if name.startswith(f"{HEAD}/") else 1.0

    def place(self) -> str:
        """Say how long the sentences are and how many pieces there are to guess from."""
        longest = int(self.masker.lengths.max())
        return f"of up to {longest} tokens, {len(self.body.pieces):,} pieces to guess from"
