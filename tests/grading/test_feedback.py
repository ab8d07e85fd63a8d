"""A student's page: complete, harmless, and silent about hidden numbers."""

from __future__ import annotations

import os
import re
import time
from html.parser import HTMLParser

import pytest

from course_lib.grading.feedback import feedback, safe_name, write_feedback
from course_lib.grading.gradebook import STATUS, by_student
from course_lib.grading.hostile import OURS, clean
from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded
from tests.grading.classes import NAMES, sample

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>1</script>",
    "</code></pre><iframe src=//example.org>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "\x00\ud800\u202e\u2066",
]


class Elements(HTMLParser):
    """Collect elements, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.names, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def exercise(**changes):
    told = {
        "verdicts": [
            Verdict("seen case", "off by 0.125", "look again", True),
            Verdict("secret case", "off by 0.625 at [3]", "think of nothing", False),
            Verdict("good case", "", "", False),
        ],
        "status": "part",
        **changes,
    }
    return ExerciseResult("05.1", "Means", 3, 1.5, **told)


def page(student="Ada", answer="x = 1", notes=(), **changes):
    graded = Graded(
        student, "05_means", [exercise(**changes)], list(notes), "bubblewrap", True, {"05.1": answer}
    )
    return feedback(student, [graded])


def test_everything_is_there():
    text = Elements(page(note="stopped: time limit", notes=["2 files"], said="printed")).text
    for part in (
        "1.5 of 3 points", "05.1 · Means", "Partly solved.", "stopped: time limit", "2 files", "printed",
        "seen case", "off by 0.125", "look again", "secret case", "A hidden case failed.", "think of nothing",
        "good case", "bubblewrap",
    ):  # fmt: skip
        assert part in text, part


def test_a_hidden_case_never_tells_its_problem():
    html = page()
    assert "0.625" not in html
    assert "[3]" not in html


@pytest.mark.parametrize("status", STATUS)
def test_every_status_has_words(status):
    assert STATUS[status].capitalize() in Elements(page(status=status)).text
    assert ("seen case" in page(status=status)) == (status not in ("waiting", "missing"))


@pytest.mark.parametrize("bad", ATTACKS)
def test_nothing_from_a_student_is_markup(bad):
    verdicts = [Verdict(bad, bad, bad, True), Verdict(bad, bad, bad, False)]
    html = page(bad, f"x = '''{bad}'''\n# {bad}", [bad], note=bad, said=bad, verdicts=verdicts)
    plain = page("Ada", "x = 1", ["n"], note="n", said="n", verdicts=[Verdict("n", "n", "n")] * 2)
    seen, usual = Elements(html), Elements(plain)
    assert set(seen.names) == set(usual.names)
    assert {name for name, _ in seen.attributes} == {name for name, _ in usual.attributes}
    assert "49" not in html.partition("<main>")[2]  # nothing was evaluated
    assert not set(html) & set("\x00\ud800\u202e\u2066")


def test_the_policy_forbids_scripts_and_the_network():
    html = page()
    seen = Elements(html)
    told = next(value for _, value in seen.attributes if value and value.startswith("default-src"))
    assert told.startswith("default-src 'none'")
    assert "script" not in told
    assert "script" not in seen.names
    assert not re.search(r"@import|url\((?!['\"]?data:)|(?:src|href)=\"(?!#|data:)", html)
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_a_broken_or_huge_answer_is_shown_as_far_as_it_goes():
    start = time.monotonic()
    for answer in ("(" * 100_000, "x = '" + "a" * 5_000_000, '"\\' * 50_000, "def f(:\n\x00", "'''" * 9999):
        html = page(answer=answer)
        assert len(html) < 3_000_000
        assert "<details>" in html
    assert time.monotonic() - start < 30


def test_chinese_brings_its_font_along():
    assert "@font-face" in page("陈省身")
    assert "@font-face" not in page("Ada")


def test_safe_names_are_unique_stable_and_inside():
    odd = ["", ".", "..", "/", "CON", "con", "a/b", "a\\b", "a-b", "é", "e\u0301", "字" * 300]
    hostile = sorted({*NAMES, *ATTACKS, *odd})
    names = [safe_name(name) for name in hostile]
    assert len({name.casefold() for name in names}) == len(hostile)
    assert names == [safe_name(name) for name in hostile]
    for name in names:
        assert OURS.fullmatch(name)
        assert not set(name) & set('/\\:*?"<>|\x00.')
        assert len(os.fsencode(f".{name}.html.12345678.part")) < 255


def test_pages_stay_in_their_folder(tmp_path):
    result = sample()
    paths = write_feedback(result, tmp_path / "deep" / "feedback")
    assert len(paths) == len(by_student(result)) == 30
    assert {path.parent for path in paths} == {tmp_path / "deep" / "feedback"}
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(paths)


def test_equal_results_give_equal_pages():
    graded = list(by_student(sample())["Ada Lovelace"].values())
    assert feedback("Ada", graded) == feedback("Ada", graded)


def test_clean_shows_what_is_unseen():
    assert clean("a\r\nb\rc\td") == "a\nb\nc\td"
    assert clean("\u202eabc\u200b") == "⟨U+202E⟩abc⟨U+200B⟩"
    assert clean("naïve 字 👩‍🔬") == "naïve 字 👩‍🔬"


def test_no_submission_is_a_page_too():
    assert "0 of 0 points" in Elements(feedback("Ada", [])).text
    assert by_student(ClassResult([])) == {}
