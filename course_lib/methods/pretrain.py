"""Going on with pre-training: a network guesses hidden pieces of raw text of the target, no label needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput
from course_lib.measure.audit import Audit, audit
from course_lib.methods.body_torch import ROWS, tuned_network
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.fine_tune_torch import device_of
from course_lib.methods.loop import carry_out
from course_lib.methods.masked_body import HEAD, TRANSFORM, MaskedBody
from course_lib.methods.masking import masker_of, pieces_in, raw_sentences
from course_lib.methods.recipe_masked import MaskedRecipe
from course_lib.methods.recipe_torch import EMBEDDINGS
from course_lib.methods.training_masked import MaskedTrainer
from course_lib.tasks.task import Split

Texts = Split | np.ndarray | Sequence[str]
"""Raw text: sentences, or a split, whose labels are not read."""


@dataclass(frozen=True, eq=False)
class PretrainedText:
    """A sentence encoder that went on learning from raw text; made by `continued_mlm` and `mlm_head`.

    Parameters
    ----------
    name : str
    before : TextEncoder
        Where it began.
    recipe : MaskedRecipe
    weights : dict of str to numpy.ndarray
        What was trained: ``"layer3/output.dense.weight"``, ``"head/dense.weight"`` and so on.
    pieces : numpy.ndarray
        ``(p,)`` sorted numbers of the pieces that can be guessed: those of the training text.
    history : tuple of dict
        Per epoch: ``epoch``, ``seconds``, ``learning_rate``, ``loss``, ``trained`` ("head" or "all"), and on
        held-out text ``validation_loss`` (nats per piece) and ``validation_accuracy`` (share of hidden
        pieces that are guessed).
    audit : Audit
        Which weights moved, against what was declared.
    seconds : dict of str to float
        ``"fit"``.
    parameters_trained : int
        The head's included.
    epoch : int
        Whose weights were kept: that of the highest accuracy on held-out text; 0 is the start.
    interrupted : bool
        Whether somebody stopped it; then these are the best weights until there.
    """

    name: str
    before: TextEncoder
    recipe: MaskedRecipe
    weights: dict[str, np.ndarray]
    pieces: np.ndarray
    history: tuple[dict[str, Any], ...]
    audit: Audit
    seconds: dict[str, float]
    parameters_trained: int
    epoch: int
    interrupted: bool

    @property
    def head(self) -> dict[str, np.ndarray]:
        """The head's weights."""
        return {name: a for name, a in self.weights.items() if name.startswith(f"{HEAD}/")}

    @cached_property
    def encoder(self) -> TextEncoder:
        """The new body as an encoder; the old one where the head alone was trained.

        Its key holds a fingerprint of the weights, so that its features are never taken for another's.
        """
        before = self.before
        own = {name: a for name, a in self.weights.items() if not name.startswith(f"{HEAD}/")}
        if not own:
            return before
        return TextEncoder(
            f"{before.name}, {self.name}",
            source=f"{before.source}-{fingerprint(own)}",
            load=lambda: Loaded(tuned_network(before, own, self.pieces), before.tokenizer),
            width=before.width,
            depth=before.depth,
            layer=before.layer,
            pooling=before.pooling,
            max_tokens=before.max_tokens,
            prefix=before.prefix,
        )

    def __repr__(self) -> str:
        last = self.history[self.epoch - 1] if self.epoch else None
        told = f"guesses {last['validation_accuracy']:.1%} of hidden pieces" if last else "nothing gained"
        return (
            f"PretrainedText({self.name!r} from {self.before.name!r}: {self.parameters_trained:,} parameters "
            f"trained in {self.seconds['fit']:.1f} s, {told})"
        )


