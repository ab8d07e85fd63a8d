"""Fine-tuning a sentence encoder: what was learnt from a hundred languages is the start, not the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput
from course_lib.measure.audit import Audit, audit
from course_lib.methods.body_torch import Source, TextBody, body_of, tuned_network
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import (
    Data,
    FeatureClassifier,
    LearntFrom,
    as_examples,
    encode_timed,
    softmax,
)
from course_lib.methods.loop import carry_out, scored
from course_lib.methods.probe import LinearHead, fit_probe
from course_lib.methods.recipe_torch import HALF, TextRecipe
from course_lib.methods.soft_targets import SoftTargets, targets_and_weights
from course_lib.methods.training_torch import TextTrainer
from course_lib.methods.tuned import (
    BIAS,
    KERNEL,
    Tuned,
    checked_labels,
    class_weight_setting,
    given_head,
    random_head,
)
from course_lib.tasks.task import Split, Task


@dataclass(frozen=True, eq=False)
class LowRank:
    """What LoRA adds to a matrix: ``scale · up @ down``.

    Parameters
    ----------
    down, up : numpy.ndarray
        ``(rank, columns)`` and ``(rows, rank)`` float32.
    scale : float
        α / rank.
    """

    down: np.ndarray
    up: np.ndarray
    scale: float

    def added_to(self, start: np.ndarray) -> np.ndarray:
        """Return the matrix with the term added, float32; summed in float64, so that any machine agrees."""
        return np.asarray(start + self.scale * (self.up.astype(np.float64) @ self.down), np.float32)


class TextFineTuned(Tuned):
    """A fine-tuned sentence encoder; see `Tuned`.

    Attributes
    ----------
    recipe : TextRecipe
    history : tuple of dict
        As in `Tuned`, and ``padding``: the share of tokens that only filled up shorter sentences.
    start, weights : dict of str to numpy.ndarray
        The whole network before and after: ``"layer3/output.dense.weight"``, ``"classifier/bias"`` and so on.
        What LoRA learnt is added to the matrices that it belongs to.
    low_rank : dict of str to LowRank
        What LoRA added, by matrix; empty for other methods.
    """

    recipe: TextRecipe

    def __init__(
        self,
        name: str,
        task: LearntFrom,
        body: TextBody,
        recipe: TextRecipe,
        *,
        own: Mapping[str, np.ndarray],
        low_rank: Mapping[str, LowRank] | None = None,
        **story: Any,
    ) -> None:
        super().__init__(name, task, recipe, own=own, **story)
        self._body, self.low_rank = body, dict(low_rank or {})

    @property
    def body(self) -> TextBody:
        """The network, shared by all fits of this shape: another one's prediction puts its own weights in."""
        return self._body

    @property
    def own(self) -> dict[str, np.ndarray]:
        """The weights that training changed, the last layer's among them."""
        return dict(self._own)

    def logits(self, data: Data) -> np.ndarray:
        """Return logits ``(n, k)`` float32 of sentences or pairs, in any language."""
        x = as_examples(data)
        encoder = self._body.encoder
        encoder.warn_if_uncovered(x)
        self._body.give(self, self.weights)
        return self._body.logits(Source(self._body, encoder.tokenized(x), keep=False))

    def with_weights(self, weights: Mapping[str, np.ndarray], name: str = "") -> TextFineTuned:
        """Return the same network with other weights, for instance an interpolation.

        Raises
        ------
        BadInput
            When they are of another network, or would change the frozen part.
        """
        own = self._checked(weights, "which was not trained")
        return TextFineTuned(name or self.name, self._task, self._body, self.recipe, own=own, **self._story())

    @cached_property
    def encoder(self) -> TextEncoder:
        """The fine-tuned body as an encoder: its features are what the last layer reads.

        Its key holds a fingerprint of the weights, so that its features are never taken for another's.
        """
        before, own = self._body.encoder, self._own
        body = {name: array for name, array in own.items() if name not in (KERNEL, BIAS)}
        return TextEncoder(
            f"{before.name}, {self.name}",
            source=f"{before.key}-{fingerprint(body)}",
            load=lambda: Loaded(tuned_network(before, own, self._body.seen), before.tokenizer),
            width=before.width,
            depth=before.depth,
            layer=before.layer,
            pooling=before.pooling,
            max_tokens=before.max_tokens,
            prefix=before.prefix,
        )


