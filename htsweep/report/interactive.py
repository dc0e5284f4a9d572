"""The interactive frontier: one HTML file by plotly that needs no network."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.planning.task import BOUND
from htsweep.report import names, script, stretch
from htsweep.report.html import Html, render
from htsweep.report.key import Key, key
from htsweep.report.look import Look
from htsweep.report.page.sections import Part, Section
from htsweep.report.page.series import shared
from htsweep.selection.fronts import Directions, staircase

SCRIPTS = ("state.js", "draw.js", "legend.js", "frontier.js", "page.js")
"""The files that are joined, in one scope, into the script of the page."""
RING = "chosen by the protocol"
_READING = (
    "Filled points are on the front, open ones are dominated.{scale} Click a method in the legend "
    "to hide it; drag to zoom, double-click to zoom out."
)


def page(
    points: pd.DataFrame,
    x: str,
    y: str,
    design: Design,
    *,
    maximise: Directions = (True, True),
    title: str = "",
    note: str = "",
    parameters: Sequence[str] = (),
) -> str:
    """The page as HTML; hovering over a point shows its configuration and numbers.

    The numbers are n, the intervals and the probability that it is on the front. Arguments as for
    `report.static.render`; `parameters` are the columns of a configuration. Names are escaped: none
    is read as HTML.
    """
    findings = Findings(title, design, (x, y), (x, y), "", 1, "", points=points)
    numbers = key(findings)
    heading = ", ".join(part for part in (title, numbers.common) if part) or "Frontier"
    drawn = panels(points, x, y, numbers, maximise=maximise, parameters=parameters)
    stretched = _Axis(names.shown(points, x), names.is_percent(x), maximise[0]).stretched
    reading = _READING.format(
        scale=" The horizontal scale is stretched towards 100 %." if stretched else ""
    )
    elsewhere = "The numbers are in frontier.csv, which is written beside this file."
    return render(
        "page.html",
        policy=script.POLICY,
        title=heading,
        style=Html(script.lean(script.asset("page.css"))),
        first="",
        question="",
        answers=[],
        warnings=[],
        facts=[note.removesuffix(".")] if note else [],
        scriptless=f"The figure needs scripts. {elsewhere}",
        sections=[Section("frontier", "Frontier", [Part(chart="frontier", text=reading)])],
        absent=[],
        data=script.data(
            "findings", {**shared(numbers), "notes": {}, "elsewhere": elsewhere, "panels": drawn}
        ),
        plotly=script.plotly(),
        script=script.scripts(*SCRIPTS),
    )


def panels(
    points: pd.DataFrame,
    x: str,
    y: str,
    numbers: Key,
    *,
    maximise: Directions = (True, True),
    parameters: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The panels of `page`, one per group: its number `g`, and plotly's `traces` and `layout`.

    A trace of a method has the method's number as `m`; colours are the page's matter.
    """
    place = _Axis(names.shown(points, x), names.is_percent(x), maximise[0])
    groups, methods = np.array(numbers.group_of(points)), np.array(numbers.method_of(points))
    # All panels have the same axes, so that they compare.
    layout = {
        "xaxis": {"title": names.axis(x), **place.settings},
        "yaxis": {
            "title": names.axis(y),
            "range": list(stretch.even_limits(names.shown(points, y), names.is_percent(y))),
        },
    }
    made = []
    for group in dict.fromkeys(groups.tolist()):
        inside = points[groups == group]
        traces = _front(inside, x, y, points, maximise=maximise, place=place)
        for method in dict.fromkeys(methods[groups == group].tolist()):
            mine = points[(groups == group) & (methods == method)]
            name, style = numbers.methods[method], numbers.styles[method]
            trace = _trace(mine, x, y, name, style=style, parameters=parameters, place=place)
            traces.append({**trace, "m": method})
        traces += _rings(inside, x, y, methods[groups == group].tolist(), place)
        made.append({"g": group, "traces": traces, "layout": layout})
    return made


@final
class _Axis:
    """The horizontal axis: even, or stretched towards 100 as in print.

    Plotly has no such scale of its own.
    """

    def __init__(self, values: np.ndarray, percent: bool, more: bool) -> None:
        self.stretched = percent and more and stretch.is_crowded(values)
        self.settings: dict[str, Any] = {"range": list(stretch.even_limits(values, percent))}
        if self.stretched:
            low, high = stretch.limits(values)
            ticks = stretch.ticks(low, high)
            self.settings = {
                "range": self(np.array([low, high])),
                "tickvals": self(np.array(ticks)),
                "ticktext": [f"{tick:g}" for tick in ticks],
            }

    def __call__(self, values: np.ndarray) -> list[float]:
        """Where values lie on the axis."""
        places: list[float] = (stretch.forward(values) if self.stretched else values).tolist()
        return places


