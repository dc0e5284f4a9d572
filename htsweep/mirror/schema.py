"""Makes or upgrades the mirror's SQLite database, completely or not at all.

MLflow makes its tables in dozens of steps, and SQLite does not undo those of a process that is
killed in between, so a database made in place could stay unusable for good. Here it is made or
upgraded under another name, and gets its own when it is complete.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import htsweep.mirror.internals  # noqa: F401  (before MLflow: says what it lacks)

# isort: split
from alembic.script import ScriptDirectory
from mlflow import __version__ as installed

from htsweep.commands import operand, quoted
from htsweep.errors import HtsweepError
from htsweep.mirror import address, database
from htsweep.mirror.internals import SqlAlchemyStore, utils

TABLES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH)
"""SQLite's error codes for statements that do not fit the tables."""
_ONE_AT_A_TIME = threading.Lock()
"""Alembic, which changes the tables for MLflow, keeps its state in module variables."""
ABANDONED_SECONDS = 3600.0
"""An unfinished database older than this is left over from a killed process."""


def prepared(path: Path, ours: bool) -> list[str]:
    """Creates or updates the database at `path`; returns notes on what was done.

    Args:
        path: the database's file.
        ours: whether htsweep alone has chosen it; only then is an unusable file renamed, and a new
            database made.

    Raises:
        HtsweepError: it cannot be used as it is, and waiting does not help; the message says what
            to do.
        Exception: of MLflow, SQLAlchemy, SQLite or the file system, which `copying.explained`
            explains.
    """
    database.check_length(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = []
    unusable = f"{path} cannot be used as MLflow's database"
    aside = f"move it away, and the next launch or mirror makes a new one: {_move(path)}"
    if database.is_broken(path):
        if not ours:
            raise HtsweepError(
                f"{unusable}: SQLite cannot read it, or finds it damaged. To go on, {aside}"
            )
        notes.append(
            f"{path} could not be read by SQLite; it is now {database.set_aside(path).name}, and a "
            "new one was made"
        )
    _sweep(path.parent)
    if database.is_empty(path):
        _make(path)
        return notes
    version, wanted = database.version(path), _wanted()
    if version != wanted:
        if version and not _is_older(version):
            raise HtsweepError(
                f"{unusable}: it is of a newer MLflow than the installed {installed}. Install the "
                "newer one, "
                f"or {aside}"
            )
        notes.append(_finished(path, ours))
    count = database.relocate(path)
    if count:
        notes.append(
            f"{path} was copied or moved: {count} experiments and runs now name the artifacts "
            "beside it"
        )
    return notes


def _finished(path: Path, ours: bool) -> str:
    """Upgrades the tables to the installed MLflow, and says how."""
    try:
        _upgrade(path)
    except Exception as error:
        if not ours or not _is_of_tables(error):
            raise
        # Its maker was killed while MLflow made or changed the tables in place, so it cannot be
        # completed.
        aside = database.set_aside(path)
        _make(path)
        why = database.said(cause(error), path)
        return (
            f"{path} had been left unfinished ({why}); it is now {aside.name}, and a new one was "
            "made"
        )
    return f"{path} was brought up to date for MLflow {installed}"


def _make(path: Path) -> None:
    with _ONE_AT_A_TIME, _unfinished(path) as new:
        with contextlib.closing(sqlite3.connect(new)) as connection:
            # An unwritable disk fails here at once; MLflow would try again for 100 s.
            connection.execute("CREATE TABLE probe (x)")
            connection.execute("DROP TABLE probe")
        # The constructor makes all tables; what it notes of artifacts must be where they will be.
        store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
            address.of_database(new), address.location(path.parent / database.ARTIFACTS)
        )
        store.engine.dispose()
        if path.exists() and database.is_empty(path):
            new.replace(path)
            return
        try:
            os.link(new, path)  # fails if another process was faster, which is fine
        except FileExistsError:
            return
        except OSError:  # a file system without links
            new.replace(path)


def _upgrade(path: Path) -> None:
    with _ONE_AT_A_TIME, _unfinished(path) as new:
        database.copy(path, new)
        engine = utils.create_sqlalchemy_engine(  # type: ignore[no-untyped-call]
            address.of_database(new)
        )
        try:
            if (
                not utils._all_tables_exist(engine)  # type: ignore[no-untyped-call]
                and not database.version(new)
            ):
                utils._initialize_tables(engine)  # type: ignore[no-untyped-call]
            else:
                utils._upgrade_db(engine)  # type: ignore[no-untyped-call]
        finally:
            engine.dispose()
        new.replace(path)


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    # No longer than its final name with the prefix: see database.MOST_BYTES.
    new = path.with_name(f"{database.UNFINISHED}{uuid.uuid4().hex[:6]}.db")
    try:
        yield new
    finally:
        for part in database.PARTS:
            Path(f"{new}{part}").unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes databases whose makers were killed."""
    for left in folder.glob(f"{database.UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                left.unlink()


def _wanted() -> str:
    return str(utils._get_latest_schema_revision())  # type: ignore[no-untyped-call]


def _is_older(version: str) -> bool:
    """Whether the installed MLflow knows the version, and so can upgrade from it."""
    script = ScriptDirectory.from_config(
        utils._get_alembic_config("")  # type: ignore[no-untyped-call]
    )
    return version in {revision.revision for revision in script.walk_revisions()}


def _move(path: Path) -> str:
    return quoted(["mv", operand(path), operand(path.with_name(f"{path.stem}-old{path.suffix}"))])


def _is_of_tables(error: BaseException) -> bool:
    """Whether the tables are wrong, rather than the disk, permissions or another process."""
    inner = cause(error)
    if isinstance(inner, sqlite3.Error):
        return (getattr(inner, "sqlite_errorcode", 0) or 0) & 0xFF in TABLES
    return not isinstance(inner, OSError)


def cause(error: BaseException) -> BaseException:
    """The innermost error of SQLite or the file system: MLflow and SQLAlchemy add little."""
    innermost: BaseException = error
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, sqlite3.Error | OSError):
            innermost = inner
        inner = inner.__cause__ or inner.__context__
    return innermost
