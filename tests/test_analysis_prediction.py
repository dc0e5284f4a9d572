"""What scores were worth: correlations as scipy has them, regret by hand, OTCE fitted on other targets alone, bounds."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pairs
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep.analysis import correlation
from htsweep.analysis.conclusions import ScreenTables, StudyContext, conclude, conclude_scores
from htsweep.analysis.correlation import correlate, side, why_not
from htsweep.analysis.design import Design
from htsweep.analysis.prediction import (
    ALL,
    POOLED,
    WITHIN,
    bounds,
    outcomes,
    predicted,
    predictions,
    transferability,
)
from htsweep.analysis.regret import expected_best, regret

SCIPY = {
    "pearson": stats.pearsonr,
    "kendall": stats.kendalltau,
    "weighted_kendall": stats.weightedtau,
}
NUMBERS = st.integers(-4, 4).map(float)
LISTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=4, max_size=12)
OVERALL, MISSING = pairs.METRICS


def told(x: Any, y: Any, block: Any = None) -> dict[str, float]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    of = np.zeros(len(x), int) if block is None else np.asarray(block)
    return dict(correlate(side(x, of), side(y, of)))


# -- correlations
# --------------------------------------------------------------------------------------------------------


@given(LISTS)
def test_each_statistic_is_scipys_ties_or_not(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(one) for one in zip(*points, strict=True))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    found = told(x, y)
    for name, reference in SCIPY.items():
        assert found[name] == pytest.approx(reference(x, y)[0], abs=1e-9), name


@pytest.mark.parametrize("pairs_of", [6, 15])
def test_the_interval_is_that_of_scipy_on_every_resample(pairs_of: int) -> None:
    """Sample by sample, with copies written out; those of two distinct pairs, or with a constant side, are left out."""
    random = np.random.default_rng(1)
    x = random.integers(0, 5, pairs_of).astype(float)
    y = x + random.integers(0, 6, pairs_of)
    counts, share, _ = correlation._samples(pairs_of)
    rows, weights = [], []
    for count, probability in zip(counts[1:].astype(int), share[1:], strict=True):
        drawn = np.repeat(np.arange(pairs_of), count)
        if len(set(drawn)) > 2 and len(set(x[drawn])) > 1 and len(set(y[drawn])) > 1:
            rows.append([reference(x[drawn], y[drawn])[0] for reference in SCIPY.values()])
            weights.append(probability)
    assert len(rows) < len(counts) - 1 or pairs_of > 7
    found = told(x, y)
    for name, values in zip(SCIPY, np.transpose(rows), strict=True):
        order = np.argsort(values)
        reached = np.cumsum(np.array(weights)[order]) / sum(weights)
        low, high = (values[order][np.argmax(reached >= at - 1e-9)] for at in (0.025, 0.975))
        assert (found[f"{name} low"], found[f"{name} high"]) == (
            pytest.approx(low, abs=1e-9),
            pytest.approx(high, abs=1e-9),
        )


@given(LISTS)
@settings(max_examples=25)
def test_the_order_of_pairs_and_the_scale_of_numbers_do_not_matter(
    points: list[tuple[float, float]],
) -> None:
    x, y = (np.array(one) for one in zip(*points, strict=True))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    found, scaled = told(x, y), told(2.5 * x - 7, 0.1 * y)
    turned = told(x[::-1], y[::-1])
    for name in SCIPY:
        assert found[name] == pytest.approx(scaled[name], abs=1e-9)
        assert found[name] == pytest.approx(turned[name], abs=1e-9)
        if found[f"{name} low"] == found[f"{name} low"]:
            assert -1 - 1e-9 <= found[f"{name} low"] <= found[f"{name} high"] <= 1 + 1e-9


def test_within_targets_only_pairs_of_one_target_are_compared() -> None:
    """Two targets at other levels, each in reverse order: pooled the score looks right, inside a target it is wrong."""
    x, y, block = (
        np.array([1, 2, 3, 11, 12, 13.0]),
        np.array([3, 2, 1, 13, 12, 11.0]),
        np.array([0, 0, 0, 1, 1, 1]),
    )
    assert told(x, y)["kendall"] == pytest.approx(3 / 15)
    assert told(x, y)["pearson"] > 0.9
    found = told(x, y, block)
    assert {found[name] for name in SCIPY} == {-1.0}


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 2)), min_size=5, max_size=10))
def test_kendalls_tau_within_targets_counts_pairs_of_pairs(
    points: list[tuple[float, float, int]],
) -> None:
    x, y, block = (np.array(one) for one in zip(*points, strict=True))
    same = [(i, j) for i, j in combinations(range(len(x)), 2) if block[i] == block[j]]
    score = [np.sign(x[i] - x[j]) for i, j in same]
    came = [np.sign(y[i] - y[j]) for i, j in same]
    assume(np.any(score) and np.any(came))
    expected = np.dot(score, came) / np.sqrt(np.sum(np.abs(score)) * np.sum(np.abs(came)))
    assert told(x, y, block)["kendall"] == pytest.approx(expected, abs=1e-9)


def test_why_there_is_no_correlation() -> None:
    zeros, rising, two = np.zeros(4), np.arange(4.0), np.array([0, 0, 1, 1])
    assert why_not(rising[:3], rising[:3], zeros[:3]) == "fewer than 4 pairs"
    assert why_not(zeros, rising, zeros) == "the score is the same for all pairs"
    assert why_not(rising, zeros, zeros) == "the outcome is the same for all pairs"
    assert why_not(np.array([1.0, 1, 2, 2]), rising, two) == "the score is the same for all pairs"
    assert why_not(rising, rising, zeros) == ""


# -- tables
# --------------------------------------------------------------------------------------------------------------


def test_a_score_has_its_mean_its_rank_in_its_target_and_whether_it_is_kept() -> None:
    scored = pairs.scored(pairs.truth(), dropped=("uci/0",))
    found = transferability(scored, pairs.FACTORS)
    assert len(found) == 2 * 5 * len(pairs.SCORES)
    for row in found.sample(12, random_state=0).to_dict("records"):
        mine = scored[(scored["pair"] == row["pair"]) & (scored["score"] == row["score"])]["value"]
        rivals = (
            scored[(scored["target"] == row["target"]) & (scored["score"] == row["score"])]
            .groupby("pair")["value"]
            .mean()
        )
        assert (row["n"], row["value"]) == (3, pytest.approx(mine.mean()))
        assert row["low"] <= row["value"] <= row["high"]
        assert row["rank"] == 1 + (rivals > mine.mean() + 1e-12).sum()
        assert row["kept"] == (row["pair"] != "uci/0")


def test_equal_scores_share_a_rank_and_what_is_not_finite_has_none() -> None:
    scored = pairs.scored(pairs.truth(), names=("logme",), repetitions=1)
    scored["value"] = [3.0, 3.0, 1.0, -np.inf, np.nan, *range(5)]
    found = transferability(scored, pairs.FACTORS)
    assert found["rank"].tolist()[:3] == [1, 1, 3]
    assert found[["value", "rank"]].iloc[3:5].isna().all(axis=None)


def test_what_came_is_the_protocols_choice_and_a_pair_that_lacks_trials_is_not_known() -> None:
    rows = pairs.achieved(pairs.truth())
    rows = pd.concat([rows, rows.assign(step=0, **{OVERALL: -1.0})])
    half = rows[(rows["pair"] != "uci/0") | (rows["repetition"] > 0)]
    found = outcomes(
        half, pairs.DESIGN, pairs.METRICS, factors=pairs.FACTORS, protocol="last", repetitions=3
    )
    assert set(found["pair"]) == set(rows["pair"]) - {"uci/0"}
    mine = found[
        (found["pair"] == "uci/1") & (found["method"] == "l2sp") & (found["metric"] == OVERALL)
    ]
    truth = pairs.truth().set_index("pair")["truth"]["uci/1"]
    assert mine["value"].to_numpy() == pytest.approx(
        [truth + 0.02 + 0.001 * number for number in range(3)]
    )


def test_other_factors_are_averaged_over_and_must_all_be_there() -> None:
    truth = pairs.truth()
    few = pairs.achieved(truth, epochs=1)
    many = pairs.achieved(truth, epochs=9)
    many[OVERALL] += 0.1
    rows = pd.concat([few, many[many["pair"] != "uci/0"]])
    design = Design((*pairs.FACTORS, "epochs"), "method")
    found = outcomes(rows, design, [OVERALL], factors=pairs.FACTORS, protocol="last", repetitions=3)
    assert set(found["pair"]) == set(truth["pair"]) - {"uci/0"}
    alone = outcomes(
        few, pairs.DESIGN, [OVERALL], factors=pairs.FACTORS, protocol="last", repetitions=3
    )
    both = found.merge(alone, on=["pair", "method", "metric", "repetition"])
    assert both["value_x"].to_numpy() == pytest.approx(both["value_y"].to_numpy() + 0.05)


def test_every_target_has_its_correlations_and_all_together() -> None:
    found = pairs.told()
    table, both = found["predictions"], found["predicted"]
    assert list(dict.fromkeys(table["target"])) == [POOLED, WITHIN, *pairs.TARGETS]
    for row in table[table["target"] != WITHIN].sample(10, random_state=0).to_dict("records"):
        mine = both[
            (both["score"] == row["score"])
            & (both["method"] == row["method"])
            & (both["metric"] == row["metric"])
        ]
        mine = mine if row["target"] == POOLED else mine[mine["target"] == row["target"]]
        assert row["pairs"] == len(mine)
        for name, reference in SCIPY.items():
            assert row[name] == pytest.approx(reference(mine["value"], mine["mean"])[0], abs=1e-9)
    one = pairs.told(pairs.truth(targets=["uci"]))["predictions"]
    assert set(one["target"]) == {POOLED}


def test_three_pairs_have_no_correlation_and_the_table_says_why() -> None:
    table = pairs.told(pairs.truth(targets=["uci"], backbones=["a", "b", "c"]))["predictions"]
    assert set(table["why"]) == {"fewer than 4 pairs"}
    assert table[["kendall", "pearson low"]].isna().all(axis=None)


def test_a_factor_that_is_compared_and_tells_pairs_apart_leaves_one_line() -> None:
    design = Design(("dataset", "missing_ratio"), "backbone")
    scores = transferability(pairs.scored(pairs.truth()), pairs.FACTORS)
    came = outcomes(
        pairs.achieved(pairs.truth(), methods=("plain",)),
        design,
        [OVERALL],
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    both = predicted(scores, came, design, pairs.FACTORS, combined=pairs.COMBINED)
    table = predictions(both, design, pairs.FACTORS)
    assert set(table["backbone"]) == {ALL}
    assert table[(table["target"] == POOLED) & (table["score"] == "logme")]["pairs"].tolist() == [
        10
    ]
    costs = regret(scores, both, came, design, factors=pairs.FACTORS)
    assert set(costs["backbone"]) == {ALL}
    assert pairs.FITTED in set(costs["score"])


def test_an_upper_bound_moves_no_outcome_of_a_pair_that_others_stand_for() -> None:
    design = replace(pairs.DESIGN, groups=("dataset", "missing_ratio", "method"))
    design = replace(design, compared="backbone")

    def came(rows: pd.DataFrame) -> pd.DataFrame:
        return outcomes(
            rows, design, [OVERALL], factors=pairs.FACTORS, protocol="last", repetitions=3
        )

    rows = pairs.achieved(pairs.truth(), methods=("plain", "seer"))
    rows["role"] = ["bound" if name == "seer" else "" for name in rows["method"]]
    pd.testing.assert_frame_equal(came(rows), came(rows[rows["role"] == ""]))
    assert len(came(rows)) == 30


# -- OTCE
# ----------------------------------------------------------------------------------------------------------------


def test_otce_is_fitted_on_the_other_targets_alone() -> None:
    found = pairs.told()["predicted"]
    of = found[(found["method"] == "plain") & (found["metric"] == OVERALL)]
    first = of.drop_duplicates("pair").set_index("pair")
    wide = of.pivot(index="pair", columns="score", values="value").assign(
        outcome=first["mean"], target=first["target"]
    )
    for target in pairs.TARGETS:
        others, mine = wide[wide["target"] != target], wide[wide["target"] == target]
        inputs = np.column_stack([others["otce_w"], others["otce_ce"], np.ones(len(others))])
        weights = np.linalg.inv(inputs.T @ inputs) @ inputs.T @ others["outcome"].to_numpy()
        expected = mine["otce_w"] * weights[0] + mine["otce_ce"] * weights[1] + weights[2]
        assert mine[pairs.FITTED].to_numpy() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize(
    "case", ["one target", "three pairs each", "always the same", "without ce"]
)
def test_otce_is_not_fitted_on_too_little(case: str) -> None:
    truth = (
        pairs.truth(targets=["uci"])
        if case == "one target"
        else pairs.truth(
            backbones=["a", "b", "c"] if case == "three pairs each" else pairs.BACKBONES
        )
    )
    scored = pairs.scored(truth)
    if case == "always the same":
        scored.loc[scored["score"] == "otce_w", "value"] = 2.0
    if case == "without ce":
        scored = scored[scored["score"] != "otce_ce"]
    scores = transferability(scored, pairs.FACTORS)
    came = outcomes(
        pairs.achieved(truth),
        pairs.DESIGN,
        [OVERALL],
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    assert pairs.FITTED not in set(
        predicted(scores, came, pairs.DESIGN, pairs.FACTORS, combined=pairs.COMBINED)["score"]
    )


# -- regret
# --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_the_best_of_some_drawn_by_chance_is_the_mean_over_all_draws(
    values: list[float], data: st.DataObject
) -> None:
    drawn = data.draw(st.integers(1, len(values)))
    assert expected_best(values, drawn) == pytest.approx(
        np.mean([max(some) for some in combinations(values, drawn)])
    )


def test_regret_is_the_best_less_the_best_that_is_kept() -> None:
    found = pairs.told(noise=0.2)
    costs, both = found["regret"], found["predicted"]
    assert (costs["regret"] >= 0).all()
    assert (costs["spared"] + costs["keep"] == costs["pairs"]).all()
    for row in costs.sample(20, random_state=0).to_dict("records"):
        mine = both[
            (both["target"] == row["target"])
            & (both["method"] == row["method"])
            & (both["metric"] == row["metric"])
            & (both["score"] == row["score"])
        ].sort_values("value", ascending=False)
        assert row["regret"] == pytest.approx(
            mine["mean"].max() - mine["mean"].head(row["keep"]).max(), abs=1e-9
        )
        assert row["random"] == pytest.approx(
            mine["mean"].max()
            - np.mean([max(some) for some in combinations(mine["mean"], row["keep"])]),
            abs=1e-9,
        )
        assert row["low"] <= row["regret"] + 1e-9
    kept = costs.groupby(["target", "method", "metric", "score"])["regret"]
    assert (kept.diff().dropna() <= 1e-12).all()


def test_the_interval_of_regret_draws_repetitions_for_all_pairs_at_once() -> None:
    """Two pairs that differ by the same in every repetition: no doubt, however much both vary."""
    truth = pairs.truth(targets=["uci"], backbones=["a", "b"])
    rows = pairs.achieved(truth, methods=("plain",), metrics=[OVERALL], repetitions=5)
    level = np.array([0.1, 0.5, 0.3, 0.2, 0.4])
    rows[OVERALL] = level[rows["repetition"]] + np.where(rows["pair"] == "uci/0", 0.1, 0.0)
    scored = pairs.scored(truth, names=("logme",))
    scored["value"] = np.where(scored["pair"] == "uci/0", 0.0, 1.0)
    scores = transferability(scored, pairs.FACTORS)
    came = outcomes(
        rows, pairs.DESIGN, [OVERALL], factors=pairs.FACTORS, protocol="last", repetitions=5
    )
    both = predicted(scores, came, pairs.DESIGN, pairs.FACTORS, combined=pairs.COMBINED)
    (row,) = regret(scores, both, came, pairs.DESIGN, factors=pairs.FACTORS).to_dict("records")
    assert [row[name] for name in ("regret", "low", "high", "random")] == pytest.approx(
        [0.1, 0.1, 0.1, 0.05]
    )


def test_equal_scores_are_kept_together() -> None:
    truth = pairs.truth(targets=["uci"], backbones=["a", "b", "c"])
    scored = pairs.scored(truth, names=("flat",), repetitions=1).assign(value=[1.0, 1.0, 0.0])
    scores = transferability(scored, pairs.FACTORS)
    came = outcomes(
        pairs.achieved(truth, methods=("plain",)),
        pairs.DESIGN,
        [OVERALL],
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    found = regret(
        scores,
        predicted(scores, came, pairs.DESIGN, pairs.FACTORS, combined=pairs.COMBINED),
        came,
        pairs.DESIGN,
        factors=pairs.FACTORS,
    )
    assert found[["keep", "spared"]].to_numpy().tolist() == [[1, 1], [2, 1]]


def test_the_studys_own_screen_is_marked_once_and_by_its_score_alone() -> None:
    scores = transferability(pairs.scored(pairs.truth()), pairs.FACTORS)
    dropped = scores[(scores["score"] == "logme") & (scores["rank"] > 2)]["pair"].tolist()
    costs = pairs.told(dropped=dropped)["regret"]
    own = costs[costs["chosen"]]
    assert set(own["score"]) == {"logme"}
    assert set(own["keep"]) == {2}
    assert len(own) == len(own.drop_duplicates(["target", "method", "metric"])) == 2 * 2 * 2
    assert not pairs.told(dropped=dropped, by="")["regret"]["chosen"].any()


def test_only_known_pairs_count_and_losses_have_no_regret() -> None:
    truth = pairs.truth(targets=["uci"])
    scores = transferability(pairs.scored(truth, names=("logme",)), pairs.FACTORS)
    rows = pairs.achieved(truth, metrics=[OVERALL, "test/loss"])
    came = outcomes(
        rows[rows["pair"] != "uci/2"],
        pairs.DESIGN,
        [OVERALL, "test/loss"],
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    found = regret(
        scores,
        predicted(scores, came, pairs.DESIGN, pairs.FACTORS, combined=pairs.COMBINED),
        came,
        pairs.DESIGN,
        factors=pairs.FACTORS,
    )
    assert set(found["metric"]) == {OVERALL}
    assert set(found["pairs"]) == {4}
    assert set(found["of"]) == {5}


# -- bounds, and all together
# --------------------------------------------------------------------------------------------


def test_terms_of_a_bound_are_means_over_repetitions() -> None:
    scored = pairs.scored(pairs.truth())
    scored["tta/lipschitz"] = scored["tta/lipschitz"] * (1 + scored["repetition"])
    found = bounds(scored, pairs.FACTORS, pairs.PREFIX)
    assert set(found["score"]) == {"tta"}
    mine = scored[(scored["pair"] == "uci/1") & (scored["score"] == "tta")]
    row = found[found["pair"] == "uci/1"].iloc[0]
    assert row["n"] == 3
    assert row["distribution"] == pytest.approx(
        (mine["tta/lipschitz"] * mine["tta/wasserstein"]).mean()
    )
    assert row["target_loss"] == pytest.approx(mine["tta/target_loss"].mean())
    assert bounds(
        scored.drop(columns=[name for name in scored if name.startswith("tta/")]),
        pairs.FACTORS,
        pairs.PREFIX,
    ).empty
    assert bounds(scored, pairs.FACTORS, "").empty


def test_conclusions_have_the_tables_and_leave_the_others_as_they_are() -> None:
    truth = pairs.truth()
    rows = pairs.achieved(truth)
    trials = rows.drop_duplicates("trial").assign(seconds=1.0)
    about = StudyContext(title="t", design=pairs.DESIGN, protocol="last", repetitions=3, by="logme")
    without = conclude(trials, rows, about)
    found = conclude(
        trials,
        rows,
        about,
        screened=ScreenTables(pairs.scored(truth), rows, pairs.COMBINED, pairs.PREFIX),
    )
    for name, table in pairs.told(dropped=()).items():
        assert len(getattr(found, name)) == len(table), name
        assert getattr(without, name).empty
    pd.testing.assert_frame_equal(found.summary, without.summary)


def test_a_study_of_scores_has_scores_and_bounds_and_nothing_to_compare() -> None:
    scored = pairs.scored(pairs.truth())
    name = scored["pair"] + scored["score"]
    trials = scored.assign(trial=range(len(scored)), sweep=name, point=name, status="done")
    about = StudyContext(
        title="t",
        design=replace(pairs.DESIGN, compared="score"),
        protocol="last",
        repetitions=3,
        terms=pairs.PREFIX,
    )
    found = conclude_scores(trials, scored, about)
    assert len(found.transferability) == 50
    assert len(found.bounds) == 10
    for name in ("summary", "effects", "ranks", "points", "predicted", "predictions", "regret"):
        assert getattr(found, name).empty, name


def test_nothing_known_gives_empty_tables_with_their_columns() -> None:
    scored = pairs.scored(pairs.truth())
    scores = transferability(scored, pairs.FACTORS)
    came = outcomes(
        pairs.achieved(pairs.truth()).iloc[:0],
        pairs.DESIGN,
        pairs.METRICS,
        factors=pairs.FACTORS,
        protocol="last",
    )
    both = predicted(scores, came, pairs.DESIGN, pairs.FACTORS, combined=pairs.COMBINED)
    for table in (
        came,
        both,
        predictions(both, pairs.DESIGN, pairs.FACTORS),
        regret(scores, both, came, pairs.DESIGN, factors=pairs.FACTORS),
        transferability(scored.iloc[:0], pairs.FACTORS),
    ):
        assert table.empty
        assert len(table.columns) > 3