def continued_mlm(
    encoder: TextEncoder,
    sentences: Texts,
    *,
    validation: Texts,
    freeze_to: str | int | None = EMBEDDINGS,
    embeddings: str = "frozen",
    epochs: int = 4,
    head_epochs: int = 2,
    batch_size: int = 32,
    learning_rate: float = 5e-5,
    head_rate: float = 1e-3,
    mask_share: float = 0.15,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    dropout: float = 0.1,
    patience: int | None = None,
    precision: str = "float32",
    device: str | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    name: str = "continued MLM",
) -> PretrainedText:
    r"""Go on training a sentence encoder as a masked language model, on raw text of the target.

    .. math:: \min_w \; -\frac1{|M|} \sum_{(i, t) \in M} \log p_w(x_{it} \mid \tilde x_i)

    where M are the masked places, :math:`\tilde x` is what is seen of a sentence, and places are drawn anew
    in every step. See `Masker` for the masks and `MaskedBody` for the probabilities.

    The packaged encoders are bodies alone, without the head that once guessed words in pre-training; a new
    one learns to read the body first (`head_epochs`), so that it does not tear up the body with the
    gradients of one that knows nothing. Only pieces of the training text can be guessed: hidden places of
    held-out text with other pieces are left out. The weights of the epoch that guesses most of the held-out
    text are kept.

    A sentence encoder was trained to bring sentences of one meaning together; nothing in this loss keeps
    that. Whether it helps is to be measured: see notebook 10.

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed: a copy of its network is trained. Its layer, length and prefix are kept.
    sentences, validation : Split, numpy.ndarray or sequence of str
        Raw text ``(n,)`` to learn from and to be judged by. No label is read.
    freeze_to : int, "embeddings" or None
        As in `fine_tune`.
    embeddings : {"frozen", "trained"}
        ``"trained"``: those of the pieces that occur, with ``freeze_to=None``.
    epochs, head_epochs : int
        In all, and of these the first ones, in which the head alone is trained.
    batch_size : int
    learning_rate, head_rate : float
        Of AdamW at its highest, for the body and for the head.
    mask_share : float
        Share of a sentence's pieces to be guessed; one at least.
    warmup, weight_decay, dropout, patience, precision, device
        As in `fine_tune`.
    seed : int
        Of the order of batches, the masks, dropout and the head's start.
    checkpoint : path, optional
        A file where the state is kept after every epoch and every minute; a call with the same arguments goes
        on from there, to the same weights as if nothing had happened.
    name : str

    Returns
    -------
    PretrainedText
        ``.encoder`` takes the place of `encoder` everywhere.

    Raises
    ------
    BadInput
        Settings out of range, a layer that does not exist, texts that are empty or pairs, a sentence without
        a piece that could be guessed, a checkpoint of another run.
    Diverged
        When the loss becomes NaN; ``.last_good`` is the `PretrainedText` until there.
    OutOfMemory
        Says which setting to lower.
    AuditFailed
        When something moved that was declared frozen, or did not that was declared trained.

    References
    ----------
    Gururangan et al. (2020), "Don't stop pretraining: adapt language models to domains and tasks". Devlin et
    al. (2019), "BERT".
    """
    recipe = MaskedRecipe(
        freeze_to=freeze_to,
        embeddings=embeddings,
        epochs=epochs,
        head_epochs=head_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_rate=head_rate,
        mask_share=mask_share,
        warmup=warmup,
        weight_decay=weight_decay,
        dropout=dropout,
        patience=patience,
        precision=precision,
        device=device_of(device),
        seed=seed,
    )
    alone = head_epochs == epochs
    return pretrained(
        encoder,
        recipe,
        sentences,
        validation,
        moves=lambda weight: not alone or weight.startswith(f"{HEAD}/"),
        checkpoint=checkpoint,
        name=name,
    )


