"""The report as one HTML page that opens from disk, filters, sorts, zooms and prints."""

from __future__ import annotations

from collections.abc import Sequence

from htsweep import selection
from htsweep.analysis.findings import Findings
from htsweep.report import names, script
from htsweep.report.html import Html, render
from htsweep.report.key import Key, key
from htsweep.report.page.sections import sections
from htsweep.report.page.series import series
from htsweep.report.tables import tables
from htsweep.words import count

SCRIPTS = (
    "state.js",
    "draw.js",
    "legend.js",
    "charts.js",
    "forest_charts.js",
    "line_charts.js",
    "class_charts.js",
    "score_charts.js",
    "page.js",
)
"""The files that are joined, in one scope, into the script of a page."""


def page(
    findings: Findings, *, first: str = "", question: str = "", answers: Sequence[str] = ()
) -> str:
    """The report as one HTML page that needs no network.

    Names of the study are escaped. Charts draw at most 1,000 points per panel. Without scripts the
    page still has all of its tables.

    Args:
        findings: the tables to show; sections without content are only named.
        first: the answer in a few words; what follows it then comes after the first section.
        question: what the study asks.
        answers: the sentences on each group.
    """
    numbers = key(findings)
    made = sections(findings, tables(findings, numbers))
    return render(
        "page.html",
        policy=script.POLICY,
        title=findings.title or "Report",
        style=Html(script.lean(script.asset("page.css"))),
        first=first,
        question=question,
        answers=answers,
        warnings=findings.warnings,
        facts=_facts(findings, numbers),
        scriptless="Charts, filters and sorting need scripts; all tables are below.",
        sections=[section for section in made if section.parts],
        absent=[section.title.lower() for section in made if not section.parts],
        data=script.data("findings", series(findings, numbers)),
        plotly=script.plotly(),
        script=script.scripts(*SCRIPTS),
    )


def _facts(findings: Findings, numbers: Key) -> list[str]:
    """Facts on the whole page: how much was run, how points were chosen, what all groups share."""
    repetitions = count(findings.repetitions, "repetition")
    facts = [f"{count(findings.trials, 'trial')}, {repetitions}"]
    if findings.design.compared != "score":
        protocol = selection.line(findings.protocol)
        facts.append(f"chosen by '{findings.protocol}': {protocol}")
    if findings.baseline:
        facts.append(f"compared with {names.value(findings.baseline)}")
    return [*facts, numbers.common] if numbers.common else facts
