"""A project: one's own data through probe, fine-tuning, verdict and report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from course_lib import measure, methods
from course_lib.capstone.data import Data, read_data
from course_lib.capstone.findings import Findings, mistakes_of
from course_lib.capstone.learners import FLOOR, PROBE, QUICK, SHARE, TUNED, Learners, Tuning
from course_lib.capstone.ledger import Fit, Ledger
from course_lib.capstone.settings import Settings, read_settings
from course_lib.measure import Curve, Report, Verdict
from course_lib.methods.classifier import Classifier
from course_lib.runner.state import write_atomically
from course_lib.tasks.task import Task

WORK: Final = "work"
REPORT: Final = "report"
MODEL: Final = "model.txt"
_SIZES: Final = 5  # of the learning curve
_LEAST: Final = 8
_ANY: Final = 1e12
_FITS: Final = 3  # fewer tell nothing


class Project:
    """The steps of a project, each computed when it is first asked for and kept on disk.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    folder : pathlib.Path
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.folder = settings, settings.folder

    @cached_property
    def data(self) -> Data:
        """The data, split and described."""
        return read_data(self.settings)

    @property
    def task(self) -> Task:
        """The data as a task."""
        return self.data.task

    @cached_property
    def learners(self) -> Learners:
        """What can be fitted."""
        return Learners(self.settings, self.data)

    @cached_property
    def ledger(self) -> Ledger:
        """What was fitted."""
        return Ledger(self.folder / WORK, self.task)

    @property
    def control(self) -> str:
        """The learner without a source that the verdict compares with."""
        return self.settings.control

    @property
    def tuning(self) -> Tuning | None:
        """How the network will be fine-tuned; None when it is not wanted."""
        return self.learners.tuning

    @property
    def tunes(self) -> bool:
        """Whether there will be a fine-tuning: it is wanted, and fits into the minutes."""
        return self.tuning is not None and self.tuning.encoder is not None

    def fits(self, name: str) -> list[Fit]:
        """Fit a learner, once per seed, each time on another sample of four fifths of the labels.

        Parameters
        ----------
        name : str
            ``"probe"``, ``"fine-tuned"``, ``"largest class"`` or the control's.
        """
        size = max(round(SHARE * len(self.task.train)), self.task.classes)
        return [
            self._fit(name, self.task.subset(size, seed=seed), seed, size)
            for seed in range(self.settings.seed, self.settings.seed + self.settings.seeds)
        ]

    def reports(self, *names: str) -> dict[str, list[Report]]:
        """Return each learner's reports on the test split, one per seed."""
        return {name: [fit.report(self.task) for fit in self.fits(name)] for name in names}

    def verdict(self, transferred: str, control: str) -> Verdict:
        """Say whether one learner is better than another; see `measure.verdict`."""
        reports = self.reports(transferred, control)
        return measure.verdict(
            reports,
            transferred=transferred,
            control=control,
            metric=self.data.metric,
            # each seed is another sample of labels, so that equal predictions are no sign of one fit
            least_seeds=1 if self.settings.seeds >= _FITS else _FITS,
            max_ratio=_ANY if control == FLOOR else 3.0,  # nobody gives the floor a budget
        )

    def validation(self, name: str) -> float:
        """Return a learner's mean score on validation."""
        reports = [fit.report(self.task, "validation") for fit in self.fits(name)]
        return float(np.mean([one.score(self.data.metric).value for one in reports]))

    @property
    def names(self) -> list[str]:
        """Every learner of this project, transfers first."""
        return [PROBE, *([TUNED] if self.tunes else []), self.control, FLOOR]

    @property
    def chosen(self) -> str:
        """The learner with the best score on validation; of equal ones the first named, which is cheaper."""
        return max(self.names, key=self.validation)

    def curves(self) -> tuple[Curve, ...]:
        """Return the learning curves of the probe and of the same learner without a source."""
        seeds = range(self.settings.seed, self.settings.seed + self.settings.seeds)
        return tuple(
            measure.learning_curve(
                partial(self.learners.fit, name),
                self.task,
                self._sizes(),
                seeds,
                name,
                metric=self.data.metric,
            )
            for name in (PROBE, QUICK[self.settings.kind])
        )

    def _sizes(self) -> list[int]:
        n, least = len(self.task.train), max(self.task.classes, _LEAST)
        sizes = {n >> k for k in range(_SIZES)}
        return sorted(size for size in sizes if size >= min(least, n))

    def final(self) -> tuple[Fit, str]:
        """Teach the chosen learner with all labels; return its answers and the file that it is kept in."""
        name = self.chosen
        key = self._key(name, self.task, self.settings.seed)
        known = self.ledger.known(key)
        if known is not None and self._model_of(key) is not None:
            return known, self._model_of(key) or ""
        learnt = self._made(name, self.task, self.settings.seed, key)
        fit = self.ledger.fit(key, len(self.task.train), lambda: learnt)
        file = self._saved(learnt)
        write_atomically(self.folder / WORK / MODEL, f"{key} {file}")
        return fit, file

    def _model_of(self, key: str) -> str | None:
        """Return the file that the final learner of this key is kept in, None when it has to be made."""
        try:
            kept, _, file = (self.folder / WORK / MODEL).read_text(encoding="utf-8").partition(" ")
        except OSError:
            return None
        return file if kept == key and (self.folder / REPORT / file).exists() else None

    def _saved(self, learnt: Classifier) -> str:
        """Write the final learner beside the report, where it has a file."""
        folder = self.folder / REPORT
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("model.*"):
            old.unlink()
        if isinstance(learnt, methods.FineTuned):
            path = folder / "model.keras"
            learnt.model.save(path)
        elif _keepable(learnt.name):
            path = methods.save(learnt, folder / "model.safetensors")
        else:
            return ""
        return path.name

    def _fit(self, name: str, task: Task, seed: int, labels: int) -> Fit:
        key = self._key(name, task, seed)
        return self.ledger.fit(key, labels, lambda: self._made(name, task, seed, key))

    def _made(self, name: str, task: Task, seed: int, key: str) -> Classifier:
        return self.learners.fit(name, task, seed, self.ledger.checkpoint(key) if name == TUNED else None)

    def _key(self, name: str, task: Task, seed: int) -> str:
        depends: dict[str, Any] = {"name": name, "seed": seed, "labels": len(task.train)}
        if name in (PROBE, TUNED):
            depends |= {"encoder": self.settings.encoder, "pixels": self.settings.pixels}
        if name == TUNED and self.tuning is not None:
            source = getattr(self.tuning.encoder, "key", "")
            depends |= {"options": self.tuning.options, "source": source}
        return self.ledger.key(**depends, weight=self.learners.weight)


