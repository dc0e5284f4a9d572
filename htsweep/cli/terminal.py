"""Keeps library warnings meant for developers off the terminal.

A trial's own output is left alone: while a trial runs in this process, `sys.stderr` is its log.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any, TextIO

OURS = ("htsweep", "tasks")


def hush() -> None:
    """Hides warnings and log lines of libraries, unless `-W` or PYTHONWARNINGS asks for warnings.

    Errors are shown, whichever library logs them.
    """
    terminal = sys.stderr
    # Text that cannot be encoded, such as a file name of unknown encoding, is shown with escapes.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def ours(record: logging.LogRecord) -> bool:
        return (
            record.levelno >= logging.ERROR
            or sys.stderr is not terminal
            or record.name.partition(".")[0] in OURS
        )

    # This is the handler of every logger that nobody has configured.
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
