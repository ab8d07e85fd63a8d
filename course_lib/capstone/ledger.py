"""What a project has fitted, kept on disk: a run that was stopped goes on behind its last fit."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np

from course_lib.measure import Report, from_predictions
from course_lib.methods.classifier import Classifier
from course_lib.tasks.task import Split, Task

_VERSION: Final = 1
_DEPENDS: Final = ("keras", "numpy", "scikit-learn", "torch", "transformers")


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted learner's answers and costs; the learner itself is not kept.

    Parameters
    ----------
    name : str
    labels : int
        Training labels that it saw.
    parameters : int
    seconds : dict of str to float
        ``features``, ``fit`` and ``predict``.
    chosen : dict of str to str
    validation, test : numpy.ndarray
        ``(n, k)`` float32 probabilities of the task's whole splits.
    """

    name: str
    labels: int
    parameters: int
    seconds: dict[str, float]
    chosen: dict[str, str]
    validation: np.ndarray
    test: np.ndarray

    def report(self, task: Task, split: str = "test") -> Report:
        """Return the report on ``"test"`` or ``"validation"``."""
        part: Split = getattr(task, split)
        return from_predictions(
            getattr(self, split).argmax(axis=1),
            part,
            method=self.name,
            task=task.name,
            seconds=self.seconds,
            parameters_trained=self.parameters,
            train_size=self.labels,
        )


class Ledger:
    """Fits by what they depend on.

    Parameters
    ----------
    folder : path
    task : Task
        Whose examples belong to every key.
    """

    def __init__(self, folder: Path, task: Task) -> None:
        self.folder, self.task = folder, task
        self._data = fingerprint(task)

    def key(self, **depends: Any) -> str:
        """Return the name under which a fit with these settings on these data is kept."""
        versions = {name: metadata.version(name) for name in _DEPENDS}
        content = json.dumps([_VERSION, self._data, versions, depends], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    def known(self, key: str) -> Fit | None:
        """Return a fit that was kept whole."""
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as kept:
                story = json.loads(str(kept["story"]))
                return Fit(**story, validation=kept["validation"], test=kept["test"])
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None
        except Exception as error:  # zipfile's own errors: half a file
            if type(error).__name__ != "BadZipFile":
                raise
            return None

    def checkpoint(self, key: str) -> Path:
        """Return where an unfinished fit keeps its state."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{key}.checkpoint"

    def fit(self, key: str, labels: int, make: Callable[[], Classifier]) -> Fit:
        """Return the fit of this key: as kept, or made now and kept."""
        found = self.known(key)
        if found is not None:
            return found
        learnt = make()
        if getattr(learnt, "interrupted", False):  # its state is in its checkpoint; half a fit is no result
            raise KeyboardInterrupt
        found = answered(learnt, labels, self.task)
        self.keep(key, found)
        self.checkpoint(key).unlink(missing_ok=True)
        return found

    def keep(self, key: str, fit: Fit) -> None:
        """Write a fit, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        story = {
            "name": fit.name,
            "labels": fit.labels,
            "parameters": fit.parameters,
            "seconds": fit.seconds,
            "chosen": fit.chosen,
        }
        stream = io.BytesIO()
        np.savez(stream, story=np.array(json.dumps(story)), validation=fit.validation, test=fit.test)
        part = self.folder / f".{key}-{uuid4().hex}.part"
        try:
            with part.open("wb") as file:
                file.write(stream.getvalue())
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.folder / f"{key}.npz")
        finally:
            part.unlink(missing_ok=True)


def answered(learnt: Classifier, labels: int, task: Task) -> Fit:
    """Ask a classifier for validation and test, and note what it cost."""
    import time

    validation = learnt.predict_proba(task.validation)
    start = time.perf_counter()
    test = learnt.predict_proba(task.test)
    seconds = {**learnt.seconds, "predict": time.perf_counter() - start}
    return Fit(
        learnt.name,
        labels,
        learnt.parameters_trained,
        {what: float(spent) for what, spent in seconds.items()},
        {what: str(value) for what, value in learnt.chosen.items()},
        np.asarray(validation, np.float32),
        np.asarray(test, np.float32),
    )


def fingerprint(task: Task) -> str:
    """Return a digest of a task's examples, labels and splits."""
    digest = hashlib.blake2b(digest_size=16)
    for split in (task.train, task.validation, task.test):
        digest.update(json.dumps([split.x.shape, list(split.class_names)]).encode())
        digest.update(np.ascontiguousarray(split.y).tobytes())
        if split.x.dtype.kind == "u":
            for picture in split.x:
                digest.update(np.ascontiguousarray(picture).tobytes())
        else:
            digest.update(json.dumps(split.x.tolist(), ensure_ascii=True).encode())
    return digest.hexdigest()
