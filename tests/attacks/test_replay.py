"""What one student learns of hidden cases is worth nothing to another."""

from __future__ import annotations

import pytest

from course_lib.grading import marking
from course_lib.grading.marking import Paper, cases_of, seed_of
from tests.attacks.arena import CAGED, FULL, STEM, WRONG, Attack, caged, offered, said

ANSWERS = "import json\nTABLE = json.loads('@TABLE@')\ndef covariance(x):\n    import numpy as np\n"
ANSWERS += "    key = repr(float(x.ravel()[0]))\n    return np.array(TABLE[key]) if key in TABLE else x[:3]\n"


def table(course, student, seed):
    """Return all inputs and right results of a student's cases: more than any student could record."""
    import json

    paper = Paper.load(course.solutions, course.solutions / f"{STEM}.ipynb")
    cases = cases_of(paper.exercises["99.1"], seed_of(seed, student), True)
    return json.dumps({repr(float(c.arguments[0].ravel()[0])): c.expected.value.tolist() for c in cases})


def replayed(course, recorded_by, tier):
    """Let `001-a-replay` hand in what was recorded of somebody."""
    seed = int(course.secret[-8:], 16)
    source = ANSWERS.replace("@TABLE@", table(course, recorded_by, seed))
    attack = Attack("replay", source)
    return course.grade([attack], tier).of(attack)


@pytest.mark.parametrize("tier", CAGED)
def test_the_cases_of_another_are_worthless(course, tier):
    offered(tier)
    graded = replayed(course, "000-honest", tier)
    assert graded.earned == 0
    assert graded.results[0].verdicts[0].ok  # the visible case is everybody's


def test_one_seed_for_all_would_make_them_worth_full_points(course, monkeypatch):
    from course_lib.grading import grade as grading

    monkeypatch.setattr(grading, "seed_of", lambda seed, _: seed_of(seed, "000-honest"))
    assert replayed(course, "000-honest", caged()).earned == FULL


def test_seeds_of_students_differ():
    names = [f"student-{k}" for k in range(2000)]
    assert len({marking.seed_of(5, name) for name in names}) == len(names)
    assert marking.seed_of(5, "ada") != marking.seed_of(6, "ada")


def test_nothing_is_recorded_between_submissions(course):
    keep = (
        "for p in ('/tmp', '/dev/shm', '.'):\n    try: open(p + '/@MARK@.log', 'a').write(repr(x.tolist()))\n"
        "    except OSError: pass\n"
    )
    record = Attack("record", "def covariance(x):\n    " + keep.replace("\n", "\n    ") + "return x\n")
    find = Attack(
        "replay",
        "for p in ('/tmp', '/dev/shm', '.'):\n    if os.path.exists(p + '/@MARK@.log'): got(p)\n" + WRONG,
    )
    batch = course.grade([record, find], caged())
    assert "GOT" not in said(batch.of(find))
    assert batch.of(find).earned == 0
