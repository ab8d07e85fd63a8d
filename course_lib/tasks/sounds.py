"""Spoken digits: recordings of people, from whichever form of them is on this machine."""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import numpy as np

from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import store
from course_lib.tasks.decoded import Arrays, decoded
from course_lib.tasks.task import Split, Task
from course_lib.tasks.wav import RATE, read_wav

NAME = "spoken_digits"
SAMPLES = RATE
"""Every sound is cut or filled up with silence to one second."""

CLASSES = tuple("0123456789")
TEST_TAKES = 5
"""Takes 0 to 4 of every speaker and digit are the authors' test set."""

_FILE = re.compile(r"([0-9])_([A-Za-z][A-Za-z0-9-]*)_([0-9]+)\.wav")
_LARGEST = 10_000_000  # bytes of one recording: a digit takes a few thousand


def spoken_digits(
    train: int | None = None,
    *,
    speakers: Sequence[str] | None = None,
    test_takes: int = TEST_TAKES,
    seed: int = 0,
    source: str | Path | None = None,
) -> Task:
    """Return the Free Spoken Digit Dataset: people saying "zero" to "nine", fifty times each.

    Recordings of 8,000 samples per second, cut to the word. Sounds are placed at the beginning of one second
    and filled up with silence; the few that are longer lose their end. Looked for, in this order, in `source`
    alone when given; else in ``$COURSE_DATA`` and the course's cache.

    Every speaker is in every split, in recordings (takes) of his own: takes 0 to 4 are the test set, as its
    authors have it, the next five the validation set. That tells how well a **known** voice is
    understood. For a voice never heard, use `leave_one_domain_out`.

    Parameters
    ----------
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all.
    speakers : sequence of str, optional
        First names. Default: all that the data set on this machine has; releases differ.
    test_takes : int
        How many takes of each digit and speaker are kept for testing. 5 is the authors' convention and leaves
        50 test sounds per speaker, on which no interval is narrower than about 12 points; 20 halves it.
    seed : int
        Of the subset.
    source : path, optional
        The official archive, its unpacked folder, or a zip or folder of ``DIGIT_SPEAKER_TAKE.wav``.

    Returns
    -------
    Task
        Sounds ``(n, 8000)`` float32, -1 to 1; `Split.groups` holds the speakers.

    Raises
    ------
    BadInput
        When a speaker is not there, a recording cannot be read, or too few takes are left to train with.
    DataUnavailable
        When it is not on this machine; says how to get it.
    Corrupt
        When an archive is truncated or altered.
    """
    found = store.find(NAME, source)
    if found is None:
        raise DataUnavailable(f"{NAME} is not on this machine.", store.remedy(NAME))
    arrays = decoded(f"{NAME}-1-{_stamp(found.path)}", lambda: _decode(found))
    known = sorted(set(arrays["speaker"].tolist()))
    chosen = known if speakers is None else list(speakers)
    unknown = sorted(set(chosen) - set(known))
    if unknown or not chosen:
        raise BadInput(f"speakers={chosen}.", f"This release has {', '.join(known)}.")
    if not 1 <= test_takes <= int(arrays["take"].max()) - 5:
        raise BadInput(f"test_takes={test_takes}.", "Give 5, or up to 40: takes are counted from 0 to 49.")
    here = np.isin(arrays["speaker"], chosen)
    take, wanted = arrays["take"], store.entry(NAME)
    member = {
        "train": take >= test_takes + 5,
        "validation": (take >= test_takes) & (take < test_takes + 5),
        "test": take < test_takes,
    }

    def split(part: str) -> Split:
        rows = np.flatnonzero(here & member[part])
        x, y, ids, who = (arrays[name][rows] for name in ("x", "y", "ids", "speaker"))
        return Split(x, y, CLASSES, f"{NAME}/{part}", "spoken digits", ids, who)

    task = Task(
        name=NAME,
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
        class_names=CLASSES,
        domain="spoken digits",
        licence=wanted.licence,
        citation=wanted.citation,
        note=f"{_EDITIONS[found.form]}; {len(chosen)} speakers, takes 0 to {test_takes - 1} for test",
    )
    return task if train is None else task.subset(train, seed=seed)


_EDITIONS = {
    "archive": "official archive",
    "unpacked": "official archive, unpacked",
    "zip": "zip of recordings",
    "folder": "folder of recordings",
}


def _stamp(path: Path) -> str:
    """Name this very file or folder: a changed one is decoded anew."""
    paths = [path] if path.is_file() else sorted(path.rglob("*.wav"))
    digest = blake2b(str(path.resolve()).encode(), digest_size=10)
    for item in paths:
        stat = item.stat()
        digest.update(f"{item.name}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    return digest.hexdigest()


Recording = tuple[str, Callable[[], bytes]]  # file name, bytes


def _decode(found: store.Found) -> Arrays:
    """Read every recording of the form that was found, in the order of their names."""
    path = found.path
    if found.form == "archive" and store.sha256_of(path) != store.entry(NAME).sha256:
        raise Corrupt(f"{path} is not the published file: its SHA-256 differs.", store.remedy(NAME))
    try:
        if found.form == "archive":
            with tarfile.open(path) as archive:
                return _arrays(_in_tar(archive), path)
        if found.form == "zip":
            with zipfile.ZipFile(path) as archive:
                return _arrays(_in_zip(archive), path)
        return _arrays(((p.name, p.read_bytes) for p in path.rglob("*.wav")), path)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Corrupt(f"{path.name} is damaged or incomplete: {error}", "Copy it again.") from error


def _in_tar(archive: tarfile.TarFile) -> Iterator[Recording]:
    for member in archive:
        stream = archive.extractfile(member) if member.isfile() and member.size <= _LARGEST else None
        if stream is not None:
            yield PurePosixPath(member.name).name, stream.read


def _in_zip(archive: zipfile.ZipFile) -> Iterator[Recording]:
    for member in archive.infolist():
        if member.file_size <= _LARGEST:
            yield PurePosixPath(member.filename).name, partial(archive.read, member)


def _arrays(recordings: Iterator[Recording], path: Path) -> Arrays:
    rows: dict[tuple[str, int, int], np.ndarray] = {}
    for name, read in recordings:
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        digit, speaker, take = int(match[1]), match[2].lower(), int(match[3])
        try:
            rows[speaker, digit, take] = one_second(read_wav(read()))
        except BadInput as error:
            raise BadInput(f"{path}: {name}. {error.problem}", error.remedy) from error
    if not rows:
        raise BadInput(f"{path} holds no recordings.", "Expected files DIGIT_SPEAKER_TAKE.wav.")
    keys = sorted(rows)
    return {
        "x": np.stack([rows[key] for key in keys]),
        "y": np.array([digit for _, digit, _ in keys], np.int64),
        "speaker": np.array([speaker for speaker, _, _ in keys]),
        "take": np.array([take for _, _, take in keys], np.int64),
        "ids": np.array([f"{digit}_{speaker}_{take}" for speaker, digit, take in keys]),
    }


def one_second(x: np.ndarray, samples: int = SAMPLES) -> np.ndarray:
    """Return a sound cut, or filled up with silence, to `samples`, float32.

    Examples
    --------
    >>> one_second(np.ones(3), samples=5).tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """
    out = np.zeros(samples, np.float32)
    out[: len(x)] = x[:samples]
    return out
