"""The exceptions that htsweep raises for its users.

HtsweepError            exit code 2 unless noted otherwise; shown without a traceback
  StudyError            the study is wrong, nothing has run: every problem, with file, line and key
  ResourceError         no node has, or can get, what a trial asks for
  ExecutorLost          what trials ran on was lost, and could not be restarted
  StudyHeld             another launch holds this study
  LedgerError           the results folder cannot be used, or does not hold what was asked for
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final


class HtsweepError(Exception):
    """A mistake that the user can fix; the message says how."""


LONGEST = 6000
"""Characters of a message about a study, at most."""


@final
@dataclass(frozen=True)
class Problem:
    """One mistake in a study: where it is, what was given, the rule and the remedy."""

    key: str
    message: str
    line: int | None = None

    def __post_init__(self) -> None:
        # A name or a text of the study may fill its whole file; the rule stands at the beginning of
        # a message, the remedy at its end.
        object.__setattr__(self, "message", _short(self.message, LONGEST))

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        key = _short(self.key, LONGEST // 20)
        return f"{where}{key}: {self.message}" if key else f"{where}{self.message}"


def _short(text: str, most: int) -> str:
    """The text without its middle, if it has more characters than that."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} ... ({len(text):,} characters) ... {text[-most // 2 :]}"


@final
class StudyError(HtsweepError):
    """The study is wrong; `problems` lists every mistake in the order of the file."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        count = len(self.problems)
        head = f"{file}: {count} problem{'s' if count != 1 else ''}, nothing was started"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


@final
class ResourceError(HtsweepError):
    """No node has, or can get, what a trial asks for."""


@final
class ExecutorLost(HtsweepError):
    """What trials ran on was lost and could not be restarted; finished trials count."""


@final
class StudyHeld(HtsweepError):
    """Another launch holds this study; the message says who, where and since when."""


@final
class LedgerError(HtsweepError):
    """The results folder cannot be used, or does not hold what was asked for."""


def untested(library: str, part: str | ImportError) -> HtsweepError:
    """The error for an installed library that lacks a part which htsweep uses.

    Args:
        library: the package's name.
        part: what it lacks, or the failed import.
    """
    from importlib import metadata

    if isinstance(part, ImportError):
        named = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(part))
        part = f"{named[2]}.{named[1]}" if named else part.name or str(part)
    try:
        lacks = f"{library} {metadata.version(library)} lacks {part}, which htsweep uses"
    except metadata.PackageNotFoundError:
        lacks = f"{library} is not installed"
    try:
        wanted = metadata.requires("htsweep") or []
    except metadata.PackageNotFoundError:
        wanted = []
    tested = library
    for requirement in wanted:
        name = re.split(r"[^\w.-]", requirement)[0]
        if "extra ==" in requirement:  # of an option; what everyone needs comes without
            continue
        if re.sub(r"[-_.]+", "-", name) == re.sub(r"[-_.]+", "-", library):
            tested = requirement
    return HtsweepError(
        f"{lacks}; htsweep is tested with {tested}. Install that: pip install '{tested}'"
    )


MOST_COMPARED = 2_000
"""Among more names than this, no similar one is searched for, which would take seconds."""


def why(error: Exception, setting: str = "", path: str = "") -> str:
    """Why the file system refused something, with the remedy of `remedy_of`."""
    number = getattr(error, "errno", None)
    said = os.strerror(number) if number else str(error).partition("\n")[0]
    return f"{said}; {remedy_of(error, setting, path)}"


def remedy_of(error: Exception, setting: str = "", path: str = "") -> str:
    """What to do if a file or folder cannot be used.

    Args:
        error: the error of the file system.
        setting: how the user chooses the folder, such as `--results`; "" if that is obvious.
        path: the file or folder; "": the one that the error names, if any.
    """
    by = f" by {setting}" if setting else ""
    it = path or getattr(error, "filename", None) or "it"
    permission = f"get permission to write to {it}, or give another folder{by}"
    mounted = (
        f"check that the file system of {it} is mounted and intact, or give another folder{by}; "
        "then run this again"
    )
    remedies: dict[int, str] = {
        errno.ENOSPC: f"free some space on its disk, or give another folder{by}",
        errno.EDQUOT: f"free some of your quota on its disk, or give another folder{by}",
        errno.EROFS: f"that disk is read-only, so give a folder on another one{by}",
        errno.EACCES: permission,
        errno.EPERM: permission,
        errno.ENAMETOOLONG: f"give a folder with a shorter path{by}",
        errno.ENOTDIR: f"part of its path is a file, so give another folder{by}",
        errno.EISDIR: f"a folder is in its place: move it away, or give another folder{by}",
        **dict.fromkeys(
            (
                errno.EIO,
                errno.ESTALE,
                errno.ENOTCONN,
                errno.ENODEV,
                errno.ETIMEDOUT,
                errno.EHOSTDOWN,
            ),
            mounted,
        ),
        errno.ENOENT: f"its path does not exist and cannot be made, so give another folder{by}",
    }
    return remedies.get(
        getattr(error, "errno", None) or 0,
        f"check {it}, or give another folder{by}; then run this again",
    )


def nearest(came: str, known: Iterable[str]) -> str | None:
    """The most similar name that is known; None if none is similar."""
    names = sorted(set(known))
    if len(names) > MOST_COMPARED:
        return None
    return next(iter(difflib.get_close_matches(came, names, n=1, cutoff=0.5)), None)


def did_you_mean(came: str, known: Iterable[str]) -> str:
    """`did you mean 'l2sp'? known: ...`, without the question if no name is similar."""
    names = sorted(set(known))
    near = nearest(came, names)
    hint = f"did you mean '{near}'? " if near else ""
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"{hint}known: {listed}" if names else hint.strip()


def is_of_the_disk(error: OSError) -> bool:
    """Whether the file system refuses: a full or read-only disk, or a missing permission."""
    return error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENAMETOOLONG,
    )
