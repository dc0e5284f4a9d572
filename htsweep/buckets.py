"""Reads buckets for tasks, which keep copies of their data (`tasks/buckets.py`)."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, final

from tasks.buckets import File, shown

if TYPE_CHECKING:
    import pyarrow.fs as fs

_T = TypeVar("_T")
AT_ONCE = 16
"""How many objects are copied at once."""
PIECE = 32 * 2**20
"""How many bytes one call reads, which has a time limit."""
LISTING_SECONDS = 30.0
"""How long a listing that fails is asked for again: someone waits for a plan."""


@final
class Reader:
    """Reads what pyarrow's file systems can, each call patiently."""

    def files(self, uri: str) -> Sequence[File]:
        """All objects below a URI.

        Raises:
            OSError, ValueError: they cannot be listed; says why, and what to do.
        """
        import pyarrow.fs as fs

        files, root = _opened(uri)
        selector = fs.FileSelector(root, recursive=True)
        infos = _patiently(lambda: files.get_file_info(selector), shown(uri), LISTING_SECONDS)
        start = len(root.rstrip("/")) + 1
        return [
            File(info.path[start:], info.size, str(info.mtime_ns))
            for info in infos
            if info.type == fs.FileType.File
        ]

    def copy(self, uri: str, targets: Mapping[File, Path]) -> None:
        """Copies objects to files, each of which is there as a whole or not at all.

        Raises:
            OSError: one cannot be read or written; those that were copied stay.
        """
        files, root = _opened(uri)
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for _ in pool.map(lambda one: _copy(files, root, *one), targets.items()):
                pass
        finally:
            pool.shutdown(cancel_futures=True)


def _copy(files: fs.FileSystem, root: str, file: File, target: Path) -> None:
    path = f"{root.rstrip('/')}/{file.name}"

    def whole() -> bytes:
        with files.open_input_stream(path) as stream:
            return bytes(stream.read())

    partial = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with partial.open("wb") as written:
            if file.size <= PIECE:
                written.write(_patiently(whole, file.name))
            else:
                _in_pieces(files, path, written.write)
            size = written.tell()
        if size != file.size:
            raise OSError(f"{file.name} has changed while it was copied; run this again")
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _in_pieces(files: fs.FileSystem, path: str, write: Callable[[bytes], object]) -> None:
    from htsweep import remote

    source = remote.RemoteFile(files, path, remote.READING)
    while piece := source.read(PIECE):
        write(piece)


def _opened(uri: str) -> tuple[fs.FileSystem, str]:
    from htsweep import remote

    try:
        return remote.opened(uri, remote.READING)
    except OSError as error:
        raise OSError(_why(error)) from error
    except ValueError as error:
        if "Unrecognized filesystem type" not in str(error):
            raise
        raise ValueError(
            f"there is no access to {uri.partition('://')[0]}:// here; a bucket is one of s3://, "
            "gs:// and abfs://"
        ) from error


def _patiently(call: Callable[[], _T], where: str, total: float | None = None) -> _T:
    """What `call` returns, made again for `total` seconds.

    Raises:
        OSError: the service refuses, or goes on failing; says what to do.
    """
    from htsweep import remote

    patience = remote.READING if total is None else replace(remote.READING, total=total)
    try:
        return remote.patiently(call, where, patience)
    except OSError as error:
        raise OSError(_why(error)) from error


def _why(error: OSError) -> str:
    """Why a service refuses, with the remedy."""
    from htsweep import remote

    said = (error.strerror or "") if error.errno is not None else str(error).partition("\n")[0]
    if remote.forbidden(error):
        return (
            f"{said}. The service refuses the keys of this machine: see that the environment or "
            "the machine's role has those that may list and read there"
        )
    if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in said:
        return f"{said}; see that bucket and path are spelt as they are there"
    return f"{said}; see that the service can be reached from here, then run this again"
