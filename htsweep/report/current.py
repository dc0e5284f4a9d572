"""Whether a written report is that of what there is: then nothing need be drawn again.

A hidden file beside the report says what it was made of: the study, what the ledger had of it,
where the results were, and the code that analyses and draws.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.files import put
from htsweep.results import Results

NAME = ".current.json"
DRAWS = ("analysis", "report", "results", "selection")
"""The folders of this package whose code makes a report."""


@final
@dataclass(frozen=True)
class Written:
    """A report as it was written."""

    table: str
    """The study's results as Markdown."""
    paths: tuple[Path, ...]
    """Its files, in the order in which a launch names them."""
    mirrored: str = ""
    """The tracking URI of the MLflow that has all of it; empty: none is known to."""


def made_of(results: Results) -> str:
    """A digest of everything that a report of `results` depends on."""
    content = [results.state, results.location, _code()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find(out: Path, stamp: str) -> Written | None:
    """The report below `out`, if it was made of what `stamp` says and no file has changed since."""
    try:
        content: dict[str, Any] = json.loads((out / NAME).read_text(encoding="utf-8"))
        if content["made_of"] != stamp:
            return None
        paths = tuple(out / name for name in content["files"])
        same = all(_version(path) == content["files"][path.name] for path in paths)
        return Written(content["table"], paths, content["mirrored"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is not there, or an earlier version wrote it


def keep(out: Path, stamp: str, table: str, paths: Iterable[Path], mirrored: str = "") -> None:
    """Says beside the report what it was made of."""
    content = {
        "made_of": stamp,
        "table": table,
        "files": {path.name: _version(path) for path in paths},
        "mirrored": mirrored,
    }
    put(out / NAME, json.dumps(content))


def _version(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


@functools.cache
def _code() -> str:
    """A digest of the code that makes a report."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in DRAWS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
