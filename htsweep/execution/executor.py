"""The seam between what is to be run and where it runs: the contract that every executor keeps.

An executor knows nothing of studies, ledgers or retries. It is given `Work`, one trial each, and
reports by events what becomes of it; the process that runs a trial writes its record to the ledger
before the executor says that it ended. `htsweep/execution/registry.py` finds an executor by name,
and `htsweep/execution/conformance.py` tests one.
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
    """A process began the trial."""

    trial: str


@final
@dataclass(frozen=True)
class Ended:
    """The trial ended in some way, and its record is in the ledger."""

    trial: str
    outcome: Outcome


@final
@dataclass(frozen=True)
class Died:
    """The process that ran the trial ended. Whether it had written a record is not known.

    The launch looks for the record, and writes one of a failed attempt if there is none.
    """

    trial: str
    why: str
    """All that is known of the end, such as the exit code and the last lines that it printed."""


@final
@dataclass(frozen=True)
class Returned:
    """The work was not run: the executor was stopped, its deadline passed, or its machine was lost."""

    trial: str
    again: bool
    """Whether it may be submitted again at once."""


@final
@dataclass(frozen=True)
class Notice:
    """Something that the user should know: what the executor waits for, or how it handles a loss."""

    text: str


Event = Started | Ended | Died | Returned | Notice


class Executor(Protocol):
    """A place where trials run.

    It is made before it is known whether there is anything to run, so that making one is cheap;
    what it needs, it starts when its context is entered. Everything is called from one thread. One
    that takes seconds to end may have a method `finish` too: it is called once no more work will
    come, begins to end and returns at once.
    """

    def __enter__(self) -> Any:
        """Starts what trials will run on."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        """Ends all that was started, trials that still run included."""
        ...

    @property
    def slots(self) -> int:
        """How many trials run at once, as far as is known."""
        ...

    def room(self) -> int:
        """How much more work it would accept now."""
        ...

    def submit(self, work: Work) -> None:
        """Accepts work; returns at once."""
        ...

    def events(self, seconds: float) -> Iterable[Event]:
        """What happened since the last call; waits up to `seconds` for the first event.

        For each work that was submitted, one of Ended, Died and Returned comes in the end.

        Raises:
            ResourceError: no machine has, or can get, what a trial needs.
            ExecutorLost: what trials run on is gone, and cannot be had again.
            LedgerError: the results take no record.
        """
        ...

    def stop(self) -> None:
        """Starts no more work and ends what runs; `events` then says what became of it."""
        ...
