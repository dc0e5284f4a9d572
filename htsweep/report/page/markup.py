"""HTML of a page's tables. Whatever comes from a study passes `text`, so that it is shown letter by letter."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

ROWS = 2000
"""A table shows so many rows: with more a page takes long to open; the rest is in the CSV."""


@final
@dataclass(frozen=True)
class Cell:
    """Text, the number that it is sorted by (None: by the text), small print after it, and whether it stands out."""

    text: str
    order: float | None = None
    small: str = ""
    strong: bool = False


@final
@dataclass(frozen=True)
class Row:
    """Cells, the first of which names the row; which group, compared value and kind (a metric) the filters know it by."""

    cells: Sequence[Cell]
    group: int = -1
    method: int = -1
    kind: str = ""


@final
@dataclass(frozen=True)
class Section:
    """A part of the page; one without content is left out and counted among what there is nothing to tell of."""

    anchor: str
    title: str
    content: str


def text(given: str) -> str:
    """Text as HTML that shows it letter by letter, in an element or in a quoted attribute."""
    return html.escape(given, quote=True)


def table(caption: str, head: Sequence[str], rows: Sequence[Row], kinds: str = "") -> str:
    """A table that scrolls in a box of its own; empty without rows. `kinds`: what the rows' kinds are, for their filter."""
    if not rows:
        return ""
    numeric = [
        all(row.cells[place].order is not None for row in rows) for place in range(len(head))
    ]
    heads = "".join(
        f'<th scope="col"{_number(flag)}>{text(name)}</th>'
        for name, flag in zip(head, numeric, strict=True)
    )
    body = "\n".join(_row(row, numeric) for row in rows[:ROWS])
    left = f" The first {ROWS} of {len(rows)} rows; the CSV has all." if len(rows) > ROWS else ""
    filtered = f' data-kinds="{text(kinds)}"' if kinds else ""
    return (
        '<div class="box" tabindex="0" role="region" '
        f'aria-label="{text(caption)}"><table{filtered}>'
        f"<caption><span>{text(caption + left)}</span></caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def chart(name: str, about: str) -> str:
    """Where page.js draws a chart; `about` says how to read it."""
    return f'<p class="note">{text(about)}</p>\n<div class="chart" data-chart="{text(name)}"></div>'


def folded(title: str, content: str) -> str:
    """Content that is opened by a click or by the keyboard; nothing for none."""
    return f"<details><summary>{text(title)}</summary>\n{content}\n</details>" if content else ""


def prose(markdown: str) -> str:
    """Paragraphs and lists; of Markdown, only lines that begin with `- `, and backticks, mean something."""
    blocks = []
    for block in markdown.strip().split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            blocks.append(items([line[2:] for line in lines]))
        elif lines:
            blocks.append(f"<p>{'<br>'.join(_code(text(line)) for line in lines)}</p>")
    return "\n".join(blocks)


def items(lines: Sequence[str]) -> str:
    """A list; nothing for none."""
    return (
        "<ul>" + "".join(f"<li>{_code(text(line))}</li>" for line in lines) + "</ul>"
        if lines
        else ""
    )


def _code(shown: str) -> str:
    """Text that is HTML already, what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", shown)


def _row(row: Row, numeric: Sequence[bool]) -> str:
    kind = f' data-k="{text(row.kind)}"' if row.kind else ""
    cells = "".join(
        _cell(cell, flag, first=place == 0)
        for place, (cell, flag) in enumerate(zip(row.cells, numeric, strict=True))
    )
    return f'<tr data-g="{row.group}" data-m="{row.method}"{kind}>{cells}</tr>'


def _cell(cell: Cell, numeric: bool, first: bool) -> str:
    order = (
        "" if cell.order is None or not math.isfinite(cell.order) else f' data-v="{cell.order:.6g}"'
    )
    inside = f"<strong>{text(cell.text)}</strong>" if cell.strong else text(cell.text)
    small = f" <small>{text(cell.small)}</small>" if cell.small else ""
    tag = 'th scope="row"' if first else "td"
    return f"<{tag}{_number(numeric)}{order}>{inside}{small}</{tag[:2]}>"


def _number(flag: bool) -> str:
    return ' class="number"' if flag else ""
