"""How much likelier an example is in the target domain than in the source: the weight of covariate shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.distance import both_samples
from course_lib.measure.report import html_table, text_table

STRENGTHS = (1e3, 1e2, 1e1, 1.0, 0.1)
"""Ridge penalties of the domain classifier that are tried, on features of unit variance."""

DIMS = 50
"""Directions of largest variance that the domain classifier sees."""

FOLDS = 4
CLIP = 50.0
"""The largest weight, in units of the mean."""

_MOST = 1000  # rows of each domain that the directions are read off


@dataclass(frozen=True, eq=False)
class DensityRatio:
    r"""Weights of source examples; see `density_ratio`.

    Parameters
    ----------
    weights : numpy.ndarray
        ``(n,)`` of the source examples, each from a classifier that was not fitted on it; their mean is 1.
    effective : float
        Effective sample size, :math:`(\sum w)^2 / \sum w^2`: as many examples of equal weight scatter as
        much.
    strength : float
        The ridge penalty with the least held-out log-loss.
    log_loss : float
        Held-out, in nats, both domains weighing alike; ln 2 = 0.69 where they cannot be told apart.
    told_apart : float
        Held-out balanced accuracy of the domain classifier: 0.5 is chance, 1 means that no source example
        looks like the target's, so that no weights can help.
    """

    weights: np.ndarray
    effective: float
    strength: float
    log_loss: float
    told_apart: float
    _centre: np.ndarray
    _directions: np.ndarray
    _coefficients: np.ndarray  # (folds, dims + 1)
    _scale: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the weights ``(m,)`` of further source examples, on the scale of `weights`."""
        z = (np.asarray(features, np.float32) - self._centre) @ self._directions
        odds = _with_ones(z) @ self._coefficients.T
        return np.asarray(np.minimum(np.exp(odds.mean(axis=1)) / self._scale, CLIP))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the classifiers as plain values."""
        return {
            "weights": self.weights.tolist(),
            "effective": self.effective,
            "strength": self.strength,
            "log_loss": self.log_loss,
            "told_apart": self.told_apart,
        }

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("effective examples", f"{self.effective:,.0f} of {len(self.weights):,}"),
            ("largest weight", f"{self.weights.max():.1f}"),
            ("domains told apart", f"{self.told_apart:.1%}"),
            ("strength", f"{self.strength:g}"),
        ]

    def __str__(self) -> str:
        return f"Density ratio\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Density ratio</b>", ("", "value"), self._rows())


def density_ratio(
    source: np.ndarray, target: np.ndarray, *, dims: int = DIMS, folds: int = FOLDS, seed: int = 0
) -> DensityRatio:
    r"""Estimate :math:`w(x) = p_T(x) / p_S(x)` at source examples by telling the domains apart.

    .. math:: w(x) = \frac{p_T(x)}{p_S(x)}
              = \frac{n_S}{n_T} \cdot \frac{P(\text{target} \mid x)}{P(\text{source} \mid x)}

    by Bayes' rule, with the odds of a logistic regression that weighs both domains alike. Under covariate
    shift (another :math:`P(X)`, the same :math:`P(Y \mid X)`), the source's loss with these weights is the
    target's loss in expectation.

    The classifier sees the `dims` directions in which the pooled examples vary most, scaled to unit variance:
    with a thousand features, any two domains are told apart perfectly, and a few examples would weigh all.
    What differs in other directions is not weighed. Each example's weight comes from a classifier fitted on
    other examples (`folds`), at the ridge penalty with the least log-loss on those held out: a classifier's
    odds at its own training examples are too sure. Weights above 50 times the mean are cut off there.

    Parameters
    ----------
    source, target : numpy.ndarray
        Features ``(n, d)`` and ``(m, d)``, ten rows or more each; no labels. Not changed.
    dims : int
        At most; fewer where there are fewer.
    folds : int
    seed : int
        Of the folds.

    Returns
    -------
    DensityRatio
        Also a function of further features.

    Raises
    ------
    BadInput
        Arrays that are not finite ``(n, d)`` with the same columns, fewer than ten rows; `dims` below 1 or
        `folds` below 2.

    References
    ----------
    Shimodaira (2000), "Improving predictive inference under covariate shift by weighting the log-likelihood
    function"; Bickel, Brückner & Scheffer (2007), "Discriminative learning for differing training and test
    distributions"; Sugiyama, Suzuki & Kanamori (2012), "Density Ratio Estimation in Machine Learning".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.normal(size=(2000, 1)), 1 + rng.normal(size=(2000, 1))
    >>> found = density_ratio(source, target)
    >>> bool(np.corrcoef(np.log(found.weights), source[:, 0] - 0.5)[0, 1] > 0.99)  # the true log ratio
    True
    """
    x, y = (part.astype(np.float32) for part in both_samples(source, target, fewest=10))
    if dims < 1 or folds < 2:
        raise BadInput(f"dims={dims}, folds={folds}.", "Give 1 direction and 2 folds or more.")
    rng = np.random.default_rng(seed)
    centre, directions = _directions(x, y, dims, rng)
    z = _with_ones(np.vstack([(part - centre) @ directions for part in (x, y)]))
    domain = np.repeat([0.0, 1.0], [len(x), len(y)])
    fold = np.concatenate([rng.permutation(len(part)) % folds for part in (x, y)])
    log_loss, strength, odds, coefficients = _best(z, domain, fold)
    weights, scale = _weights(odds[: len(x)])
    right = (odds > 0) == (domain > 0)
    told_apart = float(np.mean([right[domain == d].mean() for d in (0, 1)]))
    effective = float(weights.sum() ** 2 / np.square(weights).sum())
    return DensityRatio(
        weights, effective, strength, log_loss, told_apart, centre, directions, coefficients, scale
    )


def _weights(log_odds: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights of mean 1, none above `CLIP`, and what the odds were divided by."""
    top = log_odds.max()
    ratio = np.exp(log_odds - top)
    raw = ratio / ratio.mean()
    weights = np.minimum(raw, CLIP)
    cut = weights.mean()
    return weights / cut, float(np.exp(top) * ratio.mean() * cut)


