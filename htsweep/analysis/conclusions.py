"""Everything that a study's report draws, from the study's tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import pandas as pd

from htsweep import selection
from htsweep.analysis import curves, frontier, prediction
from htsweep.analysis.ablation import ablation
from htsweep.analysis.attainment import attainment
from htsweep.analysis.blocks import blocks, described
from htsweep.analysis.classes import classes, confusion
from htsweep.analysis.costs import costs
from htsweep.analysis.design import Design, is_bound, is_source
from htsweep.analysis.effects import effects, runners_up
from htsweep.analysis.findings import Findings
from htsweep.analysis.importance import importance
from htsweep.analysis.new_images import Images
from htsweep.analysis.pooled import pooled
from htsweep.analysis.protocols import caution, protocols
from htsweep.analysis.ranks import cliques, ranks
from htsweep.analysis.regret import regret
from htsweep.analysis.sensitivity import sensitivity
from htsweep.analysis.summary import METRICS, aggregate, metrics_of, summarise
from htsweep.analysis.tuned import tuned
from htsweep.analysis.volumes import volumes
from htsweep.planning.power import least_p, repetitions_needed

OVERALL = "test/overall_accuracy"
CURVES = ("test/curve_seen", "test/curve_missing")
"""Columns of lists, which are read only for what the protocol chose."""
ALPHA = 0.05
READS = (
    *METRICS,
    *dict.fromkeys(
        name
        for protocol in selection.PROTOCOLS.values()
        for name in protocol.reads or ()
        if name not in METRICS
    ),
    "seconds",
    "peak_memory_bytes",
    "trainable_parameters",
)
"""The metrics that `conclude` reads where a task measures them."""


@final
@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """What the tables do not say about their study."""

    title: str
    design: Design
    protocol: str
    repetitions: int
    choice: pd.DataFrame | None = None
    """What the protocol picks, as `selection.choice` returns it; None: `conclude` computes it."""
    parameters: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Searched parameter -> its default; of those that have one."""
    tuning: str = ""
    """What is unequal in how the compared values were tuned; empty: nothing."""
    baseline: Any = None
    """A value of the compared factor; None: `empty`, else the first that is no source and no bound.
    """
    empty: str = ""
    """The value of the compared factor that adds nothing, as the task calls it (plain fine-tuning);
    empty: there is none.
    """
    non_disruption: float | None = None
    gpus: float = 1.0
    """GPUs, or the share of one, that each trial has."""
    sampler: str = "grid"
    objectives: Sequence[str] = ()
    variants: pd.DataFrame | None = None
    """Of an ablation, as `results.variants.variants` returns them."""
    evidence: pd.DataFrame | None = None
    """One row per sweep with the data that its numbers rest on; None: the task does not say.

    Columns: `sweep`, `source_domain`, `target_domain`, `model` and `tested` (tasks/task.py,
    `Evidence`).
    """
    blocks: Sequence[str] = ()
    """The factors whose values the study calls independent."""
    planned: pd.DataFrame | None = None
    """One row per sweep of the plan: `sweep` and the factors."""
    terms: str = ""
    """Of a study of scores: the prefix of the columns that are terms of a bound."""
    by: str = ""
    """The score that the study screens by; empty: it screens nothing."""
    missing: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False)
class ScreenTables:
    """What scores said about a study's pairs, and what all trials of those pairs measured."""

    scored: pd.DataFrame
    """As `analysis.prediction` describes it."""
    measured: pd.DataFrame
    """One row per measurement, those of dropped pairs too, with its `pair`, the metrics to report
    and those that the protocol reads.
    """
    combined: prediction.Combined = field(default_factory=dict)
    """Scores that are made of others, as the scoring task declares them."""
    terms: str = ""
    """The prefix of the columns that are terms of a bound, as the scoring task declares it."""


