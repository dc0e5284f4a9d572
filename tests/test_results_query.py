"""SQL over a study's tables gives what pandas gives, and can reach nothing else."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import htsweep
from htsweep import results, selection
from htsweep.cli.app import main
from htsweep.errors import HtsweepError
from htsweep.ledger import Ledger, Record, Store
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.query import SHOWN, columns, query, tell
from htsweep.study.schema import Study

SEEN, MISSING, CURVE = "test/seen_accuracy", "test/missing_accuracy", "test/curve_seen"
TEXT = """\
task: toy
grid: {x: [0.1, 0.5, 0.9]}
search: {spaces: {all: {y: [0.2, 0.5]}}}
repetitions: 3
select: seen_validation
"""
Asked = Callable[..., pd.DataFrame]


@pytest.fixture
def study(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Study:
    """A study in the folder where one stands; one trial failed, and one number was not measured."""
    monkeypatch.chdir(tmp_path)
    study = read(study_file(TEXT))
    ledger = Ledger(Store("results"))
    for number, (point, repetition, trial) in enumerate(plan(study).trials()):
        seen = 0.5 + 0.3 * point.config["x"] - (point.config["y"] - 0.4) ** 2 + 0.01 * repetition
        rows = [
            {
                "step": step,
                "validation/seen_accuracy": seen * step / 2,
                SEEN: seen * step / 2,
                CURVE: [seen, 0.0, float(step)],
                **({MISSING: 1 - seen} if repetition else {}),
            }
            for step in range(3)
        ]
        failed = number == 4
        ledger.append(
            Record(
                trial,
                "trial",
                "failed" if failed else "done",
                "toy",
                json.dumps(point.config),
                repetition,
                sweep=point.sweep,
                point=point.id,
                point_index=point.index,
                steps=0 if failed else 3,
                reason="raised: of course" if failed else None,
                started=1.0,
                ended=2.0,
            ),
            [] if failed else rows,
        )
    return study


def test_measurements_are_those_that_pandas_has(study: Study) -> None:
    found = query(
        study,
        f'SELECT x, avg("{SEEN}") AS mean, count("{MISSING}") AS n FROM measurements GROUP BY x '
        "ORDER BY x",
    )
    there = results.measurements(study).groupby("x")[[SEEN, MISSING]].agg(["mean", "count"])
    assert found["mean"].tolist() == pytest.approx(there[SEEN]["mean"].tolist())
    # What is not measured is NULL, not NaN
    assert found["n"].tolist() == there[MISSING]["count"].tolist()


def test_trials_have_their_reasons(study: Study) -> None:
    found = query(study, "SELECT status, reason, count(*) AS n FROM trials GROUP BY ALL ORDER BY n")
    assert found[["status", "n"]].to_numpy().tolist() == [["failed", 1], ["done", 17]]
    assert found["reason"][0] == "raised: of course"
    assert pd.isna(found["reason"][1])


def test_chosen_is_the_protocols_choice(study: Study) -> None:
    found = query(study, f'SELECT trial, step, "{SEEN}" AS seen FROM chosen ORDER BY trial')
    expected = selection.choose(results.measurements(study), "seen_validation", 3).sort_values(
        "trial"
    )
    assert len(expected) == 9
    assert found["trial"].tolist() == expected["trial"].tolist()
    assert found["seen"].tolist() == expected[SEEN].tolist()


def test_points_are_means_over_whole_points_at_the_last_step(study: Study) -> None:
    found = query(study, "SELECT * FROM points ORDER BY x, y")
    measured = results.measurements(study)
    last = measured[measured["step"] == 2]
    expected = (
        last.groupby(["x", "y"])[SEEN].agg(["mean", "count"]).query("count == 3").reset_index()
    )
    assert len(found) == len(expected) == 5  # one has a failed trial
    assert found[["x", "y"]].to_numpy().tolist() == expected[["x", "y"]].to_numpy().tolist()
    assert found[SEEN].tolist() == pytest.approx(expected["mean"].tolist())
    assert set(found["n"]) == {3}
    assert found["chosen"].sum() == 3
    assert CURVE not in found


def test_curves_are_lists(study: Study) -> None:
    found = query(
        study,
        f'SELECT list_max("{CURVE}") AS top, len("{CURVE}") AS n, "{CURVE}" FROM measurements '
        "WHERE step = 2",
    )
    assert set(found["top"]) == {2.0}
    assert set(found["n"]) == {3}
    assert isinstance(found[CURVE][0], np.ndarray)


@pytest.mark.parametrize(
    "sql",
    [
        f'SELECT "{SEEN}" FROM measurements',
        f'SELECT "{SEEN}" FROM chosen',
        f'WITH a AS (SELECT "{SEEN}" AS s FROM points) SELECT s FROM a',
        "SELECT count(*) FROM measurements",
    ],
)
def test_only_the_columns_that_are_named_are_read(
    study: Study, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    asked: list[list[str] | None] = []
    whole = Ledger.measurements

    def measurements(ledger: Ledger, wanted: list[str] | None, *rest: Any) -> Any:
        asked.append(wanted)
        return whole(ledger, wanted, *rest)

    monkeypatch.setattr(Ledger, "measurements", measurements)
    query(study, sql)
    [wanted] = asked
    assert wanted is not None
    assert (SEEN in wanted) == ("seen" in sql)
    assert not {MISSING, CURVE} & set(wanted)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM measurements",
        "FROM measurements",
        "DESCRIBE measurements",
        "SELECT COLUMNS('test/.*') FROM measurements",
        "SELECT m.* FROM measurements m",
        f'SELECT "{SEEN.upper()}" FROM MEASUREMENTS',
        "SUMMARIZE measurements",
        f'SELECT a."{SEEN}" FROM measurements a NATURAL JOIN measurements b',
        "WITH a AS (FROM measurements) SELECT count(*) FROM a",
    ],
)
def test_whatever_may_mean_all_columns_has_them(study: Study, sql: str) -> None:
    found = query(study, sql)
    assert len(found)
    if sql.endswith("FROM measurements") and "*" in sql:
        assert {SEEN, MISSING, CURVE} <= set(found)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO trials VALUES (1)",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW trials",
        "ATTACH 'other.db'",
        "COPY trials TO 'out.csv'",
        "PRAGMA version",
        "SET threads = 1",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CHECKPOINT",
        "EXPORT DATABASE 'x'",
        "UPDATE trials SET status = 'done'",
        "DELETE FROM trials",
        "CALL pragma_version()",
        "USE memory",
    ],
)
def test_a_query_only_reads(study: Study, sql: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(HtsweepError, match="a query only reads"):
        query(study, sql)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('study.yaml')",
        "SELECT * FROM 'study.yaml'",
        "SELECT * FROM read_text('study.yaml')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM read_parquet('results/trials/*.parquet')",
        "SELECT * FROM secret_frame",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    ],
)
def test_a_query_reaches_no_file_and_no_variable(study: Study, sql: str) -> None:
    secret_frame = pd.DataFrame({"a": [1]})
    with pytest.raises(HtsweepError, match=r"disabled by configuration|does not exist"):
        query(study, sql)
    assert len(secret_frame) == 1


def test_the_ledger_is_untouched(study: Study) -> None:
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    query(study, "SELECT * FROM trials, points, chosen, measurements LIMIT 1")
    assert {
        path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f'SELECT "{SEEN[:-1]}" FROM measurements', f"did you mean '{SEEN}'"),
        ("SELECT statis FROM trials", "did you mean 'status'"),
        ("SELECT * FROM trails", "did you mean 'trials'"),
        (f"SELECT {SEEN} FROM chosen", "needs double quotes"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "holds 2 statements"),
        ("-- nothing", "holds 0 statements"),
        ("SELECT 'a' + 1", "Binder Error"),
        ("SELECT CAST('a' AS INT)", "Conversion Error"),
    ],
)
def test_mistakes_are_told_with_the_names_there_are(study: Study, sql: str, words: str) -> None:
    with pytest.raises(HtsweepError, match=words):
        query(study, sql)


def test_factors_of_several_kinds_are_text(study_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "def odd(config, workspace):\n    yield {'step': 0, 'a': 1.0}\n"
    )
    study = read(study_file("task: odd:odd\ngrid: {depth: [1, deep, [1, 2]]}\n"))
    ledger = Ledger(Store(tmp_path / "results"))
    for point, repetition, trial in plan(study).trials():
        record = Record(
            trial, "trial", "done", study.task, json.dumps(point.config), repetition, steps=1
        )
        ledger.append(record, [{"step": 0, "a": 1.0}])
    found = query(study, "SELECT depth FROM trials ORDER BY depth", str(tmp_path / "results"))
    assert found["depth"].tolist() == ["1", "[1, 2]", "deep"]


def test_a_study_that_has_not_run_has_no_rows(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    study = read(study_file("task: toy\ngrid: {x: [0.3]}\n"))
    assert query(study, "SELECT count(*) AS n FROM trials", str(tmp_path / "none"))[
        "n"
    ].tolist() == [0]
    assert query(study, "SELECT * FROM measurements", str(tmp_path / "none")).empty


def test_formats(study: Study) -> None:
    sql = f'SELECT trial, "{MISSING}", "{CURVE}" FROM measurements ORDER BY trial, step'
    rows = json.loads(tell(Results(study, "results"), sql, "json"))
    assert len(rows) == 51
    assert rows[0].keys() == {"trial", MISSING, CURVE}
    read_back = pd.read_csv(io.StringIO(tell(Results(study, "results"), sql, "csv")))
    expected = query(study, sql)
    assert read_back[MISSING].tolist() == pytest.approx(expected[MISSING].tolist(), nan_ok=True)
    assert json.loads(read_back[CURVE][3]) == rows[3][CURVE]
    told = tell(Results(study, "results"), sql).splitlines()
    assert len(told) == SHOWN + 2
    assert told[-1] == f"{SHOWN} of 51 rows; --format csv or json prints all"
    assert (
        tell(Results(study, "results"), "SELECT trial FROM trials WHERE false")
        == "no rows of trial"
    )
    with pytest.raises(HtsweepError, match="did you mean 'json'"):
        tell(Results(study, "results"), sql, "jsn")


def test_what_there_is_to_ask(study: Study) -> None:
    there = columns(Results(study))
    types = {(table, column): kind for table, column, kind in there.itertuples(index=False)}
    assert types["measurements", SEEN] == "DOUBLE"
    assert types["measurements", CURVE] == "DOUBLE[]"
    assert types["trials", "status"] == "VARCHAR"
    assert types["points", "chosen"] == "BOOLEAN"
    assert set(there["table"]) == {"trials", "measurements", "points", "chosen"}
    told = tell(Results(study, "results"), "")
    assert f'  "{SEEN}" DOUBLE' in told
    assert "  status VARCHAR" in told


def test_the_command_and_the_verb(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["SELECT count(*) AS n FROM trials", "--format", "json"], '"n": 18'),
        ([], "measurements: "),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["query", str(study.file), *words])
        assert not ended.value.code
        assert said in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["query", str(study.file), "DROP TABLE trials"])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert htsweep.query(study, "SELECT 1 AS one")["one"].tolist() == [1]
    assert callable(htsweep.query)  # still: no module stands in its way
