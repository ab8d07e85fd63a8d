"""Verdicts on made-up transfer whose truth is known, and how often they are wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.verdict import over_seeds
from course_lib.tasks.task import Split, Task


@pytest.fixture
def fits(split, fixed):
    """Return reports of a method with the given accuracy, one per seed."""

    def make(right: float, start: int, seeds: int = 3, labels: int = 100, seconds: float = 1.0):
        many = [measure.report(fixed(split, right, 100 * start + s), split) for s in range(seeds)]
        return [replace(r, train_size=labels, seconds={"fit": seconds, "predict": 99.0}) for r in many]

    return make


def test_help_and_hurt_and_no_telling(fits) -> None:
    reports = {"scratch": fits(0.7, 1), "good": fits(0.85, 2), "bad": fits(0.45, 3), "alike": fits(0.705, 4)}
    answers = {name: measure.verdict(reports, transferred=name) for name in ("good", "bad", "alike")}
    assert [v.answer for v in answers.values()] == ["helped", "hurt", "cannot tell"]
    good = answers["good"]
    assert [row.method for row in good.rows] == ["good", "scratch", "bad", "alike"]
    assert [row.verdict for row in good.rows] == ["", "better", "better", "better"]
    assert good["scratch"].difference == good.difference and good["good"].difference is None
    means = [np.mean([r.accuracy.value for r in reports[name]]) for name in ("good", "scratch")]
    assert good.difference.value == pytest.approx(means[0] - means[1])
    assert good.sentence().startswith("Transfer helped: good scores ")
    assert "3 seeds, 500 test examples" in good.sentence()
    assert "points below scratch" in answers["bad"].sentence()
    assert "Only differences above about" in answers["alike"].sentence()
    turned = measure.verdict(reports, transferred="scratch", control="good")
    assert turned.answer == "hurt" and turned.difference.value == pytest.approx(-good.difference.value)


def test_a_margin_asks_for_more_and_can_say_that_nothing_happened(fits, split, told) -> None:
    reports = {"scratch": fits(0.7, 1), "good": fits(0.8, 2)}
    plain = measure.verdict(reports, transferred="good")
    assert plain.answer == "helped"
    strict = measure.verdict(reports, transferred="good", margin=plain.difference.low + 0.01)
    assert strict.answer == "cannot tell" and strict.difference == plain.difference
    lenient = measure.verdict(reports, transferred="good", margin=0.001)
    assert lenient.sentence().startswith("Transfer helped, by more than 0.1 points: good scores")
    nearly = []
    for r in reports["scratch"]:
        answers = r.predictions.copy()
        answers[np.flatnonzero(answers != split.y)[:2]] = split.y[np.flatnonzero(answers != split.y)[:2]]
        nearly.append(replace(measure.report(told("nearly", answers), split), train_size=100))
    alike = {"scratch": reports["scratch"], "nearly": nearly}
    nothing = measure.verdict(alike, transferred="nearly", margin=0.02)
    assert nothing.answer == "no difference"
    assert nothing.sentence().startswith("Transfer made no difference that matters (±2 points)")
    same = {"scratch": reports["scratch"], "same": reports["scratch"]}
    assert measure.verdict(same, transferred="same").answer == "cannot tell"


def test_too_few_seeds_cannot_tell_whatever_the_interval(fits) -> None:
    reports = {"scratch": fits(0.6, 1), "good": fits(0.9, 2)}
    one = measure.verdict({name: group[:1] for name, group in reports.items()}, transferred="good")
    assert one.answer == "cannot tell" and one.difference.low > 0.2 and one.seeds == 1
    assert "about the test examples alone" in one.notes[0] and "would be 'helped'" in one.notes[0]
    two = measure.verdict({name: group[:2] for name, group in reports.items()}, transferred="good")
    assert two.answer == "cannot tell" and "2 seeds say little" in two.notes[0]
    single = {name: group[0] for name, group in reports.items()}
    assert measure.verdict(single, transferred="good", least_seeds=1).answer == "helped"


def test_one_fit_listed_three_times_is_one_seed(fits) -> None:
    reports = {"scratch": fits(0.6, 1)[:1] * 3, "good": fits(0.9, 2)[:1] * 3}
    found = measure.verdict(reports, transferred="good")
    assert found.answer == "cannot tell" and found.seeds == 1
    assert found.notes[0] == "Of 3 seeds only 1 gave other predictions; equal ones count as one."
    reports["good"] = fits(0.9, 2)  # it is enough that one of the two varies
    assert measure.verdict(reports, transferred="good").answer == "helped"


def test_unequal_labels_are_refused_for_the_two_and_noted_for_others(fits) -> None:
    reports = {
        "scratch": fits(0.7, 1),
        "good": fits(0.8, 2, labels=200),
        "source only": fits(0.6, 3, labels=0),
    }
    with pytest.raises(BadInput, match="good saw 200 labels, scratch 100") as caught:
        measure.verdict(reports, transferred="good")
    assert "measure.trial" in caught.value.remedy
    mixed = [replace(r, train_size=100 + 50 * i) for i, r in enumerate(reports["good"])]
    with pytest.raises(BadInput, match="100 and 150 and 200"):
        measure.verdict({**reports, "good": mixed}, transferred="good")
    reports["good"] = fits(0.8, 2)
    notes = measure.verdict(reports, transferred="good").notes
    assert any("Other labels than the 100 of good: source only 0" in note for note in notes)
    assert any(note.startswith("2 differences, each with its own 95%") for note in notes)
    silent = {"scratch": fits(0.7, 1), "good": fits(0.8, 2, labels=0)}
    assert measure.verdict(silent, transferred="good").notes == (
        "good: number of labels not stated, so it was not checked.",
    )


def test_unequal_budgets_are_noted_with_their_direction_or_refused(fits) -> None:
    slow, quick = fits(0.8, 2, seconds=10.0), fits(0.8, 2, seconds=0.1)
    scratch = fits(0.6, 1, seconds=2.0)
    (lavish,) = measure.verdict({"scratch": scratch, "good": slow}, transferred="good").notes
    assert (
        lavish
        == "good was given 10.0 s, 5.0 times the 2.0 s of scratch: part of its lead may be its budget's."
    )
    (thrifty,) = measure.verdict({"scratch": scratch, "good": quick}, transferred="good").notes
    assert "more time does not explain the difference" in thrifty
    assert not measure.verdict({"scratch": scratch, "good": slow}, transferred="good", max_ratio=5).notes
    with pytest.raises(BadInput, match=r"given 10\.0 s, 5\.0 times"):
        measure.verdict({"scratch": scratch, "good": slow}, transferred="good", strict=True)
    free = [replace(r, seconds={}) for r in scratch]
    (unknown,) = measure.verdict({"scratch": free, "good": slow}, transferred="good").notes
    assert "more than the 0.0 s" in unknown


def test_bad_input_is_refused(fits, split, fixed) -> None:
    reports = {"scratch": fits(0.7, 1), "good": fits(0.8, 2)}
    half = split.take(np.arange(250))
    other = [measure.report(fixed(half, 0.8, s), half) for s in range(3)]
    with pytest.raises(BadInput, match="not the same examples"):
        measure.verdict({**reports, "good": other}, transferred="good")
    with pytest.raises(BadInput, match="Unequal numbers of seeds: scratch 3, good 2"):
        measure.verdict({**reports, "good": reports["good"][:2]}, transferred="good")
    with pytest.raises(BadInput, match="no report of 'god'"):
        measure.verdict(reports, transferred="god")
    with pytest.raises(BadInput, match="no report of 'none'"):
        measure.verdict(reports, transferred="good", control="none")
    with pytest.raises(BadInput, match="compared with itself"):
        measure.verdict(reports, transferred="scratch")
    with pytest.raises(BadInput, match="margin=-1"):
        measure.verdict(reports, transferred="good", margin=-1)
    with pytest.raises(BadInput, match="no metric"):
        measure.verdict(reports, transferred="good", metric="f2")


def test_shown_and_stored_and_repeatable(fits) -> None:
    reports = {"<scratch>": fits(0.7, 1), "good": fits(0.8, 2), "probe": fits(0.8, 3, seconds=9.0)}
    ask = {"transferred": "good", "control": "<scratch>", "metric": "balanced_accuracy"}
    found = measure.verdict(reports, **ask)
    stored = json.loads(json.dumps(found.to_dict()))
    assert (
        stored["answer"] == found.answer
        and stored["rows"][1]["difference"]["value"] == found.difference.value
    )
    assert stored == json.loads(json.dumps(measure.verdict(reports, **ask).to_dict()))
    html = found._repr_html_()
    assert "&lt;scratch&gt;" in html and "<scratch>" not in html and "<li>" in html
    assert found.sentence() in str(found) and "Note: 2 differences" in str(found)
    with pytest.raises(KeyError):
        found["none"]


def test_with_one_seed_it_is_the_paired_interval_of_compare_not_an_unpaired_one(split, told) -> None:
    a = np.where(np.random.default_rng(3).random(500) < 0.7, split.y, (split.y + 1) % 4)
    b = a.copy()
    b[np.flatnonzero(a != split.y)[:30]] = split.y[np.flatnonzero(a != split.y)[:30]]
    reports = {"a": measure.report(told("a", a), split), "b": measure.report(told("b", b), split)}
    found = measure.verdict(reports, transferred="b", control="a", resamples=5000).difference
    paired = measure.compare(reports, resamples=5000)["b"].difference
    assert (found.low, found.high) == (
        pytest.approx(paired.low, abs=0.002),
        pytest.approx(paired.high, abs=0.002),
    )
    unpaired = np.hypot(*(r.accuracy.half_width for r in reports.values()))
    assert unpaired > 2 * found.half_width


def test_where_only_seeds_vary_it_is_students_interval() -> None:
    values = np.array([0.02, 0.05, 0.03, 0.07])
    found = over_seeds(values, np.tile(values, (100, 1)), 1000)
    exact = stats.t.interval(0.95, 3, values.mean(), values.std(ddof=1) / 2)
    assert (found.low, found.high) == pytest.approx(exact)


def test_where_only_examples_vary_seeds_do_not_widen_it() -> None:
    """Equal seeds: the variance of the examples once, whatever the number of seeds."""
    draws = np.random.default_rng(0).normal(0.1, 0.01, (20_000, 1))
    found = over_seeds(np.full(3, 0.1), np.tile(draws, (1, 3)), 1000)
    assert found.half_width == pytest.approx(1.96 * 0.01, rel=0.02)


def made_up(
    rng, seeds: int, n: int, seed_scatter: float, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Hits ``(2, seeds, n)`` of two methods: common difficulty, a method's own taste, seeds, noise.

    With shift 0 the two are equal in truth; what they differ by is chance in examples and seeds.
    """
    parts = [1.0, 0.5, seed_scatter, 0.5]
    shapes = [(1, 1, n), (2, 1, n), (2, seeds, 1), (2, seeds, n)]
    score = sum(size * rng.normal(size=shape) for size, shape in zip(parts, shapes, strict=True))
    score = score / np.linalg.norm(parts) + ndtri(0.8)
    score[1] += shift
    return score > 0


