"""One task of several domains, taken apart: each speaker by itself, or all but one and that one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split, Task


def by_domain(task: Task) -> dict[str, Task]:
    """Return a task for each domain of `task`, in the order of their names.

    Every split is divided, so that what was a test example of one speaker still is.

    Parameters
    ----------
    task : Task
        One whose splits have `groups`: `tasks.spoken_digits` (speakers), `tasks.tones` (rooms).

    Returns
    -------
    dict of str to Task

    Raises
    ------
    BadInput
        When the task has no groups, or fewer than two.

    Examples
    --------
    >>> from course_lib.tasks.tones import tones
    >>> {room: len(task.test) for room, task in by_domain(tones(takes=5)).items()}
    {'hall': 16, 'street': 16, 'studio': 16, 'tape': 16, 'telephone': 16}
    """
    names = _names(task)
    return {name: _only(task, [name], name) for name in names}


def leave_one_domain_out(task: Task, domain: str) -> tuple[Task, Task]:
    """Return the task without one domain, and that domain's own task.

    What is learnt on the first and tested on the second has never met the domain: a speaker who
    walks in, a room never recorded in. The second task's training split, without its labels, is what
    adaptation may look at.

    Parameters
    ----------
    task : Task
        As in `by_domain`.
    domain : str
        The one that is left out.

    Returns
    -------
    source, target : Task

    Raises
    ------
    BadInput
        When the task has no groups or fewer than two, or none of that name.
    """
    names = _names(task)
    if domain not in names:
        raise BadInput(f"{task.name} has no domain {domain!r}.", f"It has {', '.join(names)}.")
    return _only(task, [n for n in names if n != domain], f"without {domain}"), _only(task, [domain], domain)


def _names(task: Task) -> list[str]:
    """Return the names of the domains, sorted."""
    found: set[str] = set()
    for split in (task.train, task.validation, task.test):
        if split.groups is None:
            raise BadInput(
                f"{split.name} does not say which domain its examples come from.",
                "Give a task whose splits have groups, for instance tasks.spoken_digits() or tasks.tones().",
            )
        found |= set(split.groups.tolist())
    if len(found) < 2:
        raise BadInput(
            f"{task.name} has {len(found)} domain; to compare domains there must be two.",
            "Load the task with all of its domains.",
        )
    return sorted(found)


def _only(task: Task, domains: list[str], label: str) -> Task:
    def part(split: Split) -> Split:
        assert split.groups is not None
        kind = split.name.rpartition("/")[2]
        chosen = split.take(np.isin(split.groups, domains), f"{task.name}, {label}/{kind}")
        return replace(chosen, domain=label)

    return replace(
        task,
        name=f"{task.name}, {label}",
        train=part(task.train),
        validation=part(task.validation),
        test=part(task.test),
        domain=label,
    )
