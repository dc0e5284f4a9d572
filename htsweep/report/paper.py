"""What figures for print share: widths of columns, letters, panels, legends and files."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.report import names, stretch
from htsweep.report.look import Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
WIDTHS: Mapping[str, float] = {"one": 3.35, "two": 6.9}
"""Width in inches of one and of two columns of a page."""
HEIGHT = 9.0
"""Height in inches that a figure may fill."""
PANELS = 12
"""How many panels a figure has at most, about a page; the rest is in the CSV and, up to its own
limit, in the interactive page.
"""
STYLE: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "htsweep",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "axes.axisbelow": True,
    "text.parse_math": False,
    "text.hinting": "none",
    "axes.edgecolor": "#555555",
    "savefig.dpi": 200,
}
SMALLER: Any = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "savefig.dpi": 300,
}
"""The settings that differ for figures that are printed at their own size."""
MARKER = 5.5
GREY = "#8c8c8c"
_LETTER, _SMALL = 0.0072, 0.0077
"""Width of a letter, erring on the wide side, in inches per point of the legend's type and of the
small print's.
"""
_NOTE = 6.5
"""Type size of the small print in points."""


def style(small: bool) -> Any:
    """Matplotlib's settings; `small` is for a figure that is printed at its own size."""
    return {**STYLE, **(SMALLER if small else {})}


def save(figure: Figure, formats: Collection[str] = FORMATS) -> dict[str, bytes]:
    """The figure in each format, without dates, so that the same table gives the same bytes."""
    import matplotlib

    made = {}
    # At the screen's resolution, small letters are laid out too wide.
    figure.set_dpi(float(matplotlib.rcParams["savefig.dpi"]))
    # The layout costs more than the drawing, so it is computed once for all formats.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for name in formats:
        file = io.BytesIO()
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(name)
        figure.savefig(file, format=name, metadata=dated)
        made[name] = file.getvalue()
    return made


def grouped(
    frame: pd.DataFrame, design: Design, by: Sequence[str] = ()
) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each group (and value of `by`), titled by the factors that differ."""
    keys = [*design.groups, *by]
    if not keys:
        return [("", frame)]
    differ = names.split(frame, design)[1]
    groups = []
    for key, inside in frame.groupby(keys, sort=False, observed=True, dropna=False):
        of = dict(zip(keys, key, strict=True))
        groups.append(
            (
                ", ".join(
                    [
                        *(names.factor(name, of[name]) for name in differ),
                        *(names.value(of[name]) for name in by),
                    ]
                ),
                inside,
            )
        )
    return groups


def common(frame: pd.DataFrame, design: Design) -> str:
    """The factors that all groups share."""
    return names.group({name: frame[name].iloc[0] for name in names.split(frame, design)[0]})


def headline(figure: Figure, *parts: str, size: float = 9.5) -> None:
    """Adds a title above all panels, of the parts that are not empty, wrapped to the width."""
    text = "  ·  ".join(part for part in parts if part)
    if text:
        wide = int(figure.get_figwidth() / (size * _SMALL * 1.15))
        figure.suptitle("\n".join(textwrap.wrap(text, wide)), fontsize=size, fontweight="bold")


def legend(figure: Figure, handles: Sequence[Artist], note: str = "") -> float:
    """Adds a legend and a note in small print below all panels; returns its height in inches.

    It is outside the panels, so that it covers no point.
    """
    import matplotlib
    from matplotlib.font_manager import FontProperties

    width = float(figure.get_figwidth())
    points = float(FontProperties(size=matplotlib.rcParams["legend.fontsize"]).get_size_in_points())
    labels = [str(handle.get_label()) for handle in handles]
    fit = _fit(labels, width, points) if labels else 1
    note_points = min(_NOTE, points)
    small = textwrap.wrap(note, int(width / (_SMALL * note_points)))
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=fit,
        frameon=False,
        columnspacing=1.4,
        handletextpad=0.3,
        title="\n".join(small) or None,
        title_fontsize=note_points,
    )
    return 0.022 * points * math.ceil(len(labels) / fit) + 0.02 * note_points * len(small)


def grow(figure: Figure, inches: float) -> None:
    """Makes the figure `inches` higher, which is what its legend takes."""
    figure.set_figheight(figure.get_figheight() + inches)


def marker(look: Look, filled: bool = True, scale: float = 1.0) -> dict[str, Any]:
    """Matplotlib's settings of a method's marker, filled or open."""
    return {
        # On the edge of a panel it is drawn whole.
        "clip_on": False,
        "marker": look.marker,
        "markeredgecolor": look.colour,
        "markeredgewidth": 1.0 * scale**0.5,
        "markersize": MARKER * look.size * scale,
        "markerfacecolor": look.colour if filled else "white",
    }


def clean(panel: Axes, grid: str = "both") -> None:
    """Removes a panel's frame above and on the right, and adds a light grid behind."""
    panel.grid(axis=grid, color="#e6e6e6", linewidth=0.5)  # type: ignore[arg-type]
    panel.spines[["top", "right"]].set_visible(False)


