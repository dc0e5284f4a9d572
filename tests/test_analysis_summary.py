"""Summaries, aggregates and power against scipy and against numbers worked by hand."""

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
from frames import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep import selection
from htsweep.analysis import significance
from htsweep.analysis.design import Design, design
from htsweep.analysis.significance import least_holm
from htsweep.analysis.summary import METRICS, aggregate, iqm, metrics_of, summarise
from htsweep.planning.power import least_p, repetitions_needed

GROUPED = Design(("dataset",), "method")


def test_the_summary_of_the_little_study() -> None:
    frame = digits()
    found = summarise(selection.choose(frame, "last"), design(frame.columns))
    assert found["metric"].unique().tolist() == list(METRICS)
    row = found[(found["method"] == "l2sp") & (found["metric"] == "test/seen_accuracy")].iloc[0]
    # Values 0.982, 0.990, 0.986: Student's t, 4.3027 standard errors of 0.004 / sqrt(3).
    assert (row["n"], row["step"], row["role"]) == (3, 1, "")
    assert (row["mean"], row["iqm"]) == (pytest.approx(0.986), pytest.approx(0.986))
    assert (row["low"], row["high"]) == pytest.approx((0.976063, 0.995937), abs=1e-6)
    assert found.groupby("method")["role"].first().to_dict() == {
        "source": "source",
        "plain": "",
        "l2sp": "",
        "selective_distillation": "",
        "oracle": "bound",
    }


def test_one_repetition_has_a_mean_and_no_interval() -> None:
    frame = digits(repetitions=1)
    row = summarise(selection.choose(frame, "last"), design(frame.columns)).iloc[0]
    assert row["n"] == 1
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_sweeps_that_no_factor_tells_apart_are_not_mixed() -> None:
    frame = pd.concat(
        [digits({"l2sp": (0.9, 0.1)}), digits({"l2sp": (0.5, 0.5)}, datasets=("other",))]
    )
    frame = frame.assign(dataset="same")
    found = summarise(
        selection.choose(frame, "last"), design(frame.columns), ["test/seen_accuracy"]
    )
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
    assert {"method", "metric", "n", "mean", "low", "high", "iqm", "role"} <= set(found.columns)
    nothing = summarise(selection.choose(frame, "last"), design(frame.columns), ["no such"])
    assert len(nothing) == 0
    assert {"method", "metric", "n", "mean", "low", "high", "iqm", "role"} <= set(nothing.columns)


def test_a_summary_has_the_interquartile_mean_of_what_there_is() -> None:
    values = [0.1, 0.9, 0.3, 0.4, 0.2, 0.35, math.nan, 0.5, 0.0]
    frame = pd.DataFrame(
        {
            "method": "a",
            "sweep": "s",
            "point": "p",
            "step": 1,
            "repetition": range(9),
            "test/m": values,
        }
    )
    row = summarise(frame, Design((), "method")).iloc[0]
    # Of eight numbers two fall at either end.
    assert (row["n"], row["iqm"]) == (8, pytest.approx((0.2 + 0.3 + 0.35 + 0.4) / 4))


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_the_interquartile_mean_is_scipys_trimmed_mean(values: list[float]) -> None:
    """Which is how rliable defines it."""
    assert iqm(np.array(values)) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-12)


