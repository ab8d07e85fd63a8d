"""The steps of fine-tuning a sentence encoder: batches of one length, rates per layer, AdamW."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.methods.body_torch import ROWS, Source, TextBody
from course_lib.methods.loop import Loop, batches
from course_lib.methods.recipe_torch import TextRecipe
from course_lib.methods.soft_targets import torch_loss
from course_lib.methods.tuned import BIAS, KERNEL

POOL = 32
"""Batches whose examples are sorted by length together: large enough that hardly any padding is left."""


def bucketed(rows: np.ndarray, lengths: np.ndarray, rng: np.random.Generator, pool: int = POOL) -> np.ndarray:
    """Return the same rows in batches of similar length, the batches in random order.

    Parameters
    ----------
    rows : numpy.ndarray
        ``(steps, batch)`` row numbers, shuffled.
    lengths : numpy.ndarray
        Tokens of each example.
    rng : numpy.random.Generator
    pool : int
        Batches that are sorted together.

    Examples
    --------
    >>> rows, lengths = np.array([[0, 1], [2, 3]]), np.array([9, 4, 9, 4])
    >>> sorted(bucketed(rows, lengths, np.random.default_rng(0)).tolist())
    [[0, 2], [1, 3]]
    """
    size = pool * rows.shape[1]
    flat = rows.ravel()
    pools = [flat[first : first + size] for first in range(0, len(flat), size)]
    ordered = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools])
    return ordered.reshape(rows.shape)[rng.permutation(len(rows))]


def padding(rows: np.ndarray, lengths: np.ndarray) -> float:
    """Return the share of tokens in these batches that only fill up shorter examples.

    Examples
    --------
    >>> round(padding(np.array([[0, 1]]), np.array([9, 3])), 2)
    0.33
    """
    sizes = lengths[rows]
    return 1 - float(sizes.sum() / (sizes.max(axis=1) * rows.shape[1]).sum())


class TextTrainer(Loop):
    """One fit of a body's upper part; see `fine_tune`, which prepares everything and reads the result.

    Parameters
    ----------
    body : TextBody
        With its starting weights in place.
    recipe : TextRecipe
    source : Source
        Of the training examples.
    targets : numpy.ndarray
        ``(n, k)`` float32, smoothed; with a `temperature` ``(n, 2k)``, see `SoftTargets.joined`.
    sample_weight : numpy.ndarray
        ``(n,)`` float32.
    judge, path, digest
        As for `Loop`.
    temperature : float, optional
        Of a teacher's answers among the targets.
    """

    recipe: TextRecipe

    def __init__(
        self,
        body: TextBody,
        recipe: TextRecipe,
        source: Source,
        targets: np.ndarray,
        sample_weight: np.ndarray,
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
        temperature: float | None = None,
    ) -> None:
        import torch

        super().__init__(recipe, len(targets), judge, path, digest)
        self.body, self.source, self.temperature = body, source, temperature
        self.targets = torch.from_numpy(targets).to(body.device)
        self.sample_weight = torch.from_numpy(sample_weight).to(body.device)
        self.moving = body.declare(recipe)
        self.named = {name: p for name, p in body.parameters.items() if name in set(self.moving)}
        self.done.moved = set(self.moving)
        self._anchors = self._start() if recipe.l2_sp else {}
        self.optimiser = torch.optim.AdamW(self._groups(), lr=recipe.learning_rate, fused=True)

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
            kept = torch.from_numpy(value.copy()).to(self.body.device)
            self.optimiser.state[self.named[name]][what] = kept

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of every step: a shuffled epoch in batches of similar length."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        rows = batches(self.examples, self.batch_size, self.steps, rng)
        return bucketed(rows, self.source.lengths, rng)

    def begin(self, epoch: int, live: Any) -> dict[str, Any]:
        """Say how much padding the epoch's batches hold."""
        return {"padding": padding(self.order(epoch), self.source.lengths)}

    def learn(self, rows: np.ndarray, rate: float) -> float:
        """Take one gradient step; dropout is drawn from the seed and the step's number."""
        import torch

        loss = self.loss(rows)
        loss.backward()
        self._pull()
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.named.values(), self.recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.detach())

    def loss(self, rows: np.ndarray) -> Any:
        """Return the weighted cross-entropy of a batch, in training mode, as a torch scalar."""
        import torch

        body, device = self.body, self.body.device
        half = self.recipe.precision == "bfloat16"
        drawn = int(np.random.default_rng([self.recipe.seed, self.done.step, 1]).integers(2**62))
        body.upper.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(drawn)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                features = body.features(self.source(rows))
        logits = torch.addmm(body.bias, features.float(), body.kernel)
        chosen = torch.from_numpy(rows).to(device)
        if self.temperature is None:
            per_row = -(self.targets[chosen] * torch.log_softmax(logits, dim=1)).sum(dim=1)
        else:
            per_row = torch_loss(logits, self.targets[chosen], self.temperature)
        return (per_row * self.sample_weight[chosen]).mean()

    def place(self) -> str:
        """Say how long the examples are and where training begins."""
        first = "the embeddings" if self.body.cut is None else f"layer {self.body.cut}"
        return f"of up to {int(self.source.lengths.max())} tokens, trained from {first} on"

    def end(self) -> None:
        """Say that the network holds nobody's weights, and let its gradients go."""
        self.body.holds = None
        self.optimiser.zero_grad()

    def _groups(self) -> list[dict[str, Any]]:
        """Return AdamW's groups: of one rate and one weight decay each."""
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in self.named.items():
            decay = self.recipe.weight_decay if _decays(name) else 0.0
            groups.setdefault((self._share(name), decay), []).append(parameter)
        return [
            {"params": params, "share": share, "weight_decay": decay}
            for (share, decay), params in groups.items()
        ]

    def _share(self, name: str) -> float:
        """Return a weight's share of the rate: 1 for the last layer, times the decay per layer below."""
        block = name.partition("/")[0]
        if name in (KERNEL, BIAS):
            below = 0
        elif block.startswith("layer"):
            below = self.body.depth - int(block.removeprefix("layer"))
        else:
            below = self.body.depth + 1
        return float(self.recipe.depth_decay**below)

    def _start(self) -> dict[str, Any]:
        """Return what L2-SP pulls to: the start, for a random last layer zero."""
        start = {name: parameter.detach().clone() for name, parameter in self.named.items()}
        if self.recipe.init == "random":
            start[KERNEL].zero_()
        return start

    def _pull(self) -> None:
        """Add the gradient of the L2-SP penalty ``strength / 2 · ‖w - anchor‖²``."""
        for name, anchor in self._anchors.items():
            parameter = self.named[name]
            parameter.grad.add_(parameter.detach() - anchor, alpha=self.recipe.l2_sp)


def _decays(name: str) -> bool:
    """Tell whether weight decay applies: not to biases and normalisations, nor to rows of embeddings.

    Examples
    --------
    >>> _decays("layer3/output.dense.weight"), _decays("layer3/output.LayerNorm.weight"), _decays(ROWS)
    (True, False, False)
    """
    return not (name.endswith("bias") or "LayerNorm" in name or name == ROWS)
