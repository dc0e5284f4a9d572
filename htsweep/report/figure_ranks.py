"""Critical-difference diagrams: mean ranks over independent blocks, and which do not differ.

As in Demsar, JMLR 7, 2006, figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names, paper
from htsweep.report.figure_forest import shown_metrics
from htsweep.report.look import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOP = 3.0
"""Rows of the diagram above its axis: ranks and the critical difference."""
_POINTS, _LETTER, _TICK = 5.8, 0.046, 0.22
"""Type size in points, width of one of its letters in inches, and inches between two ticks."""
_SIDE = 0.37
"""The share of the width that labels may take on each side."""
_DARK = "#333333"


def ranks(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """A diagram per metric: the axis of ranks, a label per method, and bars that join cliques.

    The best rank is on the left; the members of a clique do not differ.
    """
    from matplotlib.figure import Figure

    frame, compared = findings.ranks, findings.design.compared
    metrics = shown_metrics([name for name in findings.metrics if name in set(frame["metric"])])
    parts = [
        frame[frame["metric"] == metric].sort_values("rank", kind="stable") for metric in metrics
    ]
    row = (8.2 if width < 5 else 9.5) / 72
    joined = [bars(findings.cliques, metric) for metric in metrics]
    high = [
        row * (_TOP + len(runs) * 0.55 + math.ceil(len(part) / 2) + 1.6)
        for part, runs in zip(parts, joined, strict=True)
    ]
    figure = Figure(figsize=(width, sum(high) + 0.3), layout="constrained")
    panels = figure.subplots(len(parts), 1, squeeze=False, gridspec_kw={"height_ratios": high})[
        :, 0
    ]
    for panel, part, runs, metric, inches in zip(panels, parts, joined, metrics, high, strict=True):
        _diagram(panel, part, runs, compared, look=look, rows=inches / row, width=width)
        panel.set_title(_about(part, metric), fontsize=6.5, pad=3)
    paper.headline(figure, "mean ranks over independent blocks", size=7.5)
    note = (
        "1 is best. Bars join methods whose ranks differ by less than the critical difference (CD; "
        "Nemenyi, 5 %); "
        "where Friedman's p is above 0.05, none are shown to differ."
    )
    paper.grow(figure, paper.legend(figure, [], note))
    return [figure]


def bars(cliques: pd.DataFrame, metric: str) -> list[tuple[float, float]]:
    """First and last rank of each clique of the metric; `cliques` is `Findings.cliques`."""
    if cliques.empty:
        return []
    inside = cliques[cliques["metric"] == metric].groupby("clique", sort=False)["rank"]
    ends = zip(inside.min(), inside.max(), strict=True)
    return [(float(first), float(last)) for first, last in ends]


def _about(part: pd.DataFrame, metric: str) -> str:
    p = names.probability(float(part["friedman_p"].iloc[0]))
    return (
        f"{names.metric(metric)} ({part['blocks'].iloc[0]:.0f} blocks, "
        f"Friedman p {p if p.startswith('<') else f'= {p}'})"
    )


def _diagram(
    panel: Axes,
    part: pd.DataFrame,
    runs: Sequence[tuple[float, float]],
    compared: str,
    *,
    look: Mapping[str, Look],
    rows: float,
    width: float,
) -> None:
    """Draws one diagram: the axis at 0, below it the cliques, then the labels.

    The better half of the labels is on the left.
    """
    order, end = part["rank"].to_numpy(float), float(max(len(part), 2))
    longest = int(_SIDE * width / _LETTER) - 6
    labels = [_shortened(names.value(name), longest) for name in part[compared]]
    # The share of the width that labels take on each side.
    side = (max(map(len, labels)) + 6) * _LETTER / width
    room = (end - 1) * side / (1 - 2 * side)
    panel.set_xlim(1 - room, end + room)
    panel.set_ylim(-(rows - _TOP), _TOP)
    panel.set_axis_off()
    panel.plot([1, end], [0, 0], color=_DARK, linewidth=0.8)
    step = max(1, math.ceil((end - 1) * _TICK / ((1 - 2 * side) * width)))
    for tick in range(1, int(end) + 1, step):
        panel.plot([tick, tick], [0, 0.3], color=_DARK, linewidth=0.8)
        panel.annotate(str(tick), (tick, 0.4), ha="center", va="bottom", fontsize=_POINTS)
    _difference(panel, float(part["critical_difference"].iloc[0]), end)
    for index, (low, high) in enumerate(runs):
        at = -0.55 * (index + 1)
        panel.plot(
            [low, high], [at, at], color=_DARK, linewidth=2.0, solid_capstyle="round", gid="clique"
        )
    styles = [look.get(str(name), Look(_DARK, "o", "circle")) for name in part[compared]]
    _labels(panel, labels, order, styles, end=end, below=-0.55 * len(runs) - 1.0)


def _labels(
    panel: Axes,
    labels: Sequence[str],
    order: np.ndarray,
    styles: Sequence[Look],
    *,
    end: float,
    below: float,
) -> None:
    """Draws markers on the axis, and lines from them down and out to labels with their ranks."""
    count, half = len(labels), math.ceil(len(labels) / 2)
    for index, (label, rank, style) in enumerate(zip(labels, order, styles, strict=True)):
        left = index < half
        at = below - (index if left else count - 1 - index)
        edge = 1 - 0.03 * (end - 1) if left else end + 0.03 * (end - 1)
        panel.plot(
            [rank, rank, edge], [0, at, at], color=style.colour, linewidth=0.6, zorder=1, gid="stem"
        )
        panel.plot([rank], [0], linestyle="none", zorder=3, **paper.marker(style, scale=0.6))
        panel.annotate(
            f"{label} {rank:.1f}" if left else f"{rank:.1f} {label}",
            (edge, at),
            ha="right" if left else "left",
            va="center",
            fontsize=_POINTS,
            xytext=(-2 if left else 2, 0),
            textcoords="offset points",
            in_layout=False,
        )


def _shortened(label: str, longest: int) -> str:
    """A label, with its middle left out if it is too long."""
    keep = (longest - 1) // 2
    return label if len(label) <= longest else f"{label[: longest - 1 - keep]}…{label[-keep:]}"


def _difference(panel: Axes, distance: float, end: float) -> None:
    """Draws the critical difference as a bar above the axis, or as text if it is too long."""
    if distance != distance:
        return
    text = f"CD = {distance:.2f}"
    if distance > end - 1:
        panel.annotate(
            f"{text}, longer than the axis", (1, 1.5), ha="left", va="bottom", fontsize=_POINTS
        )
        return
    panel.plot(
        [1, 1 + distance],
        [1.45, 1.45],
        color=_DARK,
        linewidth=1.0,
        marker="|",
        markersize=4,
        gid="difference",
    )
    panel.annotate(text, (1 + distance / 2, 1.6), ha="center", va="bottom", fontsize=_POINTS)
