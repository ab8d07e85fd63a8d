"""Optimal transport: target examples are moved to where the cheapest plan puts them among the source's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.align import adapt, both_domains, fitting_features
from course_lib.methods.classifier import Data, FeatureClassifier

MOST = 1000
"""Examples of each domain that the plan is made for: their kernel takes 4 MB."""

EPSILON = 0.02
"""Entropy's weight, in mean costs."""

NEIGHBOURS = 10
"""Known examples whose moves are averaged for a new one; at most a twentieth of all, at least one."""

_FAR = 1e15  # scalings beyond it are taken into the potentials, before float32 ends
_CHUNK = 2000


@dataclass(frozen=True, eq=False)
class SampleMap:
    """Moves features by as much as the nearest of known examples were moved, on average.

    Parameters
    ----------
    known : numpy.ndarray
        ``(m, d)`` float32 target examples.
    moves : numpy.ndarray
        ``(m, d)`` float32, by how much each of them is moved.
    steps : int
        Of Sinkhorn's iteration.
    error : float
        By how much the plan's target shares miss equal ones, summed: 0 where it converged.
    neighbours : int
        How many of the nearest are averaged.
    """

    known: np.ndarray
    moves: np.ndarray
    steps: int = 0
    error: float = 0.0
    neighbours: int = 1

    @property
    def dim(self) -> int:
        """Number of features."""
        return int(self.known.shape[1])

    @property
    def parameters(self) -> int:
        """Numbers that say what the map does."""
        return int(self.moves.size)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return features ``(n, d)`` float32 after the map."""
        if np.shape(features) == (0, self.dim):
            return np.empty((0, self.dim), np.float32)
        x = fitting_features(features, self.dim)
        centre = self.known.mean(axis=0)
        known = self.known - centre
        norms = np.einsum("ij,ij->i", known, known)
        moved = np.empty_like(x)
        for first in range(0, len(x), _CHUNK):
            part = x[first : first + _CHUNK]
            far = norms - 2 * (part - centre) @ known.T
            nearest = np.argpartition(far, self.neighbours - 1, axis=1)[:, : self.neighbours]
            moved[first : first + _CHUNK] = part + self.moves[nearest].mean(axis=1)
        return moved


def fit_optimal_transport(
    source: np.ndarray,
    target: np.ndarray,
    *,
    epsilon: float = EPSILON,
    most: int = MOST,
    steps: int = 1000,
    seed: int = 0,
) -> SampleMap:
    r"""Return the map that moves target examples to the source by an entropic transport plan.

    .. math:: \gamma = \operatorname*{arg\,min}_{\gamma \ge 0} \sum_{ij} \gamma_{ij} C_{ij}
              + \varepsilon \bar C \sum_{ij} \gamma_{ij} \ln \gamma_{ij}, \qquad
              \sum_j \gamma_{ij} = \tfrac1m,\ \sum_i \gamma_{ij} = \tfrac1n, \qquad
              C_{ij} = \lVert \bar t_i - \bar s_j \rVert^2

    Target example i goes to the mean of the source examples, as the plan weighs them for it:
    :math:`T(t_i) = m \sum_j \gamma_{ij} s_j`. An example that was not in the plan is moved by as much as its
    nearest ones that were, on average: the move of a single one also takes its own peculiarities away, which
    a new example does not have. Sinkhorn's iteration finds γ; it runs on kernels that are taken anew from the
    potentials before a number becomes too small (Schmitzer 2019), so that small ε does no harm but to
    patience.

    Costs are those of centred domains. How far the means lie apart adds to every plan's cost alike, but would
    make ε, which is told in mean costs, too large.

    The plan moves *all* mass: where the classes' shares differ between the domains, some examples of one
    class must go to another.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, two rows or more; no labels and no pairs. Not changed.
    epsilon : float
        ε, in mean costs. The larger, the more all examples go to the source's mean.
    most : int
        Domains with more examples are thinned to this many, drawn by `seed`; memory is ``4 · most²`` bytes a
        few times over.
    steps : int
        At most; the iteration ends when the plan's shares miss the wanted ones by less than 0.1% in all.
    seed : int

    Returns
    -------
    SampleMap

    Raises
    ------
    BadInput
        Arrays with fewer than two rows, that are not finite or differ in their columns; settings that are not
        positive.

    References
    ----------
    Cuturi (2013), "Sinkhorn distances", NeurIPS; Courty, Flamary, Tuia & Rakotomamonjy (2017), "Optimal
    transport for domain adaptation", IEEE TPAMI; Ferradans et al. (2014), "Regularized discrete optimal
    transport"; Schmitzer (2019), "Stabilized sparse scaling algorithms for entropy regularized transport
    problems".

    Examples
    --------
    >>> source = np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> found = fit_optimal_transport(source, source + [[5.0, 0.0]], epsilon=0.001)
    >>> found(np.array([[5.0, 0.0], [5.0, 1.5]])).round(3).tolist()
    [[0.0, 0.0], [0.0, 1.5]]
    """
    if not (np.isfinite(epsilon) and epsilon > 0) or most < 2 or steps < 1:
        raise BadInput(
            f"epsilon={epsilon}, most={most}, steps={steps}.", "Give positive numbers, most from 2."
        )
    a, b = both_domains(source, target, fewest=2)
    rng = np.random.default_rng(seed)
    a, b = (x if len(x) <= most else x[np.sort(rng.permutation(len(x))[:most])] for x in (a, b))
    s, t = a - a.mean(axis=0), b - b.mean(axis=0)
    cost = np.square(t).sum(axis=1)[:, None] + np.square(s).sum(axis=1) - 2 * t @ s.T
    cost = np.maximum(cost, 0)
    plan, taken, error = sinkhorn(cost / (cost.mean() or 1.0), epsilon, steps)
    plan /= plan.sum(axis=1, keepdims=True)
    neighbours = int(np.clip(len(b) // 20, 1, NEIGHBOURS))
    moves = (plan @ a - b).astype(np.float32)
    return SampleMap(b.astype(np.float32), moves, taken, error, neighbours)


def sinkhorn(
    cost: np.ndarray, epsilon: float, steps: int = 1000, tolerance: float = 1e-3
) -> tuple[np.ndarray, int, float]:
    """Return the entropic plan ``(m, n)`` between equal weights, the steps taken and the error of its rows.

    Parameters
    ----------
    cost : numpy.ndarray
        ``(m, n)``, not below 0. Not changed.
    epsilon : float
        In units of `cost`.
    steps : int
        Most.
    tolerance : float
        Sum over rows of how far each row's sum is from ``1 / m``.

    Examples
    --------
    >>> plan, _, _ = sinkhorn(np.array([[0.0, 1.0], [1.0, 0.0]]), 0.1)
    >>> plan.round(4).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    m, n = cost.shape
    f, g = np.zeros(m), np.zeros(n)
    taken, error = 0, np.inf
    while True:
        # One step among logarithms, which is slow and cannot fail, then plain scalings as long as they last.
        f = -epsilon * (_log_sum((g - cost) / epsilon, 1) + np.log(m))
        g = -epsilon * (_log_sum((f[:, None] - cost) / epsilon, 0) + np.log(n))
        kernel = np.exp((f[:, None] + g - cost) / epsilon).astype(np.float32)
        u, v = np.ones(m, np.float32), np.ones(n, np.float32)
        taken += 1
        rows = kernel @ v
        while True:
            error = float(np.abs(u * rows - 1 / m).sum())
            if error < tolerance or taken >= steps:
                return (u[:, None] * kernel * v).astype(np.float64), taken, error
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                new_u = np.float32(1 / m) / rows
                new_v = np.float32(1 / n) / (new_u @ kernel)
            if not (_tame(new_u) and _tame(new_v)):
                break
            u, v = new_u, new_v
            rows = kernel @ v
            taken += 1
        f, g = f + epsilon * np.log(u.astype(np.float64)), g + epsilon * np.log(v.astype(np.float64))


