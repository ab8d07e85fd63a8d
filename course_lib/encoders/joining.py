"""Several encoders as one: their features side by side."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from course_lib.encoders.timing import Timing
from course_lib.errors import BadInput
from course_lib.tasks.task import Split


class Part(Protocol):
    """What joining needs of an encoder."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    @property
    def dim(self) -> int:
        """Number of features."""
        ...

    def encode(self, data: Any, /) -> np.ndarray:
        """Return the features of `data`, ``(n, dim)`` float32."""
        ...


class JoinedEncoder:
    """Several encoders that read the same examples; made by `joined`.

    Attributes
    ----------
    name : str
    dim : int
        Columns of all parts together.
    parts : tuple of Encoder
    scales : tuple of float
        What each part's features are divided by.
    """

    def __init__(self, parts: tuple[Part, ...], scales: tuple[float, ...], name: str) -> None:
        self.parts, self.scales, self.name = parts, scales, name
        self.dim = sum(part.dim for part in parts)

    @property
    def key(self) -> str:
        """What its features depend on; "" when a part does not say."""
        keys = [str(getattr(part, "key", "")) for part in self.parts]
        told = [f"{key}/{scale:.9g}" for key, scale in zip(keys, self.scales, strict=True)]
        return f"joined({', '.join(told)})" if all(keys) else ""

    @property
    def last(self) -> Timing | None:
        """What the last `encode` cost: every part's pass; None when a part does not say."""
        each = [getattr(part, "last", None) for part in self.parts]
        known = [timing for timing in each if timing is not None]
        if len(known) < len(each):
            return None
        return Timing(
            known[0].examples,
            max(timing.computed for timing in known),
            sum(timing.seconds for timing in known),
            sum(timing.seconds_each for timing in known),
        )

    def encode(self, data: Any, **options: Any) -> np.ndarray:
        """Return the parts' features side by side, ``(n, dim)`` float32; each part has its own cache.

        Parameters
        ----------
        data : Split or numpy.ndarray
            What all parts read.
        **options
            Handed to every part, for instance ``cache=False``.
        """
        found = [part.encode(data, **options) for part in self.parts]
        scaled = (
            z if scale == 1 else z / np.float32(scale) for z, scale in zip(found, self.scales, strict=True)
        )
        return np.concatenate([np.asarray(z, np.float32) for z in scaled], axis=1)

    def __repr__(self) -> str:
        return f"JoinedEncoder({self.name!r}: {' + '.join(str(p.dim) for p in self.parts)} features, frozen)"


def joined(*encoders: Part, scaled_on: Split | None = None, name: str = "") -> JoinedEncoder:
    r"""Return an encoder that gives the features of several, side by side (concatenation).

    .. math:: z(x) = \bigl[\, z_1(x) / s_1,\; \dots,\; z_m(x) / s_m \,\bigr], \qquad
              s_i^2 = \tfrac{1}{d_i} \sum_j \mathrm{Var}[z_{ij}]

    What one network missed another may have kept; a probe picks from both. It costs every part's pass, and
    more columns ask for more labels, so compare it with a probe on the best part, and with *more of the
    same*: as many columns from one network.

    Parameters
    ----------
    *encoders : Encoder
        Two or more that read the same examples. Each keeps its own cache, so that what one of them
        computed before is not computed again.
    scaled_on : Split, optional
        Examples, as a rule ``task.train``, on which every part is brought to a mean variance of 1 by one
        number; labels are not looked at. Without it the part with larger numbers weighs more in
        distances, for instance for `methods.knn`, and in the prior of a probe on few labels.
    name : str
        Default: the parts' names.

    Returns
    -------
    JoinedEncoder

    Raises
    ------
    BadInput
        For fewer than two encoders; when a part's features do not vary on `scaled_on`, or are not finite.

    Examples
    --------
    >>> from course_lib.encoders.layers import by_layer
    >>> parts = by_layer(64)
    >>> joined(parts["block10"], parts["head"]).dim
    1952
    """
    if len(encoders) < 2:
        raise BadInput(
            f"{len(encoders)} encoder to join.", "Give two or more, joined(a, b), or use the one as it is."
        )
    scales = tuple(1.0 if scaled_on is None else _spread(part, scaled_on) for part in encoders)
    return JoinedEncoder(encoders, scales, name or " + ".join(part.name for part in encoders))


def _spread(part: Part, examples: Split) -> float:
    """Return the root of the mean variance of a part's columns."""
    if len(examples) < 2:
        raise BadInput(f"{examples.name} holds {len(examples)} examples; a spread needs two.", "Give more.")
    spread = float(np.sqrt(part.encode(examples).var(axis=0, dtype=np.float64).mean()))
    if not (np.isfinite(spread) and spread > 0):
        raise BadInput(
            f"The features of {part.name} on {examples.name} have a spread of {spread}.",
            "Give examples that differ, or join without scaled_on.",
        )
    return spread
