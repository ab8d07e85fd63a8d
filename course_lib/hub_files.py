"""Files of the Hugging Face hub: found in its cache or downloaded, verified, and only then read.

A repository is pinned to a commit. Where none is pinned, the branch is looked up once, at the first download:
its commit and the SHA-256 of every file are recorded in the course's cache, and later loads are verified
against that record without asking the hub. To move on to a newer commit, name it.

Files are kept where the hub library keeps them (``$HF_HOME``), so that what other programs downloaded
is found. ``$HF_ENDPOINT`` may name a mirror.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from course_lib.errors import Corrupt, DataUnavailable
from course_lib.hub_errors import Asked, in_words, patiently
from course_lib.paths import cache_dir, offline

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT = 10.0  # seconds without an answer


@dataclass(frozen=True)
class Repository:
    """A repository of the hub.

    Parameters
    ----------
    name : str
        ``author/name``.
    kind : {"model", "dataset"}
    commit : str
        The commit that the course uses; empty where the branch ``main`` is looked up once and recorded.
    sha256 : mapping of str to str
        Published SHA-256 of some of its files, by name.
    instead : str
        What can be used where the repository cannot be had; the last sentence of every remedy.
    """

    name: str
    kind: str = "model"
    commit: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""

    @property
    def folder_name(self) -> str:
        """Name of its folder in the hub's cache.

        Examples
        --------
        >>> Repository("google-bert/bert-base-chinese").folder_name
        'models--google-bert--bert-base-chinese'
        """
        return f"{self.kind}s--{self.name.replace('/', '--')}"


@dataclass(frozen=True)
class File:
    """What a file of a repository must be, as far as it is known.

    Parameters
    ----------
    bytes : int or None
    sha256 : str or None
    git : str or None
        SHA-1 by which git names the content: all that the hub announces for small files.
    """

    bytes: int | None = None
    sha256: str | None = None
    git: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit.

    Parameters
    ----------
    repository : Repository
    revision : str
        What was asked for: a commit, a branch or a tag.
    commit : str
        40 hexadecimal digits.
    files : mapping of str to File
        All its files, by name.
    complete : bool
        False where the hub could not be asked and `files` are those that happen to be here.
    """

    repository: Repository
    revision: str
    commit: str
    files: Mapping[str, File]
    complete: bool = True

    @property
    def folder(self) -> Path:
        """Where its files lie once they were brought."""
        return hub_cache() / self.repository.folder_name / "snapshots" / self.commit

    def holds(self, names: Iterable[str]) -> bool:
        """Tell whether files are on this machine, unverified."""
        return all((self.folder / name).is_file() for name in names)

    def bring(self, names: Iterable[str]) -> Snapshot:
        """Download what is not here yet and verify all of it.

        Parameters
        ----------
        names : iterable of str
            Keys of `files`.

        Returns
        -------
        Snapshot
            The same, with what is now known of these files; they lie in `folder`.

        Raises
        ------
        DataUnavailable
            When a file cannot be had.
        Corrupt
            When a file is not what the course, the record or the hub says; it is removed.
        """
        known = dict(self.files)
        with in_words(_asked(self.repository, self.revision)):
            for name in names:
                path = self._local(name)
                known[name] = _checked(self.repository, name, path, known[name])
        return replace(self, files=known)

    def record(self) -> Path:
        """Write down commit and digests, so that the same files are loaded from now on; return the folder."""
        if self.complete and _read_record(self.repository, self.revision) != self:
            _write_record(self)
        return self.folder

    def incomplete(self) -> DataUnavailable:
        """Return the error for files that are needed and not among those that happen to be here."""
        return DataUnavailable(
            f"Only a part of {self.repository.name} is on this machine, and the hub cannot be asked for the "
            "rest.",
            _asked(self.repository).copying,
        )

    def _local(self, name: str) -> Path:
        """Return a file's path, downloaded when it is not there."""
        from huggingface_hub import hf_hub_download

        if why_offline() and not (self.folder / name).is_file():
            raise _not_here(self.repository, name)
        found = hf_hub_download(
            self.repository.name,
            name,
            repo_type=self.repository.kind,
            revision=self.commit,
            cache_dir=hub_cache(),
            endpoint=endpoint(),
            local_files_only=bool(why_offline()),
            etag_timeout=_TIMEOUT,
            library_name="carryover",
            tqdm_class=_Bar,
        )
        return Path(found)


