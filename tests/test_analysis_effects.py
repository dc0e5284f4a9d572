"""Paired effects against scipy, statsmodels, brute force and numbers worked by hand; what a null and an effect come to."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from frames import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from htsweep import selection
from htsweep.analysis.design import Design, design
from htsweep.analysis.effects import (
    effects,
    holm,
    improvement,
    least_holm,
    pooled,
    resampled,
    runners_up,
    sign_flip,
    signed_rank,
    verdict,
)
from htsweep.planning.power import least_p
from htsweep.selection.infinities import with_infinities

DESIGN = Design(("dataset",), "method")
METRIC = "test/seen_accuracy"
ACCURACIES = st.integers(0, 1000).map(lambda one: one / 1000)


def runs(*tables: tuple[object, str, list[float]]) -> pd.DataFrame:
    """Rows from (dataset, method, one accuracy per repetition)."""
    return pd.DataFrame(
        [
            {"dataset": dataset, "method": method, "repetition": repetition, METRIC: value}
            for dataset, method, values in tables
            for repetition, value in enumerate(values)
        ]
    )


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


@given(
    x=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    y=st.lists(st.integers(0, 5), min_size=1, max_size=8),
)
def test_the_probability_of_improvement_is_mann_whitneys_u(x: list[int], y: list[int]) -> None:
    u = (
        stats.mannwhitneyu(x, y, method="asymptotic").statistic
        if len({*x, *y}) > 1
        else len(x) * len(y) / 2
    )
    assert improvement(np.array(x), np.array(y)) == pytest.approx(u / (len(x) * len(y)))


def test_an_effect_worked_by_hand() -> None:
    found = effects(
        runs(("a", "plain", [0.5, 0.6, 0.7]), ("a", "l2sp", [0.6, 0.6, 0.9, 0.1])),
        DESIGN,
        [METRIC],
        "plain",
    )
    assert len(found) == 1
    row = found.iloc[0]
    assert [row["dataset"], row["method"], row["metric"], row["baseline"], row["n"]] == [
        "a",
        "l2sp",
        METRIC,
        "plain",
        3,
    ]
    assert row["difference"] == pytest.approx(0.1)  # 0.1, 0, 0.2; the fourth has no partner
    assert (row["p"], row["least_p"], row["wilcoxon"]) == (0.5, 0.25, 0.5)
    # Of 12 pairs of runs, 0.6 is above 0.5 and equal to 0.6, twice; 0.9 above all; 0.1 above none.
    assert row["improvement"] == pytest.approx((1.5 + 1.5 + 3 + 0) / 12)
    assert row["low"] < 0.1 < row["high"]
    assert row["verdict"] == "too few"


def test_the_columns_are_those_that_a_report_draws() -> None:
    found = effects(runs(("a", "plain", [0.5]), ("a", "l2sp", [0.6])), DESIGN, [METRIC], "plain")
    said = [
        "dataset",
        "method",
        "metric",
        "baseline",
        "n",
        "difference",
        "low",
        "high",
        "improvement",
        "p",
        "p_holm",
        "least_p",
        "verdict",
    ]
    assert found.columns.tolist()[: len(said)] == said
    assert math.isnan(found["low"].iloc[0])
    assert found["verdict"].tolist() == ["too few"]


def test_a_bound_is_in_no_family() -> None:
    frame = digits(repetitions=8)
    found = effects(
        selection.choose(frame, "last"), design(frame.columns), [METRIC, "nothing"], "plain"
    ).set_index("method")
    assert found["metric"].unique().tolist() == [METRIC]
    assert found.loc["oracle", "verdict"] == "bound"
    assert math.isnan(found.loc["oracle", "p_holm"])
    # Three others, all below plain in all of 8 repetitions: 3 * 2/256.
    others = found.drop(index="oracle")
    assert others["p_holm"].tolist() == pytest.approx([3 * 2 / 256] * 3)
    assert others["verdict"].tolist() == ["worse"] * 3


def test_a_family_is_one_group_and_one_metric() -> None:
    planted = [
        ("a", "plain", [0.5] * 6),
        ("a", "l2sp", [0.6] * 6),
        ("b", "plain", [0.5] * 6),
        ("b", "l2sp", [0.6] * 6),
    ]
    table = runs(*planted).assign(other=lambda frame: frame[METRIC])
    found = effects(table, DESIGN, [METRIC, "other"], "plain")
    assert found["p_holm"].tolist() == [2 / 64] * 4
    assert found["verdict"].tolist() == ["better"] * 4


def test_what_has_no_partner_has_a_row_without_numbers_and_counts_in_no_family() -> None:
    table = pd.concat(
        [
            runs(("a", "plain", [0.5] * 6), ("a", "l2sp", [0.6] * 6)),
            runs(("a", "late", [0.6] * 2)).assign(repetition=[7, 8]),
        ]
    )
    found = effects(table, DESIGN, [METRIC], "plain").set_index("method")
    assert (found.loc["late", "n"], found.loc["late", "verdict"]) == (0, "too few")
    assert math.isnan(found.loc["late", "difference"])
    assert found.loc["l2sp", "p_holm"] == 2 / 64


def test_without_the_baseline_or_the_metric_there_is_no_row() -> None:
    table = runs(
        ("a", "plain", [0.5] * 3),
        ("a", "l2sp", [0.6] * 3),
        ("a", "none", [math.nan] * 3),
        ("b", "l2sp", [0.6] * 3),
    )
    assert effects(table, DESIGN, [METRIC], "plain")[["dataset", "method"]].to_numpy().tolist() == [
        ["a", "l2sp"]
    ]
    for nothing in (
        effects(table, DESIGN, [METRIC], "no such"),
        effects(table.iloc[:0], DESIGN, [METRIC], "plain"),
    ):
        assert len(nothing) == 0
        assert "verdict" in nothing.columns
    assert len(pooled(table, DESIGN, [METRIC], "no such")) == 0


def test_a_compared_factor_of_numbers_and_no_groups() -> None:
    table = runs(("", 0.1, [0.5] * 2), ("", 0.2, [0.7] * 2)).drop(columns="dataset")  # type: ignore[arg-type]
    found = effects(table, Design((), "method"), [METRIC], "0.1")
    assert (found["method"].tolist(), found["difference"].tolist()) == ([0.2], [0.2])


def planted(count: int, methods: int, repetitions: int, effect: float = 0.0) -> pd.DataFrame:
    """`count` groups of a baseline and methods that differ from it by `effect`; a repetition shifts all of them alike."""
    random = np.random.default_rng(4)
    names = ["plain", *(f"m{k}" for k in range(methods))]
    index = pd.MultiIndex.from_product(
        [range(count), range(repetitions), names], names=["dataset", "repetition", "method"]
    )
    shared = random.normal(0.6, 0.05, count * repetitions).repeat(len(names))
    own = random.normal(0, 0.02, len(index)) + effect * (
        index.get_level_values("method") != "plain"
    )
    return pd.DataFrame({METRIC: (shared + own).round(4)}, index).reset_index()


def test_a_planted_null_is_seldom_called_an_effect() -> None:
    found = effects(planted(200, 1, 6), DESIGN, [METRIC], "plain")
    assert len(found) == 200
    assert not (found["verdict"] == "too few").any()
    called = found["verdict"].isin(["better", "worse"])
    assert 0 < called.sum() <= 0.05 * 200
    # The test's own size at n = 6: 2 of 64 patterns.
    assert (found["p"] < 0.05).mean() == pytest.approx(2 / 64, abs=3 * math.sqrt(2 / 64 / 200))


def test_a_family_of_nulls_is_seldom_called_an_effect() -> None:
    found = effects(planted(200, 4, 8), DESIGN, [METRIC], "plain")
    assert not (found["verdict"] == "too few").any()
    called = found["verdict"].isin(["better", "worse"]).groupby(found["dataset"]).any()
    assert 0 < called.sum() <= 0.05 * 200
    # Without Holm it would be seldom no longer.
    assert (found["p"] < 0.05).groupby(found["dataset"]).any().mean() > 0.08


@pytest.mark.parametrize(("effect", "said"), [(0.1, "better"), (-0.1, "worse")])
def test_a_planted_effect_comes_out(effect: float, said: str) -> None:
    found = effects(planted(20, 1, 6, effect), DESIGN, [METRIC], "plain")
    assert set(found["verdict"]) == {said}
    assert found["difference"].mean() == pytest.approx(effect, abs=0.01)
    # Few repetitions: 86 % at best
    assert ((found["low"] <= effect) & (effect <= found["high"])).mean() > 0.6
    assert set(effects(planted(5, 1, 5, effect), DESIGN, [METRIC], "plain")["verdict"]) == {
        "too few"
    }
    assert set(effects(planted(5, 2, 6, effect), DESIGN, [METRIC], "plain")["verdict"]) == {
        "too few"
    }


PAIRS = st.lists(st.tuples(ACCURACIES, ACCURACIES), min_size=1, max_size=8)
NUMBERS = ["n", "difference", "low", "high", "improvement", "p", "p_holm", "least_p", "wilcoxon"]


def pair(pairs: list[tuple[float, float]]) -> pd.DataFrame:
    return runs(("a", "plain", [y for _, y in pairs]), ("a", "l2sp", [x for x, _ in pairs]))


@settings(max_examples=12, deadline=None)
@given(pairs=PAIRS, more=PAIRS, data=st.data())
def test_effects_do_not_depend_on_the_order_of_rows(
    pairs: list[tuple[float, float]],
    more: list[tuple[float, float]],
    data: st.DataObject,
) -> None:
    table = pd.concat(
        [
            pair(pairs),
            runs(("a", "other", [x for x, _ in more]), ("b", "other", [y for _, y in more])),
        ]
    )
    shuffled = table.iloc[data.draw(st.permutations(range(len(table))))]
    for function in (effects, pooled):
        keys = [name for name in ("dataset", "method") if function is effects or name == "method"]
        expected, found = (
            function(one, DESIGN, [METRIC], "plain").sort_values(keys, ignore_index=True)
            for one in (table, shuffled)
        )
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


@settings(max_examples=15, deadline=None)
@given(pairs=PAIRS, constant=ACCURACIES)
def test_what_is_added_to_both_changes_nothing(
    pairs: list[tuple[float, float]], constant: float
) -> None:
    before, after = (
        effects(pair(table), DESIGN, [METRIC], "plain").iloc[0]
        for table in (pairs, [(x + constant, y + constant) for x, y in pairs])
    )
    assert after[NUMBERS].astype(float).tolist() == pytest.approx(
        before[NUMBERS].astype(float).tolist(), abs=1e-9, nan_ok=True
    )
    assert after["verdict"] == before["verdict"]


@settings(max_examples=15, deadline=None)
# From 8 on samples are drawn, and a mirrored interval is another
@given(pairs=PAIRS.filter(lambda pairs: len(pairs) < 8))
def test_swapped_the_effect_is_the_other_way(pairs: list[tuple[float, float]]) -> None:
    there, back = (
        effects(pair(pairs), DESIGN, [METRIC], baseline).iloc[0] for baseline in ("plain", "l2sp")
    )
    assert back["difference"] == -there["difference"]
    assert back["improvement"] == pytest.approx(1 - there["improvement"])
    same = ["p", "p_holm", "least_p", "wilcoxon", "n"]
    assert back[same].tolist() == there[same].tolist()
    assert back["verdict"] == {"better": "worse", "worse": "better"}.get(
        there["verdict"], there["verdict"]
    )
    if len(pairs) > 1:
        assert (
            np.sign([back["low"], back["high"]]).tolist()
            == np.sign([-there["high"], -there["low"]]).tolist()
        )


def test_pooled_over_groups_the_unit_is_the_repetition() -> None:
    table = runs(
        ("a", "plain", [0.5] * 6),
        ("b", "plain", [0.1] * 6),
        ("a", "l2sp", [0.6, 0.7, 0.6, 0.7, 0.6, 0.7]),
        ("b", "l2sp", [0.3, 0.2, 0.3, 0.2, 0.3, 0.05]),
    )
    row = pooled(table, DESIGN, [METRIC], "plain").iloc[0]
    # By repetition: (0.1 + 0.2) / 2 = 0.15 five times, and (0.2 - 0.05) / 2 = 0.075.
    assert (row["groups"], row["n"]) == (2, 6)
    assert row["difference"] == pytest.approx((5 * 0.15 + 0.075) / 6)
    assert (row["p"], row["verdict"]) == (2 / 64, "better")
    assert row["improvement"] == pytest.approx((1 + 5 / 6) / 2)


def test_a_repetition_that_lacks_a_group_is_not_pooled() -> None:
    table = runs(
        ("a", "plain", [0.5] * 4),
        ("b", "plain", [0.5] * 3),
        ("a", "l2sp", [0.6, 0.6, 0.6, 9.0]),
        ("b", "l2sp", [0.8] * 3),
        ("c", "l2sp", [0.1] * 4),
    )
    row = pooled(table, DESIGN, [METRIC], "plain").iloc[0]
    assert (row["groups"], row["n"], row["difference"]) == (2, 3, pytest.approx(0.2))


def test_pooled_over_one_group_is_the_effect() -> None:
    table = planted(1, 3, 6, 0.03)
    one, all_of = (
        effects(table, DESIGN, [METRIC], "plain"),
        pooled(table, DESIGN, [METRIC], "plain"),
    )
    pd.testing.assert_frame_equal(all_of.drop(columns="groups"), one.drop(columns="dataset"))


@pytest.mark.parametrize("odd", [math.inf, -math.inf, 1e308])
def test_nothing_is_claimed_of_infinite_differences(odd: float) -> None:
    """p would be 0: infinity is at least as far as anything, and inf - inf is nothing."""
    assert math.isnan(with_infinities(sign_flip)(np.array([odd] * 8)))
    assert signed_rank(np.array([odd] * 8)) == 2 / 2**8
    runs = digits({"plain": (0.9, 0.1), "l2sp": (0.8, 0.2)}, repetitions=8)
    metric = "test/missing_accuracy"
    runs.loc[runs["method"] == "l2sp", metric] = odd
    [row] = with_infinities(effects)(runs, design(runs.columns), [metric], "plain").to_dict(
        "records"
    )
    assert row["verdict"] == "not shown"
    assert math.isnan(row["p"])
    assert math.isnan(row["low"])


def test_the_runner_up_is_tested_against_the_winner_among_all_its_rivals() -> None:
    table = runs(
        ("a", "plain", [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
        ("a", "l2sp", [0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.77]),
        ("a", "ewc", [0.6, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67]),
        ("a", "oracle", [0.9] * 8),
    )
    table["role"] = table["method"].map({"oracle": "bound"}).fillna("")
    (found,) = runners_up(table, DESIGN, [METRIC]).to_dict("records")
    assert (found["method"], found["baseline"], found["n"]) == ("ewc", "l2sp", 8)
    assert found["difference"] == pytest.approx(-0.1)
    assert found["p"] == pytest.approx(2 / 256)
    assert found["p_holm"] == pytest.approx(4 / 256)  # of two rivals
    assert found["verdict"] == "worse"


def test_one_method_has_no_runner_up() -> None:
    assert runners_up(runs(("a", "plain", [0.5, 0.6])), DESIGN, [METRIC]).empty
    assert runners_up(runs(), DESIGN, [METRIC]).empty


def test_the_resampled_test_is_a_t_test_with_a_larger_variance() -> None:
    values = np.array([0.1, 0.2, 0.15, 0.05, 0.12])
    expected = values.mean() / math.sqrt((1 / 5 + 0.3 / 0.7) * values.var(ddof=1))
    assert resampled(values, 0.3) == pytest.approx(2 * stats.t.sf(expected, 4))
    # With nothing shared it would be Student's own test.
    assert resampled(values, 1e-12) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert resampled(np.zeros(4), 0.3) == 1
    for unknown in (0.0, 1.0, float("nan")):
        assert math.isnan(resampled(values, unknown))
    assert math.isnan(resampled(values[:1], 0.3))


def test_effects_have_the_resampled_p_where_the_tested_share_is_known() -> None:
    table = runs(("a", "plain", [0.5, 0.5, 0.5]), ("a", "l2sp", [0.6, 0.7, 0.65]))
    table["sweep"] = table["method"]
    known = effects(table, DESIGN, [METRIC], "plain", tested=pd.Series({"plain": 0.3, "l2sp": 0.3}))
    assert known["p_new_images"].tolist() == pytest.approx([resampled([0.1, 0.2, 0.15], 0.3)])
    unknown = effects(table, DESIGN, [METRIC], "plain")
    assert unknown["p_new_images"].isna().all()


def test_on_splits_of_one_pool_the_resampled_test_holds_its_level() -> None:
    """Two fixed models that are equal on the population but not on the pool."""
    random = np.random.default_rng(0)
    called = {"splits": 0, "images": 0}
    for _ in range(150):
        pool = random.choice([-1.0, 0.0, 1.0], 400, p=[0.1, 0.8, 0.1])
        differences = np.array([random.choice(pool, 120, replace=False).mean() for _ in range(8)])
        called["splits"] += sign_flip(differences) < 0.05
        called["images"] += resampled(differences, 0.3) < 0.05
    assert called["images"] <= 0.08 * 150
    assert called["splits"] > 0.15 * 150
