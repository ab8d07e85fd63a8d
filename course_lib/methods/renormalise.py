"""AdaBN: BatchNorm statistics estimated again on the target's pictures; no label is read, no weight moves."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.encoders.cache import fingerprints
from course_lib.encoders.images import ImageEncoder, Statistics, checked_pictures, resized
from course_lib.errors import BadInput
from course_lib.methods.classifier import Classifier, Data, FeatureClassifier
from course_lib.methods.networks import is_batch_norm
from course_lib.methods.probe import linear_probe
from course_lib.methods.unlabelled import unlabelled
from course_lib.tasks.task import Task

MOST = 256
"""Pictures that statistics are estimated on: a channel of the last layer then has thousands of places."""

FEW = 16
"""Pictures below which their statistics are said to be guesses."""

_BATCH = 128  # at 96 px, and in proportion at other sizes: what is in memory at a time
_RULE = "1"  # changes when the same pictures would give other statistics


class RenormalisedEncoder(ImageEncoder):
    """An image encoder with BatchNorm statistics of other pictures; made by `adabn`.

    Attributes
    ----------
    base : ImageEncoder
        The encoder that source examples go through.
    statistics : dict of str to (numpy.ndarray, numpy.ndarray)
        Mean and variance of every BatchNorm layer.
    pictures : int
        How many they were estimated on.
    prior : float
    fit_seconds : float
        What the estimate took.
    """

    def __init__(
        self,
        base: ImageEncoder,
        statistics: Statistics,
        *,
        key: str,
        pictures: int,
        prior: float,
        fit_seconds: float,
    ) -> None:
        super().__init__(
            f"{base.name}, AdaBN",
            base.pixels,
            key=key,
            network=lambda: base.renormalised_network(statistics),
            dim=base.dim,
            flip=base.flip,
        )
        self.base, self.statistics, self.pictures = base, statistics, pictures
        self.prior, self.fit_seconds = prior, fit_seconds


def adabn(
    image_encoder: ImageEncoder, pictures: Data, *, prior: float = 0.0, most: int = MOST, seed: int = 0
) -> RenormalisedEncoder:
    r"""Return the encoder with BatchNorm statistics of these pictures in place of its own.

    Every BatchNorm layer subtracts a mean and divides by a standard deviation that were collected where the
    network was trained. In a new domain they are another domain's, layer after layer; AdaBN puts the new
    domain's in their place and changes no weight:

    .. math:: \hat x = γ\,\frac{x - μ_T}{\sqrt{σ_T^2 + ε}} + β

    Statistics are over pictures and places, layer by layer behind the layers that are already renormalised.
    Where the pictures do not fit into one batch, a layer's input is renormalised by its own batch's
    statistics on the way, and the batches' means and variances are pooled exactly (the scatter of their
    means included).

    It removes **whatever** moves a channel's mean or spread: the camera, and the shares of the classes too.
    A target in which one class prevails is moved onto the others. Few pictures make bad statistics:

    .. math:: μ = \frac{N μ_S + n μ_T}{N + n}, \qquad σ^2 = \frac{N σ_S^2 + n σ_T^2}{N + n}

    with N the `prior` keeps part of the source's.

    Parameters
    ----------
    image_encoder : ImageEncoder
        With BatchNorm layers. Stays as it is: a fresh network gets the statistics.
    pictures : Split or numpy.ndarray
        ``(n, height, width, 1 or 3)`` uint8, of one domain. Labels are not read.
    prior : float
        N: how many pictures the encoder's own statistics count for. 0: nothing.
    most : int
        Of more pictures, so many are drawn by `seed`.
    seed : int

    Returns
    -------
    RenormalisedEncoder
        Its features are filed under a key of their own, made of the encoder's and the pictures.

    Raises
    ------
    BadInput
        When there is no picture, the network has no BatchNorm, or `prior` is negative.

    Warns
    -----
    UserWarning
        For fewer than 16 pictures without a prior.

    References
    ----------
    Li, Wang, Shi, Liu & Hou (2016), "Revisiting batch normalization for practical domain adaptation".
    Schneider, Rusak, Eck, Bringmann, Brendel & Bethge (2020), "Improving robustness against common
    corruptions by covariate shift adaptation": the prior.
    """
    if not isinstance(image_encoder, ImageEncoder):
        raise BadInput(
            f"{image_encoder!r} is no image encoder; AdaBN renews statistics inside a network of pictures.",
            "Give encoders.imagenet(); for other features use methods.standardisation.",
        )
    if not (np.isfinite(prior) and prior >= 0) or most < 1:
        raise BadInput(f"prior={prior}, most={most}.", "Give a prior of 0 or more, and 1 picture or more.")
    x = checked_pictures(unlabelled(pictures))
    if not len(x):
        raise BadInput("There is no picture to estimate statistics on.", "Give some, better hundreds.")
    if len(x) < FEW and not prior:
        warnings.warn(
            f"The statistics of {len(x)} picture{'s' * (len(x) != 1)} are guesses. Give {FEW} or more, or "
            f"keep part of the source's with prior={FEW}.",
            UserWarning,
            stacklevel=stack_level(),
        )
    if len(x) > most:
        x = x[np.sort(np.random.default_rng(seed).permutation(len(x))[:most])]
    start = time.perf_counter()
    model, preprocess = image_encoder.network_copy()
    own, found = _own(model, image_encoder.name), {}
    for name, (mean, variance) in _pooled(model, preprocess, list(own), x, image_encoder.pixels).items():
        share = prior / (prior + len(x))
        found[name] = (
            share * own[name][0] + (1 - share) * mean,
            share * own[name][1] + (1 - share) * variance,
        )
    spent = time.perf_counter() - start
    digest = hashlib.blake2b(b"".join(fingerprints(x)) + f"{prior:g}".encode(), digest_size=8).hexdigest()
    return RenormalisedEncoder(
        image_encoder,
        found,
        key=f"{image_encoder.key}-adabn{_RULE}-{digest}",
        pictures=len(x),
        prior=float(prior),
        fit_seconds=spent,
    )


def adabn_probe(
    probe: FeatureClassifier,
    target: Data,
    source: Task | None = None,
    *,
    prior: float = 0.0,
    name: str = "",
) -> FeatureClassifier:
    """Return the probe for a target domain whose pictures go through statistics of their own.

    AdaBN assumes that the head learnt from features normalised by the *source's* statistics. A network
    trained on the source has them; one from ImageNet has ImageNet's, and a probe on its frozen features
    learnt from pictures normalised by neither domain. So there are two ways:

    - with `source`, its training pictures give the statistics of the source's own encoder, a probe is fitted
      again on these features, and the target goes through the target's statistics: both domains are treated
      alike, as the method means it;
    - without, the head stays: source features as they were, target features renormalised. That is right only
      for a network whose statistics are the source's, and otherwise moves the target for two reasons at once.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source on the features of an `ImageEncoder`. It stays as it is.
    target : Split or numpy.ndarray
        Pictures of the target that may be looked at; labels are not read.
    source : Task, optional
        What the probe was fitted on.
    prior : float
        As in `adabn`, for both domains.
    name : str
        Default: the probe's, AdaBN.

    Returns
    -------
    FeatureClassifier
        For **target** examples. ``encoder.base`` is what source examples go through. ``seconds["fit"]``
        holds the estimates, and with `source` the new fit.

    Raises
    ------
    BadInput
        When `probe` has no frozen image encoder, or as `adabn`.

    References
    ----------
    Li et al. (2016), as in `adabn`.
    """
    if not isinstance(probe, FeatureClassifier) or not isinstance(probe.encoder, ImageEncoder):
        what = probe.name if isinstance(probe, Classifier) else repr(probe)
        raise BadInput(
            f"{what} has no frozen image encoder whose statistics could be renewed.",
            "Give methods.linear_probe(encoders.imagenet(), task).",
        )
    if isinstance(probe.encoder, RenormalisedEncoder):
        raise BadInput(f"{probe.name} has renewed statistics already.", "Give the probe of the source.")
    target_encoder = adabn(probe.encoder, target, prior=prior)
    seconds, head, parameters = {"features": 0.0, "fit": target_encoder.fit_seconds}, probe.head, 0
    chosen = {**probe.chosen, "pictures": target_encoder.pictures}
    if source is not None:
        source_encoder = adabn(probe.encoder, source.train, prior=prior)
        again = linear_probe(source_encoder, source)
        head, parameters = again.head, again.parameters_trained
        seconds["features"] = again.seconds["features"]
        seconds["fit"] += source_encoder.fit_seconds + again.seconds["fit"]
        chosen = {**again.chosen, "pictures": target_encoder.pictures}
        target_encoder.base = source_encoder
    adapted = FeatureClassifier(
        name or f"{probe.name}, AdaBN", _Learnt(probe), target_encoder, head, seconds=seconds, chosen=chosen
    )
    moved = sum(mean.size + variance.size for mean, variance in target_encoder.statistics.values())
    adapted.parameters_trained = parameters + moved
    return adapted


class _Learnt:
    """What the adapted classifier remembers of the probe's task."""

    def __init__(self, probe: FeatureClassifier) -> None:
        self.name, self.class_names, self.train = probe.task_name, probe.class_names, range(probe.train_size)


