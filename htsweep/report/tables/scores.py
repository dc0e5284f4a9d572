"""Tables of scores of pairs, how well they predicted, what screening costs, and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from htsweep.analysis import correlation
from htsweep.analysis.findings import Findings
from htsweep.analysis.prediction import POOLED
from htsweep.report import captions, names, pairs
from htsweep.report.key import Key
from htsweep.report.table import Cell, Column, Row, Table
from htsweep.report.tables import cells

MANY = 2000
"""With more predictions than this, those of single targets are only in the CSV."""
_TAUS = {"kendall": "Kendall's τ", "weighted_kendall": "weighted τ", "pearson": "Pearson's r"}
_TERMS = {
    "reweighted_source_loss": "source loss",
    "conditional_entropy": "label mismatch",
    "lipschitz": "Lipschitz constant",
    "wasserstein": "Wasserstein distance",
    "distribution": "distribution",
    "bound": "bound",
    "tighter_bound": "tighter",
    "target_loss": "target loss",
    "target_accuracy": "target accuracy",
}
_FACTORS_OF_A_TERM = ("lipschitz", "wasserstein")
"""Their product is `distribution`; paper has room only for that."""


def scores(findings: Findings, key: Key) -> Table:
    """The mean of each score for each pair, and whether the screen kept it: a block per target."""
    frame = findings.transferability
    if frame.empty:
        return Table("Scores", captions.SCORES, [], [])
    called, every = pairs.called(frame), list(dict.fromkeys(frame["score"]))
    dropped, several = not frame["kept"].all(), frame["target"].nunique() > 1
    of_pair = dict(list(frame.groupby("pair", sort=False, observed=True)))
    rows = []
    for record, group, _ in cells.records(frame.drop_duplicates("pair"), key):
        said = of_pair[record["pair"]]
        by_score = {row["score"]: row for row, _, _ in cells.records(said, key)}
        target = str(record["target"])
        rows.append(
            Row(
                [
                    Cell(called[str(record["pair"])]),
                    *([Cell(target)] if several else []),
                    *([Cell("kept" if said["kept"].all() else "dropped")] if dropped else []),
                    *(_score(by_score.get(name)) for name in every),
                ],
                f"target {target}" if several else "",
                group=group,
            )
        )
    columns = [
        Column("pair"),
        *([Column("target", only="page")] if several else []),
        *([Column("screen")] if dropped else []),
        *(Column(str(name), right=True) for name in every),
    ]
    return Table("Scores", captions.SCORES, columns, rows)


def predictions(findings: Findings, key: Key) -> Table:
    """Each score's correlations with what trials achieved.

    On paper only Kendall's tau, with a column per metric, for the rows that summarise all pairs.
    """
    frame = findings.predictions
    if frame.empty:
        return Table("Predictions", captions.PREDICTIONS, [], [])
    view = pairs.view(frame)
    first = pd.concat([view, frame[frame["target"] == POOLED]])
    shown = (first if len(frame) > MANY else pd.concat([first, frame])).drop_duplicates(
        ["score", key.design.compared, "metric", "target"]
    )
    several, lacking = shown["target"].nunique() > 1, bool(shown["why"].any())
    printed = set(view["target"])
    rows = []
    for record, _, method in cells.records(shown, key):
        metric, name = str(record["metric"]), names.value(record[key.design.compared])
        rows.append(
            Row(
                [
                    Cell(str(record["score"])),
                    Cell(name),
                    cells.metric(metric),
                    *([Cell(pairs.target(str(record["target"])))] if several else []),
                    cells.count(record["pairs"]),
                    *(tau(record, statistic) for statistic in _TAUS),
                    *([Cell(str(record["why"]))] if lacking else []),
                ],
                name,
                name=str(record["score"]),
                beside=metric,
                kind=cells.metric_title(metric),
                method=method,
                page_only=record["target"] not in printed,
            )
        )
    assert set(_TAUS) == set(correlation.NAMES)
    columns = [
        Column("score"),
        Column(key.design.compared, only="page"),
        Column("metric", only="page"),
        *([Column("pairs of", only="page")] if several else []),
        Column("pairs", right=True),
        *(
            Column(title, right=True, only="" if kendall else "page", beside=kendall)
            for title, kendall in ((title, name == "kendall") for name, title in _TAUS.items())
        ),
        *([Column("why none", only="page")] if lacking else []),
    ]
    beside = cells.beside(findings, view)
    return Table(
        "Predictions",
        captions.PREDICTIONS,
        columns,
        rows,
        "metric",
        cells.first_kind(shown),
        beside=beside,
    )


def regret(findings: Findings, key: Key) -> Table:
    """What the study's screen costs by each score; without one, what keeping one pair costs."""
    frame, compared = findings.regret, key.design.compared
    if frame.empty:
        return Table("Regret of screening", captions.REGRET, [], [])
    screened = pairs.screened(frame)
    own = bool(screened["chosen"].any())
    metrics = pairs.judged_by(list(dict.fromkeys(screened["metric"])))
    printed = set(metrics if own else metrics[:1])
    if own:  # add what other scores would have kept instead
        place = ["target", compared, "metric", "keep"]
        screened = frame.merge(screened[place].drop_duplicates(), on=place)
    several = screened["target"].nunique() > 1
    rows = []
    for record, _, method in cells.records(screened, key):
        metric, chosen = str(record["metric"]), bool(record["chosen"])
        unknown = record["of"] - record["pairs"]
        kept = f"{record['pairs'] - record['spared']} of {record['pairs']}"
        mark = "the study's screen" if chosen else ""
        rows.append(
            Row(
                [
                    Cell(str(record["score"]), detail=mark, paper=""),
                    *([Cell(str(record["target"]))] if several else []),
                    Cell(names.value(record[compared])),
                    cells.metric(metric),
                    Cell(kept, detail=f"{unknown} not known" if unknown else "", paper=""),
                    cells.number(record["best"], metric),
                    cells.number(record["kept_best"], metric),
                    cells.estimate(record, metric, "regret"),
                    cells.number(record["random"], metric),
                ],
                names.metric(metric),
                kind=cells.metric_title(metric),
                method=method,
                page_only=metric not in printed or (own and not chosen),
            )
        )
    columns = [
        Column("score"),
        *([Column("target")] if several else []),
        Column(compared),
        Column("metric", only="page"),
        Column("kept"),
        *(Column(title, right=True) for title in ("best", "best kept", "regret", "by chance")),
    ]
    return Table(
        "Regret of screening", captions.REGRET, columns, rows, "metric", cells.first_kind(screened)
    )


