"""An executor of one's own: each trial is a process, started by the worker's entry.

Launch a study with it by naming it:

    htsweep launch docs/examples/my_executor.yaml --on my_executor:processes

An executor says how much work it has room for, accepts work, and reports by events what became of
it. This one writes each work to a file and starts `python -m htsweep.execution.trial FILE`, which
runs the trial and writes its record to the results. To run trials elsewhere, say on Slurm, replace
the three places that start, watch and end a process by `sbatch`, `squeue` and `scancel`.
`tests/test_execution_conformance.py` shows how to test an executor.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from htsweep.errors import HtsweepError, LedgerError
from htsweep.execution.ending import recorded
from htsweep.execution.executor import Died, Ended, Event, Returned, Started
from htsweep.execution.machine import cores
from htsweep.execution.registry import Options
from htsweep.execution.trial import TOO_LATE, UNRECORDED
from htsweep.execution.work import Work, to_json

POLL_SECONDS = 0.05


def processes(options: Options) -> "Processes":
    """As many trials at once as this machine has cores for."""
    options.require_this_machine()
    if options.gpu:
        raise HtsweepError("my_executor:processes does not hand out GPUs; set resources.gpu to 0")
    return Processes(slots=max(1, int(cores() / max(options.cpu, 1e-9))))


class Processes:
    """An executor whose trials are processes of this machine."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._running: dict[str, tuple[Work, subprocess.Popen[bytes], Path]] = {}
        """For each trial: the work, its process, and the file with what the process printed."""
        self._events: list[Event] = []
        """What has happened and is not yet reported."""

    def __enter__(self) -> "Processes":
        """A folder for the jobs' files, gone with this executor."""
        self._folder = tempfile.TemporaryDirectory(prefix="htsweep-")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the processes that still run."""
        self.stop()
        self._folder.cleanup()

    def room(self) -> int:
        """As many as there are slots without a process."""
        return self.slots - len(self._running)

    def submit(self, work: Work) -> None:
        """Starts a process for the work."""
        name = work.job.trial
        job, printed = Path(self._folder.name, f"{name}.json"), Path(self._folder.name, name)
        job.write_text(to_json(work))
        command = [sys.executable, "-m", "htsweep.execution.trial", str(job)]
        with printed.open("wb") as output:
            # A session of its own: Ctrl-C is for the launch, which then calls `stop`.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running[name] = (work, process, printed)
        self._events.append(Started(name))

    def events(self, seconds: float) -> Iterator[Event]:
        """What happened since the last call."""
        over = time.monotonic() + seconds
        self._look()
        while not self._events and time.monotonic() < over:
            time.sleep(POLL_SECONDS)
            self._look()
        while self._events:
            yield self._events.pop(0)

    def stop(self) -> None:
        """Ends every process, and gives its work back."""
        for name, (_, process, _) in self._running.items():
            kill(process)
            self._events.append(Returned(name, again=False))
        self._running.clear()

    def _look(self) -> None:
        """Looks which processes have ended."""
        for name, (work, process, printed) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[name]
                kill(process)  # what the trial started and left behind
                self._events.append(how_it_ended(work, process.returncode, printed))


def how_it_ended(work: Work, code: int, printed: Path) -> Event:
    """What the end of a trial's process means; the ledger knows better than the exit code."""
    name, said = work.job.trial, printed.read_text(errors="replace").strip()
    if code == TOO_LATE:
        return Returned(name, again=False)
    if code == UNRECORDED:
        raise LedgerError(said)
    outcome = recorded(work)
    if outcome is not None:
        return Ended(name, outcome)
    return Died(name, f"{said}\nthe trial's process ended with code {code}")


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
