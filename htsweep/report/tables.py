"""The tables of a report as text: what each method came to, against what, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design
from htsweep.planning.task import BOUND
from htsweep.report import names
from htsweep.report.typeset import Block, Cell, Table, cells

REACHABLE = 0.05
"""The p below which a difference counts as shown."""
_SHOWN = ("better", "worse")


def summary(
    frame: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    parameters: Mapping[str, str] | None = None,
) -> Table:
    """What each sweep came to, a block per group, in the order of `frame` (as `analysis.summary.summarise` returns it).

    Best is the highest mean as it is shown, so that equal text is marked alike; only metrics in
    percent have a best, and an upper bound takes no part. `parameters` gives each
    point's configuration in words: a last column.
    """
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for row in frame.to_dict("records"):
        rows = made.setdefault(title({str(key): of for key, of in row.items()}, design), {})
        entry = rows.setdefault(str(row["sweep"]), {"row": row, "cells": {}, "n": row["n"]})
        entry["cells"][row["metric"]] = _mean(row, entry["n"])
    told = parameters or {}
    described = any(told.get(str(point)) for point in frame["point"])
    head = [
        design.compared,
        "n",
        *map(names.metric, metrics),
        *(["configuration"] if described else []),
    ]
    blocks = [
        Block(name, _marked(list(rows.values()), design, metrics, told if described else None))
        for name, rows in made.items()
    ]
    return Table(head, blocks, last_is_words=described)


def effects(frame: pd.DataFrame, design: Design, metrics: Sequence[str]) -> Table:
    """Paired differences to the baseline: a block per group, a row per compared value, a column per metric.

    A cell is the difference, its interval and Holm's p; a difference that is shown stands out. The
    last column says what so few repetitions cannot show.
    """
    there = [name for name in metrics if name in set(frame["metric"])]
    blocks = []
    for key, inside in groups(frame, design):
        against = names.value(inside["baseline"].iloc[0])
        rows = []
        for name, of in inside.groupby(design.compared, sort=False, observed=True, dropna=False):
            by = {str(row["metric"]): row for row in of.to_dict("records")}
            rows.append(
                [
                    Cell(names.value(name)),
                    Cell(str(int(of["n"].max()))),
                    *(
                        _effect(by[metric], metric) if metric in by else Cell("n/a")
                        for metric in there
                    ),
                    _reach(of),
                ]
            )
        blocks.append(
            Block(f"{key}: difference to {against}" if key else f"difference to {against}", rows)
        )
    return Table([design.compared, "n", *map(names.metric, there), "too few"], blocks)


def together(aggregate: pd.DataFrame, pooled: pd.DataFrame, design: Design) -> Table:
    """Means and interquartile means over all groups, and the differences to the baseline: a block per metric."""
    against = {(row[design.compared], row["metric"]): row for row in pooled.to_dict("records")}
    blocks = []
    for metric, inside in aggregate.groupby("metric", sort=False, observed=True):
        name, rows = str(metric), []
        for row in inside.to_dict("records"):
            ours = against.get((row[design.compared], metric))
            rows.append(
                [
                    Cell(names.value(row[design.compared])),
                    *(_between(row, which, name) for which in ("mean", "iqm")),
                    *(
                        [Cell(""), Cell("")]
                        if ours is None
                        else [_effect(ours, name), Cell(str(ours["verdict"]))]
                    ),
                ]
            )
        blocks.append(Block(f"{names.metric(name)}, {inside['groups'].iloc[0]} groups", rows))
    return Table([design.compared, "mean", "interquartile mean", "difference", "verdict"], blocks)


def _between(row: Mapping[Any, Any], which: str, metric: str) -> Cell:
    return Cell(
        names.number(row[which], metric),
        names.bracket(row[f"{which} low"], row[f"{which} high"], metric),
    )


def ranks(frame: pd.DataFrame, design: Design) -> Table:
    """Mean ranks over the groups, a block per metric, best first."""
    blocks = []
    for metric, inside in frame.groupby("metric", sort=False, observed=True):
        first = inside.iloc[0]
        distance = first["critical_difference"]
        about = (
            f"{names.metric(str(metric))} ({first['blocks']:.0f} groups; Friedman p "
            f"{_equal(names.probability(float(first['friedman_p'])))}; critical difference "
            f"{'n/a' if distance != distance else f'{distance:.2f}'}"
            f"{': more than ranks can differ by, so few groups show nothing' if distance >= len(inside) - 1 else ''})"
        )
        rows = [
            cells(names.value(row[design.compared]), f"{row['rank']:.2f}")
            for row in inside.sort_values("rank", kind="stable").to_dict("records")
        ]
        blocks.append(Block(about, rows))
    return Table([design.compared, "mean rank"], blocks)


def volumes(frame: pd.DataFrame, design: Design, axes: tuple[str, str] | None) -> Table:
    """Area that each method's front dominates, and what the joint front loses without it; a block per group and reference."""
    percent = axes is not None and all(map(names.is_percent, axes))
    unit = "test/ausuc" if percent else ""  # areas of two fractions are fractions, too
    blocks = []
    for key, inside in groups(frame, design):
        for reference, of in inside.groupby("reference", sort=False, observed=True):
            rows = [
                [
                    Cell(names.value(row[design.compared])),
                    Cell(str(int(row["n"]))),
                    _wide(row, "volume", unit),
                    _wide(row, "contribution", unit),
                ]
                for row in of.to_dict("records")
            ]
            blocks.append(
                Block(", ".join(part for part in (key, f"above {reference}") if part), rows)
            )
    return Table([design.compared, "n", "hypervolume", "contribution"], blocks)


