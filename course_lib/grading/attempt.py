"""Trying the answers of one submission in a worker: on this machine or on another, the same way.

Nothing here knows what is expected. What is sent away are a student's cells and the cases' arguments; what
comes back are plain values. So a machine of a cluster never holds an answer key.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from course_lib.grading.slot import Limits, Reply, Slot, Stopped


@dataclass(frozen=True)
class Work:
    """One answer to be tried.

    Attributes
    ----------
    exercise : str
    cells : list of (str, str, bool)
        Name, source, whether an error may be passed over.
    function, tensors : str
    arguments : list of tuple
        Of each case.
    limits : Limits
    """

    exercise: str
    cells: list[tuple[str, str, bool]]
    function: str
    tensors: str
    arguments: list[tuple[Any, ...]]
    limits: Limits


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    exercise : str
    begun : Reply
        With an error when the cells define no function.
    replies : list of Reply
        Of the cases that were answered; fewer than there are when the attempt was stopped.
    stopped : str
        The limit that was hit, or what the program did.
    said : str
        What the cells printed.
    seconds : float
    """

    exercise: str
    begun: Reply
    replies: list[Reply] = field(default_factory=list)
    stopped: str = ""
    said: str = ""
    seconds: float = 0.0


def attempt(slot: Slot, work: Work) -> Outcome:
    """Try one answer on its cases, one after the other; what was answered before a limit is hit is kept.

    Raises
    ------
    Trouble
        When no worker can be started.
    """
    begun, replies, stopped = Reply(), [], ""
    start = time.monotonic()
    with slot.job(work.limits) as job:
        try:
            begun = job.begin(work.cells, work.function, work.tensors)
            for arguments in () if begun.error else work.arguments:
                replies.append(job.ask(arguments, work.limits.seconds))
                if replies[-1].error == "NotImplementedError":
                    break
        except Stopped as error:
            stopped = str(error)
        said = job.said.decode(errors="replace")
    return Outcome(work.exercise, begun, replies, stopped, said, time.monotonic() - start)


def attempt_all(slot: Slot, works: Sequence[Work]) -> list[Outcome]:
    """Try the answers of one submission, each in a process of its own."""
    return [attempt(slot, work) for work in works]
