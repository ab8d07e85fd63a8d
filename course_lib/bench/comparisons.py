"""The comparisons: each with the rival that a reader would otherwise use."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from course_lib.bench.figures import Figure, Pairs, alternate
from course_lib.frameworks import quiet_tensorflow
from course_lib.tasks import Task, first_available, load

PIXELS = 96
LABELS = 5000
EPOCHS = 10
MINUTE = 60.0
MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in what ``ru_maxrss`` counts."""


def imports(quick: bool = False) -> list[Figure]:
    """Time ``import course_lib`` and ``course --help`` in fresh processes, against an empty Python."""
    repeats = 2 if quick else 7
    figures = []
    for what, arguments, goal in (
        ("import course_lib", ("-c", "import course_lib"), "under 1 s"),
        ("course --help", ("-m", "course_lib", "--help"), "under 0.5 s"),
    ):
        pairs = alternate(partial(python, *arguments), partial(python, "-c", "pass"), repeats)
        seconds = float(np.median(pairs.ours))
        figures.append(Figure("import", what, seconds, "s", "an empty Python", *_slower(pairs), goal=goal))
    return figures


def features(quick: bool = False) -> list[Figure]:
    """Compare ``encode`` with ``model.predict`` of the same network, and with the machine's peak."""
    from course_lib import encoders

    quiet_tensorflow()
    import tensorflow as tf

    n, repeats = (64, 2) if quick else (2048, 5)
    x = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    encoder = encoders.imagenet(PIXELS)
    model = encoder.model
    big = tf.image.resize(x, (PIXELS, PIXELS)).numpy()

    def ours() -> np.ndarray:
        return encoder.encode(x, cache=False, progress=False)

    def plain() -> np.ndarray:
        return np.asarray(model.predict(big, batch_size=64, verbose=0))

    def resizing() -> np.ndarray:
        stream = tf.data.Dataset.from_tensor_slices(x).batch(64)
        resized = stream.map(lambda b: tf.image.resize(b, (PIXELS, PIXELS)), num_parallel_calls=2)
        return np.asarray(model.predict(resized.prefetch(2), verbose=0))

    difference = float(np.abs(ours() - plain()).max())  # the first calls also build their graphs
    resizing()
    note = f"at {PIXELS} px; largest difference between the two features {difference:.1e}"
    figures = []
    for rival, goal, name in (
        (plain, "at least 1.0 ×", "model.predict, pictures already resized"),
        (resizing, "", "model.predict, resizing in the stream"),
    ):
        pairs = alternate(ours, rival, repeats)
        speed = n / float(np.median(pairs.ours))
        what = "features of 32 px pictures" if rival is plain else "the same, both resizing"
        figures.append(
            Figure("features", what, speed, "images/s", name, *pairs.times_faster, goal=goal, note=note)
        )
        note = ""
    done = speed * work_per_image(model) / 1e9
    peak = _matrix_peak(512 if quick else 2048)
    figures.append(
        Figure(
            "features",
            "share of the measured matrix-product peak",
            100 * done / peak,
            "%",
            note=(
                f"{done:.0f} of {peak:.0f} GFLOP/s; depthwise convolutions move more bytes than they compute"
            ),
        )
    )
    return figures


def probe(quick: bool = False) -> list[Figure]:
    """Compare features and probe with the usual guide's way: the frozen base inside ``fit``."""
    quiet_tensorflow()
    task = _task(quick)
    scores: dict[str, float] = {}

    def ours() -> None:
        from course_lib import encoders, methods

        with empty_cache():
            classifier = methods.linear_probe(encoders.imagenet(PIXELS), task)
        scores["ours"] = _lazily(lambda: float(np.mean(classifier.predict(task.test) == task.test.y)), times)

    def guide() -> None:
        model = _guide_model(task)
        _guide_fit(model, task, 2 if quick else EPOCHS)
        scores["guide"] = _lazily(lambda: _guide_accuracy(model, task), times)

    times: list[float] = []
    pairs = _alternate_without(ours, guide, 1 if quick else 3, times)
    return [
        Figure(
            "probe",
            f"{len(task.train):,} labels of {task.name}, features and probe",
            float(np.median(pairs.ours)),
            "s",
            f"frozen base inside fit, {EPOCHS} epochs",
            *pairs.times_faster,
            accuracy=scores["ours"],
            rival_accuracy=scores["guide"],
            goal="at least 10 × at no less accuracy",
            note=(
                f"both from pictures to a fitted classifier at {PIXELS} px, nothing cached; ours "
                f"also encodes {len(task.validation):,} validation pictures to choose its strength"
            ),
        )
    ]


