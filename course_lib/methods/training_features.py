"""A sentence encoder trained until its features, through a linear map, are those of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput
from course_lib.measure.audit import Audit, audit
from course_lib.methods.align import AffineMap
from course_lib.methods.body_torch import Source, TextBody, tuned_network
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import Data
from course_lib.methods.fine_tune_torch import device_of
from course_lib.methods.loop import batches, carry_out
from course_lib.methods.loop_torch import TorchLoop
from course_lib.methods.recipe_torch import EMBEDDINGS, TextRecipe
from course_lib.methods.training_torch import bucketed
from course_lib.methods.tuned import BIAS, KERNEL

HELD_OUT = 0.1
"""Share of the examples that judge the epochs."""

_NOT_HERE = (
    "init",
    "trains",
    "embeddings",
    "rank",
    "alpha",
    "targets",
    "class_weight",
    "label_smoothing",
    "l2_sp",
)


@dataclass(frozen=True, eq=False)
class Learnt:
    """What came of it: the trained encoder, the map behind it, and its story."""

    encoder: TextEncoder
    map: AffineMap
    explained: float
    history: tuple[dict[str, Any], ...]
    seconds: float


class FeatureTrainer(TorchLoop):
    """One training by the mean squared error, in units of the targets' mean variance.

    Parameters
    ----------
    body : TextBody
        Its last layer is the map; declared.
    recipe : TextRecipe
    source : Source
        Of the training sentences.
    targets : numpy.ndarray
        ``(n, e)`` float32.
    judge, path, digest
        As for `Loop`.
    """

    def __init__(
        self,
        body: TextBody,
        recipe: TextRecipe,
        source: Source,
        targets: np.ndarray,
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
    ) -> None:
        import torch

        super().__init__(body, recipe, len(targets), judge, path, digest)
        self.source = source
        self.targets = torch.from_numpy(targets).to(body.device)
        self.unit = float(targets.var(axis=0).mean())

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of every step: a shuffled epoch in batches of similar length."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        return bucketed(batches(self.examples, self.batch_size, self.steps, rng), self.source.lengths, rng)

    def loss(self, rows: np.ndarray) -> Any:
        """Return a batch's mean squared error over the mean variance; dropout from seed and step alone."""
        import torch

        device, half = self.body.device, self.recipe.precision == "bfloat16"
        drawn = int(np.random.default_rng([self.recipe.seed, self.done.step, 1]).integers(2**62))
        self.body.upper.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(drawn)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                features = self.body.features(self.source(rows))
        said = torch.addmm(self.body.bias, features.float(), self.body.kernel)
        return ((said - self.targets[torch.from_numpy(rows).to(device)]) ** 2).mean() / self.unit

    def share(self, name: str) -> float:
        """Return a weight's share of the rate: the decay per layer below the map."""
        block = name.partition("/")[0]
        if name in (KERNEL, BIAS):
            return 1.0
        below = (
            self.body.depth - int(block.removeprefix("layer"))
            if block.startswith("layer")
            else self.body.depth + 1
        )
        return float(self.recipe.depth_decay**below)

    def place(self) -> str:
        """Say how long the sentences are."""
        return f"of up to {int(self.source.lengths.max())} tokens"


def train_features(
    encoder: TextEncoder,
    examples: Data,
    teacher: np.ndarray,
    start: AffineMap,
    name: str,
    settings: dict[str, Any],
) -> Learnt:
    """Train a student from the map that ridge regression found; see `distill_features`.

    A tenth of the examples is held out, by the seed, and judges the epochs: the highest share of the
    teacher's variance that is explained there is kept, the start counting as epoch 0.

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed.
    examples : Split or numpy.ndarray
    teacher : numpy.ndarray
        ``(n, e)`` features to be met.
    start : AffineMap
    name : str
    settings : dict
        Of `TextRecipe`, and ``checkpoint``.
    """
    settings = dict(settings)
    path = settings.pop("checkpoint", None)
    allowed = [f.name for f in fields(TextRecipe) if f.name not in _NOT_HERE]
    for setting in settings:
        if setting not in allowed:
            raise BadInput(
                f"{setting} is no setting here.", f"There are: {', '.join([*allowed, 'checkpoint'])}."
            )
    settings["device"] = device_of(settings.get("device"))
    recipe = TextRecipe(**{"freeze_to": EMBEDDINGS, "learning_rate": 1e-4, "weight_decay": 0.0, **settings})
    tokens = encoder.tokenized(examples)
    n = len(tokens.ids)
    order = np.random.default_rng([recipe.seed, 3]).permutation(n)
    held = max(1, round(HELD_OUT * n))
    rows, rows_val = np.sort(order[held:]), np.sort(order[:held])
    body = TextBody(encoder, recipe, teacher.shape[1])
    assert start.matrix is not None
    body.assign({KERNEL: start.matrix, BIAS: start.shift - start.centre @ start.matrix})
    body.declare(recipe)
    source, source_val = (
        Source(body, tokens.take(part), keep=recipe.cache_trunk) for part in (rows, rows_val)
    )
    goal, spread = teacher[rows_val], teacher[rows].mean(axis=0)

    def judged() -> tuple[float, float]:
        missed = float(((body.logits(source_val) - goal) ** 2).sum() / ((goal - spread) ** 2).sum())
        return 1 - missed, missed

    digest = recipe.digest(
        encoder.key, fingerprint({"tokens": np.concatenate(tokens.ids), "teacher": teacher})
    )
    trainer = FeatureTrainer(
        body, recipe, source, teacher[rows], judged, None if path is None else Path(path), digest
    )
    before = body.evidence(trainer.moving)

    def finished(_: Audit) -> Learnt:
        done = trainer.done
        kept = dict(done.best)
        map = AffineMap(np.zeros(encoder.dim), kept.pop(KERNEL), kept.pop(BIAS))
        return Learnt(
            _as_encoder(encoder, kept, name), map, done.best_score[0], tuple(done.history), done.spent
        )

    return carry_out(
        trainer, name, lambda: audit(before, body.evidence(trainer.moving), trained=trainer.moving), finished
    )


def _as_encoder(before: TextEncoder, own: dict[str, np.ndarray], name: str) -> TextEncoder:
    return TextEncoder(
        name,
        source=f"{before.source}-{fingerprint(own)}",
        load=lambda: Loaded(tuned_network(before, own, None), before.tokenizer),
        width=before.width,
        depth=before.depth,
        layer=before.layer,
        pooling=before.pooling,
        max_tokens=before.max_tokens,
        prefix=before.prefix,
    )
