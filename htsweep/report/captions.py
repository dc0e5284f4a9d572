"""How to read each table: Markdown with `code` and **bold**."""

from __future__ import annotations

from collections.abc import Sequence

from htsweep import selection
from htsweep.analysis.interval import caution
from htsweep.planning.power import least_p, repetitions_needed
from htsweep.report import names
from htsweep.report.typeset import plain
from htsweep.report.words import count

ALPHA = 0.05
"""The p below which a difference counts as shown."""

EFFECTS = (
    "Paired differences to the baseline: mean [low, high], the 95 % interval (BCa bootstrap), "
    "pairs are the repetitions that both have; p is the exact sign-flip test's after Holm's "
    "correction over the rows of a block, one family per metric. **Bold**: shown, that is p < 0.05 "
    "and the interval leaves out 0. Where so few repetitions cannot reach p < 0.05, the last "
    "column says so and there is no p."
)
TOGETHER = (
    "Over all groups and repetitions: mean and interquartile mean (the middle half of all runs; "
    "Agarwal et al., NeurIPS 2021) with stratified bootstrap intervals. The difference to the "
    "baseline is paired: a pair is a repetition's mean over the groups, which share its class "
    "split and seeds; p after Holm's correction over a block."
)
RANKS = (
    "Mean rank over the groups, 1 is best, upper bounds aside. Two whose ranks differ by less than "
    "the critical difference (Nemenyi, 5 %) are not shown to differ, and where Friedman's p is "
    "above 0.05 none are (Demsar 2006)."
)
VOLUMES = (
    "Area between a front and its reference (the source model's accuracies, or the origin), "
    "accuracies in percent of their range: the mean over repetitions with 95 % interval. "
    "Contribution: what the joint front of all loses without it."
)
FRONTS = "Points on a front or chosen by the protocol: mean [low, high] over repetitions."
PROTOCOLS = (
    "the gap is what the oracle's choice, which looks at the test data, has more: mean [low, high] "
    "over repetitions. Without a gap, the bracket is the interval of the mean."
)
ABLATION = (
    "What each component changes: mean [low, high] over repetitions, + where it raises the metric. "
    "`left out`: the full configuration less the one without it; `alone`: it alone less nothing; "
    "`main effect` and `interaction`: over all combinations. p after Holm's correction over a "
    "block; **bold**: shown. No p: too few repetitions to show anything."
)
IMPORTANCE = (
    "The share of a parameter in what makes points differ on an objective. PED-ANOVA looks at what "
    "sets the best points apart, fANOVA at the variance over all of them; of few points neither is "
    "sure."
)
COSTS = (
    "The points on the front of cost and gain: nothing in the group is cheaper and better. Mean "
    "[low, high] over repetitions."
)
SCORES = (
    "What each score said of each pair of source model and target data before any training, mean "
    "over repetitions; higher predicts a better transfer. **Bold**: the highest of its target. "
    "Scores are in units of their own: compare inside a column, and inside a target."
)
PREDICTIONS = (
    "Kendall's tau-b of each score with what the protocol's choice then achieved, with its 95 % "
    "interval (percentile bootstrap over pairs): 1 is the same order of pairs, -1 the reverse, 0 "
    "no relation. With several targets, only pairs of the same target are compared, since scores "
    "of different targets need not be comparable. **Bold**: the interval leaves out 0; of many "
    "such numbers one in twenty does so by chance. Intervals take pairs as drawn independently, "
    "which pairs that share a source or a target are not, and an order without a fault has an "
    "interval of no width, however few the pairs. Pearson's r, the weighted tau, and all pairs "
    "pooled are in `predictions.csv`."
)
REGRET = (
    "What screening costs: the best pair's result less that of the best pair that is kept, with "
    "the 95 % interval over repetitions, and what as many pairs drawn by chance would cost. Only "
    "pairs whose result is known count."
)
BOUNDS = (
    "Task Transfer Analysis: source loss (re-weighted), label mismatch (conditional entropy) and "
    "distribution (Lipschitz constant times Wasserstein distance) bound the loss of a linear "
    "classifier on the target's test images; means over repetitions."
)
FAILURES = "Trials without a result, and why."
PROVENANCE = "What the results come from."


def summary(
    metrics: Sequence[str], protocol: str, repetitions: int, *, cautious: bool = True
) -> str:
    """How the numbers of the summary were found and what they can show; `cautious`: and how good their intervals are."""
    percent = [name for name in metrics if names.is_percent(name)]
    unit = "In percent; mean" if len(percent) == len(metrics) else "Mean"
    parts = [
        f"{unit} [low, high]: 95 % interval (BCa bootstrap) over {count(repetitions, 'repetition')}.",
        caution(repetitions) if cautious else "",
        f"Chosen by `{protocol}`: {selection.NAMES.get(protocol, 'a protocol of the study')}.",
        "**Bold**: the highest mean of a group, upper bounds aside." if percent else "",
    ]
    if repetitions < 2:
        parts.append("One repetition gives no interval.")
    if least_p(repetitions) >= ALPHA:
        parts.append(
            f"With {count(repetitions, 'repetition')} a paired sign-flip test cannot reach "
            f"p < {ALPHA:g}; that takes {repetitions_needed(ALPHA)}."
        )
    return " ".join(part for part in parts if part)


def protocols(metric: str) -> str:
    """The caption of the table of protocols, whose printed form shows `metric`."""
    unit = "in percent; " if names.is_percent(metric) else ""
    return f"What each protocol's choice comes to: {plain(names.metric(metric))}, {unit}{PROTOCOLS}"
