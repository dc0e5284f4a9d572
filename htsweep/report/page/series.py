"""What page.js draws, as JSON: columns of numbers in the unit that is shown, groups and methods by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names, stretch
from htsweep.report.key import Key, dark
from htsweep.report.page import series_scores
from htsweep.selection.fronts import beaten_by, non_dominated

POINTS = 1000
"""A panel draws so many points; beyond, those that are neither on a front nor chosen are thinned.
"""
_ALL_POINTS = 12_000
_CORNERS, _ALL_CORNERS = 101, 40_000
"""A line has so many corners, and all lines of a chart together."""
_DIGITS = 5
Columns = dict[str, list[Any]]


def series(findings: Findings, key: Key) -> dict[str, Any]:
    """All that the charts draw, for `script.data`; `notes` says of which chart something is left out."""
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
        "compared": key.design.compared,
        "factors": [
            {"name": name.replace("_", " "), "values": list(map(_told(name), values))}
            for name, values in zip(key.design.groups, key.values, strict=True)
        ],
        "groups": [
            {
                "at": [values.index(one) for one, values in zip(group, key.values, strict=True)],
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
        "metrics": {
            name: {
                "name": names.metric(name),
                "axis": names.axis(name),
                "percent": names.is_percent(name),
            }
            for name in sorted(metrics)
        },
        "baseline": names.value(findings.baseline),
        "frontiers": _frontiers(findings, key, notes),
        "costs": _costs(findings, key, notes),
        "attainment": _attainment(findings, key, notes),
        "curves": _lines(
            findings.curves,
            key,
            (),
            dict.fromkeys(("seen", "missing", "low", "high"), 100.0),
            "curves",
            notes,
        ),
        "volumes": _volumes(findings, key),
        "ablation": _measured(
            findings.ablation,
            key,
            ("component", "kind", "metric", "verdict"),
            ("effect", "low", "high"),
        ),
        "importance": _table(
            findings.importance, key, ("objective", "parameter", "evaluator", "importance")
        ),
        "sensitivity": _measured(
            findings.sensitivity, key, ("parameter", "value", "metric"), ("mean", "low", "high")
        ),
        "ranks": _table(
            findings.ranks, key, ("metric", "rank", "blocks", "friedman_p", "critical_difference")
        ),
        "cliques": _cliques(findings, key),
        "ratios": _ratios(findings, key),
        "scores": series_scores.scores(findings, key),
        "regret": series_scores.regret(findings, key),
        "bounds": series_scores.bounds(findings, key),
        "notes": notes,
    }


def thin(panel: Sequence[int] | np.ndarray, keep: np.ndarray, limit: int) -> np.ndarray:
    """Flags of at most `limit` rows of each panel: all that `keep` flags, and evenly spaced ones of the others."""
    panels = np.asarray(panel)
    taken = keep.copy()
    for number in np.unique(panels):
        others = np.flatnonzero((panels == number) & ~keep)
        room = max(0, limit - int((keep & (panels == number)).sum()))
        places = (
            others
            if len(others) <= room
            else others[np.linspace(0, len(others) - 1, room).astype(int)]
        )
        taken[places] = True
    return taken


def _frontiers(findings: Findings, key: Key, notes: dict[str, str]) -> dict[str, Any] | None:
    """The points, and which methods beat each, so that the front of any choice of methods is known.

    Own fronts are never thinned. `beaten`: the methods that have a better point in the group;
    `beaten_chosen`: those that have one among the chosen points, of a chosen point. A method that
    beats its own point stands there alone, since it is shown wherever the point is.
    """
    found = findings.points
    if found.empty or findings.axes is None:
        return None
    x, y = findings.axes
    keep = np.logical_or.reduce(
        [found[name].to_numpy(bool) for name in ("front", "own_front", "chosen")]
    )
    groups = key.group_of(found)
    taken = thin(groups, keep, min(POINTS, max(50, _ALL_POINTS // max(1, len(set(groups))))))
    few = found[taken]
    if len(few) < len(found):
        notes["frontiers"] = _thinned(len(few), len(found))
    shown = names.shown(found, x)
    crowded = names.is_percent(x) and stretch.is_crowded(shown)
    beaten, own = _beaten(found, key, findings.axes)
    chosen = found["chosen"].to_numpy(bool)
    among_chosen, own_chosen = _beaten(found[chosen], key, findings.axes)
    # As many as there are points, empty for those that are not chosen.
    beaten_chosen = [list[int]() for _ in range(len(found))]
    is_own_chosen = np.zeros(len(found), bool)
    for place, by, is_own in zip(np.flatnonzero(chosen), among_chosen, own_chosen, strict=True):
        beaten_chosen[place], is_own_chosen[place] = by, is_own
    drawn = np.flatnonzero(taken)
    return {
        **_table(few, key, ("n", "step", "chosen", "probability", "role")),
        **{
            f"{short}{bound[1:2]}": _numbers(names.shown(few, metric, bound))
            for short, metric in (("x", x), ("y", y))
            for bound in ("", " low", " high")
        },
        "beaten": [beaten[place] for place in drawn],
        "own": [own[place] for place in drawn],
        "beaten_chosen": [beaten_chosen[place] for place in drawn],
        "own_chosen": is_own_chosen[drawn].tolist(),
        "disrupts": few["disrupts"].map(lambda value: value is True or value == 1).tolist(),
        "configuration": _configurations(few, findings.parameters),
        "axes": [
            {
                "name": names.metric(name),
                "axis": names.axis(name),
                "percent": names.is_percent(name),
            }
            for name in (x, y)
        ],
        "ticks": stretch.ticks(*stretch.limits(shown)) if crowded else None,
    }


def _beaten(
    points: pd.DataFrame, key: Key, axes: tuple[str, str]
) -> tuple[list[list[int]], list[bool]]:
    """For each point, the competing methods that beat it in its group, and whether it is on its own method's front."""
    both = points[list(axes)].to_numpy(float)
    groups, methods = np.array(key.group_of(points)), np.array(key.method_of(points))
    competes = (points["role"] != "bound").to_numpy()
    beaten: list[list[int]] = [[] for _ in range(len(points))]
    own = non_dominated(both[:, 0], both[:, 1], _pairs(groups, methods))
    for group in np.unique(groups):
        inside = groups == group
        rivals = inside & competes
        flags = beaten_by(both[inside], both[rivals], methods[rivals], len(key.methods))
        for place, by in zip(np.flatnonzero(inside), flags, strict=True):
            method = int(methods[place])
            beaten[place] = [method] if by[method] else np.flatnonzero(by).tolist()
    return beaten, own.tolist()


