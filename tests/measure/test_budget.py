"""The planner: predictions by hand, budgets kept, what is given up said."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.budget import CUTS, Machine, Rate


@pytest.fixture
def machine() -> Machine:
    """A thousand pictures of 100 px a second below the cut, half of that above; training thrice that."""

    def rates(seconds: float) -> dict[str, Rate]:
        return {cut: Rate(0.0, seconds / 100**2) for cut in CUTS}

    return Machine(rates(0.001), rates(0.002), rates(0.006), dict.fromkeys(CUTS, 4.0), 1e-4)


def task(n: int, m: int) -> SimpleNamespace:
    return SimpleNamespace(name="made up", train=range(n), validation=range(m))


def test_a_prediction_by_hand(machine) -> None:
    plan = measure.predict(task(1000, 200), machine, 100, "block7", 3)
    assert plan.parts["frozen layers, once"] == pytest.approx(2200 * 0.001)
    assert plan.parts["probe"] == pytest.approx(1200 * 0.002 + 0.1)
    assert plan.parts["training"] == pytest.approx(3 * (6 + 0.4))
    assert plan.seconds == pytest.approx(4 + 2.2 + 2.5 + 19.2)
    four = measure.predict(task(1000, 200), machine, 200, "block7", 3)
    assert four.parts["training"] == pytest.approx(4 * plan.parts["training"])


def test_memory_counts_the_kept_activations(machine) -> None:
    small, large = (measure.predict(task(n, 0), machine, 128, "block4", 1).memory for n in (1000, 2000))
    assert large - small == 1000 * 2 * 2 * 40 * 16 * 16


@pytest.mark.parametrize("minutes", [0.8, 2, 5, 20, 200])
def test_a_plan_keeps_its_budget_and_more_buys_more(machine, minutes) -> None:
    given = task(2000, 500)
    plan = measure.plan(given, machine, minutes=minutes)
    assert plan.seconds <= 60 * minutes
    more = measure.plan(given, machine, minutes=2 * minutes)
    assert (more.pixels, -CUTS.index(more.freeze_to), more.epochs) >= (
        plan.pixels,
        -CUTS.index(plan.freeze_to),
        plan.epochs if more.freeze_to == plan.freeze_to and more.pixels == plan.pixels else 0,
    )
    assert set(plan.options) == {"freeze_to", "epochs", "precision"}


def test_what_is_given_up_is_said(machine) -> None:
    tight = measure.plan(task(2000, 500), machine, minutes=1)
    assert any("px" in what for what in tight.given_up)
    assert (
        "would take" in tight.given_up[-1] and "given up" in str(tight) and "given up" in tight._repr_html_()
    )
    assert measure.plan(task(100, 25), machine, minutes=1000).given_up == ()


def test_a_plan_reads_as_a_table(machine) -> None:
    rows = str(measure.plan(task(2000, 500), machine, minutes=1)).splitlines()[1:]
    starts = {re.match(r"  \S.*? {2,}", row).end() for row in rows}
    assert len(starts) == 1, rows


def test_memory_is_a_budget_too(machine) -> None:
    generous = measure.plan(task(40000, 1000), machine, minutes=10000, memory=12)
    frugal = measure.plan(task(40000, 1000), machine, minutes=10000, memory=3)
    assert frugal.memory <= 3 * 2**30 < generous.memory


def test_what_cannot_be_planned(machine) -> None:
    with pytest.raises(BadInput, match=r"the least of all fine-tunings.*\n.*stay with the probe"):
        measure.plan(task(100000, 100), machine, minutes=0.1)
    with pytest.raises(BadInput, match="minutes=0"):
        measure.plan(task(10, 10), machine, minutes=0)
    with pytest.raises(BadInput, match="freeze_to='block9' was not measured"):
        measure.predict(task(10, 10), machine, 96, "block9", 1)


def test_precision_is_lowered_only_where_it_gains(machine) -> None:
    content = machine.to_dict()
    assert Machine.from_dict(json.loads(json.dumps(content))) == machine
    assert machine.precision == "float32"
    assert Machine.from_dict({**content, "bfloat16": 2.0}).precision == "mixed_bfloat16"


def test_a_rate_never_falls_with_the_size() -> None:
    noisy = Rate.through([(96, 0.02), (160, 0.01)])
    assert noisy(200) == noisy(64) == pytest.approx(0.02)
