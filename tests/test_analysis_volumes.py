"""Hypervolumes against cells counted one by one, and a study worked by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from frames import digits, measured
from hypothesis import given
from hypothesis import strategies as st

from htsweep.analysis import interval, volumes
from htsweep.analysis.design import Design
from htsweep.analysis.frontier import SEEN

NUMBER = st.one_of(st.integers(0, 6), st.just(math.nan))
POINTS = st.lists(st.tuples(NUMBER, NUMBER), max_size=8)
REFERENCE = st.tuples(st.integers(0, 6), st.integers(0, 6))
METHOD = Design((), "method")


def cells(points: list[tuple[float, float]], reference: tuple[int, int]) -> int:
    """Unit cells above the reference whose upper corner some point is as good as; a NaN is as good as nothing."""
    return sum(
        any(x >= a + 1 and y >= b + 1 for x, y in points)
        for a, b in itertools.product(range(reference[0], 6), range(reference[1], 6))
    )


def array(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array(points, float).reshape(-1, 2)


@given(points=POINTS, reference=REFERENCE)
def test_an_area_is_the_number_of_its_cells(
    points: list[tuple[float, float]], reference: tuple[int, int]
) -> None:
    assert volumes.above(array(points), reference) == cells(points, reference)
    assert volumes.above(array(points + points[:3]), reference) == cells(points, reference)


@given(sets=st.lists(POINTS, min_size=1, max_size=5), reference=REFERENCE)
def test_a_contribution_is_what_only_that_set_covers(
    sets: list[list[tuple[float, float]]],
    reference: tuple[int, int],
) -> None:
    found = volumes.contributions([array(one) for one in sets], reference)
    for mine, contribution in enumerate(found):
        rest = [point for place, one in enumerate(sets) if place != mine for point in one]
        assert contribution == cells([*rest, *sets[mine]], reference) - cells(rest, reference)


def study(**methods: list[list[tuple[float, float]]]) -> pd.DataFrame:
    """Measurements of methods: for each, per point, (seen, missing) of each repetition."""
    seen = {
        (name, k): [[pair[0]] for pair in point]
        for name, points in methods.items()
        for k, point in enumerate(points)
    }
    missing = {
        (name, k): [[pair[1]] for pair in point]
        for name, points in methods.items()
        for k, point in enumerate(points)
    }
    return measured(seen, SEEN, test__missing_accuracy=missing)


def table(frame: pd.DataFrame) -> pd.DataFrame:
    return volumes.volumes(frame, design=METHOD).set_index(["method", "reference"])


def test_a_study_worked_by_hand() -> None:
    # Repetition 0: a covers 4x1 + 2x3 - 2x1 = 8, b covers 3x2 = 6, both 9, of which only a 3 and
    # only b 1 (3x2 less 2x2, 3x1). Repetition 1: a covers 4x2 = 8 with either point, b covers 2x5 =
    # 10, both 14: only a 4, only b 6.
    found = table(study(a=[[(4, 1), (4, 2)], [(2, 3), (4, 2)]], b=[[(3, 2), (2, 5)]]))
    assert found.loc[("a", "origin"), ["n", "volume", "contribution"]].tolist() == [2, 8, 3.5]
    assert found.loc[("b", "origin"), ["n", "volume", "contribution"]].tolist() == [2, 8, 3.5]
    # Means of a: (4, 1.5) and (3, 2.5): 6 + 7.5 - 4.5; of b: (2.5, 3.5).
    assert found["volume of means"].to_numpy() == pytest.approx([9, 8.75])
    assert set(found.index.get_level_values("reference")) == {"origin"}


def test_the_source_is_the_reference_of_its_own_repetition() -> None:
    # Above (1, 1) a point (3, 2) covers 2x1, above (2, 0) it covers 1x2; above the mean source
    # (1.5, 0.5) it covers 1.5x1.5.
    found = table(study(source=[[(1, 1), (2, 0)]], a=[[(3, 2), (3, 2)]]))
    assert found.loc[("a", "source"), ["volume", "contribution", "volume of means"]].tolist() == [
        2,
        2,
        2.25,
    ]
    assert found.loc[("source", "source"), "volume"] == 0
    assert found.loc["source", "role"].tolist() == ["source", "source"]


def test_a_bound_takes_nothing_from_anybody() -> None:
    found = table(study(a=[[(2, 2), (2, 2)]], oracle=[[(9, 9), (9, 9)]]))
    assert found.loc[("a", "origin"), "contribution"] == 4
    assert found.loc[("oracle", "origin"), "volume"] == 81
    assert math.isnan(found.loc[("oracle", "origin"), "contribution"])


def test_what_luck_gives_is_the_distance_between_the_two_volumes() -> None:
    # Points that differ by chance alone: each repetition's best is lucky, the mean of none is.
    chance = np.random.default_rng(0).uniform(0.4, 0.6, (20, 8, 2))
    row = table(study(a=[[tuple(pair) for pair in point] for point in chance])).loc[("a", "origin")]
    assert row["volume"] > row["high"] - 0.05 > row["volume of means"]
    alone = table(study(a=[[(0.5, 0.4), (0.5, 0.4)]])).loc[("a", "origin")]
    assert alone["volume"] == alone["volume of means"] == pytest.approx(0.2)


def test_the_interval_is_that_of_the_mean_over_repetitions() -> None:
    frame = study(a=[[(1, 2), (2, 2), (3, 4)]])
    row = table(frame).loc[("a", "origin")]
    expected = interval.means(pd.DataFrame({"k": 0, "v": [2.0, 4.0, 12.0]}), ["k"], ["v"]).iloc[0]
    assert row[["volume", "low", "high"]].tolist() == expected[["v", "v low", "v high"]].tolist()
    single = volumes.volumes(digits(repetitions=1))
    assert single["low"].isna().all()
    assert (single["n"] == 1).all()


def test_a_contribution_counts_only_repetitions_that_all_have() -> None:
    frame = study(a=[[(2, 2), (4, 4)]], b=[[(1, 3), (1, 1)]])
    frame.loc[(frame["method"] == "b") & (frame["repetition"] == 1), SEEN] = math.nan
    found = table(frame)
    assert found.loc[("a", "origin"), "volume"] == 10
    # In repetition 0 both cover 5 and b alone 3; in repetition 1 there is no b, and a would be
    # given all of its 16.
    assert found.loc[("a", "origin"), "contribution"] == 2


def test_each_group_has_its_own_joint_front() -> None:
    both = volumes.volumes(digits(datasets=("mnist-uci", "uci-mnist")))
    one = volumes.volumes(digits())
    assert len(both) == 2 * len(one)
    second = both[both["dataset"] == "uci-mnist"].drop(columns="dataset").reset_index(drop=True)
    pd.testing.assert_frame_equal(second, one.drop(columns="dataset"))


def test_without_whole_points_there_is_no_row() -> None:
    frame = digits({"a": (0.9, 0.9)}).assign(status="stopped")
    found = volumes.volumes(frame)
    assert found.empty
    assert {"volume", "contribution", "reference"} <= set(found.columns)
