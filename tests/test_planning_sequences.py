"""Points of grid, random and quasi-random searches: walked one by one, found again, ended in time."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranges import CHOICES, ranges

from htsweep.planning import sequences
from htsweep.planning.dimension import Dimension, Space, read_dimension, text_of
from htsweep.planning.search import propose
from htsweep.planning.sequences import indices, size, walk

SEQUENCES = ("grid", "random", "qmc")


def space(**dimensions: Any) -> Space:
    return tuple(read_dimension(key, value) for key, value in sorted(dimensions.items()))


def known(of: Space, sampler: str) -> bool:
    return sampler != "grid" or all(dimension.listed is not None for dimension in of)


SPACES = st.dictionaries(st.sampled_from("abc"), ranges() | CHOICES, max_size=3).map(
    lambda given: space(**given)
)


@given(SPACES, st.sampled_from(SEQUENCES), st.integers(1, 40))
def test_a_walk_gives_each_point_at_its_first_index(of: Space, sampler: str, limit: int) -> None:
    if not known(of, sampler):
        return
    proposed = [propose(of, sampler, (), (), index=index) for index in range(limit if of else 1)]
    first: dict[str, tuple[int, Any]] = {}
    for index, parameters in enumerate(proposed):
        if parameters is not None:
            first.setdefault(text_of(parameters), (index, parameters))
    expected = list(first.values())
    found = list(walk(of, sampler, limit))
    assert [index for index, _ in found] == [index for index, _ in expected]
    assert [text_of(parameters) for _, parameters in found] == [
        text_of(parameters) for _, parameters in expected
    ]


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_a_walk_through_a_small_space_ends_when_all_has_come(
    sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A billion draws are asked for, and a few dozen are made."""
    draws = itertools.count()
    shares = sequences._shares
    monkeypatch.setattr(sequences, "_shares", lambda *given: (next(draws), shares(*given))[1])
    of = space(a=[1, 2, 3], b={"low": 1, "high": 4, "integer": True}, c="fixed")
    found = list(walk(of, sampler, 10**9))
    assert (
        len({text_of(parameters) for _, parameters in found})
        == len(found)
        == size(of, sampler)
        == 12
    )
    assert next(draws) < 300
    assert list(walk(space(a="fixed"), sampler, 10**9)) == [(0, {"a": "fixed"})]


def test_a_walk_makes_no_more_than_is_taken() -> None:
    of = space(**{f"p{number:03}": [1, 2] for number in range(300)})
    assert size(of, "grid") == 2**300
    last, _ = list(itertools.islice(walk(of, "grid", None), 5))[-1]
    assert last == 4
    assert len(list(itertools.islice(walk(of, "random", 10**18), 5))) == 5


@given(SPACES, st.sampled_from(SEQUENCES), st.integers(0, 30))
def test_a_point_is_found_again_by_its_parameters(of: Space, sampler: str, index: int) -> None:
    if not known(of, sampler) or (parameters := propose(of, sampler, (), (), index=index)) is None:
        return
    assert index in indices(of, sampler, parameters, index)
    if sampler == "grid":
        # Wherever it stood in another study: the lists tell, and a parameter that does not matter
        # stands at its first value.
        assert indices(of, sampler, parameters, 10**6)[0] == index
        kept = dict(itertools.islice(parameters.items(), 1, None))
        assert (
            propose(of, sampler, (), (), index=indices(of, sampler, kept, 0)[0]).items()
            >= kept.items()
        )  # type: ignore[union-attr]


def test_a_quasi_random_point_is_found_again_without_the_default() -> None:
    given = {"low": 0.0, "high": 1.0}
    without, with_default = (
        space(a=given, b=given),
        space(a={**given, "default": 0.5}, b={**given, "default": 0.5}),
    )
    for index in (0, 1, 300):
        point = propose(without, "qmc", (), (), index=index)
        assert point is not None
        places = indices(with_default, "qmc", point, index)
        assert point in [propose(with_default, "qmc", (), (), index=place) for place in places]


def test_values_of_a_list_are_looked_up_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 values each is made a text once, however often points are asked for."""
    texts = itertools.count()
    count = "htsweep.planning.dimension.text_of"
    monkeypatch.setattr(count, lambda value: (next(texts), text_of(value))[1])
    dimension = read_dimension("a", list(range(100_000)))
    assert [propose((dimension,), "grid", (), (), index=index) for index in (0, 99_999)] == [
        {"a": 0},
        {"a": 99_999},
    ]
    assert all(dimension.has(value) for value in (0, 5, 99_999, 5.0))
    assert not dimension.has(-1)
    assert next(texts) < 4 * 100_000 + 100


def test_wide_quasi_random_points_are_made_in_small_blocks() -> None:
    """21,201 dimensions are the most that there are; 256 points of them would take 40 MB."""
    of = tuple(Dimension(f"p{number:05}", 0.0, 1.0) for number in range(2_000))
    first, again = propose(of, "qmc", (), (), index=9), propose(of, "qmc", (), (), index=9)
    assert first == again
    sequences._block.cache_clear()
    sequences._SEQUENCES.clear()
    assert propose(of, "qmc", (), (), index=9) == first
    assert sequences._block(2_000, 8, 1).shape == (8, 2_000)
