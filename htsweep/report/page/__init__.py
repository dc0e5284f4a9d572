"""The report as one HTML page that needs no network: opens from disk, filters, sorts, zooms, prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from htsweep import selection
from htsweep.analysis.findings import Findings
from htsweep.report import names, script
from htsweep.report.page import tables as made
from htsweep.report.page import tables_scores
from htsweep.report.page.key import Key, key
from htsweep.report.page.markup import Section, chart, folded, items, prose, text
from htsweep.report.page.series import series, varied

_SCRIPTS = ("state.js", "draw.js", "charts.js", "more_charts.js", "score_charts.js", "page.js")
_FRONTIERS = (
    "Points are configurations: means over repetitions. Filled: on the front of what is shown; "
    "open: dominated; crossed: breaks "
    "the non-disruption constraint. Hover over a point to see what it is, drag to zoom, click "
    "twice to zoom out."
)
_COMPARED = (
    "“p (Holm)” is corrected for the number of comparisons. The probability of improvement is that "
    "of "
    "beating the baseline in a repetition drawn by chance."
)

_SCATTER = (
    "What a score said of a pair of source model and target data before any training, against what "
    "the chosen configuration of "
    "the pair then achieved, with its 95 % interval. A score that predicts well rises from left to "
    "right. A panel per score."
)
PREDICTIONS = (
    "Intervals are from the bootstrap over pairs, as if pairs were drawn independently; an order "
    "without a fault has an "
    "interval of no width, however few the pairs. Of many such numbers one in twenty leaves out 0 "
    "by chance. All pairs pooled: "
    "scores of different targets need not be comparable, and such a number may be about the "
    "targets; “within targets” compares "
    "only pairs of the same target. The weighted τ counts exchanges among the best pairs more."
)
_REGRET = (
    "What is lost by training only the pairs that a score ranks highest: the best pair's result "
    "less the best of those that "
    "are kept. 0 is no loss. A panel per target; only pairs whose result is known count."
)
_BOUNDS = (
    "Task Transfer Analysis: the loss that a linear classifier on the target can have at most (the "
    "bar) by its terms, against "
    "the loss that it has (the diamond). A bound that holds ends right of its diamond."
)


def page(
    findings: Findings,
    *,
    question: str = "",
    answers: Sequence[str] = (),
    tables: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML. Names of the study are shown letter by letter; charts draw at most 1,000 points a panel.

    Without scripts the page still has all of its tables.

    Args:
        findings: what is told; of a table without rows, the page says that there is nothing to
            tell.
        question: what the study asks.
        answers: a sentence each, first of all.
        tables: further texts by title (the tables as CSV, say), folded at the end.
    """
    found = key(findings)
    sections = _sections(findings, found, tables or {})
    shown = [section for section in sections if section.content]
    left = [section.title.lower() for section in sections if not section.content]
    links = "".join(
        f'<li><a href="#{section.anchor}">{text(section.title)}</a></li>' for section in shown
    )
    body = "\n".join(
        f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-title">'
        f'<h2 id="{section.anchor}-title">{text(section.title)}</h2>\n{section.content}\n</section>'
        for section in shown
    )
    # Filled in one by one: no text that is filled in is searched for the next place.
    parts = {
        "title": text(findings.title or "Report"),
        "policy": script.POLICY,
        "style": script.asset("page.css"),
        "lead": _lead(findings, found, question, answers),
        "links": links,
        "body": body,
        "absent": f"<p>Nothing to tell of: {text(', '.join(left))}.</p>" if left else "",
        "data": script.data("findings", series(findings, found)),
        "plotly": script.plotly(),
        "script": "\n".join(["'use strict';", *map(script.asset, _SCRIPTS)]),
    }
    frame = script.asset("page.html").split("@@")
    return "".join(parts[part] if place % 2 else part for place, part in enumerate(frame))


def _lead(findings: Findings, found: Key, question: str, answers: Sequence[str]) -> str:
    """The question and the answer, what to beware of, and what all of it is about."""
    warnings = (
        f'<div class="warnings" role="note"><h2>Beware</h2>{items(findings.warnings)}</div>'
        if findings.warnings
        else ""
    )
    protocol = selection.line(findings.protocol)
    facts = [
        f"{findings.trials:,} trials, {findings.repetitions} "
        f"repetition{'s' if findings.repetitions != 1 else ''}",
        *(
            [f"chosen by '{findings.protocol}': {protocol}"]
            if findings.design.compared != "score"
            else []
        ),
    ]
    facts += [f"compared with {names.value(findings.baseline)}"] if findings.baseline else []
    facts += [found.common] if found.common else []
    asked = f'<p class="question">{text(question)}</p>' if question else ""
    answered = f'<div class="answers">{items(answers)}</div>' if answers else ""
    return f'{asked}\n{answered}\n{warnings}\n<p class="note">{text("; ".join(facts))}.</p>'


