"""Task arithmetic: what a fine-tuning changed, as a vector that can be added, weakened and taken off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.soups import check_start
from course_lib.methods.tuned import BIAS, KERNEL, Tuned

Network = TypeVar("Network", bound=Tuned)


@dataclass(frozen=True, eq=False)
class TaskVector:
    """What a fine-tuning changed; made by `task_vector`.

    Parameters
    ----------
    name : str
    start, end : dict of str to numpy.ndarray
        The moved weights before and after; held, not copied.
    origin : dict of str to numpy.ndarray
        The whole network before, of which a base must have come.
    """

    name: str
    start: dict[str, np.ndarray]
    end: dict[str, np.ndarray]
    origin: dict[str, np.ndarray]

    @property
    def delta(self) -> dict[str, np.ndarray]:
        """The vector itself, ``end - start`` in float64, by the names of the weights that moved."""
        return {n: self.end[n].astype(np.float64) - self.start[n] for n in self.end}

    @property
    def norm(self) -> float:
        """Its Euclidean length."""
        return float(np.sqrt(sum(np.square(d).sum() for d in self.delta.values())))

    def cosine(self, other: TaskVector) -> float:
        """Return the cosine between two vectors; weights that one of them left alone count as 0.

        Raises
        ------
        BadInput
            When one of them is 0, or they are of different networks.
        """
        own, its = self.delta, other.delta
        if any(own[n].shape != its[n].shape for n in own.keys() & its.keys()):
            raise BadInput(
                f"{self.name} and {other.name} are vectors of different networks.",
                "Take them from fine-tunings of one encoder.",
            )
        if not self.norm or not other.norm:
            raise BadInput(
                f"{self.name if not self.norm else other.name} is 0: that fine-tuning kept its start.",
                "Look at .chosen['epoch']; train longer or at another rate.",
            )
        inner = sum(np.vdot(own[n], its[n]) for n in own.keys() & its.keys())
        return float(inner / self.norm / other.norm)

    def __repr__(self) -> str:
        size = sum(a.size for a in self.end.values())
        return f"TaskVector({self.name!r}: {size:,} weights, {self.norm:.3g} long)"


def task_vector(tuned: Tuned, *, head: bool = True) -> TaskVector:
    r"""Return what fine-tuning changed.

    .. math:: \tau = w - w_0

    Parameters
    ----------
    tuned : FineTuned or TextFineTuned
    head : bool
        False leaves the last layer out, for vectors of tasks whose last layers began differently, as probes
        on different labels do.

    Returns
    -------
    TaskVector

    Raises
    ------
    BadInput
        When the last layer started at random and is to be part of it, or for another kind of classifier.

    References
    ----------
    Ilharco et al. (2023), "Editing models with task arithmetic", ICLR.
    """
    if not isinstance(tuned, Tuned):
        raise BadInput(
            f"{type(tuned).__name__} {tuned.name!r} has no weights that moved away from a start.",
            "Give what methods.fine_tune returned.",
        )
    if head and tuned.recipe.init == "random":
        raise BadInput(
            f"{tuned.name} started from a random last layer, which is no place to add anything to.",
            "Fine-tune with init='probe', or leave the last layer out: task_vector(tuned, head=False).",
        )
    left_out = set() if head else {KERNEL, BIAS}
    origin = {n: a for n, a in tuned.start.items() if n not in left_out}
    end = {n: a for n, a in tuned.weights.items() if n in origin and a is not origin[n]}
    return TaskVector(tuned.name, {n: origin[n] for n in end}, end, origin)


def arithmetic(base: Network, shares: Mapping[TaskVector, float], *, name: str = "") -> Network:
    r"""Return a network with task vectors added to its weights, each to its share.

    .. math:: w = w_\text{base} + \sum_i \lambda_i\, \tau_i

    A positive share adds what a fine-tuning learnt, a negative one takes it off (forgetting by negation),
    and several at once may give one network for several tasks. Nothing is trained. This rests on the
    vectors hardly disturbing each other; where they do, and at large shares, it harms: choose shares on
    validation.

    Parameters
    ----------
    base : FineTuned or TextFineTuned
        The network to add to, *as it is*; the start itself is ``tuned.with_weights(tuned.start)``.
        Its last layer answers.
    shares : dict of TaskVector to float
        λ for each vector.
    name : str
        Default: written from the vectors.

    Returns
    -------
    FineTuned or TextFineTuned
        A vector added once to its own start, or taken once off its own end, gives the other end to the
        last bit.

    Raises
    ------
    BadInput
        Without a vector, for shares that are not numbers, vectors of another network or another start, or
        one that moves what the base keeps frozen.

    References
    ----------
    Ilharco et al. (2023), "Editing models with task arithmetic", ICLR.
    """
    if not shares or not all(np.isfinite(share) for share in shares.values()):
        raise BadInput(f"shares={dict(shares)!r}.", "Give at least one vector with a number, {vector: 1.0}.")
    for vector in shares:
        check_start(base, vector.origin, vector.name)
    weights = base.weights
    for weight in {weight for vector in shares for weight in vector.end}:
        terms = [(v, share) for v, share in shares.items() if weight in v.end and share]
        weights[weight] = _moved(weights[weight], weight, terms)
    parts = ", ".join(f"{share:+g} × {vector.name}" for vector, share in shares.items())
    return base.with_weights(weights, name or f"{base.name} {parts}")


def _moved(base: np.ndarray, weight: str, terms: list[tuple[TaskVector, float]]) -> np.ndarray:
    """Return one weight with its terms added; from one end to the other without rounding."""
    if len(terms) == 1 and abs(terms[0][1]) == 1:
        vector, share = terms[0]
        start, end = vector.start[weight], vector.end[weight]
        here, there = (start, end) if share > 0 else (end, start)
        if here is base or np.array_equal(here, base):
            return there
    total = base.astype(np.float64)
    for vector, share in terms:
        total += share * (vector.end[weight].astype(np.float64) - vector.start[weight])
    return np.asarray(total, base.dtype)
