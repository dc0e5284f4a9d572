"""Runs trials in this process, one after another: for tests, debugging and machines without Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, final

from htsweep.execution import isolation, trial
from htsweep.execution.executor import Ended, Event, Notice, Returned, Started
from htsweep.execution.registry import Options
from htsweep.execution.work import Work


def in_this_process(options: Options) -> Inline:
    """An executor that runs trials in this process, one after another."""
    options.require_this_machine()
    return Inline()


@final
class Inline:
    """An executor with one slot: this thread.

    A KeyboardInterrupt ends a trial between two of its instructions.
    """

    slots = 1
    elsewhere = False
    """Whether trials run in another process than the launch."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._running: str | None = None
        self._given_back: list[str] = []
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def room(self) -> int:
        """One if no work waits: what is handed out later can use the results so far."""
        return 0 if self._work else 1

    def submit(self, work: Work) -> None:
        """Keeps the work until `events` is called."""
        self._work = work

    def events(self, seconds: float) -> Iterator[Event]:
        """Runs the work that waits, if any."""
        if self._given_back:
            given_back, self._given_back = self._given_back, []
            yield from (Returned(name, again=False) for name in given_back)
            return
        work, self._work = self._work, None
        if work is None:
            time.sleep(seconds)  # another launch makes the stage that all else waits for
            return
        if work.deadline is not None and time.time() > work.deadline:
            yield Returned(work.job.trial, again=False)
            return
        yield Started(work.job.trial)
        self._running = work.job.trial
        outcome = trial.run(work)
        self._running = None
        for change in isolation.take_lasting():
            if change not in self._warned:
                self._warned.add(change)
                yield Notice(
                    f"trial {work.job.trial} changed this process for good ({change}); trials that "
                    "run after it here "
                    "may be affected. `--on ray` gives each of them a fresh process"
                )
        yield Ended(work.job.trial, outcome)

    def stop(self) -> None:
        """Returns the work that waits, and the trial that was interrupted."""
        self._given_back = [
            name for name in (self._running, self._work and self._work.job.trial) if name
        ]
        self._running = self._work = None
