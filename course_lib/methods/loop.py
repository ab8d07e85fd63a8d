"""The loop of fine-tuning, the same for both frameworks: epochs, checkpoints, and what goes wrong."""

from __future__ import annotations

import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import Diverged, OutOfMemory
from course_lib.measure.audit import Audit
from course_lib.methods import checkpoint
from course_lib.methods.settings import Settings

CHECKPOINT_EVERY = 60.0
"""Seconds after which a checkpoint is written within an epoch; at its end always."""

Result = TypeVar("Result")


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


class Loop(ABC):
    """One fit, apart from the framework that takes its steps.

    Parameters
    ----------
    recipe : Settings
    n : int
        Training examples.
    judge : callable
        From nothing to (accuracy, log-loss) on validation, with the weights of now.
    path : pathlib.Path or None
        The checkpoint.
    digest : str
        Of everything that the run depends on.

    Attributes
    ----------
    done : Progressed
    """

    lighter = "Lower batch_size first (the result hardly changes), or freeze more."
    """What to do when memory runs out."""

    def __init__(
        self,
        recipe: Settings,
        n: int,
        judge: Callable[[], tuple[float, float]],
        path: Path | None,
        digest: str,
    ) -> None:
        self.recipe, self.examples, self.judge = recipe, n, judge
        self.path, self.digest = path, digest
        self.batch_size = min(recipe.batch_size, n)
        self.steps = math.ceil(n / self.batch_size)
        self.done = Progressed()
        self._saved = time.monotonic()

    # -- what a framework does --------------------

    @abstractmethod
    def current(self) -> dict[str, np.ndarray]:
        """Return copies of the weights that are trained."""

    @abstractmethod
    def optimiser_state(self) -> dict[str, np.ndarray]:
        """Return copies of what the optimiser remembers."""

    @abstractmethod
    def restore(self, weights: Mapping[str, np.ndarray], optimiser: dict[str, np.ndarray]) -> None:
        """Put weights and optimiser back where a checkpoint stands; `done` is there already."""

    @abstractmethod
    def learn(self, rows: np.ndarray, rate: float) -> float:
        """Take one gradient step on these rows; return the loss.

        What it draws depends on the seed and the step's number alone, so that a resumed run draws the same.
        """

    @abstractmethod
    def place(self) -> str:
        """Say in words what is trained, for a message that memory ran out."""

    def begin(self, epoch: int, live: Any) -> dict[str, Any]:
        """Prepare an epoch, counted from 0; return what its record tells beside the usual."""
        return {}

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of every step of an epoch, ``(steps, batch)``."""
        rng = np.random.default_rng([self.recipe.seed, epoch])
        return batches(self.examples, self.batch_size, self.steps, rng)

    def end(self) -> None:  # noqa: B027 - most have nothing to tidy up
        """Give back what the fit held."""

    # -- the loop --------------------

    def run(self, live: Any) -> Progressed:
        """Train to the end, to the patience's end, or until interrupted; resume where a checkpoint stands."""
        began = time.perf_counter()
        self._resume()
        earlier = self.done.spent
        if not self.done.best:
            accuracy, loss = self.judge()
            self.done.best, self.done.best_score = self.current(), (accuracy, -loss)
        for record in self.done.history:
            live.update(record)
        try:
            while not self._finished():
                self._epoch(live, began - earlier)
        except KeyboardInterrupt:
            self.done.interrupted = True
        self.done.spent = earlier + time.perf_counter() - began
        self.end()
        return self.done

    def _finished(self) -> bool:
        epochs, patience = len(self.done.history), self.recipe.patience
        waited = epochs - self.done.best_epoch
        return epochs >= self.recipe.epochs or (patience is not None and waited >= patience)

    def _epoch(self, live: Any, began: float) -> None:
        """Train one epoch, or the rest of it, judge it, and write it down."""
        done, number = self.done, len(self.done.history)
        start = time.perf_counter()
        told = self.begin(number, live)
        rows = self.order(number)
        for step in range(done.step - number * self.steps, self.steps):
            self._step(rows[step])
            live.step(step + 1, self.steps)
            if self.path and step + 1 < self.steps and time.monotonic() - self._saved > CHECKPOINT_EVERY:
                self._save(began)
        accuracy, loss = self.judge()
        record = {
            "epoch": number + 1,
            "seconds": time.perf_counter() - start,
            "learning_rate": self.recipe.rate(done.step - 1, self._total),
            "loss": done.loss_sum / self.steps,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            **told,
        }
        done.history.append(record)
        done.loss_sum = 0.0
        if (accuracy, -loss) > done.best_score:
            done.best_score, done.best_epoch, done.best = (accuracy, -loss), number + 1, self.current()
        live.update(record)
        if self.path:
            self._save(began)

    def _step(self, rows: np.ndarray) -> None:
        """Take one gradient step; say in words what went wrong where something did."""
        done = self.done
        rate = self.recipe.rate(done.step, self._total)
        try:
            loss = self.learn(rows, rate)
        except Exception as error:
            if not _memory_ran_out(error):
                raise
            raise OutOfMemory(
                f"Memory ran out in step {done.step + 1}: batches of {len(rows)} {self.place()}.",
                self.lighter,
            ) from error
        if not math.isfinite(loss):
            raise Diverged(
                f"The loss became {loss} in step {done.step + 1} of {self._total}, at a "
                f"learning rate of {rate:.2g}. The weights of epoch {done.best_epoch} are kept.",
                "Lower learning_rate by a factor of 3 to 10, or lengthen warmup. The last good classifier is "
                "this error's `last_good`.",
            )
        done.step += 1
        done.loss_sum += loss

    @property
    def _total(self) -> int:
        return self.recipe.epochs * self.steps

    def _save(self, began: float) -> None:
        assert self.path is not None
        done = self.done
        meta = {
            "step": done.step,
            "loss_sum": done.loss_sum,
            "history": done.history,
            "best_epoch": done.best_epoch,
            "best_score": list(done.best_score),
            "spent": time.perf_counter() - began,
            "moved": sorted(done.moved),
        }
        arrays = {"now": self.current(), "best": done.best, "optimiser": self.optimiser_state()}
        checkpoint.save(self.path, checkpoint.State(arrays, meta), self.digest)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        """Go back to where a checkpoint of the same run stands, if there is one."""
        state = checkpoint.load(self.path, self.digest) if self.path else None
        if state is None:
            return
        meta = state.meta
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
        self.restore(state.arrays["now"], state.arrays["optimiser"])


