"""What the mirror says of a whole study: its report and figures, and which trials are selected by which protocols."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mirrored import held, tags

from htsweep import results, selection
from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.ledger import Ledger, Record, Store
from htsweep.mirror.copying import Mirror
from htsweep.mirror.run import SELECTED
from htsweep.mirror.updating import copy, selected
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.report import build, current
from htsweep.results import Results
from htsweep.study.schema import Study

TEXT = (
    "task: toy\ngrid: {y: [0.2, 0.5]}\nsearch: {spaces: {all: {x: [0.1, 0.9]}}}\nrepetitions: 2\n"
)


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Study:
    """Two sweeps of two points: `last` takes the first, `seen_validation` the second, `oracle` the first again."""
    study = read(study_file(TEXT))
    fill(study, tmp_path / "results", range(study.repetitions))
    return study


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where reports were written; a stand-in writes a page and a figure."""
    folders: list[Path] = []

    def write(given: Results, out: Path, metrics: Any = ()) -> tuple[Findings, list[Path]]:
        folders.append(out)
        (out / "figures" / "two_column").mkdir(parents=True)
        (out / "report.html").write_text("<html></html>")
        (out / "figures" / "two_column" / "frontier.png").write_bytes(b"png")
        return Findings(given.study.name, Design((), "y"), None, [], "last", 2, ""), []

    monkeypatch.setattr(build, "write", write)
    return folders


def fill(study: Study, folder: Path, repetitions: range) -> None:
    for point, repetition, trial in plan(study).trials():
        if repetition not in repetitions:
            continue
        x = point.config["x"]
        rows = [
            {
                "step": step,
                "validation/seen_accuracy": x + step / 100,
                "test/overall_accuracy": 1 - x,
            }
            for step in (0, 1)
        ]
        record = Record(
            trial,
            "trial",
            "done",
            "toy",
            json.dumps(point.config),
            repetition,
            sweep=point.sweep,
            point=point.id,
            point_index=point.index,
            steps=2,
            started=1.6e9,
            ended=1.6e9 + 1,
        )
        Ledger(Store(folder)).append(record, rows)


def test_selected_are_the_trials_of_each_protocols_choice(study: Study, tmp_path: Path) -> None:
    place = str(tmp_path / "results")
    measured = results.measurements(study, place)
    found = selected(Results(study, place))
    for protocol in ("last", "seen_validation", "test_accuracy"):
        chosen = set(selection.choose(measured, protocol, 2)["trial"])
        assert {trial for trial, names in found.items() if protocol in names} == chosen
        assert len(chosen) == 4
    # No source accuracy: no other
    assert set(map(tuple, found.values())) == {("last", "test_accuracy"), ("seen_validation",)}


def test_a_study_without_trials_selects_none(study: Study, tmp_path: Path) -> None:
    assert selected(Results(study, str(tmp_path / "nothing"))) == {}


def test_the_mirror_has_report_figures_and_tags_and_twice_is_once(
    study: Study,
    tmp_path: Path,
    reported: list[Path],
) -> None:
    place, database = str(tmp_path / "results"), tmp_path / "results" / "mlflow.db"
    copy(Results(study, place))
    assert reported == [tmp_path / "results" / "studies" / "study"]
    mirror = Mirror(f"sqlite:///{database}", study.name)
    [run] = [run for run, rows in held(database).items() if tags(rows).get("htsweep.study")]
    assert {one.path for one in mirror._client.list_artifacts(run)} == {
        "study.yaml",
        "report.html",
        "figures",
    }
    assert [one.path for one in mirror._client.list_artifacts(run, "figures/two_column")] == [
        "figures/two_column/frontier.png"
    ]
    found = {
        tags(rows)["htsweep.trial"]: tags(rows)[SELECTED]
        for rows in held(database).values()
        if SELECTED in tags(rows)
    }
    assert found == {
        trial: ",".join(names) for trial, names in selected(Results(study, place)).items()
    }
    before = dump(database)
    copy(Results(study, place))
    assert dump(database) == before
    assert len(reported) == 1  # it is there already


def test_who_is_no_longer_selected_loses_the_tag(
    study: Study, tmp_path: Path, reported: list[Path]
) -> None:
    place, database = str(tmp_path / "results"), tmp_path / "results" / "mlflow.db"
    copy(Results(study, place))
    assert sum(SELECTED in tags(rows) for rows in held(database).values()) == 8
    # Three repetitions are asked for now, but two are there: no point is whole, and none can be
    # picked.
    more = read(str(study.file), ["repetitions=3"])
    copy(Results(more, place))
    assert sum(SELECTED in tags(rows) for rows in held(database).values()) == 0
    fill(more, tmp_path / "results", range(2, 3))
    copy(Results(more, place))
    assert sum(SELECTED in tags(rows) for rows in held(database).values()) == 12


def dump(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return sorted(connection.iterdump())


def test_the_answer_is_the_experiments_description(
    study: Study, tmp_path: Path, reported: list[Path]
) -> None:
    results = Results(study, str(tmp_path / "results"))
    folder = build.folder_of(results)
    folder.mkdir(parents=True)
    (folder / current.NAME).write_text(json.dumps({"answer": "l2sp is best."}))
    copy(results)
    with sqlite3.connect(tmp_path / "results" / "mlflow.db") as connection:
        query = "SELECT value FROM experiment_tags WHERE key = 'mlflow.note.content'"
        assert connection.execute(query).fetchall() == [("l2sp is best.",)]
