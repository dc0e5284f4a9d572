"""The record of a trial's end, and which of several ends counts."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, final

import pyarrow as pa

RANK = {"done": 0, "stopped": 1, "failed": 2}
"""The rank of a status: the end of lowest rank counts, and of those the last attempt."""


@final
@dataclass(frozen=True)
class Record:
    """One end of one trial: what it was, how it ended, where it ran and with what."""

    trial: str
    kind: str
    status: str
    task: str
    config: str
    repetition: int
    sweep: str = ""
    point: str = ""
    point_index: int = 0
    reason: str | None = None
    error: str | None = None
    attempt: int = 1
    started: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    node: str = ""
    device: str = ""
    cpu: float = 1.0
    gpu: float = 0.0
    log: str | None = None
    version: str = ""
    commit: str | None = None
    dirty: bool | None = None
    code: str | None = None
    artifact: str | None = None
    stages: str = "{}"
    steps: int = 0


_TYPES = {
    "str": pa.string(),
    "str | None": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool | None": pa.bool_(),
}
SCHEMA = pa.schema(
    [pa.field(entry.name, _TYPES[str(entry.type)]) for entry in fields(Record)]
    + [pa.field("record", pa.string())]
)
REQUIRED = (*(entry.name for entry in fields(Record) if entry.default is MISSING), "record")
"""The columns that every row fills; an object without them was not written by the ledger."""
DEFAULTS: dict[str, Any] = {
    entry.name: entry.default for entry in fields(Record) if entry.default not in (MISSING, None)
}
"""Values for the columns that an older version did not write."""
