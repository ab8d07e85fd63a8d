"""Answers forked from one warm worker train networks as a fresh process does, and none hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course_lib.grading.attempt import Work, attempt_all
from course_lib.grading.sandbox import environment, probe
from course_lib.grading.slot import Limits, Slot
from course_lib.grading.worker import values

ROOT = Path(__file__).parents[2]
COPIES = 10
KERAS = """
import keras

def trained(x, y):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(4, activation="tanh")
    model = keras.Sequential([keras.Input((x.shape[1],)), hidden, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
    return losses, model.predict(x, verbose=0)
"""
TORCH = """
import torch

def trained(x, y):
    torch.manual_seed(0)
    x, y = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, model(x).detach()
"""


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 3))
    return x, x.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("source", "imports"), [(KERAS, ("keras", "tensorflow")), (TORCH, ("torch",))], ids=["keras", "torch"]
)
def test_training_in_forks_of_a_warm_worker(source, imports, tmp_path) -> None:
    limits = Limits(seconds=60, memory=1 << 30)
    work = Work("91.1", [("<your answer>", source, False)], "trained", "numpy", [data()], limits)
    with Slot(probe(), imports) as slot:
        worker = slot.process
        outcomes = attempt_all(slot, [work] * COPIES)
        assert slot.process is worker or not slot.sandbox.warm  # the same one to the end
    for outcome in outcomes:
        assert not outcome.stopped and not outcome.begun.error, outcome
        assert not outcome.replies[0].error, outcome.replies
    losses, predicted = in_a_fresh_process(source, tmp_path)
    assert losses[-1] < losses[0] and predicted.shape == (32, 1)
    results = {values.dumps(outcome.replies[0].result) for outcome in outcomes}
    assert len(results) == 1  # to the last bit
    found, said = values.loads(results.pop())
    # A product's last digits follow from where its matrices lie in memory: elsewhere in a fresh process.
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    np.testing.assert_allclose(said, predicted, rtol=1e-4, atol=1e-6)


def in_a_fresh_process(source: str, folder: Path) -> tuple[list[float], np.ndarray]:
    """Return what the same code gives where nothing was forked; the settings are those of a worker."""
    given, made = folder / "given", folder / "made"
    given.write_bytes(values.dumps(data()))
    code = (
        f"{source}\nimport sys\nfrom pathlib import Path\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from course_lib.grading.worker import values\n"
        "result = trained(*values.loads(Path(sys.argv[1]).read_bytes()))\n"
        "Path(sys.argv[2]).write_bytes(values.dumps(result))\n"
    )
    command = [sys.executable, "-c", code, str(given), str(made)]
    subprocess.run(command, check=True, env=environment(), timeout=240, capture_output=True)
    losses, predicted = values.loads(made.read_bytes())
    return losses, predicted
