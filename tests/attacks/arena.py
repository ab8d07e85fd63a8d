"""Where attacks are tried: a small course, hostile students among honest ones, what came of it.

An attack is the source of one answer cell. It says that it succeeded by calling `got`, which prints a word
that the grader hands back, or by an effect that is seen from outside.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from course_lib.errors import CourseError
from course_lib.grading import grade as grading
from course_lib.grading import marking, sandbox
from course_lib.grading.results import Graded
from course_lib.grading.slot import Limits

STEM: Final = "99_attacks"
TIERS: Final = ("sandbox", "sandbox, cold", "plain")
CAGED: Final = TIERS[:2]
SECONDS: Final = 1.5
LONGER: Final = 8.0
MEMORY: Final = 96 << 20
FULL: Final = 3.0

PLAIN: Final = {
    "reads": "it runs as the teacher's own user: what the teacher can read, it can read",
    "writes": "it runs as the teacher's own user: what the teacher can write, it can write",
    "network": "it has the machine's network",
    "calls": "no system call is filtered: a filter alone, without namespaces, would only look safe",
    "processes": "it sees all processes of the machine and may signal those of its user, its parents too",
    "outlives": "a process whose every parent is gone belongs to nobody who could end it",
    "kernel memory": "there is no memory control group: what the kernel holds for a process is not counted",
    "disk": "/tmp is the machine's; only the size of each file is limited",
}
"""What the tier ``plain`` cannot stop, and why. `test_plain` shows that it is so."""

CHECKS = """
# @SECRET@
import numpy as np
from course_lib.grading import Case, Exercise, close

def covariances(rng):
    for n, seen in ((20, True), (7, False), (50, False)):
        x = rng.normal(size=(n, 3)) + 5
        expected = close(np.cov(x, rowvar=False))
        yield Case(f"{n} rows", (x,), expected, visible=seen, reason="What does one divide by?")

def spreads(rng):
    for n, seen in ((4, True), (9, False), (30, False)):
        x = rng.normal(size=n)
        yield Case(f"{n} numbers", (x,), close(float(x.max() - x.min())), visible=seen)

EXERCISES = [
    Exercise("99.1", "covariance", covariances, (), seconds=@SECONDS@, memory=@MEMORY@),
    Exercise("99.2", "spread", spreads, (), seconds=@LONGER@, memory=@MEMORY@),
]
"""
SETUP = "import numpy as np\n\nfrom course_lib.grading import check, solved"
HONEST: Final = """def covariance(x):
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (len(x) - 1)
"""
SPREAD: Final = "def spread(x):\n    return float(x.max() - x.min())\n"
WRONG: Final = "def covariance(x):\n    return x\n"
PRELUDE: Final = """import ctypes, os, socket, sys, time
if sys.platform == "linux": ctypes.CDLL(None).prctl(15, b"@MARK@", 0, 0, 0)
def got(*what):
    os.write(1, ("GOT " + " ".join(map(repr, what)))[:1500].encode("utf-8", "replace") + b"\\n")
