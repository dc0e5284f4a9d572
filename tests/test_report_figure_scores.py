"""Figures of scores are those of the tables that there are."""

from dataclasses import replace

import foretelling
import numpy as np
import pairs
import pandas as pd
import pytest
from foretelling import OVERALL
from paged import drawn

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.report import figures
from htsweep.report.answers import answers
from htsweep.report.page import page


@pytest.fixture(scope="module")
def found() -> Findings:
    return foretelling.found()


def test_figures_are_drawn_of_the_tables_that_there_are(found: Findings) -> None:
    made = figures.draw(found)
    assert set(made) == {"scores", "scores_2", "bounds", "regret"}
    panels = [panel for panel in made["scores"].axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == list(dict.fromkeys(found.predicted["score"]))
    points = found.predicted[
        (found.predicted["metric"] == OVERALL)
        & (found.predicted["score"] == "logme")
        & (found.predicted["method"] == "plain")
    ]
    line = panels[0].get_lines()[0]
    assert np.asarray(line.get_xdata()) == pytest.approx(points["value"].to_numpy())
    assert np.asarray(line.get_ydata()) == pytest.approx(100 * points["mean"].to_numpy())
    bars = [patch.get_width() for patch in made["bounds"].axes[0].patches]
    assert sum(bars) == pytest.approx(found.bounds["bound"].sum())
    again = [figures.figures(found, "one", ["regret"], ["svg"]) for _ in range(2)]
    assert again[0] == again[1]
    assert (
        figures.draw(
            replace(found, predicted=pd.DataFrame(), bounds=pd.DataFrame(), regret=pd.DataFrame())
        )
        == {}
    )


def test_a_compared_factor_that_tells_pairs_apart_is_drawn_as_one_line() -> None:
    from htsweep.analysis.prediction import outcomes, predicted, predictions, transferability
    from htsweep.analysis.regret import regret

    design = Design(("dataset", "missing_ratio"), "backbone")
    scores = transferability(pairs.scored(pairs.truth()), pairs.FACTORS)
    came = outcomes(
        pairs.achieved(pairs.truth(), methods=("plain",)),
        design,
        pairs.METRICS,
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    both = predicted(scores, came, design, pairs.FACTORS)
    made = Findings(
        "t",
        design,
        None,
        pairs.METRICS,
        "last",
        3,
        "",
        transferability=scores,
        predicted=both,
        predictions=predictions(both, design, pairs.FACTORS),
        regret=regret(scores, both, came, design, factors=pairs.FACTORS),
    )
    data = drawn(page(made))["scores"]
    assert data["lines"] == [{"name": "all", "m": -1}]
    assert set(data["achieved"]["line"]) == {0}
    assert set(figures.draw(made)) == {"scores", "scores_2", "regret"}
    assert answers(made)
