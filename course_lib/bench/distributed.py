"""Two processes against one on two cores; Dask against the plain loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from course_lib.bench.figures import Figure, Pairs, alternate

GOAL = "≥ 1.6 ×"


def distributed(quick: bool) -> list[Figure]:
    """Measure training by two processes, and extracting features by a scheduler.

    Training is compared at the same global batch and the same result, each process with one thread: what a
    second core gives to whom has one. Fine-tuning BERT's upper layers computes much for every byte of
    gradient that it sends, a wide head on ready features little: the goal is for the first, the second shows
    what talking costs. Beside both stands one process with two threads, which has the same cores and nobody
    to talk to. Features are compared with the plain loop, which uses all cores by itself: a scheduler can
    only cost.
    """
    return [*_training(*_bert(quick), GOAL, quick), *_training(*_head(quick), "", quick), _extraction(quick)]


def _bert(quick: bool) -> tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return a name, a training function, its arguments and settings."""
    from course_lib import scale, tasks

    split = tasks.topics("en").train.take(np.arange(64 if quick else 640))
    settings = {"layers": 2, "batch": 32 if quick else 128, "learning_rate": 0.01}
    return "BERT's upper two layers", scale.bert_top, (split.x, split.y, 16), settings


def _head(quick: bool) -> tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return the same of a wide head on features."""
    from course_lib import scale

    rng = np.random.default_rng(0)
    n, d, classes = (512, 256, 10) if quick else (4096, 1280, 10)
    settings: dict[str, Any] = {"hidden": 128 if quick else 2048, "batch": 256, "epochs": 1 if quick else 3}
    x, y = rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, classes, n)
    return "a wide head", scale.torch_head, (x, y, classes), settings


def _training(
    what: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    settings: dict[str, Any],
    goal: str,
    quick: bool,
) -> list[Figure]:
    from course_lib import scale

    ways = {"one": (1, 1), "two": (2, 1), "threads": (1, 2)}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    last = {}
    for repeat in range(1 if quick else 5):
        for name in list(ways) if repeat % 2 == 0 else list(ways)[::-1]:
            processes, threads = ways[name]
            last[name] = scale.torch_workers(function, processes, *arguments, threads=threads, **settings)
            speeds[name].append(min(one.examples_per_second for one in last[name]))
    apart, one = scale.furthest(last["one"], last["two"]), last["one"][0]
    each = {name: float(np.median([settings["batch"] / v for v in found])) for name, found in speeds.items()}
    note = (
        f"weights differ by at most {apart:.0e}. A step takes {1000 * each['one']:.0f} ms alone; two need "
        f"{1000 * (each['two'] - each['one'] / 2):.0f} ms more than half of it, to add up "
        f"{one.bytes / 2**20:.1f} MiB of gradients and to wait for each other. Nothing can gain more "
        f"than the cores give: two threads of one process are {each['one'] / each['threads']:.1f} × one"
    )
    rivals = {"one": "one process of one thread", "threads": "one process of two threads"}
    return [
        Figure(
            "distributed",
            f"training {what}, two processes of one thread"
            + ("" if rival == "one" else ", on the same cores"),
            float(np.median(speeds["two"])),
            "examples/s",
            name,
            **_times(Pairs(*(tuple(1 / v for v in speeds[who]) for who in ("two", rival)))),
            goal=goal if rival == "one" else "",
            note=note if rival == "one" else "",
        )
        for rival, name in rivals.items()
    ]


def _times(pairs: Pairs) -> dict[str, Any]:
    return dict(zip(("ratio", "low", "high"), pairs.times_faster, strict=True))


def _extraction(quick: bool) -> Figure:
    from course_lib import encoders
    from course_lib.scheduler import connected

    encoder, n = encoders.imagenet(64 if quick else 96), 64 if quick else 1024
    x = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    with connected("threads") as client:

        def spread() -> np.ndarray:
            return encoder.encode(x, cache=False, progress=False, scheduler=client)

        def plain() -> np.ndarray:
            return encoder.encode(x, cache=False, progress=False)

        same = np.array_equal(spread(), plain())  # both ready before the clock starts
        pairs = alternate(spread, plain, 2 if quick else 5)
    return Figure(
        "distributed",
        "features by Dask's threads",
        float(n / np.median(pairs.ours)),
        "images/s",
        "the plain loop",
        **_times(pairs),
        goal="≥ 0.9 ×",
        note="the same bytes" if same else "features differ",
    )
