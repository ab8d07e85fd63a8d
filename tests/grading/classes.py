"""A class as grading returns it, made up: for the tests of what is told of it."""

from __future__ import annotations

import random

from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded

NAMES = [
    "Ada Lovelace", "Blaise Pascal", "陈省身", "Dorothy Vaughan", "Emmy Noether", "Felix Hausdorff",
    "Grace Hopper", "华罗庚", "Ibn al-Haytham", "Joan Clarke", "Kurt Gödel", "Leonhard Euler",
    "Mary Cartwright", "Niels Abel", "Olga Ladyzhenskaya", "Paul Erdős", "Qin Jiushao", "Rózsa Péter",
    "Sofja Kowalewskaja", "Terence O'Hara", "Ursula Franklin", "Vito Volterra", "Wang Zhenyi", "Xu Guangqi",
    "Yang Hui", "Zu Chongzhi", "=HYPERLINK(\"http://example.org\")", "<script>alert(1)</script>", "../../x",
    "\u202egnp.exe" + "e" * 300,
]  # fmt: skip

NOTEBOOKS = {
    "05_imagenet_to_cifar_fine_tuning": [
        ("05.1", "The mean of each channel", 3),
        ("05.2", "Which layers may move", 4),
        ("05.3", "A rate for every layer", 5),
    ],
    "08_languages_tokens_and_features": [
        ("08.1", "What a tokenizer (分词器) costs", 3),
        ("08.2", "A sentence that depends on its neighbours", 4),
        ("08.3", "Taking from the hubs", 5),
        ("08.4", "Which layer crosses, and who chose it?", 3),
    ],
}

CASES = [
    ("the example of the text", "Read the example again.", True),
    ("one row", "What is the mean of one row?", True),
    ("no row at all", "What comes back when there is nothing to divide by?", False),
    ("rows of other lengths", "Is the padding (填充) counted?", False),
    ("64-bit numbers", "Does the result keep the type of the input?", False),
]

SOURCE = '''def answer(states, mask):
    """Return the mean over the places where mask is 1."""
    kept = mask.astype(bool)[..., None]  # 掩码
    total = np.where(kept, states, 0).sum(axis={axis})
    count = kept.sum(axis=1).clip(min={least})
    order = np.argsort(-count, axis=0, kind="stable")
    for {name} in range(len(order)):
        if count[{name}] > {least}:
            total[{name}] = total[{name}] / count[{name}]
    return total
'''


def sample(students: int = 30, seed: int = 0) -> ClassResult:
    """Return a class with everything that occurs: limits, missing answers, broken files, hostile names."""
    rng = random.Random(seed)
    names = (NAMES + [f"Student {k:04d}" for k in range(students)])[:students]
    graded = []
    for place, name in enumerate(names):
        skill = rng.betavariate(4, 2)
        for stem, exercises in NOTEBOOKS.items():
            if rng.random() < 0.05:
                continue
            notes = ["2 files were handed in; the newest counts"] if rng.random() < 0.07 else []
            done = [exercise(rng, skill, *one) for one in exercises]
            answers = {one.id: written(rng, place) for one in done if one.status != "missing"}
            graded.append(Graded(name, stem, done, notes, "bubblewrap", True, answers))
    graded.sort(key=lambda one: (one.student, one.notebook))
    return ClassResult(graded, "bubblewrap: namespaces, seccomp, limits")


def exercise(rng: random.Random, skill: float, key: str, title: str, points: int) -> ExerciseResult:
    """Return one exercise's result, better the more skilled."""
    chance, easy = rng.random(), 1.0 - 0.12 * int(key[-1])
    if chance < 0.04:
        failed = [Verdict(name, "there is no answer", reason, seen) for name, reason, seen in CASES]
        return ExerciseResult(key, title, points, 0.0, "missing", "there is no cell with an answer", failed)
    if chance < 0.09:
        failed = [Verdict(name, "it waits for its code", reason, seen) for name, reason, seen in CASES]
        return ExerciseResult(key, title, points, 0.0, "waiting", "", failed)
    if chance < 0.13:
        words = "the cell raises SyntaxError in line 3: '(' was never closed"
        failed = [Verdict(name, words, reason, seen) for name, reason, seen in CASES]
        return ExerciseResult(key, title, points, 0.0, "none", "", failed, "SyntaxError in line 3")
    limit = "time limit" if chance < 0.17 else ""
    verdicts = []
    for place, (name, reason, seen) in enumerate(CASES):
        passed = rng.random() < skill * easy + 0.25 * seen
        problem = "" if passed else f"off by up to 0.25, {place + 1} of 12 elements; 1e-06 is allowed"
        if limit and place > 2:
            problem = f"it was not reached: {limit}"
        verdicts.append(Verdict(name, problem, reason if problem else "", seen))
    share = sum(one.ok for one in verdicts if not one.visible) / 3
    status = "full" if share == 1 else "stopped" if limit else "part" if share else "none"
    note = f"stopped: {limit}" if limit else ""
    said = "(12, 3)\n" if rng.random() < 0.3 else ""
    return ExerciseResult(key, title, points, round(points * share, 2), status, note, verdicts, said)


def written(rng: random.Random, place: int) -> str:
    """Return an answer; a few students have the same but for the names."""
    if place in (3, 11):
        return SOURCE.format(axis=1, least=1, name="row" if place == 3 else "k")
    lines = []
    for k in range(rng.randint(3, 12)):
        name = rng.choice(["mean", "sum", "max", "min", "std", "var", "prod", "all", "any"])
        rest = rng.choice(["x", "len(x)", "np.abs(x)"])
        lines.append(f"    step_{k} = x.{name}(axis={k}) {rng.choice('+-*/@')} {rest}")
    return "\n".join(["def answer(x):", *lines, "    return step_0", ""])
