"""What a teacher looks at first: how the class did, where it failed, and what needs a look."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from course_lib.errors import BadInput
from course_lib.grading.gradebook import by_student, possible, short
from course_lib.grading.hostile import clean, named, one_line, safe_name
from course_lib.grading.results import ClassResult, ExerciseResult
from course_lib.grading.sheet import rendered
from course_lib.grading.similarity import Pair
from course_lib.grading.spreadsheet import number
from course_lib.runner.state import write_atomically
from course_lib.show.charts import percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import PALETTE, panels, styled

ROWS: Final = 30
NAME: Final = 60
BARS: Final = 24
ALIKE: Final = "every case, in the same way"
FINISHED: Final = ("part", "none")
"""An answer in one of these states was tried on all its cases and failed some."""


@dataclass(frozen=True)
class Mistake:
    """A case that failed, and for whom.

    Attributes
    ----------
    exercise, case, reason : str
        The reason is the hint that the case gives.
    students : tuple of str
    """

    exercise: str
    case: str
    reason: str
    students: tuple[str, ...]


def mistakes(result: ClassResult) -> list[Mistake]:
    """Return the cases that failed, those that most students failed first.

    Only answers that were tried to their end count. An answer that fails all its cases with the same words
    (it raises an error, or returns nothing) made one mistake and not as many as there are cases.

    Examples
    --------
    >>> from course_lib.grading.judge import Verdict
    >>> from course_lib.grading.results import Graded
    >>> verdicts = [Verdict("one row", ""), Verdict("no row", "an error", "What is the mean of nothing?")]
    >>> part = ExerciseResult("05.1", "Means", 3, 1.5, "part", verdicts=verdicts)
    >>> [(one.case, one.students) for one in mistakes(ClassResult([Graded("Ada", "05_means", [part])]))]
    [('no row', ('Ada',))]
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for graded in result.graded:
        for one in graded.results:
            for case, reason in _failed(one) if one.status in FINISHED else ():
                found.setdefault((one.id, case, reason), set()).add(graded.student)
    made = [Mistake(*key, tuple(sorted(students))) for key, students in found.items()]
    return sorted(made, key=lambda one: (-len(one.students), one.exercise, one.case, one.reason))


def _failed(result: ExerciseResult) -> list[tuple[str, str]]:
    """Return names and hints of the cases that an answer failed."""
    failed = [verdict for verdict in result.verdicts if not verdict.ok]
    alike = len({verdict.problem for verdict in failed}) == 1
    if alike and len(failed) == len(result.verdicts) > 1:
        return [(ALIKE, "")]
    return [(verdict.case, verdict.reason) for verdict in failed]


@dataclass(frozen=True)
class Hardness:
    """How hard an exercise was.

    Attributes
    ----------
    id, title : str
    share : float
        Of its points, what those who handed in its notebook earned on average.
    students : int
        How many those are.
    """

    id: str
    title: str
    share: float
    students: int


def hardest(result: ClassResult) -> list[Hardness]:
    """Return the exercises, the hardest first.

    Examples
    --------
    >>> from course_lib.grading.results import Graded
    >>> both = [ExerciseResult("05.1", "Means", 3, 3, "full"), ExerciseResult("05.2", "Norms", 4, 1, "part")]
    >>> [(one.id, one.share) for one in hardest(ClassResult([Graded("Ada", "05_means", both)]))]
    [('05.2', 0.25), ('05.1', 1.0)]
    """
    every = sorted((one for graded in result.graded for one in graded.results), key=lambda one: one.id)
    made = []
    for key, group in groupby(every, key=lambda one: one.id):
        same = list(group)
        shares = [one.earned / one.points if one.points else 1.0 for one in same]
        made.append(Hardness(key, same[0].title, round(float(np.mean(shares)), 4), len(same)))
    return sorted(made, key=lambda one: (one.share, one.id))


def class_page(result: ClassResult, pairs: Sequence[Pair] = ()) -> str:
    """Return the teacher's page.

    Parameters
    ----------
    result : ClassResult
    pairs : sequence of Pair
        What `similar` found.

    Raises
    ------
    BadInput
        When nothing was handed in.
    """
    if not result.graded:
        raise BadInput("There is no submission to report on.", "Grade a folder with one or more of them.")
    everybody, worth = by_student(result), sum(possible(result).values())
    exercises = hardest(result)
    counts = (_many(len(everybody), "student"), _many(len(result.graded), "submission"))
    return rendered(
        "classpage.html",
        "The class",
        counts=f"{counts[0]}, {counts[1]}; {number(worth)} points are possible",
        absent=f"{_many(len(result.absent), 'student')}: {named(result.absent)}" if result.absent else "",
        tier=one_line(result.tier),
        hidden=all(one.hidden for one in result.graded),
        totals=_image(totals_picture(_totals(result), worth)),
        hardest=_image(hardest_picture(exercises)),
        mistakes=_mistakes(result),
        limits=_limits(result),
        troubles=_troubles(result),
        pairs=_pairs(pairs),
        everybody=_everybody(result),
    )


def write_class_page(result: ClassResult, path: Path, pairs: Sequence[Pair] = ()) -> None:
    """Write `class_page` to `path`; it links the students' pages in ``feedback/`` beside it."""
    write_atomically(path, class_page(result, pairs))


