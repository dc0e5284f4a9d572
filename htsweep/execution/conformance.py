"""Tests that every executor passes: its ledger equals that of trials run one by one.

To test an executor of your own, subclass `ExecutorConformance` in a test file and run pytest:

    from htsweep.execution.conformance import ExecutorConformance

    class TestProcesses(ExecutorConformance):
        on = "my_executor:processes"

If trials run in the launch's own process, so that a trial which ends its process ends the launch,
set `own_processes = False`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

from htsweep.errors import LedgerError
from htsweep.execution import registry
from htsweep.execution.agenda import Agenda, EarlierRun
from htsweep.execution.conditions import conditions_of
from htsweep.execution.executor import Ended, Event, Executor, Returned
from htsweep.execution.loop import run_agenda
from htsweep.execution.watch import Silent, Watch
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan
from htsweep.planning.reading import read

PATIENCE_SECONDS = 120.0
WHEN_AND_WHERE = ("seconds", "started", "ended", "node", "log", "record")
TASKS = '''
import os, pathlib, random, time

def first_attempt_fails(config, workspace):
    """Fails in its first attempt, and measures the second time."""
    mark = pathlib.Path(config["folder"], f"tried-{workspace.repetition}")
    if not mark.exists():
        mark.touch()
        if config["how"] == "exit":
            print("about to exit", flush=True)
            os._exit(7)
        raise RuntimeError("not yet")
    yield {"step": 0, "score": 1.0}

def made(config, workspace):
    """A stage: a file with a number that depends on the repetition."""
    (workspace.output / "number").write_text(str(workspace.seed("number")))
    yield {"step": 0, "size": 1.0}

def reads_stage(config, workspace):
    number = float((workspace.artifact("made") / "number").read_text())
    yield {"step": 0, "number": number + config["x"]}

reads_stage.stages = lambda config: {"made": ("conformance_tasks:made", {})}

def fails_as_stage(config, workspace):
    raise RuntimeError("no artifact today")
    yield

def needs_failing_stage(config, workspace):
    yield {"step": 0, "score": 1.0}

needs_failing_stage.stages = lambda config: {"bad": ("conformance_tasks:fails_as_stage", {})}

def here(config, workspace):
    """What a relative path and a module beside the study mean."""
    import conformance_library
    yield {"step": 0, "read": float(open("number.txt").read()), "value": conformance_library.VALUE}

def shares_its_process(config, workspace):
    """Random numbers of the process, and what an earlier trial may have left in it."""
    before = float(os.environ.get("LEFT_BEHIND", "0"))
    os.environ["LEFT_BEHIND"] = "1"
    os.chdir("/")
    print("printed by", config["x"])
    yield {"step": 0, "random": random.random(), "left": before}

def counts(config, workspace):
    """Leaves a mark every 50 ms while it runs."""
    for step in range(20):
        with open(pathlib.Path(config["folder"], "marks"), "a") as marks:
            marks.write("x")
        time.sleep(0.05)
        yield {"step": step, "score": config["x"]}
'''


@final
class _Observed(Silent):
    """Keeps the outcomes that it observes."""

    def __init__(self, interrupt: bool = False, while_running: bool = False) -> None:
        """Raises KeyboardInterrupt after the first ended trial if `interrupt` is set.

        With `while_running`, it also waits until another trial runs.
        """
        self.outcomes: list[Outcome] = []
        self._running = 0
        self._interrupt, self._while_running = interrupt, while_running

    def started(self, agenda: Agenda, job: Job) -> None:
        """Counts a trial that runs."""
        self._running += 1

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Keeps the outcome of a trial that has ended."""
        self._running -= 1
        self.outcomes.append(outcome)

    def tick(self, agenda: Agenda) -> None:
        """Interrupts the launch if it is time to."""
        if self._interrupt and self.outcomes and (self._running or not self._while_running):
            raise KeyboardInterrupt


