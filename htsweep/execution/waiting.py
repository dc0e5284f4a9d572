"""Keeps the jobs that can run, and those that wait for the stages that they need."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import final

from htsweep.planning.jobs import Job
from htsweep.planning.sharing import NAME as TRAJECTORY


@final
class Waiting:
    """Trials and stages that are ready, that wait for stages, or that a failed stage blocks."""

    def __init__(self, artifacts: dict[str, Mapping[str, str]]) -> None:
        """Starts without jobs; `artifacts` are those of the stages that are made already."""
        self.artifacts = artifacts
        self.trials: deque[Job] = deque()
        """Trials that can run, and the trainings that they share."""
        self.stages: deque[Job] = deque()
        """Other stages that can run."""
        self.count = 0
        """The number of trials that wait."""
        self.blocked: dict[str, str] = {}
        """Trials that cannot run -> the stage whose failure blocks them."""
        self._behind: dict[str, list[Job]] = {}
        """Stage -> the jobs that need it."""
        self._lacks: dict[str, set[str]] = {}
        """A waiting job or a stage not yet made -> the stages that it still needs."""
        self._trainings: set[str] = set()
        """Stages that train for the trials that share them."""
        self._dead: set[str] = set()
        """Stages that failed after all retries, or that cannot run."""

    def knows(self, stage: str) -> bool:
        """Whether the stage is made or has been added."""
        return stage in self.artifacts or stage in self._lacks or stage in self._dead

    def add(self, job: Job, *, trains: bool = False) -> None:
        """Adds a job, after its own stages; `trains`: it is a training that trials share."""
        if trains:
            self._trainings.add(job.trial)
        lacks = {stage for stage in job.stages.values() if stage not in self.artifacts}
        dead = next((stage for stage in lacks if stage in self._dead), None)
        if dead is not None:
            self._cannot_run(job, dead)
            return
        if lacks or job.kind == "stage":
            self._lacks[job.trial] = lacks
        for stage in lacks:
            self._behind.setdefault(stage, []).append(job)
        self.count += bool(lacks) and job.kind == "trial"
        if not lacks:
            self.put(job)

    def put(self, job: Job) -> None:
        """Queues a job that can run."""
        if TRAJECTORY in job.stages:
            # Its training is done, so that little time is left until it has a result.
            self.trials.appendleft(job)
        else:
            self._queue_of(job).append(job)

    def put_last(self, job: Job) -> None:
        """Queues a job that cannot run yet, behind all others."""
        self._queue_of(job).append(job)

    def put_first(self, job: Job) -> None:
        """Queues a job that was handed out, to be the next."""
        self._queue_of(job).appendleft(job)

    def _queue_of(self, job: Job) -> deque[Job]:
        """The queue of a job: shared trainings, which do the work of trials, wait among these."""
        first = job.kind == "stage" and job.trial not in self._trainings
        return self.stages if first and TRAJECTORY not in job.stages else self.trials

    def made(self, stage: str, artifact: Mapping[str, str]) -> None:
        """Records that a stage is made, and queues the jobs that need no other stage."""
        self.artifacts[stage] = artifact
        self._lacks.pop(stage, None)
        for job in self._behind.pop(stage, ()):
            lacks = self._lacks.get(job.trial)
            if lacks is None:  # another of its stages failed
                continue
            lacks.discard(stage)
            if not lacks:
                if job.kind == "trial":
                    del self._lacks[job.trial]
                    self.count -= 1
                self.put(job)

    def failed(self, stage: str) -> None:
        """Records that a stage failed after all retries, and blocks all jobs that need it."""
        self._dead.add(stage)
        for job in self._behind.pop(stage, ()):
            if job.trial in self._lacks:
                del self._lacks[job.trial]
                self.count -= job.kind == "trial"
                self._cannot_run(job, stage)

    def _cannot_run(self, job: Job, stage: str) -> None:
        if job.kind == "stage":
            self.failed(job.trial)
        else:
            self.blocked[job.trial] = stage
