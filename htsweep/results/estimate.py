"""What a launch would do, and what it would cost, before anything is started."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

from htsweep.commands import given
from htsweep.execution.fractions import Fractions
from htsweep.execution.probing import lines
from htsweep.planning import resources, shape, tuning
from htsweep.planning.ablation import variants_of
from htsweep.planning.jobs import Stage, with_inner
from htsweep.planning.keeping import amount, keeping
from htsweep.planning.notes import notes, varied_notes
from htsweep.planning.plan import MOST_LISTED, Plan
from htsweep.planning.power import least_p, repetitions_needed
from htsweep.planning.roster import COLUMNS
from htsweep.planning.sharing import LIMIT
from htsweep.planning.task import BOUND
from htsweep.results import chosen, cost, tally
from htsweep.results.cost import Run, first_of, run_of
from htsweep.results.foreseen import Foreseen
from htsweep.results.results import Results
from htsweep.results.room import HERE, Room
from htsweep.results.spared import Screened, screened
from htsweep.words import count

ALPHA = 0.05


@final
@dataclass(frozen=True)
class Estimate:
    """A study in numbers."""

    study: str
    sweeps: int
    points: int
    repetitions: int
    trials: int
    trials_done: int
    trials_stopped: int
    trials_failed: int
    trials_to_run: int
    stages: int
    stages_done: int
    stages_to_run: int
    compute_hours: float | None
    """Hours of one slot for what is to run; None if there are no past runs to estimate from."""
    compute_hours_basis: str
    gpu_hours: float | None
    repetitions_for_significance: int | None
    smallest_p: float
    comparisons: int
    """Values of the compared factor that a report tests against the baseline, in each group."""
    repetitions_for_all: int | None
    """How many it takes to show all of these after Holm's correction; None: no number suffices."""
    budget: Mapping[str, float]
    """The caps that the study sets."""
    trials_blocked: int = 0
    """How many of the failed trials could not run, because a stage that they need has failed."""
    stages_failed: int = 0
    """How many of the stages to run have failed before."""
    ablation: Mapping[str, int] = field(default_factory=dict)
    """Number of variants by kind (htsweep/planning/ablation.py), which is the same in each cell."""
    screen: Screened | None = None
    """What the scores of its screen cost and spare; the stages and the hours are those of both."""
    notes: Sequence[str] = ()
    """What a person should know about its data and values (htsweep/planning/notes.py)."""
    keep: str = ""
    """What is kept of its trials' outputs, and its size (htsweep/planning/keeping.py)."""
    metrics: Sequence[str] = ()
    """What the study measures of its trials' answers."""
    remeasure: str = ""
    """The command that adds these metrics to trials that ended before; "" where there are none."""
    trainings_alone: int = 0
    """How many trainings trials and proxy runs would take if each trained by itself; 0 if points
    are not listed.
    """
    trainings: int = 0
    """How many they do take, since what trains alike is trained once."""
    shared: str = ""
    """What sharing trainings spares, and how much space their weights take, as text."""
    exact: bool = True
    """Whether points were listed; else points, trials and trials to run are upper bounds, and
    stages lower bounds.
    """
    wall_hours: float | None = None
    """Hours with all slots at once; None if unknown, or if it takes a GPU that is not here."""
    slots: int | None = None
    """How many trials run at once, on this machine or as was asked; None: it has no GPU for one."""
    grid: Sequence[str] = ()
    """What is compared, a line per factor (htsweep/planning/shape.py)."""
    takes: Sequence[str] = ()
    """What trials take, a line per amount; empty if all take the same."""
    slots_given: bool = False
    """Whether the number of slots was given, so that it says nothing of this machine."""
    elsewhere: str = ""
    """The command that tells the hours of other slots."""
    where: str = HERE
    """What has the slots, unless their number was given."""

    def lines(self) -> list[str]:
        """The estimate as text."""
        enough = (
            self.repetitions_for_significance is not None
            and self.repetitions >= self.repetitions_for_significance
        )
        test = (
            f"{count(self.repetitions, 'repetition')}: a paired test can reach p = "
            f"{self.smallest_p:.3g}"
            + (
                ""
                if enough
                else f"; p < {ALPHA:g} takes at least {self.repetitions_for_significance}"
            )
        )
        if self.repetitions_for_all is None:
            test += (
                f"; corrected for {self.comparisons} comparisons (Holm), no number of repetitions "
                f"reaches p < {ALPHA:g}"
            )
        elif self.repetitions < self.repetitions_for_all and self.comparisons > 1:
            test += (
                f"; corrected for {self.comparisons} comparisons (Holm), "
                f"p < {ALPHA:g} takes {self.repetitions_for_all}"
            )
        caps = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in self.budget.items())
        variants = ", ".join(
            kind if number == 1 and kind in ("full", "none") else f"{number} {kind}"
            for kind, number in self.ablation.items()
        )
        most = "" if self.exact else "at most "
        again = f"failed (run again{_blocked(self.trials_blocked)})"
        return [
            f"study {self.study}: {count(self.sweeps, 'sweep')}, {most}"
            f"{count(self.points, 'point')}, {count(self.repetitions, 'repetition')}",
            *self.grid,
            *self.notes,
            *([f"ablate  {variants}"] if variants else []),
            *(self.screen.lines() if self.screen else []),
            f"trials  {most}{self.trials}: {self.trials_done} done, "
            f"{f'{self.trials_stopped} stopped early, ' if self.trials_stopped else ''}"
            f"{f'{self.trials_failed} {again}, ' if self.trials_failed else ''}"
            f"{most}{self.trials_to_run} to run",
            *(
                []
                if self.exact
                else [
                    f"        more than {MOST_LISTED} points are not listed, but counted from the "
                    "values of "
                    "each parameter: of those that turn out to mean the same, one is run"
                ]
            ),
            f"stages  {self.stages}, each once: {self.stages_done} done, "
            f"{f'{self.stages_failed} failed (run again), ' if self.stages_failed else ''}"
            f"{self.stages_to_run} to run"
            + ("" if self.exact else "; points that are not listed may need more"),
            *([f"keep    {self.keep}"] if self.keep else []),
            *self._metrics(),
            *([f"shared  {self.shared}"] if self.shared else []),
            *self.takes,
            f"cost    {self._cost()}",
            f"test    {test}",
            *([f"budget  {caps}"] if caps else []),
        ]

    def _cost(self) -> str:
        """`12.0 min of one slot, about 6.0 min on the 2 slots of this machine (from ...)`."""
        if self.compute_hours is None:
            return self.compute_hours_basis
        seconds = 3600 * self.compute_hours
        text = f"{cost.lasting(seconds)} of one slot"
        if self.gpu_hours:
            text += f", {self.gpu_hours:.3g} GPU hours"
        if self.slots is None and self.left:
            lacks = "here" if self.where == HERE else f"in {self.where}"
            text += (
                f"; no GPU {lacks}: {self.elsewhere} tells how long it takes with 8 trials at once"
            )
        elif self.wall_hours is not None and (
            self.slots_given or self.where != HERE or (self.slots or 1) > 1
        ):
            wall = cost.lasting(3600 * self.wall_hours)
            on = f"{self.slots} slot{'s' if self.slots != 1 else ''}"
            text += f", about {wall} on {on if self.slots_given else f'the {on} of {self.where}'}"
        return f"{text} ({self.compute_hours_basis})"

    def _metrics(self) -> list[str]:
        if not self.metrics:
            return []
        later = f"; to add them to trials that ended before: {self.remeasure}"
        return [f"metrics {', '.join(self.metrics)}{later if self.remeasure else ''}"]

    @property
    def failed(self) -> int:
        """How many trials, and scores of the screen, have failed (htsweep/results/tally.py)."""
        return self.trials_failed + (self.screen.trials_failed if self.screen else 0)

    @property
    def left(self) -> int:
        """How many trials a launch would run, not counting those that failed before."""
        return self.trials_to_run - self.trials_failed

    def json(self) -> str:
        """The estimate as JSON."""
        return json.dumps(asdict(self), indent=2)


