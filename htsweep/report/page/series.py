"""The data of all charts, for JSON: columns in displayed units, groups and methods by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names
from htsweep.report.key import Key, dark
from htsweep.report.page import columns, frontiers, series_scores


def series(findings: Findings, key: Key) -> dict[str, Any]:
    """All that the charts draw, for `script.data`; `notes` says what charts leave out."""
    notes: dict[str, str] = {}
    metrics = {
        str(name)
        for table in (
            findings.summary,
            findings.ablation,
            findings.costs,
            findings.sensitivity,
            findings.ranks,
            findings.predicted,
            findings.regret,
        )
        if "metric" in table
        for name in table["metric"]
    }
    metrics |= {str(name) for name in findings.importance.get("objective", ())}
    return {
        **shared(key),
        "elsewhere": "All tables are below.",
        "metrics": {
            name: {
                "name": names.metric(name),
                "axis": names.axis(name),
                "percent": names.is_percent(name),
            }
            for name in sorted(metrics)
        },
        "baseline": names.value(findings.baseline),
        "frontiers": frontiers.frontiers(findings, key, notes),
        "costs": _costs(findings, key, notes),
        "attainment": frontiers.attainment(findings, key, notes),
        "curves": columns.lines(
            findings.curves,
            key,
            (),
            dict.fromkeys(("seen", "missing", "low", "high"), 100.0),
            chart="curves",
            notes=notes,
        ),
        "volumes": _volumes(findings, key),
        "ablation": columns.measured(
            findings.ablation,
            key,
            ("component", "kind", "metric", "verdict"),
            ("effect", "low", "high"),
        ),
        "importance": columns.table(
            findings.importance,
            key,
            ("objective", "parameter", "evaluator", "importance", "p_holm", "verdict"),
        ),
        "sensitivity": columns.measured(
            findings.sensitivity, key, ("parameter", "value", "metric"), ("mean", "low", "high")
        ),
        "classes": {
            **columns.table(findings.classes, key, ("label", "n", "missing")),
            **_percent_of(findings.classes, ("mean", "low", "high")),
        },
        "confusion": {
            **columns.table(findings.confusion, key, ("label", "predicted")),
            **_percent_of(findings.confusion, ("share",)),
        },
        "matrices": _matrices(findings, key),
        "ranks": columns.table(
            findings.ranks, key, ("metric", "rank", "blocks", "friedman_p", "critical_difference")
        ),
        "cliques": _cliques(findings, key),
        "ratios": _ratios(findings, key),
        "scores": series_scores.scores(findings, key),
        "regret": series_scores.regret(findings, key),
        "bounds": series_scores.bounds(findings, key),
        "notes": notes,
    }


def shared(key: Key) -> dict[str, Any]:
    """What filters and legends are made of: factors, groups and methods, by number."""
    return {
        "compared": key.design.compared,
        "factors": [
            {"name": name.replace("_", " "), "values": list(map(_labels(name), values))}
            for name, values in zip(key.design.groups, key.values, strict=True)
        ],
        "groups": [
            {
                "at": [values.index(code) for code, values in zip(group, key.values, strict=True)],
                "title": title,
            }
            for group, title in zip(key.groups, key.titles, strict=True)
        ],
        "methods": [
            {
                "name": name,
                "colour": look.colour,
                "dark": dark(look.colour),
                "symbol": look.symbol,
                "size": look.size,
            }
            for name, look in zip(key.methods, key.styles, strict=True)
        ],
    }


def _matrices(findings: Findings, key: Key) -> dict[str, Any]:
    """What each trial answered, by `points` (the places of their trials) and by trial."""
    table = findings.answers
    if table.empty:
        return {"points": []}
    known = {"sweep", "point", "repetition", "trial", "step", "classes", "missing", "cells"}
    known |= {"images", *findings.design.factors}
    searched = [name for name in table.columns if name not in known]
    points: dict[str, list[int]] = {}
    for place, point in enumerate(f"{row.sweep}/{row.point}" for row in table.itertuples()):
        points.setdefault(point, []).append(place)
    rows = table.to_dict("records")
    groups, compared = key.group_of(table), findings.design.compared

    def told(place: int) -> str:
        row, group = rows[place], groups[place]
        own = [f"{name} {names.value(row[name])}" for name in searched if not _absent(row[name])]
        method = names.value(row[compared]) if compared in row else ""
        title = key.titles[group] if group >= 0 else ""
        return " · ".join(part for part in (title, method, ", ".join(own)) if part)

    return {
        "points": [
            {
                "text": told(places[0]),
                "trials": sorted(places, key=lambda place: rows[place]["repetition"]),
            }
            for places in points.values()
        ],
        "repetition": table["repetition"].tolist(),
        **{name: table[name].tolist() for name in ("step", "classes", "missing", "cells")},
        "images": table["images"].tolist(),
    }


def _absent(value: Any) -> bool:
    return value is None or value != value


def _volumes(findings: Findings, key: Key) -> dict[str, Any]:
    """Hypervolumes, in percent if both axes are."""
    frame, unit = findings.volumes, names.area(findings.axes)
    sizes = {
        name: frame[name] * names.scale(unit) for name in ("volume", "low", "high") if name in frame
    }
    shown = ("reference", "volume", "low", "high", "n")
    return {**columns.table(frame.assign(**sizes), key, shown), "percent": names.is_percent(unit)}


def _costs(findings: Findings, key: Key, notes: dict[str, str]) -> dict[str, Any] | None:
    frame = names.priced(findings.costs)
    if frame.empty:
        return None
    panel = (
        frame.groupby([*key.design.groups, "cost"], sort=False, observed=True, dropna=False)
        .ngroup()
        .to_numpy()
    )
    limit = min(columns.POINTS, max(50, columns.ALL_POINTS // (int(panel.max()) + 1)))
    few = frame[columns.thin(panel, frame["front"].to_numpy(bool), limit)]
    if len(few) < len(frame):
        notes["costs"] = columns.thinned(len(few), len(frame))
    kinds = {str(name): names.cost(str(name)) for name in dict.fromkeys(few["cost"])}
    return {
        **columns.measured(few, key, ("cost", "metric", "front"), ("mean", "low", "high")),
        **{
            short: columns.numbers(few[name].to_numpy(float))
            for short, name in (
                ("value", "value"),
                ("valuel", "value low"),
                ("valueh", "value high"),
            )
        },
        "configuration": columns.configurations(few, findings.parameters),
        "kinds": kinds,
    }


def varied(findings: Findings) -> pd.DataFrame:
    """The summary's rows whose group, the missing ratio aside, has more than one missing ratio."""
    frame = findings.summary
    if frame.empty or names.RATIO not in findings.design.groups:
        return frame.iloc[:0]
    rest = [name for name in findings.design.groups if name != names.RATIO]
    if not rest:
        return frame if frame[names.RATIO].nunique() > 1 else frame.iloc[:0]
    return frame[
        frame.groupby(rest, dropna=False, observed=True)[names.RATIO].transform("nunique") > 1
    ]


