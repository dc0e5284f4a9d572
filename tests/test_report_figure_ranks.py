"""Ranks, their cliques and the critical difference."""

import figured
import pytest
from figured import MISSING, of

from htsweep.analysis.findings import Findings
from htsweep.report import figures


@pytest.fixture(scope="module")
def found() -> Findings:
    return figured.found()


def test_ranks_cliques_and_the_critical_difference(found: Findings) -> None:
    figure = figures.draw(found, only=["ranks"])["ranks"]
    rows = of(found.ranks, metric=MISSING).sort_values("rank", kind="stable")
    panel = figure.axes[1]
    marks = [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "None"]
    assert marks == rows["rank"].tolist()
    bars = [tuple(line.get_xdata()) for line in panel.lines if line.get_gid() == "clique"]
    inside = of(found.cliques, metric=MISSING).groupby("clique")["rank"]
    assert bars == list(zip(inside.min(), inside.max(), strict=True))
    assert bars
    (distance,) = [line.get_xdata() for line in panel.lines if line.get_gid() == "difference"]
    assert distance[1] - distance[0] == pytest.approx(rows["critical_difference"].iloc[0])