def protocols(frame: pd.DataFrame, design: Design, metric: str) -> Table:
    """What each protocol's choice comes to on `metric`, and how far that is from the oracle's choice; a block per group."""
    frame = frame[frame["metric"] == metric]
    order = list(dict.fromkeys(frame["protocol"]))
    blocks = []
    for key, inside in groups(frame, design):
        rows = []
        for name, of in inside.groupby(design.compared, sort=False, observed=True, dropna=False):
            by = {str(row["protocol"]): row for row in of.to_dict("records")}
            rows.append(
                [
                    Cell(names.value(name)),
                    *(
                        Cell(names.number(by[one]["mean"], metric), _gap(by[one], metric))
                        if one in by
                        else Cell("n/a")
                        for one in order
                    ),
                ]
            )
        blocks.append(Block(key, rows))
    return Table([design.compared, *order], blocks)


def ablation(frame: pd.DataFrame, design: Design, metrics: Sequence[str]) -> Table:
    """The effect of each component on each metric, a block per group and kind."""
    there = [name for name in metrics if name in set(frame["metric"])]
    blocks = []
    for key, inside in groups(frame, design):
        for kind, of in inside.groupby("kind", sort=False, observed=True):
            rows = []
            for name, some in of.groupby("component", sort=False, observed=True):
                by = {str(row["metric"]): row for row in some.to_dict("records")}
                rows.append(
                    [
                        Cell(str(name)),
                        Cell(str(int(some["n"].max()))),
                        *(
                            _effect(by[metric], metric) if metric in by else Cell("n/a")
                            for metric in there
                        ),
                    ]
                )
            blocks.append(Block(", ".join(part for part in (key, str(kind)) if part), rows))
    return Table(["component", "n", *map(names.metric, there)], blocks)


def importance(frame: pd.DataFrame, design: Design) -> Table:
    """The share of each parameter, a column per evaluator; a block per compared value and objective."""
    evaluators = list(dict.fromkeys(frame["evaluator"]))
    blocks = []
    for (name, objective), inside in frame.groupby(
        [design.compared, "objective"], sort=False, observed=True, dropna=False
    ):
        shares = inside.pivot_table("importance", "parameter", "evaluator", sort=False)
        rows = [
            cells(
                str(parameter),
                *(f"{100 * share:.0f} %" if share == share else "n/a" for share in row),
            )
            for parameter, row in zip(
                shares.index, shares.reindex(columns=evaluators).to_numpy(), strict=True
            )
        ]
        points = int(inside["points"].max())
        blocks.append(
            Block(f"{names.value(name)}, {names.metric(str(objective))} ({points} points)", rows)
        )
    return Table(["parameter", *evaluators], blocks)


def costs(frame: pd.DataFrame, design: Design) -> Table:
    """What the points on the front of cost and gain cost: a block per group and cost, cheapest first."""
    blocks = []
    head = ""
    for key, inside in groups(frame[frame["front"]], design):
        for cost, of in inside.groupby("cost", sort=False, observed=True):
            head = str(of["metric"].iloc[0])
            rows = [
                [
                    Cell(names.value(row[design.compared])),
                    Cell(
                        f"{row['value']:.4g}",
                        names.bracket(row["value low"], row["value high"], str(cost)),
                    ),
                    Cell(
                        names.number(row["mean"], head),
                        names.bracket(row["low"], row["high"], head),
                    ),
                ]
                for row in of.sort_values("value", kind="stable").to_dict("records")
            ]
            blocks.append(
                Block(", ".join(part for part in (key, names.cost(str(cost))) if part), rows)
            )
    return Table([design.compared, "cost", names.metric(head)], blocks)


def failures(frame: pd.DataFrame, design: Design) -> Table:
    """Trials that gave no result, and why."""
    rows = [
        cells(
            title({str(key): of for key, of in row.items()}, design) or "-",
            names.value(row[design.compared]),
            str(row["status"]),
            str(int(row["trials"])),
            _text(row["reason"]),
        )
        for row in frame.to_dict("records")
    ]
    return Table(
        ["group", design.compared, "status", "trials", "reason"],
        [Block("", rows)] if rows else [],
        words=3,
        last_is_words=True,
    )


