"""The command line: each command reads its arguments and calls the verb of the same name."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

# Importing a module of commands adds them, in this order.
from htsweep.cli import running, following, reading, keeping, data  # isort: skip
from htsweep.cli.options import AsJson, Results, app, command
from htsweep.errors import HtsweepError, is_of_the_disk, why

__all__ = ["app", "data", "following", "keeping", "main", "reading", "running"]

app.add_typer(data.app, name="data", help="Make and check datasets.")


def _kinds(incomplete: str) -> list[str]:
    """The completions that the shell offers after `htsweep list`."""
    from htsweep.cli.listing import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


@command("list")
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


@command()
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


@command()
def doctor(results: Results = "results", json: AsJson = False) -> None:
    """Check this machine; each failure comes with a remedy.

    Checks packages, devices, disks, Ray and MLflow. A bug report needs the output of --json.
    """
    from htsweep.cli.doctor import examine

    sys.exit(examine(results, typer.echo, as_json=json))


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
