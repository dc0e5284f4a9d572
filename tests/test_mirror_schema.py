"""A new database, and a file that is none."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest
from mirrored import FEW, STUDY, empty

from htsweep.errors import HtsweepError
from htsweep.mirror.copying import Mirror
from htsweep.mirror.schema import prepared


def test_a_new_database_is_made_quietly_and_leaves_the_working_folder_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    mirror = Mirror("sqlite:///../results/mlflow.db", STUDY)
    mirror.write(FEW)
    mirror.write_study("name: digits\n")
    assert not list(work.iterdir())
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"mlflow.db", "mlartifacts"}
    assert capfd.readouterr() == ("", "")


def test_a_database_that_tests_start_from_is_as_a_new_one_is(tmp_path: Path) -> None:
    dumps = []
    for name, make in (("made", lambda path: prepared(path, ours=True)), ("copied", empty)):
        path = tmp_path / name / "mlflow.db"
        make(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            columns = "creation_time = 0, last_update_time = 0"
            connection.execute(f"UPDATE experiments SET {columns}")
            lines = (line.replace(f"/{name}/", "/") for line in connection.iterdump())
            # SQLAlchemy writes the constraints of a table in any order.
            dumps.append(sorted(sorted(re.findall(r"[^\s,()]+", line)) for line in lines))
    assert any("/mlartifacts/0" in word for words in dumps[0] for word in words)
    assert dumps[0] == dumps[1]


def test_a_file_that_is_no_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    with pytest.raises(
        HtsweepError, match=r"mlflow\.db cannot be used.* mv .*/mlflow\.db .*/mlflow-old\.db$"
    ):
        Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", STUDY)
