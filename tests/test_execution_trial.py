"""A trial's failure is that trial's failure: whatever it raises, it is recorded with a reason, and the study goes on."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep import results
from htsweep.cli.status import status
from htsweep.execution import raised, trial, worker
from htsweep.execution.ending import died, recorded
from htsweep.execution.work import Conditions, Work, from_json, to_json
from htsweep.execution.worker import Worker
from htsweep.execution.workspace import Workspace
from htsweep.launching import launch
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.study.schema import Study

MODULE = r'''
import asyncio

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Shut(Exception):
    def __str__(self):
        raise SystemExit("no text")

class Long(Exception):
    def __str__(self):
        return "x" * 300_000_000

class NoText(Exception):
    def __str__(self):
        return 3

class Own(BaseException):
    pass

class Meta(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")

class Nameless(Exception, metaclass=Meta):
    pass

def chained():
    error = ValueError("the last")
    for number in range(5000):
        link = ValueError(f"link {number}")
        link.__cause__ = error
        error = link
    return error

def circular():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one

RAISED = {
    "exit": lambda: SystemExit(3), "exit well": lambda: SystemExit(0), "exit with words": lambda: SystemExit("that was it"),
    "generator": lambda: GeneratorExit("of its own"), "own": lambda: Own("mine"), "cancelled": lambda: asyncio.CancelledError(),
    "mute": Mute, "shut": Shut, "no text": NoText, "nameless": lambda: Nameless("but with text"), "long": Long,
    "surrogate": lambda: ValueError("a \ud800 b"), "control": lambda: ValueError("a\x00b\x1b[31m\tc"),
    "empty": lambda: ValueError(),
    "lines": lambda: ValueError("\n\n first \u2028 second\nthird"), "chained": chained, "circular": circular,
    "group": lambda: BaseExceptionGroup("both", [KeyError("k"), SystemExit(1)]), "notes": lambda: noted(), "memory": MemoryError,
    "unicode": lambda: ValueError("größer als ∞ 🎉"),
}

def noted():
    error = ValueError("with notes")
    error.__notes__ = 7
    return error

def raising(config, workspace):
    yield {"step": 0, "score": 1.0}
    if config["how"]:
        raise RAISED[config["how"]]()
    yield {"step": 1, "score": 2.0}

def ignoring(config, workspace):
    """Takes no notice of being closed."""
    step = 0
    while True:
        try:
            yield {"step": step, "score": config["x"]}
        except GeneratorExit:
            print("not yet")
        step += 1
        if step == 40:
            return

def clinging(config, workspace):
    """Fails, and then does not let go."""
    try:
        yield {"step": 0, "score": 1.0}
        yield {"step": 0.5, "score": 1.0}
    finally:
        raise KeyError("in the end")

def closed(config, workspace):
    inner = (row for row in [{"step": 0, "score": 1.0}])
    inner.close()
    yield from inner
    yield {"step": 1, "score": 2.0}

class Rows:
    """No generator."""

    def __init__(self, rows):
        self.rows = iter(rows)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.rows)

    def close(self):
        raise SystemExit("from close")

def rows(config, workspace):
    return Rows([{"step": 0, "score": 1.0}])

def none(config, workspace):
    return None

def interrupting(config, workspace):
    yield {"step": 0, "score": 1.0}
    if config["x"] == 2:
        raise KeyboardInterrupt

def printing(config, workspace):
    import os, sys
    print("a \ud800 b \x00 c \x1b[1m d größer 🎉")
    sys.stdout.write("")
    sys.stderr.write("no newline")
    sys.stdout.close()
    print("\nafter closing")
    try:
        sys.stdout.write(b"bytes")
    except TypeError as error:
        print(error)
    yield {"step": 0, "score": 1.0}
'''


@pytest.fixture
def run(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[Study, Any]]:
    (tmp_path / "failing_module.py").write_text(MODULE, encoding="utf-8")

    def go(text: str) -> tuple[Study, Any]:
        study = read(study_file(text))
        return study, launch(study, str(tmp_path / "results"), on="inline", mirror=None)

    return go


def ends(study: Study, folder: Path, by: str) -> dict[Any, dict[str, Any]]:
    return {
        row[by]: row for row in results.trials(study, str(folder / "results")).to_dict("records")
    }


HOWS = [
    "exit",
    "exit well",
    "exit with words",
    "generator",
    "own",
    "cancelled",
    "mute",
    "shut",
    "no text",
    "nameless",
    "surrogate",
    "control",
    "empty",
    "lines",
    "chained",
    "circular",
    "group",
    "notes",
    "memory",
    "unicode",
]


def test_whatever_is_raised_is_that_trial_s_failure(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    study, done = run(
        f"task: failing_module:raising\ngrid: {{how: ['', {', '.join(HOWS)}]}}\nretry: {{attempts: "
        f"1}}\n"
    )
    assert (done.agenda.done["trial done"], done.failed) == (1, len(HOWS))
    found = ends(study, tmp_path, "how")
    assert {how: found[how]["reason"] for how in HOWS} == {
        "exit": "raised: SystemExit: 3",
        "exit well": "raised: SystemExit: 0",
        "exit with words": "raised: SystemExit: that was it",
        "generator": "raised: GeneratorExit: of its own",
        "own": "raised: Own: mine",
        "cancelled": "raised: CancelledError: ",
        "mute": "raised: Mute: (its text cannot be loaded: it raises RuntimeError)",
        "shut": "raised: Shut: (its text cannot be loaded: it raises SystemExit)",
        "no text": "raised: NoText: (its text cannot be loaded: it raises TypeError)",
        "nameless": "raised: BaseException: but with text",
        "surrogate": "raised: ValueError: a \\ud800 b",
        "control": "raised: ValueError: a\\x00b\\x1b[31m\\tc",
        "empty": "raised: ValueError: ",
        "lines": "raised: ValueError: first",
        "chained": "raised: ValueError: link 4999",
        "circular": "raised: ValueError: one",
        "group": "raised: BaseExceptionGroup: both (2 sub-exceptions)",
        "notes": "raised: ValueError: with notes",
        "memory": "out_of_memory: MemoryError: ",
        "unicode": "raised: ValueError: größer als ∞ 🎉",
    }
    for how in HOWS:
        assert "raising" in found[how]["error"], how
        log = (tmp_path / "results" / found[how]["log"]).read_text(encoding="utf-8")
        assert found[how]["reason"] in log
    measured = results.measurements(study, str(tmp_path / "results"))
    assert len(measured) == len(HOWS) + 2  # what was measured before is kept
    assert {one.reason for one in status(Results(study, str(tmp_path / "results"))).failures} == {
        found[how]["reason"] for how in HOWS
    }


def test_a_text_of_any_length_is_cut(run: Callable[..., Any], tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    study, done = run("task: failing_module:raising\ngrid: {how: [long]}\nretry: {attempts: 1}\n")
    assert done.failed == 1
    [row] = ends(study, tmp_path, "how").values()
    assert row["reason"] == f"raised: Long: {'x' * (raised.LONGEST_REASON - len('raised: Long: '))}"
    assert "raising" in row["error"]
    assert len(row["error"]) < 2 * raised.LONGEST_ACCOUNT
    # The text itself takes 300 MB; no copies of it were made.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 300_000


def test_a_generator_that_does_not_heed_close_fails_where_it_was_to_stop(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    study, done = run(
        "task: failing_module:ignoring\nobjectives: [{metric: score, direction: maximize}]\n"
        "stop: {first: 3, eta: 3}\nsearch: {spaces: {all: {x: [0.7, 0.69, 0.1]}}}\nretry: "
        "{attempts: 1}\n"
    )
    found = ends(study, tmp_path, "x")
    assert {x: row["status"] for x, row in found.items()} == {
        0.7: "done",
        0.69: "done",
        0.1: "failed",
    }
    assert found[0.1]["reason"] == "raised: RuntimeError: generator ignored GeneratorExit"
    assert done.failed == 1


def test_what_came_first_is_the_reason_and_the_rest_is_in_the_log(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    study, _ = run("task: failing_module:clinging\ngrid: {x: [1]}\nretry: {attempts: 1}\n")
    [row] = ends(study, tmp_path, "x").values()
    assert row["reason"].startswith("raised: ValueError: step 0.5 is not a whole number")
    assert "in the end" in (tmp_path / "results" / row["log"]).read_text()


@pytest.mark.parametrize(
    ("task", "reason", "rows"),
    [
        ("closed", None, 1),
        ("rows", "raised: SystemExit: from close", 1),
        ("none", "raised: TypeError: 'NoneType' object is not", 0),
    ],
)
def test_other_iterators(
    run: Callable[..., Any], tmp_path: Path, task: str, reason: str | None, rows: int
) -> None:
    study, _ = run(f"task: failing_module:{task}\ngrid: {{x: [1]}}\nretry: {{attempts: 1}}\n")
    [row] = ends(study, tmp_path, "x").values()
    assert row["status"] == ("failed" if reason else "done")
    assert row["reason"].startswith(reason) if reason else row["reason"] != row["reason"]
    assert row["steps"] == rows


def test_a_keyboard_interrupt_ends_the_study(run: Callable[..., Any], tmp_path: Path) -> None:
    _, done = run("task: failing_module:interrupting\ngrid: {x: [1, 2, 3]}\n")
    assert done.interrupted
    assert done.seconds < 10  # neither what ran nor what was to come next is waited for
    assert Ledger(Store(tmp_path / "results")).trials(["status"]).to_pylist() == [
        {"status": "done"}
    ]


def test_logs_of_odd_text_and_closed_streams(run: Callable[..., Any], tmp_path: Path) -> None:
    study, _ = run("task: failing_module:printing\ngrid: {x: [1]}\n")
    [row] = ends(study, tmp_path, "x").values()
    assert row["status"] == "done", row["reason"]
    assert (tmp_path / "results" / row["log"]).read_text(encoding="utf-8") == (
        "a \\ud800 b \x00 c \x1b[1m d größer 🎉\nno newline\nafter closing\na log takes text, not "
        "bytes\n"
    )


def test_an_objective_may_come_in_a_later_row_of_its_step(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    """Early stopping waits for it, and no longer than the step lasts."""
    (tmp_path / "rung_module.py").write_text(
        "def late(config, workspace):\n    for step in range(10):\n        yield {'step': step, "
        "'loss': 1.0}\n"
        "        yield {'step': step, 'score': config['x']}\n"
        "def absent(config, workspace):\n    for step in range(5):\n        yield {'step': step, "
        "'loss': 1.0}\n"
    )
    text = (
        "objectives: [{metric: score, direction: maximize}]\nstop: {first: 3, eta: 3}\n"
        "search: {spaces: {all: {x: [0.7, 0.69, 0.1, 0.2, 0.0, 1.0]}}}\nretry: {attempts: 1}\n"
    )
    study, _ = run(f"task: rung_module:late\n{text}")
    found = ends(study, tmp_path, "x")
    assert {found[x]["status"] for x in (0.1, 0.0)} == {"stopped"}
    measured = results.measurements(study, str(tmp_path / "results"))
    assert measured.groupby("status")["step"].max().to_dict() == {"done": 9, "stopped": 3}
    assert measured[["loss", "score"]].notna().all(axis=None)
    study, done = run(f"study: absent\ntask: rung_module:absent\n{text}")
    assert done.failed == 6
    assert {row["reason"] for row in ends(study, tmp_path, "x").values()} == {
        "raised: ValueError: the objective score was not measured at step 3; it measured step, loss"
    }


def test_a_trial_that_goes_on_is_not_compared_again_where_it_was_before(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values at a rung are those that it had there, as if it had never been interrupted."""
    (tmp_path / "resumed_module.py").write_text(
        "def resumed(config, workspace):\n    for step in range(int(workspace.load() or b'0'), "
        "12):\n"
        "        yield {'step': step, 'score': step / 10}\n        workspace.save(lambda: str(step "
        "+ 1).encode())\n"
    )
    study = read(
        study_file(
            "task: resumed_module:resumed\ngrid: {x: [1]}\nobjectives: [{metric: score, direction: "
            "maximize}]\n"
            "stop: {first: 2, eta: 2}\n"
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    planned = plan(study)
    point, repetition, name = next(iter(planned.trials()))
    job = planned.job(point, repetition)

    def conditions(folder: str) -> Conditions:
        return Conditions(
            str(tmp_path / folder),
            save_seconds=0,
            first_rung=2,
            eta=2,
            objectives=(("score", "maximize"),),
        )

    assert trial.run(Work(job, conditions("whole"))).status == "done"
    interrupted = Workspace(
        job,
        Store(tmp_path / "r"),
        {},
        lambda: [{"step": step, "score": step / 10} for step in range(6)],
        save_seconds=0,
    )
    interrupted.save(lambda: b"6")
    Store(tmp_path / "r").write(f"rungs/{job.sweep}/0/2/{name}~0.2", b"")
    Store(tmp_path / "r").write(f"rungs/{job.sweep}/0/4/{name}~0.4", b"")
    assert trial.run(Work(job, conditions("r"))).status == "done"
    for folder in ("whole", "r"):
        rungs = [
            entry.name.removeprefix(f"rungs/{job.sweep}/0/")
            for entry in Store(tmp_path / folder).list("rungs")
        ]
        assert rungs == [f"2/{name}~0.2", f"4/{name}~0.4", f"8/{name}~0.8"]
        rows = Ledger(Store(tmp_path / folder)).measurements()["score"].to_pylist()
        assert rows == [step / 10 for step in range(12)]


def test_a_trial_s_own_process_records_what_it_raises(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "failing_module.py").write_text(MODULE, encoding="utf-8")
    study = read(
        study_file(
            "task: failing_module:raising\ngrid: {how: [exit, surrogate, generator, shut]}\n"
        )
    )
    planned, process = plan(study), Worker()
    conditions = Conditions(str(tmp_path / "r"), paths=(str(tmp_path),), folder=str(tmp_path))
    try:
        reasons = [
            process.run(Work(planned.job(point, repetition), conditions, {}, 1)).reason
            for point, repetition, _ in planned.trials()
        ]
    finally:
        process.close()
    assert reasons == [
        "raised: SystemExit: 3",
        "raised: ValueError: a \\ud800 b",
        "raised: GeneratorExit: of its own",
        "raised: Shut: (its text cannot be loaded: it raises SystemExit)",
    ]
    assert sorted(Ledger(Store(tmp_path / "r")).trials()["reason"].to_pylist()) == sorted(reasons)


# -- the process of one trial: python -m htsweep.execution.trial JOB.json


def work_file(folder: Path, **changes: Any) -> Path:
    """A job of the toy task, written to a file of the folder."""
    config = {"x": 0.5, "fail": changes.pop("fail", ""), "seconds": changes.pop("seconds", 0.0)}
    job = Job("abc", "trial", changes.pop("task", "toy"), config, 0)
    conditions = Conditions(
        str(folder / "results"),
        time_limit=changes.pop("time_limit", None),
        grace=4.0,
        paths=(str(folder),),
        folder=str(folder),
    )
    path = folder / "job.json"
    path.write_text(to_json(Work(job, conditions, **changes)))
    return path


def entry(path: Path) -> tuple[int, str]:
    """The exit code of the process that runs the file's trial, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "htsweep.execution.trial", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env=worker.environment(),
        cwd="/",
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("changes", "code", "status", "said"),
    [
        ({}, 0, "done", "trial abc: done"),
        ({"fail": "raise", "attempt": 2}, 3, "failed", "trial abc: failed: raised: RuntimeError"),
        ({"fail": "hang", "time_limit": 1.0}, 3, "failed", "time_limit: ran longer than 1 s"),
        ({"task": "entry_module:deaf", "time_limit": 1.0}, 17, "failed", ""),
        ({"task": "entry_module:leaves_a_thread"}, 0, "done", "trial abc: done"),
        ({"fail": "exit", "deadline": 1.0}, 5, "", "the deadline has passed; nothing was run"),
    ],
)
def test_the_exit_code_says_how_the_trial_ended(
    tmp_path: Path, changes: dict[str, Any], code: int, status: str, said: str
) -> None:
    (tmp_path / "entry_module.py").write_text(
        "import signal, threading, time\n"
        "import pandas, pyarrow.parquet  # what writes the record, which must not wait for it\n"
        "def deaf(config, workspace):\n"
        "    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "    yield {'step': 0}\n"
        "    time.sleep(30)\n"
        "def leaves_a_thread(config, workspace):\n"
        "    threading.Thread(target=time.sleep, args=[30]).start()\n"
        "    yield {'step': 0}\n"
    )
    path = work_file(tmp_path, **changes)
    ended, words = entry(path)
    assert ended == code, words
    assert said in words
    rows = Ledger(Store(tmp_path / "results")).trials(every=True).to_pylist()
    assert [row["status"] for row in rows] == ([status] if status else [])
    outcome = recorded(from_json(path.read_text()))
    assert (outcome.status if outcome else "") == status


def test_a_trial_that_kills_its_process_leaves_no_record(tmp_path: Path) -> None:
    path = work_file(tmp_path, fail="exit")
    code, _ = entry(path)
    assert code == 3  # the toy's own os._exit(3): only the ledger tells it from a trial that failed
    work = from_json(path.read_text())
    assert recorded(work) is None
    assert died(work, "exit code 3", 1.0).status == "failed"


def test_what_is_recorded_has_the_numbers_that_were_measured(tmp_path: Path) -> None:
    """An adaptive sampler learns from them, whichever way the launch learns of the end."""
    work = from_json(work_file(tmp_path).read_text())
    outcome = trial.run(work)
    assert outcome.values["validation/score"] > 0
    assert recorded(work) == outcome


def test_a_job_file_that_cannot_be_used_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.json"
    assert trial.main([str(path)]) == 2
    assert f"{path} cannot be read: No such file or directory" in capsys.readouterr().err
    path.write_text('{"job": {}}')
    assert trial.main([str(path)]) == 2
    assert "conditions: is missing; expected an object" in capsys.readouterr().err


def test_results_that_take_no_record_have_an_exit_code_of_their_own(tmp_path: Path) -> None:
    path = work_file(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "trials").write_text("a file")
    code, said = entry(path)
    assert (code, "cannot be written" in said) == (4, True), said


def test_the_help_says_what_the_file_holds_and_what_the_exit_codes_mean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "htsweep.execution.trial", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for word in ("JOB.json", "conditions", "artifacts", "exit codes:", "its record says why"):
        assert word in done.stdout
