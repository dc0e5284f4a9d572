"""Figures with a panel per group: curves, sensitivity, costs, missing ratios."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.report import names, paper, stretch
from htsweep.report.look import COLOURS, MARKERS, Look
from htsweep.selection.fronts import staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_TITLE = 0.062
"""Width in inches of a letter of a panel's title."""
MEAN = "test/harmonic_mean"
_BANDS = 8
"""With more lines than this in a panel, no bands are drawn: they would hide each other."""
_SWEPT = (SEEN, MISSING)


def curves(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The mean seen/missing curve of each method with the band of its interval; panels by group."""
    frame, compared = findings.curves, findings.design.compared
    parts = paper.grouped(frame, findings.design)
    figure, panels, note = _panels(parts, width, True, ("seen (%)", "missing (%)"))
    many = frame[compared].nunique() > _BANDS
    for panel, (_, inside) in zip(panels, parts, strict=False):
        for name, line in inside.groupby(compared, sort=False, observed=True, dropna=False):
            _line(
                panel,
                line,
                look[str(name)],
                SEEN,
                metric=MISSING,
                of=("seen", "missing", "low", "high"),
                band=not many,
            )
        paper.within(panel, SEEN, "x")
        paper.within(panel, MISSING)
    note += "Mean over repetitions while the bias between seen and missing classes varies; " + (
        f"bands are left out where there are more than {_BANDS} lines."
        if many
        else "bands: 95 % interval."
    )
    paper.headline(figure, "seen against missing", paper.common(frame, findings.design), size=7.5)
    paper.grow(figure, paper.legend(figure, _handles(look, findings, frame, lines=True), note))
    return [figure]


def sensitivity(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """Seen and missing against each searched parameter, with bands.

    There is a panel per method, parameter and group.
    """
    frame, design = findings.sensitivity, findings.design
    measured = list(dict.fromkeys(frame["metric"]))
    metrics = [name for name in _SWEPT if name in measured] or measured[:2]
    frame = frame[frame["metric"].isin(metrics)]
    parts = paper.grouped(frame, design, [design.compared, "parameter"])
    unit = " (%)" if all(map(names.is_percent, metrics)) else ""
    figure, panels, note = _panels(parts, width, False, ("value of the parameter", f"mean{unit}"))
    styles = {metric: Look(COLOURS[at], *MARKERS[at]) for at, metric in enumerate(metrics)}
    for panel, (_, inside) in zip(panels, parts, strict=False):
        for metric, line in inside.groupby("metric", sort=False, observed=True):
            _line(
                panel,
                line.sort_values("value", kind="stable"),
                styles[str(metric)],
                "",
                metric=str(metric),
                of=("value", "mean", "low", "high"),
            )
        if paper.decades(inside["value"].to_numpy(float)):
            paper.logarithmic(panel, inside["value"].to_numpy(float))
        if names.is_percent(metrics[0]):
            panel.set_ylim(0, stretch.HIGHEST)
    paper.headline(figure, "sensitivity", paper.common(frame, design), size=7.5)
    handles = [_handle(style, names.metric(metric)) for metric, style in styles.items()]
    paper.grow(
        figure,
        paper.legend(
            figure,
            handles,
            note + "Mean over the other parameters; bands: 95 % interval over repetitions.",
        ),
    )
    return [figure]


def costs(findings: Findings, width: float, look: Mapping[str, Look], cost: str) -> list[Figure]:
    """What each point gives against its cost, with intervals and the front; a panel per group."""
    frame = names.priced(findings.costs[findings.costs["cost"] == cost])
    compared, metric = findings.design.compared, str(frame["metric"].iloc[0])
    parts = paper.grouped(frame, findings.design)
    figure, panels, note = _panels(parts, width, True, (names.cost(cost), _axis(metric)))
    value = frame["value"].to_numpy(float)
    log = len(value) > 1 and np.nanmin(value) > 0 and np.nanmax(value) > 3 * np.nanmin(value)
    for panel, (_, inside) in zip(panels, parts, strict=False):
        if log:
            paper.logarithmic(panel, value)
        for (name, front), some in inside.groupby(
            [compared, "front"], sort=False, observed=True, dropna=False
        ):
            style = look[str(name)]
            _crosses(panel, some, metric, style.colour)
            panel.plot(
                some["value"],
                *paper.scaled(some, metric, "mean"),
                linestyle="none",
                zorder=4 if front else 3,
                **paper.marker(style, filled=bool(front), scale=0.8),
            )
        _cheapest(panel, inside, metric)
        paper.within(panel, metric)
    paper.headline(figure, "cost and gain", paper.common(frame, findings.design), size=7.5)
    note += (
        "Grey line: no other point of the group is both cheaper and better. "
        "Open markers are dominated."
    )
    paper.grow(figure, paper.legend(figure, _handles(look, findings, frame), note))
    return [figure]


def ratios(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The harmonic mean, or else the first metric, against the share of missing classes.

    There is no figure for a single share.
    """
    frame = findings.summary
    if names.RATIO not in findings.design.groups or frame[names.RATIO].nunique() < 2:
        return []
    metric = MEAN if MEAN in set(frame["metric"]) else str(frame["metric"].iloc[0])
    frame = frame[frame["metric"] == metric]
    frame = frame.assign(_ratio=100 * frame[names.RATIO].astype(float))
    rest = Design(
        tuple(name for name in findings.design.groups if name != names.RATIO),
        findings.design.compared,
    )
    parts = paper.grouped(frame, rest)
    figure, panels, note = _panels(parts, width, True, ("missing classes (%)", _axis(metric)))
    many = frame[rest.compared].nunique() > _BANDS
    for panel, (_, inside) in zip(panels, parts, strict=False):
        for name, line in inside.groupby(rest.compared, sort=False, observed=True, dropna=False):
            _line(
                panel,
                line.sort_values("_ratio", kind="stable"),
                look[str(name)],
                "",
                metric=metric,
                of=("_ratio", "mean", "low", "high"),
                band=not many,
            )
        panel.set_xticks(sorted(set(frame["_ratio"])))
        paper.within(panel, metric)
    paper.headline(figure, "share of missing classes", paper.common(frame, rest), size=7.5)
    note += (
        f"Bands are left out where there are more than {_BANDS} lines."
        if many
        else "Bands: 95 % interval."
    )
    paper.grow(figure, paper.legend(figure, _handles(look, findings, frame, lines=True), note))
    return [figure]


def _panels(
    parts: Sequence[tuple[str, pd.DataFrame]],
    width: float,
    share: bool,
    axes: tuple[str, str],
) -> tuple[Figure, list[Axes], str]:
    """A figure with a panel per part, as many as fit a page, and a note on parts left out."""
    from matplotlib.figure import Figure

    shown = min(len(parts), paper.PANELS)
    columns = paper.columns(shown, width, 1.5 if share else 1.6)
    rows = math.ceil(shown / columns)
    figure = Figure(
        figsize=(width, min(0.85 * width / columns, 2.5) * rows + 0.35), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    paper.label(panels, shown, *axes)
    grid = list(panels.flat)
    for panel, (title, _) in zip(grid, parts, strict=False):
        panel.set_title("\n".join(textwrap.wrap(title, int(width / columns / _TITLE))), pad=3)
        paper.clean(panel)
    return (
        figure,
        grid[:shown],
        f"{shown} of {len(parts)} groups are drawn. " if shown < len(parts) else "",
    )


def _line(
    panel: Axes,
    rows: pd.DataFrame,
    style: Look,
    along: str,
    *,
    metric: str,
    of: tuple[str, str, str, str],
    band: bool = True,
) -> None:
    """A line through (of[0], of[1]) with a band from of[2] to of[3].

    `along` is the metric of the horizontal axis; "" if that is not a metric.
    """
    x = rows[of[0]].to_numpy(float) * (names.scale(along) if along else 1.0)
    mean, low, high = paper.scaled(rows, metric, *of[1:])
    if band:
        panel.fill_between(x, low, high, color=style.colour, alpha=0.14, linewidth=0, zorder=1.5)
    # A line with many points has only a few markers, offset against those of other lines.
    step = max(1, len(rows) // 5)
    panel.plot(
        x,
        mean,
        color=style.colour,
        linewidth=1.0,
        zorder=3,
        linestyle=_dash(style),
        markevery=(sum(map(ord, style.colour + style.marker)) % step, step),
        **paper.marker(style, scale=0.6),
    )


def _dash(style: Look) -> Any:
    """One of four dashes, chosen by the marker, of which a line shows only a few."""
    rounds = (
        [shape for shape, _ in MARKERS].index(style.marker) // 3
        if style.marker in dict(MARKERS)
        else 0
    )
    return ("-", (0, (4, 1.2)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))[rounds % 4]


def _crosses(panel: Axes, rows: pd.DataFrame, metric: str, colour: str) -> None:
    """Draws the intervals of cost and metric as thin lines."""
    mean, low, high = paper.scaled(rows, metric, "mean", "low", "high")
    panel.vlines(
        rows["value"],
        np.where(np.isnan(low), mean, low),
        np.where(np.isnan(high), mean, high),
        color=colour,
        linewidth=0.7,
        alpha=0.5,
    )
    panel.hlines(
        mean,
        rows["value low"].fillna(rows["value"]),
        rows["value high"].fillna(rows["value"]),
        color=colour,
        linewidth=0.7,
        alpha=0.5,
    )


def _cheapest(panel: Axes, rows: pd.DataFrame, metric: str) -> None:
    """Draws the edge of what is attainable at each cost."""
    front = rows[rows["front"].astype(bool)]
    if len(front) > 1:
        (mean,) = paper.scaled(front, metric, "mean")
        ends = (float(rows["value"].max()), float(mean.min()))
        panel.plot(
            *staircase(front["value"].to_numpy(float), mean, ends, (False, True)),
            color=paper.GREY,
            linewidth=1.0,
            zorder=1.5,
        )


def _handles(
    look: Mapping[str, Look], findings: Findings, frame: pd.DataFrame, lines: bool = False
) -> list[Line2D]:
    drawn = set(frame[findings.design.compared].astype(str))
    return [
        _handle(style, names.value(name), lines) for name, style in look.items() if name in drawn
    ]


def _handle(style: Look, label: str, line: bool = True) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        label=label,
        color=style.colour,
        linewidth=1.0,
        linestyle=_dash(style) if line else "none",
        **paper.marker(style, scale=0.7),
    )


def _axis(metric: str) -> str:
    return f"{names.metric(metric)} (%)" if names.is_percent(metric) else metric
