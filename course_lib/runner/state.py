"""What a run has finished, kept so that it survives Ctrl-C, kill and a power cut."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from course_lib.errors import CourseError

UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOTDIR}


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass
class Record:
    """One notebook of the last run: `status` is ``"ok"`` or ``"failed"``; `run` the run that executed it."""

    status: str
    run: str
    key: str
    edition: str
    seconds: float
    peak_bytes: int
    problem: str = ""


@dataclass
class State:
    """The file ``build/state.json``.

    Attributes
    ----------
    run : str
        Name of the run that was started last.
    finished : bool
        Whether it came to its end (with failures or without).
    records : dict of str to Record
        By notebook name.
    """

    path: Path
    run: str = ""
    finished: bool = True
    records: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read `path`; a missing or damaged file is an empty state."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            records = {name: Record(**record) for name, record in raw["records"].items()}
            return cls(path, str(raw["run"]), bool(raw["finished"]), records)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path)

    def save(self) -> None:
        """Write the file."""
        records = {name: asdict(record) for name, record in sorted(self.records.items())}
        content = {"run": self.run, "finished": self.finished, "records": records}
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")

    def begin(self, fresh: bool) -> bool:
        """Begin a run; return True when it goes on with an interrupted one."""
        goes_on = not self.finished and not fresh and bool(self.run)
        if not goes_on:
            self.run = uuid.uuid4().hex[:12]
        self.finished = False
        self.save()
        return goes_on

    def done(self, name: str, key: str, edition: str) -> bool:
        """Tell whether this very run has already executed this very notebook without a failure."""
        record = self.records.get(name)
        return (
            record is not None
            and (record.run, record.status, record.key, record.edition) == (self.run, "ok", key, edition)
            and (self.path.parent / "notebooks" / f"{name}.ipynb").is_file()
        )


@contextlib.contextmanager
def only_one(build: Path, command: str = "course run", option: str = "--build") -> Iterator[None]:
    """Hold `build` for one run at a time.

    Raises
    ------
    CourseError
        When another run holds it, or the folder cannot be written.
    """
    try:
        build.mkdir(parents=True, exist_ok=True)
        with FileLock(build / ".lock", timeout=0):
            yield
    except Timeout:
        raise CourseError(
            f"Another `{command}` is writing to {build}.",
            f"Wait for it to end, or give this one a folder of its own with {option}.",
        ) from None
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise CourseError(
            f"{build} cannot be written: {error}.",
            f"Free some disk or name another folder with {option}; what is finished is kept.",
        ) from None
