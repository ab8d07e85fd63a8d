"""Importance weighting: source examples that look like the target's count for more."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.callers import stack_level
from course_lib.errors import BadInput
from course_lib.measure.density_ratio import DIMS, density_ratio
from course_lib.methods.classifier import Data, Encoder, FeatureClassifier, encode_timed
from course_lib.methods.probe import fit_probe
from course_lib.methods.unlabelled import check_domains, unlabelled
from course_lib.tasks.task import Task

FEWEST = 0.2
"""Share of examples that stay in effect at least; the weights are flattened until they do."""

SCARCE = 0.05
"""Share of effective examples below which a warning says that the weights rest on a few."""

APART = 0.98
"""How well the domains may be told apart before the same warning comes."""


def importance_weighting(
    encoder: Encoder,
    task: Task,
    target: Data,
    *,
    dims: int = DIMS,
    strengths: Sequence[float] | None = None,
    class_weight: str | Sequence[float] | None = None,
    fewest: float = FEWEST,
    seed: int = 0,
    name: str = "probe, weighted",
) -> FeatureClassifier:
    r"""Fit a linear probe on the source, each example weighed by how much likelier it is in the target.

    .. math:: \min_{W, b} \sum_i w(x_i)\, \bigl(-\log \mathrm{softmax}(z_i W + b)_{y_i}\bigr)
              + \tfrac{\lambda}{2} \lVert W \rVert^2, \qquad w(x) = p_T(x) / p_S(x)

    The strength is chosen on the source's validation set, weighed likewise. It is right for covariate shift:
    the same :math:`P(Y \mid X)`, and a target that lies within the source. Where the domains hardly overlap,
    a few examples weigh all, and the probe is worse than without weights; where the rule itself differs,
    weights cannot mend it.

    Parameters
    ----------
    encoder : Encoder
    task : Task
        The source.
    target : Split or numpy.ndarray
        Target examples that may be looked at; labels are not read.
    fewest : float
        The weights are raised to the largest power up to 1 that leaves this share of the examples in effect
        (Shimodaira's flattening): 0 takes the weights as they are, 1 is the plain probe.
    dims : int
        Directions in which the domains are told apart, as in `measure.density_ratio`.
    strengths, class_weight
        As in `linear_probe`.
    seed : int
        Of the folds of `measure.density_ratio`.
    name : str

    Returns
    -------
    FeatureClassifier
        ``.chosen`` holds ``effective``, the effective sample size of the weights, ``told_apart``, how well
        the domains can be told apart, and the ``power`` that the weights were raised to, besides the probe's
        ``strength``.

    Raises
    ------
    BadInput
        As `linear_probe` and `measure.density_ratio`.

    Warns
    -----
    UserWarning
        When the weights leave less than 5% of the examples in effect, or the domains hardly overlap.

    References
    ----------
    Shimodaira (2000), "Improving predictive inference under covariate shift by weighting the log-likelihood
    function"; Sugiyama, Krauledat & Müller (2007), "Covariate shift adaptation by importance weighted cross
    validation", JMLR.
    """
    splits: list[Any] = [task.train, task.validation, unlabelled(target)]  # an encoder reads .x alone
    (x, x_val, x_target), spent = encode_timed(encoder, *splits)
    check_domains(x, x_target)
    start = time.perf_counter()
    ratio = density_ratio(x, x_target, dims=dims, seed=seed)
    power = flattening(ratio.weights, fewest)
    fit = fit_probe(
        x,
        task.train.y,
        x_val,
        task.validation.y,
        classes=task.classes,
        strengths=strengths,
        class_weight=class_weight,
        example_weight=(ratio.weights**power, ratio(x_val) ** power),
    )
    seconds = {"features": spent, "fit": time.perf_counter() - start}
    if ratio.effective < SCARCE * len(x) or ratio.told_apart > APART:
        warnings.warn(
            f"The weights leave {ratio.effective:,.0f} of {len(x):,} examples in effect, as the domains are "
            f"told apart in {ratio.told_apart:.0%} of cases: few source examples look like the target's. "
            "Expect the weighted probe to be no better than the plain one.",
            stacklevel=stack_level(),
        )
    chosen = {"strength": fit.strength, "effective": ratio.effective, "told_apart": ratio.told_apart}
    chosen["power"] = power
    classifier = FeatureClassifier(name, task, encoder, fit.head, seconds=seconds, chosen=chosen)
    classifier.chosen_path = fit.path
    return classifier


def flattening(weights: np.ndarray, fewest: float) -> float:
    """Return the largest power up to 1 of the weights that leaves a share `fewest` of examples in effect.

    Examples
    --------
    >>> flattening(np.array([1.0, 1.1, 0.9]), 0.5)
    1.0
    >>> weights = np.array([100.0, 1.0, 1.0, 1.0])
    >>> flat = weights ** flattening(weights, 0.5)
    >>> round(float(flat.sum() ** 2 / np.square(flat).sum()), 2)
    2.0
    """
    if not 0 <= fewest <= 1:
        raise BadInput(f"fewest={fewest}.", "Give a share from 0 to 1.")

    def share(power: float) -> float:
        flat = weights**power
        return float(flat.sum() ** 2 / np.square(flat).sum() / len(flat))

    if share(1.0) >= fewest:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):  # the share falls as the power grows
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) >= fewest else (low, middle)
    return low
