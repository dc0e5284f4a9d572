"""Tables of text in Markdown and in LaTeX: whatever stands in a cell is printed letter by letter."""

from __future__ import annotations

import re
from collections.abc import Sequence

from htsweep.report.table import Block, Cell, Column, Table, printed

LONGEST = 45
"""Rows of one LaTeX table, so that it fits a page; blocks are kept together where they are shorter.
"""


def markdown(table: Table, level: int = 3) -> str:
    """One table per block under its heading (of `level`), columns padded so that it reads well as plain text too."""
    paper = printed(table)
    parts = []
    for block in paper.blocks:
        lines = [
            [plain(column.title) for column in paper.columns],
            *([_markdown(cell) for cell in row] for row in block.rows),
        ]
        widths = [max(3, *map(len, texts)) for texts in zip(*lines, strict=True)]
        aligned = [_aligned(line, widths, paper.columns) for line in lines]
        rule = [
            "-" * (width - 1) + ":" if column.right else "-" * width
            for column, width in zip(paper.columns, widths, strict=True)
        ]
        text = [aligned[0], f"| {' | '.join(rule)} |", *aligned[1:]]
        heading = [f"{'#' * level} {plain(block.heading)}", ""] if block.heading else []
        parts.append("\n".join([*heading, *text]))
    return "\n\n".join(parts)


def latex(table: Table, caption: str) -> str:
    """Tables with booktabs' rules, blocks under each other; long ones go on in another table."""
    paper = printed(table)
    kept = [place for place, column in enumerate(paper.columns) if not column.long]
    columns = [paper.columns[place] for place in kept]
    form = "".join("r" if column.right else "l" for column in columns)
    heads = ["$n$" if column.title == "n" else escape(column.title) for column in columns]
    made = []
    for index, page in enumerate(_pages(paper.blocks)):
        lines = [
            "\\begin{table}[t]",
            "\\centering",
            "\\small",
            f"\\caption{{{escape(caption if index == 0 else '(continued)')}}}",
            f"\\begin{{tabular}}{{{form}}}",
            "\\toprule",
            " & ".join(heads) + " \\\\",
        ]
        for block in page:
            lines.append("\\midrule")
            if block.heading:
                heading = f"\\emph{{{escape(block.heading)}}}"
                lines.append(f"\\multicolumn{{{len(columns)}}}{{l}}{{{heading}}} \\\\")
            for row in block.rows:
                text = " & ".join(_latex(row[place]) for place in kept)
                # A bracket after the \\\\ of the row before would be its argument; in a group it is
                # a bracket.
                lines.append(re.sub(r"^\[", "{[}", text) + " \\\\")
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
            part = Block(block.heading, block.rows[start : start + LONGEST])
            if pages[-1] and sum(len(placed.rows) + 1 for placed in [*pages[-1], part]) > LONGEST:
                pages.append([])
            pages[-1].append(part)
    return pages


def _aligned(texts: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    """A line of a Markdown table."""
    padded = [
        text.rjust(width) if column.right else text.ljust(width)
        for text, width, column in zip(texts, widths, columns, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _markdown(cell: Cell) -> str:
    text = f"**{plain(cell.text)}**" if cell.strong and cell.text else plain(cell.text)
    # Brackets of an interval are no link: nothing follows them.
    return f"{text} {_small(cell)}" if _small(cell) else text


def _latex(cell: Cell) -> str:
    text = f"\\textbf{{{escape(cell.text)}}}" if cell.strong and cell.text else _number(cell.text)
    return f"{text} {{\\scriptsize {escape(_small(cell))}}}" if _small(cell) else text


def _small(cell: Cell) -> str:
    """What follows a cell's text on paper."""
    return cell.detail if cell.paper is None else cell.paper


def _number(text: str) -> str:
    """Text for LaTeX, with a minus where a number has one."""
    return f"$-${escape(text[1:])}" if re.fullmatch(r"-[\d.]+(e[+-]?\d+)?", text) else escape(text)
