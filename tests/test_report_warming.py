"""While trials run, the report's code is got ready; that changes nothing of a launch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Silent
from htsweep.execution.work import Outcome
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.report import build, warming
from htsweep.results import Results


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Results:
    path = study_file("task: toy\ngrid: {x: [0.1, 0.2, 0.3]}\nrepetitions: 10\n")
    return Results(read(path), str(path.parent / "results"))


class Seen(Silent):
    """Counts what is passed on."""

    def __init__(self) -> None:
        self.ends = 0

    def ended(self, agenda: Agenda, job: object, outcome: Outcome) -> None:
        self.ends += 1


def ended(watch: warming.Warming, agenda: Agenda, status: str) -> None:
    job = agenda.next()
    assert job is not None
    outcome = Outcome(job.trial, status)
    agenda.end(job, outcome)
    watch.ended(agenda, job, outcome)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "report"]


def test_it_begins_with_the_first_result_and_passes_everything_on(
    study: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    gate = threading.Event()
    monkeypatch.setattr(warming, "MODULES", ("json",))
    monkeypatch.setattr(build, "tell", lambda results: told.append("tell") or gate.wait(10))
    monkeypatch.setattr(build, "draw", lambda results, out: told.append("draw"))
    monkeypatch.setattr(build, "write", lambda results, out: told.append("write"))
    seen = Seen()
    watch, agenda = warming.Warming(seen, study), Agenda(plan(study.study), {})
    ended(watch, agenda, "failed")
    assert not threads()
    ended(watch, agenda, "done")
    ended(watch, agenda, "done")
    assert len(threads()) == 1
    watch.cancel()
    gate.set()
    watch.stop()
    assert not threads()
    assert "write" not in told  # no step after it was stopped
    assert seen.ends == 3


def test_with_little_left_it_makes_no_report_beforehand(
    study: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(warming, "FEW", 1_000)
    monkeypatch.setattr(warming, "MODULES", ("json",))
    monkeypatch.setattr(build, "tell", lambda results: told.append("tell"))
    watch, agenda = warming.Warming(Silent(), study), Agenda(plan(study.study), {})
    ended(watch, agenda, "done")
    [thread] = threads() or [threading.current_thread()]
    if thread is not threading.current_thread():
        thread.join(10)
    watch.stop()
    assert not told


def test_what_fails_there_is_left_to_the_report(
    study: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "MODULES", ("no_such_module",))
    watch, agenda = warming.Warming(Silent(), study), Agenda(plan(study.study), {})
    ended(watch, agenda, "done")  # the results are not even there
    watch.stop()
    assert not threads()


def test_every_module_that_it_imports_is_there() -> None:
    for name in warming.MODULES:
        __import__(name)
