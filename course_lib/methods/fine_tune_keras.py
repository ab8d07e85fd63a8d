"""Fine-tuning an image network: what was learnt elsewhere is the start, not the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder, checked_pictures
from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.measure.audit import STATISTICS, Audit, audit
from course_lib.methods import networks
from course_lib.methods.body import Body, body_of
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import Data, FeatureClassifier, LearntFrom, as_examples, softmax
from course_lib.methods.loop import carry_out, scored
from course_lib.methods.probe import LinearHead, fit_probe
from course_lib.methods.recipe import Recipe
from course_lib.methods.soft_targets import SoftTargets, targets_and_weights
from course_lib.methods.training import Source, Trainer, cached
from course_lib.methods.trunk import check_views
from course_lib.methods.tuned import (
    BIAS,
    KERNEL,
    Tuned,
    checked_labels,
    class_weight_setting,
    given_head,
    random_head,
)
from course_lib.tasks.task import Task


class FineTuned(Tuned):
    """A fine-tuned picture network; see `Tuned`.

    Attributes
    ----------
    recipe : Recipe
    history : tuple of dict
        As in `Tuned`, and how many ``blocks`` were trained.
    start, weights : dict of str to numpy.ndarray
        The whole network before and after: ``"block5_expand/kernel"``, ``"classifier/bias"`` and so on.
    """

    recipe: Recipe

    def __init__(
        self,
        name: str,
        task: LearntFrom,
        body: Body,
        recipe: Recipe,
        *,
        weights: Mapping[str, np.ndarray],
        **story: Any,
    ) -> None:
        super().__init__(name, task, recipe, own={name: weights[name] for name in body.names}, **story)
        self._body = body

    @property
    def model(self) -> Any:
        """The keras.Model with these weights, preprocessed pixels to logits; ``model.save("x.keras")``.

        Shared by all classifiers of this shape: another one's prediction puts its own weights in.
        """
        self._load()
        return self._body.model

    def logits(self, data: Data) -> np.ndarray:
        """Return logits ``(n, k)`` float32, averaged over the views that training saw."""
        x = checked_pictures(as_examples(data))
        self._load()
        return self._body.logits(x, self.recipe.views, cached=cached(self.recipe))

    def with_weights(self, weights: Mapping[str, np.ndarray], name: str = "") -> FineTuned:
        """Return the same network with other weights, for instance an interpolation.

        Raises
        ------
        BadInput
            When they are of another network, or would change the frozen part.
        """
        own = self._checked(weights, f"up to {self._body.cut}")
        return FineTuned(name or self.name, self._task, self._body, self.recipe, weights=own, **self._story())

    def activations(self, data: Data, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """Return pooled activations ``(n, channels)`` float32 of layers behind the cut, for comparisons.

        Parameters
        ----------
        data : Split or numpy.ndarray
        layers : sequence of str
            Names as in ``tuned.model``, or of blocks, which stand for their last layer.
        """
        return {
            name: a.mean(axis=(1, 2)) if a.ndim == 4 else a for name, a in self._maps(data, layers).items()
        }

    def maps(self, data: Data) -> np.ndarray:
        """Return the last feature maps before pooling, ``(n, height, width, channels)`` float32."""
        last = self._body.points["head"] if "head" in self._body.points else list(self._body.points)[-1]
        return self._maps(data, [last])[last]

    def _maps(self, data: Data, layers: Sequence[str]) -> dict[str, np.ndarray]:
        import keras

        x = checked_pictures(as_examples(data))
        body = self._body
        there = {layer.name for layer in body.upper.layers}
        names = [body.points.get(layer, layer) for layer in layers]  # a layer may be called like its block
        missing = [layer for layer, name in zip(layers, names, strict=True) if name not in there]
        if missing:
            raise BadInput(
                f"{missing[0]!r} is not behind the cut at {body.cut}.",
                f"Choose among {', '.join(body.blocks)}.",
            )
        self._load()
        # `upper` has an input of its own; its layers' outputs belong to the whole network's graph
        start = body.model.get_layer(body.cut).output if body.cut else body.model.input
        part = keras.Model(start, {name: body.model.get_layer(name).output for name in names})
        found: list[list[np.ndarray]] = [[] for _ in names]
        for first in range(0, len(x), body.trunk.batch):
            outputs = part(body.trunk(x[first : first + body.trunk.batch]), training=False)
            for kept, name in zip(found, names, strict=True):
                kept.append(np.asarray(keras.ops.convert_to_numpy(outputs[name]), np.float32))
        return {layer: np.concatenate(kept) for layer, kept in zip(layers, found, strict=True)}

    def _load(self) -> None:
        self._body.give(self, self._own)


def fine_tune(
    encoder: ImageEncoder,
    task: Task,
    *,
    freeze_to: str | None = "block4",
    init: str | FeatureClassifier = "probe",
    epochs: int = 5,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    depth_decay: float = 0.8,
    warmup: float = 0.1,
    l2_sp: float = 0.0,
    label_smoothing: float = 0.1,
    batch_norm: str = "frozen",
    augment: str = "mirror",
    shift: int = 0,
    unfreeze: str = "at once",
    class_weight: str | Sequence[float] | None = None,
    patience: int | None = None,
    precision: str = "float32",
    cache_trunk: bool = True,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    soft_targets: SoftTargets | None = None,
    name: str = "fine-tuned",
) -> FineTuned:
    r"""Go on training an ImageNet network on the task's own labels.

    .. math:: \min_w \frac1n \sum_i w_{y_i} \bigl(-\log \mathrm{softmax}(f_w(x_i))_{y_i}\bigr)
              + \tfrac{\alpha}{2} \lVert w - w_0 \rVert^2

    from the published weights w₀. What stands below `freeze_to` is computed once per picture and view and
    kept (the *cached trunk*); every epoch then trains what is above, at a fraction of the price. The last
    layer starts as the linear probe, so that the first steps need not tear up features for the sake of a
    random head (LP-FT). The weights of the epoch with the best validation accuracy are kept; the start counts
    as epoch 0, so that a fine-tuning that only harms gives back the probe.

    Parameters
    ----------
    encoder : ImageEncoder
        Is not changed: a copy of its network is trained.
    task : Task
    freeze_to : str or None
        The last block that stays as it is, ``"block0"`` to ``"head"`` in the packaged network; None trains
        all.
    init : {"probe", "random"} or FeatureClassifier
        Start of the last layer. ``"probe"`` fits one on what the trunk gives; a linear probe on this encoder
        that is there already saves that; ``"random"``: Glorot.
    epochs, batch_size : int
        A batch larger than the training set shrinks to it.
    learning_rate : float
        Of Adam, at its highest, for the last layer.
    depth_decay : float
        Each block below gets this share of the rate above it; 1 gives all the same.
    warmup : float
        Share of all steps in which the rate rises; then it falls along half a cosine.
    l2_sp : float
        α, the pull towards the start; for a random last layer towards zero.
    label_smoothing : float
    batch_norm : {"frozen", "adapted", "trained"}
        Of the normalisations above `freeze_to`: nothing moves; their statistics follow the new pictures; or
        their scales and shifts are learnt as well.
    augment : {"mirror", "none", "square"}
        Views that training draws from and prediction averages over. ``"square"``: all eight symmetries, for
        pictures without an up and down.
    shift : int
        Random displacement in pixels of the original picture; the trunk then cannot be cached.
    unfreeze : {"at once", "gradually"}
        ``"gradually"``: the upper third of the blocks first, then two thirds, then all.
    class_weight : "balanced" or sequence of float, optional
    patience : int, optional
        Stop when validation has not improved for so many epochs.
    precision : {"float32", "mixed_bfloat16", "mixed_float16"}
        Lower precision gains on GPUs and on processors with matrix units; elsewhere it costs
        (`methods.machine` measures it).
    cache_trunk : bool
        False computes the frozen part anew in each step: the same result, slower, in less memory.
    seed : int
        Of the order of batches, the views drawn, and a random start.
    checkpoint : path, optional
        A file where the state is kept after every epoch and every minute; a call with the same arguments goes
        on from there, to the same weights as if nothing had happened.
    soft_targets : SoftTargets, optional
        What a teacher says of the training examples; `methods.distill` makes them.
    name : str

    Returns
    -------
    FineTuned
        ``.chosen["epoch"]`` is the epoch whose weights were kept.

    Raises
    ------
    BadInput
        Settings out of range, a block that does not exist, pictures or labels of the wrong kind, one class
        only, an empty validation set, a checkpoint of another run.
    Diverged
        When the loss becomes NaN; ``.last_good`` is the classifier until there.
    OutOfMemory
        Says which setting to lower.
    AuditFailed
        When something moved that was declared frozen, or did not that was declared trained.

    References
    ----------
    Kumar et al. (2022), "Fine-tuning can distort pretrained features and underperform out-of-distribution"
    (LP-FT). Howard & Ruder (2018), "Universal language model fine-tuning" (rates per depth, gradual
    unfreezing). Li, Grandvalet & Davoine (2018), "Explicit inductive bias for transfer learning" (L2-SP).
    """
    recipe = Recipe(
        freeze_to=freeze_to,
        init=init if isinstance(init, str) else "probe",
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        depth_decay=depth_decay,
        warmup=warmup,
        l2_sp=l2_sp,
        label_smoothing=label_smoothing,
        batch_norm=batch_norm,
        augment=augment,
        shift=shift,
        unfreeze=unfreeze,
        class_weight=class_weight_setting(class_weight),
        patience=patience,
        precision=precision,
        cache_trunk=cache_trunk,
        seed=seed,
    )
    quiet_tensorflow()
    x, y, y_val = _checked(task, recipe)
    body = body_of(encoder, recipe, task.classes)
    start = time.perf_counter()
    source = Source(body, x, recipe)
    x_val = checked_pictures(task.validation)
    if cached(recipe):  # computed here, so that the first epoch's clock is about training
        body.trunk.activations(x_val, recipe.views[:1])
    body.holds = None  # from here on it is nobody's, whatever goes wrong
    head = _first_head(init, body, encoder, task, recipe)
    first = {**body.start, KERNEL: head.weights, BIAS: head.bias}
    networks.assign(body.model, first)
    prepared = time.perf_counter() - start
    data = fingerprint({"x": x, "y": y, "head": head.weights, "y_val": y_val})
    trainer = Trainer(
        body,
        recipe,
        source,
        *targets_and_weights(y, task.classes, recipe, soft_targets),
        lambda: _judged(body, x_val, y_val, recipe),
        None if checkpoint is None else Path(checkpoint),
        recipe.digest(encoder.key, data, *([soft_targets.digest()] if soft_targets else [])),
        soft_targets.temperature if soft_targets else None,
    )
    return _run(trainer, name, task, first, prepared)


def _run(
    trainer: Trainer, name: str, task: Task, first: dict[str, np.ndarray], features_seconds: float
) -> FineTuned:
    """Train, audit, and hand over the best weights; where the loss runs away, those until then."""
    body = trainer.body

    def finished(checked: Audit) -> FineTuned:
        done = trainer.done
        learnt = [n for n in done.moved if n.rpartition("/")[2] not in STATISTICS]
        return FineTuned(
            name,
            task,
            body,
            trainer.recipe,
            start=first,
            weights={**first, **done.best},
            audit=checked,
            history=done.history,
            seconds={"features": features_seconds, "fit": done.spent},
            chosen={"epoch": done.best_epoch},
            parameters_trained=sum(first[n].size for n in learnt),
            interrupted=done.interrupted,
        )

    def audited() -> Audit:
        after = networks.weights_of(body.model)
        return audit(first, after, trained=trainer.done.moved, block_of=networks.block_of)

    return carry_out(trainer, name, audited, finished)


def _checked(task: Task, recipe: Recipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training pictures and labels and validation labels that training can rely on."""
    y, y_val = checked_labels(task, task.validation)
    x = checked_pictures(task.train)
    check_views(x, recipe.views)
    if recipe.shift >= min(x.shape[1:3]):
        raise BadInput(
            f"shift={recipe.shift} with pictures of {x.shape[1]}×{x.shape[2]} pixels.",
            f"Give less than {min(x.shape[1:3])}; an eighth of the side is usual.",
        )
    return x, y, y_val


def _first_head(
    init: str | FeatureClassifier, body: Body, encoder: ImageEncoder, task: Task, recipe: Recipe
) -> LinearHead:
    """Return the last layer to start from."""
    if isinstance(init, FeatureClassifier):
        return given_head(init, encoder, task)
    if recipe.init == "random":
        return random_head(encoder.dim, task.classes, recipe.seed)
    splits = (task.train, task.validation)
    networks.assign(body.model, body.start)
    x, x_val = (
        body.features(checked_pictures(split), recipe.views[:1], cached=cached(recipe)) for split in splits
    )
    fit = fit_probe(
        x, task.train.y, x_val, task.validation.y, classes=task.classes, class_weight=recipe.class_weight
    )
    return fit.head


def _judged(body: Body, x_val: np.ndarray, y_val: np.ndarray, recipe: Recipe) -> tuple[float, float]:
    """Return accuracy and log-loss on validation, in the first view alone, which halves the price."""
    logits = body.logits(x_val, recipe.views[:1], cached=cached(recipe))
    return scored(softmax(logits.astype(np.float64)), y_val)
