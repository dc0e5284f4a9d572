"""The frontier as files: PNG, SVG, PDF, interactive HTML, CSV."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from htsweep import selection
from htsweep.analysis import frontier
from htsweep.analysis.design import design as design_of
from htsweep.files import put
from htsweep.report import interactive, static
from htsweep.results import spreadsheet
from htsweep.selection.fronts import Directions


def columns(
    protocol: str,
    x: str | None = None,
    y: str | None = None,
    yields: Collection[str] = (frontier.SEEN, frontier.MISSING),
) -> list[str] | None:
    """The metrics that `pareto` reads of a task that `yields` these; None: all, if not known."""
    reads = selection.columns(protocol)
    axes = (x, y) if x and y else (frontier.SEEN, frontier.MISSING)
    return (
        None
        if reads is None or not set(axes) <= set(yields)
        else list(dict.fromkeys([*axes, *reads]))
    )


def pareto(
    trials: pd.DataFrame,
    measurements: pd.DataFrame,
    out: Path,
    *,
    x: str | None = None,
    y: str | None = None,
    maximise: Directions = (True, True),
    protocol: str = selection.DEFAULT,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    factors: Sequence[str] | None = None,
    parameters: Sequence[str] = (),
    title: str = "",
) -> list[Path]:
    """Writes frontier.png, .svg, .pdf, .html and .csv below `out`, and returns their paths.

    Each file is written as a whole or not at all. The front is over all whole points; those that
    the protocol picks are shown at the step it picks and are marked. Nothing is written, and the
    list is empty, if there is nothing to draw: no whole point, or fewer than two metrics.

    Args:
        trials: one row per ended trial.
        measurements: one row per measurement, with at least the existing metrics of
            `columns(protocol, x, y)`.
        out: the folder; created if it does not exist.
        x: the metric on the horizontal axis; None: accuracy on seen classes, else the first of
            `test/`.
        y: the metric on the vertical axis; None: accuracy on missing classes, else the second of
            `test/`.
        maximise: for x and y, whether more is better.
        protocol: whose choices are marked.
        choice: what it picks, as `selection.choice` returns it; None: it is computed.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        factors: the study's factors; None: found by their names.
        parameters: the searched parameters, which hovering over a point shows.
        title: of the figure.
    """
    numeric = [
        name for name in measurements.columns if pd.api.types.is_numeric_dtype(measurements[name])
    ]
    axes = (x, y) if x and y else frontier.axes(numeric)
    if axes is None or not set(axes) <= set(numeric) or trials.empty:
        return []
    design = design_of(measurements.columns, factors)
    if repetitions is None:
        repetitions = int(trials.groupby(["sweep", "point"], observed=True).size().max())
    if choice is None:
        choice = selection.choice(measurements, protocol, repetitions)
    points = frontier.frontier(
        measurements,
        *axes,
        maximise=maximise,
        design=design,
        parameters=parameters,
        repetitions=repetitions,
        choice=choice,
    )
    if points.empty:
        return []
    note = _note(points, repetitions, protocol, len(selection.left_out(trials, repetitions)))
    drawn = static.render(points, *axes, design, maximise=maximise, title=title, note=note)
    page = interactive.page(
        points, *axes, design, maximise=maximise, title=title, note=note, parameters=parameters
    )
    files: dict[str, str | bytes] = {**drawn, "html": page, "csv": spreadsheet.csv(points)}
    return [put(Path(out) / f"frontier.{ending}", content) for ending, content in files.items()]


def _note(points: pd.DataFrame, repetitions: int, protocol: str, left_out: int) -> str:
    over = (
        "single repetitions, without intervals"
        if repetitions < 2
        else (f"means over {repetitions} repetitions with 95 % intervals")
    )
    when = (
        f"at the step that '{protocol}' picks"
        if points["chosen"].all()
        else (
            f"those that '{protocol}' picks at the step it picks, other configurations at their "
            "last"
        )
    )
    parts = [f"Points are {over}; {when}."]
    parts += [f"{left_out} points with missing repetitions are left out."] if left_out else []
    return " ".join(parts)
