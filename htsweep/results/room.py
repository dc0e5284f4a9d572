"""How many runs have room at once, here or elsewhere, and how long all of them take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from htsweep.execution import machine
from htsweep.execution.ray import Ray
from htsweep.study.resources import Amount

HERE = "this machine"


@final
@dataclass(frozen=True)
class Machine:
    """What runs on one machine share."""

    cores: float
    gpus: float

    def by_cores(self, amount: Amount) -> int:
        """How many such runs its cores hold."""
        return int(self.cores / amount.cpu + 1e-9)

    def by_gpus(self, amount: Amount) -> int:
        """How many its GPUs hold; a fraction of one is not spread over several."""
        if not amount.gpus:
            return self.by_cores(amount)
        return int(self.gpus) * int(1 / amount.gpus) if amount.gpus <= 1 else 0


@final
@dataclass(frozen=True)
class Room:
    """What runs share: the cores and GPUs of machines, or a number of slots."""

    machines: Sequence[Machine]
    given: int | None = None
    """How many trials run at once, whatever they take; None: as many as fit on the machines."""
    where: str = HERE
    """What the machines are, in words."""

    @staticmethod
    def here(given: int | None = None) -> Room:
        """The room of this machine, or `given` slots somewhere else."""
        return Room([Machine(machine.cores(), machine.gpus())], given)

    @staticmethod
    def at(address: str, amounts: Sequence[Amount]) -> Room:
        """The room of the nodes that a Ray cluster has now.

        Args:
            address: of the cluster, as `ray.init` takes it.
            amounts: what trials take, each different amount once.

        Raises:
            HtsweepError: it does not answer, or no node has, or can get, what a trial takes.
        """
        with Ray(amounts, address, wait_minutes=0) as cluster:
            cluster.started()
        machines = [Machine(node.get("CPU", 0), node.get("GPU", 0)) for node in cluster.had]
        return Room(machines, where=f"the cluster at {address}, as it is now")

    def slots(self, amounts: Iterable[Amount]) -> int:
        """How many trials of the largest of these amounts run at once; 0: a GPU is missing."""
        if self.given is not None:
            return self.given
        least = min((self._at_once(one) for one in amounts), default=None)
        return int(sum(one.cores for one in self.machines)) if least is None else least

    def hours(self, runs: Sequence[tuple[Amount, float, float]]) -> float | None:
        """About how long runs take side by side; None where a GPU is missing.

        It is as long as what they share the most is busy, and no less than the longest run.

        Args:
            runs: (what it takes, the seconds of one, how many there are).
        """
        if not self.slots(amount for amount, _, many in runs if many):
            return None
        cpu = gpu = longest = 0.0
        for amount, seconds, many in runs:
            if not many:
                continue
            longest = max(longest, seconds)
            cpu += seconds * many / (self.given or self._by_cores(amount))
            gpu += seconds * many / self._by_gpus(amount) if amount.gpus and not self.given else 0.0
        return max(cpu, gpu, longest) / 3600

    def _at_once(self, amount: Amount) -> int:
        """How many runs of an amount run at once; each takes one machine; 0: a GPU is missing."""
        if not self._by_gpus(amount):
            return 0
        return max(1, sum(min(one.by_cores(amount), one.by_gpus(amount)) for one in self.machines))

    def _by_cores(self, amount: Amount) -> int:
        return max(1, sum(one.by_cores(amount) for one in self.machines))

    def _by_gpus(self, amount: Amount) -> int:
        if not amount.gpus:
            return self._by_cores(amount)
        return sum(one.by_gpus(amount) for one in self.machines)
