"""Makes MLflow print nothing, send no telemetry and give up soon, unless the environment differs.

Each module that imports MLflow imports this first, since part of it is read during that import. It
changes the environment of its process for good. A launch does not import it: its mirror is a
separate process (process.py).
"""

from __future__ import annotations

import logging
import os

SETTINGS = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a banner per run over HTTP
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default a request to a server that is down is retried for four minutes. `stream` could not
    # interrupt that, and has a back-off of its own.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # A database that was deleted and made again has its old path; a pooled connection would write
    # to the deleted one, and what it wrote would be lost.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""This machine's own addresses, which no proxy can reach."""


def hush() -> None:
    """Quietens MLflow's settings and logs."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    past_the_proxy()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs a traceback of what it also raises; the caller reports that better.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # "Retrying (...) after connection broken": `stream` handles outages.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def past_the_proxy() -> None:
    """Keeps this process and its children from using a proxy for this machine's addresses.

    MLflow's client and server read the environment: `http_proxy`, and the exceptions in `no_proxy`.
    """
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip() for name in excepted.split(",") if name.strip()]
    if "*" in names:
        return
    value = ",".join([*names, *(name for name in LOOPBACK if name not in names)])
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = value


hush()
