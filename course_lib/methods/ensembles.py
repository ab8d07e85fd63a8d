"""Ensembles: several classifiers answer, and their probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.methods.classifier import Classifier, Data, Origin


class Ensemble(Classifier):
    """Classifiers that answer together; made by `ensemble`.

    Attributes
    ----------
    members : tuple of Classifier
    shares : numpy.ndarray
        ``(m,)`` how much each counts, summing to 1.
    """

    def __init__(self, members: Sequence[Classifier], shares: np.ndarray, name: str) -> None:
        tasks = list(dict.fromkeys(member.task_name for member in members))
        task = Origin(
            " and ".join(tasks), members[0].class_names, range(max(member.train_size for member in members))
        )
        super().__init__(
            name,
            task,
            parameters_trained=sum(member.parameters_trained for member in members),
            seconds=_paid(members),
            chosen={"members": [member.name for member in members]},
        )
        self.members, self.shares = tuple(members), shares

    def predict_proba(self, data: Data) -> np.ndarray:
        """Ask every member and return the weighted mean of their probabilities, ``(n, k)`` float32."""
        total: Any = 0.0
        for member, share in zip(self.members, self.shares, strict=True):
            total = total + share * member.predict_proba(data).astype(np.float64)
        return np.asarray(total, np.float32)


def ensemble(
    classifiers: Sequence[Classifier], weights: Sequence[float] | None = None, *, name: str = "ensemble"
) -> Ensemble:
    r"""Let several classifiers answer together.

    .. math:: p(y \mid x) = \sum_i a_i\, p_i(y \mid x), \qquad \sum_i a_i = 1

    Any that know the same classes will do: probes on different encoders, networks of different kinds. What
    it brings comes from errors that are not the same; equal members give what one gives. What it costs is the
    sum: every member was trained, is kept, and is asked each time.

    Parameters
    ----------
    classifiers : sequence of Classifier
    weights : sequence of float, optional
        How much each counts; scaled to sum to 1. Default: all the same. Chosen on validation, if at all.
    name : str

    Returns
    -------
    Ensemble
        ``.seconds["fit"]`` and ``.parameters_trained`` are sums over the members; features of an encoder that
        several members share are counted once. ``.train_size`` is that of the member with the most labels.

    Raises
    ------
    BadInput
        Without a classifier, for different classes, or weights that are negative, all zero or not as many.

    References
    ----------
    Hansen & Salamon (1990), "Neural network ensembles", IEEE TPAMI 12(10). Lakshminarayanan, Pritzel &
    Blundell (2017), "Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS.

    Examples
    --------
    >>> from course_lib import tasks
    >>> from course_lib.methods import majority
    >>> task = tasks.digits(train=100)
    >>> one = majority(task)
    >>> both = ensemble([one, one])
    >>> np.array_equal(both.predict_proba(task.test), one.predict_proba(task.test))
    True
    """
    members = list(classifiers)
    if not members:
        raise BadInput("There is no classifier to ask.", "Give at least one, as a rule two or more.")
    for member in members:
        if member.class_names != members[0].class_names:
            raise BadInput(
                f"{members[0].name} tells {', '.join(members[0].class_names)} apart, {member.name} "
                f"{', '.join(member.class_names)}.",
                "Let classifiers of the same classes, in the same order, answer together.",
            )
    return Ensemble(members, _shares(weights, len(members)), name)


def _shares(weights: Sequence[float] | None, m: int) -> np.ndarray:
    if weights is None:
        return np.full(m, 1 / m)
    given = np.asarray(weights, np.float64)
    if given.shape != (m,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise BadInput(
            f"weights={list(weights)} for {m} classifiers.", f"Give {m} numbers, none negative, not all 0."
        )
    return np.asarray(given / given.sum())


def _paid(members: Sequence[Classifier]) -> dict[str, float]:
    """Return what all members cost; features of a shared encoder were computed once."""
    features: dict[object, float] = {}
    for place, member in enumerate(members):
        encoder = getattr(member, "encoder", None)
        whose: object = place if encoder is None else getattr(encoder, "key", "") or id(encoder)
        features[whose] = max(features.get(whose, 0.0), member.seconds["features"])
    return {"features": sum(features.values()), "fit": sum(member.seconds["fit"] for member in members)}