def snapshot(repository: Repository, revision: str | None = None) -> Snapshot:
    """Return a repository at a commit: from the record, else from the hub, else from the hub's cache.

    Parameters
    ----------
    repository : Repository
    revision : str, optional
        A commit, branch or tag. Default: the pinned commit, or ``main``.

    Raises
    ------
    BadInput
        When there is no such revision.
    DataUnavailable
        When the hub cannot be asked and nothing is here.
    Corrupt
        When the hub announces other bytes than were published.
    """
    wanted = revision or repository.commit or "main"
    found = _read_record(repository, wanted)
    if found is None:
        found = _announced_or_cached(repository, wanted)
        for name, digest in _published(repository, found.commit).items():
            said = found.files.get(name, File()).sha256
            if said and said != digest:
                raise Corrupt(
                    f"{endpoint()} announces {name} of {repository.name} with SHA-256 {said[:16]}…; "
                    f"published was {digest[:16]}….",
                    f"Take the hub itself: unset HF_ENDPOINT. {repository.instead}",
                )
    pinned = {
        name: replace(found.files[name], sha256=digest)
        for name, digest in _published(repository, found.commit).items()
        if name in found.files
    }
    return replace(found, files={**found.files, **pinned})


def local(repository: Repository, revision: str | None = None) -> Snapshot | None:
    """Return what is on this machine of a repository, recorded or cached, unverified; asks nobody."""
    wanted = revision or repository.commit or "main"
    return _read_record(repository, wanted) or _cached(repository, wanted)


def endpoint() -> str:
    """Return the address of the hub, or of the mirror that ``$HF_ENDPOINT`` names now.

    The hub library reads the variable when it is imported; in a notebook that is often too early.
    """
    from huggingface_hub import constants

    address: str = os.environ.get("HF_ENDPOINT", "").strip() or constants.ENDPOINT
    return address.rstrip("/")


def hub_cache() -> Path:
    """Return the folder in which the hub library keeps files: ``$HF_HUB_CACHE``, else ``$HF_HOME/hub``."""
    from huggingface_hub import constants

    chosen, home = os.environ.get("HF_HUB_CACHE", "").strip(), os.environ.get("HF_HOME", "").strip()
    if chosen:
        return Path(os.path.expandvars(chosen)).expanduser()
    return Path(os.path.expandvars(home)).expanduser() / "hub" if home else Path(constants.HF_HUB_CACHE)


def why_offline() -> str:
    """Return the variable that forbids the network, empty where none does."""
    if offline():
        return "COURSE_OFFLINE"
    said = os.environ.get("HF_HUB_OFFLINE", "").strip().upper()
    return "HF_HUB_OFFLINE" if said in {"1", "ON", "YES", "TRUE"} else ""


def _asked(repository: Repository, revision: str = "") -> Asked:
    return Asked(repository.name, endpoint(), revision, str(hub_cache()), repository.instead)


def _not_here(repository: Repository, name: str = "") -> DataUnavailable:
    what = f"{name} of {repository.name}" if name else repository.name
    return DataUnavailable(
        f"{what} is not on this machine and {why_offline()} is set.",
        f"Unset {why_offline()} where there is a network. {_asked(repository).copying}",
    )


def _published(repository: Repository, commit: str) -> Mapping[str, str]:
    """Return the published SHA-256s; those of the pinned commit say nothing about another."""
    return repository.sha256 if commit == repository.commit else {}


def _announced_or_cached(repository: Repository, wanted: str) -> Snapshot:
    """Return what the hub says; where it cannot be asked, what its cache holds."""
    cached = _cached(repository, wanted)
    if why_offline():
        if cached is None:
            raise _not_here(repository)
        return cached
    try:
        return _announced(repository, wanted)
    except DataUnavailable:
        if cached is None:
            raise
        return cached


def _announced(repository: Repository, wanted: str) -> Snapshot:
    """Ask the hub for the commit and its files."""
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint(), library_name="carryover")
    with in_words(_asked(repository, wanted)):
        told = patiently(
            lambda: hub.repo_info(
                repository.name,
                repo_type=repository.kind,
                revision=wanted,
                timeout=_TIMEOUT,
                files_metadata=True,
            )
        )
    commit = str(told.sha or "")
    if not _COMMIT.fullmatch(commit) or (_COMMIT.fullmatch(wanted) and commit != wanted):
        raise DataUnavailable(
            f"{endpoint()} answers for {repository.name} with commit {commit!r}; asked for was {wanted!r}.",
            f"Take the hub itself: unset HF_ENDPOINT. {repository.instead}",
        )
    files = {
        sibling.rfilename: File(sibling.size, sibling.lfs.sha256 if sibling.lfs else None, sibling.blob_id)
        for sibling in told.siblings or ()
    }
    # git's name of a large file is that of a pointer to it
    files = {name: replace(file, git=None) if file.sha256 else file for name, file in files.items()}
    return Snapshot(repository, wanted, commit, files)


