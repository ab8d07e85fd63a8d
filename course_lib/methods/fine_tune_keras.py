"""Fine-tuning an image network: what was learnt elsewhere is the start, not the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder, checked_pictures
from course_lib.errors import BadInput, Diverged
from course_lib.frameworks import quiet_tensorflow
from course_lib.measure.audit import STATISTICS, Audit, audit
from course_lib.methods import networks
from course_lib.methods.body import Body, body_of
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import (
    Classifier,
    Data,
    FeatureClassifier,
    as_examples,
    check_labels,
    need_two_classes,
    need_validation,
    softmax,
)
from course_lib.methods.networks import CLASSIFIER
from course_lib.methods.probe import LinearHead, class_weights, fit_probe
from course_lib.methods.recipe import Recipe
from course_lib.methods.training import Source, Trainer, cached
from course_lib.methods.trunk import check_views
from course_lib.tasks.task import Task


class FineTuned(Classifier):
    """A fine-tuned network: predicts, and shows what training did to it.

    Attributes
    ----------
    recipe : Recipe
        The settings it was trained with.
    history : tuple of dict
        Per epoch: ``epoch``, ``seconds``, ``learning_rate``, ``loss``, ``validation_loss``,
        ``validation_accuracy``, and how many ``blocks`` were trained.
    audit : Audit
        Which weights and statistics moved, against what was declared.
    start, weights : dict of str to numpy.ndarray
        The whole network before and after: ``"block5_expand/kernel"``, ``"classifier/bias"`` and so on.
    interrupted : bool
        Whether somebody stopped it; then these are the best weights until there.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        body: Body,
        recipe: Recipe,
        *,
        start: Mapping[str, np.ndarray],
        weights: Mapping[str, np.ndarray],
        audit: Audit,
        history: Sequence[dict[str, Any]] = (),
        seconds: Mapping[str, float],
        chosen: Mapping[str, Any] | None = None,
        parameters_trained: int = 0,
        interrupted: bool = False,
    ) -> None:
        super().__init__(name, task, parameters_trained=parameters_trained, seconds=seconds, chosen=chosen)
        self.recipe, self.history, self.audit = recipe, tuple(history), audit
        self.start, self.interrupted = dict(start), interrupted
        self._task, self._body = task, body
        self._own = {name: weights[name] for name in body.names}

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The whole network's weights, the frozen ones included."""
        return {**self.start, **self._own}

    @property
    def model(self) -> Any:
        """The keras.Model with these weights, preprocessed pixels to logits; ``model.save("x.keras")``.

        Shared by all classifiers of this shape: another one's prediction puts its own weights in.
        """
        self._load()
        return self._body.model

    @property
    def head(self) -> LinearHead:
        """The last layer."""
        return LinearHead(self._own[f"{CLASSIFIER}/kernel"], self._own[f"{CLASSIFIER}/bias"])

    def logits(self, data: Data) -> np.ndarray:
        """Return logits ``(n, k)`` float32, averaged over the views that training saw."""
        x = checked_pictures(as_examples(data))
        self._load()
        return self._body.logits(x, self.recipe.views, cached=cached(self.recipe))

    def predict_proba(self, data: Data) -> np.ndarray:
        """Return class probabilities ``(n, k)`` of pictures of any size."""
        return softmax(self.logits(data))

    def with_weights(self, weights: Mapping[str, np.ndarray], name: str = "") -> FineTuned:
        """Return the same network with other weights, for instance an interpolation.

        Raises
        ------
        BadInput
            When they are of another network, or would change the frozen part.
        """
        for key in self._body.names:
            given = weights.get(key)
            if given is None or given.shape != self._own[key].shape:
                raise BadInput(
                    f"Weights of another network: {key} {'is missing' if given is None else given.shape}, "
                    f"expected {self._own[key].shape}.",
                    "Give every name and shape as in `tuned.weights`.",
                )
        strayed = [
            key
            for key, value in weights.items()
            if key not in self._own and not np.array_equal(value, self.start.get(key, np.empty(0)))
        ]
        if strayed:
            raise BadInput(
                f"{strayed[0]} is in the frozen part, up to {self._body.cut}, and differs there.",
                "Fine-tune with a freeze_to further down, or None, to use other weights there.",
            )
        return FineTuned(
            name or self.name,
            self._task,
            self._body,
            self.recipe,
            start=self.start,
            weights=weights,
            audit=self.audit,
            history=self.history,
            seconds=self.seconds,
            chosen=self.chosen,
            parameters_trained=self.parameters_trained,
            interrupted=self.interrupted,
        )

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
    weights = class_weight if class_weight is None or isinstance(class_weight, str) else tuple(class_weight)
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
        class_weight=weights,
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
    first = {**body.start, f"{CLASSIFIER}/kernel": head.weights, f"{CLASSIFIER}/bias": head.bias}
    networks.assign(body.model, first)
    prepared = time.perf_counter() - start
    trainer = Trainer(
        body,
        recipe,
        source,
        _targets(y, task.classes, recipe.label_smoothing),
        _weights(recipe, y, task.classes),
        lambda: _judged(body, x_val, y_val, recipe),
        None if checkpoint is None else Path(checkpoint),
        recipe.digest(encoder.key, fingerprint({"x": x, "y": y, "head": head.weights, "y_val": y_val})),
    )
    return _run(trainer, name, task, first, prepared)