def conclude(
    trials: pd.DataFrame,
    measurements: pd.DataFrame,
    about: StudyContext,
    metrics: Sequence[str] = (),
    *,
    lists: pd.DataFrame | None = None,
    screened: ScreenTables | None = None,
    answered: pd.DataFrame | None = None,
    images: Images | None = None,
) -> Findings:
    """The findings of a study.

    Args:
        trials: one row per ended trial.
        measurements: one row per measurement, with those of `READS` that exist; for another kind of
            task, with all columns.
        about: what the tables do not say.
        metrics: what is summarised; none: the accuracies, else what is measured under `test/`.
        lists: `trial`, `step` and the `CURVES` of at least the rows that the protocol chose; None:
            there are no curves.
        screened: scores of transferability; None: there are none.
        answered: as `analysis.classes.ANSWERED` says; None: no logits are kept.
        images: what each test image adds to the numbers that the protocol chose, as far as known.
    """
    design, repetitions = about.design, about.repetitions
    choice = about.choice if len(measurements) else None
    if choice is None and len(measurements):
        choice = selection.choice(measurements, about.protocol, repetitions)
    chosen = (
        measurements
        if choice is None
        else selection.at(selection.whole(measurements, repetitions), choice)
    )
    numeric = [
        str(name)
        for name in measurements.columns
        if pd.api.types.is_numeric_dtype(measurements[name])
    ]
    metrics_shown = list(metrics) or metrics_of(numeric)
    baseline = _baseline(chosen, about)
    of = Findings(
        about.title,
        design,
        frontier.axes(numeric),
        metrics_shown,
        about.protocol,
        repetitions,
        baseline,
        trials=trials["trial"].nunique(),
        parameters=about.parameters,
    )
    shared: dict[str, Any] = {"choice": choice, "repetitions": repetitions}
    known: dict[str, Any] = {"tested": _tested(about.evidence), "images": images}
    independent = blocks(chosen, design, about.evidence, about.blocks)
    ranked = ranks(chosen, design, metrics_shown, independent)
    made: dict[str, Any] = {
        "summary": summarise(chosen, design, metrics_shown),
        "effects": effects(chosen, design, metrics_shown, baseline, **known),
        "runners_up": runners_up(chosen, design, metrics_shown, **known),
        "ranks": ranked,
        "cliques": cliques(ranked, design.compared),
        "protocols": protocols(
            measurements,
            design,
            metrics_shown,
            repetitions=repetitions,
            choices={} if choice is None else {about.protocol: choice},
        ),
        "failures": failures(trials, about),
        "missing": about.missing,
        "provenance": about.provenance,
    }
    groups = len(chosen[list(design.groups)].drop_duplicates()) if design.groups else 1
    if len(chosen) and groups > 1:
        made |= {
            "blocks": described(independent, groups),
            "pooled": pooled(
                chosen, design, metrics_shown, baseline, independent=independent, **known
            ),
            "aggregate": aggregate(chosen, design, metrics_shown),
        }
    if of.axes is not None and choice is not None:
        x, y = of.axes
        made |= {
            "points": frontier.frontier(
                measurements,
                x,
                y,
                design=design,
                parameters=about.parameters,
                non_disruption=about.non_disruption,
                **shared,
            ),
            "attainment": attainment(measurements, x, y, design=design, **shared),
            "volumes": volumes(measurements, x, y, design=design, **shared),
        }
    searched = [
        name for name in dict.fromkeys([*(of.axes or ()), OVERALL, "test/ausuc"]) if name in numeric
    ] or metrics_shown
    if about.defaults and choice is not None:
        made["tuned"] = tuned(
            measurements,
            design,
            metrics_shown,
            about.defaults,
            repetitions=repetitions,
        )
    if about.parameters and choice is not None:
        # Every point at its last step: a protocol may pick step 0, where no parameter has had an
        # effect yet.
        made |= {
            "sensitivity": sensitivity(
                measurements, design, about.parameters, searched, repetitions=repetitions
            ),
            "importance": importance(
                measurements, design, about.parameters, searched, repetitions=repetitions
            ),
        }
    bought = OVERALL if OVERALL in numeric else next(iter(metrics_shown), None)
    if bought is not None and choice is not None:
        made["costs"] = costs(
            measurements,
            design,
            bought,
            parameters=about.parameters,
            trials=trials,
            gpus=about.gpus,
            **shared,
        )
    if lists is not None and set(CURVES) <= set(lists.columns):
        made["curves"] = curves.curves(
            chosen.drop(columns=list(CURVES), errors="ignore").merge(
                lists[["trial", "step", *CURVES]], on=["trial", "step"]
            ),
            design,
        )
    if answered is not None and len(answered):
        made["classes"] = classes(answered, design)
        made["confusion"] = confusion(answered, design)
    if about.variants is not None and len(about.variants):
        made["ablation"] = ablation(chosen, design, about.variants, metrics_shown, **known)
    if screened is not None:
        made |= _score_tables(screened, about, metrics_shown)
    return dataclasses.replace(
        of,
        **{
            **made,
            "warnings": _warnings(about, made["summary"], made["effects"], made["protocols"]),
        },
    )


def conclude_scores(trials: pd.DataFrame, scored: pd.DataFrame, about: StudyContext) -> Findings:
    """The findings of a study that only scores pairs: there are no outcomes to compare with.

    Args:
        trials: one row per ended trial.
        scored: as `analysis.prediction` describes it.
        about: what the tables do not say; `score` is compared.
    """
    factors = _pair_factors(scored, about.design)
    return Findings(
        about.title,
        about.design,
        None,
        [],
        about.protocol,
        about.repetitions,
        "",
        trials=trials["trial"].nunique(),
        transferability=prediction.transferability(scored, factors),
        bounds=prediction.bounds(scored, factors, about.terms),
        failures=failures(trials, about),
        missing=about.missing,
        provenance=about.provenance,
    )


