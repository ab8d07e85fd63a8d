"""Handing submissions to a Dask cluster: many machines try answers, this one marks and keeps them.

A machine of the cluster needs this library installed, nothing else: it gets a student's cells and the cases'
arguments, and gives back plain values. What is expected never leaves the teacher's machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from course_lib.errors import CourseError
from course_lib.grading.attempt import Outcome, Work
from course_lib.scheduler import as_they_come, connected

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
        When the scheduler does not answer, or a machine of the cluster cannot grade.
    """
    with connected(address) as client:
        waiting = list(todo)
        jobs = ((task.paper.imports, task.works(), tier, unsafe) for task in waiting)
        for number, result in as_they_come(client, attempt_there, jobs, ahead=AHEAD, retries=3):
            try:
                outcomes = result()
            except Exception as error:
                raise CourseError(f"A machine of the cluster cannot grade: {error}.") from None
            yield waiting[number], outcomes


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
