"""The question, and its answer per group in short sentences; only what is shown is claimed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from htsweep.analysis.design import is_bound
from htsweep.analysis.findings import Findings
from htsweep.planning.task import BOUND
from htsweep.report import answers_scores, names
from htsweep.report.captions import ALPHA
from htsweep.report.tables.cells import equal, unreachable
from htsweep.report.words import listed, noun
from htsweep.selection.fronts import non_dominated
from htsweep.words import count, plural


def question(findings: Findings) -> str:
    """The study's question: what is compared, in which groups, by what, over how many trials."""
    compared, summary = findings.design.compared, findings.summary
    if compared == "score" and len(findings.transferability):
        return answers_scores.question(findings)
    if summary.empty:
        return (
            f"{count(findings.trials, 'trial')}, and no point that has all its repetitions done: "
            "the report lists what failed and what has not run yet."
        )
    bound = is_bound(summary)
    values = list(dict.fromkeys(summary[~bound][compared]))
    groups = [name for name, _ in names.groups(summary, findings.design) if name]
    metrics = [names.metric(name) for name in findings.metrics]
    where = (
        f" in {count(len(groups), 'group')} ({listed(groups, '; ')})"
        if len(groups) > 1
        else (f" on {groups[0]}" if groups else "")
    )
    parts = [
        f"Which of {count(len(values), compared)} "
        f"({listed([names.value(value) for value in values])}) does best{where}, "
        f"by {listed(metrics)}?",
        f"{count(findings.trials, 'trial')}, {count(findings.repetitions, 'repetition')} of each "
        "point; configuration "
        f"and step chosen by {findings.protocol}.",
    ]
    bounds = [
        names.value(value)
        for value in dict.fromkeys(summary[bound][compared])
        if value not in values
    ]
    if bounds:
        parts.append(f"{listed(bounds)} is an upper bound.")
    if not findings.effects.empty:
        parts.append(f"Differences are to {names.value(findings.baseline)}, paired by repetition.")
    return " ".join(parts)


def answers(findings: Findings) -> list[str]:
    """A paragraph per group, in the summary's order: which value is highest, and by how much.

    It also says what is shown, and which values are on the front. Upper bounds take no part.
    `shown` and `not shown` are the verdicts of `findings.effects`; without a test, a value is only
    said to be highest. No rows give nothing. Sentences on scores come first.
    """
    made = []
    for title, inside in names.groups(findings.summary, findings.design):
        competing = inside[(inside["n"] > 0) & ~is_bound(inside)]
        compared_metrics = [name for name in findings.metrics if name in set(competing["metric"])]
        if not compared_metrics:
            continue
        headline = names.headline(compared_metrics)
        key = inside.iloc[0]
        parts = [
            _winner(competing[competing["metric"] == headline], headline, findings, key),
            _runner_up(_of_group(findings.runners_up, findings, key), headline, findings),
            _verdicts(_of_group(findings.effects, findings, key), headline, findings),
            _others(
                competing,
                [name for name in compared_metrics if name != headline],
                findings.design.compared,
            ),
            _front(_of_group(findings.points, findings, key), findings),
        ]
        # The first begins with a name, which keeps its letters; the others with a word.
        sentences = [parts[0], *(part[0].upper() + part[1:] for part in parts[1:] if part)]
        made.append(f"{title}: " * bool(title) + ". ".join(sentences) + ".")
    # The sentences on scores are few, and would be lost after those of dozens of pairs.
    return [*answers_scores.answers(findings), *made]


def _winner(competing: pd.DataFrame, metric: str, findings: Findings, key: pd.Series) -> str:
    """`l2sp has the highest overall accuracy, 66.4 % [64.9, 68.0], 15.8 points above plain ...`."""
    compared = findings.design.compared
    order = competing.sort_values("mean", ascending=False, kind="stable")
    best = order.iloc[0]
    ends = names.bracket(best["low"], best["high"], metric)
    text = (
        f"{names.value(best[compared])} has the highest {noun(metric)}, "
        f"{names.amount(best['mean'], metric)}"
    )
    text += (
        f" {ends}"
        if ends != "[n/a]"
        else f" ({'one repetition' if best['n'] == 1 else 'not finite'}: no interval)"
    )
    ties = int((order["mean"].round(12) == round(float(best["mean"]), 12)).sum()) - 1
    text += f", tied with {count(ties, 'other')}" if ties else ""
    effects = _of_group(findings.effects, findings, key)
    if effects.empty or str(best[compared]) == findings.baseline:
        return text
    effects = effects[effects["metric"] == metric]
    mine = effects[effects[compared].astype(str) == str(best[compared])]
    if mine.empty:
        return text
    row, family = (
        mine.iloc[0],
        int((effects["p_holm"].notna() & (effects["verdict"] != BOUND)).sum()),
    )
    side = "above" if row["difference"] >= 0 else "below"
    text += f", {names.distance(row['difference'], metric)} {side} {names.value(findings.baseline)}"
    if row["verdict"] == "too few":
        return text  # `_verdicts` says once for all what cannot be shown
    p = names.probability(row["p_holm"])
    over = (
        f" after Holm's correction over {family} {plural(compared, family)}" if family > 1 else ""
    )
    shown = "shown" if row["verdict"] in ("better", "worse") else "not shown"
    return f"{text} (p {equal(p)}{over}: {shown})"


