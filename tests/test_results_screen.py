"""A screen spares the trials of pairs that score badly, and nothing else changes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import screening
from screening import ALL, PER_PAIR, SCORES, ids

from htsweep.cli.launch import closing_lines
from htsweep.cli.status import status
from htsweep.commands import Given
from htsweep.execution.agenda import Agenda
from htsweep.execution.ray import Ray
from htsweep.execution.work import Outcome
from htsweep.launching import Launched, launch
from htsweep.ledger import Ledger, Record, Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan
from htsweep.planning.screen import plan_of
from htsweep.results import Results, screen
from htsweep.results.estimate import estimate
from htsweep.study.schema import Study


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    return screening.no_report(monkeypatch)


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    return screening.study(study_file, tmp_path)


@pytest.fixture
def run(study: Callable[..., Study], tmp_path: Path) -> Callable[..., Launched]:
    def go(*overrides: str, folder: str = "results", without: bool = False) -> Launched:
        return launch(
            study(*overrides, without=without), str(tmp_path / folder), on="inline", mirror=None
        )

    return go


def ran(done: Launched) -> tuple[int, int]:
    """Scores and trials that a launch ran."""
    return done.scores.done["trial done"] if done.scores else 0, done.agenda.done["trial done"]


def numbers(study: Study, folder: Path, **options: Any) -> list[dict[str, Any]]:
    return (
        Results(study, str(folder))
        .measurements(**options)
        .sort_values(["trial", "step"])
        .to_dict("records")
    )


def dropped(verdicts: tuple[screen.Verdict, ...]) -> list[str]:
    return [verdict.pair.label for verdict in verdicts if not verdict.kept]


def test_a_study_without_a_screen_has_none(study: Callable[..., Study], tmp_path: Path) -> None:
    one = study(without=True)
    assert plan_of(plan(one)) is None
    assert Results(one, str(tmp_path)).plan.sweeps == plan(one).sweeps
    assert list(screen.scores(Results(one, str(tmp_path))).columns) == list(screen.COLUMNS)


# -- launching
# -----------------------------------------------------------------------------------------------------------


def test_the_best_pairs_alone_are_run_and_a_second_launch_runs_nothing(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    done = run()
    assert ran(done) == (SCORES, 2 * PER_PAIR)
    assert done.scores is not None
    # Three source models for both, each once a repetition.
    assert (done.scores.done["stage done"], done.agenda.done["stage done"]) == (6, 0)
    assert (done.spared, done.agenda.left, done.failed) == (4 * PER_PAIR, 0, 0)
    assert dropped(done.verdicts) == [
        f"domain={domain}, source={source}"
        for domain in ("uci", "usps")
        for source in ("mid", "small")
    ]
    assert {row["source"] for row in numbers(study(), tmp_path / "results")} == {"big"}
    again = run()
    assert (ran(again), again.agenda.reused) == ((0, 0), 2 * PER_PAIR)


def test_a_score_that_says_the_contrary_keeps_the_others(run: Callable[..., Launched]) -> None:
    assert {
        label.partition("source=")[2] for label in dropped(run("screen.by=contrary").verdicts)
    } == {"big", "mid"}


def test_keeping_all_is_the_study_without_a_screen(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    run(folder="plain", without=True)
    done = run("screen.keep=all", folder="all")
    assert (ran(done), done.spared) == ((SCORES, ALL), 0)
    assert ids(Results(study("screen.keep=all"), str(tmp_path / "all")).plan) == ids(
        plan(study(without=True))
    )
    assert numbers(study(without=True), tmp_path / "plain") == numbers(
        study("screen.keep=all"), tmp_path / "all"
    )


def test_raising_keep_only_adds(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    run()
    before = ids(Results(study(), str(tmp_path / "results")).plan)
    two = run("screen.keep=2")
    assert (ran(two), two.agenda.reused) == ((0, 2 * PER_PAIR), 2 * PER_PAIR)
    assert before < ids(Results(study("screen.keep=2"), str(tmp_path / "results")).plan)
    rest = run("screen.keep=null", "screen.margin=1.0")
    assert ran(rest) == (0, 2 * PER_PAIR)
    # What was run stays where it is, and is no part of a study that keeps less.
    less = study()
    assert len(numbers(less, tmp_path / "results")) == 2 * PER_PAIR
    assert len(numbers(less, tmp_path / "results", all_pairs=True)) == ALL


def test_a_pair_whose_score_fails_is_kept_and_told(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    done = run("screen.scores=[shaky]")
    assert ran(done) == (8, 4 * PER_PAIR)
    assert done.failed == 4
    assert {
        verdict.pair.label for verdict in done.verdicts if verdict.value is None and verdict.kept
    } == {"domain=uci, source=mid", "domain=usps, source=mid"}
    said = closing_lines(study("screen.scores=[shaky]"), Given("study.yaml"), done)
    assert (
        "  kept    domain=uci, source=mid: its shaky is not known, 0 of 2 repetitions have it"
        in said
    )
    assert (
        len(status(Results(study("screen.scores=[shaky]"), str(tmp_path / "results"))).failures)
        == 4
    )
    (tmp_path / "mended").touch()
    # It runs again, and is dropped like any other: its trials are there by then.
    mended = run("screen.scores=[shaky]")
    assert (ran(mended), mended.failed, mended.spared) == ((4, 0), 0, 4 * PER_PAIR)


class KilledAfter:
    """Ends the process, as SIGKILL would, or interrupts it, after so many ends."""

    def __init__(self, ends: int, number: int = signal.SIGKILL) -> None:
        self.ends, self.number = ends, number

    def started(self, agenda: Agenda, job: Job) -> None: ...
    def tick(self, agenda: Agenda) -> None: ...
    def note(self, text: str) -> None: ...

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        self.ends -= 1
        if self.ends == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("ends", [10, 33])
def test_a_killed_launch_goes_on_where_it_was(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path, ends: int
) -> None:
    """In the middle of the scores, and of the trials; six of the ends are of source models."""
    run(folder="whole")
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from test_results_screen import KilledAfter; from htsweep.launching import launch\n"
        "from htsweep.planning.reading import read\n"
        "launch(read(sys.argv[1]), sys.argv[2], on='inline', mirror=None, "
        f"watch=KilledAfter({ends}))\n"
    )
    words = [
        sys.executable,
        "-c",
        code,
        str(study().file),
        str(tmp_path / "killed"),
        str(Path(__file__).parent),
    ]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    rest = run(folder="killed")
    assert sum(ran(rest)) == SCORES + 2 * PER_PAIR - (ends - 6)
    assert numbers(study(), tmp_path / "killed") == numbers(study(), tmp_path / "whole")


def test_an_interrupt_among_the_scores_ends_the_launch(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    done = launch(
        study(),
        str(tmp_path / "results"),
        on="inline",
        mirror=None,
        watch=KilledAfter(10, signal.SIGINT),
    )
    assert (done.interrupted, done.agenda.closed, ran(done)[1]) == (True, "interrupted", 0)
    assert done.scores is not None
    assert done.scores.left > 0
    assert "Interrupted; nothing is lost" in "\n".join(
        closing_lines(study(), Given("study.yaml"), done)
    )
    assert ran(run())[1] == 2 * PER_PAIR


def test_budgets_hold_over_both_and_that_of_trials_counts_the_study_s_own(
    run: Callable[..., Launched],
) -> None:
    done = run("budget.trials=3")
    assert ran(done) == (SCORES, 3)
    none = run("budget.wall_hours=0", folder="none")
    assert (ran(none), none.agenda.closed) == ((0, 0), "budget of 0 wall hours")
    assert none.agenda.left == ALL


def test_hours_that_scores_used_up_are_used_up(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    """As if the scores had been computed on a GPU, in two hours each."""
    scored = plan_of(plan(study()))
    assert scored is not None
    ledger = Ledger(Store(tmp_path / "results"))
    for point, repetition, trial in scored.trials():
        ledger.append(
            Record(
                trial,
                "trial",
                "done",
                scored.task.name,
                json.dumps(dict(point.config)),
                repetition,
                gpu=1.0,
                seconds=7200.0,
                steps=1,
            ),
            [{"step": 0, "transferability": 0.5}],
        )
    spent = 2 * SCORES
    done = run(f"budget.gpu_hours={spent}")
    assert (ran(done), done.agenda.closed, done.agenda.left) == (
        (0, 0),
        f"budget of {spent} GPU hours",
        ALL,
    )
    # All scores are equal: nothing is dropped.
    assert ran(run(f"budget.gpu_hours={spent + 1}")) == (0, ALL)


@pytest.mark.ray
def test_ray_and_inline_agree(
    run: Callable[..., Launched],
    study: Callable[..., Study],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = []
    enter = Ray.__enter__
    monkeypatch.setattr(Ray, "__enter__", lambda ray: connections.append(ray) or enter(ray))
    run(folder="inline")
    done = launch(study(), str(tmp_path / "ray"), mirror=None)
    launch(study(), str(tmp_path / "ray"), mirror=None)
    assert len(connections) == 1  # one for both, and none where nothing is to do
    assert (ran(done), done.failed, done.spared) == ((SCORES, 2 * PER_PAIR), 0, 4 * PER_PAIR)
    assert numbers(study(), tmp_path / "ray") == numbers(study(), tmp_path / "inline")
    both = [
        screen.scores(Results(study(), str(tmp_path / folder)))
        .drop(columns="seconds")
        .to_dict("records")
        for folder in ("ray", "inline")
    ]
    assert both[0] == both[1]


def test_an_adaptive_sampler_is_screened_as_well(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    search = [
        "search={sampler: tpe, trials: 3, spaces: {all: {rate: {low: 0.0, high: 0.5}}}}",
        "objectives=[{metric: validation/seen_accuracy}]",
    ]
    told = estimate(Results(study(*search), str(tmp_path / "results"))).lines()
    assert any("will spare 48 of 72 trials" in line for line in told)
    done = run(*search)
    assert (ran(done), done.spared) == ((SCORES, 24), 48)
    assert ran(run(*search)) == (0, 0)
    assert estimate(Results(study(*search), str(tmp_path / "results"))).trials_to_run == 0


# -- tables and the mirror
# ----------------------------------------------------------------------------------------------


def test_the_table_of_scores(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    run()
    table = screen.scores(Results(study(), str(tmp_path / "results")))
    assert set(table) >= {*screen.COLUMNS, "domain", "source", "part/worth"}
    assert len(table) == SCORES
    worth = {"big": 0.9, "mid": 0.6, "small": 0.3}
    for row in table.to_dict("records"):
        sign = 1 if row["score"] == "worth" else -1
        assert row["value"] == pytest.approx(
            sign * worth[row["source"]] + 0.001 * row["repetition"]
        )
        assert (row["target"], row["part/worth"]) == (row["domain"], worth[row["source"]])
        assert row["kept"] == (row["source"] == "big")
        assert row["seconds"] > 0
    assert table.groupby("pair")[["domain", "source"]].nunique().eq(1).all(axis=None)


def test_scores_go_to_the_mirror_with_the_trials(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    from htsweep.mirror import updating
    from htsweep.mirror.coverage import MirroredRows

    run()
    members = MirroredRows(Results(study(), str(tmp_path / "results")))
    rows = Ledger(Store(tmp_path / "results")).fresh(set())
    tags = [one.tags for row, measured in rows for one in updating.runs_of(members, row, measured)]
    assert len(tags) == SCORES + 2 * PER_PAIR
    assert (
        sorted(one["score"] for one in tags if "score" in one) == ["contrary"] * 12 + ["worth"] * 12
    )
    assert sorted(one["method"] for one in tags if "method" in one) == ["l2sp"] * 4 + ["plain"] * 4
    assert all(one["domain"] and one["source"] for one in tags)
