"""How much memory a notebook may take here, and which notebooks fit."""

from __future__ import annotations

from pathlib import Path

GIB = 2**30
OTHERS = 1.0
"""GiB for the system, the browser and JupyterLab beside a notebook's kernel."""


def memory_gib(limits: Path = Path("/sys/fs/cgroup/memory.max")) -> float:
    """Return this machine's memory in GiB, or what its container may use of it."""
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(limits.read_text())) / GIB
    except (OSError, ValueError):  # no container, or one without a limit, which says "max"
        return total / GIB


def fits(peak: float | None, memory: float) -> bool:
    """Tell whether a notebook that holds up to `peak` GiB fits into `memory`; an unknown peak does.

    Examples
    --------
    >>> fits(2.8, 3.8), fits(2.8, 2.0), fits(None, 1.0)
    (True, False, True)
    """
    return peak is None or peak + OTHERS <= memory + 0.05  # 4 GiB report 3.8 and a little
