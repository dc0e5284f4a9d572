"""Spares a study the trials of pairs that score badly: its pairs, the plan of their scores, which are kept.

A pair is a source model and target data. It has a score before any of its trials has run, from a task that `predicts`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final

from htsweep.ledger import Ledger, Store
from htsweep.planning import task
from htsweep.planning.jobs import digest, point_id, trial_id
from htsweep.planning.plan import Plan, Sweep, plan
from htsweep.planning.task import Task
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

SCORE = "score"
"""The scoring task's setting that names the score."""
COLUMNS = ("pair", "target", SCORE, "repetition", "value", "seconds", "kept")
"""What a table of scores has besides the factors of the pairs and what else the scores measured."""


@final
@dataclass(frozen=True)
class Pair:
    """A source model and target data, and the sweeps of a study that start from them."""

    id: str
    factors: Mapping[str, Any]
    """The study's factors that it is a combination of."""
    given: Mapping[str, Any]
    """All that the scoring task is told of it."""
    target: str
    """A label of its target data; only pairs of one label are compared."""
    sweeps: frozenset[str]
    configs: Mapping[str, Mapping[str, Any]]
    """Score -> the scoring task's config."""

    @property
    def label(self) -> str:
        """`dataset=mnist-uci, backbone=lenet_bn`."""
        return ", ".join(f"{name}={value}" for name, value in self.factors.items()) or self.id


@final
@dataclass(frozen=True)
class Verdict:
    """What is known of a pair, and whether its trials are to run."""

    pair: Pair
    value: float | None
    """The mean over repetitions of the score that decides; None: not all of them have it."""
    scored: int
    """Repetitions that have it."""
    repetitions: int
    """Repetitions that are to have it."""
    kept: bool


def pairs_of(study: Study, sweeps: Iterable[Sweep]) -> tuple[Pair, ...]:
    """The pairs that `sweeps` of `study` start from, which has a screen; in their order."""
    screen = study.screen
    assert screen is not None
    scoring = task.find(screen.task)
    starts: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        starts.setdefault(json.dumps(given_of(scoring, sweep.base), sort_keys=True), []).append(sweep)
    found: dict[str, Pair] = {}
    shared: dict[str, Mapping[str, Any]] = {}
    for text, members in starts.items():
        given = json.loads(text)
        configs = {score: scoring.resolve({**given, **screen.fixed, SCORE: score}) for score in screen.scores}
        # What one score does not look at tells no pairs apart, unless another score does.
        looks = {digest({key: value for key, value in scoring.meaning(config).items() if key in given})
                 for config in configs.values()}
        name = digest(sorted(looks))
        shared[name] = scoring.comparable(configs[screen.decisive])
        factors = {key: members[0].base.get(key, members[0].factors.get(key)) for key in study.factors if key in given}
        ids = frozenset(sweep.id for sweep in members)
        before = found.get(name)
        found[name] = Pair(name, factors, given, "", ids, configs) if before is None else replace(
            before, sweeps=before.sweeps | ids)
    labels = _labels(shared)
    return tuple(replace(pair, target=labels[pair.id]) for pair in found.values())


