"""The command line: each command reads its arguments and calls the verb of the same name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from htsweep.errors import HtsweepError, is_of_the_disk, why

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Studies of transfer learning when the target data covers only some of the classes.",
)

StudyFile = Annotated[str, typer.Argument(metavar="STUDY", help="The study file (YAML).")]
Results = Annotated[
    str,
    typer.Option(metavar="DIR", help="Folder or URI (such as s3://bucket/results) of the results."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")]


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The study file to write.")],
    dataset: Annotated[str, typer.Option(help="Datasets, separated by commas.")] = "mnist-uci",
    missing_ratio: Annotated[
        str, typer.Option(help="Shares of the classes that are missing, separated by commas.")
    ] = "0.5",
    backbone: Annotated[str, typer.Option(help="Backbones, separated by commas.")] = "lenet_bn",
    method: Annotated[
        str,
        typer.Option(
            help="Methods, separated by commas; a+b is a chain.", show_default="a few of the task's"
        ),
    ] = "",
    weight: Annotated[
        list[str] | None,
        typer.Option(help="Values of a method's parameter: METHOD.PARAMETER=0.01,0.1."),
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Number of repetitions of each point.")] = 6,
    force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented study file from these options."""
    from htsweep.cli.template import write

    grid = {
        "dataset": dataset,
        "missing_ratio": missing_ratio,
        "backbone": backbone,
        "method": method,
    }
    typer.echo(write(file, grid, weight or [], repetitions, force))


@app.command()
def plan(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    json: AsJson = False,
) -> None:
    """Show what a launch would run and cost, without starting anything."""
    from htsweep.planning.reading import read
    from htsweep.results.estimate import estimate

    found = estimate(read(study, overrides or []), results)
    typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def launch(
    study: StudyFile,
    on: Annotated[str, typer.Option(help="Executor: ray, or inline (in this process).")] = "ray",
    address: Annotated[
        str | None,
        typer.Option(help="Address of an existing Ray cluster, such as HOST:6379 or auto."),
    ] = None,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: Annotated[
        str, typer.Option(help="MLflow tracking URI (default: a database in the results).")
    ] = "",
    mirror: Annotated[bool, typer.Option(help="Copy the results to MLflow.")] = True,
) -> None:
    """Run the trials of a study that have no result yet."""
    from htsweep.cli.launch import launch_and_tell
    from htsweep.commands import Given

    given = Given(
        study, tuple(overrides or ()), results, on, address, tracking_uri if mirror else None
    )
    sys.exit(launch_and_tell(given))


@app.command()
def status(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option(
            help="Print the status again whenever it changes, until nothing is left to run."
        ),
    ] = False,
) -> None:
    """Show what is done, failed and left, with reasons and log files."""
    from htsweep.cli.status import follow, status
    from htsweep.planning.reading import read

    checked = read(study, overrides or [])
    if watch:
        follow(checked, results, json)
    else:
        found = status(checked, results)
        typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def pareto(
    study: StudyFile,
    results: Results = "results",
    out: Output = Path("frontier"),
    overrides: Overrides = None,
) -> None:
    """Draw the frontier of seen against missing accuracy.

    As PNG, SVG, PDF, interactive HTML and CSV.
    """
    from htsweep.planning.reading import read
    from htsweep.report.build import draw

    for path in draw(read(study, overrides or []), results, out):
        typer.echo(path)


@app.command()
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
            help="Also draw all figures for print, as wide as one or two columns of a page: one, two, or one,two."
        ),
    ] = "",
) -> None:
    """Summarize the results in a table, or with --out as a page.

    The table has means and intervals; the page opens in any browser, and needs no network.
    """
    from htsweep.planning.reading import read
    from htsweep.report import build

    checked = read(study, overrides or [])
    metrics = [name.strip() for name in columns.split(",") if name.strip()]
    if out is not None:
        widths = [name.strip() for name in figures.split(",") if name.strip()]
        typer.echo("\n".join(build.written(checked, results, out, metrics, widths)))
    else:
        typer.echo((build.latex if as_latex else build.tell)(checked, results, metrics=metrics))


@app.command()
def compare(
    a: StudyFile,
    b: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="Another study file (default: the same)."),
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
    found = compare(
        read(a, overrides or []),
        other,
        results,
        results_b,
        before=before,
        commit=commit,
        columns=metrics,
    )
    typer.echo(found.json() if json else "\n".join(found.lines()))


@app.command()
def query(
    study: StudyFile,
    sql: Annotated[
        str,
        typer.Argument(
            metavar="[SQL]", help="One SELECT statement (default: list the tables and columns)."
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
    from htsweep.planning.reading import read
    from htsweep.results.query import tell

    typer.echo(tell(read(study, overrides or []), sql, results, format))


@app.command()
def export(
    study: StudyFile,
    results: Results = "results",
    out: Output = Path("export"),
    overrides: Overrides = None,
    format: Annotated[
        str, typer.Option(help="parquet, csv and json, separated by commas.")
    ] = "parquet,csv,json",
) -> None:
    """Write the tables of trials and measurements to files."""
    from htsweep.planning.reading import read
    from htsweep.report.build import export

    for path in export(read(study, overrides or []), results, out, format):
        typer.echo(path)


@app.command()
def ui(
    results: Results = "results",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any.")
    ] = 5000,
) -> None:
    """Serve the MLflow UI for these results on 127.0.0.1, until Ctrl-C."""
    from htsweep.mirror.process import ui

    sys.exit(ui(results, port))


@app.command()
def mirror(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: Annotated[
        str, typer.Option(help="MLflow tracking URI (default: a database in the results).")
    ] = "",
) -> None:
    """Copy the results to MLflow, or bring the copy up to date.

    This may be done at any time, any number of times.
    """
    from htsweep.mirror.process import copy
    from htsweep.planning.reading import read

    typer.echo(copy(read(study, overrides or []), results, tracking_uri))


@app.command(name="list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="datasets, methods, scores, backbones, tasks, spaces, protocols (default: all)."
        ),
    ] = "",
) -> None:
    """List available datasets, methods, scores, backbones, and more."""
    from htsweep.cli.listing import lines

    typer.echo("\n".join(lines(what)))


@app.command()
def doctor(results: Results = "results") -> None:
    """Check this machine; each failure comes with a remedy.

    Checks packages, devices, disks, Ray and MLflow.
    """
    from htsweep.cli.doctor import examine

    sys.exit(examine(results, typer.echo))


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: a user's mistake is a message and exit code 2, never a traceback."""
    if arguments is None:  # a process of its own: nobody else writes to its terminal
        from htsweep.cli.terminal import hush

        hush()
    try:
        return app(arguments)
    except HtsweepError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if not is_of_the_disk(error):
            raise
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"error: {where}{why(error)}", err=True)
        sys.exit(2)
