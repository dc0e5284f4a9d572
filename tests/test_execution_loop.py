"""Between an agenda and an executor: every event has its meaning, whatever an executor loses."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from htsweep.execution import loop, trial
from htsweep.execution.agenda import Agenda
from htsweep.execution.conditions import conditions_of
from htsweep.execution.executor import Died, Ended, Event, Notice, Returned, Started
from htsweep.execution.inline import Inline
from htsweep.execution.loop import run_agenda
from htsweep.execution.watch import Silent
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.launching import agenda_of
from htsweep.ledger import Ledger, Store
from htsweep.planning.jobs import Job
from htsweep.planning.reading import read
from htsweep.results import Results

Fate = Callable[[Work], Iterable[Event]]


class Scripted:
    """An executor whose script says what becomes of the trials, in the order in which they are submitted."""

    slots = 2

    def __init__(self, *fates: Fate) -> None:
        self.submitted: list[Work] = []
        self.stopped = False
        self._fates, self._events = iter(fates), list[Event]()

    def room(self) -> int:
        return 0 if self._events else 1

    def submit(self, work: Work) -> None:
        self.submitted.append(work)
        self._events += next(self._fates, run)(work)

    def events(self, seconds: float) -> Iterator[Event]:
        while self._events:
            yield self._events.pop(0)

    def stop(self) -> None:
        self.stopped = True


def run(given: Work) -> Iterator[Event]:
    yield Started(given.job.trial)
    yield Ended(given.job.trial, trial.run(given))


def lost(given: Work) -> Iterator[Event]:
    yield Started(given.job.trial)
    yield Returned(given.job.trial, again=True)


def recorded_then_lost(given: Work) -> Iterator[Event]:
    trial.run(given)
    yield Returned(given.job.trial, again=True)
    yield Died(given.job.trial, "told again, with its node")


def died(given: Work) -> Iterator[Event]:
    yield Died(given.job.trial, "RayActorError: the actor died")


class Heard:
    """A watch that keeps what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def started(self, agenda: Agenda, job: Job) -> None:
        self.words.append("started")

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        self.words.append(outcome.status)

    def tick(self, agenda: Agenda) -> None:
        pass

    def note(self, text: str) -> None:
        self.words.append(text)


@pytest.fixture
def setting(study_file: Callable[..., Path], tmp_path: Path) -> tuple[Agenda, Conditions]:
    study = read(
        study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nretry: {attempts: 2, reasons: [died]}\n")
    )
    store = Store(tmp_path / "results")

    results = Results(study, store.uri)
    conditions = conditions_of(study, store.uri)
    return agenda_of(results, results.plan), conditions


def ends(conditions: Conditions) -> list[tuple[str, int]]:
    rows = Ledger(Store(conditions.results)).trials(every=True).to_pylist()
    return sorted((row["status"], row["attempt"]) for row in rows)


def test_work_that_was_lost_is_submitted_again_as_the_same_attempt(
    setting: tuple[Agenda, Conditions],
) -> None:
    agenda, conditions = setting
    place, heard = Scripted(lost, lost, lost), Heard()
    assert run_agenda(agenda, place, conditions, heard) is False
    assert [given.attempt for given in place.submitted] == [1] * 5
    assert (agenda.done["trial done"], agenda.left, agenda.running) == (2, 0, {})
    assert ends(conditions) == [("done", 1), ("done", 1)]
    assert heard.words.count("done") == 2


def test_a_record_that_was_written_before_the_loss_counts_once(
    setting: tuple[Agenda, Conditions],
) -> None:
    agenda, conditions = setting
    place = Scripted(recorded_then_lost)
    run_agenda(agenda, place, conditions, Heard())
    assert len(place.submitted) == 2
    assert ends(conditions) == [("done", 1), ("done", 1)]
    assert agenda.done["trial done"] == 2


def test_a_death_uses_up_an_attempt_and_is_recorded(setting: tuple[Agenda, Conditions]) -> None:
    agenda, conditions = setting
    run_agenda(agenda, Scripted(died, run, died), conditions, Heard())
    assert ends(conditions) == [("done", 1), ("failed", 1), ("failed", 2)]
    [failure] = agenda.failures
    assert (failure.reason, agenda.left) == ("died: RayActorError: the actor died", 0)


def test_a_notice_reaches_the_watch(setting: tuple[Agenda, Conditions]) -> None:
    agenda, conditions = setting
    heard = Heard()
    run_agenda(
        agenda,
        Scripted(lambda given: [Notice("waiting for a node"), *run(given)]),
        conditions,
        heard,
    )
    assert "waiting for a node" in heard.words


def test_an_interrupt_stops_the_executor_and_keeps_what_ended(
    setting: tuple[Agenda, Conditions], monkeypatch: pytest.MonkeyPatch
) -> None:
    agenda, conditions = setting
    monkeypatch.setattr(loop, "STOP_SECONDS", 0.1)

    def interrupted(given: Work) -> Iterator[Event]:
        yield Started(given.job.trial)

    place = Scripted(run, interrupted)
    clock = iter(range(100))

    class Impatient(Heard):
        def tick(self, agenda: Agenda) -> None:
            if next(clock) > 3:
                raise KeyboardInterrupt

    assert run_agenda(agenda, place, conditions, Impatient()) is True
    assert place.stopped
    assert (agenda.closed, agenda.running, agenda.done["trial done"]) == ("interrupted", {}, 1)
    assert agenda.left == 1


