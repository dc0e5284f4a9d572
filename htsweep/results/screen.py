"""What the ledger's scores say about a study's pairs, and which pairs are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from htsweep.ledger import Ledger, Table
from htsweep.planning import task
from htsweep.planning.jobs import point_id, trial_id
from htsweep.planning.plan import Plan
from htsweep.planning.screen import COLUMNS, SCORE, Verdict, decide, pairs_of
from htsweep.results.tables import cell

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.results.results import Results


def judge(planned: Plan, recorded: Table, ledger: Ledger) -> tuple[Verdict, ...]:
    """What the ledger's scores say about each pair of a plan; empty if its study has no screen.

    Args:
        planned: the plan of the study, without regard to its screen.
        recorded: the ledger's trials, each with the end that counts.
        ledger: where these are from.
    """
    screen = planned.study.screen
    if screen is None:
        return ()
    scoring, pairs = task.find(screen.task), pairs_of(planned.study, planned.sweeps)
    repetitions = screen.repetitions or planned.study.repetitions
    wanted = {pair.id: point_id(scoring, pair.configs[screen.decisive]) for pair in pairs}
    done = _done(recorded, wanted.values(), repetitions)
    by_point = _last_values(recorded, ledger, scoring.predicts or "", done)
    scored = {pair: by_point.get(point, []) for pair, point in wanted.items()}
    # Means over different repetitions are not compared: class splits differ between them.
    means = {
        pair: sum(values) / repetitions if len(values) == repetitions else None
        for pair, values in scored.items()
    }
    kept = decide(means, {pair.id: pair.target for pair in pairs}, screen.keep, screen.margin)
    return tuple(
        Verdict(pair, means[pair.id], len(scored[pair.id]), repetitions, pair.id in kept)
        for pair in pairs
    )


def scores(results: Results) -> pd.DataFrame:
    """One row per computed score and repetition: its value and the other numbers it measured.

    The columns include `COLUMNS` and the factors of the pair. `value` is the column that the
    scoring task declares as its prediction, at the last step; `kept` says whether the screen keeps
    the pair.
    """
    import pandas as pd

    scored = results.score_plan
    if scored is None:
        return pd.DataFrame(columns=list(COLUMNS))
    points = {
        (verdict.pair.id, score): point_id(scored.task, config)
        for verdict in results.verdicts
        for score, config in verdict.pair.configs.items()
    }
    done = _done(results.recorded, points.values(), scored.study.repetitions)
    rows = []
    for verdict in results.verdicts:
        pair = verdict.pair
        factors = {name: cell(value) for name, value in pair.factors.items()}
        for score in pair.configs:
            point = points[pair.id, score]
            rows += [
                {
                    "trial": trial_id(point, repetition),
                    **factors,
                    "pair": pair.id,
                    "target": pair.target,
                    SCORE: score,
                    "repetition": repetition,
                    "kept": verdict.kept,
                }
                for repetition in sorted(done.get(point, ()))
            ]
    if not rows:
        return pd.DataFrame(columns=["trial", *scored.factors, *COLUMNS])
    return _with_measured(pd.DataFrame(rows), results, scored.task.predicts or "")


def verdict_lines(verdicts: Sequence[Verdict], by: str, most: int = 12) -> list[str]:
    """A line for each pair that is dropped or has no score, at most `most` of each."""
    best: dict[str, float] = {}
    for verdict in verdicts:
        if verdict.value is not None:
            best[verdict.pair.target] = max(best.get(verdict.pair.target, -math.inf), verdict.value)
    dropped = [
        f"dropped {verdict.pair.label}: {by} {verdict.value:.4g}, "
        f"the best of {verdict.pair.target} has {best[verdict.pair.target]:.4g}"
        for verdict in verdicts
        if not verdict.kept
    ]
    begun = any(verdict.scored for verdict in verdicts)
    unknown = [
        f"kept    {verdict.pair.label}: its {by} is not known, "
        f"{verdict.scored} of {verdict.repetitions} repetitions have it"
        for verdict in verdicts
        if verdict.value is None and begun
    ]
    return [
        line
        for lines in (dropped, unknown)
        for line in [
            *lines[:most],
            *([f"        and {len(lines) - most} more"] if len(lines) > most else []),
        ]
    ]


def _done(recorded: Table, points: Iterable[str], repetitions: int) -> dict[str, dict[int, int]]:
    """Point -> repetition -> the row of `recorded`, for each of its trials that is done."""
    known = set(points)
    done: dict[str, dict[int, int]] = {}
    columns = (
        recorded.column(name).to_pylist() for name in ("trial", "status", "point", "repetition")
    )
    for row, (trial, status, point, repetition) in enumerate(zip(*columns, strict=True)):
        if (
            status == "done"
            and point in known
            and trial == trial_id(point, repetition)
            and repetition < repetitions
        ):
            done.setdefault(point, {})[repetition] = row
    return done


def _last_values(
    recorded: Table, ledger: Ledger, column: str, done: Mapping[str, Mapping[int, int]]
) -> dict[str, list[float]]:
    """Point -> the last finite value of `column` in each repetition that is done, in order."""
    if not done:
        return {}
    ended = recorded.take([row for rows in done.values() for row in rows.values()])
    last = {
        row["trial"]: row[column]
        for row in ledger.measurements([column], ended, "numbers").to_pylist()
        if row.get(column) is not None and math.isfinite(row[column])
    }
    values = {}
    for point, repetitions in done.items():
        trials = [trial_id(point, repetition) for repetition in sorted(repetitions)]
        values[point] = [last[trial] for trial in trials if trial in last]
    return values


def _with_measured(rows: pd.DataFrame, results: Results, column: str) -> pd.DataFrame:
    """`rows` of trials that are done, each with the last numbers that it measured."""
    table = results.recorded
    ended = table.select(["trial", "status", "seconds"]).to_pandas()
    wanted = ended["trial"].isin(rows["trial"]) & (ended["status"] == "done")
    measured = results.ledger.measurements(
        None, table.take(wanted[wanted].index.tolist()), "numbers"
    ).to_pandas()
    own = [name for name in measured.select_dtypes("number").columns if name not in rows]
    numbers = measured[["trial", *own]].groupby("trial", sort=False).last().reset_index()
    if "seconds" not in numbers:
        numbers = numbers.merge(ended[["trial", "seconds"]], on="trial")
    with_numbers = rows.merge(numbers.rename(columns={column: "value"}), on="trial", how="inner")
    return with_numbers.reindex(
        columns=[*with_numbers.columns, *(name for name in COLUMNS if name not in with_numbers)]
    )