def _own(model: Any, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the statistics of every BatchNorm layer as they are."""
    own = {
        layer.name: (layer.moving_mean.numpy(), layer.moving_variance.numpy())
        for layer in model.layers
        if is_batch_norm(layer)
    }
    if not own:
        raise BadInput(
            f"{name} has no BatchNorm layer, so it keeps no statistics of a domain.",
            "Use methods.standardisation on its features.",
        )
    return own


def _pooled(
    model: Any, preprocess: Any, names: Sequence[str], x: np.ndarray, pixels: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and variance of what enters each layer, every batch normalised by itself on the way."""
    import keras
    import tensorflow as tf

    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # this network is our own: training mode is for the statistics alone
    entering = keras.Model(model.input, [model.get_layer(name).input for name in names])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def moments(pictures: Any) -> Any:
        found = entering(preprocess(resized(pictures, pixels)), training=True)
        # One layer's input is a tensor, several are a list.
        return [tf.nn.moments(z, list(range(len(z.shape) - 1))) for z in tf.nest.flatten(found)]

    size = max(8, round(_BATCH * (96 / pixels) ** 2))
    batches = np.array_split(np.arange(len(x)), -(-len(x) // size))
    sums: list[list[Any]] = [[0.0, 0.0] for _ in names]
    for rows in batches:
        for total, (mean, variance) in zip(sums, moments(tf.constant(x[rows])), strict=True):
            m, v = (np.asarray(part, np.float64) for part in (mean, variance))
            total[0] = total[0] + len(rows) * m
            total[1] = total[1] + len(rows) * (v + m * m)
    pooled = {}
    for name, (first, second) in zip(names, sums, strict=True):
        mean = first / len(x)
        variance = np.maximum(second / len(x) - mean * mean, 0)
        pooled[name] = (mean.astype(np.float32), variance.astype(np.float32))
    return pooled
