"""A planner: what fits into the minutes at hand, what it will cost, and what is given up for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Protocol

from course_lib.errors import BadInput
from course_lib.measure.report import html_table, text_table

CUTS = ("block4", "block7", "block10")
"""Where the packaged network is cut: two, one and half a third of the work is trained."""

_SIDES = {"block4": (8, 40), "block7": (16, 80), "block10": (16, 112)}  # pixels per cell, channels
_GAIN = 1.15  # lower precision has to gain more than timings scatter
_HALF = 2  # bytes of a kept activation
_PROCESS = 1.1 * 2**30  # bytes of Python with TensorFlow and the network, measured
_WORKSPACE = {"block4": 560, "block7": 420, "block10": 330}  # bytes per picture and squared pixel, in a step


class TaskLike(Protocol):
    """What a plan needs of a task: how many examples there are."""

    @property
    def name(self) -> str:
        """For the plan's title."""
        ...

    @property
    def train(self) -> Any:
        """Training examples."""
        ...

    @property
    def validation(self) -> Any:
        """Validation examples."""
        ...


@dataclass(frozen=True)
class Rate:
    """Seconds per picture as a function of the image size: ``fixed + slope · pixels²``."""

    fixed: float
    slope: float

    @classmethod
    def through(cls, samples: Sequence[tuple[int, float]]) -> Rate:
        """Return the line through two measurements (pixels, seconds), never falling.

        Examples
        --------
        >>> rate = Rate.through([(100, 0.01), (200, 0.04)])
        >>> round(rate(150), 4)
        0.0225
        """
        (small, low), (large, high) = sorted(samples)
        slope = max(0.0, (high - low) / (large**2 - small**2))
        return cls(max(0.0, low - slope * small**2), slope)

    def __call__(self, pixels: int) -> float:
        """Return the seconds per picture at this size."""
        return self.fixed + self.slope * pixels**2


@dataclass(frozen=True)
class Machine:
    """Speeds of one machine, by the block that the network is cut behind; see `methods.machine`.

    Parameters
    ----------
    trunk, upper, train : mapping of str to Rate
        Seconds per picture: the frozen part, the rest forward, and a training step of the rest.
    build : mapping of str to float
        Seconds for building and tracing the graphs.
    probe : float
        Seconds of a probe per training example.
    bfloat16 : float
        How many times as fast a training step is in mixed bfloat16; below 1 where the hardware has no use
        for it.
    """

    trunk: Mapping[str, Rate]
    upper: Mapping[str, Rate]
    train: Mapping[str, Rate]
    build: Mapping[str, float]
    probe: float
    bfloat16: float = 1.0

    @property
    def precision(self) -> str:
        """The precision to train in on this machine."""
        return "mixed_bfloat16" if self.bfloat16 > _GAIN else "float32"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        rates = {
            what: {cut: vars(rate) for cut, rate in getattr(self, what).items()}
            for what in ("trunk", "upper", "train")
        }
        return {**rates, "build": dict(self.build), "probe": self.probe, "bfloat16": self.bfloat16}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Machine:
        """Return the machine that `to_dict` described."""
        trunk, upper, train = (
            {cut: Rate(**rate) for cut, rate in content[what].items()} for what in ("trunk", "upper", "train")
        )
        build = dict(content["build"])
        return cls(trunk, upper, train, build, float(content["probe"]), float(content["bfloat16"]))


