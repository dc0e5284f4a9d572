"""Files that are written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from htsweep.errors import HtsweepError, why


def put(path: Path, content: str | bytes) -> Path:
    """Writes `content` to `path`, replacing any file there, and returns the path.

    Readers meanwhile see either the old file or the new one.

    Raises:
        HtsweepError: the file system refuses it.
    """
    try:
        _put(
            path,
            content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content,
        )
    except OSError as error:
        raise HtsweepError(f"{path} cannot be written: {why(error)}") from error
    return path


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(0o666 & ~_umask())  # only the owner can read files of mkstemp
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
