"""What a launch shows of its best points while it runs: the means so far, however many points there are."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from large import BILLION
from rich.console import Console

from htsweep.cli.progress import Progress
from htsweep.execution.agenda import Agenda
from htsweep.execution.load import Node
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.study.schema import Study


def grid() -> Plan:
    values = [round(0.05 * number, 2) for number in range(8)]
    return plan(
        Study(study="s", task="toy", grid={"noise": [0.0, 0.1], "x": values}, repetitions=2)
    )


def test_of_a_search_without_end_it_says_at_most(study_file: Callable[..., Path]) -> None:
    said = io.StringIO()
    agenda, shown = (
        Agenda(plan(read(study_file(BILLION))), {}),
        Progress("large", Console(file=said)),
    )
    shown.last(agenda)
    assert (
        said.getvalue()
        == "large: 0 of at most 1000000000 trials done, 0 running, 0 failed, 0 s elapsed, ETA unknown\n"
    )


def test_the_last_line_of_a_launch_that_is_done_promises_no_time() -> None:
    said = io.StringIO()
    agenda, shown = Agenda(grid(), {}), Progress("s", Console(file=said))
    while (job := agenda.next()) is not None:
        outcome = Outcome(job.trial, "done")
        agenda.end(job, outcome)
        shown.ended(agenda, job, outcome)
    shown.last(agenda)
    last = said.getvalue().splitlines()[-1]
    assert (
        last == f"s: {agenda.total} of {agenda.total} trials done, 0 running, 0 failed, 0 s elapsed"
    )


STAGED = """\
def source(config, workspace):
    yield {"step": 0}

def stages(config):
    return {"source": (__name__ + ":source", {"x": config["x"]})}

def adapt(config, workspace):
    yield {"step": 0}

adapt.stages = stages
"""


def test_while_stages_are_made_it_says_how_many(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "staged_progress_module.py").write_text(STAGED)
    path = study_file("task: staged_progress_module:adapt\ngrid: {x: [1, 2, 3]}\n")
    said = io.StringIO()
    agenda = Agenda(plan(read(path)), {})
    lines = []
    while (job := agenda.next()) is not None:
        agenda.end(job, Outcome(job.trial, "done"))
        said.truncate(0)
        Progress("s", Console(file=said, width=200)).last(agenda)
        lines.append(said.getvalue().rpartition("failed")[2].strip())
    assert ", stages: source 1 of 3" in lines[0]
    assert ", stages: source 2 of 3" in lines[1]
    assert not any("stages" in line for line in lines[2:])


def test_stages_and_trials_run_apart_and_the_time_left_is_of_both(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage takes 30 s and each trial 10 s, one after another: 1 trial of 3 leaves 2 x (30 + 10) s."""
    (tmp_path / "staged_progress_module.py").write_text(STAGED)
    path = study_file("task: staged_progress_module:adapt\ngrid: {x: [1, 2, 3]}\n")
    now = [0.0]
    monkeypatch.setattr("htsweep.cli.progress.time.monotonic", lambda: now[0])
    said = io.StringIO()
    agenda = Agenda(plan(read(path)), {})
    shown = Progress("s", Console(file=said, width=300))

    def run(job: Job, seconds: float) -> None:
        shown.started(agenda, job)
        now[0] += seconds
        outcome = Outcome(job.trial, "done", seconds=seconds)
        agenda.end(job, outcome)
        shown.ended(agenda, job, outcome)

    first = agenda.next()
    assert first is not None
    assert first.kind == "stage"
    run(first, 30.0)
    waiting = [agenda.next(), agenda.next()]
    for job in waiting:
        assert job is not None
        assert job.kind == "stage"
        shown.started(agenda, job)
    trial = agenda.next()
    assert trial is not None
    run(trial, 10.0)
    shown.last(agenda)
    assert said.getvalue().splitlines()[-1] == (
        "s: 1 of 3 trials done, 0 running, 0 failed, 40 s elapsed, 80 s left, "
        "stages: source 1 of 3 (2 running)"
    )


def test_on_a_cluster_it_says_which_node_runs_what(tmp_path: Path) -> None:
    said, drawn = io.StringIO(), io.StringIO()
    agenda = Agenda(grid(), {})
    jobs = [agenda.next(), agenda.next()]
    assert jobs[0] is not None
    assert jobs[1] is not None
    agenda.nodes = [Node("gpu-1", (jobs[0].trial,)), Node("gpu-2", ())]
    lines = Progress("s", Console(file=said, width=300))
    table = Progress("s", Console(file=drawn, width=300, force_terminal=True))
    with table:
        for shown in (lines, table):
            for job in jobs:
                shown.started(agenda, job)
            shown.last(agenda)
    assert ", 2 running on 1 node, 0 failed" in said.getvalue()
    assert "now: 0.0 (repetition 0) on gpu-1, 0.05 (repetition 0)" in drawn.getvalue()


def test_results_are_written_to_standard_output_after_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = io.StringIO()
    agenda, shown = Agenda(grid(), {}), Progress("s", Console(file=said))
    shown.reported(agenda, "| table |")
    shown.last(agenda)
    assert capsys.readouterr().out == "\n| table |\n\n"
    assert len(said.getvalue().splitlines()) == 1
