"""What reaches the terminal: what htsweep says, and not what libraries warn their developers of.

A trial's own output is left as it is: while a trial runs in this process, `sys.stderr` is its log.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any, TextIO

OURS = ("htsweep", "tasks")


def hush() -> None:
    """Keeps warnings and log lines of libraries off the terminal, unless `-W` or PYTHONWARNINGS asks for warnings.

    Errors are shown whoever logs them.
    """
    terminal = sys.stderr
    # What comes back as text that no encoding holds, such as a file name in no encoding, is shown
    # with escapes.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def ours(record: logging.LogRecord) -> bool:
        return (
            record.levelno >= logging.ERROR
            or sys.stderr is not terminal
            or record.name.partition(".")[0] in OURS
        )

    # What writes the lines of loggers that nobody has configured
    if logging.lastResort is not None:
        logging.lastResort.addFilter(ours)
    if sys.warnoptions:
        return
    show = warnings.showwarning

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> Any:
        if file is not None or sys.stderr is not terminal:
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = shown
