"""Tests of differences against scipy, statsmodels, brute force and numbers worked by hand; what they call real."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from htsweep.analysis.interval import student
from htsweep.analysis.new_images import Spread, crossed, resampled, resampled_interval
from htsweep.analysis.significance import (
    Paired,
    holm,
    judge,
    least_holm,
    sign_flip,
    sign_flips,
    signed_rank,
    signed_ranks,
    verdict,
)
from htsweep.planning.power import least_p


def brute(differences: list[float]) -> float:
    """The share of all sign patterns with a sum at least as far from 0."""
    seen = abs(math.fsum(differences))
    sums = [
        abs(math.fsum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(total >= seen - 1e-12 for total in sums) / len(sums)


@settings(max_examples=80, deadline=None)
@given(
    differences=st.lists(st.integers(-20, 20).map(lambda one: one / 100), min_size=1, max_size=9)
)
def test_a_sign_flip_counts_all_patterns(differences: list[float]) -> None:
    assert sign_flip(np.array(differences)) == brute(differences)


@pytest.mark.parametrize("count", [2, 5, 6, 9, 12])
def test_a_sign_flip_is_scipys_exact_test(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    theirs = stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip(differences) == pytest.approx(theirs.pvalue)


def test_many_differences_are_tested_by_random_patterns() -> None:
    differences = np.random.default_rng(1).normal(0.25, 1, 17)
    # All 2^16 patterns up to the sign of all, counted here: the sampled share is within four of its
    # deviations.
    bits = (np.arange(2**16)[:, None] >> np.arange(17)) & 1
    exact = float((np.abs((1 - 2 * bits) @ differences) >= abs(differences.sum()) - 1e-12).mean())
    assert sign_flip(differences) == pytest.approx(
        exact, abs=4 * math.sqrt(exact * (1 - exact) / 99_999)
    )
    assert 0.01 < exact < 0.9
    assert sign_flip(np.full(30, 0.1)) == pytest.approx(1 / 100_000)


def test_differences_of_nothing() -> None:
    assert sign_flip(np.zeros(6)) == 1
    assert math.isnan(sign_flip(np.array([np.nan])))
    assert sign_flip(np.array([0.1, np.nan, 0.2])) == sign_flip(np.array([0.1, 0.2])) == 0.5


def test_rounding_does_not_break_a_tie() -> None:
    """0.1 + 0.2 is not 0.3 in floating point; the patterns are equally far all the same."""
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == brute([1, 2, -3]) == 1


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 99), min_size=1, max_size=8))
def test_whatever_the_sizes_a_null_is_called_an_effect_at_most_as_often_as_p_says(
    sizes: list[int],
) -> None:
    p = np.array(
        [
            sign_flip(np.array(sizes) * signs)
            for signs in itertools.product((1, -1), repeat=len(sizes))
        ]
    )
    for alpha in (0.05, 0.1, 0.25):
        assert (p <= alpha).mean() <= alpha


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 999), min_size=2, max_size=10, unique=True), data=st.data())
def test_a_signed_rank_is_scipys_exact_test(sizes: list[int], data: st.DataObject) -> None:
    signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(sizes), max_size=len(sizes)))
    differences = np.array(sizes) * signs
    assert signed_rank(differences) == pytest.approx(
        stats.wilcoxon(differences, method="exact").pvalue
    )


def test_a_signed_rank_with_ties_and_zeros_worked_by_hand() -> None:
    # Ranks 1.5, 1.5, 3, all up: of 8 patterns only all up and all down are as far.
    assert signed_rank(np.array([0.0, 1.0, 1.0, 2.0])) == 2 / 8
    # Rank sum -1.5 + 1.5 + 3 = 3: sums are +-6 (2), +-3 (4), 0 (2), so 6 of 8 are as far.
    assert signed_rank(np.array([-1.0, 1.0, 2.0])) == 6 / 8
    assert signed_rank(np.zeros(3)) == 1
    assert math.isnan(signed_rank(np.array([])))


@settings(max_examples=25, deadline=None)
@given(p=st.lists(st.floats(0, 1) | st.just(math.nan), max_size=12))
def test_holm_is_statsmodels(p: list[float]) -> None:
    found, known = holm(np.array(p)), ~np.isnan(p) if p else np.array([], bool)
    assert np.isnan(found[~known]).all()
    if known.any():
        assert found[known] == pytest.approx(multipletests(np.array(p)[known], method="holm")[1])


def test_holm_worked_by_hand() -> None:
    # Demsar 2006, section 3.2.2: p of 0.016, 0.019, 0.607 against 0.05/3, 0.05/2, 0.05.
    assert holm(np.array([0.607, 0.016, 0.019])).tolist() == pytest.approx([0.607, 0.048, 0.048])
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=5), data=st.data())
def test_no_family_reaches_smaller_p_than_the_least(counts: list[int], data: st.DataObject) -> None:
    least = least_holm(np.array(counts))
    assert least.tolist() == pytest.approx(
        holm(np.array([sign_flip(np.arange(1.0, n + 1)) for n in counts])).tolist()
    )
    drawn = [data.draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n)) for n in counts]
    assert (holm(np.array([sign_flip(np.array(one)) for one in drawn])) >= least - 1e-12).all()


def test_the_least_of_a_family_of_equals_is_its_size_times_the_tests() -> None:
    assert least_holm(np.array([6, 6, 6])).tolist() == pytest.approx([3 * least_p(6)] * 3)
    assert np.isnan(least_holm(np.array([0])))


@pytest.mark.parametrize(
    ("p", "low", "high", "least", "said"),
    [
        (0.03, 0.1, 0.2, 0.03, "better"),
        (0.03, -0.2, -0.1, 0.03, "worse"),
        (0.06, 0.1, 0.2, 0.03, "not shown"),
        (0.05, 0.1, 0.2, 0.03, "not shown"),
        (0.03, -0.1, 0.2, 0.03, "not shown"),
        (0.03, 0.0, 0.2, 0.03, "not shown"),
        (0.06, 0.1, 0.2, 0.06, "too few"),
        (0.05, 0.1, 0.2, 0.05, "too few"),
        (math.nan, math.nan, math.nan, math.nan, "too few"),
    ],
)
def test_what_may_be_said(p: float, low: float, high: float, least: float, said: str) -> None:
    assert verdict(p, low, high, least) == said


def test_a_family_is_judged_by_the_larger_p_where_images_are_drawn_anew() -> None:
    strong, weak = np.array([0.1, 0.11, 0.12, 0.1, 0.11, 0.12]), np.linspace(0.01, 0.2, 6)
    [alone] = judge([[Paired(strong), Paired(weak)]])
    [anew] = judge([[Paired(strong, 0.3), Paired(weak, 0.3)]])
    assert [row["p"] for row in alone] == [row["p"] for row in anew] == [2 / 64, 2 / 64]
    assert [row["p_holm"] for row in alone] == [4 / 64, 4 / 64]
    assert all(math.isnan(row["p_new_images"]) for row in alone)
    assert resampled(weak, 0.3) > 2 / 64 > resampled(strong, 0.3)
    assert [row["p_holm"] for row in anew] == pytest.approx(
        holm(np.array([2 / 64, resampled(weak, 0.3)])).tolist()
    )
    for row, values in zip(anew, (strong, weak), strict=True):
        assert (row["low"], row["high"]) == pytest.approx(resampled_interval(values, 0.3))
    assert [row["low"] for row in alone] == student(np.array([strong, weak]))[0].tolist()
    spread = Spread(0.01, 50)
    [known] = judge([[Paired(strong, 0.3, spread), Paired(weak, 0.3, spread)]])
    assert [row["p_new_images"] for row in known] == pytest.approx(
        [crossed(strong, spread), crossed(weak, spread)]
    )
    assert [row["new_images"] for row in known] == ["crossed"] * 2
    larger = [max(2 / 64, crossed(one, spread)) for one in (strong, weak)]
    assert [row["p_holm"] for row in known] == pytest.approx(holm(np.array(larger)).tolist())
    [[one]] = judge([[Paired(weak)]])
    [[same]] = judge([[Paired(weak, 0.3)]])
    assert (one["verdict"], same["verdict"]) == ("better", "not shown")


def test_families_are_judged_apart_and_bounds_and_nothing_count_in_none() -> None:
    up = np.full(6, 0.1) + np.arange(6) / 1000
    first, second = judge(
        [
            [Paired(up, 0.1), Paired(-up, 0.1, bound=True), Paired(np.array([np.nan]), 0.1)],
            [Paired(-up)],
        ]
    )
    assert [row["verdict"] for row in first] == ["better", "bound", "too few"]
    assert [row["n"] for row in first] == [6, 6, 0]
    assert first[0]["p_holm"] == 2 / 64
    assert math.isnan(first[1]["p_holm"])
    assert math.isnan(first[2]["difference"])
    assert [row["verdict"] for row in second] == ["worse"]
    assert judge([]) == []
    assert judge([[]]) == [[]]


def test_on_splits_of_one_pool_a_verdict_holds_its_level() -> None:
    """Two fixed models that are equal on the population but not on the pool."""
    random = np.random.default_rng(1)
    called, draws = {float("nan"): 0, 0.3: 0}, 1000
    for _ in range(draws):
        pool = random.choice([-1.0, 0.0, 1.0], 400, p=[0.1, 0.8, 0.1])
        differences = np.array([random.choice(pool, 120, replace=False).mean() for _ in range(8)])
        for share in called:
            [[row]] = judge([[Paired(differences, share)]])
            called[share] += row["verdict"] in ("better", "worse")
    unknown, known = called.values()
    # Three standard deviations of a count at the level that is meant.
    assert abs(known / draws - 0.05) < 3 * math.sqrt(0.05 * 0.95 / draws)
    assert unknown > 0.15 * draws


def test_many_tests_at_once_are_each_alone() -> None:
    """Of several lengths, on both sides of where all patterns are counted, with what has no p among them."""
    random = np.random.default_rng(1)
    many = [random.normal(0.3, 1, count).round(1) for count in [3, 16, 17, 3, 120, 1, 17, 3, 3, 3]]
    many += [np.array([]), np.zeros(4), np.array([np.nan, 1.0, 2.0]), np.array([np.inf, 1.0])]
    alone = np.array([sign_flip(one) for one in many])
    assert np.array_equal(sign_flips(many), alone, equal_nan=True)
    assert np.isnan(alone).nonzero()[0].tolist() == [10, 13]
    ranked = np.array([signed_rank(one) for one in many])
    assert np.array_equal(signed_ranks(many), ranked, equal_nan=True)
