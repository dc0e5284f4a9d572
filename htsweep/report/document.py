"""The whole report as text: question, answers, every table with a word on how to read it; Markdown, LaTeX, CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.analysis.findings import Findings
from htsweep.report import answers, names, tables, tables_scores, typeset
from htsweep.report.text import BOOKTABS, explain
from htsweep.report.typeset import Table

FRAMES = (
    "summary",
    "effects",
    "pooled",
    "aggregate",
    "ranks",
    "points",
    "attainment",
    "volumes",
    "curves",
    "costs",
    "protocols",
    "ablation",
    "importance",
    "sensitivity",
    "failures",
    "transferability",
    "predicted",
    "predictions",
    "regret",
    "bounds",
)
"""The tables of `Findings`: each that has rows is a CSV, numbers in full."""


@final
@dataclass(frozen=True)
class Section:
    """A table of the report under its heading, and how to read it."""

    heading: str
    how: str
    table: Table


def document(findings: Findings, configurations: Mapping[str, str] | None = None) -> dict[str, str]:
    """The report by file name: `report.md`, `report.tex`, and a CSV for each table that has rows (`summary.csv`, ...).

    Args:
        findings: what the measurements say.
        configurations: point -> its configuration in words; None: found in `findings.points`.
    """
    told = _configurations(findings) if configurations is None else configurations
    found = [section for section in _sections(findings, told) if section.table.blocks]
    texts = {"report.md": _markdown(findings, found), "report.tex": _latex(found)}
    frames = {name: getattr(findings, name) for name in FRAMES}
    return texts | {
        f"{name}.csv": frame.to_csv(index=False) for name, frame in frames.items() if len(frame)
    }


def _markdown(findings: Findings, sections: Sequence[Section]) -> str:
    sentences = "\n".join(
        f"- {_intervals(typeset.plain(one))}" for one in answers.answers(findings)
    )
    parts = [
        f"# {typeset.plain(findings.title)}" if findings.title else "",
        typeset.plain(answers.question(findings)),
        sentences,
        *(f"> **Note.** {one}" for one in findings.warnings),
    ]
    for section in sections:
        parts += [f"## {section.heading}", section.how, typeset.markdown(section.table)]
    if findings.missing:
        parts += ["## What is not there", findings.missing]
    return "\n\n".join(part for part in parts if part) + "\n"


def _intervals(text: str) -> str:
    """Text whose brackets around numbers alone are brackets again."""
    return re.sub(r"\\\[([-+\d.e, ]+)\\\]", r"[\1]", text)


def _latex(sections: Sequence[Section]) -> str:
    made = [
        typeset.latex(
            section.table, f"{section.heading}. {section.how}".replace("`", "").replace("**", "")
        )
        for section in sections
    ]
    return BOOKTABS + "\n\n".join(made) + "\n"


def _sections(findings: Findings, configurations: Mapping[str, str]) -> list[Section]:
    """All tables that have rows, in the order of reading."""
    design, metrics = findings.design, findings.metrics
    headline = _headline(findings.protocols)
    unit = "in percent; " if names.is_percent(headline) else ""
    made: list[tuple[str, str, pd.DataFrame, Callable[[pd.DataFrame], Table]]] = [
        (
            "Summary",
            explain(
                metrics, findings.protocol, findings.repetitions, cautious=not findings.warnings
            ),
            findings.summary,
            lambda frame: tables.summary(frame, design, metrics, configurations),
        ),
        (
            "Differences",
            _EFFECTS,
            findings.effects,
            lambda frame: tables.effects(frame, design, metrics),
        ),
        (
            "Over all groups",
            _TOGETHER,
            findings.aggregate,
            lambda frame: tables.together(frame, findings.pooled, design),
        ),
        ("Ranks", _RANKS, findings.ranks, lambda frame: tables.ranks(frame, design)),
        (
            "Hypervolume",
            _VOLUMES,
            findings.volumes,
            lambda frame: tables.volumes(frame, design, findings.axes),
        ),
        (
            "Protocols",
            f"What each protocol's choice comes to: {typeset.plain(names.metric(headline))}, "
            f"{unit}{_PROTOCOLS}",
            findings.protocols,
            lambda frame: tables.protocols(frame, design, headline),
        ),
        (
            "Ablation",
            _ABLATION,
            findings.ablation,
            lambda frame: tables.ablation(frame, design, metrics),
        ),
        (
            "Importance",
            _IMPORTANCE,
            findings.importance,
            lambda frame: tables.importance(frame, design),
        ),
        ("Costs", _COSTS, findings.costs, lambda frame: tables.costs(frame, design)),
        (
            "Predictions",
            PREDICTIONS,
            findings.predictions,
            lambda frame: tables_scores.predictions(frame, design, metrics),
        ),
        (
            "Regret of screening",
            REGRET,
            findings.regret,
            lambda frame: tables_scores.regret(frame, design),
        ),
        ("Bounds", BOUNDS, findings.bounds, tables_scores.bounds),
        (
            "Failures",
            "Trials without a result, and why.",
            findings.failures,
            lambda frame: tables.failures(frame, design),
        ),
    ]
    told = [Section(heading, how, make(frame)) for heading, how, frame, make in made if len(frame)]
    scores = tables_scores.scores(findings.transferability) if len(findings.transferability) else []
    said = [
        Section(
            "Scores" if place == 0 else "Scores (continued)", SCORES if place == 0 else "", table
        )
        for place, table in enumerate(scores)
    ]
    # Before what the scores were worth.
    place = next(
        (place for place, one in enumerate(told) if one.heading in _AFTER_SCORES), len(told)
    )
    return [
        *told[:place],
        *said,
        *told[place:],
        Section(
            "Provenance", "What the results come from.", tables.provenance(findings.provenance)
        ),
    ]


def _headline(protocols: pd.DataFrame) -> str:
    there = list(dict.fromkeys(protocols["metric"])) if len(protocols) else []
    return next((name for name in answers.HEADLINES if name in there), there[0] if there else "")


def _configurations(findings: Findings) -> dict[str, str]:
    """Point -> its configuration, of the points that the table has with their parameters."""
    if findings.points.empty or not findings.parameters:
        return {}
    rows = findings.points.to_dict("records")
    return {
        str(row["point"]): names.configuration(
            {str(key): of for key, of in row.items()}, findings.parameters
        )
        for row in rows
    }


_AFTER_SCORES = ("Predictions", "Regret of screening", "Bounds", "Failures")
SCORES = (
    "What each score said of each pair of source model and target data before any training, mean "
    "over repetitions; higher "
    "predicts a better transfer. **Bold**: the highest of its target. Scores are in units of their "
    "own: compare inside a "
    "column, and inside a target."
)
PREDICTIONS = (
    "Kendall's tau-b of each score with what the protocol's choice then achieved, with its 95 % "
    "interval (percentile "
    "bootstrap over pairs): 1 is the same order of pairs, -1 the reverse, 0 no relation. With "
    "several targets, only "
    "pairs of the same target are compared, since scores of different targets need not be "
    "comparable. **Bold**: the "
    "interval leaves out 0; of many such numbers one in twenty does so by chance. Intervals take "
    "pairs as drawn "
    "independently, which pairs that share a source or a target are not, and an order without a "
    "fault has an interval "
    "of no width, however few the pairs. Pearson's r, the weighted tau, and all pairs "
    "pooled are in `predictions.csv`."
)
REGRET = (
    "What screening costs: the best pair's result less that of the best pair that is kept, with "
    "the 95 % interval over "
    "repetitions, and what as many pairs drawn by chance would cost. Only pairs whose result is "
    "known count."
)
BOUNDS = (
    "Task Transfer Analysis: source loss (re-weighted), label mismatch (conditional entropy) and "
    "distribution (Lipschitz "
    "constant times Wasserstein distance) bound the loss of a linear classifier on the target's "
    "test images; means over "
    "repetitions."
)
_EFFECTS = (
    "Paired differences to the baseline: mean [low, high], the 95 % interval (BCa bootstrap), "
    "pairs are the repetitions "
    "that both have; p is the exact sign-flip test's after Holm's correction over the rows of a "
    "block, one family per "
    "metric. **Bold**: shown, that is p < 0.05 and the interval leaves out 0. Where so few "
    "repetitions cannot reach "
    "p < 0.05, the last column says so and there is no p."
)
_TOGETHER = (
    "Over all groups and repetitions: mean and interquartile mean (the middle half of all runs; "
    "Agarwal et al., NeurIPS "
    "2021) with stratified bootstrap intervals. The difference to the baseline is paired: a pair "
    "is a repetition's "
    "mean over the groups, which share its class split and seeds; p after Holm's correction over a "
    "block."
)
_RANKS = (
    "Mean rank over the groups, 1 is best, upper bounds aside. Two whose ranks differ by less than "
    "the critical difference "
    "(Nemenyi, 5 %) are not shown to differ, and where Friedman's p is above 0.05 none are (Demsar "
    "2006)."
)
_VOLUMES = (
    "Area between a front and its reference (the source model's accuracies, or the origin), "
    "accuracies in percent of "
    "their range: the mean over repetitions with 95 % interval. Contribution: what the joint front "
    "of all loses "
    "without it."
)
_PROTOCOLS = (
    "the gap is what the oracle's choice, which looks at the test data, has more: mean [low, high] "
    "over repetitions. "
    "Without a gap, the bracket is the interval of the mean."
)
_ABLATION = (
    "What each component changes: mean [low, high] over repetitions, + where it raises the metric. "
    "`left out`: the full "
    "configuration less the one without it; `alone`: it alone less nothing; `main effect` and "
    "`interaction`: over all "
    "combinations. p after Holm's correction over a block; **bold**: shown. No p: too few "
    "repetitions to show anything."
)
_IMPORTANCE = (
    "The share of a parameter in what makes points differ on an objective. PED-ANOVA looks at what "
    "sets the best "
    "points apart, fANOVA at the variance over all of them; of few points neither is sure."
)
_COSTS = (
    "The points on the front of cost and gain: nothing in the group is cheaper and better. Mean "
    "[low, high] over "
    "repetitions."
)
