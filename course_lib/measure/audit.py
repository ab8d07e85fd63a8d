"""Which weights and statistics a fit moved, held against what was declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import AuditFailed, BadInput
from course_lib.measure.report import html_table, text_table

STATISTICS = ("moving_mean", "moving_variance")
"""Names of what a batch normalisation gathers rather than learns."""

_HEAD = ("block", "what", "declared", "tensors", "moved", "largest relative change", "")


@dataclass(frozen=True)
class AuditRow:
    """One block's weights or statistics.

    Parameters
    ----------
    block : str
    kind : str
        ``"weights"`` or ``"BatchNorm statistics"``.
    declared : str
        ``"trained"`` or ``"frozen"``.
    tensors, moved : int
        How many there are, and how many differ from before.
    change : float
        The largest ``‖after - before‖ / ‖before‖`` among them.
    wrong : tuple of str
        Frozen ones that moved, or trained ones that did not.
    """

    block: str
    kind: str
    declared: str
    tensors: int
    moved: int
    change: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """What moved, block by block; see `audit`."""

    rows: tuple[AuditRow, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as declared."""
        return not any(row.wrong for row in self.rows)

    @property
    def moved(self) -> int:
        """Number of tensors that moved."""
        return sum(row.moved for row in self.rows)

    def check(self) -> Audit:
        """Return self when everything is as declared.

        Raises
        ------
        AuditFailed
            Naming what is not, and the usual reasons.
        """
        strayed = [n for row in self.rows if row.declared == "frozen" for n in row.wrong]
        stuck = [n for row in self.rows if row.declared == "trained" for n in row.wrong]
        problems, remedies = [], []
        if strayed:
            problems.append(f"{len(strayed)} tensors declared frozen have moved: {_some(strayed)}.")
            remedies.append(
                "Set trainable=False on each layer itself, on every batch normalisation too (calling the "
                "base with training=False does not protect its statistics), then compile."
            )
        if stuck:
            problems.append(f"{len(stuck)} tensors declared trained have not moved: {_some(stuck)}.")
            remedies.append("After changing `trainable`, compile again: until then the change is ignored.")
        if problems:
            raise AuditFailed(" ".join(problems), " ".join(remedies))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values."""
        rows = [{**vars(row), "wrong": list(row.wrong)} for row in self.rows]
        return {"ok": self.ok, "rows": rows}

    def _cells(self) -> list[tuple[str, ...]]:
        """Return lines for reading: neighbouring blocks of which the same is true share one."""
        lines: dict[tuple[str, str, bool], list[AuditRow]] = {}
        for row in self.rows:
            lines.setdefault((row.kind, row.declared, bool(row.wrong)), []).append(row)
        return [
            (
                rows[0].block if len(rows) == 1 else f"{rows[0].block} … {rows[-1].block}",
                kind,
                declared,
                str(sum(row.tensors for row in rows)),
                str(sum(row.moved for row in rows)),
                f"{max(row.change for row in rows):.2g}" if any(row.moved for row in rows) else "0",
                f"✗ {_some([name for row in rows for name in row.wrong])}" if wrong else "✓",
            )
            for (kind, declared, wrong), rows in lines.items()
        ]

    def _verdict(self) -> str:
        return "as declared" if self.ok else "NOT as declared"

    def __str__(self) -> str:
        return f"Audit: {self._verdict()}\n{text_table([_HEAD, *self._cells()])}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>Audit</b>: {escape(self._verdict())}", _HEAD, self._cells())


def audit(
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    *,
    trained: Collection[str],
    block_of: Callable[[str], str] | None = None,
) -> Audit:
    """Compare weights before and after a fit with what was declared trained.

    Frozen means equal to the last bit; trained means that at least one number differs. The usual ways to
    get this wrong raise no error of their own: a batch normalisation whose statistics move under ``fit``
    although its base was called with ``training=False``, or a change of ``trainable`` that was not compiled.

    Parameters
    ----------
    before, after : mapping of str to numpy.ndarray
        ``"layer/variable"`` to values, for instance ``"block5_expand_bn/moving_mean"``.
    trained : collection of str
        Names that were declared to move; all others are frozen.
    block_of : callable, optional
        From a layer's name to its block. Default: the part before the first underscore.

    Returns
    -------
    Audit
        ``.ok``, ``.check()`` which raises, and a table.

    Raises
    ------
    BadInput
        When the two hold different weights, or an unknown name is declared.

    Examples
    --------
    >>> old = {"stem/kernel": np.zeros(2), "head/kernel": np.ones(2)}
    >>> new = {"stem/kernel": np.zeros(2), "head/kernel": np.full(2, 1.1)}
    >>> print(audit(old, new, trained=["head/kernel"]))
    Audit: as declared
    block  what     declared  tensors  moved  largest relative change
    stem   weights  frozen    1        0      0                        ✓
    head   weights  trained   1        1      0.1                      ✓
    """
    _same_names(before, after, trained)
    group = block_of or (lambda layer: layer.split("_")[0])
    declared = set(trained)
    cells: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for name, old in before.items():
        layer, _, variable = name.partition("/")
        kind = "BatchNorm statistics" if variable in STATISTICS else "weights"
        key = (group(layer), kind, "trained" if name in declared else "frozen")
        cells.setdefault(key, []).append((name, _change(old, after[name])))
    rows = []
    for (block, kind, what), changes in cells.items():
        moved = [name for name, change in changes if change > 0]
        still = [name for name, change in changes if change == 0]
        wrong = moved if what == "frozen" else still
        largest = max(change for _, change in changes)
        rows.append(AuditRow(block, kind, what, len(changes), len(moved), largest, tuple(wrong)))
    return Audit(tuple(rows))


def _same_names(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], trained: Collection[str]
) -> None:
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise BadInput(
            f"Before and after hold different weights: {_some(odd)}.", "Take both from the same network."
        )
    unknown = sorted(set(trained) - before.keys())
    if unknown:
        raise BadInput(f"Declared trained, but not there: {_some(unknown)}.", "Name weights of the network.")


def _change(old: np.ndarray, new: np.ndarray) -> float:
    """Return the relative change: 0 only when equal, infinite from zeros or where NaN is involved."""
    if np.array_equal(old, new):
        return 0.0
    size = float(np.linalg.norm(np.asarray(old, np.float64)))
    moved = float(np.linalg.norm(np.asarray(new, np.float64) - old))
    return moved / size if size and np.isfinite(moved) and moved > 0 else float("inf")


def _some(names: Collection[str], most: int = 3) -> str:
    shown = list(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
