"""Tables in Markdown and in LaTeX; the text of cells is escaped, so that it is shown literally."""

from __future__ import annotations

import re
from collections.abc import Sequence

from htsweep.report.table import Block, Cell, Column, Table, printed

LONGEST = 45
"""How many rows one LaTeX table has at most, to fit a page; shorter blocks are kept together."""


def markdown(table: Table, level: int = 3) -> str:
    """One table per block under its heading (of `level`), padded to be readable as plain text."""
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
    """Tables with booktabs' rules, blocks below each other; long ones continue in another table."""
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
                # After the \\\\ of the previous row a bracket would be its argument, unless it is
                # in a group.
                lines.append(re.sub(r"^\[", "{[}", text) + " \\\\")
        made.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]))
    return "\n\n".join(made)


def escape(text: str) -> str:
    """Text that LaTeX prints literally."""
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
    """Text that Markdown shows literally; underscores inside a word mean nothing there and stay."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)  # else `&lt;` would be shown as `<`
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # only these open a tag
    text = re.sub(r"^>", "&gt;", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return re.sub(r"\s*[\r\n]+\s*", " ", text)


def _pages(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks of each LaTeX table; a block that is longer than a page is split."""
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
    # The brackets of an interval need no escape: without parentheses after them they are no link.
    return f"{text} {_small(cell)}" if _small(cell) else text


def _latex(cell: Cell) -> str:
    text = f"\\textbf{{{escape(cell.text)}}}" if cell.strong and cell.text else _number(cell.text)
    return f"{text} {{\\scriptsize {escape(_small(cell))}}}" if _small(cell) else text


def _small(cell: Cell) -> str:
    """The small print after a cell's text on paper."""
    return cell.detail if cell.paper is None else cell.paper


def _number(text: str) -> str:
    """Text for LaTeX, with a proper minus sign in negative numbers."""
    return f"$-${escape(text[1:])}" if re.fullmatch(r"-[\d.]+(e[+-]?\d+)?", text) else escape(text)
