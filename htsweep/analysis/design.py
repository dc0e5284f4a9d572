"""What is compared: the factors that make a group, and the factor that is compared within it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.planning.task import BOUND, SOURCE

KNOWN = ("dataset", "missing_ratio", "backbone")
"""Factors that make groups by default."""
COMPARED = "method"
ROLE = "role"
"""The column for rows that are not ordinary competitors; its values are `planning.task.ROLES`."""


@final
@dataclass(frozen=True)
class Design:
    """Which columns identify a group (`groups`), and which is compared within it (`compared`)."""

    groups: tuple[str, ...]
    compared: str

    @property
    def factors(self) -> list[str]:
        """All the columns, groups first."""
        return [*self.groups, self.compared]


def design(
    columns: Iterable[str], factors: Sequence[str] | None = None, compared: str | None = None
) -> Design:
    """The design of tables with these `columns`.

    Args:
        columns: what the tables have.
        factors: the study's factors; None: those of `KNOWN` that the tables have, and `method`.
        compared: the factor to compare; None: `method`, else the last factor. If the tables lack
            it, sweeps are compared.
    """
    present = list(columns)
    names = [
        name for name in (factors if factors is not None else (*KNOWN, COMPARED)) if name in present
    ]
    if compared is None:
        compared = COMPARED if COMPARED in names or not names else names[-1]
    if compared not in present:
        compared = "sweep"
    return Design(tuple(name for name in names if name != compared), compared)


def roles(table: pd.DataFrame) -> pd.Series:
    """The role of each row, as the study's task says; empty (all compete) without the column."""
    if ROLE not in table.columns:
        return pd.Series("", index=table.index, dtype=object)
    return table[ROLE].astype(object).fillna("").astype(str)


def is_bound(table: pd.DataFrame) -> pd.Series:
    """Whether each row is an upper bound, which takes no part in any comparison."""
    return roles(table) == BOUND


def is_source(table: pd.DataFrame) -> pd.Series:
    """Whether each row is the source model before adaptation."""
    return roles(table) == SOURCE


def competitors(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The rows without the upper bounds of cells (values of `keys`) that also have other rows.

    A mean over both would describe neither. Cells that consist of bounds are kept, to be shown.
    """
    bound = is_bound(table)
    if not bound.any() or not keys:
        return table if not bound.any() or bound.all() else table[~bound]
    alone = bound.groupby([table[key] for key in keys], observed=True, dropna=False).transform(
        "all"
    )
    return table[~bound | alone]


def roles_by(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The distinct values of `keys` with their `role`.

    It is `bound` if any of their rows is one, else the role that all rows share, else empty.
    """
    rows = table[list(keys)].assign(**{ROLE: roles(table)})
    grouped = rows.groupby(list(keys), sort=False, observed=True, dropna=False)[ROLE]
    return grouped.agg(_joint).reset_index()


def _joint(several: pd.Series) -> str:
    distinct = set(several)
    if BOUND in distinct:
        return BOUND
    return str(distinct.pop()) if len(distinct) == 1 else ""