class ExecutorConformance:
    """Tests that hold for every executor; subclasses name theirs."""

    on: ClassVar[str] = "inline"
    """The executor's name, as given to `--on`."""
    address: ClassVar[str | None] = None
    """The cluster's address, as given to `--address`."""
    own_processes: ClassVar[bool] = True
    """Whether trials run outside the launch's own process."""

    # -- the tests

    def test_measures_what_inline_measures(self, tmp_path: Path) -> None:
        """The same trials measure the same numbers: the ledger does not depend on the executor."""
        text = "task: toy\ngrid: {x: [0.2, 0.8], y: [0.5, 0.6]}\nrepetitions: 2\n"
        agenda = self.run(tmp_path, text)
        assert (agenda.done["trial done"], agenda.left, agenda.running) == (8, 0, {})
        self.run(tmp_path, text, results="inline", on="inline")
        assert self.measurements(tmp_path) == self.measurements(tmp_path, "inline")
        assert self.trials(tmp_path) == self.trials(tmp_path, "inline")
        assert all(row["steps"] == 4 for row in self.trials(tmp_path))

    def test_an_adaptive_search_gets_the_numbers(self, tmp_path: Path) -> None:
        """Outcomes hold the measurements; without them, a search would propose blindly."""
        text = (
            "task: toy\nsearch: {sampler: tpe, trials: 6, "
            "spaces: {all: {x: {low: 0.0, high: 1.0}}}}\n"
            "objectives: [{metric: validation/score, direction: maximize}]\n"
        )
        observed = _Observed()
        agenda = self.run(tmp_path, text, watch=observed)
        assert agenda.done["trial done"] == 6
        measured = {
            row["trial"]: row["validation/score"]
            for row in self.measurements(tmp_path)
            if row["step"] == 3
        }
        given = {outcome.trial: outcome.values["validation/score"] for outcome in observed.outcomes}
        assert given == measured

    def test_failures_are_recorded_and_the_other_trials_run(self, tmp_path: Path) -> None:
        """A trial that raises or diverges fails with its reason, and no other trial fails."""
        text = "task: toy\ngrid: {fail: ['', raise, nan, memory]}\nretry: {attempts: 1}\n"
        agenda = self.run(tmp_path, text)
        assert (agenda.done["trial done"], agenda.done["trial failed"]) == (1, 3)
        kinds = sorted((row["reason"] or "done").split(":")[0] for row in self.trials(tmp_path))
        assert kinds == ["diverged", "done", "out_of_memory", "raised"]

    def test_a_trial_that_fails_is_tried_again(self, tmp_path: Path) -> None:
        """Whether it raises or its process dies, the ledger has a failed attempt and a done one."""
        how, reason = ("exit", "died") if self.own_processes else ("raise", "raised")
        text = (
            "task: conformance_tasks:first_attempt_fails\n"
            f"fixed: {{folder: '{tmp_path}', how: {how}}}\nrepetitions: 2\n"
            f"retry: {{attempts: 2, reasons: [{reason}]}}\n"
        )
        agenda = self.run(tmp_path, text)
        assert (agenda.done["trial done"], agenda.done["trial failed"]) == (2, 0)
        ends = [(row["status"], row["attempt"]) for row in self.trials(tmp_path)]
        assert sorted(ends) == [("done", 2), ("done", 2), ("failed", 1), ("failed", 1)]
        reasons = {(row["reason"] or "").split(":")[0] for row in self.trials(tmp_path)}
        assert reasons == {"", reason}

    def test_a_trial_ends_at_its_time_limit(self, tmp_path: Path) -> None:
        """A trial over its time limit fails with that reason, and the next trial runs."""
        text = (
            "task: toy\ngrid: {fail: [hang, '']}\nresources: {time_limit_seconds: 2}\n"
            "retry: {attempts: 1}\n"
        )
        agenda = self.run(tmp_path, text)
        assert (agenda.done["trial done"], agenda.done["trial failed"]) == (1, 1)
        reasons = [row["reason"] for row in self.trials(tmp_path) if row["reason"]]
        assert reasons == ["time_limit: ran longer than 2 s"]

    def test_stages_come_first_and_their_artifacts_arrive(self, tmp_path: Path) -> None:
        """A stage is made once per repetition, before the trials that read it."""
        text = "task: conformance_tasks:reads_stage\ngrid: {x: [0, 1]}\nrepetitions: 2\n"
        agenda = self.run(tmp_path, text)
        assert (agenda.done["stage done"], agenda.done["trial done"]) == (2, 4)
        self.run(tmp_path, text, results="inline", on="inline")
        assert self.measurements(tmp_path) == self.measurements(tmp_path, "inline")

    def test_what_needs_a_failed_stage_does_not_run(self, tmp_path: Path) -> None:
        """A trial that needs a failed stage is blocked, and the launch ends."""
        text = "task: conformance_tasks:needs_failing_stage\nretry: {attempts: 1}\n"
        agenda = self.run(tmp_path, text)
        assert agenda.done == {"stage failed": 1}
        assert len(agenda.blocked) == 1

    def test_trials_run_where_the_launch_does(self, tmp_path: Path, monkeypatch: Any) -> None:
        """Relative paths and modules beside the study mean the same in every trial."""
        (tmp_path / "lab").mkdir()
        (tmp_path / "lab" / "number.txt").write_text("4.5")
        (tmp_path / "conformance_library.py").write_text("VALUE = 2.0\n")
        monkeypatch.chdir(tmp_path / "lab")
        agenda = self.run(tmp_path, "task: conformance_tasks:here\n")
        assert agenda.done == {"trial done": 1}
        [row] = self.measurements(tmp_path)
        assert (row["read"], row["value"]) == (4.5, 2.0)

    def test_each_trial_runs_as_if_it_were_the_first(self, tmp_path: Path) -> None:
        """A trial's changes to its process do not reach the next one; what it prints is kept."""
        text = "task: conformance_tasks:shares_its_process\ngrid: {x: [0, 1, 2]}\n"
        self.run(tmp_path, text)
        rows = self.measurements(tmp_path)
        assert [row["left"] for row in rows] == [0.0, 0.0, 0.0]
        assert len({row["random"] for row in rows}) == 1
        logs = sorted(
            Path(tmp_path, "results", row["log"]).read_text().strip()
            for row in Ledger(Store(tmp_path / "results")).trials().to_pylist()
        )
        assert logs == ["printed by 0", "printed by 1", "printed by 2"]

    def test_an_interrupt_stops_what_runs_and_nothing_is_lost(self, tmp_path: Path) -> None:
        """Ended trials count, running ones are stopped, and the next launch runs the rest once."""
        text = (
            "task: conformance_tasks:counts\n"
            f"fixed: {{folder: '{tmp_path}'}}\ngrid: {{x: [0, 1, 2, 3, 4, 5]}}\n"
        )
        agenda = self.run(
            tmp_path, text, watch=_Observed(True, self.own_processes), interrupted=True
        )
        assert (agenda.closed, agenda.running) == ("interrupted", {})
        counted = agenda.done["trial done"]
        assert 1 <= counted < 6
        marks, rows = (tmp_path / "marks").read_text(), self.trials(tmp_path)
        time.sleep(1)
        assert (tmp_path / "marks").read_text() == marks, "a trial still runs after the stop"
        assert self.trials(tmp_path) == rows
        assert [row["status"] for row in rows] == ["done"] * counted
        rest = self.run(tmp_path, text, done={row["trial"] for row in rows})
        assert rest.done["trial done"] == 6 - counted
        trials = [row["trial"] for row in self.trials(tmp_path)]
        assert len(trials) == len(set(trials)) == 6

    def test_work_after_its_deadline_does_not_start(self, tmp_path: Path) -> None:
        """The work is returned without asking to be submitted again, and leaves no record."""
        agenda, conditions = self.planned(tmp_path, "task: toy\n")
        job = agenda.next()
        assert job is not None
        work = Work(job, conditions, deadline=time.time() - 1)
        with self.make(self.on) as executor:
            events = _until(executor, work, Returned)
        assert events[-1] == Returned(job.trial, again=False)
        assert self.trials(tmp_path) == []

    def test_results_that_take_no_record_end_the_launch(self, tmp_path: Path) -> None:
        """A trial without a record does not count, nor would any later one: the launch ends."""
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "trials").write_text("a file where a folder belongs")
        agenda, conditions = self.planned(tmp_path, "task: toy\n")
        job = agenda.next()
        assert job is not None
        said = "no LedgerError was raised"
        try:
            with self.make(self.on) as executor:
                _until(executor, Work(job, conditions), Ended)
        except LedgerError as error:
            said = str(error)
        assert "cannot be written" in said

    # -- what the tests are made of

    def make(self, on: str) -> Executor:
        """The executor called `on`, for trials that take one core."""
        return registry.make(on, registry.Options(cpu=1, address=self.address))

    def planned(
        self, folder: Path, text: str, results: str = "results", done: Iterable[str] = ()
    ) -> tuple[Agenda, Conditions]:
        """A study's agenda, without the trials in `done`, and the conditions of its trials."""
        (folder / "conformance_tasks.py").write_text(TASKS)
        file = folder / "conformance.yaml"
        file.write_text(text)
        study = read(str(file))
        past = {trial: EarlierRun("done", kind="trial") for trial in done}
        conditions = conditions_of(study, str(folder / results))
        return Agenda(plan(study), past), conditions

    def run(
        self,
        folder: Path,
        text: str,
        *,
        results: str = "results",
        on: str | None = None,
        watch: Watch | None = None,
        interrupted: bool = False,
        done: Iterable[str] = (),
    ) -> Agenda:
        """Runs a study, and returns its agenda.

        Args:
            folder: for the study's file, its tasks and its results.
            text: the study.
            results: the name of the folder of the results.
            on: the executor; None: the one under test.
            watch: observes every start and end.
            interrupted: whether the launch must end with an interrupt.
            done: trials that have run before.
        """
        agenda, conditions = self.planned(folder, text, results, done)
        with self.make(on or self.on) as executor:
            assert run_agenda(agenda, executor, conditions, watch or Silent()) is interrupted
        assert agenda.finished
        return agenda

    def trials(self, folder: Path, results: str = "results") -> list[dict[str, Any]]:
        """The records of all attempts, without the columns that say when and where they ran."""
        rows = Ledger(Store(folder / results)).trials(every=True).to_pylist()
        kept = [{key: row[key] for key in row if key not in WHEN_AND_WHERE} for row in rows]
        return sorted(kept, key=lambda row: (row["trial"], row["attempt"]))

    def measurements(self, folder: Path, results: str = "results") -> list[dict[str, Any]]:
        """What the trials measured, sorted by trial and step."""
        rows = Ledger(Store(folder / results)).measurements().to_pylist()
        return sorted(rows, key=lambda row: (row["trial"], row["step"]))


def _until(executor: Executor, work: Work, last: type[Event]) -> list[Event]:
    """What the executor reports of the work, up to the first event of type `last`."""
    over = time.monotonic() + PATIENCE_SECONDS
    submitted, events = False, list[Event]()
    while not (events and isinstance(events[-1], last)):
        assert time.monotonic() < over, (
            f"no {last.__name__} within {PATIENCE_SECONDS:g} s: {events}"
        )
        if not submitted and executor.room() > 0:
            executor.submit(work)
            submitted = True
        for event in executor.events(0.2):
            events.append(event)
            if isinstance(event, last):
                break
    return events
