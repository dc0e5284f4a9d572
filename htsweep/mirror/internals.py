"""The private parts of MLflow that are used, each checked to be as in the tested version.

`pyproject.toml` caps MLflow at that version. Importing this module raises HtsweepError if the
installed MLflow lacks one of them, or has other columns in its tables of runs: rows written into
those would be wrong, or refused one by one.
"""

from __future__ import annotations

from typing import Any

import htsweep.mirror.quiet  # noqa: F401  (before MLflow)
from htsweep.errors import untested

# isort: split
try:
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.models import (
        SqlLatestMetric,
        SqlMetric,
        SqlParam,
        SqlRun,
        SqlTag,
    )
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
except ImportError as error:
    raise untested("mlflow", error) from error

__all__ = [
    "SqlAlchemyStore",
    "SqlLatestMetric",
    "SqlMetric",
    "SqlParam",
    "SqlRun",
    "SqlTag",
    "utils",
]

FUNCTIONS = (
    "_all_tables_exist",
    "_get_alembic_config",
    "_get_latest_schema_revision",
    "_initialize_tables",
    "_upgrade_db",
    "create_sqlalchemy_engine",
)
"""The functions of `utils` that are used."""
MEASURED = ("run_uuid", "key", "value", "timestamp", "step", "is_nan")
COLUMNS: dict[Any, tuple[str, ...]] = {
    SqlRun: (
        "run_uuid",
        "name",
        "source_type",
        "source_name",
        "entry_point_name",
        "user_id",
        "status",
        "start_time",
        "end_time",
        "source_version",
        "lifecycle_stage",
        "experiment_id",
        "artifact_uri",
    ),
    SqlTag: ("run_uuid", "key", "value"),
    SqlParam: ("run_uuid", "key", "value"),
    SqlMetric: MEASURED,
    SqlLatestMetric: MEASURED,
}
"""The columns of each table that are written (rows.py)."""


def check() -> None:
    """Raises HtsweepError if a function or column is missing, or a new column needs a value."""
    for name in FUNCTIONS:
        if not hasattr(utils, name):
            raise untested("mlflow", f"mlflow.store.db.utils.{name}")
    for table, written in COLUMNS.items():
        columns: dict[str, Any] = dict(table.__table__.columns)
        for name in written:
            if name not in columns:
                raise untested("mlflow", f"the column {name} of its table {table.__tablename__}")
        for name, column in columns.items():
            has_default = column.default is not None or column.server_default is not None
            if name not in written and not column.nullable and not has_default:
                what = f"a default for the column {name} of its table {table.__tablename__}"
                raise untested("mlflow", what)


check()
