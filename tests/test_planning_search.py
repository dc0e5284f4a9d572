"""Spaces and proposals."""

import itertools
import math
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranges import CHOICES, ranges
from scipy.stats import qmc

from htsweep.planning.dimension import Space, read_dimension
from htsweep.planning.search import propose
from htsweep.planning.sequences import size

MAX = ("maximize",)
SAMPLERS = ("grid", "random", "qmc", "tpe", "nsga2")


def space(**dimensions: Any) -> Space:
    return tuple(read_dimension(key, value) for key, value in sorted(dimensions.items()))


def points(of: Space, sampler: str, count: int) -> list[dict[str, Any]]:
    return [
        found
        for index in range(count)
        if (found := propose(of, sampler, MAX, (), index=index)) is not None
    ]


SPACES = st.dictionaries(st.sampled_from("abcd"), ranges() | CHOICES, min_size=1).map(
    lambda given: space(**given)
)


@given(SPACES, st.sampled_from(["random", "qmc"]))
@settings(max_examples=60, deadline=None)
def test_points_lie_in_the_space_and_depend_on_it_alone(of: Space, sampler: str) -> None:
    found = points(of, sampler, 6)
    assert found == points(of, sampler, 6)
    history = [(one, (0.5,)) for one in found]
    assert propose(of, sampler, MAX, history, index=6, seed_name="other") == propose(
        of, sampler, MAX, (), index=6
    )
    for dimension, point in itertools.product(of, found):
        value = point[dimension.key]
        if dimension.choices is not None:
            assert value in dimension.choices
        else:
            assert dimension.low <= value <= dimension.high
            assert not dimension.integer or type(value) is int


@given(SPACES, ranges() | CHOICES, st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_dimension_more_leaves_the_random_draws_of_the_others(
    of: Space, added: Any, index: int
) -> None:
    wide = propose((*of, read_dimension("zz", added)), "random", MAX, (), index=index)
    narrow = propose(of, "random", MAX, (), index=index)
    assert wide is not None
    assert narrow == {key: value for key, value in wide.items() if key != "zz"}


def test_to_fix_a_parameter_more_moves_no_quasi_random_point() -> None:
    of = space(a={"low": 0.0, "high": 1.0}, b={"low": 0.0, "high": 1.0})
    more = space(a={"low": 0.0, "high": 1.0}, aa=7, b={"low": 0.0, "high": 1.0})
    assert [{**one, "aa": 7} for one in points(of, "qmc", 9)] == points(more, "qmc", 9)


def test_quasi_random_points_are_scipy_s_sequence() -> None:
    """Also where a block of the sequence ends, and without a word about powers of two."""
    of = space(a={"low": 0.0, "high": 1.0}, b={"low": 0.0, "high": 1.0})
    whole = qmc.Sobol(2, scramble=True, rng=20231107).random(512)
    for index in (0, 1, 2, 255, 256, 257, 511):
        assert propose(of, "qmc", MAX, (), index=index) == dict(
            zip("ab", whole[index], strict=True)
        )
    with_defaults = space(
        a={"low": 0.0, "high": 1.0, "default": 0.5}, b={"low": 0.0, "high": 1.0, "default": 0.5}
    )
    assert propose(with_defaults, "qmc", MAX, (), index=1) == dict(zip("ab", whole[0], strict=True))


@given(SPACES.map(lambda of: tuple(one for one in of if one.choices is not None)))
def test_a_grid_holds_every_combination_once_and_begins_with_the_default(of: Space) -> None:
    found = points(of, "grid", (size(of, "grid") or 0) + 3)
    every = [
        dict(zip((one.key for one in of), values, strict=True))
        for values in itertools.product(*(one.choices or () for one in of))
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, every))
    assert found[0] == {one.key: one.default for one in of}


def test_one_and_true_are_two_choices_but_one_and_one_point_nothing_are_not() -> None:
    assert [one["a"] for one in points(space(a=[1, True, 0]), "grid", 9)] == [1, True, 0]
    with pytest.raises(ValueError, match=r"must differ, but 1\.0 is listed twice"):
        read_dimension("a", [1, 1.0])


