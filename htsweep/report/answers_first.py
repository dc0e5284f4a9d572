"""The answer in a few words: who wins, by how much, how sure, and what it costs missing classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.analysis.design import is_bound, is_source
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.analysis.pooled import REPETITION
from htsweep.planning.task import BOUND
from htsweep.report import names
from htsweep.report.tables.cells import equal
from htsweep.report.words import listed, noun
from htsweep.words import count

SHOWN = ("better", "worse")


@final
@dataclass(frozen=True)
class _Over:
    """The means of the competitors over all groups in which they are, and their tests."""

    groups: int
    means: Mapping[str, Mapping[str, float]]
    """Metric -> compared value -> mean, of the values that are in every group."""
    tests: pd.DataFrame
    """Against the baseline: of the one group, or pooled over all."""
    rivals: pd.DataFrame
    """Against the winner; only of a single group."""
    source: Mapping[str, float]
    """Metric -> mean of the source model."""


def first(findings: Findings) -> str:
    """The answer to the study's question, in two or three sentences; "" if there is none.

    It speaks of what the protocol chose, over all groups: means of values that every group has, and
    the test that pools them. A difference is only claimed where that test shows it.
    """
    if findings.summary.empty or findings.design.compared == "score":
        return ""
    over = _over(findings)
    metric = names.headline([name for name in findings.metrics if name in over.means])
    ranked = sorted(over.means.get(metric, {}).items(), key=lambda pair: -pair[1])
    if not ranked:
        return ""
    winner, baseline = ranked[0][0], names.value(findings.baseline)
    second = next((name for name, _ in ranked[1:]), "")
    sentences = [
        _won(over, findings, metric, ranked)
        if winner != baseline
        else _unbeaten(over, findings, metric, ranked)
    ]
    beside = baseline if winner != baseline and baseline in dict(ranked) else second
    sentences.append(_costs(over, winner, beside))
    return " ".join(filter(None, sentences))


def _won(over: _Over, findings: Findings, metric: str, ranked: list[tuple[str, float]]) -> str:
    """`l2sp is best in overall accuracy, 66.4 %: 15.8 points above plain (p = 0.03)`."""
    compared, baseline = findings.design.compared, names.value(findings.baseline)
    (winner, mean), where = ranked[0], _where(over)
    tests = over.tests[over.tests["metric"] == metric] if len(over.tests) else over.tests
    mine = tests[tests[compared].map(names.value) == winner] if len(tests) else tests
    reached = f"{noun(metric)}{where}, {names.amount(mean, metric)}"
    if mine.empty or pd.isna(mine["difference"].iloc[0]):
        return f"{winner} has the highest {reached}.{_runner_up(over, metric, ranked, baseline)}"
    row = mine.iloc[0]
    side = "above" if row["difference"] >= 0 else "below"
    apart = _apart(row["difference"], metric, side)
    gap = f"{apart} {baseline}" if apart else f"as high as {baseline}"
    runner = _runner_up(over, metric, ranked, baseline)
    if row["verdict"] == "better":
        p = names.probability(row["p_holm"])
        best = "is best in" if names.is_percent(metric) else "is highest in"
        return f"{winner} {best} {reached}: {gap} (p {equal(p)}{_unit(row)}).{runner}"
    shown = _shown(tests, compared)
    head = (
        f"No {compared} is shown to be better than {baseline}"
        if not shown
        else f"Shown to be better than {baseline}: {listed(shown)}"
    )
    sure = (
        f"{count(int(row['n']), str(row.get('unit', REPETITION)))} are too few to show it"
        if row["verdict"] == "too few"
        else f"p {equal(names.probability(row['p_holm']))}{_unit(row)}, not shown"
    )
    return f"{head}. {winner} has the highest {reached}: {gap} ({sure}).{runner}"


def _apart(difference: float, metric: str, side: str) -> str:
    """`2.1 points below`; "" if nothing is left of it in the digits that are shown."""
    distance = names.distance(difference, metric)
    return "" if distance == names.distance(0.0, metric) else f"{distance} {side}"


def _unit(row: pd.Series) -> str:
    """` over 10 independent blocks`, such as targets, where they are what is counted."""
    counted = row.get("unit", REPETITION) != REPETITION
    return f" over {count(int(row['n']), 'independent block')}" if counted else ""


def _unbeaten(over: _Over, findings: Findings, metric: str, ranked: list[tuple[str, float]]) -> str:
    (winner, mean), compared = ranked[0], findings.design.compared
    text = (
        f"No {compared} is above {winner}, the baseline, which has the highest "
        f"{noun(metric)}{_where(over)}, {names.amount(mean, metric)}"
    )
    if len(ranked) > 1:
        name, other = ranked[1]
        text += f"; next is {name}, {_apart(mean - other, metric, 'below') or 'as high'}"
    return f"{text}."


def _runner_up(over: _Over, metric: str, ranked: list[tuple[str, float]], baseline: str) -> str:
    """` The runner-up, lwf, is 2.1 points behind (p = 0.2, not shown).`; "" for the baseline."""
    if len(ranked) < 2 or ranked[1][0] == baseline:
        return ""
    name, mean = ranked[1]
    text = (
        f" The runner-up, {name}, is {_apart(ranked[0][1] - mean, metric, 'behind') or 'as high'}"
    )
    rows = over.rivals[over.rivals["metric"] == metric] if len(over.rivals) else over.rivals
    if len(rows) and rows.iloc[0]["verdict"] in (*SHOWN, "not shown"):
        p = names.probability(rows.iloc[0]["p_holm"])
        text += f" (p {equal(p)}{'' if rows.iloc[0]['verdict'] in SHOWN else ', not shown'})"
    return f"{text}."


def _costs(over: _Over, winner: str, beside: str) -> str:
    """`On the missing classes l2sp keeps 35.0 % where plain keeps 1.2 %; ...`."""
    if MISSING not in over.means or SEEN not in over.means:
        return ""
    missing, seen = over.means[MISSING], over.means[SEEN]
    if winner not in missing or winner not in seen:
        return ""
    text = f"On the missing classes {winner} keeps {names.amount(missing[winner], MISSING)}"
    text += (
        f" where {beside} keeps {names.amount(missing[beside], MISSING)}"
        if beside in missing
        else ""
    )
    if MISSING in over.source:
        text += f" (the source model had {names.amount(over.source[MISSING], MISSING)})"
    text += f"; on the seen classes it reaches {names.amount(seen[winner], SEEN)}"
    text += f" and {beside} {names.amount(seen[beside], SEEN)}" if beside in seen else ""
    return f"{text}."


def _over(findings: Findings) -> _Over:
    compared = findings.design.compared
    summary = findings.summary[findings.summary["n"] > 0]
    competing = summary[~is_bound(summary)]
    groups = len(names.groups(competing, findings.design))
    means: dict[str, dict[str, float]] = {}
    source: dict[str, float] = {}
    for metric, rows in competing.groupby("metric", sort=False, observed=True):
        for value, own in rows.groupby(compared, sort=False, observed=True, dropna=False):
            if len(own) != groups:  # not in every group, or twice in one: no mean to compare
                continue
            means.setdefault(str(metric), {})[names.value(value)] = float(own["mean"].mean())
            if is_source(own).all():
                source[str(metric)] = float(own["mean"].mean())
    single = groups == 1
    tests = findings.effects if single else findings.pooled
    tests = tests[tests["verdict"] != BOUND] if len(tests) else tests
    return _Over(groups, means, tests, findings.runners_up if single else pd.DataFrame(), source)


def _where(over: _Over) -> str:
    return f" over {over.groups} groups" if over.groups > 1 else ""


def _shown(tests: pd.DataFrame, compared: str) -> list[str]:
    return [names.value(value) for value in tests[tests["verdict"] == "better"][compared]]
