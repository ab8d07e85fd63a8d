"""`course bench`: hand over to `course_lib.bench`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def run_bench(names: Sequence[str], json: Path | None, quick: bool, readme: bool) -> int:
    """Run the named comparisons; return their exit status."""
    from course_lib import bench

    return int(bench.main(names=list(names), json_path=json, quick=quick, readme=readme))
