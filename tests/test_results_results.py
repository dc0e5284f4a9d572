"""What a study's results are asked for is planned, read and computed once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ledgers import TRIALS, fill, toy

import htsweep
from htsweep import selection
from htsweep.launching import launch
from htsweep.ledger import Ledger
from htsweep.planning import plan as planning
from htsweep.planning.reading import read
from htsweep.results import Results

SCORE, OTHER = "validation/score", "test/other"
MODULE = """\
def task(config, workspace):
    for step in (0, 1):
        x = config["x"] + workspace.repetition / 100
        yield {"step": step, "validation/score": x + step, "test/score": x, "test/other": 1 - x,
               "test/curve": [x, x], "test/overall_accuracy": x}
"""
TEXT = "task: measuring_task:task\ngrid: {method: [a, b], x: [0.1, 0.5]}\nrepetitions: 2\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a study was planned, tables of a ledger were read, and a protocol was asked."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str, what: Callable[..., str]) -> None:
        whole = getattr(owner, name)

        def call(*given: Any, **named: Any) -> Any:
            counted[what(*given, **named)] += 1
            return whole(*given, **named)

        monkeypatch.setattr(owner, name, call)

    count(planning, "cells_of", lambda study: "plan")  # `plan` calls it once
    count(Ledger, "trials", lambda *_, **named: "trials")
    count(
        Ledger,
        "measurements",
        lambda ledger, columns=None, trials=None, kind="any": f"measured {kind}",
    )
    count(selection, "choice", lambda table, protocol, *_: f"choice by {protocol}")
    return counted


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[..., Any]:
    study_file(MODULE, "measuring_task.py")
    return lambda *overrides: read(study_file(TEXT), overrides)


def test_launching_a_finished_study_plans_it_once_and_reads_its_ledger_once(
    study: Callable[..., Any], tmp_path: Path, calls: Counter[str]
) -> None:
    place = str(tmp_path / "results")
    launch(study(), place, on="inline", mirror=None)
    assert (calls["plan"], calls["trials"]) == (1, 1)  # of an empty ledger nothing is read
    calls.clear()
    done = launch(study(), place, on="inline", mirror=None)
    assert done.agenda.reused == 8
    assert [path.name for path in done.paths if path.suffix == ".html"] == [
        "frontier.html",
        "report.html",
    ]
    # The report is that of what there is: no measurement is read.
    assert calls == {"plan": 1, "trials": 1}
    calls.clear()
    for path in done.paths:
        path.unlink()
    launch(study(), place, on="inline", mirror=None)
    assert {name: count for name, count in calls.items() if not name.startswith("choice")} == {
        "plan": 1,
        "trials": 1,
        "measured numbers": 1,
        "measured lists": 1,
    }
    asked = [count for name, count in calls.items() if name.startswith("choice")]
    assert len(asked) > 1  # the report compares the protocols whose columns were measured
    assert set(asked) == {1}
    calls.clear()
    launch(study("repetitions=3"), place, on="inline", mirror=None)
    # Once for what is to be done, and once more for what there is then.
    assert (calls["plan"], calls["trials"]) == (1, 2)
    assert (calls["measured numbers"], calls["measured lists"]) == (1, 1)


def test_columns_are_read_when_they_are_asked_for_and_once(
    study: Callable[..., Any], tmp_path: Path, calls: Counter[str]
) -> None:
    launch(study(), str(tmp_path), on="inline", mirror=None)
    calls.clear()
    results = Results(study(), str(tmp_path))
    assert not calls
    some = results.measurements([SCORE, OTHER], kind="numbers")
    assert [name for name in some if "/" in name] == [SCORE, OTHER]
    few = results.measurements([OTHER], kind="numbers")
    assert results.measurements([SCORE, OTHER], kind="numbers") is some
    assert calls == {"plan": 1, "trials": 1, "measured numbers": 1}
    alone = Results(study(), str(tmp_path)).measurements([OTHER], kind="numbers")
    pd.testing.assert_frame_equal(few, alone)
    every = results.measurements()
    pd.testing.assert_frame_equal(every, htsweep.measurements(study(), str(tmp_path)))
    assert "test/curve" in every
    pd.testing.assert_frame_equal(
        results.measurements(["test/curve"]),
        htsweep.measurements(study(), str(tmp_path), ["test/curve"]),
    )


def test_a_column_that_is_asked_for_later_is_read_then(
    study: Callable[..., Any], tmp_path: Path, calls: Counter[str]
) -> None:
    launch(study(), str(tmp_path), on="inline", mirror=None)
    results = Results(study(), str(tmp_path))
    first = results.measurements([OTHER], kind="numbers")
    both = results.measurements([SCORE], kind="numbers")
    assert [name for name in first if "/" in name] == [OTHER]
    assert [name for name in both if "/" in name] == [SCORE]
    calls.clear()
    results.measurements([SCORE, OTHER], kind="numbers")
    assert not calls


def test_results_stay_as_they_were_read_until_they_are_read_again(tmp_path: Path) -> None:
    study = toy(tmp_path)
    fill(study, tmp_path / "results", [0])
    results = Results(study, str(tmp_path / "results"))
    assert len(results.trials) == TRIALS // 2
    fill(study, tmp_path / "results", [1])
    assert len(results.trials) == len(results.recorded) == TRIALS // 2
    again = results.reread()
    assert len(again.trials) == TRIALS
    assert again.full_plan is results.full_plan