def _cliques(findings: Findings, key: Key) -> dict[str, list[list[int]]]:
    """Metric -> the methods of each clique, best first, by number."""
    frame = findings.cliques
    made: dict[str, list[list[int]]] = {}
    if frame.empty:
        return made
    for (metric, _), members in frame.groupby(["metric", "clique"], sort=False):
        made.setdefault(str(metric), []).append(key.method_of(members))
    return made


def _ratios(findings: Findings, key: Key) -> columns.Columns | None:
    frame = varied(findings)
    if frame.empty:
        return None
    differ = [
        name
        for name in findings.design.groups
        if name != names.RATIO and findings.summary[name].nunique(dropna=False) > 1
    ]
    titles = [names.group({name: row[name] for name in differ}) for row in frame.to_dict("records")]
    return {
        **columns.measured(frame, key, ("metric", "role"), ("mean", "low", "high")),
        "panel": titles,
        "ratio": columns.numbers(
            100 * pd.to_numeric(frame[names.RATIO], errors="coerce").to_numpy(float)
        ),
    }


def _percent_of(frame: pd.DataFrame, shares: Sequence[str]) -> columns.Columns:
    return {
        name: columns.numbers(100 * frame[name].to_numpy(float))
        for name in shares
        if name in frame.columns
    }


def _labels(factor: str) -> Any:
    """A function from a factor's value to the text that is shown beside the factor's name."""
    return lambda text: _percent(text) if factor == names.RATIO else text


def _percent(text: str) -> str:
    try:
        return f"{100 * float(text):g} %"
    except ValueError:
        return text
