"""Two processes against one on two cores; Dask against the plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_lib.bench.figures import Figure, Pairs, alternate


def distributed(quick: bool) -> list[Figure]:
    """Measure training by two processes, and extracting features by a scheduler.

    Training is compared at the same global batch and the same result, each process with one thread: what a
    second core gives to whom has one. Beside it stands one process with two threads, which has the same
    cores and nobody to talk to. Features are compared with the plain loop, which uses all cores by itself:
    a scheduler can only cost.
    """
    return [*_training(quick), _extraction(quick)]


def _training(quick: bool) -> list[Figure]:
    from course_lib import scale

    rng = np.random.default_rng(0)
    n, d, classes = (512, 256, 10) if quick else (4096, 1280, 10)
    settings: dict[str, Any] = {"hidden": 128 if quick else 2048, "batch": 256, "epochs": 1 if quick else 3}
    x, y = rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, classes, n)
    speeds: dict[str, list[float]] = {"one": [], "two": [], "threads": []}
    ways = {"one": (1, 1), "two": (2, 1), "threads": (1, 2)}
    last = {}
    for repeat in range(2 if quick else 5):
        for name in list(ways) if repeat % 2 == 0 else list(ways)[::-1]:
            processes, threads = ways[name]
            found = scale.torch_workers(
                scale.torch_head, processes, x, y, classes, threads=threads, **settings
            )
            last[name] = found
            speeds[name].append(min(one.examples_per_second for one in found))
    apart = scale.furthest(last["one"], last["two"])
    one = last["one"][0]
    talk = np.median([1 / v for v in speeds["two"]]) - np.median([1 / v for v in speeds["one"]]) / 2
    note = (
        f"weights differ by at most {apart:.0e}; a step sends {one.bytes / 2**20:.1f} MiB of gradients, "
        f"which "
        f"with shared memory and waiting costs {1000 * talk * settings['batch']:.1f} ms of it. What bounds "
        f"it is "
        "that, and whether the two cores are two, or two threads of one"
    )
    two = Pairs(tuple(1 / v for v in speeds["two"]), tuple(1 / v for v in speeds["one"]))
    by_threads = Pairs(tuple(1 / v for v in speeds["two"]), tuple(1 / v for v in speeds["threads"]))
    return [
        Figure(
            "distributed",
            "training a head, two processes of one thread",
            float(np.median(speeds["two"])),
            "examples/s",
            "one process of one thread",
            **_times(two),
            goal="≥ 1.6 ×",
            note=note,
        ),
        Figure(
            "distributed",
            "training a head, two processes of one thread, same cores",
            float(np.median(speeds["two"])),
            "examples/s",
            "one process of two threads",
            **_times(by_threads),
        ),
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