def _run(
    trainer: Trainer, name: str, task: Task, first: dict[str, np.ndarray], features_seconds: float
) -> FineTuned:
    """Train, audit, and hand over the best weights; where the loss runs away, those until then."""
    from course_lib.show.training import LiveTraining

    body, recipe = trainer.body, trainer.recipe

    def finished(checked: Audit) -> FineTuned:
        done = trainer.done
        learnt = [n for n in done.moved if n.rpartition("/")[2] not in STATISTICS]
        return FineTuned(
            name,
            task,
            body,
            recipe,
            start=first,
            weights={**first, **done.best},
            audit=checked,
            history=done.history,
            seconds={"features": features_seconds, "fit": done.spent},
            chosen={"epoch": done.best_epoch},
            parameters_trained=sum(first[n].size for n in learnt),
            interrupted=done.interrupted,
        )

    def checked() -> Audit:
        return audit(
            first, networks.weights_of(body.model), trained=trainer.done.moved, block_of=networks.block_of
        )

    try:
        with LiveTraining(name, epochs=recipe.epochs) as live:
            done = trainer.run(live)
    except Diverged as error:
        body.holds = None
        error.last_good = finished(checked())
        raise
    after = checked()
    if done.step and not done.interrupted:
        after.check()
    if done.interrupted:
        warnings.warn(
            f"{name}: interrupted in epoch {len(done.history) + 1} of {recipe.epochs}; the weights of epoch "
            f"{done.best_epoch} are kept.",
            RuntimeWarning,
            stacklevel=3,
        )
    return finished(after)


def _checked(task: Task, recipe: Recipe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training pictures and labels and validation labels that training can rely on."""
    y = check_labels(task.train.y, task.classes)
    if len(y) == 0:
        raise BadInput(f"{task.train.name} is empty.", "Give at least one example per class.")
    need_two_classes(y)
    y_val = check_labels(task.validation.y, task.classes, "validation")
    need_validation(y_val)
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
        return _given_head(init, encoder, task)
    if recipe.init == "random":
        rng = np.random.default_rng([recipe.seed, 0, 2])
        limit = np.sqrt(6 / (encoder.dim + task.classes))
        kernel = rng.uniform(-limit, limit, (encoder.dim, task.classes)).astype(np.float32)
        return LinearHead(kernel, np.zeros(task.classes, np.float32))
    splits = (task.train, task.validation)
    networks.assign(body.model, body.start)
    x, x_val = (
        body.features(checked_pictures(split), recipe.views[:1], cached=cached(recipe)) for split in splits
    )
    fit = fit_probe(
        x, task.train.y, x_val, task.validation.y, classes=task.classes, class_weight=recipe.class_weight
    )
    return fit.head


def _given_head(probe: FeatureClassifier, encoder: ImageEncoder, task: Task) -> LinearHead:
    head = probe.head
    shape = (encoder.dim, task.classes)
    if not isinstance(head, LinearHead) or head.weights.shape != shape:
        found = head.weights.shape if isinstance(head, LinearHead) else type(head).__name__
        raise BadInput(
            f"init={probe.name!r} has a head of {found}; expected a linear one of {shape}.",
            "Give methods.linear_probe(encoder, task) on the same encoder and classes, or 'probe'.",
        )
    return head


def _targets(y: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    return np.asarray(np.eye(classes)[y] * (1 - smoothing) + smoothing / classes, np.float32)


def _weights(recipe: Recipe, y: np.ndarray, classes: int) -> np.ndarray:
    """Return the weight of each training example, ``(n,)`` float32."""
    counts = np.bincount(y, minlength=classes)
    present = np.flatnonzero(counts)
    per_class = np.ones(classes, np.float32)
    per_class[present] = class_weights(recipe.class_weight, counts, present)
    return np.asarray(per_class[y], np.float32)


def _judged(body: Body, x_val: np.ndarray, y_val: np.ndarray, recipe: Recipe) -> tuple[float, float]:
    """Return accuracy and log-loss on validation, in the first view alone, which halves the price."""
    p = softmax(body.logits(x_val, recipe.views[:1], cached=cached(recipe)).astype(np.float64))
    right = p[np.arange(len(y_val)), y_val]
    return float((p.argmax(axis=1) == y_val).mean()), float(-np.log(np.maximum(right, 1e-12)).mean())
