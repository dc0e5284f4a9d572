"""This machine's cache folder for what is slow to compute.

It holds decoded images, digests of files and traits of backbones.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VARIABLE = "HTSWEEP_CACHE"
LIMIT = "HTSWEEP_CACHE_LIMIT"
IMAGES = "HTSWEEP_CACHE_IMAGES"
AUTO, DECODED, FILES = "auto", "decoded", "files"
"""How images are kept: decoded if there is room; decoded in any case; in their own files alone."""
AS_ASKED = f"{IMAGES} is {FILES}"
RESERVE = 2**30
"""Bytes of the disk that decoded images leave free for results and other programs."""
UNITS = {"": 1, "MB": 10**6, "GB": 10**9, "TB": 10**12}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class CacheUnusable(OSError):
    """The cache cannot be written; the message names the folder, the reason and the remedy."""


def place() -> Path:
    """The path: `$HTSWEEP_CACHE`, or else `htsweep` in the user's cache. Creates nothing.

    Raises:
        CacheUnusable: no home folder is known, and the variable is not set.
    """
    given = os.environ.get(VARIABLE)
    if given:
        try:
            return Path(given).expanduser().absolute()
        except RuntimeError as error:
            raise CacheUnusable(
                f"{VARIABLE} is {given!r}, which is no path here: {error}; {_remedy()}"
            ) from error
    users = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if users.is_absolute():  # the XDG standard: a relative path is not valid and is ignored
        return users / "htsweep"
    home = _home()
    if home is None:
        raise CacheUnusable(f"this user has no home folder to keep decoded data in; {_remedy()}")
    return home / ".cache" / "htsweep"


def folder() -> Path:
    """The folder at `place()`, created if missing, and checked to be writable.

    Raises:
        CacheUnusable: it cannot be created or written.
    """
    where = place()
    with usable(where):
        if where.exists() and not where.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        where.mkdir(parents=True, exist_ok=True)
        if not os.access(where, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return where


@contextlib.contextmanager
def usable(where: Path, needed: int = 0) -> Iterator[None]:
    """A context that turns an OSError into `CacheUnusable` for the folder `where`.

    `needed` is the number of bytes to be written, for the message.
    """
    try:
        yield
    except CacheUnusable:
        raise
    except OSError as error:
        if error.errno in FULL:
            size = f" for {needed / 2**20:,.1f} MiB" if needed else ""
            reason = (
                f"there is no space{size} ({_free(where)}): free some, or set {VARIABLE} to a "
                "folder on another disk"
            )
        else:
            reason = f"{error.strerror or error}; {_remedy()}"
        raise CacheUnusable(f"decoded data cannot be kept at {where}: {reason}") from error


def limit() -> int | None:
    """The bytes that the cache may take, from `$HTSWEEP_CACHE_LIMIT`; None if it is not set.

    Raises:
        CacheUnusable: the variable holds no size.
    """
    given = os.environ.get(LIMIT, "").strip()
    if not given:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]B)?", given, re.IGNORECASE)
    if found is None:
        raise CacheUnusable(f"{LIMIT} is {given!r}; it must be a size such as 500MB, 200GB or 2TB")
    return int(float(found[1]) * UNITS[(found[2] or "").upper()])


def images_way() -> str:
    """How decoded images are kept, from `$HTSWEEP_CACHE_IMAGES`: `auto` if it is not set.

    Raises:
        CacheUnusable: the variable holds another word.
    """
    given = os.environ.get(IMAGES, "").strip() or AUTO
    if given not in (AUTO, DECODED, FILES):
        raise CacheUnusable(f"{IMAGES} is {given!r}; it must be {AUTO}, {DECODED} or {FILES}")
    return given


def lacking(needed: int) -> str:
    """Why the cache has no room for `needed` bytes more; empty if it has."""
    where = place()
    over = _over(needed)
    if over:
        return f"it would take {over}"
    existing = next(folder for folder in (where, *where.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed + RESERVE <= free:
        return ""
    return f"it would take {needed / 1e9:,.3g} GB, and {where} has {free / 1e9:,.3g} GB free"


def within_limit(needed: int, what: str) -> None:
    """Raises `CacheUnusable` if the cache would take more than its limit with `needed` bytes more.

    Args:
        needed: the bytes to be added.
        what: what they are, for the message.
    """
    over = _over(needed)
    if over:
        raise CacheUnusable(
            f"{what} take {over}: raise it, choose a smaller image_size, leave images in their "
            f"files ({IMAGES}={FILES}), or remove what is not needed of {place()} (anything there "
            "is made again)"
        )


def _over(needed: int) -> str:
    """By how much `needed` bytes more would be over the limit; empty if they are not."""
    most = limit()
    if most is None:
        return ""
    where = place()
    held = sum(_size(Path(folder, name)) for folder, _, names in os.walk(where) for name in names)
    if held + needed <= most:
        return ""
    return (
        f"{needed / 1e9:,.3g} GB, and {where} holds {held / 1e9:,.3g} GB, but {LIMIT} allows "
        f"{most / 1e9:,.3g} GB"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextlib.contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A temporary path to write to; renamed to `path` at the end, removed if the block raises."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remembered(question: Any, answer: Callable[[], Any]) -> Any:
    """The answer to a question, computed once on this machine; both must be JSON-serialisable.

    The question must hold everything that the answer depends on, including versions. If the cache
    cannot be read or written, the answer is computed again.
    """
    text = json.dumps(question, sort_keys=True)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(_answer_file(text).read_text(encoding="utf-8"))
        if kept["question"] == text:
            return kept["answer"]
    given = answer()
    with contextlib.suppress(OSError):
        path = _answer_file(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomically(path) as partial:
            partial.write_text(json.dumps({"question": text, "answer": given}), encoding="utf-8")
    return given


def _answer_file(text: str) -> Path:
    return place() / "answers" / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def _home() -> Path | None:
    """The user's home: `$HOME` if it is an absolute path, or else from the user database."""
    given = Path(os.environ.get("HOME") or "")
    if given.is_absolute():
        return given
    import pwd

    try:
        known = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a container may run as a user without an entry
        return None
    return known if known.is_absolute() else None


def _remedy() -> str:
    return f"set {VARIABLE} to a folder that can be written"


def _free(where: Path) -> str:
    """`12 MiB are free`, of the disk that holds `where` or would hold it."""
    for folder in (where, *where.parents):
        with contextlib.suppress(OSError):
            return f"{shutil.disk_usage(folder).free / 2**20:,.1f} MiB are free"
    return "free space unknown"
