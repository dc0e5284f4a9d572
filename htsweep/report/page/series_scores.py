"""The data that score_charts.js draws, for JSON: scores and outcomes, regret, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import names, pairs
from htsweep.report.key import Key, dark
from htsweep.report.look import looks

_LINES = 1500
"""With more lines of regret than this, their intervals are only in the CSV."""
TERMS = ("reweighted_source_loss", "conditional_entropy", "distribution")
"""The terms that add up to a bound."""


def scores(findings: Findings, key: Key) -> dict[str, Any] | None:
    """The value of each score for each pair, and what each compared value achieved, by number."""
    predicted = findings.predicted
    if predicted.empty:
        return None
    compared = key.design.compared
    first = predicted.drop_duplicates("pair")
    place = {pair: number for number, pair in enumerate(first["pair"])}
    named, called = _scores(findings), pairs.called(first)
    targets = list(dict.fromkeys(map(str, first["target"])))
    value: dict[str, list[float | None]] = {name: [None] * len(place) for name in named}
    is_fitted = predicted["fitted"].astype(bool)
    said = predicted[~is_fitted].drop_duplicates(["score", "pair"])
    for score, pair, given in zip(said["score"], said["pair"], said["value"], strict=True):
        value[str(score)][place[pair]] = _number(given)
    own = list(dict.fromkeys([compared, "pair", "metric"]))
    achieved = predicted[[*own, "mean", "low", "high"]].drop_duplicates(own)
    cells = achieved[own].to_numpy(object).tolist()
    fitted = {}
    for name, rows in predicted[is_fitted].groupby("score", sort=False):
        values = rows.set_index(own)["value"].to_dict()
        fitted[str(name)] = [_number(values.get(tuple(cell), np.nan)) for cell in cells]
    scale = achieved["metric"].astype(str).map(names.scale).to_numpy(float)
    lines = _lines(findings, key)
    return {
        "names": _styled(named),
        "targets": _styled(targets),
        "lines": lines,
        "value": value,
        "pairs": {
            "g": key.group_of(first),
            "target": [targets.index(str(item)) for item in first["target"]],
            "name": [called[str(pair)] for pair in first["pair"]],
        },
        "achieved": {
            "pair": [place[pair] for pair in achieved["pair"]],
            "line": _line(achieved, compared, lines),
            "metric": achieved["metric"].tolist(),
            **{
                name: [_number(item) for item in achieved[name].to_numpy(float) * scale]
                for name in ("mean", "low", "high")
            },
        },
        "correlations": _correlations(findings, lines),
        "fitted": fitted,
    }


def regret(findings: Findings, key: Key) -> dict[str, Any] | None:
    """A line per target, compared value, metric and score: its regret for 1, 2, ... kept pairs.

    The regret is in the displayed unit.
    """
    table = findings.regret
    if table.empty:
        return None
    compared = key.design.compared
    named, lines = _scores(findings), _lines(findings, key)
    targets = list(dict.fromkeys(map(str, table["target"])))
    made = []
    grouped = table.groupby(
        ["target", compared, "metric", "score"], sort=False, observed=True, dropna=False
    )
    for (target, name, metric, score), inside in grouped:
        scale = names.scale(str(metric))
        ends = ("low", "high") if grouped.ngroups <= _LINES else ()
        made.append(
            {
                "target": targets.index(str(target)),
                "line": _place(lines, name),
                "metric": str(metric),
                "score": named.index(str(score)),
                "pairs": int(inside["pairs"].iloc[0]),
                "of": int(inside["of"].iloc[0]),
                "keep": inside["keep"].tolist(),
                "chosen": np.flatnonzero(inside["chosen"].to_numpy(bool)).tolist(),
                **{
                    column: [_number(number) for number in inside[column].to_numpy(float) * scale]
                    for column in ("regret", "random", *ends)
                },
            }
        )
    return {"names": _styled(named), "targets": targets, "lines": lines, "curves": made}


def bounds(findings: Findings, key: Key) -> dict[str, Any] | None:
    """The terms of each bound, the rest of it, and the loss that it bounds, per pair and score."""
    table = findings.bounds
    if table.empty:
        return None
    called = pairs.called(table)
    terms = table[list(TERMS)].to_numpy(float)
    rest = table["bound"].to_numpy(float) - terms.sum(axis=1)
    rest = np.where(rest > 1e-3 * np.abs(table["bound"].to_numpy(float)), rest, 0.0)
    columns = {
        name: table[name].to_numpy(float)
        for name in (*TERMS, "bound", "tighter_bound", "target_loss", "target_accuracy")
    }
    return {
        "g": key.group_of(table),
        "m": key.method_of(table),
        "pair": [called[str(pair)] for pair in table["pair"]],
        "target": list(map(str, table["target"])),
        "score": list(map(str, table["score"])),
        **{
            name: [_number(number) for number in given]
            for name, given in {**columns, "rest": rest}.items()
        },
    }


def _scores(findings: Findings) -> list[str]:
    """All scores of all tables, in order of appearance, so that each looks the same everywhere."""
    tables = (findings.transferability, findings.predicted, findings.regret)
    return list(
        dict.fromkeys(
            str(name)
            for table in tables
            if "score" in table
            for name in dict.fromkeys(table["score"])
        )
    )


def _styled(texts: Sequence[str]) -> list[dict[str, Any]]:
    styles = looks(pd.DataFrame({"name": list(texts), "role": ""}), "name")
    return [
        {
            "name": name,
            "colour": styles[name].colour,
            "dark": dark(styles[name].colour),
            "symbol": styles[name].symbol,
        }
        for name in texts
    ]


def _lines(findings: Findings, key: Key) -> list[dict[str, Any]]:
    """The compared values with predictions, and their numbers among the page's methods or -1."""
    table = next(
        item for item in (findings.predictions, findings.regret, findings.predicted) if len(item)
    )
    first = table.drop_duplicates(key.design.compared)
    return [
        {"name": names.value(item), "m": number}
        for item, number in zip(first[key.design.compared], key.method_of(first), strict=True)
    ]


def _line(achieved: pd.DataFrame, compared: str, lines: Sequence[dict[str, Any]]) -> list[int]:
    """The line of each row; there is only one if the compared factor tells pairs apart."""
    return [_place(lines, value) for value in achieved[compared]]


def _place(lines: Sequence[dict[str, Any]], name: Any) -> int:
    return next(
        (number for number, line in enumerate(lines) if line["name"] == names.value(name)), 0
    )


def _correlations(findings: Findings, lines: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Kendall's tau by score, line, metric and target; the target is empty for all pairs."""
    every = findings.predictions
    if every.empty:
        return {}
    shown = pairs.view(every)
    table = pd.concat(
        [shown.assign(target=""), every[every["target"].isin(set(findings.predicted["target"]))]]
    )
    return {
        "score": list(map(str, table["score"])),
        "line": [_place(lines, item) for item in table[findings.design.compared]],
        "metric": list(map(str, table["metric"])),
        "target": list(map(str, table["target"])),
        "pairs": table["pairs"].tolist(),
        **{
            short: [_number(item) for item in table[name].to_numpy(float)]
            for short, name in (
                ("tau", "kendall"),
                ("low", "kendall low"),
                ("high", "kendall high"),
            )
        },
    }


def _number(given: Any) -> float | None:
    return float(f"{given:.5g}") if given is not None and np.isfinite(given) else None
