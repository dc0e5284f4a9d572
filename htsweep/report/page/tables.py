"""The tables of a page: one function per table of `Findings`, HTML out; empty where there is nothing to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis.findings import Findings
from htsweep.planning.task import BOUND, SOURCE
from htsweep.report import names
from htsweep.report.page.key import Key
from htsweep.report.page.markup import ROWS, Cell, Row, table

Record = Mapping[str, Any]


def methods(findings: Findings, key: Key) -> str:
    """Every method in every group: a row per sweep, its metrics with their intervals, the configuration that was chosen."""
    found = findings.summary
    if found.empty:
        return ""
    metrics = list(dict.fromkeys(found["metric"]))
    told, best = _configurations(findings), _best(found, key)
    rows = []
    for numbers, records in _sweeps(found, key):
        first = next(iter(records.values()))
        role = {BOUND: "upper bound", SOURCE: "source model"}.get(str(first.get("role", "")), "")
        cells = [
            Cell(names.value(first[key.design.compared]), small=role),
            *_groups(first, key),
            Cell(str(first["n"]), float(first["n"])),
        ]
        cells += [
            _interval(records[name], "mean", name, best=best.get((numbers[0], name)))
            if name in records
            else Cell("n/a", float("nan"))
            for name in metrics
        ]
        rows.append(Row([*cells, Cell(told.get(str(first["point"]), ""))], *numbers))
    head = [
        key.design.compared,
        *_group_heads(key),
        "n",
        *(_title(name) for name in metrics),
        "configuration",
    ]
    return table(
        f"Every {key.design.compared}: mean [95 % interval] of what '{findings.protocol}' chose; "
        "bold: the highest of a group",
        head,
        rows,
    )


def effects(findings: Findings, key: Key) -> str:
    """Each method less the baseline, paired by repetition."""
    found = findings.effects
    rows = []
    for record, group, method in _records(found, key):
        metric = str(record["metric"])
        rows.append(
            Row(
                [
                    Cell(names.value(record[key.design.compared])),
                    *_groups(record, key),
                    Cell(_title(metric)),
                    Cell(str(record["n"]), float(record["n"])),
                    _interval(record, "difference", metric, sign=True),
                    _share(record["improvement"]),
                    _p(record["p"]),
                    _p(record["p_holm"]),
                    _verdict(record),
                ],
                group,
                method,
                _title(metric),
            )
        )
    head = [
        key.design.compared,
        *_group_heads(key),
        "metric",
        "n",
        "difference",
        "probability of improvement",
        "p",
        "p (Holm)",
        "verdict",
    ]
    paired = f"Differences to {names.value(findings.baseline)}, paired by repetition: mean [95 % interval]"
    return table(paired, head, rows, "metric")


def together(findings: Findings, key: Key) -> str:
    """Each method over all groups: mean and interquartile mean, and the difference to the baseline."""
    against = {
        (record[key.design.compared], record["metric"]): record
        for record, _, _ in _records(findings.pooled, key)
    }
    rows = []
    for record, _, method in _records(findings.aggregate, key):
        metric = str(record["metric"])
        ours = against.get((record[key.design.compared], metric))
        compared = (
            [Cell("", float("nan"))] * 4
            if ours is None
            else [
                _interval(ours, "difference", metric, sign=True),
                _share(ours["improvement"]),
                _p(ours["p_holm"]),
                _verdict(ours),
            ]
        )
        rows.append(
            Row(
                [
                    Cell(names.value(record[key.design.compared])),
                    Cell(_title(metric)),
                    Cell(str(record["groups"]), float(record["groups"])),
                    _interval(record, "mean", metric, ends=("mean low", "mean high")),
                    _interval(record, "iqm", metric, ends=("iqm low", "iqm high")),
                    *compared,
                ],
                -1,
                method,
                _title(metric),
            )
        )
    head = [
        key.design.compared,
        "metric",
        "groups",
        "mean",
        "interquartile mean",
        f"difference to {names.value(findings.baseline)}",
        "probability of improvement",
        "p (Holm)",
        "verdict",
    ]
    return table(
        "Over all groups, mean [95 % interval]; a pair of a difference is a repetition's means "
        "over the groups",
        head,
        rows,
        "metric",
    )


def volumes(findings: Findings, key: Key) -> str:
    """Hypervolume of each method's front, and what the joint front loses without it."""
    rows = [
        Row(
            [
                Cell(names.value(record[key.design.compared])),
                *_groups(record, key),
                Cell(str(record["reference"])),
                Cell(str(record["n"]), float(record["n"])),
                _interval(record, "volume", "", digits=".3f"),
                _interval(record, "contribution", "", digits=".3f"),
            ],
            group,
            method,
            str(record["reference"]),
        )
        for record, group, method in _records(findings.volumes, key)
    ]
    head = [
        key.design.compared,
        *_group_heads(key),
        "reference",
        "n",
        "hypervolume",
        "contribution to the joint front",
    ]
    return table(
        "Hypervolume above the reference (fractions; 1 is all), mean [95 % interval]",
        head,
        rows,
        "reference",
    )


