"""PyTorch in several processes: accelerate and gloo, as `torchrun` and `accelerate launch` start them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course_lib.scale.batches import global_batches, shard
from course_lib.scale.launch import group
from course_lib.scale.ports import HOST
from course_lib.scale.trained import Trained, check_training


def torch_workers(
    function: Callable[..., Any],
    processes: int,
    *arguments: Any,
    threads: int = 1,
    port: int | None = None,
    timeout: float = 600.0,
    **settings: Any,
) -> list[Any]:
    """Run a training function in several processes of this machine and return what each returned.

    They find each other by the environment variables that ``torchrun`` sets (``RANK``, ``WORLD_SIZE``,
    ``MASTER_ADDR``, ``MASTER_PORT``), so that the same function runs unchanged under ``torchrun`` or
    ``accelerate launch`` on many machines.

    Parameters
    ----------
    function : callable
        `torch_head` or `bert_top`, or one of your own.
    processes : int
    *arguments, **settings
        Of the function, copied into every process.
    threads : int
        Of each process.
    port : int, optional
        On which they meet; a free one by default, or where it is taken.
    timeout : float
        Seconds.

    Returns
    -------
    list
        By rank.

    Raises
    ------
    BadInput
        For numbers that make no group; and what the function raises.
    CourseError
        When a process failed, was lost, or time ran out.
    """

    def environment(rank: int, ports: Sequence[int]) -> dict[str, str]:
        loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
        return {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": HOST,
            "MASTER_PORT": str(ports[0]),
            "ACCELERATE_USE_CPU": "true",
            "CUDA_VISIBLE_DEVICES": "",
            **({"GLOO_SOCKET_IFNAME": loopback} if loopback else {}),
        }

    return group(
        function,
        arguments,
        settings,
        processes=processes,
        threads=threads,
        timeout=timeout,
        ports=1,
        port=port,
        environment=environment,
    )


def torch_head(
    x: np.ndarray,
    y: np.ndarray,
    classes: int,
    *,
    hidden: int = 64,
    seed: int = 0,
    **settings: Any,
) -> Trained:
    """Train a head with one hidden layer on features: in this process, or as one of a group.

    Parameters
    ----------
    x : numpy.ndarray
        ``(n, d)`` float32.
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.
    classes, hidden, seed : int
    **settings
        ``batch`` (over all processes), ``epochs``, ``learning_rate``, ``momentum``, ``shares``, and
        ``scaling``: ``"global"`` divides every process's sum of losses by the size of the global batch, which
        makes N processes one; ``"mean of means"`` is the usual mistake.

    Returns
    -------
    Trained

    Raises
    ------
    BadInput
        As `check_training`.
    """
    import torch

    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes)
    )
    return _trained(model, torch.from_numpy(np.asarray(x, np.float32)), y, classes, seed, **settings)


def bert_top(
    texts: np.ndarray | Sequence[str],
    y: np.ndarray,
    classes: int,
    *,
    layers: int = 1,
    max_tokens: int = 32,
    seed: int = 0,
    **settings: Any,
) -> Trained:
    """Fine-tune the uppermost layers of the English BERT and a new last layer, alone or as one of a group.

    Dropout stays off, so that what a process computes does not depend on which rows fall to it.

    Parameters
    ----------
    texts : sequence of str
    y : numpy.ndarray
        ``(n,)`` whole numbers from 0.
    classes : int
    layers : int
        How many are trained; those below and the embeddings stay frozen.
    max_tokens : int
        Longer texts are cut, shorter ones padded.
    seed : int
    **settings
        As in `torch_head`.

    Returns
    -------
    Trained

    Raises
    ------
    BadInput
        As `check_training`.
    """
    import torch

    from course_lib.encoders.text import english_bert, pooled

    encoder = english_bert(max_tokens=max_tokens)
    tokens = encoder.tokenized(texts)
    ids = tokens.padded(np.arange(len(tokens.ids)), encoder.tokenizer.pad_token_id)["input_ids"]

    class Top(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = encoder.network_copy().eval()
            self.body.requires_grad_(False)
            for layer in self.body.encoder.layer[len(self.body.encoder.layer) - layers :]:
                layer.requires_grad_(True)
            self.head = torch.nn.Linear(encoder.width, classes)

        def forward(self, batch: Any) -> Any:
            mask = (batch != encoder.tokenizer.pad_token_id).long()
            return self.head(pooled(self.body(batch, attention_mask=mask).last_hidden_state, mask, "mean"))

    torch.manual_seed(seed)
    return _trained(Top(), ids, y, classes, seed, **settings)


def _trained(
    model: Any,
    x: Any,
    y: np.ndarray,
    classes: int,
    seed: int,
    *,
    batch: int = 64,
    epochs: int = 1,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    shares: Sequence[float] | None = None,
    scaling: str = "global",
) -> Trained:
    """Train a module by SGD on a shard of every global batch."""
    import torch
    from accelerate import Accelerator

    together = Accelerator(cpu=True)
    rank, processes = together.process_index, together.num_processes
    check_training(x.numpy(), y, classes, batch, processes, scaling)
    labels = torch.from_numpy(np.asarray(y, np.int64))
    whole = together.prepare(model)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], learning_rate, momentum=momentum
    )
    losses, examples, since = [], 0, 0.0
    for step, rows in enumerate(global_batches(len(y), batch, epochs=epochs, seed=seed)):
        if step == 1:
            together.wait_for_everyone()
            since = time.perf_counter()
        mine = shard(rows, rank, processes, shares)
        weight = torch.full((max(1, len(mine)),), float(len(mine) > 0))
        mine = mine if len(mine) else rows[:1]  # weight 0: who has no row still takes part
        each = weight * torch.nn.functional.cross_entropy(whole(x[mine]), labels[mine], reduction="none")
        # DistributedDataParallel averages the gradients of the processes; times N makes that their sum.
        loss = each.sum() * processes / len(rows) if scaling == "global" else each.mean()
        optimizer.zero_grad()
        together.backward(loss)
        optimizer.step()
        losses.append(each.detach().sum() / len(rows))
        examples += len(rows) if step else 0
    together.wait_for_everyone()
    seconds = time.perf_counter() - since
    told = together.reduce(torch.stack(losses), reduction="sum")
    kept = {n: p.detach().numpy().copy() for n, p in model.named_parameters() if p.requires_grad}
    return Trained(kept, told.numpy(), examples, seconds if examples else 0.0, rank, processes)
