"""Merges many small objects into a few large ones; every trial counts at every moment."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import pyarrow as pa
import pyarrow.compute as pc

from htsweep.errors import LedgerError
from htsweep.ledger import objects
from htsweep.ledger.deleting import delete_each

if TYPE_CHECKING:
    from htsweep.ledger.tables import Ledger, Read

SMALL = 10_000_000
"""A merged object with at most this many cells (rows times columns) may be arbitrarily sparse."""
SPARSE = 2
"""In a larger object at least one cell in `SPARSE` is filled.

So tasks that measure different things are not merged into one wide table.
"""
UNFINISHED_SECONDS = 86_400.0
"""The age at which the file of an unfinished write is a killed writer's, though clocks differ."""
_TRIED = 4
"""How many of the latest groups are tried for the next part."""
_log = logging.getLogger(__name__)

Records = Mapping[str, Mapping[str, tuple[str, int]]]
"""Object -> record -> (its trial, how many measurements it has)."""


@final
@dataclass(frozen=True)
class Part:
    """Objects to be merged into one, and the columns and size of their measurements."""

    names: tuple[str, ...]
    columns: frozenset[str]
    rows: int
    filled: int
    """How many cells are filled."""

    def __add__(self, other: Part) -> Part:
        return Part(
            self.names + other.names,
            self.columns | other.columns,
            self.rows + other.rows,
            self.filled + other.filled,
        )

    @property
    def dense(self) -> bool:
        """Whether it is dense or small enough to be one table."""
        cells = self.rows * len(self.columns)
        return cells <= SMALL or cells <= SPARSE * self.filled


def grouped(parts: Iterable[Part]) -> list[Part]:
    """Groups of parts, each to become one object; a pure function."""
    alike: dict[frozenset[str], Part] = {}
    for part in parts:
        alike[part.columns] = alike[part.columns] + part if part.columns in alike else part
    groups: list[Part] = []
    # In this order neighbours share names, as trials of one task do.
    for part in sorted(alike.values(), key=lambda candidate: sorted(candidate.columns)):
        for place in range(len(groups) - 1, max(-1, len(groups) - 1 - _TRIED), -1):
            both = groups[place] + part
            if both.dense:
                groups[place] = both
                break
        else:
            groups.append(part)
    return groups


def compact(ledger: Ledger) -> int:
    """Merges what can be merged, removes what was, and returns how many objects it removed.

    In a folder, it also removes the unfinished files that killed writers left. The caller holds
    the lease.

    Raises:
        LedgerError: the store cannot be read or written.
    """
    read = ledger.read()
    count = _delete(ledger, _merge_groups(ledger, read, _records(read)))
    if ledger.store.folder is not None:
        _remove_unfinished(ledger.store.folder)
    return count + _delete(ledger, _copies(ledger))


def merge(ledger: Ledger) -> int:
    """Merges what can be merged, and returns how many objects a `compact` may now remove.

    The caller holds the lease.

    Raises:
        LedgerError: the store cannot be read or written.
    """
    read = ledger.read()
    return len(_merge_groups(ledger, read, _records(read)))


def _merge_groups(ledger: Ledger, read: Read, of: Records) -> set[str]:
    """Merges what can be merged; returns the objects that have been replaced."""
    tables: dict[str, pa.Table] = {}
    parts = [
        part
        for name in of
        if objects.merged(name) and name not in read.alone
        if (part := _footer(ledger, name)) is not None
    ]
    single = [name for name in of if not objects.merged(name) and name not in read.alone]
    with ThreadPoolExecutor(8) as pool:
        for name, table in zip(
            single,
            pool.map(lambda object_name: _whole(ledger, object_name, of[object_name]), single),
            strict=True,
        ):
            if table is not None:
                tables[name] = table
                filled = sum(table.num_rows - column.null_count for column in table.columns)
                parts.append(Part((name,), frozenset(table.column_names), table.num_rows, filled))
    replaced = set[str]()
    for group in grouped(parts):
        if len(group.names) > 1:
            replaced |= _merge_group(ledger, read, of, group.names, tables=tables)
    return replaced


def _records(read: Read) -> Records:
    of: dict[str, dict[str, tuple[str, int]]] = {}
    columns = (read.table.column(name).to_pylist() for name in ("record", "trial", "steps"))
    for record, trial, steps in zip(*columns, strict=True):
        of.setdefault(read.sources[record], {})[record] = (trial, steps)
    return of


