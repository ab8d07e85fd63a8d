"""Handed-in files that are no notebooks, or not where and what they seem."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_lib.grading import grade as grading
from course_lib.grading import submission
from tests.attacks.arena import (
    FULL,
    HONEST,
    PRELUDE,
    SECONDS,
    STEM,
    TAKEN,
    WRONG,
    caged,
    ledger_state,
    replace_answers,
    said,
)

NAME = f"{STEM}.ipynb"


def cells(*pairs, **more):
    made = [
        {
            "cell_type": "code",
            "id": key,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": text,
        }
        for key, text in pairs
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more})


def honest(*before, **more):
    return cells(*before, ("99-1-answer", HONEST), **more)


FILES = {  # name: (content, points, what is noted)
    "nothing": ("", 0, "empty"),
    "blanks": (" \n" * 99, 0, "empty"),
    "zeros": ("\0" * 4096, 0, "not a notebook"),
    "deep": ("[" * 100_000, 0, "nested|not a notebook"),
    "deep and closed": ("[" * 100_000 + "]" * 100_000, 0, "nested|not a notebook"),
    "deep in a cell": ('{"cells": ' + '[{"source": ' * 50_000 + "1", 0, "nested|not a notebook"),
    "cut short": (honest()[:-40], 0, "cut short"),
    "a list": ("[]", 0, "no cells"),
    "a number": ("7", 0, "no cells"),
    "no cells": ('{"cells": null}', 0, "no cells"),
    "cells are a dict": ('{"cells": {"0": {}}}', 0, "no cells"),
    "cells are numbers": ('{"cells": [1, 2, null, "x", []]}', 0, ""),
    "worksheets of nonsense": ('{"worksheets": [7]}', 0, "no cells"),
    "a number of 10000 digits": ('{"cells": ' + "9" * 10_000 + "}", 0, "not a notebook|no cells"),
    "infinite": ('{"cells": Infinity}', 0, "no cells"),
    "source of numbers": (cells(("99-1-answer", [1, 2, None])), 0, ""),
    "source is a dict": (cells(("99-1-answer", {"a": 1})), 0, ""),
    "id is a list": (cells((["99-1-answer"], HONEST)), FULL, ""),
    "30 MB": (honest(padding="x" * (30 << 20)), 0, "larger"),
    "a program": ("#!/bin/sh\ntouch pwned\n", 0, "not a notebook"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, 0, "not a notebook|encoding"),
    "utf-16": (honest().encode("utf-16"), FULL, ""),
    "utf-32": (honest().encode("utf-32"), FULL, ""),
    "utf-8 with a mark": (b"\xef\xbb\xbf" + honest().encode(), FULL, ""),
    "gb18030": (
        cells(("99-1-answer", f"# 协方差\n{HONEST}")).encode().decode("unicode_escape").encode("gb18030"),
        0,
        "",
    ),
    "gb18030 raw": (
        json.dumps(json.loads(cells(("99-1-answer", f"# 协方差\n{HONEST}"))), ensure_ascii=False).encode(
            "gb18030"
        ),
        FULL,
        "",
    ),
    "answer twice": (cells(("99-1-answer", WRONG), ("99-1-answer", HONEST)), FULL, "several"),
    "answer twice, the wrong one last": (
        cells(("99-1-answer", HONEST), ("99-1-answer", WRONG)),
        0,
        "several",
    ),
    "answer of another name": (cells(("mine", HONEST)), FULL, "another cell"),
    "answer as text": (honest().replace('"code"', '"markdown"'), FULL, "text"),
    "answer missing": (cells(("mine", "x = 1")), 0, "no cell"),
    "an exercise within another": (
        cells(("99-1-answer", "pass"), ("99-2-answer", HONEST)),
        FULL,
        "another cell",
    ),
    "set-up redefined": (
        honest(("99-setup", "import os\nos._exit(0)\ndef covariance(x): return 0")),
        FULL,
        "",
    ),
    "check redefined": (honest(("99-1-check", "def check(*a): return 3\ncheck('99.1')")), FULL, ""),
    "other cells that end it": (honest(("mine", "raise SystemExit\nimport os\nos._exit(0)")), FULL, ""),
    "an import that is not there": (honest(("mine", "import nothing_of_this_name")), FULL, ""),
    "an import of the library": (honest(("mine", "from course_lib.grading import marking")), FULL, ""),
    "magics": (
        cells(("99-1-answer", f"%matplotlib inline\n!touch pwned\n%%bash\n{HONEST}")),
        FULL,
        "left out",
    ),
    "a shell escape in a function": (
        cells(("99-1-answer", "def covariance(x):\n    !touch pwned\n    return x\n")),
        0,
        "left out",
    ),
    "a system call as a magic": (
        cells(("99-1-answer", f"%run /etc/passwd\n%load_ext evil\n{HONEST}")),
        FULL,
        "left out",
    ),
    "ten thousand cells": (cells(*[("mine", "x = 1")] * 10_000, ("99-1-answer", HONEST)), 0, ""),
    "not parsed": (cells(("99-1-answer", "def covariance(x:\n    return")), 0, ""),
    "parentheses": (cells(("99-1-answer", HONEST + "(" * 50_000)), 0, ""),
    "minus": (cells(("99-1-answer", HONEST + "y = " + "-" * 50_000 + "1")), None, ""),
    "plus": (cells(("mine", "y = " + "1+" * 50_000 + "1"), ("99-1-answer", HONEST)), FULL, ""),
    "a zero in the code": (cells(("99-1-answer", HONEST + "\0")), 0, ""),
    "another encoding in the code": (cells(("99-1-answer", f"# -*- coding: rot13 -*-\n{HONEST}")), None, ""),
}
NAMES = {  # folders of students: hostile, but to be shown as they are
    "a..b": FULL,
    "..foo": None,  # hidden: names with a dot in front are passed over
    "...": None,
    "a b;rm -rf ~": FULL,
    "$(touch pwned)": FULL,
    "<script>alert(1)</script>".replace("/", "∕"): FULL,
    "=HYPERLINK(1)": FULL,
    "line\nbreak": FULL,
    "\x1b[31mred": FULL,
    "x" * 200: FULL,
    "名前": FULL,
    "'; DROP TABLE graded; --": FULL,
    "%s%n{0}": FULL,
    "solutions": FULL,
    "grades.sqlite": FULL,
}


@pytest.fixture(scope="module")
def handed_in(course, tmp_path_factory):
    """Everything above in one class, and links, pipes and sockets."""
    folder = tmp_path_factory.mktemp("files")
    submissions, out = folder / "submissions", folder / "gradebook"
    submissions.mkdir()

    def put(student, content=None):
        place = submissions / student
        place.mkdir()
        if content is not None:
            (place / NAME).write_bytes(content if isinstance(content, bytes) else content.encode())
        return place / NAME

    put("000 honest", honest())
    put("zzz honest", honest())
    for name, (content, _, _) in FILES.items():
        put(f"file {name}", content)
    for name in NAMES:
        put(name, honest())
    put(os.fsdecode(b"bytes \xff\xfe"), honest())
    put("link to the solutions").symlink_to(course.solutions / NAME)
    put("link to a neighbour").symlink_to(submissions / "000 honest" / NAME)
    put("link to a secret").symlink_to(course.victim)
    put("link to nothing").symlink_to("nowhere")
    put("link to itself").symlink_to(NAME)
    put("link to a device").symlink_to("/dev/zero")
    os.mkfifo(put("pipe"))
    put("folder").mkdir()
    (submissions / "linked student").symlink_to(course.solutions)
    (submissions / "linked class").symlink_to("/")
    (submissions / "flat_99_attacks.ipynb").write_text(honest())
    (submissions / ".." / "outside.ipynb").write_text(honest())
    (submissions / "two").mkdir()
    (submissions / "two" / NAME).write_text(cells(("99-1-answer", WRONG)))
    (submissions / "two" / f"copy_{NAME}").write_text(honest())
    os.utime(submissions / "two" / NAME, (1, 1))
    (submissions / "impostor").mkdir()
    (submissions / "impostor" / f"000 honest_{NAME}").write_text(cells(("99-1-answer", WRONG)))
    start = time.monotonic()
    result = grading.grade(
        submissions, out, solutions=course.solutions, seed=7, jobs=2, tier=caged(), say=lambda _: None
    )
    return {one.student: one for one in result.graded}, out, time.monotonic() - start, submissions


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_any_state(handed_in, name):
    import re

    _, points, note = FILES[name]
    graded = handed_in[0][f"file {name}"]
    assert points is None or graded.earned == points, graded
    assert graded.earned in (0, FULL)
    assert re.search(note, " ".join([*graded.notes, graded.results[0].note])), graded


@pytest.mark.parametrize("name", NAMES)
def test_a_student_of_any_name(handed_in, name):
    shown = submission.CONTROL.sub("?", name)
    if NAMES[name] is None:
        assert shown not in handed_in[0]
    else:
        assert handed_in[0][shown].earned == NAMES[name]


@pytest.mark.parametrize(
    "student",
    [
        "link to the solutions",
        "link to a neighbour",
        "link to a secret",
        "link to nothing",
        "link to itself",
        "link to a device",
        "pipe",
        "linked student",
        "linked class",
    ],
)
def test_what_is_no_file_is_not_opened(handed_in, student):
    graded = handed_in[0][student]
    assert graded.earned == 0
    assert "link" in graded.notes[0] or "regular" in graded.notes[0]


def test_the_newest_of_two_counts_and_nobody_answers_for_another(handed_in):
    assert handed_in[0]["two"].earned == FULL
    assert handed_in[0]["flat"].earned == FULL
    assert handed_in[0]["impostor"].earned == 0
    assert handed_in[0]["000 honest"].earned == handed_in[0]["zzz honest"].earned == FULL


def test_the_class_is_complete_and_the_ledger_whole(handed_in, course):
    graded, out, seconds, submissions = handed_in
    assert ledger_state(out / "grades.sqlite") == ("ok", len(graded))
    assert seconds < 60
    assert not list(submissions.parent.rglob("pwned"))
    assert not any(course.secret in replace_answers(one) for one in graded.values())


def test_a_naive_reader_follows_links_hangs_at_pipes_and_falls(course, tmp_path):
    link = tmp_path / NAME
    link.symlink_to(course.solutions / NAME)
    stolen = "".join(json.load(link.open())["cells"][3]["source"])
    assert "x.mean" in stolen
    with pytest.raises(RecursionError):
        json.loads("[" * 100_000)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", f"open({str(tmp_path / 'pipe')!r})"], timeout=0.5)


def taken(job) -> float:
    """Return the processor's seconds of the quickest of five: other programs do not count."""
    times = []
    for _ in range(5):
        start = time.process_time()
        job()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(
    "read",
    [
        lambda n: submission._answer([submission._Cell("99-1-answer", True, "\n" * n)], "99-1-answer", "f"),
        lambda n: submission.without_magics("\n" * n + "(("),
        lambda n: submission.definitions("import a\n" * (n // 16)),
    ],
    ids=["blank lines before an answer", "blank lines before a magic", "imports"],
)
def test_time_to_read_grows_with_length_alone(read):
    small, large = taken(lambda: read(4000)), taken(lambda: read(16000))
    assert large < 8 * small + 0.02  # sixteen times where it grows with the square


def test_memory_to_read_is_bounded():
    code = (
        "import resource\nfrom course_lib.grading import submission\n"
        "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "before = used()\nsubmission.definitions('a\\n' * 150_000)\nprint(used() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64  # MiB, for a cell of 300 kB: a file may have sixty times that


def test_other_cells_do_not_run_twice_or_alone(course, tmp_path):
    place = tmp_path / "submissions" / "eve"
    place.mkdir(parents=True)
    text = cells(("mine", f"{PRELUDE}got('ran')\n"), ("99-1-answer", HONEST))
    (place / NAME).write_text(text)
    result = grading.grade(
        tmp_path / "submissions",
        tmp_path / "out",
        solutions=course.solutions,
        tier=caged(),
        say=lambda _: None,
    )
    assert TAKEN not in said(result.graded[0])
    assert SECONDS < 3
    assert Path(place / NAME).read_text() == text
