"""The frontier for print: PNG, SVG and PDF by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.planning.task import BOUND
from htsweep.report import names, paper, stretch
from htsweep.report.look import Look, looks
from htsweep.selection.fronts import Directions, staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANELS = paper.PANELS
_FEW = 16
"""In a panel with more points than this, those that are neither chosen nor on the front are small
and have no intervals.
"""
_BANDS = 6
"""In a panel with more methods on the front than this, no bands are drawn: they would hide each
other.
"""
_DISRUPTS: Any = {
    "clip_on": False,
    "linestyle": "none",
    "marker": "x",
    "markersize": 3.2,
    "markeredgecolor": "#000000",
    "markeredgewidth": 0.7,
}
"""The mark on points that break the constraint."""
_CHOSEN: Any = {
    "clip_on": False,
    "linestyle": "none",
    "marker": "o",
    "markersize": 10.0,
    "markerfacecolor": "none",
    "markeredgecolor": "#222222",
    "markeredgewidth": 0.9,
}
"""The ring around points that the protocol chose, where there are others."""


def render(
    points: pd.DataFrame,
    x: str,
    y: str,
    design: Design,
    *,
    maximise: Directions = (True, True),
    title: str = "",
    note: str = "",
) -> dict[str, bytes]:
    """The figure in each of `FORMATS`: per group a panel of points with intervals and their front.

    Args:
        points: what `analysis.frontier.frontier` returns.
        x: the metric on the horizontal axis.
        y: the metric on the vertical axis.
        design: which columns make a group and which is compared.
        maximise: for x and y, whether more is better.
        title: above all panels.
        note: below all panels, in small print.
    """
    import matplotlib

    with matplotlib.rc_context(paper.style(small=False)):
        return paper.save(draw(points, x, y, design, maximise=maximise, title=title, note=note))


def draw(
    points: pd.DataFrame,
    x: str,
    y: str,
    design: Design,
    *,
    maximise: Directions = (True, True),
    title: str = "",
    note: str = "",
    attainment: pd.DataFrame | None = None,
    width: float | None = None,
    look: Mapping[str, Look] | None = None,
) -> Figure:
    """The matplotlib figure that `render` saves.

    Args:
        points: what `analysis.frontier.frontier` returns.
        x: the metric on the horizontal axis.
        y: the metric on the vertical axis.
        design: which columns make a group and which is compared.
        maximise: for x and y, whether more is better.
        title: above all panels.
        note: below all panels, in small print.
        attainment: `Findings.attainment`; its bands are drawn for the methods on the front.
        width: of the figure in inches; None: as wide as its panels are.
        look: of each compared value; None: by the points.
    """
    from matplotlib.figure import Figure

    shown = paper.grouped(points, design)
    if len(shown) > PANELS:
        note = f"{PANELS} of {len(shown)} groups are drawn. {note}"
        shown = shown[:PANELS]
    look = look or looks(points, design.compared)
    columns = (
        min(len(shown), 2 if len(shown) in (2, 4) else 3)
        if width is None
        else paper.columns(len(shown), width, 1.55)
    )
    rows = math.ceil(len(shown) / columns)
    wide = max(2.9 * columns + 0.3, 4.8) if width is None else width
    high = 2.45 if width is None else min(0.92 * width / columns, 2.6)
    figure = Figure(
        figsize=(wide, high * rows + (0.5 if width is None else 0.3)), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    stretched, banded = False, False
    for panel, (name, inside) in zip(panels.flat, shown, strict=False):
        panel.set_title(name, pad=4)
        stretched = _scales(panel, points, x, y, maximise=maximise)
        banded |= _bands(panel, inside, attainment, x, y=y, design=design, look=look)
        _front(panel, inside, x, y, maximise=maximise)
        _points(panel, inside, x, y, design=design, look=look)
    paper.label(panels, len(shown), _axis(x, width is not None), _axis(y, width is not None))
    paper.headline(figure, title, paper.common(points, design), size=9.5 if width is None else 7.5)
    drawn = set(points[design.compared].astype(str))
    disrupts = "disrupts" in points and bool(points["disrupts"].any())
    parts = [
        note,
        "The horizontal scale is stretched towards 100 %." if stretched else "",
        "Bands: what 75 % to 25 % of the repetitions attain, of methods on the front."
        if banded
        else "",
    ]
    handles = _handles(
        {name: look[name] for name in look if name in drawn},
        design.compared,
        disrupts=disrupts,
        ringed=len(_ringed(points)) > 0,
    )
    paper.grow(figure, paper.legend(figure, handles, " ".join(filter(None, parts))))
    return figure


def _axis(metric: str, small: bool) -> str:
    return (
        f"{names.metric(metric)} (%)" if small and names.is_percent(metric) else names.axis(metric)
    )


def _bands(
    panel: Axes,
    points: pd.DataFrame,
    attainment: pd.DataFrame | None,
    x: str,
    *,
    y: str,
    design: Design,
    look: Mapping[str, Look],
) -> bool:
    """Draws what lies between the edges of share 0.75 and 0.25; returns whether any was drawn."""
    if attainment is None or attainment.empty:
        return False
    on = list(dict.fromkeys(points[points["front"]][design.compared].astype(str)))
    if len(on) > _BANDS or points.empty:
        return False
    inside = (
        attainment.merge(points[list(design.groups)].drop_duplicates(), on=list(design.groups))
        if design.groups
        else attainment
    )
    drawn = False
    for name in on:
        mine = inside[inside[design.compared].astype(str) == name]
        often, seldom = (
            mine[np.isclose(mine["share"].astype(float), share)] for share in (0.75, 0.25)
        )
        if often.empty or seldom.empty:
            continue
        corners = pd.concat([often, seldom.iloc[::-1]])
        panel.fill(
            *paper.scaled(corners, x, x),
            *paper.scaled(corners, y, y),
            color=look[name].colour,
            alpha=0.13,
            linewidth=0,
            zorder=1.2,
        )
        drawn = True
    return drawn


def _scales(panel: Axes, points: pd.DataFrame, x: str, y: str, *, maximise: Directions) -> bool:
    """Sets axes that fit every panel's points; returns whether x is stretched towards 100."""
    values = names.shown(points, x)
    stretched = names.is_percent(x) and maximise[0] and stretch.is_crowded(values)
    if stretched:
        low, high = stretch.limits(values)
        panel.set_xscale("function", functions=(stretch.forward, stretch.inverse))
        panel.set_xticks(
            stretch.ticks(low, high), [f"{tick:g}" for tick in stretch.ticks(low, high)]
        )
        panel.set_xlim(low, high)
    else:
        panel.set_xlim(*stretch.even_limits(values, names.is_percent(x)))
    panel.set_ylim(*stretch.even_limits(names.shown(points, y), names.is_percent(y)))
    panel.grid(color="#e6e6e6", linewidth=0.5)
    panel.spines[["top", "right"]].set_visible(False)
    return stretched


