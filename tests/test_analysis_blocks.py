"""Which groups count as independent, and what a report says of them."""

import pandas as pd
import pytest

from htsweep.analysis.blocks import blocks, described
from htsweep.analysis.design import Design
from htsweep.analysis.ranks import ranks

DESIGN = Design(("dataset", "missing_ratio"), "method")


def study(pairs: list[tuple[str, str]], ratios: tuple[float, ...] = (0.3, 0.5)) -> pd.DataFrame:
    """A row per dataset, ratio and method, a sweep each."""
    return pd.DataFrame(
        [
            {
                "sweep": f"{source}-{target} {ratio} {method}",
                "dataset": f"{source}-{target}",
                "missing_ratio": ratio,
                "method": method,
                "repetition": 0,
                "role": "",
                "auc": value,
            }
            for source, target in pairs
            for ratio in ratios
            for method, value in (("x", 0.9), ("y", 0.8 + ratio / 3))
        ]
    )


def evidence(rows: pd.DataFrame) -> pd.DataFrame:
    ends = rows["dataset"].str.partition("-")
    return pd.DataFrame(
        {"sweep": rows["sweep"], "source_domain": ends[0], "target_domain": ends[2]}
    )


def test_ratios_of_one_target_are_one_block() -> None:
    rows = study([("s", f"t{number}") for number in range(5)])
    found = blocks(rows, DESIGN, evidence(rows))
    assert found.count == 5
    assert rows.groupby("dataset")["sweep"].nunique().eq(4).all()
    assert found.of is not None
    assert found.of.groupby(rows["dataset"]).nunique().eq(1).all()
    assert "nothing about other sources" in found.condition


@pytest.mark.parametrize(
    ("pairs", "count"),
    [
        ([("a", "b"), ("b", "a")], 1),  # both ways between two domains
        ([("a", "b"), ("c", "d")], 2),
        ([("a", "b"), ("b", "c"), ("d", "e")], 2),
        ([("a", "t"), ("b", "t"), ("c", "u")], 2),
        ([(source, target) for source in "abc" for target in "uvwxyz"], 1),  # crossed
    ],
)
def test_pairs_that_share_a_domain_are_linked(pairs: list[tuple[str, str]], count: int) -> None:
    rows = study(pairs)
    assert blocks(rows, DESIGN, evidence(rows)).count == count


def test_the_study_may_name_what_is_independent() -> None:
    rows = study([(source, target) for source in "abc" for target in "uv"])
    assert blocks(rows, DESIGN, evidence(rows), ["dataset"]).count == 6


def test_without_evidence_a_dataset_is_a_block_and_without_datasets_nothing_is() -> None:
    rows = study([("a", "b"), ("b", "a")])
    assert blocks(rows, DESIGN).count == 2
    other = Design(("backbone",), "method")
    assert blocks(rows.rename(columns={"dataset": "backbone"}), other).of is None


def test_a_blocks_value_is_the_mean_over_its_groups() -> None:
    rows = study([("s", f"t{number}") for number in range(5)])
    found = ranks(rows, DESIGN, ["auc"], blocks(rows, DESIGN, evidence(rows)))
    # y is 0.9 and 0.97 at the two ratios: in each block above x, which is 0.9.
    assert found.set_index("method")["rank"].to_dict() == {"y": 1.0, "x": 2.0}
    assert set(found["blocks"]) == {5}


def test_fewer_than_five_blocks_are_not_ranked_and_the_report_says_why() -> None:
    rows = study([("s", f"t{number}") for number in range(4)])
    found = blocks(rows, DESIGN, evidence(rows))
    assert ranks(rows, DESIGN, ["auc"], found).empty
    said = described(found, 8)
    assert "the 8 groups are only 4 independent blocks" in said
    assert "Add datasets of other domains" in said
    assert described(found, 1) == ""