def told_apart(rng, times: int, seeds: int, seed_scatter: float, shift: float = 0.0) -> dict[str, float]:
    """How often each kind of interval leaves out 0."""
    n, count = 300, {"verdict": 0, "examples alone": 0, "unpaired": 0}
    for _ in range(times):
        hits = made_up(rng, seeds, n, seed_scatter, shift).astype(float)
        shares = rng.multinomial(n, np.full(n, 1 / n), size=200) / n
        apart = hits[1] - hits[0]
        draws = shares @ apart.T
        found = over_seeds(apart.mean(axis=1), draws, n)
        count["verdict"] += found.low > 0 or found.high < 0
        low, high = np.percentile(draws.mean(axis=1), (2.5, 97.5))
        count["examples alone"] += low > 0 or high < 0
        each = [over_seeds(h.mean(axis=1), shares @ h.T, n) for h in hits]
        count["unpaired"] += abs(each[1].value - each[0].value) > np.hypot(*(e.half_width for e in each))
    return {name: c / times for name, c in count.items()}


@pytest.mark.parametrize("seed_scatter", [0.1, 0.3])
def test_of_equal_methods_about_one_in_twenty_is_told_apart(seed_scatter) -> None:
    found = told_apart(np.random.default_rng(1), 400, 3, seed_scatter)
    assert 0.01 < found["verdict"] < 0.09
    assert found["examples alone"] > 2 * found["verdict"], "the wrong interval must be seen to be wrong"


