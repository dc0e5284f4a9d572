"""What docs/security.md promises, on a whole study: hostile names are inert, planted secrets stay where they are."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import pytest

import htsweep
from htsweep.cli.app import main
from htsweep.commands import given, quoted
from htsweep.errors import HtsweepError, LedgerError
from htsweep.execution import ray_process, shipping
from htsweep.execution.workspace import Workspace
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store
from htsweep.mirror.address import of_database
from htsweep.mirror.updating import copy
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.study.schema import Study

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted/aws/0123456789",
    "HF_TOKEN": "hf_planted0123456789",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-0123",
    "DATABASE_URL": "postgresql://user:planted-database-0123@host/db",
}
PLANTED = re.compile(rb"planted[-/]|hf_planted")
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</script><script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\\input{/etc/passwd}",
    "'; DROP TABLE trials; --",
    "$(touch owned) `touch owned`",
    "{{7*7}}",
]
FAILS = "one that fails"
TASK = """\
import os, subprocess, sys

def hostile(config, workspace):
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    print("the environment is", dict(os.environ))
    if config["name"] == "one that fails":
        raise RuntimeError(f"refused for {secret} at {os.environ.get('DATABASE_URL')}")
    for step in range(2):
        yield {"step": step, "test/seen_accuracy": 0.5 + len(config["name"]) / 1000,
               "test/missing_accuracy": 0.4, "validation/accuracy": 0.3}
