"""A ledger that was kept, and the report that a person has read: what it says may change only where somebody means it to."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from htsweep.analysis.findings import Findings
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.report.document import document
from htsweep.results import Results

GOLDEN = Path(__file__).parent / "golden"
SEEN, MISSING, OVERALL = "test/seen_accuracy", "test/missing_accuracy", "test/overall_accuracy"


@pytest.fixture(scope="module")
def found() -> Findings:
    # Where it lies and what version read it is not what the tables say.
    study = read(str(GOLDEN / "golden.yaml"))
    return dataclasses.replace(
        build.findings(Results(study, str(GOLDEN / "ledger"))), provenance={}
    )


def test_the_report_is_the_one_that_was_read(found: Findings) -> None:
    """After a change that is meant: read what is new, and write it to tests/golden/report.md."""
    assert document(found)["report.md"] == (GOLDEN / "report.md").read_text(encoding="utf-8")


def test_the_summary_is_the_mean_of_what_was_measured(found: Findings) -> None:
    """Straight from the Parquet files, by other means."""
    trials = pd.concat(map(pd.read_parquet, (GOLDEN / "ledger" / "trials").iterdir()))
    rows = pd.concat(map(pd.read_parquet, (GOLDEN / "ledger" / "measurements").iterdir()))
    for row in found.summary[found.summary["metric"] == MISSING].to_dict("records"):
        mine = trials[(trials["point"] == row["point"]) & (trials["status"] == "done")]["trial"]
        values = rows[rows["trial"].isin(mine) & (rows["step"] == row["step"])][MISSING]
        assert (row["n"], row["mean"]) == (6, pytest.approx(values.mean()))


def test_what_failed_is_told_and_takes_no_part(found: Findings) -> None:
    failed = found.failures[found.failures["status"] == "failed"]
    assert failed[["dataset", "method", "reason", "trials"]].to_numpy().tolist() == [
        ["b-a", "wise_ft", "raised: RuntimeError: no such luck", 6]
    ]
    assert len(found.points) == 2 * 5 * 3 - 1
    assert found.trials == 180


def test_every_table_that_has_something_to_tell_has_rows(found: Findings) -> None:
    for table in (
        "summary",
        "effects",
        "pooled",
        "aggregate",
        "points",
        "attainment",
        "volumes",
        "curves",
        "costs",
        "protocols",
        "sensitivity",
        "failures",
    ):
        assert len(getattr(found, table)), table
    assert set(found.protocols["protocol"]) == {
        "last",
        "seen_validation",
        "source_validation",
        "hypervolume",
        "test_accuracy",
    }
    # Two groups, which share their domains, are too few blocks for ranks.
    assert found.ranks.empty
    assert found.blocks.startswith("Ranks are not compared: the 2 groups are only 2 independent")
    # One searched parameter: there is nothing to share importance with.
    assert found.importance.empty


def test_the_constraint_marks_what_disrupts(found: Findings) -> None:
    """The source has about 0.50 on missing classes, and 0.3 may be lost: plain (0.05) breaks it, L2-SP's best weight does not."""
    points = found.points.set_index(["dataset", "method", "weight"])
    assert points.loc[("a-b", "plain", 0.1), "disrupts"]
    assert not points.loc[("a-b", "l2sp", 0.1), "disrupts"]
    assert not points.loc[("a-b", "source", 0.1), "disrupts"]
