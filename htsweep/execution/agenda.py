"""What to run next: the plan minus what the ledger has, stages before the trials that need them.

The plan is walked only a little ahead of what runs: it may have more trials than memory holds.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from htsweep.execution.fractions import Fractions
from htsweep.execution.load import Node
from htsweep.execution.others import Others
from htsweep.execution.proposing import Proposals
from htsweep.execution.waiting import Waiting
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job, Stage, trial_id
from htsweep.planning.plan import Plan, Point
from htsweep.planning.resources import Amounts
from htsweep.planning.sharing import NAME as TRAJECTORY
from htsweep.study.resources import AUTO, Amount

NOTHING: Mapping[str, Any] = MappingProxyType({})
OUT_OF_GPU_MEMORY = "out_of_memory: OutOfMemoryError"
"""How the reason begins of a trial to which a GPU gave no memory; that of a machine differs."""
AHEAD = 10_000
"""The most trials that are ready or wait for their stages.

It is large enough to find stages early, so that they are made first.
"""
CHECK_SECONDS = 1.0
"""How often jobs that other launches run are looked for."""
STEPS = 20_000
"""The most steps through the plan in one call, so that the call returns within a second."""


@final
@dataclass(frozen=True, slots=True)
class EarlierRun:
    """An earlier run of a trial or a stage, as the ledger has it."""

    status: str
    seconds: float = 0.0
    gpu: float = 0.0
    attempt: int = 1
    artifact: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    values: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    kind: str = "stage"
    point: Point | None = None
    """The point, if an adaptive sampler proposed it."""

    @property
    def over(self) -> bool:
        """Whether it needs no further run."""
        return self.status in ("done", "stopped")


@final
class Agenda:
    """The work of one launch: `next` hands out a job, `end` records how it ended.

    It is used from one thread, so it holds no lock.
    """

    def __init__(
        self,
        plan: Plan,
        past: Mapping[str, EarlierRun],
        others: Others | None = None,
        *,
        gpu_hours: float = 0.0,
    ) -> None:
        """Starts from the work that earlier launches have left.

        Args:
            plan: what the study means.
            past: earlier runs of the plan's trials and stages, by id.
            others: the other launches that share stages, and maybe trials, with this one.
            gpu_hours: GPU hours of its budget that the study has used.
        """
        self.plan = plan
        self.slots = 1
        """How many trials run at once, as far as is known; set by the executor."""
        self.nodes: Sequence[Node] = ()
        """Where they run, as far as the executor knows; empty for this machine alone."""
        self.running: dict[str, Job] = {}
        self.done: Counter[str] = Counter()
        """How many jobs ended in this launch, by kind and status, such as `trial done`."""
        self.reused = sum(run.kind == "trial" and run.over for run in past.values())
        self.stages: Counter[str] = Counter()
        """Task -> how many stages must be made, as far as the plan was walked."""
        self.made: Counter[str] = Counter()
        """Task -> how many of these are made."""
        self.failures: list[Outcome] = []
        self.closed: str | None = None
        """Why no more jobs are handed out, or None."""
        self.measured: Callable[[list[str]], Iterable[tuple[Point, Mapping[str, float]]]] = (
            lambda metrics: ()
        )
        """What earlier launches measured: metrics -> (point, last values) of each trial."""
        self.total = plan.trial_count
        """The study's number of trials; an upper bound until `exact`."""
        self.exact = plan.exact
        self.elsewhere: Counter[str] = Counter()
        """How many trials ended in other launches since this one began, by status."""
        self.others = others
        self._away: dict[str, Job] = {}
        """Jobs that another launch runs, or has failed to run so far."""
        self._next_check = 0.0
        self.fractions: Fractions | None = None
        """What is known of the fractions of a GPU under `gpu: auto`."""
        self._taken: dict[str, float] = {}
        """The GPUs that each running job takes."""
        self._spared: Counter[str] = Counter()
        """How many attempts at a job ran out of memory on too small a fraction of a GPU."""
        self._amounts = Amounts(plan.study, plan.task)
        self._past = past
        self._tries: Counter[str] = Counter()
        self._waiting = Waiting(
            {
                trial: run.artifact
                for trial, run in past.items()
                if run.kind == "stage" and run.status == "done"
            }
        )
        wall_hours = plan.study.budget.wall_hours
        self.deadline = None if wall_hours is None else time.time() + wall_hours * 3600
        """When, in unix seconds, jobs stop being handed out; None without such a budget."""
        self._gpu_hours = gpu_hours
        self._counted = 0
        self._proposals = (
            Proposals(plan, [run.point for run in past.values() if run.point], others)
            if plan.adaptive
            else None
        )
        self._sources: deque[Iterator[tuple[Point | None, int]]] = deque(
            [] if plan.adaptive else [self._walk()]
        )
        """(point, repetition) of trials not yet read; the point is None if it repeats another."""
        if self._proposals:
            for point in self._proposals.points:
                self._open(point)
        self._take_in()

    # -- what an executor calls

    def next(self) -> Job | None:
        """The next job, or None if nothing can start now."""
        self._check_budget()
        if self.closed:
            return None
        self._take_in()
        self._check_away()
        job = self._next_stage()
        if job is None and not self._waiting.trials:
            self._propose()
        if job is None:
            job = self._next_trial()
        if job is not None:
            self.running[job.trial] = job
            self._taken[job.trial] = self.amount(job).gpus
            self._tries[job.trial] += 1
            self._counted += job.kind == "trial" and self._tries[job.trial] == 1
        return job

    def attempt(self, job: Job) -> int:
        """Which attempt at the job this is, over all launches."""
        past = self._past.get(job.trial)
        elsewhere = self.others.failures(job.trial) if self.others else 0
        return self._tries[job.trial] + (past.attempt if past else 0) + elsewhere

    def amount(self, job: Job) -> Amount:
        """What the job takes of a machine; `auto` is the fraction of a GPU that fits now."""
        amount = self._amounts.of(job.config)
        if amount.gpu != AUTO:
            return amount
        fractions = self.fractions
        share = fractions and fractions.of(job.task, job.config, amount.accelerator)
        return amount.model_copy(update={"gpu": share or 1.0})

    def artifacts(self, job: Job) -> dict[str, Mapping[str, str]]:
        """The artifacts of the job's stages, by the task's names for the stages."""
        return {name: self._waiting.artifacts[stage] for name, stage in job.stages.items()}

    def end(self, job: Job, outcome: Outcome) -> None:
        """Records how a job ended: frees the jobs behind it, retries it, or tells its search."""
        self.running.pop(job.trial, None)
        taken = self._taken.pop(job.trial, 0.0)
        self._gpu_hours += outcome.seconds * taken / 3600
        if self._needs_more(job, outcome, taken):
            self._waiting.put(job)
            return
        if outcome.status == "failed" and self._again(job, outcome):
            self._waiting.put(job)
            return
        self._check_gpu_hours()
        self._tries.pop(job.trial, None)
        if self.others:
            self.others.recorded(job.trial, outcome.record, outcome.status != "failed")
        self._spared.pop(job.trial, None)
        self.done[f"{job.kind} {outcome.status}"] += 1
        if outcome.status == "failed":
            self.failures.append(outcome)
        if job.kind == "stage" and outcome.status == "failed":
            self._waiting.failed(job.trial)
        elif job.kind == "stage":
            self.made[job.task] += 1
            self._waiting.made(job.trial, outcome.artifact)
        elif self._proposals:
            self._proposals.tell(
                job.point, job.repetition, None if outcome.status == "failed" else outcome.values
            )

    def withdraw(self, job: Job) -> None:
        """Takes back a job that was handed out but did not run; it is not handed out again."""
        self.running.pop(job.trial, None)

    def requeue(self, job: Job) -> None:
        """Takes back a job that did not run through no fault of its own, to hand it out again.

        The next run counts as the same attempt.
        """
        self.running.pop(job.trial, None)
        self._tries[job.trial] -= 1
        self._counted -= job.kind == "trial" and self._tries[job.trial] == 0
        self._waiting.put_first(job)

    def close(self, why: str) -> None:
        """Hands out no more jobs, for the reason `why`; running jobs may end."""
        self.closed = self.closed or why

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing more will be handed out."""
        if self.running:
            return False
        if self.closed:
            return True
        more = self._sources or self._away or (self._proposals and self._proposals.open)
        return not (self._waiting.trials or self._waiting.stages or more)

    @property
    def blocked(self) -> Mapping[str, str]:
        """Trials that cannot run -> the stage whose failure blocks them."""
        return self._waiting.blocked

    @property
    def over(self) -> int:
        """Trials of the study that have a result."""
        here = self.done["trial done"] + self.done["trial stopped"]
        return self.reused + here + self.elsewhere["done"] + self.elsewhere["stopped"]

    @property
    def left(self) -> int:
        """How many trials have no result yet, failed and blocked ones not counted.

        An upper bound until `exact`.
        """
        failed = self.done["trial failed"] + self.elsewhere["failed"]
        return max(0, self.total - self.over - failed - len(self.blocked))

    # -- inside

    def _walk(self) -> Iterator[tuple[Point | None, int]]:
        """The plan's trials in order; their number is known after the first repetition."""
        points = 0
        for repetition in range(self.plan.study.repetitions if self.plan.sweeps else 0):
            for point in self.plan.steps():
                points += point is not None and repetition == 0
                yield point, repetition
            self.total, self.exact = points * self.plan.study.repetitions, True

    def _take_in(self) -> None:
        """Reads trials from the plan, until `AHEAD` are waiting or `STEPS` steps are taken."""
        # Steps through a plan that is a list are quick. Through others, fewer are taken while there
        # are trials to run.
        steps = 0
        while self._sources and len(self._waiting.trials) + self._waiting.count < AHEAD:
            if not self.plan.exact and steps >= (STEPS // 40 if self._waiting.trials else STEPS):
                return
            steps += 1
            point_and_repetition = next(self._sources[0], None)
            if point_and_repetition is None:
                self._sources.popleft()
                continue
            point, repetition = point_and_repetition
            if point is not None:
                self._add(point, repetition)
                if self._hopeless:
                    self._sources.clear()

    @property
    def _hopeless(self) -> bool:
        """Whether nothing can run and so many trials are blocked that the rest are not read.

        A plan that is not a list may have a billion trials, too many to check them all.
        """
        at_hand = self._waiting.trials or self._waiting.count or self.running
        return not self.plan.exact and not at_hand and len(self.blocked) >= AHEAD

    def _add(self, point: Point, repetition: int) -> None:
        trial = trial_id(point.id, repetition)
        past = self._past.get(trial)
        if self._proposals and not self._proposals.begin(point, repetition):
            return
        if past is not None and past.over:
            if self._proposals:
                self._proposals.tell(point.id, repetition, past.values)
            return
        self._add_stages(self.plan.needs(point), repetition)
        self._waiting.add(self.plan.job(point, repetition))

    def _add_stages(self, needs: Mapping[str, Stage], repetition: int) -> None:
        """Adds the stages that are not made yet, each after those that it needs itself."""
        for name, stage in needs.items():
            if not self._waiting.knows(trial_id(stage.point, repetition)):
                self._add_stages(stage.needs, repetition)
                self.stages[stage.task] += 1
                self._waiting.add(stage.job(repetition), trains=name == TRAJECTORY)

    def _next_stage(self) -> Job | None:
        """The next stage that no other launch is making.

        Stages come first, because most other work waits for them.
        """
        for _ in range(len(self._waiting.stages)):
            stage = self._waiting.stages.popleft()
            if self._is_ours(stage):
                return stage
        return None

    def _next_trial(self) -> Job | None:
        """The next trial, or the next shared training, that no other launch runs."""
        for _ in range(len(self._waiting.trials)):
            job = self._waiting.trials.popleft()
            if self._is_ours(job):
                return job
        return None

    def _is_ours(self, job: Job) -> bool:
        """Whether this launch should run the job; False if it is ended, or run elsewhere now."""
        if self.others is None or (job.kind == "trial" and not self.others.trials):
            return True
        if self._is_settled(job, self.others):
            return False
        if self.others.hold(job.trial):
            return True
        self._away[job.trial] = job
        return False

    def _is_settled(self, job: Job, others: Others) -> bool:
        """Whether another launch has ended the job for good; then takes in how."""
        ended = others.look(job.trial)
        if ended is None:
            return False
        if ended.status == "failed":
            retry = self.plan.study.retry
            again = _kind(ended.reason) in retry.reasons and ended.failures < retry.attempts
            if again or not others.trials:
                return False
        self._gpu_hours += ended.seconds * ended.gpu / 3600
        if job.kind == "stage" and ended.status == "failed":
            self._waiting.failed(job.trial)
        elif job.kind == "stage":
            self.made[job.task] += 1
            self._waiting.made(job.trial, ended.artifact or {})
        else:
            self.elsewhere[ended.status] += 1
            if self._proposals:
                values = None if ended.status == "failed" else ended.values
                self._proposals.tell(job.point, job.repetition, values)
        return True

    def _check_away(self) -> None:
        """Asks what became of the jobs of other launches; takes over where those are dead.

        Stages are taken over at once, and of trials one at a time, once there are no others: the
        launches that are left share them.
        """
        now = time.monotonic()
        if self.others is None or not self._away or now < self._next_check:
            return
        idle = not (self._waiting.trials or self._waiting.stages)
        for job in list(self._away.values()):
            settled = self._is_settled(job, self.others)
            if settled or ((job.kind == "stage" or idle) and self.others.hold(job.trial)):
                del self._away[job.trial]
                if not settled:
                    self._waiting.put_first(job)
                    idle = False
        self._next_check = now + max(CHECK_SECONDS, 10 * (time.monotonic() - now))

    def _again(self, job: Job, outcome: Outcome) -> bool:
        retry = self.plan.study.retry
        elsewhere = self.others.failures(job.trial) if self.others else 0
        return (
            self.closed is None
            and _kind(outcome.reason) in retry.reasons
            and self._tries[job.trial] + elsewhere < retry.attempts + self._spared[job.trial]
        )

    def _needs_more(self, job: Job, outcome: Outcome, taken: float) -> bool:
        """Whether a job ran out of a GPU's memory on a fraction of it, to run again on a larger.

        That is no fault of the trial, and uses up none of its attempts.
        """
        automatic = self._amounts.of(job.config).gpu == AUTO and self.fractions is not None
        if not automatic or not 0 < taken < 1 or self.closed is not None:
            return False
        if outcome.status != "failed" or not (outcome.reason or "").startswith(OUT_OF_GPU_MEMORY):
            return False
        assert self.fractions is not None
        self.fractions.ran_out(job.task, job.config, taken, job.trial)
        self._spared[job.trial] += 1
        return True

    def _check_budget(self) -> None:
        budget = self.plan.study.budget
        away = sum(job.kind == "trial" for job in self._away.values())
        counted = self.reused + self._counted + sum(self.elsewhere.values()) + away
        if budget.trials is not None and counted >= budget.trials:
            self.close(f"budget of {budget.trials} trials")
        if self.deadline is not None and time.time() >= self.deadline:
            self.close(f"budget of {budget.wall_hours:g} wall hours")
        self._check_gpu_hours()

    def _check_gpu_hours(self) -> None:
        if self.spent:
            self.close(f"budget of {self.plan.study.budget.gpu_hours:g} GPU hours")

    @property
    def spent(self) -> bool:
        """Whether the study's GPU hours are used up, so that no trial should start any more."""
        most = self.plan.study.budget.gpu_hours
        return most is not None and self._gpu_hours >= most

    # -- adaptive samplers

    def _open(self, point: Point) -> None:
        self._sources.append(
            (point, repetition) for repetition in range(self.plan.study.repetitions)
        )

    def _propose(self) -> None:
        """Opens proposed points until one of them has a job that can run.

        A slot stays idle for lack of results only if jobs that wait for a stage will fill it.
        """
        if self._proposals is None:
            return
        idle = len(self.running) < self.slots and not self._waiting.count
        for point in self._proposals.next(idle):
            self._open(point)
            self._take_in()
            if self._waiting.trials or self._waiting.stages:
                return


def _kind(reason: str | None) -> str:
    """The kind of a failure: the first word of its reason."""
    return (reason or "").partition(":")[0]
