"""Solar cells as in the literature: split cell by cell, against published figures and a plain probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.bench.figures import Figure
from course_lib.bench.solar_recipe import METHODS, Cells, Settings, judge, together
from course_lib.paths import cache_dir
from course_lib.tasks import Task, solar_cells
from course_lib.tasks.solar import KINDS

SEEDS = tuple(range(10))
PUBLISHED = {"mono": 90.3, "poly": 89.7}
"""Mean accuracy in % of a fine-tuned VGG19; defective from a probability of 2/3 on, 80/20 cell by cell."""


def solar(quick: bool = False) -> list[Figure]:
    """Judge a recipe on ten splits cell by cell and on the split by module; takes 40 minutes on two cores.

    Splits that are done are kept in the cache folder, so that an interrupted run goes on.
    """
    whole = solar_cells(split="cells")
    cells = together((whole.train, whole.validation, whole.test), "solar cells")
    settings = Settings()
    if quick:
        cells, settings = cells.sample(150), settings.quick
    seeds = SEEDS[:1] if quick else SEEDS
    kept = _Kept(None if quick else cache_dir("bench") / "solar.jsonl", settings)
    prepared: list[Cells] = []

    def outcome(name: str, task: Task, seed: int) -> dict[str, Any]:
        if name not in kept.known:
            if not prepared:
                prepared.append(Cells(cells, settings))
            kept.add(name, judge(prepared[0], task, seed))
        return kept.known[name]

    by_cell = [outcome(f"cells {k}", solar_cells(split="cells", seed=k), k) for k in seeds]
    by_module = [outcome("modules", solar_cells(), 0)]
    return [
        _figure(kind, runs, how)
        for runs, how in ((by_cell, "cell by cell"), (by_module, "by module"))
        for kind in KINDS
    ]


class _Kept:
    """Outcomes of splits, in a file where one is given."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._path, self._of = path, repr(settings)
        self.known: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            lines = [json.loads(line) for line in path.read_text("utf8").splitlines()]
            self.known = {line["name"]: line["outcome"] for line in lines if line["of"] == self._of}

    def add(self, name: str, outcome: dict[str, Any]) -> None:
        """Keep an outcome."""
        self.known[name] = outcome
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"of": self._of, "name": name, "outcome": outcome})
            with self._path.open("a", encoding="utf8") as stream:
                stream.write(line + "\n")


def _figure(kind: str, runs: list[dict[str, Any]], how: str) -> Figure:
    """Return the kernel machine's mean over splits, with those of the other methods in the note.

    The seconds are for all methods and both kinds; features that are frozen are computed before.
    """
    scores = {m: np.array([run[kind][m] for run in runs]) for m in METHODS}
    goal = f"{PUBLISHED[kind]}%, published for a fine-tuned VGG19" if how == "cell by cell" else ""
    best = max(scores, key=lambda m: float(scores[m].mean()))
    return Figure(
        "solar",
        f"{kind}crystalline cells, split {how}: kernel machine on covariances",
        float(np.median([run["seconds"] for run in runs])),
        "s per split, all methods",
        "a plain probe",
        accuracy=float(scores["kernel machine"].mean()),
        rival_accuracy=float(scores["plain probe"].mean()),
        goal=goal,
        note=(
            f"{f'{len(runs)} splits, ± two standard errors' if len(runs) > 1 else '1 split'}, "
            f"{runs[0][kind]['test']} test cells, defective from the expert's probability of 2/3 on; "
            f"{', '.join(f'{m} {_mean(values)}' for m, values in scores.items())}; "
            f"best: {best}, as seen afterwards"
        ),
    )


def _mean(values: np.ndarray) -> str:
    """Return a mean in %, with two standard errors where there are several values."""
    interval = 2 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{values.mean():.1%}" + (f" ± {100 * interval:.1f}" if interval else "")