def _front(panel: Axes, points: pd.DataFrame, x: str, y: str, *, maximise: Directions) -> None:
    front = points[points["front"]]
    if front.empty:
        return
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    ends = (left if maximise[0] else right, bottom if maximise[1] else top)
    along, up = staircase(names.shown(front, x), names.shown(front, y), ends, maximise)
    panel.plot(along, up, color=paper.GREY, linewidth=1.1, zorder=1.5, solid_joinstyle="miter")
    panel.fill_between(along, up, ends[1], color=paper.GREY, alpha=0.09, linewidth=0, zorder=1)


def _points(
    panel: Axes,
    points: pd.DataFrame,
    x: str,
    y: str,
    *,
    design: Design,
    look: Mapping[str, Look],
) -> None:
    """Filled where on the front, open where dominated; intervals as thin bars."""
    from matplotlib.collections import LineCollection

    bold = points["front"] | points["chosen"] | (points["role"] != "") | (len(points) <= _FEW)
    bars, colours = [], list[str]()
    for name, inside in points.groupby(design.compared, sort=False, observed=True, dropna=False):
        style = look[str(name)]
        for (front, large), some in inside.groupby([inside["front"], bold[inside.index]]):
            panel.plot(
                names.shown(some, x),
                names.shown(some, y),
                linestyle="none",
                zorder=4 if front else 3,
                alpha=1 if large else 0.5,
                **paper.marker(style, filled=bool(front), scale=1 if large else 0.6),
            )
            if large:
                bars += [_bars(some, x, y, 0), _bars(some, y, x, 1)]
                colours += [style.colour] * (2 * len(some))
    ringed = _ringed(points)
    if len(ringed):
        panel.plot(names.shown(ringed, x), names.shown(ringed, y), zorder=4.5, **_CHOSEN)
    broken = points[points["disrupts"].astype(bool)] if "disrupts" in points else points.iloc[:0]
    if len(broken):
        panel.plot(names.shown(broken, x), names.shown(broken, y), zorder=5, **_DISRUPTS)
    # One collection per panel: an errorbar per method takes three times as long to draw.
    panel.add_collection(
        LineCollection(
            list(np.concatenate(bars)), colors=colours, linewidths=0.8, alpha=0.55, zorder=2
        ),
        autolim=False,
    )


def _ringed(points: pd.DataFrame) -> pd.DataFrame:
    """The chosen points; none if all points that compete are chosen."""
    chosen = points["chosen"].astype(bool)
    return points.iloc[:0] if chosen[points["role"] != BOUND].all() else points[chosen]


def _bars(points: pd.DataFrame, metric: str, other: str, axis: int) -> np.ndarray:
    """Interval bars along `axis` (points x 2 ends x 2 coordinates), cut at 100 %.

    Without an interval (one repetition) a bar has zero length.
    """
    mean = names.shown(points, metric)
    ends = np.stack(
        [names.shown(points, metric, " low"), names.shown(points, metric, " high")], axis=1
    )
    ends = np.where(np.isnan(ends), mean[:, None], ends)
    if names.is_percent(metric):
        ends = np.minimum(ends, np.maximum(stretch.HIGHEST, mean)[:, None])
    across = np.repeat(names.shown(points, other)[:, None], 2, axis=1)
    return np.stack([ends, across] if axis == 0 else [across, ends], axis=2)


def _handles(
    look: Mapping[str, Look], compared: str, *, disrupts: bool, ringed: bool
) -> list[Line2D]:
    """The legend's entries: every method, the front, and open, ringed and crossed markers."""
    from matplotlib.lines import Line2D

    handles = []
    for name, style in look.items():
        label, role = (
            names.factor(compared, name),
            {"*": "source model", "d": "upper bound"}.get(style.marker),
        )
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                label=f"{label} ({role})" if role else label,
                **paper.marker(style, filled=style.marker != "d"),
            )
        )
    handles.append(Line2D([], [], color=paper.GREY, linewidth=1.1, label="non-dominated"))
    handles.append(
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            markersize=paper.MARKER,
            markeredgecolor=paper.GREY,
            markerfacecolor="white",
            label="open: dominated",
        )
    )
    if ringed:
        handles.append(Line2D([], [], label="ringed: chosen by the protocol", **_CHOSEN))
    if disrupts:
        handles.append(Line2D([], [], label="disrupts missing classes", **_DISRUPTS))
    return handles
