"""Sentence encoders: BERTs that learnt from text and turn sentences into features."""

from __future__ import annotations

import copy
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from reprlib import repr as shortened
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.encoders import coverage, e5_small
from course_lib.encoders.cache import Compute, FeatureCache, encode_through
from course_lib.encoders.chunks import Recipe, spread
from course_lib.encoders.packaged import WEIGHTS, weights_file
from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput, Corrupt
from course_lib.tasks.task import Split

MULTILINGUAL = "multilingual-e5-small"
ENGLISH = "all-minilm-l6-v2"
POOLINGS = ("mean", "cls")
BATCH_TOKENS = 1024
"""Tokens, padding included, that go through the network at once. More are no faster on a CPU and pad more."""

E5_PREFIX = "query: "
"""What the E5 networks saw before every text in training; their authors advise it for every language."""

_READING = "text-1"  # changes when the same texts would get other features
_SHARD = 2048  # rows per shard: what an interrupted run can lose, and among how many lengths are sorted
_PIECE = 512  # sentences that travel to a worker at once, and among which lengths are sorted there
_LOOKED_AT = 200  # texts among which unknown tokens are counted


@dataclass(frozen=True)
class Loaded:
    """A network and its tokenizer, read and checked.

    Parameters
    ----------
    model : transformers.BertModel or transformers.XLMRobertaModel
        float32, without a head.
    tokenizer : transformers.PreTrainedTokenizerFast
    """

    model: Any
    tokenizer: Any

    @property
    def positions(self) -> int:
        """The most tokens that the network has positions for."""
        config = self.model.config
        taken = config.pad_token_id + 1 if config.model_type == "xlm-roberta" else 0
        return int(config.max_position_embeddings) - taken


