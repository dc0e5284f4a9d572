"""Tracking URIs and artifact locations for paths with any characters; pure.

MLflow and SQLAlchemy read a path as part of a URI: they decode `%2F` in it, and give another
meaning to what follows `?` or `#`. A path without such characters is used as it is.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlparse
from urllib.request import url2pathname

from htsweep.commands import shown
from htsweep.errors import HtsweepError, did_you_mean

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "file")
PLUGINS = ("databricks", "uc", "arn", "azureml")
"""Prefixes of tracking stores that plugins add to MLflow."""
ENDINGS = (".db", ".sqlite", ".sqlite3")
"""The endings by which a path is taken for a SQLite database."""


def of_database(path: Path) -> str:
    """The tracking URI of the SQLite database at `path`."""
    text = str(path.absolute())
    encoded = quote(text)
    # For `sqlite:` MLflow 3.17 makes the parent folder without decoding its name, beside the
    # intended one. It makes none if the driver is named; `pysqlite` is also the default driver.
    return f"sqlite:///{text}" if encoded == text else f"sqlite+pysqlite:///{encoded}"


def database_of(uri: str) -> Path | None:
    """The file of a SQLite database; None if `uri` is something else.

    Raises:
        HtsweepError: it names a database in memory, which would vanish with the process.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower().partition("+")[0] != "sqlite":
        return None
    name = unquote(rest.partition("?")[0].removeprefix("/"))
    if name in ("", ":memory:"):
        raise HtsweepError(
            f"the tracking URI {shown(uri)} names a database in memory, which is gone when the "
            "command ends; "
            "give a file, such as sqlite:///mlflow.db"
        )
    return Path(name).absolute()


def resolved(uri: str) -> str:
    """The tracking URI that a user means by `uri`, independent of the working folder.

    A path is a SQLite database.

    Raises:
        HtsweepError: MLflow has no such tracking store.
    """
    database = database_of(uri)
    if database is not None:
        query = uri.partition("?")[2]
        return of_database(database) + (f"?{query}" if query else "")
    scheme = urlparse(uri).scheme.lower().partition("+")[0] if "://" in uri else ""
    if scheme == "file":
        return _of_path(Path(url2pathname(urlparse(uri).path)), uri)
    if scheme in SCHEMES or uri.partition(":")[0].startswith(PLUGINS):
        return uri
    if scheme:
        raise HtsweepError(
            f"MLflow does not support tracking URIs that begin with '{scheme}:'; "
            f"{did_you_mean(scheme, SCHEMES)}"
        )
    return _of_path(Path(uri), uri)


def location(path: Path) -> str:
    """The artifact location for the folder `path`."""
    text = str(path.absolute())
    return text if quote(text) == text else path.absolute().as_uri()


def path_of(location: str) -> Path | None:
    """The folder of an artifact location; None if it is not on this machine's disks."""
    parsed = urlparse(location)
    if parsed.scheme == "file" and parsed.netloc in ("", "localhost"):
        return Path(url2pathname(parsed.path))
    return Path(url2pathname(location)) if location.startswith("/") else None


def _of_path(path: Path, came: str) -> str:
    if path.is_file() or (path.suffix in ENDINGS and not path.is_dir()):
        return of_database(path)
    raise HtsweepError(
        f"the tracking URI {shown(came)} is no database, and MLflow keeps no runs in folders any "
        "more; give a "
        "SQLite file, such as sqlite:////FOLDER/mlflow.db, or a server, such as http://HOST:5000"
    )
