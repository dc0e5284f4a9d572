"""Trying an executor out: what comes back, and what is said where nothing does."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from htsweep.errors import ExecutorLost
from htsweep.execution import probe, trial
from htsweep.execution.executor import Died, Ended, Event, Returned
from htsweep.execution.inline import Inline
from htsweep.execution.work import Outcome, Work


class Answering:
    """An executor that answers work with the events that it was given."""

    slots = 3

    def __init__(self, answer: Any) -> None:
        self._answer, self._events = answer, list[Event]()

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def room(self) -> int:
        return 1

    def submit(self, work: Work) -> None:
        self._events += self._answer(work)

    def events(self, seconds: float) -> Iterable[Event]:
        while self._events:
            yield self._events.pop(0)

    def stop(self) -> None:
        pass


def test_a_trial_runs_and_the_slots_are_known() -> None:
    assert probe.probe(Inline()) == 1
    assert probe.probe(Answering(lambda work: [Ended("probe", trial.run(work))])) == 3


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Died("probe", "exit code 9"), "the process that ran a trial ended: exit code 9"),
        (Returned("probe", again=False), "without having run"),
        (Ended("probe", Outcome("probe", "failed", "raised: no torch")), "a trial failed: raised"),
        (Ended("probe", Outcome("probe", "done")), "its record is not in the ledger"),
    ],
)
def test_what_does_not_come_back_is_said(event: Event, said: str) -> None:
    with pytest.raises(ExecutorLost, match=said):
        probe.probe(Answering(lambda work: [event]))


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.1)

    def nothing(work: Work) -> Iterator[Event]:
        return iter(())

    with pytest.raises(ExecutorLost, match=r"did not end within 0\.1 s"):
        probe.probe(Answering(nothing))
