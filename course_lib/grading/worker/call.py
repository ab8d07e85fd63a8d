"""Calling a learner's function: arrays go in as the exercise says, plain values come back."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from . import values


def call(function: Callable[..., Any], arguments: tuple[Any, ...], tensors: str) -> tuple[Any, Any]:
    """Return what `function` made of fresh copies of `arguments`, and the copies as it left them.

    Both have been bytes in between: what comes back is made of exact built-in types.

    Raises
    ------
    NotPlain
        When the result is no plain value.
    Exception
        Whatever the function raises.
    """
    given = as_tensors(values.loads(values.dumps(arguments)), tensors)
    result = function(*given)
    return tuple(values.loads(values.dumps((result, given))))


def as_tensors(value: Any, tensors: str) -> Any:
    """Return `value` with its arrays made into tensors of PyTorch (``"torch"``) or TensorFlow."""
    if isinstance(value, list | tuple):
        return type(value)(as_tensors(item, tensors) for item in value)
    if isinstance(value, dict):
        return {key: as_tensors(item, tensors) for key, item in value.items()}
    if not isinstance(value, np.ndarray) or tensors == "numpy":
        return value
    library = importlib.import_module(tensors)
    return library.from_numpy(value) if tensors == "torch" else library.constant(value)