def ablation(findings: Findings, key: Key) -> str:
    """What each component does to each metric."""
    rows = [
        Row(
            [
                Cell(str(record["component"])),
                *_groups(record, key),
                Cell(str(record["kind"])),
                Cell(_title(record["metric"])),
                Cell(str(record["n"]), float(record["n"])),
                _interval(record, "effect", str(record["metric"]), sign=True),
                _p(record["p"]),
                _p(record["p_holm"]),
                Cell(str(record["verdict"])),
            ],
            group,
            -1,
            _title(record["metric"]),
        )
        for record, group, _ in _records(findings.ablation, key)
    ]
    head = [
        "component",
        *_group_heads(key),
        "kind",
        "metric",
        "n",
        "effect",
        "p",
        "p (Holm)",
        "verdict",
    ]
    return table(
        "Effect of each component, mean [95 % interval]; above 0: it raises the metric",
        head,
        rows,
        "metric",
    )


def protocols(findings: Findings, key: Key) -> str:
    """What each protocol's choice comes to, and how far it stays below the oracle's."""
    rows = [
        Row(
            [
                Cell(names.value(record[key.design.compared])),
                *_groups(record, key),
                Cell(str(record["protocol"])),
                Cell(_title(record["metric"])),
                Cell(str(record["n"]), float(record["n"])),
                _interval(record, "mean", str(record["metric"])),
                _interval(
                    record, "gap", str(record["metric"]), sign=True, ends=("gap low", "gap high")
                ),
            ],
            group,
            method,
            _title(record["metric"]),
        )
        for record, group, method in _records(_fitting(findings.protocols), key)
    ]
    head = [
        key.design.compared,
        *_group_heads(key),
        "protocol",
        "metric",
        "n",
        "test result",
        f"gap to {selection.BEST}",
    ]
    return table(
        "Test result of what each protocol chooses, and what it lacks to the "
        f"choice of {selection.BEST}, mean "
        "[95 % interval]",
        head,
        rows,
        "metric",
    )


def _fitting(found: pd.DataFrame) -> pd.DataFrame:
    """All metrics where the table holds their rows; else as many whole metrics as it holds, the telling ones first."""
    if len(found) <= ROWS:
        return found
    first = ("test/overall_accuracy", "hypervolume", "test/missing_accuracy", "test/ausuc")
    counts = found["metric"].value_counts(sort=False)
    order = sorted(
        counts.index, key=lambda name: first.index(name) if name in first else len(first)
    )
    kept: list[str] = []
    total = 0
    for name in order:
        total += int(counts[name])
        kept += [name] if total <= ROWS or not kept else []
    return found[found["metric"].isin(kept)]


def failures(findings: Findings, key: Key) -> str:
    """What failed, stopped or is still to come."""
    rows = [
        Row(
            [
                Cell(names.value(record[key.design.compared])),
                *_groups(record, key),
                Cell(str(record["status"])),
                Cell(str(record["reason"])),
                Cell(str(record["trials"]), float(record["trials"])),
                Cell(_word(record["log"])),
            ],
            group,
            method,
        )
        for record, group, method in _records(findings.failures, key)
    ]
    head = [key.design.compared, *_group_heads(key), "status", "reason", "trials", "log of one"]
    return table("Trials without a result", head, rows)


def fronts(findings: Findings, key: Key) -> str:
    """The points on a front or chosen, for who reads rather than hovers."""
    found = findings.points
    if found.empty or findings.axes is None:
        return ""
    found = found[found["front"].to_numpy(bool) | found["chosen"].to_numpy(bool)]
    rows = []
    for record, group, method in _records(found, key):
        marks = [
            mark
            for flag, mark in (("front", "front"), ("chosen", "chosen"), ("disrupts", "disrupts"))
            if record.get(flag) is True
        ]
        rows.append(
            Row(
                [
                    Cell(names.value(record[key.design.compared])),
                    *_groups(record, key),
                    Cell(str(record["n"]), float(record["n"])),
                    *(
                        _interval(record, name, name, ends=(f"{name} low", f"{name} high"))
                        for name in findings.axes
                    ),
                    _share(record["probability"]),
                    Cell(", ".join(marks)),
                    Cell(names.configuration(record, findings.parameters)),
                ],
                group,
                method,
            )
        )
    head = [
        key.design.compared,
        *_group_heads(key),
        "n",
        *(_title(name) for name in findings.axes),
        "probability of the front",
        "marks",
        "configuration",
    ]
    return table("Points on a front or chosen, mean [95 % interval]", head, rows)


