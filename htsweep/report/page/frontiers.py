"""The data of the frontiers chart for JSON: points, which methods beat them, attainment edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.planning.task import BOUND
from htsweep.report import names, stretch
from htsweep.report.key import Key
from htsweep.report.page import columns
from htsweep.selection.fronts import beaten_by, non_dominated


def frontiers(findings: Findings, key: Key, notes: dict[str, str]) -> dict[str, Any] | None:
    """The points, and which methods beat each, from which the front of any methods follows.

    Methods' own fronts are never thinned. `beaten` lists the methods that have a better point in
    the group; for chosen points, `beaten_chosen` lists those with a better chosen point. If a
    point's own method beats it, only that one is listed, since it is shown whenever the point is.
    """
    points = findings.points
    if points.empty or findings.axes is None:
        return None
    x, y = findings.axes
    keep = np.logical_or.reduce(
        [points[name].to_numpy(bool) for name in ("front", "own_front", "chosen")]
    )
    groups = key.group_of(points)
    taken = columns.thin(
        groups, keep, min(columns.POINTS, max(50, columns.ALL_POINTS // max(1, len(set(groups)))))
    )
    few = points[taken]
    if len(few) < len(points):
        notes["frontiers"] = columns.thinned(len(few), len(points))
    shown = names.shown(points, x)
    crowded = names.is_percent(x) and stretch.is_crowded(shown)
    beaten, own = _beaten(points, key, findings.axes)
    chosen = points["chosen"].to_numpy(bool)
    among_chosen, own_chosen = _beaten(points[chosen], key, findings.axes)
    # One per point, empty for those that are not chosen.
    beaten_chosen = [list[int]() for _ in range(len(points))]
    is_own_chosen = np.zeros(len(points), bool)
    for place, by, is_own in zip(np.flatnonzero(chosen), among_chosen, own_chosen, strict=True):
        beaten_chosen[place], is_own_chosen[place] = by, is_own
    drawn = np.flatnonzero(taken)
    return {
        **columns.table(few, key, ("n", "step", "chosen", "probability", "role")),
        **{
            f"{short}{bound[1:2]}": columns.numbers(names.shown(few, metric, bound))
            for short, metric in (("x", x), ("y", y))
            for bound in ("", " low", " high")
        },
        "beaten": [beaten[place] for place in drawn],
        "own": [own[place] for place in drawn],
        "beaten_chosen": [beaten_chosen[place] for place in drawn],
        "own_chosen": is_own_chosen[drawn].tolist(),
        "disrupts": few["disrupts"].map(lambda value: value is True or value == 1).tolist(),
        "configuration": columns.configurations(few, findings.parameters),
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
    """For each point, the competing methods that beat it, and whether it is on its own front."""
    both = points[list(axes)].to_numpy(float)
    groups, methods = np.array(key.group_of(points)), np.array(key.method_of(points))
    competes = (points["role"] != BOUND).to_numpy()
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


def attainment(findings: Findings, key: Key, notes: dict[str, str]) -> list[dict[str, Any]]:
    """The corners of the attainment edges, as `x` and `y`."""
    if findings.axes is None or findings.attainment.empty:
        return []
    scales = {name: names.scale(name) for name in findings.axes}
    # Renamed last, since a factor may be called x.
    short = dict(zip(findings.axes, ("x", "y"), strict=True))
    return [
        {short.get(name, name): value for name, value in line.items()}
        for line in columns.lines(
            findings.attainment, key, ("share",), scales, chart="frontiers", notes=notes
        )
    ]
