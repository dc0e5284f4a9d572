"""A process for trials: whatever a trial does to it, that is recorded, and the next trial runs as if it were the first."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.execution.worker import Worker
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job

TASKS = """
import ctypes, json, os, signal, sys, threading, time

def fine(config, workspace):
    yield {"step": 0, "process": os.getpid(), "folder": float(open("mark").read()), "read": float(len(sys.stdin.read()))}

def saving(config, workspace):
    kept = workspace.load()
    for step in range(int(kept) + 1 if kept else 0, 200):
        time.sleep(0.01)
        yield {"step": step, "process": os.getpid(), "twice": 2.0 * step}
        workspace.save(lambda: str(step).encode())

def leaves(config, workspace):
    os.open("/dev/null", os.O_RDONLY)
    print("printed before the end", flush=True)
    os.write(2, b"past Python\\n")
    exec(config["code"], globals())
    yield {"step": 0, "process": os.getpid()}
"""


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def conditions(tmp_path: Path) -> Conditions:
    (tmp_path / "worker_tasks.py").write_text(TASKS)
    (tmp_path / "mark").write_text("7")
    return Conditions(
        str(tmp_path / "results"),
        time_limit=2.0,
        grace=1.5,
        paths=(str(tmp_path),),
        folder=str(tmp_path),
    )


def run(worker: Worker, conditions: Conditions, code: str = "", attempt: int = 1) -> Outcome:
    task = "worker_tasks:leaves" if code else "worker_tasks:fine"
    job = Job(f"trial{attempt}", "trial", task, {"code": code}, 0)
    return worker.run(Work(job, conditions, {}, attempt))


def test_trials_share_a_process_in_the_launch_s_folder(
    worker: Worker, conditions: Conditions
) -> None:
    first, second = run(worker, conditions, attempt=1), run(worker, conditions, attempt=2)
    assert (first.status, first.values["folder"], first.values["read"]) == ("done", 7.0, 0.0)
    assert first.values["process"] == second.values["process"]


def test_a_slow_import_of_the_task_is_not_the_trial_s_time(
    worker: Worker, conditions: Conditions, tmp_path: Path
) -> None:
    (tmp_path / "slow_tasks.py").write_text(f"import time\ntime.sleep(2.5)\n{TASKS}")
    hasty = replace(conditions, time_limit=1.5, grace=0.2)
    outcome = worker.run(Work(Job("t", "trial", "slow_tasks:fine", {}, 0), hasty, {}, 1))
    assert (outcome.status, outcome.reason) == ("done", None)


def test_an_import_that_ends_its_process_is_a_death(
    worker: Worker, conditions: Conditions, tmp_path: Path
) -> None:
    (tmp_path / "deadly_tasks.py").write_text("import os\nos._exit(4)\n")
    outcome = worker.run(Work(Job("t", "trial", "deadly_tasks:fine", {}, 0), conditions, {}, 1))
    assert outcome.reason == "died: its process ended with exit code 4"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os._exit(3)", "died: its process ended with exit code 3"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "died: its process was ended by SIGKILL, as the kernel does when memory runs out",
        ),
        ("ctypes.string_at(0)", "died: its process was ended by SIGSEGV"),
        # The interpreter's lock is held, so that no handler and no other thread of Python gets a
        # turn.
        ("sum(range(10**13))", "time_limit: ran longer than 2 s and did not answer"),
        (
            "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(60)",
            "time_limit: ran longer than 2 s and did not answer",
        ),
        (
            "os.kill(os.getpid(), signal.SIGSTOP)",
            "time_limit: ran longer than 2 s and did not answer",
        ),
        ("time.sleep(60)", "time_limit: ran longer than 2 s"),
    ],
)
def test_what_ends_the_process_is_the_trial_s_reason(
    worker: Worker, conditions: Conditions, code: str, reason: str
) -> None:
    outcome = run(worker, conditions, code)
    assert (outcome.status, outcome.reason) == ("failed", reason)
    [row] = Ledger(Store(conditions.results)).trials().to_pylist()
    assert (row["status"], row["reason"], row["trial"]) == ("failed", reason, "trial1")
    log = (Path(conditions.results) / row["log"]).read_text()
    assert "printed before the end" in log
    assert run(worker, conditions, attempt=2).status == "done"


def test_a_crash_leaves_where_it_was_in_the_log(worker: Worker, conditions: Conditions) -> None:
    run(worker, conditions, "ctypes.string_at(0)")
    [row] = Ledger(Store(conditions.results)).trials().to_pylist()
    log = (Path(conditions.results) / row["log"]).read_text()
    assert "past Python" in log
    assert "Segmentation fault" in log


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("threading.Thread(target=time.sleep, args=[60]).start()", "still runs"),
        ("json.dumps = str", "json.dumps of the standard library was replaced"),
        (
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])",
            "the signals that are blocked changed",
        ),
        ("os.close(1)", "standard output was closed"),
        ("os.nice(1)", "the scheduling priority changed"),
    ],
)
def test_a_process_that_a_trial_changed_for_good_runs_no_other(
    worker: Worker, conditions: Conditions, code: str, change: str
) -> None:
    outcome = run(worker, conditions, code)
    assert outcome.status == "done"
    [row] = Ledger(Store(conditions.results)).trials().to_pylist()
    assert change in (Path(conditions.results) / row["log"]).read_text()
    after = run(worker, conditions, attempt=2)
    assert after.status == "done"
    assert after.values["process"] != outcome.values["process"]


def test_a_record_that_was_written_before_the_death_counts(
    worker: Worker, conditions: Conditions
) -> None:
    # With defaults: what a trial adds to its own module is gone when the record is written.
    code = (
        "from htsweep.execution import trial\ndef record(*words, keep=trial.record, "
        "end=os._exit, **named):\n"
        "    keep(*words, **named)\n    end(9)\ntrial.record = record"
    )
    outcome = run(worker, conditions, code)
    assert outcome.status == "done"
    assert [
        row["status"] for row in Ledger(Store(conditions.results)).trials(every=True).to_pylist()
    ] == ["done"]


def test_a_trial_that_leaves_goes_on_elsewhere_from_the_state_that_it_saves_then(
    conditions: Conditions, tmp_path: Path
) -> None:
    """The machine will end; no state was due, and no attempt is used up."""
    lasting = replace(conditions, time_limit=None, save_seconds=3600.0)
    work = Work(Job("t", "trial", "worker_tasks:saving", {}, 0), lasting, {}, 1)
    here, there = Worker(), Worker()
    try:
        threading.Timer(0.2, here.leave).start()
        assert here.run(work).status == "left"
        assert Ledger(Store(lasting.results)).trials(every=True).num_rows == 0
        assert len(list((tmp_path / "results" / "states" / "t").iterdir())) == 1
        outcome = there.run(work)
    finally:
        here.close()
        there.close()
    assert (outcome.status, outcome.values["step"]) == ("done", 199)
    rows = Ledger(Store(lasting.results)).measurements().to_pylist()
    assert [row["twice"] for row in rows] == [2.0 * step for step in range(200)]
    assert len({row["process"] for row in rows}) == 2
    assert not list((tmp_path / "results").glob("states/*/*"))


def test_an_interpreter_that_cannot_start_is_told(
    worker: Worker, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    outcome = run(worker, conditions)
    assert (
        outcome.reason
        == "died: the process for the trial did not start: its process ended with exit code 1"
    )


SAME_NAME = "def told(config, workspace):\n    yield {'step': 0, 'value': VALUE}\n"


def test_a_module_in_the_working_folder_stands_in_for_none_beside_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the launch, whose command has no working folder in its path."""
    for name, value in (("beside", "1.0"), ("working", "2.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_name.py").write_text(SAME_NAME.replace("VALUE", value))
    (tmp_path / "working" / "queue.py").write_text("raise SystemExit('a module of the library')\n")
    monkeypatch.chdir(tmp_path / "working")
    conditions = Conditions(
        str(tmp_path / "results"),
        paths=(str(tmp_path / "beside"),),
        folder=str(tmp_path / "working"),
    )
    worker = Worker()
    try:
        outcome = worker.run(
            Work(Job("trial", "trial", "same_name:told", {}, 0), conditions, {}, 1)
        )
    finally:
        worker.close()
    assert (outcome.status, outcome.values["value"]) == ("done", 1.0)
