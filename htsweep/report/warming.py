"""Loads the report's code while trials run elsewhere, so that results come soon after the last."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Relay, Watch
from htsweep.execution.work import Outcome
from htsweep.planning.jobs import Job
from htsweep.results import Results

MODULES = (
    "pandas",
    "scipy.stats",
    "htsweep.report.build",
    "htsweep.analysis.conclusions",
    "htsweep.report.text",
    "htsweep.report.document",
    "htsweep.report.page",
    "htsweep.report.answers",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_pdf",
    "htsweep.report.pareto",
)
"""What a report imports, which takes seconds."""
FEW = 20
"""With fewer trials left, there may be no time to make a report beforehand."""
LAZIEST = 19
"""The lowest priority: trials have the cores."""


@final
class Warming(Relay):
    """Passes on what a launch reports, and from the first result on gets ready beside it.

    It imports what a report needs. Where most of the study is still to be run, it also makes one of
    the results so far, which nobody sees: what is done for the first time takes longer.
    """

    def __init__(self, watch: Watch, results: Results) -> None:
        """Starts nothing yet.

        Args:
            watch: sees what this sees.
            results: of the study.
        """
        super().__init__(watch)
        self._results = results
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._left = 0

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        """Passes it on; a first result is where a report may be of use soon."""
        self._left = agenda.left
        if self._thread is None and job.kind == "trial" and outcome.status == "done":
            self._thread = threading.Thread(target=self._warm, name="report", daemon=True)
            self._thread.start()
        super().ended(agenda, job, outcome)

    def cancel(self) -> None:
        """Takes no further step."""
        self._over.set()

    def stop(self) -> None:
        """As `cancel`, and waits for the step that is being taken."""
        self.cancel()
        if self._thread is not None:
            self._thread.join()

    def _warm(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # only Linux knows priorities of threads
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LAZIEST)
        for step in self._steps():
            if self._over.is_set():
                return
            # Whatever fails here, the report itself will say.
            with contextlib.suppress(Exception):
                step()

    def _steps(self) -> Iterator[Callable[[], object]]:
        for name in MODULES:
            yield functools.partial(importlib.import_module, name)
        if self._left < FEW:
            return
        from htsweep.report import build

        results = Results(self._results.study, self._results.location)
        yield lambda: results.choice
        yield lambda: build.tell(results)
        with tempfile.TemporaryDirectory() as folder:
            yield lambda: build.draw(results, Path(folder))
            yield lambda: build.write(results, Path(folder))
