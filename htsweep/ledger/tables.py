"""Ended trials and their measurements: appends one trial, reads all, compacts many."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from htsweep.errors import LedgerError
from htsweep.ledger import names, objects, remeasured
from htsweep.ledger.compaction import compact, merge
from htsweep.ledger.lease import Lease
from htsweep.ledger.names import LISTS
from htsweep.ledger.objects import KEYS, LIST, NUMBER
from htsweep.ledger.record import RANK, SCHEMA, Record
from htsweep.ledger.store import Store

PARTS = 200
"""With more single-trial objects than this, compaction is worthwhile."""
AT_ONCE = 2_000
"""How many trials of a merged object `fresh` reads at a time."""
LAGS = (0.0, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 12.0, 24.0, 40.0)
"""Seconds to wait before listing again; NFS keeps a listing for up to a minute."""
Kind = Literal["any", "numbers", "lists"]
Table: TypeAlias = pa.Table
"""The type of a ledger's tables, for their readers."""


@final
@dataclass(frozen=True, eq=False)
class Read:
    """The records read from a set of objects."""

    tables: Sequence[pa.Table]
    """One table, or none if there are no records."""
    sources: Mapping[str, str]
    """Record -> the object that it was read from."""
    copies: Mapping[str, Sequence[str]]
    """Record -> other objects that hold it too, left by a compaction that died or by copying."""
    objects: frozenset[str]
    """The objects that were read, or that hold nothing new."""
    alone: frozenset[str]
    """The objects with content that this version does not know; they are never merged."""

    @property
    def table(self) -> pa.Table:
        """The records, each once."""
        # Made on demand, because making a table imports pandas, which planning does not need.
        return self.tables[0] if self.tables else SCHEMA.empty_table()


_NOTHING = Read((), {}, {}, frozenset(), frozenset())
_LATEST: dict[str, Read] = {}
"""URI of a store -> what was read last; objects never change, so only new ones need reading."""


