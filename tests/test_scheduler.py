"""Schedulers by every name, and those that there are not."""

from __future__ import annotations

import os
import threading

import pytest

from course_lib.errors import BadInput, CourseError
from course_lib.scheduler import as_they_come, connected, in_order


def test_every_name_for_one():
    from distributed import Client, LocalCluster

    before = dict(os.environ)
    with connected("threads", workers=3) as client:
        assert list(client.ncores().values()) == [3]
        assert list(in_order(client, pow, [(2, 3), (3, 2)])) == [8, 9]
    with LocalCluster(processes=False, dashboard_address=None, n_workers=1, silence_logs=50) as cluster:
        with connected(cluster) as client:
            assert list(in_order(client, pow, [(2, 3)])) == [8]
        with Client(cluster) as own, connected(own) as client:
            assert client is own
        with connected(cluster.scheduler_address) as client:
            assert list(in_order(client, pow, [(2, 3)])) == [8]
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["thread", "", 7, None, object()])
def test_no_name_for_one(name):
    with pytest.raises(BadInput, match="is no scheduler"), connected(name):
        pass


def test_none_answers_and_one_without_workers(monkeypatch):
    from distributed import LocalCluster

    from course_lib import scheduler

    monkeypatch.setattr(scheduler, "PATIENCE", "1s")
    with (
        pytest.raises(BadInput, match=r"No Dask scheduler answers at tcp://127"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=50) as cluster,
        pytest.raises(BadInput, match="has no workers"),
        connected(cluster.scheduler_address),
    ):
        pass


def test_jobs_are_taken_only_when_there_is_room():
    taken = []

    def jobs():
        for k in range(100):
            taken.append(k)
            yield (k,)

    with connected("threads", workers=2) as client:
        results = in_order(client, abs, jobs(), ahead=2)
        for k in range(50):
            assert next(results) == k
            assert len(taken) <= k + 4  # two for each of two cores
        results.close()
        assert len(taken) < 60


def test_places_without_work_and_errors_of_the_work():
    with connected("threads", workers=2) as client:
        assert list(in_order(client, abs, [(1,), None, (-2,)])) == [1, None, 2]
        with pytest.raises(TypeError):
            list(in_order(client, abs, [("one",)]))
        done = dict(as_they_come(client, abs, [(-1,), ("one",), (-3,)]))
        assert done[0]() == 1
        assert done[2]() == 3
        with pytest.raises(TypeError):
            done[1]()


RELEASE = threading.Event()  # of the module: functions travel by name


def held(k):
    if k == 0:
        assert RELEASE.wait(60)
    return k


def test_the_first_that_is_done_comes_first():
    RELEASE.clear()
    with connected("threads", workers=2) as client:
        coming = as_they_come(client, held, [(k,) for k in range(3)], ahead=1)
        assert [next(coming)[0], next(coming)[0]] == [1, 2]
        RELEASE.set()
        assert [number for number, _ in coming] == [0]


def test_a_lost_scheduler_and_work_that_loses_every_worker_are_told():
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    class Future:
        def __init__(self, error):
            self.error = error

        def result(self):
            raise self.error

    class Client:
        def ncores(self):
            return {"one": 1}

        def submit(self, function, *job, **options):
            return Future(*job)

        def cancel(self, futures):
            raise OSError("nobody is there")

    for error in (CancelledError("key"), CommClosedError("closed")):
        with pytest.raises(CourseError, match="scheduler was lost"):
            next(in_order(Client(), abs, [(error,)]))
    with pytest.raises(CourseError, match="lost its worker again and again"):
        next(in_order(Client(), abs, [(KilledWorker("key", None, 3),)]))
