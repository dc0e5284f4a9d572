"""All figures of a report for print: PNG, SVG and PDF at the width of one or two columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.report import (
    figure_forest,
    figure_lines,
    figure_ranks,
    figure_scores,
    names,
    paper,
    static,
)
from htsweep.report.look import Look, looks, roles_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Findings, float, Mapping[str, Look]], list[Figure]]

NAMES = (
    "frontier",
    "curves",
    "effects",
    "ranks",
    "ablation",
    "sensitivity",
    "importance",
    "costs",
    "ratios",
    "volumes",
    "scores",
    "bounds",
    "regret",
)

_RESOLUTIONS = (160, 130, 100, 80, 60, 40, 20)
"""Of previews on a screen, in dots per inch; a page has 300."""


def figures(
    findings: Findings,
    width: str = "two",
    only: Collection[str] = NAMES,
    formats: Collection[str] = paper.FORMATS,
) -> dict[str, bytes]:
    """Each figure in each format by file name: `frontier.png`, `frontier.svg`, ...

    A table without rows gives no figure. What does not fit a page continues in `effects_2.png`; the
    first cost gives `costs`, others `costs_NAME`. The same table gives the same bytes.

    Args:
        findings: what the measurements say.
        width: `one` or `two` columns of a page (3.35 or 6.9 inches).
        only: which of `NAMES` to draw.
        formats: which of `png`, `svg`, `pdf`.

    Raises:
        HtsweepError: there is no such width, figure or format.
    """
    import matplotlib

    for given, known, what in (
        ([width], paper.WIDTHS, "width"),
        (only, NAMES, "figure"),
        (formats, paper.FORMATS, "format"),
    ):
        for name in given:
            if name not in known:
                msg = f"no {what} '{name}'; {did_you_mean(name, known)}"
                raise HtsweepError(msg)
    made: dict[str, bytes] = {}
    labels = names.labelled(findings.labels)
    with labels, matplotlib.rc_context(paper.style(small=True)):
        for name, figure in draw(findings, width, only).items():
            made |= {
                f"{name}.{ending}": content
                for ending, content in paper.save(figure, formats).items()
            }
    return made


def preview(findings: Findings, name: str, most: int) -> tuple[bytes, int]:
    """The first page of a figure as a WebP of at most `most` bytes, and how many pages there are.

    It has the highest of some resolutions that fits; a PNG takes three times as much. Without
    anything to draw it is empty.
    """
    import matplotlib

    with matplotlib.rc_context(paper.style(small=True)):
        pages = list(draw(findings, "two", [name]).values())
    made = b""
    for resolution in _RESOLUTIONS if pages else ():
        with matplotlib.rc_context({**paper.style(small=True), "savefig.dpi": resolution}):
            made = paper.save(pages[0], ["webp"])["webp"]
        if len(made) <= most:
            break
    return made, len(pages)


def draw(
    findings: Findings, width: str = "two", only: Collection[str] = NAMES
) -> dict[str, Figure]:
    """The matplotlib figures by name, drawn with the current settings of matplotlib."""
    look = look_of(findings)
    made: dict[str, Figure] = {}
    for name, make in _drawings(findings).items():
        if name.partition("_")[0] in only:
            for index, figure in enumerate(make(findings, paper.WIDTHS[width], look), 1):
                made[name if index == 1 else f"{name}_{index}"] = figure
    return made


def look_of(findings: Findings) -> Mapping[str, Look]:
    """The look of each compared value, the same in all figures, whichever table has it."""
    compared = findings.design.compared
    tables = (
        findings.points,
        findings.summary,
        findings.curves,
        findings.costs,
        findings.effects,
        findings.ranks,
        findings.volumes,
        findings.attainment,
        findings.predicted,
    )
    named = pd.DataFrame(roles_of(tables, compared).items(), columns=[compared, "role"])
    return looks(named, compared)


def _drawings(findings: Findings) -> dict[str, Draw]:
    """The drawing functions by name, for the tables that have rows."""
    drawings: dict[str, Draw] = {
        "frontier": _frontier,
        "curves": figure_lines.curves,
        "effects": figure_forest.effects,
        "ranks": figure_ranks.ranks,
        "ablation": figure_forest.ablation,
        "sensitivity": figure_lines.sensitivity,
        "importance": figure_forest.importance,
        "ratios": figure_lines.ratios,
        "volumes": figure_forest.volumes,
        "scores": figure_scores.scores,
        "bounds": figure_scores.bounds,
        "regret": figure_scores.regret,
    }
    elsewhere = {
        "frontier": findings.points,
        "ratios": findings.summary,
        "scores": findings.predicted,
    }
    tables = {
        name: elsewhere[name] if name in elsewhere else getattr(findings, name) for name in drawings
    }
    drawings = {name: make for name, make in drawings.items() if len(tables[name])}
    costs = list(dict.fromkeys(findings.costs["cost"])) if len(findings.costs) else []
    return drawings | {
        "costs" if index == 0 else f"costs_{cost}": partial(figure_lines.costs, cost=str(cost))
        for index, cost in enumerate(costs)
    }


def _frontier(findings: Findings, width: float, look: Mapping[str, Look]) -> list[Figure]:
    if findings.axes is None:
        return []
    return [
        static.draw(
            findings.points,
            *findings.axes,
            findings.design,
            attainment=findings.attainment,
            width=width,
            look=look,
            note=f"Means over {findings.repetitions} repetitions with 95 % intervals."
            if findings.repetitions > 1
            else "Single repetitions, without intervals.",
        )
    ]
