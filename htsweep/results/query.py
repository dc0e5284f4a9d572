"""SQL over a study's tables, read-only: DuckDB in memory, which sees only these tables."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.ledger.names import alike
from htsweep.results.results import Results
from htsweep.selection.infinities import with_infinities
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

TABLES: Mapping[str, str] = {
    "trials": "a row per ended trial: status, reason, seconds, node, what was varied",
    "measurements": "a row per measurement: step, its numbers and curves, what was varied",
    "points": "a row per whole point: means over its repetitions at the last step; chosen: the "
    "study's protocol picks it",
    "chosen": "the measurements, a row per repetition, at the point and step that the study's "
    "protocol picks in each sweep",
}
"""The tables that a query may name."""
SHOWN = 50
"""How many rows a printed table has at most; CSV and JSON have all."""
FORMATS = ("table", "csv", "json")
_OF_POINTS = ("n", "chosen")
"""Columns of the table of points that were not measured."""


@final
@dataclass(frozen=True)
class _Asked:
    """The tables (in lower case) and columns that a statement names; None: possibly any."""

    tables: frozenset[str] | None
    columns: frozenset[str] | None

    def names(self, *tables: str) -> bool:
        """Whether it names one of `tables`."""
        return self.tables is None or bool(self.tables & set(tables))


def query(study: Study, sql: str, results: str | Path = "results") -> pd.DataFrame:
    """The result of one SELECT (or EXPLAIN, DESCRIBE, SUMMARIZE) over the tables of `TABLES`.

    The SQL is DuckDB's. A name with a slash needs double quotes: `SELECT avg("test/seen_accuracy")
    FROM chosen`. The ledger is only read, and of the measurements only the columns that the SQL
    names.

    Args:
        study: whose trials the tables hold.
        sql: one statement.
        results: folder or URI of the results.

    Raises:
        HtsweepError: it is no such statement, or DuckDB rejects it: with DuckDB's message and the
            available names.
    """
    return answer(Results(study, str(results)), sql)


def answer(results: Results, sql: str) -> pd.DataFrame:
    """What `query` returns, for results that may have been read already."""
    import duckdb

    asked = _asked(sql)
    try:
        return _answer(_tables(results, asked), sql)
    except duckdb.BinderException as error:
        if asked.columns is None:
            raise HtsweepError(_told(error, _columns(results))) from None
    except duckdb.Error as error:
        raise HtsweepError(_told(error, TABLES)) from None
    # A name may be spelt in capitals, or come from USING: try again with all columns.
    try:
        return _answer(_tables(results, _Asked(asked.tables, None)), sql)
    except duckdb.Error as error:
        raise HtsweepError(_told(error, _columns(results))) from None


def columns(results: Results) -> pd.DataFrame:
    """All that a query may name: `table`, `column` and DuckDB's `type` of each column."""
    import pandas as pd

    tables = _tables(results, _Asked(None, None))
    parts = []
    for name in tables:
        described = _answer(tables, f"DESCRIBE {name}")
        parts.append(
            pd.DataFrame(
                {
                    "table": name,
                    "column": described["column_name"],
                    "type": described["column_type"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def tell(results: Results, sql: str, format: str = "table") -> str:
    """The answer to `sql` as text in one of `FORMATS`; without SQL, the tables and their columns.

    Raises:
        HtsweepError: as `query` does, or no such format.
    """
    if format not in FORMATS:
        raise HtsweepError(f"--format {format}: {did_you_mean(format, FORMATS)}")
    if sql.strip():
        return _written(answer(results, sql), format)
    available = columns(results)
    if format != "table":
        return _written(available, format)
    lines = []
    for name, inside in available.groupby("table", sort=False):
        lines.append(f"{name}: {TABLES[str(name)]}")
        lines += [
            f"  {_quoted(column)} {kind}"
            for column, kind in zip(inside["column"], inside["type"], strict=True)
        ]
    return "\n".join(lines)


def _asked(sql: str) -> _Asked:
    """What the statement names, if it only reads.

    Raises:
        HtsweepError: it is no statement, several, or one that writes, sets or loads.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise HtsweepError(_told(error, ())) from None
    if len(statements) != 1:
        raise HtsweepError(
            f"`{_short(sql)}` holds {len(statements)} statements; give a single one, in which "
            "intermediate results can be named: WITH a AS (SELECT ...) SELECT ... FROM a"
        )
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise HtsweepError(
            f"`{_short(sql)}` is a statement of the kind {kind.name}, but a query only reads: "
            "SELECT, WITH ... "
            "SELECT, EXPLAIN, DESCRIBE, SUMMARIZE. The ledger is never changed by hand; `htsweep "
            "export` writes "
            "its tables to files that may be"
        )
    with duckdb.connect(":memory:") as connection:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        return _Asked(None, None)
    nodes = list(_nodes(tree))
    # In FROM t NATURAL JOIN u, every column that both have takes part.
    all_columns = any(
        node.get("class") == "STAR" or node.get("ref_type") == "NATURAL" for node in nodes
    )
    named = {
        name
        for node in nodes
        for name in (*node.get("column_names", ()), *node.get("using_columns", ()))
    }
    tables = {str(node["table_name"]).lower() for node in nodes if node.get("table_name")}
    return _Asked(frozenset(tables), None if all_columns else frozenset(named))


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping of a statement as DuckDB serialises it."""
    if isinstance(tree, Mapping):
        yield tree
    for part in (
        tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    ):
        yield from _nodes(part)


def _tables(results: Results, asked: _Asked) -> dict[str, pd.DataFrame]:
    """The tables that `asked` names, with the measured columns that it names."""
    from htsweep import selection

    study = results.study
    if not asked.names("measurements", "points", "chosen"):
        return {"trials": results.trials}
    reads = selection.columns(study.select) if asked.names("points", "chosen") else []
    wanted = None if asked.columns is None or reads is None else sorted({*asked.columns, *reads})
    measured = results.measurements(wanted)
    tables = {"trials": results.trials, "measurements": measured}
    if asked.names("points", "chosen") and measured.empty:  # nothing to choose from
        about = measured.drop(columns=["trial", "repetition", "status"])
        return {**tables, "points": about.assign(n=0, chosen=False), "chosen": measured}
    if asked.names("points", "chosen"):
        choice = selection.choice(measured, study.select, study.repetitions)
        tables["points"] = _points(measured, choice, study.repetitions)
        tables["chosen"] = selection.at(measured, choice)
    return tables


@with_infinities
def _points(measured: pd.DataFrame, choice: pd.DataFrame, repetitions: int) -> pd.DataFrame:
    """One row per whole point: the means of all numbers over its repetitions at its last step.

    The other columns are what was varied, `step`, `n` repetitions, and `chosen`.
    """
    import pandas as pd

    from htsweep import selection
    from htsweep.selection.protocols import last_steps

    whole = selection.whole(measured, repetitions)
    last = selection.at(whole, last_steps(whole))
    names = [str(name) for name in last.columns]
    keys, rest = names[: names.index("step") + 1], names[names.index("step") + 1 :]
    about = [name for name in keys if name not in ("trial", "repetition", "status")]
    numbers = [
        name
        for name in rest
        if pd.api.types.is_numeric_dtype(last[name]) and name not in _OF_POINTS
    ]
    grouped = last.groupby(["sweep", "point"], sort=False)
    points = grouped[about].first().reset_index(drop=True)
    points["n"] = grouped.size().to_numpy()
    means = grouped[numbers].mean().reset_index(drop=True)
    whole = pd.concat([points, means], axis=1)
    whole["chosen"] = points["point"].isin(choice["point"])
    return whole.copy()  # defragments a table of perhaps a thousand columns


def _answer(tables: Mapping[str, pd.DataFrame], sql: str) -> pd.DataFrame:
    """The result of `sql` over `tables`, in a DuckDB without access to anything else.

    It reaches no file, no network and no Python variable.
    """
    import duckdb

    with duckdb.connect(
        ":memory:",
        config={"enable_external_access": "false", "python_enable_replacements": "false"},
    ) as connection:
        for name, table in tables.items():
            connection.register(name, _typed(_told_apart(table)))
        connection.execute("SET lock_configuration = true")
        answer: pd.DataFrame = connection.execute(sql).df()
        return answer


def _told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that SQL can tell apart: those that differ only in case are numbered.

    DuckDB would call the second `loss_1`, and answer a query for "loss" with the first.
    """
    columns = [str(name) for name in table.columns]
    keys = columns[: columns.index("step") + 1] if "step" in columns else []
    renamed = {
        name: f"{name}~{number}"
        for group in alike(columns)
        for number, name in enumerate(group, 1)
        if name not in keys
    }
    return table.rename(columns=renamed) if renamed else table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one type per column, since DuckDB infers it from the values.

    Factors may have values of several types; these become text.
    """
    import pandas as pd

    from htsweep.results.export import with_columns

    made: dict[str, pd.Series] = {}
    for name in table.columns:
        values = table[name]
        if values.dtype != object:
            continue
        kinds = {type(value) for value in values[values.notna()]}
        if not kinds:
            made[name] = pd.Series(None, index=table.index, dtype="string")
        elif len(kinds) > 1 and not kinds <= {int, float}:
            texts = [
                None
                if value is None or value != value
                else value
                if isinstance(value, str)
                else json.dumps(value)
                for value in values
            ]
            made[name] = pd.Series(texts, index=table.index, dtype="string")
    return with_columns(table, made)


def _columns(results: Results) -> list[str]:
    return sorted(set(columns(results)["column"]))


def _told(error: duckdb.Error, known: Sequence[str] | Mapping[str, str]) -> str:
    """DuckDB's message, with a suggestion for an unknown name."""
    words = str(error).strip()
    missing = re.search(
        r'(?:Referenced column|Table with name) "?([^"\n]+?)"? (?:not found|does not exist)', words
    )
    if missing and known:
        words = re.sub(r"\n(Candidate bindings|Did you mean)[^\n]*", "", words)
        words += f"\n'{missing[1]}': {did_you_mean(missing[1], known)}"
        if any("/" in name for name in known):
            words += '\nA name with a slash needs double quotes: "test/seen_accuracy"'
    return words


