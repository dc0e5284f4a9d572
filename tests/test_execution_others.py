"""Several launches share a study: each trial runs in one of them, and all learn from all."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from htsweep.execution import agenda as agenda_module
from htsweep.execution import others as others_module
from htsweep.execution.agenda import Agenda
from htsweep.execution.conditions import conditions_of
from htsweep.execution.ending import End, log_of, record
from htsweep.execution.others import Others
from htsweep.execution.work import Outcome, Work
from htsweep.launching import agenda_of
from htsweep.ledger import Lease, Store
from htsweep.planning.jobs import Job
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.study.schema import Study

GRID = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 2\n"
TASK = """
def source(config, workspace):
    yield {"step": 0, "train/loss": 1.0}

def run(config, workspace):
    yield {"step": 0, "validation/score": 1.0}

run.stages = lambda config: {"source": (__name__ + ":source", {})}
"""
STAGED = "task: staged_task:run\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n"
ADAPTIVE = (
    "task: toy\nrepetitions: 2\nobjectives: [{metric: validation/score}]\n"
    "search: {sampler: tpe, trials: 6, spaces: {all: {x: {low: 0, high: 1}}}}\n"
)

Launch = Callable[..., tuple[Agenda, Others]]


@pytest.fixture
def begin(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Launch]:
    """Begins a launch of a study that shares its trials, without an executor."""
    monkeypatch.setattr(others_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(agenda_module, "CHECK_SECONDS", 0.0)
    leases: list[Lease] = []
    study_file(TASK, "staged_task.py")

    def launch(text: str, *overrides: str) -> tuple[Agenda, Others]:
        study = read(study_file(text), overrides)
        store = Store(tmp_path / "results")
        lease = Lease(store, f"study-{study.study}", shared=True)
        assert lease.take() is None
        leases.append(lease)
        others = Others(store, lease, trials=True, metrics=[one.metric for one in study.objectives])
        results = Results(study, store.uri)
        return agenda_of(results, results.plan, others), others

    yield launch
    for lease in leases:
        lease.release()


def end(agenda: Agenda, job: Job, status: str = "done", reason: str = "") -> None:
    """Records the end of a job as its worker would, and tells the agenda."""
    study: Study = agenda.plan.study
    folder = agenda.others._store.uri  # type: ignore[union-attr]
    work = Work(job, conditions_of(study, folder), attempt=agenda.attempt(job))
    rows = [{"step": 0, "validation/score": 0.5}] if status == "done" else []
    log = log_of(work, Store(folder))
    log.end()
    outcome: Outcome = record(
        work, End(status, reason or None), started=time.time(), log=log, measured=rows
    )
    agenda.end(job, outcome)


def take(agenda: Agenda) -> list[Job]:
    return list(iter(agenda.next, None))


def test_each_trial_is_handed_out_by_one_launch_and_all_see_it_end(begin: Launch) -> None:
    (first, _), (second, _) = begin(GRID), begin(GRID)
    ours = [first.next() for _ in range(2)]
    theirs = take(second)
    assert len(theirs) == 4
    assert not {job.trial for job in ours if job} & {job.trial for job in theirs}
    assert not second.finished
    for job in ours:
        assert job is not None
        end(first, job)
    for job in theirs:
        end(second, job)
    assert take(first) == take(second) == []
    assert first.finished
    assert second.finished
    assert (first.over, second.over, first.left, second.left) == (6, 6, 0, 0)
    assert (first.elsewhere["done"], second.elsewhere["done"]) == (4, 2)


def test_a_launch_that_leaves_gives_up_what_it_has_not_ended(begin: Launch) -> None:
    (first, others), (second, _) = begin(GRID), begin(GRID)
    ours = take(first)
    assert take(second) == []
    end(first, ours[0])
    others.leave()
    taken = []
    while not second.finished:
        job = second.next()
        if job is not None:
            taken.append(job.trial)
            end(second, job)
    assert sorted(taken) == sorted(job.trial for job in ours[1:])
    assert second.over == 6


def test_what_failed_in_one_launch_is_not_tried_again_and_again_by_all(begin: Launch) -> None:
    text = GRID.replace("0.5, 0.9", "").replace("repetitions: 2", "repetitions: 1")
    text += "retry: {attempts: 2, reasons: [died]}\n"
    (first, others), (second, rest) = begin(text), begin(text)
    job = first.next()
    assert job is not None
    end(first, job, "failed", "died: killed")
    others.leave()
    again = second.next()
    assert again is not None
    assert second.attempt(again) == 2
    end(second, again, "failed", "died: killed")
    assert second.next() is None
    assert second.finished
    rest.leave()
    third, _ = begin(text)
    assert third.next() is not None  # a launch that comes later tries again, as ever


def test_a_failure_that_is_not_retried_ends_the_trial_for_all(begin: Launch) -> None:
    (first, _), (second, _) = begin(GRID), begin(GRID)
    jobs = take(first)
    assert second.next() is None
    for job in jobs:
        end(first, job, "failed", "error: a mistake")
    assert second.next() is None
    assert second.finished
    assert second.elsewhere["failed"] == 6


def test_a_stage_is_made_once_and_the_trials_behind_it_are_shared(begin: Launch) -> None:
    (first, _), (second, _) = begin(STAGED), begin(STAGED)
    stages = [first.next(), first.next()]
    assert {job.kind for job in stages if job} == {"stage"}
    assert second.next() is None
    for stage in stages:
        assert stage is not None
        end(first, stage)
    ours, theirs = first.next(), second.next()
    assert ours is not None
    assert theirs is not None
    assert (ours.kind, theirs.kind) == ("trial", "trial")
    assert ours.trial != theirs.trial
    assert second.made == {"staged_task:source": 2}


def test_launches_propose_each_point_once_and_learn_from_each_other(begin: Launch) -> None:
    """The sampler of one has the points, and the results, of the other."""
    (first, _), (second, _) = begin(ADAPTIVE), begin(ADAPTIVE)
    seen: dict[str, tuple[int, Any]] = {}
    while not (first.finished and second.finished):
        jobs = [(agenda, job) for agenda in (first, second) if (job := agenda.next())]
        assert len({job.trial for _, job in jobs}) == len(jobs)
        for agenda, job in jobs:
            assert job.trial not in seen
            seen[job.trial] = (job.index, job.config["x"])
            end(agenda, job)
    assert len(seen) == 12
    assert sorted({index for index, _ in seen.values()}) == [0, 1, 2, 3, 4, 5]
    assert len(set(seen.values())) == 6
    for agenda in (first, second):
        assert agenda._proposals is not None
        measured = agenda._proposals._measured
        assert sum(len(values) for values in measured.values()) == 12
        assert {values for each in measured.values() for values in each.values()} == {(0.5,)}


def test_a_budget_of_trials_counts_those_of_all(begin: Launch) -> None:
    (first, _), (second, _) = begin(GRID, "budget.trials=4"), begin(GRID, "budget.trials=4")
    ours = [first.next() for _ in range(3)]
    assert len(take(second)) == 1
    assert second.closed == "budget of 4 trials"
    assert None not in ours
