"""What has failed is counted by one definition: by `plan`, by `status` and at the end of a launch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import toy

from htsweep import launching
from htsweep.cli.status import Status, status
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import Plan, plan
from htsweep.results import Results
from htsweep.results.estimate import Estimate, estimate
from htsweep.study.schema import Study

CHAIN = """\
def source(config, workspace):
    if config["seed"] in (2, 3):
        raise ValueError("no source today")
    yield {"step": 0, "train/loss": 1.0}

def middle(config, workspace):
    yield {"step": 0, "train/loss": 1.0}

middle.stages = lambda config: {"source": (__name__ + ":source", {"seed": config["seed"]})}

def adapt(config, workspace):
    if config.get("fail"):
        raise ValueError("no adaptation today")
    yield {"step": 0, "validation/score": 1.0 * config["x"]}

def stages(config):
    return {"middle": (__name__ + ":middle", {"seed": config["seed"]})} if config["seed"] else {}

adapt.stages = stages
"""
TEXT = "task: tally_module:adapt\ngrid: {x: [0, 1], seed: [0, 1, 2]}\nrepetitions: 2\n"
ENDS = st.sampled_from(
    [
        (),
        ("done",),
        ("failed",),
        ("stopped",),
        ("failed", "failed"),
        ("failed", "done"),
        ("done", "failed"),
    ]
)
numbers = itertools.count()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    (tmp_path / "tally_module.py").write_text(CHAIN)
    return tmp_path


def record(ledger: Ledger, job: Job, ends: Sequence[str]) -> None:
    """Records ends of a job, one attempt each, as a worker does."""
    for attempt, end in enumerate(ends, 1):
        ledger.append(
            Record(
                job.trial,
                job.kind,
                end,
                job.task,
                json.dumps(dict(job.config)),
                job.repetition,
                job.sweep,
                job.point,
                job.index,
                attempt=attempt,
                reason="raised: x" if end == "failed" else None,
                stages=json.dumps(dict(job.stages)),
            ),
            [],
        )


def expected(planned: Plan, ends: dict[str, Sequence[str]]) -> dict[str, int]:
    """Counted trial by trial, from the ends that were drawn."""

    def last(trial: str) -> str:
        had = ends.get(trial, ())
        return next((one for one in ("done", "stopped", "failed") if one in had), "")

    counts = dict.fromkeys(("done", "stopped", "failed", "blocked", "left"), 0)
    for point, repetition, trial in planned.trials():
        blocked = not last(trial) and any(
            last(stage) == "failed" for stage in planned.stages([(point, repetition)])
        )
        counts[last(trial) or ("failed" if blocked else "left")] += 1
        counts["blocked"] += blocked
    return counts


def of_plan(found: Estimate) -> dict[str, int]:
    return {
        "done": found.trials_done,
        "stopped": found.trials_stopped,
        "failed": found.trials_failed,
        "blocked": found.trials_blocked,
        "left": found.left,
    }


def of_status(found: Status) -> dict[str, int]:
    return {
        "done": found.done,
        "stopped": found.stopped,
        "failed": found.failed,
        "blocked": found.blocked,
        "left": found.left,
    }


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_plan_and_status_count_as_one_would_by_hand(folder: Path, data: st.DataObject) -> None:
    study = toy(folder, TEXT)
    planned = plan(study)
    results = folder / f"results-{next(numbers)}"
    ledger = Ledger(Store(results))
    ends: dict[str, Sequence[str]] = {}
    stages = planned.stages((point, repetition) for point, repetition, _ in planned.trials())
    for job in [
        *(planned.job(point, repetition) for point, repetition, _ in planned.trials()),
        *stages.values(),
    ]:
        ends[job.trial] = data.draw(ENDS)
        record(ledger, job, ends[job.trial])
    record(ledger, Job("another study's", "trial", "toy", {}, 0, point="p"), ("failed",))
    record(ledger, Job("another study's stage", "stage", "toy", {}, 0, point="s"), ("failed",))
    wanted = expected(planned, ends)
    found, stands = estimate(Results(study, str(results))), status(Results(study, str(results)))
    assert of_plan(found) == of_status(stands) == wanted
    assert sum(wanted.values()) - wanted["blocked"] == found.trials == stands.trials
    assert found.failed == wanted["failed"]
    assert (
        sum(one.kind == "trial" for one in stands.failures) == wanted["failed"] - wanted["blocked"]
    )
    assert (
        sum(one.kind == "stage" for one in stands.failures)
        == stands.stages_failed
        == found.stages_failed
    )
    assert f"{wanted['failed']} failed" in "\n".join(stands.lines())
    said = f"{wanted['failed']} failed (run again" in "\n".join(found.lines())
    assert said == (wanted["failed"] > 0)


@settings(
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 2)), min_size=1, max_size=3))
def test_a_launch_counts_as_status_does_whatever_the_launches_before(
    folder: Path, launches: list[tuple[int, int]]
) -> None:
    """Ended by its budget, tried again, failed before and not yet again: each launch ends with what `status` says then."""
    text = TEXT.replace("seed:", "fail: [0, 1], seed:")
    results = str(folder / f"results-{next(numbers)}")
    study: Study = toy(folder, text)
    for budget, attempts in launches:
        study = toy(
            folder,
            f"{text}budget: {{trials: {budget}}}\nretry: {{attempts: {attempts}, reasons: "
            f"[raised]}}\n",
        )
        done = launch(study, results, on="inline", mirror=None)
        stands = status(Results(study, results))
        assert (done.failed, done.left) == (stands.failed, stands.left)
        assert of_status(stands) == of_plan(estimate(Results(study, results)))
    done = launch(toy(folder, text), results, on="inline", mirror=None)
    # Of 24 trials those of seed 2 wait for a source that fails, and half of the others fail
    # themselves.
    assert (done.failed, done.left, done.agenda.done["trial done"] + done.agenda.reused) == (
        16,
        0,
        8,
    )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_points_that_a_sampler_proposes_count_alike(folder: Path, sampler: str) -> None:
    text = (
        f"task: tally_module:adapt\ngrid: {{seed: [1, 2]}}\nrepetitions: 2\nobjectives: [{{metric: "
        f"validation/score}}]\n"
        f"search: {{sampler: {sampler}, trials: 4, spaces: {{all: {{x: {{low: 0, high: 1}}}}}}}}\n"
    )
    study, results = toy(folder, text), str(folder / "results")
    done = launch(study, results, on="inline", mirror=None)
    stands = status(Results(study, results))
    assert (done.failed, done.left) == (stands.failed, stands.left) == (8, 0)
    assert (
        of_status(stands)
        == of_plan(estimate(Results(study, results)))
        == {"done": 8, "stopped": 0, "failed": 8, "blocked": 8, "left": 0}
    )
    assert [one.kind for one in stands.failures] == ["stage", "stage"]
    # Fewer points are asked for than the ledger has: the others are no part of it.
    fewer = toy(folder, text.replace("trials: 4", "trials: 2"))
    assert (
        of_status(status(Results(fewer, results)))
        == of_plan(estimate(Results(fewer, results)))
        == {"done": 4, "stopped": 0, "failed": 4, "blocked": 4, "left": 0}
    )


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report at a launch's end takes longer than all else, and shows nothing of what is asked here."""
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)
