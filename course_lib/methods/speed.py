"""How fast this machine fine-tunes the packaged network: measured once, kept on disk."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from typing import Any

import numpy as np

from course_lib.frameworks import quiet_tensorflow
from course_lib.measure.budget import CUTS, Machine, Rate
from course_lib.paths import cache_dir

_SIZES = (96, 160)
_BATCH = 32
_VERSION = 1


def machine(*, again: bool = False) -> Machine:
    """Return the speed of this machine, measured on the first call (about a minute) and kept.

    For each place where the network can be cut, three speeds at two image sizes: the frozen part below it,
    the part above it forward, and a training step of that part. `measure.plan` predicts from them.

    Parameters
    ----------
    again : bool
        Measure anew, for instance because the machine was busy the first time.

    Returns
    -------
    Machine

    Examples
    --------
    >>> from course_lib import measure, tasks
    >>> plan = measure.plan(tasks.solar_cells("mono"), machine(), minutes=2)  # doctest: +SKIP
    """
    path = cache_dir("machine", f"{_key()}.json")
    if path.exists() and not again:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return Machine.from_dict(json.loads(path.read_text("utf8")))
    found = _measured()
    with suppress(OSError):  # a cache that cannot be written: measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found.to_dict(), indent=1), "utf8")
    return found


def _key() -> str:
    """Name what speeds depend on."""
    versions = "-".join(metadata.version(name) for name in ("keras", "numpy"))
    return f"{_VERSION}-{platform.machine()}-{platform.node()}-{os.cpu_count()}-{versions}"


def _measured() -> Machine:
    quiet_tensorflow()
    from course_lib.show.progress import Progress

    samples: dict[tuple[str, str], list[tuple[int, float]]] = {}
    build: dict[str, float] = {}
    with Progress("measuring this machine", len(_SIZES) * len(CUTS) + 1, "settings") as bar:
        for cut in CUTS:
            for pixels in _SIZES:
                speeds, build[cut] = _setting(cut, pixels)
                for what, seconds in speeds.items():
                    samples.setdefault((what, cut), []).append((pixels, seconds))
                bar.update()
        half, _ = _setting(CUTS[-1], _SIZES[0], "mixed_bfloat16")
        bar.update()
    trunk, upper, train = (
        {cut: Rate.through(samples[what, cut]) for cut in CUTS} for what in ("trunk", "upper", "train")
    )
    gain = samples["train", CUTS[-1]][0][1] / half["train"]
    return Machine(trunk, upper, train, build, _probe_seconds(), gain)


def _setting(cut: str, pixels: int, precision: str = "float32") -> tuple[dict[str, float], float]:
    """Return seconds per picture below the cut, above it, and in training; and those to build the graphs."""
    import keras

    from course_lib import encoders
    from course_lib.methods.body import Body
    from course_lib.methods.recipe import Recipe

    start = time.perf_counter()
    body = Body(encoders.imagenet(pixels), Recipe(freeze_to=cut, precision=precision), classes=10)
    body.declare(body.blocks, "frozen")
    body.upper.compile(
        keras.optimizers.Adam(1e-6), keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (body.trunk.batch, 32, 32, 3), dtype=np.uint8)
    below = body.trunk(pictures)
    batch = np.resize(below, (_BATCH, *below.shape[1:]))
    labels = np.eye(10, dtype=np.float32)[np.arange(_BATCH) % 10]
    body.upper.train_on_batch(batch, labels)
    body.judge.predict_on_batch(below)
    built = time.perf_counter() - start
    return {
        "trunk": _usual(lambda: body.trunk(pictures)) / len(pictures),
        "upper": _usual(lambda: body.judge.predict_on_batch(below)) / len(pictures),
        "train": _usual(lambda: body.upper.train_on_batch(batch, labels)) / _BATCH,
    }, built


def _usual(work: Callable[[], Any], repeats: int = 5) -> float:
    """Return the median of a few timings: a plan is for the machine as it usually is."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def _probe_seconds() -> float:
    """Return the seconds that a probe takes per training example."""
    from course_lib.methods.probe import fit_probe

    rng = np.random.default_rng(0)
    y = np.arange(1000) % 10
    x = (rng.normal(size=(1000, 1280)) + rng.normal(size=(10, 1280))[y] * 0.2).astype(np.float32)
    start = time.perf_counter()
    fit_probe(x[:800], y[:800], x[800:], y[800:])
    return (time.perf_counter() - start) / 800
