"""What encoding cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """What the last `encode` of an encoder cost.

    Parameters
    ----------
    examples : int
        How many pictures or sentences were asked for.
    computed : int
        How many of them went through the network; the others came from the cache.
    seconds : float
        For the computed ones, the network's building apart.
    seconds_each : float
        Per computed one, or, when all came from the cache, what they had cost.
    """

    examples: int
    computed: int
    seconds: float
    seconds_each: float

    @property
    def per_second(self) -> float:
        """Speed of computing, cached or not; 0 when unknown."""
        return 1 / self.seconds_each if self.seconds_each else 0.0

    @property
    def from_cache(self) -> bool:
        """Whether nothing had to be computed."""
        return self.computed == 0
