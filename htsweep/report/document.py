"""The report as Markdown, LaTeX and CSV: question, answers, and every table with its caption."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from htsweep.analysis.findings import Findings
from htsweep.report import answers, answers_first, names, typeset
from htsweep.report.key import key
from htsweep.report.table import Table, parts
from htsweep.report.tables import methods, tables
from htsweep.results import spreadsheet

FRAMES = (
    "summary",
    "effects",
    "runners_up",
    "tuned",
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
    "classes",
    "confusion",
    "failures",
    "transferability",
    "predicted",
    "predictions",
    "regret",
    "bounds",
)
"""The tables of `Findings`; each that has rows is written as a CSV, at full precision."""
PRINTED = (
    "summary",
    "effects",
    "tuned",
    "together",
    "ranks",
    "volumes",
    "protocols",
    "ablation",
    "importance",
    "costs",
    "scores",
    "predictions",
    "regret",
    "bounds",
    "failures",
    "provenance",
)
"""The tables that have a section, in the order of reading."""
BOOKTABS = "% \\usepackage{booktabs}\n"
_BESIDE = 6
"""How many scores are side by side in one table."""


def document(findings: Findings) -> dict[str, str]:
    """The report by file name: `report.md`, `report.tex`, and a CSV for each table with rows."""
    with names.labelled(findings.labels):
        return _document(findings)


def _document(findings: Findings) -> dict[str, str]:
    made = tables(findings)
    shown: list[Table] = []
    for name in PRINTED:
        shown += parts(made[name], _BESIDE) if name == "scores" else [made[name]]
    shown = [table for table in shown if table or table.instead]
    answer = answers_first.first(findings)
    lead = [
        *([f"**{typeset.plain(answer)}**"] if answer else []),
        typeset.plain(answers.question(findings)),
        "\n".join(f"- {_intervals(typeset.plain(said))}" for said in answers.answers(findings)),
        *(f"> **Note.** {warning}" for warning in findings.warnings),
    ]
    rest = ["## Incomplete results", findings.missing] if findings.missing else []
    sections = [part for table in shown for part in (f"## {table.title}", *_section(table))]
    frames = {name: getattr(findings, name) for name in FRAMES}
    return {
        "report.md": _markdown(findings.title, [*lead, *sections, *rest]),
        "report.tex": _latex(
            {f"{table.title}. {table.caption}": table for table in shown if table}
        ),
        **{f"{name}.csv": spreadsheet.csv(frame) for name, frame in frames.items() if len(frame)},
    }


def brief(
    findings: Findings, configurations: Mapping[str, str], nothing: str = ""
) -> dict[str, str]:
    """Only the summary, as `report.md` and `report.tex`.

    Args:
        findings: only the summary and the text on incomplete results are used.
        configurations: point -> its configuration in words.
        nothing: the text that replaces a summary without rows.
    """
    table = methods.summary(findings, key(findings), configurations)
    section = _section(table) if table else [nothing]
    return {
        "report.md": _markdown(findings.title, [*section, findings.missing]),
        "report.tex": _latex({table.caption: table}),
    }


def _section(table: Table) -> list[str]:
    """The table's caption, and the table; or what is said instead."""
    return [table.caption, typeset.markdown(table)] if table else [table.instead]


def _markdown(title: str, paragraphs: Sequence[str]) -> str:
    heading = f"# {typeset.plain(title)}" if title else ""
    return "\n\n".join(part for part in (heading, *paragraphs) if part) + "\n"


def _latex(captioned: dict[str, Table]) -> str:
    made = [
        typeset.latex(table, caption.replace("`", "").replace("**", ""))
        for caption, table in captioned.items()
    ]
    return BOOKTABS + "\n\n".join(made) + "\n"


def _intervals(text: str) -> str:
    """Text with brackets around numbers unescaped."""
    return re.sub(r"\\\[([-+\d.e, ]+)\\\]", r"[\1]", text)
