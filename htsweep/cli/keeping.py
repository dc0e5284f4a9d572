"""Commands that copy, clean and serve results."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from htsweep.cli.options import (
    Overrides,
    Results,
    StudyFile,
    TrackingUri,
    command,
    results_of,
)


@command()
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


@command()
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


@command()
def ui(
    results: Results = "results",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any.")
    ] = 5000,
) -> None:
    """Serve the MLflow UI for these results on 127.0.0.1, until Ctrl-C."""
    from htsweep.mirror.updating import ui

    sys.exit(ui(results, port))


@command()
def mirror(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: TrackingUri = "",
) -> None:
    """Copy the results to MLflow, or bring the copy up to date.

    This may be done at any time, any number of times.
    """
    from htsweep.mirror.updating import copy

    typer.echo(copy(results_of(study, overrides, results), tracking_uri))
