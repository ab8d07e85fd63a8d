"""What the Hugging Face hub answers when it does not give a file, told in the course's words."""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from course_lib.errors import BadInput, CourseError, DataUnavailable

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that the hub may ask to wait in all, before it is said instead of waited for."""

_UNSAID = 5.0  # seconds counted for "too many requests" without a word about how long
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


@dataclass(frozen=True)
class Asked:
    """What is asked of the hub, for its errors to be told.

    Parameters
    ----------
    name : str
        Of the repository.
    where : str
        Address of the hub or of its mirror.
    revision : str
    cache : str
        Folder that the hub library keeps its files in.
    instead : str
        What can be used where the repository cannot be had.
    """

    name: str
    where: str
    revision: str
    cache: str
    instead: str

    @property
    def log_in(self) -> str:
        """How a token is given."""
        return "run `hf auth login` or set HF_TOKEN"

    @property
    def copying(self) -> str:
        """How files come to a machine that cannot fetch them."""
        return (
            f"Set HF_ENDPOINT to a mirror that can be reached, or copy {self.cache} from a machine that has "
            f"it. {self.instead}"
        )


@contextmanager
def in_words(asked: Asked) -> Iterator[None]:
    """Turn the hub library's errors into the course's; bound how long it waits; keep its log to itself.

    Raises
    ------
    BadInput
        When there is no such revision, or the name is none.
    DataUnavailable
        When the hub does not give the files, or the disk does not take them.
    """
    from huggingface_hub import errors

    of_the_library = (errors.HTTPError, errors.EntryNotFoundError, OSError, RuntimeError, ValueError)
    with _quiet(), _bounded(asked):
        try:
            yield
        except CourseError:
            raise
        except of_the_library as error:
            raise _said(error, asked) from error


def _said(error: Exception, asked: Asked) -> CourseError:
    """Return the course's error for one of the hub library's."""
    from huggingface_hub import errors

    cause = error.__cause__
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(cause, Exception):
        error = cause  # it only says that a file is not here; its cause says why it did not come
    response = getattr(error, "response", None)
    if isinstance(error, errors.GatedRepoError):
        return DataUnavailable(
            f"{asked.name} is gated at {asked.where}: its authors ask you to accept their licence first.",
            f"Accept it at {asked.where}/{asked.name}, then {asked.log_in}. {asked.instead}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return BadInput(
            f"{asked.name} has no revision {asked.revision!r} at {asked.where}.",
            "Give a commit, a branch or a tag that its page lists; a mirror may lag behind the hub.",
        )
    if isinstance(error, errors.HFValidationError):
        return BadInput(f"{asked.name!r} is no name of a repository.", "Names look like AUTHOR/NAME.")
    if isinstance(error, errors.HfHubHTTPError) and response is not None:
        return _refused(response, isinstance(error, errors.RepositoryNotFoundError), asked)
    if isinstance(error, errors.LocalEntryNotFoundError):
        return DataUnavailable(f"{asked.name} is not on this machine.", asked.copying)
    return _broken(error, asked)


def _refused(response: Any, unknown: bool, asked: Asked) -> CourseError:
    """Return the error for an answer of the hub other than the file."""
    status = int(response.status_code)
    if status == 401 and "credentials" in response.headers.get("X-Error-Message", ""):
        return DataUnavailable(
            f"{asked.where} does not know the token that was sent (HTTP 401).",
            f"To have a new one, {asked.log_in}; unset HF_TOKEN for what is public. {asked.instead}",
        )
    if unknown or status in (401, 403, 404):
        return DataUnavailable(
            f"{asked.where} does not show {asked.name} (HTTP {status}): there is none, or it is private or "
            "gated.",
            f"Check the name at {asked.where}; for a private or gated one accept its licence on its page, "
            f"then {asked.log_in}. {asked.instead}",
        )
    if status == 429:
        return too_busy(asked, _seconds(response))
    return DataUnavailable(
        f"{asked.where} is out of order: HTTP {status} for {asked.name}.",
        f"Try again later, or set HF_ENDPOINT to a mirror. {asked.instead}",
    )


def _broken(error: Exception, asked: Asked) -> CourseError:
    """Return the error for a connection that broke, an answer that makes no sense, or a full disk."""
    from huggingface_hub import errors

    why = f"{type(error).__name__}: {_short(error)}".removesuffix(": ")
    if isinstance(error, OSError) and error.errno in _DISK:
        return DataUnavailable(
            f"{asked.name} cannot be stored in {asked.cache}: {error.strerror}.",
            f"Make room there, or set HF_HOME to a folder that can be written. {asked.instead}",
        )
    if isinstance(error, errors.FileMetadataError | ValueError) and not isinstance(error, errors.HTTPError):
        return DataUnavailable(
            f"{asked.where} does not answer as the hub does ({why}).",
            "A firewall or a wrong HF_ENDPOINT may stand between: open the address in a browser. "
            f"{asked.instead}",
        )
    again = "Run it again: files that came whole are kept."
    if "Consistency check failed" in str(error):
        return DataUnavailable(
            f"The download of {asked.name} from {asked.where} broke off: fewer bytes came than announced.",
            f"{again} {asked.instead}",
        )
    xet = "HF_HUB_DISABLE_XET=1 takes the plain way. " if "xet" in why.lower() else ""
    return DataUnavailable(
        f"{asked.name} did not come from {asked.where}: {why}.",
        f"Check the connection. {again} {xet}{asked.copying}",
    )


def patiently(ask: Callable[[], T]) -> T:
    """Return what `ask` returns, asked again where the hub says "later"; `in_words` bounds how often."""
    from huggingface_hub.errors import HfHubHTTPError

    while True:
        try:
            return ask()
        except HfHubHTTPError as error:
            if error.response.status_code != 429:
                raise
            time.sleep(_seconds(error.response))


def too_busy(asked: Asked, seconds: float) -> DataUnavailable:
    """Return the error for a hub that wants fewer requests."""
    wait = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return DataUnavailable(
        f"{asked.where} has had too many requests from here (HTTP 429) and asks to wait {wait}.",
        f"Try again in {wait}: files that came whole are kept. Logged in (`hf auth login`) one may ask more "
        f"often. {asked.instead}",
    )


@contextmanager
def _bounded(asked: Asked) -> Iterator[None]:
    """Make the hub library give up when the hub asks to wait longer than `PATIENCE` in all.

    The library waits for as long as the hub says, five times, which in a notebook looks like a hang.
    """
    from huggingface_hub import get_session

    waited = 0.0

    def watch(response: Any) -> None:
        nonlocal waited
        if response.status_code == 429:
            waited += _seconds(response)
            if waited > PATIENCE:
                raise too_busy(asked, _seconds(response))

    client = get_session()
    before: dict[str, list[Callable[..., Any]]] = client.event_hooks
    client.event_hooks = {**before, "response": [*before.get("response", []), watch]}
    try:
        yield
    finally:
        client.event_hooks = before


def _seconds(response: Any) -> float:
    """Return how long a "too many requests" asks to wait."""
    given = response.headers.get("Retry-After", "").strip()
    reset = re.search(r"\bt=(\d+)", response.headers.get("RateLimit", ""))
    if given.isdigit():
        return float(given)
    return float(reset.group(1)) if reset else _UNSAID


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the hub library logs, and what it would tell the hub about this machine, to ourselves."""
    from huggingface_hub import constants

    log = logging.getLogger("huggingface_hub")
    level, telemetry = log.level, constants.HF_HUB_DISABLE_TELEMETRY
    log.setLevel(logging.CRITICAL)
    constants.HF_HUB_DISABLE_TELEMETRY = True  # read from the environment at import, which may be long past
    try:
        yield
    finally:
        log.setLevel(level)
        constants.HF_HUB_DISABLE_TELEMETRY = telemetry


def _short(error: Exception) -> str:
    """Return an error's first line without what follows a question mark in addresses: it may be a secret."""
    lines = str(error).strip().splitlines() or [""]
    return re.sub(r"\?\S+", "?…", lines[0])[:200]