def estimate(
    results: Results, measured: Iterable[Mapping[str, Any]] = (), room: Room | None = None
) -> Estimate:
    """What launching the study of `results` would do and cost; changes nothing.

    Args:
        results: of the study.
        measured: rows of further past runs, as `measure` returns them.
        room: what trials share where they will run; None: this machine.
    """
    study, planned, scored = results.study, results.plan, results.score_plan

    def recorded() -> Iterator[dict[str, Any]]:
        return results.rows(COLUMNS)

    ended = tally.Ended.of(planned, recorded())
    scores = tally.Ended.of(scored, recorded()) if scored else None
    both = [(planned, ended), *([(scored, scores)] if scored and scores else [])]
    # Where much of a long search is done, counting its points takes no longer than reading that.
    known = None if planned.exact else planned.counted(MOST_LISTED + 2 * len(ended.sweeps))
    trials = planned.trial_count if known is None else sum(known.values()) * study.repetitions
    to_run = trials - ended.over
    stages = _stages(both)
    rows = results.rows(cost.COLUMNS)
    past = Foreseen(itertools.chain(rows, measured), study, planned.task)
    wanted = [
        *_trials_to_run(both, known),
        *((_of_stage(stage.stage), stage.to_run) for stage in stages),
    ]
    costs, gpu_hours = past.of(wanted)
    hours, room = costs.hours, room or Room.here()
    at_once = room.slots(resources.amounts_of(planned, scored))
    basis = costs.basis(given(study, results.location).verb("plan", "--measure"))
    compared = _comparisons(planned)
    all_stages, missing = (
        sum(stage.count for stage in stages),
        sum(stage.to_run for stage in stages),
    )
    return Estimate(
        study.name,
        len(planned.sweeps),
        sum((known or planned.sizes).values()),
        study.repetitions,
        trials,
        ended.counts["done"],
        ended.counts["stopped"],
        ended.failed,
        to_run,
        all_stages,
        all_stages - missing,
        missing,
        hours,
        basis,
        gpu_hours,
        repetitions_needed(ALPHA),
        least_p(study.repetitions),
        compared,
        repetitions_needed(ALPHA, max(compared, 1)),
        {key: value for key, value in study.budget.model_dump().items() if value is not None},
        ended.blocked,
        sum(stage.failed for stage in stages),
        Counter(variant.kind for variant in variants_of(study.ablate, planned.task.empty))
        if study.ablate
        else {},
        screened(results, {**scores.counts, "failed": scores.failed})
        if scored and scores
        else None,
        [
            *notes(study),
            *chosen.lines(study, results.location, results.store, results.full_plan),
            *varied_notes(planned),
            *tuning.lines(planned),
        ],
        keeping(results.full_plan).line,
        study.metrics,
        given(study, results.location).verb("remeasure") if study.metrics and ended.over else "",
        *_trainings(planned),
        _shared(planned),
        planned.exact or known is not None,
        None if hours is None or not at_once else past.wall(wanted, room),
        at_once or None,
        shape.lines(planned),
        [
            *resources.lines(planned),
            *(lines(planned, Fractions(results.store)) if study.resources.automatic else []),
        ],
        room.given is not None,
        given(study, results.location).verb("plan", "--slots", "8"),
        room.where,
    )


