"""Regret by hand, and its interval over repetitions."""

from itertools import combinations

import numpy as np
import pairs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep.analysis.prediction import (
    outcomes,
    predicted,
    transferability,
)
from htsweep.analysis.regret import expected_best, regret

OVERALL, MISSING = pairs.METRICS


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
