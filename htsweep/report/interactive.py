"""The interactive frontier: one HTML file by plotly that needs no network."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.planning.task import BOUND
from htsweep.report import names, script, stretch
from htsweep.report.html import render
from htsweep.report.look import Look, looks
from htsweep.selection.fronts import Directions, staircase

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANELS = 30
"""How many panels a page has at most: more take long to open; the rest is in the CSV."""
_FRONT = "#8c8c8c"
_READING = (
    "Filled points are on the front, open ones are dominated.{scale} Click a method in the legend "
    "to hide it, twice "
    "to see it alone; drag to zoom, click twice into a panel to zoom out."
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
    same, _ = names.split(points, design)
    count = len(points[list(design.groups)].drop_duplicates()) if design.groups else 1
    if count > PANELS:
        note = f"{PANELS} of {count} groups are drawn. {note}"
    common = names.group({name: points[name].iloc[0] for name in same})
    heading = ", ".join(part for part in (title, common) if part) or "Frontier"
    drawn = figure(points, x, y, design, maximise=maximise, parameters=parameters)
    stretched = _Axis(names.shown(points, x), names.is_percent(x), maximise[0]).stretched
    return render(
        "frontier.html",
        policy=script.POLICY,
        title=heading,
        note=note,
        reading=_READING.format(
            scale=" The horizontal scale is stretched towards 100 %." if stretched else ""
        ),
        figure=script.data("figure", drawn.to_plotly_json()),
        plotly=script.plotly(),
        script=script.scripts("frontier.js"),
    )


def figure(
    points: pd.DataFrame,
    x: str,
    y: str,
    design: Design,
    *,
    maximise: Directions = (True, True),
    parameters: Sequence[str] = (),
) -> go.Figure:
    """The figure of `page`: a panel per group, with a trace per method."""
    from plotly.subplots import make_subplots

    _, differ = names.split(points, design)
    keys = list(design.groups)
    grouped = (
        list(points.groupby(keys, sort=False, dropna=False, observed=True))[:PANELS]
        if keys
        else [((), points)]
    )
    columns = min(len(grouped), 2 if len(grouped) in (2, 4) else 3)
    rows = math.ceil(len(grouped) / columns)
    titles = [
        _inert(
            names.group({name: of for name, of in zip(keys, key, strict=False) if name in differ})
        )
        for key, _ in grouped
    ]
    made = make_subplots(
        rows,
        columns,
        subplot_titles=titles,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=min(0.1, 0.16 / rows),
    )
    look, shown = looks(points, design.compared), set[str]()
    place = _Axis(names.shown(points, x), names.is_percent(x), maximise[0])
    for index, (_, inside) in enumerate(grouped):
        cell = {"row": index // columns + 1, "col": index % columns + 1}
        for trace in _front(inside, x, y, points, maximise=maximise, place=place):
            made.add_trace(trace, **cell)
        for name, some in inside.groupby(design.compared, sort=False, observed=True, dropna=False):
            trace = _trace(
                some,
                x,
                y,
                names.factor(design.compared, name),
                style=look[str(name)],
                parameters=parameters,
                place=place,
            )
            made.add_trace(trace.update(showlegend=str(name) not in shown), **cell)
            shown.add(str(name))
        ring = _ring(inside, x, y, place)
        if ring is not None:
            made.add_trace(ring.update(showlegend="" not in shown), **cell)
            shown.add("")
        made.update_xaxes(**place.settings, **cell)
        # plotly.js 3 loses the automatic range of y once x has an explicit one and panels share
        # both.
        made.update_yaxes(
            range=list(stretch.even_limits(names.shown(points, y), names.is_percent(y))), **cell
        )
        if index + columns >= len(grouped):
            made.update_xaxes(title_text=_inert(names.axis(x)), showticklabels=True, **cell)
        if index % columns == 0:
            made.update_yaxes(title_text=_inert(names.axis(y)), **cell)
    made.update_layout(
        template="plotly_white",
        height=360 * rows + 100,
        legend={"itemsizing": "constant", "groupclick": "togglegroup"},
        margin={"t": 40, "l": 60, "r": 20, "b": 60},
        hoverlabel={"align": "left"},
    )
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


def _ring(points: pd.DataFrame, x: str, y: str, place: _Axis) -> go.Scatter | None:
    """Rings around the chosen points; None if all points that compete are chosen."""
    import plotly.graph_objects as go

    chosen = points["chosen"].astype(bool)
    if chosen[points["role"] != BOUND].all():
        return None
    ringed = points[chosen]
    return go.Scatter(
        x=place(names.shown(ringed, x)),
        y=names.shown(ringed, y).tolist(),
        mode="markers",
        name="chosen by the protocol",
        legendgroup="chosen by the protocol",
        hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 17, "color": "#777", "line": {"width": 1.2}},
    )


def _trace(
    points: pd.DataFrame,
    x: str,
    y: str,
    name: str,
    *,
    style: Look,
    parameters: Sequence[str],
    place: _Axis,
) -> go.Scatter:
    import plotly.graph_objects as go

    symbols = np.where(points["front"].to_numpy(), style.symbol, f"{style.symbol}-open")
    return go.Scatter(
        x=place(names.shown(points, x)),
        y=names.shown(points, y).tolist(),
        mode="markers",
        name=_inert(name),
        legendgroup=_inert(name),
        error_x=_bars(points, x, style, place),
        error_y=_bars(points, y, style, list),
        marker={
            "symbol": symbols.tolist(),
            "color": style.colour,
            "size": 9 * style.size,
            "line": {"width": 1.3, "color": style.colour},
        },
        text=[
            _hover(
                {str(key): value for key, value in row.items()}, x, y, name, parameters=parameters
            )
            for row in points.to_dict("records")
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _bars(
    points: pd.DataFrame,
    metric: str,
    style: Look,
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
        "color": style.colour,
    }


def _front(
    points: pd.DataFrame,
    x: str,
    y: str,
    every: pd.DataFrame,
    *,
    maximise: Directions,
    place: _Axis,
) -> list[go.Scatter]:
    import plotly.graph_objects as go

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
        go.Scatter(
            x=place(along),
            y=up.tolist(),
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            line={"color": _FRONT, "width": 1.5},
        )
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
