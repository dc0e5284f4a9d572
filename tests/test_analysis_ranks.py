"""Mean ranks against Demsar's worked example, his table of critical values, and scipy."""

import itertools
import math

import pandas as pd
import pytest
from frames import digits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep import selection
from htsweep.analysis.design import Design, design
from htsweep.analysis.ranks import cliques, critical_difference, ranks

DESIGN = Design(("dataset",), "method")
TREES = {
    "adult": (0.763, 0.768, 0.771, 0.798),
    "breast cancer": (0.599, 0.591, 0.590, 0.569),
    "breast cancer wisconsin": (0.954, 0.971, 0.968, 0.967),
    "cmc": (0.628, 0.661, 0.654, 0.657),
    "ionosphere": (0.882, 0.888, 0.886, 0.898),
    "iris": (0.936, 0.931, 0.916, 0.931),
    "liver disorders": (0.661, 0.668, 0.609, 0.685),
    "lung cancer": (0.583, 0.583, 0.563, 0.625),
    "lymphography": (0.775, 0.838, 0.866, 0.875),
    "mushroom": (1.000, 1.000, 1.000, 1.000),
    "primary tumor": (0.940, 0.962, 0.965, 0.962),
    "rheum": (0.619, 0.666, 0.614, 0.669),
    "voting": (0.972, 0.981, 0.9751, 0.975),
    "wine": (0.957, 0.978, 0.946, 0.970),
}
"""AUC of C4.5 and three variants on 14 data sets: Demsar 2006, table 6, which ranks `voting` by
more than three decimals.
"""
NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def scores(table: dict[str, tuple[float, ...]], names: tuple[str, ...] = NAMES) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"dataset": dataset, "method": name, "repetition": 0, "auc": value}
            for dataset, values in table.items()
            for name, value in zip(names, values, strict=True)
        ]
    )