def mlm_head(
    encoder: TextEncoder,
    sentences: Texts,
    *,
    validation: Texts,
    epochs: int = 10,
    head_rate: float = 1e-3,
    checkpoint: str | Path | None = None,
    name: str = "MLM head",
    **settings: Any,
) -> PretrainedText:
    """Teach a frozen sentence encoder to guess hidden pieces, by a head alone.

    Parameters
    ----------
    encoder : TextEncoder
        Nothing of it moves.
    sentences, validation : Split, numpy.ndarray or sequence of str
        Raw text in a language that the encoder covers.
    epochs : int
    head_rate : float
        Of AdamW at its highest.
    checkpoint, name
        As in `continued_mlm`.
    **settings
        The others of `continued_mlm`: ``batch_size``, ``mask_share``, ``seed`` and so on.

    Returns
    -------
    PretrainedText
        ``.head`` are the weights; `new_vocabulary` takes it whole.

    Raises
    ------
    BadInput, Diverged, OutOfMemory, AuditFailed
        As `continued_mlm`.
    """
    return continued_mlm(
        encoder,
        sentences,
        validation=validation,
        epochs=epochs,
        head_epochs=epochs,
        head_rate=head_rate,
        checkpoint=checkpoint,
        name=name,
        **settings,
    )


def pretrained(
    encoder: TextEncoder,
    recipe: MaskedRecipe,
    sentences: Texts,
    validation: Texts,
    *,
    moves: Callable[[str], bool],
    transform: Mapping[str, np.ndarray] | None = None,
    checkpoint: str | Path | None,
    name: str,
) -> PretrainedText:
    """Train a masked language model by a recipe; `continued_mlm` and `new_vocabulary` differ in what moves.

    Parameters
    ----------
    encoder, sentences, validation, checkpoint, name
        As in `continued_mlm`.
    recipe : MaskedRecipe
    moves : callable
        From a weight's name to whether it is trained.
    transform : mapping of str to numpy.ndarray, optional
        The head's start, as far as it does not depend on the vocabulary.
    """
    if not isinstance(encoder, TextEncoder):
        raise BadInput(
            f"{type(encoder).__name__} is no sentence encoder.",
            "Give encoders.multilingual_bert() or encoders.english_bert().",
        )
    start = time.perf_counter()
    tokens = encoder.tokenized(raw_sentences(sentences, "training sentences"))
    tokens_val = encoder.tokenized(raw_sentences(validation, "validation sentences"))
    pieces, counts = pieces_in(encoder, tokens)
    masker = masker_of(encoder, tokens, pieces, recipe.mask_share)
    judge = masker_of(encoder, tokens_val, pieces, recipe.mask_share)
    body = MaskedBody(encoder, recipe, pieces, counts, transform)
    first = body.current()
    data = {
        "tokens": np.concatenate([*tokens.ids, *tokens_val.ids]),
        "lengths": np.concatenate([tokens.lengths, tokens_val.lengths]),
        **{name: first[name] for name in (*TRANSFORM, ROWS) if name in first},
    }
    trainer = MaskedTrainer(
        body,
        recipe,
        masker,
        moves,
        lambda: body.judged(judge),
        None if checkpoint is None else Path(checkpoint),
        recipe.digest(encoder.key, fingerprint(data)),
    )
    prepared = time.perf_counter() - start
    return _run(trainer, encoder, name, prepared)


def _run(trainer: MaskedTrainer, encoder: TextEncoder, name: str, prepared: float) -> PretrainedText:
    """Train, audit, and hand over the best weights; where the loss runs away, those until then."""
    body = trainer.body
    before = body.evidence(trainer.moving)
    head = body.current(tuple(body.head))

    def finished(checked: Audit) -> PretrainedText:
        done = trainer.done
        return PretrainedText(
            name=name,
            before=encoder,
            recipe=trainer.recipe,
            weights={**head, **done.best},
            pieces=body.pieces,
            history=tuple(done.history),
            audit=checked,
            seconds={"fit": prepared + done.spent},
            parameters_trained=sum(array.size for array in done.best.values()),
            epoch=done.best_epoch,
            interrupted=done.interrupted,
        )

    def audited() -> Audit:
        return audit(before, body.evidence(trainer.moving), trained=trainer.moving)

    return carry_out(trainer, name, audited, finished)
