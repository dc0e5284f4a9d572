"""Figures of scores: a scatter per score, bounds with their terms stacked, what screening costs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names, pairs, paper
from htsweep.report.look import COLOURS, Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_TERMS = {
    "reweighted_source_loss": "source loss",
    "conditional_entropy": "label mismatch",
    "distribution": "distribution mismatch",
}
_TITLE = 0.062
"""Width in inches of a letter of a panel's title."""
_ROWS = 40
"""How many pairs the figure of bounds shows at most."""
_ALIKE = Look(COLOURS[0], "o", "circle")
"""The look of points where nothing is compared within a pair."""


def scores(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """What trials achieved against each score: a panel per score, a marker per pair and method.

    There is a figure for each metric that predictions are judged by.
    """
    frame, compared = findings.predicted, findings.design.compared
    own = compared not in pairs.factors(frame)
    made = []
    for metric in pairs.judged_by(list(dict.fromkeys(frame["metric"]))):
        inside = frame[frame["metric"] == metric]
        parts = [
            (str(name), some) for name, some in inside.groupby("score", sort=False, observed=True)
        ]
        figure, panels, note = _panels(
            parts, width, "value of the score", names.axis(metric), what="scores"
        )
        for panel, (_, some) in zip(panels, parts, strict=False):
            for name, points in (
                some.groupby(compared, sort=False, observed=True, dropna=False)
                if own
                else [("", some)]
            ):
                style = look.get(str(name), _ALIKE)
                mean, low, high = paper.scaled(points, metric, "mean", "low", "high")
                panel.vlines(
                    points["value"],
                    np.where(np.isnan(low), mean, low),
                    np.where(np.isnan(high), mean, high),
                    color=style.colour,
                    linewidth=0.7,
                    alpha=0.5,
                )
                panel.plot(
                    points["value"],
                    mean,
                    linestyle="none",
                    zorder=3,
                    **paper.marker(style, scale=0.6),
                )
            paper.within(panel, metric)
        paper.headline(figure, f"what scores said, and {names.metric(metric)}", size=7.5)
        drawn = set(inside[compared].astype(str)) if own else set()
        handles = [
            _handle(style, names.value(name)) for name, style in look.items() if name in drawn
        ]
        note += (
            "A marker per pair of source model and target data, with the 95 % interval of "
            "what it achieved."
        )
        paper.grow(figure, paper.legend(figure, handles, note))
        made.append(figure)
    return made


def bounds(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The stacked terms of each bound and the loss it bounds; panels by score, bars by pair."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    frame = findings.bounds
    called = pairs.called(frame)
    order = list(called)[:_ROWS]
    parts = [
        (str(name), some)
        for name, some in frame[frame["pair"].isin(order)].groupby(
            "score", sort=False, observed=True
        )
    ]
    columns = paper.columns(min(len(parts), paper.PANELS), width, 2.2)
    rows = math.ceil(min(len(parts), paper.PANELS) / columns)
    figure = Figure(
        figsize=(width, min(0.16 * len(order) + 0.55, paper.HEIGHT - 1) * rows + 0.3),
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    paper.label(panels, len(parts[: paper.PANELS]), "loss", "")
    for panel, (score, some) in zip(panels.flat, parts, strict=False):
        place = np.array([order.index(pair) for pair in some["pair"]])
        start = np.zeros(len(some))
        for (name, _), colour in zip(_TERMS.items(), COLOURS, strict=False):
            term = some[name].fillna(0.0).to_numpy(float)
            panel.barh(place, term, left=start, color=colour, height=0.7, linewidth=0, zorder=2)
            start = start + term
        panel.plot(
            some["target_loss"],
            place,
            linestyle="none",
            marker="D",
            color="black",
            markersize=3.5,
            zorder=4,
        )
        panel.plot(
            some["bound"],
            place,
            linestyle="none",
            marker="|",
            color="black",
            markersize=6,
            zorder=3,
        )
        panel.set_yticks(range(len(order)), [called[pair] for pair in order])
        panel.set_ylim(len(order) - 0.4, -0.6)
        panel.set_title(score, pad=3)
        paper.clean(panel, "x")
    paper.headline(figure, "Task Transfer Analysis: the bound and the target's loss", size=7.5)
    handles = [
        *(
            Patch(color=colour, label=title)
            for title, colour in zip(_TERMS.values(), COLOURS, strict=False)
        ),
        _mark("D", "target loss"),
        _mark("|", "bound"),
    ]
    note = f"{len(order)} of {len(called)} pairs are drawn. " if len(order) < len(called) else ""
    paper.grow(
        figure, paper.legend(figure, handles, f"{note}Means over repetitions, on test images.")
    )
    return [figure]


def regret(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The regret of keeping the best pairs by each score; a panel per target and method."""
    compared = findings.design.compared
    metric = pairs.judged_by(list(dict.fromkeys(findings.regret["metric"])))[0]
    frame = findings.regret[findings.regret["metric"] == metric]
    several = [name for name in ("target", compared) if frame[name].nunique(dropna=False) > 1]
    parts = (
        [("", frame)]
        if not several
        else [
            (", ".join(map(names.value, key)), some)
            for key, some in frame.groupby(several, sort=False, observed=True, dropna=False)
        ]
    )
    points = " (points)" if names.is_percent(metric) else ""
    figure, panels, note = _panels(
        parts, width, "pairs kept", f"lost {names.metric(metric)}{points}", what="groups"
    )
    styles = looks(
        pd.DataFrame({"score": list(dict.fromkeys(frame["score"])), "role": ""}), "score"
    )
    for panel, (_, some) in zip(panels, parts, strict=False):
        _by_chance(panel, some, metric)
        for score, line in some.groupby("score", sort=False, observed=True):
            style = styles[str(score)]
            (value,) = paper.scaled(line, metric, "regret")
            panel.plot(
                line["keep"],
                value,
                color=style.colour,
                linewidth=0.9,
                zorder=3,
                **paper.marker(style, scale=0.55),
            )
            own = line["chosen"].to_numpy(bool)
            panel.plot(
                line["keep"][own],
                value[own],
                linestyle="none",
                marker="*",
                markersize=10,
                markerfacecolor="none",
                markeredgecolor="black",
                zorder=5,
            )
        panel.set_xticks(sorted(set(some["keep"])))
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    paper.headline(figure, "what screening costs", names.metric(metric), size=7.5)
    handles = [
        *(_handle(style, name) for name, style in styles.items()),
        _mark("", "drawn by chance", paper.GREY),
    ]
    handles += [_mark("*", "the study's screen")] if frame["chosen"].any() else []
    note += (
        "The result of the best pair minus that of the best pair that is kept; "
        "only pairs with a known result count."
    )
    paper.grow(figure, paper.legend(figure, handles, note))
    return [figure]


def _panels(
    parts: Sequence[tuple[str, pd.DataFrame]],
    width: float,
    x: str,
    y: str,
    *,
    what: str,
) -> tuple[Figure, list[Axes], str]:
    """A figure with a panel per part, as many as fit a page, and a note on parts left out."""
    from matplotlib.figure import Figure

    shown = min(len(parts), paper.PANELS)
    columns = paper.columns(shown, width, 1.5)
    rows = math.ceil(shown / columns)
    figure = Figure(
        figsize=(width, min(0.85 * width / columns, 2.2) * rows + 0.35), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    paper.label(panels, shown, x, y)
    grid = list(panels.flat)
    for panel, (title, _) in zip(grid, parts, strict=False):
        panel.set_title("\n".join(textwrap.wrap(title, int(width / columns / _TITLE))), pad=3)
        paper.clean(panel)
    return (
        figure,
        grid[:shown],
        f"{shown} of {len(parts)} {what} are drawn. " if shown < len(parts) else "",
    )


def _by_chance(panel: Axes, rows: pd.DataFrame, metric: str) -> None:
    """Draws the expected regret of randomly drawn pairs, as the first score has it.

    Other scores differ from it where they have ties, which are kept together.
    """
    first = rows[rows["score"] == rows["score"].iloc[0]]
    panel.plot(
        first["keep"],
        *paper.scaled(first, metric, "random"),
        color=paper.GREY,
        linestyle="--",
        linewidth=1.0,
        zorder=2,
    )


def _handle(style: Look, label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, linestyle="none", **paper.marker(style, scale=0.7))


def _mark(marker: str, label: str, colour: str = "black") -> Line2D:
    """A legend entry with a marker or, without one, a dashed line."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        label=label,
        color=colour,
        marker=marker,
        markersize=5,
        linestyle="none" if marker else "--",
        markerfacecolor="none" if marker == "*" else colour,
    )
