"""The command line: each command reads its arguments and calls the verb of the same name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from htsweep.errors import HtsweepError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Studies of transfer learning when the target data covers only some of the classes.",
)

StudyFile = Annotated[str, typer.Argument(metavar="STUDY", help="The study's YAML file.")]
Results = Annotated[str, typer.Option(metavar="DIR", help="Folder or URI (s3://...) of the results.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")]


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The study file to write.")],
    dataset: Annotated[str, typer.Option(help="Datasets, by commas.")] = "mnist-uci",
    missing_ratio: Annotated[str, typer.Option(help="Shares of the classes that are missing.")] = "0.5",
    backbone: Annotated[str, typer.Option(help="Backbones.")] = "lenet_bn",
    method: Annotated[str, typer.Option(help="Methods; a+b is a chain.")] = "source,plain,l2sp,wise_ft,oracle",
    weight: Annotated[list[str] | None, typer.Option(help="METHOD.PARAMETER=VALUES, such as l2sp.backbone=0.01,0.1.")] = None,
    repetitions: Annotated[int, typer.Option(help="Repetitions of each point.")] = 6,
    force: Annotated[bool, typer.Option(help="Overwrite the file.")] = False,
) -> None:
    """Write a commented study file from flags: the grid by command line."""
    from htsweep.new import write

    grid = {"dataset": dataset, "missing_ratio": missing_ratio, "backbone": backbone, "method": method}
    typer.echo(write(file, grid, weight or [], repetitions, force))


@app.command()
def plan(study: StudyFile, results: Results = "results", overrides: Overrides = None, json: AsJson = False) -> None:
    """Say what a launch would run and cost; touches nothing."""
    from htsweep.estimate import estimate
    from htsweep.study import read

    found = estimate(read(study, overrides or []), results)
    typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def launch(
    study: StudyFile,
    on: Annotated[str, typer.Option(help="ray, or inline: in this process.")] = "ray",
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster, such as HOST:6379 or auto.")] = None,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: Annotated[str, typer.Option(help="MLflow tracking URI; default: a database beside the results.")] = "",
    mirror: Annotated[bool, typer.Option(help="Mirror to MLflow.")] = True,
) -> None:
    """Run what is missing of a study."""
    from htsweep.commands import Given
    from htsweep.telling import launch_and_tell

    given = Given(study, tuple(overrides or ()), results, on, address, tracking_uri if mirror else None)
    sys.exit(launch_and_tell(given))


@app.command()
def status(
    study: StudyFile, results: Results = "results", overrides: Overrides = None, json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="Go on telling until interrupted.")] = False,
) -> None:
    """Count what is done, running and failed, with reasons and log files."""
    from htsweep.status import follow, status
    from htsweep.study import read

    checked = read(study, overrides or [])
    if watch:
        follow(checked, results, json)
    else:
        found = status(checked, results)
        typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def pareto(study: StudyFile, results: Results = "results", out: Output = Path("frontier"), overrides: Overrides = None) -> None:
    """Draw the seen/missing frontier: PNG, SVG, PDF, interactive HTML, CSV."""
    from htsweep.reporting import draw
    from htsweep.study import read

    for path in draw(read(study, overrides or []), results, out):
        typer.echo(path)


@app.command()
def report(
    study: StudyFile, results: Results = "results", overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(
        metavar="DIR", help="Write report.html there, and its tables (.md, .tex, .csv); figures for print: --figures.")] = None,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead of Markdown.")] = False,
    columns: Annotated[str, typer.Option(
        metavar="NAMES", help="Measurements to show, by commas; default: the accuracies.")] = "",
    figures: Annotated[str, typer.Option(
        help="Also draw all figures for print, in widths of one or two columns of a page: one, two, by commas.")] = "",
) -> None:
    """Say what came out: a table of means and intervals; with --out a page that opens in any browser."""
    from htsweep import reporting
    from htsweep.study import read

    checked = read(study, overrides or [])
    metrics = [name.strip() for name in columns.split(",") if name.strip()]
    if out is not None:
        widths = [name.strip() for name in figures.split(",") if name.strip()]
        typer.echo("\n".join(reporting.written(checked, results, out, metrics, widths)))
    else:
        typer.echo((reporting.latex if as_latex else reporting.tell)(checked, results, metrics=metrics))


@app.command()
def compare(
    a: StudyFile,
    b: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Another study; none: the same.")] = None,
    results: Results = "results",
    results_b: Annotated[str | None, typer.Option(metavar="DIR", help="Folder or URI of the second's results.")] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", help="What ended before, against what ended since.")] = None,
    commit: Annotated[str | None, typer.Option(metavar="ID", help="What ran at this commit, against the rest.")] = None,
    columns: Annotated[str, typer.Option(metavar="NAMES", help="Metrics, by commas; default: the accuracies.")] = "",
    overrides: Overrides = None, json: AsJson = False,
) -> None:
    """Set two studies, or two states of one, against each other: equal trials, paired differences."""
    from htsweep.comparing import compare
    from htsweep.study import read

    metrics = [name.strip() for name in columns.split(",") if name.strip()]
    other = read(b, overrides or []) if b else None
    found = compare(read(a, overrides or []), other, results, results_b, before=before, commit=commit, columns=metrics)
    typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def query(
    study: StudyFile,
    sql: Annotated[str, typer.Argument(metavar="[SQL]", help="One SELECT; none: what there is to ask.")] = "",
    results: Results = "results", overrides: Overrides = None,
    format: Annotated[str, typer.Option(help="table (50 rows), csv or json (all).")] = "table",
) -> None:
    """Ask the tables trials, measurements, points and chosen in SQL (DuckDB's), read-only.

    A name with a slash needs double quotes:
    htsweep query STUDY 'SELECT method, avg("test/seen_accuracy") FROM chosen GROUP BY method'
    """
    from htsweep.querying import tell
    from htsweep.study import read

    typer.echo(tell(read(study, overrides or []), sql, results, format))


@app.command()
def export(
    study: StudyFile, results: Results = "results", out: Output = Path("export"), overrides: Overrides = None,
    format: Annotated[str, typer.Option(help="parquet, csv, json, by commas.")] = "parquet,csv,json",
) -> None:
    """Write the tidy tables of trials and measurements."""
    from htsweep.reporting import export
    from htsweep.study import read

    for path in export(read(study, overrides or []), results, out, format):
        typer.echo(path)


@app.command()
def ui(results: Results = "results", port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000) -> None:
    """Open the MLflow UI on the results' database, on 127.0.0.1."""
    from htsweep.following import ui

    sys.exit(ui(results, port))


@app.command()
def mirror(
    study: StudyFile, results: Results = "results", overrides: Overrides = None,
    tracking_uri: Annotated[str, typer.Option(help="MLflow tracking URI; default: a database beside the results.")] = "",
) -> None:
    """Rebuild MLflow from the ledger; any time, any number of times."""
    from htsweep.following import copy
    from htsweep.study import read

    typer.echo(copy(read(study, overrides or []), results, tracking_uri))


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="datasets, methods, backbones, tasks, spaces, protocols; by commas.")] = "",
) -> None:
    """Say what there is, a line each."""
    from htsweep.catalogue import lines

    typer.echo("\n".join(lines(what)))


@app.command()
def doctor(results: Results = "results") -> None:
    """Check versions, devices, disk, storage, Ray and MLflow; each failure with a remedy."""
    from htsweep.doctor import examine

    sys.exit(examine(results, typer.echo))


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: users' mistakes are told in a line or two and exit with 2."""
    if arguments is None:  # a process of its own: nobody else writes to its terminal
        from htsweep.terminal import hush

        hush()
    try:
        return app(arguments)
    except HtsweepError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