def carry_out(
    loop: Loop, name: str, audited: Callable[[], Audit], finished: Callable[[Audit], Result]
) -> Result:
    """Train, audit, and hand over the best weights; where the loss runs away, those until then.

    Parameters
    ----------
    loop : Loop
    name : str
        Shown while it lasts.
    audited : callable
        Compares the network of now with its start.
    finished : callable
        Makes the result of ``loop.done``.

    Raises
    ------
    Diverged
        With the result until then as ``last_good``.
    AuditFailed
        When something moved that should not have, or did not that should have.
    """
    from course_lib.show.training import LiveTraining

    epochs = loop.recipe.epochs
    try:
        with LiveTraining(name, epochs=epochs) as live:
            done = loop.run(live)
    except Diverged as error:
        loop.end()
        error.last_good = finished(audited())
        raise
    after = audited()
    if done.step and not done.interrupted:
        after.check()
    if done.interrupted:
        warnings.warn(
            f"{name}: interrupted in epoch {len(done.history) + 1} of {epochs}; the weights of epoch "
            f"{done.best_epoch} are kept.",
            RuntimeWarning,
            stacklevel=stack_level(),
        )
    return finished(after)


def scored(probabilities: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return accuracy and log-loss of probabilities ``(n, k)`` against labels ``(n,)``."""
    right = probabilities[np.arange(len(y)), y]
    return float((probabilities.argmax(axis=1) == y).mean()), float(-np.log(np.maximum(right, 1e-12)).mean())


_FULL: Sequence[str] = ("can't allocate memory", "not enough memory", "out of memory")


def _memory_ran_out(error: BaseException) -> bool:
    """Recognise the errors that frameworks raise when memory runs out."""
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind in ("ResourceExhaustedError", "OutOfMemoryError"):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
