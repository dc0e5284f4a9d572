"""Immutable objects under one root, on any file system that pyarrow supports."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, final

import pyarrow as pa
import pyarrow.fs as fs

from htsweep import remote
from htsweep.commands import shown
from htsweep.errors import LedgerError, why
from htsweep.ledger.passing import unless_passing
from htsweep.remote import PATIENCE, READING, Patience

_T = TypeVar("_T")
NO_RENAME = (errno.ENOSYS, errno.ENOTSUP, errno.EXDEV)
"""How a mounted bucket answers that it cannot rename."""


@final
class Entry(NamedTuple):
    """An object's name under the root, its size in bytes, and when it was written.

    The time is in unix seconds by the store's clock.
    """

    name: str
    size: int
    modified: float


@final
class Store:
    """A folder of objects: `results`, `/data/results`, `s3://bucket/results`.

    Whatever the file system refuses raises a `LedgerError` with the path and the remedy; a missing
    object raises `FileNotFoundError`. What may pass is tried again first: see
    `htsweep.remote` for file systems elsewhere, `htsweep.ledger.passing` for folders.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        try:
            if "://" in self.uri:
                self._files, self._root = remote.opened(self.uri)
            else:
                self.uri = str(Path(self.uri).resolve())
                self._files, self._root = fs.LocalFileSystem(), self.uri
            if self.folder is not None and not _nearest(self.folder).is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._root)
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # RuntimeError: links that lead in a circle
            raise LedgerError(
                f"the results folder {shown(self.uri)} cannot be opened: "
                f"{why(error, '--results', shown(self.uri))}"
            ) from None

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.uri,)

    @property
    def folder(self) -> Path | None:
        """The store's folder on this machine, or None if it is elsewhere."""
        return Path(self._root) if isinstance(self._files, fs.LocalFileSystem) else None

    def write(self, name: str, data: bytes) -> None:
        """Writes an object atomically.

        Once this returns, it survives the end of the process and, on a local disk, a power failure.
        """
        path = self._path(name)

        def write() -> None:
            if self.folder is not None:
                _place(Path(path), data)
                return
            try:
                self._stream(path, data)
            except FileNotFoundError:  # a file system that has folders
                self._files.create_dir(path.rpartition("/")[0], recursive=True)
                self._stream(path, data)

        self._do("written", name, write, PATIENCE)

    def read(self, name: str) -> bytes:
        """The bytes of an object.

        Raises:
            FileNotFoundError: there is none of that name.
        """

        def read() -> bytes:
            if self.folder is not None:
                return Path(self._path(name)).read_bytes()
            with self._files.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._do("read", name, read)

    def list(self, prefix: str) -> list[Entry]:
        """The objects below the folder `prefix`, by name, without those still being written."""

        def entries() -> list[Entry]:
            if self.folder is not None:
                return sorted(_walk(self._path(prefix), prefix))
            selector = fs.FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
            start = len(self._root.rstrip("/")) + 1
            return sorted(
                Entry(info.path[start:], info.size, info.mtime_ns / 1e9)
                for info in self._files.get_file_info(selector)
                if info.type == fs.FileType.File
            )

        return self._do("listed", prefix, entries)

    def delete(self, name: str) -> None:
        """Removes an object, if it still exists."""
        try:
            self._do("deleted", name, lambda: self._files.delete_file(self._path(name)))
        except FileNotFoundError:
            return
        if self.folder is not None and name.count("/") > 1:
            # The folder may be that of a lease or of states. It stays if another process has just
            # written to it.
            with contextlib.suppress(OSError):
                Path(self._path(name)).parent.rmdir()

    def delete_all(self, prefix: str) -> None:
        """Removes the objects below `prefix`, and the unfinished files of killed writers."""
        for entry in self.list(prefix):
            self.delete(entry.name)
        if self.folder is not None:
            shutil.rmtree(self._path(prefix), ignore_errors=True)

    def open(self, name: str) -> Any:
        """An object as an open pyarrow file, to read columns from.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        path = self._path(name)
        if self.folder is not None:
            return self._do("read", name, lambda: self._files.open_input_file(path))
        return self._do(
            "read", name, lambda: pa.PythonFile(remote.RemoteFile(self._files, path), mode="r")
        )

    def _do(
        self, doing: str, name: str, call: Callable[[], _T], patience: Patience = READING
    ) -> _T:
        """What `call` returns; errors become `LedgerError`, except for an object that is not there.

        Raises:
            FileNotFoundError: it is not there to read or to delete.
        """
        try:
            if self.folder is None:
                return remote.patiently(call, self._shown(name), patience)
            return unless_passing(call)
        except FileNotFoundError as error:
            if doing != "written":
                raise
            raise LedgerError(self._words(doing, name, error)) from error
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(self._words(doing, name, error)) from error

    def _words(self, doing: str, name: str, error: Exception) -> str:
        path = self._shown(name)
        if remote.forbidden(error):
            return (
                f"{path} cannot be {doing}: {why(error, '--results', path)}. The service refuses "
                "the keys of this machine: see that the environment or the machine's role has "
                "those that may read, write, list and delete there"
            )
        number = getattr(error, "errno", None)
        if doing in ("read", "listed") and number in (errno.EACCES, errno.EPERM):
            return (
                f"{path} cannot be {doing}: {os.strerror(errno.EACCES)}; ask its owner for "
                "permission to read it, or give another folder by --results"
            )
        # Not the file name in the error, which is that of the temporary file.
        return f"{path} cannot be {doing}: {why(error, '--results', path)}"

    def _shown(self, name: str) -> str:
        """An object as messages name it: without the options of the URI."""
        base = self.uri if self.folder is not None else self.uri.partition("?")[0]
        return f"{base.rstrip('/')}/{name}"

    def _stream(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as stream:
            stream.write(data)

    def _path(self, name: str) -> str:
        # Names also come from records, which anyone who may write there may have made.
        if name.startswith("/") or ".." in name.split("/"):
            raise LedgerError(f"{self._shown(name)} would lie outside the results, and is not used")
        return f"{self._root.rstrip('/')}/{name}"


def _nearest(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _place(target: Path, data: bytes) -> None:
    """Writes a file under another name and then renames it, so that nobody sees half of it."""
    # Hidden, so that it is not taken for an object. Files of `tempfile` would not be readable by
    # others.
    partial = target.parent / f".{uuid.uuid4().hex}.part"
    try:
        _write(partial, data)
        try:
            partial.replace(target)
        except OSError as error:
            if error.errno not in NO_RENAME:
                raise
            # A mounted bucket shows a file once it is closed, and half of a Parquet object is
            # none: its end is missing.
            partial.unlink()
            partial = target
            target.unlink(missing_ok=True)
            _write(target, data)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    with contextlib.suppress(OSError):  # not every file system can
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write(path: Path, data: bytes) -> None:
    with _created(path) as file:
        file.write(data)
        file.flush()
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, *NO_RENAME):  # a file system that has no fsync
                raise


def _created(path: Path) -> Any:
    for attempt in range(5):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.open("xb")
        except FileNotFoundError:  # another process has removed the empty folder
            if attempt == 4:
                raise
    raise AssertionError


def _walk(folder: str, prefix: str) -> list[Entry]:
    entries_below: list[Entry] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{prefix}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    # Another user's folder does not concern this one.
                    with contextlib.suppress(PermissionError):
                        entries_below += _walk(entry.path, name)
                    continue
                try:
                    about = entry.stat() if entry.is_file() else None
                except OSError as error:
                    # Another process has compacted it, or it is a circular link.
                    if error.errno not in (errno.ENOENT, errno.ELOOP):
                        raise
                    continue
                if about is not None:
                    entries_below.append(Entry(name, about.st_size, about.st_mtime))
    except FileNotFoundError:
        return []
    return entries_below