def test_a_true_difference_is_found_and_found_more_often_when_larger_and_paired() -> None:
    rng = np.random.default_rng(2)
    small, large = (told_apart(rng, 200, 3, 0.03, shift) for shift in (0.15, 0.45))
    assert large["verdict"] > 0.9 and 0.15 < small["verdict"] < 0.9
    assert small["unpaired"] < 0.7 * small["verdict"]


@pytest.fixture
def task(split) -> Task:
    def part(start: int, n: int, name: str) -> Split:
        ids = np.array([str(i) for i in range(start, start + n)])
        return Split(np.zeros((n, 1)), np.arange(n) % 4, split.class_names, name, "made up", ids)

    parts = part(1000, 200, "train"), part(2000, 80, "validation"), split
    return Task("made up", *parts, split.class_names, "made up", "CC0", "none")


def test_a_trial_gives_every_method_the_same_labels_per_seed(task, fixed) -> None:
    seen: dict[str, dict[int, list[str]]] = {"scratch": {}, "good": {}}

    def method(name: str, right: float, salt: int):
        def fit(subset, seed):
            seen[name][seed] = subset.train.ids.tolist()
            return fixed(task.test, right, salt + seed, name)

        return fit

    methods = {"scratch": method("scratch", 0.6, 10), "good": method("good", 0.85, 20)}
    reports = measure.trial(methods, task, seeds=(2, 0, 1), train=40)
    assert seen["scratch"] == seen["good"] and sorted(seen["good"]) == [0, 1, 2]
    assert len(seen["good"][0]) == 40 and seen["good"][0] != seen["good"][1]
    assert {name: len(group) for name, group in reports.items()} == {"scratch": 3, "good": 3}
    assert measure.verdict(reports, transferred="good").answer == "helped"
    half = task.test.take(np.arange(100))
    short = measure.trial({"a": lambda t, s: fixed(half, 0.5, s)}, task, [0], test=half)
    assert short["a"][0].n == 100


def test_a_trial_fails_before_anything_is_fitted(task) -> None:
    for methods, seeds in (({}, [0]), ({"a": None}, [])):
        with pytest.raises(BadInput, match="needs methods and seeds"):
            measure.trial(methods, task, seeds)
    with pytest.raises(BadInput, match="201 labels asked for"):
        measure.trial({"a": None}, task, [0], train=201)
