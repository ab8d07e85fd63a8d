"""One file over HTTP: resumed where it broke off, never trusted before it is verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

Report = Callable[[int, int], None]  # bytes done, bytes in all
Timeout = tuple[float, float]  # seconds to connect, seconds without a byte

_CHUNK = 1 << 16  # what is lost at most when a connection goes silent
_FRUITLESS = 2  # attempts in a row that bring nothing new before an address is given up


class Refused(Exception):
    """An address will not give the file; the message says why."""


class CannotStore(Exception):
    """The disk does not take the bytes; `__cause__` is the OSError."""


class _Interrupted(Exception):
    """The connection broke; what came so far is kept."""


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "empty"
    ...     _ = path.write_bytes(b"")
    ...     sha256_of(path)[:16]
    'e3b0c44298fc1c14'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(address: str, part: Path, size: int, timeout: Timeout, report: Report) -> None:
    """Bring `part` to `size` bytes from `address`, going on from the bytes it holds.

    A connection that breaks is taken up again (HTTP Range) for as long as each attempt brings
    something; a server that knows no ranges is read from the start.

    Parameters
    ----------
    address : str
        HTTP or HTTPS.
    part : pathlib.Path
        Unfinished file, kept when the download fails.
    size : int
        Bytes that the whole file must have.
    timeout : tuple of float
        Seconds to connect, and seconds to wait for the next bytes.
    report : callable
        Called with bytes done and bytes in all.

    Raises
    ------
    Refused
        When the address does not give the file.
    CannotStore
        When `part` cannot be written.
    """
    most, fruitless = size_of(part), 0
    while size_of(part) != size:
        try:
            _request(address, part, size, timeout, report)
        except _Interrupted as error:
            now = size_of(part)
            fruitless = 0 if now > most else fruitless + 1
            most = max(most, now)
            if fruitless >= _FRUITLESS:
                raise Refused(f"{error} after {now:,} of {size:,} bytes") from error


def _request(address: str, part: Path, size: int, timeout: Timeout, report: Report) -> None:
    """Ask once for the missing bytes and append what comes."""
    import requests

    have = size_of(part)
    if have > size:
        part.unlink()
        have = 0
    # identity: some servers label .tar.gz as an encoding, and it would arrive unpacked.
    headers = {"Accept-Encoding": "identity", "User-Agent": "carryover-course"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = requests.get(address, headers=headers, stream=True, timeout=timeout)
    except requests.exceptions.ConnectTimeout as error:
        raise Refused(f"no connection within {timeout[0]:g} s") from error
    except requests.exceptions.ReadTimeout as error:
        raise _Interrupted(f"no answer within {timeout[1]:g} s") from error
    except requests.exceptions.RequestException as error:
        raise Refused(f"no connection ({_root_cause(error)})") from error
    with response:
        start = _start(response, have, size, part)
        _append(_chunks(response, timeout), part, start, size, report)
    if size_of(part) < size:
        raise _Interrupted("the connection ended")


def _start(response: object, have: int, size: int, part: Path) -> int:
    """Return the offset at which the response begins, having checked that it is our file."""
    status: int = response.status_code  # type: ignore[attr-defined]
    headers: dict[str, str] = response.headers  # type: ignore[attr-defined]
    if status == 416:  # what we hold is no beginning of what they have
        part.unlink(missing_ok=True)
        raise _Interrupted("the server could not resume")
    if status not in (200, 206):
        raise Refused(f"HTTP {status} {response.reason}".rstrip())  # type: ignore[attr-defined]
    if status == 206:
        begin, _, total = headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if total not in ("*", str(size)):
            raise Refused(f"the file there has {total or 'an unknown number of'} bytes instead of {size:,}")
        if begin.split("-")[0] != str(have):
            part.unlink(missing_ok=True)
            raise _Interrupted("the server resumed at the wrong place")
        return have
    length = headers.get("Content-Length", "")
    if length.isdigit() and int(length) != size:
        kind = headers.get("Content-Type", "unknown type")
        raise Refused(f"answered with {int(length):,} bytes of {kind} instead of {size:,} bytes")
    return 0


def _chunks(response: object, timeout: Timeout) -> Iterator[bytes]:
    """Yield the body as sent, turning a broken connection into `_Interrupted`."""
    import urllib3

    try:
        yield from response.raw.stream(_CHUNK, decode_content=False)  # type: ignore[attr-defined]
    except urllib3.exceptions.ReadTimeoutError as error:
        raise _Interrupted(f"nothing came for {timeout[1]:g} s") from error
    except (urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise _Interrupted("the connection broke") from error


def _append(chunks: Iterator[bytes], part: Path, start: int, size: int, report: Report) -> None:
    """Write `chunks` to `part` from offset `start` on."""
    done = start
    try:
        file = part.open("ab" if start else "wb")
    except OSError as error:
        raise CannotStore(str(error)) from error
    with file:
        for chunk in chunks:
            done += len(chunk)
            if done > size:
                raise Refused(f"sends more than the {size:,} bytes of the file")
            write(file, chunk)
            report(done, size)
        flush(file)


def write(file: object, chunk: bytes) -> None:
    """Write to an open file.

    Raises
    ------
    CannotStore
        When the disk is full or gone.
    """
    try:
        file.write(chunk)  # type: ignore[attr-defined]
    except OSError as error:
        raise CannotStore(str(error)) from error


def flush(file: object) -> None:
    """Bring an open file's bytes to the disk itself.

    Raises
    ------
    CannotStore
        When the disk is full or gone.
    """
    try:
        file.flush()  # type: ignore[attr-defined]
        os.fsync(file.fileno())  # type: ignore[attr-defined]
    except OSError as error:
        raise CannotStore(str(error)) from error


def _root_cause(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, in few words."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    text = str(reason)
    return text.rsplit(": ", 1)[-1][:120] if text else type(error).__name__