def _rings(
    points: pd.DataFrame, x: str, y: str, methods: Sequence[int], place: _Axis
) -> list[dict[str, Any]]:
    """Rings around the chosen points, a trace per method; none if all that compete are chosen."""
    chosen = points["chosen"].astype(bool).to_numpy()
    if chosen[(points["role"] != BOUND).to_numpy()].all():
        return []
    made = []
    for method in dict.fromkeys(methods):
        ringed = points[chosen & (np.array(methods) == method)]
        trace = {
            "x": place(names.shown(ringed, x)),
            "y": names.shown(ringed, y).tolist(),
            "mode": "markers",
            "name": RING,
            "hoverinfo": "skip",
            "marker": {"symbol": "circle-open", "size": 17, "line": {"width": 1.2}},
            "m": method,
        }
        made += [trace] if len(ringed) else []
    return made


def _trace(
    points: pd.DataFrame,
    x: str,
    y: str,
    name: str,
    *,
    style: Look,
    parameters: Sequence[str],
    place: _Axis,
) -> dict[str, Any]:
    symbols = np.where(points["front"].to_numpy(), style.symbol, f"{style.symbol}-open")
    return {
        "x": place(names.shown(points, x)),
        "y": names.shown(points, y).tolist(),
        "mode": "markers",
        "name": _inert(name),
        "error_x": _bars(points, x, place),
        "error_y": _bars(points, y, list),
        "marker": {
            "symbol": symbols.tolist(),
            "size": 9 * style.size,
            "line": {"width": 1.3},
        },
        "hoverinfo": "text",
        "hovertext": [
            _hover(
                {str(key): value for key, value in row.items()}, x, y, name, parameters=parameters
            )
            for row in points.to_dict("records")
        ],
    }


def _bars(
    points: pd.DataFrame,
    metric: str,
    place: Callable[[np.ndarray], Sequence[float]],
) -> dict[str, Any]:
    """Error bars from the mean to both ends of the interval, as lengths on the axis."""
    mean = names.shown(points, metric)
    both = (names.shown(points, metric, bound) for bound in (" low", " high"))
    ends = [np.where(np.isnan(end), mean, end) for end in both]
    if names.is_percent(metric):
        ends = [
            np.clip(end, min(0.0, float(mean.min())), max(stretch.HIGHEST, float(mean.max())))
            for end in ends
        ]
    low, middle, high = (np.asarray(place(values)) for values in (ends[0], mean, ends[1]))
    return {
        "type": "data",
        "array": (high - middle).tolist(),
        "arrayminus": (middle - low).tolist(),
        "symmetric": False,
        "thickness": 1,
        "width": 0,
    }


def _front(
    points: pd.DataFrame,
    x: str,
    y: str,
    every: pd.DataFrame,
    *,
    maximise: Directions,
    place: _Axis,
) -> list[dict[str, Any]]:
    front = points[points["front"]]
    if front.empty:
        return []
    ends = [
        names.scale(axis) * float(every[axis].min() if more else every[axis].max())
        for axis, more in zip((x, y), maximise, strict=True)
    ]
    along, up = staircase(
        names.shown(front, x), names.shown(front, y), (ends[0], ends[1]), maximise
    )
    return [
        {
            "x": place(along),
            "y": up.tolist(),
            "mode": "lines",
            "name": "front",
            "hoverinfo": "skip",
            "line": {"width": 1.5},
        }
    ]


def _hover(row: dict[str, Any], x: str, y: str, name: str, *, parameters: Sequence[str]) -> str:
    lines = [f"<b>{_inert(name)}</b>", _inert(names.configuration(row, parameters))]
    lines += [f"{_inert(names.metric(metric))}: {names.interval(row, metric)}" for metric in (x, y)]
    lines += [f"n = {row['n']}, step {row['step']}"]
    if row["role"] == "bound":
        lines += ["upper bound: not a competitor"]
    elif not math.isnan(row["probability"]):
        lines += [f"on the front in {row['probability']:.0%} of bootstrap samples"]
    lines += ["chosen by the protocol"] if row["chosen"] else []
    return "<br>".join(line for line in lines if line)


def _inert(text: str) -> str:
    """Text that plotly shows literally, although it interprets some HTML in every label."""
    return html.escape(text, quote=False)
