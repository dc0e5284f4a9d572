"""Mean curves against AUSUC, and one worked by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.analysis import curves, interval
from htsweep.analysis.design import Design
from tasks import metrics

METHOD = Design((), "method")


@st.composite
def corners(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """A curve as `tasks.metrics.curve` leaves one, steps straight up and along included."""
    moves = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
    seen = [sum(left for left, _ in moves[k:]) / 100 for k in range(len(moves) + 1)]
    missing = [sum(up for _, up in moves[:k]) / 100 for k in range(len(moves) + 1)]
    return seen, missing


def chosen(pairs: list[tuple[list[float], list[float]]], method: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "sweep": method,
                "method": method,
                "repetition": number,
                "test/curve_seen": np.array(seen),
                "test/curve_missing": missing,
            }
            for number, (seen, missing) in enumerate(pairs)
        ]
    )


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(corners(), min_size=1, max_size=4), grid=st.sampled_from([11, 101]))
def test_the_area_under_the_mean_curve_is_the_mean_ausuc(
    pairs: list[tuple[list[float], list[float]]], grid: int
) -> None:
    found = curves.curves(chosen(pairs), METHOD, grid=grid)
    area = np.trapezoid(found["missing"], found["seen"])
    ausuc = np.mean([metrics.area(np.array(seen), np.array(missing)) for seen, missing in pairs])
    # A falling curve and its trapezoids differ by at most half a step times its fall.
    step, fall = (
        max(seen[0] for seen, _ in pairs) / (grid - 1),
        np.mean([missing[-1] for _, missing in pairs]),
    )
    assert area == pytest.approx(ausuc, abs=step * fall / 2 + 1e-12)


def test_curves_of_real_scores_agree_with_their_ausuc() -> None:
    random = np.random.default_rng(0)
    pairs, areas = [], []
    for shift in (0.0, 0.5, 1.0):
        labels = random.integers(0, 10, 2000)
        scores = random.normal(size=(2000, 10)) + 2 * np.eye(10)[labels]
        scores[:, 5:] -= shift
        seen, missing = metrics.curve(scores, labels, range(5, 10))
        pairs.append((seen.tolist(), missing.tolist()))
        areas.append(metrics.area(seen, missing))
    found = curves.curves(chosen(pairs), METHOD)
    assert len(found) == 101
    assert np.trapezoid(found["missing"], found["seen"]) == pytest.approx(np.mean(areas), abs=1e-3)
    assert (np.diff(found["missing"]) <= 0).all()


def test_two_curves_worked_by_hand() -> None:
    # The second has no seen accuracy above 0.4: from there on it counts as 0.
    found = curves.curves(
        chosen([([0.8, 0.4, 0.0], [0.0, 0.6, 0.8]), ([0.4, 0.0], [0.0, 0.4])]), METHOD, grid=5
    )
    assert found.columns.tolist() == ["method", "seen", "missing", "low", "high", "n", "sweep"]
    assert found["seen"].to_numpy() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert found["missing"].to_numpy() == pytest.approx([0.6, 0.45, 0.3, 0.15, 0])
    assert found["n"].tolist() == [2] * 5
    expected = interval.means(pd.DataFrame({"k": 0, "v": [0.7, 0.2]}), ["k"], ["v"]).iloc[0]
    assert found.loc[1, ["low", "high"]].tolist() == pytest.approx(
        expected[["v low", "v high"]].clip(0, 1).tolist()  # an accuracy lies in [0, 1]
    )


def test_where_a_curve_stands_upright_its_best_counts() -> None:
    seen, missing = np.array([0.5, 0.5, 0.5, 0.2, 0.2]), np.array([0.0, 0.1, 0.3, 0.3, 0.9])
    at = np.array([0.1, 0.2, 0.3, 0.5, 0.6])
    assert curves.along(seen, missing, at) == pytest.approx([0.9, 0.9, 0.3, 0.3, 0])


def test_one_repetition_has_a_curve_and_no_band() -> None:
    found = curves.curves(chosen([([1.0, 0.0], [0.0, 1.0])]), METHOD, grid=3)
    assert found["missing"].tolist() == [1, 0.5, 0]
    assert found["low"].isna().all()


def test_repetitions_without_a_curve_do_not_count() -> None:
    frame = pd.concat(
        [chosen([([1.0, 0.0], [0.0, 1.0])]), chosen([([], [])], "b")], ignore_index=True
    )
    extra = frame.iloc[[0]].assign(repetition=1)
    extra["test/curve_seen"] = math.nan
    found = curves.curves(pd.concat([frame, extra]), METHOD, grid=3)
    assert set(found["method"]) == {"a"}
    assert set(found["n"]) == {1}


def test_each_method_has_a_curve_to_its_own_end() -> None:
    frame = pd.concat([chosen([([1.0, 0.0], [0.0, 0.2])]), chosen([([0.5, 0.0], [0.0, 0.4])], "b")])
    found = curves.curves(frame, METHOD).groupby("method")
    assert found["seen"].max().to_dict() == {"a": 1.0, "b": 0.5}
    assert found.size().to_dict() == {"a": 101, "b": 101}


def test_studies_without_curves_have_an_empty_table() -> None:
    frame = chosen([([1.0, 0.0], [0.0, 1.0])])
    for some in (frame.drop(columns="test/curve_seen"), frame.iloc[:0]):
        found = curves.curves(some, METHOD)
        assert found.empty
        assert {"method", "seen", "missing", "low", "high"} <= set(found.columns)