def totals_picture(totals: Sequence[float], worth: float) -> Picture:
    """Draw how many students have how many points in all.

    Parameters
    ----------
    totals : sequence of float
    worth : float
        Points that could be had.
    """
    width = max(1, int(np.ceil(worth / 15)))
    edges = np.arange(0, max(worth, 1) + width, width)
    counts, _ = np.histogram(totals, edges)
    middle = float(np.median(totals))
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 3.0))
        axes.bar(edges[:-1], counts, width=width, align="edge", color=PALETTE[0], edgecolor="white")
        axes.axvline(middle, color="0.2", lw=1.4, ls=(0, (3, 2)))
        axes.annotate(
            f"median {number(middle)}",
            (middle, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if middle > worth / 2 else 4, 2),
            textcoords="offset points",
            ha="right" if middle > worth / 2 else "left",
        )
        axes.set(xlabel=f"points, of {number(worth)}", ylabel="students", xlim=(0, edges[-1]))
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="x", visible=False)
    told = "; ".join(
        f"{number(low)} to {number(low + width)}: {count}"
        for low, count in zip(edges, counts, strict=False)
        if count
    )
    return Picture(figure, f"Students by points in all: {told}. Median {number(middle)} of {number(worth)}.")


def hardest_picture(exercises: Sequence[Hardness]) -> Picture:
    """Draw the mean share of points of each exercise, the hardest on top."""
    shown = exercises[:BARS]
    places = np.arange(len(shown))[::-1]
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 1.0 + 0.34 * len(shown)))
        axes.barh(places, [one.share for one in shown], height=0.62, color=PALETTE[0])
        for place, one in zip(places, shown, strict=True):
            axes.text(one.share + 0.01, place, f"{one.share:.0%}", va="center", fontsize=10)
        axes.set_yticks(places, [_label(one) for one in shown])
        axes.set_xlim(0, 1.1)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(percent_tick)
        axes.set_xlabel("of the points, on average")
        axes.grid(axis="y", visible=False)
    told = "; ".join(f"{one.id} {one.share:.0%}" for one in shown)
    less = f" The {BARS} hardest of {len(exercises)}." if len(exercises) > BARS else ""
    return Picture(figure, f"Mean share of points, hardest exercise first: {told}.{less}")


def _label(one: Hardness) -> str:
    title = one_line(one.title)
    title = title if len(title) <= 42 else title[:40].rstrip() + "…"
    return f"{one.id} · {title}".replace("$", r"\$")  # two of them would begin a formula


def _image(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.png).decode("ascii")
    return {"data": data, "width": picture.width, "alt": picture.alt}


def _totals(result: ClassResult) -> list[float]:
    return [sum(one.earned for one in graded.values()) for graded in by_student(result).values()]


def _listing(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = (), where: str = ""
) -> dict[str, Any]:
    """Return a table for the template; `numbers` are the columns to be set right."""
    more = max(0, len(rows) - ROWS)
    return {"header": header, "rows": rows[:ROWS], "numbers": numbers, "more": more, "where": where}


def _mistakes(result: ClassResult) -> dict[str, Any]:
    rows = [
        (one.exercise, one_line(one.case), clean(one.reason), str(len(one.students)), named(one.students))
        for one in mistakes(result)
    ]
    return _listing(("Exercise", "Case", "Hint", "How many", "Who"), rows, (3,))


def _limits(result: ClassResult) -> dict[str, Any]:
    found: dict[tuple[str, str], list[str]] = {}
    for graded in result.graded:
        for one in graded.results:
            if one.status == "stopped":
                found.setdefault((one.id, one_line(one.note)), []).append(graded.student)
    rows = [(*key, str(len(who)), named(sorted(who))) for key, who in sorted(found.items())]
    return _listing(("Exercise", "What happened", "How many", "Who"), rows, (2,))


def _troubles(result: ClassResult) -> dict[str, Any]:
    rows = [
        (one_line(one.student, NAME), short(one.notebook), one_line(note))
        for one in sorted(result.graded, key=lambda one: (one.student, one.notebook))
        for note in one.notes
    ]
    return _listing(("Student", "Notebook", "What was wrong"), rows, where=", in grades.csv")


def _pairs(pairs: Sequence[Pair]) -> dict[str, Any]:
    rows = [
        (
            one.exercise,
            one_line(one.one, NAME),
            one_line(one.other, NAME),
            f"{one.contained:.0%}",
            f"{one.jaccard:.0%}",
            str(one.shared),
            "letter by letter" if one.same else "",
        )
        for one in pairs
    ]
    header = ("Exercise", "Student", "Student", "Of the shorter", "Of both", "Fingerprints", "The same")
    return _listing(header, rows, (3, 4, 5), ", in similarity.csv")


def _everybody(result: ClassResult) -> dict[str, Any]:
    """Return the table of all students, however many, and the names of their pages."""
    worth = possible(result)
    rows = []
    for student, graded in by_student(result).items():
        points = [number(graded[one].earned) if one in graded else "–" for one in worth]
        total = number(sum(one.earned for one in graded.values()))
        shown = {"name": one_line(student, NAME), "page": safe_name(student), "points": [*points, total]}
        rows.append(shown)
    return {"header": [*map(short, worth), "Total"], "rows": rows}


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
