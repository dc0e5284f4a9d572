"""Tables as CSV that a spreadsheet shows as they are, and never as formulas.

Names in results come from task, study and data of whoever made them. A spreadsheet runs a cell that
begins with `=`, `+`, `-` or `@`, so that such text gets an apostrophe in front, as is usual.
Numbers stay numbers.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")


def csv(table: pd.DataFrame) -> str:
    """The table as CSV, without the index; carriage returns in text become line feeds."""
    heads = [_inert(name) for name in table.columns]
    columns: list[Any] = [
        column
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
        else column.map(_inert)
        for _, column in table.items()
    ]
    if not columns:
        return str(table.to_csv(index=False))
    made = pd.concat(columns, axis=1, keys=range(len(columns)))
    return str(made.to_csv(index=False, header=heads))


def _inert(value: Hashable) -> Any:
    if not isinstance(value, str):
        return value
    # Python before 3.13 does not quote a carriage return, which would begin a new line.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(value) and not _NUMBER.match(value) else text
