"""The command line: each command reads its arguments and calls the verb of the same name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from htsweep.cli import data
from htsweep.errors import HtsweepError, is_of_the_disk, why

if TYPE_CHECKING:
    from htsweep.results import Results as StudyResults

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Studies of transfer learning when the target data covers only some of the classes.",
)

app.add_typer(data.app, name="data", help="Make and check datasets.")


def _command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds a command whose summary in `htsweep --help` is its whole first line, never cut."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        return app.command(name, short_help=summary)(function)

    return register


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"htsweep {version('htsweep')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


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
OwnFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder to write to.",
        show_default="the study's folder in the results",
    ),
]


@_command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write.")],
    task: Annotated[
        str, typer.Option(help="What a trial does (htsweep list tasks).")
    ] = "holistic_transfer",
    dataset: Annotated[
        str,
        typer.Option(
            help="Datasets, separated by commas; your own images as folder:ROOT:SOURCE-TARGET.",
            show_default="the task's",
        ),
    ] = "",
    missing_ratio: Annotated[
        str,
        typer.Option(
            help="Shares of the classes that are missing, separated by commas.",
            show_default="the task's",
        ),
    ] = "",
    backbone: Annotated[
        str, typer.Option(help="Backbones, separated by commas.", show_default="the task's")
    ] = "",
    method: Annotated[
        str,
        typer.Option(
            help="Methods, separated by commas; a+b is a chain.", show_default="a few of the task's"
        ),
    ] = "",
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Values of a method's parameter: METHOD.PARAMETER=0.01,0.1.",
        ),
    ] = None,
    search: Annotated[
        str,
        typer.Option(
            metavar="SAMPLER[:TRIALS]",
            help="Search the methods' parameters and the learning rate: grid, random:20, tpe:20.",
        ),
    ] = "",
    select: Annotated[
        str, typer.Option(metavar="PROTOCOL", help="What picks one configuration of each sweep.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each training.", show_default="the task's")
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Number of repetitions of each point.")] = 6,
    force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented study file from these options."""
    from htsweep.cli.template import Options, write

    grid = {
        "dataset": dataset,
        "missing_ratio": missing_ratio,
        "backbone": backbone,
        "method": method,
    }
    options = Options(grid, weight or [], repetitions, task, search, select, epochs)
    typer.echo(write(file, options, force=force))


@_command()
def plan(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    json: AsJson = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Time a short run of each kind that has no past run, in this process."
        ),
    ] = False,
) -> None:
    """Show what a launch would run and cost; only --measure runs anything."""
    from htsweep.results.estimate import estimate

    checked = results_of(study, overrides, results)
    measured = []
    if measure:
        from htsweep.cli import measuring
        from htsweep.cli.progress import Progress

        with Progress(checked.study.name) as progress:
            measured = measuring.measure(checked, progress)
    estimated = estimate(checked, measured)
    typer.echo(estimated.json() if json else "\n".join(estimated.lines()))


@_command()
def launch(
    study: StudyFile,
    on: Annotated[
        str,
        typer.Option(
            metavar="EXECUTOR",
            help="ray, inline (in this process), or your own as module:function.",
        ),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(help="Address of an existing Ray cluster, such as HOST:6379 or auto."),
    ] = None,
    wait_for_nodes: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            min=0,
            help="Wait this long for a node that can run a trial (default: 30 if the cluster has "
            "an autoscaler, else 0).",
        ),
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
        study,
        tuple(overrides or ()),
        results,
        on,
        address,
        tracking_uri if mirror else None,
        wait_for_nodes,
    )
    sys.exit(launch_and_tell(given))


@_command()
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

    checked = results_of(study, overrides, results)
    if watch:
        follow(checked, json)
    else:
        state = status(checked)
        typer.echo(state.json() if json else "\n".join(state.lines()))