"""
TAKEN: Final = "GOT "


@dataclass(frozen=True)
class Attack:
    """One hostile answer.

    Attributes
    ----------
    name, source : str
        A source without a function gets one that is wrong.
    earns : float
        Points of the honest answer that it is wrapped round; 0 for none.
    note : str
        A pattern that the note for the student must contain.
    without : tuple of str
        With these defences switched off it succeeds; empty: shown otherwise.
    plain : str
        Why the tier ``plain`` does not stop it: a key of `PLAIN`.
    harms : bool
        Never tried in ``plain``: it would harm this machine.
    slow : bool
        It needs the exercise with more time.
    """

    name: str
    source: str
    earns: float = 0.0
    note: str = ""
    without: tuple[str, ...] = ()
    plain: str = ""
    harms: bool = False
    slow: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass
class Batch:
    """What came of a class."""

    tier: str
    by_name: dict[str, Graded]
    honest: list[Graded]
    seconds: float
    processes: list[str]
    files: list[str]
    changed: list[str]
    ledger: str
    rows: int
    said_aloud: list[str]

    def of(self, attack: Attack) -> Graded:
        return self.by_name[attack.name]


def said(graded: Graded) -> str:
    """Return what an answer printed before its first case."""
    return "".join(result.said for result in graded.results)


def offered(tier: str) -> sandbox.Sandbox:
    """Return the sandbox of a tier; skips where this machine has none."""
    try:
        return sandbox.probe(tier)
    except CourseError as error:
        pytest.skip(str(error))


def caged() -> str:
    """Return the best tier with a sandbox; skips where there is none."""
    for tier in CAGED:
        with contextlib.suppress(CourseError):
            sandbox.probe(tier)
            return tier
    pytest.skip("this machine has no sandbox")


class Course:
    """A teacher's folder with one notebook, and everything that a hostile student might want."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"atk{secrets.token_hex(5)}"
        self.secret = f"secret-{secrets.token_hex(8)}"
        self.solutions = folder / "solutions"
        self.home = folder / "home"
        self.victim = folder / "victim.txt"
        self.site = folder / "site-packages"
        for place in (self.solutions / "checks", self.home, self.site):
            place.mkdir(parents=True)
        for place in (self.victim, self.home / "notes.txt"):
            place.write_text(self.secret)
        (self.solutions / "checks" / "c99.py").write_text(self.filled(CHECKS))
        (self.solutions / f"{STEM}.ipynb").write_text(writes(self._solution()))
        self.port = 0
        self.abstract = f"\0{self.mark}"
        self.unix = folder / "socket"
        self._made = 0

    def filled(self, text: str, submissions: Path | None = None, out: Path | None = None) -> str:
        """Return `text` with the places and numbers of this course."""
        values = {
            "SECRET": self.secret,
            "SECONDS": SECONDS,
            "LONGER": LONGER,
            "MEMORY": MEMORY,
            "SOLUTIONS": self.solutions,
            "SUBMISSIONS": submissions or self.folder,
            "LEDGER": (out or self.folder) / "grades.sqlite",
            "HOME": self.home,
            "VICTIM": self.victim,
            "SITE": self.site,
            "PORT": getattr(self, "port", 0),
            "UNIX": getattr(self, "unix", ""),
            "MARK": self.mark,
            "LIBRARY": Path(sandbox.__file__).parents[1],
        }
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def _solution(self):
        cells = [
            new_markdown_cell("# 99 · Exercises: attacks", id="99-title"),
            new_code_cell(SETUP, id="99-setup"),
        ]
        for k, (title, answer) in enumerate((("Covariance", HONEST), ("Spread", SPREAD)), 1):
            head, body = answer.split("\n", 1)
            source = f"{head}\n    ### BEGIN SOLUTION\n{body.rstrip()}\n    ### END SOLUTION"
            text = f"## 99.{k} · {title}\n\n*★ · 5 minutes · {3 if k == 1 else 2} points*\n\nWrite it."
            cells += [
                new_markdown_cell(text, id=f"99-{k}-text"),
                new_code_cell(source, id=f"99-{k}-answer"),
                new_markdown_cell("<details><summary>Hint 1</summary>a</details>", id=f"99-{k}-hints"),
                new_code_cell(f'check("99.{k}")', id=f"99-{k}-check"),
            ]
        return new_notebook(cells=cells)

    def notebook(self, *answers: tuple[str, str]) -> str:
        """Return a handed-in notebook with these cells: names and sources."""
        cells = [new_code_cell(SETUP, id="99-setup")]
        cells += [new_code_cell(source, id=name) for name, source in answers]
        return writes(new_notebook(cells=cells))

    def written(self, attack: Attack, submissions: Path, out: Path) -> str:
        source = self.filled(PRELUDE + attack.source, submissions, out)
        if "def covariance" not in source and "covariance =" not in source and "def spread" not in source:
            source += "\n" + (WRONG.replace("covariance", "spread") if attack.slow else WRONG)
        key = "99-2-answer" if "def spread" in source else "99-1-answer"
        return self.notebook((key, source))

    def grade(
        self,
        attacks: Sequence[Attack],
        tier: str,
        without: Sequence[str] = (),
        jobs: int = 1,
        neighbours: int = 1,
    ) -> Batch:
        """Grade a class in which an honest student follows on every `neighbours` attacks."""
        self._made += 1
        base = self.folder / f"class-{self._made}"
        submissions, out, temporary = base / "submissions", base / "gradebook", base / "tmp"
        for place in (submissions, out, temporary):
            place.mkdir(parents=True)
        names = {}

        def hand_in(student: str, text: str) -> None:
            (submissions / student).mkdir()
            (submissions / student / f"{STEM}.ipynb").write_bytes(text.encode("utf-8", "backslashreplace"))

        honest = self.notebook(("99-1-answer", HONEST + f"# {self.secret}\n"))
        hand_in("000-honest", honest)
        for k, attack in enumerate(attacks, 1):
            names[f"{k:03d}-a-{attack.slug}"] = attack.name
            hand_in(f"{k:03d}-a-{attack.slug}", self.written(attack, submissions, out))
            if k % neighbours == 0 or k == len(attacks):
                hand_in(f"{k:03d}-b-honest", honest)
        before = self._files()
        spoken: list[str] = []
        start = time.monotonic()
        with self._tempdir(temporary), self._defences(tier, without):
            result = grading.grade(
                submissions,
                out,
                solutions=self.solutions,
                seed=int(self.secret[-8:], 16),
                jobs=jobs,
                tier=tier,
                allow_unsafe=True,
                say=spoken.append,
            )
        seconds = time.monotonic() - start
        after = self._files()
        state, rows = ledger_state(out / "grades.sqlite")
        return Batch(
            tier,
            {names[one.student]: one for one in result.graded if one.student in names},
            [one for one in result.graded if one.student not in names],
            seconds,
            self.left_processes(),
            sorted(path.name for path in temporary.iterdir()),
            sorted(str(path) for path in before if before[path] != after.get(path)),
            state,
            rows,
            spoken,
        )

    def submit(self, source: str, tier: str, without: Sequence[str] = (), earns: float = 0.0) -> Graded:
        """Grade one source alone."""
        attack = Attack("alone", source, earns)
        return self.grade([attack], tier, without).of(attack)

    def _files(self) -> dict[Path, str]:
        kept = [p for p in self.folder.rglob("*") if p.is_file() and not p.is_symlink()]
        kept = [
            p for p in kept if "gradebook" not in p.parts and "tmp" not in p.relative_to(self.folder).parts
        ]
        return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in kept if "__pycache__" not in p.parts}

    @contextlib.contextmanager
    def _tempdir(self, place: Path) -> Iterator[None]:
        kept, tempfile.tempdir = tempfile.tempdir, str(place)
        try:
            yield
        finally:
            tempfile.tempdir = kept

    @contextlib.contextmanager
    def _defences(self, tier: str, without: Sequence[str]) -> Iterator[None]:
        """Switch defences off, for a proof that a test can fail."""
        if not without:
            yield
            return
        weak = offered(tier)
        for name in without:
            weak = replace(weak, defences=weak.defences.without(name))
        place = self.folder / "place" / "worker"  # where bubblewrap may make a mount point on the real disk
        place.mkdir(parents=True, exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grading, "probe", lambda tier=None: weak)
            patch.setattr(marking, "Limits", lambda seconds, memory: Limits(seconds=LONGER, memory=memory))
            if "files" in without:
                patch.setattr(sandbox, "PLACE", str(place.parent))
            yield

    def left_processes(self, patience: float = 2.0) -> list[str]:
        """Return what still runs of this course, once what was killed had time to go."""
        end = time.monotonic() + patience
        while (left := list(self._running())) and time.monotonic() < end:
            time.sleep(0.05)
        return left

    def _running(self) -> Iterator[str]:
        own = psutil.Process()
        below = own.children(recursive=True)
        for one in psutil.process_iter(["pid", "name", "cmdline", "status"]):
            marked = self.mark in " ".join([one.info["name"] or "", *(one.info["cmdline"] or [])])
            worker = one in below and "worker.zygote" in " ".join(one.info["cmdline"] or [])
            if (marked or worker) and one.info["status"] != psutil.STATUS_ZOMBIE:
                yield f"{one.info['pid']} {one.info['name']}"

    def end_marked(self) -> None:
        """End processes that a proof left on purpose."""
        for one in psutil.process_iter(["name", "cmdline"]):
            if self.mark in " ".join([one.info["name"] or "", *(one.info["cmdline"] or [])]):
                with contextlib.suppress(psutil.Error):
                    one.kill()


