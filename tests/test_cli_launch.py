"""What a launch says at its end, and by which code it exits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ledgers import toy

from htsweep import launching
from htsweep.cli.app import main
from htsweep.cli.launch import closing_lines, launch_and_tell
from htsweep.commands import Given
from htsweep.files import put
from htsweep.launching import launch
from htsweep.report import build

TEXT = "task: toy\ngrid: {x: [0.1, 0.9]}\n"


@pytest.fixture(autouse=True)
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)


def test_a_launch_says_what_it_ran_and_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = toy(tmp_path, TEXT)
    given = Given(str(study.file), (), str(tmp_path / "results"), "inline", mirror=None)
    assert launch_and_tell(given) == 0
    assert capsys.readouterr().out.startswith("study: ran 2 trials and 0 stages in ")
    assert launch_and_tell(given) == 0
    assert "(2 reused, 0 failed, 0 remaining)" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_is_told_and_loses_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        put(Path("/proc/nowhere/report.html"), "x")

    monkeypatch.undo()  # the report is made here
    monkeypatch.setattr(build, "tell", full)
    study = toy(tmp_path, TEXT)
    results = str(tmp_path / "results")
    assert launch_and_tell(Given(str(study.file), (), results, "inline", mirror=None)) == 2
    said = capsys.readouterr().out
    assert "ran 2 trials" in said
    assert (
        "The trials are recorded, but the report could not be written: /proc/nowhere/report.html "
        "cannot be written: " in said
    )
    assert f"htsweep report {study.file} --results {results} --out report" in said
    done = launch(study, results, on="inline", mirror=None)
    assert done.agenda.reused == 2


def test_the_end_of_a_budget_and_an_interrupt_say_how_to_go_on(tmp_path: Path) -> None:
    study = toy(tmp_path, TEXT + "budget: {trials: 1}\n")
    given = Given(str(study.file), (), str(tmp_path / "results"), "inline")
    done = launch(study, given.results, on="inline", mirror=None)
    assert closing_lines(study, given, done)[-1] == (
        "Ended by the budget of 1 trials, with 1 trial remaining. Raise it, then continue: "
        f"{given.launch()}"
    )


@pytest.mark.parametrize("number", [28, 30, 13])
def test_a_disk_that_refuses_is_no_traceback_whichever_verb_meets_it(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from htsweep.ledger import Ledger

    def refuses(self: Ledger, *_: object, **__: object) -> None:
        raise OSError(number, "no", str(tmp_path / "trials"))

    study = toy(tmp_path, TEXT)
    monkeypatch.setattr(Ledger, "trials", refuses)
    monkeypatch.setattr(Ledger, "records", refuses)
    for verb in ("plan", "status", "report", "mirror"):
        with pytest.raises(SystemExit) as caught:
            main([verb, str(study.file), "--results", str(tmp_path / "results")])
        assert caught.value.code == 2
        assert f"{tmp_path}/trials: {os.strerror(number)}; " in capsys.readouterr().err
