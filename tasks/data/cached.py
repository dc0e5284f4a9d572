"""Arrays cached on disk atomically, safe against concurrent writers."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tasks.cache import atomically, usable

Arrays = Mapping[str, NDArray[np.generic]]


def arrays(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays in the .npz file `path`, made and stored first if it is missing or damaged.

    If several processes make them at once, the last to finish replaces equal content.
    """
    # A damaged archive may raise anything; it is made again.
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
    """The array in the .npy file `path`, memory-mapped; written first if missing or unsuitable.

    A file is unsuitable if it is truncated or has another shape or type. If several processes write
    it at once, the last to finish replaces equal content.

    Raises:
        CacheUnusable: the disk is full or not writable; no partial file remains.
    """
    array = opened(path, shape, dtype)
    if array is None:
        with atomically(path) as partial:
            lay_out(partial, shape, np.dtype(dtype))
            target = np.load(partial, mmap_mode="r+")
            write(target)
            target.flush()
        array = opened(path, shape, dtype)
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


def lay_out(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Writes an .npy file of zeros with allocated disk space, so that a full disk fails here.

    A sparse file has no blocks yet; if the disk is full when the mapping is written to, the process
    is killed (SIGBUS).
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
    """Allocates `size` bytes of disk from `begin`; False if the system does not support this."""
    try:
        os.posix_fallocate(file, begin, size)
    except AttributeError:  # macOS
        return False
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        return False
    return True


def opened(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, mode: Literal["c", "r+"] = "c"
) -> NDArray[Any] | None:
    """The array in `path`, or None if it is missing, truncated or of another shape or type.

    Args:
        path: an .npy file.
        shape: the expected shape.
        dtype: the expected type.
        mode: "r+" to write to it. By default it is copied on write: torch requires writable memory,
            although nothing writes to it.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode=mode)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None
