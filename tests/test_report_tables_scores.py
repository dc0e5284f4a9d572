"""Tables of scores, as text."""

import re

import foretelling
import pairs
import pytest

from htsweep.analysis.findings import Findings
from htsweep.report import names
from htsweep.report.document import document


@pytest.fixture(scope="module")
def found() -> Findings:
    return foretelling.found()


def test_tables_as_text_have_the_numbers(found: Findings) -> None:
    texts = document(found)
    row = found.transferability.iloc[0]
    shown = re.escape(names.number(row["value"], ""))
    assert re.search(rf"\| mnist-uci, lenet_bn +\| dropped \| +{shown} \|", texts["report.md"])
    tau = found.predictions[(found.predictions["target"] == "within targets")].iloc[0]
    assert f"[{tau['kendall low']:.2f}, {tau['kendall high']:.2f}]" in texts["report.md"]
    assert {
        "transferability.csv",
        "predicted.csv",
        "predictions.csv",
        "regret.csv",
        "bounds.csv",
    } < set(texts)
    assert len(texts["regret.csv"].splitlines()) == 1 + len(found.regret)


def test_many_scores_go_on_in_another_table() -> None:
    found = pairs.findings(names=[f"s{number}" for number in range(8)], by="s0")
    texts = document(found)
    headings = re.findall("^## (.*)", texts["report.md"], re.MULTILINE)
    assert headings[:2] == ["Scores", "Scores (continued)"]
