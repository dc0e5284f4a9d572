"""What the trials and stages of a study will cost, each on the device that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

from htsweep.planning.resources import Amounts
from htsweep.planning.task import Task
from htsweep.results.cost import Cost, Past, Run
from htsweep.results.room import Room
from htsweep.study.schema import Study


@final
class Foreseen:
    """Past runs on GPUs and without: a run is foreseen from those on a device like its own."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], study: Study, study_task: Task) -> None:
        """Takes rows of the ledger's table of trials, with `cost.COLUMNS`."""
        listed = list(rows)
        self._amounts = Amounts(study, study_task)
        self._past = {gpu: Past(listed, study.compared, gpu=gpu) for gpu in (False, True)}

    def seconds(self, run: Run) -> tuple[float | None, bool]:
        """As `Past.seconds`, from runs on a device like that of the run."""
        return self._past[self._gpus(run) > 0].seconds(run)

    def of(self, wanted: Iterable[tuple[Run, int]]) -> tuple[Cost, float | None]:
        """What runs cost together, each coming with how often it runs; and the GPU hours of that.

        The GPU hours are None if no time is known.
        """
        apart: dict[bool, list[tuple[Run, int]]] = {False: [], True: []}
        gpu_hours = 0.0
        for run, many in wanted:
            gpus = self._gpus(run)
            apart[gpus > 0].append((run, many))
            gpu_hours += (self.seconds(run)[0] or 0.0) * many * gpus / 3600
        costs = [self._past[gpu].of(runs) for gpu, runs in apart.items() if runs]
        if not costs:
            costs = [self._past[False].of([])]
        hours = [cost.hours for cost in costs if cost.hours is not None]
        total = Cost(
            sum(hours) if hours else None,
            sum(cost.runs for cost in costs),
            sum(cost.unknown for cost in costs),
            sum(cost.borrowed for cost in costs),
            sum(cost.past for cost in costs),
        )
        return total, gpu_hours if hours else None

    def wall(self, wanted: Iterable[tuple[Run, int]], room: Room) -> float | None:
        """About how many hours runs take side by side, as far as their time is known.

        None if no time is known, or the room lacks a GPU that a run takes.
        """
        runs = [
            (self._amounts.of(run.config), seconds, many)
            for run, many in wanted
            if (seconds := self.seconds(run)[0]) is not None
        ]
        return room.hours(runs) if runs else None

    def _gpus(self, run: Run) -> float:
        return self._amounts.of(run.config).gpus
