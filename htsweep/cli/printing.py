"""Markdown for people: drawn as tables and headings at a terminal, as it is on a pipe."""

from __future__ import annotations

import sys
from typing import TextIO

from rich import box
from rich.console import Console
from rich.markdown import Markdown, TableElement
from rich.table import Table


class _WholeTable(TableElement):
    """A table whose lines are as light as its text: rules under the head alone."""

    def __rich_console__(self, console, options):  # type: ignore[no-untyped-def]
        """The table, with room between columns and every row on as few lines as fit."""
        for made in super().__rich_console__(console, options):
            if isinstance(made, Table):
                made.box = box.SIMPLE_HEAD
                made.pad_edge = False
                for column in made.columns:
                    column.overflow = "fold"  # never cut a name
                _keep_words(made, options.max_width)
            yield made


def _keep_words(table: Table, width: int) -> None:
    """Sets widths with which cells break between words alone, if all words fit side by side.

    Else a value such as `l2sp.backbone=0.1` may be broken, while intervals beside it have room.
    """
    columns = [[str(one) for one in (each.header, *each.cells)] for each in table.columns]
    whole = [max(map(len, cells)) for cells in columns]
    words = [
        max(len(word) for cell in cells for word in (cell.split() or [""])) for cells in columns
    ]
    room = width - 3 * len(columns) - 1  # beside what is between columns
    if sum(whole) <= room or sum(words) > room:
        return
    share = (room - sum(words)) / (sum(whole) - sum(words))
    for column, most, least in zip(table.columns, whole, words, strict=True):
        column.width = least + int(share * (most - least))


class _Text(Markdown):
    """Markdown with these tables."""

    elements = {**Markdown.elements, "table_open": _WholeTable}


def show(markdown: str, file: TextIO | None = None) -> None:
    """Prints Markdown to standard output, or to `file`: drawn if that is a terminal."""
    out = file or sys.stdout
    if out.isatty():
        Console(file=out).print(_Text(markdown))
    else:
        out.write(f"{markdown.rstrip()}\n")
    out.flush()
