"""A vocabulary for text that is written without spaces: known words, single characters, nothing learnt."""

from __future__ import annotations

import json
import math
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from course_lib.errors import BadInput

ROLES = ("pad", "unk", "cls", "sep", "mask")
"""Special tokens, in the order of their numbers."""

_ALWAYS = string.ascii_lowercase + string.digits + string.punctuation
_UNSEEN = 0.1  # of an occurrence: what a known word that never came up is taken for


def vocabulary_of(sentences: Sequence[str], words: Iterable[str], like: Any) -> Any:
    """Return a tokenizer that splits text into known words, and the rest into characters.

    A unigram model (Kudo, 2018): of all ways to split a text, the likeliest. Nobody says where words end in
    the sentences; so the first split takes the fewest words, and each word is then as likely as it came up
    there. Characters of the sentences, and letters, digits and signs of ASCII, are pieces too, so that a word
    nobody knows becomes its characters and only a character nobody has seen is unknown.

    Parameters
    ----------
    sentences : sequence of str
    words : iterable of str
        May be empty: then every character is a piece.
    like : transformers.PreTrainedTokenizerFast
        Whose special tokens and inputs are taken over.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        Lower case and in normal form (NFKC: ``，`` becomes ``,``).

    Raises
    ------
    BadInput
        When there are no sentences.

    References
    ----------
    Kudo (2018), "Subword regularization".

    Examples
    --------
    >>> from course_lib.encoders import english_bert
    >>> known = ["老师", "学生", "生日", "快乐"]
    >>> tokenizer = vocabulary_of(["老师生日快乐，学生！"], known, english_bert().tokenizer)
    >>> tokenizer.tokenize("学生日快乐")
    ['学', '生日', '快乐']
    >>> tokenizer.convert_ids_to_tokens(tokenizer("老鼠", add_special_tokens=False)["input_ids"])
    ['老', '[UNK]']
    """
    if not len(sentences):
        raise BadInput("There are no sentences to make a vocabulary of.", "Give raw text of the language.")
    normal = _normaliser()
    known = {normal.normalize_str(word).strip() for word in words} - {""}
    characters = set("".join(normal.normalize_str(text) for text in sentences)) | set(_ALWAYS)
    characters = {c for c in characters if not c.isspace()}
    special = [getattr(like, f"{role}_token") for role in ROLES]
    pieces = sorted((known | characters) - set(special))
    fewest = _built(special, dict.fromkeys(pieces, -1.0))
    counts = Counter(p for found in fewest.encode_batch(list(sentences)) for p in found.tokens)
    total = sum(counts[piece] for piece in pieces) + _UNSEEN * len(pieces)
    scores = {piece: math.log((counts[piece] + _UNSEEN) / total) for piece in pieces}
    return _wrapped(_built(special, scores), special, like)


def text_of(tokenizer: Any) -> str:
    """Return what a tokenizer of `vocabulary_of` is, in JSON.

    How the last call padded and truncated is left out: it would be another text after every use.
    """
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    return json.dumps({**told, "padding": None, "truncation": None}, ensure_ascii=False)


def tokenizer_from(text: str, like: Any) -> Any:
    """Return a tokenizer of `vocabulary_of` again, from its `text_of`."""
    from tokenizers import Tokenizer

    return _wrapped(Tokenizer.from_str(text), [getattr(like, f"{role}_token") for role in ROLES], like)


def _normaliser() -> Any:
    from tokenizers import normalizers

    return normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])


def _built(special: list[str], scores: dict[str, float]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = [(token, 0.0) for token in special] + list(scores.items())
    built = Tokenizer(models.Unigram(vocabulary, unk_id=ROLES.index("unk")))
    built.normalizer = _normaliser()
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    return built


def _wrapped(built: Any, special: list[str], like: Any) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    named = dict(zip(ROLES, special, strict=True))
    first, last = named["cls"], named["sep"]
    built.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, ROLES.index("cls")), (last, ROLES.index("sep"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        **{f"{role}_token": token for role, token in named.items()},
        model_max_length=like.model_max_length,
        model_input_names=like.model_input_names,
    )
