"""What a study's measurements say, as tables that a report only has to draw.

Columns of all tables: the group's factors (`design.groups`) and the compared factor
(`design.compared`, usually `method`) have their own names; `low` and `high` are the ends of a 95 %
interval (NaN where one repetition gives none); a metric is named by its column
(`test/seen_accuracy`); accuracies are fractions in [0, 1]. In wide tables a metric M has the
columns M, `M low` and `M high`. A table without rows says that there is nothing to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import pandas as pd

from htsweep.analysis.design import Design


def _none() -> pd.DataFrame:
    return pd.DataFrame()


@final
@dataclass(frozen=True)
class Findings:
    """The tables of a report; each is described by the function that makes it."""

    title: str
    design: Design
    axes: tuple[str, str] | None
    """The metrics on the frontier's axes; None: fewer than two are measured."""
    metrics: Sequence[str]
    """The metrics that are summarised."""
    protocol: str
    repetitions: int
    baseline: str
    """The value of the compared factor that the others are compared with."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What values of factors are called in tables and figures; the tables here have the values."""
    trials: int = 0
    parameters: Sequence[str] = ()
    """The searched parameters: columns of `points`."""
    summary: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, point, step, metric, n, mean, low, high, iqm, role: the protocol's
    choice of each sweep.
    """
    effects: pd.DataFrame = field(default_factory=_none)
    """groups, compared, metric, baseline, n, difference, low, high, improvement, p, p_holm,
    least_p, verdict, wilcoxon, p_new_images, new_images (the test: `crossed`, `resampled` or
    empty); verdict: `better`, `worse`, `not shown`, `too few`
    repetitions to show anything, `bound` (takes no part).
    """
    pooled: pd.DataFrame = field(default_factory=_none)
    """compared, metric, baseline, groups, unit, n, difference, ... as in `effects`, over all
    groups: a pair is a block's mean (unit `block`) where there are six blocks, else a repetition's
    mean over the groups (`repetition`); empty where there is one group.
    """
    aggregate: pd.DataFrame = field(default_factory=_none)
    """compared, metric, groups, n, mean, mean low, mean high, iqm, iqm low, iqm high: over all
    groups and repetitions.
    """
    ranks: pd.DataFrame = field(default_factory=_none)
    """metric, compared, rank, blocks, friedman_p, critical_difference: mean ranks over independent
    blocks, 1 is best.
    """
    cliques: pd.DataFrame = field(default_factory=_none)
    """metric, clique, compared, rank: the largest sets of values whose mean ranks do not differ, a
    row per member; the bars of the diagram of `ranks`.
    """
    runners_up: pd.DataFrame = field(default_factory=_none)
    """As `effects`, a row per group and metric: the value with the second highest mean, against the
    highest as its baseline.
    """
    tuned: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, protocol, metric, n, default, tuned, difference, low, high: the
    point at the defaults of what is searched, at its last step, against what a protocol chose.
    """
    points: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, point, parameters, step, n, x, y (with low, high), front, own_front,
    probability, role, chosen, disrupts, disruption.
    """
    attainment: pd.DataFrame = field(default_factory=_none)
    """groups, compared, share (0.25, 0.5, 0.75), the two axes under their own names, n: corners, in
    the order of drawing, of the edge of what at least this share of the repetitions attains.
    """
    volumes: pd.DataFrame = field(default_factory=_none)
    """groups, compared, reference (`source`, `origin`), n, volume, low, high, contribution,
    contribution low, contribution high, volume of means, role: the area that the method's points
    dominate above the reference, and what the joint front loses without the method (NaN for
    bounds).
    """
    curves: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, n, seen, missing, low, high: the mean seen/missing curve over
    repetitions on a common grid of seen.
    """
    costs: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, point, cost (`seconds`, `gpu_hours`, ...), value, value low, value
    high, metric, mean, low, high, front, n, role, chosen, parameters: what a point costs, and what
    it gives; front: nothing in its group is cheaper and better.
    """
    protocols: pd.DataFrame = field(default_factory=_none)
    """groups, compared, protocol, metric, n, mean, low, high, gap, gap low, gap high; gap =
    choice by test accuracy - the protocol's.
    """
    ablation: pd.DataFrame = field(default_factory=_none)
    """groups, component, kind (`left out`, `alone`, `main effect`, `interaction`), metric, n,
    effect, low, high, p, p_holm, verdict (`bound` where an upper bound is involved),
    p_new_images, new_images; effect > 0: the component raises the metric; an interaction's
    component is `a x b`.
    """
    importance: pd.DataFrame = field(default_factory=_none)
    """compared, objective, parameter, evaluator (`all points`, `best tenth`), importance (share),
    low, high, p, p_holm, verdict (`shown`, `not shown`), points.
    """
    sensitivity: pd.DataFrame = field(default_factory=_none)
    """groups, compared, parameter, value, metric, n, mean, low, high: means over the other
    parameters.
    """
    classes: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, label (a class by its index), n, missing (in how many of the n
    repetitions the class was missing), mean, low, high: the accuracy of each class at what the
    protocol chose, where logits are kept.
    """
    confusion: pd.DataFrame = field(default_factory=_none)
    """groups, compared, sweep, label, predicted, share: what the images of each class are taken
    for; those that never were have no row.
    """
    answers: pd.DataFrame = field(default_factory=_none)
    """groups, compared, parameters, sweep, point, repetition, trial, step, classes, missing, cells,
    images: what each trial took its test images for at its last step, one row per trial
    (`results.answered.each_trial`); only the page shows it.
    """
    unanswered: str = ""
    """Why `answers` leaves out trials whose logits are kept."""
    failures: pd.DataFrame = field(default_factory=_none)
    """groups, compared, status (`failed`, `stopped`, `not run`), reason, trials, log (an
    example's).
    """
    transferability: pd.DataFrame = field(default_factory=_none)
    """A pair's factors, target, pair, score, n, value, low, high, rank (within target and score, 1
    is best), kept, seconds: what scores said about each pair of source model and target data before
    any training.
    """
    predicted: pd.DataFrame = field(default_factory=_none)
    """A pair's factors, target, pair, score, value, compared, metric, n, mean, low, high, fitted:
    what a score said beside what the protocol's choice of the pair then achieved.
    """
    predictions: pd.DataFrame = field(default_factory=_none)
    """score, compared, metric, target (empty: all pairs pooled; `within targets`), pairs, pearson,
    kendall, weighted_kendall (each with low and high), why (there is none).
    """
    regret: pd.DataFrame = field(default_factory=_none)
    """target, compared, metric, score, keep, pairs, of, best, kept_best, regret, low, high, random,
    spared, chosen: what keeping the best `keep` pairs by a score would have cost; chosen: the
    study's own screen kept these.
    """
    bounds: pd.DataFrame = field(default_factory=_none)
    """A pair's factors, target, pair, score, n, reweighted_source_loss, conditional_entropy,
    lipschitz, wasserstein, distribution, bound, tighter_bound, target_loss, target_accuracy, ...:
    the terms of Task Transfer Analysis.
    """
    blocks: str = ""
    """What a block of `ranks` is, or why ranks are not compared and what to add, in sentences;
    empty where there is one group.
    """
    missing: str = ""
    """What is missing from the study so far, in words (Markdown)."""
    warnings: Sequence[str] = ()
    """What the reader must know before believing a table: biased samplers, too few repetitions."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Name -> what it was: the study file, versions, commits, dates, nodes, devices."""
