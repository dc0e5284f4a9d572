"""What pairs of source model and target data are called, and which of their numbers come first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from htsweep.analysis.prediction import POOLED, WITHIN
from htsweep.report import names

JUDGED_BY = ("test/overall_accuracy", "test/missing_accuracy", "test/ausuc")
"""The metrics that predictions are judged by first, where they were measured."""


def factors(frame: pd.DataFrame) -> list[str]:
    """The factors that tell pairs apart: the table's columns before `target`."""
    columns = [str(name) for name in frame.columns]
    return columns[: columns.index("target")]


def called(frame: pd.DataFrame) -> dict[str, str]:
    """Pair -> the factors that differ between pairs, in words."""
    own = factors(frame)
    first = frame.drop_duplicates("pair")
    differ = [name for name in own if first[name].astype(str).nunique(dropna=False) > 1] or own
    return {
        str(row["pair"]): names.group({name: row[name] for name in differ}) or str(row["pair"])
        for row in first.to_dict("records")
    }


def judged_by(metrics: Sequence[str]) -> list[str]:
    """The metrics that predictions are judged by: those of `JUDGED_BY`, else the first measured."""
    return [name for name in JUDGED_BY if name in metrics] or list(metrics)[:1]


def view(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows that summarise all pairs: `within targets` if there are several, else pooled."""
    within = predictions[predictions["target"] == WITHIN]
    return within if len(within) else predictions[predictions["target"] == POOLED]


def target(given: str) -> str:
    """A value of `target` in words: `all pairs` where these are pooled."""
    return "all pairs" if given == POOLED else given


def screened(regret: pd.DataFrame) -> pd.DataFrame:
    """The rows of what the study's own screen kept, else of keeping the best pair by each score."""
    own = regret[regret["chosen"].astype(bool)]
    return own if len(own) else regret[regret["keep"] == 1]
