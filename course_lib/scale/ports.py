"""Ports of this machine on which processes find each other."""

from __future__ import annotations

import socket
import warnings
from contextlib import ExitStack

from course_lib.callers import stack_level
from course_lib.errors import BadInput, CourseError

HOST = "127.0.0.1"


def free_ports(n: int, wanted: int | None = None) -> list[int]:
    """Return ports of the loopback interface that are free now.

    Parameters
    ----------
    n : int
    wanted : int, optional
        The first one, if it is free.

    Warns
    -----
    RuntimeWarning
        When it is taken; another is used.

    Raises
    ------
    BadInput
        For a number that is no port.
    CourseError
        When no port is free.
    """
    if wanted is not None and not 1024 <= wanted <= 65535:
        raise BadInput(f"port={wanted}.", "Give 1024 to 65535, or leave it out: a free one is found.")
    with ExitStack() as stack:
        found = [_bound(stack, wanted if k == 0 else None) for k in range(n)]
    if wanted is not None and found[0] != wanted:
        warnings.warn(
            f"Port {wanted} is taken by another program; {found[0]} is used instead. What to do: nothing, or "
            "give another port.",
            RuntimeWarning,
            stacklevel=stack_level(),
        )
    return found


def _bound(stack: ExitStack, wanted: int | None) -> int:
    """Return a port that is held until the stack is left, so that no two are the same."""
    for port in (wanted, 0) if wanted else (0,):
        listening = stack.enter_context(socket.socket())
        try:
            listening.bind((HOST, port))
        except OSError as error:
            if port == 0:
                raise CourseError(
                    f"No port of {HOST} is free: {error}.", "End programs that listen on many ports."
                ) from None
            continue
        return int(listening.getsockname()[1])
    raise AssertionError("the last try returns or raises")