@final
@dataclass(frozen=True)
class _Staged:
    """A stage that plans need, in all their repetitions."""

    stage: Stage
    count: int
    to_run: int
    failed: int
    """How many of those to run have failed before."""


def _stages(plans: Sequence[tuple[Plan, tally.Ended]]) -> list[_Staged]:
    """The stages of plans, each once, and in how many repetitions a trial to run needs it."""
    known: dict[str, Stage] = {}
    # For each plan: in how many repetitions it needs the stage, and in which of them no longer,
    # since all its trials are over.
    needs: dict[str, list[tuple[int, frozenset[int]]]] = {}
    for planned, ended in plans:
        known |= planned.known_stages
        idle: dict[str, frozenset[int]] = {}
        for point in planned.distinct() if planned.exact else ():
            over = ended.repetitions.get(point.id, frozenset())
            for stage in with_inner(planned.needs(point).values()):
                idle[stage.point] = idle.get(stage.point, over) & over
        for name in planned.known_stages:
            needs.setdefault(name, []).append(
                (planned.study.repetitions, idle.get(name, frozenset()))
            )
    counted = []
    for name, stage in known.items():
        largest = max(repetitions for repetitions, _ in needs[name])
        done = frozenset[int]().union(*(ended.stages.get(name, frozenset()) for _, ended in plans))
        looked_at = done.union(*(idle for _, idle in needs[name]))
        spared = sum(
            repetition in done
            or all(
                repetition >= repetitions or repetition in idle for repetitions, idle in needs[name]
            )
            for repetition in looked_at
            if repetition < largest
        )
        failed = (
            frozenset[int]().union(
                *(ended.failed_stages.get(name, frozenset()) for _, ended in plans)
            )
            - done
        )
        waited_for = sum(
            any(
                repetition < repetitions and repetition not in idle
                for repetitions, idle in needs[name]
            )
            for repetition in failed
        )
        counted.append(_Staged(stage, largest, largest - spared, waited_for))
    return counted


