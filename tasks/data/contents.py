"""Many files named by what they hold, read once: a file whose size and times of change stay the same is not read again."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, final

from tasks import cache

SETTLED_SECONDS = 2.0
"""A file changed so recently may change again within the clock's grain; what it holds is not
remembered.
"""
SAID_FROM = 1000
"""So many files to be read make a plan wait: it says so."""

_MOMENTS: list[dict[Any, Any]] = []
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
"""What each function that remembers for a moment remembers."""
Examine = Callable[[BinaryIO], Any]
"""Gives something JSON-able of a file's content; raises ValueError where the file is not what it
should be.
"""


@final
@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds."""

    digest: str
    """SHA-256 of its bytes; empty where it cannot be read."""
    answer: Any = None
    """What its examination gave."""
    problem: str = ""
    """Why it is not what it should be; such an answer is not remembered."""


def named(pairs: Iterable[tuple[str, str]]) -> str:
    """16 hexadecimal digits from (name, what it holds), in this order."""
    total = hashlib.sha256()
    for name, held in pairs:
        total.update(f"{name}\0{held}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()[:16]


def of(paths: Sequence[Path], examine: Examine | None = None, version: int = 0) -> list[Content]:
    """What each file holds, in order; of those that were not seen before, each byte is read, several files at a time.

    Args:
        paths: the files.
        examine: is asked of each file; None for digests alone.
        version: of `examine`; what another version answered is asked again.
    """
    memory = _memory(paths)
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
        # Only a shortcut: where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            with cache.atomically(memory) as partial:
                partial.write_text(json.dumps(fresh))
    return [given[path] for path in paths]


def digest(path: Path) -> str:
    """16 hexadecimal digits of one file's content.

    Raises:
        OSError: it cannot be read.
    """
    digest_of_file = of([path])[0]
    if digest_of_file.problem:
        raise OSError(f"{path} {digest_of_file.problem}")
    return digest_of_file.digest[:16]


def for_a_moment(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The function, remembering its answers for a while: a plan asks the same of each of a hundred thousand trials.

    The while is two seconds, or ten times as long as the answer took.
    """
    answers: dict[tuple[Any, ...], tuple[float, Answer]] = {}
    _MOMENTS.append(answers)

    @functools.wraps(function)
    def answer(*arguments: Given.args, **named: Given.kwargs) -> Answer:
        assert not named, "arguments by position alone are remembered"
        began = time.monotonic()
        if arguments in answers and began < answers[arguments][0]:
            return answers[arguments][1]
        made = function(*arguments, **named)
        ended = time.monotonic()
        if len(answers) > 256:
            answers.clear()
        answers[arguments] = ended + max(2.0, 10 * (ended - began)), made
        return made

    return answer


def forget() -> None:
    """Ends all moments, so that what has changed in them is seen."""
    for answers in _MOMENTS:
        answers.clear()


def _read(
    paths: Sequence[Path], examine: Examine | None
) -> Iterable[tuple[Path, list[int] | None, Content]]:
    """Each file with its stamp from before it was read, and what it holds."""
    if len(paths) < 2:
        return [(path, *_content(path, examine)) for path in paths]
    # Threads: hashing and decoding both let others run.
    with ThreadPoolExecutor(
        min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    ) as pool:
        return [
            (path, *stamp)
            for path, stamp in zip(
                paths, pool.map(lambda path: _content(path, examine), paths), strict=True
            )
        ]


def _content(path: Path, examine: Examine | None) -> tuple[list[int] | None, Content]:
    stamp = _stamp(path)
    try:
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


def _stamp(path: Path) -> list[int] | None:
    """Size, time of change, and the time of the last change of any kind; None where the file cannot be asked.

    Copies keep the second if they are told to, so that another file of the same size would be taken
    for the one it replaced.
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


def _memory(paths: Sequence[Path]) -> Path | None:
    """The file in which what these files hold is remembered: one for each folder that holds them all; None without a cache."""
    if not paths:
        return None
    place = os.path.commonpath([path.parent for path in paths]) if len(paths) > 1 else str(paths[0])
    with contextlib.suppress(OSError):
        return (
            cache.place()
            / "digests"
            / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"
        )
    return None