def test_work_after_its_deadline_is_not_begun_inline(setting: tuple[Agenda, Conditions]) -> None:
    agenda, conditions = setting
    place = Inline()
    job = agenda.next()
    assert job is not None
    place.submit(Work(job, conditions, {}, 1, deadline=time.time() - 1))
    assert place.room() == 0
    assert list(place.events(0)) == [Returned(job.trial, again=False)]
    assert ends(conditions) == []


def test_inline_says_that_a_trial_changed_the_process(
    setting: tuple[Agenda, Conditions], tmp_path: Path
) -> None:
    agenda, conditions = setting
    (tmp_path / "thread_task.py").write_text(
        "import threading, time\ndef leaves(config, workspace):\n"
        "    threading.Thread(target=time.sleep, args=[2], name='left').start()\n    yield "
        "{'step': 0}\n"
    )
    job = agenda.next()
    assert job is not None
    place = Inline()
    place.submit(Work(replace(job, task="thread_task:leaves", config={}), conditions, {}, 1))
    notices = [event.text for event in place.events(0) if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "the thread left still runs" in notices[0]


def test_under_a_budget_of_gpu_hours_one_trial_at_a_time_waits_for_a_slot(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """What was submitted cannot be taken back, and only results use the budget up."""

    class Queue(Scripted):
        """Has room for everything, and starts one trial a turn."""

        most_waiting = 0

        def room(self) -> int:
            return 100

        def submit(self, work: Work) -> None:
            self.submitted.append(work)
            self.waiting = [*getattr(self, "waiting", []), work]
            Queue.most_waiting = max(Queue.most_waiting, len(self.waiting))

        def events(self, seconds: float) -> Iterator[Event]:
            while self.waiting:
                yield from run(self.waiting.pop(0))

    most = {}
    for budget in ("", "budget: {gpu_hours: 1}\n"):
        Queue.most_waiting = 0
        study = read(
            study_file(f"task: toy\ngrid: {{x: [0.1, 0.5, 0.9]}}\nrepetitions: 2\n{budget}")
        )
        results = str(tmp_path / f"results{len(budget)}")
        agenda = Agenda(Results(study, results).plan, {})
        run_agenda(agenda, Queue(), conditions_of(study, results), Heard())
        assert agenda.done["trial done"] == 6
        most[budget] = Queue.most_waiting
    assert list(most.values()) == [6, 1]


def test_an_executor_that_can_take_work_back_sees_the_whole_queue(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Under a budget of GPU hours too, so that an autoscaler sees the demand; what has not started returns once it is used up."""

    class Queue(Scripted):
        recalled = 0

        def room(self) -> int:
            return 100

        def submit(self, work: Work) -> None:
            self.submitted.append(work)

        def recall(self) -> None:
            self.recalled += 1

        def events(self, seconds: float) -> Iterator[Event]:
            most.append(len(self.submitted))
            if not self.submitted:
                return
            work = self.submitted.pop(0)
            if self.recalled:
                yield Returned(work.job.trial, again=False)
            else:
                yield Started(work.job.trial)
                yield Ended(work.job.trial, Outcome(work.job.trial, "done", seconds=1800))

    most: list[int] = []
    study = read(
        study_file(
            "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 2\nbudget: {gpu_hours: 1}\n"
            "resources: {gpu: 0.5}\n"
        )
    )
    agenda = Agenda(Results(study, str(tmp_path)).plan, {})
    queue = Queue()
    run_agenda(agenda, queue, conditions_of(study, str(tmp_path)), Heard())
    assert most[0] == 6
    assert queue.recalled == 1
    assert agenda.done["trial done"] == 4  # four times half an hour of half a GPU
    assert agenda.closed == "budget of 1 GPU hours"
    assert agenda.left == 2


def test_each_trial_is_told_what_it_takes(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path = study_file(
        "task: toy\ngrid: {x: [0.1, 0.5]}\nbudget: {gpu_hours: 100}\n"
        "resources: {cpu: 2, when: [{x: 0.5, cpu: 3, gpu: 0.5, accelerator: T4, "
        "time_limit_seconds: 60}]}\n"
    )
    results = Results(read(path), tmp_path / "results")
    agenda = agenda_of(results, results.plan)

    def done(given: Work) -> Iterator[Event]:
        yield Ended(given.job.trial, Outcome(given.job.trial, "done", seconds=7200))

    executor = Scripted(done, done)
    run_agenda(agenda, executor, conditions_of(results.study, str(tmp_path)), Silent())
    taken = {
        work.job.config["x"]: (
            work.conditions.cpu,
            work.conditions.gpu,
            work.conditions.accelerator,
            work.conditions.time_limit,
        )
        for work in executor.submitted
    }
    assert taken == {0.1: (2, 0, "", None), 0.5: (3, 0.5, "T4", 60)}
    assert agenda._gpu_hours == 1.0  # two hours of half a GPU, and none of the other
