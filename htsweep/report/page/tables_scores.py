"""The tables of a page on scores: what they said, how it went with what came, what screening costs, what bounds consist of."""

from __future__ import annotations

from typing import Any

import pandas as pd

from htsweep.analysis import correlation
from htsweep.analysis.findings import Findings
from htsweep.analysis.prediction import POOLED
from htsweep.report import names, pairs
from htsweep.report.page.key import Key
from htsweep.report.page.markup import ROWS, Cell, Row, table
from htsweep.report.tables_scores import tau

_TAUS = {"kendall": "Kendall's τ", "weighted_kendall": "weighted τ", "pearson": "Pearson's r"}


def scores(findings: Findings, key: Key) -> str:
    """Every pair with the mean of each score, and whether the screen kept it."""
    found = findings.transferability
    if found.empty:
        return ""
    called, every = pairs.called(found), list(dict.fromkeys(found["score"]))
    dropped, several = not found["kept"].all(), found["target"].nunique() > 1
    rows = []
    first = found.drop_duplicates("pair")
    for pair, target, group in zip(
        first["pair"], first["target"], key.group_of(first), strict=True
    ):
        of = found[found["pair"] == pair]
        by = {row["score"]: row for row in of.to_dict("records")}
        state = (
            [Cell("kept" if of["kept"].all() else "dropped", strong=not of["kept"].all())]
            if dropped
            else []
        )
        rows.append(
            Row(
                [
                    Cell(called[str(pair)]),
                    *([Cell(str(target))] if several else []),
                    *state,
                    *(_score(by.get(name)) for name in every),
                ],
                group,
            )
        )
    head = [
        "pair",
        *(["target"] if several else []),
        *(["screen"] if dropped else []),
        *map(str, every),
    ]
    return table(
        "What each score said of each pair: mean [95 % interval]; higher predicts a better "
        "transfer; bold: the highest "
        "of its target. Compare inside a column, and inside a target",
        head,
        rows,
    )


def predictions(findings: Findings, key: Key) -> str:
    """Each score's correlations with what trials achieved; of too many rows, those of single targets are left out."""
    found = findings.predictions
    if found.empty:
        return ""
    first = pd.concat([pairs.view(found), found[found["target"] == POOLED]])
    found = (first if len(found) > ROWS else pd.concat([first, found])).drop_duplicates(
        ["score", key.design.compared, "metric", "target"]
    )
    several, lacking = found["target"].nunique() > 1, bool(found["why"].any())
    rows = []
    for record, method in zip(found.to_dict("records"), key.method_of(found), strict=True):
        title = _title(str(record["metric"]))
        told = [
            Cell(str(record["score"])),
            Cell(names.value(record[key.design.compared])),
            Cell(title),
        ]
        rows.append(
            Row(
                [
                    *told,
                    *([Cell(pairs.target(str(record["target"])))] if several else []),
                    Cell(str(record["pairs"]), float(record["pairs"])),
                    *(_tau(record, name) for name in _TAUS),
                    *([Cell(str(record["why"]))] if lacking else []),
                ],
                -1,
                method,
                title,
            )
        )
    assert set(_TAUS) == set(correlation.NAMES)
    head = [
        "score",
        key.design.compared,
        "metric",
        *(["pairs of"] if several else []),
        "pairs",
        *_TAUS.values(),
        *(["why none"] if lacking else []),
    ]
    return table(
        "How well each score ranks what the pairs then achieved: 1 in the same order, -1 in the "
        "reverse, 0 no relation "
        "[95 % interval over pairs]; bold: the interval leaves out 0",
        head,
        rows,
        "metric",
    )


