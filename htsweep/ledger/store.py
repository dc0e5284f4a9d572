"""Immutable objects under one root, on any file system that pyarrow speaks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, final

import pyarrow.fs as fs

from htsweep.errors import LedgerError


@final
class Entry(NamedTuple):
    """An object's name under the root, its size in bytes, and when it was written (unix seconds by the store's clock)."""

    name: str
    size: int
    modified: float


@final
class Store:
    """A folder of objects: `results`, `/data/results`, `s3://bucket/results`."""

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        try:
            if "://" in self.uri:
                self._files, self._root = fs.FileSystem.from_uri(self.uri)
            else:
                self.uri = str(Path(self.uri).resolve())
                self._files, self._root = fs.LocalFileSystem(), self.uri
        except (OSError, ValueError) as error:
            raise LedgerError(f"the results folder {uri} cannot be opened: {error}") from None

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.uri,)

    @property
    def folder(self) -> Path | None:
        """The folder on this machine that the store is, or None where it is elsewhere."""
        return Path(self._root) if isinstance(self._files, fs.LocalFileSystem) else None

    def write(self, name: str, data: bytes) -> None:
        """Puts an object; when this returns, it outlives the process and, on a local disk, the power."""
        path = self._path(name)
        if self.folder is not None:
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return
        try:
            self._stream(path, data)
        except FileNotFoundError:  # a file system that has folders
            self._files.create_dir(path.rpartition("/")[0], recursive=True)
            self._stream(path, data)

    def read(self, name: str) -> bytes:
        """An object's bytes.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        if self.folder is not None:
            return Path(self._path(name)).read_bytes()
        with self._files.open_input_stream(self._path(name)) as stream:
            return bytes(stream.read())

    def list(self, prefix: str) -> list[Entry]:
        """The objects below the folder `prefix`, by name."""
        if self.folder is not None:
            return sorted(_walk(self._path(prefix), prefix))
        selector = fs.FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
        start = len(self._root.rstrip("/")) + 1
        return sorted(Entry(info.path[start:], info.size, info.mtime_ns / 1e9)
                      for info in self._files.get_file_info(selector) if info.type == fs.FileType.File)

    def delete(self, name: str) -> None:
        """Removes an object; that it is gone already is no error."""
        try:
            self._files.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def open(self, name: str) -> Any:
        """An object as a pyarrow file to read columns from."""
        return self._files.open_input_file(self._path(name))

    def _stream(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as stream:
            stream.write(data)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _walk(folder: str, prefix: str) -> list[Entry]:
    found: list[Entry] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                if entry.is_dir():
                    found += _walk(entry.path, name)
                    continue
                try:
                    about = entry.stat()
                except FileNotFoundError:  # another process compacted it away
                    continue
                found.append(Entry(name, about.st_size, about.st_mtime))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return found
