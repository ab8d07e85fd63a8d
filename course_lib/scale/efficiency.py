"""The same network made cheaper: half precision, 8 bits, similar lengths together, few weights trained.

Each function prepares one way of doing the work and returns a callable that does it, to be timed in turn with
another (`course_lib.bench.alternate`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.encoders.text import TextEncoder, by_length, checked_sentences, pooled
from course_lib.errors import BadInput

NUMBERS = ("float32", "bfloat16", "int8")
TRAINED = ("all", "low rank", "head")


def padding_share(lengths: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    """Return the share of padding among all tokens that go through the network.

    Parameters
    ----------
    lengths : numpy.ndarray
        ``(n,)`` tokens of each sentence.
    batches : sequence of numpy.ndarray
        Row numbers.

    Examples
    --------
    >>> padding_share(np.array([1, 4, 3]), [np.array([0, 1]), np.array([2])])  # 8 tokens for 11
    0.2727272727272727
    """
    paid = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - float(lengths.sum()) / paid


def in_given_order(n: int, batch: int) -> list[np.ndarray]:
    """Return row numbers in batches of `batch`, as they come."""
    return np.array_split(np.arange(n), np.arange(batch, n, batch))


def forward(
    encoder: TextEncoder,
    texts: np.ndarray | Sequence[str],
    *,
    numbers: str = "float32",
    bucketed: bool = True,
    batch_tokens: int = 1024,
    batch: int = 32,
) -> Callable[[], np.ndarray]:
    """Return what computes the features of texts in one way; tokens and weights are made ready before.

    Parameters
    ----------
    encoder : TextEncoder
        Of one layer. Is not changed.
    texts : sequence of str
    numbers : {"float32", "bfloat16", "int8"}
        What the network computes in. ``"int8"`` rounds the matrices to 8 bits, and what meets them as it
        comes (dynamic quantisation, 动态量化).
    bucketed : bool
        Sort by length and fill batches up to `batch_tokens`; False takes them as they come, `batch` at a
        time.
    batch_tokens, batch : int

    Returns
    -------
    callable
        Without arguments; returns ``(n, width)`` float32.

    Raises
    ------
    BadInput
        For numbers that there are not, or where this PyTorch has no int8.
    """
    import torch

    if numbers not in NUMBERS:
        raise BadInput(f"numbers={numbers!r}.", f"Choose one of {', '.join(map(repr, NUMBERS))}.")
    tokens = encoder.tokenized(checked_sentences(texts))
    rows = by_length(tokens.lengths, batch_tokens) if bucketed else in_given_order(len(tokens.ids), batch)
    batches = [tokens.padded(part, encoder.tokenizer.pad_token_id) for part in rows]
    network = encoder.network_copy().eval()
    if numbers == "bfloat16":
        network = network.to(torch.bfloat16)
    elif numbers == "int8":
        network = _eight_bits(network)

    def work() -> np.ndarray:
        out = np.empty((len(tokens.ids), encoder.width), np.float32)
        with torch.inference_mode():
            for part, given in zip(rows, batches, strict=True):
                states = network(**given).last_hidden_state
                out[part] = pooled(states.float(), given.get("attention_mask"), encoder.pooling).numpy()
        return out

    return work


def _eight_bits(network: Any) -> Any:
    """Return a network whose matrices are int8."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch will move this to a package of its own
            quantize: Any = torch.ao.quantization.quantize_dynamic
            return quantize(network, {torch.nn.Linear}, dtype=torch.qint8)
    except (AttributeError, RuntimeError) as error:
        raise BadInput(
            f"This PyTorch has no int8 for this processor: {error}.", "Use numbers='bfloat16'."
        ) from None


def training_step(
    encoder: TextEncoder,
    texts: np.ndarray | Sequence[str],
    classes: int,
    *,
    trains: str = "all",
    numbers: str = "float32",
    rank: int = 8,
) -> tuple[Callable[[], float], int]:
    """Return what makes one training step on a batch of texts, and how many weights it trains.

    Parameters
    ----------
    encoder : TextEncoder
        Is not changed.
    texts : sequence of str
        One batch; their labels are dealt out in turn, for only the clock is read.
    classes : int
    trains : {"all", "low rank", "head"}
        All weights but the embeddings; LoRA's terms beside query and value; or the last layer alone.
    numbers : {"float32", "bfloat16"}
        bfloat16 by autocast: weights stay float32, products are made in half precision (混合精度).
    rank : int
        Of the low-rank terms.

    Returns
    -------
    callable
        Without arguments; returns the loss. It has run once: the first step of a process also imports what
        optimizers need, for seconds.
    int

    Raises
    ------
    BadInput
        For what there is not.
    """
    import torch

    if trains not in TRAINED or numbers not in NUMBERS[:2]:
        raise BadInput(
            f"trains={trains!r}, numbers={numbers!r}.",
            f"Choose trains among {', '.join(TRAINED)}, numbers among {', '.join(NUMBERS[:2])}.",
        )
    tokens = encoder.tokenized(checked_sentences(texts))
    given = tokens.padded(np.arange(len(tokens.ids)), encoder.tokenizer.pad_token_id)
    labels = torch.arange(len(tokens.ids)) % classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = torch.nn.Linear(encoder.width, classes)
        body = _trained_part(encoder.network_copy().eval(), trains, rank)
    weights = [p for p in (*body.parameters(), *head.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, 1e-5)

    def work() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=numbers == "bfloat16"):
            states = body(**given).last_hidden_state
            logits = head(pooled(states, given.get("attention_mask"), encoder.pooling))
        loss: Any = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    work()
    return work, sum(p.numel() for p in weights)


def _trained_part(body: Any, trains: str, rank: int) -> Any:
    """Mark which weights of the body are trained."""
    body.requires_grad_(trains == "all")
    body.embeddings.requires_grad_(False)
    if trains == "low rank":
        from peft import LoraConfig, get_peft_model

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            body = get_peft_model(body, LoraConfig(r=rank, target_modules=["query", "value"])).eval()
    return body