def fine_tune(
    encoder: TextEncoder,
    task: Task,
    *,
    freeze_to: str | int | None = HALF,
    init: str | FeatureClassifier = "probe",
    epochs: int = 6,
    batch_size: int = 32,
    learning_rate: float = 3e-4,
    depth_decay: float = 1.0,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    l2_sp: float = 0.0,
    label_smoothing: float = 0.1,
    dropout: float = 0.1,
    embeddings: str = "frozen",
    class_weight: str | Sequence[float] | None = None,
    patience: int | None = None,
    precision: str = "float32",
    cache_trunk: bool = True,
    device: str = "cpu",
    validation: Split | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    soft_targets: SoftTargets | None = None,
    name: str = "fine-tuned",
) -> TextFineTuned:
    r"""Go on training a sentence encoder on the task's own labels.

    .. math:: \min_w \frac1n \sum_i w_{y_i} \bigl(-\log \mathrm{softmax}(f_w(x_i))_{y_i}\bigr)
              + \tfrac{\alpha}{2} \lVert w - w_0 \rVert^2

    from the published weights w₀, by AdamW (Loshchilov & Hutter, 2019). The last layer starts as the linear
    probe (LP-FT). The weights of the epoch with the best validation accuracy are kept; the start counts as
    epoch 0.

    What makes it quick: word embeddings, four fifths of a multilingual BERT, stay as they are and need
    neither gradient nor moments; sentences of similar length share a batch; what lies below `freeze_to` is
    computed once per sentence (the *cached trunk*).

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed. Its layer, pooling and prefix are kept.
    task : Task
        Sentences ``(n,)`` or pairs of them ``(n, 2)``.
    freeze_to : int, "half", "embeddings" or None
        The last layer that stays as it is, with everything below it; ``"half"`` trains the upper half of the
        layers, ``"embeddings"`` all, None the positions and normalisations of the embeddings too.
    init : {"probe", "random"} or FeatureClassifier
        Start of the last layer. ``"probe"`` fits one on the encoder's features; a linear probe that is there
        already saves that; ``"random"``: Glorot.
    epochs, batch_size : int
        A batch larger than the training set shrinks to it.
    learning_rate : float
        Of AdamW, at its highest, for the last layer.
    depth_decay : float
        Each layer below gets this share of the rate above it; 1 gives all the same.
    warmup : float
        Share of all steps in which the rate rises; then it falls in a straight line to zero.
    weight_decay : float
        Of matrices; biases and normalisations have none.
    l2_sp : float
        α, the pull towards the start; for a random last layer towards zero.
    label_smoothing, dropout : float
    embeddings : {"frozen", "trained"}
        ``"trained"``: the rows of the word embeddings that occur in training, with ``freeze_to=None``. The
        others have no gradient, so that they need not be there.
    class_weight : "balanced" or sequence of float, optional
    patience : int, optional
        Stop when validation has not improved for so many epochs.
    precision : {"float32", "bfloat16"}
        Of the steps' matrix products; weights stay float32. Quicker on processors with bfloat16 units.
    cache_trunk : bool
        False computes the frozen part anew in each step: the same result up to rounding, in less memory.
    device : str
        Of PyTorch, ``"cuda"`` for a GPU. The encoder's own features, for the probe, come from the processor.
    validation : Split, optional
        What chooses the epoch. Default: ``task.validation``. For a zero-shot score never the target's
        labels: published scores of one model differ by 17 points with such choices (Keung et al., 2020).
    seed : int
        Of the order of batches, dropout, and a random start.
    checkpoint : path, optional
        A file where the state is kept after every epoch and every minute; a call with the same arguments goes
        on from there, to the same weights as if nothing had happened.
    soft_targets : SoftTargets, optional
        What a teacher says of the training examples; `methods.distill` makes them.
    name : str

    Returns
    -------
    TextFineTuned
        ``.chosen["epoch"]`` is the epoch whose weights were kept; ``.encoder`` gives the new features.

    Raises
    ------
    BadInput
        Settings out of range, a layer that does not exist, examples that are not sentences, one class only,
        an empty validation set, a checkpoint of another run.
    Diverged
        When the loss becomes NaN; ``.last_good`` is the classifier until there.
    OutOfMemory
        Says which setting to lower.
    AuditFailed
        When something moved that was declared frozen, or did not that was declared trained.

    References
    ----------
    Devlin et al. (2019), "BERT". Kumar et al. (2022), "Fine-tuning can distort pretrained features and
    underperform out-of-distribution" (LP-FT). Howard & Ruder (2018), "Universal language model fine-tuning"
    (rates per depth). Li, Grandvalet & Davoine (2018), "Explicit inductive bias for transfer learning"
    (L2-SP). Keung et al. (2020), "Don't use English dev: on the zero-shot cross-lingual evaluation of
    contextual embeddings".
    """
    recipe = TextRecipe(
        freeze_to=freeze_to,
        init=init if isinstance(init, str) else "probe",
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        depth_decay=depth_decay,
        warmup=warmup,
        weight_decay=weight_decay,
        l2_sp=l2_sp,
        label_smoothing=label_smoothing,
        dropout=dropout,
        embeddings=embeddings,
        class_weight=class_weight_setting(class_weight),
        patience=patience,
        precision=precision,
        cache_trunk=cache_trunk,
        device=device_of(device),
        seed=seed,
    )
    return fit(
        encoder,
        task,
        recipe,
        init=init,
        validation=validation,
        checkpoint=checkpoint,
        name=name,
        soft=soft_targets,
    )


