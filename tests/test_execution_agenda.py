"""What an agenda hands out: the plan's order, stages first, and a little of a plan that has no end."""

import itertools
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from large import BILLION, MERGED, TASKS, Built

from htsweep.execution.agenda import AHEAD, Agenda, EarlierRun
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read

STAGED = (
    "task: large_tasks:merging\ngrid: {b: [1, 2]}\nrepetitions: 3\n"
    "search: {spaces: {all: {a: [0.1, 0.2, 0.9, 1.1, 2.6], c: [x, y]}}}\n"
)
THOUSAND = list(range(1000))
ENDLESS = f"task: large_tasks:merging\ngrid: {{b: [1, 2]}}\nsearch: {{spaces: {{all: {{a: {THOUSAND}, c: {THOUSAND}}}}}}}\n"
ADAPTIVE = (
    "task: toy\nobjectives: [{metric: validation/score}]\nrepetitions: 2\n"
    "search: {sampler: tpe, trials: 8, spaces: {all: {x: {low: 0, high: 1}}}}\n"
)


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[..., Plan]:
    study_file(TASKS, "large_tasks.py")
    return lambda text, *overrides: plan(read(study_file(text), overrides))


def outcome(job: Job, status: str = "done") -> Outcome:
    score = int(job.trial[:6], 16) / 2**24
    return Outcome(
        job.trial,
        status,
        "raised: no" if status == "failed" else None,
        1.0,
        values={"validation/score": score},
        artifact={"made": "here"} if job.kind == "stage" else {},
    )


def run(
    agenda: Agenda,
    fails: Callable[[Job], bool] = lambda job: False,
    slots: int = 1,
    most: int = 10**6,
) -> list[Job]:
    """Runs up to `most` jobs of the agenda, `slots` at once, which end in any order; what was handed out."""
    agenda.slots, chance = slots, random.Random(slots)
    handed: list[Job] = []
    running: list[Job] = []
    while not agenda.finished and len(handed) < most:
        while len(running) < slots and (job := agenda.next()) is not None:
            handed.append(job)
            running.append(job)
        if running:
            job = running.pop(chance.randrange(len(running)))
            agenda.end(job, outcome(job, "failed" if fails(job) else "done"))
    return handed


def past(jobs: list[Job]) -> Mapping[str, EarlierRun]:
    return {job.trial: EarlierRun("done", artifact={"made": "here"}, kind=job.kind) for job in jobs}


def test_trials_come_in_the_plan_s_order_and_stages_before_them(
    planned: Callable[..., Plan],
) -> None:
    found = planned(STAGED)
    handed = run(Agenda(found, {}))
    assert [job.trial for job in handed if job.kind == "trial"] == [
        trial for *_, trial in found.trials()
    ]
    stages = list(found.stages((point, repetition) for point, repetition, _ in found.trials()))
    assert {job.trial for job in handed[: len(stages)]} == set(stages)
    made: set[str] = set()
    for job in handed:
        assert made.issuperset(job.stages.values())
        made.add(job.trial)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("text", [STAGED, STAGED.replace("merging", "dropping")])
def test_what_is_not_listed_is_handed_out_alike(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, text: str, slots: int
) -> None:
    """Also where some fail, and where some are done already."""
    listed = planned(text)
    before = past(run(Agenda(listed, {}), most=12))
    for fails in (lambda job: False, lambda job: int(job.trial, 16) % 5 == 0):
        for done in ({}, before):
            agenda = Agenda(listed, done)
            expected = run(agenda, fails, slots)
            with monkeypatch.context() as patch:
                patch.setattr("htsweep.planning.plan.MOST_LISTED", 0)
                large = planned(text)
                found = Agenda(large, done)
                assert (large.exact, found.total >= agenda.total) == (False, True)
                assert run(found, fails, slots) == expected
            assert (found.total, found.exact, found.left, found.reused) == (
                agenda.total,
                True,
                agenda.left,
                agenda.reused,
            )
            assert (found.done, found.blocked) == (agenda.done, agenda.blocked)
            assert agenda.left == 0