def _cached(repository: Repository, wanted: str) -> Snapshot | None:
    """Return what the hub's cache holds of a revision: what another program downloaded, or was copied."""
    root = hub_cache() / repository.folder_name
    commit = wanted
    try:
        if not _COMMIT.fullmatch(wanted):
            commit = (root / "refs" / wanted).read_text("utf8").strip()
        folder = root / "snapshots" / commit
        paths = [path for path in folder.rglob("*") if path.is_file()]
    except OSError:
        return None
    files = {path.relative_to(folder).as_posix(): _named_by_content(path) for path in paths}
    return Snapshot(repository, wanted, commit, files, complete=False) if files else None


def _named_by_content(path: Path) -> File:
    """Return what a cached file must be: the cache names contents by their SHA-256 or by git's SHA-1."""
    digest = path.readlink().name if path.is_symlink() else ""
    if re.fullmatch(r"[0-9a-f]{64}", digest):
        return File(sha256=digest)
    return File(git=digest) if _COMMIT.fullmatch(digest) else File()


def _checked(repository: Repository, name: str, path: Path, wanted: File) -> File:
    """Return what a file is, having compared it with what it must be; remove it where they differ."""
    stat = path.stat()
    stamp = (path, stat.st_size, stat.st_mtime_ns)
    digest = _digest(*stamp, "sha256")
    if wanted.sha256:
        wrong = digest != wanted.sha256
    else:
        wrong = bool(wanted.git) and _digest(*stamp, "git") != wanted.git
    if wrong or wanted.bytes not in (None, stat.st_size):
        path.resolve().unlink(missing_ok=True)  # the content; `path` is a link to it
        path.unlink(missing_ok=True)
        raise Corrupt(
            f"{name} of {repository.name} is not the published file: {stat.st_size:,} bytes with SHA-256 "
            f"{digest[:16]}…. It was removed, not loaded.",
            f"Run it again to download it anew; where that does not help, {endpoint()} gives altered files. "
            f"{repository.instead}",
        )
    return File(stat.st_size, digest, wanted.git)


@cache
def _digest(path: Path, size: int, changed_ns: int, how: str) -> str:
    """Return a file's digest; size and time of change are there so that a new file is read anew."""
    with path.open("rb") as stream:
        if how == "sha256":
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def _record(repository: Repository, revision: str) -> Path:
    return cache_dir("hub") / f"{repository.folder_name}@{quote(revision, safe='')}.json"


def _read_record(repository: Repository, revision: str) -> Snapshot | None:
    """Return what was recorded at the first download; None when there is no record that can be read."""
    try:
        told = json.loads(_record(repository, revision).read_text("utf8"))
        files = {str(name): File(**file) for name, file in told["files"].items()}
        return Snapshot(repository, revision, str(told["commit"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_record(found: Snapshot) -> None:
    """Record a snapshot; where nothing can be written, the next load asks the hub again."""
    path = _record(found.repository, found.revision)
    draft = path.with_name(f".{uuid4().hex}.part")
    told = {
        "repository": found.repository.name,
        "commit": found.commit,
        "files": {name: vars(file) for name, file in sorted(found.files.items())},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(told, indent=1), "utf8")
        draft.replace(path)
    except OSError:
        return


class _Bar:
    """What the hub library calls to show progress, passed on to the course's own line."""

    def __init__(self, *_: Any, desc: str = "", total: float | None = None, **__: Any) -> None:
        from course_lib.show.progress import Progress

        self._line = Progress(f"downloading {desc}", round((total or 0) / 1e6), "MB")
        self._line.__enter__()
        self._bytes = 0.0
        self._open = True

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, n: float | None = 1) -> None:
        """Say that `n` more bytes were received."""
        self._bytes += n or 0
        self._line.update(int(self._bytes / 1e6) - self._line.done)

    def close(self) -> None:
        """End the line."""
        if self._open:
            self._open = False
            self._line.__exit__(None, None, None)

    def update_transfer(self, n: float | None = 1) -> None:
        """Ignore bytes counted a second time."""

    def set_postfix_str(self, text: str = "", refresh: bool = True) -> None:
        """Ignore the library's own rate."""

    def set_transfer_postfix_str(self, text: str = "", refresh: bool = True) -> None:
        """Ignore the library's own rate."""
