"""File systems elsewhere: S3, Google Cloud Storage, Azure, as pyarrow has them, made patient.

A service answers some calls with an error, late, or never. So each call has a time limit and is
made again, after pauses that double and are drawn at random, so that a hundred workers do not come
back at the same moment. What waiting cannot change, such as a refused key, is an error at once.
"""

from __future__ import annotations

import errno
import functools
import io
import logging
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, final
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.fs as fs

from htsweep.commands import shown

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@final
@dataclass(frozen=True)
class Patience:
    """How long a call may take, and for how long it is made again; all in seconds."""

    call: float = 120.0
    """After this long a call counts as failed."""
    total: float = 600.0
    """How long calls are made again. A day's training must not be lost to a ten-minute outage."""
    first: float = 0.5
    """The longest first pause; later ones double."""
    longest: float = 30.0
    silence: float = 10.0
    """After this long without a byte of an answer, pyarrow's own attempt ends (S3)."""
    attempts: int = 3
    """How often pyarrow itself asks, for each request of a call (S3): a listing has many."""

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures: drawn evenly from 0 to a doubling bound."""
        return random.uniform(0, min(self.longest, self.first * 2 ** min(failures - 1, 20)))


PATIENCE = Patience()
READING = Patience(total=120.0)
"""For what can be asked again later: someone waits for the answer."""
_PERMANENT = re.compile(
    r"ACCESS_DENIED|NOT_FOUND|NO_SUCH_|INVALID_|DOES_NOT_MATCH|PERMISSION_DENIED|UNAUTHENTICATED"
    r"|UNRECOGNIZED_CLIENT|EXPIRED_TOKEN|AuthenticationFailed|AuthorizationFailure|ContainerNotFound"
    r"|ExpiredToken|(?:HTTP status|status code:?|http_status_code=) ?4(?!08|29)\d\d"
)
"""In the error of a service: asking again gives the same answer."""
_FORBIDDEN = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|DOES_NOT_MATCH|PERMISSION_DENIED|UNAUTHENTICATED"
    r"|UNRECOGNIZED_CLIENT|EXPIRED_TOKEN|Authenti|Authoriz|ExpiredToken|INVALID_CLIENT_TOKEN"
)
_BEGUN_ANEW = "gcloud-cpp.retry.function=UploadChunk"
"""In the error of a part of an upload to Google, which says nothing of an upload begun anew."""
_READ = re.compile(r"AWS_|AZURE_|GOOGLE_|GCS_|CLOUDSDK_|STORAGE_|SSL_|HOME$|.*_proxy$", re.I)
"""The names in the environment that a service's client may read."""
_SECRET = re.compile(r"secret|token|password|passwd|account_?key|^sig$|signature|^key$", re.I)
"""A part of a URI's query whose value nobody else may see."""


def secret_in(uri: str) -> str | None:
    """Which part of a URI is a secret: a user's password, or the name of a query's part."""
    parts = urlsplit(uri)
    if parts.password:
        return "a password"
    return next((name for name, _ in parse_qsl(parts.query) if _SECRET.search(name)), None)


def opened(uri: str, patience: Patience = PATIENCE) -> tuple[fs.FileSystem, str]:
    """The file system of a URI, and the path of what the URI names in it.

    Keys come from the environment or from the machine's role. The account key or the SAS token
    of Azure come from `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`, if one of them is set.

    Raises:
        OSError, ValueError: pyarrow has no such file system, or the URI holds a secret.
    """
    if held := secret_in(uri):
        raise ValueError(
            f"the URI holds {held}, which would be seen in lists of processes, in logs and in "
            "messages: leave it out, and give it by the environment (AWS_SECRET_ACCESS_KEY, "
            "AZURE_STORAGE_KEY, GOOGLE_APPLICATION_CREDENTIALS) or by the machine's role"
        )
    parts = urlsplit(uri)
    if parts.username and (parts.hostname or "").endswith(".blob.core.windows.net"):
        # pyarrow 25 takes only the path of such a URI for the place, without the container.
        raise ValueError(
            "a container before '@' goes with .dfs.core.windows.net; write "
            f"{parts.scheme}://{parts.username}@"
            f"{str(parts.hostname).replace('.blob.', '.dfs.')}{parts.path}"
        )
    return _made(uri, patience, _environment())


