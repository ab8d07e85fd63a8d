"""The loop of fine-tuning: steps, schedules, checkpoints, and what happens when something goes wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.errors import Diverged, OutOfMemory
from course_lib.methods import checkpoint, networks
from course_lib.methods.body import Body
from course_lib.methods.recipe import Recipe
from course_lib.methods.trunk import VIEWS

CHECKPOINT_EVERY = 60.0
"""Seconds after which a checkpoint is written within an epoch; at its end always."""

PHASES = 3
"""Of gradual unfreezing: a third of the blocks, two thirds, all."""


class Source:
    """Training batches for the part behind the cut.

    Parameters
    ----------
    body : Body
    x : numpy.ndarray
        Pictures ``(n, height, width, channels)`` uint8.
    recipe : Recipe
        Views, shift, and whether the trunk is cached.
    """

    def __init__(self, body: Body, x: np.ndarray, recipe: Recipe) -> None:
        self._trunk, self._x, self._views, self._shift = body.trunk, x, recipe.views, recipe.shift
        self._kept = body.trunk.activations(x, recipe.views) if cached(recipe) else None

    def __call__(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what the trained part takes, ``(batch, ...)`` float32, each row in a view drawn by `rng`."""
        drawn = rng.integers(len(self._views), size=len(rows))
        if self._kept is not None:
            return self._trunk.restored(self._kept[drawn, rows])
        pictures = np.stack(
            [self._seen(self._x[row], view, rng) for row, view in zip(rows, drawn, strict=True)]
        )
        size = self._trunk.batch
        return np.concatenate([self._trunk(pictures[i : i + size]) for i in range(0, len(pictures), size)])

    def _seen(self, picture: np.ndarray, view: int, rng: np.random.Generator) -> np.ndarray:
        turned: np.ndarray = VIEWS[self._views[view]](picture[None])[0]
        if not self._shift:
            return turned
        reach = self._shift
        wide = np.pad(turned, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
        top, left = rng.integers(2 * reach + 1, size=2)
        return np.asarray(wide[top : top + turned.shape[0], left : left + turned.shape[1]])


def cached(recipe: Recipe) -> bool:
    """Tell whether activations of the trunk can be kept: there is one, and pictures do not shift."""
    return recipe.cache_trunk and recipe.freeze_to is not None and not recipe.shift


def batches(n: int, size: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers ``(steps, min(size, n))`` int64: shuffled epochs, one after the other.

    Examples
    --------
    >>> rows = batches(5, 2, 3, np.random.default_rng(0))
    >>> rows.shape, sorted(set(rows.ravel().tolist()))
    ((3, 2), [0, 1, 2, 3, 4])
    """
    size = min(size, n)
    epochs = math.ceil(steps * size / n)
    rows = np.concatenate([rng.permutation(n) for _ in range(epochs)])
    return rows[: steps * size].reshape(steps, size)


@dataclass
class Progressed:
    """What a fit has come to; the part of it that a checkpoint keeps."""

    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: tuple[float, float] = (-1.0, -math.inf)
    best: dict[str, np.ndarray] = field(default_factory=dict)
    spent: float = 0.0
    interrupted: bool = False
    moved: set[str] = field(default_factory=set)


class Trainer:
    """One fit of a body's upper part; see `fine_tune`, which prepares everything and reads the result.

    Parameters
    ----------
    body : Body
        With its starting weights in place.
    recipe : Recipe
    source : callable
        A `Source`, or what else turns rows and a generator into a batch.
    targets : numpy.ndarray
        ``(n, k)`` float32, smoothed.
    sample_weight : numpy.ndarray
        ``(n,)`` float32.
    judge : callable
        From nothing to (accuracy, log-loss) on validation, with the weights of now.
    path : pathlib.Path or None
        The checkpoint.
    digest : str
        Of everything that the run depends on.
    """

    def __init__(
        self,
        body: Body,
        recipe: Recipe,
        source: Callable[[np.ndarray, np.random.Generator], np.ndarray],
        targets: np.ndarray,
        sample_weight: np.ndarray,
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
    ) -> None:
        self.body, self.recipe, self.source, self.judge = body, recipe, source, judge
        self.targets, self.sample_weight = targets, sample_weight
        self.path, self.digest = path, digest
        self.anchor = body.current()
        self.batch_size = min(recipe.batch_size, len(targets))
        self.steps = math.ceil(len(targets) / self.batch_size)
        self.done = Progressed()
        self._resumed: dict[str, np.ndarray] | None = None
        self._token = object()  # whose compilation the body has; an id could be given again
        self._saved = time.monotonic()

    def run(self, live: Any) -> Progressed:
        """Train to the end, to the patience's end, or until interrupted; resume where a checkpoint stands."""
        began = time.perf_counter()
        self._resume()
        earlier = self.done.spent
        if not self.done.best:
            accuracy, loss = self.judge()
            self.done.best, self.done.best_score = self.body.current(), (accuracy, -loss)
        for record in self.done.history:
            live.update(record)
        try:
            while not self._finished():
                self._epoch(live, began - earlier)
        except KeyboardInterrupt:
            self.done.interrupted = True
        self.done.spent = earlier + time.perf_counter() - began
        self.body.holds = None
        return self.done

    def _finished(self) -> bool:
        epochs, patience = len(self.done.history), self.recipe.patience
        waited = epochs - self.done.best_epoch
        return epochs >= self.recipe.epochs or (patience is not None and waited >= patience)

    def _epoch(self, live: Any, began: float) -> None:
        """Train one epoch, or the rest of it, judge it, and write it down."""
        done, number = self.done, len(self.done.history)
        start = time.perf_counter()
        blocks = self._blocks(number)
        if self._compile(blocks) and self.recipe.unfreeze == "gradually":
            live.phase(f"{blocks[0]} and above")
        rng = np.random.default_rng([self.recipe.seed, number])
        rows = batches(len(self.targets), self.batch_size, self.steps, rng)
        first = done.step - number * self.steps
        for step in range(first, self.steps):
            self._step(rows[step])
            live.step(step + 1, self.steps)
            if self.path and step + 1 < self.steps and time.monotonic() - self._saved > CHECKPOINT_EVERY:
                self._save(began)
        accuracy, loss = self.judge()
        record = {
            "epoch": number + 1,
            "seconds": time.perf_counter() - start,
            "learning_rate": self.recipe.rate(done.step - 1, self.recipe.epochs * self.steps),
            "loss": done.loss_sum / self.steps,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "blocks": len(blocks),
        }
        done.history.append(record)
        done.loss_sum = 0.0
        if (accuracy, -loss) > done.best_score:
            done.best_score, done.best_epoch, done.best = (accuracy, -loss), number + 1, self.body.current()
        live.update(record)
        if self.path:
            self._save(began)

    def _step(self, rows: np.ndarray) -> None:
        """Take one gradient step; what it draws depends on the seed and the step's number alone."""
        done, model = self.done, self.body.upper
        rate = self.recipe.rate(done.step, self.recipe.epochs * self.steps)
        model.optimizer.learning_rate = rate
        x = self.source(rows, np.random.default_rng([self.recipe.seed, done.step, 1]))
        model.reset_metrics()
        try:
            loss = float(model.train_on_batch(x, self.targets[rows], self.sample_weight[rows]))
        except Exception as error:
            if not _memory_ran_out(error):
                raise
            raise OutOfMemory(
                f"Memory ran out in step {done.step + 1}: batches of {len(rows)} at "
                f"{self.body.trunk.pixels} px, trained from {self.body.blocks[0]} on.",
                "Lower batch_size first (the result hardly changes), then pixels, or freeze more.",
            ) from error
        if not math.isfinite(loss):
            raise Diverged(
                f"The loss became {loss} in step {done.step + 1} of {self.recipe.epochs * self.steps}, at a "
                f"learning rate of {rate:.2g}. The weights of epoch {done.best_epoch} are kept.",
                "Lower learning_rate by a factor of 3 to 10, or lengthen warmup. The last good classifier is "
                "this error's `last_good`.",
            )
        done.step += 1
        done.loss_sum += loss

    def _blocks(self, epoch: int) -> tuple[str, ...]:
        """Return the blocks that are trained in an epoch."""
        if self.recipe.unfreeze == "at once":
            return self.body.blocks
        phases = min(PHASES, self.recipe.epochs)
        return self.body.phase((1 + epoch * phases // self.recipe.epochs) / phases)

    def _compile(self, blocks: tuple[str, ...]) -> bool:
        """Compile for training `blocks`, where the compiled model is another; return whether it was."""
        import keras

        body, recipe = self.body, self.recipe
        key = (blocks, recipe.batch_norm, recipe.depth_decay, self.batch_size)
        mine = (*key, self._token)
        if body.compiled == mine:
            return False
        moving = body.declare(blocks, recipe.batch_norm)
        self.done.moved |= set(moving)
        if body.compiled is None or body.compiled[:-1] != key or recipe.l2_sp or _pulled(body):
            variables = {id(v): n for n, v in networks.named_variables(body.model).items()}
            names = [variables[id(v)] for v in body.upper.trainable_variables]
            self._pull(body.upper.trainable_variables, names)
            optimiser = _per_depth(self._rates(names))
            loss = keras.losses.CategoricalCrossentropy(from_logits=True)
            body.upper.compile(optimiser, loss, jit_compile=False)
            optimiser.build(body.upper.trainable_variables)
        for variable in body.upper.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        body.compiled = mine
        if self._resumed is not None:
            for n, variable in enumerate(body.upper.optimizer.variables):
                variable.assign(self._resumed[str(n)])
            self._resumed = None
        return True

    def _rates(self, names: list[str]) -> list[float]:
        """Return each variable's share of the rate: 1 at the top, times the decay per block below."""
        depth = {block: k for k, block in enumerate(reversed(self.body.blocks))}
        return [self.recipe.depth_decay ** depth[networks.block_of(n.partition("/")[0])] for n in names]

    def _pull(self, variables: list[Any], names: list[str]) -> None:
        """Add the L2-SP penalty, or take an earlier fit's away."""
        for variable, name in zip(variables, names, strict=True):
            fresh = name.startswith(networks.CLASSIFIER) and self.recipe.init == "random"
            anchor = np.zeros_like(self.anchor[name]) if fresh else self.anchor[name]
            variable.regularizer = _l2_sp(anchor, self.recipe.l2_sp) if self.recipe.l2_sp else None

    def _save(self, began: float) -> None:
        assert self.path is not None
        done = self.done
        optimiser = {str(n): np.array(v.numpy()) for n, v in enumerate(self.body.upper.optimizer.variables)}
        meta = {
            "step": done.step,
            "loss_sum": done.loss_sum,
            "history": done.history,
            "best_epoch": done.best_epoch,
            "best_score": list(done.best_score),
            "spent": time.perf_counter() - began,
            "moved": sorted(done.moved),
        }
        arrays = {"now": self.body.current(), "best": done.best, "optimiser": optimiser}
        checkpoint.save(self.path, checkpoint.State(arrays, meta), self.digest)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        """Go back to where a checkpoint of the same run stands, if there is one."""
        state = checkpoint.load(self.path, self.digest) if self.path else None
        if state is None:
            return
        meta = state.meta
        networks.assign(self.body.model, state.arrays["now"], self.body.names)
        self._resumed = state.arrays["optimiser"]
        self.done = Progressed(
            step=meta["step"],
            loss_sum=meta["loss_sum"],
            history=meta["history"],
            best_epoch=meta["best_epoch"],
            best_score=(meta["best_score"][0], meta["best_score"][1]),
            best=state.arrays["best"],
            spent=meta["spent"],
            moved=set(meta["moved"]),
        )
        if self.done.step % self.steps == 0 and self._phase_begins(len(self.done.history)):
            self._resumed = None  # the next epoch trains other blocks, with an optimiser of its own

    def _phase_begins(self, epoch: int) -> bool:
        return 0 < epoch < self.recipe.epochs and self._blocks(epoch) != self._blocks(epoch - 1)


def _pulled(body: Body) -> bool:
    """Tell whether an earlier fit's L2-SP penalty is compiled in."""
    return any(v.regularizer is not None for v in body.upper.trainable_variables)


def _memory_ran_out(error: BaseException) -> bool:
    """Recognise the errors that backends raise when memory runs out."""
    kind = type(error).__name__
    return isinstance(error, MemoryError) or kind in ("ResourceExhaustedError", "OutOfMemoryError")


def _per_depth(rates: list[float]) -> Any:
    """Return Adam whose rate for each variable is multiplied by its share (Howard & Ruder, 2018)."""
    import keras

    class PerDepthAdam(keras.optimizers.Adam):  # type: ignore[misc]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            share = rates[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * share)

    return PerDepthAdam()


def _l2_sp(anchor: np.ndarray, strength: float) -> Any:
    """Return the penalty ``strength / 2 · ‖w - anchor‖²``."""
    import keras

    class L2SP(keras.regularizers.Regularizer):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            apart = keras.ops.subtract(x, keras.ops.convert_to_tensor(anchor))
            return 0.5 * strength * keras.ops.sum(keras.ops.square(apart))

    return L2SP()
