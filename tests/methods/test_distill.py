"""Teacher and student: the loss by its formula in both frameworks, and teachers that teach nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods.classifier import Classifier, softmax
from course_lib.methods.recipe import Recipe
from course_lib.methods.soft_targets import (
    SoftTargets,
    distillation_loss,
    keras_loss,
    softened,
    torch_loss,
)
from course_lib.methods.taught import fit_ridge
from course_lib.tasks.task import Split, Task

QUICK = {"freeze_to": "embeddings", "epochs": 1, "batch_size": 32}


class Says(Classifier):
    """A teacher with answers of its own."""

    def __init__(self, task: Task, answer) -> None:
        super().__init__("made up", task, parameters_trained=0, seconds={})
        self.answer, self.read = answer, []

    def predict_proba(self, data) -> np.ndarray:
        self.read.append(data)
        return np.asarray(self.answer(data.x if isinstance(data, Split) else data), np.float32)


@pytest.fixture(scope="module")
def task() -> Task:
    task = tasks.topics("en", train=64)
    return replace(task, test=task.test.sample(60))


@pytest.fixture(scope="module")
def small():
    return encoders.shortened(encoders.english_bert(), 1)


@pytest.fixture(scope="module")
def teacher(task):
    return methods.linear_probe(encoders.english_bert(), task)


@pytest.fixture(scope="module")
def pictures() -> SimpleNamespace:
    """Bright, dark and striped squares, easy to tell apart; and an encoder of them, cut short."""
    rng = np.random.default_rng(3)
    y = np.arange(90) % 3
    x = rng.integers(0, 120, (90, 16, 16, 3))
    x[y == 1] += 100
    x[y == 2, ::4] += 120
    names = ("dark", "bright", "striped")
    cuts = {"train": slice(0, 48), "validation": slice(48, 66), "test": slice(66, 90)}
    splits = {
        part: Split(
            x[rows].astype(np.uint8), y[rows], names, part, "squares", np.arange(90)[rows].astype(str)
        )
        for part, rows in cuts.items()
    }
    task = Task("squares", **splits, class_names=names, domain="squares", licence="CC0", citation="none")
    return SimpleNamespace(task=task, encoder=encoders.shortened(encoders.imagenet(64), "block4"))


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# -- the loss --------------------


def by_formula(z, t, y, temperature: float, weight: float) -> np.ndarray:
    """Return (1 - w) CE(y, softmax z) + w T² CE(softmax(t / T), softmax(z / T)), row by row."""
    found = []
    for row, said, label in zip(z, t, y, strict=True):
        p = np.exp(said / temperature) / np.exp(said / temperature).sum()
        q = np.exp(row / temperature) / np.exp(row / temperature).sum()
        hard = -np.log(np.exp(row[label]) / np.exp(row).sum())
        found.append((1 - weight) * hard - weight * temperature**2 * (p * np.log(q)).sum())
    return np.array(found)


def gradient_by_formula(z, t, y, temperature: float, weight: float) -> np.ndarray:
    """Return (1 - w) (softmax z - y) + w T (softmax(z / T) - softmax(t / T))."""
    hard = softmax(z) - np.eye(z.shape[1])[y]
    return (1 - weight) * hard + weight * temperature * (softmax(z / temperature) - softmax(t / temperature))


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.5), (2.0, 0.9), (5.0, 1.0), (3.0, 0.0)])
def test_both_frameworks_hold_the_formula_and_its_gradient(temperature, weight) -> None:
    import tensorflow as tf
    import torch

    rng = np.random.default_rng(0)
    z, t, y = rng.normal(0, 3, (7, 4)), rng.normal(0, 3, (7, 4)), rng.permutation(np.arange(7) % 4)
    soft = SoftTargets(softmax(t), temperature, weight)
    targets = soft.joined(y, 4, Recipe(label_smoothing=0.0))
    wanted, slope = (f(z, t, y, temperature, weight) for f in (by_formula, gradient_by_formula))
    assert np.abs(distillation_loss(z, targets, temperature) - wanted).max() < 1e-5

    logits = torch.tensor(z, dtype=torch.float32, requires_grad=True)
    rows = torch_loss(logits, torch.from_numpy(targets), temperature)
    rows.sum().backward()
    assert np.abs(rows.detach().numpy() - wanted).max() < 1e-4
    assert np.abs(logits.grad.numpy() - slope).max() < 1e-5

    variable = tf.Variable(z, dtype=tf.float32)
    with tf.GradientTape() as tape:
        mean = keras_loss(temperature)(targets, variable)
    assert abs(float(mean) - wanted.mean()) < 1e-4  # a batch's mean, as for labels
    assert np.abs(7 * tape.gradient(mean, variable).numpy() - slope).max() < 1e-5
    if weight and temperature > 1:  # without T² it is another loss, and the test would see it
        without = by_formula(z, t, y, 1.0, weight) - wanted
        assert np.abs(without).max() > 0.1


def test_a_high_temperature_matches_logits() -> None:
    """As T grows the gradient of the teacher's term goes to (z - t) / k, centred: the paper's eq. 4."""
    import torch

    rng = np.random.default_rng(1)
    z, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    limit = ((z - z.mean(axis=1, keepdims=True)) - (t - t.mean(axis=1, keepdims=True))) / 4
    apart = []
    for temperature in (1.0, 10.0, 100.0):
        targets = SoftTargets(softmax(t), temperature, 1.0).joined(np.zeros(5, int), 4, Recipe())
        logits = torch.tensor(z, requires_grad=True)
        torch_loss(logits, torch.from_numpy(targets).double(), temperature).sum().backward()
        apart.append(np.abs(logits.grad.numpy() - limit).max())
    assert apart[0] > 0.05 and apart[1] < 0.03 and apart[2] < 3e-3


def test_softened_is_softmax_of_logits_over_t() -> None:
    t = np.random.default_rng(2).normal(0, 4, (6, 5))
    for temperature in (0.5, 1.0, 4.0):
        assert np.abs(softened(softmax(t), temperature) - softmax(t / temperature)).max() < 1e-6
    sure = np.array([[1.0, 0.0, 0.0]])
    assert np.array_equal(softened(sure, 10.0), sure)  # nothing was said of the others
    entropy = [-(p * np.log(p)).sum() for p in (softened(softmax(t), k) for k in (1, 2, 4, 8))]
    assert entropy == sorted(entropy)


def test_what_has_no_label_has_the_teacher_s_term_alone() -> None:
    p = softmax(np.random.default_rng(4).normal(size=(5, 3)))
    joined = SoftTargets(p, 2.0, 0.25, labelled=2).joined(np.array([0, 1, 0, 0, 0]), 3, Recipe())
    hard, soft = joined[:, :3], joined[:, 3:]
    assert np.allclose(hard.sum(axis=1), [0.75, 0.75, 0, 0, 0]) and np.allclose(soft.sum(axis=1), 0.25)
    # smoothing and class weights come from the labelled examples alone: class 2 has none
    assert hard[:, 2].max() == 0
    weighted = SoftTargets(p, 2.0, 0.0, labelled=3).joined(
        np.array([0, 0, 1, 0, 0]), 3, Recipe(class_weight="balanced")
    )
    assert np.allclose(weighted[:3].sum(axis=1), [0.75, 0.75, 1.5])


# -- teacher and student --------------------


def test_weight_0_is_plain_fine_tuning_to_the_last_bit(small, task, teacher) -> None:
    plain = methods.fine_tune(small, task, **QUICK)
    control = methods.distill(teacher, small, task, weight=0, **QUICK)
    assert same(plain.weights, control.weights)
    other = methods.distill(teacher, small, task, weight=0.5, **QUICK)
    assert not same(plain.weights, other.weights)


def test_the_mixed_loss_at_weight_0_takes_the_same_steps(small, task) -> None:
    """What `distill` spares itself at weight 0 would have come to the same, up to rounding."""
    plain = methods.fine_tune(small, task, **QUICK)
    p = softmax(np.random.default_rng(0).normal(size=(64, task.classes)))
    mixed = methods.fine_tune(small, task, soft_targets=SoftTargets(p, 3.0, 0.0), **QUICK)
    assert abs(plain.history[0]["loss"] - mixed.history[0]["loss"]) < 1e-5
    apart = [np.abs(plain.weights[n] - mixed.weights[n]).max() for n in plain.weights if "key.bias" not in n]
    assert max(apart) < 1e-4


def test_a_student_of_sentences(small, task, teacher, tmp_path) -> None:
    settings = {**QUICK, "epochs": 3, "learning_rate": 1e-3, "seed": 2}
    student = methods.distill(teacher, small, task, temperature=4.0, weight=0.9, **settings)
    assert student.chosen["teacher"] == teacher.name and student.chosen["temperature"] == 4.0
    assert student.train_size == 64 and student.seconds["teacher"] > 0 and student.audit.ok
    again = methods.distill(
        teacher.predict_proba(task.train), small, task, temperature=4.0, weight=0.9, **settings
    )
    assert same(student.weights, again.weights)  # what was kept of a teacher serves as well
    loaded = methods.load(methods.save(student, tmp_path / "student.safetensors"), small)
    assert np.array_equal(loaded.logits(task.test), student.logits(task.test))
    assert loaded.chosen == student.chosen


def test_a_student_comes_nearer_to_its_teacher_than_without_it(small, task, teacher) -> None:
    """With the teacher alone, on sentences that have no label: only from it can this come."""
    unlabelled = tasks.topics("en").train
    unlabelled = unlabelled.take(~np.isin(unlabelled.ids, task.train.ids)).take(np.arange(200))
    settings = {**QUICK, "epochs": 3, "learning_rate": 1e-3}
    taught = methods.distill(teacher, small, task, extra=unlabelled, weight=1.0, **settings)
    assert taught.train_size == 64
    plain = methods.distill(teacher, small, task, weight=0, **settings)
    said = teacher.predict_proba(task.test)
    apart = [float(-(said * np.log(s.predict_proba(task.test))).sum(1).mean()) for s in (taught, plain)]
    assert apart[0] < apart[1]


def test_a_teacher_that_knows_nothing_does_not_help(small, task) -> None:
    """Even answers to everything are label smoothing under another name: the same steps, nothing more."""
    even = Says(task, lambda x: np.full((len(x), task.classes), 1 / task.classes))
    settings = {**QUICK, "epochs": 2, "learning_rate": 1e-3}
    with pytest.warns(RuntimeWarning, match="nothing to learn"):
        taught = methods.distill(
            even, small, task, weight=0.4, temperature=1.0, label_smoothing=0.0, **settings
        )
    smoothed = methods.fine_tune(small, task, label_smoothing=0.4, **settings)
    for ours, theirs in zip(taught.history, smoothed.history, strict=True):
        assert abs(ours["loss"] - theirs["loss"]) < 1e-4
        assert ours["validation_accuracy"] == theirs["validation_accuracy"]
    assert np.array_equal(taught.predict(task.test), smoothed.predict(task.test))
    knows = Says(task, lambda x: np.eye(task.classes)[task.train.y] * 0.9 + 0.1 / task.classes)
    other = methods.distill(knows, small, task, weight=0.4, temperature=1.0, label_smoothing=0.0, **settings)
    assert abs(other.history[-1]["loss"] - smoothed.history[-1]["loss"]) > 0.05  # the test would see one


def test_a_teacher_of_another_language(small, task, teacher) -> None:
    """Each reads the sentence in its own language, row by row."""
    said = teacher.predict_proba(task.train)
    chinese = tasks.topics("zh", train=64)
    reads = Says(task, lambda x: said)
    methods.distill(reads, small, replace(task, name="student's"), teacher_reads=chinese.train, **QUICK)
    assert reads.read[0] is chinese.train
    other_order = chinese.train.take(np.arange(64)[::-1])
    with pytest.raises(BadInput, match="same order"):
        methods.distill(reads, small, task, teacher_reads=other_order, **QUICK)
    with pytest.raises(BadInput, match="63 rows"):
        methods.distill(reads, small, task, teacher_reads=chinese.train.take(np.arange(63)), **QUICK)


def test_extra_with_translations_for_the_labelled_alone(small, task) -> None:
    reads = Says(task, lambda x: softmax(np.arange(len(x) * task.classes).reshape(len(x), -1) % 7 * 1.0))
    extra, chinese = ["One more.", "And another."], tasks.topics("zh", train=64).train
    student = methods.distill(
        reads, small, task, extra=np.array(extra, object), teacher_reads=chinese, **QUICK
    )
    assert list(reads.read[0]) == [*chinese.x, *extra] and student.train_size == 64


def test_a_student_of_pictures(pictures) -> None:
    task, encoder = pictures.task, pictures.encoder
    settings = {"freeze_to": "block2", "epochs": 1, "batch_size": 16}
    knows = Says(task, lambda x: np.eye(3)[task.train.y] * 0.97 + 0.01)
    plain = methods.fine_tune(encoder, task, **settings)
    control = methods.distill(knows, encoder, task, weight=0, **settings)
    assert same(plain.weights, control.weights)
    taught = methods.distill(knows, encoder, task, weight=1.0, temperature=1.0, init="random", **settings)
    again = methods.distill(knows, encoder, task, weight=1.0, temperature=1.0, init="random", **settings)
    assert same(taught.weights, again.weights) and taught.audit.ok
    # the first batch's loss, from the start's own logits, by the formula
    wanted = SoftTargets(knows.predict_proba(task.train), 1.0, 0.0)
    mixed = methods.fine_tune(encoder, task, soft_targets=wanted, **settings)
    apart = [np.abs(plain.weights[n] - mixed.weights[n]).max() for n in plain.weights]
    assert abs(plain.history[0]["loss"] - mixed.history[0]["loss"]) < 1e-4 and max(apart) < 1e-3


def test_an_interrupted_student_goes_on_but_not_with_another_teacher(small, task, teacher, tmp_path) -> None:
    path = tmp_path / "fit.npz"
    said = teacher.predict_proba(task.train)
    first = methods.distill(said, small, task, checkpoint=path, **QUICK)
    assert same(methods.distill(said, small, task, checkpoint=path, **QUICK).weights, first.weights)
    for change in ({"temperature": 3.0}, {"weight": 0.6}):
        with pytest.raises(BadInput, match="other settings"):
            methods.distill(said, small, task, checkpoint=path, **QUICK, **change)
    with pytest.raises(BadInput, match="other settings"):
        methods.distill(said[::-1].copy(), small, task, checkpoint=path, **QUICK)


def bad_answers(n: int, k: int) -> dict[str, np.ndarray]:
    even = np.full((n, k), 1 / k, np.float32)
    nan, negative, logits = even.copy(), even.copy(), even * 40
    nan[3, 1], negative[5, :2] = np.nan, (-0.1, 2 / k + 0.1)
    return {"NaN": nan, "negative": negative, "logits": logits, "classes": np.zeros(n, int), "few": even[:-1]}


@pytest.mark.parametrize("what", ["NaN", "negative", "logits", "classes", "few"])
def test_answers_that_are_none(small, task, what) -> None:
    given = bad_answers(64, task.classes)[what]
    with pytest.raises(BadInput, match=r"row|probabilities"):
        methods.distill(given, small, task, **QUICK)
    if what != "few":
        with pytest.raises(BadInput, match="probabilities"):
            methods.distill(Says(task, lambda x: given.astype(np.float32)), small, task, **QUICK)


def test_other_things_that_cannot_be(small, task, teacher) -> None:
    fewer = methods.linear_probe(encoders.english_bert(), replace(task, class_names=task.class_names[::-1]))
    with pytest.raises(BadInput, match="same classes"):
        methods.distill(fewer, small, task)
    with pytest.raises(BadInput, match="one column per class"):
        methods.distill(softmax(np.eye(64)[:, :5]), small, task, **QUICK)
    for change, words in (
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"weight": 1.5}, "weight"),
        ({"weight": 0, "extra": task.train.x[:2]}, "labels alone"),
        ({"extra": np.empty(0, object)}, "empty"),
        ({"extra": np.zeros((2, 8, 8, 3), np.uint8)}, "shape"),
        ({"extra": task.test}, "to one split only"),
        ({"softness": 3}, "no setting"),
    ):
        with pytest.raises(BadInput, match=words):
            methods.distill(teacher, small, task, **{**QUICK, **change})
    with pytest.raises(BadInput, match="no fitted classifier"):
        methods.distill("teacher", small, task)


# -- features --------------------


def test_ridge_is_the_closed_form_and_each_example_was_left_out() -> None:
    rng = np.random.default_rng(5)
    s, t = rng.normal(size=(30, 6)) * [3, 1, 1, 1, 1, 0.1] + 7, rng.normal(size=(30, 4))
    t[:, :2] += s[:, :2]
    fit = fit_ridge(s, t, strengths=(0.1, 3.0))
    x = s.astype(np.float32).astype(np.float64)
    for tried in fit.path:
        penalty = tried["strength"] * float(((x - x.mean(0)) ** 2).sum()) / 6 * np.eye(6)
        missed, guessed = 0.0, 0.0
        for i in range(30):
            rest = np.delete(np.arange(30), i)
            # one example less in the means, the same penalty
            a, b = x[rest] - x[rest].mean(0), t[rest] - t[rest].mean(0)
            w = np.linalg.solve(a.T @ a + penalty, a.T @ b)
            missed += (((x[i] - x[rest].mean(0)) @ w + t[rest].mean(0) - t[i]) ** 2).sum()
            guessed += ((t[rest].mean(0) - t[i]) ** 2).sum()
        assert abs(tried["explained"] - (1 - missed / guessed)) < 1e-4
    assert fit.explained == max(tried["explained"] for tried in fit.path)
    penalty = fit.strength * float(((x - x.mean(0)) ** 2).sum()) / 6 * np.eye(6)
    w = np.linalg.solve((x - x.mean(0)).T @ (x - x.mean(0)) + penalty, (x - x.mean(0)).T @ (t - t.mean(0)))
    assert np.abs(fit.map(s) - ((x - x.mean(0)) @ w + t.mean(0))).max() < 1e-3
    assert fit_ridge(s, rng.normal(size=(30, 4))).explained < 0.1  # noise is not explained


def test_a_teacher_s_features_from_a_student_s(small, task, teacher, tmp_path) -> None:
    large = encoders.english_bert()
    x = tasks.topics("en").train.x[:400]
    before = methods.distill_features(large, small, x)
    assert 0 < before.explained < 1 and before.dim == large.dim
    # what reads the teacher's features reads these
    read = float(np.mean(teacher.head.logits(before.encode(task.test)).argmax(1) == task.test.y))
    raw = float(np.mean(teacher.head.logits(small.encode(task.test)).argmax(1) == task.test.y))
    assert read > raw
    after = methods.distill_features(large, small, x, how="network", epochs=2)
    assert after.explained > before.explained and len(after.history) == 2
    assert same_features(small, task.test.x[:3]) and after.base.key != small.key
    goal = large.encode(task.test)
    missed = [float(((e.encode(task.test) - goal) ** 2).sum()) for e in (after, before)]
    assert missed[0] < missed[1]
    probe = methods.linear_probe(before, task)
    loaded = methods.load(methods.save(probe, tmp_path / "probe.safetensors"), small)
    assert np.array_equal(loaded.predict(task.test), probe.predict(task.test))


def same_features(encoder, x: np.ndarray) -> bool:
    """Tell whether an encoder still gives what lies in the cache."""
    return bool(np.allclose(encoder.encode(x, cache=False), encoder.encode(x), atol=1e-5))


def test_features_of_other_widths_and_things_that_cannot_be(task, small, pictures) -> None:
    x = pictures.task.train.x
    wide = methods.distill_features(encoders.imagenet(64), pictures.encoder, x)
    assert wide.encode(x[:2]).shape == (2, 1280) and wide.encode(x[:0]).shape == (0, 1280)
    large = encoders.english_bert()
    chinese = tasks.topics("zh", train=64).train
    with pytest.raises(BadInput, match="as many"):
        methods.distill_features(large, small, task.train, teacher_reads=chinese.take(np.arange(9)))
    with pytest.raises(BadInput, match="same order"):
        methods.distill_features(large, small, task.train, teacher_reads=chinese.take(np.arange(64)[::-1]))
    with pytest.raises(BadInput, match="how="):
        methods.distill_features(large, small, task.train, how="magic")
    with pytest.raises(BadInput, match="sentence encoders"):
        methods.distill_features(encoders.imagenet(64), pictures.encoder, x, how="network")
    with pytest.raises(BadInput, match="epochs"):
        methods.distill_features(large, small, task.train, epochs=3)
    with pytest.raises(BadInput, match="no setting"):
        methods.distill_features(large, small, task.train, how="network", init="probe")
    with pytest.raises(BadInput, match="NaN"):
        fit_ridge(np.full((9, 2), np.nan), np.ones((9, 2)))
    with pytest.raises(BadInput, match="equal"):
        fit_ridge(np.ones((9, 2)), np.ones((9, 2)))
    with pytest.raises(BadInput, match="same examples"):
        fit_ridge(np.ones((9, 2)), np.ones((8, 2)))
    with pytest.raises(BadInput, match="above 0"):
        fit_ridge(np.eye(4), np.eye(4), strengths=(0.0,))
