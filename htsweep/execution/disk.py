"""Whether the disks of this machine take what a trial writes: its cache and its temporary files.

What a full disk ends is no fault of the trial. Where it would count as one, the machine would take
one trial after another, faster than all others, and fail them all.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from htsweep.errors import why
from tasks import cache

PROBE_BYTES = 2**20
"""What a disk must take. Random bytes, as a file system may store zeros without space."""
LONGEST_CHAIN = 50


def problem() -> str:
    """Why no trial can write on this machine, with the remedy; "" if one can."""
    try:
        _probe(str(cache.folder()))
    except cache.CacheUnusable as error:
        return str(error)
    except OSError as error:
        return f"the cache takes no file: {why(error, cache.VARIABLE, str(cache.place()))}"
    try:
        _probe(tempfile.gettempdir())
    except OSError as error:
        return f"temporary files cannot be written: {why(error, 'TMPDIR', tempfile.gettempdir())}"
    return ""


def full() -> str:
    """Why a disk takes no more; "" if the disks have room, or cannot be written for other reasons.

    A trial may need no cache, but each needs a disk with room.
    """
    for setting, folder in ((cache.VARIABLE, cache.place), ("TMPDIR", tempfile.gettempdir)):
        try:
            where = Path(folder())
            _probe(str(next(one for one in (where, *where.parents) if one.is_dir())))
        except OSError as error:
            if error.errno in cache.FULL:
                return f"{where}: {why(error, setting, str(where))}"
    return ""


def fault_of_this_machine(raised: BaseException) -> str:
    """Why this machine, and not the trial that raised the exception, is to blame; "" if it is not.

    It is if the exception comes of a full disk, or of a cache that cannot be used, and that is
    still so without the trial.
    """
    seen: list[BaseException] = []
    one: BaseException | None = raised
    while one is not None and one not in seen and len(seen) < LONGEST_CHAIN:
        seen.append(one)
        one = one.__cause__ or one.__context__
    if not any(
        isinstance(each, cache.CacheUnusable)
        or (isinstance(each, OSError) and each.errno in cache.FULL)
        for each in seen
    ):
        return ""
    lacks = problem()
    return lacks and (
        f"no trial can run on {platform.node()}: {lacks}. What ran there counts as not run, and "
        "uses up no attempt; correct that, then launch again"
    )


def _probe(folder: str) -> None:
    """Writes a file, which is removed at once; raises OSError if the folder takes none."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
