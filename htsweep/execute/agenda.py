"""What to run next: the plan less what the ledger has, stages before the trials that need them."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from htsweep.execute.proposing import Proposals
from htsweep.execute.trial import Outcome
from htsweep.planning import Job, Plan, Point, Sweep, trial_id


@final
@dataclass(frozen=True)
class Past:
    """What the ledger says of one trial."""

    status: str
    seconds: float = 0.0
    gpu: float = 0.0
    attempt: int = 1
    artifact: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    sweep: str = ""
    index: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the trial needs no further run."""
        return self.status in ("done", "stopped")


@final
class Agenda:
    """The work of one launch: `next` hands it out, `end` takes what became of it.

    Both executors drive it from one thread, so it holds no lock.
    """

    def __init__(
        self,
        plan: Plan,
        past: Mapping[str, Past],
        hold: Callable[[str], bool] = lambda stage: True,
        look: Callable[[str], Past | None] = lambda stage: None,
    ) -> None:
        """The work that is left.

        Args:
            plan: what the study means.
            past: what the ledger has, by trial.
            hold: takes a stage for this launch; False while another launch makes it.
            look: what the ledger has of a stage now.
        """
        self.plan = plan
        self.slots = 1
        """How many trials run at once, as far as is known; the executor sets it."""
        self.running: dict[str, Job] = {}
        self.done: Counter[str] = Counter()
        """Ended in this launch, by `trial` or `stage` and status, such as `trial done`."""
        self.reused = 0
        self.failures: list[Outcome] = []
        self.blocked: dict[str, str] = {}
        """Trials that cannot run, and the stage that failed under them."""
        self.closed: str | None = None
        """Why no more is handed out, or None."""
        self.outcomes: dict[str, Mapping[str, float]] = {}
        """The last measured numbers of every trial that is over."""
        self._hold, self._look = hold, look
        self._past = past
        self._attempts: Counter[str] = Counter({trial: one.attempt for trial, one in past.items()})
        self._tries: Counter[str] = Counter()
        self._artifacts = {trial: one.artifact for trial, one in past.items() if one.status == "done"}
        self._ready: deque[Job] = deque()
        self._stages: deque[Job] = deque()
        self._waiting: dict[str, list[Job]] = {}
        self._needs: dict[str, set[str]] = {}
        self._known: set[str] = set()
        wall_hours = plan.study.budget.wall_hours
        self.deadline = None if wall_hours is None else time.time() + wall_hours * 3600
        """When, in unix seconds, nothing more may start."""
        self._gpu_hours = sum(one.seconds * one.gpu for one in past.values()) / 3600
        self._counted = 0
        self._searches = [Proposals(plan, sweep, self._points(sweep)) for sweep in plan.sweeps] if plan.adaptive else []
        self._add([(point, repetition) for point, repetition, _ in plan.trials()])
        for search in self._searches:
            for point in search.points:
                self._open(point)
        self.total = plan.trial_count

    # -- what an executor calls ------------------------------------------------------------------------------------------

    def next(self) -> Job | None:
        """The next job, or None where nothing can start now."""
        self._check_budget()
        if self.closed:
            return None
        job = self._next_stage()
        if job is None and not self._ready:
            self._propose()
        if job is None and self._ready:
            job = self._ready.popleft()
        if job is not None:
            self.running[job.trial] = job
            self._tries[job.trial] += 1
            self._attempts[job.trial] += 1
            self._counted += job.kind == "trial" and self._tries[job.trial] == 1
        return job

    def attempt(self, job: Job) -> int:
        """Which attempt at the job this is, over all launches."""
        return self._attempts[job.trial]

    def artifacts(self, job: Job) -> dict[str, Mapping[str, str]]:
        """The artifacts of the job's stages, by the names that the task calls them."""
        return {name: self._artifacts[stage] for name, stage in job.stages.items()}

    def end(self, job: Job, outcome: Outcome) -> None:
        """Takes in how a job ended: releases what waited for it, retries it, tells its search."""
        self.running.pop(job.trial, None)
        self._gpu_hours += outcome.seconds * self.plan.study.resources.gpu / 3600
        if outcome.status == "failed" and self._again(job, outcome):
            (self._stages if job.kind == "stage" else self._ready).append(job)
            return
        self.done[f"{job.kind} {outcome.status}"] += 1
        if outcome.status == "failed":
            self.failures.append(outcome)
            if job.kind == "stage":
                self._block(job.trial)
        elif job.kind == "stage":
            self._release(job.trial, outcome.artifact)
        else:
            self.outcomes[job.trial] = outcome.values
        for search in self._searches:
            search.tell(job, outcome)

    def withdraw(self, job: Job) -> None:
        """Takes a job back that was handed out but did not run."""
        self.running.pop(job.trial, None)

    def requeue(self, job: Job) -> None:
        """Takes a job back that did not run through no fault of its own; it is handed out again, as the same attempt."""
        self.running.pop(job.trial, None)
        self._tries[job.trial] -= 1
        self._attempts[job.trial] -= 1
        self._counted -= job.kind == "trial" and self._tries[job.trial] == 0
        (self._stages if job.kind == "stage" else self._ready).appendleft(job)

    def close(self, why: str) -> None:
        """Hands out nothing more; what runs may end."""
        self.closed = self.closed or why

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing more will be handed out."""
        if self.running:
            return False
        if self.closed:
            return True
        return not (self._ready or self._stages or any(search.open for search in self._searches))

    @property
    def left(self) -> int:
        """Trials of the study that have no result yet, failed ones not counted."""
        over = self.reused + self.done["trial done"] + self.done["trial stopped"] + self.done["trial failed"]
        return max(0, self.total - over - len(self.blocked))

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _add(self, trials: Iterable[tuple[Point, int]]) -> None:
        todo: list[tuple[Point, int]] = []
        for point, repetition in trials:
            trial = trial_id(point.id, repetition)
            past = self._past.get(trial)
            if trial in self._known:
                continue
            self._known.add(trial)
            if past is not None and past.over:
                self.reused += 1
                self.outcomes[trial] = past.values
            else:
                todo.append((point, repetition))
        stages = self.plan.stages(todo)
        jobs = [self.plan.job(point, repetition) for point, repetition in todo]
        for job in [*stages.values(), *jobs]:
            if job.kind == "stage" and (job.trial in self._artifacts or job.trial in self._needs):
                continue
            needs = {stage for stage in job.stages.values() if stage not in self._artifacts}
            self._needs[job.trial] = needs
            for stage in needs:
                self._waiting.setdefault(stage, []).append(job)
            if not needs:
                self._queue(job)

    def _queue(self, job: Job) -> None:
        (self._stages if job.kind == "stage" else self._ready).append(job)

    def _next_stage(self) -> Job | None:
        """The next stage that no other launch is making: stages are what most other work waits for."""
        for _ in range(len(self._stages)):
            stage = self._stages.popleft()
            there = self._look(stage.trial)
            if there is not None and there.status == "done":
                self._release(stage.trial, there.artifact)
            elif self._hold(stage.trial):
                return stage
            else:
                self._stages.append(stage)
        return None

    def _release(self, stage: str, artifact: Mapping[str, str]) -> None:
        self._artifacts[stage] = artifact
        for job in self._waiting.pop(stage, ()):
            needs = self._needs[job.trial]
            needs.discard(stage)
            if not needs:
                self._queue(job)

    def _block(self, stage: str) -> None:
        for job in self._waiting.pop(stage, ()):
            if job.kind == "stage":
                self._block(job.trial)
            else:
                self.blocked[job.trial] = stage

    def _again(self, job: Job, outcome: Outcome) -> bool:
        retry = self.plan.study.retry
        kind = (outcome.reason or "").partition(":")[0]
        return self.closed is None and kind in retry.reasons and self._tries[job.trial] < retry.attempts

    def _check_budget(self) -> None:
        budget = self.plan.study.budget
        if budget.trials is not None and self.reused + self._counted >= budget.trials:
            self.close(f"budget of {budget.trials} trials")
        if self.deadline is not None and time.time() >= self.deadline:
            self.close(f"budget of {budget.wall_hours:g} wall hours")
        if budget.gpu_hours is not None and self._gpu_hours >= budget.gpu_hours:
            self.close(f"budget of {budget.gpu_hours:g} GPU hours")

    # -- adaptive samplers -----------------------------------------------------------------------------------------------

    def _points(self, sweep: Sweep) -> dict[int, Point]:
        """The points of a sweep that earlier launches proposed, by their index."""
        found = {}
        for one in self._past.values():
            if one.sweep == sweep.id and one.index not in found:
                found[one.index] = self.plan.point(sweep, one.index, one.parameters)
        return dict(sorted(found.items()))

    def _open(self, point: Point) -> None:
        self._add([(point, repetition) for repetition in range(self.plan.study.repetitions)])

    def _propose(self) -> None:
        """Opens one more point of the search that has the fewest open ones.

        A search is not asked for more points at once than a quarter of its size, since what it proposes without results is
        a guess; but a slot is never left idle for that.
        """
        idle = len(self.running) < self.slots
        for search in sorted((one for one in self._searches if one.open), key=lambda one: one.pending(self.outcomes)):
            if idle or search.pending(self.outcomes) < max(1, search.size // 4):
                point = search.propose()
                if point is not None:
                    self._open(point)
                    if self._ready or self._stages:
                        return
