"""Everything that htsweep raises for its users.

HtsweepError            exit code 2 unless said otherwise; shown without a traceback
  StudyError            the study is wrong, nothing has run: every problem, with file, line and key
  ResourceError         no node has, or can get, what a trial asks for
  ExecutorLost          what trials ran on is gone, and could not be had again
  StudyHeld             another launch holds this study
  LedgerError           the results folder cannot be used, or does not hold what was asked for
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final


class HtsweepError(Exception):
    """A mistake that the user can mend; its text says how."""


@final
@dataclass(frozen=True)
class Problem:
    """One mistake in a study: where it stands, what came, the rule and the remedy."""

    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


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
    """What trials ran on is gone, and could not be had again; what has ended counts, and the next launch goes on."""


@final
class StudyHeld(HtsweepError):
    """Another launch holds this study; the text says who, where and since when."""


@final
class LedgerError(HtsweepError):
    """The results folder cannot be used, or does not hold what was asked for."""


_REMEDIES = (
    ((errno.EACCES, errno.EPERM), "ask its owner for access, or name a folder of your own (--results, --out)"),
    ((errno.EROFS,), "its file system is read-only: name a folder that can be written (--results, --out)"),
    ((errno.ENOSPC, errno.EDQUOT), "make room there and run the same command again; what is recorded is kept"),
    ((errno.ENOTDIR, errno.EEXIST), "a file stands where a folder belongs: move it away, or name another folder"),
    ((errno.EISDIR,), "a folder stands where a file belongs: move it away"),
    ((errno.ENAMETOOLONG,), "name a folder with a shorter path"),
    ((errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT, errno.EHOSTDOWN),
     "its file system does not answer: see that it is mounted and whole, then run the same command again"),
)


def why(error: Exception) -> str:
    """What a file system said when it refused something, and the remedy."""
    number = getattr(error, "errno", None)
    said = os.strerror(number) if number else str(error).partition("\n")[0]
    known = (remedy for numbers, remedy in _REMEDIES if number in numbers)
    return f"{said}; {next(known, 'see that the place can be reached and used, then run the same command again')}"


def did_you_mean(came: str, known: Iterable[str]) -> str:
    """`Did you mean 'l2sp'? Known: ...`, as far as anything is near enough."""
    names = sorted(set(known))
    near = difflib.get_close_matches(came, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"{hint}known: {listed}" if names else hint.strip()
