"""How well scores predicted the outcomes, in sentences; only what an interval shows is claimed."""

from __future__ import annotations

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.analysis.prediction import WITHIN
from htsweep.report import names, pairs
from htsweep.report.tables.scores import tau
from htsweep.report.words import listed, noun
from htsweep.words import count


def question(findings: Findings) -> str:
    """The question of a study of scores: how many pairs, of how many targets, by which scores."""
    table = findings.transferability
    scores = list(dict.fromkeys(map(str, table["score"])))
    return (
        f"Which of {count(table['pair'].nunique(), 'pair')} of source model and target data will "
        "transfer best, for "
        f"{count(table['target'].nunique(), 'target')}, by {count(len(scores), 'score')} "
        f"({listed(scores)})? "
        f"{count(findings.trials, 'trial')}, {count(findings.repetitions, 'repetition')} of each "
        "score."
    )


def answers(findings: Findings) -> list[str]:
    """Sentences on the correlations, the regret of the screen and the bounds.

    Without a table of correlations, there are also sentences on the best pairs.
    """
    sentences = [*_correlations(findings), *_screen(findings), *_bounds(findings.bounds)]
    return (
        sentences
        if len(findings.predictions) or findings.transferability.empty
        else [*_best(findings.transferability), *sentences]
    )


def _best(table: pd.DataFrame) -> list[str]:
    """`target uci: highest by logme lenet_bn (0.31), by leep resnet (-1.2)`."""
    called = pairs.called(table)
    sentences = []
    for target, inside in table.groupby("target", sort=False, observed=True):
        if inside["pair"].nunique() < 2:
            continue
        first = inside[inside["rank"] == 1].drop_duplicates("score")
        by = [
            f"by {row['score']} {called[str(row['pair'])]} ({names.number(row['value'], '')})"
            for row in first.to_dict("records")
        ]
        sentences.append(f"{target}: highest {listed(by)}.")
    return sentences


def _correlations(findings: Findings) -> list[str]:
    if findings.predictions.empty:
        return []
    table = pairs.view(findings.predictions)
    few = "pairs of the same target compared" if (table["target"] == WITHIN).any() else ""
    sentences = []
    for metric in pairs.judged_by(list(dict.fromkeys(table["metric"]))):
        inside = table[table["metric"] == metric]
        known = inside[inside["kendall low"].notna()]
        what = noun(metric)
        if known.empty:
            reason = (
                listed(list(dict.fromkeys(why for why in inside["why"] if why))) or "no interval"
            )
            sentences.append(f"Whether a score predicts {what} is not known: {reason}.")
            continue
        several = (
            known[findings.design.compared].nunique(dropna=False) > 1
            or known["score"].nunique() > 1
        )
        up, down = known[known["kendall low"] > 0], known[known["kendall high"] < 0]
        over = f"over {count(int(known['pairs'].max()), 'pair')}{f' ({few})' if few else ''}"
        if up.empty:
            every = (
                f"all {len(known)} intervals of Kendall's tau contain 0"
                if several
                else "the interval of Kendall's tau contains 0"
            )
            every = every if down.empty else "no interval of Kendall's tau lies above 0"
            sentences.append(
                f"No score is shown to predict {what} {over}: {every}{_wrong(down, findings)}."
            )
            continue
        best = up.sort_values("kendall", ascending=False, kind="stable").drop_duplicates(
            findings.design.compared
        )
        by = [_ranks(row, findings) for row in best.to_dict("records")]
        sentences.append(
            f"{up['score'].nunique()} of {count(known['score'].nunique(), 'score')} "
            f"{'is' if up['score'].nunique() == 1 else 'are'} shown to rank {what} {over}; the "
            "highest Kendall's tau: "
            f"{listed(by)}{_wrong(down, findings)}."
        )
    return sentences


def _ranks(row: dict[object, object], findings: Findings) -> str:
    """`logme of l2sp 0.62 [0.31, 0.83]`."""
    cell = tau(row)
    return (
        f"{row['score']} of {names.value(row[findings.design.compared])} {cell.text} {cell.detail}"
    )


def _wrong(down: pd.DataFrame, findings: Findings) -> str:
    """Which scores rank pairs in reverse order."""
    worst = down.sort_values("kendall", kind="stable").drop_duplicates("score").to_dict("records")
    return (
        f"; ranked in reverse: {listed([_ranks(row, findings) for row in worst])}" if worst else ""
    )


def _screen(findings: Findings) -> list[str]:
    """What the study's own screen dropped, and what that cost where it is known."""
    table = findings.transferability
    if table.empty or table["kept"].all():
        return []
    dropped = table[~table["kept"].astype(bool)]["pair"].nunique()
    beginning = f"The screen dropped {dropped} of {count(table['pair'].nunique(), 'pair')}"
    own = (
        findings.regret[findings.regret["chosen"].astype(bool)]
        if len(findings.regret)
        else findings.regret
    )
    if own.empty:
        return [
            f"{beginning}; what they would have given is not known: none of their trials has run."
        ]
    metric = pairs.judged_by(list(dict.fromkeys(own["metric"])))[0]
    own = own[own["metric"] == metric]
    known = own.drop_duplicates("target")
    worst = own.sort_values("regret", ascending=False, kind="stable").iloc[0]
    where = f" on {worst['target']}" if table["target"].nunique() > 1 else ""
    name = names.value(worst[findings.design.compared])
    most = (
        f"nothing: the best pair by {noun(metric)} was kept each time"
        if worst["regret"] <= 0
        else (
            f"at most {names.distance(worst['regret'], metric)} of {noun(metric)} ({name}{where})"
        )
    )
    return [
        f"{beginning}, of which {int(known['spared'].sum())} are known; that cost {most}, "
        f"on average {names.distance(own['regret'].mean(), metric)}, where drawing as many pairs "
        f"by chance costs {names.distance(own['random'].mean(), metric)}."
    ]


def _bounds(table: pd.DataFrame) -> list[str]:
    known = table.dropna(subset=["bound", "target_loss"]) if len(table) else table
    if known.empty:
        return []
    sentences = []
    for score, inside in known.groupby("score", sort=False, observed=True):
        holds = int((inside["bound"] >= inside["target_loss"]).sum())
        sentences.append(
            f"{score} {inside['bound'].mean():.3g} against {inside['target_loss'].mean():.3g} "
            f"(holds for {holds} of {count(len(inside), 'pair')})"
        )
    return [
        "The bound of Task Transfer Analysis against the loss it bounds, mean over pairs: "
        f"{listed(sentences)}."
    ]
