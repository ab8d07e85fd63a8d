"""The teacher's page."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from course_lib.errors import BadInput
from course_lib.grading.classpage import ALIKE, class_page, hardest, mistakes
from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded
from course_lib.grading.similarity import Pair
from tests.grading.classes import sample
from tests.grading.test_feedback import ATTACKS, Elements


def graded(student, *results, notes=()):
    return Graded(student, "05_means", list(results), list(notes))


def result(key="05.1", earned=1.0, status="part", problems=("", "wrong"), note="", title="Means"):
    verdicts = [Verdict(f"case {k}", p, f"hint {k}" if p else "", k == 0) for k, p in enumerate(problems)]
    return ExerciseResult(key, title, 4, earned, status, note, verdicts)


def test_mistakes_are_counted_by_case_and_sorted():
    found = mistakes(
        ClassResult(
            [
                graded("Ada", result(problems=("a", "b", ""))),
                graded("Bo", result(problems=("", "another", ""))),
                graded("Cy", result(status="full", problems=("", "", ""))),
            ]
        )
    )
    assert [(one.case, one.reason, one.students) for one in found] == [
        ("case 1", "hint 1", ("Ada", "Bo")),
        ("case 0", "hint 0", ("Ada",)),
    ]


def test_what_was_not_tried_is_no_mistake_and_one_error_is_one():
    waiting = result(status="waiting", problems=("it waits", "it waits"))
    stopped = result(status="stopped", problems=("", "it was not reached"))
    broken = result(status="none", problems=("SyntaxError", "SyntaxError"))
    found = mistakes(ClassResult([graded("Ada", waiting), graded("Bo", stopped), graded("Cy", broken)]))
    assert [(one.case, one.students) for one in found] == [(ALIKE, ("Cy",))]


def test_the_hardest_exercise_comes_first():
    found = hardest(
        ClassResult(
            [
                graded("Ada", result("05.1", 4.0), result("05.2", 1.0)),
                graded("Bo", result("05.1", 2.0), result("05.2", 0.0)),
            ]
        )
    )
    assert [(one.id, one.share, one.students) for one in found] == [("05.2", 0.125, 2), ("05.1", 0.75, 2)]


def test_the_page_shows_everything_and_fetches_nothing():
    pair = Pair("05.1", "Ada", "Bo", 0.91, 0.8, 40)
    html = class_page(
        ClassResult(
            [
                graded("Ada", result(), result("05.2", 0, "stopped", note="stopped: memory limit")),
                graded("Bo", result(), notes=["the file cannot be read: it is empty"]),
            ],
            "bubblewrap",
        ),
        [pair],
    )
    text = Elements(html).text
    for part in (
        "2 students, 2 submissions",
        "case 1",
        "hint 1",
        "memory limit",
        "it is empty",
        "91%",
        "bubblewrap",
    ):
        assert part in text, part
    assert not re.search(r"@import|url\((?!['\"]?data:)|src=\"(?!data:)", html)
    assert "script" not in Elements(html).names


def test_pictures_have_words_for_those_who_cannot_see_them():
    html = class_page(sample())
    shown = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="\d+" alt="([^"]+)">', html)
    assert [alt.split(":")[0] for _, alt in shown] == [
        "Students by points in all",
        "Mean share of points, hardest exercise first",
    ]
    for data, _ in shown:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200


@pytest.mark.parametrize("bad", [*ATTACKS, "$x$ $\\nosuch", "e" * 300])
def test_hostile_names_and_titles_stay_text(bad):
    html = class_page(
        ClassResult([graded(bad, result(title=bad, note=bad, status="stopped"), notes=[bad])], bad),
        [Pair("05.1", bad, bad, 1.0, 1.0, 20, True)],
    )
    names = set(Elements(html).names)
    assert not names & {"script", "iframe", "b"}
    assert {name for name, _ in Elements(html).attributes} & {"onerror", "onload"} == set()
    assert not set(html) & set("\x00\ud800\u202e\u2066")


def test_a_long_list_ends_and_says_so():
    pairs = [Pair("05.1", f"a{k:03}", f"b{k:03}", 1.0, 1.0, 20) for k in range(100)]
    html = class_page(sample(), pairs)
    assert "And 70 more, in similarity.csv." in html
    assert "a029" in html
    assert "a030" not in html


def test_links_lead_to_the_students_pages():
    html = class_page(sample())
    assert 'href="feedback/Ada-Lovelace-767402161715.html"' in html
    assert 'href="feedback/x-9cdf6a50100a.html"' in html


def test_nothing_handed_in_is_refused():
    with pytest.raises(BadInput):
        class_page(ClassResult([]))


def test_points_of_nothing_and_one_student_are_drawn():
    assert "1 student, 1 submission;" in class_page(ClassResult([graded("Ada", result(earned=0.0))]))
    nothing = ExerciseResult("05.1", "Means", 0, 0, "full")
    assert "0 points are possible" in class_page(ClassResult([graded("Ada", nothing)]))


def test_equal_results_give_equal_bytes():
    assert class_page(sample()) == class_page(sample())
