"""Reads Parquet objects, whoever wrote them, as tables of fixed types; warns of skipped parts.

Results are shared by studies, by users, by versions of this program, and with whatever else lies in
the folder, and nothing left there by one may break another. So every column has one type here,
whatever a task measured: a number is a 64-bit float under its name, a list of numbers is stored
under its name followed by `[]`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from htsweep.errors import LedgerError
from htsweep.ledger.names import LISTS, plain, shown
from htsweep.ledger.record import DEFAULTS, RANK, REQUIRED, SCHEMA
from htsweep.ledger.store import Store

NUMBER, LIST = pa.float64(), pa.list_(pa.float64())
KEYS = ("record", "trial", "step")
"""The columns that say where a measurement belongs; all others are measured values."""
_ROWS = 16_384
"""How many measurements are decoded at a time."""
_log = logging.getLogger(__name__)
_SAID: set[str] = set()
_T = TypeVar("_T")


class _Foreign(Exception):
    """The object, or a part of it, was not written by the ledger; the text says why."""


@final
class Held(NamedTuple):
    """The content of an object as a table."""

    table: pa.Table
    known: bool
    """Whether this is all of the object; anything else is set aside, and merging would lose it."""


@final
class Footer(NamedTuple):
    """What an object's footer says of its measurements."""

    columns: tuple[str, ...]
    rows: int
    filled: int
    """How many cells are filled."""
    known: bool
    """As in `Held`."""


@functools.cache
def nothing() -> pa.Table:
    """An empty table of measurements.

    It is made on demand, because making a table imports pandas, which planning does not need.
    """
    return pa.schema(
        [("record", pa.string()), ("trial", pa.string()), ("step", pa.int64())]
    ).empty_table()


def ends(store: Store, name: str, gone: set[str] | None = None) -> Held | None:
    """The ended trials of an object, with the columns of `SCHEMA`.

    None if it does not exist, which adds its name to `gone`, or is set aside.

    Raises:
        LedgerError: it exists and cannot be read.
    """
    path = f"trials/{name}.parquet"
    try:
        data = store.read(path)
    except FileNotFoundError:
        if gone is not None:
            gone.add(name)
        return None
    try:
        return _ends(
            pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False), f"{store.uri}/{path}"
        )
    except Exception as error:  # a foreign object may make the reader raise anything
        set_aside(f"{store.uri}/{path}", error)
        return None


def measured(
    store: Store,
    name: str,
    trials: Mapping[str, str] | None,
    columns: Sequence[str] | None = None,
    *,
    folder: str = "measurements",
) -> Held | None:
    """The measurements of records of an object: `KEYS` and the measured columns.

    None if there is no such object, or it is set aside.

    Args:
        store: where the object is.
        name: its name.
        trials: the wanted records, with their trials; an object of a single trial holds one. None:
            all.
        columns: the wanted names, of numbers and of lists; None: all.
        folder: the object's folder.

    Raises:
        LedgerError: it exists and cannot be read.
    """
    return _opened(
        store,
        name,
        lambda file, where: _measured(file, where, merged(name), trials, columns=columns),
        folder,
    )


def footer(store: Store, name: str) -> Footer | None:
    """The size and columns of a merged object's measurements; None if absent or set aside.

    Raises:
        LedgerError: it exists and cannot be read.
    """
    return _opened(store, name, _footer)


def _opened(
    store: Store,
    name: str,
    read: Callable[[pq.ParquetFile, str], _T],
    folder: str = "measurements",
) -> _T | None:
    path = f"{folder}/{name}.parquet"
    where = f"{store.uri}/{path}"
    try:
        source = store.open(path) if merged(name) else pa.BufferReader(store.read(path))
    except FileNotFoundError:
        return None
    with source:
        try:
            return read(pq.ParquetFile(source), where)
        except Exception as error:  # a foreign object may make the reader raise anything
            if isinstance(error, OSError) and error.errno is not None:
                msg = (
                    f"{where} cannot be read: {error.strerror or error}; "
                    "see that its file system is mounted and whole"
                )
                raise LedgerError(msg) from error
            set_aside(where, error)
            return None


def merged(name: str) -> bool:
    """Whether an object's name is that of a merge of many trials."""
    return name.startswith("all-")


def set_aside(where: str, why: Exception | str) -> None:
    """Warns, once per process, of what is left out and why."""
    if where not in _SAID:
        _SAID.add(where)
        said = (
            why
            if isinstance(why, str | _Foreign)
            else f"it cannot be read as Parquet ({plain(str(why))[:200]})"
        )
        _log.warning("%s is set aside: %s", where, said)


def short(table: pa.Table, steps: Mapping[str, int]) -> list[str]:
    """The records that do not have as many measurements as `steps` says."""
    counted = table.column("record").value_counts()
    rows_counted = dict(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    )
    return [record for record, count in steps.items() if rows_counted.get(record, 0) != count]


def _ends(table: pa.Table, where: str) -> Held:
    known = True
    if not table.schema.equals(SCHEMA):
        known = set(table.column_names) <= set(SCHEMA.names)
        table = pa.table([_column(table, entry) for entry in SCHEMA], schema=SCHEMA)
        table.validate(full=True)  # finds text that is not UTF-8
    for name in REQUIRED:
        if table.column(name).null_count:
            raise _Foreign(f"a row has no '{name}'")
    statuses = table.column("status")
    for status in statuses.unique().to_pylist():
        if status not in RANK:
            known = False
            set_aside(
                f"a part of {where}",
                f"this version does not know trials that end as {shown(status)}",
            )
    return Held(table if known else table.filter(pc.is_in(statuses, pa.array(RANK))), known)


