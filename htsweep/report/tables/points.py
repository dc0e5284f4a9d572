"""Tables of points on fronts, costs, volumes, protocols, components and parameters."""

from __future__ import annotations

from collections.abc import Mapping

from htsweep import selection
from htsweep.analysis.findings import Findings
from htsweep.report import captions, names
from htsweep.report.key import Key
from htsweep.report.table import Cell, Column, Row, Table
from htsweep.report.tables import cells


def fronts(findings: Findings, key: Key, configurations: Mapping[str, str]) -> Table:
    """The points on a front or chosen, with what hovering over them in a chart shows."""
    axes = findings.axes or ()
    frame = findings.points
    if len(frame) and axes:
        frame = frame[frame["front"].astype(bool) | frame["chosen"].astype(bool)]
    rows = []
    for record, group, method in cells.records(frame, key) if axes else ():
        marks = [mark for mark in ("front", "chosen", "disrupts") if record.get(mark) is True]
        estimates = [
            cells.estimate(record, name, name, ends=(f"{name} low", f"{name} high"))
            for name in axes
        ]
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    cells.count(record["n"]),
                    *estimates,
                    cells.share(record["probability"]),
                    Cell(", ".join(marks)),
                    Cell(configurations.get(str(record["point"]), "")),
                ],
                names.title(record, key.design),
                group=group,
                method=method,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("n", right=True),
        *(Column(names.metric(name), right=True, unit=cells.unit(name)) for name in axes),
        Column("probability of the front", right=True),
        Column("marks"),
        Column("configuration", long=True),
    ]
    return Table("Points", captions.FRONTS, columns, rows)


def costs(findings: Findings, key: Key) -> Table:
    """The points on the front of cost and gain: on paper, a block per group and cost, by cost."""
    frame = names.priced(findings.costs)
    if len(frame):
        frame = frame[frame["front"].astype(bool)]
        order = [*key.design.groups, "cost"]
        blocks = frame.groupby(order, sort=False, observed=True, dropna=False).ngroup()
        frame = frame.assign(_block=blocks).sort_values(["_block", "value"], kind="stable")
    metric = str(frame["metric"].iloc[0]) if len(frame) else ""
    rows = []
    for record, group, method in cells.records(frame, key):
        cost, title = str(record["cost"]), names.title(record, key.design)
        bracket = names.bracket(record["value low"], record["value high"], cost)
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    Cell(names.cost(cost)),
                    Cell(f"{record['value']:.4g}", float(record["value"]), bracket),
                    cells.estimate(record, str(record["metric"])),
                ],
                ", ".join(part for part in (title, names.cost(cost)) if part),
                kind=names.cost(cost),
                group=group,
                method=method,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("kind of cost", only="page"),
        Column("cost", right=True),
        Column(names.metric(metric), right=True, unit=cells.unit(metric)),
    ]
    return Table("Costs", captions.COSTS, columns, rows, "cost")


def volumes(findings: Findings, key: Key) -> Table:
    """Hypervolume of each method's front, and what the joint front loses without it.

    It is in percent if both axes are, since the area of two fractions is a fraction too.
    """
    unit = names.area(findings.axes)
    rows = []
    for record, group, method in cells.records(findings.volumes, key):
        title, reference = names.title(record, key.design), str(record["reference"])
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    Cell(reference),
                    cells.count(record["n"]),
                    cells.estimate(record, unit, "volume"),
                    cells.estimate(
                        record,
                        unit,
                        "contribution",
                        ends=("contribution low", "contribution high"),
                    ),
                ],
                ", ".join(part for part in (title, f"above {reference}") if part),
                kind=reference,
                group=group,
                method=method,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("reference", only="page"),
        Column("n", right=True),
        Column("hypervolume", right=True, unit=cells.unit(unit)),
        Column("contribution", right=True, unit=cells.unit(unit)),
    ]
    return Table("Hypervolume", captions.VOLUMES, columns, rows, "reference")


def tuned(findings: Findings, key: Key) -> Table:
    """The default point of each sweep against what each protocol chose: on paper, the study's."""
    frame = findings.tuned
    rows = []
    for record, group, method in cells.records(frame, key):
        metric, title = str(record["metric"]), names.title(record, key.design)
        default, chosen = (cells.number(record[name], metric) for name in ("default", "tuned"))
        gain = cells.estimate(record, metric, "difference", sign=True)
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    Cell(str(record["protocol"])),
                    cells.metric(metric),
                    cells.count(record["n"]),
                    default,
                    Cell(
                        chosen.text,
                        chosen.value,
                        paper=f"({default.text} at the defaults, {gain.text} {gain.detail})",
                    ),
                    gain,
                ],
                title,
                name=str(record[key.design.compared]),
                beside=metric,
                kind=cells.metric_title(metric),
                group=group,
                method=method,
                page_only=str(record["protocol"]) != findings.protocol,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("protocol", only="page"),
        Column("metric", only="page"),
        Column("n", right=True),
        Column("at the defaults", right=True, only="page"),
        Column("tuned", right=True, beside=True),
        Column("tuned - default", right=True, only="page"),
    ]
    first, beside = cells.first_kind(frame), cells.beside(findings, frame)
    title = "Default against tuned"
    return Table(title, captions.TUNED, columns, rows, "metric", first, beside=beside)


