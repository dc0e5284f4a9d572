"""How well each class does."""

from __future__ import annotations

from htsweep.analysis.findings import Findings
from htsweep.report import captions
from htsweep.report.key import Key
from htsweep.report.table import Column, Row, Table
from htsweep.report.tables import cells

ACCURACY = "test/overall_accuracy"
"""Whose unit the numbers have."""


def classes(findings: Findings, key: Key) -> Table:
    """The accuracy of each class; for paper there are too many."""
    rows = [
        Row(
            [
                cells.compared(record, key),
                *cells.group_cells(record, key),
                cells.count(record["label"]),
                cells.estimate(record, ACCURACY),
                cells.count(record["n"]),
                cells.count(record["missing"]),
            ],
            group=group,
            method=method,
        )
        for record, group, method in cells.records(findings.classes, key)
    ]
    columns = [
        Column(key.design.compared),
        *cells.group_columns(key),
        Column("class", right=True),
        Column("accuracy", right=True, unit="%"),
        Column("n", right=True),
        Column("missing in", right=True),
    ]
    return Table("Accuracy of each class", captions.CLASSES, columns, rows)
