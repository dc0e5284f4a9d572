"""What the ledger's scores say of the pairs of a study, and which pairs are kept for it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from htsweep.ledger import Ledger, Store
from htsweep.planning import task
from htsweep.planning.jobs import point_id, trial_id
from htsweep.planning.plan import Plan, plan
from htsweep.planning.screen import COLUMNS, SCORE, Verdict, decide, less, pairs_of, plan_of
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd


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
    values = {
        pair: sum(one) / repetitions if len(one) == repetitions else None
        for pair, one in scored.items()
    }
    kept = decide(values, {pair.id: pair.target for pair in pairs}, screen.keep, screen.margin)
    return tuple(
        Verdict(pair, values[pair.id], len(scored[pair.id]), repetitions, pair.id in kept)
        for pair in pairs
    )


def kept(planned: Plan, ledger: Ledger) -> Plan:
    """The plan of what the screen keeps by the ledger's scores; all of it as long as there are none."""
    return less(planned, judge(planned, ledger))


def planned(study: Study, results: str = "results") -> Plan:
    """The plan of `study`, of what its screen keeps where it has one."""
    return kept(plan(study), Ledger(Store(results)))


def scores(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per score that was computed: `COLUMNS`, the factors of its pair, and the other numbers that it measured.

    `value` is the column that the scoring task predicts by, at its last step; `kept` whether the
    pair's trials are to run.
    """
    import pandas as pd

    whole, ledger = plan(study), Ledger(Store(results))
    scored = plan_of(whole)
    if scored is None:
        return pd.DataFrame(columns=list(COLUMNS))
    verdicts = judge(whole, ledger)
    points = {
        (verdict.pair.id, score): point_id(scored.task, config)
        for verdict in verdicts
        for score, config in verdict.pair.configs.items()
    }
    done = {
        point: dict(sorted(those))
        for point, those in _done(ledger, points.values(), scored.study.repetitions).items()
    }
    rows = []
    for verdict in verdicts:
        pair = verdict.pair
        factors = {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in pair.factors.items()
        }
        for score in pair.configs:
            rows += [
                {
                    "trial": trial_id(points[pair.id, score], one),
                    **factors,
                    "pair": pair.id,
                    "target": pair.target,
                    SCORE: score,
                    "repetition": one,
                    "kept": verdict.kept,
                }
                for one in done.get(points[pair.id, score], ())
            ]
    if not rows:
        return pd.DataFrame(columns=["trial", *scored.factors, *COLUMNS])
    return _with_measured(pd.DataFrame(rows), ledger, scored.task.predicts or "")


def told(verdicts: Sequence[Verdict], by: str, most: int = 12) -> list[str]:
    """A line for each pair that is dropped or has no score, `most` of each."""
    best: dict[str, float] = {}
    for one in verdicts:
        if one.value is not None:
            best[one.pair.target] = max(best.get(one.pair.target, -math.inf), one.value)
    dropped = [
        f"dropped {one.pair.label}: {by} {one.value:.4g}, the best of {one.pair.target} has "
        f"{best[one.pair.target]:.4g}"
        for one in verdicts
        if not one.kept
    ]
    begun = any(one.scored for one in verdicts)
    unknown = [
        f"kept    {one.pair.label}: its {by} is not known, {one.scored} of {one.repetitions} "
        "repetitions have it"
        for one in verdicts
        if one.value is None and begun
    ]
    return [
        line
        for lines in (dropped, unknown)
        for line in [
            *lines[:most],
            *([f"        and {len(lines) - most} more"] if len(lines) > most else []),
        ]
    ]


def _done(
    ledger: Ledger, points: Iterable[str], repetitions: int
) -> dict[str, list[tuple[int, int]]]:
    """Point -> (repetition, the row of the ledger's table) of each of its trials that is done."""
    table = ledger.trials(["trial", "status", "point", "repetition"])
    known, found = set(points), dict[str, list[tuple[int, int]]]()
    columns = (table.column(name).to_pylist() for name in table.column_names)
    for row, (trial, status, point, repetition) in enumerate(zip(*columns, strict=True)):
        if (
            status == "done"
            and point in known
            and trial == trial_id(point, repetition)
            and repetition < repetitions
        ):
            found.setdefault(point, []).append((repetition, row))
    return found


def _values(
    ledger: Ledger, column: str, points: Iterable[str], repetitions: int
) -> dict[str, list[float]]:
    """Point -> the last finite value of `column` in each repetition that is done, in their order."""
    done = _done(ledger, points, repetitions)
    if not done:
        return {}
    ended = ledger.trials().take([row for those in done.values() for _, row in those])
    rows = ledger.measurements([column], ended, "numbers").to_pylist()
    last = {
        row["trial"]: row[column]
        for row in rows
        if row.get(column) is not None and math.isfinite(row[column])
    }
    trials = {
        point: [trial_id(point, repetition) for repetition, _ in sorted(those)]
        for point, those in done.items()
    }
    return {
        point: [last[trial] for trial in those if trial in last] for point, those in trials.items()
    }


def _with_measured(rows: pd.DataFrame, ledger: Ledger, column: str) -> pd.DataFrame:
    """`rows` of trials that are done, each with the numbers that it measured last."""
    table = ledger.trials()
    ended = table.select(["trial", "status", "seconds"]).to_pandas()
    wanted = ended["trial"].isin(rows["trial"]) & (ended["status"] == "done")
    measured = ledger.measurements(
        None, table.take(wanted[wanted].index.tolist()), "numbers"
    ).to_pandas()
    own = [name for name in measured.select_dtypes("number").columns if name not in rows]
    numbers = measured[["trial", *own]].groupby("trial", sort=False).last().reset_index()
    if "seconds" not in numbers:
        numbers = numbers.merge(ended[["trial", "seconds"]], on="trial")
    found = rows.merge(numbers.rename(columns={column: "value"}), on="trial", how="inner")
    return found.reindex(columns=[*found.columns, *(name for name in COLUMNS if name not in found)])
