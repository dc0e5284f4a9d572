"""Figures with a row per name: differences and effects with their intervals, areas, shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names, paper
from htsweep.report.look import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PREFERRED = ("test/seen_accuracy", "test/missing_accuracy", "test/overall_accuracy", "test/ausuc")
_PAGES = 4
"""How many figures a forest plot has at most; the rest is in the CSV."""
_PLAIN = Look("#0072B2", "o", "circle")
"""For components and parameters, which have no look of their own."""
_DARK, _PALE = 0.55, 0.2
"""How opaque bars are: those that nothing is tested of and those that are shown, and the others."""
_BAND, _HEAD = 1.55, 0.46
"""Height of a row in multiples of its type size, and of a block's title and axis in inches."""


@final
@dataclass(frozen=True)
class _Side:
    """What a panel shows: its rows, the columns of value and interval, the metric, the title."""

    rows: pd.DataFrame
    value: str
    low: str
    high: str
    metric: str
    title: str


@final
@dataclass(frozen=True)
class _Group:
    """The panels of a group, side by side, which share the names of their rows."""

    title: str
    key: str
    names: Sequence[str]
    sides: Sequence[_Side]


def shown_metrics(measured: Sequence[str], most: int = 4) -> list[str]:
    """Seen, missing, overall accuracy and AUSUC where measured, else the first few metrics."""
    return [name for name in _PREFERRED if name in measured][:most] or list(measured)[:most]


