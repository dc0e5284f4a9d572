"""Roles in tables: of rows, of cells that mix them, and of values that are upper bounds in some groups alone."""

import pandas as pd
import pytest
from frames import measured

from htsweep.analysis.design import Design, competitors, is_bound, roles, roles_by
from htsweep.analysis.effects import effects
from htsweep.analysis.pooled import pooled
from htsweep.analysis.ranks import ranks
from htsweep.analysis.summary import aggregate
from htsweep.analysis.volumes import volumes

SEEN, MISSING = "test/seen_accuracy", "test/missing_accuracy"
TABLE = pd.DataFrame({"method": ["a", "a", "b", "c"], "role": ["bound", "", "bound", None]})


def test_rows_without_a_role_compete() -> None:
    assert roles(TABLE).tolist() == ["bound", "", "bound", ""]
    assert is_bound(TABLE).tolist() == [True, False, True, False]
    assert roles(TABLE[["method"]]).tolist() == [""] * 4


def test_a_cell_keeps_its_bounds_only_where_nothing_else_is_in_it() -> None:
    assert competitors(TABLE, ["method"]).index.tolist() == [1, 2, 3]
    assert competitors(TABLE, []).index.tolist() == [1, 3]
    assert competitors(TABLE[TABLE["role"] == "bound"], []).index.tolist() == [0, 2]
    told = roles_by(TABLE, ["method"])
    assert dict(zip(told["method"], told["role"], strict=True)) == {
        "a": "bound",
        "b": "bound",
        "c": "",
    }


def backbones() -> pd.DataFrame:
    """Two backbones under two methods, one of which saw all classes; the values differ where it did."""
    rows = []
    for method, gain in (("plain", 0.1), ("seer", -0.3)):
        for backbone, value in (("small", 0.3), ("big", 0.3 + gain)):
            for repetition in range(8):
                rows.append(
                    {
                        "sweep": f"{method}/{backbone}",
                        "point": f"{method}/{backbone}",
                        "step": 1,
                        "method": method,
                        "backbone": backbone,
                        "repetition": repetition,
                        "role": "bound" if method == "seer" else "",
                        SEEN: value + 0.01 * repetition,
                    }
                )
    return pd.DataFrame(rows)


def test_a_value_that_is_a_bound_in_some_groups_is_judged_by_the_others() -> None:
    chosen, design = backbones(), Design(("method",), "backbone")
    rows = effects(chosen, design, [SEEN], "small").set_index("method")
    assert rows["verdict"].to_dict() == {"plain": "better", "seer": "bound"}
    [both] = pooled(chosen, design, [SEEN], "small").to_dict("records")
    assert (both["groups"], both["verdict"]) == (1, "better")
    assert both["difference"] == pytest.approx(0.1)
    means = aggregate(chosen, design, [SEEN]).set_index("backbone")
    assert means.loc["big", ["groups", "n"]].tolist() == [1, 8]
    assert means.loc["big", "mean"] == pytest.approx(0.435)
    assert ranks(chosen, design, [SEEN]).empty, "one group competes"


def test_points_of_a_method_that_are_bounds_are_a_method_of_their_own() -> None:
    """A search may try a method with and without images of all classes."""
    values = {("a", 0): [[0.5], [0.5]], ("a", 1): [[0.9], [0.9]], ("b", 0): [[0.4], [0.4]]}
    frame = measured(values, SEEN, test__missing_accuracy=values)
    frame["role"] = ["bound" if point == "a1" else "" for point in frame["point"]]
    found = volumes(frame, design=Design((), "method")).set_index(["method", "role"])
    assert found.loc[("a", ""), "volume"] == pytest.approx(0.25)
    assert found.loc[("a", "bound"), "volume"] == pytest.approx(0.81)
    assert found.loc[("a", ""), "contribution"] == pytest.approx(0.25 - 0.16)
    assert found.loc[("b", ""), "contribution"] == 0
    assert pd.isna(found.loc[("a", "bound"), "contribution"])
