"""Whatever became of MLflow's database: what it lacks is said, and the next mirror brings it."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from ledgers import TRIALS, asked, fill, looked, toy
from mirrored import FEW, STUDY, empty, made_before  # noqa: F401

import htsweep.mirror.quiet  # noqa: F401  (before MLflow)
from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.cli.status import status
from htsweep.errors import HtsweepError
from htsweep.ledger import Ledger, Store, objects
from htsweep.mirror import address, database, schema, updating
from htsweep.mirror.copying import Mirror, explained, may_pass
from htsweep.mirror.updating import copy
from htsweep.report import build
from htsweep.results import Results
from htsweep.study.schema import Study

# isort: split
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, Path]:
    """A study and its database, which has all of it."""

    def write(given: Results, out: Path, metrics: object = ()) -> tuple[Findings, list[Path]]:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").write_text("<html></html>")
        return Findings(given.study.name, Design((), "y"), None, [], "last", 2, ""), []

    monkeypatch.setattr(build, "write", write)
    study = toy(tmp_path)
    fill(study, tmp_path / "results")
    empty(tmp_path / "results" / "mlflow.db")
    copy(Results(study, str(tmp_path / "results")))
    return study, tmp_path / "results" / "mlflow.db"


def runs(path: Path) -> list[tuple[object, ...]]:
    return sorted(
        asked(
            path,
            "SELECT r.run_uuid, r.name, r.status, e.name FROM runs r JOIN experiments e USING "
            "(experiment_id) "
            "WHERE r.lifecycle_stage = 'active' AND r.run_uuid IN (SELECT run_uuid FROM tags WHERE "
            "key = "
            "'htsweep.trial')",
        )
    )


def execute(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def overwrite(path: Path, start: int) -> None:
    data = bytearray(path.read_bytes())
    data[start:] = b"\xa5" * (len(data) - start)
    path.write_bytes(data)


FAULTS: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_text("<html>an error page</html>" * 1000),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "damaged inside": lambda path: overwrite(path, path.stat().st_size // 4),
    "without its tables": lambda path: (path.unlink(), execute(path, "CREATE TABLE other (x)")),
    "some runs gone": lambda path: execute(
        path,
        "DELETE FROM runs WHERE run_uuid IN (SELECT run_uuid FROM runs ORDER BY run_uuid LIMIT 5)",
    ),
    "some runs in the bin": lambda path: execute(
        path, "UPDATE runs SET lifecycle_stage = 'deleted'"
    ),
    "all runs torn": lambda path: execute(path, "UPDATE runs SET status = 'RUNNING'"),
    "of older records": lambda path: execute(
        path, "UPDATE tags SET value = 'older' WHERE key = 'htsweep.record'"
    ),
    "experiment in the bin": lambda path: execute(
        path, "UPDATE experiments SET lifecycle_stage = 'deleted'"
    ),
    "experiment renamed": lambda path: execute(
        path, "UPDATE experiments SET name = 'other' WHERE name = 'study'"
    ),
    "artifacts gone": lambda path: shutil.rmtree(path.parent / "mlartifacts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_lacking_is_said_and_brought(fault: str, mirrored: tuple[Study, Path]) -> None:
    study, path = mirrored
    results = str(path.parent)
    before = runs(path)
    assert status(Results(study, results)).lines()[-1] == f"mlflow  has all {TRIALS} ended trials"
    FAULTS[fault](path)
    there = looked(study, path.parent)
    lines = status(Results(study, results)).lines()
    whole = fault in ("artifacts gone", "experiment in the bin")
    assert there.of == TRIALS
    assert there.whole == whole
    if not whole:
        assert f"MLflow has {there.runs} of {TRIALS} ended trials" in lines[-2]
        assert (
            lines[-1]
            == f"To bring it up to date: htsweep mirror {shlex.join([str(study.file), '--results', results])}"
        )
    said = copy(Results(study, results))
    assert f"has all {TRIALS} ended trials" in said
    assert looked(study, path.parent).whole
    if fault != "experiment renamed":  # another experiment's runs have ids of their own
        assert runs(path) == before
    [run] = asked(
        path,
        "SELECT artifact_uri FROM runs WHERE run_uuid IN (SELECT run_uuid FROM tags WHERE key = "
        "'htsweep.study') "
        "AND lifecycle_stage = 'active' AND experiment_id IN (SELECT experiment_id FROM "
        "experiments WHERE "
        "name = 'study')",
    )
    folder = address.path_of(str(run[0]))
    assert folder is not None
    assert {one.name for one in folder.iterdir()} == {"study.yaml", "report.html"}
    kept = list(path.parent.glob("mlflow-unreadable-*.db"))
    assert len(kept) == (fault in ("no database", "cut off", "damaged inside"))
    assert all(one.name in said for one in kept)
    assert copy(Results(study, results)).endswith(
        "0 were copied now\nTo look at them: htsweep ui --results " + shlex.quote(results)
    )


def older(path: Path, revision: str) -> None:
    """A database of an older MLflow: its tables as that version of them has them, with an experiment of the user's own."""
    path.unlink()
    engine = utils.create_sqlalchemy_engine(address.of_database(path))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config = utils._get_alembic_config(str(engine.url))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    execute(
        path,
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
        "VALUES (7, 'own', '/own', 'active')",
    )


