"""What is kept of a trial's end, and which of its ends counts."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, final

import pyarrow as pa

RANK = {"done": 0, "stopped": 1, "failed": 2}
"""Which of a trial's ends counts: the lowest, and of those the last attempt."""


@final
@dataclass(frozen=True)
class Record:
    """One end of one trial: what it was, how it ended, where and with what."""

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
"""What every row has: an object without it is none of the ledger's."""
DEFAULTS: dict[str, Any] = {
    entry.name: entry.default for entry in fields(Record) if entry.default not in (MISSING, None)
}
"""What stands where a version did not know the column yet."""
