"""MLflow that prints nothing, phones nobody and gives up soon, unless the environment says otherwise.

To be imported before MLflow: part of this is read while it is imported.
"""

from __future__ import annotations

import logging
import os

SETTINGS = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a banner per run over HTTP
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default a request to a server that is down is tried for four minutes, which `follow` could not interrupt; it
    # has a back-off of its own.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def hush() -> None:
    """Nothing; MLflow's settings and logs are quiet from here on."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Logs a traceback of what it raises as well: who catches it says it better.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # "Retrying (...) after connection broken": an outage is told once, by `follow`.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


hush()
