"""Handing submissions to a Dask cluster: many machines try answers, this one marks and keeps them.

A machine of the cluster needs this library installed, nothing else: it gets a student's cells and the cases'
arguments, and gives back plain values. What is expected never leaves the teacher's machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from course_lib.errors import CourseError
from course_lib.grading.attempt import Outcome, Work

if TYPE_CHECKING:
    from course_lib.grading.grade import Task

AHEAD: Final = 4
"""Submissions under way for each core: enough that none waits, few enough that memory stays small."""

_slots: dict[tuple[str, tuple[str, ...]], Any] = {}


def tried_on_cluster(
    todo: Sequence[Task], address: str, tier: str, unsafe: bool
) -> Iterator[tuple[Task, list[Outcome]]]:
    """Yield each submission with its outcomes, in the order in which they come.

    A worker that is lost loses nothing: the scheduler gives its submissions to another.

    Parameters
    ----------
    todo : sequence of Task
    address : str
        Of the scheduler: ``tcp://host:8786``.
    tier : str
        Of this machine's sandbox, which those of the cluster must have too.
    unsafe : bool
        Whether a machine with the lowest tier may take part.

    Raises
    ------
    CourseError
        When Dask is not installed, the scheduler does not answer, or a machine of the cluster cannot grade.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise CourseError("Dask is not installed.", "pip install 'carryover[cluster]'") from None
    try:
        client = Client(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise CourseError(
            f"No Dask scheduler answers at {address}: {error}.",
            "Start one with `dask scheduler`, then workers.",
        ) from None
    with client:
        waiting = iter(todo)
        places = max(1, sum(client.ncores().values())) * AHEAD

        def send(task: Task) -> Any:
            future = client.submit(
                attempt_there, task.paper.imports, task.works(), tier, unsafe, pure=False, retries=3
            )
            under_way[future.key] = task
            return future

        under_way: dict[str, Task] = {}
        coming = as_completed([send(task) for task in islice(waiting, places)], raise_errors=False)
        for future in coming:
            task = under_way.pop(future.key)
            if future.status != "finished":
                raise CourseError(f"A machine of the cluster cannot grade: {future.exception()}.")
            outcomes: list[Outcome] = future.result()
            for follower in islice(waiting, 1):
                coming.add(send(follower))
            yield task, outcomes


def attempt_there(imports: tuple[str, ...], works: Sequence[Work], tier: str, unsafe: bool) -> list[Outcome]:
    """Try a submission's answers on the machine where this is called; its worker stays warm for the next.

    Raises
    ------
    CourseError
        When the sandbox of this machine is a lower tier.
    """
    from course_lib.grading.grade import patiently
    from course_lib.grading.sandbox import probe
    from course_lib.grading.slot import Slot

    sandbox = probe()
    if sandbox.tier == "plain" != tier and not unsafe:
        raise CourseError(
            f"The sandbox of this machine is only {sandbox}; where the class is graded it is {tier}.",
            "Install bubblewrap on it, leave it out of the cluster, or accept the risk with --allow-unsafe.",
        )
    for key in [key for key in _slots if key != (sandbox.tier, imports)]:
        _slots.pop(key).close()  # one warm worker for each process: notebooks come one after the other
    slot = _slots.setdefault((sandbox.tier, imports), Slot(sandbox, imports))
    return patiently(slot, works)
