"""N processes give what one gives, in both frameworks; what fails is told, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

import numpy as np
import psutil
import pytest

from course_lib import scale
from course_lib.errors import BadInput, CourseError
from course_lib.scale import launch

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 12)).astype(np.float32), RNG.integers(0, 3, 90)
SETTINGS: dict[str, Any] = {
    "classes": 3,
    "hidden": 8,
    "batch": 25,
    "epochs": 2,
}  # shards 13 and 12; the last 15
UNEQUAL = SETTINGS | {"shares": (4, 1)}


def numpy_training(weights, learning_rate=0.1, momentum=0.9):
    """Train the same network without a framework, from given weights; return its mean losses."""
    w1, b1, w2, b2 = (w.astype(np.float64) for w in weights)
    velocity = [np.zeros_like(w) for w in (w1, b1, w2, b2)]
    losses = []
    for rows in scale.global_batches(len(Y), SETTINGS["batch"], epochs=SETTINGS["epochs"]):
        x, y = X[rows].astype(np.float64), Y[rows]
        hidden = np.maximum(x @ w1 + b1, 0)
        logits = hidden @ w2 + b2
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(y)), y]).mean())
        g = (p - np.eye(3)[y]) / len(y)
        back = (g @ w2.T) * (hidden > 0)
        for w, v, d in zip(
            (w1, b1, w2, b2), velocity, (x.T @ back, back.sum(0), hidden.T @ g, g.sum(0)), strict=True
        ):
            v *= momentum
            v += d
            w -= learning_rate * v
    return np.array(losses), (w1, b1, w2, b2)


@pytest.fixture(scope="module")
def torch_one():
    return scale.torch_head(X, Y, **SETTINGS)  # in this process: what a group must equal


def test_torch_alone_is_what_numpy_computes(torch_one):
    import torch

    torch.manual_seed(0)
    start = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    given = [p.detach().numpy().copy() for p in start.parameters()]
    losses, ends = numpy_training([given[0].T, given[1], given[2].T, given[3]])
    np.testing.assert_allclose(torch_one.losses, losses, atol=1e-6)
    got = list(torch_one.weights.values())
    for mine, theirs in zip((got[0].T, got[1], got[2].T, got[3]), ends, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_two_torch_processes_with_unequal_shards_equal_one(torch_one):
    two = scale.torch_workers(scale.torch_head, 2, X, Y, **UNEQUAL)
    assert [t.rank for t in two] == [0, 1]
    assert scale.furthest(torch_one, two) < 1e-5
    np.testing.assert_allclose(two[0].losses, torch_one.losses, atol=1e-6)
    assert two[0].examples == 2 * 90 - 25


def test_a_mean_of_means_over_unequal_shards_does_not(torch_one):
    wrong = scale.torch_workers(scale.torch_head, 2, X, Y, scaling="mean of means", **UNEQUAL)
    assert scale.furthest(*wrong) < 1e-6  # the two agree with each other ...
    assert scale.furthest(torch_one, wrong) > 1e-2  # ... on something else


def test_two_keras_processes_with_unequal_shards_equal_one():
    one, two = (
        scale.keras_workers(scale.keras_head, n, X, Y, **settings)
        for n, settings in ((1, SETTINGS), (2, UNEQUAL))
    )
    assert scale.furthest(one, two) < 1e-5
    np.testing.assert_allclose(two[0].losses, one[0].losses, atol=1e-6)
    assert one[0].losses[-1] < one[0].losses[0]


def test_bert_in_two_processes_equals_one():
    texts = [f"the {word} is here" for word in ("cat", "small dog", "old red house", "sun") * 3]
    labels = np.arange(12) % 4
    settings = {"batch": 6, "learning_rate": 0.01, "max_tokens": 8}
    one = scale.bert_top(texts, labels, 4, **settings)
    two = scale.torch_workers(scale.bert_top, 2, texts, labels, 4, shares=(2, 1), **settings)
    assert any("layer.5" in name for name in one.weights)
    assert not any("layer.4" in name or "embeddings" in name for name in one.weights)
    assert scale.furthest(one, two) < 1e-5


# -- what goes wrong --------------------


@pytest.fixture
def taken():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def pair():
    """Return what each process knows of the group, and how many children of this one there are."""
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ["OMP_NUM_THREADS"])


def test_a_taken_port_is_told_and_another_used(taken):
    with pytest.warns(RuntimeWarning, match=f"Port {taken} is taken") as told:
        found = scale.torch_workers(pair, 2, port=taken, threads=3)
    assert found == [(0, 2, 3), (1, 2, 3)]
    assert told[0].filename == __file__


def test_a_port_taken_in_the_last_moment_is_tried_again(taken, monkeypatch):
    real, asked = launch.free_ports, []

    def late(n, wanted=None):
        asked.append(n)
        return [taken] if len(asked) == 1 else real(n)

    monkeypatch.setattr(launch, "free_ports", late)
    two = scale.torch_workers(scale.torch_head, 2, X, Y, **SETTINGS)
    assert len(asked) == 2
    assert scale.furthest(*two) < 1e-6


def test_ports_that_are_always_taken(monkeypatch):
    def taken_always(*_):
        raise launch.PortTaken

    monkeypatch.setattr(launch, "_run", taken_always)
    with pytest.raises(CourseError, match="Ports were taken 3 times"):
        scale.torch_workers(pair, 1)


@pytest.mark.parametrize("port", [0, 80, 70000])
def test_what_is_no_port(port):
    with pytest.raises(BadInput, match="port="):
        scale.free_ports(1, port)


def test_ports_differ():
    assert len(set(scale.free_ports(20))) == 20


def fails(how: str) -> None:
    """Fail in the second process while the first waits for ever."""
    import threading

    if os.environ["RANK"] == "0":
        threading.Event().wait()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "told":
        raise BadInput("Something was wrong.", "Mend it.")
    raise ZeroDivisionError("by zero")


def below() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "scale.worker" in " ".join(p.cmdline())]


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("killed", CourseError, "Process 1 of 2 was lost"),
        ("told", BadInput, "Something was wrong"),
        ("other", CourseError, "Process 1 of 2 failed: ZeroDivisionError: by zero"),
    ],
)
def test_a_process_that_fails_ends_the_group(how, error, words):
    with pytest.raises(error, match=words):
        scale.torch_workers(fails, 2, how)
    assert not below()


def test_time_runs_out():
    with pytest.raises(CourseError, match="did not end within 1 seconds"):
        scale.torch_workers(fails, 1, "told", timeout=1)
    assert not below()


@pytest.mark.parametrize(("processes", "threads"), [(0, 1), (65, 1), (1.5, 1), (1, 0)])
def test_no_group(processes, threads):
    with pytest.raises(BadInput):
        scale.torch_workers(pair, processes, threads=threads)


@pytest.mark.parametrize(
    ("x", "y", "settings", "words"),
    [
        (X[:5], Y, {}, "5 examples and 90 labels"),
        (X, Y + 1, {}, "from 1 to 3 for 3 classes"),
        (X, Y.astype(float), {}, "Labels of type float64"),
        (np.where(X > 2, np.nan, X), Y, {}, "NaN"),
        (X, Y, {"batch": 0}, "A batch of 0"),
        (X, Y, {"scaling": "sum"}, "scaling='sum'"),
    ],
)
def test_what_cannot_be_trained_on(x, y, settings, words):
    with pytest.raises(BadInput, match=words):
        scale.torch_head(x, y, **(SETTINGS | settings))


def test_weights_of_different_networks(torch_one):
    other = scale.Trained({"a": np.zeros(2)}, np.zeros(1), 0, 0.0, 0, 1)
    with pytest.raises(BadInput, match="different networks"):
        scale.furthest(torch_one, other)
