"""Student's intervals against scipy, their laws, and what they cover."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep.analysis.interval import half_width, interval_of, means, student
from htsweep.selection.infinities import with_infinities

NUMBERS = st.lists(st.integers(0, 1000).map(lambda one: one / 1000), min_size=2, max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True),
    level=st.sampled_from([0.5, 0.8, 0.95, 0.99]),
)
def test_an_interval_is_scipys(values: list[float], level: float) -> None:
    if np.std(values) > 1e-9:  # without spread scipy gives NaN, and the interval is the point
        theirs = stats.ttest_1samp(values, 0).confidence_interval(level)
        assert interval_of(np.array(values), level) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_it_holds_the_true_mean_as_often_as_it_says(count: int) -> None:
    values = np.random.default_rng(7).normal(0.8, 0.02, (6000, count))
    low, high = student(values)
    assert ((low <= 0.8) & (high >= 0.8)).mean() == pytest.approx(0.95, abs=0.012)


def test_the_interval_of_a_fraction_ends_where_fractions_do() -> None:
    rows = pd.DataFrame({"k": 0, "test/seen_accuracy": [0.9, 1.0], "test/loss": [0.9, 1.0]})
    row = means(rows, ["k"], ["test/seen_accuracy", "test/loss"]).iloc[0]
    assert row["test/seen_accuracy high"] == 1.0
    assert row["test/loss high"] > 1.5
    assert 0 < row["test/seen_accuracy low"] == pytest.approx(row["test/loss low"])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), values=NUMBERS, others=st.lists(NUMBERS, max_size=4))
def test_a_cells_interval_depends_on_its_own_numbers_alone(
    data: st.DataObject,
    values: list[float],
    others: list[list[float]],
) -> None:
    alone = means(pd.DataFrame({"k": 0, "m": values}), ["k"], ["m"])
    cells = [(0, value) for value in values] + [
        (k, value) for k, many in enumerate(others, 1) for value in many
    ]
    order = data.draw(st.permutations(cells))
    among = means(pd.DataFrame(order, columns=["k", "m"]), ["k"], ["m"])
    pd.testing.assert_frame_equal(among[among["k"] == 0].reset_index(drop=True), alone)


@settings(max_examples=40, deadline=None)
@given(values=NUMBERS, shift=st.integers(-3, 3), scale=st.sampled_from([0.01, 2.0, 1000.0]))
def test_an_interval_moves_and_stretches_with_the_numbers(
    values: list[float], shift: int, scale: float
) -> None:
    low, high = interval_of(np.array(values))
    moved = interval_of(np.array(values) * scale + shift)
    assert moved == pytest.approx((low * scale + shift, high * scale + shift), abs=1e-9 * scale)


def test_turned_numbers_have_the_turned_interval() -> None:
    values = np.array([0.1, 0.4, 0.45, 0.5, 0.52, 0.9])
    low, high = interval_of(values)
    assert interval_of(-values) == pytest.approx((-high, -low), abs=1e-11)


def test_equal_numbers_have_an_interval_of_no_width() -> None:
    row = means(pd.DataFrame({"k": 1, "m": [0.1] * 3}), ["k"], ["m"]).iloc[0]
    assert (row["m low"], row["m"], row["m high"], row["m n"]) == (0.1, 0.1, 0.1, 3)


def test_a_number_that_is_not_there_does_not_count() -> None:
    found = means(pd.DataFrame({"k": [1, 1, 1, 2], "m": [0.5, np.nan, 0.7, np.nan]}), ["k"], ["m"])
    row = found.iloc[0]
    assert (row["m"], row["m n"]) == (pytest.approx(0.6), 2)
    assert (row["m low"], row["m high"]) == pytest.approx(interval_of(np.array([0.5, 0.7])))
    assert found.iloc[1][["m", "m low", "m high"]].isna().all()
    assert found.iloc[1]["m n"] == 0


def test_one_number_has_no_interval() -> None:
    assert all(math.isnan(end) for end in interval_of(np.array([0.5])))
    assert all(math.isnan(end) for end in interval_of(np.array([0.5, np.nan])))


def test_keys_keep_their_order_and_may_be_missing() -> None:
    rows = means(
        pd.DataFrame({"k": ["b", None, "a", "b"], "m": [1.0, 2.0, 3.0, 3.0]}), ["k"], ["m"]
    )
    assert rows["m"].tolist() == [2, 2, 3]
    low = interval_of(np.array([1.0, 3.0]))[0]
    assert rows["m low"].tolist() == pytest.approx([low, math.nan, math.nan], nan_ok=True)


def test_a_table_without_rows_has_its_columns() -> None:
    found = means(pd.DataFrame({"k": [], "m": []}), ["k"], ["m"])
    assert found.columns.tolist() == ["k", "m", "m low", "m high", "m n"]
    assert len(found) == 0


def test_more_cells_than_are_held_at_a_time_come_out_alike() -> None:
    values = np.random.default_rng(0).random((2500, 8))
    low, high = student(values)
    for k in (0, 999, 1000, 2499):
        assert (low[k], high[k]) == pytest.approx(interval_of(values[k]), abs=1e-11)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=9),
    level=st.sampled_from([0.9, 0.95, 0.99]),
)
def test_half_of_students_interval_is_scipys(values: list[float], level: float) -> None:
    half = half_width(np.array([np.std(values, ddof=1)]), np.array([len(values)]), level)[0]
    if np.std(values) > 1e-9:  # without spread scipy gives NaN, and the interval is the point
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
        assert 2 * half == pytest.approx(high - low, abs=1e-9)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, 1e200, -1e308])
def test_what_is_infinite_or_beyond_all_measure_has_no_interval(odd: float) -> None:
    """And leaves its neighbours theirs, without a warning, of which pytest would make an error."""
    rows = np.array([[0.1, 0.2, 0.4], [0.1, odd, 0.4], [odd, odd, odd]])
    low, high = student(rows)
    assert (low[0], high[0]) == interval_of(rows[0])
    assert np.isnan([low[1:], high[1:]]).all()
    frame = pd.DataFrame({"cell": [0] * 3 + [1] * 3, "a": rows[:2].ravel()})
    found = with_infinities(means)(frame, ["cell"], ["a"])
    assert found["a low"].notna().tolist() == [True, False]
    assert found["a n"].tolist() == [3, 3]
