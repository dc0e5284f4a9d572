"""The built-in protocols, and one of a user's own, keep to what every protocol keeps to; and the suite finds who does not."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from htsweep import results, selection
from htsweep.errors import HtsweepError, StudyError
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.report.document import document
from htsweep.results import Results
from htsweep.selection.conformance import ProtocolConformance
from htsweep.selection.protocols import TEST_OVERALL, VALIDATION_SEEN, Protocol, last_steps

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
CHECKS = [name for name in dir(ProtocolConformance) if name.startswith("test_")]


@pytest.fixture(autouse=True)
def examples() -> Iterator[None]:
    """The examples' folder is where a user's study lies: its modules can be imported."""
    sys.path.append(str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [*selection.NAMES, "my_protocol:SETTLED"])
def test_every_protocol_conforms(name: str, check: str) -> None:
    suite = ProtocolConformance()
    suite.protocol = name
    getattr(suite, check)()


class TestSettled(ProtocolConformance):
    """As a user writes it."""

    protocol = "my_protocol:SETTLED"


def _peeks(table: pd.DataFrame) -> pd.DataFrame:
    return _highest(table, TEST_OVERALL)


def _first_row(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop_duplicates("sweep")[["sweep", "point", "step"]]


def _highest(table: pd.DataFrame, column: str) -> pd.DataFrame:
    means = table.groupby(["sweep", "point", "step"])[column].mean().reset_index()
    ranked = means.sort_values(["sweep", column], ascending=[True, False], kind="stable")
    return ranked.drop_duplicates("sweep")[["sweep", "point", "step"]]


def _by_loss(table: pd.DataFrame) -> pd.DataFrame:
    return _highest(table, "train/loss")


def _changes(table: pd.DataFrame) -> pd.DataFrame:
    table["step"] = table["step"].max()
    return last_steps(table).drop_duplicates("sweep")


def _of_all(table: pd.DataFrame) -> pd.DataFrame:
    return _highest(table, VALIDATION_SEEN).head(1)


def _everything(table: pd.DataFrame) -> pd.DataFrame:
    return last_steps(table)


@pytest.mark.parametrize(
    ("pick", "reads", "failing"),
    [
        (_first_row, None, "test_the_order_of_rows_changes_no_choice"),
        (_by_loss, (VALIDATION_SEEN,), "test_what_it_declares_to_read_is_all_that_it_looks_at"),
        (_changes, None, "test_it_leaves_the_table_that_it_is_handed_as_it_was"),
        (_of_all, (VALIDATION_SEEN,), "test_other_sweeps_change_no_choice"),
        (_everything, (), "test_it_picks_at_most_one_point_of_each_sweep"),
        (_peeks, None, "test_it_picks_at_most_one_point_of_each_sweep"),
    ],
)
def test_the_suite_finds_who_does_not_conform(
    monkeypatch: pytest.MonkeyPatch, pick: object, reads: object, failing: str
) -> None:
    module = types.ModuleType("a_lab")
    module.BAD = Protocol(name="bad", line="a bad one", pick=pick, reads=reads)  # type: ignore[arg-type,attr-defined]
    monkeypatch.setitem(sys.modules, "a_lab", module)
    suite = ProtocolConformance()
    suite.protocol = "a_lab:BAD"
    with pytest.raises((AssertionError, HtsweepError, KeyError)):
        getattr(suite, failing)()


def test_only_who_declares_a_test_column_is_handed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("a_lab")
    module.PEEKS = Protocol(  # type: ignore[attr-defined]
        name="peeks", line="the best on the test data", pick=_peeks, reads=(TEST_OVERALL,)
    )
    monkeypatch.setitem(sys.modules, "a_lab", module)
    assert selection.find("a_lab:PEEKS").reads_test
    suite = ProtocolConformance()
    suite.protocol = "a_lab:PEEKS"
    suite.test_it_picks_at_most_one_point_of_each_sweep()
    assert [name for name in selection.NAMES if selection.find(name).reads_test] == [
        "test_accuracy"
    ]


def test_the_example_study_picks_by_it(tmp_path: Path) -> None:
    study = read(EXAMPLES / "my_protocol.yaml")
    launch(study, str(tmp_path), on="inline", mirror=None)
    found = build.findings(Results(study, str(tmp_path)))
    chosen = found.points[found.points["chosen"]]
    assert len(chosen) == 2
    measured = results.measurements(study, str(tmp_path))
    last = measured[measured["step"] == measured["step"].max()]
    spread = last.groupby(["sweep", "point"])[VALIDATION_SEEN].std().round(12)
    for row in chosen.to_dict("records"):
        assert spread[row["sweep"], row["point"]] == spread[row["sweep"]].min()
    assert "whose repetitions agree most" in document(found)["report.md"]


def test_a_protocol_that_is_not_there_is_a_mistake_in_the_study(tmp_path: Path) -> None:
    text = (EXAMPLES / "my_protocol.yaml").read_text(encoding="utf-8")
    file = tmp_path / "study.yaml"
    file.write_text(text.replace("SETTLED", "NOTHING"), encoding="utf-8")
    with pytest.raises(StudyError, match="my_protocol has no function 'NOTHING'"):
        read(file)
