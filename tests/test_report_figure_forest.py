"""Effects stand at their differences, filled where they are shown."""

import figured
import numpy as np
import pytest
from figured import MISSING, made, of

from htsweep.analysis.findings import Findings
from htsweep.report import figures


@pytest.fixture(scope="module")
def found() -> Findings:
    return figured.found()


def test_effects_stand_at_their_differences_filled_where_shown(found: Findings) -> None:
    figure = figures.draw(found, only=["effects"])["effects"]
    assert [panel.get_title().strip() for panel in figure.axes[:4]] == [
        "seen",
        "missing",
        "overall",
        "AUSUC",
    ]
    rows = of(found.effects, dataset="mnist-uci", metric=MISSING)
    panel = figure.axes[1]
    marks = [line for line in panel.lines if line.get_linestyle() == "None"]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx(
        (100 * rows["difference"]).tolist()
    )
    assert [line.get_markerfacecolor() != "white" for line in marks] == rows["verdict"].isin(
        ["better", "worse"]
    ).tolist()
    ends = np.array([segment[:, 0] for segment in panel.collections[0].get_segments()])
    assert ends == pytest.approx(100 * rows[["low", "high"]].to_numpy())
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == rows[
        "method"
    ].tolist()


def test_too_few_repetitions_are_said_and_nothing_is_filled() -> None:
    figure = figures.draw(made(n=5, verdict="too few"), only=["effects"])["effects"]
    assert (
        "n = 5 is too few to show anything in 40 of 40 rows"
        in figure.legends[0].get_title().get_text()
    )
    marks = [line for line in figure.axes[1].lines if line.get_linestyle() == "None"]
    assert {line.get_markerfacecolor() for line in marks} == {"white"}


def test_the_ablation_has_every_component(found: Findings) -> None:
    figure = figures.draw(found, only=["ablation"])["ablation"]
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert marks == pytest.approx([5, -2, 0])