@final
class Ledger:
    """The tables `trials` and `measurements` of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, record: Record, measurements: Sequence[Mapping[str, Any]]) -> str:
        """Writes the end of one trial, and returns the record's name; now the trial counts."""
        for measured in dict.fromkeys(
            name for measurement in measurements for name in measurement if name != "step"
        ):
            if wrong := names.problem(measured):
                raise ValueError(wrong)
        row = {entry.name: _kept(getattr(record, entry.name)) for entry in fields(Record)}
        body = json.dumps(
            [row, [dict(measurement) for measurement in measurements]], sort_keys=True, default=str
        )
        name = f"{record.trial}-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
        if measurements:
            self.put("measurements", name, _rows(name, record.trial, measurements))
        # The trial's row is written last, because it commits the measurements.
        try:
            self.put("trials", name, pa.Table.from_pylist([{**row, "record": name}], schema=SCHEMA))
        except LedgerError:
            # They would take space on a full disk without counting.
            with contextlib.suppress(LedgerError):
                self.store.delete(f"measurements/{name}.parquet")
            raise
        return name

    def trials(self, columns: Sequence[str] | None = None, every: bool = False) -> pa.Table:
        """One row per trial: the end that counts; with `every`, all of its ends.

        Raises:
            LedgerError: an object exists and cannot be read.
        """
        table = self.read().table
        if not every:
            table = _counting(table)
        return table.select(list(columns)) if columns is not None else table

    def measurements(
        self,
        columns: Sequence[str] | None = None,
        trials: pa.Table | None = None,
        kind: Kind = "any",
    ) -> pa.Table:
        """The measurements of `trials`: the columns `trial`, `step` and the measured ones.

        Rows are sorted by trial and step; a column that no trial has is left out. Other trials'
        measurements, even unreadable ones, make no difference.

        Args:
            columns: the wanted names; None: all.
            trials: rows of `trials()`; None: all that count.
            kind: `numbers` or `lists` alone, each under its name; `any`: both, and if one name has
                both, the lists are under the name followed by `[]`.

        Raises:
            LedgerError: a trial counts, but not all that it measured can be read.
        """
        lacking: list[str] = []
        for attempt in range(4):
            read = self.read()
            counting = _counting(read.table) if trials is None else trials
            table, lacking = self._of(counting, read, columns)
            if not lacking:
                break
            # Objects moved during the reading, because another launch compacts. What was read
            # before may be of a listing that lags.
            _LATEST.pop(self.store.uri, None)
            time.sleep(0.2 * (attempt + 1))
        else:
            raise LedgerError(self._lost(lacking))
        if kind != "lists":
            table = remeasured.joined(self.store, table, columns)
        return _named(table, kind)

    def fresh(self, seen: set[str]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """The (row, measurements) of records not in `seen`, without lists; adds them to `seen`.

        `seen` holds names of objects and of records, so that repeated calls cost one listing each.
        A row also has `later`: a digest of what was measured of its trial after it ended, or "".
        Of a merged object `AT_ONCE` records are in memory at a time.
        """
        new = sorted(self.records() - seen, key=_merged_first)
        # The digests first: what is added in between may be missing from a digest, not from the
        # numbers.
        marks = remeasured.marks(self.store) if new else {}
        later = remeasured.later(self.store) if marks else None
        for name in new:
            if name in seen:  # a merged object had it
                continue
            held = objects.ends(self.store, name)
            if held is None:
                continue
            rows, complete = [row for row in held.table.to_pylist() if row["record"] not in seen], 0
            for start in range(0, len(rows), AT_ONCE):
                part = rows[start : start + AT_ONCE]
                of = {row["record"]: row["trial"] for row in part}
                steps = self._steps(name, of, later)
                for row in part:
                    measured = steps.get(row["record"], [])
                    # A record without all its measurements was compacted during the reading, and
                    # is in the merged object, or it is damaged; either way it does not hold up the
                    # others of its object.
                    if len(measured) == row["steps"]:
                        complete += 1
                        seen.add(row["record"])
                        yield {**row, "later": marks.get(row["record"], "")}, measured
            if complete == len(rows):
                seen.add(name)

    def _steps(
        self, name: str, of: Mapping[str, str], later: pa.Table | None
    ) -> dict[str, list[dict[str, Any]]]:
        """Record -> the numbers of its steps, of records of one object."""
        inside = objects.measured(self.store, name, of)
        if inside is None:
            return {}
        steps: dict[str, list[dict[str, Any]]] = {}
        numbers = inside.table.drop_columns(_lists(inside.table))
        for step in remeasured.join(numbers, later).to_pylist():
            record = step.pop("record")
            steps.setdefault(record, []).append(
                {key: value for key, value in step.items() if value is not None}
            )
        return steps

    def later(self) -> dict[str, str]:
        """Record -> a digest of what was measured of it after it ended, if anything was."""
        return remeasured.marks(self.store)

    def attempts(self, trial: str) -> list[dict[str, Any]]:
        """All ends of one trial that are not compacted yet."""
        listed = [name for name in self.records() if name.startswith(f"{trial}-")]
        return [
            row
            for name in listed
            if (held := objects.ends(self.store, name))
            for row in held.table.to_pylist()
        ]

    def records(self) -> set[str]:
        """The names of the objects with ended trials; cheaper than reading them."""
        return {
            place[1].removesuffix(".parquet")
            for entry in self.store.list("trials")
            if len(place := entry.name.split("/")) == 2 and place[1].endswith(".parquet")
        }

    @property
    def scattered(self) -> bool:
        """Whether it has so many objects that merging them pays before they are read."""
        return len(self.records()) > PARTS

    def compact(self) -> int:
        """Merges objects into few, and returns how many it replaced; 0 if another process does.

        It may die at any moment without loss: a merged object counts once it is complete, the
        others are deleted only then, and a record that is in both is counted once. What cannot be
        merged is left as it is, with a warning.

        Raises:
            LedgerError: the store cannot be written.
        """
        return self._compacting(compact)

    def merge(self) -> int:
        """As `compact`, without removing what it merges; returns how many objects those are.

        From then on few objects are read. Removing many takes a bucket long, and may wait.

        Raises:
            LedgerError: the store cannot be written.
        """
        count = self._compacting(merge)
        _LATEST.pop(self.store.uri, None)  # what is read next is read from what is merged
        return count

    def _compacting(self, do: Callable[[Ledger], int]) -> int:
        lease = Lease(self.store, "compaction")
        if len(self.records()) < 2 or lease.take() is not None:
            return 0
        try:
            return do(self)
        finally:
            lease.release()

    def read(self, *, anew: bool = False) -> Read:
        """All records, each once, and the object from which each is read.

        Args:
            anew: whether to read also what this process has read before.

        Raises:
            LedgerError: an object exists and cannot be read, or is listed without existing.
        """
        for pause in LAGS:
            listed, gone = self.records(), set[str]()
            known = _NOTHING if anew else _LATEST.get(self.store.uri, _NOTHING)
            known = known if known.objects <= listed else _NOTHING  # some were merged and deleted
            parts = self._admitted(
                known,
                sorted(listed - known.objects, key=_merged_first),
                gone,
            )
            if not gone:
                _LATEST.clear()
                _LATEST[self.store.uri] = parts
                return parts
            # They were compacted meanwhile; a network file system may list them for a minute yet.
            time.sleep(pause)
        some = ", ".join(f"{name}.parquet" for name in sorted(gone)[:3])
        raise LedgerError(
            f"{self.store.uri}/trials lists {len(gone)} objects that do not exist ({some}), after "
            f"{sum(LAGS):.0f} s still: see that its file system is mounted and whole, and run this "
            "again"
        )

    def measured(
        self, of: Mapping[str, Mapping[str, str]], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The stored measurements of the wanted records: object -> record -> trial."""
        with ThreadPoolExecutor(8) as pool:
            read_tables = pool.map(
                lambda pair: objects.measured(self.store, pair[0], pair[1], columns), of.items()
            )
            tables = [
                held.table for held in read_tables if held is not None and held.table.num_rows
            ]
        return pa.concat_tables(tables, promote_options="default") if tables else objects.nothing()

    def put(self, table: str, name: str, content: pa.Table) -> None:
        """Writes an object of `trials` or `measurements`."""
        sink = pa.BufferOutputStream()
        pq.write_table(content, sink, compression="zstd")
        self.store.write(f"{table}/{name}.parquet", sink.getvalue().to_pybytes())

    def _of(
        self, trials: pa.Table, read: Read, columns: Sequence[str] | None
    ) -> tuple[pa.Table, list[str]]:
        """The measurements of trials, and the records for which some cannot be read."""
        steps = dict(
            zip(
                trials.column("record").to_pylist(), trials.column("steps").to_pylist(), strict=True
            )
        )
        names_ = dict(
            zip(
                trials.column("record").to_pylist(), trials.column("trial").to_pylist(), strict=True
            )
        )
        places = {
            record: [read.sources[record], *read.copies.get(record, ())]
            for record, count in steps.items()
            if count and record in read.sources
        }
        table, lacking = objects.nothing(), list(steps)
        for turn in range(max(map(len, places.values()), default=1)):
            of: dict[str, dict[str, str]] = {}
            for record in lacking:
                if turn < len(places.get(record, ())):
                    of.setdefault(places[record][turn], {})[record] = names_[record]
            if turn:
                table = table.filter(
                    pc.invert(pc.is_in(table.column("record"), pa.array(lacking, pa.string())))
                )
            more = self.measured(of, columns)
            table = pa.concat_tables([table, more], promote_options="default") if turn else more
            lacking = objects.short(table, steps)
            if not lacking:
                break
        return table, lacking

    def _admitted(self, known: Read, listed: Sequence[str], gone: set[str]) -> Read:
        """`known` plus the records of the objects `listed`, which has merged ones first.

        Adds to `gone` what no longer exists.
        """
        tables, sources, used, alone = (
            list(known.tables),
            dict(known.sources),
            set(known.objects),
            set(known.alone),
        )
        copies = {record: list(others) for record, others in known.copies.items()}

        def admit(name: str, held: objects.Held | None) -> None:
            if held is None:
                return
            used.add(name)
            if not held.known:
                alone.add(name)
            records = held.table.column("record").to_pylist()
            fresh = [sources.setdefault(record, name) == name for record in records]
            for record, new in zip(records, fresh, strict=True):
                if not new:
                    copies.setdefault(record, []).append(name)
            if len(set(records)) < len(records):
                first = {record: row for row, record in reversed(list(enumerate(records)))}
                fresh = [
                    new and first[record] == row
                    for row, (record, new) in enumerate(zip(records, fresh, strict=True))
                ]
            tables.append(held.table if all(fresh) else held.table.filter(pa.array(fresh)))

        large = [name for name in listed if objects.merged(name)]
        for name in large:
            admit(name, objects.ends(self.store, name, gone))
        spared = [name for name in listed[len(large) :] if name in sources]
        for name in spared:
            copies.setdefault(name, []).append(name)
        parts = [name for name in listed[len(large) :] if name not in sources]
        with ThreadPoolExecutor(8) as pool:
            ends = pool.map(lambda part: objects.ends(self.store, part, gone), parts)
            single = list(zip(parts, ends, strict=True))
        # An object has the name of its record; one that does not is a copy of it.
        for name, held in sorted(
            single,
            key=lambda pair: pair[1] is None or pair[1].table["record"].to_pylist() != [pair[0]],
        ):
            admit(name, held)
        return Read(
            [pa.concat_tables(tables)] if tables else [],
            sources,
            copies,
            frozenset({*used, *spared}),
            frozenset(alone),
        )

    def _lost(self, records: Sequence[str]) -> str:
        sources = self.read().sources
        where = sorted({sources.get(record, record) for record in records})
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        named = ", ".join(f"{name}.parquet" for name in where[:3]) + more
        return (
            f"{self.store.uri}: {len(records)} trials are recorded, but only some of what they "
            "measured can be read: see "
            f"measurements/{named}. Put these objects back from a copy; or remove them from "
            "measurements/ and from trials/, "
            "and the next launch runs these trials again"
        )


def _merged_first(name: str) -> tuple[bool, str]:
    """The order in which objects are read: what a merged one has need not be read again."""
    return not objects.merged(name), name


def _counting(table: pa.Table) -> pa.Table:
    """The rows that count: the best status of each trial, and of those the last attempt."""
    if not table.num_rows:
        return table
    ranks = [RANK[status] for status in table.column("status").to_pylist()]
    keys = zip(
        ranks, table.column("attempt").to_pylist(), table.column("record").to_pylist(), strict=True
    )
    best: dict[str, tuple[tuple[int, int, str], int]] = {}
    for row, (trial, (rank, attempt, record)) in enumerate(
        zip(table.column("trial").to_pylist(), keys, strict=True)
    ):
        key = (rank, -attempt, record)
        if trial not in best or key < best[trial][0]:
            best[trial] = (key, row)
    return (
        table.take(sorted(row for _, row in best.values())) if len(best) < table.num_rows else table
    )


def _rows(record: str, trial: str, measurements: Iterable[Mapping[str, Any]]) -> pa.Table:
    """One trial's measurements as stored: a name's numbers and lists in separate columns."""
    rows = list(measurements)
    columns: dict[str, pa.Array] = {
        "record": pa.array([record] * len(rows)),
        "trial": pa.array([trial] * len(rows)),
        "step": pa.array([int(row["step"]) for row in rows], pa.int64()),
    }
    for name in dict.fromkeys(name for row in rows for name in row if name != "step"):
        values = [row.get(name) for row in rows]
        listed = [isinstance(value, list | tuple) for value in values]
        if any(value is not None and not many for value, many in zip(values, listed, strict=True)):
            numbers = [None if many else value for value, many in zip(values, listed, strict=True)]
            columns[name] = pa.array(numbers, NUMBER, from_pandas=False)
        if any(listed):
            lists = [value if many else None for value, many in zip(values, listed, strict=True)]
            columns[name + LISTS] = pa.array(lists, LIST, from_pandas=False)
    return pa.table(columns)


def _kept(value: Any) -> Any:
    """A value for a record, with text made valid UTF-8."""
    return (
        value.encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, str)
        else value
    )


def _lists(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.endswith(LISTS)]


def _named(table: pa.Table, kind: Kind) -> pa.Table:
    """The table for readers: no empty columns, and lists under their own names if unambiguous."""
    lists = set(_lists(table))
    wanted = [
        name
        for name in table.column_names
        if name not in KEYS
        and table.column(name).null_count < table.num_rows
        and (kind == "any" or (name in lists) == (kind == "lists"))
    ]
    plain = {
        name: name.removesuffix(LISTS)
        for name in wanted
        if name in lists and name.removesuffix(LISTS) not in wanted
    }
    ordered = table.select(["trial", "step", *wanted]).sort_by(
        [("trial", "ascending"), ("step", "ascending")]
    )
    return ordered.rename_columns(["trial", "step", *(plain.get(name, name) for name in wanted)])
