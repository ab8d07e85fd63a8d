"""Fine-tuning is Keras, not TensorFlow: another backend takes the same steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

RUN = """
    import json
    from dataclasses import replace
    import keras
    from course_lib import encoders, methods, tasks

    task = tasks.solar_cells("mono", train=24)
    task = replace(task, test=task.test.sample(20))
    tuned = methods.fine_tune(encoders.imagenet(64), task, freeze_to="block14", epochs=2, batch_size=8)
    found = {"backend": keras.backend.backend(), "audit": tuned.audit.ok}
    found["losses"] = [h["loss"] for h in tuned.history]
    found["probabilities"] = tuned.predict_proba(task.test).tolist()
    print(json.dumps(found))
"""


def here() -> dict:
    scope: dict = {}
    exec(textwrap.dedent(RUN), scope)
    return scope["found"]


def elsewhere(backend: str) -> dict:
    environment = {**os.environ, "KERAS_BACKEND": backend, "COURSE_PROGRESS": "0"}
    command = [sys.executable, "-c", textwrap.dedent(RUN)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_pytorch_takes_the_same_steps() -> None:
    ours, theirs = here(), elsewhere("torch")
    assert (ours["backend"], theirs["backend"]) == ("tensorflow", "torch")
    assert ours["audit"] and theirs["audit"]
    for a, b in zip(ours["losses"], theirs["losses"], strict=True):
        assert abs(a - b) < 0.01 * a
    gaps = [
        abs(p - q)
        for a, b in zip(ours["probabilities"], theirs["probabilities"], strict=True)
        for p, q in zip(a, b, strict=True)
    ]
    assert max(gaps) < 0.05
