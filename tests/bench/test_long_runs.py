"""Long runs go on where they were, and say what made them."""

from __future__ import annotations

import json

import pytest

from course_lib.bench import long_runs
from course_lib.errors import BadInput


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch) -> None:
    seen = []

    def work(setting):
        if len(seen) == 2 and "stop" not in seen:
            seen.append("stop")
            raise KeyboardInterrupt
        seen.append(setting["k"])
        return {"score": setting["k"] / 10}

    monkeypatch.setitem(long_runs.RUNS, "small", ("what", lambda: iter([{"k": k} for k in range(4)]), work))
    with pytest.raises(KeyboardInterrupt):
        long_runs.main("small", tmp_path)
    path = long_runs.main("small", tmp_path)
    content = json.loads(path.read_text("utf8"))
    assert seen == [0, 1, "stop", 2, 3]
    assert [figure["score"] for figure in content["figures"]] == [0.0, 0.1, 0.2, 0.3]
    assert content["command"] == "python -m course_lib.bench.long_runs small"
    assert {"what", "date", "hardware", "versions"} <= content.keys()


def test_settings_are_distinct_and_unknown_runs_listed() -> None:
    settings = [json.dumps(s) for s in long_runs.RUNS["cifar10_fine_tuning"][1]()]
    assert len(settings) == len(set(settings)) == 20
    with pytest.raises(BadInput, match="cifar10_fine_tuning"):
        long_runs.main("nothing")
