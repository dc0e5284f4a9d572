"""How methods look: a colour and a marker each, the same in every figure of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.planning.task import BOUND, SOURCE

# Okabe and Ito's palette without its yellow, which is too pale on white; its black is for the
# source model. The colours stay apart for the colour-blind; with the markers, the first 84 methods
# all differ.
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
"""Names for matplotlib and for plotly."""


@final
@dataclass(frozen=True)
class Look:
    """Colour and marker (for matplotlib, for plotly) and the size of the marker against the others."""

    colour: str
    marker: str
    symbol: str
    size: float = 1.0


ROLES = {
    SOURCE: Look("#000000", "*", "star", 1.75),
    BOUND: Look("#777777", "d", "diamond-tall", 1.25),
}


def looks(points: pd.DataFrame, compared: str) -> Mapping[str, Look]:
    """Name (as in the table) -> look, in order of appearance, the source model first and bounds last."""
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
    """Name -> role, in order of appearance: that of all its rows in tables that have one, empty where rows differ."""
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
