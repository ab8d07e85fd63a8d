"""The tier without a sandbox: what it cannot stop, shown rather than assumed."""

from __future__ import annotations

import pytest

from tests.attacks import test_endings, test_kernel, test_lies, test_network, test_reading, test_resources
from tests.attacks import test_writing as writing
from tests.attacks.arena import FULL, PLAIN, TAKEN, Attack, said
from tests.attacks.test_network import server  # noqa: F401

FAMILIES = (test_endings, test_kernel, test_lies, test_network, test_reading, test_resources, writing)
ALL = [one for family in FAMILIES for one in family.ATTACKS]
SHOWN = [one for one in ALL if one.plain and one.without and not one.harms]

# Not stopped, and not tried here, because it would harm this machine.
UNTRIED = {
    "kill everybody": "every process of the user would end, the tests' own too",
    "kill process 1": "as root, in a container, the whole container would end",
    "disk": "the machine's disk would fill",
    "another worker": "there is no such folder outside of the sandbox",
}


@pytest.fixture(scope="module")
def batch(course, server):  # noqa: F811
    before = course.victim.read_text()
    made = course.grade(SHOWN, "plain", neighbours=8)
    assert course.victim.read_text() == before  # what was opened for writing was left as it was
    return made


@pytest.mark.parametrize("attack", SHOWN, ids=str)
def test_it_is_not_stopped(batch, attack):
    assert attack.plain in PLAIN
    assert TAKEN in said(batch.of(attack)), batch.of(attack).results


def test_the_table_is_complete():
    used = {one.plain for one in ALL if one.plain}
    assert used <= set(PLAIN)
    names = {one.name for one in ALL}
    assert set(UNTRIED) <= names
    assert all(one.plain or one.harms for one in ALL if one.name in UNTRIED)


def test_the_neighbours_are_graded_all_the_same(batch):
    assert [one.student for one in batch.honest if one.earned != FULL] == []
    assert batch.ledger == "ok"


def test_a_killed_zygote_is_started_again(course):
    killing = Attack("kill", "def covariance(x):\n    os.kill(os.getppid(), 9)\n    os._exit(0)\n")
    batch = course.grade([killing], "plain")
    assert batch.of(killing).earned == 0
    assert [one.earned for one in batch.honest] == [FULL, FULL]


def test_who_kills_the_zygote_may_outlive_it(course):
    living = Attack(
        "live on",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.closerange(0, 64)\n"
        "        time.sleep(0.3)\n"
        "        os.execv(sys.executable, [sys.executable, '-ISc', 'import time; time.sleep(20)', "
        "'@MARK@'])\n"
        "    os._exit(0)\nos.kill(os.getppid(), 9)\nos._exit(0)\n",
    )
    try:
        batch = course.grade([living], "plain")
        assert batch.processes != []
        assert "outlives" in PLAIN
    finally:
        course.end_marked()
    assert course.left_processes() == []
