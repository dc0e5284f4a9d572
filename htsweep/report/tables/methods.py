"""Tables of methods: their results, differences to the baseline, and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.analysis.new_images import RESAMPLED
from htsweep.planning.task import BOUND
from htsweep.report import captions, names
from htsweep.report.key import Key
from htsweep.report.table import Cell, Column, Row, Table
from htsweep.report.tables import cells


def summary(findings: Findings, key: Key, configurations: Mapping[str, str]) -> Table:
    """The result of the protocol's choice of each sweep: a row per sweep, a column per metric.

    The best is the highest mean as displayed, so that equal text is marked alike. Only metrics in
    percent have a best, and upper bounds take no part.

    Args:
        findings: their `summary` is shown.
        key: the numbers of groups and compared values.
        configurations: point -> its configuration in words.
    """
    metrics = _metrics(findings)
    sweeps: dict[tuple[str, str], dict[str, Any]] = {}
    for record, group, method in cells.records(findings.summary, key):
        title = names.title(record, key.design)
        sweep = sweeps.setdefault(
            (title, str(record["sweep"])),
            {"first": record, "group": group, "method": method, "cells": {}},
        )
        sweep["cells"][str(record["metric"])] = _mean(record, sweep["first"]["n"])
    best = _best(sweeps, metrics)
    described = any(configurations.get(str(of["first"]["point"])) for of in sweeps.values())
    rows = []
    for (title, _), of in sweeps.items():
        first = of["first"]
        competes = first.get("role") != BOUND
        means = []
        for metric in metrics:
            cell = of["cells"].get(metric, Cell("n/a", float("nan")))
            strong = competes and cell.text == best.get((title, metric))
            means.append(Cell(cell.text, cell.value, cell.detail, strong))
        described_by = [Cell(configurations.get(str(first["point"]), ""))] if described else []
        rows.append(
            Row(
                [
                    cells.compared(first, key),
                    *cells.group_cells(first, key),
                    cells.count(first["n"]),
                    *means,
                    *described_by,
                ],
                title,
                group=of["group"],
                method=of["method"],
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("n", right=True),
        *(Column(names.metric(name), right=True, unit=cells.unit(name)) for name in metrics),
        *([Column("configuration", long=True)] if described else []),
    ]
    caption = captions.summary(metrics, findings.protocol, findings.repetitions)
    return Table("Summary", caption, columns, rows)


def effects(findings: Findings, key: Key) -> Table:
    """Each compared value minus the baseline, paired by repetition: on paper, a column per metric.

    A cell has the difference, its interval and Holm's p, and is bold if the difference is shown.
    The last column says what too few repetitions cannot show.
    """
    frame = findings.effects
    reach = _reach(frame, key)
    rows = []
    for place, (record, group, method) in enumerate(cells.records(frame, key)):
        metric, title = str(record["metric"]), names.title(record, key.design)
        against = f"difference to {names.value(record['baseline'])}"
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    cells.metric(metric),
                    cells.count(record["n"]),
                    cells.difference(record, metric),
                    cells.share(record["improvement"]),
                    cells.probability(record["p"]),
                    cells.probability(record["p_holm"]),
                    _new_images(record),
                    cells.verdict(record),
                    Cell(reach[place]),
                ],
                f"{title}: {against}" if title else against,
                name=str(record[key.design.compared]),
                beside=metric,
                kind=cells.metric_title(metric),
                group=group,
                method=method,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("metric", only="page"),
        Column("n", right=True),
        Column(f"difference to {names.value(findings.baseline)}", right=True, beside=True),
        Column("probability of improvement", right=True, only="page"),
        Column("p", right=True, only="page"),
        Column("p (Holm)", right=True, only="page"),
        Column("p (new images)", right=True, only="page"),
        Column("verdict", only="page"),
        Column("too few", right=True, only="paper"),
    ]
    beside = cells.beside(findings, frame)
    return Table(
        "Differences",
        captions.EFFECTS,
        columns,
        rows,
        "metric",
        cells.first_kind(frame),
        beside=beside,
    )


def _new_images(record: cells.Record) -> Cell:
    """The p of the test for new images, which is named if it is the fall-back; `n/a` for none."""
    p = record.get("p_new_images", float("nan"))
    if p != p:
        return Cell("n/a", float("nan"))
    cell = cells.probability(p)
    fall_back = record.get("new_images") == RESAMPLED
    return Cell(f"{cell.text} ({RESAMPLED})", cell.value) if fall_back else cell


def together(findings: Findings, key: Key) -> Table:
    """Means, interquartile means and differences over all groups: on paper, a block per metric."""
    compared = key.design.compared
    differences = {
        (record[compared], record["metric"]): record
        for record, _, _ in cells.records(findings.pooled, key)
    }
    rows = []
    for record, _, method in cells.records(findings.aggregate, key):
        metric = str(record["metric"])
        ours = differences.get((record[compared], record["metric"]))
        against = (
            [Cell("", float("nan"))] * 3 + [Cell("")]
            if ours is None
            else [
                cells.difference(ours, metric),
                cells.share(ours["improvement"]),
                cells.probability(ours["p_holm"]),
                cells.verdict(ours),
            ]
        )
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    cells.metric(metric),
                    cells.count(record["groups"]),
                    cells.estimate(record, metric, ends=("mean low", "mean high")),
                    cells.estimate(record, metric, "iqm", ends=("iqm low", "iqm high")),
                    *against,
                ],
                f"{names.metric(metric)}, {record['groups']} groups",
                kind=cells.metric_title(metric),
                method=method,
            )
        )
    columns = [
        Column(compared),
        Column("metric", only="page"),
        Column("groups", right=True, only="page"),
        Column("mean", right=True),
        Column("interquartile mean", right=True),
        Column("difference", right=True),
        Column("probability of improvement", right=True, only="page"),
        Column("p (Holm)", right=True, only="page"),
        Column("verdict", right=True),
    ]
    return Table(
        "Over all groups",
        captions.TOGETHER,
        columns,
        rows,
        "metric",
        cells.first_kind(findings.aggregate),
    )


def ranks(findings: Findings, key: Key) -> Table:
    """Mean ranks over independent blocks, best first: on paper, a table per metric."""
    frame = findings.ranks
    if len(frame):
        order = {metric: place for place, metric in enumerate(dict.fromkeys(frame["metric"]))}
        frame = frame.assign(_order=frame["metric"].map(order).astype(int))
        frame = frame.sort_values(["_order", "rank"], kind="stable")
    counts = frame.groupby("metric", observed=True).size().to_dict() if len(frame) else {}
    rows = []
    for record, _, method in cells.records(frame, key):
        metric, distance = str(record["metric"]), record["critical_difference"]
        p = cells.equal(names.probability(float(record["friedman_p"])))
        shown = "n/a" if distance != distance else f"{distance:.2f}"
        if distance >= counts[record["metric"]] - 1:
            shown += ": more than ranks can differ by, so few blocks show nothing"
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    cells.metric(metric),
                    Cell(f"{record['rank']:.2f}", float(record["rank"])),
                ],
                f"{names.metric(metric)} ({record['blocks']:.0f} blocks; Friedman p {p}; "
                f"critical difference {shown})",
                kind=cells.metric_title(metric),
                method=method,
            )
        )
    columns = [
        Column(key.design.compared),
        Column("metric", only="page"),
        Column("mean rank", right=True),
    ]
    caption = f"{captions.RANKS} {findings.blocks}".strip()
    first = cells.first_kind(frame)
    return Table("Ranks", caption, columns, rows, "metric", first, instead=findings.blocks)


def _metrics(findings: Findings) -> list[str]:
    """The summarised metrics: those of the findings, else all that the summary has."""
    given = list(findings.metrics)
    return given or (
        list(dict.fromkeys(findings.summary["metric"])) if len(findings.summary) else []
    )


def _mean(record: cells.Record, usual: int) -> Cell:
    """`98.8 [98.1, 99.2]`, with n if it is not the row's; `n/a` if no repetition has the metric."""
    if record["n"] == 0:
        return Cell("n/a", float("nan"))
    cell = cells.estimate(record, str(record["metric"]))
    detail = cell.detail if record["n"] == usual else f"{cell.detail} (n={record['n']})"
    return Cell(cell.text, cell.value, detail)


def _best(
    sweeps: Mapping[tuple[str, str], Mapping[str, Any]], metrics: Sequence[str]
) -> dict[tuple[str, str], str]:
    """(group, metric) -> the highest mean as displayed."""
    best: dict[tuple[str, str], str] = {}
    for (title, _), of in sweeps.items():
        if of["first"].get("role") == BOUND:
            continue
        for metric in filter(names.is_percent, metrics):
            text = of["cells"][metric].text if metric in of["cells"] else "n/a"
            if text != "n/a":
                best[title, metric] = max(best.get((title, metric), text), text, key=float)
    return best


def _reach(frame: pd.DataFrame, key: Key) -> list[str]:
    """For each row of `Findings.effects`, the limit of the tests of its value in its group."""
    if frame.empty:
        return []
    codes = frame.groupby(key.design.factors, sort=False, observed=True, dropna=False).ngroup()
    reach = {code: cells.unreachable(inside) for code, inside in frame.groupby(codes)}
    return [reach[code] for code in codes]
