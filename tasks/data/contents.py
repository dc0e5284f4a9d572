"""Digests of many files by content; files with unchanged size and times are not read again."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, final

from tasks import cache

SETTLED_SECONDS = 2.0
"""Files that changed this recently are not remembered: they may change again at the same time."""
SAID_FROM = 1000
"""Reading this many files takes a noticeable time, so that a message says so."""

_MOMENTS: list[dict[Any, Any]] = []
"""The answers of each function decorated by `for_a_moment`."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Examine = Callable[[BinaryIO], Any]
"""Returns something JSON-serialisable about a file; raises ValueError if the file is invalid."""


@final
@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file."""

    digest: str
    """SHA-256 of its bytes; empty if it cannot be read."""
    answer: Any = None
    """What `examine` returned."""
    problem: str = ""
    """Why the file is invalid, if it is; this is not remembered."""


def named(pairs: Iterable[tuple[str, str]]) -> str:
    """16 hexadecimal digits from pairs (name, content), in this order."""
    total = hashlib.sha256()
    for name, held in pairs:
        total.update(f"{name}\0{held}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()[:16]


def of(
    paths: Sequence[Path],
    examine: Examine | None = None,
    version: int = 0,
    what: str = "",
) -> list[Content]:
    """The contents of files, in order; reads new files in full, several at a time.

    Args:
        paths: the files.
        examine: called with each file; None for digests only.
        version: the version of `examine`; answers of other versions are not reused.
        what: a name for these files, where other files of their folder are asked about separately.
    """
    memory = _memory(paths, what)
    known = _remembered(memory)
    fresh: dict[str, list[Any]] = {}
    given: dict[Path, Content] = {}
    unknown: list[Path] = []
    for path in paths:
        kept = known.get(str(path))
        stamp = _stamp(path)
        if (
            kept is None
            or stamp is None
            or kept[:3] != stamp
            or (examine is not None and kept[4:5] != [version])
        ):
            unknown.append(path)
        else:
            given[path] = Content(kept[3], *kept[5:6])
            fresh[str(path)] = kept
    if len(unknown) >= SAID_FROM:
        sys.stderr.write(f"reading {len(unknown):,} files once, to know what they hold\n")
    for path, stamp, content in _read(unknown, examine):
        given[path] = content
        if (
            stamp is not None
            and not content.problem
            and max(stamp[1:]) < (time.time() - SETTLED_SECONDS) * 1e9
        ):
            fresh[str(path)] = [
                *stamp,
                content.digest,
                *([] if examine is None else [version, content.answer]),
            ]
    if memory is not None and fresh != known:
        # Only a shortcut: if it cannot be written, the files are read again next time.
        with contextlib.suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            with cache.atomically(memory) as partial:
                partial.write_text(json.dumps(fresh))
    return [given[path] for path in paths]


def digest(path: Path) -> str:
    """16 hexadecimal digits of one file's content.

    Raises:
        OSError: the file cannot be read.
    """
    digest_of_file = of([path])[0]
    if digest_of_file.problem:
        raise OSError(f"{path} {digest_of_file.problem}")
    return digest_of_file.digest[:16]


def for_a_moment(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Decorator that remembers answers for two seconds, or ten times as long as they took.

    That something is not there, or is wrong, is an answer too: the exception is raised again.

    A plan asks the same question for each of up to a hundred thousand trials.
    """
    answers: dict[tuple[Any, ...], tuple[float, Callable[[], Answer]]] = {}
    _MOMENTS.append(answers)

    @functools.wraps(function)
    def answer(*arguments: Given.args, **named: Given.kwargs) -> Answer:
        assert not named, "arguments by position alone are remembered"
        began = time.monotonic()
        if arguments not in answers or began >= answers[arguments][0]:
            made = _made(lambda: function(*arguments, **named))
            ended = time.monotonic()
            if len(answers) > 256:
                answers.clear()
            answers[arguments] = ended + max(2.0, 10 * (ended - began)), made
        return answers[arguments][1]()

    return answer


def _made(function: Callable[[], Answer]) -> Callable[[], Answer]:
    """A function that returns what `function` returned, or raises what it raised."""
    try:
        answer = function()
    except (ValueError, LookupError, OSError) as error:
        kept = error

        def again() -> Answer:
            raise kept.with_traceback(None)

        return again
    return lambda: answer


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def forget() -> None:
    """Forgets all remembered answers, so that changes are seen at once."""
    for answers in _MOMENTS:
        answers.clear()


def _read(
    paths: Sequence[Path], examine: Examine | None
) -> Iterable[tuple[Path, list[int] | None, Content]]:
    """Each file with its stamp from before reading, and its content."""
    if len(paths) < 2:
        return [(path, *_content(path, examine)) for path in paths]
    # Threads: hashing and decoding release the GIL.
    with ThreadPoolExecutor(min(8, cores())) as pool:
        return [
            (path, *stamp)
            for path, stamp in zip(
                paths, pool.map(lambda path: _content(path, examine), paths), strict=True
            )
        ]


def _content(path: Path, examine: Examine | None) -> tuple[list[int] | None, Content]:
    stamp = _stamp(path)
    try:
        if not _is_file_or_folder(path):
            return stamp, Content("", problem="is a pipe or a device, not a file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if examine is None:
                return stamp, Content(digest)
            file.seek(0)
            try:
                return stamp, Content(digest, examine(file))
            except ValueError as error:
                return stamp, Content(digest, problem=str(error))
    except OSError as error:
        return stamp, Content("", problem=f"cannot be read: {error.strerror or error}")


def _is_file_or_folder(path: Path) -> bool:
    """Whether a path is a file or a folder: opening a pipe waits for somebody who writes."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _stamp(path: Path) -> list[int] | None:
    """Size, mtime and ctime of a file; None if they cannot be read.

    Copies may preserve the mtime, so that without the ctime a file of the same size could be taken
    for the one that it replaced.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _remembered(memory: Path | None) -> dict[str, list[Any]]:
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(memory.read_text()) if memory else {}
        return remembered if isinstance(remembered, dict) else {}
    return {}


def _memory(paths: Sequence[Path], what: str) -> Path | None:
    """The file that remembers contents, one per common folder and name; None without a cache."""
    if not paths:
        return None
    place = os.path.commonpath([path.parent for path in paths]) if len(paths) > 1 else str(paths[0])
    with contextlib.suppress(OSError):
        return (
            cache.place()
            / "digests"
            / f"{hashlib.sha256(os.fsencode(place + what)).hexdigest()[:16]}.json"
        )
    return None
