"""How many points a search has, for the effort that one is ready to make."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep.planning import counting
from htsweep.planning.dimension import Space, read_dimension, text_of


def space(**dimensions: Any) -> Space:
    return tuple(read_dimension(key, value) for key, value in sorted(dimensions.items()))


class Names:
    """Names points, and counts how often it was asked."""

    def __init__(self, name: Callable[[Mapping[str, Any]], Any]) -> None:
        self.asked = 0
        self._name = name

    def __call__(self, parameters: Mapping[str, Any]) -> str:
        self.asked += 1
        return text_of(self._name(parameters))


MILLION = space(
    a=list(range(100)),
    b=list(range(100)),
    c=[1, 2, 3, 4],
    d=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        (dict, 480_000),
        (lambda point: {**point, "b": None}, 4_800),
        (lambda point: {**point, "a": round(point["a"] / 10), "b": None}, 528),
        (lambda point: {}, 1),
        # b matters to some of c alone: no product of numbers says how many there are, so that all
        # count.
        (lambda point: {**point, "b": point["b"] if point["c"] == 2 else None}, 480_000),
        (lambda point: {**point, "d": point["d"] + point["c"] == 5}, 480_000),
    ],
)
def test_what_makes_no_difference_is_taken_out_for_few_points(
    name: Callable[[Mapping[str, Any]], Any], count: int
) -> None:
    names = Names(name)
    assert counting.at_most(MILLION, "grid", None, names, effort=20_000) == count
    assert names.asked <= 20_000


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 60), st.integers(0, 2**16)
)
def test_a_small_search_is_counted(lengths: list[int], limit: int, seed: int) -> None:
    of = space(**{key: list(range(length)) for key, length in zip("abcd", lengths, strict=False)})
    name = Names(lambda point: hash((seed, *sorted(point.items()))) % 7)
    for sampler in ("grid", "random"):
        every = itertools.islice(counting.walk(of, sampler, limit), limit)
        assert counting.at_most(of, sampler, limit, name, effort=10**6) == len(
            {name(point) for _, point in every}
        )


def test_a_search_that_nothing_matters_to_is_one_point_however_long() -> None:
    of = space(a={"low": 0.0, "high": 1.0}, b={"low": 1, "high": 5, "integer": True})
    names = Names(lambda point: {"b": point["b"]})
    assert counting.at_most(of, "random", 10**9, names, effort=20_000) == 5
    assert counting.at_most(of, "random", 10**9, Names(dict), effort=20_000) == 10**9
    assert names.asked <= 20_000


def test_a_wide_space_costs_more() -> None:
    of = space(**{f"p{number}": [1, 2] for number in range(1_100)})
    names = Names(dict)
    assert counting.at_most(of, "random", 10**9, names, effort=20_000) == 10**9
    assert names.asked * len(of) <= 20 * 20_000


def test_bounds_follow_from_lengths() -> None:
    assert (
        counting.bound(MILLION, "grid", None) == counting.bound(MILLION, "random", 10**9) == 480_000
    )
    assert counting.bound(MILLION, "grid", 7) == 7
    assert counting.bound(space(a={"low": 0, "high": 1}), "random", 10**18) == 10**18
    assert counting.bound((), "tpe", 1) == 1
    assert counting.draws(space(a=[1, 2, 3]), "random", 10**9) < 100


def test_variations_change_one_parameter_at_a_time() -> None:
    of = space(a=[1, 2], b={"low": 0.0, "high": 1.0}, c="x")
    first, *others = counting.variations(of, "random")
    assert first == {"a": 1, "b": 0.0, "c": "x"}
    assert all(sum(one[key] != first[key] for key in first) == 1 for one in others)
    assert {one["a"] for one in others} == {1, 2}
    assert len({one["b"] for one in others}) == counting.SOME