def minute(quick: bool = False) -> list[Figure]:
    """Find the best test accuracy within one minute of feature time."""
    from course_lib import encoders, methods

    task = _task(quick)
    splits = (task.train, task.validation, task.test)
    total = sum(map(len, splits))
    tried = task.test.x[:256]
    choices = [(192, True), (160, True), (192, False), (160, False), (128, False), (96, False)]
    for pixels, flip in choices:
        encoder = encoders.imagenet(pixels, flip=flip, layers="several")
        encoder.encode(tried[:64], cache=False, progress=False)
        start = time.perf_counter()
        encoder.encode(tried, cache=False, progress=False)
        if (time.perf_counter() - start) / len(tried) * total < 0.9 * MINUTE:
            break
    with empty_cache():
        spent = 0.0
        for split in splits:
            encoder.encode(split)
            spent += encoder.last.seconds if encoder.last else 0.0
        classifier = methods.linear_probe(encoder, task)
        accuracy = float(np.mean(classifier.predict(task.test) == task.test.y))
    mirrored = " and their mirror images" if flip else ""
    return [
        Figure(
            "minute",
            f"{len(task.train):,} labels of {task.name}, one minute of features",
            spent,
            "s",
            accuracy=accuracy,
            goal="at least 78% on CIFAR-10",
            note=(
                f"{total:,} pictures{mirrored} (train, validation, test) at {pixels} px, several "
                f"layers; the probe "
                f"took {classifier.seconds['fit']:.1f} s"
            ),
        )
    ]


def memory(quick: bool = False) -> list[Figure]:
    """Measure the peak memory of a process that encodes pictures."""
    n = 64 if quick else 5000
    code = (
        "import numpy as np, resource\n"
        "from course_lib import encoders\n"
        f"x = np.zeros(({n}, 32, 32, 3), np.uint8)\n"
        f"encoders.imagenet({PIXELS}).encode(x, cache=False, progress=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak = int(python("-c", code).splitlines()[-1])
    return [
        Figure(
            "memory",
            f"peak memory of encoding {n:,} pictures",
            peak * MEMORY_UNIT / 2**30,
            "GiB",
            goal="under 3 GiB",
        )
    ]


def work_per_image(model: Any) -> float:
    """Return the floating-point operations of all convolutions and dense layers for one picture."""
    total = 0.0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "DepthwiseConv2D"):
            _, height, width, channels = layer.output.shape
            kernel = layer.kernel.shape
            inputs = 1 if kind == "DepthwiseConv2D" else kernel[2]
            total += 2.0 * kernel[0] * kernel[1] * inputs * channels * height * width
        elif kind == "Dense":
            total += 2.0 * layer.kernel.shape[0] * layer.kernel.shape[1]
    return total


def _matrix_peak(side: int, repeats: int = 8) -> float:
    """Return this machine's best float32 matrix product, in GFLOP/s."""
    import tensorflow as tf

    a = tf.random.stateless_normal((side, side), (0, 1))
    tf.matmul(a, a).numpy()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        tf.matmul(a, a).numpy()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e9


def _task(quick: bool) -> Task:
    task = load(first_available("cifar10", "solar_cells"))
    if quick:
        return replace(task.subset(40), test=task.test.sample(64))
    return task.subset(min(LABELS, len(task.train)))


def _guide_model(task: Task) -> Any:
    """Build what the usual guides build: a frozen base, and a dense layer on top."""
    import keras

    from course_lib import encoders

    base = encoders.imagenet(PIXELS).model
    base.trainable = False
    inputs = keras.Input(task.train.x.shape[1:])
    x = keras.layers.Resizing(PIXELS, PIXELS)(inputs)
    if task.train.x.shape[3] == 1:
        x = keras.layers.Concatenate()([x, x, x])
    x = base(x, training=False)
    outputs = keras.layers.Dense(task.classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _guide_fit(model: Any, task: Task, epochs: int) -> None:
    model.fit(np.asarray(task.train.x), np.asarray(task.train.y), batch_size=32, epochs=epochs, verbose=0)


def _guide_accuracy(model: Any, task: Task) -> float:
    said = model.predict(np.asarray(task.test.x), batch_size=64, verbose=0).argmax(axis=1)
    return float(np.mean(said == task.test.y))


def _lazily(judge: Callable[[], float], aside: list[float]) -> float:
    """Return a score, and note the seconds that it took: they do not belong to the fit that is timed."""
    start = time.perf_counter()
    score = judge()
    aside.append(time.perf_counter() - start)
    return score


def _alternate_without(
    ours: Callable[[], None], rival: Callable[[], None], repeats: int, aside: list[float]
) -> Pairs:
    """Alternate as `alternate` does, and take off what each run noted in `aside`."""
    spent: dict[str, list[float]] = {"ours": [], "rival": []}

    def run(name: str, work: Callable[[], None]) -> None:
        aside.clear()
        start = time.perf_counter()
        work()
        spent[name].append(time.perf_counter() - start - sum(aside))

    alternate(lambda: run("ours", ours), lambda: run("rival", rival), repeats)
    return Pairs(tuple(spent["ours"]), tuple(spent["rival"]))


def _slower(pairs: Pairs) -> tuple[float, float, float]:
    """Return median, least and most of ours / rival: how many times longer it takes."""
    return Pairs(pairs.rival, pairs.ours).times_faster


def python(*arguments: str) -> str:
    """Run a fresh Python with these arguments and return what it printed."""
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"python {' '.join(arguments)[:200]} ended with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


@contextmanager
def empty_cache() -> Iterator[None]:
    """Let nothing be found that was computed before."""
    before = os.environ.get("COURSE_CACHE")
    with tempfile.TemporaryDirectory(prefix="carryover-bench-") as folder:
        os.environ["COURSE_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["COURSE_CACHE"]
            else:
                os.environ["COURSE_CACHE"] = before