def given_of(scoring: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `scoring` is told of a trial of this resolved config: the settings that both have."""
    return {key: config[key] for key in scoring.settings or {} if key in config}


def study_of(study: Study, pairs: Sequence[Pair]) -> Study | None:
    """The study of the scores of `pairs`, of which `plan_of` is the plan; None where `study` has no screen.

    The budget of hours holds for both; that of trials counts the study's own.
    """
    screen = study.screen
    if screen is None:
        return None
    names = dict.fromkeys(name for pair in pairs for name in pair.factors)
    grid = {name: _distinct([pair.factors[name] for pair in pairs if name in pair.factors]) for name in names}
    return study.model_copy(update={
        "task": screen.task, "grid": {**grid, SCORE: screen.scores}, "repetitions": screen.repetitions or study.repetitions,
        "search": None, "objectives": [], "stop": None, "select": "last", "baseline": None, "non_disruption": None,
        "ablate": None, "screen": None, "fixed": screen.fixed, "budget": study.budget.model_copy(update={"trials": None})})


def plan_of(planned: Plan) -> Plan | None:
    """The plan of the scores, a sweep per score and pair; None where the study has no screen.

    Its trials are those of a study of the scoring task: what one has computed the other need not.
    """
    if planned.study.screen is None:
        return None
    pairs = pairs_of(planned.study, planned.sweeps)
    study = study_of(planned.study, pairs)
    assert study is not None
    scoring = task.find(study.task)
    sweeps: dict[str, Sweep] = {}
    for score in planned.study.screen.scores:
        for pair in pairs:
            config = pair.configs[score]
            sweep = Sweep(digest([study.task, scoring.meaning(config)]), {**pair.factors, SCORE: score}, config, (), 1)
            sweeps.setdefault(sweep.id, sweep)
    return Plan(study, scoring, tuple(sweeps.values()))


def decide(
    values: Mapping[str, float | None], targets: Mapping[str, str], keep: int | Literal["all"] | None, margin: float | None
) -> frozenset[str]:
    """The pairs that are kept: of each target the best, ties with the last of them, and every pair without a value.

    What is dropped stays dropped when more values become known.

    Args:
        values: of each pair, higher is better; None where it is not known.
        targets: of each pair; values are compared within one.
        keep: how many are kept of each target, or `all`.
        margin: in its place, how far below the best of its target a pair may be.
    """
    dropped: set[str] = set()
    for target in set(targets.values()):
        known = {pair: value for pair, value in values.items() if targets[pair] == target and value is not None}
        best = sorted(known.values(), reverse=True)
        if margin is not None:
            dropped |= {pair for pair, value in known.items() if best[0] - value > margin}
        elif isinstance(keep, int) and keep < len(best):
            dropped |= {pair for pair, value in known.items() if value < best[keep - 1]}
    return frozenset(values) - dropped


def judge(planned: Plan, ledger: Ledger) -> tuple[Verdict, ...]:
    """What the ledger's scores say of each pair; none where the study has no screen."""
    screen = planned.study.screen
    if screen is None:
        return ()
    scoring, pairs = task.find(screen.task), pairs_of(planned.study, planned.sweeps)
    repetitions = screen.repetitions or planned.study.repetitions
    wanted = {pair.id: point_id(scoring, pair.configs[screen.decisive]) for pair in pairs}
    there = _values(ledger, scoring.predicts or "", wanted.values(), repetitions)
    scored = {pair: there.get(point, []) for pair, point in wanted.items()}
    # Means over different repetitions are not compared: class splits differ between them.
    values = {pair: sum(one) / repetitions if len(one) == repetitions else None for pair, one in scored.items()}
    kept = decide(values, {pair.id: pair.target for pair in pairs}, screen.keep, screen.margin)
    return tuple(Verdict(pair, values[pair.id], len(scored[pair.id]), repetitions, pair.id in kept) for pair in pairs)


def less(planned: Plan, verdicts: Sequence[Verdict]) -> Plan:
    """The plan without the sweeps of dropped pairs."""
    dropped = frozenset[str]().union(*(verdict.pair.sweeps for verdict in verdicts if not verdict.kept))
    return replace(planned, sweeps=tuple(sweep for sweep in planned.sweeps if sweep.id not in dropped)) if dropped else planned


def kept(planned: Plan, ledger: Ledger) -> Plan:
    """The plan of what the screen keeps by the ledger's scores; all of it as long as there are none."""
    return less(planned, judge(planned, ledger))


def planned(study: Study, results: str = "results") -> Plan:
    """The plan of `study`, of what its screen keeps where it has one."""
    return kept(plan(study), Ledger(Store(results)))


def scores(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per score that was computed: `COLUMNS`, the factors of its pair, and the other numbers that it measured.

    `value` is the column that the scoring task predicts by, at its last step; `kept` whether the pair's trials are to run.
    """
    import pandas as pd

    whole, ledger = plan(study), Ledger(Store(results))
    scored = plan_of(whole)
    if scored is None:
        return pd.DataFrame(columns=list(COLUMNS))
    verdicts = judge(whole, ledger)
    points = {(verdict.pair.id, score): point_id(scored.task, config)
              for verdict in verdicts for score, config in verdict.pair.configs.items()}
    done = {point: dict(sorted(those)) for point, those in _done(ledger, points.values(), scored.study.repetitions).items()}
    rows = []
    for verdict in verdicts:
        pair = verdict.pair
        factors = {name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in pair.factors.items()}
        for score in pair.configs:
            rows += [{"trial": trial_id(points[pair.id, score], one), **factors, "pair": pair.id, "target": pair.target,
                      SCORE: score, "repetition": one, "kept": verdict.kept} for one in done.get(points[pair.id, score], ())]
    if not rows:
        return pd.DataFrame(columns=["trial", *scored.factors, *COLUMNS])
    return _with_measured(pd.DataFrame(rows), ledger, scored.task.predicts or "")


def told(verdicts: Sequence[Verdict], by: str, most: int = 12) -> list[str]:
    """A line for each pair that is dropped or has no score, `most` of each."""
    best: dict[str, float] = {}
    for one in verdicts:
        if one.value is not None:
            best[one.pair.target] = max(best.get(one.pair.target, -math.inf), one.value)
    dropped = [f"dropped {one.pair.label}: {by} {one.value:.4g}, the best of {one.pair.target} has {best[one.pair.target]:.4g}"
               for one in verdicts if not one.kept]
    begun = any(one.scored for one in verdicts)
    unknown = [f"kept    {one.pair.label}: its {by} is not known, {one.scored} of {one.repetitions} repetitions have it"
               for one in verdicts if one.value is None and begun]
    return [line for lines in (dropped, unknown)
            for line in [*lines[:most], *([f"        and {len(lines) - most} more"] if len(lines) > most else [])]]


def _done(ledger: Ledger, points: Iterable[str], repetitions: int) -> dict[str, list[tuple[int, int]]]:
    """Point -> (repetition, the row of the ledger's table) of each of its trials that is done."""
    table = ledger.trials(["trial", "status", "point", "repetition"])
    known, found = set(points), dict[str, list[tuple[int, int]]]()
    columns = (table.column(name).to_pylist() for name in table.column_names)
    for row, (trial, status, point, repetition) in enumerate(zip(*columns, strict=True)):
        if status == "done" and point in known and trial == trial_id(point, repetition) and repetition < repetitions:
            found.setdefault(point, []).append((repetition, row))
    return found


def _values(ledger: Ledger, column: str, points: Iterable[str], repetitions: int) -> dict[str, list[float]]:
    """Point -> the last finite value of `column` in each repetition that is done, in their order."""
    done = _done(ledger, points, repetitions)
    if not done:
        return {}
    ended = ledger.trials().take([row for those in done.values() for _, row in those])
    rows = ledger.measurements([column], ended, "numbers").to_pylist()
    last = {row["trial"]: row[column] for row in rows if row.get(column) is not None and math.isfinite(row[column])}
    trials = {point: [trial_id(point, repetition) for repetition, _ in sorted(those)] for point, those in done.items()}
    return {point: [last[trial] for trial in those if trial in last] for point, those in trials.items()}


def _with_measured(rows: pd.DataFrame, ledger: Ledger, column: str) -> pd.DataFrame:
    """`rows` of trials that are done, each with the numbers that it measured last."""
    table = ledger.trials()
    ended = table.select(["trial", "status", "seconds"]).to_pandas()
    wanted = ended["trial"].isin(rows["trial"]) & (ended["status"] == "done")
    measured = ledger.measurements(None, table.take(wanted[wanted].index.tolist()), "numbers").to_pandas()
    own = [name for name in measured.select_dtypes("number").columns if name not in rows]
    numbers = measured[["trial", *own]].groupby("trial", sort=False).last().reset_index()
    if "seconds" not in numbers:
        numbers = numbers.merge(ended[["trial", "seconds"]], on="trial")
    found = rows.merge(numbers.rename(columns={column: "value"}), on="trial", how="inner")
    return found.reindex(columns=[*found.columns, *(name for name in COLUMNS if name not in found)])


def _labels(shared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Pair -> a text for its target, from what `comparable` says of each pair: the entries that tell targets apart."""
    keys = list(dict.fromkeys(key for one in shared.values() for key in one))
    telling: list[str] = []
    targets = 1
    for key in keys:
        count = len({digest([one.get(name) for name in (*telling, key)]) for one in shared.values()})
        if count > targets:
            telling.append(key)
            targets = count
    named = telling or keys[:1]
    texts = {pair: [_said(key, one[key]) for key in named if one.get(key) is not None] for pair, one in shared.items()}
    return {pair: ", ".join(parts) or "all pairs" for pair, parts in texts.items()}


def _said(name: str, value: Any) -> str:
    """`uci`, `missing_ratio 0.5`."""
    return value if isinstance(value, str) else f"{name} {json.dumps(value)}"


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
