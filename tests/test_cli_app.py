"""The command line, in process."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from htsweep.cli.app import main

TOY = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 2\n"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        code = caught.value.code
        return code if isinstance(code, int) else 0, *capsys.readouterr()

    return run


@pytest.fixture
def done(call: Call, study_file: Callable[..., Path]) -> str:
    path = str(study_file(TOY))
    code, said, _ = call("launch", path, "--on", "inline", "--no-mirror")
    assert code == 0, said
    return path


def test_help_lists_every_command(call: Call) -> None:
    code, said, _ = call("--help")
    assert code == 0
    for command in (
        "new",
        "plan",
        "launch",
        "status",
        "pareto",
        "report",
        "export",
        "ui",
        "mirror",
        "list",
        "doctor",
        "compare",
        "query",
    ):
        assert f" {command} " in said


def test_a_wrong_study_exits_with_2_and_no_traceback(
    call: Call, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = str(study_file("task: toy\ngrid: {z: [1]}\nselect: lst\n"))
    for command in ("plan", "launch", "status", "pareto", "report", "export", "mirror", "query"):
        code, _, said = call(command, path)
        assert code == 2
        assert "line 2: grid.z" in said
        assert "line 3: select" in said
        assert "Traceback" not in said
    assert not (tmp_path / "results").exists()


def test_plan_touches_nothing(call: Call, study_file: Callable[..., Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    path = str(study_file(TOY))
    code, said, _ = call("plan", path)
    assert code == 0
    assert "6: 0 done" in said
    assert "p < 0.05 takes at least 6" in said
    found = json.loads(call("plan", path, "--json")[1])
    assert (found["trials"], found["trials_to_run"], found["compute_hours"]) == (6, 6, None)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, Path(path)])


def test_a_launch_ends_with_a_table_and_paths(
    call: Call, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = str(study_file(TOY))
    code, said, _ = call("launch", path, "--on", "inline", "--no-mirror")
    assert code == 0
    for ending in ("png", "svg", "pdf", "html", "csv"):
        file = tmp_path / "results" / "studies" / "study" / f"frontier.{ending}"
        assert file.stat().st_size > 200
    page = tmp_path / "results" / "studies" / "study" / "report.html"
    assert f"report: {page} (7 files beside it)" in said.splitlines()
    assert "ran 6 trials and 0 stages" in said
    code, said, _ = call("launch", path, "--on", "inline", "--no-mirror")
    assert "ran 0 trials and 0 stages" in said
    assert "(6 reused, 0 failed, 0 remaining)" in said


def test_what_is_done_makes_the_estimate(call: Call, done: str) -> None:
    found = json.loads(call("plan", done, "--json", "--set", "repetitions=4")[1])
    assert (found["trials_done"], found["trials_to_run"]) == (6, 6)
    assert found["compute_hours"] is not None
    assert found["compute_hours"] < 0.01


def test_a_trial_that_failed_makes_3(call: Call, study_file: Callable[..., Path]) -> None:
    path = str(study_file("task: toy\ngrid: {fail: ['', raise]}\n"))
    code, said, _ = call("launch", path, "--on", "inline", "--no-mirror")
    assert code == 3
    assert "htsweep status" in said
    code, said, _ = call("status", path)
    assert "raised: RuntimeError: the toy was asked to fail" in said
    assert ".txt" in said
    found = json.loads(call("status", path, "--json")[1])
    assert (found["done"], found["failed"], found["failures"][0]["attempts"]) == (1, 1, 1)


def test_reports_and_exports(call: Call, done: str, tmp_path: Path) -> None:
    assert "| 0.1" in call("report", done)[1]
    code, said, _ = call("report", done, "--out", "told", "--figures", "two")
    assert code == 0
    assert "has the highest overall accuracy" in said
    assert (
        (tmp_path / "told" / "report.html")
        .read_text(encoding="utf-8")
        .startswith("<!DOCTYPE html>")
    )
    drawn = {path.name for path in (tmp_path / "told" / "figures" / "two_column").iterdir()}
    assert {"frontier.png", "frontier.svg", "frontier.pdf", "costs.pdf"} <= drawn
    assert r"\toprule" in (tmp_path / "told" / "report.tex").read_text()
    assert r"\toprule" in call("report", done, "--latex")[1]
    code, said, _ = call("pareto", done, "--out", "drawn")
    assert len(said.split()) == 5
    code, said, _ = call("export", done, "--out", "tables", "--format", "csv,parquet")
    assert len(pd.read_csv(tmp_path / "tables" / "trials.csv")) == 6
    assert len(pd.read_parquet(tmp_path / "tables" / "measurements.parquet")) == 24
    assert call("export", done, "--format", "xls")[0] == 2


def test_nothing_to_report_yet(call: Call, study_file: Callable[..., Path]) -> None:
    code, _, said = call("report", str(study_file(TOY)))
    assert code == 2
    assert "no trial of study 'study' yet" in said


def test_interrupted_inline(call: Call, study_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "stopping_module.py").write_text(
        "def stops(config, workspace):\n    yield {'step': 0, 'a': 1.0}\n    raise "
        "KeyboardInterrupt\n"
    )
    path = str(study_file("task: stopping_module:stops\n"))
    code, said, _ = call("launch", path, "--on", "inline", "--no-mirror")
    assert code == 130
    assert "To continue: htsweep launch " in said
