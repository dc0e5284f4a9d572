"""Digests of meaning, and seeds from names."""

from hypothesis import given
from hypothesis import strategies as st

from htsweep.planning.jobs import digest, seed_for


def test_a_digest_is_of_meaning() -> None:
    assert digest({"a": 1, "b": [1.0, "x"]}) == digest({"b": [1, "x"], "a": 1.0})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest([1, [2]]) != digest([[1], 2])


@given(st.integers(0, 50), st.lists(st.text(max_size=3), max_size=3))
def test_seeds_come_from_names(repetition: int, names: list[str]) -> None:
    seed = seed_for(repetition, *names)
    assert 0 <= seed < 2**31
    assert seed == seed_for(repetition, *names)
    assert seed != seed_for(repetition + 1, *names)
    assert seed != seed_for(repetition, *names, "more")


def test_seeds_are_pinned() -> None:
    """Another value would silently change every study's numbers."""
    assert seed_for(0, "class split", "mnist-uci") == 1039211318
