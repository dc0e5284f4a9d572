"""The sections of a page in order: what each shows, and how to read its charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from htsweep.analysis.findings import Findings
from htsweep.report.page.series import varied
from htsweep.report.table import Table

CHARTS = {
    "frontiers": (
        "Each point is a configuration: its mean over repetitions. Filled points are on the front "
        "of what is shown, open points are dominated, and crossed points break the non-disruption "
        "constraint. Hover over a point for details, drag to zoom, double-click to zoom out."
    ),
    "curves": (
        "Accuracy on missing against seen classes while the bias between them varies: the mean "
        "over repetitions with its 95 % band."
    ),
    "volumes": "The area that a front dominates above the reference, with its 95 % interval.",
    "ablation": (
        "What each component does to the metric, with its 95 % interval. To the right of 0 it "
        "raises the metric."
    ),
    "importance": "The share of the variation that each searched parameter explains alone.",
    "sensitivity": "The mean over all other parameters, with its 95 % band.",
    "costs": (
        "What a configuration costs against what it gains. No other point of the group is both "
        "cheaper and better than a filled one."
    ),
    "classes": (
        "The accuracy of each class, by its index: the mean over repetitions with its 95 % "
        "interval. Hover over a point to see in how many of them the class was missing."
    ),
    "confusion": (
        "What the test images of each class are taken for, in percent: the mean over repetitions. "
        "The diagonal holds those that are recognised."
    ),
    "matrices": (
        "What one trial, whichever you pick, took the test images of each class for at its last "
        "step, in percent of the class, and the accuracy of each class; classes that were missing "
        "in the trial are open circles."
    ),
    "ranks": (
        "The mean rank over independent blocks, whatever is filtered; 1 is best. Methods under a "
        "common bar are less than the critical difference apart (Nemenyi test, 5 %)."
    ),
    "ratios": (
        "The result of what the protocol chose against the share of classes that the target data "
        "lacks, with 95 % intervals."
    ),
    "scores": (
        "What a score said about a pair of source model and target data before any training, "
        "against the result of the configuration that was then chosen for the pair, with its 95 % "
        "interval. The points of a score that predicts well rise from left to right. Each score "
        "has a panel."
    ),
    "regret": (
        "What is lost by training only the pairs that a score ranks highest: the result of the "
        "best pair minus that of the best pair that is kept; 0 means no loss. Each target has a "
        "panel; only pairs with a known result count."
    ),
    "bounds": (
        "Task Transfer Analysis: the largest loss that a linear classifier on the target can have, "
        "as a bar of its terms, against the loss that it has, as a diamond. A bound holds if its "
        "bar ends to the right of its diamond."
    ),
}
"""How to read each chart."""
COMPARED = (
    "“p (Holm)” is corrected for the number of comparisons. The probability of improvement is the "
    "probability of beating the baseline in a randomly drawn repetition."
)
PREDICTIONS = (
    "For “all pairs”, scores of different targets are compared, which need not be comparable, so "
    "that such a number may say more about the targets than about the score; “within targets” "
    "compares only pairs of the same target. Pairs that share a source model or a target are not "
    "independent: intervals draw source models and targets anew. The weighted τ counts exchanges "
    "among the best pairs more."
)


@final
@dataclass(frozen=True)
class Part:
    """A chart by its name, a table, or paragraphs; `folded` is the title to unfold it by."""

    chart: str = ""
    table: Table | None = None
    text: str = ""
    folded: str = ""


@final
@dataclass(frozen=True)
class Section:
    """A titled section of the page; without parts, it is only named among those without data."""

    anchor: str
    title: str
    parts: list[Part]


def sections(findings: Findings, tables: Mapping[str, Table]) -> list[Section]:
    """All sections; those that have nothing to show have no parts.

    Args:
        findings: they decide which charts have data.
        tables: every table by name.
    """
    drawn = {
        "frontiers": findings.axes is not None and not findings.points.empty,
        "curves": not findings.curves.empty,
        "volumes": not findings.volumes.empty,
        "ablation": not findings.ablation.empty,
        "importance": not findings.importance.empty,
        "sensitivity": not findings.sensitivity.empty,
        "costs": not findings.costs.empty,
        "classes": not findings.classes.empty,
        "confusion": not findings.confusion.empty,
        "matrices": not findings.answers.empty,
        "ranks": not findings.ranks.empty,
        "ratios": not varied(findings).empty,
        "scores": len(findings.predicted) > 0,
        "regret": len(findings.regret) > 0,
        "bounds": len(findings.bounds) > 0,
    }

    def chart(name: str) -> list[Part]:
        return [Part(chart=name, text=CHARTS[name])] if drawn[name] else []

    def table(name: str, folded: str = "") -> list[Part]:
        return [Part(table=tables[name], folded=folded)] if tables[name] else []

    def text(markdown: str, if_there: Table | None = None) -> list[Part]:
        shown = markdown.strip() and (if_there is None or if_there)
        return [Part(text=markdown)] if shown else []

    folded = "As a table"
    judged = bool(tables["predictions"])
    made = {
        ("frontiers", "Frontiers"): [
            *chart("frontiers"),
            *table("fronts", "The points as a table"),
        ],
        ("methods", f"Every {findings.design.compared}"): [
            *table("summary"),
            *text(COMPARED, tables["effects"]),
            *table("effects"),
        ],
        ("tuned", "Default against tuned"): table("tuned"),
        ("together", "Over all groups"): table("together"),
        ("curves", "Curves"): chart("curves"),
        ("classes", "Classes"): [
            *chart("classes"),
            *chart("confusion"),
            *chart("matrices"),
            *text(findings.unanswered),
            *table("classes", folded),
        ],
        ("hypervolume", "Hypervolume"): [*chart("volumes"), *table("volumes", folded)],
        ("ablation", "Ablation"): [*chart("ablation"), *table("ablation", folded)],
        ("protocols", "What the choice of protocol costs"): table("protocols"),
        ("importance", "Importance of parameters"): [
            *chart("importance"),
            *table("importance", folded),
        ],
        ("sensitivity", "Sensitivity to parameters"): chart("sensitivity"),
        ("cost", "Cost"): [*chart("costs"), *table("costs", "The front as a table")],
        ("ranks", "Average ranks"): [
            *chart("ranks"),
            *text(findings.blocks),
            *table("ranks", folded),
        ],
        ("ratios", "Missing ratio"): chart("ratios"),
        ("transferability", "Transferability"): [
            *chart("scores"),
            *text(PREDICTIONS, tables["predictions"]),
            *table("predictions"),
            *chart("regret"),
            *table("regret", "Regret as a table"),
            *chart("bounds"),
            *table("bounds", "Bounds as a table"),
            *table(
                "scores",
                "What the scores said of each pair, and what was dropped" if judged else "",
            ),
        ],
        ("failures", "Failures and incomplete results"): [
            *text(findings.missing),
            *table("failures"),
        ],
        ("provenance", "Provenance"): table("provenance"),
    }
    return [Section(anchor, title, parts) for (anchor, title), parts in made.items()]
