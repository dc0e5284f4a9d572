"""The Typer app, and what its commands share: arguments, options, the results that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from htsweep.results import Results as StudyResults

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Studies of transfer learning when the target data covers only some of the classes.",
)


def command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
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
TrackingUri = Annotated[
    str, typer.Option(help="MLflow tracking URI (default: a database in the results).")
]
Mirrored = Annotated[bool, typer.Option(help="Copy the results to MLflow.")]
JobServer = Annotated[
    str,
    typer.Option(
        "--address", metavar="URL", help="Job server of a Ray cluster, such as http://HEAD:8265."
    ),
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


def results_of(study: str, overrides: list[str] | None, location: str) -> StudyResults:
    """The results at `location` of the study in a file; none of them is read yet."""
    from htsweep.planning.reading import read
    from htsweep.results import Results

    return Results(read(study, overrides or []), location)
