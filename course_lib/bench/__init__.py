"""How fast the library is, against the usual ways, measured as ratios within one run."""

from course_lib.bench.figures import Figure, Pairs, alternate, report_lines, to_json, write_readme
from course_lib.bench.main import COMPARISONS, main

__all__ = ["COMPARISONS", "Figure", "Pairs", "alternate", "main", "report_lines", "to_json", "write_readme"]