def _column(table: pa.Table, entry: pa.Field) -> Any:
    places = table.schema.get_all_field_indices(entry.name)
    if len(places) > 1:
        raise _Foreign(f"two columns are called '{entry.name}'")
    if not places and entry.name in REQUIRED:
        raise _Foreign(f"it has no column '{entry.name}', so that it holds no trials")
    column = (
        table.column(places[0])
        if places
        else pa.chunked_array([pa.nulls(table.num_rows, entry.type)])
    )
    try:
        column = column.cast(entry.type)
    except pa.ArrowException:
        raise _Foreign(f"its column '{entry.name}' holds {column.type}, not {entry.type}") from None
    return (
        column.fill_null(DEFAULTS[entry.name])
        if entry.name in DEFAULTS and column.null_count
        else column
    )


def _measured(
    file: pq.ParquetFile,
    where: str,
    many: bool,
    trials: Mapping[str, str] | None,
    *,
    columns: Sequence[str] | None,
) -> Held:
    stored, known = _stored(file.schema_arrow, where)
    wanted = (
        None
        if columns is None
        else {name for column in columns for name in (_plain(column), _plain(column) + LISTS)}
    )
    given = [
        name for name, (as_, _) in stored.items() if as_ in KEYS or wanted is None or as_ in wanted
    ]
    # All rows of an object of one trial belong to it.
    if not many or trials is None or "record" not in stored:
        table = file.read(columns=given, use_threads=many).select(given)
    else:
        # Read in batches: few of a large study's curves are wanted, and all may not fit in memory.
        of = pa.array(list(trials), pa.string())
        parts = [
            part.filter(pc.is_in(part.column("record"), of))
            for part in file.iter_batches(_ROWS, columns=given)
        ]
        table = (pa.Table.from_batches(parts) if parts else file.read(columns=given)).select(given)
    made = {
        as_: table.column(name) if kind is None else table.column(name).cast(kind, safe=False)
        for name, (as_, kind) in stored.items()
        if name in given
    }
    return Held(_keyed(made, table.num_rows, many, trials or {}), known)


def _footer(file: pq.ParquetFile, where: str) -> Footer:
    stored, known = _stored(file.schema_arrow, where)
    about = file.metadata
    empty = 0
    # This sum holds if each column of the table, numbers or lists, is one column of the file.
    for group in range(about.num_row_groups if about.num_columns == len(file.schema_arrow) else 0):
        part = about.row_group(group)
        for place in range(about.num_columns):
            column = part.column(place)
            if column.is_stats_set:
                empty += min(part.num_rows, column.statistics.null_count)
    return Footer(
        tuple(name for name, _ in stored.values()),
        about.num_rows,
        about.num_rows * len(stored) - empty,
        known,
    )


def _stored(
    schema: pa.Schema, where: str
) -> tuple[dict[str, tuple[str, pa.DataType | None]], bool]:
    """The usable columns, as name -> (name here, type to cast to); and whether these are all.

    A task of an earlier version may have measured something under a name in `KEYS`, and so have
    overwritten that column.
    """
    if len(set(schema.names)) < len(schema.names):
        raise _Foreign("two of its columns have one name")
    if "step" not in schema.names or not pa.types.is_integer(schema.field("step").type):
        raise _Foreign("it has no column 'step' of whole numbers, so that it holds no measurements")
    stored: dict[str, tuple[str, pa.DataType | None]] = {}
    taken, known = set[str](), True
    for entry in schema:
        as_, kind, why = _as(entry)
        if as_ in taken:
            as_, why = None, f"another column is called {shown(as_)}"
        if as_ is not None:
            taken.add(as_)
            stored[entry.name] = (as_, None if entry.type == kind else kind)
        elif why:
            known = False
            set_aside(f"the column {shown(entry.name)} in {where}", why)
    return stored, known


def _as(entry: pa.Field) -> tuple[str | None, Any, str]:
    """(a column's name here, its type, ""), or (None, None, why it is set aside).

    The reason is "" for a column without values.
    """
    name, kind = entry.name, entry.type
    if name in KEYS:
        wanted = pa.int64() if name == "step" else pa.string()
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        return (
            (name, wanted, "")
            if name == "step" or text
            else (None, None, "the ledger itself has a column of that name")
        )
    if pa.types.is_null(kind):
        return None, None, ""
    listed = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    inner = kind.value_type if listed else kind
    number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if not any(is_(inner) for is_ in number):
        return None, None, f"it holds {kind}: neither numbers nor lists of them"
    if listed:
        return _plain(name) + LISTS, LIST, ""
    return (
        (None, None, f"names that end in {LISTS} are of lists")
        if name.endswith(LISTS)
        else (name, NUMBER, "")
    )


def _plain(name: str) -> str:
    return name.removesuffix(LISTS)


def _keyed(made: dict[str, Any], rows: int, many: bool, trials: Mapping[str, str]) -> pa.Table:
    """The table of `made`, `KEYS` first; derives an overwritten record or trial from the other."""
    if made["step"].null_count or any(name in made and made[name].null_count for name in KEYS):
        raise _Foreign("a row does not say which trial and step it is of")
    measured = {name: column for name, column in made.items() if name not in KEYS}
    record, trial = made.get("record"), made.get("trial")
    if record is None and not many:
        record = pa.array([*trials] * rows, pa.string())
    elif record is None:
        of = {trial: record for record, trial in trials.items()}
        if len(of) < len(trials) or trial is None:
            raise _Foreign("its rows do not say which trials measured them")
        record = pa.array([of.get(key) for key in trial.to_pylist()], pa.string())
    if trial is None:
        trial = pa.array([trials.get(key) for key in record.to_pylist()], pa.string())
    table = pa.table({"record": record, "trial": trial, "step": made["step"], **measured})
    return (
        table.filter(pc.is_valid(table.column("record")))
        if table.column("record").null_count
        else table
    )
