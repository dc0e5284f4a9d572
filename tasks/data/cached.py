"""Arrays kept on disk so that they are there whole or not at all, whoever else writes them at the same time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tasks.cache import atomically, usable

Arrays = Mapping[str, NDArray[np.generic]]


def arrays(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays in the .npz file `path`; made, and kept there, where it is missing or does not hold what it once held.

    Several processes may ask at once: each makes them, and the last to finish replaces equal
    content.
    """
    # Whatever a damaged archive raises, the remedy is to make it again
    with contextlib.suppress(Exception):
        with np.load(path) as archive:
            arrays_by_name = {name: archive[name] for name in archive.files}
        if str(arrays_by_name.pop("digest")) == digest(arrays_by_name):
            return arrays_by_name
    made = make()
    with usable(path.parent, sum(array.nbytes for array in made.values())):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomically(path) as partial, partial.open("wb") as file:
            arrays: dict[str, Any] = {"digest": np.array(digest(made)), **made}
            np.savez(file, **arrays)
    return made


def mapped(
    path: Path,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    write: Callable[[NDArray[Any]], None],
) -> NDArray[Any]:
    """The array in the .npy file `path`, mapped; written to it first where it is missing, cut short or of another kind.

    Several processes may ask at once: each writes, and the last to finish replaces equal content.

    Raises:
        CacheUnusable: the disk is full or cannot be written; nothing is left behind.
    """
    array = _opened(path, shape, dtype)
    if array is None:
        with atomically(path) as partial:
            _lay_out(partial, shape, np.dtype(dtype))
            target = np.load(partial, mmap_mode="r+")
            write(target)
            target.flush()
        array = _opened(path, shape, dtype)
        assert array is not None, f"{path} was written and cannot be read"
    return array


def digest(named: Arrays) -> str:
    """SHA-256 over names, shapes, types and values."""
    total = hashlib.sha256()
    for name in sorted(named):
        array = np.ascontiguousarray(named[name])
        total.update(f"{name} {array.shape} {array.dtype}".encode())
        total.update(array.data)
    return total.hexdigest()


def _lay_out(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """An .npy file of zeros whose disk space is taken, so that a full disk is an error here.

    A file that is only made long has no blocks yet; where the disk cannot give one at the moment
    that the mapping is written to, the process is killed (SIGBUS).
    """
    size = math.prod(shape) * dtype.itemsize
    with usable(path.parent, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            if not _reserved(file.fileno(), file.tell(), size):
                for begin in range(0, size, 2**20):
                    file.write(bytes(min(2**20, size - begin)))


def _reserved(file: int, begin: int, size: int) -> bool:
    """Takes `size` bytes of disk behind `begin`; False where this system or file system has no such call."""
    try:
        os.posix_fallocate(file, begin, size)
    except AttributeError:  # macOS
        return False
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        return False
    return True


def _opened(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any] | None:
    """The array in `path`, or None where it is missing, cut short or of another shape or type."""
    try:
        # Copy on write: torch asks for memory that it may write to; nothing ever is.
        array = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None
