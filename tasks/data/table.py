"""Image files listed in a table: of each its class, domain, official part, group and time.

Each layout in which a benchmark is distributed has a reader (`tasks/data/benchmarks`) that returns
a `Table`; a domain's images are the rows of that domain. Reading a table opens no image.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from tasks.data import parts
from tasks.data.listing import composed, shown, some

PARTS = (parts.TRAIN, parts.VALIDATION, parts.TEST)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One image."""

    file: str
    """Its path from the table's root, with slashes."""
    label: str
    """The name of its class."""
    domain: str
    split: str = ""
    """Its official part, one of `PARTS`; empty: none."""
    group: str = ""
    """What it has in common with other images, such as a location; empty: not known."""
    time: float | None = None
    """When it was taken, in any unit that grows; None: not known."""
    where: str = ""
    """The list and the line that name it, for messages."""


@final
@dataclass(frozen=True)
class Table:
    """The images of a benchmark."""

    root: Path
    """The folder that the rows' files lie in."""
    rows: tuple[Row, ...]
    classes: tuple[str, ...] = ()
    """The names of all classes in the order of their labels; empty: sorted by name."""
    wrong: tuple[str, ...] = ()
    """What must be fixed before the table can be used, with file, line and remedy."""
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Reason -> what the folder holds and the table does not."""

    @functools.cached_property
    def by_domain(self) -> Mapping[str, tuple[Row, ...]]:
        """Domain -> its rows, sorted by file; domains in the order of their first rows."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.domain, []).append(row)
        return {name: tuple(sorted(rows, key=lambda row: row.file)) for name, rows in found.items()}

    def of(self, domain: str) -> tuple[Row, ...]:
        """The rows of a domain, sorted by file; empty if there is none."""
        return self.by_domain.get(domain, ())

    def classes_of(self, domain: str) -> tuple[str, ...]:
        """The classes that a domain has images of, in the table's order."""
        if domain not in self._classes:
            own = {row.label for row in self.of(domain)}
            self._classes[domain] = tuple(
                name for name in self.classes or sorted(own) if name in own
            )
        return self._classes[domain]

    @functools.cached_property
    def _classes(self) -> dict[str, tuple[str, ...]]:
        """Domain -> its classes, for those that were asked about: a plan asks for each trial."""
        return {}


def checked(rows: Iterable[Row]) -> list[str]:
    """What is wrong with rows whatever lies in their folder: parts, repeated files, look-alikes."""
    texts = []
    first: dict[str, Row] = {}
    twice: list[tuple[Row, Row]] = []
    odd = []
    for row in rows:
        if row.split and row.split not in PARTS:
            odd.append(row)
        key = composed(row.file)
        if first.setdefault(key, row) is not row:
            twice.append((first[key], row))
    if odd:
        texts.append(
            f"{len(odd):,} images are of a part that is none: "
            f"{some(f'{row.split!r} at {row.where}' for row in odd)}; parts are {', '.join(PARTS)}"
        )
    if twice:
        pairs = some(
            f"{shown(other.file)} at {before.where} and {other.where}" for before, other in twice
        )
        texts.append(
            f"{len(twice):,} images are listed twice, so that one may be trained on and tested: "
            f"{pairs}; keep one line of each"
        )
    return texts
