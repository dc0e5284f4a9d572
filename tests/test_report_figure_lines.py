"""The frontier and curves are drawn as the tables have them."""

from dataclasses import replace

import figured
import numpy as np
import pandas as pd
import pytest
from figured import MISSING, SEEN, SIX, lines, of

from htsweep.analysis.findings import Findings
from htsweep.report import figures


@pytest.fixture(scope="module")
def found() -> Findings:
    return figured.found()


def test_the_frontier_has_points_bands_and_marks(found: Findings) -> None:
    panel = figures.draw(found, only=["frontier"])["frontier"].axes[0]
    rows = of(found.points, dataset="mnist-uci")
    marked = [
        line
        for line in panel.lines
        if line.get_marker() == "x" and line.get_markeredgecolor() == "#000000"
    ]
    assert np.asarray(marked[0].get_ydata(), float) == pytest.approx(
        100 * rows[rows["disrupts"]][MISSING].to_numpy()
    )
    front = rows[rows["front"]]["method"].tolist()
    bands = [patch.get_xy() for patch in panel.patches]
    assert len(bands) == len(front)
    corners = of(found.attainment, dataset="mnist-uci", method=front[0])
    both = pd.concat([of(corners, share=0.75), of(corners, share=0.25).iloc[::-1]])
    assert bands[0][:6] == pytest.approx(100 * both[[SEEN, MISSING]].to_numpy(float))


def test_curves_are_those_of_the_table(found: Findings) -> None:
    figure = figures.draw(found, only=["curves"])["curves"]
    rows = of(found.curves, dataset="uci-mnist", method="l2sp")
    assert any(
        x == pytest.approx(100 * rows["seen"].to_numpy())
        and y == pytest.approx(100 * rows["missing"].to_numpy())
        for x, y in lines(figure, 1)
    )
    band = figure.axes[1].collections[list(SIX).index("l2sp")].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(100 * rows["low"].min())


def test_sensitivity_has_a_logarithmic_axis_where_values_span_decades(found: Findings) -> None:
    panel = figures.draw(found, only=["sensitivity"])["sensitivity"].axes[0]
    assert panel.get_xscale() == "log"
    assert [line.get_xdata().tolist() for line in panel.lines] == [[0.001, 0.01, 0.1, 1.0]] * 2
    assert panel.lines[1].get_ydata() == pytest.approx([2, 10, 35, 55])
    near = replace(
        found, sensitivity=found.sensitivity.assign(value=found.sensitivity["value"] + 1)
    )
    assert figures.draw(near, only=["sensitivity"])["sensitivity"].axes[0].get_xscale() == "linear"
