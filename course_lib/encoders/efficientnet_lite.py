"""EfficientNet-Lite0 in Keras, with the weights that were published for PyTorch.

The Lite variants (Tan & Le, 2019; Liu, 2020) leave out squeeze-and-excite and use ReLU6, which makes
them quick without an accelerator. Padding is TensorFlow's ``same``, as in the original training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

EPSILON = 1e-3
"""Of every batch normalisation."""

FEATURES = 1280
"""Width of the pooled last layer."""

SEVERAL = ("block10_depthwise_relu", "block14_depthwise_relu", "head_relu")
"""Layers that are pooled together: two before the end at full expansion, and the head."""


@dataclass(frozen=True)
class Stage:
    """A run of inverted residual blocks: repeats, kernel, first stride, expansion, filters."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Convolution:
    """One convolution with its normalisation: its name here and the names in the published file."""

    layer: str
    weights: str
    norm: str
    filters: int
    kernel: int
    stride: int
    depthwise: bool = False
    activated: bool = True


@dataclass(frozen=True)
class Block:
    """An inverted residual block: expand, depthwise, project; added to its input where shapes allow."""

    name: str
    convolutions: tuple[Convolution, ...]
    residual: bool


def blocks() -> Iterator[Block]:
    """Yield the sixteen blocks in order."""
    width, number = 32, 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            here, there = f"block{number}", f"_blocks.{number}."
            wide = width * stage.expansion
            parts = []
            if stage.expansion > 1:
                parts.append(
                    Convolution(f"{here}_expand", f"{there}_expand_conv", f"{there}_bn0", wide, 1, 1)
                )
            parts += [
                Convolution(
                    f"{here}_depthwise",
                    f"{there}_depthwise_conv",
                    f"{there}_bn1",
                    wide,
                    stage.kernel,
                    stride,
                    depthwise=True,
                ),
                Convolution(
                    f"{here}_project",
                    f"{there}_project_conv",
                    f"{there}_bn2",
                    stage.filters,
                    1,
                    1,
                    activated=False,
                ),
            ]
            yield Block(here, tuple(parts), residual=stride == 1 and width == stage.filters)
            width, number = stage.filters, number + 1


STEM = Convolution("stem", "_conv_stem", "_bn0", 32, 3, 2)
HEAD = Convolution("head", "_conv_head", "_bn1", FEATURES, 1, 1)


def build(
    pixels: int | None, state: dict[str, np.ndarray], *, folded: bool = False, classify: bool = False
) -> Any:
    """Build the network and give it its weights.

    Parameters
    ----------
    pixels : int or None
        Side of the square input; None leaves it open.
    state : dict of str to numpy.ndarray
        The published arrays by their published names.
    folded : bool
        Fold each batch normalisation into its convolution: the same function, for inference only,
        in two thirds of the time.
    classify : bool
        Keep the 1,000-class layer (logits); otherwise the pooled features are the output.

    Returns
    -------
    keras.Model
        Input ``(n, pixels, pixels, 3)`` float32 in 0..255; output ``(n, 1280)`` or ``(n, 1000)``.
        Layers are named ``stem``, ``block0_expand`` ... ``block15_project``, ``head``; a normalisation
        ends in ``_bn``, an activation in ``_relu``.
    """
    import keras

    inputs = keras.Input((pixels, pixels, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(inputs)
    x = _convolve(x, STEM, folded)
    for block in blocks():
        start = x
        for convolution in block.convolutions:
            x = _convolve(x, convolution, folded)
        if block.residual:
            x = keras.layers.Add(name=f"{block.name}_add")([start, x])
    x = _convolve(x, HEAD, folded)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    if classify:
        x = keras.layers.Dense(1000, name="classes")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    _give_weights(model, state, folded=folded, classify=classify)
    return model


def convolutions() -> list[Convolution]:
    """Return every convolution of the network in order."""
    return [STEM, *(part for block in blocks() for part in block.convolutions), HEAD]


def filtered(block: str) -> str:
    """Return the layer of a block that is pooled where the network is cut short: its widest, the depthwise.

    Examples
    --------
    >>> filtered("block10")
    'block10_depthwise_relu'
    """
    return f"{block}_depthwise_relu"


def widths() -> dict[str, int]:
    """Return the channels of `filtered` by block.

    Examples
    --------
    >>> widths()["block10"]
    672
    """
    return {block.name: block.convolutions[-2].filters for block in blocks()}


def renormalised(
    state: Mapping[str, np.ndarray], statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays with other running means and variances, named by the normalisation's layer.

    Examples
    --------
    >>> state = {"_bn0.running_mean": np.zeros(2), "_bn0.weight": np.ones(2)}
    >>> new = renormalised(state, {"stem_bn": (np.ones(2), np.full(2, 4.0))})
    >>> new["_bn0.running_mean"].tolist(), new["_bn0.running_var"].tolist(), "_bn0.running_var" in state
    ([1.0, 1.0], [4.0, 4.0], False)
    """
    norms = {f"{part.layer}_bn": part.norm for part in convolutions()}
    fresh = dict(state)
    for layer, (mean, variance) in statistics.items():
        fresh[f"{norms[layer]}.running_mean"] = np.asarray(mean, np.float32)
        fresh[f"{norms[layer]}.running_var"] = np.asarray(variance, np.float32)
    return fresh


def random_state(state: dict[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of an untrained network of the same shape: the control without knowledge.

    Convolutions are drawn by He's rule for their fan-in, normalisations do nothing
    (mean 0, variance 1, scale 1, shift 0).
    """
    rng = np.random.default_rng(seed)
    fresh: dict[str, np.ndarray] = {}
    for name, array in state.items():
        if array.ndim >= 2:
            fan_in = int(np.prod(array.shape[1:]))
            fresh[name] = rng.normal(0, np.sqrt(2 / fan_in), array.shape).astype(np.float32)
        elif name.endswith(("running_var", "weight")):
            fresh[name] = np.ones_like(array)
        else:
            fresh[name] = np.zeros_like(array)
    return fresh


def _convolve(x: Any, part: Convolution, folded: bool) -> Any:
    import keras

    options = {"padding": "same", "use_bias": folded, "name": part.layer}
    if part.depthwise:
        x = keras.layers.DepthwiseConv2D(part.kernel, part.stride, **options)(x)
    else:
        x = keras.layers.Conv2D(part.filters, part.kernel, part.stride, **options)(x)
    if not folded:
        x = keras.layers.BatchNormalization(epsilon=EPSILON, momentum=0.99, name=f"{part.layer}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{part.layer}_relu")(x) if part.activated else x


def _give_weights(model: Any, state: dict[str, np.ndarray], *, folded: bool, classify: bool) -> None:
    for part in convolutions():
        # PyTorch: (out, in, height, width). Keras: (height, width, in, out), depthwise (h, w, channels, 1).
        axes = (2, 3, 0, 1) if part.depthwise else (2, 3, 1, 0)
        kernel = state[f"{part.weights}.weight"].transpose(axes)
        gamma, beta, mean, variance = (
            state[f"{part.norm}.{what}"] for what in ("weight", "bias", "running_mean", "running_var")
        )
        if folded:
            scale = gamma / np.sqrt(variance + EPSILON)
            spread = scale[:, None] if part.depthwise else scale
            model.get_layer(part.layer).set_weights([kernel * spread, beta - mean * scale])
        else:
            model.get_layer(part.layer).set_weights([kernel])
            model.get_layer(f"{part.layer}_bn").set_weights([gamma, beta, mean, variance])
    if classify:
        model.get_layer("classes").set_weights([state["_fc.weight"].T, state["_fc.bias"]])
