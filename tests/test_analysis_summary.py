"""Means, intervals and power against scipy and against numbers worked by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from frames import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep import selection
from htsweep.analysis.design import design
from htsweep.analysis.interval import means
from htsweep.analysis.power import least_p, repetitions_needed
from htsweep.analysis.summary import METRICS, metrics_of, summarise


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=9), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_are_scipys(values: list[float], level: float) -> None:
    row = means(pd.DataFrame({"k": 1, "m": values}), ["k"], ["m"], level).iloc[0]
    with np.errstate(all="ignore"):
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    if np.std(values) > 1e-9:  # without spread scipy gives NaN, and the interval is the point
        assert (row["m low"], row["m high"]) == pytest.approx((low, high), abs=1e-9)
    assert row["m"] == pytest.approx(np.mean(values), abs=1e-11)


def test_equal_numbers_have_an_interval_of_no_width() -> None:
    row = means(pd.DataFrame({"k": 1, "m": [0.5] * 3}), ["k"], ["m"]).iloc[0]
    assert (row["m low"], row["m"], row["m high"], row["m n"]) == (0.5, 0.5, 0.5, 3)


def test_a_number_that_is_not_there_does_not_count() -> None:
    row = means(pd.DataFrame({"k": 1, "m": [0.5, np.nan, 0.7]}), ["k"], ["m"]).iloc[0]
    assert (row["m"], row["m n"]) == (pytest.approx(0.6), 2)


def test_keys_keep_their_order_and_may_be_missing() -> None:
    rows = means(pd.DataFrame({"k": ["b", None, "a", "b"], "m": [1.0, 2.0, 3.0, 3.0]}), ["k"], ["m"])
    assert rows["m"].tolist() == [2, 2, 3]


def test_the_summary_of_the_little_study() -> None:
    frame = digits()
    found = summarise(selection.choose(frame, "last"), design(frame.columns))
    assert found["metric"].unique().tolist() == list(METRICS)
    row = found[(found["method"] == "l2sp") & (found["metric"] == "test/seen_accuracy")].iloc[0]
    # Values 0.982, 0.990, 0.986: standard deviation 0.004; t(2) = 4.302653.
    assert (row["n"], row["step"]) == (3, 1)
    assert row["mean"] == pytest.approx(0.986)
    assert row["high"] - row["mean"] == pytest.approx(4.302652729911275 * 0.004 / math.sqrt(3))


def test_one_repetition_has_a_mean_and_no_interval() -> None:
    frame = digits(repetitions=1)
    row = summarise(selection.choose(frame, "last"), design(frame.columns)).iloc[0]
    assert row["n"] == 1
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_sweeps_that_no_factor_tells_apart_are_not_mixed() -> None:
    frame = pd.concat([digits({"l2sp": (0.9, 0.1)}), digits({"l2sp": (0.5, 0.5)}, datasets=("other",))])
    frame = frame.assign(dataset="same")
    found = summarise(selection.choose(frame, "last"), design(frame.columns), ["test/seen_accuracy"])
    assert found["mean"].tolist() == pytest.approx([0.9, 0.5])


def test_other_tasks_are_summarised_by_their_test_columns() -> None:
    assert metrics_of(["step", "test/loss", "train/loss", "test/mse"]) == ["test/loss", "test/mse"]
    frame = digits().rename(columns={"test/seen_accuracy": "test/a"}).drop(columns=[*METRICS][1:])
    frame = frame.assign(**{"test/curve": [[0.1, 0.2]] * len(frame)})
    found = summarise(selection.choose(frame, "last"), design(frame.columns))
    assert found["metric"].unique().tolist() == ["test/a"]


def test_no_choice_gives_an_empty_summary() -> None:
    frame = digits()
    found = summarise(selection.choose(frame, "last", repetitions=9), design(frame.columns))
    assert len(found) == 0
    assert {"method", "metric", "n", "mean", "low", "high"} <= set(found.columns)


def sign_flip(differences: list[float]) -> float:
    """The exact two-sided p: the share of sign patterns whose sum is at least as far from 0."""
    seen = abs(sum(differences))
    sums = [abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
            for signs in itertools.product((1, -1), repeat=len(differences))]
    return sum(total >= seen - 1e-12 for total in sums) / len(sums)


@pytest.mark.parametrize("count", range(1, 9))
def test_no_differences_reach_a_smaller_p(count: int) -> None:
    assert least_p(count) == pytest.approx(sign_flip([0.1 * (k + 1) for k in range(count)]))


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 6), (0.1, 5), (0.01, 8), (0.001, 11), (1, 2)])
def test_how_many_repetitions_a_paired_test_needs(alpha: float, needed: int) -> None:
    assert repetitions_needed(alpha) == needed
    assert least_p(needed) < alpha <= least_p(needed - 1)


@pytest.mark.parametrize("alpha", [0, -1, 1.5])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="must hold"):
        repetitions_needed(alpha)