@pytest.mark.parametrize("revision", ["451aebb31d03", "bd07f7e963c5", "7f2a7d5fae7d"])
def test_a_database_of_an_older_mlflow_is_brought_up_to_date_and_keeps_what_is_in_it(
    revision: str,
    mirrored: tuple[Study, Path],
) -> None:
    study, path = mirrored
    before = runs(path)
    older(path, revision)
    assert database.version(path) == revision
    assert looked(study, path.parent).runs == 0
    assert "was brought up to date for MLflow" in copy(Results(study, str(path.parent)))
    assert {one[1:3] for one in runs(path)} == {one[1:3] for one in before}
    assert asked(path, "SELECT name FROM experiments WHERE experiment_id = 7") == [("own",)]
    assert not list(path.parent.glob("mlflow-unreadable-*"))


def test_a_database_whose_maker_was_killed_is_made_anew(mirrored: tuple[Study, Path]) -> None:
    """As a process leaves it that is killed while MLflow changes its tables in their place."""
    study, path = mirrored
    before = runs(path)
    older(path, "7f2a7d5fae7d")
    execute(path, "CREATE TABLE _alembic_tmp_params (x)")
    said = copy(Results(study, str(path.parent)))
    assert "had been left unfinished (table _alembic_tmp_params already exists)" in said
    assert {one[1:3] for one in runs(path)} == {one[1:3] for one in before}
    assert len(list(path.parent.glob("mlflow-unreadable-*.db"))) == 1