def test_none_is_a_choice_and_may_be_the_default() -> None:
    of = space(a={"choices": [None, 0.5]}, b=None)
    assert [propose(of, sampler, MAX, (), index=0) for sampler in SAMPLERS] == [
        {"a": None, "b": None}
    ] * 5


def test_a_point_of_a_long_grid_is_found_at_once() -> None:
    of = space(**{key: list(range(10)) for key in "abcdefgh"})
    begin = time.perf_counter()
    assert propose(of, "grid", MAX, (), index=98_765_432) == dict(
        zip("abcdefgh", [9, 8, 7, 6, 5, 4, 3, 2], strict=True)
    )
    assert time.perf_counter() - begin < 1  # walking there takes ten


def test_a_grid_is_the_product_with_the_defaults_first() -> None:
    of = space(a={"low": 0.0, "high": 1.0, "grid": [0.1, 0.5], "default": 0.5}, b=["x", "y", "z"])
    found = points(of, "grid", 99)
    assert found[0] == {"a": 0.5, "b": "x"}
    assert sorted((one["a"], one["b"]) for one in found) == sorted(
        itertools.product([0.1, 0.5], "xyz")
    )
    assert size(of, "grid") == 6
    assert size(of, "random") is None
    assert size(space(a={"low": 3, "high": 5, "integer": True}, b=["x", "y"]), "tpe") == 6


def test_without_dimensions_there_is_one_point() -> None:
    assert points((), "tpe", 3) == [{}]
    assert size((), "grid") == 1


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_the_first_point_is_the_default_configuration(sampler: str) -> None:
    of = space(
        a={"low": 1e-3, "high": 1.0, "log": True, "default": 0.1},
        b={"choices": [1, 2], "default": 2},
    )
    assert propose(of, sampler, MAX, (), index=0) == {"a": 0.1, "b": 2}


def test_sobol_covers_evenly_and_logarithms_are_even_too() -> None:
    found = [
        one["a"] for one in points(space(a={"low": 1e-4, "high": 1.0, "log": True}), "qmc", 16)
    ]
    assert sorted(int(4 * (1 + math.log10(value) / 4)) for value in found) == sorted(
        [0, 1, 2, 3] * 4
    )


def test_a_grid_over_a_range_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"\(a\): add `grid"):
        size(space(a={"low": 0, "high": 1}), "grid")


