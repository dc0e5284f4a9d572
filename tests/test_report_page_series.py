"""What the charts draw is what the findings say."""

import numpy as np
import pytest
from paged import DESIGN, GROUPS, METRICS, drawn, synthetic

from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.report import script
from htsweep.report.page import page
from htsweep.selection.fronts import beaten_by, non_dominated


def test_charts_are_drawn_from_the_findings_in_percent() -> None:
    findings = synthetic()
    found = drawn(page(findings))
    points = found["frontiers"]
    assert points["x"] == pytest.approx((100 * findings.points[SEEN]).tolist(), rel=1e-4)
    assert points["yl"] == pytest.approx(
        (100 * findings.points[f"{MISSING} low"]).tolist(), rel=1e-4
    )
    unbeaten = [
        not beaten and role != "bound"
        for beaten, role in zip(points["beaten"], points["role"], strict=True)
    ]
    assert unbeaten == findings.points["front"].tolist()
    assert points["own"] == findings.points["own_front"].tolist()
    assert [found["methods"][number]["name"] for number in points["m"]] == findings.points[
        "method"
    ].tolist()
    titles = [found["groups"][number]["title"] for number in points["g"]]
    assert titles == [
        f"{row.dataset}, {100 * row.missing_ratio:g} % missing"
        for row in findings.points.itertuples()
    ]
    assert found["ablation"]["effect"] == pytest.approx(
        (100 * findings.ablation["effect"]).tolist(), rel=1e-4
    )
    edge = next(line for line in found["attainment"] if line["share"] == 0.5)
    assert (edge["x"], edge["y"]) == ([50, 80, 95], pytest.approx([50, 38, 32]))
    assert set(found["ratios"]["panel"]) == {"mnist-uci"}  # uci-mnist has one ratio
    inside = (findings.curves[list(DESIGN.groups)] == GROUPS[0]).all(axis=1)
    curve = findings.curves[inside & (findings.curves["method"] == "l2sp")]
    line = next(
        line
        for line in found["curves"]
        if line["g"] == 0 and found["methods"][line["m"]]["name"] == "l2sp"
    )
    assert line["missing"] == pytest.approx((100 * curve["missing"]).tolist(), rel=1e-4)
    assert line["low"] == pytest.approx((100 * curve["low"]).tolist(), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("maximise", [(True, True), (False, True), (True, False)])
def test_who_beats_a_point_tells_the_front_of_any_choice_of_methods(
    maximise: tuple[bool, bool],
) -> None:
    """Points on a coarse grid, so that many are equal on one axis or on both."""
    rng = np.random.default_rng(1)
    points, methods = rng.integers(0, 6, (60, 2)).astype(float), rng.integers(0, 5, 60)
    points[0] = np.nan
    beaten = beaten_by(points, points, methods, 5, maximise=maximise)
    for choice in range(1, 2**5):
        shown = [method for method in range(5) if choice >> method & 1]
        rows = np.isin(methods, shown) & ~np.isnan(points[:, 0])
        front = ~beaten[:, shown].any(axis=1)
        expected = non_dominated(points[rows, 0], points[rows, 1], maximise=maximise)
        assert front[rows].tolist() == expected.tolist()


def test_cliques_are_those_of_the_analysis() -> None:
    """Ranks 1.0, 1.9, 2.8, ... and a critical difference of 2.1: three neighbours each."""
    found = drawn(page(synthetic()))
    assert found["cliques"] == {
        metric: [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]] for metric in METRICS[:2]
    }


def test_not_a_number_is_null() -> None:
    assert script.data("a", {"x": [float("nan"), 1.5, float("inf")]}).endswith(
        '>{"x":[null,1.5,null]}</script>'
    )
