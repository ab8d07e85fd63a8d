"""What has been graded, kept so that a kill at any moment loses at most what was under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from course_lib.errors import CourseError
from course_lib.grading.results import Graded

SCHEMA = """
CREATE TABLE IF NOT EXISTS graded (
    student TEXT NOT NULL, notebook TEXT NOT NULL, key TEXT NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (student, notebook)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Ledger:
    """An SQLite file with one row for each submission.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    CourseError
        When the file is there and is none of ours.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Ledger(Path(folder) / "grades.sqlite") as ledger:
    ...     ledger.keep("key", Graded("Ada", "05", []))
    ...     ledger.has("Ada", "05", "key"), ledger.has("Ada", "05", "another")
    (True, False)
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise CourseError(
                f"{path} is not a ledger of grades: {error}.", "Name another --out, or move the file away."
            ) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def keep(self, key: str, graded: Graded) -> None:
        """Write one submission's result, whole or not at all."""
        row = (graded.student, graded.notebook, key, graded.as_json())
        self._base.execute("INSERT OR REPLACE INTO graded VALUES (?, ?, ?, ?)", row)

    def has(self, student: str, notebook: str, key: str) -> bool:
        """Tell whether this very work was graded: the same submission, tests, environment and settings."""
        asked = "SELECT 1 FROM graded WHERE student = ? AND notebook = ? AND key = ?"
        return self._base.execute(asked, (student, notebook, key)).fetchone() is not None

    def all(self) -> list[Graded]:
        """Return every result, by student and notebook."""
        rows = self._base.execute("SELECT result FROM graded ORDER BY student, notebook")
        return [Graded.from_json(text) for (text,) in rows]

    def keep_only(self, present: Iterable[tuple[str, str]]) -> None:
        """Forget what was graded of submissions that are no longer there."""
        there = set(present)
        rows = self._base.execute("SELECT student, notebook FROM graded").fetchall()
        gone = [row for row in rows if tuple(row) not in there]
        self._base.execute("BEGIN IMMEDIATE")
        self._base.executemany("DELETE FROM graded WHERE student = ? AND notebook = ?", gone)
        self._base.execute("COMMIT")

    def setting(self, name: str, default: str) -> str:
        """Return a setting; the first `default` that is given stays."""
        self._base.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default))
        (value,) = self._base.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(value)
