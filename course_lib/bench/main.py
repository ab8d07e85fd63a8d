"""`course bench`: run comparisons, print them, keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from course_lib.bench import comparisons
from course_lib.bench.closed_forms import closed_forms
from course_lib.bench.distributed import distributed
from course_lib.bench.figures import Figure, join_kept, report_lines, to_json, write_readme
from course_lib.bench.fine_tuning import fine_tuning
from course_lib.bench.grading import grading
from course_lib.bench.planner import planner
from course_lib.bench.solar import solar
from course_lib.bench.student import student
from course_lib.bench.text import text_alignment, text_encoding, text_fine_tuning, text_loading
from course_lib.bench.transferability import transferability
from course_lib.errors import BadInput

COMPARISONS: dict[str, Callable[[bool], list[Figure]]] = {
    "import": comparisons.imports,
    "features": comparisons.features,
    "probe": comparisons.probe,
    "minute": comparisons.minute,
    "memory": comparisons.memory,
    "fine_tuning": fine_tuning,
    "planner": planner,
    "transferability": transferability,
    "solar": solar,
    "text_encoding": text_encoding,
    "text_fine_tuning": text_fine_tuning,
    "text_alignment": text_alignment,
    "text_loading": text_loading,
    "closed_forms": closed_forms,
    "student": student,
    "distributed": distributed,
    "grading": grading,
}
KEPT = Path("results/bench.json")
"""What the table of the README is made of."""


def main(
    names: Sequence[str] = (), json_path: Path | None = None, quick: bool = False, readme: bool = False
) -> int:
    """Run comparisons and print their figures.

    Parameters
    ----------
    names : sequence of str
        Keys of `COMPARISONS`; none means all.
    json_path : pathlib.Path, optional
        Where to write the figures.
    quick : bool
        A few images and two repeats: whether it works, not how fast it is.
    readme : bool
        Write the table into README.md here, along with what `KEPT` has of other comparisons on this machine.

    Returns
    -------
    int
        0.

    Raises
    ------
    BadInput
        For a name that is not there.
    """
    from rich.console import Console
    from rich.table import Table

    wrong = [name for name in names if name not in COMPARISONS]
    if wrong:
        raise BadInput(f"There is no comparison {wrong[0]!r}.", f"Choose among {', '.join(COMPARISONS)}.")
    console = Console()
    figures: list[Figure] = []
    for name in names or COMPARISONS:
        console.print(f"measuring {name} ...", highlight=False)
        figures += COMPARISONS[name](quick)
        if json_path is not None:  # after each, so that an interruption loses nothing
            json_path.write_text(to_json(figures), encoding="utf-8")
    table = Table("what", "figure", "against", "goal", box=None, pad_edge=False)
    for row in report_lines(figures):
        table.add_row(*row)
    console.print(table)
    if readme:
        write_readme(join_kept(figures, KEPT, list(COMPARISONS)), Path("README.md"))
    return 0
