"""Results folders of any name, copied and moved: the mirror is in them, and writes nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from ledgers import TRIALS, asked, fill, looked, toy
from mirrored import empty, made_before  # noqa: F401
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.errors import HtsweepError
from htsweep.mirror import address, database
from htsweep.mirror.copying import Mirror
from htsweep.mirror.quiet import past_the_proxy
from htsweep.mirror.serving import free_port, serve, ui, wait_for
from htsweep.mirror.updating import copy
from htsweep.report import build
from htsweep.results import Results

ODD = [
    "100%",
    "a?b",
    "a#b",
    "a b",
    "a&b;c",
    "it's",
    'say "x"',
    "é漢\U0001f600",
    "a\nb",
    "~",
    "dot.",
    "-x",
    "a+b",
    "a:b",
]
ALL_ODD = "%2F 100% ?x=1 #y & ; ' \" é漢 \n ~ [z] dot."


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in writes a report that names its study's results."""

    def write(given: Results, out: Path, metrics: object = ()) -> tuple[Findings, list[Path]]:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").write_text(f"<html>{given.location}</html>", encoding="utf-8")
        return Findings(given.study.name, Design((), "y"), None, [], "last", 2, ""), []

    monkeypatch.setattr(build, "write", write)


def content(folder: Path) -> dict[str, str]:
    """Every file below the folder, and a digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def report(folder: Path) -> str:
    """The report as MLflow gives it back, by its own way from the study's run to the file."""
    mirror = Mirror(address.of_database(folder / "mlflow.db"), "study")
    run = mirror._own_run()
    # The client remembers where a run's artifacts lie, by its id alone; another process would ask
    # anew.
    artifacts = get_artifact_repository(run.info.artifact_uri)
    return Path(artifacts.download_artifacts("report.html")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "is_there"),
    [("feature%2Fx", False), (ALL_ODD, False), *((name, True) for name in ODD)],
)
def test_the_mirror_is_in_the_results_whatever_they_are_called(
    name: str, is_there: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "around" / name / "results"
    study = toy(tmp_path)
    fill(study, folder)
    if is_there:  # MLflow takes two seconds to make its tables
        empty(folder / "mlflow.db")
    copy(Results(study, str(folder)))
    assert [path.name for path in (tmp_path / "around").iterdir()] == [name]
    assert [path.name for path in folder.parent.iterdir()] == ["results"]
    assert {path.name for path in folder.iterdir()} == {
        "measurements",
        "mlartifacts",
        "mlflow.db",
        "studies",
        "trials",
    }
    assert looked(study, folder).whole
    assert str(folder) in report(folder)


@pytest.mark.usefixtures("made_before")
def test_a_relative_folder_is_the_same_one_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = toy(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fill(study, Path("res ults"))
    copy(Results(study, "res ults"))
    monkeypatch.chdir(tmp_path)
    copy(Results(study, "here/res ults"))
    assert {path.name for path in tmp_path.iterdir()} == {"here", "study.yaml"}
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["res ults"]
    assert looked(study, tmp_path / "here" / "res ults").whole


def test_a_path_that_sqlite_cannot_open_is_named_with_its_length(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < database.MOST_BYTES:
        folder = folder / ("x" * 100)
    study = toy(tmp_path)
    fill(study, folder)
    with pytest.raises(
        HtsweepError,
        match=rf"has 0 of {TRIALS} ended trials.*bytes, and SQLite opens none of more than 484",
    ):
        copy(Results(study, str(folder)))
    near = tmp_path
    while len(str(near)) < database.MOST_BYTES - 9 - 200:
        near = near / ("y" * 100)
    near = near / ("z" * (database.MOST_BYTES - len(str(near / "mlflow.db")) - 1))
    assert len(str(near / "mlflow.db")) == database.MOST_BYTES
    fill(study, near)
    copy(Results(study, str(near)))
    assert looked(study, near).whole


# -- the UI, with a proxy in the way
# ------------------------------------------------------------------------------------


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for all addresses, at which nothing answers."""
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("made_before", "proxied")
def test_the_ui_serves_the_artifacts_of_an_oddly_named_folder_behind_a_proxy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "example.com")
    past_the_proxy()  # as at the start of a process
    folder = tmp_path / ALL_ODD
    study = toy(tmp_path)
    fill(study, folder)
    copy(Results(study, str(folder)))
    port = free_port(0)
    uri = address.of_database(folder / "mlflow.db")
    with serve(uri, port) as server:
        try:
            wait_for(server, port)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            run = Mirror(uri, study.name)._own_run().info.run_id
            query = urllib.parse.urlencode({"path": "report.html", "run_uuid": run})
            with opener.open(f"http://127.0.0.1:{port}/get-artifact?{query}", timeout=30) as answer:
                assert str(folder) in answer.read().decode()
            # A server of the user's own on this machine, through MLflow's client.
            http = f"http://127.0.0.1:{port}"
            assert f"has all {TRIALS} ended trials" in copy(Results(study, str(folder)), http)
            mirror = Mirror(http, study.name)
            assert {
                one.path for one in mirror._client.list_artifacts(mirror._own_run().info.run_id)
            } == {"report.html", "study.yaml"}
        finally:
            server.terminate()


@pytest.mark.usefixtures("proxied")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "127.0.0.1,localhost,::1"),
        ("", "127.0.0.1,localhost,::1"),
        ("example.com", "example.com,127.0.0.1,localhost,::1"),
    ],
)
def test_this_machine_is_excepted_from_a_proxy(
    before: str | None, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the UI's server and MLflow's client read, whatever was excepted before; the last is used above."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        if before is not None:
            monkeypatch.setenv(name, before)
    past_the_proxy()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == after
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert urllib.request.proxy_bypass("localhost")
    assert not urllib.request.proxy_bypass("example.org")


def test_a_proxy_that_is_excepted_from_everything_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "")
    past_the_proxy()
    assert os.environ["no_proxy"] == "*"
    monkeypatch.setenv("no_proxy", "a.b, 127.0.0.1")
    past_the_proxy()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "a.b,127.0.0.1,localhost,::1"


# -- copies and moves
# ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("made_before")
@pytest.mark.parametrize("name", ["copied", "cop ied %2F #x"])
def test_a_copy_writes_nothing_into_the_original(name: str, tmp_path: Path) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "first", [0])
    copy(Results(study, str(tmp_path / "first")))
    before = content(tmp_path / "first")
    runs = asked(
        tmp_path / "first" / "mlflow.db",
        "SELECT run_uuid, name, status FROM runs ORDER BY run_uuid",
    )
    shutil.copytree(tmp_path / "first", tmp_path / name)
    (tmp_path / name / "studies" / "study" / "report.html").unlink()
    fill(study, tmp_path / name, [1])
    said = copy(Results(study, str(tmp_path / name)))
    assert "was copied or moved" in said
    assert content(tmp_path / "first") == before
    assert str(tmp_path / name) in report(tmp_path / name)
    assert str(tmp_path / "first") in report(tmp_path / "first")
    there = asked(
        tmp_path / name / "mlflow.db", "SELECT run_uuid, name, status FROM runs ORDER BY run_uuid"
    )
    assert set(runs) < set(there)
    assert len(there) == TRIALS + 1
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        for (location,) in asked(tmp_path / name / "mlflow.db", f"SELECT {column} FROM {table}"):
            path = address.path_of(str(location))
            assert path is not None
            assert path.is_relative_to(tmp_path / name / "mlartifacts"), (table, location)
    assert "was copied" not in copy(Results(study, str(tmp_path / name)))


@pytest.mark.usefixtures("made_before")
def test_a_copy_of_what_a_killed_maker_left_writes_nothing_into_the_original(
    tmp_path: Path,
) -> None:
    """It was killed after it made the experiment, before it tagged it as one of this package."""
    study = toy(tmp_path)
    fill(study, tmp_path / "first")
    copy(Results(study, str(tmp_path / "first")))
    with contextlib.closing(sqlite3.connect(tmp_path / "first" / "mlflow.db")) as connection:
        connection.execute("DELETE FROM experiment_tags")
        connection.commit()
    before = content(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    copy(Results(study, str(tmp_path / "second")))
    assert content(tmp_path / "first") == before
    assert str(tmp_path / "second") in "".join(
        str(location)
        for (location,) in asked(
            tmp_path / "second" / "mlflow.db", "SELECT artifact_location FROM experiments"
        )
    )


@pytest.mark.usefixtures("made_before")
def test_a_moved_folder_is_noticed_by_the_ui_alone(tmp_path: Path) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "first")
    copy(Results(study, str(tmp_path / "first")))
    (tmp_path / "first").rename(tmp_path / "moved")
    said: list[str] = []

    class Stopped(Exception):
        pass

    def tell(line: str) -> None:
        said.append(line)
        raise Stopped

    with pytest.raises(Stopped):
        ui(tmp_path / "moved" / "mlflow.db", "moved", 0, tell)
    assert "was copied or moved" in said[0]
    # The artifact of before, from its new place
    assert str(tmp_path / "first") in report(tmp_path / "moved")
    assert not (tmp_path / "first").exists()


@pytest.mark.usefixtures("made_before")
def test_what_somebody_keeps_elsewhere_on_purpose_stays(tmp_path: Path) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "first")
    copy(Results(study, str(tmp_path / "first")))
    mirror = Mirror(address.of_database(tmp_path / "first" / "mlflow.db"), study.name)
    mirror._client.create_experiment("own", "s3://bucket/own")
    mirror._client.create_experiment("mine", f"{tmp_path}/elsewhere/mine")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    copy(Results(study, str(tmp_path / "second")))
    found = dict(
        asked(tmp_path / "second" / "mlflow.db", "SELECT name, artifact_location FROM experiments")
    )
    assert found["own"] == "s3://bucket/own"
    assert found["mine"] == f"{tmp_path}/elsewhere/mine"
    assert found["study"] == f"{tmp_path}/second/mlartifacts/study"


@pytest.mark.usefixtures("made_before")
def test_a_link_to_the_results_is_no_move(tmp_path: Path) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "first")
    copy(Results(study, str(tmp_path / "first")))
    (tmp_path / "link").symlink_to(tmp_path / "first")
    assert "was copied" not in copy(Results(study, str(tmp_path / "link")))
    assert database.relocate(tmp_path / "link" / "mlflow.db") == 0


@pytest.mark.usefixtures("made_before")
def test_healing_is_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "first")
    copy(Results(study, str(tmp_path / "first")))
    (tmp_path / "first").rename(tmp_path / "moved")
    path = tmp_path / "moved" / "mlflow.db"
    before = json.dumps(
        asked(
            path,
            "SELECT artifact_uri FROM runs UNION ALL SELECT artifact_location FROM experiments",
        )
    )
    renamed, calls = database._renamed, []

    def dies(*arguments: object, **named: object) -> int:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return renamed(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "_renamed", dies)
    with pytest.raises(KeyboardInterrupt):
        database.relocate(path)
    assert (
        json.dumps(
            asked(
                path,
                "SELECT artifact_uri FROM runs UNION ALL SELECT artifact_location FROM experiments",
            )
        )
        == before
    )
    monkeypatch.undo()
    assert database.relocate(path) > TRIALS
