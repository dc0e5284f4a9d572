"""The frontier on paper: PNG, SVG and PDF by matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import Directions, staircase
from htsweep.report import names, stretch
from htsweep.report.look import Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FORMATS = ("png", "svg", "pdf")
PANELS = 12
"""A figure holds so many panels, about a page; the rest is in the CSV and, up to its own limit, in the interactive page."""
_FEW = 16
"""In a panel with more points than this, those that are neither chosen nor on the front are small and without intervals."""
_STYLE: Any = {
    "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "htsweep", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "axes.linewidth": 0.6,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.fontsize": 7.5,
    "axes.axisbelow": True, "text.parse_math": False, "axes.edgecolor": "#555555", "savefig.dpi": 200,
}
_MARKER = 5.5
_LETTER_INCHES, _SMALL_INCHES = 0.054, 0.050
"""Widths of a letter of the legend and of the small print, on the wide side."""
_FRONT = "#8c8c8c"


def render(
    points: pd.DataFrame, x: str, y: str, design: Design, *, maximise: Directions = (True, True), title: str = "",
    note: str = "",
) -> dict[str, bytes]:
    """The figure in each of `FORMATS`: one panel per group, its points with intervals, and their joint front.

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

    with matplotlib.rc_context(_STYLE):
        figure = draw(points, x, y, design, maximise=maximise, title=title, note=note)
        made = {}
        # The layout costs more than the drawing: found once, it serves all formats.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for name in FORMATS:
            file = io.BytesIO()
            # Without dates, the same table gives the same bytes.
            dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(name)
            figure.savefig(file, format=name, metadata=dated)
            made[name] = file.getvalue()
    return made