def device_of(device: str | None) -> str:
    """Return where to train, the processor unless something else is asked for.

    Raises
    ------
    BadInput
        When there is no such device.

    Examples
    --------
    >>> device_of(None)
    'cpu'
    """
    import torch

    wanted = device or "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"device={wanted!r}: {str(error).splitlines()[0]}", "Give 'cpu'.") from error
    return wanted


def fit(
    encoder: TextEncoder,
    task: Task,
    recipe: TextRecipe,
    *,
    init: str | FeatureClassifier,
    validation: Split | None,
    checkpoint: str | Path | None,
    name: str,
    soft: SoftTargets | None = None,
) -> TextFineTuned:
    """Train by a recipe; `fine_tune`, `lora` and `bitfit` differ in the recipe alone."""
    if not isinstance(encoder, TextEncoder):
        raise BadInput(
            f"{type(encoder).__name__} is no sentence encoder.",
            "Give encoders.multilingual_bert() or encoders.english_bert().",
        )
    judged_on = task.validation if validation is None else validation
    y, y_val = checked_labels(task, judged_on)
    start = time.perf_counter()
    tokens, tokens_val = encoder.tokenized(task.train), encoder.tokenized(judged_on)
    seen = np.unique(np.concatenate(tokens.ids)) if recipe.embeddings == "trained" else None
    body = _body(encoder, recipe, task.classes, seen)
    source = Source(body, tokens, keep=recipe.cache_trunk)
    source_val = Source(body, tokens_val, keep=recipe.cache_trunk)
    ready = time.perf_counter() - start
    head, features_seconds = _first_head(init, encoder, task, judged_on, recipe)
    body.holds = None  # from here on it is nobody's, whatever goes wrong
    body.assign({**body.start, KERNEL: head.weights, BIAS: head.bias})
    data = {
        "tokens": np.concatenate([*tokens.ids, *tokens_val.ids]),
        "lengths": np.concatenate([tokens.lengths, tokens_val.lengths]),
        "y": np.concatenate([y, y_val]),
        "head": head.weights,
    }
    trainer = TextTrainer(
        body,
        recipe,
        source,
        *targets_and_weights(y, task.classes, recipe, soft),
        lambda: scored(softmax(body.logits(source_val).astype(np.float64)), y_val),
        None if checkpoint is None else Path(checkpoint),
        recipe.digest(encoder.key, fingerprint(data), *([soft.digest()] if soft else [])),
        soft.temperature if soft else None,
    )
    return _run(trainer, name, task, judged_on, features_seconds + ready)