def _sections(findings: Findings, found: Key, tables: Mapping[str, str]) -> list[Section]:
    """All the parts of the page, in order; those without content are left out by the caller."""

    def drawn(name: str, about: str, there: bool) -> str:
        return chart(name, about) if there else ""

    compared = found.design.compared
    has_axes = findings.axes is not None and not findings.points.empty
    effects = made.effects(findings, found)
    return [
        Section(
            "frontiers",
            "Frontiers",
            _join(
                drawn("frontiers", _FRONTIERS, has_axes),
                folded("The points as a table", made.fronts(findings, found)),
            ),
        ),
        Section(
            "methods",
            f"Every {compared}",
            _join(
                made.methods(findings, found),
                f'<p class="note">{_COMPARED}</p>' if effects else "",
                effects,
            ),
        ),
        Section("together", "Over all groups", made.together(findings, found)),
        Section(
            "curves",
            "Curves",
            drawn(
                "curves",
                "Accuracy on missing against seen classes as the bias between them moves: mean "
                "over repetitions with its "
                "95 % band.",
                not findings.curves.empty,
            ),
        ),
        Section(
            "hypervolume",
            "Hypervolume",
            _join(
                drawn(
                    "volumes",
                    "Area that a front dominates above the reference, with its 95 % interval.",
                    not findings.volumes.empty,
                ),
                folded("As a table", made.volumes(findings, found)),
            ),
        ),
        Section(
            "ablation",
            "Ablation",
            _join(
                drawn(
                    "ablation",
                    "What each component does to the metric, with its 95 % interval; right of 0 it "
                    "raises it.",
                    not findings.ablation.empty,
                ),
                folded("As a table", made.ablation(findings, found)),
            ),
        ),
        Section("protocols", "What the choice of protocol costs", made.protocols(findings, found)),
        Section(
            "importance",
            "Importance of parameters",
            drawn(
                "importance",
                "Share of the objective's variation that each searched parameter explains.",
                not findings.importance.empty,
            ),
        ),
        Section(
            "sensitivity",
            "Sensitivity to parameters",
            drawn(
                "sensitivity",
                "Mean over all other parameters, with its 95 % band.",
                not findings.sensitivity.empty,
            ),
        ),
        Section(
            "cost",
            "Cost",
            drawn(
                "costs",
                "What a configuration costs against what it gives. Filled: nothing in its group is "
                "cheaper and better.",
                not findings.costs.empty,
            ),
        ),
        Section(
            "ranks",
            "Average ranks",
            drawn(
                "ranks",
                "Mean rank over all groups, 1 is best, whatever is filtered; methods under a "
                "common bar do not differ by "
                "the critical difference (Nemenyi, 5 %).",
                not findings.ranks.empty,
            ),
        ),
        Section(
            "ratios",
            "Missing ratio",
            drawn(
                "ratios",
                "What the protocol chose, against the share of classes that the target data lacks, "
                "with 95 % intervals.",
                not varied(findings).empty,
            ),
        ),
        Section("transferability", "Transferability", _transferability(findings, found)),
        Section(
            "failures",
            "Failures and what is missing",
            _join(prose(findings.missing), made.failures(findings, found)),
        ),
        Section(
            "tables",
            "Tables as text",
            "\n".join(
                folded(title, f'<pre tabindex="0">{text(content)}</pre>')
                for title, content in tables.items()
            ),
        ),
        Section("provenance", "Provenance", made.provenance(findings)),
    ]


def _transferability(findings: Findings, found: Key) -> str:
    """What scores said before the training, and what that was worth."""
    parts = [
        (_SCATTER, "scores", findings.predicted),
        (_REGRET, "regret", findings.regret),
        (_BOUNDS, "bounds", findings.bounds),
    ]
    scatter, regret, bounds = (
        chart(name, about) if len(table) else "" for about, name, table in parts
    )
    said, correlations = (
        tables_scores.scores(findings, found),
        tables_scores.predictions(findings, found),
    )
    return _join(
        scatter,
        f'<p class="note">{text(PREDICTIONS)}</p>' if correlations else "",
        correlations,
        regret,
        folded("Regret as a table", tables_scores.regret(findings, found)),
        bounds,
        folded("Bounds as a table", tables_scores.bounds(findings, found)),
        folded("What the scores said of each pair, and what was dropped", said)
        if correlations
        else said,
    )


def _join(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