def provenance(findings: Findings) -> str:
    """What made the report."""
    return table(
        "What was measured, by what",
        ["what", "value"],
        [Row([Cell(name), Cell(str(value))]) for name, value in findings.provenance.items()],
    )


def _records(frame: pd.DataFrame, key: Key) -> list[tuple[Record, int, int]]:
    """(row, its group's number, its compared value's)."""
    rows = [
        {str(name): _plain(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    return list(zip(rows, key.group_of(frame), key.method_of(frame), strict=True)) if rows else []


def _sweeps(summary: pd.DataFrame, key: Key) -> list[tuple[tuple[int, int], dict[str, Record]]]:
    """Per sweep, its group and compared value by number, and its row of each metric."""
    made: dict[tuple[int, int, str], dict[str, Record]] = {}
    for record, group, method in _records(summary, key):
        made.setdefault((group, method, str(record["sweep"])), {})[str(record["metric"])] = record
    return [((group, method), records) for (group, method, _), records in made.items()]


def _best(summary: pd.DataFrame, key: Key) -> dict[tuple[int, str], str]:
    """(group, metric) -> its highest mean as it is shown, of metrics of which more is known to be better."""
    found: dict[tuple[int, str], tuple[float, str]] = {}
    for record, group, _ in _records(summary, key):
        metric, mean = str(record["metric"]), float(record["mean"])
        if names.is_percent(metric) and record.get("role") != BOUND and mean == mean:
            known = found.get((group, metric), (float("-inf"), ""))
            found[group, metric] = max(known, (mean, names.number(mean, metric)))
    return {place: shown for place, (_, shown) in found.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _configurations(findings: Findings) -> dict[str, str]:
    """Point -> its configuration in words."""
    if findings.points.empty:
        return {}
    return {
        str(row["point"]): names.configuration(
            {str(name): value for name, value in row.items()}, findings.parameters
        )
        for row in findings.points.to_dict("records")
    }


def _group_heads(key: Key) -> list[str]:
    return [name.replace("_", " ") for name in _differing(key)]


def _groups(record: Record, key: Key) -> list[Cell]:
    """The group's factors that are not the same everywhere."""
    cells = []
    for name in _differing(key):
        given = record[name]
        number = isinstance(given, int | float) and not isinstance(given, bool)
        cells.append(
            Cell(
                names.factor(name, given) if name == "missing_ratio" else names.value(given),
                float(given) if number else None,
            )
        )
    return cells


def _differing(key: Key) -> Sequence[str]:
    return [
        name for name, values in zip(key.design.groups, key.values, strict=True) if len(values) > 1
    ]


def _interval(
    record: Record,
    name: str,
    metric: str,
    *,
    sign: bool = False,
    digits: str = "",
    ends: tuple[str, str] | None = None,
    best: str | None = None,
) -> Cell:
    """`98.8 [98.1, 99.2]`; `n/a` where nothing was measured; what reads like `best` stands out, upper bounds aside."""
    low, high = (
        (f"{name} low", f"{name} high") if f"{name} low" in record else ends or ("low", "high")
    )
    value, bounds = record[name], (record[low], record[high])
    if value is None or value != value:
        return Cell("n/a", float("nan"))
    if digits:
        told = (
            "n/a"
            if any(bound != bound for bound in bounds)
            else ", ".join(format(bound, digits) for bound in bounds)
        )
        return Cell(format(value, digits), float(value), f"[{told}]")
    shown = names.number(value, metric, sign)
    return Cell(
        shown,
        float(value),
        names.bracket(*bounds, metric, sign),
        strong=shown == best and record.get("role") != BOUND,
    )


def _p(given: Any) -> Cell:
    return Cell(names.probability(float(given)), float(given))


def _verdict(record: Record) -> Cell:
    """`too few repetitions (p >= 0.062)` where no numbers could have shown anything."""
    verdict = str(record["verdict"])
    if verdict == "too few":
        return Cell(
            "too few repetitions", small=f"p >= {names.probability(float(record['least_p']))}"
        )
    return Cell({BOUND: "upper bound"}.get(verdict, verdict), strong=verdict in ("better", "worse"))


def _share(given: Any) -> Cell:
    return Cell("n/a" if given != given else f"{given:.0%}", float(given))


def _title(metric: Any) -> str:
    """A metric as a column's head, with its unit."""
    return (
        f"{names.metric(str(metric))} (%)"
        if names.is_percent(str(metric))
        else names.metric(str(metric))
    )


def _word(value: Any) -> str:
    return "" if value is None or value != value else str(value)
