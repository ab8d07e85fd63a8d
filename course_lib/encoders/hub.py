"""Text encoders of the Hugging Face hub: safetensors only, no remote code, pinned and verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput, Corrupt
from course_lib.hub_files import Repository, Snapshot, snapshot

_INSTEAD = "Packaged, without a network: encoders.multilingual_bert() and encoders.english_bert()."

PINNED: dict[str, Repository] = {
    "bert-base-multilingual-cased": Repository(
        "google-bert/bert-base-multilingual-cased",
        commit="3f076fdb1ab68d5b2880cb87a0886f315b8146f8",
        instead=_INSTEAD,
    ),
    "xlm-roberta-base": Repository(
        "FacebookAI/xlm-roberta-base",
        commit="e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
        sha256={"model.safetensors": "6fd4797bc397c3b8b55d6bb5740366b57e6a3ce91c04c77f22aafc0c128e6feb"},
        instead=_INSTEAD,
    ),
    "intfloat/multilingual-e5-small": Repository(
        "intfloat/multilingual-e5-small",
        commit="614241f622f53c4eeff9890bdc4f31cfecc418b3",
        sha256={"model.safetensors": "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477"},
        instead=_INSTEAD,
    ),
    "bert-base-uncased": Repository(
        "google-bert/bert-base-uncased",
        commit="86b5e0934494bd15c9632b12f734a8a67f723594",
        sha256={"model.safetensors": "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3"},
        instead=_INSTEAD,
    ),
    "bert-base-chinese": Repository(
        "google-bert/bert-base-chinese",
        commit="8f23c25b06e129b6c986331a13d8d025a92cf0ea",
        instead=_INSTEAD,
    ),
}
"""Networks of the hub by the names that the course uses, each at a commit.

