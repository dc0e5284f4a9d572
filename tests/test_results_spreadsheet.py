"""Tables as CSV: no cell is a formula, and every number is a number."""

import io
from csv import reader

import pandas as pd
import pytest

from htsweep.results.spreadsheet import csv


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", '=HYPERLINK("x")'],
)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    written = csv(pd.DataFrame({text: [text], "b": pd.Categorical([text])}))
    heads, cells = reader(io.StringIO(written, newline=""))
    inert = "'" + text.replace("\r", "\n")
    assert (heads, cells) == ([inert, "b"], [inert, inert])


def test_all_else_is_as_it_was() -> None:
    table = pd.DataFrame(
        {
            "number": [-1.5, 0.1 + 0.2],
            "text": ["-1.5", "+1e-3"],
            "a-b": ["a=b", "l2sp+wise_ft"],
            "none": [None, "x"],
            "mixed": [-3, "-"],
            "flag": [True, False],
        }
    )
    assert csv(table.drop(columns="mixed")) == table.drop(columns="mixed").to_csv(index=False)
    assert csv(table[["mixed"]]) == "mixed\n-3\n'-\n"
    assert csv(pd.DataFrame()) == pd.DataFrame().to_csv(index=False)