def _runner_up(runners_up: pd.DataFrame, metric: str, findings: Findings) -> str:
    """`0.9 points above the runner-up, plain (p = 0.12 ...: not shown)`; empty for the baseline.

    The baseline as the runner-up is what the winner is compared with anyway.
    """
    mine = runners_up[runners_up["metric"] == metric] if len(runners_up) else runners_up
    if mine.empty:
        return ""
    row, compared = mine.iloc[0], findings.design.compared
    second = names.value(row[compared])
    if second == names.value(findings.baseline) or pd.isna(row["difference"]):
        return ""
    text = f"it is {names.distance(-row['difference'], metric)} above the runner-up, {second}"
    if row["verdict"] == "too few":
        return text
    p = names.probability(row["p_holm"])
    shown = "shown" if row["verdict"] in ("better", "worse") else "not shown"
    return f"{text} (p {equal(p)} after Holm's correction over the winner's rivals: {shown})"


def _verdicts(effects: pd.DataFrame, metric: str, findings: Findings) -> str:
    """Which values are shown to be better or worse than the baseline, or why none can be."""
    if len(effects):
        effects = effects[(effects["metric"] == metric) & (effects["verdict"] != BOUND)]
    if effects.empty:
        return ""
    compared, baseline = findings.design.compared, names.value(findings.baseline)
    few = unreachable(effects)
    by = {
        verdict: [names.value(value) for value in effects[effects["verdict"] == verdict][compared]]
        for verdict in ("better", "worse")
    }
    if few and not any(by.values()):
        family = int(effects["p_holm"].notna().sum())
        over = (
            f" after Holm's correction over {family} {plural(compared, family)}"
            if few.endswith("Holm")
            else ""
        )
        return (
            f"no difference to {baseline} can be shown: "
            f"{count(int(effects['n'].max()), 'repetition')} cannot reach "
            f"p < {ALPHA:g}{over} ({few})"
        )
    # Only for accuracies is it known that higher is better.
    words = ("better", "worse") if names.is_percent(metric) else ("higher", "lower")
    lists = [
        f"shown to be {word} than {baseline}: {listed(by[verdict])}"
        for word, verdict in zip(words, ("better", "worse"), strict=True)
        if by[verdict]
    ]
    if not by["better"]:
        lists.insert(0, f"no {compared} is shown to be {words[0]} than {baseline}")
    return "; ".join(lists)


def _others(competing: pd.DataFrame, metrics: Sequence[str], compared: str) -> str:
    """`highest seen: plain (99.3 %); highest missing: source (52.3 %)`."""
    parts = []
    for metric in metrics:
        of = competing[competing["metric"] == metric]
        best = of.sort_values("mean", ascending=False, kind="stable").iloc[0]
        parts.append(
            f"{names.metric(metric)}: {names.value(best[compared])} "
            f"({names.amount(best['mean'], metric)})"
        )
    return f"highest on the other metrics: {', '.join(parts)}" if parts else ""


def _front(points: pd.DataFrame, findings: Findings) -> str:
    """`3 of 7 methods are on the front of what last chose: plain, l2sp, source`.

    The other sentences speak of the chosen points, and so does this. Where all configurations
    together have other methods on their front, it says that too.
    """
    if points.empty:
        return ""
    points = points[points["role"] != BOUND]
    compared = findings.design.compared
    total = points[compared].nunique(dropna=False)
    every = _methods(points[points["front"].astype(bool)], compared)
    chosen = points[points["chosen"].astype(bool)] if "chosen" in points else points
    if findings.axes is None or len(chosen) == len(points) or chosen.empty:
        return _on_the_front(every, total, compared)
    x, y = findings.axes
    flags = non_dominated(chosen[x], chosen[y])
    own = _methods(chosen[flags], compared)
    text = _on_the_front(own, total, compared, f" of what {findings.protocol} chose")
    if set(own) == set(every):
        return text
    return (
        f"{text}; of all {count(len(points), 'configuration')}: "
        f"{listed(every) if every else 'none'}"
    )


def _on_the_front(on: Sequence[str], total: int, compared: str, of: str = "") -> str:
    if not on:
        return ""
    verb = "is" if len(on) == 1 else "are"
    return f"{len(on)} of {count(total, compared)} {verb} on the front{of}: {listed(on)}"


def _methods(points: pd.DataFrame, compared: str) -> list[str]:
    return [names.value(value) for value in dict.fromkeys(points[compared])]


def _of_group(frame: pd.DataFrame, findings: Findings, key: pd.Series) -> pd.DataFrame:
    """The rows of the same group as the row `key`."""
    if frame.empty:
        return frame
    same = pd.Series(True, index=frame.index)
    for name in findings.design.groups:
        same &= frame[name].isna() if pd.isna(key[name]) else frame[name] == key[name]
    return frame[same]
