"""`htsweep rerun` repeats one trial as it was, shows why it fails, and records nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import toy

from htsweep.cli.rerunning import rerun
from htsweep.cli.status import status
from htsweep.errors import HtsweepError
from htsweep.launching import launch
from htsweep.results import Results

FAILING = "task: toy\ngrid: {x: [0.1, 0.2]}\nfixed: {fail: raise, noise: 0.3}\n"


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)


def launched(folder: Path, text: str) -> Results:
    study = toy(folder, text)
    launch(study, str(folder / "results"), on="inline", mirror=None)
    return Results(study, str(folder / "results"))


def test_a_failure_is_repeated_with_its_traceback_and_recorded_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = launched(tmp_path, FAILING)
    before = sorted(path.name for path in (tmp_path / "results").rglob("*"))
    (trial, *_) = results.trials["trial"]
    said: list[str] = []
    assert rerun(results, trial[:8], said.append) == 3
    assert said[0].startswith(f"trial {trial}, repetition 0, on cpu: fail=raise ")
    assert said[-1] == "failed after 1 steps; nothing is recorded"
    assert "RuntimeError: the toy was asked to fail" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "results").rglob("*")) == before


def test_it_measures_what_the_launch_measured(tmp_path: Path) -> None:
    text = FAILING.replace("fail: raise, ", "")
    results = launched(tmp_path, text)
    measured = results.measurements(["test/seen_accuracy"])
    (trial, *_) = results.trials["trial"]
    said: list[str] = []
    assert rerun(results, trial, said.append) == 0
    last = measured[measured["trial"] == trial]["test/seen_accuracy"].iloc[-1]
    assert f"test/seen_accuracy={last:.4g}" in said[-2]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    results = launched(tmp_path, FAILING)
    with pytest.raises(HtsweepError, match=r"study 'study' has no trial 'zzz'; .*htsweep status"):
        rerun(results, "zzz", print)


def test_a_stage_that_is_not_made_is_told(tmp_path: Path) -> None:
    study = toy(tmp_path, "task: holistic_transfer\ngrid: {method: [plain]}\n")
    results = Results(study, str(tmp_path / "results"))
    (trial,) = (trial for *_, trial in results.plan.trials())
    with pytest.raises(HtsweepError, match=f"trial {trial} needs source, which is not made yet"):
        rerun(results, trial, print)


def test_a_status_shows_how_the_logs_end_and_how_to_run_one_again(tmp_path: Path) -> None:
    results = launched(tmp_path, FAILING)
    found = status(results)
    assert [failure.tail[-1] for failure in found.failures] == [
        "raised: RuntimeError: the toy was asked to fail"
    ] * 2
    assert "        | RuntimeError: the toy was asked to fail" in found.lines()
    assert f"htsweep rerun {results.study.file}" in found.rerun
    assert found.failures[0].trial in found.rerun
