"""Paired effects against scipy, statsmodels, brute force and numbers worked by hand; what a null and an effect come to."""

import math

import numpy as np
import pandas as pd
import pytest
from frames import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep import selection
from htsweep.analysis.blocks import blocks
from htsweep.analysis.design import Design, design
from htsweep.analysis.effects import effects, runners_up
from htsweep.analysis.new_images import resampled
from htsweep.analysis.paired import improvement
from htsweep.analysis.pooled import pooled
from htsweep.analysis.significance import sign_flip, signed_rank
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
    pd.testing.assert_frame_equal(
        all_of.drop(columns=["groups", "unit"]), one.drop(columns="dataset")
    )


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


def many_targets(targets: int, gain: float, repetitions: int = 3) -> pd.DataFrame:
    """A method that is `gain` better on each target, with what suits a target on top of it."""
    random = np.random.default_rng(targets)
    # What suits a target: up on half of them, down on the others, and 0.001 on average.
    of_target = 0.001 + 0.01 * (-1.0) ** np.arange(targets)
    rows = []
    for target in range(targets):
        base = random.normal(0.5, 0.05, repetitions)
        rows += [
            (f"t{target}", "plain", list(base)),
            (f"t{target}", "l2sp", list(base + gain + of_target[target])),
        ]
    table = runs(*rows)
    return table.assign(sweep=table["dataset"] + table["method"])


def test_of_many_targets_the_target_is_the_unit() -> None:
    table = many_targets(10, 0.05)
    independent = blocks(table, DESIGN)
    [row] = pooled(table, DESIGN, [METRIC], "plain", independent=independent).to_dict("records")
    change = effects(table, DESIGN, [METRIC], "plain")["difference"].to_numpy()
    assert (row["unit"], row["n"], row["groups"]) == ("block", 10, 10)
    assert row["difference"] == pytest.approx(change.mean())
    assert row["p"] == pytest.approx(sign_flip(change))
    assert row["verdict"] == "better"
    # Three repetitions of the same table could show nothing.
    [other] = pooled(table, DESIGN, [METRIC], "plain").to_dict("records")
    assert (other["unit"], other["n"], other["verdict"]) == ("repetition", 3, "too few")
    assert other["difference"] == pytest.approx(row["difference"])


def test_what_suits_some_targets_alone_is_not_shown_for_targets() -> None:
    """Repetitions agree on these targets, and say nothing of others."""
    table = many_targets(8, 0.0, repetitions=8)  # 0.001 better on average
    [row] = pooled(table, DESIGN, [METRIC], "plain", independent=blocks(table, DESIGN)).to_dict(
        "records"
    )
    assert (row["unit"], row["verdict"]) == ("block", "not shown")
    [other] = pooled(table, DESIGN, [METRIC], "plain").to_dict("records")
    assert other["verdict"] in ("better", "worse")


@pytest.mark.parametrize(("targets", "unit"), [(5, "repetition"), (6, "block")])
def test_fewer_targets_than_can_show_something_leave_the_repetition(
    targets: int, unit: str
) -> None:
    table = many_targets(targets, 0.05)
    found = pooled(table, DESIGN, [METRIC], "plain", independent=blocks(table, DESIGN))
    assert set(found["unit"]) == {unit}


def test_one_method_has_no_runner_up() -> None:
    assert runners_up(runs(("a", "plain", [0.5, 0.6])), DESIGN, [METRIC]).empty
    assert runners_up(runs(), DESIGN, [METRIC]).empty


def test_verdicts_are_about_new_images_where_the_tested_share_is_known() -> None:
    table = runs(
        *((place, "plain", [0.5] * 6) for place in "ab"),
        *((place, "l2sp", [0.54, 0.7, 0.65, 0.54, 0.55, 0.57]) for place in "ab"),
        *((place, "ewc", [0.5, 0.5, 0.6, 0.5, 0.5, 0.51]) for place in "ab"),
    )
    table["sweep"] = table["dataset"] + table["method"]
    share = pd.Series(0.3, table["sweep"].unique())
    partly = share.where(~share.index.str.startswith("b"))
    change = np.array([0.04, 0.2, 0.15, 0.04, 0.05, 0.07])
    for function in (effects, pooled):
        for shares, known in ((share, 0.3), (partly, math.nan), (None, math.nan)):
            found = function(table, DESIGN, [METRIC], "plain", tested=shares)
            row = found[found["method"] == "l2sp"].iloc[-1]
            assert row["p"] == 2 / 64
            assert row["p_new_images"] == pytest.approx(resampled(change, known), nan_ok=True)
            assert row["verdict"] == "too few"
    alone = table[table["method"] != "ewc"]
    for function in (effects, pooled):
        verdicts = {
            name: function(alone, DESIGN, [METRIC], "plain", tested=shares)["verdict"].tolist()
            for name, shares in (("known", share), ("partly", partly), ("unknown", None))
        }
        known = ["not shown"] * (2 if function is effects else 1)
        assert verdicts["known"] == known
        assert verdicts["unknown"] == ["better"] * len(known)
        assert verdicts["partly"] == (
            ["not shown", "better"] if function is effects else ["better"]
        )
    second = runners_up(alone, DESIGN, [METRIC], tested=share)
    assert second["verdict"].tolist() == ["not shown"] * 2
    assert runners_up(alone, DESIGN, [METRIC])["verdict"].tolist() == ["worse"] * 2