def regret(findings: Findings, key: Key) -> str:
    """What the study's screen would have cost by each score; without a screen, keeping the best pair alone."""
    found = pairs.screened(findings.regret) if len(findings.regret) else findings.regret
    if found.empty:
        return ""
    own = bool(found["chosen"].any())
    if own:  # what other scores would have done in its place
        place = ["target", key.design.compared, "metric", "keep"]
        found = findings.regret.merge(found[place].drop_duplicates(), on=place)
    rows = []
    for record, method in zip(found.to_dict("records"), key.method_of(found), strict=True):
        metric, title = str(record["metric"]), _title(str(record["metric"]))
        rows.append(
            Row(
                [
                    Cell(
                        str(record["score"]),
                        small="the study's screen" if record["chosen"] else "",
                        strong=bool(record["chosen"]),
                    ),
                    Cell(str(record["target"])),
                    Cell(names.value(record[key.design.compared])),
                    Cell(title),
                    Cell(
                        f"{record['pairs'] - record['spared']} of {record['pairs']}",
                        small=""
                        if record["pairs"] == record["of"]
                        else f"{record['of'] - record['pairs']} not known",
                    ),
                    Cell(names.number(record["best"], metric), float(record["best"])),
                    Cell(names.number(record["kept_best"], metric), float(record["kept_best"])),
                    Cell(
                        names.number(record["regret"], metric),
                        float(record["regret"]),
                        names.bracket(record["low"], record["high"], metric),
                    ),
                    Cell(names.number(record["random"], metric), float(record["random"])),
                ],
                -1,
                method,
                title,
            )
        )
    head = [
        "score",
        "target",
        key.design.compared,
        "metric",
        "kept",
        "best",
        "best kept",
        "regret",
        "by chance",
    ]
    what = "as many as the study's screen kept" if own else "the best pair of each score alone"
    return table(
        f"What keeping {what} costs: the best pair's result less that of the best that is kept [95 "
        "% interval over "
        "repetitions], and what as many drawn by chance would cost",
        head,
        rows,
        "metric",
    )


def bounds(findings: Findings, key: Key) -> str:
    """The terms of each bound, and the loss that it bounds."""
    found = findings.bounds
    if found.empty:
        return ""
    called, several = pairs.called(found), found["target"].nunique() > 1
    columns = {
        "reweighted_source_loss": "source loss",
        "conditional_entropy": "label mismatch",
        "lipschitz": "Lipschitz constant",
        "wasserstein": "Wasserstein distance",
        "distribution": "distribution mismatch",
        "bound": "bound",
        "tighter_bound": "tighter bound",
        "target_loss": "target loss",
        "target_accuracy": "target accuracy (%)",
    }
    rows = []
    for record, group, method in zip(
        found.to_dict("records"), key.group_of(found), key.method_of(found), strict=True
    ):
        held = record["target_loss"] > record["bound"]
        rows.append(
            Row(
                [
                    Cell(called[str(record["pair"])]),
                    *([Cell(str(record["target"]))] if several else []),
                    Cell(str(record["score"]), small="does not hold" if held else ""),
                    Cell(str(record["n"]), float(record["n"])),
                    *(_number(record[name], name) for name in columns),
                ],
                group,
                method,
            )
        )
    head = ["pair", *(["target"] if several else []), "score", "n", *columns.values()]
    return table(
        "Terms of each bound and the loss that it bounds, on test images, means over repetitions",
        head,
        rows,
    )


def _score(row: Any) -> Cell:
    if row is None or row["value"] != row["value"]:
        return Cell("n/a", float("nan"))
    return Cell(
        names.number(row["value"], ""),
        float(row["value"]),
        names.bracket(row["low"], row["high"], ""),
        row["rank"] == 1,
    )


def _tau(record: Any, statistic: str) -> Cell:
    cell = tau(record, statistic)
    return Cell(cell.text, float(record[statistic]), cell.rest, cell.strong)


def _number(given: float, name: str) -> Cell:
    return Cell("n/a" if given != given else names.number(given, name), float(given))


def _title(metric: str) -> str:
    return f"{names.metric(metric)} (%)" if names.is_percent(metric) else names.metric(metric)