def _tame(scaling: np.ndarray) -> bool:
    return bool(((scaling > 1 / _FAR) & (scaling < _FAR)).all())


def _log_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """Return ``log(sum(exp(x)))`` along an axis, without overflow."""
    top = x.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis))


def optimal_transport(
    probe: FeatureClassifier,
    source: Data,
    target: Data,
    *,
    epsilon: float = EPSILON,
    most: int = MOST,
    seed: int = 0,
    name: str = "",
) -> FeatureClassifier:
    """Return the probe for a target domain whose examples are moved to the source by a transport plan.

    Parameters
    ----------
    probe : FeatureClassifier
        Fitted on the source. It stays as it is.
    source, target : Split or numpy.ndarray
        Examples of each domain that may be looked at; labels are not read.
    epsilon, most, seed
        As in `fit_optimal_transport`.
    name : str
        Default: the probe's, transport.

    Returns
    -------
    FeatureClassifier
        For target examples, as `centring`.

    Raises
    ------
    BadInput
        As `centring` and `fit_optimal_transport`.

    References
    ----------
    Courty, Flamary, Tuia & Rakotomamonjy (2017), "Optimal transport for domain adaptation", IEEE TPAMI.
    """
    fit = partial(fit_optimal_transport, epsilon=epsilon, most=most, seed=seed)
    chosen = {"epsilon": float(epsilon)}
    return adapt(probe, source, target, fit, name or f"{probe.name}, transport", chosen)