@dataclass(frozen=True)
class Tokens:
    """Token numbers of sentences or sentence pairs, special tokens included.

    Parameters
    ----------
    ids : list of numpy.ndarray
        int64, one array per example.
    types : list of numpy.ndarray or None
        Which sentence of a pair each token belongs to, where the network was taught to tell them apart so.
    """

    ids: list[np.ndarray]
    types: list[np.ndarray] | None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example, ``(n,)`` int64."""
        return np.array([len(i) for i in self.ids], np.int64)

    def take(self, rows: Sequence[int] | np.ndarray) -> Tokens:
        """Return the token numbers of these examples, in that order."""
        types = None if self.types is None else [self.types[row] for row in rows]
        return Tokens([self.ids[row] for row in rows], types)

    def padded(self, rows: Sequence[int] | np.ndarray, pad: int) -> dict[str, Any]:
        """Return tensors for a batch: what a BERT takes as keyword arguments.

        Where all are equally long, there is no ``attention_mask``: without one, attention is quicker.
        """
        import torch

        longest = max(len(self.ids[row]) for row in rows)
        ids = np.full((len(rows), longest), pad, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        types = np.zeros((len(rows), longest), np.int64)
        for place, row in enumerate(rows):
            own = len(self.ids[row])
            ids[place, :own], mask[place, :own] = self.ids[row], 1
            if self.types is not None:
                types[place, :own] = self.types[row]
        batch = {"input_ids": torch.from_numpy(ids)}
        if not mask.all():
            batch["attention_mask"] = torch.from_numpy(mask)
        if self.types is not None:
            batch["token_type_ids"] = torch.from_numpy(types)
        return batch


class TextEncoder:
    """A frozen BERT that turns sentences, or pairs of them, into features.

    Made by `multilingual_bert` and `english_bert`. Attributes as there, and:

    Attributes
    ----------
    name : str
    dim : int
        Columns of the features.
    source : str
        Names the weights.
    key : str
        Names weights, layer, pooling, length and prefix; features are filed under it.
    last : Timing or None
        What the last `encode` cost.
    """

    def __init__(
        self,
        name: str,
        *,
        source: str,
        load: Callable[[], Loaded],
        width: int,
        depth: int,
        layer: int | str = "last",
        pooling: str = "mean",
        max_tokens: int = 128,
        prefix: str = "",
        positions: int | None = None,
    ) -> None:
        if pooling not in POOLINGS:
            raise BadInput(f"pooling={pooling!r}.", f"Choose one of {', '.join(POOLINGS)}.")
        if not isinstance(max_tokens, int) or max_tokens < 4:
            raise BadInput(f"max_tokens={max_tokens!r}.", "Give 4 or more; 128 is enough for most sentences.")
        if positions is not None:
            _check_length(max_tokens, positions, name)
        self.name, self.pooling, self.max_tokens, self.prefix = name, pooling, max_tokens, prefix
        self.width, self.depth = width, depth
        self.layer = layer
        self._layers = _layers(layer, depth)
        self.dim = width * len(self._layers)
        self.source, self._load = source, load
        where = str(self._layers[0]) if len(self._layers) == 1 else "all"
        before = hashlib.sha256(prefix.encode()).hexdigest()[:8] if prefix else "bare"
        self.key = f"{source}-{where}-{pooling}-{max_tokens}-{before}-{_READING}"
        self.last: Timing | None = None
        self.recipe: Recipe | None = None  # set by those who know how another process makes the same
        self._cache = FeatureCache(self.key, self.dim)

    @cached_property
    def _loaded(self) -> Loaded:
        loaded = self._load()
        _check_length(self.max_tokens, loaded.positions, self.name)
        return loaded

    @property
    def model(self) -> Any:
        """The frozen transformers model; train `network_copy`, not this one."""
        return self._loaded.model

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self._loaded.tokenizer

    @property
    def parameters(self) -> int:
        """Weights of the frozen network."""
        return sum(p.numel() for p in self.model.parameters())

    def with_layer(self, layer: int | str) -> TextEncoder:
        """Return the same encoder reading another layer: a number from 0, ``"last"`` or ``"all"``."""
        other = TextEncoder(
            self.name,
            source=self.source,
            load=lambda: self._loaded,  # the same network, once in memory
            width=self.width,
            depth=self.depth,
            layer=layer,
            pooling=self.pooling,
            max_tokens=self.max_tokens,
            prefix=self.prefix,
        )
        if isinstance(self.recipe, partial):
            other.recipe = partial(self.recipe, layer=layer)
        return other

    def tokens(self, text: str) -> list[str]:
        """Return the pieces that a text becomes, prefix and special tokens apart.

        Examples
        --------
        >>> english_bert().tokens("Transfer 学习")
        ['transfer', '学', '[UNK]']
        """
        return coverage.pieces(self.tokenizer, text)

    def tokenized(self, data: Split | np.ndarray | Sequence[str]) -> Tokens:
        """Return token numbers of sentences or pairs, the prefix before each, cut at `max_tokens`.

        Raises
        ------
        BadInput
            As `checked_sentences`.
        """
        x = checked_sentences(data)
        if not len(x):
            return Tokens([], None)
        if self.prefix:
            x = self.prefix + x
        texts = [x.tolist()] if x.ndim == 1 else [x[:, 0].tolist(), x[:, 1].tolist()]
        wants_types = x.ndim == 2 and self.model.config.type_vocab_size > 1 and self._tells_pairs_apart
        found = self.tokenizer(
            *texts,
            truncation=True,
            max_length=self.max_tokens,
            return_token_type_ids=wants_types,
            return_attention_mask=False,
            verbose=False,
        )
        ids = [np.array(i, np.int64) for i in found["input_ids"]]
        types = [np.array(t, np.int64) for t in found["token_type_ids"]] if wants_types else None
        return Tokens(ids, types)

    @property
    def _tells_pairs_apart(self) -> bool:
        return "token_type_ids" in self.tokenizer.model_input_names

    def token_ids(self, data: Split | np.ndarray | Sequence[str]) -> list[list[int]]:
        """Return token numbers as lists, special tokens included, cut at `max_tokens`."""
        return [i.tolist() for i in self.tokenized(data).ids]

    def encode(
        self,
        data: Split | np.ndarray | Sequence[str],
        *,
        cache: bool = True,
        progress: bool = True,
        batch_tokens: int = BATCH_TOKENS,
        scheduler: Any = None,
    ) -> np.ndarray:
        """Return the features of sentences; what was computed before is read from disk.

        Sentences are sorted by length, so that hardly any padding goes through the network. What stands in a
        batch with a sentence may change the last digits of its features, some 1e-6, and nothing more.

        Parameters
        ----------
        data : Split, numpy.ndarray or sequence of str
            ``(n,)`` sentences or ``(n, 2)`` pairs. Longer ones than `max_tokens` are cut.
        cache : bool
            False neither reads nor writes features on disk.
        progress : bool
            Show a bar while computing.
        batch_tokens : int
            Tokens per batch; memory grows with it.
        scheduler : str, distributed.Client or cluster, optional
            Who computes: ``"threads"`` or ``"processes"`` of this machine, or the machines of a Dask
            cluster (see `course_lib.scheduler.connected`). A worker that is lost changes nothing.

        Returns
        -------
        numpy.ndarray
            ``(n, dim)`` float32. With ``layer="all"`` the layers side by side, the embeddings first.

        Raises
        ------
        BadInput
            As `checked_sentences`.

        Warns
        -----
        RuntimeWarning
            When more than a fifth of the tokens of what is computed now are unknown to the tokenizer.
        """
        x = checked_sentences(data)
        if scheduler is None:
            compute: Compute = partial(self._compute, x, batch_tokens=batch_tokens, progress=progress)
        else:
            compute = self._spread(x, batch_tokens, progress, scheduler)
        features, self.last = encode_through(self._cache, text_fingerprints(x) if cache else len(x), compute)
        return features

    def _spread(self, x: np.ndarray, batch_tokens: int, progress: bool, scheduler: Any) -> Compute:
        """Return what computes on a scheduler's workers, after a warning where one is due."""
        elsewhere = spread(self, x, scheduler, progress, {"batch_tokens": batch_tokens})

        def compute(rows: np.ndarray, out: np.ndarray) -> Iterator[tuple[int, float]]:
            if len(rows):
                self.warn_if_uncovered(x[rows])
            yield from elsewhere(rows, out)

        return compute

    def checked(self, data: Any) -> tuple[np.ndarray, Callable[[np.ndarray], list[bytes]]]:
        """Return sentences as an array, and what gives their fingerprints."""
        return checked_sentences(data), text_fingerprints

    def rows_of_a_piece(self, x: np.ndarray, batch_tokens: int = BATCH_TOKENS) -> int:
        """Return how many sentences make a piece."""
        return _PIECE

    def piece(self, x: np.ndarray, lock: Any, batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return the features of a few sentences, computed now; any number of threads may ask at once."""
        import torch

        with lock:  # tokenizers serve one thread at a time
            loaded = self._loaded
            tokens = self.tokenized(x)
        out = np.empty((len(x), self.dim), np.float32)
        for batch in by_length(tokens.lengths, batch_tokens):
            with torch.inference_mode():
                found = self._pooled(loaded, tokens.padded(batch, loaded.tokenizer.pad_token_id))
            out[batch] = found.numpy()
        return out

    def _compute(
        self, x: np.ndarray, rows: np.ndarray, out: np.ndarray, batch_tokens: int, progress: bool
    ) -> Iterator[tuple[int, float]]:
        """Fill `out` with the features of ``x[rows]``; yield (rows done, seconds since the last yield)."""
        if not len(rows):
            return
        import torch

        from course_lib.show.progress import Progress

        loaded = self._loaded
        self.warn_if_uncovered(x[rows])
        with Progress(f"features of {self.name}", len(rows), "sentences", visible=progress) as bar:
            for first in range(0, len(rows), _SHARD):
                since = time.perf_counter()
                part = self.tokenized(x[rows[first : first + _SHARD]])
                for batch in by_length(part.lengths, batch_tokens):
                    with torch.inference_mode():
                        found = self._pooled(loaded, part.padded(batch, loaded.tokenizer.pad_token_id))
                    out[first + batch] = found.numpy()
                    bar.update(len(batch))
                yield first + len(part.ids), time.perf_counter() - since

    def _pooled(self, loaded: Loaded, batch: dict[str, Any]) -> Any:
        import torch

        wanted = self._layers
        alone = len(wanted) == 1
        if alone and wanted[0] == self.depth:
            states = [loaded.model(**batch).last_hidden_state]
        else:
            all_states = loaded.model(**batch, output_hidden_states=True).hidden_states
            states = [all_states[layer] for layer in wanted]
        return torch.cat([pooled(s, batch.get("attention_mask"), self.pooling) for s in states], dim=1)

    def warn_if_uncovered(self, data: Split | np.ndarray | Sequence[str]) -> None:
        """Warn when more than a fifth of the tokens of `data` are unknown, counted on 200 texts of it."""
        x = checked_sentences(data)
        rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), _LOOKED_AT)).astype(int))
        share = self.unknown_share(x[rows])
        coverage.warn_if_uncovered(self.name, share, self.tokenizer.unk_token, stacklevel=stack_level())

    def unknown_share(self, data: Split | np.ndarray | Sequence[str]) -> float:
        """Return the share of tokens, prefix and special ones apart, that the tokenizer does not know."""
        texts = checked_sentences(data).reshape(-1)
        return coverage.unknown_share(coverage.piece_counts(self.tokens, texts, self.tokenizer.unk_token))

    def network_copy(self, *, own_embeddings: bool = True) -> Any:
        """Return a network of one's own to train: this encoder stays as it is.

        Parameters
        ----------
        own_embeddings : bool
            False shares the table of word embeddings with this encoder, most of all weights: right where it
            stays frozen.

        Returns
        -------
        transformers.PreTrainedModel
            float32, in training mode.
        """
        table = self.model.get_input_embeddings().weight
        memo = {} if own_embeddings else {id(table): table}
        return copy.deepcopy(self.model, memo).train()

    def __repr__(self) -> str:
        which = "all layers" if len(self._layers) > 1 else f"layer {self._layers[0]} of {self.depth}"
        return f"TextEncoder({self.name!r}: {which}, {self.pooling} → {self.dim:,} features, frozen)"


def _layers(layer: int | str, depth: int) -> tuple[int, ...]:
    """Return which hidden states are read: 0 is the embeddings, `depth` the last layer."""
    if layer == "all":
        return tuple(range(depth + 1))
    if layer == "last":
        return (depth,)
    if isinstance(layer, int | np.integer) and 0 <= layer <= depth:
        return (int(layer),)
    raise BadInput(f"layer={layer!r}.", f"Give 0 (the embeddings) to {depth}, 'last' or 'all'.")


def pooled(states: Any, mask: Any, pooling: str) -> Any:
    """Return one vector per sentence from ``(n, tokens, width)`` states: their mean, or the first.

    Parameters
    ----------
    states : torch.Tensor
    mask : torch.Tensor or None
        ``(n, tokens)``, 0 where padding is; None where there is none.
    pooling : {"mean", "cls"}
    """
    if pooling == "cls":
        return states[:, 0]
    if mask is None:
        return states.mean(dim=1)
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(dim=1) / weight.sum(dim=1)


def by_length(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Return row numbers in batches of similar length, each of at most `batch_tokens` with padding.

    Examples
    --------
    >>> [batch.tolist() for batch in by_length(np.array([9, 2, 8, 2, 2]), batch_tokens=18)]
    [[1, 3, 4], [2, 0]]
    """
    order = np.argsort(lengths, kind="stable")
    batches, first = [], 0
    for place, row in enumerate(order):
        if place > first and (place - first + 1) * lengths[row] > batch_tokens:
            batches.append(order[first:place])
            first = place
    return [*batches, order[first:]] if len(order) else []


def checked_sentences(data: Split | np.ndarray | Sequence[str]) -> np.ndarray:
    """Return sentences ``(n,)`` or pairs ``(n, 2)`` as an object array of str.

    Raises
    ------
    BadInput
        For a bare string, another shape, values that are not strings, texts of nothing but spaces, and texts
        with half a character (a lone surrogate).
    """
    if isinstance(data, str):
        raise BadInput("A single text was given, not a list of them.", "Give a list: [text].")
    given = data.x if isinstance(data, Split) else data
    x = given if isinstance(given, np.ndarray) else np.asarray(given, object)
    if x.dtype.kind in "UT":  # NumPy's own strings
        x = x.astype(object)
    if x.ndim == 2 and x.shape[1] == 1:
        x = x[:, 0]
    if x.size == 0:
        return np.empty(0, object)
    if x.dtype != object or x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[1] != 2):
        raise BadInput(
            f"Sentences of shape {x.shape} and type {x.dtype}; expected (n,) or (n, 2) of str.",
            "Give a list of texts, or of pairs of texts.",
        )
    for place, text in enumerate(x.flat):
        _check_text(text, row=place // x.ndim)
    return x


def _check_text(text: Any, row: int) -> None:
    if not isinstance(text, str):
        raise BadInput(
            f"Row {row} holds {shortened(text)}, not a text.",
            "Leave such rows out, for instance table.dropna(), or turn them into text.",
        )
    if not text.strip():
        raise BadInput(f"Row {row} is an empty text.", "Leave it out: there is nothing to encode.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"Row {row} holds half a character at place {error.start}: {shortened(text)}.",
            "Read its file in the encoding that it has; or text.encode('utf8', 'ignore').decode().",
        ) from None


def text_fingerprints(x: np.ndarray) -> list[bytes]:
    """Return one 16-byte BLAKE2b fingerprint per sentence or pair.

    Examples
    --------
    >>> one, pair = np.array(["ab"], object), np.array([["a", "b"]], object)
    >>> text_fingerprints(one) == text_fingerprints(pair)
    False
    """
    rows = ((text,) for text in x) if x.ndim == 1 else map(tuple, x)
    return [_fingerprint(row) for row in rows]


def _fingerprint(texts: tuple[str, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.digest()


def multilingual_bert(
    name: str = MULTILINGUAL,
    *,
    layer: int | str = "last",
    pooling: str = "mean",
    max_tokens: int = 128,
    prefix: str | None = None,
    weights: str = "pretrained",
    revision: str | None = None,
) -> TextEncoder:
    """Return an encoder that learnt from a hundred languages.

    Parameters
    ----------
    name : str
        ``"multilingual-e5-small"`` is packaged and needs no network. Any BERT or XLM-RoBERTa of the hub, for
        instance ``"bert-base-multilingual-cased"`` or ``"xlm-roberta-base"``, is downloaded once; safetensors
        only, no remote code.
    layer : int, "last" or "all"
        Whose states are pooled: 0 is the embeddings. ``"all"`` puts them side by side.
    pooling : {"mean", "cls"}
        The mean over all tokens, or the first token's state.
    max_tokens : int
        Longer texts are cut.
    prefix : str, optional
        Put before every text. Default: what the network's authors put there in training, ``"query: "`` for
        the E5 family and nothing otherwise. Notebook 08 measures what ``""`` does.
    weights : {"pretrained", "random"}
        ``"random"`` is the control: the same architecture and tokenizer that never learnt anything.
    revision : str, optional
        Of a model on the hub: a commit.

    Returns
    -------
    TextEncoder

    Raises
    ------
    BadInput
        A layer, pooling, length or weights that there is not.
    DataUnavailable, Corrupt
        When weights are missing, cannot be downloaded, or are not the published ones.

    References
    ----------
    Wang et al. (2024), "Multilingual E5 text embeddings". Devlin et al. (2019), "BERT". Conneau et al.
    (2020), "Unsupervised cross-lingual representation learning at scale" (XLM-R).

    Examples
    --------
    >>> encoder = multilingual_bert()
    >>> encoder.encode(["The weather is fine.", "天气很好。"], cache=False).shape
    (2, 384)
    """
    return _bert(
        name,
        layer=layer,
        pooling=pooling,
        max_tokens=max_tokens,
        prefix=prefix,
        weights=weights,
        revision=revision,
    )


def english_bert(
    name: str = ENGLISH,
    *,
    layer: int | str = "last",
    pooling: str = "mean",
    max_tokens: int = 128,
    prefix: str | None = None,
    weights: str = "pretrained",
    revision: str | None = None,
) -> TextEncoder:
    """Return an encoder that learnt from English alone, with the vocabulary of ``bert-base-uncased``.

    Parameters
    ----------
    name : str
        ``"all-minilm-l6-v2"`` is packaged and needs no network: 6 layers, 384 wide. On the hub, for instance
        ``"bert-base-uncased"``.
    layer, pooling, max_tokens, prefix, weights, revision
        As in `multilingual_bert`.

    Returns
    -------
    TextEncoder

    Raises
    ------
    BadInput, DataUnavailable, Corrupt
        As `multilingual_bert`.

    References
    ----------
    Reimers & Gurevych (2019), "Sentence-BERT"; Wang et al. (2020), "MiniLM".

    Examples
    --------
    >>> english_bert(layer=3)
    TextEncoder('all-minilm-l6-v2': layer 3 of 6, mean → 384 features, frozen)
    """
    return _bert(
        name,
        layer=layer,
        pooling=pooling,
        max_tokens=max_tokens,
        prefix=prefix,
        weights=weights,
        revision=revision,
    )


def _bert(
    name: str, *, prefix: str | None, weights: str, revision: str | None, **options: Any
) -> TextEncoder:
    if weights not in ("pretrained", "random"):
        raise BadInput(f"weights={weights!r}.", "Give 'pretrained', or 'random' for the control.")
    options["prefix"] = _prefix_of(name) if prefix is None else prefix
    asked = dict(options)
    positions: int | None = None
    if name in _PACKAGED:
        (width, depth, positions), read = _PACKAGED[name]
        path = weights_file(name)  # verified now, so that altered weights are refused before anything runs
        load = partial(read, path)
        source = f"{name}-{WEIGHTS[name].sha256[:12]}"
    else:
        from course_lib.encoders import hub

        folder = hub.model_folder(name, revision)
        source, width, depth = hub.describe(folder)
        load = partial(_from_hub, folder)
    options.update(width=width, depth=depth, positions=positions)
    if weights == "random":
        encoder = TextEncoder(
            f"{name}, random weights",
            source=f"{source}-random0",
            load=lambda: _untaught(load()),
            **options,
        )
    else:
        encoder = TextEncoder(name, source=source, load=load, **options)
    encoder.recipe = partial(_bert, name, weights=weights, revision=revision, **asked)
    return encoder


def _from_hub(folder: Any) -> Loaded:
    from course_lib.encoders import hub

    return Loaded(*hub.load(folder))


def _prefix_of(name: str) -> str:
    """Return what a network saw before every text in training."""
    own_name = name.lower().split("/")[-1]
    is_e5 = re.search(r"(^|-)e5(-|$)", own_name) and "instruct" not in own_name  # those take whole sentences
    return E5_PREFIX if is_e5 else ""


def _check_length(max_tokens: int, positions: int, name: str) -> None:
    if max_tokens > positions:
        raise BadInput(
            f"max_tokens={max_tokens}; {name} has {positions} positions.",
            f"Give at most {positions}; longer texts are cut there.",
        )


def _untaught(loaded: Loaded) -> Loaded:
    """Return the same architecture with the weights that training would begin with, seed 0."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = type(loaded.model)(loaded.model.config, add_pooling_layer=False)
    return Loaded(model.eval(), loaded.tokenizer)


@lru_cache(maxsize=1)
def _multilingual(path: Any) -> Loaded:
    contents = e5_small.read(path)
    model = _filled(e5_small.config(contents), e5_small.state(contents))
    return Loaded(model, e5_small.tokenizer(contents))


@lru_cache(maxsize=1)
def _english(path: Any) -> Loaded:
    from safetensors.numpy import load_file
    from transformers import BertConfig, PreTrainedTokenizerFast

    vocabulary = weights_file(f"{ENGLISH} tokenizer")
    state = {name: array for name, array in load_file(path).items() if not name.startswith("pooler.")}
    state.pop("embeddings.position_ids", None)
    config = BertConfig(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(vocabulary),
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=config.max_position_embeddings,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    tokenizer.backend_tokenizer.no_padding()
    return Loaded(_filled(config, state), tokenizer)


_PACKAGED: dict[str, tuple[tuple[int, int, int], Callable[[Any], Loaded]]] = {
    MULTILINGUAL: ((384, 12, 512), _multilingual),
    ENGLISH: ((384, 6, 512), _english),
}
"""Width, layers and positions, known before the weights are read; and how they are read."""


def _filled(config: Any, state: dict[str, np.ndarray]) -> Any:
    """Return a ``BertModel`` with these weights, each of them used and none missing."""
    import torch
    from transformers import BertModel
    from transformers.utils import logging

    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, told = BertModel.from_pretrained(
            None,
            config=config,
            state_dict={name: torch.from_numpy(array) for name, array in state.items()},
            add_pooling_layer=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below, with all else that does not fit
            dtype=torch.float32,
        )
    finally:
        if bar:
            logging.enable_progress_bar()
    odd = {what: names for what, names in told.items() if names}
    if odd:
        raise Corrupt(
            f"The weights do not fit the network: {shortened(odd)}.",
            "Reinstall their package: `course doctor` names the command.",
        )
    return model.eval()
