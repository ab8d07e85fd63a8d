"""The Chinese edition, ``notebooks/zh``: text in Simplified Chinese around the English notebooks' cells.

Code cells, outputs, ids, order and metadata are taken from the English notebook, so that nothing runs twice.
A translated cell keeps a `fingerprint` of the English that it translates: when the English changes, the
cell is stale. How to use it: ``python -m course_lib.runner.chinese --help``.
"""

from course_lib.runner.chinese.checks import problems, unused_terms
from course_lib.runner.chinese.edition import (
    Waiting,
    chinese_path,
    fingerprint,
    moved,
    parsed,
    renew,
    renewed,
)

__all__ = [
    "Waiting",
    "chinese_path",
    "fingerprint",
    "moved",
    "parsed",
    "problems",
    "renew",
    "renewed",
    "unused_terms",
]
