"""Hypervolumes against cells counted one by one, and a study worked by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from frames import digits, measured
from hypothesis import given
from hypothesis import strategies as st

from htsweep.analysis import halves, interval, volumes
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
    start = np.array(reference, float)
    known = array([point for point in points + points[:3] if not any(map(math.isnan, point))])
    chosen = known[halves.front(known[:, 0], known[:, 1], start)]
    assert halves.staircase(chosen[:, 0], chosen[:, 1], start) == cells(points, reference)
    # No point of the front beats another.
    assert (np.diff(chosen[:, 0]) > 0).all()
    assert (np.diff(chosen[:, 1]) < 0).all()


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
    found = table(study(a=[[(4, 1), (4, 2)], [(2, 3), (3, 2)]], b=[[(3, 2), (2, 5)]]))
    # Repetition 1 finds a's (4, 2), which covers 4x1 in repetition 0. Repetition 0 finds (2, 3) and
    # (4, 1), which in repetition 1 are (3, 2) and (4, 2): 3x2 + 1x2.
    assert found.loc[("a", "origin"), ["n", "volume"]].tolist() == [2, 6]
    # One point is measured in both: 3x2 and 2x5.
    assert found.loc[("b", "origin"), ["n", "volume"]].tolist() == [2, 8]
    # Of all, repetition 1 finds (2, 5) of b and (4, 2) of a, which in repetition 0 are (3, 2) and
    # (4, 1): 3x2 + 1x1 = 7. Repetition 0 finds (2, 3) of a, (3, 2) of b and (4, 1) of a, which in
    # repetition 1 are (3, 2), (2, 5) and (4, 2): 3x2 - 1x5 + 2x2 = 5.
    assert found.loc[("a", "origin"), "contribution"] == 6 - 8
    assert found.loc[("b", "origin"), "contribution"] == 6 - 6
    # Means of a: (4, 1.5) and (2.5, 2.5): 2.5x2.5 + 1.5x1.5; of b: (2.5, 3.5).
    assert found["volume of means"].to_numpy() == pytest.approx([8.5, 8.75])
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


def chance(seed: int, repetitions: int = 8) -> pd.DataFrame:
    """Ten points at (0.8, 0.5) that differ by chance alone: the true area is 0.4."""
    random = np.random.default_rng([seed, 3])
    drawn = random.normal((0.8, 0.5), 0.02, (10, repetitions, 2))
    return study(a=[[tuple(pair) for pair in point] for point in drawn])


def test_luck_does_not_count() -> None:
    """The interval holds the true area about as often as it says; what a single repetition covers, never."""
    found = [table(chance(seed)).loc[("a", "origin")] for seed in range(25)]
    assert np.mean([row["volume"] for row in found]) == pytest.approx(0.4, abs=0.007)
    missed = sum(not row["low"] <= 0.4 <= row["high"] for row in found)
    assert missed <= 25 * 0.05 + 4 * math.sqrt(25 * 0.05 * 0.95)
    assert all(table(chance(seed, 1)).loc[("a", "origin"), "volume"] > 0.41 for seed in range(5))


def test_without_luck_both_halves_agree() -> None:
    front = [[(0.5, 0.4)] * 6, [(0.3, 0.6)] * 6, [(0.2, 0.1)] * 6]
    row = table(study(a=front)).loc[("a", "origin")]
    expected = pytest.approx(0.3 * 0.6 + 0.2 * 0.4)
    assert row[["volume", "low", "high", "volume of means"]].tolist() == [expected] * 4


@pytest.mark.parametrize("repetitions", [2, 3, 4])
def test_an_interval_takes_two_repetitions_in_each_half(repetitions: int) -> None:
    row = table(chance(1, repetitions)).loc[("a", "origin")]
    assert row["n"] == repetitions
    assert math.isnan(row["low"]) == math.isnan(row["high"]) == (repetitions < 4)


def test_the_order_of_rows_does_not_matter() -> None:
    frame = chance(2)
    mixed = frame.sample(frac=1, random_state=0)
    row, other = (table(one).loc[("a", "origin")] for one in (frame, mixed))
    assert row[["volume", "low", "high"]].tolist() == pytest.approx(
        other[["volume", "low", "high"]].tolist(), abs=1e-12
    )


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