def draw(
    points: pd.DataFrame, x: str, y: str, design: Design, *, maximise: Directions = (True, True), title: str = "",
    note: str = "",
) -> Figure:
    """The figure itself; arguments as for `render`."""
    from matplotlib.figure import Figure

    same, differ = names.split(points, design)
    grouped = list(points.groupby(list(design.groups), sort=False, dropna=False, observed=True)) if design.groups else []
    shown = grouped[:PANELS] or [((), points)]
    if len(grouped) > PANELS:
        note = f"{PANELS} of {len(grouped)} groups are drawn. {note}"
    columns = min(len(shown), 2 if len(shown) in (2, 4) else 3)
    rows = math.ceil(len(shown) / columns)
    look = looks(points, design.compared)
    width = max(2.9 * columns + 0.3, 4.8)
    handles = _handles(look, design.compared)
    fit = _fit([str(handle.get_label()) for handle in handles], width)
    figure = Figure(figsize=(width, 2.45 * rows + 0.95 + 0.165 * math.ceil(len(handles) / fit)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel, (key, inside) in zip(panels.flat, shown, strict=False):
        of_group = dict(zip(design.groups, key if isinstance(key, tuple) else (key,), strict=False))
        panel.set_title(names.group({name: of_group[name] for name in differ}), pad=4)
        stretched = _scales(panel, points, x, y, maximise)
        _front(panel, inside, x, y, maximise)
        _points(panel, inside, x, y, design, look)
    for empty in list(panels.flat)[len(shown):]:
        empty.set_visible(False)
    for index, panel in enumerate(list(panels.flat)[:len(shown)]):
        if index + columns >= len(shown):  # nothing below it
            panel.set_xlabel(names.axis(x))
            panel.tick_params(labelbottom=True)
        if index % columns == 0:
            panel.set_ylabel(names.axis(y))
    common = names.group({name: points[name].iloc[0] for name in same})
    if title or common:
        figure.suptitle("  ·  ".join(part for part in (title, common) if part), fontsize=9.5, fontweight="bold")
    note = f"{note} The horizontal scale is stretched towards 100 %." if stretched else note
    # Outside the panels, so that it covers no point.
    small = "\n".join(textwrap.wrap(note, int(width / _SMALL_INCHES)))
    figure.legend(handles=handles, loc="outside lower center", ncols=fit, frameon=False, columnspacing=1.4,
                  handletextpad=0.3, title=small or None, title_fontsize=6.5)
    return figure


def _scales(panel: Axes, points: pd.DataFrame, x: str, y: str, maximise: Directions) -> bool:
    """The same axes in all panels, wide enough for every point; whether x is stretched towards 100."""
    values = names.shown(points, x)
    stretched = names.is_percent(x) and maximise[0] and stretch.is_crowded(values)
    if stretched:
        low, high = stretch.limits(values)
        panel.set_xscale("function", functions=(stretch.forward, stretch.inverse))
        panel.set_xticks(stretch.ticks(low, high), [f"{tick:g}" for tick in stretch.ticks(low, high)])
        panel.set_xlim(low, high)
    else:
        panel.set_xlim(*stretch.even_limits(values, names.is_percent(x)))
    panel.set_ylim(*stretch.even_limits(names.shown(points, y), names.is_percent(y)))
    panel.grid(color="#e6e6e6", linewidth=0.5)
    panel.spines[["top", "right"]].set_visible(False)
    return stretched


def _front(panel: Axes, points: pd.DataFrame, x: str, y: str, maximise: Directions) -> None:
    front = points[points["front"]]
    if front.empty:
        return
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    ends = (left if maximise[0] else right, bottom if maximise[1] else top)
    along, up = staircase(names.shown(front, x), names.shown(front, y), ends, maximise)
    panel.plot(along, up, color=_FRONT, linewidth=1.1, zorder=1.5, solid_joinstyle="miter")
    panel.fill_between(along, up, ends[1], color=_FRONT, alpha=0.09, linewidth=0, zorder=1)


def _points(
    panel: Axes, points: pd.DataFrame, x: str, y: str, design: Design, look: Mapping[str, Look],
) -> None:
    """Filled where on the front, open where dominated; intervals as thin bars."""
    from matplotlib.collections import LineCollection

    bold = points["front"] | points["chosen"] | (points["role"] != "") | (len(points) <= _FEW)
    bars, colours = [], list[str]()
    for name, inside in points.groupby(design.compared, sort=False, observed=True, dropna=False):
        style = look[str(name)]
        for (front, large), some in inside.groupby([inside["front"], bold[inside.index]]):
            panel.plot(names.shown(some, x), names.shown(some, y), linestyle="none", zorder=4 if front else 3,
                       alpha=1 if large else 0.5, markersize=_MARKER * style.size * (1 if large else 0.6),
                       **_marker(style, filled=bool(front)))
            if large:
                bars += [_bars(some, x, y, 0), _bars(some, y, x, 1)]
                colours += [style.colour] * (2 * len(some))
    # One collection a panel: an errorbar per method takes three times as long to draw.
    panel.add_collection(LineCollection(list(np.concatenate(bars)), colors=colours, linewidths=0.8, alpha=0.55, zorder=2),
                         autolim=False)


def _bars(points: pd.DataFrame, metric: str, other: str, axis: int) -> np.ndarray:
    """Interval bars along `axis` (points x 2 ends x 2 coordinates): of no length for one repetition, none past 100 %."""
    mean = names.shown(points, metric)
    ends = np.stack([names.shown(points, metric, " low"), names.shown(points, metric, " high")], axis=1)
    ends = np.where(np.isnan(ends), mean[:, None], ends)
    if names.is_percent(metric):
        ends = np.minimum(ends, np.maximum(stretch.HIGHEST, mean)[:, None])
    across = np.repeat(names.shown(points, other)[:, None], 2, axis=1)
    return np.stack([ends, across] if axis == 0 else [across, ends], axis=2)


def _marker(style: Look, filled: bool) -> dict[str, Any]:
    return {"marker": style.marker, "markeredgecolor": style.colour, "markeredgewidth": 1.0,
            "markerfacecolor": style.colour if filled else "white"}


def _handles(look: Mapping[str, Look], compared: str) -> list[Line2D]:
    """What the legend explains: every method, the front, and what an open marker means."""
    from matplotlib.lines import Line2D

    handles = []
    for name, style in look.items():
        label, role = names.factor(compared, name), {"*": "source model", "d": "upper bound"}.get(style.marker)
        handles.append(Line2D([], [], linestyle="none", label=f"{label} ({role})" if role else label,
                              markersize=_MARKER * style.size, **_marker(style, filled=style.marker != "d")))
    handles.append(Line2D([], [], color=_FRONT, linewidth=1.1, label="non-dominated"))
    handles.append(Line2D([], [], linestyle="none", marker="o", markersize=_MARKER, markeredgecolor=_FRONT,
                          markerfacecolor="white", label="open: dominated"))
    return handles


def _fit(labels: Sequence[str], inches: float) -> int:
    """Columns of a legend with these labels on so much width: as few rows as fit, and no more columns than they need."""
    lengths = [len(label) * _LETTER_INCHES + 0.42 for label in labels]
    fitting = [count for count in range(1, len(labels) + 1)
               if sum(float(column.max()) for column in np.array_split(lengths, count)) < inches - 0.2]
    most = max(fitting, default=1)
    return math.ceil(len(labels) / math.ceil(len(labels) / most))