Where a SHA-256 of the weights is given, nothing else is loaded. For the others, what the hub announces is
verified at the first download, recorded, and nothing else is loaded from then on.
"""

WEIGHTS, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_VOCABULARY = ("vocab.txt", "sentencepiece.bpe.model")  # read where there is no tokenizer.json
_CLASSES = {"bert": "BertModel", "xlm-roberta": "XLMRobertaModel"}
_BODY = ("embeddings.", "encoder.")
_SAMPLE = "Hello world. 你好，世界。"


def model_folder(name: str, revision: str | None = None) -> Path:
    """Return the folder with the files of a network, downloaded at the first call, verified at every one.

    Only what a text encoder needs is downloaded: the configuration, the tokenizer and the weights as
    safetensors.

    Parameters
    ----------
    name : str
        A key of `PINNED`, or any ``author/name`` of the hub.
    revision : str, optional
        A commit, branch or tag. Default: the pinned commit; for other names the branch ``main``, looked up
        once and recorded, so that it stays the same from then on.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        A name or revision that there is not; a network that is neither a BERT nor an XLM-RoBERTa, has
        its weights as pickles only, or brings code of its own.
    DataUnavailable
        When it cannot be downloaded; the message names the remedy.
    Corrupt
        When files are not the published ones.
    """
    repository = _repository(name)
    found = snapshot(repository, revision)
    names = _needed(found)
    found = found.bring(["config.json"])
    _check_config(found.folder, repository.name)  # before hundreds of megabytes come for nothing
    found = found.bring(names)
    if INDEX in names:
        found = found.bring(_shards(found))
    _check_code(found.folder / "tokenizer_config.json", repository.name)
    return found.record()


def describe(folder: Path) -> tuple[str, int, int]:
    """Return a name for features to be filed under, the width, and the number of layers.

    The name holds author, name and commit: features of other weights are never mixed up with these.
    """
    config = _config(folder)
    source = f"{folder.parent.parent.name.removeprefix('models--')}-{folder.name[:12]}"
    return source, int(config["hidden_size"]), int(config["num_hidden_layers"])


def load(folder: Path) -> tuple[Any, Any]:
    """Return the network and its tokenizer, float32, every weight of the body found in the files.

    Heads that were trained along (pooler, masked language model) are left out.

    Parameters
    ----------
    folder : pathlib.Path
        As returned by `model_folder`.

    Returns
    -------
    transformers.BertModel or transformers.XLMRobertaModel
    transformers.PreTrainedTokenizerFast

    Raises
    ------
    BadInput
        When weights are missing or do not fit, or the tokenizer does not know any word or has no mask.
    Corrupt
        When the files cannot be read.
    """
    config = _config(folder)
    _check_config(folder, folder.name)
    return _model(folder, str(config["model_type"])), _tokenizer(folder, int(config["vocab_size"]))


def _repository(name: str) -> Repository:
    if name in PINNED:
        return PINNED[name]
    by_full_name = {repository.name: repository for repository in PINNED.values()}
    return by_full_name.get(name) or Repository(name, instead=_INSTEAD)


def _needed(found: Snapshot) -> list[str]:
    """Return the files of a text encoder among all files of a repository."""
    names, name = found.files, found.repository.name
    vocabulary = () if "tokenizer.json" in names else _VOCABULARY
    tokenizer = [n for n in (*_TOKENIZER, *vocabulary) if n in names]
    readable = {"tokenizer.json", *_VOCABULARY} & set(tokenizer)
    weights = [n for n in (WEIGHTS, INDEX) if n in names][:1]
    if not found.complete and not ("config.json" in names and readable and weights):
        raise found.incomplete()
    if "config.json" not in names:
        raise BadInput(f"{name} has no config.json: it is no network of transformers.", _INSTEAD)
    if not weights:
        raise BadInput(
            f"{name} has no {WEIGHTS}"
            + (f", only {PICKLE}: a pickle, and reading one runs what it holds." if PICKLE in names else "."),
            "Name a revision that has it: on the model's page, under Community, a pull request of the "
            f"converter may (revision='refs/pr/N'). {_INSTEAD}",
        )
    if not readable:
        raise BadInput(f"{name} has no tokenizer.", f"Take a network that comes with one. {_INSTEAD}")
    return [*tokenizer, *weights]


def _shards(found: Snapshot) -> list[str]:
    """Return the weights files that an index names."""
    told = _json(found.folder / INDEX)
    names = sorted(set(told.get("weight_map", {}).values()))
    missing = [name for name in names if name not in found.files or not name.endswith(".safetensors")]
    if missing and not found.complete:
        raise found.incomplete()
    if missing or not names:
        raise BadInput(
            f"{INDEX} of {found.repository.name} names {', '.join(missing) or 'no files'}, which it does not "
            "have as safetensors.",
            _INSTEAD,
        )
    return names


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf8"))
    except (OSError, ValueError) as error:
        raise Corrupt(f"{path.name} cannot be read: {error}.", _INSTEAD) from error
    if not isinstance(told, dict):
        raise Corrupt(f"{path.name} holds no settings.", _INSTEAD)
    return told


def _config(folder: Path) -> dict[str, Any]:
    return _json(folder / "config.json")


def _check_config(folder: Path, name: str) -> None:
    """Refuse what is not a text encoder, and what brings code."""
    config = _config(folder)
    _check_code(folder / "config.json", name)
    kind = config.get("model_type")
    if kind not in _CLASSES:
        raise BadInput(
            f"{name} is of type {kind!r}; the course reads {' and '.join(_CLASSES)}.",
            f"Choose such a network. {_INSTEAD}",
        )
    sizes = [key for key in ("hidden_size", "num_hidden_layers", "vocab_size") if key not in config]
    if sizes:
        raise BadInput(f"config.json of {name} does not say {', '.join(sizes)}.", _INSTEAD)


def _check_code(path: Path, name: str) -> None:
    if path.is_file() and "auto_map" in _json(path):
        raise BadInput(
            f"{name} brings code of its own (auto_map in {path.name}), which the course does not run.",
            f"Choose a network that transformers knows by itself. {_INSTEAD}",
        )


def _model(folder: Path, kind: str) -> Any:
    import torch
    import transformers
    from safetensors import SafetensorError
    from transformers.utils import logging

    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what is left over or missing is checked below
    try:
        model, told = getattr(transformers, _CLASSES[kind]).from_pretrained(
            folder,
            add_pooling_layer=False,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except SafetensorError as error:
        raise Corrupt(f"The weights in {folder} cannot be read: {error}.", _INSTEAD) from error
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise BadInput(f"The weights in {folder} do not fit config.json: {error}", _INSTEAD) from error
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
    prefix = f"{model.base_model_prefix}."
    unused = sorted(k for k in told["unexpected_keys"] if k.removeprefix(prefix).startswith(_BODY))
    missing = sorted(told["missing_keys"])
    if missing or unused:
        raise BadInput(
            f"The weights in {folder} do not fit config.json: {len(missing)} are missing{_first(missing)}, "
            f"{len(unused)} have no place{_first(unused)}.",
            f"Choose another revision. {_INSTEAD}",
        )
    return model.eval()


def _first(names: list[str]) -> str:
    return f" ({names[0]}, …)" if names else ""


def _tokenizer(folder: Path, vocabulary: int) -> Any:
    """Return the tokenizer, having seen it work: some answer [UNK] to everything without an error."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise BadInput(
            f"The tokenizer in {folder} cannot be read: {str(error).splitlines()[0]}",
            f"Take a network that comes with tokenizer.json. {_INSTEAD}",
        ) from error
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    missing = [n for n in ("mask", "pad", "unk", "cls", "sep") if getattr(tokenizer, f"{n}_token") is None]
    if missing:
        raise BadInput(f"The tokenizer in {folder} has no token for {', '.join(missing)}.", _INSTEAD)
    pieces = tokenizer.tokenize(_SAMPLE)
    if not pieces or all(piece == tokenizer.unk_token for piece in pieces):
        raise BadInput(
            f"The tokenizer in {folder} knows neither “Hello world” nor “你好，世界”: its vocabulary did not "
            "load.",
            f"Take a network that comes with tokenizer.json. {_INSTEAD}",
        )
    if len(tokenizer) > vocabulary:
        raise BadInput(
            f"The tokenizer in {folder} has {len(tokenizer):,} pieces, the network embeds {vocabulary:,}.",
            f"Choose another revision. {_INSTEAD}",
        )
    return tokenizer
