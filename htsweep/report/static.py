"""The frontier on paper: PNG, SVG and PDF by matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
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

FORMATS = ("png", "svg", "pdf")
PANELS = 30
"""A figure holds so many panels; the rest is in the table and in the interactive page."""
_FEW = 16
"""In a panel with more points than this, those that are neither chosen nor on the front are small and without intervals."""
_STYLE: Mapping[str, Any] = {
    "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "htsweep", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "axes.linewidth": 0.6,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.fontsize": 7.5,
    "axes.axisbelow": True, "axes.edgecolor": "#555555", "savefig.dpi": 200,
}
_MARKER = 5.5
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

    with matplotlib.rc_context(dict(_STYLE)):
        figure = draw(points, x, y, design, maximise=maximise, title=title, note=note)
        made = {}
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
    figure = Figure(figsize=(max(3.1 * columns, 4.6), 2.6 * rows + 1.0), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel, (key, inside) in zip(panels.flat, shown, strict=False):
        of_group = dict(zip(design.groups, key if isinstance(key, tuple) else (key,), strict=False))
        panel.set_title(names.group({name: of_group[name] for name in differ}), pad=4)
        _scales(panel, points, x, y, maximise)
        _front(panel, inside, x, y, maximise)
        _points(panel, inside, x, y, design, look)
    for empty in list(panels.flat)[len(shown):]:
        empty.set_visible(False)
    common = names.group({name: points[name].iloc[0] for name in same}) if len(points) else ""
    _label(figure, x, y, "  ·  ".join(part for part in (title, common) if part))
    _legend(figure, look, columns, note)
    return figure


def _scales(panel: Axes, points: pd.DataFrame, x: str, y: str, maximise: Directions) -> None:
    """The same axes in all panels, wide enough for every point."""
    for axis, name, more in (("x", x, maximise[0]), ("y", y, maximise[1])):
        values = points[name].to_numpy(float) * names.scale(name)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if axis == "x" and names.is_percent(name) and more and stretch.is_crowded(values):
            low = max(0.0, low - 0.12 * (stretch.HIGHEST - low))
            panel.set_xscale("function", functions=(stretch.forward, stretch.inverse))
            ticks = stretch.ticks(low, stretch.HIGHEST)
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.set_xlim(low, stretch.HIGHEST + 0.35)
            continue
        margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
        if names.is_percent(name) and high - low > 40:
            low, high = 0.0, stretch.HIGHEST
            margin = 3.0
        top = stretch.HIGHEST + margin / 2 if names.is_percent(name) else np.inf
        panel.set(**{f"{axis}lim": (low - margin, min(high + margin, top))})
    panel.grid(color="#e6e6e6", linewidth=0.5)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _front(panel: Axes, points: pd.DataFrame, x: str, y: str, maximise: Directions) -> None:
    front = points[points["front"]]
    if front.empty:
        return
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    ends = (left if maximise[0] else right, bottom if maximise[1] else top)
    along, up = staircase(front[x] * names.scale(x), front[y] * names.scale(y), ends, maximise)
    panel.plot(along, up, color=_FRONT, linewidth=1.1, zorder=1.5, solid_joinstyle="miter")
    panel.fill_between(along, up, ends[1], color=_FRONT, alpha=0.09, linewidth=0, zorder=1)


def _points(
    panel: Axes, points: pd.DataFrame, x: str, y: str, design: Design, look: Mapping[str, Look],
) -> None:
    """Filled where on the front, open where dominated; intervals as thin bars."""
    bold = points["front"] | points["chosen"] | (points["role"] != "") | (len(points) <= _FEW)
    for name, inside in points.groupby(design.compared, sort=False, observed=True):
        style = look[name]
        for (front, large), some in inside.groupby([inside["front"], bold[inside.index]]):
            along, up = some[x] * names.scale(x), some[y] * names.scale(y)
            if large:
                for values, axis, metric in ((along, "xerr", x), (up, "yerr", y)):
                    half = np.nan_to_num((some[f"{metric} high"] - some[metric]).to_numpy(float) * names.scale(metric))
                    high = np.minimum(half, stretch.HIGHEST - values) if names.is_percent(metric) else half
                    panel.errorbar(along, up, **{axis: np.stack([half, np.maximum(high, 0)])}, fmt="none", ecolor=style.colour,
                                   elinewidth=0.8, alpha=0.55, zorder=2)
            panel.plot(along, up, linestyle="none", zorder=4 if front else 3, alpha=1 if large else 0.5,
                       markersize=_MARKER * style.size * (1 if large else 0.6), **_marker(style, filled=bool(front)))


def _marker(style: Look, filled: bool) -> dict[str, Any]:
    return {"marker": style.marker, "markeredgecolor": style.colour, "markeredgewidth": 1.0,
            "markerfacecolor": style.colour if filled else "white"}


def _label(figure: Figure, x: str, y: str, title: str) -> None:
    figure.supxlabel(names.axis(x), fontsize=8.5)
    figure.supylabel(names.axis(y), fontsize=8.5)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold")


def _legend(figure: Figure, look: Mapping[str, Look], columns: int, note: str) -> None:
    """Outside the panels, so that it covers no point."""
    from matplotlib.lines import Line2D

    handles = []
    for name, style in look.items():
        text = {"*": "source model", "d": "upper bound"}.get(style.marker, "")
        label = names.value(name)
        handles.append(Line2D([], [], linestyle="none", markersize=_MARKER * style.size, **_marker(style, style.marker != "d"),
                              label=f"{label} ({text})" if text and text != label else label))
    handles.append(Line2D([], [], color=_FRONT, linewidth=1.1, label="non-dominated"))
    handles.append(Line2D([], [], linestyle="none", marker="o", markersize=_MARKER, markeredgecolor=_FRONT,
                          markerfacecolor="white", label="open: dominated"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2 * columns if columns > 1 else 3, frameon=False,
                  columnspacing=1.4, handletextpad=0.3, title=note or None, title_fontsize=6.5)
