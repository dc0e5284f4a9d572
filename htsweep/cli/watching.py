"""`htsweep status --watch`: the status again and again, from the results alone."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace

from htsweep.cli.status import Status, status
from htsweep.results import Results

LOOK_SECONDS = 2.0


def follow(results: Results, *, as_json: bool, every_seconds: float = LOOK_SECONDS) -> None:
    """Shows the status until nothing is left or the user interrupts.

    At a terminal it is one picture that is drawn again. Elsewhere it is printed whenever a count or
    a failure has changed.
    """
    last: Status | None = None
    drawn = sys.stdout.isatty() and not as_json
    if drawn:
        sys.stdout.write("\x1b[2J")
    try:
        while True:
            now = status(results)
            counts = replace(now, launches=())
            if drawn or counts != last:
                _show(now, as_json=as_json, drawn=drawn)
                last = counts
            if not now.unfinished and not now.held_by:
                return
            time.sleep(every_seconds)
            results = results.reread()
    except KeyboardInterrupt:
        return


def _show(now: Status, *, as_json: bool, drawn: bool) -> None:
    text = now.json() if as_json else "\n".join(now.lines())
    sys.stdout.write(
        picture(text.splitlines(), *shutil.get_terminal_size()) if drawn else f"{text}\n"
    )
    sys.stdout.flush()


def picture(lines: list[str], columns: int, rows: int) -> str:
    """The lines as what a terminal shows in place of what it showed before.

    None is wrapped and none is out of sight: each is cut at the last column, and where they are
    more than the rows, the last row says how many are left out.
    """
    if len(lines) >= rows:
        left = len(lines) - rows + 2
        lines = [*lines[: max(0, rows - 2)], f"... and {left} lines more, without --watch"]
    # The cursor goes to the first line, the old rest of each line goes, and so does what is below.
    return "\x1b[H" + "".join(f"{line[:columns]}\x1b[K\n" for line in lines) + "\x1b[J"
