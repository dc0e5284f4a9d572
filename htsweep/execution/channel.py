"""The messages between a launch and the process that uses Ray: work in, events out."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, final

Commands = queue.SimpleQueue[tuple[str, str] | None]
"""(trial, its work as JSON) to run; None: no more will come."""


@final
class Channel:
    """The pipe to the launch: one line of JSON per event, sent from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self.recalled = threading.Event()
        """Set once no work should start that has not started yet."""
        self.probes: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        """Trials, as JSON, whose shapes are to be measured for `gpu: auto`: a list a request."""
        self.seen: Callable[[str, Mapping[str, Any]], None] = lambda event, content: None
        """Is given each event that is sent, and its content."""

    def send(self, event: str, **content: Any) -> None:
        """Sends an event; if the launch is gone, ends this process."""
        with self._lock:
            self.seen(event, content)
            try:
                self._file.write(json.dumps({"event": event, **content}) + "\n")
                self._file.flush()
            except BrokenPipeError:
                os._exit(1)
