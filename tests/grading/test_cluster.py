"""A class on several machines: the same results, and a lost worker loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from course_lib.errors import CourseError
from course_lib.grading import cluster, sandbox
from course_lib.grading.grade import grade


def graded(course, out, **options):
    result = grade(
        course.submissions, course.root / out, solutions=course.solutions, seed=7, say=str, **options
    )
    return [(one.student, one.earned, [result.status for result in one.results]) for one in result.graded]


@pytest.fixture
def dask_cluster():
    from distributed import LocalCluster

    before = dict(os.environ)
    try:
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as made:
            yield made
    finally:  # a nanny sets MKL_NUM_THREADS and the like in this process, and leaves them set
        os.environ.clear()
        os.environ.update(before)


def test_a_cluster_gives_what_one_machine_gives_though_a_worker_is_killed(course, dask_cluster):
    for k in range(6):
        course.submit(f"student {k}", course.right if k % 2 else {1: course.right[1]})
    course.submit("slow", {1: "import time\ndef covariance(x):\n    time.sleep(60)", 2: course.right[2]})
    victim = next(iter(dask_cluster.workers.values())).pid

    def kill_soon():
        time.sleep(1.0)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill_soon)
    killer.start()
    there = graded(course, "there", scheduler=dask_cluster.scheduler_address)
    killer.join()
    assert there == graded(course, "here")
    assert len(there) == 7


def test_what_goes_to_the_cluster_holds_no_expected_value(course, monkeypatch):
    import pickle

    import numpy as np

    sent = []
    monkeypatch.setattr(
        cluster, "tried_on_cluster", lambda todo, *_: sent.extend(t.works() for t in todo) or iter(())
    )
    course.submit("ada", course.right)
    graded(course, "out", scheduler="tcp://nowhere:1")
    data = pickle.dumps(sent)
    argument = sent[0][0].arguments[0][0]
    assert argument.tobytes() in data
    assert np.cov(argument, rowvar=False).tobytes() not in data
    assert b"divide by" not in data


def test_a_scheduler_that_does_not_answer_is_told(course, monkeypatch):
    import distributed

    def silent(*args, **options):
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", silent)
    course.submit("ada", course.right)
    with pytest.raises(CourseError, match="No Dask scheduler answers"):
        graded(course, "out", scheduler="tcp://127.0.0.1:9")


def test_a_machine_of_a_lower_tier_refuses(monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda tier=None: sandbox.Sandbox("plain", "as an example"))
    with pytest.raises(CourseError, match="only plain"):
        cluster.attempt_there(("numpy",), [], "sandbox", False)
    assert cluster.attempt_there((), [], "sandbox", True) == []
    assert cluster.attempt_there((), [], "plain", False) == []
