"""A table of a report as one value, which the page, Markdown and LaTeX show in their own ways.

A page shows every row in full, since a reader can sort and filter there. Paper (Markdown and LaTeX)
has less room: columns marked `page` are left out, rows are grouped under the `heading` that they
share, and rows that differ only in what is set side by side (`Table.beside`) become one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final


@final
@dataclass(frozen=True)
class Cell:
    """What a row says in one column."""

    text: str
    value: float | None = None
    """The number to sort by; None: cells are sorted by their text."""
    detail: str = ""
    """What follows in small print, such as an interval."""
    strong: bool = False
    paper: str | None = None
    """What follows on paper instead of `detail`, where that differs."""


@final
@dataclass(frozen=True)
class Column:
    """A column's title, and where and how it is shown."""

    title: str
    right: bool = False
    """Aligned right, as numbers are."""
    unit: str = ""
    """Follows the title on the page; on paper the caption says it."""
    only: Literal["", "page", "paper"] = ""
    """Where the column is shown, if not everywhere."""
    beside: bool = False
    """On paper, this column's cells are set side by side, under the titles of `Table.beside`."""
    long: bool = False
    """Whether its text is too long for a LaTeX table, which leaves it out."""


@final
@dataclass(frozen=True)
class Row:
    """A cell per column; the first one names the row."""

    cells: Sequence[Cell]
    heading: str = ""
    """What the rows of one block have in common; printed above them on paper."""
    name: str = ""
    """On paper, rows of one heading and one name that differ in `beside` become one row."""
    beside: str = ""
    """Under which of `Table.beside` the row's cell is set on paper."""
    kind: str = ""
    """What the page's filter of the table selects the row by: the title of its metric."""
    group: int = -1
    """The number of the row's group in `Key`; -1: none."""
    method: int = -1
    """The number of the row's compared value in `Key`; -1: none."""
    page_only: bool = False
    """Whether paper leaves the row out."""


@final
@dataclass(frozen=True)
class Table:
    """Rows of cells under their columns, with a title and how to read them."""

    title: str
    caption: str
    """How to read the table: Markdown with `code` and **bold**, in whole sentences."""
    columns: Sequence[Column]
    rows: Sequence[Row]
    kinds: str = ""
    """What the rows' kinds are, such as `metric`; "": the table has no filter of its own."""
    first: str = ""
    """The kind that the page shows until a reader chooses another; "": that of the first row."""
    instead: str = ""
    """What a report says where the table has no rows; "": nothing."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """On paper: each `Row.beside` that is shown, in order, with the title of its column."""

    def __bool__(self) -> bool:
        return bool(self.rows)


@final
@dataclass(frozen=True)
class Block:
    """Rows of a printed table under one heading."""

    heading: str
    rows: Sequence[Sequence[Cell]]


@final
@dataclass(frozen=True)
class Printed:
    """A table in the form for paper."""

    columns: Sequence[Column]
    blocks: Sequence[Block]


def filled(table: Table) -> Table:
    """The table without columns in which no row says anything; the first one stays."""
    said = [
        place
        for place in range(len(table.columns))
        if place == 0 or any(_says(row.cells[place]) for row in table.rows)
    ]
    if not table.rows or len(said) == len(table.columns):
        return table
    rows = [replace(row, cells=[row.cells[place] for place in said]) for row in table.rows]
    return replace(table, columns=[table.columns[place] for place in said], rows=rows)


def _says(cell: Cell) -> bool:
    return cell.text.strip() not in ("", "n/a") or cell.detail not in ("", "[n/a]")


def printed(table: Table) -> Printed:
    """The table in the form for paper: fewer columns, and rows in blocks under their headings."""
    kept = [place for place, column in enumerate(table.columns) if column.only != "page"]
    columns: list[Column] = []
    for place in kept:
        column = table.columns[place]
        titles = table.beside.values() if column.beside else [column.title]
        columns += [replace(column, title=title) for title in titles]
    headings: dict[str, dict[object, list[Row]]] = {}
    for number, row in enumerate(table.rows):
        if not row.page_only:
            merged = headings.setdefault(row.heading, {})
            key = (row.group, row.name) if table.beside else number
            merged.setdefault(key, []).append(row)
    blocks = []
    for heading, merged in headings.items():
        rows = [_merged(table, kept, rows) for rows in merged.values()]
        blocks.append(Block(heading, rows))
    return Printed(columns, blocks)


def fitting(table: Table, most: int) -> Sequence[Row]:
    """The rows that a page with room for `most` shows: whole kinds if they fit, `first` first."""
    if len(table.rows) <= most:
        return table.rows
    sizes = Counter(row.kind for row in table.rows)
    shown: set[str] = set()
    room = most
    for kind in sorted(sizes, key=lambda kind: kind != table.first):
        if sizes[kind] <= room:
            shown.add(kind)
            room -= sizes[kind]
    return [row for row in table.rows if row.kind in shown] or table.rows[:most]


def parts(table: Table, most: int) -> list[Table]:
    """Tables with at most `most` right-aligned columns each; the other columns are in all."""
    numbers = [place for place, column in enumerate(table.columns) if column.right]
    made = []
    for start in range(0, max(len(numbers), 1), most):
        left_out = {*numbers} - {*numbers[start : start + most]}
        kept = [place for place in range(len(table.columns)) if place not in left_out]
        rows = [replace(row, cells=[row.cells[place] for place in kept]) for row in table.rows]
        columns = [table.columns[place] for place in kept]
        first = start == 0
        made.append(
            replace(
                table,
                title=table.title if first else f"{table.title} (continued)",
                caption=table.caption if first else "",
                columns=columns,
                rows=rows,
            )
        )
    return made


def _merged(table: Table, kept: Sequence[int], rows: Sequence[Row]) -> list[Cell]:
    """One printed row of several that differ in what is set side by side.

    Where they differ in other numbers, the largest is shown.
    """
    by_title = {row.beside: row for row in rows}
    cells: list[Cell] = []
    for place in kept:
        if table.columns[place].beside:
            cells += [
                by_title[key].cells[place] if key in by_title else Cell("n/a")
                for key in table.beside
            ]
            continue
        same = [row.cells[place] for row in rows]
        numbers = [cell for cell in same if cell.value is not None]
        cells.append(max(numbers, key=lambda cell: cell.value or 0.0) if numbers else same[0])
    return cells
