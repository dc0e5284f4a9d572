"""Keeps what a trial prints where the user can read it."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import final

from htsweep.errors import LedgerError
from htsweep.hiding import hidden
from htsweep.ledger import Store

SEND_SECONDS = 15.0
"""How often a log that grows is written to a store that is not a folder."""
_log = logging.getLogger(__name__)


@final
class Log(io.TextIOBase):
    """A text stream whose file is created by the first write; most trials print nothing.

    On a local disk each line is written at once, so that it survives a killed process; elsewhere
    the whole log is written at the end and, while it grows, every `SEND_SECONDS`. A log that cannot
    be written does not fail the trial: its numbers are what counts.
    """

    encoding: str = "utf-8"

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        self._file: io.TextIOBase | None = None
        self._lost = False
        self.empty = True
        self._over = threading.Event()
        if store.folder is None:
            # Begun before the trial, to which no thread of its own is put down.
            threading.Thread(target=self._send_now_and_then, name="log", daemon=True).start()

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, text: str) -> int:
        """Adds `text` to the log, without secrets of the environment."""
        if not isinstance(text, str):
            msg = f"a log takes text, not {type(text).__name__}"
            raise TypeError(msg)
        if text and not self._lost:
            try:
                self._opened().write(hidden(text))
                self.empty = False
            except OSError as error:
                self._lose(error)
        return len(text)

    def stacks(self) -> str:
        """Writes and returns the stack of every thread: what a hanging trial is doing."""
        text = "\n".join(
            "".join(traceback.format_stack(frame)) for frame in sys._current_frames().values()
        )
        self.write(text)
        return text

    def close(self) -> None:
        """Does nothing: a trial that closes its standard output must not cut its own log short."""

    def end(self) -> None:
        """Closes the log's file; for a store that is not a folder, writes the whole log to it."""
        self._over.set()
        file, self._file = self._file, None
        try:
            if isinstance(file, io.StringIO):
                self._store.write(self.name, file.getvalue().encode("utf-8", "backslashreplace"))
            if file is not None:
                file.close()
        except (OSError, LedgerError) as error:
            self._lose(error)

    def _send_now_and_then(self) -> None:
        sent, pause = 0, SEND_SECONDS
        while not self._over.wait(pause):
            file = self._file
            if not isinstance(file, io.StringIO) or file.tell() == sent:
                continue
            text, began = file.getvalue(), time.monotonic()
            with contextlib.suppress(OSError, LedgerError):  # the last one counts
                self._store.write(self.name, text.encode("utf-8", "backslashreplace"))
                sent = len(text)
            # A long log, or a slow store, takes no more than a tenth of this thread's time.
            pause = max(SEND_SECONDS, 10 * (time.monotonic() - began))

    def _opened(self) -> io.TextIOBase:
        if self._file is None:
            folder = self._store.folder
            if folder is None:
                self._file = io.StringIO()
            else:
                path = Path(folder, self.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open(
                    "a", buffering=1, encoding="utf-8", errors="backslashreplace"
                )
        return self._file

    def _lose(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            _log.warning("the log %s/%s cannot be kept: %s", self._store.uri, self.name, error)
