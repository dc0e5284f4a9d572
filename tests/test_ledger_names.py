"""Names that tasks measure come back as they were, from wherever results are read."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import htsweep
from htsweep import results
from htsweep.errors import HtsweepError
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store, names
from htsweep.mirror.updating import copy
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.results.query import tell
from htsweep.study.schema import Study

ODD = [
    'q"uote',
    "it's",
    "a.b",
    "a",
    "a b ",
    " b",
    "é",
    "e\u0301",
    "日本",
    "🎉",
    "../up",
    "/top",
    "a//b",
    "a\\b",
    "%s",
    "{0}",
    "self",
    "order",
    "select",
    "Loss",
    "null",
    "nan",
    "1",
    "a,b",
    "a;b",
    "#c",
    "=1+1",
    "x" * 250,
    "test/seen_accuracy",
    "a?",
    "a!",
    "a_",
    "\u202eright to left",
    "zero\u200bwidth",
    "loss_1",
]
MANY = [f"m{index}" for index in range(5000)]
TASKS = f"""\
def odd(config, workspace):
    for step in range(2):
        yield {{"step": step, **{{name: index + step / 2 for index, name in enumerate({ODD!r})}}}}

def many(config, workspace):
    yield {{"step": 0, **{{f"m{{index}}": float(index) for index in range(5000)}}}}
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str]:
    """A study whose task measures names of all kinds, and its results."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "names_module.py").write_text(TASKS, encoding="utf-8")
    (folder / "odd.yaml").write_text("task: names_module:odd\ngrid: {x: [1, 2]}\n")
    study = read(folder / "odd.yaml")
    done = launch(study, str(folder / "r"), on="inline", mirror=None)
    assert done.agenda.done["trial done"] == 2
    assert done.table
    return study, str(folder / "r")


def given() -> dict[str, float]:
    """What was measured at the last step."""
    return {name: index + 0.5 for index, name in enumerate(ODD)}


def test_pandas_has_them(odd: tuple[Study, str]) -> None:
    frame = results.measurements(*odd)
    [row, _] = frame[frame["step"] == 1].to_dict("records")
    assert {name: row[name] for name in given()} == given()


def test_sql_has_them(odd: tuple[Study, str]) -> None:
    for name, value in given().items():
        quoted = '"' + name.replace('"', '""') + '"'
        frame = htsweep.query(
            odd[0], f"SELECT DISTINCT {quoted} FROM measurements ORDER BY 1", odd[1]
        )
        assert frame.columns.tolist() == [name]
        assert frame[name].tolist() == [value - 0.5, value]
    everything = htsweep.query(odd[0], "SELECT * FROM chosen", odd[1])
    assert set(given()) <= set(everything.columns)


def test_the_list_of_columns_can_be_pasted(odd: tuple[Study, str]) -> None:
    _, _, rest = tell(Results(odd[0], odd[1]), "").partition("\nmeasurements: ")
    listed = [
        line[2:].rpartition(" ")[0] for line in rest.partition("\npoints: ")[0].split("\n")[1:]
    ]
    assert {'"q""uote"', '"select"', '"order"', '"1"', "self", '"a b "', "step", "x"} <= set(listed)
    assert len(
        htsweep.query(odd[0], f"SELECT {', '.join(listed)} FROM measurements", odd[1]).columns
    ) == len(listed)


def test_files_have_them(odd: tuple[Study, str], tmp_path: Path) -> None:
    build.export(Results(*odd), tmp_path, "parquet,csv,json")
    frame = results.measurements(*odd)
    parquet = pd.read_parquet(tmp_path / "measurements.parquet")
    csv = pd.read_csv(io.StringIO((tmp_path / "measurements.csv").read_text(encoding="utf-8")))
    rows = json.loads((tmp_path / "measurements.json").read_text(encoding="utf-8"))
    # Spreadsheets would run it.
    assert "'=1+1" in csv.columns
    csv = csv.rename(columns={"'=1+1": "=1+1"})
    for back in (parquet, csv, pd.DataFrame(rows)):
        assert back.columns.tolist() == frame.columns.tolist()
        assert back[list(given())].to_numpy().tolist() == frame[list(given())].to_numpy().tolist()


def test_mlflow_has_each_as_a_metric_of_its_own(odd: tuple[Study, str], tmp_path: Path) -> None:
    copy(Results(*odd), f"sqlite:///{tmp_path / 'mlflow.db'}")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        runs = database.execute(
            "SELECT run_uuid, value FROM tags WHERE key = 'htsweep.renamed'"
        ).fetchall()
        assert len(runs) == 2
        for run, renamed in runs:
            called = json.loads(renamed)
            metrics = database.execute(
                "SELECT key, value FROM metrics WHERE run_uuid = ? AND step = 1", [run]
            ).fetchall()
            assert {called.get(key, key): value for key, value in metrics} == given()
            assert len(metrics) == len(given())
            # MLflow takes it; the other two that it would become are told apart
            assert "a_" not in called
            assert {called[key] for key in called if key.startswith("a_-")} == {"a?", "a!"}


def test_five_thousand_names(tmp_path: Path) -> None:
    (tmp_path / "names_module.py").write_text(TASKS, encoding="utf-8")
    (tmp_path / "many.yaml").write_text("task: names_module:many\ngrid: {x: [1, 2]}\n")
    study, place = read(tmp_path / "many.yaml"), str(tmp_path / "r")
    began = time.monotonic()
    assert launch(study, place, on="inline", mirror=None).agenda.done["trial done"] == 2
    frame = results.measurements(study, place)
    assert frame[MANY].to_numpy().tolist() == [[float(index) for index in range(5000)]] * 2
    assert htsweep.query(study, "SELECT m4999 FROM points", place)["m4999"].tolist() == [4999.0] * 2
    build.export(Results(study, place), tmp_path / "out", "parquet,csv,json")
    assert pd.read_csv(tmp_path / "out" / "measurements.csv")[MANY].equals(frame[MANY])
    assert time.monotonic() - began < 120


class TestCapitals:
    """Trials may differ in the capitals of a name, each for itself; SQL sees none."""

    @pytest.fixture
    def study(self, study_file: Callable[..., Path], tmp_path: Path) -> Study:
        study = read(study_file("task: toy\ngrid: {x: [0.1, 0.5]}\n"))
        ledger = Ledger(Store(tmp_path / "r"))
        for (point, repetition, trial), name in zip(
            plan(study).trials(), ("Loss", "loss"), strict=True
        ):
            record = Record(
                trial,
                "trial",
                "done",
                "toy",
                json.dumps(point.config),
                repetition,
                sweep=point.sweep,
                point=point.id,
                steps=1,
            )
            ledger.append(record, [{"step": 0, name: 1.0 if name == "Loss" else 2.0}])
        return study

    def test_each_is_found_by_its_own_name(self, study: Study, tmp_path: Path) -> None:
        for name, value in (("Loss", 1.0), ("loss", 2.0)):
            frame = htsweep.query(
                study,
                f'SELECT "{name}" FROM measurements WHERE "{name}" IS NOT NULL',
                str(tmp_path / "r"),
            )
            assert frame[name].tolist() == [value]

    def test_both_at_once_are_numbered_and_never_taken_for_one_another(
        self, study: Study, tmp_path: Path
    ) -> None:
        frame = htsweep.query(study, "SELECT * FROM measurements ORDER BY x", str(tmp_path / "r"))
        assert frame["Loss~1"].tolist()[0] == 1.0
        assert frame["loss~2"].tolist()[1] == 2.0
        with pytest.raises(HtsweepError, match="did you mean 'Loss~1'"):
            htsweep.query(study, 'SELECT "Loss", "loss" FROM measurements', str(tmp_path / "r"))


class TestKinds:
    """One name, numbers in some trials and lists in others."""

    @pytest.fixture
    def study(self, study_file: Callable[..., Path], tmp_path: Path) -> Study:
        (tmp_path / "kinds_module.py").write_text(
            "def kinds(config, workspace):\n    yield {'step': 0, 'validation/seen_accuracy': "
            "config['x'],\n"
            "           'test/curve_seen': [0.5, config['x']] if config['x'] > 0.3 else "
            "config['x']}\n"
        )
        study = read(study_file("task: kinds_module:kinds\ngrid: {x: [0.25, 0.5]}\n"))
        launch(study, str(tmp_path / "r"), on="inline", mirror=None)
        return study

    def test_each_kind_has_a_column(self, study: Study, tmp_path: Path) -> None:
        frame = results.measurements(study, str(tmp_path / "r")).set_index("x")
        assert frame.loc[0.25, "test/curve_seen"] == 0.25
        assert frame.loc[0.5, "test/curve_seen[]"].tolist() == [0.5, 0.5]
        assert frame["test/curve_seen"].isna().tolist() == [False, True]

    def test_either_is_read_alone(self, study: Study, tmp_path: Path) -> None:
        ledger = Ledger(Store(tmp_path / "r"))
        assert [
            row["test/curve_seen"] for row in ledger.measurements(kind="numbers").to_pylist()
        ].count(0.25) == 1
        assert ledger.measurements(["test/curve_seen"], kind="lists").column_names == [
            "trial",
            "step",
            "test/curve_seen",
        ]
        assert [0.5, 0.5] in ledger.measurements(kind="lists")["test/curve_seen"].to_pylist()

    def test_sql_has_both(self, study: Study, tmp_path: Path) -> None:
        sql = 'SELECT "test/curve_seen" AS number, "test/curve_seen[]" AS list FROM measurements ORDER BY x'
        frame = htsweep.query(study, sql, str(tmp_path / "r"))
        assert frame["number"].tolist()[0] == 0.25
        assert frame["list"].tolist()[1].tolist() == [0.5, 0.5]

    def test_a_protocol_that_reads_a_list_as_a_number_says_so(
        self, study_file: Callable[..., Path], tmp_path: Path
    ) -> None:
        (tmp_path / "listed_module.py").write_text(
            "def listed(config, workspace):\n    yield {'step': 0, 'validation/seen_accuracy': "
            "[0.5], 'score': 1.0}\n"
        )
        study = read(
            study_file("task: listed_module:listed\ngrid: {x: [1]}\nselect: seen_validation\n")
        )
        launch(study, str(tmp_path / "r"), on="inline", mirror=None)
        with pytest.raises(
            HtsweepError,
            match="reads 'validation/seen_accuracy' as a number, but the trials measured lists",
        ):
            htsweep.query(study, "SELECT * FROM chosen", str(tmp_path / "r"))
        with pytest.raises(HtsweepError, match="reads 'validation/seen_accuracy'"):
            build.tell(Results(study, str(tmp_path / "r")))


def test_what_a_table_has_anyway_is_set_aside_and_said(
    study_file: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a study sees it that varies what another one measured."""
    study = read(study_file("task: toy\ngrid: {x: [0.1]}\n"))
    [(point, repetition, trial)] = plan(study).trials()
    record = Record(
        trial,
        "trial",
        "done",
        "toy",
        json.dumps(point.config),
        repetition,
        sweep=point.sweep,
        point=point.id,
        steps=1,
    )
    Ledger(Store(tmp_path / "r")).append(record, [{"step": 0, "x": 7.0, "score": 1.0}])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            [row] = results.measurements(study, str(tmp_path / "r")).to_dict("records")
    assert (row["x"], row["score"]) == (0.1, 1.0)
    said = [entry.getMessage() for entry in caplog.records]
    assert said == [
        "the measurement 'x' of study 'study' is set aside: the study's tables have a column of "
        "that name"
    ]


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "trial", "Status", "x[]", "x" * 251, 3])
def test_the_ledger_itself_takes_no_name_that_it_could_not_give_back(
    tmp_path: Path, name: Any
) -> None:
    assert names.problem(name)
    with pytest.raises(ValueError, match="measurement"):
        Ledger(Store(tmp_path)).append(
            Record("t", "trial", "done", "toy", "{}", 0, steps=1), [{"step": 0, name: 1.0}]
        )
    assert Ledger(Store(tmp_path)).trials().num_rows == 0