def failures(trials: pd.DataFrame, about: StudyContext) -> pd.DataFrame:
    """One row per sweep, status and reason: how many trials are not done, and an example's log.

    Such trials failed, stopped early, or have not run yet.
    """
    keys = about.design.factors
    columns = [*keys, "status", "reason", "trials", "log"]
    bad = trials[trials["status"] != "done"]
    parts = []
    if len(bad):
        named = bad.assign(
            reason=bad["reason"].fillna(""), log=bad["log"].fillna("") if "log" in bad else ""
        )
        parts.append(
            named.groupby([*keys, "status", "reason"], sort=False, observed=True, dropna=False)
            .agg(trials=("trial", "nunique"), log=("log", "first"))
            .reset_index()
        )
    left = selection.left_out(trials, about.repetitions)
    counts = (
        left[left["to_come"] > 0]
        .groupby("sweep", sort=False, observed=True)["to_come"]
        .sum()
        .to_dict()
    )
    begun = trials[trials["sweep"].isin(counts)].drop_duplicates("sweep")
    waiting = [
        {
            **{key: row.get(key) for key in keys},
            "status": "not run",
            "reason": "not all repetitions ended",
            "trials": counts[row["sweep"]],
            "log": "",
        }
        for row in begun.to_dict("records")
    ]
    unseen = (
        trials.iloc[:0]
        if about.planned is None
        else about.planned[~about.planned["sweep"].isin(trials["sweep"])]
    )
    waiting += [
        {
            **{key: row.get(key) for key in keys},
            "status": "not run",
            "reason": "no repetition ended",
            "trials": about.repetitions,
            "log": "",
        }
        for row in unseen.to_dict("records")
    ]
    parts += [pd.DataFrame(waiting)] if waiting else []
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _tested(evidence: pd.DataFrame | None) -> pd.Series | None:
    """Sweep -> the share of the target's images that a repetition tests."""
    if evidence is None or evidence.empty:
        return None
    return evidence.drop_duplicates("sweep").set_index("sweep")["tested"].astype(float)


def _score_tables(
    screened: ScreenTables, about: StudyContext, metrics: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The tables of scores, and of how well they predicted the outcomes."""
    scored, design = screened.scored, about.design
    factors = _pair_factors(scored, design)
    scores = prediction.transferability(scored, factors)
    achieved = prediction.outcomes(
        screened.measured,
        design,
        metrics,
        factors=factors,
        protocol=about.protocol,
        repetitions=about.repetitions,
    )
    both = prediction.predicted(scores, achieved, design, factors, combined=screened.combined)
    return {
        "transferability": scores,
        "predicted": both,
        "predictions": prediction.predictions(both, design, factors),
        "regret": regret(scores, both, achieved, design, factors=factors, by=about.by),
        "bounds": prediction.bounds(scored, factors, screened.terms),
    }


def _pair_factors(scored: pd.DataFrame, design: Design) -> list[str]:
    """The study's factors that tell pairs apart: those that the table of scores also has."""
    return [
        name for name in design.factors if name in scored.columns and name not in ("score", "sweep")
    ]


def _baseline(chosen: pd.DataFrame, about: StudyContext) -> str:
    """The name, as in the tables, of the value that the others are compared with.

    It is the one asked for, else the empty method, else the first value that is neither the source
    model nor an upper bound, else the first.
    """
    asked, compared = about.baseline, about.design.compared
    if compared not in chosen:
        return "" if asked is None else str(asked)
    values = list(dict.fromkeys(chosen[compared]))
    wanted = about.empty or None if asked is None else asked
    # A study's 0 is 0.0 in a column that also has fractions.
    named = [
        value
        for value in values
        if wanted is not None and (value == wanted or str(value) == str(wanted))
    ]
    if named or asked is not None:
        return str(named[0] if named else asked)
    competing = chosen[~is_bound(chosen) & ~is_source(chosen)][compared]
    return str(next(iter([*dict.fromkeys(competing), *values]), ""))


def _warnings(
    about: StudyContext, summary: pd.DataFrame, tables: pd.DataFrame, compared: pd.DataFrame
) -> list[str]:
    """What the reader must know before believing a table."""
    warnings = [about.tuning] if len(summary) else []
    if len(summary) and about.repetitions < 2:
        warnings.append("One repetition: there is no interval, and no difference can be tested.")
    elif (
        len(tables)
        and least_p(about.repetitions) < ALPHA
        and set(tables["verdict"]) <= {"too few", "bound"}
    ):
        most = int(
            tables[tables["verdict"] != "bound"]
            .groupby([*about.design.groups, "metric"], observed=True)
            .size()
            .max()
        )
        needed = repetitions_needed(ALPHA, most)
        warnings.append(
            f"{about.repetitions} repetitions cannot show a difference among {most} comparisons "
            "(Holm's correction), "
            "whatever the numbers are; "
            f"{'no number of them can' if needed is None else f'that takes {needed}'}."
        )
    elif len(tables) and least_p(about.repetitions) >= ALPHA:
        warnings.append(
            f"With {about.repetitions} repetitions the exact paired test cannot reach p < "
            f"{ALPHA:g}, whatever the "
            f"numbers are; that takes {repetitions_needed(ALPHA)}, and more where several methods "
            "are compared."
        )
    warnings += [caution(about.sampler, about.objectives)] if len(compared) else []
    if selection.find(about.protocol).reads_test:
        warnings.append(
            f"Configurations were chosen on test data (protocol `{about.protocol}`): "
            "every number is an upper bound, no result."
        )
    return [warning for warning in warnings if warning]
