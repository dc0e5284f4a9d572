"""Tables of failures and of provenance."""

from __future__ import annotations

from htsweep.analysis.findings import Findings
from htsweep.report import captions, names
from htsweep.report.key import Key
from htsweep.report.table import Cell, Column, Row, Table
from htsweep.report.tables import cells


def failures(findings: Findings, key: Key) -> Table:
    """The trials that gave no result, and why."""
    rows = [
        Row(
            [
                Cell(names.title(record, key.design) or "-"),
                cells.compared(record, key),
                *cells.group_cells(record, key),
                Cell(str(record["status"])),
                cells.count(record["trials"]),
                Cell(cells.text(record["reason"])),
                Cell(cells.text(record["log"])),
            ],
            group=group,
            method=method,
        )
        for record, group, method in cells.records(findings.failures, key)
    ]
    columns = [
        Column("group", only="paper"),
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("status"),
        Column("trials", right=True),
        Column("reason", long=True),
        Column("log of one", only="page"),
    ]
    return Table("Failures", captions.FAILURES, columns, rows)


def provenance(findings: Findings) -> Table:
    """Where the results come from."""
    rows = [Row([Cell(name), Cell(str(given))]) for name, given in findings.provenance.items()]
    return Table("Provenance", captions.PROVENANCE, [Column("what"), Column("is")], rows)
