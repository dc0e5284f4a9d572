"""The colour and marker of each method, the same in every figure of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.planning.task import BOUND, SOURCE

# Okabe and Ito's palette without its yellow, which is too pale on white, and its black, which is
# for the source model. Colour-blind readers can tell the colours apart; combined with the markers,
# the first 84 methods all differ.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
MARKERS = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
    ("X", "x"),
    ("p", "pentagon"),
    ("<", "triangle-left"),
    (">", "triangle-right"),
    ("h", "hexagon"),
    ("8", "octagon"),
)
"""Each marker's name in matplotlib and in plotly."""


@final
@dataclass(frozen=True)
class Look:
    """Colour, marker (for matplotlib), symbol (for plotly), and the marker's relative size."""

    colour: str
    marker: str
    symbol: str
    size: float = 1.0


ROLES = {
    SOURCE: Look("#000000", "*", "star", 1.75),
    BOUND: Look("#777777", "d", "diamond-tall", 1.25),
}


def looks(points: pd.DataFrame, compared: str) -> Mapping[str, Look]:
    """Name (as in the table) -> look, in order of appearance, source model first, bounds last."""
    look_of: dict[str, Look] = {}
    order = {SOURCE: 0, "": 1, BOUND: 2}
    count = 0
    for name, role in sorted(roles_of([points], compared).items(), key=lambda pair: order[pair[1]]):
        if role in ROLES:
            look_of[name] = ROLES[role]
            continue
        look_of[name] = Look(COLOURS[count % len(COLOURS)], *MARKERS[count % len(MARKERS)])
        count += 1
    return look_of


def roles_of(tables: Iterable[pd.DataFrame], compared: str) -> dict[str, str]:
    """Name -> role, in order of appearance; empty where the rows of a name have different roles."""
    roles_by_name: dict[str, set[str]] = {}
    for table in tables:
        if compared not in table.columns:
            continue
        if "role" not in table.columns:
            for name in table[compared].astype(str).drop_duplicates():
                roles_by_name.setdefault(name, set())
            continue
        distinct = table[[compared, "role"]].astype(str).drop_duplicates()
        for name, role in distinct.itertuples(index=False):
            roles_by_name.setdefault(name, set()).add(role)
    return {name: roles.pop() if len(roles) == 1 else "" for name, roles in roles_by_name.items()}