def _written(frame: pd.DataFrame, format: str) -> str:
    """The table as text in one of `FORMATS`."""
    import pandas as pd

    from htsweep.results.export import FORMATS as WRITERS
    from htsweep.results.export import with_columns

    texts = [name for name in frame.columns if frame[name].dtype == object]
    values = {
        name: [value.tolist() if hasattr(value, "tolist") else value for value in frame[name]]
        for name in texts
    }
    plain = with_columns(
        frame, {name: pd.Series(values[name], index=frame.index, dtype=object) for name in texts}
    )
    if format != "table":
        return WRITERS[format](plain).decode().rstrip("\n")
    if frame.empty:
        return f"no rows of {', '.join(map(str, frame.columns))}"
    text: str = plain.head(SHOWN).to_string(index=False, max_colwidth=60, na_rep="")
    more = f"\n{SHOWN} of {len(frame)} rows; --format csv or json prints all"
    return text + more if len(frame) > SHOWN else text


def _quoted(name: str) -> str:
    """A name as SQL needs it: quoted unless it is a plain word."""
    bare = re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in _keywords()
    return name if bare else '"' + name.replace('"', '""') + '"'


@functools.cache
def _keywords() -> frozenset[str]:
    """The reserved words of DuckDB's SQL."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
        ).fetchall()
    return frozenset(word for (word,) in rows)


def _short(sql: str) -> str:
    words = " ".join(sql.split())
    return words if len(words) <= 60 else words[:57] + "..."