@functools.lru_cache(maxsize=16)
def _made(
    uri: str, patience: Patience, environment: tuple[tuple[str, str], ...]
) -> tuple[fs.FileSystem, str]:
    """As `opened`; made once in a process, as a client of S3 takes 14 ms of processor time.

    Args:
        uri: of the place.
        patience: its time limits.
        environment: from where the client has its keys, which another environment may change.
    """
    files, root = fs.FileSystem.from_uri(uri)
    if isinstance(files, fs.S3FileSystem):
        # `from_uri` takes neither time limits nor how often a call is made again. What it has
        # understood of the URI is in what a copy would be made of.
        _, (given,) = files.__reduce__()
        files = fs.S3FileSystem(
            **{
                **given,
                "connect_timeout": patience.silence,
                "request_timeout": patience.silence,
                "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=patience.attempts),
                # A small object is written by one call, not by three.
                "allow_delayed_open": True,
            }
        )
    elif isinstance(files, fs.GcsFileSystem) and "retry_limit_seconds" not in uri:
        _, (given,) = files.__reduce__()
        files = fs.GcsFileSystem(
            **{**given, "retry_time_limit": timedelta(seconds=round(patience.call))}
        )
    elif type(files).__name__ == "AzureFileSystem":
        files = _azure(files)
    return files, root


def patiently(
    call: Callable[[], _T], where: str, patience: Patience = PATIENCE, again: bool = True
) -> _T:
    """What `call` returns, made again while its service fails.

    Args:
        call: what to do. It may go on in a thread of its own after its time limit, so that it must
            do no harm if it takes effect late or twice.
        where: what it is about, for the log.
        patience: its time limits.
        again: whether it is made again.

    Raises:
        OSError: it failed for a reason that waiting cannot change, or for too long.
    """
    until, failures, told = time.monotonic() + patience.total, 0, False
    while True:
        try:
            return limited(call, where, patience.call)
        except (OSError, pa.ArrowInvalid) as error:  # Google's INVALID_ARGUMENT is ArrowInvalid
            failures += 1
            pause = patience.pause(failures)
            if not again or not transient(error) or time.monotonic() + pause > until:
                raise
            if not told and failures > 1:
                told = True
                _log.warning("%s: %s; trying again", shown(where), _first_line(error))
            time.sleep(pause)


def limited(call: Callable[[], _T], where: str, seconds: float) -> _T:
    """What `call` returns or raises, in a thread of its own.

    Raises:
        TimeoutError: it takes longer.
    """
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put((True, call()))
        except BaseException as error:
            answers.put((False, error))

    threading.Thread(target=answer, daemon=True, name="htsweep-store").start()
    try:
        well, value = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(
            errno.ETIMEDOUT, f"no answer within {seconds:g} s", shown(where)
        ) from None
    if not well:
        raise value
    result: _T = value
    return result


def transient(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    if _BEGUN_ANEW in str(error) and not _FORBIDDEN.search(str(error)):
        return True
    if not isinstance(error, OSError):
        return False
    if error.errno is not None:
        return error.errno in (
            errno.ETIMEDOUT,
            errno.EAGAIN,
            errno.EIO,
            errno.ECONNRESET,
            errno.ECONNREFUSED,
            errno.EPIPE,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
        )
    return not _PERMANENT.search(str(error))


def forbidden(error: Exception) -> bool:
    """Whether a service refuses the credentials, or what they are used for."""
    return getattr(error, "errno", None) is None and bool(_FORBIDDEN.search(str(error)))


@final
class RemoteFile(io.RawIOBase):
    """An object elsewhere, of which parts are read, each call patiently."""

    def __init__(self, files: fs.FileSystem, path: str, patience: Patience = PATIENCE) -> None:
        super().__init__()
        self._files, self._path, self._patience, self._at = files, path, patience, 0
        self._file = patiently(lambda: files.open_input_file(path), path, patience)
        self._size = patiently(self._file.size, path, patience)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to a place, and returns it."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The place that is read next."""
        return self._at

    def size(self) -> int:
        """The object's size in bytes."""
        return int(self._size)

    def read(self, size: int = -1, /) -> bytes:
        """The bytes from here on, at most `size` of them.

        Raises:
            OSError: they cannot be read.
        """
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        at = self._at
        data = (
            patiently(lambda: self._file.read_at(wanted, at), self._path, self._patience)
            if wanted
            else b""
        )
        self._at += len(data)
        return bytes(data)


def _environment() -> tuple[tuple[str, str], ...]:
    """What of the environment a client may read: keys, roles, endpoints, proxies."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if _READ.match(name)))


def _azure(files: Any) -> Any:
    _, (given,) = files.__reduce__()
    key, token = os.environ.get("AZURE_STORAGE_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    if key:
        return type(files)(**{**given, "account_key": key})
    return type(files)(**{**given, "sas_token": token}) if token else files


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or ""
    return str(error).partition("\n")[0]
