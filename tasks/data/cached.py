"""Arrays kept on disk so that they are there whole or not at all, whoever else writes them at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Arrays = Mapping[str, NDArray[np.generic]]


def arrays(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays in the .npz file `path`; made, and kept there, where it is missing or does not hold what it once held.

    Several processes may ask at once: each makes them, and the last to finish replaces equal content.
    """
    with contextlib.suppress(Exception):  # whatever a damaged archive raises, the remedy is to make it again
        with np.load(path) as archive:
            found = {name: archive[name] for name in archive.files}
        if str(found.pop("digest")) == digest(found):
            return found
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as partial, partial.open("wb") as file:
        np.savez(file, digest=np.array(digest(made)), **made)
    return made


def mapped(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, write: Callable[[NDArray[Any]], None],
) -> NDArray[Any]:
    """The array in the .npy file `path`, mapped; written to it first where it is missing, cut short or of another kind.

    Several processes may ask at once: each writes, and the last to finish replaces equal content.
    """
    found = _opened(path, shape, dtype)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomically(path) as partial:
            target = np.lib.format.open_memmap(partial, mode="w+", dtype=dtype, shape=shape)
            write(target)
            target.flush()
        found = _opened(path, shape, dtype)
        assert found is not None, f"{path} was written and cannot be read"
    return found


def digest(named: Arrays) -> str:
    """SHA-256 over names, shapes, types and values."""
    total = hashlib.sha256()
    for name in sorted(named):
        array = np.ascontiguousarray(named[name])
        total.update(f"{name} {array.shape} {array.dtype}".encode())
        total.update(array.data)
    return total.hexdigest()


@contextlib.contextmanager
def atomically(path: Path):
    """A path to write to; it becomes `path` when the block ends, and vanishes where the block raises."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _opened(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any] | None:
    """The array in `path`, or None where it is missing, cut short or of another shape or type."""
    try:
        # Copy on write: torch asks for memory that it may write to; nothing ever is.
        found = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == dtype else None
