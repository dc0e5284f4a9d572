"""The tables of scores as text: what they said of each pair, how well that went with what came, and what screening costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.report import names, pairs
from htsweep.report.typeset import Block, Cell, Table, cells

_SCORES = 6
"""Scores beside each other in one table."""
_TERMS = {
    "reweighted_source_loss": "source loss",
    "conditional_entropy": "label mismatch",
    "distribution": "distribution",
    "bound": "bound",
    "tighter_bound": "tighter",
    "target_loss": "target loss",
    "target_accuracy": "target accuracy",
}


def scores(frame: pd.DataFrame) -> list[Table]:
    """The mean of each score of each pair, a block per target; bold: the highest of its target. Six scores to a table."""
    called, every = pairs.called(frame), list(dict.fromkeys(frame["score"]))
    dropped = not frame["kept"].all()
    made = []
    for start in range(0, len(every), _SCORES):
        some = every[start : start + _SCORES]
        blocks = []
        for target, inside in frame.groupby("target", sort=False, observed=True):
            rows = []
            for pair, of in inside.groupby("pair", sort=False, observed=True):
                by = {row["score"]: row for row in of.to_dict("records")}
                state = [Cell("" if of["kept"].all() else "dropped")] if dropped else []
                rows.append(
                    [Cell(called[str(pair)]), *state, *(_score(by.get(name)) for name in some)]
                )
            blocks.append(Block(f"target {target}" if frame["target"].nunique() > 1 else "", rows))
        made.append(
            Table(["pair", *(["screen"] if dropped else []), *some], blocks, words=1 + dropped)
        )
    return made


def predictions(frame: pd.DataFrame, design: Design, metrics: Sequence[str]) -> Table:
    """Kendall's tau of each score with what trials achieved: a block per compared value, a column per metric.

    Bold: the interval leaves out 0.
    """
    shown = pairs.view(frame)
    there = [name for name in metrics if name in set(shown["metric"])]
    blocks = []
    for name, inside in shown.groupby(design.compared, sort=False, observed=True, dropna=False):
        rows = []
        for score, of in inside.groupby("score", sort=False, observed=True):
            by = {str(row["metric"]): row for row in of.to_dict("records")}
            rows.append(
                [
                    Cell(str(score)),
                    Cell(str(int(of["pairs"].max()))),
                    *(tau(by[metric]) if metric in by else Cell("n/a") for metric in there),
                ]
            )
        blocks.append(Block(names.value(name), rows))
    return Table(["score", "pairs", *map(names.metric, there)], blocks)


def bounds(frame: pd.DataFrame) -> Table:
    """The terms of each bound, and the loss and accuracy that it bounds: a block per score."""
    called = pairs.called(frame)
    blocks = [
        Block(
            str(score),
            [
                [
                    Cell(called[str(row["pair"])]),
                    *(
                        Cell(names.number(row[name], name))
                        if row[name] == row[name]
                        else Cell("n/a")
                        for name in _TERMS
                    ),
                ]
                for row in inside.to_dict("records")
            ],
        )
        for score, inside in frame.groupby("score", sort=False, observed=True)
    ]
    return Table(
        [
            "pair",
            *(
                f"{title} (%)" if name == "target_accuracy" else title
                for name, title in _TERMS.items()
            ),
        ],
        blocks,
    )


def regret(frame: pd.DataFrame, design: Design) -> Table:
    """What the study's screen (without one, keeping the best pair of each score) would have cost: a block per metric."""
    shown = pairs.screened(frame)
    own, several = bool(shown["chosen"].any()), shown["target"].nunique() > 1
    metrics = pairs.told(list(dict.fromkeys(shown["metric"])))
    blocks = []
    for metric in metrics if own else metrics[:1]:
        rows = []
        for row in shown[shown["metric"] == metric].to_dict("records"):
            rows.append(
                [
                    *cells(
                        str(row["score"]),
                        str(row["target"]) if several else "",
                        names.value(row[design.compared]),
                        f"{row['pairs'] - row['spared']} of {row['pairs']}",
                    ),
                    Cell(names.number(row["best"], metric)),
                    Cell(names.number(row["kept_best"], metric)),
                    Cell(
                        names.number(row["regret"], metric),
                        names.bracket(row["low"], row["high"], metric),
                    ),
                    Cell(names.number(row["random"], metric)),
                ]
            )
        blocks.append(Block(names.metric(metric), rows))
    return Table(
        ["score", "target", design.compared, "kept", "best", "best kept", "regret", "by chance"],
        blocks,
        words=4,
    )


def tau(row: Any, statistic: str = "kendall") -> Cell:
    """`0.62 [0.31, 0.83]`, strong where the interval leaves out 0."""
    value, low, high = (row[f"{statistic}{end}"] for end in ("", " low", " high"))
    if value != value:
        return Cell("n/a")
    told = f"[{low:.2f}, {high:.2f}]" if low == low else "[n/a]"
    return Cell(f"{value:.2f}", told, bool(low > 0 or high < 0))


def _score(row: Any) -> Cell:
    if row is None or row["value"] != row["value"]:
        return Cell("n/a")
    return Cell(names.number(row["value"], ""), strong=row["rank"] == 1)
