"""How much faster many machines would be: calculated, from figures measured on one."""

from __future__ import annotations

import math

from course_lib.errors import BadInput


def ring_seconds(processes: int, size: float, bandwidth: float, latency: float = 0.0) -> float:
    r"""Return how long processes in a ring take to add up their gradients.

    .. math:: T = 2 (n-1) \left( \frac{B}{n\,\beta} + \lambda \right)

    Each sends an n-th of its B bytes to its neighbour, n - 1 times to add up and n - 1 times to hand the sums
    around.

    Parameters
    ----------
    processes : int
        n.
    size : float
        B, bytes of the gradients of one process.
    bandwidth : float
        β, bytes per second between neighbours.
    latency : float
        λ, seconds before a message's first byte arrives.

    References
    ----------
    Patarasuk & Yuan (2009), "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC.

    Examples
    --------
    >>> ring_seconds(8, 80e6, 10e9)
    0.014
    """
    _check(processes=processes, bandwidth=bandwidth)
    return 2 * (processes - 1) * (size / (processes * bandwidth) + latency)


def predicted_speedup(
    processes: int,
    *,
    step: float,
    size: float,
    bandwidth: float,
    latency: float = 0.0,
    serial: float = 0.0,
    growing: bool = False,
) -> float:
    r"""Return how many times as many examples per second n processes would train on as one.

    .. math:: S(n) = \frac{T}{sT + (1-s)\,T/n + T_\text{ring}(n)}
              \qquad\text{or, growing,}\qquad S(n) = \frac{n\,T}{T + T_\text{ring}(n)}

    The first keeps the global batch and is Amdahl's law with the price of talking; the second gives every
    process a batch as large as the one that a single process had.

    Parameters
    ----------
    processes : int
        n.
    step : float
        T, seconds of a step of one process alone.
    size, bandwidth, latency : float
        As in `ring_seconds`.
    serial : float
        s, the share of a step that every process does anew, 0 to 1.
    growing : bool
        Whether the global batch grows with n.

    Raises
    ------
    BadInput
        For numbers that no machine has.

    References
    ----------
    Amdahl (1967), AFIPS 30. Goyal et al. (2017), "Accurate, large minibatch SGD".

    Examples
    --------
    >>> free = {"step": 0.2, "size": 0.0, "bandwidth": 1e9}
    >>> round(predicted_speedup(8, **free), 9), round(predicted_speedup(8, serial=0.1, **free), 2)
    (8.0, 4.71)
    """
    _check(processes=processes, step=step, bandwidth=bandwidth)
    if not 0 <= serial <= 1 or size < 0 or latency < 0:
        raise BadInput(
            f"serial={serial}, size={size}, latency={latency}.", "Give none below 0, serial up to 1."
        )
    talk = ring_seconds(processes, size, bandwidth, latency)
    if growing:
        return processes * step / (step + talk)
    return step / (serial * step + (1 - serial) * step / processes + talk)


def bend(most: int = 4096, **figures: float) -> int:
    """Return the number of processes beyond which another one makes a step longer, at most `most`.

    Parameters
    ----------
    most : int
    **figures
        Of `predicted_speedup`, without ``growing``.

    Examples
    --------
    >>> bend(step=0.1, size=0.0, bandwidth=1e9, latency=1e-3)
    7
    """
    best = 1
    for n in range(2, most + 1):
        if predicted_speedup(n, **figures) <= predicted_speedup(best, **figures):  # type: ignore[arg-type]
            return best
        best = n
    return best


def _check(**given: float) -> None:
    for name, value in given.items():
        if not math.isfinite(value) or value <= 0 or (name == "processes" and value != int(value)):
            raise BadInput(f"{name}={value}.", "Give a number above 0, and whole processes.")
