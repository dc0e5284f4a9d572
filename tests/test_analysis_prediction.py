"""What scores were worth: correlations as scipy has them, regret by hand, OTCE fitted on other targets alone, bounds."""

from dataclasses import replace

import numpy as np
import pairs
import pandas as pd
import pytest
from scipy import stats

from htsweep.analysis.conclusions import ScreenTables, StudyContext, conclude, conclude_scores
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
from htsweep.analysis.regret import regret

SCIPY = {
    "pearson": stats.pearsonr,
    "kendall": stats.kendalltau,
    "weighted_kendall": stats.weightedtau,
}
OVERALL, MISSING = pairs.METRICS


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
