"""Successive halving inside a rung."""

import math
import operator
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from htsweep.planning.halving import rungs, survives
from htsweep.selection.fronts import ranks

UP, BOTH = ["maximize"], ["maximize", "maximize"]
VALUES = st.tuples(*[st.integers(0, 5).map(float)] * 2)
MANY = st.lists(VALUES, max_size=14)
ETAS = st.integers(2, 4)


def test_one_in_eta_goes_on() -> None:
    others = [(value,) for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert [survives((value,), others, UP, 3) for value in (0.6, 0.45, 0.35, 0.05)] == [
        True,
        True,
        False,
        False,
    ]
    assert [survives((value,), others, ["minimize"], 3) for value in (0.05, 0.15, 0.35)] == [
        True,
        True,
        False,
    ]


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


def test_the_front_that_the_cut_goes_through_is_thinned_evenly() -> None:
    """Nine trials, three go on: the one that dominates all, and two of the next front, the ends before the middle."""
    best, second = (9.0, 9.0), [(0.0, 4.0), (1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (4.0, 0.0)]
    others = [best, *second, (-1.0, -1.0), (-2.0, -2.0), (-3.0, -3.0)]

    def goes_on(one: tuple[float, float]) -> bool:
        return survives(one, [other for other in others if other != one], BOTH, 3)

    assert [one for one in others if goes_on(one)] == [best, (0.0, 4.0), (4.0, 0.0)]


def test_fronts_peel_off() -> None:
    assert ranks([(0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0)]) == {
        (0.0, 1.0): 0,
        (1.0, 0.0): 0,
        (1.0, 1.0): 1,
        (2.0, 1.0): 2,
    }


@given(MANY)
def test_fronts_are_those_of_the_definition(losses: list[tuple[float, ...]]) -> None:
    """Straight from NSGA-II: take off what nothing dominates, and again."""
    found, left, rank = ranks(losses), set(losses), 0
    while left:
        front = {
            one
            for one in left
            if not any(other != one and all(map(operator.le, other, one)) for other in left)
        }
        assert front == {one for one in left if found[one] == rank}
        left, rank = left - front, rank + 1
    assert set(found) == set(losses)


@given(VALUES, MANY, ETAS, st.randoms(), st.sampled_from([BOTH, ["maximize", "minimize"]]))
def test_order_and_increasing_rescaling_change_nothing(
    mine: tuple[float, ...],
    others: list[tuple[float, ...]],
    eta: int,
    shuffler: random.Random,
    directions: list[str],
) -> None:
    """Each objective by its own scale: also the net inside the front knows only ranks."""
    decided = survives(mine, others, directions, eta)
    mixed = list(others)
    shuffler.shuffle(mixed)
    assert survives(mine, mixed, directions, eta) == decided
    bent = [(first**3 + 1, math.exp(second)) for first, second in [mine, *others]]
    assert survives(bent[0], bent[1:], directions, eta) == decided


@given(VALUES, MANY, ETAS)
def test_what_nothing_dominates_goes_on(
    mine: tuple[float, ...], others: list[tuple[float, ...]], eta: int
) -> None:
    dominated = any(a >= mine[0] and b >= mine[1] and (a, b) != mine for a, b in others)
    assert dominated or survives(mine, others, BOTH, eta)


@given(VALUES, VALUES, MANY, ETAS)
def test_a_trial_more_that_it_dominates_stops_nobody(
    mine: tuple[float, ...], worse: tuple[float, ...], others: list[tuple[float, ...]], eta: int
) -> None:
    """It holds from `eta` trials on. Before, everybody goes on, and one more trial is the evidence that was missing."""
    worse = tuple(map(min, mine, worse))
    assume(worse != mine and len(others) + 1 >= eta)
    assert survives(mine, [*others, worse], BOTH, eta) or not survives(mine, others, BOTH, eta)


@given(MANY, ETAS)
def test_equals_share_their_fate(all_of_them: list[tuple[float, ...]], eta: int) -> None:
    """And those that go on are either the first front or, equals counted once, no more than one in eta."""
    on = {
        one
        for place, one in enumerate(all_of_them)
        if survives(one, all_of_them[:place] + all_of_them[place + 1 :], BOTH, eta)
    }
    stopped = {
        one
        for place, one in enumerate(all_of_them)
        if not survives(one, all_of_them[:place] + all_of_them[place + 1 :], BOTH, eta)
    }
    assert not on & stopped
    rank = ranks([tuple(-value for value in one) for one in all_of_them])
    first = {one for one in on if rank[tuple(-value for value in one)] == 0}
    if len(all_of_them) >= eta:
        assert on == first or len(on) <= max(1, len(all_of_them) // eta)


@given(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=12), st.integers(2, 4))
def test_one_objective_is_asha_s_rank(mine: int, others: list[int], eta: int) -> None:
    """Straight from the paper: among all that reached the rung, is it in the top 1/eta (ties included)?"""
    everyone = sorted([mine, *others], reverse=True)
    expected = len(everyone) < eta or mine >= everyone[max(1, len(everyone) // eta) - 1]
    assert survives((float(mine),), [(float(one),) for one in others], UP, eta) == expected


def test_rungs_stand_before_the_end() -> None:
    assert rungs(1, 3, 30) == (1, 3, 9, 27)
    assert rungs(1, 3, 27) == (1, 3, 9)
    assert rungs(5, 2, 5) == ()
