"""Cheaper, and on several processes or machines, through engines that exist.

>>> sorted(name for name in __all__ if name.endswith("workers"))
['keras_workers', 'torch_workers']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.scale.batches import global_batches, shard
    from course_lib.scale.efficiency import forward, in_given_order, padding_share, training_step
    from course_lib.scale.ports import free_ports
    from course_lib.scale.speedup import bend, predicted_speedup, ring_seconds
    from course_lib.scale.sweeps import sweep
    from course_lib.scale.trained import Trained, furthest
    from course_lib.scale.workers_keras import keras_head, keras_workers
    from course_lib.scale.workers_torch import bert_top, torch_head, torch_workers
    from course_lib.scheduler import connected

_HOME = {
    "Trained": "scale.trained",
    "bend": "scale.speedup",
    "bert_top": "scale.workers_torch",
    "connected": "scheduler",
    "forward": "scale.efficiency",
    "free_ports": "scale.ports",
    "furthest": "scale.trained",
    "global_batches": "scale.batches",
    "in_given_order": "scale.efficiency",
    "keras_head": "scale.workers_keras",
    "keras_workers": "scale.workers_keras",
    "padding_share": "scale.efficiency",
    "predicted_speedup": "scale.speedup",
    "ring_seconds": "scale.speedup",
    "shard": "scale.batches",
    "sweep": "scale.sweeps",
    "torch_head": "scale.workers_torch",
    "torch_workers": "scale.workers_torch",
    "training_step": "scale.efficiency",
}

__all__ = [
    "Trained",
    "bend",
    "bert_top",
    "connected",
    "forward",
    "free_ports",
    "furthest",
    "global_batches",
    "in_given_order",
    "keras_head",
    "keras_workers",
    "padding_share",
    "predicted_speedup",
    "ring_seconds",
    "shard",
    "sweep",
    "torch_head",
    "torch_workers",
    "training_step",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a worker of one framework need not know the other."""
    if name in _HOME:
        return getattr(importlib.import_module(f"course_lib.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