def _pairs(groups: np.ndarray, methods: np.ndarray) -> np.ndarray:
    """A number per pair of a group and a method."""
    return np.asarray(groups * (methods.max(initial=0) + 1) + methods)


def _volumes(findings: Findings, key: Key) -> dict[str, Any]:
    """Hypervolumes, in percent where both axes are."""
    found, unit = findings.volumes, names.area(findings.axes)
    sizes = {
        name: found[name] * names.scale(unit) for name in ("volume", "low", "high") if name in found
    }
    columns = ("reference", "volume", "low", "high", "n")
    return {**_table(found.assign(**sizes), key, columns), "percent": names.is_percent(unit)}


def _costs(findings: Findings, key: Key, notes: dict[str, str]) -> dict[str, Any] | None:
    found = findings.costs
    if found.empty:
        return None
    panel = (
        found.groupby([*key.design.groups, "cost"], sort=False, observed=True, dropna=False)
        .ngroup()
        .to_numpy()
    )
    limit = min(POINTS, max(50, _ALL_POINTS // (int(panel.max()) + 1)))
    few = found[thin(panel, found["front"].to_numpy(bool), limit)]
    if len(few) < len(found):
        notes["costs"] = _thinned(len(few), len(found))
    kinds = {str(name): names.cost(str(name)) for name in dict.fromkeys(few["cost"])}
    return {
        **_measured(few, key, ("cost", "metric", "front"), ("mean", "low", "high")),
        **{
            short: _numbers(few[name].to_numpy(float))
            for short, name in (
                ("value", "value"),
                ("valuel", "value low"),
                ("valueh", "value high"),
            )
        },
        "configuration": _configurations(few, findings.parameters),
        "kinds": kinds,
    }


def _attainment(findings: Findings, key: Key, notes: dict[str, str]) -> list[dict[str, Any]]:
    """The edges' corners, as x and y."""
    if findings.axes is None or findings.attainment.empty:
        return []
    scales = {name: names.scale(name) for name in findings.axes}
    # Renamed at last: a factor may be called x
    short = dict(zip(findings.axes, ("x", "y"), strict=True))
    return [
        {short.get(name, name): value for name, value in line.items()}
        for line in _lines(findings.attainment, key, ("share",), scales, "frontiers", notes)
    ]


def _lines(
    frame: pd.DataFrame,
    key: Key,
    words: Sequence[str],
    columns: Mapping[str, float],
    chart: str,
    notes: dict[str, str],
) -> list[dict[str, Any]]:
    """A line per group, compared value and `words`, its columns times so much; corners of long ones are thinned."""
    if frame.empty:
        return []
    marked = frame.assign(_g=key.group_of(frame), _m=key.method_of(frame))
    found = [
        line
        for _, line in marked.groupby(["_g", "_m", *words], sort=False, observed=True, dropna=False)
    ]
    limit = min(_CORNERS, max(9, _ALL_CORNERS // len(found)))
    if any(len(line) > limit for line in found):
        notes[chart] = (
            notes.get(chart, "") + f" Lines are drawn through at most {limit} of their corners."
        ).strip()
    made = []
    for line in found:
        places = np.unique(np.linspace(0, len(line) - 1, min(limit, len(line))).astype(int))
        few = line.iloc[places]
        first = line.iloc[0]
        made.append(
            {
                "g": int(first["_g"]),
                "m": int(first["_m"]),
                **{name: _plain(first[name]) for name in words},
                **{
                    name: _numbers(few[name].to_numpy(float) * scale)
                    for name, scale in columns.items()
                },
            }
        )
    return made


def varied(findings: Findings) -> pd.DataFrame:
    """The rows of the summary whose dataset (and what else makes a group) has more than one missing ratio."""
    found = findings.summary
    if found.empty or names.RATIO not in findings.design.groups:
        return found.iloc[:0]
    rest = [name for name in findings.design.groups if name != names.RATIO]
    if not rest:
        return found if found[names.RATIO].nunique() > 1 else found.iloc[:0]
    return found[
        found.groupby(rest, dropna=False, observed=True)[names.RATIO].transform("nunique") > 1
    ]


def _cliques(findings: Findings, key: Key) -> dict[str, list[list[int]]]:
    """Metric -> the methods of each clique, best first, by number."""
    found = findings.cliques
    made: dict[str, list[list[int]]] = {}
    if found.empty:
        return made
    for (metric, _), members in found.groupby(["metric", "clique"], sort=False):
        made.setdefault(str(metric), []).append(key.method_of(members))
    return made


def _ratios(findings: Findings, key: Key) -> Columns | None:
    found = varied(findings)
    if found.empty:
        return None
    differ = [
        name
        for name in findings.design.groups
        if name != names.RATIO and findings.summary[name].nunique(dropna=False) > 1
    ]
    titles = [names.group({name: row[name] for name in differ}) for row in found.to_dict("records")]
    return {
        **_measured(found, key, ("metric", "role"), ("mean", "low", "high")),
        "panel": titles,
        "ratio": _numbers(100 * pd.to_numeric(found[names.RATIO], errors="coerce").to_numpy(float)),
    }


def _measured(
    frame: pd.DataFrame, key: Key, words: Sequence[str], values: Sequence[str]
) -> Columns:
    """A table whose `values` are in the unit of each row's metric."""
    if frame.empty:
        return _table(frame, key, [])
    scales = frame["metric"].astype(str).map(names.scale).to_numpy(float)
    return {
        **_table(frame, key, words),
        **{name: _numbers(frame[name].to_numpy(float) * scales) for name in values},
    }


def _table(frame: pd.DataFrame, key: Key, columns: Sequence[str]) -> Columns:
    """Columns as lists, with `g` and `m`; columns that are not there are left out."""
    made: Columns = {"g": key.group_of(frame), "m": key.method_of(frame)}
    for name in columns:
        if name in frame.columns:
            given = frame[name]
            made[name] = (
                _numbers(given.to_numpy(float))
                if pd.api.types.is_float_dtype(given)
                else [_plain(value) for value in given.tolist()]
            )
    return made


def _plain(value: Any) -> Any:
    """A value for JSON: numbers as they are, all else in the words of the tables."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if value == value else None
    return value if isinstance(value, bool | int | str) or value is None else names.value(value)


def _numbers(values: np.ndarray) -> list[float | None]:
    """Five digits: more than a screen can show."""
    return [
        float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()
    ]


def _configurations(points: pd.DataFrame, parameters: Sequence[str]) -> list[str]:
    return [
        names.configuration({str(name): value for name, value in row.items()}, parameters)
        for row in points.to_dict("records")
    ]


def _thinned(few: int, many: int) -> str:
    return f"{few} of {many} points are drawn: all that are chosen or on a front, others thinned evenly."


def _told(factor: str) -> Any:
    """How a factor's value is called beside its name."""
    return lambda text: _percent(text) if factor == names.RATIO else text


def _percent(text: str) -> str:
    try:
        return f"{100 * float(text):g} %"
    except ValueError:
        return text
