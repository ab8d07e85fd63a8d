"""Expectations: what differs is told in kind, and never the value that was expected."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.errors import BadInput
from course_lib.grading import choice, close, equal, kind

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("expectation", "found"),
    [
        (close(X), X + 1e-9),
        (close(X), X.astype(np.float32)),
        (close(X), X.astype(int)),
        (close(2.0), 2),
        (close(2), 2.0),
        (close(2.0), np.array(2.0)),
        (close(np.array(2.0)), 2.0),
        (close(np.array([np.nan, np.inf, 1.0])), np.array([np.nan, np.inf, 1.0])),
        (close({"a": (1.0, X)}), {"a": (1.0, X)}),
        (close(np.zeros((0, 3))), np.zeros((0, 3))),
        (equal([1, "a", None, True]), [1, "a", None, True]),
        (equal(np.array([1, 2])), np.array([1, 2], dtype=np.int32)),
        (kind({"n": 3, "who": "a"}), {"n": 77.5, "who": "b"}),
        (kind(X), -X),
        (close(1 + 2j), 1 + 2j),
    ],
)
def test_what_is_right_passes(expectation, found):
    assert expectation.problem(found) == ""


@pytest.mark.parametrize(
    ("expectation", "found", "told"),
    [
        (close(X), X.T, "shape (2, 3) was expected, one of shape (3, 2)"),
        (close(X), X.tolist(), "an array was expected, a list came"),
        (close(X), X + 0.1, "off by up to 0.1, 6 of 6 elements"),
        (close(X), np.where(X == 2, np.nan, X), "1 of 6 numbers are NaN"),
        (close(np.array([np.nan])), np.array([1.0]), "NaN or an infinity was expected"),
        (close(np.array([np.inf])), np.array([-np.inf]), "another of NaN, inf"),
        (close(X, dtype=True), X.astype(np.float32), "dtype float64 was expected"),
        (close(1.0), True, "a number was expected, a truth value came"),
        (close(1.0), None, "a number was expected, None came"),
        (close(1.0), 10**40, "a number that fits 64 bits"),
        (close({"a": [1.0]}), {"a": [10**40]}, "a number that fits 64 bits"),
        (close(1.0), "1.0", "a number was expected, a text came"),
        (close(1.0), float("nan"), "NaN"),
        (close(1.0), 1 + 1j, "off by up to 1"),
        (close((1.0, 2.0)), [1.0, 2.0], "a tuple was expected, a list came"),
        (close([1.0, 2.0]), [1.0], "a list of 2 was expected, one of 1"),
        (close([1.0, [2.0]]), [1.0, [2.5]], "at [1][0]"),
        (close({"a": 1.0}), {"b": 1.0}, "without ['a'] and with ['b']"),
        (close({"a": 1.0}), [1.0], "a dict was expected"),
        (close({"a": {"b": 1.0}}), {"a": {"b": 2.0}}, "at ['a']['b']"),
        (equal("cat"), "dog", "another text was expected"),
        (equal(3), 4, "another number was expected"),
        (equal(True), 1, "a truth value was expected, a number came"),
        (equal(None), 0, "None was expected"),
        (equal(np.array([1, 2])), np.array([1, 3]), "1 of 2 elements differ"),
        (kind({"n": 3}), {"n": "three"}, "a number was expected"),
        (kind(X), X[0], "shape"),
    ],
)
def test_what_is_wrong_is_told_in_kind(expectation, found, told):
    assert told in expectation.problem(found)


def test_no_message_tells_what_was_expected():
    secret = 73.25
    for found in (0.0, "x", None, np.zeros(3), [secret * 2], {"a": 1}, float("inf")):
        for expectation in (
            close(secret),
            equal(secret),
            close([secret]),
            equal("73.25"),
            close({"k": secret}),
        ):
            assert "73.25" not in expectation.problem(found)


def test_a_tolerance_is_relative_to_the_largest_number():
    expected = np.array([1000.0, 1e-12])
    assert close(expected, rtol=1e-6).problem(expected + 5e-4) == ""
    assert close(expected, rtol=1e-6).problem(expected + 5e-3)


def test_choices_are_measured_on_what_they_reach():
    told = choice(
        {"a": 0.70, "b": 0.80, "c": 0.81, "d": 0.95}, within=0.02, forbidden={"d": "9 of 5 minutes"}
    )
    assert told.problem("c") == told.problem("b") == ""
    assert "by 0.11" in told.problem("a")
    assert "9 of 5 minutes" in told.problem("d")
    for wrong in ("e", 3, None, ["a"], {"a": 1}):
        assert "one of the 4 options" in told.problem(wrong)
    with pytest.raises(BadInput, match="allowed"):
        choice({"a": 1.0}, within=0.1, forbidden={"a": "no"})
