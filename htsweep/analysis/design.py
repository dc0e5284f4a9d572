"""What is compared with what: the factors that make a group, and the factor whose values are compared inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

KNOWN = ("dataset", "missing_ratio", "backbone")
"""Factors that make groups where nobody says which do."""
COMPARED = "method"
ROLES = {"source": "source", "oracle": "bound"}
"""Methods that are no competitors like the others: the model before adaptation, and the one that
saw all classes' data.

`source` is on the front like any other choice; a `bound` is drawn beside it, since nobody can
choose it. """


@final
@dataclass(frozen=True)
class Design:
    """Columns of the tables: `groups` together name a group, `compared` names what is compared in it."""

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
        compared: the factor to compare; None: `method`, else the last factor, else each sweep for
            itself.
    """
    there = list(columns)
    names = [
        name for name in (factors if factors is not None else (*KNOWN, COMPARED)) if name in there
    ]
    if compared is None:
        compared = COMPARED if COMPARED in names or not names else names[-1]
    if compared not in there:
        compared = "sweep"
    return Design(tuple(name for name in names if name != compared), compared)