def _of_stage(stage: Stage) -> Run:
    return Run("stage", stage.task, stage.point, stage.config, frozenset(stage.needs))


def _trials_to_run(
    plans: Sequence[tuple[Plan, tally.Ended]], known: Mapping[str, int] | None
) -> Iterator[tuple[Run, int]]:
    """The trials to run, each with how many there are like it.

    `known` is the number of points per sweep of a plan that is too large to be listed.
    """
    for planned, ended in plans:
        repetitions = planned.study.repetitions
        if planned.exact and not planned.adaptive:
            for point in planned.distinct():
                over = ended.repetitions.get(point.id, frozenset())
                yield run_of(planned, point), repetitions - len(over)
            continue
        over_by_sweep: Counter[str] = Counter()
        for name, sweep in ended.sweeps.items():
            over_by_sweep[sweep] += len(ended.repetitions.get(name, frozenset()))
        # Not every point is known: each is taken to be like the first of its sweep.
        sizes = planned.sizes if planned.adaptive else (known or planned.sizes)
        for made in planned.sweeps:
            many = sizes.get(made.id, 0) * repetitions - over_by_sweep[made.id]
            yield run_of(planned, first_of(planned, made)), max(0, many)


def _blocked(number: int) -> str:
    return f"; {number} of them could not run, since a stage failed" if number else ""


def _trainings(planned: Plan) -> tuple[int, int]:
    """How many trainings trials take alone and shared; zeros if points are not listed."""
    if planned.sharing is None or planned.adaptive or not planned.exact:
        return 0, 0
    alone, shared = planned.sharing.trainings
    return alone * planned.study.repetitions, shared * planned.study.repetitions


def _shared(planned: Plan) -> str:
    """What sharing trainings spares and takes, or why none are shared; "" if there is nothing."""
    sharing, (alone, trainings) = planned.sharing, _trainings(planned)
    if sharing is None:
        return ""
    if not sharing.fits:
        return (
            f"no trainings that keep weights: the weights would take about {amount(sharing.size)}, "
            f"more than {amount(LIMIT)}; `share_trainings: true` in the study shares them"
        )
    weights = f"; their weights take about {amount(sharing.size)}" if sharing.size else ""
    if trainings < alone:
        return (
            f"{trainings} trainings in place of {alone}: trials that train alike share one{weights}"
        )
    return ""


def _comparisons(planned: Plan) -> int:
    """How many values of the compared factor compete with the baseline, in the largest group."""
    compared, groups = planned.study.compared, Counter[str]()
    for sweep in planned.sweeps:
        if compared is not None and compared in sweep.factors and sweep.role != BOUND:
            groups[str([value for name, value in sweep.factors.items() if name != compared])] += 1
    return max(groups.values(), default=1) - 1