def bounds(findings: Findings, key: Key) -> Table:
    """The terms of each bound, with the target's loss and accuracy: on paper, a block per score."""
    frame = findings.bounds
    if frame.empty:
        return Table("Bounds", captions.BOUNDS, [], [])
    called, several = pairs.called(frame), frame["target"].nunique() > 1
    rows = []
    for record, group, method in cells.records(frame, key):
        terms = [cells.number(record[name], name) for name in _TERMS]
        score = Cell(str(record["score"]))
        if record["target_loss"] > record["bound"]:
            score = Cell(score.text, detail="does not hold")
        rows.append(
            Row(
                [
                    Cell(called[str(record["pair"])]),
                    *([Cell(str(record["target"]))] if several else []),
                    score,
                    cells.count(record["n"]),
                    *terms,
                ],
                str(record["score"]),
                group=group,
                method=method,
            )
        )
    columns = [
        Column("pair"),
        *([Column("target", only="page")] if several else []),
        Column("score", only="page"),
        Column("n", right=True, only="page"),
        *(
            Column(
                f"{title} {cells.unit(name)}".strip(),
                right=True,
                only="page" if name in _FACTORS_OF_A_TERM else "",
            )
            for name, title in _TERMS.items()
        ),
    ]
    return Table("Bounds", captions.BOUNDS, columns, rows)


def tau(record: Mapping[Any, Any], statistic: str = "kendall") -> Cell:
    """`0.62 [0.31, 0.83]`, strong if the interval does not contain 0."""
    value, low, high = (record[f"{statistic}{end}"] for end in ("", " low", " high"))
    if value != value:
        return Cell("n/a", float("nan"))
    interval = f"[{low:.2f}, {high:.2f}]" if low == low else "[n/a]"
    return Cell(f"{value:.2f}", float(value), interval, bool(low > 0 or high < 0))


def _score(record: cells.Record | None) -> Cell:
    """A score's mean, strong for the pair that it ranks first; without the interval on paper."""
    if record is None or record["value"] != record["value"]:
        return Cell("n/a", float("nan"))
    cell = cells.estimate(record, "", "value")
    return Cell(cell.text, cell.value, cell.detail, record["rank"] == 1, paper="")