def effects(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """Paired differences to the baseline with intervals, a row per method.

    There is a panel per group and metric. Markers are filled where the verdict is that a difference
    is shown, else open.
    """
    frame, compared = findings.effects, findings.design.compared
    metrics = shown_metrics(_order(findings, frame), 4 if width > 5 else 3)
    blocks = [
        _Group(
            title,
            compared,
            _names(inside, compared),
            [
                _Side(
                    inside[inside["metric"] == metric],
                    "difference",
                    "low",
                    "high",
                    metric,
                    names.metric(metric),
                )
                for metric in metrics
            ],
        )
        for title, inside in paper.grouped(frame, findings.design)
    ]
    common = paper.common(frame, findings.design)
    note = (
        _few(frame)
        + "Filled: shown (p < 0.05 after Holm's correction, interval without 0); open: not shown."
    )
    return _pages(
        blocks,
        width,
        look,
        f"difference to {names.value(findings.baseline)}",
        common=common,
        note=note,
    )


def ablation(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The effect of each component with its interval; panels by group, kind and metric."""
    frame = findings.ablation
    metrics = shown_metrics(_order(findings, frame), 4 if width > 5 else 3)
    blocks = [
        _Group(
            title,
            "component",
            _names(inside, "component"),
            [
                _Side(
                    inside[inside["metric"] == metric],
                    "effect",
                    "low",
                    "high",
                    metric,
                    names.metric(metric),
                )
                for metric in metrics
            ],
        )
        for title, inside in paper.grouped(frame, findings.design, ["kind"])
    ]
    note = (
        _few(frame)
        + "Filled: shown (p < 0.05 after Holm's correction, interval without 0); open: not shown."
    )
    return _pages(
        blocks,
        width,
        {},
        "effect of a component",
        common=paper.common(frame, findings.design),
        note=note,
    )


def volumes(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """Hypervolume of each method's front, as bars with intervals.

    A figure of two columns' width also has the contributions to the joint front.
    """
    frame, compared = findings.volumes, findings.design.compared
    unit = names.area(findings.axes)
    blocks = [
        _Group(
            title,
            compared,
            _names(inside, compared),
            [
                _Side(
                    inside[inside["reference"] == reference],
                    *columns,
                    unit,
                    f"{what} ({reference})",
                )
                for reference in dict.fromkeys(frame["reference"])
                for what, columns in (
                    ("volume", ("volume", "low", "high")),
                    ("contribution", ("contribution", "contribution low", "contribution high")),
                )
                if width > 5 or what == "volume"
            ],
        )
        for title, inside in paper.grouped(frame, findings.design)
    ]
    note = "In brackets: the reference above which areas count."
    return _pages(
        blocks,
        width,
        look,
        "hypervolume",
        common=paper.common(frame, findings.design),
        note=note,
        bars=True,
    )


def importance(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    """The importance of each parameter with its interval, as bars: full where it is shown.

    There is a block per method and evaluator, with a panel per objective.
    """
    frame, compared = findings.importance, findings.design.compared
    shares = ["importance", "low", "high"]
    blocks = []
    for name, inside in frame.groupby(compared, sort=False, observed=True, dropna=False):
        for evaluator, some in inside.groupby("evaluator", sort=False, observed=True):
            some = some.assign(**{share: 100 * some[share] for share in shares})
            blocks.append(
                _Group(
                    f"{names.value(name)}, {evaluator}",
                    "parameter",
                    _names(some, "parameter"),
                    [
                        _Side(
                            some[some["objective"] == objective],
                            "importance",
                            "low",
                            "high",
                            "",
                            f"{names.metric(str(objective))} (%)",
                        )
                        for objective in dict.fromkeys(some["objective"])
                    ],
                )
            )
    note = "Dark: shown to matter (p < 0.05 after Holm's correction); pale: not shown."
    return _pages(blocks, width, {}, "importance of parameters", common="", note=note, bars=True)


def _order(findings: Findings, frame: pd.DataFrame) -> list[str]:
    measured = list(dict.fromkeys(frame["metric"]))
    return [name for name in findings.metrics if name in measured] or measured


def _names(frame: pd.DataFrame, column: str) -> list[str]:
    return list(dict.fromkeys(frame[column].astype(str)))


def _few(frame: pd.DataFrame) -> str:
    """In how many rows, upper bounds aside, the repetitions are too few to show anything."""
    tested = frame[frame["verdict"] != "bound"]
    few = tested[tested["verdict"] == "too few"]
    return (
        f"n = {few['n'].max():.0f} is too few to show anything in {len(few)} of {len(tested)} "
        "rows. "
        if len(few)
        else ""
    )


def _pages(
    blocks: Sequence[_Group],
    width: float,
    look: Mapping[str, Look],
    title: str,
    *,
    common: str,
    note: str,
    bars: bool = False,
) -> list[Figure]:
    """Figures with blocks below each other, as many per figure as fit a page."""
    row = _BAND * (6.0 if width < 5 else 7.0) / 72
    limit, pages = paper.HEIGHT - 0.9, list[list[_Group]]([[]])
    for block in blocks:
        if pages[-1] and sum(_HEAD + row * len(part.names) for part in [*pages[-1], block]) > limit:
            pages.append([])
        pages[-1].append(block)
    shown = sum(map(len, pages[:_PAGES]))
    if shown < len(blocks):
        note = f"{shown} of {len(blocks)} groups are drawn. {note}"
    return [
        _figure(page, width, row, look, title=(title, common), note=note, bars=bars)
        for page in pages[:_PAGES]
        if page
    ]


def _figure(
    blocks: Sequence[_Group],
    width: float,
    row: float,
    look: Mapping[str, Look],
    *,
    title: tuple[str, str],
    note: str,
    bars: bool,
) -> Figure:
    from matplotlib.figure import Figure

    high = [_HEAD + row * (len(block.names) + 0.6) for block in blocks]
    figure = Figure(figsize=(width, sum(high) + 0.3), layout="constrained")
    count = max(len(block.sides) for block in blocks)
    panels = figure.subplots(
        len(blocks), count, squeeze=False, sharex="col", gridspec_kw={"height_ratios": high}
    )
    for block, line in zip(blocks, panels, strict=True):
        for panel, side in zip(line, block.sides, strict=False):
            _draw(panel, block, side, look, bars=bars)
            if panel is line[0]:
                panel.set_yticks(
                    range(0, -len(block.names), -1), [names.value(name) for name in block.names]
                )
            else:  # unlabelled ticks would take as long to draw as labelled ones
                panel.set_yticks([])
            panel.set_title(f"\n{side.title}" if block.title else side.title, pad=2, fontsize=6.5)
            panel.tick_params(axis="y", length=0)
            panel.tick_params(axis="x", labelbottom=True, pad=1.5)
        for empty in line[len(block.sides) :]:
            empty.set_visible(False)
        if block.title:
            # Above the names, in the line that the panels' titles leave free.
            line[0].annotate(
                block.title,
                (0, 1),
                xytext=(2, 11),
                xycoords=("figure fraction", "axes fraction"),
                textcoords="offset points",
                fontweight="bold",
                fontsize=6.5,
                annotation_clip=False,
                in_layout=False,
            )
    paper.headline(figure, *title, size=7.5)
    paper.grow(figure, paper.legend(figure, [], note))
    return figure


def _draw(panel: Axes, block: _Group, side: _Side, look: Mapping[str, Look], *, bars: bool) -> None:
    """Draws rows from the top: a marker or a bar, and the interval, if there is one, as a line."""
    from matplotlib.collections import LineCollection

    paper.clean(panel, "x")
    place = {name: -index for index, name in enumerate(block.names)}
    panel.set_ylim(-len(block.names) + 0.4, 0.6)
    if not bars:
        panel.axvline(0, color="#555555", linewidth=0.7, zorder=1.5)
    lines, colours = list[Any](), list[str]()
    for record in side.rows.to_dict("records"):
        name = str(record[block.key])
        style, at = look.get(name, _PLAIN), place[name]
        scale = names.scale(side.metric)
        value = record[side.value] * scale
        if value != value:
            continue
        if bars:
            alpha = _PALE if record.get("verdict") == "not shown" else _DARK
            panel.barh(
                at, value, height=0.66, color=style.colour, alpha=alpha, linewidth=0, zorder=2
            )
        if side.low and record[side.low] == record[side.low]:
            lines.append([(record[side.low] * scale, at), (record[side.high] * scale, at)])
            colours.append("#333333" if bars else style.colour)
        if not bars:
            panel.plot(
                [value],
                [at],
                linestyle="none",
                zorder=4,
                **paper.marker(
                    style, filled=record.get("verdict") in ("better", "worse"), scale=0.65
                ),
            )
    # One collection per panel: a line per interval takes several times as long to draw.
    panel.add_collection(LineCollection(lines, colors=colours, linewidths=0.9, zorder=3))
    if bars:
        paper.within(panel, side.metric, "x")
