"""Weights of two networks that began as one, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.tuned import Tuned

Network = TypeVar("Network", bound=Tuned)


def interpolate(
    start: Mapping[str, np.ndarray], end: Mapping[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    r"""Return ``(1 - share) · start + share · end``, weight by weight.

    Parameters
    ----------
    start, end : mapping of str to numpy.ndarray
        The same names and shapes.
    share : float
        0 gives `start` and 1 gives `end`, to the last bit.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    BadInput
        When they are weights of different networks, or the share is not a number.

    Examples
    --------
    >>> interpolate({"w": np.zeros(2)}, {"w": np.ones(2)}, 0.25)["w"].tolist()
    [0.25, 0.25]
    """
    if not np.isfinite(share):
        raise BadInput(f"share={share}.", "Give a number, from 0 (start) to 1 (end) as a rule.")
    odd = [
        name
        for name in start.keys() | end.keys()
        if name not in start or name not in end or start[name].shape != end[name].shape
    ]
    if odd:
        raise BadInput(
            f"Weights of different networks: {len(odd)} do not match, for instance {min(odd)}.",
            "Give two of the same network, for instance tuned.start and tuned.weights.",
        )
    if share in (0, 1):
        return dict(end if share else start)
    return {name: _between(start[name], end[name], share) for name in start}


def _between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    if a is b:  # frozen: rounding must not move it
        return a
    return np.asarray((1 - share) * a + share * b, a.dtype)


def wise_ft(tuned: Network, share: float = 0.5, *, name: str = "") -> Network:
    r"""Go back part of the way from the fine-tuned network to its start (WiSE-FT).

    .. math:: w_\lambda = (1 - \lambda) w_0 + \lambda w

    Fine-tuning gains on the domain that it sees and often loses on others. Between the two ends lie networks
    that keep most of the gain and give back much of the loss, and they cost nothing. This needs both ends to
    lie in one valley of the loss, as they do when training began at the start; here that is the probe on the
    published weights, in the place of the zero-shot classifier of the paper.

    Parameters
    ----------
    tuned : FineTuned or TextFineTuned
        With ``init="probe"``: a random last layer is no start worth going back to.
    share : float
        λ: 0 is the start and 1 the fine-tuned network. Chosen on validation, never on the shifted test set.
    name : str
        Default: the network's own with the share.

    Returns
    -------
    FineTuned or TextFineTuned

    Raises
    ------
    BadInput
        When the last layer started at random.

    References
    ----------
    Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", CVPR.
    """
    if tuned.recipe.init == "random":
        raise BadInput(
            f"{tuned.name} started from a random last layer: between it and the end lies nothing that works.",
            "Fine-tune with init='probe'.",
        )
    weights = interpolate(tuned.start, tuned.weights, share)
    return tuned.with_weights(weights, name or f"{tuned.name}, {share:.0%} of the way")


def wise_ft_path(tuned: Network, shares: Sequence[float] = (0, 0.25, 0.5, 0.75, 1)) -> list[Network]:
    """Return `wise_ft` at each of `shares`, for a curve of accuracy along the way."""
    return [wise_ft(tuned, share) for share in shares]