def scores(sizes: Mapping[str, int], method: str = "a", seed: int = 0) -> pd.DataFrame:
    """Random accuracies of so many repetitions in each dataset."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "method": method,
                "repetition": repetition,
                "test/m": random.beta(8, 2) - 0.3 * (dataset == "y"),
            }
            for dataset, size in sizes.items()
            for repetition in range(size)
        ]
    )


def test_an_aggregate_is_scipys_stratified_bootstrap() -> None:
    frame = scores({"x": 6, "y": 5, "z": 9})
    row = aggregate(frame, GROUPED).iloc[0]
    strata = [rows["test/m"].to_numpy() for _, rows in frame.groupby("dataset")]
    assert (row["groups"], row["n"]) == (3, 20)
    for name, of in (
        ("mean", np.mean),
        ("iqm", lambda x, axis: stats.trim_mean(x, 0.25, axis=axis)),
    ):

        def statistic(
            *samples: np.ndarray, axis: int, of: Callable[..., np.ndarray] = of
        ) -> np.ndarray:
            return of(np.concatenate(samples, axis=axis), axis=axis)

        theirs = stats.bootstrap(
            strata,
            statistic,
            method="percentile",
            n_resamples=20_000,
            vectorized=True,
            rng=np.random.default_rng(1),
        ).confidence_interval
        assert row[name] == pytest.approx(statistic(*strata, axis=0))
        # 2,000 samples put an end of it within about 3 % of the width.
        width = theirs.high - theirs.low
        assert (row[f"{name} low"], row[f"{name} high"]) == pytest.approx(
            (theirs.low, theirs.high), abs=0.06 * width
        )


def test_runs_are_drawn_within_their_group() -> None:
    """Groups far apart add nothing to the interval; drawn from all runs alike, it would be wide."""
    frame = pd.DataFrame(
        [
            {"dataset": dataset, "method": "a", "repetition": r, "test/m": value}
            for dataset, value in (("x", 0.1), ("y", 0.9))
            for r in range(4)
        ]
    )
    row = aggregate(frame, GROUPED).iloc[0]
    assert (row["mean low"], row["mean"], row["mean high"]) == (0.5, 0.5, 0.5)
    assert (row["iqm low"], row["iqm high"]) == (row["iqm"], row["iqm"])


def test_a_group_of_one_run_leaves_an_aggregate_without_interval() -> None:
    row = aggregate(scores({"x": 6, "y": 1}), GROUPED).iloc[0]
    assert (row["groups"], row["n"]) == (2, 7)
    assert row[["mean low", "mean high", "iqm low", "iqm high"]].isna().all()
    assert row["mean"] == row["mean"]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_aggregate_depends_on_neither_order_nor_other_methods(data: st.DataObject) -> None:
    mine = scores({"x": 4, "y": 3})
    frame = pd.concat([mine, scores({"x": 5}, "b", 1)], ignore_index=True)
    frame.loc[len(frame)] = ["x", "a", 9, math.nan]
    found = aggregate(frame.iloc[data.draw(st.permutations(range(len(frame))))], GROUPED)
    pd.testing.assert_frame_equal(
        found[found["method"] == "a"].reset_index(drop=True),
        aggregate(mine, GROUPED),
        check_exact=True,
    )


def test_an_aggregate_without_groups_or_rows() -> None:
    frame = scores({"x": 6})
    alone = aggregate(frame.drop(columns="dataset"), Design((), "method"))
    pd.testing.assert_frame_equal(alone, aggregate(frame, GROUPED))
    nothing = aggregate(frame.iloc[:0], GROUPED)
    assert len(nothing) == 0
    assert nothing.columns.tolist() == [
        "method",
        "metric",
        "groups",
        "n",
        "mean",
        "mean low",
        "mean high",
        "iqm",
        "iqm low",
        "iqm high",
    ]


def sign_flip(differences: list[float]) -> float:
    """The exact two-sided p: the share of sign patterns whose sum is at least as far from 0."""
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(total >= seen - 1e-12 for total in sums) / len(sums)


@pytest.mark.parametrize("count", range(1, 9))
def test_no_differences_reach_a_smaller_p(count: int) -> None:
    assert least_p(count) == pytest.approx(sign_flip([0.1 * (k + 1) for k in range(count)]))


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 6), (0.1, 5), (0.01, 8), (0.001, 11), (1, 2)])
def test_how_many_repetitions_a_paired_test_needs(alpha: float, needed: int) -> None:
    assert repetitions_needed(alpha) == needed
    assert least_p(needed) < alpha <= least_p(needed - 1)


@pytest.mark.parametrize(("comparisons", "needed"), [(1, 6), (2, 7), (3, 7), (4, 8), (18, 10)])
def test_a_family_needs_more_repetitions(comparisons: int, needed: int) -> None:
    assert repetitions_needed(0.05, comparisons) == needed
    assert (
        least_holm(np.full(comparisons, needed)).max()
        < 0.05
        <= least_holm(np.full(comparisons, needed - 1)).min()
    )
    with pytest.raises(ValueError, match="comparisons >= 1"):
        repetitions_needed(0.05, 0)


def test_many_pairs_are_tested_by_draws_and_reach_what_these_can() -> None:
    """2^n is more than a float holds from 1,024 repetitions on; and patterns that are drawn are no fewer for that."""
    for count in (40, 1_023, 1_024, 1_100):
        assert least_p(count) == significance.sign_flip(np.linspace(0.1, 1.0, count)) == 1e-5
    assert (least_p(16), least_p(17), least_p(18)) == (2**-15, 2**-16, 1e-5)
    assert least_p(10**9) == least_p(10**18) == 1e-5
    # 1e-5 times 5,000 is 0.05: so large a family can show nothing.
    assert repetitions_needed(0.05, 4_999) == 18
    assert repetitions_needed(0.05, 5_000) is None


@pytest.mark.parametrize("alpha", [0, -1, 1.5])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="must hold"):
        repetitions_needed(alpha)
