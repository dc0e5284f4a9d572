"""Tables of text in Markdown and in LaTeX: whatever stands in a cell is printed letter by letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

LONGEST = 45
"""Rows of one LaTeX table, so that it fits a page; blocks are kept together where they are shorter.
"""


@final
@dataclass(frozen=True)
class Cell:
    """A number, what follows it in small print (its interval), and whether it stands out."""

    text: str
    rest: str = ""
    strong: bool = False


@final
@dataclass(frozen=True)
class Block:
    """Rows under a title of their own."""

    title: str
    rows: Sequence[Sequence[Cell]]


@final
@dataclass(frozen=True)
class Table:
    """A table in blocks: its columns' heads, and how many of them, from the left, hold words (the others hold numbers).

    `last_is_words`: the last column does as well; it is left out of the LaTeX table, which has no
    room for it.
    """

    head: Sequence[str]
    blocks: Sequence[Block]
    words: int = 1
    last_is_words: bool = False


def cells(*texts: str) -> list[Cell]:
    """A row of plain cells."""
    return [Cell(text) for text in texts]


def markdown(table: Table, level: int = 3) -> str:
    """One table per block under its title (a heading of `level`), columns padded so that it reads well as plain text too."""
    left = {*range(table.words), *([len(table.head) - 1] if table.last_is_words else [])}
    parts = []
    for block in table.blocks:
        lines = [
            [plain(name) for name in table.head],
            *([_markdown(cell) for cell in row] for row in block.rows),
        ]
        widths = [
            max(3, *(len(line[column]) for line in lines)) for column in range(len(table.head))
        ]
        rule = [
            ("-" * width if column in left else "-" * (width - 1) + ":")
            for column, width in enumerate(widths)
        ]
        text = [
            "| "
            + " | ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            + " |"
            for line in [lines[0], rule, *lines[1:]]
        ]
        parts.append(
            "\n".join([f"{'#' * level} {plain(block.title)}", "", *text] if block.title else text)
        )
    return "\n\n".join(parts)


def latex(table: Table, caption: str) -> str:
    """Tables with booktabs' rules, blocks under each other; long ones go on in another table."""
    head = list(table.head)[:-1] if table.last_is_words else list(table.head)
    form = "l" * table.words + "r" * (len(head) - table.words)
    made = []
    for index, page in enumerate(_pages(table.blocks)):
        lines = [
            "\\begin{table}[t]",
            "\\centering",
            "\\small",
            f"\\caption{{{escape(caption if index == 0 else '(continued)')}}}",
            f"\\begin{{tabular}}{{{form}}}",
            "\\toprule",
            " & ".join("$n$" if name == "n" else escape(name) for name in head) + " \\\\",
        ]
        for block in page:
            lines.append("\\midrule")
            if block.title:
                lines.append(
                    f"\\multicolumn{{{len(head)}}}{{l}}{{\\emph{{{escape(block.title)}}}}} \\\\"
                )
            # A bracket after the \\\\ of the row before would be its argument; in a group it is a
            # bracket.
            lines += [
                re.sub(r"^\[", "{[}", " & ".join(_latex(cell) for cell in row[: len(head)]))
                + " \\\\"
                for row in block.rows
            ]
        made.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]))
    return "\n\n".join(made)


def escape(text: str) -> str:
    """Text that LaTeX prints letter by letter."""
    return re.sub(r"[\\{}$&#^_~%<>|±]", lambda found: _LATEX[found[0]], text)


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
}


def plain(text: str) -> str:
    """Text that Markdown shows letter by letter; underscores inside a word mean nothing and are left as they are."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)  # else `&lt;` would be shown as `<`
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # no other opens a tag
    text = re.sub(r"^>", "&gt;", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return re.sub(r"\s*[\r\n]+\s*", " ", text)


def _pages(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks by the table that they stand in; one that is longer than a page is cut."""
    pages: list[list[Block]] = [[]]
    for block in blocks:
        for start in range(0, max(len(block.rows), 1), LONGEST):
            part = Block(block.title, block.rows[start : start + LONGEST])
            if pages[-1] and sum(len(one.rows) + 1 for one in [*pages[-1], part]) > LONGEST:
                pages.append([])
            pages[-1].append(part)
    return pages


def _markdown(cell: Cell) -> str:
    text = f"**{plain(cell.text)}**" if cell.strong and cell.text else plain(cell.text)
    # Brackets of an interval are no link: nothing follows them.
    return f"{text} {cell.rest}" if cell.rest else text


def _latex(cell: Cell) -> str:
    text = f"\\textbf{{{escape(cell.text)}}}" if cell.strong and cell.text else _number(cell.text)
    return f"{text} {{\\scriptsize {escape(cell.rest)}}}" if cell.rest else text


def _number(text: str) -> str:
    """Text for LaTeX, with a minus where a number has one."""
    return f"$-${escape(text[1:])}" if re.fullmatch(r"-[\d.]+(e[+-]?\d+)?", text) else escape(text)
