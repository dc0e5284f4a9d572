"""Commands on a submitted study, wherever it runs, and on the logs of its trials."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from htsweep.cli.options import JobServer, Overrides, Results, StudyFile, command, results_of

Follow = Annotated[
    bool, typer.Option("--follow", help="Go on printing what comes, until it has ended.")
]


@command()
def logs(
    study: StudyFile,
    trial: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL", help="A trial's id, or its beginning (default: the submitted launch)."
        ),
    ] = "",
    follow: Follow = False,
    results: Results = "results",
    overrides: Overrides = None,
    address: JobServer = "",
) -> None:
    """Print what a trial has printed or, without one, what a submitted launch has.

    A trial's log is read from the results, while the trial runs or afterwards, from any machine.
    """
    from htsweep.cli.submitted import follow_it, print_log
    from htsweep.planning.reading import read
    from htsweep.submitting.jobs import Submitted

    if trial:
        from htsweep.cli.logs import print_trial

        print_trial(results_of(study, overrides, results), trial, follow=follow)
        return
    submitted = Submitted(read(study, overrides or []), address)
    if follow:
        sys.exit(follow_it(submitted))
    print_log(submitted)


@command()
def stop(study: StudyFile, overrides: Overrides = None, address: JobServer = "") -> None:
    """End a submitted launch, as Ctrl-C would; what has ended is recorded."""
    from htsweep.cli.submitted import stop_it
    from htsweep.planning.reading import read
    from htsweep.submitting.jobs import Submitted

    sys.exit(stop_it(Submitted(read(study, overrides or []), address)))


@command()
def fetch(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    address: JobServer = "",
) -> None:
    """Copy the results of a submitted study into --results, or say where they are."""
    from htsweep.planning.reading import read
    from htsweep.submitting.jobs import Submitted

    submitted = Submitted(read(study, overrides or []), address)
    typer.echo("\n".join(submitted.fetch(results)))
