"""Runs trials on Ray, on a local one of its own or on a cluster.

This is the launch's side; the process that uses Ray, a child of the launch, is
htsweep/execution/driver.py. If that process is lost, for instance together with Ray's control
store, the launch reports it, starts another, and submits the unfinished work again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

from htsweep import errors
from htsweep.errors import ExecutorLost, HtsweepError
from htsweep.execution import scratch
from htsweep.execution.executor import Died, Ended, Event, Notice, Probed, Returned, Started
from htsweep.execution.load import Node, load_of
from htsweep.execution.ray_process import AHEAD, Cluster, RayProcess
from htsweep.execution.registry import Options
from htsweep.execution.shipping import Shipped
from htsweep.execution.work import Outcome, Work, to_json
from htsweep.study.resources import Amount

ORPHAN_SECONDS = 5.0
"""How long to wait for workers that outlive a lost Ray, before work is submitted again.

What they finish in this time counts and does not run twice.
"""
LOSSES = 3
"""How often in a row Ray is restarted if no trial ends in between."""


def on_ray(options: Options) -> Ray:
    """An executor that runs trials on a local Ray, or on the cluster at `--address`."""
    if options.address is None:  # what a cluster has is checked once it answers
        options.require_this_machine()
    return Ray(
        options.amounts or [Amount(cpu=options.cpu, gpu=options.gpu)],
        options.address,
        wait_minutes=options.wait_minutes,
        shipped=options.shipped,
    )


@final
class Ray:
    """An executor that lets Ray Tune place its trials."""

    def __init__(
        self,
        amounts: Sequence[Amount],
        address: str | None = None,
        *,
        wait_minutes: float | None = None,
        shipped: Shipped | None = None,
    ) -> None:
        """Prepares an executor; Ray starts when its context is entered.

        Args:
            amounts: what trials take, each different amount once.
            address: of a cluster, as `ray.init` takes it; None: a local Ray of its own, which ends
                with this executor.
            wait_minutes: the longest wait for a node that a trial fits on; None: half an hour where
                an autoscaler may start one, else none.
            shipped: the files that go along to the nodes of a cluster.
        """
        self._cluster = Cluster(address, wait_minutes, shipped)
        self._amounts = tuple(amounts)
        self._address = address
        self._slots: int | None = None
        self.had: Sequence[Mapping[str, float]] = ()
        """What each node had when Ray had started, by Ray's names: `CPU`, `GPU`."""
        self.nodes: Sequence[Node] = ()
        """The nodes of a cluster with their trials, as of some seconds ago; none of a local Ray."""
        self._waiting: dict[str, Work] = {}
        self._running: dict[str, Work] = {}
        self._losses = 0
        self._stopped = self._probing = False
        self._driver: RayProcess | None = None

    def __enter__(self) -> Self:
        scratch.remove_abandoned()
        self._driver = RayProcess(self._amounts, self._cluster)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._driver is None:
            return
        if self._running or self._waiting:  # the launch itself failed
            self.stop()
        self._driver.close(keep=isinstance(error, ExecutorLost))

    def finish(self) -> None:
        """Lets Ray begin to end, as no more work will come; leaving the context waits for that."""
        if self._driver is not None and not self._running and not self._waiting:
            self._driver.finish()

    @property
    def slots(self) -> int:
        """How many trials run at once; 1 until Ray has started."""
        return self._slots or 1

    def room(self) -> int:
        """How many more jobs may wait inside Ray.

        Enough that no slot is idle, and that an autoscaler sees the coming demand.
        """
        if self._slots is None or self._stopped:
            return 0
        return max(2 * self._slots, AHEAD) - len(self._waiting)

    def submit(self, work: Work) -> None:
        """Hands the work to Ray."""
        assert self._driver is not None, "an executor runs inside its context"
        self._waiting[work.job.trial] = work
        self._driver.send({"do": "run", "trial": work.job.trial, "work": to_json(work)})

    def events(self, seconds: float) -> Iterator[Event]:
        """The events that Ray's process has reported since the last call."""
        assert self._driver is not None, "an executor runs inside its context"
        for message in self._driver.messages(seconds):
            yield from self._event(message)
        if self._driver.lost:
            yield from self._recover(self._driver.lost)

    def started(self) -> int:
        """Waits until Ray has started, and returns how many trials it runs at once.

        Raises:
            HtsweepError: it does not start, or lacks what a trial takes.
        """
        assert self._driver is not None, "an executor runs inside its context"
        while self._slots is None:
            for message in self._driver.messages(1.0):
                for _ in self._event(message):
                    pass
            if self._driver.lost:
                msg = f"Ray did not start: {self._driver.lost}"
                raise ExecutorLost(msg)
        return self._slots

    def stop(self) -> None:
        """Ends all trials, and Ray."""
        self._stopped = True
        if self._driver is not None and self._slots is not None:
            self._driver.send({"do": "stop"})

    def recall(self) -> None:
        """Takes back what has not started, in order not to use more than a budget."""
        if self._driver is not None:
            self._driver.send({"do": "recall"})

    def probe(self, works: Sequence[Work]) -> bool:
        """Has nodes of the cluster measure the shapes of trials; a local Ray measures none."""
        if self._driver is None or self._address is None:
            return False
        self._driver.send({"do": "probe", "works": [to_json(work) for work in works]})
        self._probing = True
        return True

    def _event(self, message: Mapping[str, Any]) -> Iterator[Event]:
        kind, trial = message["event"], message.get("trial", "")
        if kind in ("slots", "alive"):  # nodes come and go
            self._slots = message["slots"]
            self.had = message.get("had", self.had)
        elif kind == "nodes":
            self.nodes = [
                Node(one["name"], tuple(one["trials"]), one["load"] and load_of(one["load"]))
                for one in message["nodes"]
            ]
        elif kind == "started":
            if trial in self._waiting:
                self._running[trial] = self._waiting.pop(trial)
                yield Started(trial)
        elif kind in ("ended", "died", "returned"):
            self._running.pop(trial, self._waiting.pop(trial, None))
            if kind == "ended":
                self._losses = 0
                yield Ended(trial, Outcome(**message["outcome"]))
            else:
                yield (
                    Died(trial, message["why"])
                    if kind == "died"
                    else Returned(trial, message["again"])
                )
        elif kind == "notice":
            yield Notice(message["text"])
        elif kind == "probed":
            self._probing = False
            yield Probed()
        elif kind == "refused":
            raise getattr(errors, message["kind"], HtsweepError)(message["text"])

    def _recover(self, why: str) -> Iterator[Event]:
        """Restarts Ray after a loss, and returns unfinished work so that it is submitted again."""
        assert self._driver is not None
        unfinished = [*self._running, *self._waiting]
        self._running, self._waiting = {}, {}
        if self._stopped:
            for trial in unfinished:
                yield Returned(trial, again=False)
            return
        self._losses += 1
        where = "the local Ray" if self._address is None else f"the Ray cluster at {self._address}"
        if self._losses > LOSSES:
            msg = (
                f"{where} was lost {self._losses} times in a row: {why}. Nothing that has ended is "
                "lost, and the next launch "
                f"goes on from here; logs: {self._driver.logs}"
            )
            raise ExecutorLost(msg)
        yield Notice(
            f"{where} was lost: {why}. Starting {'another' if self._address is None else 'over'}; "
            "what has ended "
            f"counts, and {len(unfinished)} trials are submitted again"
        )
        self._driver.close()
        time.sleep(ORPHAN_SECONDS)
        self._slots, self.nodes = None, ()
        self._driver = RayProcess(self._amounts, self._cluster)
        for trial in unfinished:
            yield Returned(trial, again=True)
        if self._probing:
            self._probing = False
            yield Notice(
                "gpu: auto: what was not measured before that takes a whole GPU until the next "
                "launch"
            )
            yield Probed()
