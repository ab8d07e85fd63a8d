"""The steps of fine-tuning a picture network: where batches come from, what is compiled, which rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.methods import networks
from course_lib.methods.body import Body
from course_lib.methods.loop import Loop
from course_lib.methods.recipe import Recipe
from course_lib.methods.soft_targets import keras_loss
from course_lib.methods.trunk import VIEWS

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


class Trainer(Loop):
    """One fit of a body's upper part; see `fine_tune`, which prepares everything and reads the result.

    Parameters
    ----------
    body : Body
        With its starting weights in place.
    recipe : Recipe
    source : callable
        A `Source`, or what else turns rows and a generator into a batch.
    targets : numpy.ndarray
        ``(n, k)`` float32, smoothed; with a `temperature` ``(n, 2k)``, see `SoftTargets.joined`.
    sample_weight : numpy.ndarray
        ``(n,)`` float32.
    judge, path, digest
        As for `Loop`.
    temperature : float, optional
        Of a teacher's answers among the targets.
    """

    recipe: Recipe
    lighter = "Lower batch_size first (the result hardly changes), then pixels, or freeze more."

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
        temperature: float | None = None,
    ) -> None:
        super().__init__(recipe, len(targets), judge, path, digest)
        self.body, self.source, self.temperature = body, source, temperature
        self.targets, self.sample_weight = targets, sample_weight
        self.anchor = body.current()
        self._resumed: dict[str, np.ndarray] | None = None
        self._token = object()  # whose compilation the body has; an id could be given again

    def current(self) -> dict[str, np.ndarray]:
        """Return copies of the weights and statistics behind the cut."""
        return self.body.current()

    def optimiser_state(self) -> dict[str, np.ndarray]:
        """Return copies of the optimiser's variables, by number."""
        return {str(n): np.array(v.numpy()) for n, v in enumerate(self.body.upper.optimizer.variables)}

    def restore(self, weights: Mapping[str, np.ndarray], optimiser: dict[str, np.ndarray]) -> None:
        """Put weights back now, and the optimiser when it is compiled."""
        networks.assign(self.body.model, weights, self.body.names)
        self._resumed = optimiser
        if self.done.step % self.steps == 0 and self._phase_begins(len(self.done.history)):
            self._resumed = None  # the next epoch trains other blocks, with an optimiser of its own

    def begin(self, epoch: int, live: Any) -> dict[str, Any]:
        """Compile where other blocks are trained from this epoch on."""
        blocks = self._blocks(epoch)
        if self._compile(blocks) and self.recipe.unfreeze == "gradually":
            live.phase(f"{blocks[0]} and above")
        return {"blocks": len(blocks)}

    def learn(self, rows: np.ndarray, rate: float) -> float:
        """Take one gradient step."""
        model = self.body.upper
        model.optimizer.learning_rate = rate
        x = self.source(rows, np.random.default_rng([self.recipe.seed, self.done.step, 1]))
        model.reset_metrics()
        return float(model.train_on_batch(x, self.targets[rows], self.sample_weight[rows]))

    def place(self) -> str:
        """Say how large the pictures are and where training begins."""
        return f"at {self.body.trunk.pixels} px, trained from {self.body.blocks[0]} on"

    def end(self) -> None:
        """Say that the network holds nobody's weights."""
        self.body.holds = None

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
        key = (blocks, recipe.batch_norm, recipe.depth_decay, self.batch_size, self.temperature)
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
            plain = keras.losses.CategoricalCrossentropy(from_logits=True)
            loss = plain if self.temperature is None else keras_loss(self.temperature)
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

    def _phase_begins(self, epoch: int) -> bool:
        return 0 < epoch < self.recipe.epochs and self._blocks(epoch) != self._blocks(epoch - 1)


def _pulled(body: Body) -> bool:
    """Tell whether an earlier fit's L2-SP penalty is compiled in."""
    return any(v.regularizer is not None for v in body.upper.trainable_variables)


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
