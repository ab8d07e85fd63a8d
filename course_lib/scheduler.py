"""A Dask scheduler, however it is named: threads or processes here, an address, a client, a cluster.

What is handed to it comes back in order and survives the loss of a worker: a piece of work holds all that it
needs, so the scheduler gives it to another.

A scheduler of your own remembers what it sent: 1,000 messages, with their data. Where its machine is small,
start it with ``DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH=8``.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

from course_lib.errors import BadInput, CourseError

LOCAL: Final = ("threads", "processes")
PATIENCE: Final = "6s"
"""How long a scheduler may take to answer, and its workers to be there."""

AHEAD: Final = 3
"""Pieces of work under way for each core: enough that none waits, few enough that memory stays small."""

T = TypeVar("T")


@contextmanager
def connected(scheduler: Any = "threads", workers: int | None = None) -> Iterator[Any]:
    """Connect to a scheduler; one that is started here ends with the block.

    Parameters
    ----------
    scheduler : str, distributed.Client or cluster
        ``"threads"`` and ``"processes"`` work on this machine's cores; ``"tcp://host:8786"`` is the address
        of ``dask scheduler``; a cluster is for instance ``dask_jobqueue.SLURMCluster(...)``.
    workers : int, optional
        Threads or processes of one that is started here; default: cores.

    Yields
    ------
    distributed.Client

    Raises
    ------
    BadInput
        When there is no such scheduler, none answers within seconds, or one answers that has no workers.

    Examples
    --------
    >>> with connected("threads") as client:
    ...     list(in_order(client, divmod, [(7, 2), (9, 4)]))
    [(3, 1), (2, 1)]
    """
    if isinstance(scheduler, str) and scheduler in LOCAL:
        with _local(scheduler, workers) as client:
            yield client
    elif isinstance(scheduler, str):
        with _reached(scheduler) as client:
            yield client
    elif hasattr(scheduler, "submit") and hasattr(scheduler, "ncores"):
        yield scheduler
    elif hasattr(scheduler, "scheduler_address"):
        from distributed import Client

        with Client(scheduler) as client:  # its workers may wait in a queue: that is for it to know
            yield client
    else:
        raise _unknown(scheduler)


def _unknown(scheduler: Any) -> BadInput:
    return BadInput(
        f"scheduler={scheduler!r} is no scheduler.",
        "Give 'threads', 'processes', the address of one (tcp://host:8786), a dask Client, or a cluster such "
        "as dask_jobqueue.SLURMCluster.",
    )


@contextmanager
def _local(kind: str, workers: int | None) -> Iterator[Any]:
    """Start a scheduler on this machine, without a dashboard and without a word."""
    import dask
    from distributed import Client, LocalCluster

    count = workers or os.cpu_count() or 1
    before = dict(os.environ)
    shape: dict[str, Any] = {"n_workers": 1, "threads_per_worker": count, "processes": False}
    if kind == "processes":
        one_thread = {"TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        shape = {"n_workers": count, "threads_per_worker": 1, "processes": True, "env": one_thread}
    log = {"distributed.admin.low-level-log-length": 8}  # Dask would keep the data of the last 1,000 messages
    try:
        with (
            dask.config.set(log),
            LocalCluster(dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL, **shape) as cluster,
            Client(cluster) as client,
        ):
            yield client
    finally:  # a nanny sets OMP_NUM_THREADS and the like in this process, and leaves them set
        os.environ.clear()
        os.environ.update(before)


def _reached(address: str) -> Any:
    """Return a client of the scheduler at an address that has at least one worker."""
    if ":" not in address:
        raise _unknown(address)
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"No Dask scheduler answers at {address}: {error}.",
            "Start one with `dask scheduler`, then workers with `dask worker ADDRESS`; or work on this "
            "machine with scheduler='threads'.",
        ) from None
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        client.close()
        raise BadInput(
            f"The Dask scheduler at {address} has no workers.",
            f"Start some with `dask worker {address}`, on machines that have this library installed.",
        ) from None
    return client


def places(client: Any) -> int:
    """Return how many cores the workers have together, at least 1."""
    return max(1, int(sum(client.ncores().values())))


def in_order(
    client: Any,
    function: Callable[..., T],
    jobs: Iterable[tuple[Any, ...] | None],
    *,
    ahead: int = AHEAD,
) -> Iterator[T | None]:
    """Yield ``function(*job)`` of each job, in the order of the jobs, while others are under way.

    Jobs are taken from their iterable only when there is room, so that it may be longer than memory.

    Parameters
    ----------
    client : distributed.Client
    function : callable
    jobs : iterable of tuple or None
        Arguments. None is a place without work: None comes back.
    ahead : int
        Jobs under way for each core.

    Raises
    ------
    CourseError
        When the same job lost its worker several times, or the scheduler was lost.
    """
    waiting, under_way = iter(jobs), deque[Any]()
    try:
        while True:
            room = places(client) * ahead - len(under_way)
            under_way.extend(_sent(client, function, job) for job in islice(waiting, max(room, 0)))
            if not under_way:
                return
            yield None if under_way[0] is None else result_of(under_way[0])
            under_way.popleft()
    finally:
        with suppress(Exception):  # of no use any more; the scheduler may be gone as well
            client.cancel([future for future in under_way if future is not None])


def as_they_come(
    client: Any,
    function: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    *,
    ahead: int = AHEAD,
    retries: int = 0,
) -> Iterator[tuple[int, Callable[[], T]]]:
    """Yield the number of each job that is done, and what gives its result or raises its error.

    Parameters
    ----------
    client, function, jobs, ahead
        As in `in_order`.
    retries : int
        How often a job that raised an error is tried again, where it may be a machine's fault.
    """
    from distributed import as_completed

    waiting = enumerate(jobs)
    under_way: dict[str, int] = {}

    def send(number: int, job: tuple[Any, ...]) -> Any:
        future = _sent(client, function, job, retries)
        under_way[future.key] = number
        return future

    first = [send(*one) for one in islice(waiting, places(client) * ahead)]
    coming = as_completed(first, raise_errors=False)
    for future in coming:
        number = under_way.pop(future.key)
        for one in islice(waiting, 1):
            coming.add(send(*one))
        yield number, partial(result_of, future)


def _sent(client: Any, function: Callable[..., Any], job: tuple[Any, ...] | None, retries: int = 0) -> Any:
    """Hand a job to the scheduler, whole: data that lay on a worker would be lost with it."""
    if job is None:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        return client.submit(function, *job, pure=False, retries=retries)


def result_of(future: Any) -> Any:
    """Return a future's result; where the cluster failed, rather than the work, say what to do.

    Raises
    ------
    CourseError
        When workers or the scheduler were lost.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        return future.result()
    except KilledWorker:
        raise CourseError(
            "A piece of work lost its worker again and again.",
            "Most often its memory ran out: give workers more, or smaller pieces. What is done is kept: run "
            "it again to go on.",
        ) from None
    except (CancelledError, CommClosedError):
        raise CourseError(
            "The Dask scheduler was lost.",
            "Start it again, then run this again: what is done is kept.",
        ) from None