def _keepable(name: str) -> bool:
    return name in (PROBE, TUNED)


def load(folder: str | Path = ".") -> Project:
    """Return the project in `folder`.

    Raises
    ------
    BadInput
        Without a `project.toml` there, or with settings that cannot be.
    """
    return Project(read_settings(Path(folder)))


@dataclass
class _Steps:
    """Tell which step has begun."""

    say: Callable[[str], None]
    total: int
    done: int = 0

    def __call__(self, words: str) -> None:
        self.done += 1
        self.say(f"{self.done}/{self.total} {words}")


def carry_out(project: Project, say: Callable[[str], None] = print) -> Findings:
    """Take a project from its data to its findings; what was fitted before is not fitted again.

    Parameters
    ----------
    project : Project
    say : callable
        Is told each step as it begins.

    Returns
    -------
    Findings

    Raises
    ------
    BadInput
        As `Project.data`.
    """
    start = time.perf_counter()
    step = _Steps(say, 7)
    step("reading the data")
    data = project.data
    say(f"    {data.task}")
    step(f"the probe, {project.control} and the largest class, {project.settings.seeds} fits each")
    reports: dict[str, list[Report]] = project.reports(PROBE, project.control, FLOOR)
    step("fine-tuning")
    tuning = project.tuning
    words = "not wanted: minutes = 0" if tuning is None else tuning.words
    say(f"    {words}")
    if project.tunes:
        reports = {PROBE: reports[PROBE], **project.reports(TUNED), **reports}
    step("verdicts")
    floor, source = project.verdict(PROBE, FLOOR), project.verdict(PROBE, project.control)
    tuned = project.verdict(TUNED, PROBE) if project.tunes else None
    step("learning curves")
    curves = project.curves()
    step(f"{project.chosen}, taught with all {len(data.task.train):,} labels")
    fit, model = project.final()
    step("calibration and mistakes")
    before, after, temperature = _calibration(fit, data.task)
    return Findings(
        data=data,
        reports=reports,
        validation={name: project.validation(name) for name in project.names},
        chosen=project.chosen,
        floor=floor,
        source=source,
        tuned=tuned,
        tuning=words,
        curves=curves,
        final=fit.report(data.task),
        before=before,
        after=after,
        temperature=temperature,
        mistakes=mistakes_of(data.task, fit.test),
        model=model,
        seconds=time.perf_counter() - start,
        settings=_plain(project.settings.shown()),
    )


def _calibration(fit: Fit, task: Task) -> tuple[measure.Reliability, measure.Reliability, float]:
    """Return the reliability on test as it is, and at the temperature that validation chose."""
    logs = {part: np.log(np.maximum(getattr(fit, part), 1e-12)) for part in ("validation", "test")}
    heat = measure.temperature(logs["validation"], task.validation.y)
    scaled = logs["test"] / heat
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    scaled /= scaled.sum(axis=1, keepdims=True)
    p = fit.test / fit.test.sum(axis=1, keepdims=True)
    bins = 10
    return measure.reliability(p, task.test.y, bins), measure.reliability(scaled, task.test.y, bins), heat


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
