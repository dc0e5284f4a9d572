"""Ended trials and their measurements: append one, read all, compact many."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from htsweep.errors import LedgerError
from htsweep.ledger.lease import Lease
from htsweep.ledger.record import RANK, SCHEMA, Record
from htsweep.ledger.store import Store

_log = logging.getLogger(__name__)
_ROWS = 16_384
"""Measurements that are decoded at a time."""
PARTS = 200
"""More single-trial objects than this are worth compacting."""


@final
@dataclass(frozen=True, eq=False)
class _Read:
    """The records of some objects."""

    tables: Sequence[pa.Table]
    """One, or none where there is nothing."""
    sources: Mapping[str, str]
    """Record -> the object that it is read from."""
    objects: frozenset[str]
    """Which objects were read, or hold nothing new."""


_NOTHING = _Read((), {}, frozenset())
_LATEST: dict[str, _Read] = {}
"""What was read last, by the store's URI: objects never change, so that only new ones need be read."""


@final
class Ledger:
    """The tables `trials` and `measurements` of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, record: Record, measurements: Sequence[Mapping[str, Any]]) -> str:
        """Writes one trial's end and returns the record's name; once it returns, the trial counts."""
        row = {entry.name: getattr(record, entry.name) for entry in fields(Record)}
        body = json.dumps([row, [dict(one) for one in measurements]], sort_keys=True, default=str)
        name = f"{record.trial}-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
        if measurements:
            self._put("measurements", name, _rows(name, record.trial, measurements))
        # The trial's row comes last: it is what commits the measurements.
        self._put("trials", name, pa.Table.from_pylist([{**row, "record": name}], schema=SCHEMA))
        return name

    def trials(self, columns: Sequence[str] | None = None, every: bool = False) -> pa.Table:
        """One row per trial: the end that counts; with `every`, all its ends."""
        table = self._trials()[0]
        if not every:
            table = _counting(table)
        return table.select(list(columns)) if columns is not None else table

    def measurements(self, columns: Sequence[str] | None = None, trials: pa.Table | None = None) -> pa.Table:
        """The measurements of `trials` (default: of all that count): `trial`, `step` and `columns` (all where None).

        Rows are in order of trial and step; a column that no trial has is left out.

        Raises:
            LedgerError: a trial counts, but not all that it measured can be read.
        """
        for attempt in range(4):
            live, sources = self._trials()
            counting = _counting(live) if trials is None else trials
            found = self._measured(counting.column("record").to_pylist(), sources, columns)
            expected = pc.sum(counting.column("steps")).as_py() or 0
            if (0 if found is None else found.num_rows) == expected:
                break
            time.sleep(0.2 * (attempt + 1))  # objects moved under the reading: another launch compacts
        else:
            msg = f"{self.store.uri}: {expected} measurements were recorded, but only some of them can be read"
            raise LedgerError(msg)
        if found is None:
            return pa.table({"trial": pa.array([], pa.string()), "step": pa.array([], pa.int64())})
        # What other tasks measured stands beside it in a merged object.
        foreign = [name for name in found.column_names if found.column(name).null_count == found.num_rows]
        return found.drop_columns(["record", *foreign]).sort_by([("trial", "ascending"), ("step", "ascending")])

    def fresh(self, seen: set[str]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """The (row, measurements) of the records that `seen` lacks, curves left out; `seen` then has them.

        `seen` holds names of objects and of records: what is asked again and again costs one listing.
        """
        found = []
        for name in sorted(self.records() - seen):
            table = self._object(name)
            if table is None:
                continue
            rows = [row for row in table.to_pylist() if row["record"] not in seen]
            steps: dict[str, list[dict[str, Any]]] = {}
            measured = self._measurements(name, [row["record"] for row in rows], None) if rows else None
            if measured is not None:
                scalars = [entry.name for entry in measured.schema if not pa.types.is_list(entry.type)]
                for step in measured.select(scalars).to_pylist():
                    record = step.pop("record")
                    steps.setdefault(record, []).append({key: value for key, value in step.items() if value is not None})
            # One whose measurements are not all there was compacted under the reading, and stands in the merged object, or it
            # is damaged: then it holds up no other one of its object.
            whole = [row for row in rows if len(steps.get(row["record"], ())) == row["steps"]]
            if len(whole) == len(rows):
                seen.add(name)
            seen.update(row["record"] for row in whole)
            found += [(row, steps.get(row["record"], [])) for row in whole]
        return found

    def attempts(self, trial: str) -> list[dict[str, Any]]:
        """All ends of one trial that are not yet compacted."""
        names = [name for name in self.records() if name.startswith(f"{trial}-")]
        tables = [table for table in map(self._object, names) if table is not None]
        return [row for table in tables for row in table.to_pylist()]

    def records(self) -> set[str]:
        """The names of all records there are; cheaper than reading them."""
        return {entry.name.split("/")[1].removesuffix(".parquet") for entry in self.store.list("trials")}

    def compact(self) -> int:
        """Merges all objects into one a table and returns how many it replaced; 0 where another process compacts.

        Dies at any moment without loss: the merged object counts once it is whole, what it replaces is deleted after, and
        a record that stands in both is counted once.
        """
        lease = Lease(self.store, "compaction")
        if len(self.records()) < 2 or lease.take() is not None:
            return 0
        try:
            return self._compact()
        finally:
            lease.release()

    def _compact(self) -> int:
        names = self.records()
        live, sources = self._trials()
        measured = self._measured(list(sources), sources, None)
        if (0 if measured is None else measured.num_rows) != (pc.sum(live.column("steps")).as_py() or 0):
            _log.warning("%s: not compacted, since some measurements cannot be read", self.store.uri)
            return 0
        name = "all-" + hashlib.sha256("".join(sorted(sources)).encode()).hexdigest()[:16]
        whole = self._object(name) if name in names else None
        # A merge of these very records may stand whole already, its sources not all deleted: it is the only copy.
        if whole is None or whole.num_rows != live.num_rows:
            if measured is not None:
                order = [("trial", "ascending"), ("record", "ascending"), ("step", "ascending")]
                self._put("measurements", name, measured.sort_by(order))
            self._put("trials", name, live.sort_by([("trial", "ascending"), ("record", "ascending")]))
        for old in sorted(names - {name}):
            self.store.delete(f"trials/{old}.parquet")
            self.store.delete(f"measurements/{old}.parquet")
        return len(names - {name})

    def _measured(
        self, records: Sequence[str], sources: Mapping[str, str], columns: Sequence[str] | None
    ) -> pa.Table | None:
        """The measurements of `records`, each read from its object in `sources`."""
        objects: dict[str, list[str]] = {}
        for record in records:
            if record in sources:
                objects.setdefault(sources[record], []).append(record)
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda pair: self._measurements(pair[0], pair[1], columns), objects.items())
            tables = [table for table in found if table is not None and table.num_rows]
        return pa.concat_tables(tables, promote_options="permissive") if tables else None

    def _trials(self) -> tuple[pa.Table, Mapping[str, str]]:
        """All records, each once, and for each the object that it is read from."""
        while True:
            names = self.records()
            known = _LATEST.get(self.store.uri, _NOTHING)
            known = known if known.objects <= names else _NOTHING  # some were merged and deleted
            found = self._admitted(known, sorted(names - known.objects, key=lambda name: (not name.startswith("all-"), name)))
            lost = names - found.objects
            # What was listed but could not be read is torn, or was compacted under the reading: then look again.
            if not lost or not (names - self.records()):
                _LATEST.clear()
                _LATEST[self.store.uri] = found
                # An empty table is made here: making one imports pandas, which a plan can do without.
                return (found.tables[0] if found.tables else SCHEMA.empty_table()), found.sources

    def _admitted(self, known: _Read, names: Sequence[str]) -> _Read:
        """What is `known`, and the records of the objects `names`, merged ones first."""
        merged = [name for name in names if name.startswith("all-")]
        tables, sources, used = list(known.tables), dict(known.sources), set(known.objects)

        def admit(name: str, table: pa.Table | None) -> None:
            if table is None:
                return
            used.add(name)
            records = table.column("record").to_pylist()
            fresh = [record not in sources for record in records]
            for record in records:
                sources.setdefault(record, name)
            tables.append(table if all(fresh) else table.filter(pa.array(fresh)))

        for name in merged:
            admit(name, self._object(name))
        spared = [name for name in names[len(merged):] if name in sources]
        parts = [name for name in names[len(merged):] if name not in sources]
        with ThreadPoolExecutor(8) as pool:
            for name, table in zip(parts, pool.map(self._object, parts), strict=True):
                admit(name, table)
        return _Read([pa.concat_tables(tables)] if tables else [], sources, frozenset({*used, *spared}))

    def _object(self, name: str) -> pa.Table | None:
        table = self._get(f"trials/{name}.parquet", None)
        if table is None:
            return None
        missing = [entry for entry in SCHEMA if entry.name not in table.column_names]
        for entry in missing:  # written by an older version
            table = table.append_column(entry, pa.nulls(table.num_rows, entry.type))
        return table.select(SCHEMA.names).cast(SCHEMA)

    def _measurements(self, source: str, records: list[str], columns: Sequence[str] | None) -> pa.Table | None:
        wanted = None if columns is None else ["record", "trial", "step", *columns]
        return self._get(f"measurements/{source}.parquet", wanted, records if source.startswith("all-") else None)

    def _put(self, kind: str, name: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.store.write(f"{kind}/{name}.parquet", sink.getvalue().to_pybytes())

    def _get(self, name: str, columns: Sequence[str] | None, records: Sequence[str] | None = None) -> pa.Table | None:
        try:
            with self.store.open(name) as source:
                file = pq.ParquetFile(source)
                there = set(file.schema_arrow.names)
                kept = None if columns is None else [one for one in columns if one in there]
                if records is None:
                    return file.read(columns=kept)
                # Part by part: of a large study's curves few are wanted, and all of them may not fit in memory.
                of = pa.array(records, pa.string())
                parts = [part.filter(pc.is_in(part.column("record"), of)) for part in file.iter_batches(_ROWS, columns=kept)]
                return pa.Table.from_batches(parts) if parts else file.read(columns=kept)
        except FileNotFoundError:
            return None
        except (pa.ArrowInvalid, OSError) as error:
            # A writer that was killed half way leaves such an object; what it held stands elsewhere, or is run again.
            _log.warning("%s cannot be read and is left out: %s", name, error)
            return None


def _counting(table: pa.Table) -> pa.Table:
    """The rows that count: per trial the best status, of those the last attempt."""
    if not table.num_rows:
        return table
    ranks = [RANK.get(status, 9) for status in table.column("status").to_pylist()]
    keys = zip(ranks, table.column("attempt").to_pylist(), table.column("record").to_pylist(), strict=True)
    best: dict[str, tuple[tuple[int, int, str], int]] = {}
    for row, (trial, (rank, attempt, record)) in enumerate(
            zip(table.column("trial").to_pylist(), keys, strict=True)):
        key = (rank, -(attempt or 0), record)
        if trial not in best or key < best[trial][0]:
            best[trial] = (key, row)
    return table.take(sorted(row for _, row in best.values())) if len(best) < table.num_rows else table


def _rows(record: str, trial: str, measurements: Iterable[Mapping[str, Any]]) -> pa.Table:
    rows = list(measurements)
    names: dict[str, None] = dict.fromkeys(name for row in rows for name in row if name != "step")
    columns: dict[str, pa.Array] = {
        "record": pa.array([record] * len(rows)), "trial": pa.array([trial] * len(rows)),
        "step": pa.array([int(row["step"]) for row in rows], pa.int64()),
    }
    for name in names:
        values = [row.get(name) for row in rows]
        curve = any(isinstance(value, list | tuple) for value in values)
        columns[name] = pa.array(values, pa.list_(pa.float64()) if curve else pa.float64(), from_pandas=False)
    return pa.table(columns)
