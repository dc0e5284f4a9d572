"""Cells that tables share: estimates with intervals, p values, verdicts, factors of a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.planning.task import BOUND, SOURCE
from htsweep.report import names
from htsweep.report.captions import ALPHA
from htsweep.report.key import Key
from htsweep.report.table import Cell, Column

Record = Mapping[str, Any]
_SHOWN = ("better", "worse")
_ROLES = {BOUND: "upper bound", SOURCE: "source model"}


def records(frame: pd.DataFrame, key: Key) -> Iterator[tuple[Record, int, int]]:
    """Each row with the numbers of its group and of its compared value in `key`."""
    if frame.empty:
        return
    rows = frame.to_dict("records")
    for row, group, method in zip(rows, key.group_of(frame), key.method_of(frame), strict=True):
        yield {str(name): _plain(value) for name, value in row.items()}, group, method


def compared(record: Record, key: Key) -> Cell:
    """The compared value, followed on the page by its role if it has one."""
    role = _ROLES.get(str(record.get("role", "")), "")
    return Cell(names.value(record[key.design.compared]), detail=role, paper="")


def group_columns(key: Key) -> list[Column]:
    """A column per factor that differs between groups, for the page; paper has headings."""
    return [Column(name.replace("_", " "), only="page") for name in _differing(key)]


def group_cells(record: Record, key: Key) -> list[Cell]:
    """The cells of `group_columns`."""
    cells = []
    for name in _differing(key):
        given = record[name]
        number = isinstance(given, int | float) and not isinstance(given, bool)
        text = names.factor(name, given) if name == names.RATIO else names.value(given)
        cells.append(Cell(text, float(given) if number else None))
    return cells


def count(given: Any) -> Cell:
    """A whole number."""
    return Cell(str(int(given)), float(given))


def number(given: float, metric: str) -> Cell:
    """A value of a metric without an interval."""
    if given != given:
        return Cell("n/a", float("nan"))
    return Cell(names.number(given, metric), float(given))


def estimate(
    record: Record,
    metric: str,
    column: str = "mean",
    *,
    ends: tuple[str, str] = ("low", "high"),
    sign: bool = False,
    strong: bool = False,
) -> Cell:
    """`98.8 [98.1, 99.2]`: the value in `column` with the interval in the columns `ends`."""
    value = record[column]
    if value is None or value != value:
        return Cell("n/a", float("nan"))
    interval = names.bracket(record[ends[0]], record[ends[1]], metric, sign)
    return Cell(names.number(value, metric, sign), float(value), interval, strong)


def difference(record: Record, metric: str, column: str = "difference") -> Cell:
    """`+15.8 [12.0, 19.1]`, strong if it is shown.

    On paper its p follows, unless there are too few repetitions.
    """
    cell = estimate(record, metric, column, sign=True, strong=record["verdict"] in _SHOWN)
    p = record["p_holm"]
    if cell.text == "n/a" or record["verdict"] == "too few" or p != p:
        return cell
    detail = f"{cell.detail} p{equal(names.probability(p)).replace(' ', '')}"
    return Cell(cell.text, cell.value, cell.detail, cell.strong, paper=detail)


def probability(given: Any) -> Cell:
    """A p value."""
    return Cell(names.probability(float(given)), float(given))


def share(given: Any) -> Cell:
    """A share in whole percent."""
    return Cell("n/a" if given != given else f"{given:.0%}", float(given))


def verdict(record: Record) -> Cell:
    """What the test of a difference says; for too few repetitions, with the p they can reach."""
    given = str(record["verdict"])
    if given == "too few":
        least = f"p >= {record['least_p']:.3g}" if "least_p" in record else ""
        return Cell("too few repetitions", detail=least, paper="")
    return Cell("upper bound" if given == BOUND else given)


def unreachable(effects: pd.DataFrame) -> str:
    """The limit of rows with the verdict `too few`: `n = 5: p >= 0.0625`; "" if there are none."""
    few = effects[effects["verdict"] == "too few"]
    if few.empty:
        return ""
    row = few.sort_values("least_p", kind="stable").iloc[0]
    after = " before Holm" if row["least_p"] < ALPHA else ""
    return f"n = {row['n']:.0f}: p >= {row['least_p']:.3g}{after}"


def equal(text: str) -> str:
    """`= 0.03` or `< 0.001`."""
    return text if text.startswith("<") else f"= {text}"


def text(given: Any) -> str:
    """Text that may be missing."""
    return "" if given is None or given != given else str(given)


def metric(name: str) -> Cell:
    """A metric by its title, with its unit."""
    return Cell(names.metric(name), detail=unit(name))


def metric_title(name: str) -> str:
    """A metric's title with its unit, as the filter of a table shows it."""
    return f"{names.metric(name)} {unit(name)}".strip()


def unit(name: str) -> str:
    """The unit of a metric in parentheses; "" if it has none."""
    return "(%)" if names.is_percent(name) else ""


def beside(findings: Findings, frame: pd.DataFrame) -> dict[str, str]:
    """The metrics that are side by side on paper, with titles: the summarised ones in the table."""
    measured = set(frame["metric"]) if len(frame) else set()
    return {name: names.metric(name) for name in findings.metrics if name in measured}


def first_kind(frame: pd.DataFrame) -> str:
    """The kind of the metric that a table with a column `metric` shows first."""
    measured = list(dict.fromkeys(map(str, frame["metric"]))) if len(frame) else []
    return metric_title(names.headline(measured)) if measured else ""


def _differing(key: Key) -> list[str]:
    return [
        name for name, values in zip(key.design.groups, key.values, strict=True) if len(values) > 1
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
