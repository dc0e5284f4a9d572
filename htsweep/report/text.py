"""The report as text: each method's result, how it was found, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design
from htsweep.analysis.design import design as design_of
from htsweep.analysis.findings import Findings
from htsweep.analysis.summary import METRICS, metrics_of, summarise
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.report import names
from htsweep.report.document import brief
from htsweep.words import count

_LINES = 20
"""How many lines say what is missing; the rest is counted."""
_ENDS = {"stopped": "stopped", "failed": "failed", "to_come": "not run yet"}


def columns(protocol: str, yields: Collection[str] = tuple(METRICS)) -> list[str] | None:
    """The metrics that `report` reads of a task that `yields` these; None: all, if not known."""
    reads = selection.columns(protocol)
    known = [name for name in METRICS if name in yields]
    return None if reads is None or not known else list(dict.fromkeys([*known, *reads]))


def report(
    trials: pd.DataFrame,
    measurements: pd.DataFrame,
    *,
    protocol: str = selection.DEFAULT,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    factors: Sequence[str] | None = None,
    parameters: Sequence[str] = (),
    planned: pd.DataFrame | None = None,
    to_come: str = "",
    title: str = "",
    metrics: Sequence[str] = (),
) -> dict[str, str]:
    """The summary as `report.md` and `report.tex`: the protocol's choices, and what is missing.

    Args:
        trials: one row per ended trial; says what is left out.
        measurements: one row per measurement, with at least the existing metrics of
            `columns(protocol)`.
        protocol: picks the point and step of each sweep.
        choice: what it picks, as `selection.choice` returns it; None: it is computed.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        factors: the study's factors; None: found by their names.
        parameters: the searched parameters.
        planned: one row per sweep of the plan (`sweep` and the factors), so that sweeps without any
            trial are reported as missing too.
        to_come: how many points of the searches have no trial yet, in words; "" for none.
        title: of the report.
        metrics: what is shown; none: the summary's.

    Raises:
        HtsweepError: a metric was not measured.
    """
    design = design_of(trials.columns, factors)
    if repetitions is None:
        repetitions = (
            int(trials.groupby(["sweep", "point"], observed=True).size().max())
            if len(trials)
            else 1
        )
    chosen = measurements
    if len(measurements):
        if choice is None:
            choice = selection.choice(measurements, protocol, repetitions)
        chosen = selection.at(measurements, choice)
    measured = [
        str(name)
        for name in measurements.columns
        if pd.api.types.is_numeric_dtype(measurements[name])
    ]
    unknown = [name for name in metrics if name not in measured]
    if unknown:
        measured_names = [
            name for name in measured if "/" in name or name in ("seconds", "peak_memory_bytes")
        ]
        raise HtsweepError(
            "\n".join(
                f"no measurement '{name}' in this study; {did_you_mean(name, measured_names)}"
                for name in unknown
            )
        )
    metrics = list(metrics) or metrics_of(measured)
    findings = Findings(
        title=title,
        design=design,
        axes=None,
        metrics=metrics,
        protocol=protocol,
        repetitions=repetitions,
        baseline="",
        summary=summarise(chosen, design, metrics),
        missing=missing(
            trials,
            design,
            repetitions,
            sorted(set(chosen["sweep"])),
            planned=planned,
            to_come=to_come,
        ),
    )
    configurations = _configurations(chosen, parameters)
    return brief(findings, configurations, _nothing(metrics, measurements))


def _nothing(metrics: Sequence[str], measurements: pd.DataFrame) -> str:
    if measurements.empty:
        return "No trial has a measurement."
    if not metrics:
        return (
            "The task has no measurement named `test/...` or `validation/...`; `htsweep export` "
            "writes everything that it measured."
        )
    return "No sweep has a point whose repetitions are all done yet."


def missing(
    trials: pd.DataFrame,
    design: Design,
    repetitions: int,
    chosen: Sequence[str],
    *,
    planned: pd.DataFrame | None = None,
    to_come: str = "",
) -> str:
    """What is missing, a line per sweep: how many points are left out and why, or no result at all.

    `to_come` is how many points of the searches have no trial yet, in words.
    """
    left = selection.left_out(trials, repetitions)
    points = trials.drop_duplicates("point").groupby("sweep", observed=True).size().to_dict()
    counts = left.groupby("sweep", sort=False, observed=True).agg(
        points=("point", "size"),
        stopped=("stopped", "sum"),
        failed=("failed", "sum"),
        to_come=("to_come", "sum"),
    )
    first = (
        trials.drop_duplicates("sweep").set_index("sweep", drop=False).loc[counts.index[:_LINES]]
    )
    lines = []
    for (sweep, ends_of), (_, row) in zip(
        counts.head(_LINES).iterrows(), first.iterrows(), strict=True
    ):
        ends = ", ".join(f"{ends_of[end]} {text}" for end, text in _ENDS.items() if ends_of[end])
        result = "" if sweep in set(chosen) else "; no result"
        lines.append(
            f"- {_sweep(row, design)}: {ends_of['points']} of {points[sweep]} points left out "
            f"(trials: {ends}){result}"
        )
    unseen = (
        trials.iloc[:0] if planned is None else planned[~planned["sweep"].isin(trials["sweep"])]
    )
    lines += [
        f"- {_sweep(row, design)}: not run; no result"
        for _, row in unseen.head(_LINES - len(lines)).iterrows()
    ]
    if not lines and not to_come:
        return f"Nothing is missing: every point has its {count(repetitions, 'repetition')}."
    more = len(counts) + len(unseen) - len(lines)
    rest = [
        *([f"- and {more} more sweeps"] if more else []),
        *([f"- {to_come} of the searches: not run"] if to_come else []),
    ]
    head = (
        "These points and sweeps are missing (a point counts once all of its repetitions are done):"
    )
    return "\n".join([head, "", *lines, *rest])


def _sweep(row: pd.Series, design: Design) -> str:
    """A sweep by its factors."""
    group = names.group({name: row[name] for name in design.groups if name in row.index})
    compared = names.value(row[design.compared if design.compared in row.index else "sweep"])
    return f"{group}, {compared}" if group else compared


def _configurations(chosen: pd.DataFrame, parameters: Sequence[str]) -> dict[str, str]:
    """Point -> its configuration in words."""
    if not parameters or not len(chosen):
        return {}
    first = chosen.drop_duplicates("point")
    rows = first[[name for name in parameters if name in first]].to_dict("records")
    return {
        str(point): names.configuration({str(key): value for key, value in row.items()}, parameters)
        for point, row in zip(first["point"], rows, strict=True)
    }