@dataclass(frozen=True)
class Plan:
    """A fine-tuning that fits, before it starts.

    Parameters
    ----------
    task : str
    pixels : int
        For ``encoders.imagenet(plan.pixels)``.
    freeze_to : str
    epochs : int
    seconds : float
        Predicted, from pictures to the fitted network.
    parts : dict of str to float
        The same, by part.
    memory : float
        Predicted peak of the process, in bytes.
    precision : str
    given_up : tuple of str
        What more time or memory would buy.
    """

    task: str
    pixels: int
    freeze_to: str
    epochs: int
    seconds: float
    parts: dict[str, float]
    memory: float
    precision: str = "float32"
    given_up: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Settings for ``methods.fine_tune(encoder, task, **plan.options)``."""
        return {"freeze_to": self.freeze_to, "epochs": self.epochs, "precision": self.precision}

    def _rows(self) -> list[tuple[str, str]]:
        parts = [(f"seconds: {part}", f"{spent:.0f}") for part, spent in self.parts.items()]
        return [
            ("image size", f"{self.pixels} px"),
            ("frozen up to", self.freeze_to),
            ("epochs", str(self.epochs)),
            *parts,
            ("seconds in all", f"{self.seconds:.0f}"),
            ("memory", f"{self.memory / 2**30:.1f} GiB"),
            *(("given up", what) for what in self.given_up),
        ]

    def __str__(self) -> str:
        return f"Plan for {self.task}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>Plan</b> for {escape(self.task)}", ("", ""), self._rows())


def predict(
    task: TaskLike,
    machine: Machine,
    pixels: int,
    freeze_to: str,
    epochs: int,
    *,
    views: int = 2,
    batch: int = 32,
) -> Plan:
    r"""Predict the seconds and the memory of one fine-tuning.

    .. math:: t = t_0 + (v n + m)\,t_\text{trunk} + (n + m)\,t_\text{upper} + n\,t_\text{probe}
              + e\,(n\,t_\text{train} + m\,t_\text{upper})

    for n training and m validation pictures, v views and e epochs.

    Parameters
    ----------
    task : Task
    machine : Machine
        From ``methods.machine()``.
    pixels : int
    freeze_to : {"block4", "block7", "block10"}
    epochs : int
    views : int
        2 with mirror images.
    batch : int

    Raises
    ------
    BadInput
        For a place that was not measured.
    """
    if freeze_to not in machine.train:
        raise BadInput(
            f"freeze_to={freeze_to!r} was not measured.", f"Choose one of {', '.join(machine.train)}."
        )
    n, m = len(task.train), len(task.validation)
    upper = machine.upper[freeze_to](pixels)
    parts = {
        "building the graphs": machine.build[freeze_to],
        "frozen layers, once": (views * n + m) * machine.trunk[freeze_to](pixels),
        "probe": (n + m) * upper + n * machine.probe,
        "training": epochs * (n * machine.train[freeze_to](pixels) + m * upper),
    }
    cell, channels = _SIDES[freeze_to]
    kept = (views * n + m) * _HALF * channels * (-(-pixels // cell)) ** 2
    memory = _PROCESS + kept + batch * _WORKSPACE[freeze_to] * pixels**2
    return Plan(task.name, pixels, freeze_to, epochs, sum(parts.values()), parts, memory, machine.precision)


def plan(
    task: TaskLike,
    machine: Machine,
    *,
    minutes: float = 5.0,
    memory: float = 3.0,
    views: int = 2,
    batch: int = 32,
) -> Plan:
    """Choose image size, depth and epochs of a fine-tuning that fits into a budget.

    Preferred, in this order, as CIFAR-10 with 5,000 labels taught: at least two epochs; more pixels up to
    160; more trained blocks, each with two to four epochs; then still more epochs and pixels. What was
    dropped on the way is named.

    Parameters
    ----------
    task : Task
    machine : Machine
        From ``methods.machine()``.
    minutes : float
        For everything from pictures to the fitted network.
    memory : float
        Of the process, GiB.
    views, batch : int
        As for `predict`.

    Returns
    -------
    Plan

    Raises
    ------
    BadInput
        When nothing fits; says what the least would take.
    """
    if not minutes > 0 or not memory > 0:
        raise BadInput(f"minutes={minutes}, memory={memory}.", "Give positive numbers.")

    def priced(pixels: int, cut: str, epochs: int) -> Plan:
        return predict(task, machine, pixels, cut, epochs, views=views, batch=batch)

    def fits(candidate: Plan) -> bool:
        return candidate.seconds <= 60 * minutes and candidate.memory <= memory * 2**30

    ladder = [priced(*setting) for setting in _preferences()]
    fitting = [k for k, candidate in enumerate(ladder) if fits(candidate)]
    if not fitting:
        least = min(ladder, key=lambda p: p.seconds)
        raise BadInput(
            f"{minutes:g} minutes and {memory:g} GiB: the least of all fine-tunings of {task.name} takes "
            f"{least.seconds / 60:.1f} minutes and {least.memory / 2**30:.1f} GiB.",
            "Give more, take fewer labels with task.subset, or stay with the probe.",
        )
    return _with_losses(ladder[fitting[-1]], ladder[-1])


def _preferences() -> Iterator[tuple[int, str, int]]:
    """Yield settings from the least to the best."""
    for pixels in (96, 128, 160):
        yield pixels, "block10", 2
    yield 160, "block10", 3
    for cut in ("block7", "block4"):
        for epochs in (2, 3, 4):
            yield 160, cut, epochs
    for pixels in (160, 192):
        for epochs in (6, 8, 12):
            yield pixels, "block4", epochs


def _with_losses(chosen: Plan, best: Plan) -> Plan:
    """Return the plan with what the best one has and this one has not."""
    pairs = (("px", chosen.pixels, best.pixels), ("epochs", chosen.epochs, best.epochs))
    lost = [f"{mine} instead of {theirs} {what}" for what, mine, theirs in pairs if mine < theirs]
    if chosen.freeze_to != best.freeze_to:
        lost.append(f"training from {chosen.freeze_to} instead of {best.freeze_to} on")
    if lost:
        lost.append(f"all that would take {best.seconds / 60:.0f} min and {best.memory / 2**30:.1f} GiB")
    return replace(chosen, given_up=tuple(lost))