"""


@pytest.fixture(scope="module")
def secrets() -> Iterator[None]:
    with mock.patch.dict(os.environ, SECRETS):
        yield


@pytest.fixture(scope="module")
def launched(
    secrets: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Study, Path]]:
    """A study with hostile names, in a folder of such a name, launched where secrets are in the environment."""
    folder = tmp_path_factory.mktemp("s") / "a $(touch owned) ' folder"
    folder.mkdir()
    (folder / "hostile_task.py").write_text(TASK, encoding="utf-8")
    file = folder / "st<b>udy';.yaml"
    study = {
        "study": "hostile",
        "task": "hostile_task:hostile",
        "grid": {"name": [*HOSTILE, FAILS]},
        "objectives": [
            {"metric": "validation/accuracy", "direction": "maximize"},
        ],
        "select": "last",
    }
    file.write_text(json.dumps(study), encoding="utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        found = read(file)
        launch(found, folder / "r", on="inline", mirror=None)
        yield found, folder
    finally:
        os.chdir(before)


def test_no_hostile_name_becomes_an_element_of_a_page(launched: tuple[Study, Path]) -> None:
    _, folder = launched
    pages = [*folder.rglob("*.html")]
    assert pages
    found: list[str] = []

    class Reader(HTMLParser):
        script = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.script = tag == "script"
            found.extend(f"{tag} {name}" for name, _ in attrs if name.startswith("on"))
            found.extend(
                f"{tag} {name}={value}"
                for name, value in attrs
                if name in ("href", "src") and (value or "").strip().startswith("javascript:")
            )
            if tag == "img" and ("src", "x") in attrs:
                found.append(tag)

        def handle_data(self, data: str) -> None:
            if self.script and re.match(r"\s*alert\(1\)", data):
                found.append("script")

    for page in pages:
        text = page.read_text(encoding="utf-8")
        Reader().feed(text)
    assert any("alert(1)" in page.read_text(encoding="utf-8") for page in pages)
    assert found == []


def test_reports_on_paper_show_them_literally(launched: tuple[Study, Path]) -> None:
    _, folder = launched
    out = folder / "r"
    latex = "".join(path.read_text(encoding="utf-8") for path in out.rglob("*.tex"))
    assert "input" in latex
    assert not re.search(r"\\(input|write)\b", latex)
    markdown = "".join(path.read_text(encoding="utf-8") for path in out.rglob("*.md"))
    assert "alert" in markdown
    assert not re.search(r"<(script|img|svg)", markdown)


def test_no_cell_of_a_csv_is_a_formula(launched: tuple[Study, Path]) -> None:
    study, folder = launched
    build.export(Results(study, str(folder / "r")), folder / "csv", "csv")
    files = [*folder.rglob("*.csv")]
    assert {"trials.csv", "summary.csv"} <= {path.name for path in files}
    cells = [
        cell
        for path in files
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        for cell in row
    ]
    assert "'=cmd|' /C calc'!A0" in cells
    assert [cell for cell in cells if re.match(r"\s*[=+@]|\s*-(?![\d.])", cell)] == []


def test_sql_sees_values_and_no_statements(launched: tuple[Study, Path]) -> None:
    study, folder = launched
    names = htsweep.query(study, "SELECT DISTINCT name FROM points", str(folder / "r"))["name"]
    assert sorted(names) == sorted(HOSTILE)
    counted = htsweep.query(study, "SELECT count(*) AS n FROM trials", str(folder / "r"))
    assert counted["n"][0] == len(HOSTILE) + 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_suggested_command_runs_nothing_of_a_name(tmp_path: Path, name: str) -> None:
    said = subprocess.run(
        ["bash", "-c", f"htsweep() {{ printf '%s\\0' \"$@\"; }}; {quoted(['htsweep', 'x', name])}"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert said.decode().split("\0")[1] == name
    assert not list(tmp_path.iterdir())


def test_commands_about_a_study_of_a_hostile_path_name_that_file(
    launched: tuple[Study, Path],
) -> None:
    study, folder = launched
    said = subprocess.run(
        ["bash", "-c", f"htsweep() {{ printf '%s\\0' \"$@\"; }}; {given(study).launch()}"],
        capture_output=True,
        check=True,
        cwd=folder,
    ).stdout
    assert Path(folder, said.decode().split("\0")[1]).samefile(study.file)
    assert not (folder / "owned").exists()


def test_planted_secrets_reach_no_file(launched: tuple[Study, Path]) -> None:
    """Neither ledger, logs, MLflow nor reports, though the task prints its whole environment and fails with a key in its message."""
    study, folder = launched
    copy(Results(study, str(folder / "r")), of_database(folder / "r" / "mlflow.db"))
    [row] = (
        Ledger(Store(folder / "r"))
        .trials(every=True)
        .to_pandas()
        .query("status == 'failed'")
        .to_dict("records")
    )
    assert row["reason"].endswith(
        "refused for [AWS_SECRET_ACCESS_KEY] at postgresql://user:[password]@host/db"
    )
    log = (folder / "r" / row["log"]).read_text(encoding="utf-8")
    assert "'HF_TOKEN': '[HF_TOKEN]'" in log
    holding = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and PLANTED.search(path.read_bytes())
    ]
    assert holding == []
    assert b"[AWS_SECRET_ACCESS_KEY]" in (folder / "r" / "mlflow.db").read_bytes()


def test_no_file_of_secrets_is_shipped(tmp_path: Path) -> None:
    for name in (
        ".env",
        ".aws/credentials",
        ".netrc",
        ".ssh/id_ed25519",
        "id_rsa",
        "server.pem",
        "tls.key",
        "prod.env",
        "credentials.json",
        "service-account.json",
        "client_secret_1.json",
        "secrets.yaml",
        "auth_token",
        "kubeconfig",
        "keys/deploy.pem",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("planted-secret")
    for name in ("my_task.py", "secrets_of_data.py", "table.csv", "data/monkey.png", "tokens.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    shipped = shipping.collect(tmp_path)
    assert sorted(map(str, shipped.files)) == [
        "data/monkey.png",
        "my_task.py",
        "secrets_of_data.py",
        "table.csv",
        "tokens.txt",
    ]
    assert "auth_token, client_secret_1.json and 9 more, which by their names hold keys" in (
        shipped.note()
    )


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ".."])
def test_names_in_records_cannot_leave_their_folders(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "r")
    for use in (store.read, store.delete, store.open, store.list, store.delete_all):
        with pytest.raises(LedgerError, match="outside the results"):
            use(name)
    with pytest.raises(LedgerError, match="outside the results"):
        store.write(name, b"x")
    job = plan(_toy(tmp_path))
    point, repetition, _ = next(iter(job.trials()))
    store.write("artifacts/a/0123-x", b"x")
    space = Workspace(
        job.job(point, repetition), store, {"source": {name: "artifacts/a/0123-x"}}, list
    )
    with pytest.raises(HtsweepError, match="outside"):
        space.artifact("source")
    assert {path.name for path in tmp_path.iterdir()} == {"r", "toy.yaml"}


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".hidden", "a\\b", "-x", "a\nb", "x" * 300])
def test_a_study_cannot_be_called_what_would_leave_its_folder(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(json.dumps({"study": name, "task": "toy", "grid": {"x": [0.1]}}))
    assert code("plan", str(file)) == 2
    assert "study" in capsys.readouterr().err


def test_looking_at_a_study_runs_nothing_of_a_metric_or_an_executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`plan` and `status` need the task's declaration; a protocol, a metric or an executor beside it they do not run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_executor.py").write_text("open('ran', 'w')\ndef x(*_): ...\n")
    _toy(tmp_path)
    for verb in ("plan", "status"):
        assert code(verb, "toy.yaml") == 0
    assert not (tmp_path / "ran").exists()


def test_code_in_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the study's own folder and installed packages are looked at."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "code_of_somebody.py").write_text("open('ran', 'w')\ndef t(*_): ...\n")
    file = tmp_path / "there" / "s.yaml"
    file.write_text("task: code_of_somebody:t\ngrid: {x: [1]}\n")
    monkeypatch.chdir(tmp_path / "here")
    assert "" not in sys.path  # as in the command
    assert code("plan", str(file)) == 2
    assert "unknown task 'code_of_somebody'" in capsys.readouterr().err
    assert not (tmp_path / "here" / "ran").exists()


def test_a_record_of_hostile_text_is_a_row_like_any_other(tmp_path: Path) -> None:
    ledger = Ledger(Store(tmp_path))
    for index, name in enumerate(HOSTILE):
        ledger.append(
            Record(f"t{index}", "trial", "done", "toy", "{}", 0, reason=name, steps=1),
            [{"step": 0, name: 1.0}],
        )
    assert ledger.compact() == len(HOSTILE)
    assert set(HOSTILE) <= set(ledger.measurements().column_names)


def test_a_ray_of_our_own_asks_for_a_token_that_others_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    given_ = [ray_process._token(tmp_path / name) for name in "ab"]
    files = [Path(one["RAY_AUTH_TOKEN_PATH"]) for one in given_]
    assert {one["RAY_AUTH_MODE"] for one in given_} == {"token"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len({file.read_text() for file in files}) == 2
    assert all(len(file.read_text()) == 64 for file in files)


def code(*words: str) -> object:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code


def _toy(folder: Path) -> Study:
    (folder / "toy.yaml").write_text("task: toy\ngrid: {x: [0.1]}\n")
    return read(folder / "toy.yaml")
