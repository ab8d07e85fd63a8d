"""Sentence pairs of the Hugging Face hub in many languages: XNLI and PAWS-X."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.hub_files import Repository, Snapshot, local, snapshot, why_offline
from course_lib.paths import cache_dir
from course_lib.tasks.store import Status
from course_lib.tasks.task import Split, Task, stratified_rows

PARTS = ("train", "validation", "test")
_INSTEAD = "Packaged, without a network: tasks.topics() and tasks.parallel_sentences()."


@dataclass(frozen=True)
class Published:
    """A data set of sentence pairs and how it is laid out.

    Parameters
    ----------
    repository : Repository
        With a folder per language that holds ``PART-*.parquet``.
    languages : dict of str to str
        Tag and name.
    columns : tuple of str
        The two sentences.
    number : str
        Column that numbers the pairs, the same in every language; empty where the row does.
    class_names : tuple of str
    licence, citation : str
    english, translated : str
        Notes for the English edition and the others.
    """

    repository: Repository
    languages: dict[str, str]
    columns: tuple[str, str]
    number: str
    class_names: tuple[str, ...]
    licence: str
    citation: str
    english: str
    translated: str


PUBLISHED: dict[str, Published] = {
    "xnli": Published(
        repository=Repository(
            "facebook/xnli",
            kind="dataset",
            commit="b8dd5d7af51114dbda02c0e3f6133f332186418e",
            instead=_INSTEAD,
        ),
        languages={
            "en": "English",
            "zh": "Chinese",
            "ar": "Arabic",
            "bg": "Bulgarian",
            "de": "German",
            "el": "Greek",
            "es": "Spanish",
            "fr": "French",
            "hi": "Hindi",
            "ru": "Russian",
            "sw": "Swahili",
            "th": "Thai",
            "tr": "Turkish",
            "ur": "Urdu",
            "vi": "Vietnamese",
        },
        columns=("premise", "hypothesis"),
        number="",
        class_names=("entailment", "neutral", "contradiction"),
        licence="CC BY-NC 4.0 (XNLI); training pairs from MultiNLI under the licences of its sources",
        citation='A. Conneau et al. (2018), "XNLI: Evaluating cross-lingual sentence representations", EMNLP',
        english="official splits; training pairs are MultiNLI's",
        translated="official splits; training pairs are machine translations of the English ones "
        "(translate-train), validation and test were translated by people",
    ),
    "pawsx": Published(
        repository=Repository(
            "google-research-datasets/paws-x",
            kind="dataset",
            commit="4cd8187c404bda33cb1f62b49b001115862acf37",
            instead=_INSTEAD,
        ),
        languages={
            "en": "English",
            "zh": "Chinese",
            "de": "German",
            "es": "Spanish",
            "fr": "French",
            "ja": "Japanese",
            "ko": "Korean",
        },
        columns=("sentence1", "sentence2"),
        number="id",
        class_names=("different meaning", "same meaning"),
        licence="free to use for any purpose, Google LLC asks to be named as the source",
        citation='Y. Yang et al. (2019), "PAWS-X: A cross-lingual adversarial dataset for paraphrase '
        'identification", EMNLP-IJCNLP',
        english="official splits",
        translated="official splits; training pairs are machine translations of the English ones "
        "(translate-train), validation and test were translated by people",
    ),
}


def xnli(language: str = "en", train: int | None = None, *, seed: int = 0) -> Task:
    """Return XNLI in one language: whether a premise entails, contradicts or leaves open a hypothesis.

    392,702 training, 2,490 validation and 5,010 test pairs per language, in the official splits. Row n is
    the same pair in every language and has the same id, so that the same `train` and `seed` take translations
    of the same pairs. Training pairs other than the English ones are **machine translations** of these: to
    train on them is "translate-train", to train on English and test on Chinese is "zero-shot".

    Parameters
    ----------
    language : str
        ``"en"``, ``"zh"`` or another of the fifteen: ar, bg, de, el, es, fr, hi, ru, sw, th, tr, ur, vi.
    train : int, optional
        Training labels, stratified and nested; validation shrinks along, as in `Task.subset`. Only the
        sentences that are kept are read into memory. Default: all.
    seed : int
        Of the subset.

    Returns
    -------
    Task
        Pairs ``(n, 2)`` of str: premise, hypothesis.

    Raises
    ------
    BadInput
        An unknown language, or more labels than exist.
    DataUnavailable, Corrupt
        When the files cannot be had from the hub, or are not the published ones.

    References
    ----------
    Conneau et al. (2018), "XNLI: Evaluating cross-lingual sentence representations". The training pairs are
    Williams et al. (2018), MultiNLI.
    """
    return _task("xnli", language, train, seed)


def pawsx(language: str = "en", train: int | None = None, *, seed: int = 0) -> Task:
    """Return PAWS-X in one language: whether two sentences that share their words mean the same.

    49,401 training, 2,000 validation and 2,000 test pairs per language, in the official splits; the few whose
    translation is empty are left out. Translations of one pair share an id; labels are as published for the
    language, and for a few pairs of validation and test they differ between languages. Training pairs
    other than the English ones are **machine translations** of these.

    Parameters
    ----------
    language : str
        ``"en"``, ``"zh"`` or another of the seven: de, es, fr, ja, ko.
    train : int, optional
        As in `xnli`.
    seed : int
        Of the subset.

    Returns
    -------
    Task
        Pairs ``(n, 2)`` of str.

    Raises
    ------
    BadInput, DataUnavailable, Corrupt
        As in `xnli`.

    References
    ----------
    Yang et al. (2019), "PAWS-X: A cross-lingual adversarial dataset for paraphrase identification".
    """
    return _task("pawsx", language, train, seed)


def fetch(name: str, languages: Collection[str] = ("en", "zh")) -> str:
    """Bring a data set's files to this machine and return where they lie.

    Raises
    ------
    DataUnavailable, Corrupt
        As in `xnli`.
    """
    for language in languages:
        found = _brought(name, language)
    return f"{found.folder} ({', '.join(languages)})"


def available(name: str, language: str = "en") -> bool:
    """Tell whether a data set lies on this machine, unverified; touches no network."""
    return _here(PUBLISHED[name], language)


def status(name: str) -> Status:
    """Tell whether a data set is here, and if not, how to get it; touches no network."""
    published = PUBLISHED[name]
    here = [language for language in published.languages if _here(published, language)]
    if here:
        return Status(name, "here", f"{', '.join(here)}, from the hub")
    if why_offline():
        return Status(name, "missing", f"{why_offline()} is set. {_INSTEAD}")
    return Status(name, "downloadable", f"course fetch {name} (from the hub, {published.repository.name})")


def _here(published: Published, language: str) -> bool:
    found = local(published.repository)
    if found is None:
        return False
    names = _files(found, language)
    return all(names.values()) and found.holds(name for part in names.values() for name in part)


def _files(found: Snapshot, language: str) -> dict[str, list[str]]:
    """Return the names of the files of each part."""
    return {
        part: sorted(
            name for name in found.files if re.fullmatch(rf"{language}/{part}-[\w-]+\.parquet", name)
        )
        for part in PARTS
    }


def _brought(name: str, language: str) -> Snapshot:
    """Return the data set with the files of a language on this machine, verified."""
    repository = PUBLISHED[name].repository
    found = snapshot(repository)
    names = _files(found, language)
    missing = [part for part, files in names.items() if not files]
    if missing and not found.complete:
        raise found.incomplete()
    if missing:
        raise DataUnavailable(
            f"{repository.name} has no {language}/{missing[0]}-….parquet at commit {found.commit[:12]}.",
            f"Where HF_ENDPOINT names a mirror, unset it: the hub itself has them. {repository.instead}",
        )
    found = found.bring([file for files in names.values() for file in files])
    found.record()
    return found


def _task(name: str, language: str, train: int | None, seed: int) -> Task:
    published = PUBLISHED[name]
    if language not in published.languages:
        raise BadInput(
            f"language={language!r}; {name} has no such edition.",
            f"Choose one of {', '.join(published.languages)}.",
        )
    found = _brought(name, language)
    whole, domain = f"{name}/{language}", published.languages[language]
    tables = {part: _Table(found, published, part, files) for part, files in _files(found, language).items()}
    rows = {part: table.usable for part, table in tables.items()}
    if train is not None:
        # the same rows as Task.subset takes, chosen before any sentence is read
        few = min(max(train // 4, len(published.class_names)), len(rows["validation"]))
        for part, n in (("train", train), ("validation", few)):
            y = tables[part].labels[rows[part]]
            rows[part] = rows[part][stratified_rows(y, n, seed=seed, what=f"{whole}/{part}")]
    return Task(
        name=whole,
        **{part: table.split(rows[part], f"{whole}/{part}", domain) for part, table in tables.items()},
        class_names=published.class_names,
        domain=domain,
        licence=published.licence,
        citation=published.citation,
        note=published.english if language == "en" else published.translated,
    )


class _Table:
    """A part of a data set, on disk: what is not asked for is not read into memory.

    Parameters
    ----------
    found : Snapshot
    published : Published
    part : str
    files : list of str
    """

    def __init__(self, found: Snapshot, published: Published, part: str, files: list[str]) -> None:
        self._published, self._part = published, part
        self._rows = _mapped([str(found.folder / file) for file in files], found.repository)
        wanted = {*published.columns, "label", published.number} - {""}
        missing = sorted(wanted - set(self._rows.column_names))
        if missing:
            raise Corrupt(
                f"{files[0]} of {found.repository.name} has no column {', '.join(missing)}; it has "
                f"{', '.join(self._rows.column_names)}.",
                found.repository.instead,
            )

    @property
    def labels(self) -> np.ndarray:
        """Labels of all rows, ``(n,)`` int64; -1 where nobody agreed on one."""
        found: np.ndarray = self._column("label").to_numpy().astype(np.int64)
        return found

    @property
    def usable(self) -> np.ndarray:
        """Numbers of the rows that have a label and two sentences, ``(m,)`` int64."""
        import pyarrow.compute as pc

        good = self.labels >= 0
        for name in self._published.columns:
            # piece by piece, so that not all sentences are in memory at once
            lengths = [pc.utf8_length(pc.utf8_trim_whitespace(piece)) for piece in self._column(name).chunks]
            good &= np.concatenate([pc.fill_null(n, 0).to_numpy(zero_copy_only=False) > 0 for n in lengths])
        return np.flatnonzero(good)

    def split(self, rows: np.ndarray, name: str, domain: str) -> Split:
        """Return these rows, in this order."""
        published = self._published
        read = self._rows[rows.tolist()]
        x = np.empty((len(rows), 2), object)
        for side, column in enumerate(published.columns):
            x[:, side] = read[column]
        numbers = read[published.number] if published.number else rows.tolist()
        ids = np.array([f"{self._part}-{number:06d}" for number in numbers], str)
        return Split(x, np.array(read["label"], np.int64), published.class_names, name, domain, ids)

    def _column(self, name: str) -> Any:
        return self._rows.data.column(name)


def _mapped(paths: list[str], repository: Repository) -> Any:
    """Return a ``datasets.Dataset`` over Parquet files, mapped from disk.

    Not ``load_dataset``: that counts each call at a server of its own, reads ``HF_ENDPOINT`` when it is
    imported, and would download what lies here already.
    """
    import datasets

    bars = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return datasets.Dataset.from_parquet(paths, cache_dir=str(cache_dir("hub", "tables")))
    except OSError as error:
        raise DataUnavailable(
            f"{repository.name} cannot be unpacked in {cache_dir('hub')}: {error.strerror or error}.",
            "Make room there, or set COURSE_CACHE to a folder that can be written.",
        ) from error
    except (datasets.exceptions.DatasetsError, ValueError) as error:
        raise Corrupt(
            f"A file of {repository.name} cannot be read as Parquet: {error}", repository.instead
        ) from error
    finally:
        if not bars:
            datasets.enable_progress_bars()
