"""The tables of a report, each made once from the findings for the page, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping

from htsweep.analysis.findings import Findings
from htsweep.report import names
from htsweep.report.key import Key, key
from htsweep.report.table import Table, filled
from htsweep.report.tables import classes, methods, points, scores, study


def tables(
    findings: Findings,
    numbers: Key | None = None,
    configurations: Mapping[str, str] | None = None,
) -> dict[str, Table]:
    """Every table by name, in the order of reading; one without content has no rows.

    Args:
        findings: what the measurements say.
        numbers: the numbers of groups and compared values; None: those of `findings`.
        configurations: point -> its configuration in words; None: found in `findings.points`.
    """
    numbers = numbers or key(findings)
    if configurations is None:
        configurations = _configurations(findings)
    made = {
        "summary": methods.summary(findings, numbers, configurations),
        "effects": methods.effects(findings, numbers),
        "tuned": points.tuned(findings, numbers),
        "together": methods.together(findings, numbers),
        "ranks": methods.ranks(findings, numbers),
        "fronts": points.fronts(findings, numbers, configurations),
        "volumes": points.volumes(findings, numbers),
        "protocols": points.protocols(findings, numbers),
        "ablation": points.ablation(findings, numbers),
        "importance": points.importance(findings, numbers),
        "costs": points.costs(findings, numbers),
        "scores": scores.scores(findings, numbers),
        "predictions": scores.predictions(findings, numbers),
        "regret": scores.regret(findings, numbers),
        "bounds": scores.bounds(findings, numbers),
        "classes": classes.classes(findings, numbers),
        "failures": study.failures(findings, numbers),
        "provenance": study.provenance(findings),
    }
    return {name: filled(table) for name, table in made.items()}


def _configurations(findings: Findings) -> dict[str, str]:
    """Point -> its configuration, for the points of `findings.points`."""
    if findings.points.empty or not findings.parameters:
        return {}
    rows = findings.points.to_dict("records")
    return {
        str(row["point"]): names.configuration(
            {str(name): given for name, given in row.items()}, findings.parameters
        )
        for row in rows
    }
