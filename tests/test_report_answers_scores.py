"""Sentences on what scores foretold."""

from dataclasses import replace

import foretelling
import numpy as np
import pairs
import pytest
from foretelling import OVERALL

from htsweep.analysis.findings import Findings
from htsweep.report.answers import answers
from htsweep.report.page import page


@pytest.fixture(scope="module")
def found() -> Findings:
    return foretelling.found()


def test_sentences_say_what_is_shown_and_what_is_not(found: Findings) -> None:
    told = answers(found)
    table = found.predictions
    best = (
        table[
            (table["target"] == "within targets")
            & (table["metric"] == OVERALL)
            & (table["method"] == "plain")
            & (table["kendall low"] > 0)
        ]
        .sort_values("kendall", ascending=False)
        .iloc[0]
    )
    assert told[0].startswith(
        "3 of 6 scores are shown to rank overall accuracy over 10 pairs (pairs of the same target "
        "compared"
        "); the highest Kendall's tau: "
    )
    assert (
        f"{best['score']} of plain {best['kendall']:.2f} [{best['kendall low']:.2f}, "
        f"{best['kendall high']:.2f}]" in told[0]
    )
    assert told[1] == (
        "No score is shown to predict missing accuracy over 10 pairs (pairs of the same target "
        "compared): all 12 "
        "intervals of Kendall's tau contain 0."
    )
    assert told[2].startswith("The screen dropped 2 of 10 pairs, of which 2 are known; that cost ")
    assert "(holds for 10 of 10 pairs)" in told[3]


def test_a_score_that_ranks_the_wrong_way_round_is_no_success(found: Findings) -> None:
    ends = ["kendall", "kendall low", "kendall high"]
    table = found.predictions.assign(**dict(zip(ends, (-0.6, -0.9, -0.2), strict=True)))
    told = answers(replace(found, predictions=table))[0]
    assert told.startswith("No score is shown to predict overall accuracy")
    assert (
        "no interval of Kendall's tau lies above 0; ranked in reverse: logme of plain -0.60 "
        "[-0.90, -0.20]" in told
    )


def test_too_few_pairs_are_said_to_be_too_few() -> None:
    found = pairs.findings(pairs=pairs.truth(targets=["uci"], backbones=["a", "b", "c"]))
    assert (
        answers(found)[0]
        == "Whether a score predicts overall accuracy is not known: fewer than 4 pairs."
    )


def test_a_bound_that_does_not_hold_is_told(found: Findings) -> None:
    broken = found.bounds.assign(
        bound=np.where(found.bounds["pair"] == "uci/0", 0.0, found.bounds["bound"])
    )
    told = replace(found, bounds=broken)
    assert "(holds for 9 of 10 pairs)" in answers(told)[-1]
    assert page(told).count("does not hold") == 1
