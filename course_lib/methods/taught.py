"""A student's features made those of its teacher, by a linear map or by training the student itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.encoders.text import TextEncoder
from course_lib.errors import BadInput
from course_lib.methods.align import AffineMap, AlignedEncoder, need_partners
from course_lib.methods.classifier import Data, Encoder, check_features, encode_timed

STRENGTHS: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""λ to try, in mean variances of the student's features."""

HOW = ("ridge", "network")


class TaughtEncoder(AlignedEncoder):
    """A student that speaks in its teacher's features; made by `distill_features`.

    What was fitted on the teacher's features, a probe or a map, reads this encoder's as they are.

    Attributes
    ----------
    name, dim, base, map
        As in `AlignedEncoder`: the student, and the linear map behind it.
    teacher : str
    explained : float
        The share of the teacher's variance that comes through, on examples left out of the fit.
    strength : float
        λ of the map.
    history : tuple of dict
        Per epoch, where a network was trained.
    seconds : dict of str to float
        ``"features"`` of both, and ``"fit"``.
    """

    def __init__(
        self,
        name: str,
        base: Encoder,
        map: AffineMap,
        *,
        teacher: str,
        explained: float,
        strength: float,
        seconds: dict[str, float],
        history: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(name, base, map)
        self.teacher, self.explained, self.strength = teacher, explained, strength
        self.seconds, self.history = seconds, tuple(history)

    def __repr__(self) -> str:
        return f"TaughtEncoder({self.name!r}: {self.explained:.1%} of the variance of {self.teacher!r})"


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A linear map and the path that led to it.

    Parameters
    ----------
    map : AffineMap
    strength : float
    explained : float
        Share of the teacher's variance explained, each example left out in turn.
    path : tuple of dict
        ``strength`` and ``explained`` of all that were tried.
    """

    map: AffineMap
    strength: float
    explained: float
    path: tuple[dict[str, float], ...]


def fit_ridge(
    student: np.ndarray, teacher: np.ndarray, *, strengths: Sequence[float] = STRENGTHS
) -> RidgeFit:
    r"""Return the linear map from a student's features to its teacher's, and how well it does on others.

    .. math:: \min_W \lVert \tilde S W - \tilde T \rVert^2 + \lambda n \bar\sigma^2 \lVert W \rVert^2, \qquad
              W = (\tilde S^\top \tilde S + \lambda n \bar\sigma^2 I)^{-1} \tilde S^\top \tilde T

    on centred features, with the mean variance :math:`\bar\sigma^2` of the student's. λ is the one with the
    smallest error on left-out examples, which needs no second fit: example i, left out, is missed by its
    residual divided by :math:`1 - h_{ii}`, the hat matrix' diagonal (Allen, 1974, PRESS).

    Parameters
    ----------
    student, teacher : numpy.ndarray
        ``(n, d)`` and ``(n, e)``, row by row the same examples. Not changed.
    strengths : sequence of float
        λ to try, each above 0.

    Returns
    -------
    RidgeFit

    Raises
    ------
    BadInput
        Features that are not finite numbers, or of different length; fewer than 3; all equal; a λ that is not
        above 0.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> fit = fit_ridge(x, x @ np.ones((3, 2)))
    >>> fit.strength, round(fit.explained, 4)
    (0.0001, 1.0)
    """
    s, t = check_features(student, what="student's"), check_features(teacher, what="teacher's")
    if len(s) != len(t) or len(s) < 3:
        raise BadInput(
            f"{len(s):,} rows of the student's features and {len(t):,} of the teacher's; expected as many of "
            "both, at least 3.",
            "Encode the same examples, in the same order, with both.",
        )
    if not len(strengths) or not all(np.isfinite(k) and k > 0 for k in strengths):
        raise BadInput(f"strengths={list(strengths)}.", "Give numbers above 0.")
    s_mean, t_mean = s.mean(axis=0, dtype=np.float64), t.mean(axis=0, dtype=np.float64)
    s, t = s - s_mean, t - t_mean  # float64 copies
    n = len(s)
    values, vectors = np.linalg.eigh(s.T @ s)
    scale, variance = float(values.sum()) / s.shape[1], float((t**2).sum())
    if not scale > 0 or not variance > 0:
        raise BadInput("All rows of the features are equal.", "Give different examples.")
    turned = s @ vectors
    answers = turned.T @ t
    path, best = [], (-np.inf, 0.0)
    for strength in strengths:
        damped = 1 / (np.maximum(values, 0) + strength * scale)
        leverage = (turned**2) @ damped + 1 / n
        left_out = (t - turned @ (answers * damped[:, None])) / np.maximum(1 - leverage, 1e-9)[:, None]
        # against the mean of the others, which is how an example left out would be guessed without a student
        explained = 1 - float((left_out**2).sum()) / (variance * (n / (n - 1)) ** 2)
        path.append({"strength": float(strength), "explained": explained})
        best = max(best, (explained, float(strength)))
    explained, strength = best
    matrix = vectors @ (answers / (np.maximum(values, 0) + strength * scale)[:, None])
    return RidgeFit(AffineMap(s_mean, matrix, t_mean), strength, explained, tuple(path))


def distill_features(
    teacher_encoder: Encoder,
    student_encoder: Encoder,
    examples: Data,
    *,
    teacher_reads: Data | None = None,
    how: str = "ridge",
    strengths: Sequence[float] = STRENGTHS,
    name: str = "",
    **settings: Any,
) -> TaughtEncoder:
    """Teach a student the features of a teacher, without a label: what it returns is an encoder.

    ``how="ridge"`` fits a linear map behind the frozen student, in closed form (`fit_ridge`): seconds.
    ``how="network"`` starts there and goes on training the student itself, all its layers above `freeze_to`,
    to lessen the mean squared error (Romero et al., 2015, "FitNets"; for sentences Reimers & Gurevych, 2020).
    With translations as examples and their originals as `teacher_reads` the student of one language learns to
    place a sentence where the teacher places its translation.

    Parameters
    ----------
    teacher_encoder, student_encoder : Encoder
        Neither is changed.
    examples : Split or numpy.ndarray
        What the student reads. Labels are not read.
    teacher_reads : Split or numpy.ndarray, optional
        What the teacher reads, row by row the same thing. Default: `examples`.
    how : {"ridge", "network"}
        ``"network"`` for a `TextEncoder`.
    strengths : sequence of float
        λ to try.
    name : str
        Default: the student's, taught by the teacher's.
    **settings
        For ``"network"``: ``epochs``, ``learning_rate``, ``freeze_to``, ``batch_size``, ``dropout``, ``seed``
        and so on of `TextRecipe`.

    Returns
    -------
    TaughtEncoder

    Raises
    ------
    BadInput
        Examples and `teacher_reads` of another length or order, another `how`, a network that cannot be
        trained so, and as `fit_ridge`.

    References
    ----------
    Romero et al. (2015), "FitNets: hints for thin deep nets". Reimers & Gurevych (2020), "Making monolingual
    sentence embeddings multilingual using knowledge distillation".
    """
    if how not in HOW:
        raise BadInput(f"how={how!r}.", f"Choose one of {', '.join(HOW)}.")
    if how == "ridge" and settings:
        raise BadInput(
            f"{next(iter(settings))} is a setting of how='network'.", "Give that too, or leave it out."
        )
    reads = examples if teacher_reads is None else teacher_reads
    need_partners(examples, reads)
    given: list[Any] = [examples, reads]
    (s,), s_seconds = encode_timed(student_encoder, given[0])
    (t,), t_seconds = encode_timed(teacher_encoder, given[1])
    start = time.perf_counter()
    fit = fit_ridge(s, t, strengths=strengths)
    seconds = {"features": s_seconds + t_seconds, "fit": time.perf_counter() - start}
    name = name or f"{student_encoder.name}, taught by {teacher_encoder.name}"
    story: dict[str, Any] = {"teacher": teacher_encoder.name, "strength": fit.strength}
    if how == "ridge":
        return TaughtEncoder(
            name, student_encoder, fit.map, explained=fit.explained, seconds=seconds, **story
        )
    if not isinstance(student_encoder, TextEncoder):
        raise BadInput(
            f"how='network' trains sentence encoders; {student_encoder.name} is none.",
            "Give how='ridge', or distill what a picture network answers: methods.distill.",
        )
    from course_lib.methods.training_features import train_features

    learnt = train_features(student_encoder, examples, t, fit.map, name, settings)
    seconds["fit"] += learnt.seconds
    return TaughtEncoder(
        name,
        learnt.encoder,
        learnt.map,
        explained=learnt.explained,
        seconds=seconds,
        history=learnt.history,
        **story,
    )
