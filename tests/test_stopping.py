"""Successive halving inside a rung."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep.stopping import survives

UP, BOTH = ["maximize"], ["maximize", "maximize"]
VALUES = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=2)


def test_one_in_eta_goes_on() -> None:
    others = [(value,) for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert [survives((value,), others, UP, 3) for value in (0.6, 0.45, 0.35, 0.05)] == [True, True, False, False]
    assert [survives((value,), others, ["minimize"], 3) for value in (0.05, 0.15, 0.35)] == [True, True, False]


@pytest.mark.parametrize("known", [0, 1])
def test_nothing_stops_without_evidence(known: int) -> None:
    assert survives((0.0,), [(1.0,)] * known, UP, 3)


def test_nan_never_goes_on_and_never_counts() -> None:
    nan = float("nan")
    assert not survives((nan,), [], UP, 3)
    assert survives((0.1,), [(nan,)] * 9, UP, 3)


def test_ties_go_on() -> None:
    assert survives((0.5,), [(0.5,)] * 8, UP, 3)


def test_two_objectives_by_front() -> None:
    front = [(0.1, 0.9), (0.9, 0.1)]
    behind = [(0.1, 0.1), (0.2, 0.1), (0.1, 0.2)]
    assert survives((0.5, 0.5), front + behind, BOTH, 3)
    assert not survives((0.05, 0.05), front + behind, BOTH, 3)
    # Good in one objective alone is enough: a scalar mean would have stopped it.
    assert survives((0.0, 0.95), front + behind, BOTH, 3)


@given(VALUES, st.lists(VALUES, max_size=12), st.integers(2, 4), st.randoms())
def test_order_and_monotone_rescaling_change_nothing(mine: list[float], others: list[list[float]], eta: int,
                                                     shuffler: random.Random) -> None:
    decided = survives(mine, others, BOTH, eta)
    mixed = list(others)
    shuffler.shuffle(mixed)
    assert survives(mine, mixed, BOTH, eta) == decided
    assert survives([one**3 + 1 for one in mine], [[one**3 + 1 for one in other] for other in others], BOTH, eta) == decided


@given(VALUES, st.lists(VALUES, max_size=12), st.integers(2, 4))
def test_what_nothing_dominates_goes_on(mine: list[float], others: list[list[float]], eta: int) -> None:
    dominated = any(a >= mine[0] and b >= mine[1] and [a, b] != mine for a, b in others)
    assert dominated or survives(mine, others, BOTH, eta)


@given(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=12), st.integers(2, 4))
def test_one_objective_is_asha_s_rank(mine: int, others: list[int], eta: int) -> None:
    """Straight from the paper: among all that reached the rung, is it in the top 1/eta (ties included)?"""
    everyone = sorted([mine, *others], reverse=True)
    expected = len(everyone) < eta or mine >= everyone[max(1, len(everyone) // eta) - 1]
    assert survives((float(mine),), [(float(one),) for one in others], UP, eta) == expected
