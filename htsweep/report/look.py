"""The colour and marker of each method; a built-in one has the same in every study."""

from __future__ import annotations

import functools
import itertools
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from htsweep.planning import task
from htsweep.planning.task import BOUND, SOURCE

if TYPE_CHECKING:
    import pandas as pd

COLOURS = (
    # Okabe and Ito's palette without its yellow, which is too pale on white, and its black, which
    # is for the source model; then darker colours of Paul Tol's. Colour-blind readers can tell
    # most of them apart, and the others by their markers.
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#882255",
    "#332288",
    "#999933",
    "#661100",
)
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
    """Name (as in the table) -> look, in order of appearance, source model first, bounds last.

    A built-in method looks the same in every study. A chain or a method of one's own has a look
    that follows from its name, or the next one that no other of the table has.
    """
    order = {SOURCE: 0, "": 1, BOUND: 2}
    roles = roles_of([points], compared)
    own = built_in(compared)
    fixed = {
        name: ROLES[role] if role in ROLES else own[name]
        for name, role in roles.items()
        if role in ROLES or name in own
    }
    # By name, since tables list their rows in different orders.
    for name in sorted(set(roles) - set(fixed), key=str):
        fixed[name] = _free(str(name), fixed.values())
    return {name: fixed[name] for name, _ in sorted(roles.items(), key=lambda pair: order[pair[1]])}


@functools.cache
def built_in(compared: str) -> Mapping[str, Look]:
    """What the tasks offer for the setting `compared`, such as all methods: name -> look."""
    roles: dict[str, str] = {}
    for one in map(task.find, task.known()):
        settings = one.settings or {}
        setting = settings.get(compared)
        if setting is None:
            continue
        choices = setting.choices() if callable(setting.choices) else setting.choices
        # Examples are what studies compare most: they are the farthest apart.
        names = [*setting.examples, *(choices or ())]
        defaults = {key: of.default for key, of in settings.items()}
        for name in map(str, names):
            if name not in roles:
                roles[name] = one.role({**defaults, compared: name})
    competing = itertools.count()
    return {
        name: ROLES[role] if role in ROLES else _numbered(next(competing))
        for name, role in roles.items()
    }


def _numbered(number: int) -> Look:
    """The look with this number: of 60 in a row, all differ."""
    return Look(COLOURS[number % len(COLOURS)], *MARKERS[number % len(MARKERS)])


def _free(name: str, taken: Collection[Look]) -> Look:
    """A look that follows from the name, of the colours and markers that are least taken."""
    colours = Counter(look.colour for look in taken)
    markers = Counter(look.marker for look in taken)
    return min(
        _from(zlib.crc32(name.encode())),
        key=lambda look: (look in taken, colours[look.colour], markers[look.marker]),
    )


def _from(start: int) -> Iterator[Look]:
    """Every combination of a colour and a marker, beginning with the one numbered `start`."""
    count = len(COLOURS) * len(MARKERS)
    for number in range(start, start + count):
        colour, marker = divmod(number % count, len(MARKERS))
        yield Look(COLOURS[colour], *MARKERS[marker])


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