@_command()
def rerun(
    study: StudyFile,
    trial: Annotated[
        str, typer.Argument(metavar="TRIAL", help="The trial's id, or its beginning.")
    ],
    results: Results = "results",
    overrides: Overrides = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Open Python's debugger where it fails.")
    ] = False,
) -> None:
    """Run one trial again in this process, to see why it fails.

    It has the seeds and the stages that it had. Nothing is recorded.
    """
    from htsweep.cli.rerunning import rerun

    checked = results_of(study, overrides, results)
    sys.exit(rerun(checked, trial, typer.echo, debug=debug))


@_command()
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


@_command()
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


@_command()
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


@_command()
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


@_command()
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


@_command()
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


@_command()
def clean(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY", help="Of this study's trials alone (default: of all trials)."
        ),
    ] = None,
    results: Results = "results",
    overrides: Overrides = None,
    logits: Annotated[
        bool, typer.Option("--logits", help="Also the logits of finished trials.")
    ] = False,
    trainings: Annotated[
        bool, typer.Option("--trainings", help="Also the weights of trainings that trials shared.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; otherwise it is only listed.")
    ] = False,
) -> None:
    """Remove what killed trials left, and on request kept logits and weights.

    What trials measured stays. Without --yes nothing is removed.
    """
    from htsweep.results.clean import clean

    checked = None if study is None else results_of(study, overrides, results)
    typer.echo("\n".join(clean(results, checked, logits=logits, trainings=trainings, yes=yes)))


@_command()
def gather(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Folders or URIs with results.")
    ],
    results: Results = "results",
) -> None:
    """Bring the results of several machines or colleagues together in one folder.

    Copies what --results lacks; changes and removes nothing. What is there is not trained again.
    """
    from htsweep.results.gather import gather

    typer.echo("\n".join(gather(folders, results).lines()))


@_command()
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


@_command()
def ui(
    results: Results = "results",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any.")
    ] = 5000,
) -> None:
    """Serve the MLflow UI for these results on 127.0.0.1, until Ctrl-C."""
    from htsweep.mirror.updating import ui

    sys.exit(ui(results, port))


@_command()
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
    from htsweep.mirror.updating import copy

    typer.echo(copy(results_of(study, overrides, results), tracking_uri))


def _kinds(incomplete: str) -> list[str]:
    """The completions that the shell offers after `htsweep list`."""
    from htsweep.cli.listing import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


@_command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            autocompletion=_kinds,
            help="datasets, methods, scores, backbones, tasks, spaces, protocols, metrics, "
            "settings, augmentations, optimizers, schedules or executors; "
            "several separated by commas (default: all).",
        ),
    ] = "",
) -> None:
    """List available datasets, methods, scores, backbones, and more.

    Each line has the name to write in a study file, and what it is.
    """
    from htsweep.cli.listing import lines

    typer.echo("\n".join(lines(what)))


@_command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A method, score, dataset, backbone, setting, protocol or metric."
        ),
    ],
) -> None:
    """Show what a method, a setting or another name means, with its parameters and defaults.

    Such as: htsweep show l2sp, htsweep show learning_rate, htsweep show missing_ratio
    """
    from htsweep.cli.showing import show

    typer.echo("\n".join(show(name)))


@_command()
def doctor(results: Results = "results", json: AsJson = False) -> None:
    """Check this machine; each failure comes with a remedy.

    Checks packages, devices, disks, Ray and MLflow. A bug report needs the output of --json.
    """
    from htsweep.cli.doctor import examine

    sys.exit(examine(results, typer.echo, as_json=json))


def results_of(study: str, overrides: list[str] | None, location: str) -> StudyResults:
    """The results at `location` of the study in a file; none of them is read yet."""
    from htsweep.planning.reading import read
    from htsweep.results import Results

    return Results(read(study, overrides or []), location)


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: a user's mistake gives a message and exit code 2, never a traceback."""
    if arguments is None:  # htsweep has the process, and so the terminal, to itself
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
