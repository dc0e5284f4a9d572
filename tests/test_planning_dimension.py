"""One parameter of a space: what it holds, and what is refused."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranges import ranges

from htsweep.planning.dimension import Dimension, read_dimension


@given(ranges(), st.floats(0, 1, exclude_max=True))
def test_a_value_lies_where_its_share_says(given: dict[str, Any], share: float) -> None:
    dimension = read_dimension("a", given)
    value = dimension.at(share)
    assert dimension.has(value)
    assert dimension.low <= dimension.at(share / 2) <= value
    if not given["integer"]:
        scale = math.log if given["log"] else float
        low, high = scale(given["low"]), scale(given["high"])
        assert scale(value) == pytest.approx(
            low + (high - low) * share, abs=1e-9 * (abs(low) + abs(high))
        )


def test_whole_numbers_and_choices_have_equal_shares() -> None:
    shares = [(step + 0.5) / 60 for step in range(60)]
    for value, expected in (
        ({"low": 1, "high": 5, "integer": True}, range(1, 6)),
        (["a", "b", "c"], "abc"),
    ):
        counts = Counter(read_dimension("a", value).at(share) for share in shares)
        assert counts == dict.fromkeys(expected, 60 // len(expected))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"low": 1, "high": 0.1}, "`low < high` must hold, but got low=1, high=0.1"),
        ({"low": 0, "high": 1, "log": True}, "`log` needs low > 0"),
        ({"low": 0}, "must be a finite number"),
        ({"low": 0, "high": float("inf")}, "finite"),
        ({"low": "a", "high": 1}, "finite number, but got 'a'"),
        ([], "at least one"),
        ({"choices": [1], "low": 0}, "either"),
        ({}, "either"),
        ({"low": 0, "high": 1, "logg": True}, "did you mean 'log'?"),
        ({"low": 0, "high": 1, "grid": [2]}, "must lie in [0, 1], but got 2"),
        ({"low": 0.5, "high": 3, "integer": True}, "whole"),
        ({"choices": [1, 2], "default": 3}, "one of the choices"),
        ({"low": 0, "high": 1, "log": 1}, "true or false"),
        (
            {"low": 1, "high": 9, "integer": True, "default": 2.5},
            "whole numbers in `grid` and `default`, but got 2.5",
        ),
        (
            {"choices": [1], "log": True},
            "either `choices`, or `low` and `high` with what belongs to a range, but got choices, "
            "log",
        ),
        ({"low": 1, "high": 1e30, "integer": True}, "at most 2**53"),
        ({"choices": "abc"}, "must be a list"),
        ({"low": 0, "high": 1, "default": None}, "must lie in [0, 1], but got None"),
        ({"default": 1}, "but got default"),
        ({"low": 0, "high": 1, "grid": 0.5}, "must be a list"),
        ({"low": True, "high": 2}, "finite number, but got True"),
    ],
)
def test_impossible_spaces_are_refused_with_the_rule(value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_dimension("a", value)
    assert rule in str(caught.value)


def test_every_broken_rule_is_listed_at_once() -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        read_dimension(
            "a", {"low": 2, "high": -1, "log": True, "integer": "yes", "grd": [1], "default": 5}
        )
    for rule in ("did you mean 'grid'?", "`integer` must be", "`low < high`", "but got 5"):
        assert rule in str(caught.value)
    with pytest.raises(ValueError, match=r".*") as caught:
        read_dimension("a", {"low": "x", "high": None, "hihg": 1})
    assert str(caught.value).count("finite number") == 2


def test_whole_numbers_stay_whole_however_they_are_written() -> None:
    found = read_dimension(
        "a", {"low": 1.0, "high": 1e3, "integer": True, "grid": [1e1], "default": 1e2}
    )
    assert [type(one) for one in (found.low, found.high, found.grid[0], found.default)] == [int] * 4


def test_a_scalar_is_fixed() -> None:
    assert read_dimension("a", 3) == Dimension("a", choices=(3,), default=3)
