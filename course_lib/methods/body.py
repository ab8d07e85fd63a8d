"""A network with a new last layer, cut in two: the frozen trunk, and the part that is trained."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.encoders.images import ImageEncoder
from course_lib.methods import networks
from course_lib.methods.networks import CLASSIFIER
from course_lib.methods.recipe import Recipe
from course_lib.methods.trunk import VIEWS, Trunk

_KEPT = 3
_bodies: OrderedDict[tuple[Any, ...], Body] = OrderedDict()


class Body:
    """The keras.Model of a fine-tuning, shared by all fits of the same shape.

    Attributes
    ----------
    model : keras.Model
        The whole network, pixels (after preprocessing) to logits.
    upper : keras.Model
        The part behind the cut, trunk activations to logits; the same layers.
    trunk : Trunk
    cut : str or None
        The last frozen layer.
    blocks : tuple of str
        Those behind the cut, from input to output, the classifier last.
    """

    def __init__(self, encoder: ImageEncoder, recipe: Recipe, classes: int) -> None:
        import keras

        network, preprocess = encoder.network_copy(recipe.precision)
        self.cut = networks.resolve_cut(network, recipe.freeze_to)
        outputs = keras.layers.Dense(classes, name=CLASSIFIER, dtype="float32")(network.output)
        self.model = keras.Model(network.input, outputs, name=network.name)
        start = network.get_layer(self.cut).output if self.cut else network.input
        self.upper = keras.Model(start, outputs)
        self.judge = keras.Model(start, outputs)  # never compiled, so its graph for predicting stays
        self._pooled = keras.Model(start, network.output)
        self.trunk = Trunk(encoder, network, preprocess, self.cut)
        self.blocks = networks.blocks_above(self.model, self.cut)
        self.points = networks.cut_points(network)
        self.start = networks.weights_of(self.model)
        above = set(self.blocks)
        self.names = tuple(n for n in self.start if networks.block_of(n.partition("/")[0]) in above)
        self.compiled: tuple[Any, ...] | None = None
        self.holds: object = None  # whose weights the network has now

    def declare(self, blocks: Sequence[str], batch_norm: str) -> tuple[str, ...]:
        """Set what is trainable on every layer's own flag; return the names of what may move.

        Calling a base with ``training=False`` does not protect the statistics of its batch normalisations
        under ``fit``; each layer's own ``trainable=False`` does.

        Parameters
        ----------
        blocks : sequence of str
            To be trained.
        batch_norm : {"frozen", "adapted", "trained"}
            For the normalisations in these blocks: nothing, the statistics alone, or all of it moves.
        """
        moving: list[str] = []
        for layer in self.model.layers:
            trained = networks.block_of(layer.name) in blocks
            normalises = networks.is_batch_norm(layer)
            layer.trainable = trained and not (normalises and batch_norm == "frozen")
            if normalises and layer.trainable:
                moving += [f"{layer.name}/moving_mean", f"{layer.name}/moving_variance"]
                for scale in (layer.gamma, layer.beta):
                    if scale is not None:
                        scale.trainable = batch_norm == "trained"
            moving += [f"{layer.name}/{v.name}" for v in layer.trainable_variables]
        return tuple(moving)

    def phase(self, share: float) -> tuple[str, ...]:
        """Return the topmost `share` of the blocks, always with the classifier."""
        count = max(1, round(share * len(self.blocks)))
        return self.blocks[-count:]

    def give(self, owner: object, weights: dict[str, np.ndarray]) -> None:
        """Put these weights of the trained part into the network, unless it has them."""
        if self.holds is not owner:
            networks.assign(self.model, weights, self.names)
            self.holds = owner

    def current(self) -> dict[str, np.ndarray]:
        """Return copies of the weights and statistics behind the cut."""
        variables = networks.named_variables(self.model)
        return {name: np.array(variables[name].numpy()) for name in self.names}

    def logits(self, x: np.ndarray, views: Sequence[str], *, cached: bool) -> np.ndarray:
        """Return logits ``(n, k)`` float32 of pictures, averaged over `views`."""
        return self._mean_over_views(self.judge, x, views, cached)

    def features(self, x: np.ndarray, views: Sequence[str], *, cached: bool) -> np.ndarray:
        """Return the pooled features ``(n, dim)`` float32 that the classifier sees, averaged over `views`."""
        return self._mean_over_views(self._pooled, x, views, cached)

    def _mean_over_views(self, part: Any, x: np.ndarray, views: Sequence[str], cached: bool) -> np.ndarray:
        total = np.zeros((len(x), int(part.output_shape[-1])), np.float32)
        if not len(x):
            return total
        kept = self.trunk.activations(x, views) if cached else None
        size = self.trunk.batch
        for number, view in enumerate(views):
            for first in range(0, len(x), size):
                rows = slice(first, min(first + size, len(x)))
                if kept is None:
                    given = self.trunk(np.ascontiguousarray(VIEWS[view](x[rows])))
                else:
                    given = self.trunk.restored(kept[number, rows])
                total[rows] += _full_batch(part, given, size)
        return total / len(views)


def _full_batch(part: Any, x: np.ndarray, size: int) -> np.ndarray:
    """Return what a model says of a batch, filled up so that one graph serves all."""
    short = size - len(x)
    full = np.concatenate([x, np.repeat(x[-1:], short, axis=0)]) if short else x
    return np.asarray(part.predict_on_batch(full), np.float32)[: len(x)]


def body_of(encoder: ImageEncoder, recipe: Recipe, classes: int) -> Body:
    """Return the body for these settings; the last few are kept, with their graphs and activations.

    Two fits of one shape, for instance two seeds, thus compute the trunk and trace the network once.
    """
    key = (encoder.key, recipe.freeze_to, recipe.precision, classes)
    if key not in _bodies:
        _bodies[key] = Body(encoder, recipe, classes)
        while len(_bodies) > _KEPT:
            _bodies.popitem(last=False)
    _bodies.move_to_end(key)
    return _bodies[key]


def forget_bodies() -> None:
    """Give back the memory that networks and activations of earlier fits take."""
    _bodies.clear()
