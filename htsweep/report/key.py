"""Numbers of groups and compared values, which a page's filters, tables and charts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.report import names
from htsweep.report.look import Look, looks, roles_of

_PAPER_DARK = 0.012
"""Relative luminance of the page's dark background."""
_CONTRAST = 3.6
"""The least contrast of a marker against it; WCAG 2.2 asks for 3 for graphics (1.4.11)."""


@final
@dataclass(frozen=True)
class Key:
    """Group factors' values, groups and compared values as text, each in order of appearance."""

    design: Design
    values: tuple[tuple[str, ...], ...]
    """Per group factor, its values."""
    groups: tuple[tuple[str, ...], ...]
    """Per group, its value of each factor."""
    titles: tuple[str, ...]
    """Per group, the factors that differ between groups, in words."""
    common: str
    """The factors that are the same in all groups, in words."""
    methods: tuple[str, ...]
    styles: tuple[Look, ...]
    """Per compared value, how it looks."""

    def group_of(self, frame: pd.DataFrame) -> list[int]:
        """The number of each row's group; -1 if the table has no groups, or for unknown groups."""
        if not set(self.design.groups) <= set(frame.columns):
            return [-1] * len(frame)
        place = {group: number for number, group in enumerate(self.groups)}
        return [place.get(texts, -1) for texts in _texts(frame, self.design.groups)]

    def method_of(self, frame: pd.DataFrame) -> list[int]:
        """The number of each row's compared value; -1 where there is none."""
        if self.design.compared not in frame.columns:
            return [-1] * len(frame)
        place = {name: number for number, name in enumerate(self.methods)}
        return [place.get(names.value(name), -1) for name in frame[self.design.compared]]


def key(findings: Findings) -> Key:
    """The key of all the tables of `findings`."""
    design = findings.design
    tables = [
        table
        for table in (
            findings.points,
            findings.summary,
            findings.effects,
            findings.curves,
            findings.volumes,
            findings.costs,
            findings.protocols,
            findings.tuned,
            findings.ablation,
            findings.sensitivity,
            findings.failures,
            findings.transferability,
            findings.bounds,
        )
        if len(table) and set(design.groups) <= set(table.columns)
    ]
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for table in tables:
        for texts, given in zip(
            _texts(table, design.groups), _raw(table, design.groups), strict=True
        ):
            rows.setdefault(texts, given)
    values = tuple(
        tuple(dict.fromkeys(group[place] for group in rows)) for place in range(len(design.groups))
    )
    differ = [name for name, of in zip(design.groups, values, strict=True) if len(of) > 1]
    titles = tuple(
        names.group({name: given for name, given in row.items() if name in differ})
        for row in rows.values()
    )
    first = next(iter(rows.values()), {})
    common = names.group({name: given for name, given in first.items() if name not in differ})
    compared = _compared(findings)
    shown = dict(zip(compared[design.compared], compared["shown"], strict=True))
    look_of = {shown[name]: look for name, look in looks(compared, design.compared).items()}
    return Key(design, values, tuple(rows), titles, common, tuple(look_of), tuple(look_of.values()))


def dark(colour: str) -> str:
    """The colour, lightened until it has enough contrast against a dark background.

    Black, the source model's colour, becomes near-white.
    """
    channels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    if not any(channels):
        return "#F5F5F5"
    while (_luminance(channels) + 0.05) / (_PAPER_DARK + 0.05) < _CONTRAST:
        channels = [min(255, channel + max(1, (255 - channel) // 10)) for channel in channels]
    return "#" + "".join(f"{channel:02X}" for channel in channels)


def _luminance(channels: list[int]) -> float:
    """Relative luminance of sRGB, as WCAG 2.2 defines it."""
    parts = [channel / 255 for channel in channels]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _compared(findings: Findings) -> pd.DataFrame:
    """(compared value as text, how it is shown, role), one row per value.

    The points' values come first, so that methods look the same as in the printed figures.
    """
    compared = findings.design.compared
    tables = [
        table
        for table in (
            findings.points,
            findings.summary,
            findings.curves,
            findings.volumes,
            findings.costs,
            findings.effects,
            findings.protocols,
            findings.tuned,
            findings.importance,
            findings.sensitivity,
            findings.ranks,
            findings.failures,
            findings.transferability,
            findings.predicted,
            findings.bounds,
        )
        if len(table) and compared in table.columns
    ]
    parts = [
        pd.DataFrame(
            {
                compared: table[compared].astype(str),
                "shown": table[compared].map(names.value),
            }
        )
        for table in tables
    ]
    none = pd.DataFrame({name: pd.Series(dtype=str) for name in (compared, "shown")})
    values = pd.concat([none, *parts]).drop_duplicates(compared)
    return values.assign(role=values[compared].map(roles_of(tables, compared)).fillna(""))


def _texts(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not columns:
        return [()] * len(frame)
    return list(
        zip(*([names.value(given) for given in frame[name]] for name in columns), strict=True)
    )


def _raw(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return (
        [{name: row[name] for name in columns} for row in frame[list(columns)].to_dict("records")]
        if columns
        else ([{} for _ in range(len(frame))])
    )
