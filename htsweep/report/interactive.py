"""The frontier to look into: one HTML file that needs no network, by plotly."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import Directions, staircase
from htsweep.report import names
from htsweep.report.look import Look, looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

_FRONT = "#8c8c8c"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 1.5rem auto; max-width: 1250px; padding: 0 1rem }}
h1 {{ font-size: 1.3rem; margin: 0 0 .3rem }}
p {{ margin: .3rem 0; max-width: 60rem }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{note}</p>
<p>Click a method in the legend to hide it, twice to see it alone; drag to zoom, click twice into a panel to zoom out.</p>
{figure}
</body>
</html>
"""


def page(
    points: pd.DataFrame, x: str, y: str, design: Design, *, maximise: Directions = (True, True), title: str = "",
    note: str = "", parameters: Sequence[str] = (),
) -> str:
    """The page as HTML; hovering over a point shows its configuration, n, intervals and how sure its place on the front is.

    Arguments as for `report.static.render`; `parameters` are the columns that make a configuration. Names are shown as they
    are: none is read as HTML.
    """
    from plotly.io import to_html

    same, _ = names.split(points, design)
    common = names.group({name: points[name].iloc[0] for name in same})
    heading = ", ".join(part for part in (title, common) if part) or "Frontier"
    made = to_html(figure(points, x, y, design, maximise=maximise, parameters=parameters), include_plotlyjs=True,
                   full_html=False, config={"displaylogo": False, "responsive": True}, div_id="frontier")
    return _PAGE.format(title=html.escape(heading), note=html.escape(note), figure=made)


def figure(
    points: pd.DataFrame, x: str, y: str, design: Design, *, maximise: Directions = (True, True),
    parameters: Sequence[str] = (),
) -> go.Figure:
    """The figure on that page: a panel per group, a trace per method in each."""
    from plotly.subplots import make_subplots

    _, differ = names.split(points, design)
    keys = list(design.groups)
    grouped = list(points.groupby(keys, sort=False, dropna=False, observed=True)) if keys else [((), points)]
    columns = min(len(grouped), 2 if len(grouped) in (2, 4) else 3)
    rows = math.ceil(len(grouped) / columns)
    titles = [_inert(names.group({name: of for name, of in zip(keys, key, strict=False) if name in differ}))
              for key, _ in grouped]
    made = make_subplots(rows, columns, subplot_titles=titles, shared_xaxes="all", shared_yaxes="all",
                         horizontal_spacing=0.03, vertical_spacing=min(0.12, 0.3 / rows))
    look, shown = looks(points, design.compared), set[str]()
    for index, (_, inside) in enumerate(grouped):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        made.add_traces(_front(inside, x, y, points, maximise), rows=place["row"], cols=place["col"])
        for name, some in inside.groupby(design.compared, sort=False, observed=True, dropna=False):
            trace = _trace(some, x, y, names.value(name), look[str(name)], parameters)
            made.add_trace(trace.update(showlegend=str(name) not in shown), **place)
            shown.add(str(name))
        if index + columns >= len(grouped):
            made.update_xaxes(title_text=_inert(names.axis(x)), showticklabels=True, **place)
        if index % columns == 0:
            made.update_yaxes(title_text=_inert(names.axis(y)), **place)
    made.update_layout(template="plotly_white", height=360 * rows + 120, legend={"itemsizing": "constant", "groupclick": "togglegroup"},
                       margin={"t": 40, "l": 60, "r": 20, "b": 60}, hoverlabel={"align": "left"})
    return made


def _trace(points: pd.DataFrame, x: str, y: str, name: str, style: Look, parameters: Sequence[str]) -> go.Scatter:
    import plotly.graph_objects as go

    along, up = (points[axis].to_numpy(float) * names.scale(axis) for axis in (x, y))
    filled = points["front"].to_numpy()
    symbols = np.where(filled, style.symbol, f"{style.symbol}-open")
    return go.Scatter(
        x=along.tolist(), y=up.tolist(), mode="markers", name=_inert(name), legendgroup=_inert(name),
        error_x=_bars(points, x, style), error_y=_bars(points, y, style),
        marker={"symbol": symbols.tolist(), "color": style.colour, "size": 9 * style.size, "line": {"width": 1.3}},
        text=[_hover(row, x, y, name, parameters) for row in points.to_dict("records")], hovertemplate="%{text}<extra></extra>")


def _bars(points: pd.DataFrame, metric: str, style: Look) -> dict[str, Any]:
    half = np.nan_to_num((points[f"{metric} high"] - points[metric]).to_numpy(float) * names.scale(metric))
    return {"type": "data", "array": half.tolist(), "thickness": 1, "width": 0, "color": style.colour}


def _front(points: pd.DataFrame, x: str, y: str, every: pd.DataFrame, maximise: Directions) -> list[go.Scatter]:
    import plotly.graph_objects as go

    front = points[points["front"]]
    if front.empty:
        return []
    ends = [names.scale(axis) * (every[axis].min() if more else every[axis].max())
            for axis, more in zip((x, y), maximise, strict=True)]
    along, up = staircase(*(front[axis].to_numpy(float) * names.scale(axis) for axis in (x, y)), (ends[0], ends[1]), maximise)
    return [go.Scatter(x=along.tolist(), y=up.tolist(), mode="lines", hoverinfo="skip", showlegend=False,
                       line={"color": _FRONT, "width": 1.5})]


def _hover(row: dict[str, Any], x: str, y: str, name: str, parameters: Sequence[str]) -> str:
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
    """Text that plotly shows letter by letter: it reads some HTML in every label."""
    return html.escape(text, quote=False)
