"""What came out of a project, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from course_lib.capstone.data import Data
from course_lib.capstone.learners import FLOOR, PROBE, TUNED
from course_lib.measure import Control, Curve, Interval, Reliability, Report, Verdict
from course_lib.measure.report import METRICS

HELPED, HURT, CANNOT_TELL = "helped", "hurt", "cannot tell"
MISTAKES: Final = 12


@dataclass(frozen=True)
class Mistake:
    """A test example that was answered wrongly, and how sure the answer was."""

    row: int
    id: str
    true: str
    said: str
    confidence: float


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the report tells.

    Parameters
    ----------
    data : Data
    reports : dict of str to list of Report
        Per learner one per seed, on the test split.
    validation : dict of str to float
        Mean score of each learner on validation, by which one is chosen.
    chosen : str
    floor, source, tuned : Verdict or None
        The probe against the largest class; the probe against the control without a source; the fine-tuned
        network against the probe.
    tuning : str
        How the network was fine-tuned, or why it was not.
    curves : tuple of Curve
    final : Report
        Of the chosen learner, taught with all labels.
    before, after : Reliability
        Its calibration as it is, and at the temperature that validation chose.
    temperature : float
    mistakes : tuple of Mistake
        The surest first.
    model : str
        File of the final learner, empty where none is kept.
    seconds : float
        That this run took.
    """

    data: Data
    reports: dict[str, list[Report]]
    validation: dict[str, float]
    chosen: str
    floor: Verdict
    source: Verdict
    tuned: Verdict | None
    tuning: str
    curves: tuple[Curve, ...]
    final: Report
    before: Reliability
    after: Reliability
    temperature: float
    mistakes: tuple[Mistake, ...]
    model: str = ""
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """Whether the transfer ``"helped"``, ``"hurt"``, or nobody ``"cannot tell"``.

        It helped where the probe on the source's features beats both the learner without a source and the
        largest class: beating a rival that learnt nothing is no success, nor is a score that the control
        reaches as well.
        """
        if HURT in (self.source.answer, self.floor.answer):
            return HURT
        both = self.source.answer == self.floor.answer == HELPED
        return HELPED if both else CANNOT_TELL

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        control, name = self.source.control, METRICS[self.data.metric]
        if self.answer == HELPED:
            points = 100 * self.source.difference.value
            return f"Transfer helped: {points:.0f} points of {name} above {control}, on the same labels."
        if self.floor.answer == HURT:
            return (
                "Transfer hurt: with the source the score lies below that of always saying one "
                f"class ({name})."
            )
        if self.answer == HURT:
            points = -100 * self.source.difference.value
            return f"Transfer hurt: {points:.0f} points of {name} below {control}, on the same labels."
        if self.floor.answer != HELPED:
            return "Cannot tell: nothing shows that anything was learnt; the largest class does as well."
        return (
            f"Cannot tell: something was learnt, but the control ({control}) may do as well, "
            "without the source."
        )

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do next, by what came out."""
        said = []
        if self.floor.answer != HELPED:
            said.append(
                "Look at your labels first: are they what you think, do two people agree on them? "
                "Then at a few "
                "examples as the source sees them. More labels help only when the labels say something."
            )
        elif self.answer == HURT:
            said.append(
                f"Use {self.source.control}, or another source: an earlier layer, or a network whose "
                "training was nearer to your data (notebook 06)."
            )
        elif self.answer == CANNOT_TELL:
            said.append(
                "More test examples or more seeds narrow the interval; a source that is nearer may help."
            )
        if self.tuned is not None and self.floor.answer == HELPED:
            words = {
                HELPED: "Fine-tuning beats the probe here: it is worth its time.",
                HURT: "Fine-tuning does worse than the probe here: stay with the probe (notebook 05).",
            }
            said.append(
                words.get(
                    self.tuned.answer, "Fine-tuning is not told apart from the probe, which is cheaper."
                )
            )
        gain = self.last_doubling
        if gain is not None and self.floor.answer == HELPED:
            said.append(
                f"The last doubling of the labels brought {100 * gain:+.1f} points: "
                + (
                    "more labels are likely to pay."
                    if gain > 0.02
                    else "more of the same labels will bring little."
                )
            )
        if self.before.ece.value > 2 * self.before.floor and abs(self.before.overconfidence) > 0.03:
            side = "too sure" if self.before.overconfidence > 0 else "not sure enough"
            said.append(
                f"Its probabilities are {side}, by {100 * abs(self.before.overconfidence):.0f} "
                "points on average: "
                f"divide its logits by {self.temperature:.2f} before you act on them."
            )
        return tuple(said)

    @property
    def last_doubling(self) -> float | None:
        """What the probe gained from half of the labels to all of them."""
        curve = self.curves[0]
        sizes = curve.sizes
        half = np.flatnonzero(np.abs(sizes - sizes[-1] / 2) <= 1)
        return float(curve.means()[-1] - curve.means()[half[0]]) if len(half) else None

    def verdicts(self) -> dict[str, Verdict]:
        """Return the questions with their verdicts."""
        asked = {
            "Was anything learnt?": self.floor,
            "Did the source help?": self.source,
        }
        return asked if self.tuned is None else {**asked, "Did fine-tuning help further?": self.tuned}

    def costs(self) -> list[tuple[str, ...]]:
        """Return a row per learner: labels, seconds, parameters trained, milliseconds per prediction."""
        rows: list[tuple[str, ...]] = []
        for name, group in self.reports.items():
            spent = np.mean([sum(s for w, s in r.seconds.items() if w != "predict") for r in group])
            each = np.mean([r.seconds.get("predict", 0.0) for r in group]) / max(group[0].n, 1)
            row = (name, f"{group[0].train_size:,}", f"{spent:.1f}", f"{group[0].parameters_trained:,}")
            rows.append((*row, f"{1000 * each:.2f}"))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for ``report.json``."""
        metric = self.data.metric
        return {
            "answer": self.answer,
            "headline": self.headline,
            "advice": list(self.advice),
            "chosen": self.chosen,
            "chosen_on": "validation",
            "metric": metric,
            "scores": {name: score.to_dict() for name, score in self.scores().items()},
            "validation": self.validation,
            "final": self.final.to_dict(),
            "verdicts": {question: one.to_dict() for question, one in self.verdicts().items()},
            "fine_tuning": self.tuning,
            "learning_curves": [curve.to_dict() for curve in self.curves],
            "calibration": {
                "as it is": self.before.to_dict(),
                "scaled": self.after.to_dict(),
                "temperature": self.temperature,
            },
            "mistakes": [vars(one) for one in self.mistakes],
            "data": self.data.to_dict(),
            "seconds": {n: [r.seconds for r in group] for n, group in self.reports.items()},
            "run_seconds": self.seconds,
            "model": self.model,
            "settings": self.settings,
        }

    def _rows(self) -> list[Control]:
        """Return one row of a verdict per learner, with its score over seeds."""
        rows = {row.method: row for row in (*self.floor.rows, *self.source.rows)}
        if self.tuned is not None:
            rows.update({row.method: row for row in self.tuned.rows})
        order = [TUNED, PROBE, *(name for name in self.reports if name not in (TUNED, PROBE, FLOOR)), FLOOR]
        return [rows[name] for name in order if name in rows]

    def scores(self) -> dict[str, Interval]:
        """Return each learner's score over seeds, transfers first; an interval ends where scores do."""
        found = {row.method: row.score for row in self._rows()}
        return {n: Interval(s.value, max(s.low, 0.0), min(s.high, 1.0)) for n, s in found.items()}

    def __str__(self) -> str:
        lines = [self.headline, *(f"  {name:<14} {score}" for name, score in self.scores().items())]
        return "\n".join([*lines, *(f"- {one}" for one in self.advice)])

    __repr__ = __str__


def mistakes_of(task: Any, probabilities: np.ndarray, most: int = MISTAKES) -> tuple[Mistake, ...]:
    """Return the wrong answers on test, the surest first.

    Parameters
    ----------
    task : Task
    probabilities : numpy.ndarray
        ``(n, k)`` of ``task.test``.
    most : int
    """
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(said != task.test.y)
    names = task.class_names
    return tuple(
        Mistake(
            int(row),
            str(task.test.ids[row]),
            names[int(task.test.y[row])],
            names[int(said[row])],
            float(sure[row]),
        )
        for row in wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    )