def thrice(table: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """The same datasets under three names each, so that there are enough blocks."""
    return {f"{name}{copy}": values for copy in range(3) for name, values in table.items()}


def bars(ranked: pd.DataFrame) -> list[list[str]]:
    """The members of each clique of one metric."""
    found = cliques(ranked, "method")
    assert found.columns.tolist() == ["metric", "clique", "method", "rank"]
    return [inside["method"].tolist() for _, inside in found.groupby("clique")]


def test_demsars_worked_example() -> None:
    found = ranks(scores(TREES), DESIGN, ["auc"]).set_index("method")
    # The last line of his table 6
    printed = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert {name: round(rank, 3) for name, rank in found["rank"].items()} == printed
    assert set(found["blocks"]) == {14}
    assert round(found["critical_difference"].iloc[0], 2) == 1.25  # his section 3.2.2
    assert found.index.tolist() == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    # His 9.28 has no correction for ties; scipy's has, and is larger.
    uncorrected = 12 * 14 / 20 * (sum(rank**2 for rank in found["rank"]) - 4 * 25 / 4)
    assert round(uncorrected, 2) == 9.28
    expected = stats.friedmanchisquare(*zip(*TREES.values(), strict=True)).pvalue
    assert found["friedman_p"].iloc[0] == pytest.approx(expected)
    assert found["friedman_p"].iloc[0] < stats.chi2.sf(uncorrected, 3)


def test_demsars_critical_values() -> None:
    """His table 5 at 5 %: q for 2 to 10 classifiers."""
    q = [critical_difference(k, 1) / math.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    assert q == pytest.approx(
        [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], abs=0.0011
    )


def test_ranks_worked_by_hand() -> None:
    table = scores(thrice({"a": (0.9, 0.8, 0.8), "b": (0.7, 0.6, 0.9)}), ("x", "y", "z"))
    found = ranks(table, DESIGN, ["auc", "not there"]).set_index("method")
    assert found["rank"].to_dict() == {"x": 1.5, "z": 1.75, "y": 2.75}
    assert found["metric"].tolist() == ["auc"] * 3


def test_a_block_is_the_mean_over_repetitions() -> None:
    table = pd.concat(
        [
            scores(thrice({"a": (0.9, 0.5), "b": (0.9, 0.5)}), ("x", "y")),
            scores(thrice({"a": (0.1, 0.9), "b": (0.1, 0.2)}), ("x", "y")).assign(repetition=1),
        ]
    )
    found = ranks(table, DESIGN, ["auc"]).set_index("method")
    assert found["rank"].to_dict() == {"x": 1.5, "y": 1.5}
    assert math.isnan(found["friedman_p"].iloc[0])  # two methods


def test_an_upper_bound_has_no_rank() -> None:
    frame = digits(datasets=("a", "b", "c", "d", "e"))
    found = ranks(selection.choose(frame, "last"), design(frame.columns), ["test/seen_accuracy"])
    assert found["method"].tolist() == ["plain", "l2sp", "selective_distillation", "source"]


def test_who_is_not_in_all_groups_is_not_ranked() -> None:
    table = scores(thrice({"a": (0.9, 0.8, 0.7), "b": (0.9, 0.8, 0.7)}), ("x", "y", "z"))
    found = ranks(table[~((table["dataset"] == "b1") & (table["method"] == "x"))], DESIGN, ["auc"])
    assert found["method"].tolist() == ["y", "z"]
    assert found["rank"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "table",
    [
        scores({"a": (0.9, 0.8)}, ("x", "y")),
        scores({"a": (0.9,), "b": (0.8,)}, ("x",)),
        scores({}, ()).reindex(columns=["dataset", "method", "repetition", "auc"]),
    ],
)
def test_one_group_or_one_method_has_no_ranks(table: pd.DataFrame) -> None:
    found = ranks(table, DESIGN, ["auc"])
    assert len(found) == 0
    assert found.columns.tolist() == [
        "metric",
        "method",
        "rank",
        "blocks",
        "friedman_p",
        "critical_difference",
    ]


def test_without_groups_there_are_no_ranks() -> None:
    assert len(ranks(scores(TREES), Design((), "method"), ["auc"])) == 0


def test_ties_everywhere_are_no_difference() -> None:
    found = ranks(
        scores(thrice({"a": (0.5,) * 3, "b": (0.7,) * 3}), ("x", "y", "z")), DESIGN, ["auc"]
    )
    assert found["friedman_p"].tolist() == [1, 1, 1]
    assert found["rank"].tolist() == [2, 2, 2]
    assert bars(found) == [["x", "y", "z"]]


def test_the_bars_of_demsars_diagram() -> None:
    found = ranks(scores(TREES), DESIGN, ["auc"])
    # 3.143 - 1.964 = 1.179 < 1.25: the post-hoc test shows nothing, which he says.
    assert bars(found) == [["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]]
    at_10 = critical_difference(4, 14, 0.10)
    assert round(at_10, 2) == 1.12
    # His figure 1(a).
    assert bars(found.assign(critical_difference=at_10)) == [
        ["C4.5+m+cf", "C4.5+m", "C4.5+cf"],
        ["C4.5+cf", "C4.5"],
    ]
    assert bars(found.iloc[:0]) == []


def test_ranks_that_are_the_critical_difference_apart_differ() -> None:
    """Demsar 2006, section 3.2.2: "differ by at least the critical difference"."""
    table = pd.DataFrame(
        {"metric": "auc", "method": ["x", "y"], "rank": [1.0, 2.0], "critical_difference": 1.0}
    )
    assert bars(table) == []
    assert bars(table.assign(critical_difference=1.01)) == [["x", "y"]]


def test_each_metric_has_cliques_of_its_own() -> None:
    one = ranks(scores(TREES), DESIGN, ["auc"])
    both = pd.concat([one, one.assign(metric="other", critical_difference=0.1)])
    found = cliques(both, "method")
    assert found["metric"].tolist() == ["auc"] * 4 + ["other"] * 2
    assert found["clique"].tolist() == [1] * 6
    assert found["method"].tolist()[4:] == ["C4.5+m+cf", "C4.5+m"]


@given(places=st.lists(st.integers(2, 20), min_size=1, max_size=9), apart=st.integers(1, 8))
def test_bars_are_the_largest_runs_within_the_critical_difference(
    places: list[int], apart: int
) -> None:
    table = pd.DataFrame(
        {
            "metric": "auc",
            "method": [str(k) for k in range(len(places))],
            "rank": places,
            "critical_difference": apart,
        }
    )
    order = sorted(range(len(places)), key=lambda k: places[k])
    runs = [
        order[first:last]
        for first, last in itertools.combinations(range(len(order) + 1), 2)
        if last - first > 1
    ]
    near = [set(run) for run in runs if places[run[-1]] - places[run[0]] < apart]
    largest = [run for run in near if not any(run < other for other in near)]
    assert [set(map(int, bar)) for bar in bars(table)] == largest


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_ranks_do_not_depend_on_the_order_of_rows(data: st.DataObject) -> None:
    table = scores(TREES)
    order = data.draw(st.permutations(range(len(table))))
    found = ranks(table.iloc[order], DESIGN, ["auc"]).sort_values("method", ignore_index=True)
    expected = ranks(table, DESIGN, ["auc"]).sort_values("method", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)
