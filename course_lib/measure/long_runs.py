"""Long runs: what took hours once, read from ``results/`` to stand beside what a notebook just made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput
from course_lib.measure.report import Interval


@dataclass(frozen=True)
class LongRun:
    """An experiment that was run once, with the command that made it and the machine that it ran on.

    Parameters
    ----------
    what, command, hardware, date : str
        ``date``: of its last line, YYYY-MM-DD.
    versions : dict of str to str
        Of the packages that its figures depend on.
    figures : tuple of dict
        One per fit: its ``"setting"``, a dict, and what came of it.
    """

    what: str
    command: str
    hardware: str
    date: str
    versions: Mapping[str, str]
    figures: tuple[Mapping[str, Any], ...]

    @property
    def source(self) -> str:
        """Where the figures come from, in one line of Markdown."""
        return f"`{self.command}`, {self.hardware}, {self.date}"

    def over(self, name: str, key: str, **fixed: Any) -> dict[Any, Interval]:
        """Return a figure for each value of one setting: mean, least and most over the seeds.

        Parameters
        ----------
        name : str
            The setting that varies, for instance ``"freeze_to"``.
        key : str
            The figure, for instance ``"test_accuracy"``.
        **fixed : object
            The other settings. Fits with any further setting but the seed are left out.

        Returns
        -------
        dict of object to Interval
            In the order in which they were run. The interval is the range of the seeds, not a 95% interval.

        Raises
        ------
        BadInput
            When no fit is like that, or none has this figure.

        Examples
        --------
        >>> figures = [{"setting": {"depth": 3, "seed": s}, "accuracy": a} for s, a in enumerate((0.5, 0.75))]
        >>> run = LongRun("made up", "python x.py", "a laptop", "2026-01-01", {}, tuple(figures))
        >>> run.over("depth", "accuracy")
        {3: Interval(value=0.625, low=0.5, high=0.75)}
        """
        found: dict[Any, list[float]] = {}
        for figure in self.figures:
            setting = {k: v for k, v in figure["setting"].items() if k != "seed"}
            if name in setting and key in figure:
                value = setting.pop(name)
                if setting == fixed:
                    found.setdefault(value, []).append(float(figure[key]))
        if not found:
            known = sorted(
                {k for figure in self.figures for k in (*figure["setting"], *figure)} - {"setting"}
            )
            raise BadInput(
                f"No fit of this long run has {name!r} and {key!r} with {fixed or 'nothing else'}.",
                f"It knows {', '.join(known) or 'nothing'}; name every setting but the seed and {name!r}.",
            )
        return {value: Interval(sum(v) / len(v), min(v), max(v)) for value, v in found.items()}


def long_run(name: str, folder: str | Path | None = None) -> LongRun:
    """Read a long run from ``results/NAME.json``.

    Parameters
    ----------
    name : str
        For instance ``"cifar10_fine_tuning"``.
    folder : path, optional
        Where it lies. Default: ``results`` here or in a folder above, then the clone that the library is
        installed from, so that a notebook finds it wherever it was copied to.

    Returns
    -------
    LongRun

    Raises
    ------
    BadInput
        When it is not there (the message names those that are), or the file is not one of a long run.

    Examples
    --------
    >>> long_run("cifar10_fine_tuning").command
    'python -m course_lib.bench.long_runs cifar10_fine_tuning'
    """
    here = Path.cwd()
    clone = Path(__file__).resolve().parents[2]
    folders = [Path(folder)] if folder else [place / "results" for place in (here, *here.parents, clone)]
    for place in folders:
        if (place / f"{name}.json").is_file():
            return _read(place / f"{name}.json")
    raise _missing(name, folders)


def _read(path: Path) -> LongRun:
    try:
        content = json.loads(path.read_text("utf8"))
        figures = tuple(content["figures"])
        if not figures or not all(isinstance(figure["setting"], dict) for figure in figures):
            raise ValueError("no fit")
        what, command, hardware, date = (
            str(content[field]) for field in ("what", "command", "hardware", "date")
        )
        return LongRun(what, command, hardware, date, dict(content["versions"]), figures)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is not the file of a long run ({type(error).__name__}: {error}).",
            "Make it with `python -m course_lib.bench.long_runs`, which writes all of its fields.",
        ) from error


def _missing(name: str, folders: Sequence[Path]) -> BadInput:
    there = sorted({path.stem for place in folders for path in place.glob("*.json")})
    known = f"There are {', '.join(there)}. " if there else ""
    place = f"{folders[0]}{' or above, or in the clone' if folders[1:] else ''}"
    return BadInput(
        f"There is no long run {name!r} in {place}.",
        f"{known}Open the notebook in your clone of the course, or make it there, in hours: "
        f"`python -m course_lib.bench.long_runs {name}`.",
    )