def searched(sampler: str, count: int, seed: str) -> float:
    """The best value that a sampler finds of a smooth function of two parameters; the optimum is 0."""
    of = space(x={"low": -1, "high": 1}, y={"low": -1, "high": 1})
    history: list[tuple[dict[str, Any], tuple[float]]] = []
    for index in range(count):
        point = propose(of, sampler, ("minimize",), history, index=index, seed_name=seed)
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
        point = propose(
            of, sampler, ("maximize", "minimize"), history, index=index, seed_name="sweep"
        )
        assert point == propose(
            of, sampler, ("maximize", "minimize"), history, index=index, seed_name="sweep"
        )
        assert point is not None
        assert point not in [one for one, _ in history]
        history.append((point, None if index % 5 == 4 else (point["x"], point["z"] / 8)))
    assert history[-1][0] != propose(
        of, sampler, ("maximize", "minimize"), history[:-1], index=13, seed_name="another"
    )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_finite_space_ends(sampler: str) -> None:
    of = space(a=[1, 2], b=["x", "y"])
    history: list[tuple[dict[str, Any], tuple[float]]] = []
    while (point := propose(of, sampler, MAX, history, index=len(history))) is not None:
        history.append((point, (0.5,)))
    assert len({tuple(one.values()) for one, _ in history}) == len(history) == 4


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_finite_space_ends_whichever_order_it_came_in(sampler: str) -> None:
    """The last one of 5,000 is found too: random tries would miss it."""
    of = space(a=list(range(50)), b={"low": 1, "high": 100, "integer": True})
    history = [
        ({"a": a, "b": b}, None) for a in range(50) for b in range(1, 101) if (a, b) != (31, 17)
    ]
    assert propose(of, sampler, MAX, history, index=4999) == {"a": 31, "b": 17}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_points_from_outside_the_space_are_passed_over(sampler: str) -> None:
    """The study was edited: a range narrowed, a choice taken out, a parameter added; and 1.0 is the choice 1."""
    of = space(x={"low": 0.0, "high": 1.0}, y=[1, 2])
    inside = [({"x": step / 10, "y": 1.0}, (step / 10,)) for step in range(8)]
    outside = [
        ({"x": 5.0, "y": 1}, (9.0,)),
        ({"x": 0.5, "y": 3}, (9.0,)),
        ({"x": 0.5}, (9.0,)),
        ({"x": "a", "y": 1}, None),
    ]
    found = propose(of, sampler, MAX, [*inside, *outside], index=12)
    assert found == propose(of, sampler, MAX, inside, index=12)
    assert found is not None
    assert 0 <= found["x"] <= 1


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_points_asked_for_at_once_differ(sampler: str) -> None:
    """Eight slots ask before anything is measured, and again with some results: pending points are told as such."""
    of = space(x={"low": 0.0, "high": 1.0}, y={"low": 1e-5, "high": 1.0, "log": True})
    history: list[tuple[dict[str, Any], tuple[float] | None]] = [
        ({"x": s / 20, "y": 0.1}, (s / 20,)) for s in range(20)
    ]
    for index in range(20, 28):
        point = propose(of, sampler, MAX, history, index=index)
        assert point is not None
        history.append((point, None))
    assert len({(one["x"], one["y"]) for one, _ in history}) == 28


def volume(sampler: str, seed: str) -> float:
    """The area that 40 points dominate of a two-objective problem whose front is y = 1 - sqrt(x)."""
    of = space(a={"low": 0.0, "high": 1.0}, b={"low": 0.0, "high": 1.0}, c=["p", "q", "r"])
    history: list[tuple[dict[str, Any], tuple[float, float]]] = []
    for index in range(40):
        point = propose(of, sampler, ("minimize", "minimize"), history, index=index, seed_name=seed)
        assert point is not None
        far = 1 + 4 * (point["b"] - 0.7) ** 2 + (point["c"] != "q") * 0.5
        history.append((point, (point["a"], far - math.sqrt(point["a"] * far))))
    area, top = 0.0, 3.0
    for x, y in sorted(values for _, values in history):
        if y < top:
            area, top = area + (1.1 - x) * (top - y), y
    return area


def test_two_objectives_are_searched_together() -> None:
    assert sorted(volume("tpe", str(seed)) for seed in range(3))[1] > volume("random", "")


def test_failed_and_diverged_points_are_pending_ones() -> None:
    of = space(x={"low": 0.0, "high": 1.0})
    history = [({"x": step / 10}, (step / 10,)) for step in range(10)]
    told = [
        propose(of, "tpe", MAX, [*history, ({"x": 0.95}, values)], index=11)
        for values in (None, (math.nan,), (math.inf,))
    ]
    assert told[0] == told[1] == told[2]


def test_optuna_s_log_is_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    propose(space(x={"low": 0.0, "high": 1.0}), "tpe", MAX, (), index=0)
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_long_history_is_no_burden(sampler: str) -> None:
    of = space(x={"low": 0, "high": 1}, y={"low": 0, "high": 1})
    history = [(one, (one["x"],)) for one in points(of, "random", 300)]
    propose(of, sampler, MAX, history[:2], index=2)
    begin = time.perf_counter()
    propose(of, sampler, MAX, history, index=300)
    assert time.perf_counter() - begin < 1  # 30 ms; what is quadratic takes three seconds


def test_the_module_costs_nothing_before_it_is_used() -> None:
    heavy = "{'numpy', 'scipy', 'optuna', 'pandas', 'torch', 'ray'}"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, htsweep.planning.search; print({heavy} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
