"""Runs trials one after another in a separate process: `python -m htsweep.execution.worker`.

Ray does not know this process: a trial that hangs, crashes or runs out of memory ends it alone, and
the next trial gets a fresh one at once. `Worker` is the other end, which starts the process, sends
it work, and outlives it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TextIO, final

from htsweep.errors import LedgerError
from htsweep.execution import isolation, trial
from htsweep.execution.ending import died
from htsweep.execution.scratch import Scratch
from htsweep.execution.work import Outcome, Work, from_json, to_json
from htsweep.execution.workspace import LEAVE

START_SECONDS = 300.0
"""How long a process may take to import what it needs: minutes on a busy network drive."""
BEGINS = {"begins": True}
"""The answer of a process that has imported the task of its work."""
TAIL_BYTES = 20_000
"""How much of a dead process's output, as printed outside Python, is kept."""


@final
class Worker:
    """Runs trials in one process at a time; replaces it when it died or cannot be reused.

    The process ends with the thread that called `run`, as the kernel ends it with its parent's.
    """

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._output = self._scratch.path / "output"
        self._leave = self._scratch.path / "leave"
        self._process: subprocess.Popen[bytes] | None = None
        self._sends: BinaryIO | None = None
        self._hears: BinaryIO | None = None
        self._heard = b""

    def run(self, work: Work) -> Outcome:
        """Runs a trial; returns how it ended once its record is in the ledger, even if it crashed.

        Raises:
            LedgerError: the record cannot be written.
        """
        started = time.time()
        limit = work.conditions.time_limit
        problem = self._ready()
        begun: float | None = None
        if problem is None:
            self._output.write_bytes(b"")
            self._send(work)
            answer = self._hear(START_SECONDS)
            if answer == BEGINS:
                begun = time.time()
                # A process past its time limit ends itself, if it still can.
                answer = self._hear(None if limit is None else limit + 2 * work.conditions.grace)
            if answer is not None and answer:
                if not answer["again"]:
                    self._end()
                if "refused" in answer:
                    raise LedgerError(answer["refused"])
                return Outcome(**answer["outcome"])
            problem = self._why(answer)
        self._end()
        # A process may take long to start and to import the task, which is not the trial's time.
        late = limit is not None and begun is not None and time.time() - begun > limit
        reason = f"time_limit: ran longer than {limit:g} s and did not answer" if late else ""
        return died(work, problem, started, reason)

    def leave(self) -> None:
        """Has the trial leave this machine when it next saves its state; may come from any thread.

        `run` then returns an outcome whose status is `left`.
        """
        self._leave.touch()

    def close(self) -> None:
        """Ends the process."""
        self._end()
        self._scratch.close()

    def _ready(self) -> str | None:
        """Has a process wait for work; None, or why none could be started."""
        if self._process is not None and self._process.poll() is None:
            return None
        self._end()
        commands, sends = os.pipe()
        hears, answers = os.pipe()
        self._sends, self._hears = os.fdopen(sends, "wb"), os.fdopen(hears, "rb", buffering=0)
        words = [
            sys.executable,
            "-P",  # the working folder hides no module; paths come with the work
            "-m",
            "htsweep.execution.worker",
            str(commands),
            str(answers),
            str(os.getpid()),
        ]
        with self._output.open("wb") as output:
            # A separate session, so that whatever the trial starts is ended with it, and Ctrl-C
            # reaches only the launch.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(commands, answers),
                start_new_session=True,
                env={**environment(), LEAVE: str(self._leave)},
            )
        os.close(commands)
        os.close(answers)
        answer = self._hear(START_SECONDS)
        return (
            None
            if answer == {"ready": True}
            else f"the process for the trial did not start: {self._why(answer)}"
        )

    def _send(self, work: Work) -> None:
        assert self._sends is not None
        # If the process has just died, reading its answer will show that.
        with contextlib.suppress(BrokenPipeError):
            self._sends.write(to_json(work).encode() + b"\n")
            self._sends.flush()

    def _hear(self, seconds: float | None) -> dict[str, Any] | None:
        """The next answer; empty if the process ended, None if none came in time."""
        assert self._hears is not None
        over = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._heard:
            left = None if over is None else max(0.0, over - time.monotonic())
            if not select.select([self._hears], [], [], left)[0]:
                return None
            piece = self._hears.read(65_536)
            if not piece:
                return {}
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return dict(json.loads(line))

    def _why(self, answer: Mapping[str, Any] | None) -> str:
        """How a process that did not answer ended, after the last output that it printed."""
        assert self._process is not None
        if answer is None:
            how = "its process did not answer and was killed"
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            how = _ending(self._process.poll())
        with self._output.open("rb") as output:
            output.seek(max(0, self._output.stat().st_size - TAIL_BYTES))
            tail = output.read().decode(errors="replace").strip()
        return f"{tail}\n{how}" if tail else how

    def _end(self) -> None:
        """Kills the process and everything that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for pipe in (self._sends, self._hears):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._sends = self._hears = None
        self._heard = b""


def environment() -> dict[str, str]:
    """The environment for a child process, in which it finds even an htsweep not installed."""
    home = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), home])),
    }


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "its process closed its pipe"
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
    return f"its process was ended by {name}{hint}"


def main(arguments: list[str] | None = None) -> int:
    """Runs work, one line each, until no more comes or the process cannot be reused."""
    commands, answers, parent = map(int, sys.argv[1:] if arguments is None else arguments)
    _end_with(parent)
    os.set_inheritable(commands, False)
    os.set_inheritable(answers, False)
    faulthandler.enable()
    with (
        os.fdopen(answers, "w", encoding="utf-8") as replies,
        os.fdopen(commands, encoding="utf-8") as lines,
    ):
        _answer(replies, {"ready": True})
        for line in lines:
            try:
                work = from_json(line)
                trial.prepare(work)
                _answer(replies, BEGINS)
                outcome = trial.run_in_own_process(work)
            except LedgerError as error:
                _answer(replies, {"refused": str(error), "again": False})
                break
            lasting = isolation.take_lasting()
            _answer(replies, {"outcome": asdict(outcome), "again": not lasting})
            if lasting:
                break
    # os._exit, because Python's normal exit would wait for threads that a trial left behind.
    os._exit(0)


def _answer(replies: TextIO, message: Mapping[str, Any]) -> None:
    replies.write(json.dumps(message, default=dict) + "\n")
    replies.flush()


def _end_with(parent: int) -> None:
    """Makes this process end when its parent does, however that ends."""
    if sys.platform == "linux":
        kill_when_parent_ends = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(kill_when_parent_ends, signal.SIGKILL)
    if os.getppid() != parent:  # the parent had already ended
        os._exit(1)
    threading.Thread(target=_watch_parent, args=[parent], daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
