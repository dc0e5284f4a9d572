"""The mirror's SQLite database as a file: its content, damage, and former place; without MLflow."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import quote

from htsweep.errors import HtsweepError
from htsweep.mirror import address
from htsweep.mirror.run import RECORD, TRIAL
from htsweep.mirror.view import TAG

ARTIFACTS = "mlartifacts"
"""The folder beside the database that holds the artifacts."""
LONGEST = 504
"""The longest path in bytes: SQLite allows 512, and 8 of them are for its journal's name."""
UNFINISHED = ".htsweep-unfinished-"
"""The prefix of databases that are being made (htsweep/mirror/schema.py)."""
MOST_BYTES = LONGEST - len(UNFINISHED)
"""The longest path of a database, which is made under a name longer by the prefix."""
BUSY_SECONDS = 20.0
"""How long a writer waits for another one."""
PARTS = ("", "-journal", "-wal", "-shm")
"""The suffixes of the files of a database."""
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
KEPT = """\
SELECT trial.value, record.value FROM tags AS trial
JOIN runs ON runs.run_uuid = trial.run_uuid
JOIN experiments ON experiments.experiment_id = runs.experiment_id
JOIN tags AS record ON record.run_uuid = trial.run_uuid AND record.key = ?
WHERE trial.key = ? AND experiments.name = ?
AND runs.lifecycle_stage = 'active' AND runs.status != 'RUNNING'"""


@final
@dataclass(frozen=True)
class Held:
    """How many of the wanted trials a database has."""

    runs: int
    trouble: str = ""
    """Why no more is known; "" if all could be read."""


def held(database: Path, study: str, wanted: Mapping[str, str]) -> Held:
    """How many trials in `wanted`, with the record that counts, have complete runs in a study.

    Only reads, and waits for nobody: a database that does not exist is not created.
    """
    if not database.exists():
        return Held(0, "there is no MLflow database yet")
    try:
        with _reading(database) as connection:
            kept = connection.execute(KEPT, (RECORD, TRIAL, study)).fetchall()
    except (sqlite3.Error, OSError) as error:
        return Held(0, f"{database} cannot be read: {said(error, database)}")
    return Held(len({trial for trial, record in kept if wanted.get(trial) == record}))


def is_broken(database: Path) -> bool:
    """Whether SQLite cannot read the file, or finds damage; False if it is locked or missing."""
    if not database.is_file():
        return False
    try:
        with _reading(database) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        # The rest of an extended code says where
        return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in BROKEN
    except OSError:
        return False


def is_empty(database: Path) -> bool:
    """Whether it has no tables, like the file that SQLite makes if there is none."""
    if not database.exists():
        return True
    with _reading(database) as connection:
        return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))


def version(database: Path) -> str:
    """The version of MLflow's tables in it; "" if they have none."""
    with _reading(database) as connection:
        if (
            connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            ).fetchone()
            is None
        ):
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def set_aside(database: Path) -> Path:
    """Renames an unusable database, and returns its new path; its content stays for inspection."""
    name = f"{database.stem}-unreadable-{time.strftime('%Y%m%dT%H%M%S')}"
    aside = next(
        path
        for number in range(1000)
        if not (
            path := database.with_name(f"{name}{f'-{number}' if number else ''}{database.suffix}")
        ).exists()
    )
    for part in PARTS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{database}{part}").rename(f"{aside}{part}")
    return aside


def copy(database: Path, target: Path) -> None:
    """Copies a database as of one moment, even while others write to it."""
    with _reading(database) as source, contextlib.closing(sqlite3.connect(target)) as to:
        source.backup(to)


def relocate(database: Path) -> int:
    """Corrects the artifact paths of a moved database; returns how many runs and experiments.

    MLflow records artifact locations as absolute paths. After a folder was copied or moved, they
    still name its former place, and writing there would change the original. All are corrected in
    one transaction, and no id changes.
    """
    root = database.parent / ARTIFACTS
    with _reading(database) as connection:
        moved = _moved(connection, root)
    if not moved:
        return 0
    with _writing(database) as connection:
        changed = 0
        for before in _moved(
            connection, root
        ):  # check again, since another process may have been faster
            after = address.location(root)
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                changed += _renamed(connection, table, column, before, after=after)
    return changed


def said(error: BaseException, database: Path) -> str:
    """SQLite's message, with a remedy where it is not obvious."""
    text = str(error).partition("\n")[0]
    if "unable to open database file" in text and len(os.fsencode(database)) > MOST_BYTES:
        return (
            f"its path has {len(os.fsencode(database))} bytes, and SQLite opens none of more than "
            f"{MOST_BYTES}; use results "
            "with a shorter path, or give --tracking-uri"
        )
    remedies = {
        "readonly database": "make the file and its folder writable",
        "unable to open database file": "make its folder readable and writable",
        "database is locked": "another process holds it; end that one, or wait for it",
        "disk is full": "free some space",
        "disk I/O error": "look whether its disk is full or damaged",
    }
    remedy = next((remedy for sign, remedy in remedies.items() if sign in text), "")
    return f"{text} ({remedy})" if remedy else text


def check_length(database: Path) -> None:
    """Checks the length of the path.

    Raises:
        HtsweepError: SQLite cannot open a file with so long a path.
    """
    if len(os.fsencode(database)) > MOST_BYTES:
        raise HtsweepError(
            f"MLflow cannot keep a database at {database}: "
            f"{said(sqlite3.OperationalError('unable to open database file'), database)}"
        )


def _moved(connection: sqlite3.Connection, root: Path) -> list[str]:
    """The recorded artifact folders of this package's experiments that differ from `root`."""
    tables = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not {"experiments", "experiment_tags", "runs"} <= tables:
        return []
    folders: dict[str, None] = {}
    query = (
        "SELECT name, artifact_location FROM experiments WHERE experiment_id IN "
        "(SELECT experiment_id FROM experiment_tags WHERE key = ?)"
    )
    for name, location in connection.execute(query, (TAG,)):
        path = address.path_of(str(location or ""))
        # Folders that someone has put elsewhere on purpose have other names, and stay.
        if (
            path is None
            or path.name != name
            or path.parent.name != ARTIFACTS
            or _same(path.parent, root)
        ):
            continue
        folders[str(location)[: -len(_last(str(location))) - 1]] = None
    return list(folders)


def _renamed(
    connection: sqlite3.Connection, table: str, column: str, before: str, *, after: str
) -> int:
    start = f"{before}/"
    return connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
        (f"{after}/", len(start) + 1, len(start), start),
    ).rowcount


def _last(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2]


def _same(path: Path, root: Path) -> bool:
    """Whether both are the same folder; a path that does not exist is never the same."""
    if path == root:
        return True
    try:
        return path.parent.samefile(root.parent)
    except OSError:
        return False


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(database.absolute()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
        yield connection


@contextlib.contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(database.absolute()))}?mode=rw"
    with contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