@pytest.mark.usefixtures("made_before")
def test_a_database_of_a_newer_mlflow_is_left_alone_and_the_remedy_works(
    mirrored: tuple[Study, Path],
) -> None:
    study, path = mirrored
    before = runs(path)
    execute(path, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    content = path.read_bytes()
    with pytest.raises(HtsweepError, match="it is of a newer MLflow than the installed") as caught:
        copy(Results(study, str(path.parent)))
    assert path.read_bytes() == content
    [remedy] = [
        line.partition("makes a new one: ")[2]
        for line in str(caught.value).splitlines()
        if "makes a new one" in line
    ]
    subprocess.run(remedy, shell=True, check=True)
    assert f"has all {TRIALS} ended trials" in copy(Results(study, str(path.parent)))
    assert runs(path) == before
    assert path.with_name("mlflow-old.db").read_bytes() == content


def test_a_database_that_another_process_holds_is_named_and_healed_later(
    mirrored: tuple[Study, Path],
) -> None:
    study, path = mirrored
    fill(study.model_copy(update={"repetitions": 3}), path.parent, [2])
    more = toy(path.parent.parent, study.source.replace("repetitions: 2", "repetitions: 3"))
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    there = looked(more, path.parent)
    assert (there.runs, there.of) == (0, 12)
    assert "database is locked (another process holds it" in there.trouble
    with pytest.raises(
        HtsweepError, match=r"MLflow has 0 of 12 ended trials: .*database is locked"
    ):
        copy(Results(more, str(path.parent)))
    held.execute("COMMIT")
    held.close()
    assert "has all 12 ended trials" in copy(Results(more, str(path.parent)))


def test_a_user_s_own_database_is_never_renamed(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    path.write_text("no database")
    with pytest.raises(
        HtsweepError, match=r"own\.db cannot be used.* mv .*/own\.db .*/own-old\.db$"
    ):
        Mirror(f"sqlite:///{path}", STUDY)
    assert [one.name for one in tmp_path.iterdir()] == ["own.db"]


@pytest.mark.usefixtures("made_before")
def test_a_deleted_database_gets_what_is_written_next_and_no_ghost_does(tmp_path: Path) -> None:
    """A connection that was kept would write to a file that nobody can see any more."""
    path = empty(tmp_path / "mlflow.db")
    uri = address.of_database(path)
    mirror = Mirror(uri, STUDY)
    mirror.write(FEW[:2])
    path.unlink()
    with contextlib.suppress(Exception):
        mirror.write(FEW[2:])
    wanted = {run.trial: run.record for run in FEW}
    assert Mirror(uri, STUDY).lacking(wanted) == set(wanted)
    assert Mirror(uri, STUDY).write(FEW) == len(FEW)
    assert database.held(path, STUDY, wanted).runs == len(FEW)


def test_making_a_database_is_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = schema.SqlAlchemyStore

    class Killed(whole):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            raise KeyboardInterrupt

    monkeypatch.setattr(schema, "SqlAlchemyStore", Killed)
    with pytest.raises(KeyboardInterrupt):
        schema.prepared(tmp_path / "mlflow.db", ours=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_maker_left_is_removed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(tmp_path / "mlflow.db")
    for name in ("aaaaaa.db", "aaaaaa.db-journal"):
        (tmp_path / f"{database.UNFINISHED}{name}").write_bytes(b"x")
    schema.prepared(tmp_path / "mlflow.db", ours=True)
    assert len(list(tmp_path.iterdir())) == 3  # its maker may be at work
    monkeypatch.setattr(schema, "ABANDONED_SECONDS", -1.0)
    schema.prepared(tmp_path / "mlflow.db", ours=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_many_makers_at_once_make_one_database(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def make() -> None:
        try:
            schema.prepared(tmp_path / "mlflow.db", ours=True)
        except BaseException as error:  # a thread's error would be lost
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert Mirror(address.of_database(tmp_path / "mlflow.db"), STUDY).write(FEW) == len(FEW)


def raised(act: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        act()
    return caught.value


def test_errors_of_the_disk_say_what_to_do_and_are_not_waited_for(tmp_path: Path) -> None:
    path = empty(tmp_path / "mlflow.db")
    uri = address.of_database(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 1")
        full = raised(lambda: connection.execute("INSERT INTO t VALUES (zeroblob(10000000))"))
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        readonly = raised(lambda: connection.execute("CREATE TABLE other (x)"))
    absent = raised(
        lambda: sqlite3.connect(tmp_path / "no" / "mlflow.db").execute("CREATE TABLE t (x)")
    )
    for error, hint in (
        (full, "free some space"),
        (readonly, "make the file and its folder writable"),
        (absent, "make its folder readable"),
    ):
        assert hint in explained(error, uri)
        assert not may_pass(error)
    assert may_pass(ConnectionError("refused"))
    assert not may_pass(PermissionError(13, "denied"))
    assert not may_pass(HtsweepError("wrong"))


def test_no_message_shows_a_password() -> None:
    for uri in (
        "http://me:s3cret@127.0.0.1:9/mlflow",
        "postgresql://me:s3cret@host/db",
        "http://host/x?token=s3cret&a=b",
    ):
        error = ConnectionError(f"cannot reach {uri} now")
        assert "s3cret" not in explained(error, uri)
        assert "PASSWORD" in explained(error, uri)


@pytest.mark.usefixtures("made_before")
def test_measurements_that_cannot_be_read_hold_up_no_others(mirrored: tuple[Study, Path]) -> None:
    """One trial of a merged object is damaged: the others are copied, and what is lacking is said."""
    study, path = mirrored
    ledger = Ledger(Store(path.parent))
    ledger.compact()
    path.unlink()
    whole = objects.measured
    bad = ledger.trials(["record"]).column("record")[0].as_py()

    def without(*arguments: Any, **more: Any) -> Any:
        inside = whole(*arguments, **more)
        return inside and inside._replace(
            table=inside.table.filter(pc.not_equal(inside.table.column("record"), bad))
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "measured", without)
        written, found = updating.settle(Results(study, str(path.parent)), "", 0.0)
    assert written == TRIALS - 1
    assert (found.runs, found.of) == (TRIALS - 1, TRIALS)
    assert "what 1 of them measured cannot be read" in found.trouble
