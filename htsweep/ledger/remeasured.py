"""Measurements of trials made after they ended, joined to `measurements` by record and step.

RESULTS/remeasured/all-TIME-DIGEST.parquet has rows like those of `measurements`: record, trial,
step, and columns of numbers. If two objects have a number of the same column, record and step, the
later one counts; numbers of a record that does not count do not count either.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from htsweep.ledger import objects
from htsweep.ledger.deleting import delete_each
from htsweep.ledger.names import LISTS
from htsweep.ledger.objects import KEYS, NUMBER
from htsweep.ledger.store import Store

FOLDER = "remeasured"
MANY = 8
"""If there are more objects than this, they are merged."""
_ROW, _PLACE = "\x00row", "\x00place"
"""Column names that no measurement can have."""
_TRIES = 4


def add(store: Store, rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes rows of `record`, `trial`, `step` and numbers, and returns the object's name.

    Raises:
        LedgerError: the store cannot be written; then nothing is added.
    """
    columns: dict[str, pa.Array] = {
        "record": pa.array([row["record"] for row in rows], pa.string()),
        "trial": pa.array([row["trial"] for row in rows], pa.string()),
        "step": pa.array([row["step"] for row in rows], pa.int64()),
    }
    for name in dict.fromkeys(name for row in rows for name in row if name not in KEYS):
        columns[name] = pa.array([row.get(name) for row in rows], NUMBER, from_pandas=False)
    return _put(store, pa.table(columns), time.time_ns())


def later(
    store: Store, records: Mapping[str, str] | None = None, columns: Sequence[str] | None = None
) -> pa.Table | None:
    """The numbers that count, one row for each record and step; None if there are none.

    Args:
        store: where the objects are.
        records: the wanted records, each with its trial; None: all.
        columns: the wanted names; None: all.

    Raises:
        LedgerError: an object exists and cannot be read.
    """
    held = [part for _, part in _read(store, records, columns)]
    return _last(held) if held else None


def joined(store: Store, table: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """A stored table of measurements, plus what was measured later of its rows, in its order.

    Args:
        store: where the objects are.
        table: with the columns `KEYS`.
        columns: the wanted names; None: all.

    Raises:
        LedgerError: an object exists and cannot be read.
    """
    if not table.num_rows or not _names(store):
        return table
    pairs = table.select(["record", "trial"]).group_by(["record", "trial"]).aggregate([])
    of = dict(zip(pairs["record"].to_pylist(), pairs["trial"].to_pylist(), strict=True))
    return join(table, later(store, of, columns))


def join(table: pa.Table, found: pa.Table | None) -> pa.Table:
    """The table plus the numbers that `later` found, in the table's order."""
    if found is None or not table.num_rows:
        return table
    keys = table.select(["record", "step"]).append_column(
        _ROW, pa.array(range(table.num_rows), pa.int64())
    )
    places = found.select(["record", "step"]).append_column(
        _PLACE, pa.array(range(found.num_rows), pa.int64())
    )
    both = keys.join(places, ["record", "step"], join_type="left outer").sort_by(_ROW)
    place = both.column(_PLACE).combine_chunks()
    for name in found.column_names:
        if name in KEYS:
            continue
        values = found.column(name).take(place)
        if name in table.column_names:
            values = pc.coalesce(values, table.column(name))
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def marks(store: Store) -> dict[str, str]:
    """Record -> a digest that changes with every object that has rows of it."""
    of: dict[str, list[str]] = {}
    for name, held in _read(store, None, []):
        for record in held.column("record").unique().to_pylist():
            of.setdefault(record, []).append(name)
    return {
        record: hashlib.sha256(" ".join(names).encode()).hexdigest()[:8]
        for record, names in of.items()
    }


def merge(store: Store) -> int:
    """Merges the objects if there are more than `MANY`, and returns how many were replaced.

    It may die at any moment without loss: the merged object counts once it is complete, and only
    then are the others deleted. Objects that cannot be read are left alone.

    Raises:
        LedgerError: the store cannot be read or written.
    """
    held = dict(_read(store, None, None))
    if len(held) <= MANY:
        return 0
    table = _last(list(held.values()), trial=True)
    # Dated like the last of them, so that objects added meanwhile count after it.
    name = _put(store, table, max(int(name.split("-")[1]) for name in held))
    replaced = held.keys() - {name}
    return sum(1 for _ in delete_each(store, [(f"{FOLDER}/{one}.parquet",) for one in replaced]))


def _put(store: Store, table: pa.Table, at: int) -> str:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    name = f"all-{at:020d}-{hashlib.sha256(data).hexdigest()[:16]}"
    store.write(f"{FOLDER}/{name}.parquet", data)
    return name


def _names(store: Store) -> list[str]:
    """The names of the objects, earliest first."""
    listed = [entry.name.rpartition("/")[2] for entry in store.list(FOLDER)]
    return sorted(
        name.removesuffix(".parquet")
        for name in listed
        if re.fullmatch(r"all-\d+-\w+\.parquet", name)
    )


def _read(
    store: Store, records: Mapping[str, str] | None, columns: Sequence[str] | None
) -> list[tuple[str, pa.Table]]:
    """(name, rows of the records) of each object, earliest first; reads again if one was merged."""
    held: list[tuple[str, pa.Table]] = []
    for _ in range(_TRIES):
        names = _names(store)
        held = []
        for name in names:
            part = objects.measured(store, name, records, columns, folder=FOLDER)
            if part is not None and part.table.num_rows:
                held.append((name, part.table))
        if set(names) <= set(_names(store)):
            break
    return held


def _last(tables: Iterable[pa.Table], trial: bool = False) -> pa.Table | None:
    whole = pa.concat_tables(tables, promote_options="default")
    keys = ["record", "trial", "step"] if trial else ["record", "step"]
    numbers = [name for name in whole.column_names if name not in KEYS and LISTS not in name]
    if not numbers:
        return None
    grouped = whole.group_by(keys, use_threads=False).aggregate(
        [(name, "last") for name in numbers]
    )
    return grouped.select([*keys, *(f"{name}_last" for name in numbers)]).rename_columns(
        [*keys, *numbers]
    )