def _directions(
    x: np.ndarray, y: np.ndarray, dims: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pooled mean ``(d,)`` and directions ``(d, dims)`` that give unit variance."""
    from scipy.linalg import eigh

    some = [part[rng.permutation(len(part))[:_MOST]] for part in (x, y)]
    means = [part.mean(axis=0, dtype=np.float64) for part in some]
    centre = ((means[0] + means[1]) / 2).astype(np.float32)
    pooled = np.vstack(some) - centre
    covariance = pooled.T @ pooled / np.float32(len(pooled))
    d = len(covariance)
    values, vectors = eigh(covariance, subset_by_index=[max(d - dims, 0), d - 1])
    there = values > 1e-5 * max(values[-1], 1e-30)
    return centre, vectors[:, there] / np.sqrt(values[there])


def _with_ones(z: np.ndarray) -> np.ndarray:
    return np.hstack([z, np.ones((len(z), 1))]).astype(np.float64)


def _best(z: np.ndarray, domain: np.ndarray, fold: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return the least held-out log-loss, its strength, log odds ``(n + m,)`` and coefficients per fold.

    From strong to weak, each fit starting at the last one's, until the loss rises.
    """
    theta = np.zeros((int(fold.max()) + 1, z.shape[1]))
    best: tuple[float, float, np.ndarray, np.ndarray] | None = None
    for strength in sorted(STRENGTHS, reverse=True):
        found = _held_out(z, domain, fold, strength, theta)
        theta = found[3]
        if best is not None and found[0] > best[0]:
            break
        best = found
    assert best is not None
    return best


def _held_out(
    z: np.ndarray, domain: np.ndarray, fold: np.ndarray, strength: float, start: np.ndarray
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return held-out log-loss, the strength, log odds ``(n + m,)`` and coefficients per fold."""
    odds, coefficients = np.empty(len(z)), []
    for k, theta in enumerate(start):
        seen = fold != k
        coefficients.append(_logistic(z[seen], domain[seen], strength, theta))
        odds[~seen] = z[~seen] @ coefficients[-1]
    losses = np.logaddexp(0, np.where(domain > 0, -odds, odds))
    log_loss = float(np.mean([losses[domain == d].mean() for d in (0, 1)]))
    return log_loss, strength, odds, np.stack(coefficients)


def _logistic(
    z: np.ndarray, domain: np.ndarray, strength: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Fit a logistic regression with both domains weighing alike, by Newton's method.

    The last column of `z` is 1, and its coefficient is not penalised.
    """
    weight = np.where(domain > 0, 0.5 / domain.mean(), 0.5 / (1 - domain.mean()))
    penalty = np.full(z.shape[1], strength)
    penalty[-1] = 1e-9
    theta = np.zeros(z.shape[1]) if start is None else start

    def objective(theta: np.ndarray) -> float:
        losses = np.logaddexp(0, np.where(domain > 0, -1, 1) * (z @ theta))
        return float(weight @ losses + 0.5 * penalty @ np.square(theta))

    value = objective(theta)
    for _ in range(100):
        p = 0.5 * (1 + np.tanh(0.5 * (z @ theta)))  # never overflows
        slope = z.T @ (weight * (p - domain)) + penalty * theta
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(hessian + 1e-12 * np.eye(len(theta)), slope)
        length = 1.0
        while length > 1e-6 and (new := objective(theta - length * step)) > value:
            length /= 2
        if length <= 1e-6 or value - new < 1e-9 * len(z):
            return theta if length <= 1e-6 else theta - length * step
        theta, value = theta - length * step, new
    return theta
