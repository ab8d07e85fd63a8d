"""How the bench judges solar cells: a kernel machine on covariances, a fine-tuned network, and both."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from course_lib.frameworks import quiet_tensorflow
from course_lib.tasks import Split, Task
from course_lib.tasks.solar import KINDS

METHODS = ("plain probe", "kernel machine", "fine-tuned", "both")
TUNING: dict[str, Any] = {
    "freeze_to": "block10",
    "epochs": 8,
    "learning_rate": 1e-3,
    "depth_decay": 0.9,
    "augment": "square",
}


@dataclass(frozen=True)
class Settings:
    """Sizes of the recipe.

    Parameters
    ----------
    pixels, plain_pixels : int
        What the networks see, and what the plain probe's sees.
    layers : tuple of str
        Blocks whose covariances are taken.
    tuning : dict
        Of `fine_tune`'s recipe.
    """

    pixels: int = 224
    plain_pixels: int = 128
    layers: tuple[str, ...] = ("block4", "block7", "block10", "block14")
    tuning: tuple[tuple[str, Any], ...] = tuple(TUNING.items())

    @property
    def quick(self) -> Settings:
        """The same, small: whether it works, not how well."""
        return Settings(64, 64, ("block4", "block7"), tuple({**TUNING, "epochs": 1}.items()))


class Cells:
    """All cells with what is computed once for all splits: frozen features, covariances, the trunk.

    Parameters
    ----------
    cells : Split
    settings : Settings
    """

    def __init__(self, cells: Split, settings: Settings) -> None:
        quiet_tensorflow()
        from course_lib import encoders
        from course_lib.methods.body import body_of
        from course_lib.methods.recipe import Recipe
        from course_lib.methods.second_order import log_covariances

        self.cells, self.settings = cells, settings
        self.rows = {name: row for row, name in enumerate(cells.ids.tolist())}
        self.kind = np.array([name.partition("/")[0] for name in cells.ids.tolist()])
        encoder = encoders.imagenet(settings.pixels)
        self.plain = encoders.imagenet(settings.plain_pixels).encode(cells)
        self.covariances = tuple(log_covariances(encoder, cells, settings.layers).values())
        self.recipe = Recipe(**dict(settings.tuning))
        self.body = body_of(encoder, self.recipe, len(cells.class_names))
        self.start = self.body.start
        self.kept = self.body.trunk.activations(cells.x, self.recipe.views)
        self.pooled = self.body.features(cells.x, self.recipe.views, cached=True)

    def of(self, *splits: Split) -> np.ndarray:
        """Return the rows of these splits, one after the other; those that are not here are left out."""
        names = [name for split in splits for name in split.ids.tolist()]
        return np.array([self.rows[name] for name in names if name in self.rows], np.int64)


def judge(cells: Cells, task: Task, seed: int) -> dict[str, Any]:
    """Return the test accuracy of every method for each kind of cell, and the seconds it took.

    Kinds are judged apart. The kernel machine learns from one kind, the network from both.

    Parameters
    ----------
    cells : Cells
    task : Task
        Both kinds. Its test set is only predicted; everything is chosen and fitted on the rest.
    seed : int
        Of the fine-tuning.

    Returns
    -------
    dict
        Per kind a dict of `METHODS`, ``test`` (how many cells), and ``seconds``.
    """
    start = time.perf_counter()
    test = cells.of(task.test)
    tuned = tuned_scores(cells, task, test, seed)
    found: dict[str, Any] = {}
    for kind in KINDS:
        own = of_kind(task, kind)
        rows, y = cells.of(own.test), cells.cells.y[cells.of(own.test)]
        net = tuned[cells.kind[test] == kind]
        kernel = kernel_scores(cells, own)
        scores = (probe_scores(cells, own), kernel, net, kernel + net)
        found[kind] = {m: float(np.mean((s > 0) == y)) for m, s in zip(METHODS, scores, strict=True)}
        found[kind]["test"] = len(rows)
    return {**found, "seconds": time.perf_counter() - start}


def of_kind(task: Task, kind: str) -> Task:
    """Return the task with one kind of cell."""
    parts = {name: getattr(task, name) for name in ("train", "validation", "test")}
    return replace(
        task, **{name: part.take(np.char.startswith(part.ids, kind)) for name, part in parts.items()}
    )


def probe_scores(cells: Cells, task: Task) -> np.ndarray:
    """Return what a plain linear probe says of the test set, above 0 for a defect."""
    from course_lib.methods import fit_probe

    a, b = cells.of(task.train), cells.of(task.validation)
    y = cells.cells.y
    head = fit_probe(cells.plain[a], y[a], cells.plain[b], y[b], classes=2).head
    logits = head.logits(cells.plain[cells.of(task.test)])
    return np.asarray(logits[:, 1] - logits[:, 0])


def kernel_scores(cells: Cells, task: Task) -> np.ndarray:
    """Return what a kernel machine on covariances says of the test set, from about -1 to 1.

    Training and validation together are learnt from; width and strength are chosen by leaving one out.
    """
    from course_lib.methods.kernel import fit_kernel, medians, squared_distances

    seen, test = cells.of(task.train, task.validation), cells.of(task.test)
    known = [values[seen] for values in cells.covariances]
    scales = medians(known)
    fit = fit_kernel(squared_distances(known, scales=scales), cells.cells.y[seen])
    scores = fit.scores(squared_distances(known, [v[test] for v in cells.covariances], scales=scales))
    return np.asarray(scores[:, 1] - scores[:, 0])


def tuned_scores(cells: Cells, task: Task, test: np.ndarray, seed: int) -> np.ndarray:
    """Return what a fine-tuned network says of rows `test`, from -1 to 1, averaged over all symmetries.

    Training and validation together are learnt from, for a number of epochs that is fixed, so that no
    validation set is needed to say when to stop: the last epoch is kept.
    """
    from course_lib.methods import fit_probe, networks
    from course_lib.methods.training import Trainer
    from course_lib.show.training import LiveTraining

    body, recipe = cells.body, replace(cells.recipe, seed=seed)
    seen, y = cells.of(task.train, task.validation), cells.cells.y
    a, b = cells.of(task.train), cells.of(task.validation)
    head = fit_probe(cells.pooled[a], y[a], cells.pooled[b], y[b], classes=2).head
    first = {
        **cells.start,
        f"{networks.CLASSIFIER}/kernel": head.weights,
        f"{networks.CLASSIFIER}/bias": head.bias,
    }
    networks.assign(body.model, first)
    wanted = np.eye(2)[y[seen]] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    epoch = itertools.count()
    trainer = Trainer(
        body,
        recipe,
        _Batches(cells, seen),
        wanted.astype(np.float32),
        np.ones(len(seen), np.float32),
        lambda: (float(next(epoch)), 0.0),  # later is better
        None,
        "",
    )
    with LiveTraining(f"split {seed}", epochs=recipe.epochs) as live:
        done = trainer.run(live)
    networks.assign(body.model, done.best, body.names)
    return _said(cells, test)


class _Batches:
    """Training batches from the trunk's activations of all cells; in the place of `training.Source`."""

    def __init__(self, cells: Cells, rows: np.ndarray) -> None:
        self._cells, self._rows = cells, rows

    def __call__(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        kept = self._cells.kept
        drawn = rng.integers(len(kept), size=len(rows))
        return self._cells.body.trunk.restored(kept[drawn, self._rows[rows]])


def _said(cells: Cells, rows: np.ndarray) -> np.ndarray:
    """Return the network's opinion of `rows`, the hyperbolic tangent of half the mean logit difference."""
    body, size = cells.body, cells.body.trunk.batch
    total = np.zeros(len(rows))
    for view in cells.kept:
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
            full = np.concatenate([part, np.repeat(part[-1:], size - len(part))])
            logits = body.judge.predict_on_batch(body.trunk.restored(view[full]))[: len(part)]
            total[first : first + size] += logits[:, 1] - logits[:, 0]
    return np.tanh(total / len(cells.kept) / 2)


def together(splits: Sequence[Split], name: str) -> Split:
    """Return all examples of some splits as one."""
    x, y, ids = (np.concatenate([getattr(split, what) for split in splits]) for what in ("x", "y", "ids"))
    return replace(splits[0], x=x, y=y, ids=ids, name=name)