def provenance(given: Mapping[str, str]) -> Table:
    """What the results come from."""
    return Table(
        ["what", "is"],
        [Block("", [cells(name, of) for name, of in given.items()])] if given else [],
        words=2,
    )


def groups(frame: pd.DataFrame, design: Design) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each group, under its title, in order of appearance."""
    if not design.groups or frame.empty:
        return [("", frame)] if len(frame) else []
    return [
        (title(dict(zip(design.groups, key, strict=True)), design), inside)
        for key, inside in frame.groupby(
            list(design.groups), sort=False, observed=True, dropna=False
        )
    ]


def title(row: Mapping[str, Any], design: Design) -> str:
    """A row's group: `mnist-uci, 50 % missing, lenet_bn`."""
    return names.group({name: row[name] for name in design.groups})


def unreachable(of: pd.DataFrame) -> str:
    """What the rows of `effects` with the verdict `too few` cannot reach: `n = 5: p >= 0.0625`; empty: there are none."""
    few = of[of["verdict"] == "too few"]
    if few.empty:
        return ""
    row = few.sort_values("least_p", kind="stable").iloc[0]
    after = " before Holm" if row["least_p"] < REACHABLE else ""
    return f"n = {row['n']:.0f}: p >= {row['least_p']:.3g}{after}"


def _marked(
    entries: Sequence[Mapping[str, Any]],
    design: Design,
    metrics: Sequence[str],
    parameters: Mapping[str, str] | None,
) -> list[list[Cell]]:
    best = {metric: _highest(entries, metric) for metric in metrics if names.is_percent(metric)}
    rows = []
    for entry in entries:
        row = entry["row"]
        competes = row.get("role") != BOUND
        shown = [entry["cells"].get(metric, Cell("n/a")) for metric in metrics]
        marked = [
            Cell(cell.text, cell.rest, competes and cell.text == best.get(metric))
            for metric, cell in zip(metrics, shown, strict=True)
        ]
        rows.append(
            [
                Cell(names.value(row[design.compared])),
                Cell(str(int(entry["n"]))),
                *marked,
                *([] if parameters is None else [Cell(parameters.get(str(row["point"]), ""))]),
            ]
        )
    return rows


def _highest(entries: Sequence[Mapping[str, Any]], metric: str) -> str:
    competing = [
        entry["cells"][metric].text
        for entry in entries
        if metric in entry["cells"] and entry["row"].get("role") != BOUND
    ]
    return max((text for text in competing if text != "n/a"), key=float, default="")


def _mean(row: Mapping[Any, Any], usual: int) -> Cell:
    """`98.8 [98.1, 99.2]`; `n/a` for a metric that no repetition has, with its own n where that is not the row's."""
    if row["n"] == 0:
        return Cell("n/a")
    ends = names.bracket(row["low"], row["high"], row["metric"])
    return Cell(
        names.number(row["mean"], row["metric"]),
        ends if row["n"] == usual else f"{ends} (n={row['n']})",
    )


def _effect(row: Mapping[Any, Any], metric: str) -> Cell:
    """`+15.8 [12.0, 19.1] p=0.03`, strong where it is shown; without a p where too few repetitions have none to tell."""
    shown = "difference" if "difference" in row else "effect"
    if row[shown] != row[shown]:
        return Cell("n/a")
    told = (
        ""
        if row["verdict"] == "too few" or row["p_holm"] != row["p_holm"]
        else (f" p{_equal(names.probability(row['p_holm'])).replace(' ', '')}")
    )
    return Cell(
        names.number(row[shown], metric, sign=True),
        names.bracket(row["low"], row["high"], metric, sign=True) + told,
        row["verdict"] in _SHOWN,
    )


def _reach(of: pd.DataFrame) -> Cell:
    return Cell(unreachable(of))


def _gap(row: Mapping[Any, Any], metric: str) -> str:
    if row["gap"] != row["gap"] or row["protocol"] == selection.BEST:
        return names.bracket(row["low"], row["high"], metric)
    ends = names.bracket(row["gap low"], row["gap high"], metric, sign=True)
    return f"(gap {names.number(row['gap'], metric, sign=True)} {ends})"


def _wide(row: Mapping[Any, Any], column: str, unit: str) -> Cell:
    low, high = ("low", "high") if column == "volume" else (f"{column} low", f"{column} high")
    if row[column] != row[column]:
        return Cell("n/a")
    return Cell(names.number(row[column], unit), names.bracket(row[low], row[high], unit))


def _equal(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _text(given: Any) -> str:
    return "" if given is None or given != given else str(given)
