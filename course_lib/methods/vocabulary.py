"""A new language for an old network: its words get embeddings, and nothing behind them moves."""

from __future__ import annotations

import copy
import hashlib
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.encoders.text import Loaded, TextEncoder
from course_lib.errors import BadInput
from course_lib.measure.audit import Audit, audit
from course_lib.methods.body_torch import ROWS, depth_of
from course_lib.methods.checkpoint import fingerprint
from course_lib.methods.classifier import Classifier, FeatureClassifier, Origin
from course_lib.methods.fine_tune_torch import TextFineTuned, device_of
from course_lib.methods.glossed import STARTS, first_rows, meanings, of_characters
from course_lib.methods.masked_body import HEAD_BIAS, TRANSFORM
from course_lib.methods.masking import raw_sentences
from course_lib.methods.pieces import ROLES, text_of, vocabulary_of
from course_lib.methods.pretrain import PretrainedText, Texts, pretrained
from course_lib.methods.probe import LinearHead
from course_lib.methods.recipe_masked import MaskedRecipe

_TABLE = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, eq=False)
class NewVocabulary:
    """Word embeddings of another language for a body that stays as it is; made by `new_vocabulary`.

    Parameters
    ----------
    name : str
    before : TextEncoder
        The encoder whose body is used.
    tokenizer : transformers.PreTrainedTokenizerFast
        Of the new language.
    first : numpy.ndarray
        ``(pieces, width)`` float32: the embeddings that were begun with.
    origins : numpy.ndarray
        ``(pieces,)`` of str: where each began: ``"special"``, ``"gloss"``, ``"characters"``, ``"overlap"`` or
        ``"random"``.
    trained : PretrainedText or None
        How the embeddings were learnt; None where they were not.
    seconds : dict of str to float
        ``"start"`` and ``"fit"``.
    body : mapping of str to numpy.ndarray, optional
        Checksums (CRC-32) of the body's weights before anything was learnt. Default: of now.
    """

    name: str
    before: TextEncoder
    tokenizer: Any
    first: np.ndarray
    origins: np.ndarray
    trained: PretrainedText | None
    seconds: dict[str, float]
    body: Mapping[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        if self.body is None:
            object.__setattr__(self, "body", _checksums(self.before.model))

    @cached_property
    def table(self) -> np.ndarray:
        """The embeddings ``(pieces, width)`` float32."""
        found = self.first.copy()
        if self.trained is not None:
            found[self.trained.pieces] = self.trained.weights[ROWS]
        found.flags.writeable = False
        return found

    @property
    def pieces(self) -> list[str]:
        """The vocabulary, by number."""
        return list(self.tokenizer.convert_ids_to_tokens(range(len(self.first))))

    @property
    def start_shares(self) -> dict[str, float]:
        """Which share of the pieces began how, the largest first."""
        return {name: n / len(self.origins) for name, n in Counter(self.origins.tolist()).most_common()}

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """As `PretrainedText.history`; empty where nothing was trained."""
        return () if self.trained is None else self.trained.history

    @property
    def parameters_trained(self) -> int:
        """Numbers that training changed: embeddings, and the head that guesses pieces."""
        return 0 if self.trained is None else self.trained.parameters_trained

    @cached_property
    def encoder(self) -> TextEncoder:
        """The old body with the new words: reads the new language."""
        return self.on(self.before)

    def on(self, encoder: TextEncoder) -> TextEncoder:
        """Return another encoder's body with these words, for instance one that was fine-tuned.

        Parameters
        ----------
        encoder : TextEncoder
            Of the vocabulary that this one was made for. Its layer, pooling, length and prefix are kept.

        Returns
        -------
        TextEncoder
            Its body is a copy.

        Raises
        ------
        BadInput
            When it has other words or another width.
        """
        same = encoder.tokenizer.get_vocab() == self.before.tokenizer.get_vocab()
        if not same or encoder.width != self.before.width:
            raise BadInput(
                f"{encoder.name} has other words or another width than {self.before.name}, for which "
                f"{self.name} was made.",
                "Make a vocabulary for it: methods.new_vocabulary(encoder, sentences).",
            )
        content = text_of(self.tokenizer) + fingerprint({"table": self.table})
        return TextEncoder(
            f"{encoder.name}, {self.name}",
            source=f"{encoder.source}-{hashlib.sha256(content.encode()).hexdigest()[:16]}",
            load=lambda: Loaded(_with_table(encoder.model, self.table), self.tokenizer),
            width=encoder.width,
            depth=encoder.depth,
            layer=encoder.layer,
            pooling=encoder.pooling,
            max_tokens=encoder.max_tokens,
            prefix=encoder.prefix,
        )

    @property
    def audit(self) -> Audit:
        """The network that reads the new words, as it is now, compared with what it was made of.

        What was trained is another copy of the body; ``trained.audit`` tells the same of that one.
        """
        model = self.encoder.model
        table = model.get_input_embeddings().weight.detach().numpy()
        learnt = [_TABLE] if self.trained is not None and self.trained.epoch else []
        return audit(
            _named({**(self.body or {}), _TABLE: self.first}),
            _named({**_checksums(model), _TABLE: table}),
            trained=list(_named(dict.fromkeys(learnt, table))),
        )

    def __repr__(self) -> str:
        shares = ", ".join(f"{share:.0%} {name}" for name, share in self.start_shares.items())
        return f"NewVocabulary({self.name!r} for {self.before.name!r}: {len(self.first):,} pieces, {shares})"


def new_vocabulary(
    encoder: TextEncoder,
    sentences: Texts,
    *,
    glosses: Mapping[str, Sequence[str]] | None = None,
    start: str = "glosses",
    epochs: int = 0,
    validation: Texts | None = None,
    head: PretrainedText | None = None,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    mask_share: float = 0.15,
    warmup: float = 0.1,
    dropout: float = 0.0,
    patience: int | None = None,
    device: str | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    name: str = "",
) -> NewVocabulary:
    """Give a network that reads one language the words of another, its body frozen.

    The body, positions included, keeps what it learnt of the first language, and so does every classifier on
    top of it: `carried_over` moves one over. Only the word embeddings are new. They begin at random, at the
    pieces that both vocabularies share, or at what each word means, and may then learn from raw text, by
    guessing hidden pieces (`epochs`).

    Artetxe et al. learn the embeddings from gigabytes of text, and with the head that the body was
    pre-trained with. The packaged network has no such head: `mlm_head` teaches it one on text of its own
    language, and that ties new embeddings to what the body expects; without, a new head is learnt along with
    them.

    Parameters
    ----------
    encoder : TextEncoder
        A BERT. Is not changed.
    sentences : Split, numpy.ndarray or sequence of str
        Raw text of the new language; its characters become pieces. No label is read.
    glosses : mapping of str to sequence of str, optional
        Words of the new language, which become pieces at every `start`, and what they mean in the old one:
        ``tasks.glosses(pairs.part("train"))``. A dictionary may hold words that `sentences` lack; whoever
        compares methods should give the words of the training sentences alone. Default: single characters.
    start : {"glosses", "overlap", "random"}
        Where new embeddings begin. ``"glosses"``: at the mean of the old pieces of a word's first senses, for
        a character without a gloss at the mean of the words that hold it, and then as ``"overlap"``: at the
        old piece that is written the same, and then as ``"random"``: normal, with the mean and the spread of
        the old table. Special tokens are always copied.
    epochs : int
        Of learning from `sentences`; 0 learns nothing.
    validation : Split, numpy.ndarray or sequence of str, optional
        Raw text that tells which epoch guessed best; needed where `epochs` is above 0.
    head : PretrainedText, optional
        From ``mlm_head(encoder, text of the old language)``: its transform is used as it is, and stays.
    batch_size, mask_share, warmup, dropout, patience, device
        As in `continued_mlm`.
    learning_rate : float
        Of AdamW at its highest, for embeddings and head.
    seed : int
        Of random rows, the order of batches and the masks.
    checkpoint : path, optional
        As in `continued_mlm`.
    name : str
        Default: what it began with.

    Returns
    -------
    NewVocabulary
        ``.encoder`` reads the new language.

    Raises
    ------
    BadInput
        Settings out of range, a network that is no BERT, a start from glosses without glosses, epochs without
        held-out text, a head of another network, and as `continued_mlm`.
    Diverged, OutOfMemory, AuditFailed
        As `continued_mlm`.

    References
    ----------
    Artetxe, Ruder & Yogatama (2020), "On the cross-lingual transferability of monolingual representations".
    From a dictionary: Tran (2020), "From English to foreign languages: transferring pre-trained language
    models"; Minixhofer, Paischer & Rekabsaz (2022), "WECHSEL".

    Examples
    --------
    >>> from course_lib import encoders, tasks
    >>> pairs = tasks.parallel_sentences().part("train")
    >>> vocabulary = new_vocabulary(encoders.english_bert(), pairs.chinese, glosses=tasks.glosses(pairs))
    >>> vocabulary.encoder.tokens("我的老师喜欢喝茶。")
    ['我', '的', '老师', '喜欢', '喝', '茶', '。']
    >>> vocabulary.audit.ok, vocabulary.audit.moved
    (True, 0)
    """
    _checked(encoder, glosses, start, epochs, validation, head)
    began = time.perf_counter()
    x = raw_sentences(sentences, "sentences")
    tokenizer = vocabulary_of(x.tolist(), list(glosses or ()), encoder.tokenizer)
    rows, origins = _begun(encoder, tokenizer, x, glosses or {}, start, seed)
    seconds = {"start": time.perf_counter() - began, "fit": 0.0}
    found = NewVocabulary(name or f"words from {start}", encoder, tokenizer, rows, origins, None, seconds)
    if not epochs:
        return found
    recipe = MaskedRecipe(
        freeze_to=None,
        embeddings="trained",
        epochs=epochs,
        head_epochs=0,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_rate=learning_rate,
        mask_share=mask_share,
        warmup=warmup,
        weight_decay=0.0,
        dropout=dropout,
        patience=patience,
        device=device_of(device),
        seed=seed,
    )
    moving = {ROWS, HEAD_BIAS} | (set() if head else set(TRANSFORM))
    trained = pretrained(
        found.encoder,
        recipe,
        x,
        validation if validation is not None else x,
        moves=moving.__contains__,
        transform=None if head is None else {part: head.weights[part] for part in TRANSFORM},
        checkpoint=checkpoint,
        name=f"{found.name}, MLM",
    )
    seconds = {**seconds, "fit": trained.seconds["fit"]}
    return replace(found, name=trained.name, trained=trained, seconds=seconds)


def carried_over(
    classifier: FeatureClassifier | TextFineTuned, vocabulary: NewVocabulary, *, name: str = ""
) -> FeatureClassifier:
    """Return a classifier of the old language for the new one: body and head unchanged, the words replaced.

    Parameters
    ----------
    classifier : FeatureClassifier or TextFineTuned
        A linear probe on the encoder that the vocabulary was made for, or a fine-tuning of it.
    vocabulary : NewVocabulary
    name : str
        Default: the classifier's, and the vocabulary's.

    Returns
    -------
    FeatureClassifier
        Reads the new language. `parameters_trained` and `seconds` are the vocabulary's.

    Raises
    ------
    BadInput
        When its encoder has other words than the vocabulary was made for, or its head is not linear.
    """
    encoder = getattr(classifier, "encoder", None)
    head = getattr(classifier, "head", None)
    if not (isinstance(encoder, TextEncoder) and isinstance(head, LinearHead)):
        what = classifier.name if isinstance(classifier, Classifier) else repr(classifier)
        raise BadInput(
            f"{what} has no sentence encoder with a linear head behind it.",
            "Give a probe, methods.linear_probe(encoder, task), or a fine-tuning, methods.fine_tune(...).",
        )
    origin = Origin(classifier.task_name, classifier.class_names, range(classifier.train_size))
    carried = FeatureClassifier(
        name or f"{classifier.name}, {vocabulary.name}",
        origin,
        vocabulary.on(encoder),
        head,
        seconds={"fit": sum(vocabulary.seconds.values())},
        chosen=classifier.chosen,
    )
    carried.parameters_trained = vocabulary.parameters_trained
    return carried


def _checked(
    encoder: TextEncoder,
    glosses: Mapping[str, Sequence[str]] | None,
    start: str,
    epochs: int,
    validation: Texts | None,
    head: PretrainedText | None,
) -> None:
    """Raise `BadInput` where the arguments do not go together."""
    if start not in STARTS:
        raise BadInput(f"start={start!r}.", f"Choose one of {', '.join(STARTS)}.")
    if start == "glosses" and not glosses:
        raise BadInput(
            "start='glosses', but no glosses were given.",
            "Give tasks.glosses(pairs), a mapping of words to lists of what they mean, or another start.",
        )
    for word, given in (glosses or {}).items():
        if isinstance(given, str):
            raise BadInput(
                f"The glosses of {word!r} are one text, {given!r}.", "Give a list of texts for each word."
            )
    if epochs != int(epochs) or epochs < 0:
        raise BadInput(f"epochs={epochs}.", "Give a whole number, 0 to learn nothing.")
    if epochs and validation is None:
        raise BadInput(
            f"epochs={epochs} without validation: nobody could tell which epoch guessed best.",
            "Give raw held-out text, for instance pairs.part('validation').chinese.",
        )
    if not isinstance(encoder, TextEncoder) or encoder.model.config.model_type != "bert":
        kind = encoder.model.config.model_type if isinstance(encoder, TextEncoder) else type(encoder).__name__
        raise BadInput(f"A network of kind {kind!r}; expected a BERT.", "Give encoders.english_bert().")
    if head is not None and _network_read(head.encoder) != _network_read(encoder):
        raise BadInput(
            f"The head was learnt on {head.encoder}, the encoder is {encoder}.",
            "Teach it on this one: methods.mlm_head(encoder, sentences, validation=...).",
        )


def _network_read(encoder: TextEncoder) -> tuple[str, int]:
    """Return whose states a head reads: the weights, and how many layers of them."""
    return encoder.source, depth_of(encoder)


def _begun(
    encoder: TextEncoder,
    tokenizer: Any,
    x: np.ndarray,
    glosses: Mapping[str, Sequence[str]],
    start: str,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the new rows and where each of them begins."""
    table = encoder.model.get_input_embeddings().weight.detach().numpy()
    normal = tokenizer.backend_tokenizer.normalizer.normalize_str
    known: dict[str, list[str]] = {}
    for word, given in glosses.items():  # of words that become one in normal form, the glosses of all
        known.setdefault(normal(word).strip(), []).extend(given)
    meant = meanings(known, encoder.tokenizer, table) if start == "glosses" else {}
    split = tokenizer(x.tolist(), add_special_tokens=False, return_attention_mask=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    counts = Counter(pieces[number] for ids in split for number in ids)
    special = {
        getattr(tokenizer, f"{role}_token"): getattr(encoder.tokenizer, f"{role}_token") for role in ROLES
    }
    old = encoder.tokenizer.get_vocab()
    return first_rows(start, pieces, special, old, table, meant, of_characters(meant, counts), seed)


def _with_table(model: Any, table: np.ndarray) -> Any:
    """Return a copy of a model with other word embeddings."""
    import torch

    old = model.get_input_embeddings().weight
    found = copy.deepcopy(model, {id(old): old})  # the old table is not copied, only to be thrown away
    count, width = table.shape
    found.set_input_embeddings(torch.nn.Embedding(count, width, _weight=torch.tensor(table)))
    found.config.vocab_size = count
    found.config.pad_token_id = ROLES.index("pad")
    return found.eval()


def _checksums(model: Any) -> dict[str, np.ndarray]:
    """Return the CRC-32 of every weight of a model, its word embeddings left out."""
    return {
        name: np.array([zlib.crc32(np.ascontiguousarray(p.detach().numpy()).data.cast("B"))], np.uint32)
        for name, p in model.named_parameters()
        if name != _TABLE
    }


def _named(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights by names with the block before a slash, as an audit reads them."""
    return {
        name.removeprefix("encoder.").replace("layer.", "layer", 1).replace(".", "/", 1): array
        for name, array in weights.items()
    }
