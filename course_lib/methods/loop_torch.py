"""The loop of training in PyTorch: AdamW, one rate per weight, and what a checkpoint keeps of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.methods.body_torch import ROWS, TextBody
from course_lib.methods.loop import Loop
from course_lib.methods.recipe_torch import TextRecipe


class TorchLoop(Loop):
    """One training of a body by AdamW (Loshchilov & Hutter, 2019); what is learnt is the `loss`.

    Parameters
    ----------
    body : TextBody
        With its starting weights in place, and trainable what is to be trained.
    recipe : TextRecipe
    n : int
        Training examples.
    judge, path, digest
        As for `Loop`.
    """

    recipe: TextRecipe

    def __init__(
        self,
        body: TextBody,
        recipe: TextRecipe,
        n: int,
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
    ) -> None:
        import torch

        super().__init__(recipe, n, judge, path, digest)
        self.body = body
        self.named = {name: p for name, p in body.parameters.items() if p.requires_grad}
        self.moving = tuple(self.named)
        self.done.moved = set(self.moving)
        self.optimiser = torch.optim.AdamW(self._groups(), lr=recipe.learning_rate, fused=True)

    @abstractmethod
    def loss(self, rows: np.ndarray) -> Any:
        """Return the loss of a batch, in training mode, as a torch scalar."""

    @abstractmethod
    def share(self, name: str) -> float:
        """Return a weight's share of the rate."""

    def current(self) -> dict[str, np.ndarray]:
        """Return copies of the weights that are trained."""
        return self.body.current(self.moving)

    def optimiser_state(self) -> dict[str, np.ndarray]:
        """Return copies of AdamW's moments and step counts, by weight."""
        return {
            f"{what}|{name}": value.cpu().numpy().copy()
            for name, parameter in self.named.items()
            for what, value in self.optimiser.state[parameter].items()
        }

    def restore(self, weights: Mapping[str, np.ndarray], optimiser: dict[str, np.ndarray]) -> None:
        """Put weights and moments back."""
        import torch

        self.body.assign(weights)
        for key, value in optimiser.items():
            what, _, name = key.partition("|")
            # AdamW's fused steps want their moments beside the weights
            self.optimiser.state[self.named[name]][what] = torch.tensor(value, device=self.body.device)

    def learn(self, rows: np.ndarray, rate: float) -> float:
        """Take one gradient step."""
        import torch

        loss = self.loss(rows)
        loss.backward()
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.named.values(), self.recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def end(self) -> None:
        """Say that the network holds nobody's weights, and let its gradients go."""
        self.body.holds = None
        self.optimiser.zero_grad()

    def _groups(self) -> list[dict[str, Any]]:
        """Return AdamW's groups: of one rate and one weight decay each."""
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in self.named.items():
            decay = self.recipe.weight_decay if decays(name) else 0.0
            groups.setdefault((self.share(name), decay), []).append(parameter)
        return [
            {"params": params, "share": share, "weight_decay": decay}
            for (share, decay), params in groups.items()
        ]


def decays(name: str) -> bool:
    """Tell whether weight decay applies: not to biases and normalisations, nor to rows of embeddings.

    Examples
    --------
    >>> decays("layer3/output.dense.weight"), decays("layer3/output.LayerNorm.weight"), decays(ROWS)
    (True, False, False)
    """
    return not (name.endswith("bias") or "LayerNorm" in name or name == ROWS)