def _run(trainer: TextTrainer, name: str, task: Task, judged_on: Split, prepared: float) -> TextFineTuned:
    """Train, audit, and hand over the best weights; where the loss runs away, those until then."""
    body, recipe = trainer.body, trainer.recipe
    before = body.evidence(trainer.moving)
    first = body.current(trainer.moving)
    predicts = body_of(body.encoder, recipe, len(body.bias)) if recipe.low_rank else body

    def finished(checked: Audit) -> TextFineTuned:
        done = trainer.done
        terms = low_rank_terms(done.best, recipe)
        plain = {n: a for n, a in done.best.items() if "lora_" not in n}
        merged = {n: term.added_to(body.start[n]) for n, term in terms.items()}
        chosen = {"epoch": done.best_epoch}
        return TextFineTuned(
            name,
            task,
            predicts,
            recipe,
            start={**body.start, **{n: first[n] for n in plain}},
            own={**plain, **merged},
            low_rank=terms,
            audit=checked,
            history=done.history,
            seconds={"features": prepared, "fit": done.spent},
            chosen=chosen if judged_on is task.validation else {**chosen, "validation": judged_on.name},
            parameters_trained=sum(array.size for array in first.values()),
            interrupted=done.interrupted,
        )

    return carry_out(
        trainer, name, lambda: audit(before, body.evidence(trainer.moving), trained=trainer.moving), finished
    )


def low_rank_terms(weights: Mapping[str, np.ndarray], recipe: TextRecipe) -> dict[str, LowRank]:
    """Return LoRA's terms among trained weights, by the matrix that they are added to."""
    down = {n.removesuffix(".lora_A"): a for n, a in weights.items() if n.endswith(".lora_A")}
    scale = recipe.alpha / recipe.rank if recipe.rank else 0.0
    return {f"{n}.weight": LowRank(a, weights[f"{n}.lora_B"], scale) for n, a in down.items()}


def _body(encoder: TextEncoder, recipe: TextRecipe, classes: int, seen: np.ndarray | None) -> TextBody:
    if recipe.low_rank:
        from course_lib.methods.low_rank import with_terms

        return with_terms(TextBody(encoder, recipe, classes), recipe)
    return body_of(encoder, recipe, classes) if seen is None else TextBody(encoder, recipe, classes, seen)


def _first_head(
    init: str | FeatureClassifier, encoder: TextEncoder, task: Task, judged_on: Split, recipe: TextRecipe
) -> tuple[LinearHead, float]:
    """Return the last layer to start from, and the seconds that the features for it took."""
    if isinstance(init, FeatureClassifier):
        return given_head(init, encoder, task), 0.0
    if recipe.init == "random":
        return random_head(encoder.dim, task.classes, recipe.seed), 0.0
    (x, x_val), seconds = encode_timed(encoder, task.train, judged_on)
    start = time.perf_counter()
    fit = fit_probe(
        x, task.train.y, x_val, judged_on.y, classes=task.classes, class_weight=recipe.class_weight
    )
    return fit.head, seconds + time.perf_counter() - start