def test_a_launch_of_a_billion_makes_few_points(planned: Callable[..., Plan], built: Built) -> None:
    agenda = Agenda(planned(BILLION), {})
    handed = run(agenda, most=100)
    assert [job.index for job in handed] == list(range(100))
    assert (agenda.total, agenda.exact, agenda.left) == (10**9, False, 10**9 - 100)
    assert built.points <= 2 * AHEAD
    # It goes on behind what is done, and ends with its budget.
    again = Agenda(planned(BILLION, "budget.trials=103"), past(handed))
    assert (again.reused, again.left) == (100, 10**9 - 100)
    assert [job.index for job in run(again)] == [100, 101, 102]
    assert again.closed == "budget of 103 trials"


def test_points_that_mean_the_same_are_run_once_and_counted_once(
    planned: Callable[..., Plan],
) -> None:
    """The arithmetic says 600 of 90,000: no point is left when they have ended."""
    agenda = Agenda(planned(MERGED), {})
    assert (agenda.total, agenda.left) == (600, 600)
    handed = run(agenda)
    assert len({job.point for job in handed if job.kind == "trial"}) == 600
    assert (agenda.total, agenda.exact, agenda.left, agenda.finished) == (600, True, 0, True)


def test_a_billion_repetitions(planned: Callable[..., Plan]) -> None:
    agenda = Agenda(planned("task: toy\ngrid: {x: [0.1, 0.2]}\nrepetitions: 500000000\n"), {})
    assert [job.repetition for job in run(agenda, most=6)] == [0, 0, 1, 1, 2, 2]
    assert (agenda.total, agenda.left) == (10**9, 10**9 - 6)


def test_a_stage_that_fails_under_a_million_trials_ends_the_launch(
    planned: Callable[..., Plan], built: Built
) -> None:
    """Only so many are looked at: the rest would want the same stage."""
    agenda = Agenda(planned(ENDLESS), {})
    handed = run(agenda, lambda job: job.kind == "stage")
    assert {job.kind for job in handed} == {"stage"}
    assert agenda.finished
    assert AHEAD <= len(agenda.blocked) <= 2 * AHEAD
    assert built.points <= 5 * AHEAD
    assert agenda.left > 10**6


def test_trials_that_wait_for_a_stage_are_no_more_than_are_needed(
    planned: Callable[..., Plan], built: Built
) -> None:
    agenda = Agenda(planned(ENDLESS), {})
    stage = agenda.next()
    assert stage is not None
    assert stage.kind == "stage"
    for _ in range(3):
        assert agenda.next() is None
    assert not agenda.finished
    assert built.points <= 4 * AHEAD
    agenda.end(stage, outcome(stage))
    assert next(iter(itertools.islice(iter(agenda.next, None), 1))).kind == "stage"


def test_an_adaptive_search_is_told_each_trial_once(planned: Callable[..., Plan]) -> None:
    whole = Agenda(planned(ADAPTIVE), {})
    handed = run(whole)
    assert [(job.index, job.repetition) for job in handed] == [
        (index, repetition) for index in range(8) for repetition in (0, 1)
    ]
    assert (whole.left, whole.finished) == (0, True)
    # Half of it was run before: the other half is the same.
    found = planned(ADAPTIVE)
    points = {point.id: point for point in whole._proposals.points}  # type: ignore[union-attr]
    before = {
        job.trial: EarlierRun(
            "done", values=outcome(job).values, kind="trial", point=points[job.point]
        )
        for job in handed[:9]
    }
    rest = run(Agenda(found, before))
    assert [job.trial for job in rest] == [job.trial for job in handed[9:]]


def test_an_adaptive_search_without_end_is_proposed_as_far_as_it_is_run(
    planned: Callable[..., Plan], built: Built
) -> None:
    text = ADAPTIVE.replace("trials: 8", "trials: 1000000000")
    agenda = Agenda(planned(text), {})
    assert len(run(agenda, most=12)) == 12
    assert built.points <= 7
    many = Agenda(planned(text, "repetitions=1000000000"), {})
    assert [job.repetition for job in run(many, most=12)] == list(range(12))


def test_a_job_that_is_taken_back_is_the_same_attempt(planned: Callable[..., Plan]) -> None:
    agenda = Agenda(planned(STAGED, "budget.trials=2"), {})
    stage = agenda.next()
    assert stage is not None
    agenda.requeue(stage)
    assert agenda.next() == stage
    assert agenda.attempt(stage) == 1
    failed = Agenda(planned(STAGED), {stage.trial: EarlierRun("failed", attempt=3)})
    again = failed.next()
    assert again == stage
    assert failed.attempt(stage) == 4
