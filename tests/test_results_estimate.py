"""What a launch would do and cost: the same numbers in plan, status and launch, whatever the size of the study."""

import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from large import BILLION, MERGED, MILLION, TASKS, Built

from htsweep.cli.status import status
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.study.schema import Study

STAGED = (
    "task: large_tasks:merging\ngrid: {b: [1, 2]}\nrepetitions: 3\n"
    "search: {spaces: {all: {a: [0.1, 0.2, 0.9, 1.1, 2.6], c: [x, y]}}}\n"
)


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[..., Study]:
    study_file(TASKS, "large_tasks.py")
    return lambda text, *overrides: read(study_file(text), overrides)


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a launch draws at its end is not looked at here, and takes longer than all else."""
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)


def told(found: Any) -> Mapping[str, Any]:
    keys = (
        "trials",
        "trials_done",
        "trials_failed",
        "trials_to_run",
        "points",
        "stages",
        "stages_done",
        "stages_to_run",
        "compute_hours",
        "compute_hours_basis",
        "repetitions",
    )
    return {key: getattr(found, key) for key in keys}


def tables_of(study: Study, folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    results = Results(study, folder)
    return results.trials, results.measurements()


@pytest.mark.parametrize(
    "text", [BILLION, MILLION, MERGED, "task: toy\ngrid: {x: [0.1, 0.2]}\nrepetitions: 500000000\n"]
)
def test_plan_launch_and_status_agree_on_a_study_of_any_size(
    study: Callable[..., Study], tmp_path: Path, built: Built, text: str
) -> None:
    folder = str(tmp_path / "results")
    before = estimate(Results(study(text), folder))
    assert (before.trials_done, before.trials_to_run) == (0, before.trials)
    done = launch(study(text, "budget.trials=5"), folder, on="inline", mirror=None)
    after, stands = estimate(Results(study(text), folder)), status(Results(study(text), folder))
    assert done.agenda.done["trial done"] == after.trials_done == stands.done == 5
    assert done.agenda.total == before.trials == after.trials == stands.trials
    assert done.agenda.left == after.trials_to_run == stands.left == before.trials - 5
    assert before.exact == after.exact == stands.exact
    assert done.agenda.exact >= before.exact
    assert ("at most" in after.lines()[0]) == ("at most" in stands.lines()[1]) == (not before.exact)
    # To count takes 20,000 points each time. A launch looks 10,000 ahead, and further where points
    # mean the same.
    assert built.points <= 250_000
    tables = tables_of(study(text), folder)
    assert [len(one["trial"].unique()) for one in tables] == [5, 5]
    again = launch(study(text, "budget.trials=7"), folder, on="inline", mirror=None)
    assert (again.agenda.reused, again.agenda.done["trial done"], again.agenda.left) == (
        5,
        2,
        before.trials - 7,
    )


def test_a_large_study_that_is_done_has_nothing_left(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random search comes by the same points again: how often is only known once it was walked."""
    monkeypatch.setattr("htsweep.results.estimate.MOST_LISTED", 0)
    monkeypatch.setattr("htsweep.planning.plan.MOST_LISTED", 0)
    text = (
        "task: toy\nfixed: {steps: 0}\nsearch: {sampler: random, trials: 60, spaces: {all: {x: "
        "[0.1, 0.2, 0.3, 0.4, 0.5], "
        "y: [0.1, 0.2, 0.3], noise: [0.0, 0.01, 0.02, 0.03]}}}\n"
    )
    folder = str(tmp_path / "results")
    assert (
        estimate(Results(study(text), folder)).trials,
        estimate(Results(study(text), folder)).exact,
    ) == (
        60,
        False,
    )
    done = launch(study(text), folder, on="inline", mirror=None)
    different = done.agenda.done["trial done"]
    assert 30 < different < 50
    assert (done.agenda.total, done.agenda.exact, done.agenda.left) == (different, True, 0)
    found = estimate(Results(study(text), folder))
    assert (found.trials, found.trials_to_run, found.exact) == (different, 0, True)
    assert status(Results(study(text), folder)).left == 0


def test_the_same_is_said_of_what_is_listed_and_of_what_is_not(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it is done; in the other half the hours are those of trials that are alike."""
    folder = str(tmp_path / "results")
    # Every run takes one tick of this clock: real ones are so short that one may take ten times another.
    ticks = itertools.count(1_000_000_000)
    clock = SimpleNamespace(**{**vars(time), "time": lambda: float(next(ticks))})
    for module in ("trial", "ending"):
        monkeypatch.setattr(f"htsweep.execution.{module}.time", clock)
    launch(study(STAGED, "budget.trials=17"), folder, on="inline", mirror=None)
    listed = estimate(Results(study(STAGED), folder))
    assert (listed.trials, listed.trials_done, listed.trials_to_run, listed.exact) == (
        36,
        17,
        19,
        True,
    )
    assert (listed.stages, listed.stages_done, listed.stages_to_run) == (9, 9, 0)
    assert listed.compute_hours is not None
    counted = status(Results(study(STAGED), folder))
    tables = tables_of(study(STAGED), folder)
    monkeypatch.setattr("htsweep.planning.plan.MOST_LISTED", 0)
    walked = estimate(Results(study(STAGED), folder))
    # It is counted nevertheless: a walk of so few points takes no time.
    assert told(walked) == {
        **told(listed),
        "compute_hours": pytest.approx(listed.compute_hours, rel=0.3),
    }
    assert status(Results(study(STAGED), folder)) == counted
    for mine, theirs in zip(tables_of(study(STAGED), folder), tables, strict=True):
        assert mine.equals(theirs)


def test_stages_that_are_to_run_are_those_that_a_trial_waits_for(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    found = estimate(Results(study(STAGED), str(folder)))
    assert (found.stages, found.stages_done, found.stages_to_run) == (9, 0, 9)
    launch(study(STAGED, "grid.b=[1]", "repetitions=2"), str(folder), on="inline", mirror=None)
    found = estimate(Results(study(STAGED), str(folder)))
    assert (found.stages, found.stages_done, found.stages_to_run) == (9, 4, 5)


def test_what_no_repetitions_can_show_is_said(study: Callable[..., Study], tmp_path: Path) -> None:
    values = [round(0.0001 * number, 4) for number in range(6_000)]
    found = estimate(
        Results(
            study(f"task: toy\ngrid: {{x: {values}}}\nrepetitions: 2000\n"),
            str(tmp_path / "results"),
        )
    )
    assert (found.comparisons, found.repetitions_for_all, found.smallest_p) == (5_999, None, 1e-5)
    assert found.lines()[-1] == (
        "test    2,000 repetitions: a paired test can reach p = 1e-05; corrected for 5999 "
        "comparisons "
        "(Holm), no number of repetitions reaches p < 0.05"
    )


def test_a_report_says_how_much_of_a_search_has_not_begun(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    """Each point that has begun is whole, and yet not all is there."""
    folder = str(tmp_path / "results")
    few = "task: toy\nsearch: {sampler: random, trials: 9, spaces: {all: {x: {low: 0, high: 1}}}}\n"
    for text, said in (
        (few, "- 4 more points of the searches: not run"),
        (BILLION, "- at most 999999995 more points of the searches: not run"),
    ):
        launch(study(text, "budget.trials=5"), folder, on="inline", mirror=None)
        assert said in build.tell(Results(study(text), folder))
        found = build.findings(Results(study(text), folder))
        assert said in found.missing
    launch(study(few), folder, on="inline", mirror=None)
    assert "Nothing is missing" in build.tell(Results(study(few), folder))


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report at a launch's end takes longer than all else, and shows nothing of what is asked here."""
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)