def ledger_state(path: Path) -> tuple[str, int]:
    """Return what SQLite says of a ledger's health, and how many results it holds, all of them readable."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        (state,) = base.execute("PRAGMA integrity_check").fetchone()
        rows = base.execute("SELECT result FROM graded").fetchall()
    return state, len([json.loads(text) for (text,) in rows])


def of_tier(attacks: Sequence[Attack], tier: str) -> list[Attack]:
    """Return the attacks that a tier must withstand."""
    return [one for one in attacks if tier != "plain" or not (one.plain or one.harms)]


def tiers(*names: str) -> pytest.MarkDecorator:
    """Return the mark that repeats a test of a whole batch on tiers."""
    return pytest.mark.parametrize("batch", names or TIERS, indirect=True)


def each(attacks: Sequence[Attack], *names: str) -> pytest.MarkDecorator:
    """Return the mark that repeats a test for every attack on every tier that must withstand it."""
    pairs = [(tier, one) for tier in names or TIERS for one in of_tier(attacks, tier)]
    return pytest.mark.parametrize(
        ("batch", "attack"), pairs, ids=[f"{t}-{one}" for t, one in pairs], indirect=["batch"], scope="module"
    )


def class_of(attacks: Sequence[Attack], jobs: int = 1, cold_neighbours: int = 6) -> Any:
    """Return a fixture that grades these attacks on a tier, once for a module."""

    done: dict[str, Batch] = {}  # pytest alone would grade anew whenever the order of tests changes the tier

    @pytest.fixture(scope="module")
    def batch(request, course):
        tier = request.param
        offered(tier)
        if tier not in done:
            every = cold_neighbours if tier == "sandbox, cold" else 1
            done[tier] = course.grade(of_tier(attacks, tier), tier, jobs=jobs, neighbours=every)
        return done[tier]

    return batch


def succeeds(course: Course, attacks: Sequence[Attack], tier: str = "") -> dict[str, Batch]:
    """Grade the attacks that name a defence without it; return the batches by attack."""
    groups: dict[tuple[str, ...], list[Attack]] = {}
    for one in attacks:
        groups.setdefault(one.without, []).append(one)
    done = {}
    for without, group in groups.items():
        batch = course.grade(group, tier or caged(), without, neighbours=len(group))
        done.update({one.name: batch for one in group})
    return done


def withstood(batch: Batch, attack: Attack, secret: str) -> None:
    """Assert that an attack gained nothing."""
    graded = batch.of(attack)
    assert graded.earned == attack.earns, (graded.earned, graded.results)
    assert TAKEN not in said(graded), said(graded)
    assert secret not in replace_answers(graded)
    if attack.note:
        told = " ".join(part for r in graded.results for part in (r.note, *(v.problem for v in r.verdicts)))
        assert re.search(attack.note, told), told


def unharmed(batch: Batch) -> None:
    """Assert that the neighbours have their points and nothing was left behind."""
    assert [one.student for one in batch.honest if one.earned != FULL] == []
    assert batch.processes == []
    assert batch.files == []
    assert batch.changed == []
    assert (batch.ledger, batch.rows) == ("ok", len(batch.by_name) + len(batch.honest))


def replace_answers(graded: Graded) -> str:
    """Return a result as text, without the student's own source."""
    return replace(graded, answers={}).as_json()