def columns(count: int, width: float, least: float) -> int:
    """How many panels are side by side, each at least `least` inches wide, preferably in full rows.

    Four panels are 2 x 2 rather than 3 + 1.
    """
    most = max(1, min(count, int(width / least)))
    return next((tried for tried in range(most, most // 2, -1) if count % tried == 0), most)


def decades(values: np.ndarray) -> bool:
    """Whether values are positive and span two decades, so that they need a logarithmic axis."""
    known = values[~np.isnan(values)]
    return len(known) > 1 and known.min() > 0 and known.max() / known.min() >= 100


def label(panels: np.ndarray, count: int, x: str, y: str) -> None:
    """Labels only the outer axes of the first `count` panels, and hides the other panels."""
    across = panels.shape[1]
    for index, panel in enumerate(panels.flat):
        panel.set_visible(index < count)
        if index < count <= index + across:  # nothing below it
            panel.set_xlabel(x)
            panel.tick_params(labelbottom=True)
        if index % across == 0:
            panel.set_ylabel(y)


def logarithmic(panel: Axes, values: np.ndarray) -> None:
    """Makes the horizontal axis logarithmic, with plain round numbers as ticks.

    Powers would need math markup, which is switched off because of names (`text.parse_math`).
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    known = values[values > 0]
    panel.set_xscale("log")
    ticks = stretch.decades(float(known.min()), float(known.max()))
    panel.xaxis.set_major_locator(FixedLocator(ticks))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: names.rounded(value)))
    panel.xaxis.set_minor_locator(NullLocator())


def within(panel: Axes, metric: str, axis: Literal["x", "y"] = "y") -> None:
    """Ends a panel's axis at 0 and at 100 % where it goes beyond what percent can be."""
    if not names.is_percent(metric):
        return
    low, high = panel.get_ylim() if axis == "y" else panel.get_xlim()
    limits = max(0.0, low), min(stretch.HIGHEST, high)
    if axis == "y":
        panel.set_ylim(limits)
    else:
        panel.set_xlim(limits)


def scaled(frame: pd.DataFrame, metric: str, *columns_of: str) -> list[np.ndarray]:
    """The columns in the displayed unit of the metric."""
    return [frame[name].to_numpy(float) * names.scale(metric) for name in columns_of]


def _fit(labels: Sequence[str], inches: float, points: float) -> int:
    """How many columns a legend has: as few rows as fit, and no more columns than these need."""
    lengths = [len(label) * _LETTER * points + 0.056 * points for label in labels]
    fitting = [
        count
        for count in range(1, len(labels) + 1)
        if sum(float(column.max()) for column in np.array_split(lengths, count)) < inches - 0.2
    ]
    most = max(fitting, default=1)
    return math.ceil(len(labels) / math.ceil(len(labels) / most))
