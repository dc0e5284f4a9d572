"""How many runs have room at once, on this machine or as a person says, and how long all take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from htsweep.execution import machine
from htsweep.study.resources import Amount


@final
@dataclass(frozen=True)
class Room:
    """What runs share: the cores and GPUs of a machine, or a number of slots."""

    cores: int
    gpus: int
    given: int | None = None
    """How many trials run at once, whatever they take; None: as many as fit on this machine."""

    @staticmethod
    def here(given: int | None = None) -> Room:
        """The room of this machine, or `given` slots somewhere else."""
        return Room(machine.cores(), machine.gpus(), given)

    def slots(self, amounts: Iterable[Amount]) -> int:
        """How many trials of the largest of these amounts run at once; 0: a GPU is missing."""
        if self.given is not None:
            return self.given
        return min((min(self._cpu(one), self._gpu(one)) for one in amounts), default=self.cores)

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
            cpu += seconds * many / (self.given or self._cpu(amount))
            gpu += seconds * many / self._gpu(amount) if amount.gpus and not self.given else 0.0
        return max(cpu, gpu, longest) / 3600

    def _cpu(self, amount: Amount) -> int:
        return max(1, int(self.cores / amount.cpu))

    def _gpu(self, amount: Amount) -> int:
        """How many trials the GPUs hold; a fraction of one is not spread over several."""
        if not amount.gpus:
            return self.cores
        return self.gpus * int(1 / amount.gpus) if amount.gpus <= 1 else 0
