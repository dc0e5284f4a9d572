"""One sweep under an adaptive sampler: which points are open, what they gave, which comes next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from htsweep.execute.trial import Outcome
from htsweep.planning import Job, Plan, Point, Sweep
from htsweep.search import propose


@final
class Proposals:
    """One sweep under an adaptive sampler: which points are open, what they gave."""

    def __init__(self, plan: Plan, sweep: Sweep, points: Mapping[int, Point]) -> None:
        self.plan, self.sweep = plan, sweep
        self.size = plan.sizes[sweep.id]
        self.points = list(points.values())[: self.size]
        self._exhausted = False
        self._values: dict[str, dict[int, tuple[float, ...] | None]] = {}

    @property
    def open(self) -> bool:
        """Whether there is another point to propose."""
        return not self._exhausted and len(self.points) < self.size

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Takes in one trial."""
        if job.kind == "trial" and job.sweep == self.sweep.id:
            metrics = [objective.metric for objective in self.plan.study.objectives]
            known = outcome.status != "failed" and all(metric in outcome.values for metric in metrics)
            values = tuple(outcome.values[metric] for metric in metrics) if known else None
            self._values.setdefault(job.point, {})[job.repetition] = values

    def remember(self, outcomes: Mapping[str, Mapping[str, float]]) -> None:
        """Takes in what earlier launches measured."""
        for point in self.points:
            for repetition in range(self.plan.study.repetitions):
                job = self.plan.job(point, repetition)
                if job.trial in outcomes and repetition not in self._values.get(point.id, {}):
                    self.tell(job, Outcome(job.trial, "done", values=outcomes[job.trial]))

    def pending(self, outcomes: Mapping[str, Mapping[str, float]]) -> int:
        """Points that are proposed but not yet measured in every repetition."""
        self.remember(outcomes)
        return sum(len(self._values.get(point.id, {})) < self.plan.study.repetitions for point in self.points)

    def propose(self) -> Point | None:
        """The next point, told the mean of each earlier one over its repetitions."""
        history = [(point.parameters, self._mean(point)) for point in self.points]
        index = max((point.index for point in self.points), default=-1) + 1
        parameters = propose(self.sweep.space, self.plan.sampler, self.plan.study.directions, history, index,
                             seed_name=self.sweep.id)
        if parameters is None:
            self._exhausted = True
            return None
        point = self.plan.point(self.sweep, index, parameters)
        self.points.append(point)
        return point

    def _mean(self, point: Point) -> tuple[float, ...] | None:
        told = self._values.get(point.id, {})
        values = [one for one in told.values() if one is not None]
        if len(told) < self.plan.study.repetitions or not values:
            return None
        return tuple(sum(column) / len(values) for column in zip(*values, strict=True))
