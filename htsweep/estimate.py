"""What a launch would do, and what it would cost, before anything is started."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, final

from htsweep import screening, tally
from htsweep.ablating import variants_of
from htsweep.analysis.design import ROLES
from htsweep.analysis.power import least_p, repetitions_needed
from htsweep.ledger import Ledger, Store
from htsweep.notes import notes
from htsweep.planning import Job, Plan, Point, plan
from htsweep.spared import Screened, screened
from htsweep.study import Study

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
    """Hours of one slot for what is to run; None where the ledger has nothing to go by."""
    compute_hours_basis: str
    gpu_hours: float | None
    repetitions_for_significance: int
    smallest_p: float
    comparisons: int
    """Values of the compared factor that a report tests against the baseline, in each group."""
    repetitions_for_all: int
    """With which all of these can be shown, after Holm's correction."""
    budget: Mapping[str, float]
    """The caps that the study sets."""
    trials_blocked: int = 0
    """Of those that failed, the ones that could not run since a stage failed that they need."""
    stages_failed: int = 0
    """Of those to run, the ones that failed."""
    ablation: Mapping[str, int] = field(default_factory=dict)
    """Variants by kind (htsweep/ablating.py), the same in each cell; each is counted once."""
    screen: Screened | None = None
    """What the scores of its screen take and spare; the stages and the hours are those of both."""
    notes: Sequence[str] = ()
    """What a person should know of its data and values (htsweep/notes.py)."""

    def lines(self) -> list[str]:
        """The estimate as a person reads it."""
        hours = "unknown: " + self.compute_hours_basis if self.compute_hours is None else (
            f"{self.compute_hours:.3g} h of one slot ({self.compute_hours_basis})")
        gpu = f", {self.gpu_hours:.3g} GPU hours" if self.gpu_hours else ""
        enough = self.repetitions >= self.repetitions_for_significance
        test = (f"{self.repetitions} repetitions: a paired test can reach p = {self.smallest_p:.3g}"
                + ("" if enough else f"; p < {ALPHA:g} takes at least {self.repetitions_for_significance}"))
        if self.repetitions < self.repetitions_for_all and self.comparisons > 1:
            test += f"; corrected for {self.comparisons} comparisons (Holm), p < {ALPHA:g} takes {self.repetitions_for_all}"
        caps = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in self.budget.items())
        variants = ", ".join(kind if count == 1 and kind in ("full", "none") else f"{count} {kind}"
                             for kind, count in self.ablation.items())
        return [
            f"study {self.study}: {self.sweeps} sweeps, {self.points} points, {self.repetitions} repetitions",
            *self.notes,
            *([f"ablate  {variants}"] if variants else []),
            *(self.screen.lines() if self.screen else []),
            f"trials  {self.trials}: {self.trials_done} done, {self.trials_stopped} stopped early, "
            f"{self.trials_failed} failed (run again{_blocked(self.trials_blocked)}), {self.trials_to_run} to run",
            f"stages  {self.stages}, each once: {self.stages_done} done, "
            f"{f'{self.stages_failed} failed (run again), ' if self.stages_failed else ''}{self.stages_to_run} to run",
            f"cost    {hours}{gpu}",
            f"test    {test}",
            *([f"budget  {caps}"] if caps else []),
        ]

    @property
    def failed(self) -> int:
        """Trials, and scores of the screen, that have failed (htsweep/tally.py)."""
        return self.trials_failed + (self.screen.trials_failed if self.screen else 0)

    @property
    def left(self) -> int:
        """Trials that a launch would run, those that failed not counted."""
        return self.trials_to_run - self.trials_failed

    def json(self) -> str:
        """The estimate as JSON."""
        return json.dumps(asdict(self), indent=2)


