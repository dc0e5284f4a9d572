"""What a trial hands over is kept at the steps that are wanted, before its record, whatever dies in between."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from answering import answering, run

from htsweep.errors import HtsweepError
from htsweep.execution import trial
from htsweep.execution.conditions import stopped_as
from htsweep.execution.work import Conditions, Work
from htsweep.execution.workspace import Workspace
from htsweep.ledger import Ledger, Store, kept
from htsweep.planning import metrics
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan
from htsweep.results import Results

ALL = "metrics: [ece, per_class_accuracy, 'own_metrics:right', 'own_metrics:by_group', auroc]\n"


def rows(folder: Path) -> list[dict]:
    return Ledger(Store(folder)).measurements().to_pylist()


def objects(folder: Path) -> dict[str, str | None]:
    table = Ledger(Store(folder)).trials(["trial", "artifact"]).to_pylist()
    return {row["trial"]: kept.of(row["artifact"]) for row in table}


@pytest.mark.parametrize(("keep", "steps"), [("every", [0, 1, 2]), ("final", [2])])
def test_the_record_names_the_object_with_the_steps_that_are_kept(tmp_path, keep, steps):
    study = answering(tmp_path)
    assert {end.status for end in run(study, tmp_path / "r", keep)} == {"done"}
    for name in objects(tmp_path / "r").values():
        assert name is not None
        held = kept.read(Store(tmp_path / "r"), name)
        assert list(held) == steps
        assert {split for own in held.values() for split in own} == {"test", "source"}


@pytest.mark.parametrize("features", [True, False])
def test_features_are_kept_and_given_to_metrics_where_they_are_asked_for(tmp_path, features):
    study = answering(tmp_path, "metrics: ['own_metrics:wide']\n")
    run(study, tmp_path / "r", features=features)
    assert {row["test/wide"] for row in rows(tmp_path / "r")} == {2.0 if features else -1.0}
    results = Results(study, str(tmp_path / "r"))
    for name in objects(tmp_path / "r"):
        for step, splits in results.outputs(name).items():
            for held in splits.values():
                assert (held.features is not None) == features
                if held.features is not None:
                    assert held.features == pytest.approx(held.logits[:, :2] - step, abs=0.01)
    with pytest.raises(HtsweepError, match="no trial 'none'"):
        results.outputs("none")


def test_a_trial_that_kept_no_features_before_it_was_killed_goes_on(tmp_path):
    study = answering(tmp_path, f"fixed: {{dies: {tmp_path / 'once'}}}\n")
    [job] = [plan(study).job(point, 0) for point in list(plan(study).points)[:1]]
    conditions = Conditions(str(tmp_path / "r"), keep="every", save_seconds=0.0)
    child = os.fork()
    if child == 0:
        trial.run(Work(job, conditions))
        os._exit(0)  # never reached: the task ends the process
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert trial.run(Work(job, replace(conditions, features=True))).status == "done"
    held = Results(study, str(tmp_path / "r")).outputs(job.trial)
    assert sorted(held) == [0, 1, 2]
    assert held[2]["test"].features is None  # not kept of all steps


def test_nothing_is_kept_where_nothing_is_to_be(tmp_path):
    study = answering(tmp_path)
    run(study, tmp_path / "r", "nothing")
    assert set(objects(tmp_path / "r").values()) == {None}
    assert not (tmp_path / "r" / "logits").exists()


@pytest.mark.parametrize("keep", ["every", "final", "nothing"])
def test_metrics_are_columns_of_every_step_and_what_is_kept_gives_them_again(tmp_path, keep):
    study = answering(tmp_path, ALL)
    run(study, tmp_path / "r", keep)
    table = rows(tmp_path / "r")
    assert all(row["test/right"] == row["test/overall_accuracy"] for row in table)
    assert {"validation/source_right", "test/by_group_missing", "test/per_class_accuracy_5"} <= set(
        table[0]
    )
    again = [metrics.find(name) for name in study.metrics]
    compared = 0
    for name, object_ in objects(tmp_path / "r").items():
        for step, outputs in (kept.read(Store(tmp_path / "r"), object_) if object_ else {}).items():
            [row] = [row for row in table if row["trial"] == name and row["step"] == step]
            found = metrics.measured(again, outputs)
            assert found == {column: row[column] for column in found}, "bit for bit"
            assert (
                not any(row.get(column) for column in row if "ece" in column) or "test/ece" in found
            )
            compared += len(found)
    assert (compared > 0) == (keep != "nothing")


def test_a_metric_changes_no_number_that_the_task_draws(tmp_path):
    plain, measured = (
        answering(tmp_path / "a"),
        answering(tmp_path / "b", "metrics: ['own_metrics:drawing', auroc]\n"),
    )
    run(plain, tmp_path / "a" / "r")
    run(measured, tmp_path / "b" / "r")
    drawn = [[row["train/drawn"] for row in rows(tmp_path / x / "r")] for x in "ab"]
    assert drawn[0] == drawn[1]


def test_a_metric_that_always_raises_fails_the_trial_before_it_trains(tmp_path):
    study = answering(tmp_path, "metrics: ['own_metrics:broken']\n")
    [first, *_] = run(study, tmp_path / "r")
    assert first.status == "failed"
    assert "metric own_metrics:broken raised IndexError" in first.reason
    assert "(own_metrics.py, line " in first.reason
    assert len(rows(tmp_path / "r")) <= 4, "one step of each trial"


def test_a_metric_that_gives_no_number_says_so(tmp_path):
    [first, *_] = run(answering(tmp_path, "metrics: ['own_metrics:wordy']\n"), tmp_path / "r")
    assert "gives a number, or a mapping of numbers, but gave str for test/wordy" in first.reason


def test_a_metric_that_raises_later_costs_no_training(tmp_path):
    text = "task: quick_task:answering\nfixed: {spread: 0.1, steps: 20}\nmetrics: ['own_metrics:late']\n"
    study = answering(tmp_path, text=text)
    [end] = run(study, tmp_path / "r")
    assert end.status == "done"
    table = rows(tmp_path / "r")
    assert len(table) == 21
    assert table[0]["test/late"] == 1.0
    assert table[-1]["test/late"] is None
    [log] = (tmp_path / "r" / "logs").iterdir()
    assert (
        "not measured at step 20: metric own_metrics:late raised ValueError: too sure"
        in log.read_text()
    )


def test_a_trial_that_is_killed_and_goes_on_keeps_what_one_that_is_not_keeps(tmp_path):
    study = answering(tmp_path, ALL, text="task: quick_task:answering\nrepetitions: 1\n")
    run(study, tmp_path / "whole")
    job = plan(study).job(*next((point, number) for point, number, _ in plan(study).trials()))
    mark = tmp_path / "died"
    for results in ("killed",):
        conditions = Conditions(
            str(tmp_path / results),
            keep="every",
            metrics=tuple(study.metrics),
            save_seconds=0.0,
            paths=(str(tmp_path),),
        )
        config = {**job.config, "dies": str(mark)}
        work = Work(job.__class__(job.trial, job.kind, job.task, config, 0), conditions)
        child = os.fork()
        if child == 0:
            try:
                trial.run(work)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert mark.exists()
        assert trial.run(work).status == "done"
    whole, killed = (objects(tmp_path / name)[job.trial] for name in ("whole", "killed"))
    assert whole.rpartition("/")[2] == killed.rpartition("/")[2], "named by what it holds"
    assert (tmp_path / "killed" / killed).read_bytes() == (tmp_path / "whole" / whole).read_bytes()
    asked = [
        {name: value for name, value in row.items() if name.startswith("test/")}
        for row in rows(tmp_path / "killed")
    ]
    assert asked == [{name: row[name] for name in asked[0]} for row in rows(tmp_path / "whole")]


def test_what_a_stage_hands_over_is_nobodys_result(tmp_path):
    study = answering(tmp_path)
    job = plan(study).job(*next((point, number) for point, number, _ in plan(study).trials()))
    stage = job.__class__("s", "stage", job.task, job.config, 0)
    conditions = Conditions(str(tmp_path / "r"), keep="every", metrics=("ece",))
    assert trial.run(Work(stage, conditions)).status == "done"
    assert objects(tmp_path / "r") == {"s": None}
    assert "test/ece" not in rows(tmp_path / "r")[0]


def test_a_trial_is_stopped_by_a_metric_and_keeps_its_last_step(tmp_path):
    study = answering(
        tmp_path,
        "metrics: ['own_metrics:right']\nstop: {first: 1, eta: 2}\n"
        "objectives: [{metric: validation/source_right}]\n",
        text="task: quick_task:answering\ngrid: {spread: [0.1, 9.0, 8.0, 7.0]}\nfixed: {steps: 5}\n",
    )
    planned = plan(study)
    conditions = stopped_as(
        study, Conditions(str(tmp_path / "r"), keep="final", metrics=tuple(study.metrics))
    )
    jobs = [planned.job(point, number) for point, number, _ in planned.trials()]
    # Of one sweep, so that they compete
    ends = [trial.run(Work(replace(job, sweep="s"), conditions)) for job in jobs]
    assert "stopped" in {end.status for end in ends}
    for end in ends:
        [name] = end.artifact.values()
        [step] = kept.read(Store(tmp_path / "r"), name)
        steps = [row["step"] for row in rows(tmp_path / "r") if row["trial"] == end.trial]
        assert step == max(steps)
        assert (step < 5) == (end.status == "stopped")


def test_an_artifact_is_fetched_once_by_trials_that_start_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    store, data = Store(tmp_path / "r"), b"weights"
    digest = hashlib.sha256(data).hexdigest()[:16]
    store.write(f"artifacts/s/{digest}-model", data)
    fetched = []

    class Slow:
        def read(self, name):
            fetched.append(name)
            time.sleep(0.2)
            return store.read(name)

    artifacts = {"source": {"model": f"artifacts/s/{digest}-model"}}
    job = Job("t", "trial", "toy", {}, 0)
    spaces = [Workspace(job, Slow(), artifacts, list) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda space: space.artifact("source"), spaces))
    assert {(folder / "model").read_bytes() for folder in folders} == {data}
    assert len(fetched) == 1


def test_a_cut_off_attempt_does_not_change_what_another_goes_on_from(tmp_path):
    """Rows and state are of one moment, although the first attempt still saves, and deletes what it saved before."""
    store = Store(tmp_path / "r")
    planned = plan(answering(tmp_path))
    job = planned.job(next(iter(planned.points)), 0)
    first_rows = [{"step": 0, "a": 1.0}]
    first = Workspace(job, store, {}, lambda: first_rows, save_seconds=0.0)
    first.save(lambda: b"first")
    second = Workspace(job, store, {}, list)
    assert second.measured_before() == first_rows
    first_rows.append({"step": 1, "a": 2.0})
    first.save(lambda: b"later")
    assert second.load() == b"first"
    first.close(ended=False)
    second.close(ended=True)
    assert list(store.list("states")) == []


def test_a_trial_lists_its_states_in_a_bucket_once(tmp_path, monkeypatch):
    listed = []
    store = Store(tmp_path / "r")
    planned = plan(answering(tmp_path))
    job = planned.job(next(iter(planned.points)), 0)
    whole = Store.list
    monkeypatch.setattr(Store, "folder", None)
    monkeypatch.setattr(
        Store, "list", lambda self, prefix: listed.append(prefix) or whole(self, prefix)
    )
    space = Workspace(job, store, {}, list, save_seconds=0.0)
    assert space.measured_before() == []
    assert space.load() is None
    for state in (b"1", b"2"):
        space.save(lambda state=state: state)
    assert [entry.name.split("/")[1] for entry in whole(store, "states")] == [job.trial]
    space.close(ended=True)
    assert listed == [f"states/{job.trial}"]
    assert list(whole(store, "states")) == []
