"""A network as fine-tuning sees it: named weights, blocks in order, and places where it can be cut in two."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.errors import BadInput

_BLOCK = re.compile(r"^(.*?block_?\d+[a-z]?)(?:_|$)")

CLASSIFIER = "classifier"
"""Name of the new last layer, and of its block."""


def block_of(layer: str) -> str:
    """Return the block that a layer belongs to, from its name.

    Examples
    --------
    >>> block_of("block5_expand_bn"), block_of("conv2_block1_1_conv"), block_of("block_3_project")
    ('block5', 'conv2_block1', 'block_3')
    >>> block_of("stem_relu"), block_of("classifier")
    ('stem', 'classifier')
    """
    found = _BLOCK.match(layer)
    return found.group(1) if found else layer.partition("_")[0]


def cut_points(model: Any) -> dict[str, str]:
    """Return where the network can be cut: for each such block, the layer that alone carries on from it.

    A layer is a cut point when no other tensor computed so far is used after it. Shortcuts that reach over a
    layer make it none; the sum in which they end is one.

    Parameters
    ----------
    model : keras.Model
        Functional, each layer used once.

    Returns
    -------
    dict of str to str
        Block name to layer name, from input to output; the output's own layer is left out.
    """
    layers = model.layers
    producers = {id(layer.output): layer.name for layer in layers}
    uses: dict[str, int] = dict.fromkeys(producers.values(), 0)
    inputs = {
        layer.name: [producers[id(t)] for t in _inputs(layer) if id(t) in producers] for layer in layers
    }
    for sources in inputs.values():
        for source in sources:
            uses[source] += 1
    still_needed: set[str] = set()
    last: dict[str, str] = {}
    ends: dict[str, str] = {}
    for layer in layers:
        for source in inputs[layer.name]:
            uses[source] -= 1
            if uses[source] == 0:
                still_needed.discard(source)
        if uses[layer.name]:
            still_needed.add(layer.name)
        last[block_of(layer.name)] = layer.name
        if still_needed == {layer.name}:
            ends[block_of(layer.name)] = layer.name
    return {block: end for block, end in ends.items() if last[block] == end}


def _inputs(layer: Any) -> list[Any]:
    if type(layer).__name__ == "InputLayer":
        return []
    return list(layer.input) if isinstance(layer.input, (list, tuple)) else [layer.input]


def resolve_cut(model: Any, freeze_to: str | None) -> str | None:
    """Return the layer behind which training begins, None for the whole network.

    Parameters
    ----------
    model : keras.Model
    freeze_to : str or None
        A block (``"block4"``) or a layer that is a cut point.

    Raises
    ------
    BadInput
        When there is no such place; the nearest names are offered.
    """
    if freeze_to is None:
        return None
    points = cut_points(model)
    if freeze_to in points:
        return points[freeze_to]
    if freeze_to in points.values():
        return freeze_to
    near = difflib.get_close_matches(str(freeze_to), [*points, *points.values()], n=3, cutoff=0.4)
    hint = f"Nearest: {', '.join(near)}. " if near else ""
    raise BadInput(
        f"freeze_to={freeze_to!r}: {model.name} has no block of that name that it can be cut behind.",
        f"{hint}There are: {', '.join(points)}; None trains everything.",
    )


def blocks_above(model: Any, cut: str | None) -> tuple[str, ...]:
    """Return the blocks with weights behind the layer `cut`, from input to output.

    Raises
    ------
    BadInput
        When no layer is called `cut`.
    """
    names = [layer.name for layer in model.layers]
    if cut is not None and cut not in names:
        raise BadInput(f"No layer is called {cut!r}.", f"Nearest: {difflib.get_close_matches(cut, names)}.")
    first = 0 if cut is None else names.index(cut) + 1
    return tuple(dict.fromkeys(block_of(layer.name) for layer in model.layers[first:] if layer.weights))


def named_variables(model: Any) -> dict[str, Any]:
    """Return every variable of the layers as ``"layer/variable"``, statistics included, seeds left out."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.variables
        if "seed" not in variable.name
    }


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Return copies of all weights and statistics by name."""
    return {name: np.array(variable.numpy()) for name, variable in named_variables(model).items()}


def assign(model: Any, weights: Mapping[str, np.ndarray], where: Sequence[str] | None = None) -> None:
    """Give the network these weights.

    Parameters
    ----------
    model : keras.Model
    weights : mapping of str to numpy.ndarray
    where : sequence of str, optional
        Only these names. Default: all that the network has.

    Raises
    ------
    BadInput
        When a weight is missing or has another shape: weights of another network.
    """
    variables = named_variables(model)
    names = list(variables) if where is None else where
    for name in names:
        given = weights.get(name)
        wanted = tuple(variables[name].shape)
        if given is None or given.shape != wanted:
            found = "is missing" if given is None else f"has shape {given.shape}"
            raise BadInput(
                f"Weights of another network: {name} {found}, expected {wanted}.",
                f"Give the weights of a {model.name} with the same classes, every name and shape as in "
                "`tuned.weights`.",
            )
    for name in names:
        variables[name].assign(weights[name])


def is_batch_norm(layer: Any) -> bool:
    """Tell whether a layer is a batch normalisation."""
    return type(layer).__name__ == "BatchNormalization"
