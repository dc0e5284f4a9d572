"""Many files named by what they hold, read once: a file whose size and time of change stay the same is not read again."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tasks.data import cached

SETTLED_SECONDS = 2.0
"""A file changed so recently may change again within the clock's grain; its digest is not remembered."""


def fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """16 hexadecimal digits from the names and contents of (name, path); where the files lie does not matter."""
    listed = list(files)
    memory = _memory(os.path.commonpath([path.parent for _, path in listed]) if listed else "")
    known = _remembered(memory)
    fresh: dict[str, list] = {}
    total = hashlib.sha256()
    for name, path in listed:
        status = path.stat()
        key = str(path)
        size, changed, digest = known.get(key, (None, None, ""))
        if (size, changed) != (status.st_size, status.st_mtime_ns):
            digest = _digest(path)
        if status.st_mtime < time.time() - SETTLED_SECONDS:
            fresh[key] = [status.st_size, status.st_mtime_ns, digest]
        total.update(f"{name}\0{digest}\n".encode())
    if fresh != known:
        # Only a shortcut: where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            with cached.atomically(memory) as partial:
                partial.write_text(json.dumps(fresh))
    return total.hexdigest()[:16]


def for_a_moment(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, remembering its answers for two seconds: a plan asks the same of each of a hundred thousand trials."""

    @functools.lru_cache(maxsize=256)
    def remembered(moment: int, *arguments: Any) -> Any:
        return function(*arguments)

    @functools.wraps(function)
    def answer(*arguments: Any) -> Any:
        return remembered(int(time.monotonic() / 2), *arguments)

    return answer


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered(memory: Path) -> dict[str, list]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(memory.read_text())
        return found if isinstance(found, dict) else {}
    return {}


def _memory(place: str) -> Path:
    """The file with the digests of the files below `place`, in the folder that also holds decoded data."""
    base = os.environ.get("HTSWEEP_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "htsweep"
    return Path(base) / "digests" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