def _footer(ledger: Ledger, name: str) -> Part | None:
    """A merged object as a part, from its footer alone; None if it must not be merged."""
    try:
        footer = objects.footer(ledger.store, name)
    except (
        LedgerError
    ) as error:  # perhaps another user's; a launch does not need other studies' records
        _log.warning("%s (it is not merged with others)", error)
        return None
    if footer is None:  # none of its trials measured anything
        return Part((name,), frozenset(), 0, 0)
    return (
        Part((name,), frozenset(footer.columns), footer.rows, footer.filled)
        if footer.known
        else None
    )


def _whole(ledger: Ledger, name: str, records: Mapping[str, tuple[str, int]]) -> pa.Table | None:
    """The measurements of an object's records; None if incomplete, so that it is left as it is."""
    try:
        held = objects.measured(
            ledger.store, name, {record: trial for record, (trial, _) in records.items()}
        )
    except LedgerError as error:
        _log.warning("%s (it is not merged with others)", error)
        return None
    table = objects.nothing() if held is None else held.table
    lacking = objects.short(table, {record: steps for record, (_, steps) in records.items()})
    if lacking:
        objects.set_aside(
            f"{ledger.store.uri}/measurements/{name}.parquet",
            f"it lacks measurements of {len(lacking)} trials, and is not merged with others",
        )
    return None if lacking or (held is not None and not held.known) else table


def _merge_group(
    ledger: Ledger, read: Read, of: Records, names: Sequence[str], *, tables: Mapping[str, pa.Table]
) -> set[str]:
    """Merges the objects called `names`, and returns those that this has replaced."""
    whole = {
        name: tables[name] if name in tables else _whole(ledger, name, of[name]) for name in names
    }
    sound = {name: table for name, table in whole.items() if table is not None}
    if len(sound) < 2:
        return set()
    records = sorted(record for name in sound for record in of[name])
    target = "all-" + hashlib.sha256("".join(records).encode()).hexdigest()[:16]
    if not _stands(
        ledger, target, {record: about for name in sound for record, about in of[name].items()}
    ):
        measured = [table for table in sound.values() if table.num_rows]
        if measured:
            order = [("trial", "ascending"), ("record", "ascending"), ("step", "ascending")]
            ledger.put(
                "measurements",
                target,
                pa.concat_tables(measured, promote_options="default").sort_by(order),
            )
        mine = read.table.filter(
            pc.is_in(read.table.column("record"), pa.array(records, pa.string()))
        )
        ledger.put(
            "trials", target, mine.sort_by([("trial", "ascending"), ("record", "ascending")])
        )
    return set(sound) - {target}


def _stands(ledger: Ledger, name: str, records: Mapping[str, tuple[str, int]]) -> bool:
    """Whether a complete merge of exactly these records exists.

    It may be the only copy, so it is not overwritten.
    """
    held = objects.ends(ledger.store, name)
    return (
        held is not None
        and held.table.num_rows == len(records)
        and _whole(ledger, name, records) is not None
    )


def _copies(ledger: Ledger) -> set[str]:
    """The objects whose records are all complete in other objects.

    A merge, or a compaction that died, has left them.
    """
    read = ledger.read(anew=True)  # what was read before may be of objects that are gone now
    of = _records(read)
    left: dict[str, set[str]] = {}
    for name in read.objects - read.alone:
        if name not in of:
            held = objects.ends(ledger.store, name) if objects.merged(name) else None
            records = [name] if held is None else held.table.column("record").to_pylist()
            left[name] = {record for record in records if record in read.sources}
    wanted: dict[str, dict[str, tuple[str, int]]] = {}
    for record in set[str]().union(*left.values()):
        source = read.sources[record]
        wanted.setdefault(source, {})[record] = of[source][record]
    # One that lacks anything may be all that is left of something, and so may its copies.
    sound = {source for source, mine in wanted.items() if _whole(ledger, source, mine) is not None}
    return {
        name
        for name, records in left.items()
        if all(read.sources[record] in sound for record in records)
    }


def _delete(ledger: Ledger, names: Iterable[str]) -> int:
    """Removes objects that others replace, and returns how many."""
    count = 0
    pairs = [(f"trials/{name}.parquet", f"measurements/{name}.parquet") for name in sorted(names)]
    try:
        for _ in delete_each(ledger.store, pairs):
            count += 1
    except LedgerError as error:  # perhaps another user's; its records still count once
        _log.warning("%s", error)
    return count


def _remove_unfinished(root: Path) -> None:
    """Removes files below a folder that a writer never finished; each may be as large as a model.

    They are hidden, so that nobody has taken one for an object.
    """
    for folder, _, files in os.walk(root):
        for name in files:
            if name.startswith(".") and name.endswith(".part"):
                path = Path(folder, name)
                with contextlib.suppress(OSError):  # perhaps another user's
                    if time.time() - path.stat().st_mtime > UNFINISHED_SECONDS:
                        path.unlink()
