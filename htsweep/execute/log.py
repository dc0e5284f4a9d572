"""What a trial prints, kept where the user can read it."""

from __future__ import annotations

import io
import sys
import traceback
from pathlib import Path
from typing import final

from htsweep.ledger import Store


@final
class Log(io.TextIOBase):
    """A text stream whose file comes to be with the first word; most trials say nothing.

    On a local disk each line is there at once, also when the process is killed; elsewhere it is put at the end.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        self._file: io.TextIOBase | None = None
        self.empty = True

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keeps `text`."""
        if not text:
            return 0
        if self._file is None:
            folder = self._store.folder
            if folder is None:
                self._file = io.StringIO()
            else:
                path = Path(folder, self.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
        self.empty = False
        return self._file.write(text)

    def stacks(self) -> str:
        """Where each thread of the process is now: what a trial that hangs is doing."""
        text = "\n".join("".join(traceback.format_stack(frame)) for frame in sys._current_frames().values())
        self.write(text)
        return text

    def close(self) -> None:
        """Ends the log."""
        if self._file is None:
            return
        if isinstance(self._file, io.StringIO):
            self._store.write(self.name, self._file.getvalue().encode())
        self._file.close()
        self._file = None
