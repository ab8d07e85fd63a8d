"""What the learner sees: at once, in kind, and their own progress."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib.errors import BadInput
from course_lib.grading import check, solved, tally
from course_lib.grading.card import LOOKS
from course_lib.grading.check import tried
from course_lib.grading.compare import close
from course_lib.grading.exercise import Case


def namespace(source):
    made = {"np": np, "check": check, "solved": solved, "__name__": "__main__"}
    exec(source, made)
    return made


def asked(source, expression='check("99.1")'):
    return eval(expression, namespace(source))


def test_a_stub_waits_and_a_right_answer_passes(course):
    stub = next(c for c in course.notebook().cells if c.id == "99-1-answer").source
    told = asked(stub)
    assert not told
    assert "waits for your code" in repr(told)
    told = asked(course.right[1])
    assert told
    assert "2 of 2 cases pass" in repr(told)
    assert "1 of 2 exercises solved" in repr(told)
    assert asked(course.right[1], 'solved("99.1")') is True
    assert asked(stub, 'solved("99.1")') is False


def test_a_wrong_answer_is_told_which_case_in_what_and_a_hint_but_no_number_of_the_answer(course):
    told = asked(course.right[1].replace("(len(x) - 1)", "len(x)"))
    text = repr(told)
    assert "0 of 2 cases pass" in text
    assert "✗ 2 rows: off by up to" in text
    assert "What does one divide by?" in text
    assert told.points == 0


def test_an_answer_that_changes_its_arguments_is_told_so(course):
    told = asked(course.right[1].replace("centred = x - x.mean(axis=0)", "x -= x.mean(axis=0); centred = x"))
    assert "arguments were changed" in repr(told)


def test_errors_of_the_answer_are_findings(course):
    assert "it raised ZeroDivisionError" in repr(asked("def covariance(x):\n    return 1 / 0"))
    assert "no function named covariance" in repr(asked("pass"))
    assert "plain" in repr(asked("def covariance(x):\n    return {1, 2}"))


def test_in_a_notebook_it_has_the_same_words_and_its_state_in_colour_sign_and_edge(course):
    stub = next(c for c in course.notebook().cells if c.id == "99-1-answer").source
    wrong = course.right[1].replace("(len(x) - 1)", "len(x)")
    raising = "def covariance(x):\n    raise ValueError('<b>&')"
    made = {"waiting": [stub], "failing": [wrong, raising, "pass"], "solved": [course.right[1]]}
    for status, sources in made.items():
        for source in sources:
            told = asked(source)
            shown = told._repr_html_()
            assert f"carryover-{status}" in shown
            assert 'role="status"' in shown
            read = [" ".join(line.split()) for line in text_of(shown).splitlines()]
            sign, *rest = [line for line in read if line]
            assert sign == LOOKS[status].told
            assert rest == [" ".join(line.split()) for line in repr(told).splitlines()]
    assert "<b>&" not in asked(raising)._repr_html_()


def text_of(shown):
    """Return what an HTML text reads as."""
    root = ElementTree.fromstring(shown)  # it is well-formed
    return "".join(root.itertext())


def test_states_are_legible_and_told_apart_without_colour():
    for look in LOOKS.values():
        assert contrast(look.colour, "#FFFFFF") >= 4.5, "letters"
        assert contrast(look.colour, "#111111") >= 3, "edge on JupyterLab's dark theme"
    for part in zip(*LOOKS.values()):
        assert len(set(part)) == len(LOOKS)
    assert len({look.told[0] for look in LOOKS.values()}) == len(LOOKS)


def contrast(one, other):
    """Return the contrast of two colours as WCAG 2 defines it."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lights.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(lights) / min(lights)


def test_hidden_cases_are_tried_where_the_teachers_folder_is(course, monkeypatch):
    assert "50 rows" in repr(asked(course.right[1], 'check("99.1", hidden=True)'))
    monkeypatch.setenv("COURSE_SOLUTIONS", "/nowhere")
    with pytest.raises(BadInput, match="no solutions"):
        asked(course.right[1], 'check("99.1", hidden=True)')


def test_unknown_numbers_are_told(course):
    with pytest.raises(BadInput, match="There is no exercise"):
        check("99.7")
    with pytest.raises(BadInput, match="not the number"):
        check("5")


def test_progress_is_kept_taken_back_and_survives_damage(course, tmp_path):
    asked(course.right[1])
    asked(course.right[2], 'check("99.2")')
    assert tally.progress().solved == 2
    asked("def covariance(x):\n    return x")
    assert tally.progress().counts == {"99": (1, 2)}
    assert "1 of 2 exercises solved" in repr(tally.progress())
    for damage in ("", "[", "[]", '{"solved": 3}', json.dumps({"solved": [3, None]})):
        tally.state_file().write_text(damage)
        assert tally.progress().solved == 0
    asked(course.right[1])
    assert tally.solved_ids() == {"99.1"}


def test_a_machine_where_nothing_can_be_written_goes_without(course, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "file" / "below"))
    assert asked(course.right[1])


def test_under_nbgrader_points_are_returned_and_nothing_earned_raises(course, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert asked(course.right[1]) == 3.0
    assert asked(course.right[1], 'check("99.1", hidden=True)') == 3.0
    with pytest.raises(AssertionError, match="0 of 2"):
        asked("def covariance(x):\n    return x", 'check("99.1", hidden=True)')
    half = (
        course.right[1]
        + "\n_right = covariance\ndef covariance(x):\n    return _right(x) if len(x) < 9 else x"
    )
    assert asked(half, 'check("99.1", hidden=True)') == 1.5
    assert asked(half) == 1.5
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(AssertionError, match="1 of 2"):
        asked(half)
    assert tally.solved_ids() == set()


def test_arguments_arrive_as_tensors_where_the_exercise_says_so():
    torch = pytest.importorskip("torch")
    cases = [Case("one", (np.ones((2, 2), dtype=np.float32), [np.zeros(1)], 3), close(np.full((2, 2), 2.0)))]
    verdicts = tried(
        lambda x, more, n: torch.add(x, 1) if isinstance(more[0], torch.Tensor) else None, cases, "torch"
    )
    assert verdicts[0].ok
