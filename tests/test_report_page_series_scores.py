"""What the page draws of scores is what the tables say."""

import json

import foretelling
import numpy as np
import pairs
import pandas as pd
import pytest
from foretelling import OVERALL
from paged import drawn

from htsweep.analysis.findings import Findings
from htsweep.report.page import page


@pytest.fixture(scope="module")
def found() -> Findings:
    return foretelling.found()


def test_the_page_draws_what_the_tables_say(found: Findings) -> None:
    data = drawn(page(found))
    scores, table = data["scores"], found.predicted
    assert [one["name"] for one in scores["names"]] == list(dict.fromkeys(table["score"]))
    for place in (0, 7, 21):
        of = {name: values[place] for name, values in scores["achieved"].items()}
        mine = table[
            (table["metric"] == of["metric"])
            & (table["method"] == scores["lines"][of["line"]]["name"])
            & (table["pair"] == list(dict.fromkeys(table["pair"]))[of["pair"]])
        ].set_index("score")
        assert of["mean"] == pytest.approx(100 * mine["mean"].iloc[0], rel=1e-4)
        assert scores["value"]["leep"][of["pair"]] == pytest.approx(mine["value"]["leep"], rel=1e-4)
        fitted = scores["fitted"]["otce (fitted)"][place]
        assert fitted == pytest.approx(mine["value"]["otce (fitted)"], rel=1e-4)
    line = next(one for one in data["regret"]["curves"] if one["chosen"])
    own = found.regret[found.regret["chosen"]].iloc[0]
    place = line["chosen"][0]
    assert (line["keep"][place], line["regret"][place]) == (
        own["keep"],
        pytest.approx(100 * own["regret"], rel=1e-4),
    )
    terms = ("reweighted_source_loss", "conditional_entropy", "distribution", "rest")
    assert np.sum([data["bounds"][name] for name in terms], axis=0) == pytest.approx(
        data["bounds"]["bound"], rel=1e-3
    )


def test_sixteen_scores_of_eight_methods_stay_small() -> None:
    some = pairs.told(
        pairs.truth(targets=[f"t{number}" for number in range(5)]),
        ["m0", "m1"],
        [OVERALL],
        [f"s{number}" for number in range(16)],
        by="s0",
    )
    several = {
        name: table
        if "metric" not in table
        else pd.concat(
            [
                table.assign(metric=f"test/{metric}_accuracy", method=table["method"] + str(place))
                for metric in ("overall", "missing", "seen", "x")
                for place in range(4)
            ]
        )
        for name, table in some.items()
    }
    html = page(Findings("many", pairs.DESIGN, None, [], "last", 3, "m0", **several))
    assert len(html) < 5_000_000
    assert len(json.dumps(drawn(html))) < 1_500_000