def estimate(study: Study, results: str = "results") -> Estimate:
    """What launching `study` onto `results` would do; touches nothing."""
    ledger = Ledger(Store(results))
    whole = plan(study)
    verdicts = screening.judge(whole, ledger)
    planned, scored = screening.less(whole, verdicts), screening.plan_of(whole)
    columns = ["trial", "kind", "status", "sweep", "point", "point_index", "task", "seconds", "config", "repetition"]
    rows = ledger.trials(columns).to_pylist() if ledger.records() else []
    past = {row["trial"]: row for row in rows}
    counts, todo = _counted(planned, past)
    scores, scores_todo = _counted(scored, past) if scored else (counts, [])
    for row in tally.proposed(planned, rows) if planned.adaptive else ():
        counts[row["status"]] += 1
    blocked = tally.blocked(planned, rows)
    counts["failed"] += blocked
    if scored:
        scores["failed"] += tally.blocked(scored, rows)
    to_run = planned.trial_count - counts["done"] - counts["stopped"]
    # The stages of points that are not known yet are those of their sweep's base.
    bases = [] if not planned.adaptive else [(planned.point(sweep, 0, {}), repetition) for sweep in planned.sweeps
                                             for repetition in range(study.repetitions)]
    stages = planned.stages([*((point, repetition) for point, repetition, _ in planned.trials()), *bases])
    missing = planned.stages([*todo, *bases])
    trials = [(point.id, point.sweep, study.task) for point, _ in todo]
    if scored:
        stages |= scored.stages((point, repetition) for point, repetition, _ in scored.trials())
        missing |= scored.stages(scores_todo)
        trials += [(point.id, point.sweep, scored.study.task) for point, _ in scores_todo]
    missing = {trial: job for trial, job in missing.items() if past.get(trial, {}).get("status") != "done"}
    hours, basis = _hours(rows, trials, list(missing.values()), to_run - len(todo), study.task)
    compared = _comparisons(planned)
    return Estimate(
        study.name, len(planned.sweeps), sum(planned.sizes.values()), study.repetitions, planned.trial_count,
        counts["done"], counts["stopped"], counts["failed"], to_run, len(stages), len(stages) - len(missing),
        len(missing), hours, basis, None if hours is None else hours * study.resources.gpu,
        repetitions_needed(ALPHA), least_p(study.repetitions), compared, repetitions_needed(ALPHA, max(compared, 1)),
        {key: value for key, value in study.budget.model_dump().items() if value is not None}, blocked,
        len(tally.failed_stages(rows) & missing.keys()),
        Counter(variant.kind for variant in variants_of(study.ablate)) if study.ablate else {},
        screened(whole, scored, verdicts, scores) if scored else None, notes(study),
    )


def _counted(planned: Plan, past: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, int], list[tuple[Point, int]]]:
    """How many of the trials that are known beforehand ended in which way, and those that are to run."""
    counts, todo = {"done": 0, "stopped": 0, "failed": 0}, []
    for point, repetition, trial in planned.trials():
        status = past[trial]["status"] if trial in past else None
        if status is not None:
            counts[status] += 1
        if status in (None, "failed"):
            todo.append((point, repetition))
    return counts, todo


def _blocked(count: int) -> str:
    return f"; {count} of them could not run, since a stage failed" if count else ""


def _comparisons(planned: Plan) -> int:
    """The values of the compared factor, less the baseline and what is no competitor, where there are most of them."""
    compared, groups = planned.study.compared, Counter[str]()
    for sweep in planned.sweeps:
        if compared is not None and compared in sweep.factors and ROLES.get(str(sweep.factors[compared])) != "bound":
            groups[str([value for name, value in sweep.factors.items() if name != compared])] += 1
    return max(groups.values(), default=1) - 1


def _hours(
    rows: Sequence[Mapping[str, Any]], trials: Sequence[tuple[str, str, str]], stages: Sequence[Job], unknown: int, task: str,
) -> tuple[float | None, str]:
    """Hours of one slot, from the past trials that are most alike: the same point, the same sweep, the same task."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["status"] == "done":
            for key in (("point", row["point"]), ("sweep", row["sweep"]), (row["kind"], row["task"])):
                seconds.setdefault(key, []).append(row["seconds"])
    typical = {key: median(values) for key, values in seconds.items()}
    total, guessed = 0.0, 0
    wanted: list[tuple[tuple[str, str], ...]] = [
        (("point", point), ("sweep", sweep), ("trial", name)) for point, sweep, name in trials]
    wanted += [(("point", stage.point), ("stage", stage.task)) for stage in stages]
    wanted += [(("trial", task),)] * unknown
    for keys in wanted:
        near = next((typical[key] for key in keys if key in typical), None)
        if near is None:
            guessed += 1
        total += near or 0.0
    if wanted and guessed == len(wanted):
        return None, "no trial of this task was ever run on these results; launch one repetition to learn it"
    basis = f"from {sum(len(values) for key, values in seconds.items() if key[0] in ('trial', 'stage'))} past runs"
    return total / 3600, basis + (f"; {guessed} of {len(wanted)} have none like them and are not counted" if guessed else "")


