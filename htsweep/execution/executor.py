"""The interface between what should run and where it runs: the contract of every executor.

An executor knows nothing of studies, ledgers or retries. It is given `Work`, one trial each, and
reports in events what becomes of it. The process that runs a trial writes its record to the ledger
before the executor reports the end. `htsweep/execution/registry.py` finds an executor by name, and
`htsweep/execution/conformance.py` tests one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, final

from htsweep.execution.work import Outcome, Work


@final
@dataclass(frozen=True)
class Started:
    """A process started the trial."""

    trial: str


@final
@dataclass(frozen=True)
class Ended:
    """The trial ended in whatever way, and its record is in the ledger."""

    trial: str
    outcome: Outcome


@final
@dataclass(frozen=True)
class Died:
    """The process that ran the trial died; whether it had written a record is not known.

    The launch looks for the record, and writes one of a failed attempt if there is none.
    """

    trial: str
    why: str
    """All that is known of the end, such as the exit code and the last printed lines."""


@final
@dataclass(frozen=True)
class Returned:
    """The work did not run, or was stopped before it ended.

    The executor was stopped, the work's deadline passed, or the machine was lost.
    """

    trial: str
    again: bool
    """Whether it may be submitted again at once."""


@final
@dataclass(frozen=True)
class Notice:
    """Something that the user should know, such as what the executor waits for."""

    text: str


@final
@dataclass(frozen=True)
class Probed:
    """What `probe` was asked to measure is in the results, or cannot be measured now."""


Event = Started | Ended | Died | Returned | Notice | Probed


class Executor(Protocol):
    """A place where trials run.

    An executor is made before it is known whether there is anything to run, so making one must be
    cheap; what it needs is started when its context is entered. All methods are called from one
    thread. An executor that takes seconds to end may also have a method `finish`, which is called
    once no more work will come: it begins to end and returns at once. One that can take work back
    may have a method `recall`: called once when a budget is used up, it reports all work that has
    not started as Returned, as it comes to it, and returns at once. One that knows on which
    machines its trials run may have a property `nodes` with them (htsweep/execution/load.py). One
    whose trials run on other machines may have a method `probe`, which is given a trial of each
    shape to measure for `gpu: auto` (htsweep/execution/probing.py) and returns at once whether it
    does that; Probed then says that it is over.
    """

    def __enter__(self) -> Any:
        """Starts what trials run on."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        """Ends all that was started, including trials that still run."""
        ...

    @property
    def slots(self) -> int:
        """How many trials run at once, as far as is known."""
        ...

    def room(self) -> int:
        """How many more works it would accept now."""
        ...

    def submit(self, work: Work) -> None:
        """Accepts work; returns at once."""
        ...

    def events(self, seconds: float) -> Iterable[Event]:
        """The events since the last call; waits up to `seconds` for the first.

        Each submitted work finally gets one of Ended, Died and Returned.

        Raises:
            ResourceError: no machine has, or can get, what a trial needs.
            ExecutorLost: what trials run on is lost and cannot be started again.
            LedgerError: the results take no record.
        """
        ...

    def stop(self) -> None:
        """Starts no more work and ends what runs; later `events` report what became of it."""
        ...
