"""The summary as a table: Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.frontier import ROLES
from htsweep.report import names

_LONGEST = 45
"""Rows of one LaTeX table, so that it fits a page; groups are kept together."""


@final
@dataclass(frozen=True)
class Cell:
    """A mean and half of its interval as text (both empty where nothing was measured); whether it is the group's best."""

    mean: str
    half: str
    best: bool = False


@final
@dataclass(frozen=True)
class Row:
    """A method in a group: over how many repetitions, its cells, the configuration that was chosen."""

    name: str
    count: int
    cells: tuple[Cell, ...]
    configuration: str = ""


@final
@dataclass(frozen=True)
class Group:
    """The methods of one group, under its title."""

    title: str
    rows: tuple[Row, ...]


def groups(
    summary: pd.DataFrame, design: Design, metrics: Sequence[str], parameters: Mapping[str, str] | None = None,
) -> list[Group]:
    """The groups of `summary` (as `analysis.summary.summarise` returns it), in its order, numbers as text.

    Best is the highest mean as it is shown, so that equal text is marked alike; only metrics in percent have a best, and an
    upper bound (`oracle`) takes no part. `parameters` gives each point's configuration in words.
    """
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for row in summary.to_dict("records"):
        title = names.group({name: row[name] for name in design.groups})
        rows = made.setdefault(title, {})
        entry = rows.setdefault(str(row["sweep"]), {"row": row, "cells": {}, "n": row["n"]})
        entry["cells"][row["metric"]] = _cell(row, entry["n"])
    return [Group(title, _rows(list(rows.values()), design, metrics, parameters or {})) for title, rows in made.items()]


def markdown(found: Sequence[Group], metrics: Sequence[str], compared: str = "method") -> str:
    """One table per group under its title, columns padded so that it reads well as plain text too."""
    blocks = []
    for group in found:
        described = any(row.configuration for row in group.rows)
        head = [compared, "n", *map(names.metric, metrics), *(["configuration"] if described else [])]
        body = [[_markdown(row.name), str(row.count), *map(_markdown_cell, row.cells),
                 *([_markdown(row.configuration)] if described else [])] for row in group.rows]
        widths = [max(3, *(len(line[column]) for line in [head, *body])) for column in range(len(head))]
        left = (0, len(head) - 1) if described else (0,)
        rule = [("-" * width if column in left else "-" * (width - 1) + ":") for column, width in enumerate(widths)]
        lines = ["| " + " | ".join(cell.ljust(width) if column in left else cell.rjust(width)
                                   for column, (cell, width) in enumerate(zip(line, widths, strict=True))) + " |"
                 for line in [[_markdown(cell) for cell in head], rule, *body]]
        blocks.append("\n".join([f"### {_markdown(group.title)}", "", *lines] if group.title else lines))
    return "\n\n".join(blocks)


def latex(found: Sequence[Group], metrics: Sequence[str], caption: str, compared: str = "method") -> str:
    """Tables with booktabs' rules, groups under each other; long ones go on in another table."""
    tables = []
    for index, part in enumerate(_pages(found)):
        lines = ["\\begin{table}[t]", "\\centering", "\\small",
                 f"\\caption{{{escape(caption if index == 0 else '(continued)')}}}",
                 f"\\begin{{tabular}}{{lr{'r' * len(metrics)}}}", "\\toprule",
                 " & ".join([escape(compared), "$n$", *(escape(names.metric(name)) for name in metrics)]) + " \\\\"]
        for group in part:
            lines.append("\\midrule")
            if group.title:
                lines.append(f"\\multicolumn{{{len(metrics) + 2}}}{{l}}{{\\emph{{{escape(group.title)}}}}} \\\\")
            lines += [" & ".join([escape(row.name), str(row.count), *map(_latex_cell, row.cells)]) + " \\\\"
                      for row in group.rows]
        tables.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]))
    return "% \\usepackage{booktabs}\n" + "\n\n".join(tables) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints letter by letter."""
    return re.sub(r"[\\{}$&#^_~%<>|±]", lambda found: _LATEX[found[0]], text)


_LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "^": r"\textasciicircum{}",
          "_": r"\_", "~": r"\textasciitilde{}", "%": r"\%", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
          "±": r"$\pm$"}


def _rows(
    entries: Sequence[Mapping[str, Any]], design: Design, metrics: Sequence[str], parameters: Mapping[str, str],
) -> tuple[Row, ...]:
    best = {metric: _highest(entries, metric, design) for metric in metrics if names.is_percent(metric)}
    rows = []
    for entry in entries:
        row, cells = entry["row"], entry["cells"]
        competes = ROLES.get(str(row[design.compared])) != "bound"
        shown = [cells.get(metric, Cell("", "")) for metric in metrics]
        marked = tuple(Cell(cell.mean, cell.half, competes and bool(cell.mean) and cell.mean == best.get(metric))
                       for metric, cell in zip(metrics, shown, strict=True))
        rows.append(Row(names.value(row[design.compared]), int(entry["n"]), marked, parameters.get(str(row["point"]), "")))
    return tuple(rows)


def _highest(entries: Sequence[Mapping[str, Any]], metric: str, design: Design) -> str:
    competing = [entry["cells"][metric].mean for entry in entries if metric in entry["cells"]
                 and ROLES.get(str(entry["row"][design.compared])) != "bound"]
    return max(filter(None, competing), key=float, default="")


def _cell(row: Mapping[Any, Any], usual: int) -> Cell:
    """`98.8` and `0.4`; empty for a metric that no repetition has, with its own n where that is not the row's."""
    if row["n"] == 0:
        return Cell("", "")
    times = names.scale(row["metric"])
    mean, half = row["mean"] * times, (row["high"] - row["mean"]) * times
    percent = names.is_percent(row["metric"])
    told = "n/a" if half != half else f"{half:.1f}" if percent else f"{half:.2g}"
    return Cell(f"{mean:.1f}" if percent else f"{mean:.4g}", told if row["n"] == usual else f"{told} (n={row['n']})")


def _pages(found: Sequence[Group]) -> list[list[Group]]:
    pages: list[list[Group]] = [[]]
    for group in found:
        if pages[-1] and sum(len(one.rows) + 1 for one in [*pages[-1], group]) > _LONGEST:
            pages.append([])
        pages[-1].append(group)
    return pages


def _markdown(text: str) -> str:
    """Text that Markdown shows letter by letter; underscores inside a word mean nothing and are left as they are."""
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", text).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _markdown_cell(cell: Cell) -> str:
    if not cell.mean:
        return "n/a"
    return f"**{cell.mean}** ± {cell.half}" if cell.best else f"{cell.mean} ± {cell.half}"


def _latex_cell(cell: Cell) -> str:
    if not cell.mean:
        return "n/a"
    mean = f"\\textbf{{{cell.mean}}}" if cell.best else cell.mean
    return f"{mean} $\\pm$ {cell.half}"