def protocols(findings: Findings, key: Key) -> Table:
    """Each protocol's result, and its gap to the choice by test accuracy; paper has one metric."""
    frame = findings.protocols
    metrics = list(dict.fromkeys(frame["metric"])) if len(frame) else []
    headline = names.headline(metrics)
    rows = []
    for record, group, method in cells.records(frame, key):
        metric = str(record["metric"])
        cell = cells.estimate(record, metric)
        gap = cells.estimate(record, metric, "gap", ends=("gap low", "gap high"), sign=True)
        own = record["gap"] != record["gap"] or record["protocol"] == selection.BEST
        paper = cell.detail if own else f"(gap {gap.text} {gap.detail})"
        rows.append(
            Row(
                [
                    cells.compared(record, key),
                    *cells.group_cells(record, key),
                    Cell(str(record["protocol"])),
                    cells.metric(metric),
                    cells.count(record["n"]),
                    Cell(cell.text, cell.value, cell.detail, paper=paper),
                    gap,
                ],
                ": ".join(
                    filter(None, (names.title(record, key.design), cells.metric_title(metric)))
                ),
                name=str(record[key.design.compared]),
                beside=str(record["protocol"]),
                kind=cells.metric_title(metric),
                group=group,
                method=method,
                page_only=metric != headline,
            )
        )
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("protocol", only="page"),
        Column("metric", only="page"),
        Column("n", right=True, only="page"),
        Column("test result", right=True, beside=True),
        Column(f"gap to {selection.BEST}", right=True, only="page"),
    ]
    beside = {name: name for name in dict.fromkeys(map(str, frame["protocol"]))} if rows else {}
    return Table(
        "Protocols",
        captions.PROTOCOLS,
        columns,
        rows,
        "metric",
        cells.first_kind(frame),
        beside=beside,
    )


def ablation(findings: Findings, key: Key) -> Table:
    """The effect of each component: on paper, a column per metric, a block per group and kind."""
    rows = []
    for record, group, _ in cells.records(findings.ablation, key):
        metric, title = str(record["metric"]), names.title(record, key.design)
        rows.append(
            Row(
                [
                    Cell(str(record["component"])),
                    *cells.group_cells(record, key),
                    Cell(str(record["kind"])),
                    cells.metric(metric),
                    cells.count(record["n"]),
                    cells.difference(record, metric, "effect"),
                    cells.probability(record["p"]),
                    cells.probability(record["p_holm"]),
                    cells.verdict(record),
                ],
                ", ".join(part for part in (title, str(record["kind"])) if part),
                name=str(record["component"]),
                beside=metric,
                kind=cells.metric_title(metric),
                group=group,
            )
        )
    columns = [
        Column("component"),
        *cells.group_columns(key),
        Column("kind", only="page"),
        Column("metric", only="page"),
        Column("n", right=True),
        Column("effect", right=True, beside=True),
        Column("p", right=True, only="page"),
        Column("p (Holm)", right=True, only="page"),
        Column("verdict", only="page"),
    ]
    beside = cells.beside(findings, findings.ablation)
    return Table(
        "Ablation",
        captions.ABLATION,
        columns,
        rows,
        "metric",
        cells.first_kind(findings.ablation),
        beside=beside,
    )


def importance(findings: Findings, key: Key) -> Table:
    """The importance of each parameter: on paper, a column per evaluator.

    A block is a compared value and objective.
    """
    frame, rows = findings.importance, []
    most = (
        frame.groupby([key.design.compared, "objective"], observed=True, dropna=False)["points"]
        .transform("max")
        .tolist()
        if len(frame)
        else []
    )
    for (record, _, method), points in zip(cells.records(frame, key), most, strict=True):
        method_name, objective = names.value(record[key.design.compared]), str(record["objective"])
        title = names.metric(objective)
        rows.append(
            Row(
                [
                    Cell(str(record["parameter"])),
                    Cell(method_name),
                    Cell(title),
                    Cell(str(record["evaluator"])),
                    _share(record),
                    cells.probability(record["p_holm"]),
                    cells.verdict(record),
                ],
                f"{method_name}, {title} ({points:.0f} points)",
                name=str(record["parameter"]),
                beside=str(record["evaluator"]),
                kind=title,
                method=method,
            )
        )
    columns = [
        Column("parameter"),
        Column(key.design.compared, only="page"),
        Column("objective", only="page"),
        Column("evaluator", only="page"),
        Column("importance", right=True, beside=True),
        Column("p (Holm)", right=True, only="page"),
        Column("verdict", only="page"),
    ]
    beside = {name: name for name in dict.fromkeys(map(str, frame["evaluator"]))} if rows else {}
    return Table("Importance", captions.IMPORTANCE, columns, rows, "objective", beside=beside)


def _share(record: cells.Record) -> Cell:
    """`42 % [31, 53]`, strong if the parameter is shown to matter."""
    share, low, high = (100 * float(record[name]) for name in ("importance", "low", "high"))
    interval = f"[{low:.0f}, {high:.0f}]" if low == low else ""
    return Cell(f"{share:.0f} %", share / 100, interval, record["verdict"] == "shown")
