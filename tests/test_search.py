"""Spaces and proposals."""

import itertools
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.search import Dimension, Space, propose, read_dimension, size

MAX = ("maximize",)


def space(**dimensions: Any) -> Space:
    return tuple(read_dimension(key, value) for key, value in sorted(dimensions.items()))


def points(of: Space, sampler: str, count: int) -> list[dict[str, Any]]:
    return [found for index in range(count) if (found := propose(of, sampler, MAX, (), index)) is not None]


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    log, integer = draw(st.booleans()), draw(st.booleans())
    number = st.integers(1, 50) if integer else st.floats(1e-6, 1e6)
    low, high = sorted(draw(st.tuples(number, number).filter(lambda pair: pair[0] != pair[1])))
    return {"low": low, "high": high, "log": log, "integer": integer}


CHOICES = st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=4, unique_by=repr)
SPACES = st.dictionaries(st.sampled_from("abcd"), ranges() | CHOICES, min_size=1).map(lambda given: space(**given))


@given(SPACES, st.sampled_from(["random", "qmc"]))
@settings(max_examples=60, deadline=None)
def test_points_lie_in_the_space_and_depend_on_it_alone(of: Space, sampler: str) -> None:
    found = points(of, sampler, 6)
    assert found == points(of, sampler, 6)
    history = [(one, (0.5,)) for one in found]
    assert propose(of, sampler, MAX, history, 6, "other") == propose(of, sampler, MAX, (), 6)
    for dimension, point in itertools.product(of, found):
        value = point[dimension.key]
        if dimension.choices is not None:
            assert value in dimension.choices
        else:
            assert dimension.low <= value <= dimension.high
            assert not dimension.integer or type(value) is int


@given(SPACES)
@settings(deadline=None)
def test_a_dimension_more_leaves_the_random_draws_of_the_others(of: Space) -> None:
    more = (*of, read_dimension("zz", {"low": 0, "high": 1}))
    for index in range(1, 4):
        wide, narrow = propose(more, "random", MAX, (), index), propose(of, "random", MAX, (), index)
        # A default configuration takes the first place, so with one the count is shifted.
        shift = all(dimension.default is not None for dimension in of)
        narrow = propose(of, "random", MAX, (), index + shift)
        assert {key: wide[key] for key in narrow} == narrow


def test_a_grid_is_the_product_with_the_defaults_first() -> None:
    of = space(a={"low": 0.0, "high": 1.0, "grid": [0.1, 0.5], "default": 0.5}, b=["x", "y", "z"])
    found = points(of, "grid", 99)
    assert found[0] == {"a": 0.5, "b": "x"}
    assert sorted((one["a"], one["b"]) for one in found) == sorted(itertools.product([0.1, 0.5], "xyz"))
    assert size(of, "grid") == 6
    assert size(of, "random") is None


def test_without_dimensions_there_is_one_point() -> None:
    assert points((), "tpe", 3) == [{}]
    assert size((), "grid") == 1


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "nsga2"])
def test_the_first_point_is_the_default_configuration(sampler: str) -> None:
    of = space(a={"low": 1e-3, "high": 1.0, "log": True, "default": 0.1}, b={"choices": [1, 2], "default": 2})
    assert propose(of, sampler, MAX, (), 0) == {"a": 0.1, "b": 2}


def test_sobol_covers_evenly_and_logarithms_are_even_too() -> None:
    found = [one["a"] for one in points(space(a={"low": 1e-4, "high": 1.0, "log": True}), "qmc", 16)]
    assert sorted(int(4 * (1 + math.log10(value) / 4)) for value in found) == sorted([0, 1, 2, 3] * 4)


@pytest.mark.parametrize(("value", "rule"), [
    ({"low": 1, "high": 0.1}, "`low < high` must hold, but got low=1, high=0.1"),
    ({"low": 0, "high": 1, "log": True}, "`log` needs low > 0"), ({"low": 0}, "must be a finite number"),
    ({"low": 0, "high": float("inf")}, "finite"), ({"low": "a", "high": 1}, "finite number, but got 'a'"), ([], "at least one"),
    ({"choices": [1], "low": 0}, "either"), ({}, "either"), ({"low": 0, "high": 1, "logg": True}, "did you mean 'log'?"),
    ({"low": 0, "high": 1, "grid": [2]}, "must lie in [0, 1], but got 2"), ({"low": 0.5, "high": 3, "integer": True}, "whole"),
    ({"choices": [1, 2], "default": 3}, "one of the choices"), ({"low": 0, "high": 1, "log": 1}, "true or false"),
])
def test_impossible_spaces_are_refused_with_the_rule(value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_dimension("a", value)
    assert rule in str(caught.value)


def test_a_grid_over_a_range_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"never ends \(a\): give `grid"):
        size(space(a={"low": 0, "high": 1}), "grid")


def searched(sampler: str, count: int, seed: str) -> float:
    """The best value that a sampler finds of a smooth function of two parameters; the optimum is 0."""
    of = space(x={"low": -1, "high": 1}, y={"low": -1, "high": 1})
    history: list[tuple[dict[str, Any], tuple[float]]] = []
    for index in range(count):
        point = propose(of, sampler, ("minimize",), history, index, seed)
        assert point is not None
        history.append((point, ((point["x"] - 0.3) ** 2 + (point["y"] + 0.6) ** 2,)))
    return min(values[0] for _, values in history)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_adaptive_samplers_learn(sampler: str) -> None:
    adaptive = sorted(searched(sampler, 50, str(seed)) for seed in range(5))[2]
    guessing = searched("random", 50, "")
    assert adaptive < guessing


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_adaptive_samplers_are_functions_of_their_history(sampler: str) -> None:
    of = space(x={"low": 0, "high": 1}, y=["a", ["b", 1]], z={"low": 1, "high": 8, "integer": True})
    history: list[tuple[dict[str, Any], tuple[float, float] | None]] = []
    for index in range(14):
        point = propose(of, sampler, ("maximize", "minimize"), history, index, "sweep")
        assert point == propose(of, sampler, ("maximize", "minimize"), history, index, "sweep")
        assert point is not None
        assert point not in [one for one, _ in history]
        history.append((point, None if index % 5 == 4 else (point["x"], point["z"] / 8)))
    assert history[-1][0] != propose(of, sampler, ("maximize", "minimize"), history[:-1], 13, "another")


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_finite_space_ends(sampler: str) -> None:
    of = space(a=[1, 2], b=["x", "y"])
    history: list[tuple[dict[str, Any], tuple[float]]] = []
    while (point := propose(of, sampler, MAX, history, len(history))) is not None:
        history.append((point, (0.5,)))
    assert len({tuple(one.values()) for one, _ in history}) == len(history) == 4


def test_a_long_history_is_no_burden() -> None:
    of = space(x={"low": 0, "high": 1}, y={"low": 0, "high": 1})
    history = [(one, (one["x"],)) for one in points(of, "random", 300)]
    propose(of, "tpe", MAX, history[:2], 2)
    begin = time.perf_counter()
    propose(of, "tpe", MAX, history, 300)
    assert time.perf_counter() - begin < 5


def test_a_scalar_is_fixed() -> None:
    assert read_dimension("a", 3) == Dimension("a", choices=(3,), default=3)
