"""Commands that read what a study measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from htsweep.cli.options import (
    AsJson,
    Overrides,
    OwnFolder,
    Results,
    StudyFile,
    command,
    results_of,
)


@command()
def pareto(
    study: StudyFile,
    results: Results = "results",
    out: OwnFolder = None,
    overrides: Overrides = None,
) -> None:
    """Draw the frontier of seen against missing accuracy.

    As PNG, SVG, PDF, interactive HTML and CSV.
    """
    from htsweep.report.build import draw, folder_of

    checked = results_of(study, overrides, results)
    for path in draw(checked, out or folder_of(checked)):
        typer.echo(path)


@command()
def report(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write report.html and its tables (.md, .tex, .csv) to this folder."
        ),
    ] = None,
    as_latex: Annotated[
        bool, typer.Option("--latex", help="Print LaTeX instead of Markdown.")
    ] = False,
    columns: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Measurements to show, separated by commas (default: the accuracies).",
        ),
    ] = "",
    figures: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="Also draw all figures for print, one or two columns wide: one, two, or one,two. "
            "Without --out, into the study's folder in the results.",
        ),
    ] = "",
) -> None:
    """Summarize the results in a table, or with --out as a page.

    The table has means and intervals; the page opens in any browser, and needs no network.
    """
    from htsweep.report import build

    checked = results_of(study, overrides, results)
    metrics = [name.strip() for name in columns.split(",") if name.strip()]
    if out is None and figures:
        out = build.folder_of(checked)
    if out is not None:
        widths = [name.strip() for name in figures.split(",") if name.strip()]
        typer.echo("\n".join(build.written(checked, out, metrics, widths)))
    else:
        if as_latex:
            typer.echo(build.latex(checked, metrics=metrics))
            return
        from htsweep.cli.printing import show as printed

        printed(build.tell(checked, metrics=metrics))
        if not metrics:
            typer.echo(f"\n{build.answer(checked)}")


@command()
def compare(
    a: StudyFile,
    b: Annotated[
        str | None,
        typer.Argument(metavar="OTHER", help="Another study file (default: the same one)."),
    ] = None,
    results: Results = "results",
    results_b: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder or URI of the second study's results.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Compare what ended before this time with what ended later."
        ),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Compare what ran at this commit with the rest."),
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Metrics, separated by commas (default: the accuracies)."
        ),
    ] = "",
    overrides: Overrides = None,
    json: AsJson = False,
) -> None:
    """Compare two studies, or two states of one study.

    Shows equal trials and paired differences.
    """
    from htsweep.planning.reading import read
    from htsweep.results.compare import compare

    metrics = [name.strip() for name in columns.split(",") if name.strip()]
    other = read(b, overrides or []) if b else None
    comparison = compare(
        read(a, overrides or []),
        other,
        results,
        results_b,
        before=before,
        commit=commit,
        columns=metrics,
    )
    typer.echo(comparison.json() if json else "\n".join(comparison.lines()))


@command()
def query(
    study: StudyFile,
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL", help="One SELECT statement (default: list the tables and columns)."
        ),
    ] = "",
    results: Results = "results",
    overrides: Overrides = None,
    format: Annotated[str, typer.Option(help="table (50 rows), csv or json (all rows).")] = "table",
) -> None:
    """Query the results with SQL (DuckDB), read-only.

    The tables are trials, measurements, points and chosen.

    A name with a slash needs double quotes:
    htsweep query STUDY 'SELECT method, avg("test/seen_accuracy") FROM chosen GROUP BY method'
    """
    from htsweep.results.query import tell

    typer.echo(tell(results_of(study, overrides, results), sql, format))


@command()
def remeasure(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Take the new number also where the ledger has another one."
        ),
    ] = False,
) -> None:
    """Add the study's metrics to finished trials, from their logits.

    Nothing is trained. The metrics are those that the study names under `metrics`; their columns
    are added to what the trials measured themselves.
    """
    from htsweep.commands import given
    from htsweep.results.remeasure import remeasure

    checked = results_of(study, overrides, results).study
    done = remeasure(checked, results, replace=replace)
    typer.echo("\n".join(done.lines()))
    if done.added:
        typer.echo(f"To bring MLflow up to date: {given(checked, results).mirror_it()}")
    if done.failed or done.unreadable:
        sys.exit(3)


@command()
def ensemble(
    study: StudyFile,
    members: Annotated[
        list[str],
        typer.Argument(
            metavar="MEMBER...",
            help="Two or more: trial ids, or the trials that are meant, as KEY=VALUE or by a value "
            "of the compared factor.",
        ),
    ],
    results: Results = "results",
    overrides: Overrides = None,
) -> None:
    """Test an ensemble of finished trials, from their logits.

    The ensemble is the mean of their probabilities. Its accuracy on seen, missing and all classes
    is shown with that of its members: htsweep ensemble STUDY plain l2sp
    """
    from htsweep.results.ensemble import ensemble, lines

    checked = results_of(study, overrides, results).study
    typer.echo("\n".join(lines(ensemble(checked, members, results))))


@command()
def export(
    study: StudyFile,
    results: Results = "results",
    out: OwnFolder = None,
    overrides: Overrides = None,
    format: Annotated[
        str, typer.Option(help="parquet, csv and json, separated by commas.")
    ] = "parquet,csv,json",
) -> None:
    """Write the tables of trials and measurements to files."""
    from htsweep.report.build import export, folder_of

    checked = results_of(study, overrides, results)
    for path in export(checked, out or folder_of(checked) / "export", format):
        typer.echo(path)
