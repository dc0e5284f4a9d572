"""Attainment surfaces against their definition, and one worked by hand."""

import math

import numpy as np
import pytest
from frames import digits, measured
from hypothesis import given
from hypothesis import strategies as st

from htsweep.analysis import attainment
from htsweep.analysis.design import Design
from htsweep.analysis.frontier import MISSING, SEEN

SETS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5),
    min_size=2,
    max_size=6,
)
DIRECTIONS = st.tuples(st.booleans(), st.booleans())
METHOD = Design((), "method")


def reached(
    sets: list[list[tuple[int, int]]], z: tuple[int, int], maximise: tuple[bool, bool]
) -> int:
    """How many sets have a point as good as z: the definition."""

    def as_good(value: int, than: int, more: bool) -> bool:
        return value >= than if more else value <= than

    return sum(
        any(as_good(p[0], z[0], maximise[0]) and as_good(p[1], z[1], maximise[1]) for p in one)
        for one in sets
    )


def study(sets: list[list[tuple[float, float]]]) -> "object":
    """Measurements of one method: set r is repetition r, each of as many points."""
    seen = {("a", k): [[one[k][0]] for one in sets] for k in range(len(sets[0]))}
    missing = {("a", k): [[one[k][1]] for one in sets] for k in range(len(sets[0]))}
    return measured(seen, SEEN, test__missing_accuracy=missing)


@given(
    sets=SETS, maximise=DIRECTIONS, share=st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0])
)
def test_an_edge_bounds_what_so_many_sets_attain(
    sets: list[list[tuple[int, int]]],
    maximise: tuple[bool, bool],
    share: float,
) -> None:
    points = np.array([point for one in sets for point in one], float)
    owner = np.array([number for number, one in enumerate(sets) for _ in one])
    edge = attainment.edges(points, owner, [share], maximise)[share]
    needed = max(1, math.ceil(share * len(sets) - 1e-9))
    # On a lattice wider than the values: what some corner is as good as is just what enough sets
    # attain.
    for z in ((a, b) for a in range(-1, 7) for b in range(-1, 7)):
        inside = any(reached([[tuple(corner)]], z, maximise) for corner in edge)
        assert inside == (reached(sets, z, maximise) >= needed)
    # No corner is superfluous.
    assert all(
        sum(reached([[tuple(other)]], tuple(corner), maximise) for other in edge) == 1
        for corner in edge
    )


@given(sets=SETS, data=st.data())
def test_neither_order_nor_repeated_points_matter(
    sets: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    pairs = [(point, number) for number, one in enumerate(sets) for point in one]
    mixed = data.draw(st.permutations([*pairs, *pairs]))
    found = [
        attainment.edges(np.array([p for p, _ in some], float), np.array([n for _, n in some]))
        for some in (pairs, mixed)
    ]
    for share in attainment.SHARES:
        assert sorted(found[0][share].tolist()) == sorted(found[1][share].tolist())


def test_the_median_edge_drawn_by_hand() -> None:
    # Two repetitions of two points: {(1, 4), (3, 1)} and {(2, 3), (4, 2)}. One of them attains up
    # to (1, 4), (2, 3), (4, 2); both attain up to (1, 3) and (3, 1), (2, 1), ..., of which (1, 3),
    # (3, 1) are corners.
    frame = study([[(1, 4), (3, 1)], [(2, 3), (4, 2)]])
    found = attainment.attainment(frame, design=METHOD, shares=(0.5, 1.0))
    half, all_ = (found[found["share"] == share] for share in (0.5, 1.0))
    assert half[[SEEN, MISSING]].to_numpy().tolist() == [
        [1, 4],
        [1, 4],
        [1, 3],
        [2, 3],
        [2, 2],
        [4, 2],
        [4, 1],
    ]
    assert all_[[SEEN, MISSING]].to_numpy().tolist() == [[1, 3], [1, 3], [1, 1], [3, 1], [3, 1]]
    assert found.columns.tolist() == ["method", "share", SEEN, MISSING, "n"]
    assert (found["n"] == 2).all()


def test_one_point_has_its_quantiles_where_both_numbers_move_together() -> None:
    found = attainment.attainment(digits({"a": (0.9, 0.5)})).groupby("share")[[SEEN, MISSING]].max()
    # The repetitions are 0.004 below, at and above the mean.
    assert found.to_numpy() == pytest.approx(np.array([[0.904, 0.504], [0.9, 0.5], [0.896, 0.496]]))


@given(sets=SETS)
def test_the_more_repetitions_shall_attain_it_the_less_it_is(
    sets: list[list[tuple[int, int]]],
) -> None:
    points = np.array([point for one in sets for point in one], float)
    edges = attainment.edges(
        points, np.array([number for number, one in enumerate(sets) for _ in one])
    )
    for more, less in ((0.5, 0.25), (0.75, 0.5)):
        assert all((edges[less] >= corner).all(axis=1).any() for corner in edges[more])


def test_all_edges_of_a_group_end_at_its_worst_values() -> None:
    found = attainment.attainment(digits(datasets=("mnist-uci", "uci-mnist")))
    assert set(found["dataset"]) == {"mnist-uci", "uci-mnist"}
    for _, edge in found.groupby(["dataset", "method", "share"]):
        assert edge[SEEN].iloc[0] == pytest.approx(0.596)
        assert edge[MISSING].iloc[-1] == pytest.approx(0.016)
        assert edge[SEEN].is_monotonic_increasing
        assert edge[MISSING].is_monotonic_decreasing


def test_costs_turn_the_staircase_round() -> None:
    frame = study([[(1, 1), (3, 4)], [(1, 1), (3, 4)]])
    found = attainment.attainment(frame, design=METHOD, shares=(1.0,), maximise=(False, True))
    assert found[[SEEN, MISSING]].to_numpy().tolist() == [[3, 4], [3, 4], [3, 1], [1, 1], [1, 1]]


def test_one_repetition_has_no_edges() -> None:
    found = attainment.attainment(digits(repetitions=1))
    assert found.empty
    assert found.columns.tolist() == [
        "dataset",
        "missing_ratio",
        "backbone",
        "method",
        "share",
        SEEN,
        MISSING,
        "n",
    ]


def test_what_stopped_early_attains_nothing() -> None:
    frame = digits({"a": (0.9, 0.9), "b": (0.5, 0.5)})
    frame.loc[frame["trial"] == "mnist-uci/a/1", "status"] = "stopped"
    assert set(attainment.attainment(frame)["method"]) == {"b"}
